"""Scorers for ``scoring=`` in searches and cross-validation.

Owns the objects that scikit-learn calls with (estimator, X, y). The score itself is `_score`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED

from sk_mtl.metrics._predictions import gather_tasks
from sk_mtl.metrics._score import AVERAGES, average_scores, score_tasks, warn_of_left_out
from sk_mtl.metrics._task_metrics import METRICS, Metric, find_metric

MEAN = "mean"


class MultiTaskScorer(BaseEstimator):
    """A scorer of estimators with several tasks and missing labels.

    Called as ``scorer(estimator, X, y)``, which is what scikit-learn does with ``scoring=``.
    `make_multitask_scorer` makes one. Of the estimator only ``predict`` or ``predict_proba`` and
    ``classes_`` are used, so that pipelines and searches can be scored, and any other estimator
    that gives labels or probabilities per task, or for one task in 1-D form.

    Parameters
    ----------
    metric : str or callable, default="accuracy"
        A name or a function, as in `multitask_score`; greater must be better.
    average : {"macro", "weighted"} or None, default="macro"
        The mean over tasks. None makes a multi-metric scorer: it returns the score of each task,
        and their unweighted mean as "mean", for ``refit="mean"``.
    task : hashable, default=None
        Score this task alone: its name, or its position.
    missing_label : scalar, default=None
        One more value in y that means "missing", beside NaN, None, NaT and NA.
    response_method : {"predict", "predict_proba"}, default=None
        What a function as `metric` is computed from; None means "predict".
    greater_is_better : bool, default=True
        Whether a function as `metric` grows as the model gets better; if not, it is negated.
    metric_params : dict, default=None
        Parameters of the metric.

    See Also
    --------
    make_multitask_scorer : Makes one and checks the parameters at once.

    Examples
    --------
    >>> from sk_mtl.metrics import MultiTaskScorer
    >>> MultiTaskScorer("roc_auc", average="weighted")
    MultiTaskScorer(average='weighted', metric='roc_auc')
    """

    # By its signature, `score` would have the estimator routed to it as metadata.
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

    def __call__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any = None
    ) -> float | dict[Any, float]:
        """Score an estimator; the same as `score`."""
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
            Greater is better; NaN where undefined. A dict, with the mean as "mean", where
            `average` is None and no task was named.

        Warns
        -----
        UndefinedMetricWarning
            If a task is left out, or some of its cells for want of a prediction.
        """
        metric = self._find_metric()
        tasks = gather_tasks(
            y,
            getattr(estimator, metric.response_method)(X),
            response_method=metric.response_method,
            sample_weight=sample_weight,
            missing_label=self.missing_label,
            classes=classes_of(estimator, y),
            task=self.task,
        )
        average = self.average if self.task is None else "macro"
        scores, problems = score_tasks(metric, tasks, self.metric_params or {})
        warn_of_left_out(metric, tasks, problems, average)
        if average is not None:
            return average_scores(scores, tasks, average)
        if MEAN in scores:
            raise ValueError(
                f"With average=None the scores have one more entry {MEAN!r}, which is the name of "
                "a task of y. Rename the task, or name it as task= to score it alone."
            )
        return {**scores, MEAN: average_scores(scores, tasks, "macro")}

    def _find_metric(self) -> Metric:
        """Return the metric, having checked that greater is better."""
        if self.average not in AVERAGES:
            raise ValueError(f"average must be 'macro', 'weighted' or None. Got {self.average!r}.")
        metric = find_metric(self.metric, self.response_method)
        if not metric.greater_is_better:
            raise ValueError(
                f"{self.metric!r} falls as the model gets better, and searches look for the "
                f"greatest score: use 'neg_{metric.name}'."
            )
        if self.greater_is_better:
            return metric
        if not callable(self.metric):
            raise ValueError(
                f"greater_is_better=False is for functions; {self.metric!r} knows its direction."
            )
        return Metric(metric.name, metric.score, metric.response_method, sign=-1)

    def _accept_sample_weight(self) -> bool:
        """Tell scikit-learn's searches that weights may be passed."""
        return True

    def __sklearn_is_fitted__(self) -> bool:
        """Tell that there is nothing to fit."""
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
    """Make a scorer for ``scoring=`` of a metric over labelled cells.

    Parameters
    ----------
    metric : str or callable
        A name or a function, as in `multitask_score`. Searches look for the greatest score, so
        that losses are asked for negated: "neg_log_loss", "neg_brier_score",
        "neg_calibration_error".
    average : {"macro", "weighted"} or None, default="macro"
        The mean over tasks: unweighted, or weighted by the labelled cells. None makes a
        multi-metric scorer, which predicts once and returns ``{task: score, ..., "mean": mean}``:
        searches take it with ``refit="mean"`` or the name of a task, `cross_validate` as it is,
        and functions that want one number, such as `cross_val_score`, not at all.
    task : hashable, default=None
        Score this task alone: its name, or its position.
    missing_label : scalar, default=None
        One more value in y that means "missing", beside NaN, None, NaT and NA.
    response_method : {"predict", "predict_proba"}, default=None
        What a function as `metric` is computed from; None means "predict".
    greater_is_better : bool, default=True
        Whether a function as `metric` grows as the model gets better; if not, it is negated.
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
    multitask_score : The score of predictions at hand; says what is done with missing labels.
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

    They can be put together with other scorers, ``{**per_task_scorers("roc_auc", Y.columns),
    "accuracy": ...}``. Where only these are wanted, ``make_multitask_scorer(metric,
    average=None)`` gives the same scores and predicts once, not once for each scorer.

    Parameters
    ----------
    metric : str or callable
        A name or a function, as in `make_multitask_scorer`.
    task_names : iterable of hashable
        The tasks: the columns of y, or positions.
    missing_label : scalar, default=None
        One more value in y that means "missing", beside NaN, None, NaT and NA.
    response_method : {"predict", "predict_proba"}, default=None
        What a function as `metric` is computed from; None means "predict".
    greater_is_better : bool, default=True
        Whether a function as `metric` grows as the model gets better; if not, it is negated.
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
    if MEAN in names:
        raise ValueError(f"{MEAN!r} stands for the mean over tasks; rename the task of that name.")
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
    """Get the scorer of a name, the mean over tasks.

    Parameters
    ----------
    name : str
        One of `get_multitask_scorer_names`.

    Returns
    -------
    scorer : MultiTaskScorer
        A new scorer, as of :func:`make_multitask_scorer` with its defaults.

    Examples
    --------
    >>> from sk_mtl.metrics import get_multitask_scorer
    >>> get_multitask_scorer("roc_auc")
    MultiTaskScorer(metric='roc_auc')
    """
    return make_multitask_scorer(name)


def get_multitask_scorer_names() -> list[str]:
    """Get the names of the scorers that are ready for use.

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
    """Return the classes that an estimator knows, if it says so per task."""
    classes = getattr(estimator, "classes_", None)
    shape = np.shape(y)
    if isinstance(classes, np.ndarray) and len(shape) == 2 and shape[1] > 1:
        return None  # an estimator for multi-label data, which lists the columns of y here
    return classes
