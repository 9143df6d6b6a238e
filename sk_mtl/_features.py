"""Features: what `fit` learns of X itself, before any network sees it.

Owns where each feature lies and how far it spreads, counted over the rows that are trained on, and
the specification of the input layers that follows. Does not know y, nor Keras.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["FeatureStatistics", "InputSpec", "learn_input", "learn_statistics"]

_BLOCK_CELLS = 2**18
# More than these have an embedding in place of a column each, which would take memory and time.
_MOST_ONE_HOT = 64
# Of a feature with two values, coded 0 and 1: rarer ones are not blown up further.
_LEAST_BINARY_SPREAD = 0.01


@dataclass(frozen=True)
class InputSpec:
    """What stands between X and the first weights: hashable, as the network's specification.

    Attributes
    ----------
    standardize : bool
        Whether numbers are standardised; codes of categories always are.
    learns_missing : bool
        Whether numbers had missing cells in training, so that what stands for one is learned.
    categories : tuple of int
        By feature the number of its categories, 0 for a number; () if all are numbers.
    missing_categories : tuple of bool
        By feature whether it is a category that was missing in training.
    """

    standardize: bool = True
    learns_missing: bool = False
    categories: tuple[int, ...] = ()
    missing_categories: tuple[bool, ...] = ()

    @property
    def numeric(self) -> list[int]:
        """The features that are numbers, if not all are."""
        return [j for j, n in enumerate(self.categories) if n == 0]

    @property
    def looked_up(self) -> list[int]:
        """The features with an embedding."""
        return [j for j, n in enumerate(self.categories) if n > _MOST_ONE_HOT]

    @property
    def one_hot_columns(self) -> tuple[list[int], list[int]]:
        """The feature and the code of each column that is 1 for one category."""
        pairs = [
            (j, k)
            for j, n in enumerate(self.categories)
            if 0 < n <= _MOST_ONE_HOT
            for k in range(n + self.missing_categories[j])
        ]
        return [j for j, _ in pairs], [k for _, k in pairs]

    @property
    def missing_codes(self) -> list[float]:
        """The code of a missing value, by column that is 1 for one category; NaN for none."""
        return [
            float(self.categories[j]) if self.missing_categories[j] else np.nan
            for j in self.one_hot_columns[0]
        ]


@dataclass(frozen=True)
class FeatureStatistics:
    """Where features lie and how far they spread.

    Attributes
    ----------
    shift : ndarray of float32 of shape (n_features,)
        Means.
    scale : ndarray of float32 of shape (n_features,)
        By what the distance from the mean is multiplied; 0 for a feature with one value.
    has_missing : ndarray of bool of shape (n_features,)
        Whether any cell is missing.
    """

    shift: np.ndarray
    scale: np.ndarray
    has_missing: np.ndarray


def learn_input(
    X: Any,
    rows: np.ndarray,
    weight: np.ndarray,
    *,
    standardize: bool = True,
    n_categories: tuple[int, ...] = (),
) -> tuple[InputSpec, dict[str, np.ndarray]]:
    """Specify the input layers, and learn their values, from the rows that are trained on.

    Parameters
    ----------
    X : ndarray of float32 or CSR matrix of shape (n_samples, n_features)
        Numbers, NaN where missing, and codes of categories.
    rows : ndarray of int of shape (n_rows,)
        The rows that count.
    weight : ndarray of shape (n_rows,)
        How often each of them counts.
    standardize : bool, default=True
        Whether numbers are standardised.
    n_categories : tuple of int, default=()
        By feature the number of its categories, 0 for a number; () if all are numbers.

    Returns
    -------
    spec : InputSpec
        What stands between X and the first weights.
    values : dict of str to ndarray
        The values of its fixed variables, by layer and name.
    """
    statistics = learn_statistics(X, rows, weight)
    is_number = np.array(n_categories or (0,) * X.shape[1]) == 0
    spec = InputSpec(
        standardize,
        bool(statistics.has_missing[is_number].any()),
        n_categories,
        tuple((statistics.has_missing & ~is_number).tolist()) if n_categories else (),
    )
    shift, scale = statistics.shift[is_number], statistics.scale[is_number]
    if not standardize:
        shift, scale = np.zeros_like(shift), np.ones_like(scale)
    if n_categories:
        share = _shares_of_categories(X, rows, weight, spec)
        deviation = np.sqrt(share * (1 - share))
        of_category = 1 / np.sqrt(np.maximum(deviation, _LEAST_BINARY_SPREAD))
        shift = np.append(shift, share.astype(np.float32))
        scale = np.append(scale, np.where(deviation > 0, of_category, 0).astype(np.float32))
    return spec, {"standardize/shift": shift, "standardize/scale": scale}


def _shares_of_categories(
    X: np.ndarray, rows: np.ndarray, weight: np.ndarray, spec: InputSpec
) -> np.ndarray:
    """Return the share of the rows that have a category, by column that is 1 for one."""
    shares = []
    for j in dict.fromkeys(spec.one_hot_columns[0]):
        n = spec.categories[j]
        codes = np.where(np.isnan(X[rows, j]), n, X[rows, j]).astype(np.int64)
        counts = np.bincount(codes, weight, minlength=n + 1)
        shares.append(counts[: n + spec.missing_categories[j]] / max(weight.sum(), 1e-300))
    return np.concatenate(shares) if shares else np.empty(0)


def learn_statistics(X: Any, rows: np.ndarray, weight: np.ndarray) -> FeatureStatistics:
    """Count the statistics of features over some rows.

    Parameters
    ----------
    X : ndarray of float32 or CSR matrix of shape (n_samples, n_features)
        Features; NaN is left out.
    rows : ndarray of int of shape (n_rows,)
        The rows that count.
    weight : ndarray of shape (n_rows,)
        How often each of them counts.

    Returns
    -------
    statistics : FeatureStatistics
        Those of the features, computed in float64. A sparse matrix has the same as a dense one.

    Notes
    -----
    A feature with mean :math:`\\mu` and standard deviation :math:`\\sigma` has the scale
    :math:`1 / \\sigma`. One with two values that lie :math:`d` apart has
    :math:`1 / (d \\sqrt{\\max(\\sigma / d, 0.01)})`: rare values of bits do not become as large as
    by :math:`1 / \\sigma`.
    """
    weight = np.asarray(weight, dtype=np.float64)
    zeros, low, high, mean, known, has_missing = _locate(X, rows, weight)
    spread, is_binary = zeros * mean**2, np.ones(len(mean), dtype=bool)
    for block, times in _blocks(X, rows, weight):
        x = _cells(block)
        # A zero that is written counts as one that is not, so that both give the same bits.
        counted = ~np.isnan(x) & (x != 0)
        distance = np.where(counted, x - _by_column(block, mean), 0)
        spread += _sum(block, _by_row(block, times) * distance**2)
        others = counted & (x != _by_column(block, low)) & (x != _by_column(block, high))
        is_binary &= _sum(block, others) == 0
    is_binary &= (zeros == 0) | (low == 0) | (high == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation, width = np.sqrt(spread / known), high - low
        of_two = width * np.sqrt(np.maximum(deviation / width, _LEAST_BINARY_SPREAD))
        scale = 1 / np.where(is_binary, of_two, deviation)
    # Neither a feature with one value, nor one without any, tells rows apart.
    scale = np.where(width > 0, np.minimum(scale, np.finfo(np.float32).max), 0)
    return FeatureStatistics(mean.astype(np.float32), scale.astype(np.float32), has_missing)


def _locate(X: Any, rows: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return by feature weight of zeros, lowest, highest and mean value, weight, missing ones."""
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
    return zeros, low, high, np.where(low == high, low, mean), known, missing > 0


def _blocks(X: Any, rows: np.ndarray, weight: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield rows that count, and their weights, a few at a time."""
    n_rows = max(_BLOCK_CELLS // max(X.shape[1], 1), 1)
    for start in range(0, len(rows), n_rows):
        some = slice(start, start + n_rows)
        block = X[rows[some]]
        if sp.issparse(block):
            block.sum_duplicates()
        yield block, weight[some]


def _cells(block: Any) -> np.ndarray:
    """Return the values of a block: all of a dense one, the written ones of a sparse one."""
    return block.data if sp.issparse(block) else block


def _by_column(block: Any, values: np.ndarray) -> np.ndarray:
    """Return for each cell of a block the value of its column."""
    return values[block.indices] if sp.issparse(block) else values


def _by_row(block: Any, values: np.ndarray) -> np.ndarray:
    """Return for each cell of a block the value of its row."""
    return np.repeat(values, np.diff(block.indptr)) if sp.issparse(block) else values[:, None]


def _sum(block: Any, cells: np.ndarray) -> np.ndarray:
    """Return the sums of cells by column."""
    if sp.issparse(block):
        return np.bincount(block.indices, cells, minlength=block.shape[1])
    return cells.sum(axis=0, dtype=np.float64)


def _reduce(block: Any, function: np.ufunc, start: float) -> np.ndarray:
    """Return the lowest or highest value of each column."""
    if not sp.issparse(block):
        return function.reduce(block, axis=0, initial=start)
    found = np.full(block.shape[1], start)
    function.at(found, block.indices, block.data)
    return found
