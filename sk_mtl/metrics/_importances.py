"""How much the scores of the tasks depend on each feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sk_mtl._compat.arguments import as_random_state, check_integer
from sk_mtl._data.columns import column_names
from sk_mtl._data.containers import open_table
from sk_mtl._data.groups import read_groups
from sk_mtl._data.labels import LabelTable, read_labels
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._tasks import PerTask
from sk_mtl._wrappers import find_missing_label, find_multitask
from sk_mtl.metrics._predictions import ScoredTask, match_predictions
from sk_mtl.metrics._report.bootstrap import draw_row_counts, score_resamples
from sk_mtl.metrics._report.request import check_confidence_level
from sk_mtl.metrics._report.scores import percentiles
from sk_mtl.metrics._score import score_tasks, warn_of_left_out
from sk_mtl.metrics._scorers import classes_of
from sk_mtl.metrics._task_metrics import Metric, find_metric

__all__ = ["COLUMNS", "task_importances"]

COLUMNS = ("task", "feature", "importance", "lower", "upper", "score", "n_cells")


def task_importances(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    metric: Any = "log_loss",
    features: Any = None,
    n_repeats: int = 5,
    n_bootstraps: int | None = 200,
    groups: Any = None,
    confidence_level: float = 0.95,
    sample_weight: Any = None,
    missing_label: Any = None,
    random_state: Any = None,
) -> pd.DataFrame:
    r"""Compute how much worse each task is predicted when a feature is shuffled.

    The permutation importance [1]_ of a feature for a task: the loss in score over the labelled
    cells of the task when the values of the feature are shuffled among all rows of X. Positive
    means that the predictions use the feature, and that this helps.

    Parameters
    ----------
    estimator : estimator
        A fitted `MultiTaskClassifier`, a fitted Pipeline or search that ends in one, or another
        estimator that predicts several tasks.
    X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
        Samples, preferably not those of training.
    y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
        Their labels; NaN, None, NaT or NA where missing.
    metric : str or callable, default="log_loss"
        A name or a function, as in `multitask_score`; a function gets predicted labels, and greater
        is better.
    features : list of names or of positions, default=None
        The features to shuffle; None means all. Each takes `n_repeats` predictions of X.
    n_repeats : int, default=5
        How often each feature is shuffled; the importance is the mean.
    n_bootstraps : int or None, default=200
        Number of resamples of the rows for percentile intervals; None computes no intervals.
    groups : array-like of shape (n_samples,), default=None
        The group of each row, such as a person: whole groups are resampled.
    confidence_level : float, default=0.95
        The share of the resamples within an interval.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        Weight per row or per cell.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values that mean "missing"; None means those of the estimator.
    random_state : int, RandomState instance or None, default=None
        What is shuffled and resampled with.

    Returns
    -------
    importances : pandas.DataFrame
        A row for each task and feature, with the columns ``task``, ``feature``, ``importance``,
        ``lower``, ``upper``, ``score`` (of the task, with all features) and ``n_cells``, the
        labelled cells. NaN where a score is undefined.

    Raises
    ------
    ValueError
        If a parameter, the tasks or the number of rows do not fit.

    Warns
    -----
    UndefinedMetricWarning
        If the score of a task is undefined.

    See Also
    --------
    sk_mtl.plotting.TaskImportancesDisplay : Draws them.
    sk_mtl.MultiTaskClassifier.explain : What each feature adds to single predictions.

    Notes
    -----
    *Intervals* describe which rows happened to be scored: rows are drawn with replacement, the same
    for all tasks, and the scores with and without shuffling are compared on them. They do not
    describe other training rows. Features that depend on one another share their importance: the
    network may do without either.

    References
    ----------
    .. [1] L. Breiman (2001). Random Forests. Machine Learning 45, 5-32.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.metrics import task_importances
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> Y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0])
    >>> clf = MultiTaskClassifier((32,), epochs=30, random_state=0).fit(X[:150], Y[:150])
    >>> found = task_importances(clf, X[150:], Y[150:], random_state=0)
    >>> found.loc[found["lower"] > 0.1, ["task", "feature"]].values.tolist()
    [['y0', 0], ['y1', 1]]
    """
    caller = "task_importances"
    check_integer(caller, "n_repeats", n_repeats, 1)
    if n_bootstraps is not None:
        check_integer(caller, "n_bootstraps", n_bootstraps, 1)
    check_confidence_level(confidence_level)
    check_is_fitted(estimator)
    found = find_metric(metric)
    X = open_table(X, "X")
    warn_of_other_order({"X": X, "y": y, "sample_weight": sample_weight, "groups": groups})
    names = getattr(find_multitask(estimator), "task_names_", None)
    missing_label = find_missing_label(estimator) if missing_label is None else missing_label
    table = read_labels(y, missing_label=missing_label, task_names=names)
    check_consistent_length(X, np.empty(table.n_samples))
    chosen = _choose_features(X, features)
    weight = read_cell_weight(sample_weight, table)
    rng = as_random_state(random_state)
    scored = _Scored(estimator, found, table, weight, classes_of(estimator, y))
    whole = scored.of(X)
    reasons = score_tasks(found, whole, {})[1]
    warn_of_left_out(found, whole, reasons, None)
    # Of its own, so that what is shuffled does not depend on the resamples.
    of_resamples = as_random_state(int(rng.randint(np.iinfo(np.int32).max)))
    counts = _draw_counts(scored.counts, n_bootstraps, groups, of_resamples)
    scores = _score_resamples(found, whole, counts)
    sign = 1.0 if found.greater_is_better else -1.0
    tail = (1 - confidence_level) / 2
    rows = []
    for position, feature in chosen:
        losses = []
        for _ in range(n_repeats):
            shuffled = scored.of(_shuffle(X, position, rng.permutation(table.n_samples)))
            losses.append(sign * (scores - _score_resamples(found, shuffled, counts)))
        of_tasks = np.mean(losses, axis=0)
        for t, (name, task) in enumerate(whole.items()):
            n_cells = 0 if task.cells is None else len(task.cells.true)
            ends = percentiles(of_tasks[t, 1:], tail)
            rows.append((name, feature, of_tasks[t, 0], *ends, scores[t, 0], n_cells))
    # By task, the features in their order.
    in_order = [row for t in range(len(whole)) for row in rows[t :: len(whole)]]
    return pd.DataFrame(in_order, columns=list(COLUMNS))


class _Scored:
    """The labels to score predictions on."""

    def __init__(
        self,
        estimator: Any,
        metric: Metric,
        table: LabelTable,
        weight: np.ndarray | None,
        classes: Any,
    ):
        self._predict = getattr(estimator, metric.response_method)
        self._method = metric.response_method
        self._table = table
        self._weight = weight
        self._classes = classes
        self._chosen: list[Any] | None = None
        if isinstance(classes, PerTask) and table.form.kind == "frame":
            names = list(table.task_names)
            if len(names) < len(classes) and set(names) <= set(classes.task_names):
                self._chosen = names
                self._classes = {name: classes[name] for name in names}

    @property
    def counts(self) -> np.ndarray:
        """Which cells count, (n_samples, n_tasks)."""
        mask = self._table.label_mask
        return mask if self._weight is None else mask & (self._weight > 0)

    def of(self, X: Any) -> dict[Any, ScoredTask]:
        """Return the cells of each task of y with the predictions for X."""
        found = self._predict(X)
        if self._chosen is not None:  # y lacks some of the tasks
            found = {name: found[name] for name in self._chosen}
            if self._method == "predict":
                found = pd.DataFrame({name: list(labels) for name, labels in found.items()})
        return match_predictions(
            self._table, self._weight, found, self._method, classes=self._classes
        )


def _draw_counts(
    is_counted: np.ndarray, n_bootstraps: int | None, groups: Any, rng: np.random.RandomState
) -> list[np.ndarray]:
    """Return how often each row is drawn, (n_samples, n_resamples), in batches."""
    codes = None if groups is None else read_groups(groups, len(is_counted))
    # Rows without any label are not drawn, so they have no influence.
    is_drawn = is_counted.any(axis=1)
    if n_bootstraps is None or not is_drawn.any():
        return []
    if codes is not None:
        _, codes = np.unique(codes[is_drawn], return_inverse=True)
    batches = []
    for drawn in draw_row_counts(int(is_drawn.sum()), n_bootstraps, rng, codes):
        counts = np.zeros((len(is_counted), drawn.shape[1]), np.uint8)  # hardly one is above ten
        counts[is_drawn] = drawn
        batches.append(counts)
    return batches


def _score_resamples(
    metric: Metric, tasks: Mapping[Any, ScoredTask], counts: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the scores of each task on all rows, then on each resample of them."""
    scores = score_tasks(metric, tasks, {})[0]
    n_resamples = sum(of_batch.shape[1] for of_batch in counts)
    found = np.full((len(tasks), 1 + n_resamples), np.nan)
    for t, (name, task) in enumerate(tasks.items()):
        found[t, 0] = scores[name]
        if task.cells is not None and counts and not np.isnan(scores[name]):
            cells, rows = task.cells, task.rows
            parts = [score_resamples(metric, {}, cells, c[rows].astype(float)) for c in counts]
            found[t, 1:] = np.concatenate(parts)
    return found


def _choose_features(X: Any, features: Any) -> list[tuple[int, Any]]:
    """Return the position and the name of each feature to shuffle; positions if none has a name."""
    names = column_names(X)
    shape = X.shape if hasattr(X, "shape") else np.shape(X)
    if len(shape) != 2:
        raise ValueError(f"X must be 2-D. Got {len(shape)} dimension(s).")
    n_features = shape[1]
    if names is None:
        names = list(range(n_features))
    if features is None:
        return list(enumerate(names))
    if isinstance(features, str) or not np.iterable(features):
        raise ValueError(
            f"features must be a list of names or positions. Got {quote(features)}: write it in "
            "brackets."
        )
    chosen = []
    for feature in features:
        if isinstance(feature, (bool, np.bool_)):  # True would be the position 1
            raise ValueError(
                f"features must be names or positions of features of X. Got {quote(feature)}; of a "
                "mask, pass the positions: np.flatnonzero(mask)."
            )
        # As with tasks: where names are integers, an integer is a name and never a position.
        is_position = (
            isinstance(feature, Integral)
            and 0 <= int(feature) < n_features
            and not any(isinstance(name, Integral) for name in names)
        )
        if feature in names:
            chosen.append((names.index(feature), feature))
        elif is_position:
            chosen.append((int(feature), names[int(feature)]))
        else:
            raise ValueError(
                f"features must be names or positions of features of X. Got {quote(feature)}."
                f"{did_you_mean(str(feature), [str(name) for name in names])}"
            )
    positions = [position for position, _ in chosen]
    if len(set(positions)) < len(positions):
        raise ValueError(f"features must name each feature once. Got {quote(list(features))}.")
    return chosen


def _shuffle(X: Any, position: int, order: np.ndarray) -> Any:
    """Return X with the rows of one column in another order."""
    if isinstance(X, pd.DataFrame):
        shuffled = X.copy(deep=False)
        column = X.iloc[:, position]
        shuffled.isetitem(position, column.iloc[order].set_axis(column.index))
        return shuffled
    if nw.dependencies.is_into_dataframe(X):
        frame = nw.from_native(X, eager_only=True)
        return frame.with_columns(frame[:, position][order.tolist()]).to_native()
    if sp.issparse(X):
        X = X.tocsr()
        parts = [X[:, :position], X[order][:, [position]], X[:, position + 1 :]]
        return sp.hstack(parts, format="csr")
    shuffled = np.array(X)
    shuffled[:, position] = shuffled[order, position]
    return shuffled
