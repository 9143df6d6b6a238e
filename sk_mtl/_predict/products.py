"""Products of weights and tiles, whose bits depend neither on other rows nor on threads.

Owns the size of the pieces. OpenBLAS computes a product of at most 2**18 multiplications in one
thread, and so in one order; a longer one is cut into pieces of that size here.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from sk_mtl._predict.tiles import TILE_ROWS, Workspace

__all__ = ["MOST_MULTIPLICATIONS", "Product", "mean_of_units", "sum_of_units"]

MOST_MULTIPLICATIONS = 2**18
# Numbers that a piece reads per row: of those tried, the fastest.
_LONGEST_SUM = 128
# Weights of several blocks that stay in a processor's cache while tile after tile comes by.
_CACHED_WEIGHTS = 2**17


class Product:
    """The product of weights of shape (n_blocks, n_out, n_in) with tiles."""

    def __init__(self, weights: np.ndarray):
        self.n_blocks, self.n_out, self.n_in = weights.shape
        self._sums = _pieces(self.n_in, _LONGEST_SUM)
        longest = max(stop - start for start, stop in self._sums)
        most = max(MOST_MULTIPLICATIONS // (TILE_ROWS * max(longest, 1)), 1)
        n_cached = max(_CACHED_WEIGHTS // max(self.n_out * longest, 1), 1)
        self._pieces = [
            [
                (
                    slice(first, last),
                    slice(top, bottom),
                    np.ascontiguousarray(weights[first:last, top:bottom, start:stop], np.float32),
                )
                for first, last in _pieces(self.n_blocks, n_cached)
                for top, bottom in _pieces(self.n_out, most)
            ]
            for start, stop in self._sums
        ]

    def __call__(self, x: np.ndarray, out: np.ndarray, workspace: Workspace) -> None:
        """Multiply x, (n_tiles, n_blocks, n_in, 16), into out, (n_tiles, n_blocks, n_out, 16)."""
        for number, (start, stop) in enumerate(self._sums):
            target = workspace.take("partial sums", *out.shape) if number else out
            part = x[:, :, start:stop]
            for blocks, units, weights in self._pieces[number]:
                np.matmul(weights, part[:, blocks], out=target[:, blocks, units])
            if number:
                out += target


def _pieces(length: int, longest: int) -> list[tuple[int, int]]:
    """Return where pieces of nearly equal length start and stop; one piece of an empty range."""
    n_pieces = max(-(-length // longest), 1)
    stops = [length * number // n_pieces for number in range(n_pieces + 1)]
    return list(pairwise(stops))


def sum_of_units(x: np.ndarray, workspace: Workspace) -> np.ndarray:
    """Return the sums over the units of blocks of shape (..., n_units, 16), as (..., 1, 16)."""
    return _reduce(_product_of_ones(x.shape[-2], 1.0), x, workspace)


def mean_of_units(x: np.ndarray, workspace: Workspace) -> np.ndarray:
    """Return the means over the units of blocks of shape (..., n_units, 16), as (..., 1, 16)."""
    return _reduce(_product_of_ones(x.shape[-2], 1 / x.shape[-2]), x, workspace)


def _reduce(product: Product, x: np.ndarray, workspace: Workspace) -> np.ndarray:
    sums = np.empty((*x.shape[:-2], 1, TILE_ROWS), np.float32)
    product(x.reshape(-1, 1, x.shape[-2], TILE_ROWS), sums.reshape(-1, 1, 1, TILE_ROWS), workspace)
    return sums


@lru_cache(maxsize=64)
def _product_of_ones(n_units: int, factor: float) -> Product:
    return Product(np.full((1, 1, n_units), factor, np.float32))
