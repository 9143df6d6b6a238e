"""`completion_score` and `CompletionScorer`: hidden labels, filled and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from sk_mtl._compat.arguments import as_random_state, check_choice, check_integer, check_real
from sk_mtl._data.label_values import object_array
from sk_mtl._data.labels import LabelTable, read_labels
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._quoting import quote
from sk_mtl._task_scores import tell_task_scores
from sk_mtl._wrappers import reach
from sk_mtl.metrics._predictions import ScoredTask
from sk_mtl.metrics._report.cells import (
    Predictions,
    TrueLabels,
    gather_predictions,
    read_true_labels,
)
from sk_mtl.metrics._score import score_tasks, warn_of_left_out
from sk_mtl.metrics._scorers import MEAN, check_no_task_is_mean
from sk_mtl.metrics._task_metrics import Metric, find_metric

PATTERNS = ("cells", "tasks", "holes")


def completion_score(
    estimator: Any,
    X: Any,
    Y: Any,
    metric: str | Callable[..., float] = "roc_auc",
    *,
    hide: float = 0.2,
    pattern: str = "cells",
    n_repeats: int = 5,
    Y_train: Any = None,
    missing_label: Any = None,
    random_state: Any = None,
) -> pd.DataFrame:
    """Hide known labels, let an estimator fill them, and score what it fills.

    Beside it are the scores of the same estimator for the same cells without the labels of their
    rows (`predict_proba`), and of the constant predictor.

    Parameters
    ----------
    estimator : estimator
        A fitted `MultiTaskClassifier`, or a fitted Pipeline or search that ends in one.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Samples that were not trained on.
    Y : DataFrame or array-like of shape (n_samples, n_tasks)
        Their labels; NaN, None, NaT or NA where missing.
    metric : str or callable, default="roc_auc"
        A name or a function, as in `multitask_score`; a function gets predicted labels.
    hide : float, default=0.2
        The probability with which each known label is hidden, in (0, 1), with
        ``pattern="cells"``.
    pattern : {"cells", "tasks", "holes"}, default="cells"
        Which labels to hide at a time: a share of all, at random; all labels of a task, one task
        after another ("what would the next assay say?"); or in each row those that are missing in
        another row, drawn at random: holes lie together as they do in Y, but there are more.
    n_repeats : int, default=5
        How often to hide; the scores are means. "tasks" hides every label once.
    Y_train : DataFrame or array-like, default=None
        Labels of the training rows, from which the constant predictor learns; None means that it
        learns from the cells that it is scored on.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values that mean "missing"; None means those of the estimator.
    random_state : int, RandomState instance or None, default=None
        What the hidden labels are drawn with.

    Returns
    -------
    scores : pandas.DataFrame
        A row per task, and "mean" for the mean over tasks, with the columns ``n_hidden``, the
        number of hidden labels, a mean over repeats; ``completed``, the score given the labels that
        are left;
        ``without_labels``, that of `predict_proba` (or `predict`); and ``constant``. NaN where a
        score is undefined.

    Raises
    ------
    TypeError
        If the estimator cannot complete labels.
    ValueError
        If a parameter, the tasks or the number of rows do not fit.

    Warns
    -----
    UndefinedMetricWarning
        If a task is left out of a mean.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.metrics import completion_score
    >>> rng = np.random.default_rng(0)
    >>> X, copied = rng.normal(size=(200, 2)), rng.integers(2, size=200)
    >>> Y = np.column_stack([copied, copied])  # X tells nothing, one task all of the other
    >>> clf = MultiTaskClassifier((32,), epochs=30, known_labels=True, random_state=0)
    >>> scores = completion_score(clf.fit(X[:150], Y[:150]), X[150:], Y[150:], pattern="tasks")
    >>> float(scores.loc["mean", "completed"])
    1.0
    >>> bool(scores.loc["mean", "without_labels"] < 0.7)
    True
    """
    caller = "completion_score"
    found = find_metric(metric)
    hiding = _Hiding(caller, estimator, X, Y, found, missing_label, pattern, hide, n_repeats)
    check_no_task_is_mean(hiding.table.task_names)
    training = None if Y_train is None else hiding.read_training(Y_train)
    scores = hiding.score(as_random_state(random_state), training, beside=True)
    scores.loc[len(scores)] = scores.mean()
    names = object_array([*hiding.table.task_names, MEAN])
    return scores.set_axis(pd.Index(names, name="task", tupleize_cols=False), axis=0)


class CompletionScorer(BaseEstimator):
    """Scorer of filled labels, for ``scoring=`` in searches and cross-validation.

    Labels of the rows to score are hidden, filled by ``complete_proba`` given those that are left,
    and scored; see `completion_score`. It takes no sample weights.

    Parameters
    ----------
    metric : str or callable, default="roc_auc"
        A name or a function, as in `multitask_score`; greater must be better.
    hide : float, default=0.2
        The probability with which each known label is hidden, in (0, 1), with
        ``pattern="cells"``.
    pattern : {"cells", "tasks", "holes"}, default="cells"
        Which labels to hide at a time, as in `completion_score`.
    n_repeats : int, default=1
        How often to hide; the score is the mean.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values that mean "missing"; None means those of the estimator.
    random_state : int, RandomState instance or None, default=0
        What the hidden labels are drawn with: with an integer, all candidates of a search fill the
        same cells of a fold.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.metrics import CompletionScorer
    >>> rng = np.random.default_rng(0)
    >>> X, copied = rng.normal(size=(200, 2)), rng.integers(2, size=200)
    >>> clf = MultiTaskClassifier((32,), epochs=30, known_labels=True, random_state=0)
    >>> scorer = CompletionScorer("accuracy", pattern="tasks")
    >>> cross_val_score(clf, X, np.column_stack([copied, copied]), cv=2, scoring=scorer)
    array([1., 1.])
    """

    # Without this, metadata routing takes the estimator in the signature of `score` for metadata.
    __metadata_request__score: ClassVar[dict[str, Any]] = {"estimator": UNUSED}

    def __init__(
        self,
        metric: str | Callable[..., float] = "roc_auc",
        *,
        hide: float = 0.2,
        pattern: str = "cells",
        n_repeats: int = 1,
        missing_label: Any = None,
        random_state: Any = 0,
    ):
        self.metric = metric
        self.hide = hide
        self.pattern = pattern
        self.n_repeats = n_repeats
        self.missing_label = missing_label
        self.random_state = random_state

    @property
    def __name__(self) -> str:
        """The name of the metric, as scikit-learn's displays of curves show it."""
        return find_metric(self.metric).name

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        """Score an estimator, as `score` does."""
        return self.score(estimator, X, y)

    def score(self, estimator: Any, X: Any, y: Any) -> float:
        """Score what an estimator fills.

        Parameters
        ----------
        estimator : object
            A fitted `MultiTaskClassifier`, or a fitted Pipeline or search that ends in one.
        X : array-like of shape (n_samples, n_features)
            The samples.
        y : DataFrame or array-like of shape (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.

        Returns
        -------
        score : float
            The mean over tasks, and over repeats; greater is better. NaN if no task has a score.

        Warns
        -----
        UndefinedMetricWarning
            If a task is left out.
        """
        metric = find_metric(self.metric)
        if not metric.greater_is_better:
            raise ValueError(
                f"{quote(self.metric)} is a loss, and searches look for the greatest score: use "
                f"'neg_{metric.name}'."
            )
        how = (self.missing_label, self.pattern, self.hide, self.n_repeats)
        hiding = _Hiding("CompletionScorer", estimator, X, y, metric, *how)
        scores = hiding.score(as_random_state(self.random_state), None, beside=False)["completed"]
        by_task = dict(zip(hiding.table.task_names, scores.tolist(), strict=True))
        tell_task_scores(self, by_task)
        return float(scores.mean())

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True


def reach_completer(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the estimator that completes labels, and X as it gets it."""
    check_is_fitted(estimator)
    estimator, X = reach(estimator, X)
    if not hasattr(estimator, "complete_proba"):
        raise TypeError(
            "The estimator must be a MultiTaskClassifier, or a Pipeline or search that ends in "
            f"one: it must have complete_proba. Got {type(estimator).__name__}."
        )
    return estimator, X


def read_several_tasks(Y: Any, missing_label: Any, task_names: Any) -> LabelTable:
    """Return Y as read; refuse a single task."""
    table = read_labels(Y, missing_label=missing_label, task_names=task_names)
    if table.n_tasks < 2:
        raise ValueError("Y must have at least two tasks: the labels of one tell of another.")
    return table


def as_labels(table: LabelTable) -> pd.DataFrame:
    """Return labels as a DataFrame, None where missing, whatever stood for that."""
    columns = [column.astype(object) for column in table.columns]
    for column, is_labelled in zip(columns, table.label_mask.T, strict=True):
        column[~is_labelled] = None
    return name_columns(columns, table.task_names)


def name_columns(columns: list[np.ndarray], names: Iterable[Any]) -> pd.DataFrame:
    """Return columns as a DataFrame with the names of tasks."""
    frame = pd.DataFrame(dict(enumerate(columns)))
    return frame.set_axis(pd.Index(object_array(list(names)), tupleize_cols=False), axis=1)


class _Hiding:
    """An estimator, the rows to fill, and the metric."""

    def __init__(
        self,
        caller: str,
        estimator: Any,
        X: Any,
        Y: Any,
        metric: Metric,
        missing_label: Any,
        pattern: str,
        hide: float,
        n_repeats: int,
    ):
        check_choice(caller, "pattern", pattern, PATTERNS)
        check_integer(caller, "n_repeats", n_repeats, 1)
        if pattern == "cells" and not 0 < check_real(caller, "hide", hide, 0, 1) < 1:
            raise ValueError(
                f"The 'hide' parameter of {caller} must be above 0 and below 1. Got {hide} instead."
            )
        warn_of_other_order({"X": X, "Y": Y})
        self.estimator, self.X = reach_completer(estimator, X)
        self.Y, self.metric = Y, metric
        self.pattern, self.hide = pattern, hide
        self.n_repeats = 1 if pattern == "tasks" else n_repeats
        self.missing_label = missing_label
        if missing_label is None:
            self.missing_label = self.estimator.missing_label
        self.table = read_several_tasks(Y, self.missing_label, self.estimator.task_names_)
        if pattern == "holes" and self.table.label_mask.all():
            raise ValueError("pattern='holes' hides nothing: Y has no missing label.")

    def read_training(self, Y_train: Any) -> LabelTable:
        """Return the labels that the constant predictor learns from, in the order of Y."""
        true = read_true_labels(self.Y, None, self.missing_label, Y_train)
        assert true.training is not None  # as it was given
        return true.training

    def score(
        self, rng: np.random.RandomState, training: LabelTable | None, *, beside: bool
    ) -> pd.DataFrame:
        """Return the scores of each task, means over repeats; `beside` for all of them."""
        alone = getattr(self.estimator, self.metric.response_method)(self.X) if beside else None
        repeats = []
        for _ in range(self.n_repeats):
            hidden = self._draw_hidden(rng)
            filled = self._fill(hidden)
            true = TrueLabels(replace(self.table, label_mask=hidden), None, hidden, training)
            gathered = self._gather(filled, true)
            columns = {
                "n_hidden": hidden.sum(axis=0).tolist(),
                "completed": self._score(gathered.tasks, warns=True),
            }
            if alone is not None:
                columns["without_labels"] = self._score(self._gather(alone, true).tasks)
                columns["constant"] = self._score(gathered.constant)
            repeats.append(pd.DataFrame(columns, dtype=float))
        # Of the repeats in which a task has a score.
        return pd.concat(repeats).groupby(level=0, sort=False).mean()

    def _draw_hidden(self, rng: np.random.RandomState) -> np.ndarray:
        """Return which cells to score."""
        mask = self.table.label_mask
        if self.pattern == "tasks":
            return mask
        if self.pattern == "cells":
            return mask & (rng.random_sample(mask.shape) < self.hide)
        return mask & ~mask[rng.permutation(len(mask))]

    def _fill(self, hidden: np.ndarray) -> Any:
        """Return what the metric takes for the hidden cells, given the others."""
        how = {"leave_one_out": True} if self.pattern == "tasks" else {"hidden": hidden}
        probabilities = self.estimator.complete_proba(self.X, as_labels(self.table), **how)
        if self.metric.response_method == "predict_proba":
            return probabilities
        columns = [
            object_array(classes.take(np.nan_to_num(p).argmax(axis=1)).tolist())
            if len(classes)
            else np.full(len(p), None)
            for classes, p in zip(self.estimator.classes_, probabilities, strict=True)
        ]
        return name_columns(columns, self.estimator.task_names_)

    def _gather(self, predicted: Any, true: TrueLabels) -> Predictions:
        method = self.metric.response_method
        return gather_predictions(predicted, method, true, self.estimator.classes_)

    def _score(self, tasks: Mapping[Any, ScoredTask], *, warns: bool = False) -> list[float]:
        scores, reasons = score_tasks(self.metric, tasks, {})
        if warns:
            warn_of_left_out(self.metric, tasks, reasons, "macro")
        return list(scores.values())
