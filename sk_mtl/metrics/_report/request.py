"""The options and metrics of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from sk_mtl._compat.arguments import check_integer
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some
from sk_mtl.metrics._scorers import MultiTaskScorer
from sk_mtl.metrics._task_metrics import Metric, find_metric

# The group of columns that counts labels, beside the groups with the names of metrics.
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
    """The options of `multitask_report` except its metrics."""

    sample_weight: Any
    missing_label: Any
    classes: Any
    y_train: Any
    n_bootstraps: int | None
    confidence_level: float
    random_state: Any
    groups: Any = None

    def __post_init__(self) -> None:
        """Check the options of intervals."""
        if self.n_bootstraps is not None:
            check_integer("multitask_report", "n_bootstraps", self.n_bootstraps, 1)
        check_confidence_level(self.confidence_level)


def check_confidence_level(level: Any) -> None:
    """Refuse a confidence level that is no share."""
    if not (isinstance(level, Real) and 0 < float(level) < 1):
        raise ValueError(f"confidence_level must be a float between 0 and 1. Got {quote(level)}.")


@dataclass(frozen=True)
class ReportedMetric:
    """A metric with its name in the report and its parameters."""

    name: str
    metric: Metric
    params: Mapping[str, Any]


def find_reported_metrics(metrics: Any, methods: Iterable[str]) -> list[ReportedMetric]:
    """Return the metrics of a report on the results of "predict", "predict_proba" or both."""
    methods = list(methods)
    if not methods:
        raise ValueError("There is nothing to report on: pass y_pred, y_proba, or both.")
    if metrics is None:
        metrics = [name for method in methods for name in _DEFAULT_METRICS[method]]
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    named = metrics.items() if isinstance(metrics, Mapping) else ((None, m) for m in metrics)
    reported = [_find_reported(name, metric) for name, metric in named]
    names = [r.name for r in reported]
    if not names:
        raise ValueError("metrics must name at least one metric. Got none.")
    if len(set(names)) < len(names) or LABELS in names:
        raise ValueError(
            f"The metrics of a report must have different names, other than {LABELS!r}. Got "
            f"{enumerate_some([repr(name) for name in names])}. Pass {{name: metric}} to name them."
        )
    for r in reported:
        if r.metric.response_method not in methods:
            argument, what = ARGUMENTS[r.metric.response_method]
            raise ValueError(f"{quote(r.name)} is computed from {what}: pass {argument}.")
    return reported


def _find_reported(name: Any, metric: Any) -> ReportedMetric:
    """Return one metric; the parameters are those of a scorer."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"The names of metrics must be str. Got {quote(name)}.")
    if isinstance(metric, MultiTaskScorer):
        found = metric._find_metric()
        return ReportedMetric(name or found.name, found, dict(metric.metric_params or {}))
    found = find_metric(metric)
    default_name = metric if isinstance(metric, str) else found.name
    return ReportedMetric(name or default_name, found, {})
