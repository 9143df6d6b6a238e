"""What a report is asked for.

Owns which metrics are reported, under which names, and what options are refused. Does not know
labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from sk_mtl._tasks import enumerate_some
from sk_mtl.metrics._scorers import MultiTaskScorer
from sk_mtl.metrics._task_metrics import Metric, find_metric

# The group of columns that counts labels, among groups that have the names of metrics.
LABELS = "labels"
_DEFAULT_METRICS = {
    "predict": ("accuracy", "balanced_accuracy", "f1", "matthews_corrcoef"),
    "predict_proba": (
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier_score",
        "calibration_error",
    ),
}
ARGUMENTS = {"predict": ("y_pred", "labels"), "predict_proba": ("y_proba", "probabilities")}


@dataclass(frozen=True)
class ReportOptions:
    """The options of a report beside its metrics, as `multitask_report` has them.

    Attributes
    ----------
    sample_weight : array-like or None
        Weight per row or per cell.
    missing_label : scalar
        One more value that means "missing".
    classes : object
        The classes that the model knows.
    y_train : array-like or None
        What the constant predictor learns from.
    n_bootstraps : int or None
        Number of resamples.
    confidence_level : float
        Of the intervals.
    random_state : int, RandomState or None
        Of the resamples.
    """

    sample_weight: Any
    missing_label: Any
    classes: Any
    y_train: Any
    n_bootstraps: int | None
    confidence_level: float
    random_state: Any

    def __post_init__(self) -> None:
        """Refuse what are not options of intervals."""
        n, level = self.n_bootstraps, self.confidence_level
        is_count = isinstance(n, Integral) and not isinstance(n, bool)
        if n is not None and not (is_count and n >= 1):
            raise ValueError(f"n_bootstraps must be None or an int of at least 1. Got {n!r}.")
        if not (isinstance(level, Real) and 0 < level < 1):
            raise ValueError(f"confidence_level must be a float between 0 and 1. Got {level!r}.")


@dataclass(frozen=True)
class ReportedMetric:
    """A metric of a report.

    Attributes
    ----------
    name : str
        What the report calls it.
    metric : Metric
        The metric.
    params : mapping
        Its parameters.
    """

    name: str
    metric: Metric
    params: Mapping[str, Any]


def find_reported_metrics(metrics: Any, methods: Iterable[str]) -> list[ReportedMetric]:
    """Find the metrics that a report is asked for.

    Parameters
    ----------
    metrics : None, str, callable, MultiTaskScorer, iterable or mapping of these
        What to report; None means the usual metrics of what there is.
    methods : iterable of {"predict", "predict_proba"}
        What there is to compute them from.

    Returns
    -------
    reported : list of ReportedMetric
        In the order asked for.
    """
    methods = list(methods)
    if not methods:
        raise ValueError("There is nothing to report on: pass y_pred, y_proba, or both.")
    if metrics is None:
        metrics = [name for method in methods for name in _DEFAULT_METRICS[method]]
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if isinstance(metrics, Mapping):
        reported = [_find_reported(name, wanted) for name, wanted in metrics.items()]
    else:
        reported = [_find_reported(None, wanted) for wanted in metrics]
    names = [r.name for r in reported]
    if not names:
        raise ValueError("metrics must name at least one metric. Got none.")
    twice = sorted({name for name in names if names.count(name) > 1 or name == LABELS})
    if twice:
        raise ValueError(
            f"The metrics of a report must have names of their own, other than {LABELS!r}. Got "
            f"{enumerate_some([repr(name) for name in names])}. Pass {{name: metric}} to name them."
        )
    for r in reported:
        if r.metric.response_method not in methods:
            argument, what = ARGUMENTS[r.metric.response_method]
            raise ValueError(f"{r.name!r} is computed from {what}: pass {argument}.")
    return reported


def _find_reported(name: Any, wanted: Any) -> ReportedMetric:
    """Find one metric; a scorer brings its parameters."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"The names of metrics must be str. Got {name!r}.")
    if isinstance(wanted, MultiTaskScorer):
        metric = wanted._find_metric()
        return ReportedMetric(name or metric.name, metric, dict(wanted.metric_params or {}))
    metric = find_metric(wanted)
    own_name = wanted if isinstance(wanted, str) else metric.name
    return ReportedMetric(name or own_name, metric, {})
