"""Known labels as inputs: which cells of a row are shown to the network, and their columns.

Owns the law that no cell is both shown and counted. Knows no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

__all__ = [
    "HIDDEN",
    "LABEL_SCALE",
    "MISSING",
    "Shown",
    "draw_shown",
    "label_columns",
    "two_views",
    "write_known",
    "write_labels",
]

# Chosen in docs/benchmarks/completing.md. Columns of zeros and ones would be learned too slowly:
# with X alone, the network overfits within a few epochs.
LABEL_SCALE = 10.0
# In place of class indices: of a label that is not there, and of one that is not to be used.
MISSING, HIDDEN = -1, -2
# The share of rows that are shown none of their labels, so that the network stays one of X alone.
_WITHOUT = 0.25
_ONE_IN = 16  # cells that count is given as missing


class Shown(NamedTuple):
    """Which cells are inputs and which count; each of shape (n_rows, n_tasks)."""

    is_shown: np.ndarray
    is_counted: np.ndarray
    # What is given as missing where the network reads that, too. A cell that counts is so by
    # chance: whoever completes a table asks for cells that are missing.
    is_missing: np.ndarray

    def take(self, rows: slice | np.ndarray) -> Shown:
        """Return some of the rows."""
        return Shown(*(part[rows] for part in self))


def draw_shown(rng: np.random.Generator, is_labelled: np.ndarray) -> Shown:
    """Draw the cells to show: of the labelled ones of a row, from none to all but one."""
    n_rows, n_tasks = is_labelled.shape
    # A row's numbers follow one another, so that the rows may be drawn in several parts.
    numbers = rng.random((n_rows, n_tasks + 1), dtype=np.float32)
    share = np.sqrt(np.maximum(numbers[:, :1] - _WITHOUT, 0) / (1 - _WITHOUT))
    of_cells = np.where(is_labelled, numbers[:, 1:], -1)
    shown = is_labelled & (of_cells < share) & (of_cells < of_cells.max(axis=1, keepdims=True))
    of_chance = (numbers[:, 1:] * 2**24).astype(np.int32) % _ONE_IN == 0  # their last bits
    return _with_missing(shown, is_labelled & ~shown, of_chance)


def two_views(rng: np.random.Generator, is_labelled: np.ndarray) -> Iterator[Shown]:
    """Yield what to show and to count, twice, so that every labelled cell counts once."""
    first = draw_shown(rng, is_labelled)
    yield first
    # Then the other way round; what was shown none of its labels has been counted.
    has_shown = first.is_shown.any(axis=1, keepdims=True)
    of_chance = rng.random(is_labelled.shape) < 1 / _ONE_IN
    yield _with_missing(first.is_counted & has_shown, first.is_shown, of_chance)


def _with_missing(is_shown: np.ndarray, is_counted: np.ndarray, of_chance: np.ndarray) -> Shown:
    """Return the cells that are shown and counted with those that are given as missing."""
    # Without any known label the network is one of X alone.
    is_missing = is_shown.any(axis=1, keepdims=True) & ~is_shown & (~is_counted | of_chance)
    return Shown(is_shown, is_counted, is_missing)


def label_columns(n_outputs: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Return the first column of each task, one for each class, and the number of columns."""
    stops = np.cumsum([max(n, 2) for n in n_outputs])
    return np.concatenate([[0], stops[:-1]]), int(stops[-1])


def write_labels(
    codes: np.ndarray,
    is_shown: np.ndarray,
    is_missing: np.ndarray | None,
    n_outputs: tuple[int, ...],
    out: np.ndarray,
) -> None:
    """Write 1 for the labels shown, and 0 elsewhere, into (n_rows, n_columns)."""
    # Further columns, if there are any, are 1 for cells that are missing.
    tasks, classes = _columns_of(n_outputs)
    n_columns = len(tasks)
    is_one = np.take(codes, tasks, axis=1) == classes
    is_one &= np.take(is_shown, tasks, axis=1)
    out[:, :n_columns] = is_one
    if out.shape[1] > n_columns:
        out[:, n_columns:] = is_missing


@lru_cache(maxsize=64)
def _columns_of(n_outputs: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the task and the class of each column."""
    widths = [max(n, 2) for n in n_outputs]
    return np.repeat(np.arange(len(widths)), widths), np.concatenate([*map(np.arange, widths)])


def write_known(known: np.ndarray, n_outputs: tuple[int, ...], out: np.ndarray) -> None:
    """Do the same for known class indices, (n_rows, n_tasks), or `MISSING` or `HIDDEN`."""
    is_known = known >= 0
    is_missing = is_known.any(axis=1, keepdims=True) & (known == MISSING)
    write_labels(known, is_known, is_missing, n_outputs, out)
