"""Iterative stratification over label columns: the assignment of rows to parts.

Owns the assignment of rows to parts of given sizes, from codes and a label mask. Does not know y
in the user's form, groups, or scikit-learn's splitter interface.

The method is that of Sechidis et al. [1]_, extended from label sets to tables of classes with
missing labels. Every (task, class) pair is an indicator column, and so is "missing" for every task.
Each part has a desired number of rows of each column. Rows with the same labels in all tasks are
dealt out evenly first, which keeps relations between labels too [2]_. The remaining rows are placed
one by one, those with the rarest class first, each in the part whose columns are least filled. A
last pass swaps rows where a part lacks a class that has enough rows for all parts.

References
----------
.. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas (2011). On the Stratification of Multi-label Data.
   ECML PKDD 2011.
.. [2] P. Szymański, T. Kajdanowicz (2017). A Network Perspective on Stratification of Multi-Label
   Data. Proceedings of Machine Learning Research 74.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UNASSIGNED = -1

# Indicator columns that are not a class (class codes are >= 0): missing cells, labelled cells of a
# task whose classes are all too rare for a row in every part, and a placeholder.
MISSING = -1
LABELLED = -2
NOTHING = -3

# The balance of missing labels follows from that of classes and sizes; a larger weight would
# compete with rare classes.
_WEIGHT_OF_MISSING = 0.1

# Pairs of cells searched for one swap, few enough for hundreds of swaps; and swaps beyond one for
# each class that a part lacks.
_MAX_SWAP_COMPARISONS = 500_000
_MAX_SIDE_STEPS = 200


@dataclass(frozen=True)
class IndicatorColumns:
    """The labels of a table as indices into one list of indicator columns."""

    of_cell: np.ndarray  # int32 of shape (n_samples, n_cells): the columns of each row
    task: np.ndarray  # of shape (n_columns,)
    class_code: np.ndarray  # of shape (n_columns,): a class, MISSING, LABELLED or NOTHING

    @property
    def is_class(self) -> np.ndarray:
        """Whether each column stands for a class."""
        return self.class_code >= 0

    @property
    def n_columns(self) -> int:
        """Number of indicator columns."""
        return len(self.task)

    def count_rows(self, part: np.ndarray, n_parts: int) -> np.ndarray:
        """Count the assigned rows of each column in each part: (n_columns, n_parts)."""
        counts = [
            np.bincount(self.of_cell[part == j].ravel(), minlength=self.n_columns)
            for j in range(n_parts)
        ]
        return np.column_stack(counts)

    def find_coverable(self, n_covered: int) -> np.ndarray:
        """Return which classes and tasks have at least `n_covered` labelled cells."""
        totals = np.bincount(self.of_cell.ravel(), minlength=self.n_columns)
        return (self.is_class | (self.class_code == LABELLED)) & (totals >= n_covered)


def index_columns(codes: np.ndarray, label_mask: np.ndarray, n_covered: int) -> IndicatorColumns:
    """Give every (task, class) pair and every task's "missing" an index."""
    codes = np.where(label_mask, codes, -1)
    n_classes = codes.max(axis=0, initial=-1) + 1
    # A task has its classes first and "missing" last.
    ends = np.cumsum(n_classes + 1)
    starts = ends - (n_classes + 1)
    of_cell = np.where(label_mask, codes + starts, ends - 1).astype(np.int32)
    task = np.repeat(np.arange(codes.shape[1]), n_classes + 1)
    class_code = np.arange(len(task)) - starts[task]
    class_code[ends - 1] = MISSING

    columns = IndicatorColumns(of_cell, task, class_code)
    has_common_class = np.zeros(codes.shape[1], dtype=bool)
    has_common_class[task[columns.find_coverable(n_covered)]] = True
    rare = np.flatnonzero(~has_common_class & (label_mask.sum(axis=0) >= n_covered))
    if not len(rare):
        return columns
    nothing = len(task) + len(rare)
    of_rare_task = np.where(label_mask[:, rare], len(task) + np.arange(len(rare)), nothing)
    return IndicatorColumns(
        np.hstack([of_cell, of_rare_task.astype(np.int32)]),
        np.concatenate([task, rare, [-1]]),
        np.concatenate([class_code, np.full(len(rare), LABELLED), [NOTHING]]),
    )


def assign_rows(
    columns: IndicatorColumns,
    part_sizes: np.ndarray,
    rng: np.random.RandomState | None,
    n_covered: int | None = None,
) -> np.ndarray:
    """Assign each row to a part of exact size so that all columns are spread in proportion."""
    # The first `n_covered` parts (None for all) should each have rows of every class. `rng`
    # shuffles the rows first; None keeps their order.
    n_samples = len(columns.of_cell)
    order = np.arange(n_samples) if rng is None else rng.permutation(n_samples)
    part = _deal_identical_rows(columns, part_sizes, order)
    fill = _Fill(columns, part, part_sizes, n_covered or len(part_sizes))
    _place_rows(columns, part, part_sizes, order, fill)
    _cover_empty_parts(columns, part, fill)
    return part


def assign_folds(
    codes: np.ndarray,
    label_mask: np.ndarray,
    n_folds: int,
    rng: np.random.RandomState | None,
) -> np.ndarray:
    """Assign each row to one of the folds so that each has labels of every task and class."""
    sizes = np.full(n_folds, len(codes) // n_folds)
    sizes[: len(codes) % n_folds] += 1
    return assign_rows(index_columns(codes, label_mask, n_folds), sizes, rng)


def share_of_parts(part_sizes: np.ndarray) -> np.ndarray:
    """Return the share of each part; folds that differ by one row have equal shares."""
    if np.ptp(part_sizes) <= 1:
        return np.full(len(part_sizes), 1 / len(part_sizes))
    return part_sizes / part_sizes.sum()


class _Fill:
    """The filling of the parts with rows of each column, relative to the desired number.

    `level[c, j]` is (rows of column c in part j + 1/2) / desired rows; one more row adds
    `step[c, j]`. A part's cost for a row is the sum of the levels of the row's columns. A rare
    class weighs more than a common one because its steps are larger.
    """

    def __init__(
        self,
        columns: IndicatorColumns,
        part: np.ndarray,
        part_sizes: np.ndarray,
        n_covered: int,
    ):
        n_parts = len(part_sizes)
        is_covered = np.arange(n_parts) < n_covered
        self.totals = np.bincount(columns.of_cell.ravel(), minlength=columns.n_columns)
        self.counts = columns.count_rows(part, n_parts)
        self.must_have = columns.find_coverable(n_covered)[:, None] & is_covered
        desired = self.totals[:, None] * share_of_parts(part_sizes)
        # Even a small part should have one row of each class that has enough.
        self.desired = np.where(self.must_have, np.maximum(desired, 1.0), desired)
        weight = np.where(columns.class_code == MISSING, _WEIGHT_OF_MISSING, 1.0)
        weight[columns.class_code == NOTHING] = 0.0
        self.step = weight[:, None] / np.maximum(self.desired, 1e-9)
        self.level = (self.counts + 0.5) * self.step

    def recount(self, columns: IndicatorColumns, part: np.ndarray) -> None:
        """Recompute counts and levels from the current parts."""
        self.counts = columns.count_rows(part, self.counts.shape[1])
        self.level = (self.counts + 0.5) * self.step

    def swap(
        self, row_cells: np.ndarray, source: int, other_cells: np.ndarray, target: int
    ) -> None:
        """Move one row from source to target and another one back."""
        for cells, change, j in (
            (row_cells, -1, source),
            (row_cells, 1, target),
            (other_cells, -1, target),
            (other_cells, 1, source),
        ):
            self.counts[cells, j] += change
            self.level[cells, j] += change * self.step[cells, j]

    def price_swaps(self, row: np.ndarray, source: int, others: np.ndarray, target: int) -> tuple:
        """Return how swaps of a row with others change the number of empty cells, and the cost."""
        is_last = self.must_have & (self.counts == 1)
        is_first = self.must_have & (self.counts == 0)
        # Columns of both rows do not change.
        differs = others != row
        emptied = is_last[row, source].astype(np.int8) - is_first[row, target]
        emptied = emptied + is_last[others, target] - is_first[others, source]
        price = self.level[row, target] - self.level[row, source]
        price = price + self.level[others, source] - self.level[others, target]
        return (emptied * differs).sum(axis=1), (price * differs).sum(axis=1)


def _deal_identical_rows(
    columns: IndicatorColumns, part_sizes: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Deal rows with the same labels in all tasks, as far as they divide evenly."""
    n_samples = len(order)
    # One random 64-bit number per column; their sum identifies a combination of labels. Two that
    # collide (odds of n_samples^2 / 2^65) are dealt out together, which is harmless.
    numbers = np.random.RandomState(0).randint(0, 2**63 - 1, size=columns.n_columns, dtype=np.int64)
    signature = np.zeros(n_samples, dtype=np.int64)
    for cells in columns.of_cell.T:
        signature += numbers[cells]
    by_signature = order[np.argsort(signature[order], kind="stable")]
    in_order = signature[by_signature]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
    lengths = np.diff(starts, append=n_samples)
    position = np.arange(n_samples) - np.repeat(starts, lengths)
    n_dealt = np.floor(lengths[:, None] * share_of_parts(part_sizes) + 1e-9).astype(np.int64)
    ends = np.cumsum(n_dealt, axis=1)
    part = np.full(n_samples, UNASSIGNED, dtype=np.intp)
    for j in range(len(part_sizes)):
        first = ends[:, j] - n_dealt[:, j]
        is_dealt = position >= np.repeat(first, lengths)
        is_dealt &= position < np.repeat(ends[:, j], lengths)
        part[by_signature[is_dealt]] = j
    return part


def _place_rows(
    columns: IndicatorColumns,
    part: np.ndarray,
    part_sizes: np.ndarray,
    order: np.ndarray,
    fill: _Fill,
) -> None:
    """Place the unassigned rows one by one, rarest class first, in the part of lowest cost."""
    rarity = np.where(columns.is_class, fill.totals, len(part) + 1)[columns.of_cell]
    rarity = rarity.min(axis=1, initial=len(part) + 1)
    waiting = order[part[order] == UNASSIGNED]
    waiting = waiting[np.argsort(rarity[waiting], kind="stable")]
    room = part_sizes - np.bincount(part[part != UNASSIGNED], minlength=len(part_sizes))
    closed = np.where(room > 0, 0.0, np.inf)
    # What each part should get of the waiting rows of a column. Compared with the rows placed here
    # alone: a part to which less was dealt would otherwise attract rows for their common classes,
    # and rows of rare classes, which come first, with them.
    due = np.maximum(fill.desired - fill.counts, 0)
    due = due / np.maximum(due.sum(axis=1, keepdims=True), 1e-9) * fill.step
    level = 0.5 * fill.step - due
    for row in waiting:
        cells = columns.of_cell[row]
        of_row = level[cells]
        j = int((of_row.sum(axis=0) + closed).argmin())
        part[row] = j
        of_row -= due[cells]
        of_row[:, j] += fill.step[cells, j]
        level[cells] = of_row
        room[j] -= 1
        if room[j] == 0:
            closed[j] = np.inf
    fill.recount(columns, part)


def _cover_empty_parts(columns: IndicatorColumns, part: np.ndarray, fill: _Fill) -> None:
    """Swap rows so that no part lacks a class that has enough rows for all parts.

    A swap may take another class from a part, as long as the number of gaps does not grow; the next
    gap is chosen at random. This leaves most dead ends; steps without gain are undone.
    """
    chance = np.random.RandomState(0)
    lacking = np.argwhere(fill.must_have & (fill.counts == 0))
    best, fewest = part.copy(), len(lacking)
    for _ in range(len(lacking) + _MAX_SIDE_STEPS):
        if not len(lacking):
            return
        column, target = lacking[chance.randint(len(lacking))]
        swap = _find_swap(columns, part, fill, column, target, chance)
        if swap is not None:
            given, taken = swap
            fill.swap(columns.of_cell[given], part[given], columns.of_cell[taken], target)
            part[given], part[taken] = target, part[given]
            lacking = np.argwhere(fill.must_have & (fill.counts == 0))
        if len(lacking) < fewest:
            best, fewest = part.copy(), len(lacking)
    part[:] = best


def _find_swap(
    columns: IndicatorColumns,
    part: np.ndarray,
    fill: _Fill,
    column: int,
    target: int,
    chance: np.random.RandomState,
) -> tuple[int, int] | None:
    """Return a row with the column outside the target and one in the target to swap."""
    of_cell = columns.of_cell
    position = np.flatnonzero((of_cell == column).any(axis=0))[0]
    budget = max(_MAX_SWAP_COMPARISONS // of_cell.shape[1], 64)
    owners = _draw(np.flatnonzero(of_cell[:, position] == column), int(budget**0.5), chance)
    takeable = _draw(np.flatnonzero(part == target), budget // len(owners), chance)
    best, best_change = None, (0, np.inf)
    for owner in owners:
        emptied, price = fill.price_swaps(of_cell[owner], part[owner], of_cell[takeable], target)
        fewest = np.flatnonzero(emptied == emptied.min())
        other = fewest[price[fewest].argmin()]
        # Without a gain, a random swap is chosen.
        rank = float(price[other]) if emptied[other] < 0 else chance.rand()
        if (emptied[other], rank) < best_change:
            best, best_change = (int(owner), int(takeable[other])), (int(emptied[other]), rank)
    return best


def _draw(rows: np.ndarray, at_most: int, chance: np.random.RandomState) -> np.ndarray:
    """Return at most so many of the rows, in random order."""
    return chance.permutation(rows)[: max(at_most, 1)]
