"""What a prediction would be if some features of a row were those of another row.

In the words of the theory, a game: features are players, and a coalition has the values of the row
that is explained, the others those of a row of the background. Mixtures of two rows are in tiles,
(n_tiles, n_units, 16), as everything that is predicted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sk_mtl._predict.cut_forward import CutForward
from sk_mtl._predict.products import MOST_MULTIPLICATIONS, Product
from sk_mtl._predict.tiles import TILE_ROWS, Workspace

__all__ = ["Game", "Outputs", "Pair", "RowGame", "UnitGame"]

# From logits, (n_columns, m), to what is explained, (n_outputs, m).
Outputs = Callable[[np.ndarray], np.ndarray]

_UPPER = np.triu(np.ones((TILE_ROWS, TILE_ROWS), np.float32))


class Pair(ABC):
    """A row and a row of the background: the features that differ, and mixtures of the two."""

    features: np.ndarray  # (n_differing,)

    @abstractmethod
    def write_subsets(self, is_of_row: np.ndarray, out: np.ndarray) -> None:
        """Write mixtures, from which features are of the row: (n_tiles, n_differing, 16)."""

    @abstractmethod
    def write_along(self, order: np.ndarray, out: np.ndarray) -> None:
        """Write the mixtures in which more and more features are of the row, in an order."""
        # From one feature to all but one; what remains of the last tile is arbitrary.


class Game(ABC):
    """The rows to explain and the background, by index."""

    n_units: int

    @abstractmethod
    def pairs(self, row: int) -> Iterator[Pair]:
        """Yield the pairs of a row with each row of the background."""

    @abstractmethod
    def outputs(self, mixtures: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Return what is explained of mixtures, (16 * n_tiles, n_outputs), which are used up."""

    @abstractmethod
    def of_rows(self) -> np.ndarray:
        """Return what is explained of the rows themselves, (n_rows, n_outputs)."""

    @abstractmethod
    def of_background(self) -> np.ndarray:
        """Return what is explained of the rows of the background, (n_background, n_outputs)."""


class UnitGame(Game):
    """Mixtures as units of the first layers, to which each feature adds its part."""

    def __init__(
        self, forward: CutForward, rows: np.ndarray, background: np.ndarray, outputs: Outputs
    ):
        self._forward = forward
        self._outputs = outputs
        # Columns of one feature beside one another, so that their parts are sums of neighbours.
        order = np.argsort(forward.features, kind="stable")
        self._features = forward.features[order]
        self._kernel = forward.kernel[order]
        self._rows = forward.encode(rows)[:, order]
        self._background = forward.encode(background)[:, order]
        self._product = Product(self._kernel.T[None])
        self.n_units = self._kernel.shape[1]
        self._starts = self._units(self._background)

    def pairs(self, row: int) -> Iterator[Pair]:
        for b, start in zip(self._background, self._starts, strict=True):
            yield self._pair(self._rows[row], b, start)

    def _pair(self, x: np.ndarray, b: np.ndarray, start: np.ndarray) -> Pair:
        columns = np.flatnonzero(x != b)
        parts = self._kernel.take(columns, axis=0)
        parts *= (x[columns] - b[columns])[:, None]
        features = self._features[columns]
        is_first = np.append(True, features[1:] != features[:-1])[: len(features)]
        if not is_first.all():
            parts = np.add.reduceat(parts, np.flatnonzero(is_first), axis=0)
        return _UnitPair(features[is_first], start, parts)

    def outputs(self, mixtures: np.ndarray, workspace: Workspace) -> np.ndarray:
        return self._outputs(self._forward.logits_of_units(mixtures, workspace)).T

    def of_rows(self) -> np.ndarray:
        return self._of_units(self._units(self._rows))

    def of_background(self) -> np.ndarray:
        return self._of_units(self._starts)

    def _units(self, encoded: np.ndarray) -> np.ndarray:
        tiles = _as_tiles(encoded)
        units = np.empty((len(tiles), 1, self.n_units, TILE_ROWS), np.float32)
        self._product(tiles[:, None], units, Workspace())
        by_row = units[:, 0].transpose(0, 2, 1).reshape(-1, self.n_units)
        return by_row[: len(encoded)] + self._forward.offset

    def _of_units(self, units: np.ndarray) -> np.ndarray:
        return self.outputs(_as_tiles(units), Workspace())[: len(units)]


class _UnitPair(Pair):
    """The units of the background row, and what each differing feature adds to them."""

    def __init__(self, features: np.ndarray, start: np.ndarray, parts: np.ndarray):
        self.features = features
        self._start = start
        self._parts = parts

    def write_subsets(self, is_of_row: np.ndarray, out: np.ndarray) -> None:
        _multiply(self._parts.T, is_of_row, out)
        out += self._start[:, None]

    def write_along(self, order: np.ndarray, out: np.ndarray) -> None:
        n_tiles, n_units, _ = out.shape
        positions = np.zeros(n_tiles * TILE_ROWS, np.intp)
        positions[: len(order) - 1] = order[:-1]
        parts = self._parts.take(positions, axis=0).reshape(n_tiles, TILE_ROWS, n_units)
        # Running sums: within tiles by a product, which is the fastest, then the tiles before.
        _multiply(parts.transpose(0, 2, 1), _UPPER, out)
        before = np.empty((n_tiles, n_units), np.float32)
        before[0] = self._start
        before[1:] = out[:-1, :, -1]
        np.cumsum(before, axis=0, out=before)
        out += before[:, :, None]


class RowGame(Game):
    """Mixtures as rows of X, for networks with layers of the user."""

    def __init__(
        self,
        logits: Callable[[np.ndarray], np.ndarray],  # from rows of X to (m, n_columns)
        rows: np.ndarray,
        background: np.ndarray,
        outputs: Outputs,
    ):
        self._logits = logits
        self._rows = rows
        self._background = background
        self._outputs = outputs
        self.n_units = rows.shape[1]

    def pairs(self, row: int) -> Iterator[Pair]:
        for other in self._background:
            yield _RowPair(self._rows[row], other)

    def outputs(self, mixtures: np.ndarray, workspace: Workspace) -> np.ndarray:
        return self._of(mixtures.transpose(0, 2, 1).reshape(-1, self.n_units))

    def of_rows(self) -> np.ndarray:
        return self._of(self._rows)

    def of_background(self) -> np.ndarray:
        return self._of(self._background)

    def _of(self, rows: np.ndarray) -> np.ndarray:
        return self._outputs(self._logits(rows).T).T


class _RowPair(Pair):
    """Two rows of X."""

    def __init__(self, x: np.ndarray, b: np.ndarray):
        self.features = np.flatnonzero((x != b) & ~(np.isnan(x) & np.isnan(b)))
        self._x = x
        self._b = b

    def write_subsets(self, is_of_row: np.ndarray, out: np.ndarray) -> None:
        out[:] = self._b[:, None]
        x, b = (row[self.features][:, None] for row in (self._x, self._b))
        out[:, self.features] = np.where(is_of_row > 0, x, b)

    def write_along(self, order: np.ndarray, out: np.ndarray) -> None:
        step = np.empty(len(order), np.intp)
        step[order] = np.arange(len(order))
        position = np.arange(len(out) * TILE_ROWS).reshape(len(out), 1, TILE_ROWS)
        self.write_subsets(position >= step[:, None], out)


def _multiply(units: np.ndarray, factors: np.ndarray, out: np.ndarray) -> None:
    """Multiply (..., n_units, k) and (..., k, 16), in pieces that BLAS computes in one thread."""
    size = MOST_MULTIPLICATIONS // (TILE_ROWS * TILE_ROWS)
    for i in range(0, units.shape[-2], size):
        np.matmul(units[..., i : i + size, :], factors, out=out[..., i : i + size, :])


def _as_tiles(rows: np.ndarray) -> np.ndarray:
    """Return rows as tiles, padded with zeros."""
    n_tiles = -(-len(rows) // TILE_ROWS)
    padded = np.zeros((n_tiles * TILE_ROWS, rows.shape[1]), np.float32)
    padded[: len(rows)] = rows
    tiles: Any = padded.reshape(n_tiles, TILE_ROWS, -1).transpose(0, 2, 1)
    return np.ascontiguousarray(tiles)
