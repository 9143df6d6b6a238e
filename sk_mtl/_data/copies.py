"""Rows of X that are the same: as many as no sample of different rows would have."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from sk_mtl._data.categories import Categories
from sk_mtl._data.statistics import row_blocks

__all__ = ["count_copies"]

# Below a tenth, the loss of other validation rows still decides when training stops.
_MIN_SHARE = 0.1
# Few different numbers, as of a questionnaire, agree by chance.
_MIN_VALUES = 20
_MIN_SHARE_TOLD_APART = 0.9
_SAMPLE = 1_000


def count_copies(X: Any, rows: np.ndarray, categories: Categories | None) -> int:
    """Return how many rows are the same as another one; 0 for few, or if that is natural."""
    rng = np.random.default_rng(0)
    factors = rng.integers(2**63, size=X.shape[1], dtype=np.uint64) * 2 + 1
    _, first, counts = np.unique(
        _hash_rows(X, rows, factors), return_index=True, return_counts=True
    )
    # One row may be common for a reason, such as that of all zeros.
    n_equal = int(counts[counts > 1].sum())
    if n_equal - counts.max(initial=0) < _MIN_SHARE * len(rows):
        return 0
    # Rows of categories, or of few numbers, are the same by chance. Where features of many values
    # tell all the different rows apart, even without the best of them, equal rows are copies.
    different = rows[first]
    n_values = _count_values(X[different[:_SAMPLE]])
    if categories is not None:
        n_values[[known is not None for known in categories]] = 0
    is_rich = n_values > _MIN_VALUES
    is_rich[n_values.argmax()] = False
    n_left = len(np.unique(_hash_rows(X, different, factors * is_rich)))
    return n_equal if n_left >= _MIN_SHARE_TOLD_APART * len(different) else 0


def _hash_rows(X: Any, rows: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return a number for each row of a float32 table, by the features whose factor is not 0."""
    hashes = [np.empty(0, np.uint64)]
    for block in row_blocks(X, rows):
        if sp.issparse(block):
            sums = np.cumsum(_bits(block.data) * factors[block.indices])
            sums = np.concatenate([np.zeros(1, np.uint64), sums])
            hashes.append(sums[block.indptr[1:]] - sums[block.indptr[:-1]])
        else:
            hashes.append((_bits(block) * factors).sum(axis=1))
    return np.concatenate(hashes)


def _bits(cells: np.ndarray) -> np.ndarray:
    """Return the bits of float32 numbers as integers, with those of 0 for -0."""
    return (cells + np.float32(0)).view(np.uint32).astype(np.uint64)


def _count_values(some: Any) -> np.ndarray:
    """Return the number of different values of each feature; 0 for few stored ones."""
    n_values = np.zeros(some.shape[1], dtype=np.int64)
    columns = np.arange(some.shape[1])
    if sp.issparse(some):
        columns = np.flatnonzero(some.getnnz(axis=0) > _MIN_VALUES)
        some = some[:, columns].toarray()
    cells = np.sort(np.nan_to_num(some), axis=0)
    n_values[columns] = (np.diff(cells, axis=0) != 0).sum(axis=0) + 1
    return n_values
