"""Reliability curves: predicted probabilities and observed shares of one task by bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sk_mtl.metrics._calibration_error import equal_width_bins
from sk_mtl.metrics._task_metrics import TaskCells

CONFIDENCE = "confidence"
# The 97.5 % quantile of the normal distribution.
_Z = 1.959964


@dataclass(frozen=True)
class ReliabilityCurve:
    """Predicted probabilities and observed shares of one class by bins.

    Parameters
    ----------
    prob_pred : ndarray of float of shape (n_points,)
        Mean predicted probability in each bin that is not empty.
    prob_true : ndarray of float of shape (n_points,)
        Share of the cells in the bin whose label is the class, or the predicted class.
    interval : ndarray of float of shape (2, n_points)
        Wilson's 95 % interval of `prob_true`.
    counts : ndarray of int of shape (n_points,)
        Cells in the bin.
    histogram : ndarray of int of shape (n_bins,)
        Cells by predicted probability, in bins of equal width from 0 to 1.

    Examples
    --------
    >>> from sk_mtl.plotting import TaskCalibrationDisplay
    >>> display = TaskCalibrationDisplay.from_predictions([0, 1, 1], [0.2, 0.7, 0.7], n_bins=2)
    >>> curve = display.curves["y0"][1]
    >>> curve.prob_true, curve.counts, curve.histogram
    (array([0., 1.]), array([1, 2]), array([1, 2]))
    """

    prob_pred: np.ndarray
    prob_true: np.ndarray
    interval: np.ndarray
    counts: np.ndarray
    histogram: np.ndarray


def reliability_curves(
    cells: TaskCells, kind: str, n_bins: int, strategy: str
) -> dict[Any, ReliabilityCurve]:
    """Return the curve of each class of a task, or one for "confidence"."""
    proba = cells.predicted.astype(np.float64)
    if cells.n_classes < 2 or kind == "confidence" or (kind == "auto" and cells.n_classes > 2):
        correct = proba.argmax(axis=1) == cells.true
        return {CONFIDENCE: _bin(proba.max(axis=1), correct, cells.weight, n_bins, strategy)}
    codes = [1] if cells.n_classes == 2 else range(cells.n_classes)
    labels = cells.labels.tolist()
    return {
        labels[k]: _bin(proba[:, k], cells.true == k, cells.weight, n_bins, strategy) for k in codes
    }


def _bin(
    p: np.ndarray, is_positive: np.ndarray, weight: np.ndarray | None, n_bins: int, strategy: str
) -> ReliabilityCurve:
    """Return the curve of the probabilities (n_cells,) of one class."""
    bins = equal_width_bins(p, n_bins)
    histogram = np.bincount(bins, minlength=n_bins)
    if strategy == "quantile":
        # Equal probabilities are in the same bin.
        edges = np.unique(np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1]))
        bins = np.searchsorted(edges, p)
    w = np.ones(len(p)) if weight is None else weight.astype(np.float64)
    total = np.bincount(bins, weights=w, minlength=n_bins)
    full = total > 0
    total = total[full]
    prob_pred = np.bincount(bins, weights=w * p, minlength=n_bins)[full] / total
    prob_true = np.bincount(bins, weights=w * is_positive, minlength=n_bins)[full] / total
    # Kish's effective sample size, which is the number of cells if their weights are equal.
    effective = total**2 / np.bincount(bins, weights=w**2, minlength=n_bins)[full]
    counts = np.bincount(bins, minlength=n_bins)[full]
    return ReliabilityCurve(
        prob_pred, prob_true, _wilson_interval(prob_true, effective), counts, histogram
    )


def _wilson_interval(share: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return Wilson's 95 % interval (2, n_points) of shares among n."""
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return np.clip([centre - half, centre + half], 0, 1)
