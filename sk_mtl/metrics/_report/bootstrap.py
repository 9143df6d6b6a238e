"""Scores of resampled rows, many resamples at once.

A resample contains each row as often as it was drawn. Its scores are therefore those of all rows
with these counts as weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import UndefinedMetricWarning

from sk_mtl.metrics._calibration_error import equal_width_bins
from sk_mtl.metrics._task_metrics import (
    METRICS,
    Metric,
    TaskCells,
    UndefinedScore,
    brier_scores,
    log_losses,
)

# Numbers in the table of rows by resamples that is worked on at once; 16 MiB of float64.
_BATCH_SIZE = 2**21


def draw_row_counts(
    n_rows: int, n_bootstraps: int, rng: np.random.RandomState, groups: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Draw rows, or whole groups, with replacement; yield (n_rows, n_resamples) in batches."""
    # Groups are numbered from 0 on, without gaps.
    n_drawn = n_rows if groups is None else int(groups.max()) + 1
    batch = max(1, _BATCH_SIZE // n_rows)
    for start in range(0, n_bootstraps, batch):
        counts = np.empty((n_drawn, min(batch, n_bootstraps - start)))
        for b in range(counts.shape[1]):
            counts[:, b] = np.bincount(rng.randint(0, n_drawn, n_drawn), minlength=n_drawn)
        yield counts if groups is None else counts[groups]


def score_resamples(
    metric: Metric, params: Mapping[str, Any], cells: TaskCells, counts: np.ndarray
) -> np.ndarray:
    """Return the scores (n_resamples,) of a task from row counts (n_cells, n_resamples)."""
    is_named = METRICS.get(metric.name) is metric and not params
    if not is_named:
        scores = _score_one_by_one(metric, params, cells, counts)
        return metric.sign * scores
    weight = counts if cells.weight is None else counts * cells.weight[:, None]
    scores = _WEIGHTED[metric.name.removeprefix("neg_")](cells, weight)
    return metric.sign * np.where(weight.any(axis=0), scores, np.nan)


def _score_one_by_one(
    metric: Metric, params: Mapping[str, Any], cells: TaskCells, counts: np.ndarray
) -> np.ndarray:
    """Score the drawn cells themselves, since functions need not accept weights."""
    scores = np.full(counts.shape[1], np.nan)
    for b in range(counts.shape[1]):
        drawn = np.repeat(np.arange(len(counts)), counts[:, b].astype(np.intp))
        if not len(drawn):
            continue
        resampled = replace(
            cells,
            true=cells.true[drawn],
            predicted=cells.predicted[drawn],
            weight=None if cells.weight is None else cells.weight[drawn],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            # The function has a value for all cells, so an error is due to a missing class.
            try:
                scores[b] = metric.score(resampled, **params)
            except (UndefinedScore, ValueError):
                continue
    return scores


# ------------------------------------------------------------------------------------------------
# The named metrics as functions of the weights (n_cells, n_resamples)
# ------------------------------------------------------------------------------------------------


def _sum_by_group(
    weight: np.ndarray, groups: np.ndarray, n_groups: int, values: np.ndarray | None = None
) -> np.ndarray:
    """Return sums (n_groups, n_resamples) of the weights, times a value per cell."""
    n_cells = len(groups)
    values = np.ones(n_cells) if values is None else values
    # The product with this sparse matrix reads the weights once, in order.
    members = sp.csr_matrix((values, (groups, np.arange(n_cells))), shape=(n_groups, n_cells))
    return np.asarray(members @ weight)


def _divide(numerator: np.ndarray, denominator: np.ndarray, otherwise: float) -> np.ndarray:
    """Return the quotients, and `otherwise` where the denominator is 0."""
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), otherwise)
    return np.divide(numerator, denominator, out=result, where=denominator != 0)


def _mean_over(scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean over the classes that count, NaN if none does."""
    return _divide(np.where(counts, scores, 0.0).sum(axis=0), counts.sum(axis=0), np.nan)


def _weighted_mean(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the weighted mean of a value per cell."""
    return _divide(values.astype(np.float64) @ weight, weight.sum(axis=0), np.nan)


def _sum_by_class(cells: TaskCells, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return, by class, the weight of the true, the predicted and the correct cells."""
    true = _sum_by_group(weight, cells.true, cells.n_classes)
    predicted = _sum_by_group(weight, cells.predicted, cells.n_classes)
    is_right = (cells.true == cells.predicted).astype(np.float64)
    return true, predicted, _sum_by_group(weight, cells.true, cells.n_classes, is_right)


def _has_two_classes(cells: TaskCells, weight: np.ndarray) -> np.ndarray:
    """Return whether each resample has cells of two classes."""
    return (_sum_by_group(weight, cells.true, cells.n_classes) > 0).sum(axis=0) >= 2


def _accuracy(cells: TaskCells, weight: np.ndarray) -> np.ndarray:
    return _weighted_mean(weight, cells.true == cells.predicted)


def _balanced_accuracy(cells: TaskCells, weight: np.ndarray) -> np.ndarray:
    true, _, right = _sum_by_class(cells, weight)
    return _mean_over(_divide(right, true, 0.0), true > 0)


def _matthews_corrcoef(cells: TaskCells, weight: np.ndarray) -> np.ndarray:
    true, predicted, right = _sum_by_class(cells, weight)
    total = weight.sum(axis=0)
    covariance = right.sum(axis=0) * total - (true * predicted).sum(axis=0)
    spread = (total**2 - (true**2).sum(axis=0)) * (total**2 - (predicted**2).sum(axis=0))
    # Classes are counted, since rounding can keep the spread of a single class from being 0.
    varies = ((predicted > 0).sum(axis=0) >= 2) & (spread > 0)
    scores = np.where(varies, covariance / np.sqrt(np.where(varies, spread, 1.0)), 0.0)
    return np.where((true > 0).sum(axis=0) >= 2, scores, np.nan)


def _of_positive_class(
    parts: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> Callable[[TaskCells, np.ndarray], np.ndarray]:
    """Return the scores of the second of two classes, or the mean over the classes found."""

    def score(cells: TaskCells, weight: np.ndarray) -> np.ndarray:
        true, predicted, right = _sum_by_class(cells, weight)
        scores = _divide(*parts(true, predicted, right), otherwise=0.0)
        if cells.n_classes == 2:
            return np.where(true[1] > 0, scores[1], np.nan)
        return _mean_over(scores, (true > 0) | (predicted > 0))

    return score


def _one_against_rest(
    area: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Callable[[TaskCells, np.ndarray], np.ndarray]:
    """Return the scores of the second of two classes, or the mean over the classes found."""

    def score(cells: TaskCells, weight: np.ndarray) -> np.ndarray:
        codes = [1] if cells.n_classes == 2 else np.unique(cells.true)
        scores = np.empty((len(codes), weight.shape[1]))
        is_there = np.empty(scores.shape, dtype=bool)
        for i, code in enumerate(codes):
            # Equal probabilities are one threshold.
            _, groups = np.unique(cells.predicted[:, code], return_inverse=True)
            n_groups, is_positive = int(groups.max()) + 1, cells.true == code
            positive = _sum_by_group(weight[is_positive], groups[is_positive], n_groups)
            every = _sum_by_group(weight, groups, n_groups)
            scores[i], is_there[i] = area(positive, every), positive.any(axis=0)
        return np.where(_has_two_classes(cells, weight), _mean_over(scores, is_there), np.nan)

    return score


def _roc_area(positive: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve from the weights at increasing thresholds."""
    negative = every - positive
    # The weight of the negatives below each threshold; ties count half.
    below = np.cumsum(negative, axis=0) - negative / 2
    pairs = positive.sum(axis=0) * negative.sum(axis=0)
    return _divide(np.einsum("gb,gb->b", positive, below), pairs, np.nan)


def _average_precision(positive: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Return the average precision from the weights at increasing thresholds."""
    positive, every = positive[::-1], every[::-1]
    precision = _divide(np.cumsum(positive, axis=0), np.cumsum(every, axis=0), 0.0)
    gained = np.einsum("gb,gb->b", positive, precision)
    return _divide(gained, positive.sum(axis=0), np.nan)


def _log_loss(cells: TaskCells, weight: np.ndarray) -> np.ndarray:
    return _weighted_mean(weight, log_losses(cells))


def _brier_score(cells: TaskCells, weight: np.ndarray) -> np.ndarray:
    return _weighted_mean(weight, brier_scores(cells))


def _calibration_error(cells: TaskCells, weight: np.ndarray, n_bins: int = 15) -> np.ndarray:
    confidence = cells.predicted.max(axis=1).astype(np.float64)
    is_right = cells.predicted.argmax(axis=1) == cells.true
    bins = equal_width_bins(confidence, n_bins)
    gap = _sum_by_group(weight, bins, n_bins, is_right - confidence)
    return _divide(np.abs(gap).sum(axis=0), weight.sum(axis=0), np.nan)


_WEIGHTED: dict[str, Callable[[TaskCells, np.ndarray], np.ndarray]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _of_positive_class(lambda true, predicted, right: (2 * right, true + predicted)),
    "precision": _of_positive_class(lambda true, predicted, right: (right, predicted)),
    "recall": _of_positive_class(lambda true, predicted, right: (right, true)),
    "matthews_corrcoef": _matthews_corrcoef,
    "roc_auc": _one_against_rest(_roc_area),
    "average_precision": _one_against_rest(_average_precision),
    "log_loss": _log_loss,
    "brier_score": _brier_score,
    "calibration_error": _calibration_error,
}
