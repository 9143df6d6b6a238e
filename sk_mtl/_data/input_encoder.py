"""The input: what stands between X and the first weights, and what `fit` learns of X for it.

Owns where each feature lies and how far it spreads, counted over the rows that are trained on, and
the specification of the input layers that follows. Does not know y, nor Keras.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = [
    "CATEGORY_VECTOR_SIZE",
    "FARTHEST",
    "FeatureStatistics",
    "InputSpec",
    "LearnedInput",
    "learn_input",
    "learn_statistics",
]

_BLOCK_CELLS = 2**18
# From the mean, after standardising: no cell of a million rows is farther, and what lies beyond
# tells nothing more.
FARTHEST = 1e3
# More than these have an embedding in place of a column each, which would take memory and time.
_MOST_ONE_HOT = 64
# Numbers that stand for a category where there are too many for a column each.
CATEGORY_VECTOR_SIZE = 16


@dataclass(frozen=True)
class InputSpec:
    """What stands between X and the first weights: hashable, as the network's specification.

    Attributes
    ----------
    standardize : bool
        Whether numbers are standardised; other columns are centred anyway.
    missing : tuple of int
        The features with missing cells in training, so that what stands for one is learned.
    categories : tuple of int
        By feature the number of its categories, 0 for a number; () if all are numbers.
    embedding : {None, "piecewise_linear", "periodic"}
        What numbers of more than two values become beside themselves.
    embedding_size : int
        Bins, or frequencies and results, of each of them; 0 for none.
    embedded : tuple of int
        Which they are, among the numbers.
    """

    standardize: bool = True
    missing: tuple[int, ...] = ()
    categories: tuple[int, ...] = ()
    embedding: str | None = None
    embedding_size: int = 0
    embedded: tuple[int, ...] = ()

    def numeric(self, n_features: int) -> list[int]:
        """Return the features that are numbers."""
        return [j for j in range(n_features) if not self.categories or self.categories[j] == 0]

    @property
    def looked_up(self) -> list[int]:
        """The categorical features with an embedding."""
        return [j for j, n in enumerate(self.categories) if n > _MOST_ONE_HOT]

    @property
    def indicators(self) -> list[tuple[int, int | None]]:
        """The feature and the code of each column of zeros and ones; None for a missing cell."""
        columns: list[tuple[int, int | None]] = [
            (j, k) for j, n in enumerate(self.categories) if n <= _MOST_ONE_HOT for k in range(n)
        ]
        looked_up = self.looked_up
        return columns + [(j, None) for j in self.missing if j not in looked_up]


@dataclass(frozen=True)
class FeatureStatistics:
    """Where features lie and how far they spread.

    Attributes
    ----------
    shift : ndarray of float32 of shape (n_features,)
        Means.
    scale : ndarray of float32 of shape (n_features,)
        By what the distance from the mean is multiplied; 0 for a feature with one value.
    missing : ndarray of float64 of shape (n_features,)
        The share of missing cells.
    is_plain : ndarray of bool of shape (n_features,)
        Whether there are two values at most.
    """

    shift: np.ndarray
    scale: np.ndarray
    missing: np.ndarray
    is_plain: np.ndarray


@dataclass(frozen=True)
class LearnedInput:
    """Input layers, and what they start from.

    Attributes
    ----------
    spec : InputSpec or None
        What stands between X and the first weights; None for nothing.
    values : dict of str to ndarray
        The values of fixed variables that were learned, by layer and name.
    """

    spec: InputSpec | None = None
    values: dict[str, np.ndarray] = field(default_factory=dict)


def learn_input(
    X: Any,
    rows: np.ndarray,
    weight: np.ndarray,
    *,
    standardize: bool = True,
    n_categories: tuple[int, ...] = (),
    embedding: str | None = None,
    embedding_size: int = 0,
) -> LearnedInput:
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
    embedding : {None, "piecewise_linear", "periodic"}, default=None
        What numbers of more than two values become beside themselves.
    embedding_size : int, default=0
        Bins, or frequencies and results, of each of them.

    Returns
    -------
    learned : LearnedInput
        The layers and their values.
    """
    statistics = learn_statistics(X, rows, weight)
    missing = tuple(np.flatnonzero(statistics.missing > 0).tolist())
    spec = InputSpec(standardize, missing, n_categories)
    numeric = spec.numeric(X.shape[1])
    if embedding is not None:
        embedded = tuple(np.flatnonzero(~statistics.is_plain[numeric]).tolist())
        spec = replace(spec, embedding=embedding, embedding_size=embedding_size, embedded=embedded)
    shift, scale = statistics.shift[numeric], statistics.scale[numeric]
    if not standardize:
        shift, scale = np.zeros_like(shift), np.ones_like(scale)
    counts = {
        j: np.bincount(_codes(X[rows, j], n), weight, minlength=n + 1) / (weight.sum() or 1)
        for j, n in enumerate(n_categories)
        if n > 0
    }
    shares = np.array(
        [statistics.missing[j] if k is None else counts[j][k] for j, k in spec.indicators]
    )
    varies = (shares > 0) & (shares < 1)
    shift, scale = np.append(shift, shares), np.append(scale, varies)
    values = {
        "standardize/shift": shift.astype(np.float32),
        "standardize/scale": scale.astype(np.float32),
    }
    if spec.embedded and spec.embedding == "piecewise_linear":
        features = np.array(numeric)[list(spec.embedded)]
        bins = _learn_bins(X, rows, weight, features, spec, values)
        values |= {f"piecewise_linear/{name}": array for name, array in bins.items()}
    return LearnedInput(spec, values)


def _learn_bins(
    X: Any,
    rows: np.ndarray,
    weight: np.ndarray,
    features: np.ndarray,
    spec: InputSpec,
    values: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the bins of features between quantiles, and the mean of what they give."""
    shape = (len(features), spec.embedding_size)
    lower, slope, center = (np.zeros(shape, np.float32) for _ in range(3))
    by_column = X[rows].tocsc() if sp.issparse(X) else None
    for k, (j, position) in enumerate(zip(features, spec.embedded, strict=True)):
        x = X[rows, j] if by_column is None else by_column[:, [j]].toarray()[:, 0]
        known = ~np.isnan(x)
        z = x[known] - values["standardize/shift"][position]
        z *= values["standardize/scale"][position]
        if spec.standardize:
            z = np.clip(z, -FARTHEST, FARTHEST)
        order = np.argsort(z, kind="stable")
        z, w = z[order], np.asarray(weight, dtype=np.float64)[known][order]
        reached = np.cumsum(w)
        wanted = reached[-1] * np.linspace(0, 1, spec.embedding_size + 1)
        edges = np.unique(z[np.searchsorted(reached, wanted).clip(max=len(z) - 1)])
        n_bins = len(edges) - 1  # fewer where many rows share a value; the others give 0
        lower[k, :n_bins] = edges[:-1]
        slope[k, :n_bins] = 1 / np.maximum(np.diff(edges), np.finfo(np.float32).tiny)
        for t in range(n_bins):
            parts = np.clip((z - lower[k, t]) * slope[k, t], 0, 1)
            center[k, t] = (parts * w).sum(dtype=np.float64) / reached[-1]
    return {"lower": lower, "slope": slope, "center": center}


def _codes(column: np.ndarray, n_categories: int) -> np.ndarray:
    """Return codes as integers, a missing one as the next after the last."""
    return np.where(np.isnan(column), n_categories, column).astype(np.int64)


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
    :math:`1 / \\sigma`; one with two values that lie :math:`d` apart has :math:`1 / d`, so that
    rare bits do not become large.
    """
    weight = np.asarray(weight, dtype=np.float64)
    zeros, low, high, mean, missing = _locate(X, rows, weight)
    total = weight.sum()
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
        scale = 1 / np.where(is_binary, high - low, np.sqrt(spread / (total - missing)))
    # Neither a feature with one value, nor one without any, tells rows apart.
    scale = np.where(high > low, np.minimum(scale, np.finfo(np.float32).max), 0)
    share = missing / total if total else missing
    is_plain = is_binary | ~(high > low)
    return FeatureStatistics(mean.astype(np.float32), scale.astype(np.float32), share, is_plain)


def _locate(X: Any, rows: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return by feature the lowest, highest and mean value, and the weights of 0 and of NaN."""
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
