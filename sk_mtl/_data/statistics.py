"""Statistics of the features: their location, spread and missing cells, dense or sparse.

Owns the counting over blocks of rows. Does not know categories or layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["FAR", "FeatureStatistics", "find_far_features", "learn_statistics", "row_blocks"]

_BLOCK_CELLS = 2**18
# No distribution has more than a hundredth of its rows as many standard deviations from its mean
# (Chebyshev); that most of ten do by chance has a probability below 1e-9.
FAR = 10
_MIN_ROWS = 10
_ROWS_COMPARED = 10_000


@dataclass(frozen=True)
class FeatureStatistics:
    """Location and spread of the features; arrays of shape (n_features,)."""

    shift: np.ndarray  # means, float32
    scale: np.ndarray  # factors on the distance from the mean, float32; 0 for a constant feature
    missing: np.ndarray  # shares of missing cells
    is_plain: np.ndarray  # whether there are at most two values


def learn_statistics(X: Any, rows: np.ndarray, weight: np.ndarray) -> FeatureStatistics:
    """Compute the statistics of features over weighted rows, in float64, leaving out NaN."""
    # The scale is 1 / standard deviation, but 1 / distance for a feature with two values, so that
    # rare bits do not become large. Sparse and dense matrices give the same bits.
    weight = np.asarray(weight, dtype=np.float64)
    zeros, low, high, mean, missing = _locate(X, rows, weight)
    total = weight.sum()
    spread, is_binary = zeros * mean**2, np.ones(len(mean), dtype=bool)
    for block, times in _blocks(X, rows, weight):
        x = _cells(block)
        # Stored zeros count as the others, so that sparse and dense matrices give the same bits.
        counted = ~np.isnan(x) & (x != 0)
        distance = np.where(counted, x - _by_column(block, mean), 0)
        spread += _sum(block, _by_row(block, times) * distance**2)
        others = counted & (x != _by_column(block, low)) & (x != _by_column(block, high))
        is_binary &= _sum(block, others) == 0
    is_binary &= (zeros == 0) | (low == 0) | (high == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / np.where(is_binary, high - low, np.sqrt(spread / (total - missing)))
    # A constant or empty feature tells no rows apart.
    scale = np.where(high > low, np.minimum(scale, np.finfo(np.float32).max), 0)
    share = missing / total if total else missing
    is_plain = is_binary | ~(high > low)
    return FeatureStatistics(mean.astype(np.float32), scale.astype(np.float32), share, is_plain)


def find_far_features(X: Any, rows: np.ndarray, X_new: Any, new_rows: np.ndarray) -> list[int]:
    """Return the features in which most of the new rows are far from the others' mean."""
    if len(new_rows) < _MIN_ROWS:
        return []
    some, new = (r[:: -(-len(r) // _ROWS_COMPARED)] for r in (rows, new_rows))
    learned = learn_statistics(X, some, np.ones(len(some)))
    n_far = np.zeros(X.shape[1])
    for block in row_blocks(X_new, new):
        with np.errstate(over="ignore"):
            distance = np.abs(_cells(block) - _by_column(block, learned.shift))
            n_far += _sum(block, distance * _by_column(block, learned.scale) > FAR)
    return np.flatnonzero(n_far > len(new) / 2).tolist()


def _locate(X: Any, rows: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return minimum, maximum and mean of each feature, and the weights of its zeros and NaN."""
    n_features = X.shape[1]
    total, missing, nonzero, n_written = np.zeros((4, n_features))
    low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    for block, times in _blocks(X, rows, weight):
        x, times = _cells(block), _by_row(block, times)
        is_missing = np.isnan(x)
        counted = ~is_missing & (x != 0)
        total += _sum(block, np.where(counted, times * x, 0))
        missing += _sum(block, times * is_missing)
        nonzero += _sum(block, times * counted)
        n_written += _sum(block, is_missing | counted)
        low = np.fmin(low, _reduce(block, np.fmin, np.inf))
        high = np.fmax(high, _reduce(block, np.fmax, -np.inf))
    known = weight.sum() - missing
    has_zeros = n_written < len(rows)
    zeros = np.where(has_zeros, known - nonzero, 0)
    low[has_zeros], high[has_zeros] = np.minimum(low[has_zeros], 0), np.maximum(high[has_zeros], 0)
    mean = np.divide(total, known, out=np.zeros(n_features), where=low <= high)
    return zeros, low, high, np.where(low == high, low, mean), missing


def row_blocks(X: Any, rows: np.ndarray) -> Iterator[Any]:
    """Yield rows of a table in blocks."""
    n_rows = max(_BLOCK_CELLS // max(X.shape[1], 1), 1)
    for start in range(0, len(rows), n_rows):
        block = X[rows[start : start + n_rows]]
        if sp.issparse(block):
            block.sum_duplicates()
        yield block


def _blocks(X: Any, rows: np.ndarray, weight: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield blocks of rows with their weights."""
    end = 0
    for block in row_blocks(X, rows):
        start, end = end, end + block.shape[0]
        yield block, weight[start:end]


def _cells(block: Any) -> np.ndarray:
    """Return the values of a block: all of a dense one, the stored ones of a sparse one."""
    return block.data if sp.issparse(block) else block


def _by_column(block: Any, values: np.ndarray) -> np.ndarray:
    """Return the value of the column for each cell of a block."""
    return values[block.indices] if sp.issparse(block) else values


def _by_row(block: Any, values: np.ndarray) -> np.ndarray:
    """Return the value of the row for each cell of a block."""
    return np.repeat(values, np.diff(block.indptr)) if sp.issparse(block) else values[:, None]


def _sum(block: Any, cells: np.ndarray) -> np.ndarray:
    """Return the sum of the cells of each column."""
    if sp.issparse(block):
        return np.bincount(block.indices, cells, minlength=block.shape[1])
    return cells.sum(axis=0, dtype=np.float64)


def _reduce(block: Any, function: np.ufunc, start: float) -> np.ndarray:
    """Return the minimum or maximum of each column."""
    if not sp.issparse(block):
        return function.reduce(block, axis=0, initial=start)
    found = np.full(block.shape[1], start)
    function.at(found, block.indices, block.data)
    return found
