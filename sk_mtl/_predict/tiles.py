"""Tiles: rows in groups of 16, features first, in which the network computes.

Owns how rows of X, of whatever form, come into tiles. A product of tiles gives a row the same bits
at each of the 16 positions, whatever the rows beside it, and elementwise operations on whole tiles
never leave a remainder to a different instruction; with rows side by side, neither holds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sp

from sk_mtl._data.features import describe_too_large

__all__ = ["TILE_ROWS", "Workspace", "expand", "fill_tiles"]

TILE_ROWS = 16


class Workspace:
    """Arrays of one thread that are used again from batch to batch."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}

    def take(self, name: str, *shape: int) -> np.ndarray:
        """Return an array of float32, whose numbers are arbitrary, in place of that of the name."""
        size = math.prod(shape)
        array = self._arrays.get(name)
        if array is None or array.size < size:
            array = self._arrays[name] = np.empty(size, dtype=np.float32)
        return array[:size].reshape(shape)


def expand(values: np.ndarray) -> np.ndarray:
    """Return values of shape (..., n) as (..., n, 16), which makes NumPy's inner loops long."""
    values = np.asarray(values, dtype=np.float32)
    return np.ascontiguousarray(np.broadcast_to(values[..., None], (*values.shape, TILE_ROWS)))


def fill_tiles(X: Any, tiles: np.ndarray, is_checked: bool) -> None:
    """Copy rows of X to tiles of shape (n_tiles, n_features, 16), the last padded with zeros."""
    n_rows, n_features = X.shape
    if sp.issparse(X):
        _fill_from_csr(X, tiles, is_checked)
        return
    n_full, n_rest = divmod(n_rows, TILE_ROWS)
    X = as_float32(X, is_checked)
    full = X[: n_full * TILE_ROWS].reshape(n_full, TILE_ROWS, n_features)
    np.copyto(tiles[:n_full], full.transpose(0, 2, 1))
    if n_rest:
        tiles[n_full] = 0
        tiles[n_full, :, :n_rest] = X[n_full * TILE_ROWS :].T


def _fill_from_csr(X: Any, tiles: np.ndarray, is_checked: bool) -> None:
    """Write the cells of a CSR matrix into tiles of zeros."""
    if not X.has_canonical_format:
        X = X.copy()  # a slice may share its arrays with the whole
        X.sum_duplicates()
    tiles.fill(0)
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    tile, position = np.divmod(rows, TILE_ROWS)
    cells = (tile * X.shape[1] + X.indices) * TILE_ROWS + position
    tiles.reshape(-1)[cells] = as_float32(X.data, is_checked)


def as_float32(values: np.ndarray, is_checked: bool) -> np.ndarray:
    """Cast numbers, and refuse those that become infinite."""
    if values.dtype == np.float32:
        return values
    with np.errstate(over="ignore"):
        cast = values.astype(np.float32)
    # X was found finite, or missing, in its own dtype.
    if is_checked and np.isinf(cast).any():
        raise ValueError(describe_too_large(values.flat[np.argmax(np.isinf(cast))]))
    return cast
