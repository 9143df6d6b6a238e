"""Scorers for ``scoring=`` in searches and cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED

from sk_mtl._compat.arguments import check_choice
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._quoting import quote
from sk_mtl._task_scores import tell_task_scores
from sk_mtl._wrappers import find_multitask
from sk_mtl.metrics._predictions import gather_tasks
from sk_mtl.metrics._score import AVERAGES, average_scores, score_tasks, warn_of_left_out
from sk_mtl.metrics._task_metrics import METRICS, Metric, find_metric

MEAN = "mean"


class MultiTaskScorer(BaseEstimator):
    """Scorer for estimators with several tasks and missing labels.

    scikit-learn calls the object passed as ``scoring=`` as ``scorer(estimator, X, y)``. Use
    `make_multitask_scorer` to make one. Only ``predict`` or ``predict_proba`` and ``classes_`` of
    the estimator are used. Pipelines, searches and all other estimators that predict labels or
    probabilities per task, or for one task in 1-D form, can therefore be scored.

    Parameters
    ----------
    metric : str or callable, default="accuracy"
        A name or a function, as in `multitask_score`; greater must be better.
    average : {"macro", "weighted"} or None, default="macro"
        The mean over tasks. None makes a multi-metric scorer, which returns the score of each task
        and their unweighted mean as "mean", for ``refit="mean"``.
    task : hashable, default=None
        The name or position of the only task to score.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values in y that mean "missing", besides NaN, None, NaT and NA.
    response_method : {"predict", "predict_proba"}, default=None
        The predictions that a function given as `metric` takes; None means "predict".
    greater_is_better : bool, default=True
        Whether a function given as `metric` is a score and not a loss; a loss is negated.
    metric_params : dict, default=None
        Parameters of the metric.

    See Also
    --------
    make_multitask_scorer : Make a scorer and check its parameters.

    Examples
    --------
    >>> from sk_mtl.metrics import MultiTaskScorer
    >>> MultiTaskScorer("roc_auc", average="weighted")
    MultiTaskScorer(average='weighted', metric='roc_auc')
    """

    # Without this, metadata routing takes the estimator in the signature of `score` for metadata.
    __metadata_request__score: ClassVar[dict[str, Any]] = {"estimator": UNUSED}

    def __init__(
        self,
        metric: str | Callable[..., float] = "accuracy",
        *,
        average: str | None = "macro",
        task: Any = None,
        missing_label: Any = None,
        response_method: str | None = None,
        greater_is_better: bool = True,
        metric_params: dict[str, Any] | None = None,
    ):
        self.metric = metric
        self.average = average
        self.task = task
        self.missing_label = missing_label
        self.response_method = response_method
        self.greater_is_better = greater_is_better
        self.metric_params = metric_params

    @property
    def __name__(self) -> str:
        """The name of the metric, as scikit-learn's displays of curves show it."""
        name = find_metric(self.metric, self.response_method).name
        return name if self.greater_is_better else f"neg_{name}"

    def __call__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any = None
    ) -> float | dict[Any, float]:
        """Score an estimator, as `score` does."""
        return self.score(estimator, X, y, sample_weight=sample_weight)

    def score(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any = None
    ) -> float | dict[Any, float]:
        """Score an estimator over the labelled cells of each task.

        Parameters
        ----------
        estimator : object
            A fitted estimator.
        X : array-like of shape (n_samples, n_features)
            The samples.
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            True labels; NaN, None, NaT or NA where missing.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.

        Returns
        -------
        score : float or dict of {task: float}
            Greater is better; NaN where undefined. A dict, with the mean as "mean", if `average`
            and `task` are None.

        Warns
        -----
        UndefinedMetricWarning
            If a task is left out, or if some of its cells have no prediction.
        """
        metric = self._find_metric()
        warn_of_other_order({"X": X, "y": y, "sample_weight": sample_weight})
        tasks = gather_tasks(
            y,
            getattr(estimator, metric.response_method)(X),
            response_method=metric.response_method,
            sample_weight=sample_weight,
            missing_label=self.missing_label,
            classes=classes_of(estimator, y),
            task=self.task,
            task_names=getattr(find_multitask(estimator), "task_names_", None),
        )
        average = self.average if self.task is None else "macro"
        scores, reasons = score_tasks(metric, tasks, self.metric_params or {})
        warn_of_left_out(metric, tasks, reasons, average)
        if average is not None:
            if self.task is None:
                tell_task_scores(self, scores)
            return average_scores(scores, tasks, average)
        if MEAN in scores:
            raise ValueError(
                f"With average=None the scores have an additional entry {MEAN!r}, which is the "
                "name of a task of y, too. Rename the task, or pass task= to score one task."
            )
        if len({str(name) for name in scores}) < len(scores):
            raise ValueError(
                "With average=None searches name the score of a task by the text of its name, "
                "which two tasks of y share. Rename them, or pass task= to score one task."
            )
        return {**scores, MEAN: average_scores(scores, tasks, "macro")}

    def _find_metric(self) -> Metric:
        """Return the metric, or raise ValueError if smaller is better."""
        check_choice("MultiTaskScorer", "average", self.average, AVERAGES)
        metric = find_metric(self.metric, self.response_method)
        if not metric.greater_is_better:
            raise ValueError(
                f"{quote(self.metric)} is a loss, and searches look for the greatest score: use "
                f"'neg_{metric.name}'."
            )
        if self.greater_is_better:
            return metric
        if not callable(self.metric):
            raise ValueError(
                f"greater_is_better=False is for functions. {quote(self.metric)} is a name, whose "
                "direction is known."
            )
        return Metric(metric.name, metric.score, metric.response_method, sign=-1)

    def _accept_sample_weight(self) -> bool:
        """Tell scikit-learn's searches that sample_weight may be passed."""
        return True

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True


def make_multitask_scorer(
    metric: str | Callable[..., float],
    *,
    average: str | None = "macro",
    task: Any = None,
    missing_label: Any = None,
    response_method: str | None = None,
    greater_is_better: bool = True,
    metric_params: Mapping[str, Any] | None = None,
) -> MultiTaskScorer:
    """Make a scorer for ``scoring=`` from a metric over labelled cells.

    Parameters
    ----------
    metric : str or callable
        A name or a function, as in `multitask_score`. Searches look for the greatest score, so
        losses must be negated: "neg_log_loss", "neg_brier_score", "neg_calibration_error".
    average : {"macro", "weighted"} or None, default="macro"
        The mean over tasks: unweighted, or weighted by the labelled cells. None makes a
        multi-metric scorer, which predicts once and returns ``{task: score, ..., "mean": mean}``.
        Searches need ``refit="mean"`` or the name of a task for it, and functions that need one
        number, such as `cross_val_score`, cannot use it.
    task : hashable, default=None
        The name or position of the only task to score.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values in y that mean "missing", besides NaN, None, NaT and NA.
    response_method : {"predict", "predict_proba"}, default=None
        The predictions that a function given as `metric` takes; None means "predict".
    greater_is_better : bool, default=True
        Whether a function given as `metric` is a score and not a loss; a loss is negated.
    metric_params : mapping, default=None
        Parameters of the metric.

    Returns
    -------
    scorer : MultiTaskScorer
        A callable (estimator, X, y, sample_weight=None).

    Raises
    ------
    ValueError
        If there is no such metric, or it is a loss.

    See Also
    --------
    multitask_score : The score of predictions, with details on missing labels.
    per_task_scorers : A scorer for each task.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sk_mtl.metrics import make_multitask_scorer
    >>> X = np.arange(12.0).reshape(-1, 1)
    >>> Y = np.column_stack([np.arange(12) % 2, np.arange(12) // 6])
    >>> scorer = make_multitask_scorer("balanced_accuracy", average=None)
    >>> scores = cross_validate(DecisionTreeClassifier(), X, Y, cv=2, scoring=scorer)
    >>> [key for key in scores if key.startswith("test")]
    ['test_y0', 'test_y1', 'test_mean']
    """
    scorer = MultiTaskScorer(
        metric,
        average=average,
        task=task,
        missing_label=missing_label,
        response_method=response_method,
        greater_is_better=greater_is_better,
        metric_params=None if metric_params is None else dict(metric_params),
    )
    scorer._find_metric()
    return scorer


def per_task_scorers(
    metric: str | Callable[..., float],
    task_names: Iterable[Any],
    *,
    missing_label: Any = None,
    response_method: str | None = None,
    greater_is_better: bool = True,
    metric_params: Mapping[str, Any] | None = None,
) -> dict[Any, MultiTaskScorer]:
    """Make a scorer for each task and one for their mean, for multi-metric searches.

    They can be combined with other scorers, ``{**per_task_scorers("roc_auc", Y.columns),
    "accuracy": ...}``. If no others are needed, ``make_multitask_scorer(metric, average=None)``
    gives the same scores with one prediction instead of one per scorer.

    Parameters
    ----------
    metric : str or callable
        A name or a function, as in `make_multitask_scorer`.
    task_names : iterable of hashable
        The tasks: the columns of y, or positions.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values in y that mean "missing", besides NaN, None, NaT and NA.
    response_method : {"predict", "predict_proba"}, default=None
        The predictions that a function given as `metric` takes; None means "predict".
    greater_is_better : bool, default=True
        Whether a function given as `metric` is a score and not a loss; a loss is negated.
    metric_params : mapping, default=None
        Parameters of the metric.

    Returns
    -------
    scorers : dict of {task: MultiTaskScorer}
        With the mean over all tasks of y as "mean", for ``refit="mean"``.

    Examples
    --------
    >>> from sk_mtl.metrics import per_task_scorers
    >>> list(per_task_scorers("roc_auc", ["income", "education"]))
    ['income', 'education', 'mean']
    """
    names = list(task_names)
    check_no_task_is_mean(names)
    return {
        name: make_multitask_scorer(
            metric,
            task=None if name is MEAN else name,
            missing_label=missing_label,
            response_method=response_method,
            greater_is_better=greater_is_better,
            metric_params=metric_params,
        )
        for name in [*names, MEAN]
    }


def get_multitask_scorer(name: str) -> MultiTaskScorer:
    """Get the scorer with a name, for the mean over tasks.

    Parameters
    ----------
    name : str
        One of `get_multitask_scorer_names`.

    Returns
    -------
    scorer : MultiTaskScorer
        A new scorer, as :func:`make_multitask_scorer` makes it by default.

    Examples
    --------
    >>> from sk_mtl.metrics import get_multitask_scorer
    >>> get_multitask_scorer("roc_auc")
    MultiTaskScorer(metric='roc_auc')
    """
    return make_multitask_scorer(name)


def get_multitask_scorer_names() -> list[str]:
    """Get the names of all available scorers.

    Returns
    -------
    names : list of str
        Names for `get_multitask_scorer` and `make_multitask_scorer`.

    Examples
    --------
    >>> from sk_mtl.metrics import get_multitask_scorer_names
    >>> "neg_log_loss" in get_multitask_scorer_names()
    True
    """
    return sorted(name for name, metric in METRICS.items() if metric.greater_is_better)


def classes_of(estimator: Any, y: Any) -> Any:
    """Return the classes of each task, None if the estimator's `classes_` has another meaning."""
    classes = getattr(estimator, "classes_", None)
    shape = np.shape(y)
    if isinstance(classes, np.ndarray) and len(shape) == 2 and shape[1] > 1:
        return None  # an estimator for multi-label data, whose classes_ are the columns of y
    return classes


def check_no_task_is_mean(names: Iterable[Any]) -> None:
    """Raise ValueError if a task has the name that stands for the mean over tasks."""
    if MEAN in names:
        raise ValueError(f"{MEAN!r} stands for the mean over tasks; rename the task of that name.")
