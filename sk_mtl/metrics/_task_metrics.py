"""The metrics by name, computed from the labelled cells of one task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn.metrics

from sk_mtl._compat.arguments import check_choice
from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._quoting import quote
from sk_mtl.metrics._calibration_error import calibration_error, check_probabilities

# Smaller probabilities are clipped to it: the resolution of those that a network predicts.
_EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class TaskCells:
    """The labelled cells of one task with their predictions."""

    task_name: Any
    labels: np.ndarray  # (n_classes,), sorted: the classes of the model and those found
    true: np.ndarray  # (n_cells,), codes
    predicted: np.ndarray  # (n_cells,) codes or (n_cells, n_classes) probabilities
    weight: np.ndarray | None  # (n_cells,), positive

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.labels)

    @property
    def total_weight(self) -> float:
        """Number of cells, or the sum of their weights."""
        return float(len(self.true) if self.weight is None else self.weight.sum())


class UndefinedScore(Exception):
    """A metric is undefined for a task; the message is the reason."""


@dataclass(frozen=True)
class Metric:
    """A metric of one task."""

    name: str
    score: Callable[..., float]  # score(cells, **params), may raise UndefinedScore
    response_method: str  # "predict" or "predict_proba"
    sign: int = 1
    greater_is_better: bool = True  # with the sign


# ------------------------------------------------------------------------------------------------
# From labels
# ------------------------------------------------------------------------------------------------


def _accuracy(cells: TaskCells) -> float:
    return float(
        sklearn.metrics.accuracy_score(cells.true, cells.predicted, sample_weight=cells.weight)
    )


def _balanced_accuracy(cells: TaskCells) -> float:
    # balanced_accuracy_score is the same, but warns of predicted classes without a true label.
    return float(
        sklearn.metrics.recall_score(
            cells.true,
            cells.predicted,
            labels=np.unique(cells.true),
            average="macro",
            sample_weight=cells.weight,
            zero_division=0.0,
        )
    )


def _matthews_corrcoef(cells: TaskCells) -> float:
    _require_two_classes(cells)
    if (cells.predicted == cells.predicted[0]).all():
        return 0.0  # as in scikit-learn, which returns NaN if the weights are not integers
    return float(
        sklearn.metrics.matthews_corrcoef(cells.true, cells.predicted, sample_weight=cells.weight)
    )


def _of_positive_class(function: Callable[..., float]) -> Callable[..., float]:
    """Return the score of the second of two classes, or the mean over more classes."""

    def score(cells: TaskCells, average: str | None = None) -> float:
        if cells.n_classes < 2:
            _require_two_classes(cells)
        if average is None:
            average = "binary" if cells.n_classes == 2 else "macro"
        if average == "binary" and not (cells.true == 1).any():
            positive = cells.labels.tolist()[1]
            raise UndefinedScore(f"no labelled cell of its positive class {quote(positive)}")
        return float(
            function(
                cells.true,
                cells.predicted,
                average=average,
                sample_weight=cells.weight,
                zero_division=0.0,
            )
        )

    return score


# ------------------------------------------------------------------------------------------------
# From probabilities
# ------------------------------------------------------------------------------------------------


def _one_against_rest(function: Callable[..., float]) -> Callable[..., float]:
    """Return the score of the second of two classes, or the mean over the classes found."""

    def score(cells: TaskCells) -> float:
        _require_two_classes(cells)
        codes = [1] if cells.n_classes == 2 else np.unique(cells.true)
        scores = [
            function(cells.true == code, cells.predicted[:, code], sample_weight=cells.weight)
            for code in codes
        ]
        return float(np.mean(scores))

    return score


def log_losses(cells: TaskCells) -> np.ndarray:
    """Return the log loss of each cell, (n_cells,), which does not depend on the dtype."""
    # log_loss of scikit-learn clips at the epsilon of the dtype: a label that is predicted with
    # probability 0 costs 15.9 in float32 and 36.0 in float64.
    proba = cells.predicted[np.arange(len(cells.true)), cells.true].astype(np.float64)
    return np.abs(np.log(np.clip(proba, _EPSILON, 1)))


def _log_loss(cells: TaskCells) -> float:
    check_probabilities(cells.predicted, cells.task_name)
    _warn_of_sums(cells)
    return float(np.average(log_losses(cells), weights=cells.weight))


def brier_scores(cells: TaskCells) -> np.ndarray:
    """Return the Brier score of each cell, (n_cells,)."""
    # As in scikit-learn, that of two classes is of the second one only.
    codes = np.arange(cells.n_classes)[1 if cells.n_classes == 2 else 0 :]
    is_true = cells.true[:, None] == codes
    return ((cells.predicted[:, codes].astype(np.float64) - is_true) ** 2).sum(axis=1)


def _brier_score(cells: TaskCells) -> float:
    check_probabilities(cells.predicted, cells.task_name)
    return float(np.average(brier_scores(cells), weights=cells.weight))


def _calibration_error(cells: TaskCells, n_bins: int = 15) -> float:
    check_probabilities(cells.predicted, cells.task_name)
    return calibration_error(
        cells.true,
        cells.predicted,
        labels=np.arange(cells.n_classes),
        n_bins=n_bins,
        sample_weight=cells.weight,
    )


def _warn_of_sums(cells: TaskCells) -> None:
    """Warn of rows whose probabilities do not sum to 1, with the tolerance of scikit-learn."""
    sums = cells.predicted.sum(axis=1, dtype=np.float64)
    epsilon = max(_EPSILON, float(np.finfo(cells.predicted.dtype).eps))
    is_off = np.abs(sums - 1) > np.sqrt(epsilon)
    if is_off.any():
        warn_user(
            f"The probabilities of task {quote(cells.task_name)} do not sum to 1 in "
            f"{int(is_off.sum())} of {len(sums)} labelled row(s); the first of these sums to "
            f"{sums[is_off][0]:.3g}. Make sure to pass probabilities."
        )


def _require_two_classes(cells: TaskCells) -> None:
    """Raise UndefinedScore if all labelled cells have the same class."""
    found = np.unique(cells.true)
    if len(found) < 2:
        raise UndefinedScore(
            f"only class {quote(cells.labels.tolist()[found[0]])} in its labelled cells"
        )


# ------------------------------------------------------------------------------------------------
# By name
# ------------------------------------------------------------------------------------------------

_LABEL_METRICS: dict[str, Callable[..., float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _of_positive_class(sklearn.metrics.f1_score),
    "precision": _of_positive_class(sklearn.metrics.precision_score),
    "recall": _of_positive_class(sklearn.metrics.recall_score),
    "matthews_corrcoef": _matthews_corrcoef,
}
_PROBABILITY_METRICS: dict[str, Callable[..., float]] = {
    "roc_auc": _one_against_rest(sklearn.metrics.roc_auc_score),
    "average_precision": _one_against_rest(sklearn.metrics.average_precision_score),
}
_LOSSES: dict[str, Callable[..., float]] = {
    "log_loss": _log_loss,
    "brier_score": _brier_score,
    "calibration_error": _calibration_error,
}

METRICS: dict[str, Metric] = {
    **{name: Metric(name, f, "predict") for name, f in _LABEL_METRICS.items()},
    **{name: Metric(name, f, "predict_proba") for name, f in _PROBABILITY_METRICS.items()},
    **{
        name: Metric(name, f, "predict_proba", greater_is_better=False)
        for name, f in _LOSSES.items()
    },
    **{
        f"neg_{name}": Metric(f"neg_{name}", f, "predict_proba", sign=-1)
        for name, f in _LOSSES.items()
    },
}
_OTHER_NAMES = {
    "mcc": "matthews_corrcoef",
    "roc_auc_ovr": "roc_auc",
    "brier": "brier_score",
    "brier_score_loss": "brier_score",
    "neg_brier": "neg_brier_score",
    "ece": "calibration_error",
}


def find_metric(metric: Any, response_method: str | None = None) -> Metric:
    """Return the metric with a name, or make one from a function of the labels or probabilities."""
    check_choice("a metric", "response_method", response_method, ("predict", "predict_proba", None))
    if callable(metric):
        name = getattr(metric, "__name__", repr(metric))
        return Metric(name, _apply_function(metric), response_method or "predict")
    if not isinstance(metric, str):
        raise TypeError(f"metric must be a name or a function. Got {quote(metric)}.")
    found = METRICS.get(_OTHER_NAMES.get(metric, metric))
    if found is None:
        raise ValueError(
            f"There is no metric {quote(metric)}. The names are {', '.join(METRICS)}; or pass a "
            "function metric(y_true, y_pred, sample_weight=...)."
        )
    if response_method not in (None, found.response_method):
        raise ValueError(
            f"{quote(metric)} is computed from {found.response_method}, not {response_method}."
        )
    return found


def _apply_function(function: Callable[..., float]) -> Callable[..., float]:
    """Wrap a scikit-learn metric, which takes the labels themselves and not their codes."""

    def score(cells: TaskCells, **params: Any) -> float:
        if cells.weight is not None:
            params["sample_weight"] = cells.weight
        predicted = cells.predicted
        if predicted.ndim == 1:
            predicted = cells.labels[predicted]
        elif cells.n_classes == 2:
            predicted = predicted[:, 1]
        value = float(function(cells.labels[cells.true], predicted, **params))
        if np.isnan(value):
            raise UndefinedScore("the metric gives NaN")
        return value

    return score
