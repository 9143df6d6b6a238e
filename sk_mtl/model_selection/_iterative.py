"""Iterative stratification over label columns: which row goes to which part.

Owns the assignment of rows to parts of given sizes, from codes and a label mask. Does not know y
in the user's form, folds, groups, or scikit-learn's splitter interface.

The method is that of Sechidis et al. [1]_, carried from label sets to tables of classes with
holes. Every (task, class) pair is an indicator column, and so is "missing" for every task. Each
part has a desired number of rows of each column. Rows are placed one after the other, those with
the rarest class first, each in the part whose columns are filled least relative to what is
desired. Rows with the same labels in all tasks are interchangeable and are dealt out evenly
beforehand, which keeps relations between labels too [2]_; only what cannot be dealt out evenly is
left to the iteration. A last pass swaps rows where a part would go without a class that has enough
rows for all parts.

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

# What an indicator column stands for, where it is not a class (class codes are >= 0).
MISSING = -1
LABELLED = -2
NOTHING = -3

# The balance of missing labels follows from that of the classes and the sizes; as much weight as
# a class would make it compete with rare classes.
_WEIGHT_OF_MISSING = 0.1

# A swap is looked for among so many pairs of cells, few enough for hundreds of swaps; and so many
# swaps are made beyond one for each class that a part goes without.
_MAX_SWAP_COMPARISONS = 500_000
_MAX_SIDE_STEPS = 200


@dataclass(frozen=True)
class IndicatorColumns:
    """The labels of a table as indices into one list of indicator columns.

    Attributes
    ----------
    of_cell : ndarray of int32 of shape (n_samples, n_cells)
        The columns that each row belongs to: one per task, and one more for each task whose
        classes are all too rare for a row in every part.
    task, class_code : ndarray of int of shape (n_columns,)
        The task of each column, and its class code, `MISSING`, `LABELLED` (any class of a task
        whose classes are rare) or `NOTHING` (a place holder).
    """

    of_cell: np.ndarray
    task: np.ndarray
    class_code: np.ndarray

    @property
    def is_class(self) -> np.ndarray:
        """Whether each column stands for a class."""
        return self.class_code >= 0

    @property
    def n_columns(self) -> int:
        """Number of indicator columns."""
        return len(self.task)

    def count_rows(self, part: np.ndarray, n_parts: int) -> np.ndarray:
        """Count the rows of each column in each part.

        Parameters
        ----------
        part : ndarray of int of shape (n_samples,)
            The part of each row; `UNASSIGNED` rows are not counted.
        n_parts : int
            Number of parts.

        Returns
        -------
        counts : ndarray of int of shape (n_columns, n_parts)
            Rows per column and part.
        """
        counts = [
            np.bincount(self.of_cell[part == j].ravel(), minlength=self.n_columns)
            for j in range(n_parts)
        ]
        return np.column_stack(counts)

    def find_coverable(self, n_covered: int) -> np.ndarray:
        """Find the columns that have enough rows to be in every part.

        Parameters
        ----------
        n_covered : int
            Number of parts.

        Returns
        -------
        coverable : ndarray of bool of shape (n_columns,)
            True for classes, and tasks, with at least `n_covered` labelled cells.
        """
        totals = np.bincount(self.of_cell.ravel(), minlength=self.n_columns)
        return (self.is_class | (self.class_code == LABELLED)) & (totals >= n_covered)


def index_columns(codes: np.ndarray, label_mask: np.ndarray, n_covered: int) -> IndicatorColumns:
    """Give every (task, class) and every task's "missing" an index.

    Parameters
    ----------
    codes : ndarray of int of shape (n_samples, n_tasks)
        Class index per cell; what stands under the mask is not looked at.
    label_mask : ndarray of bool of shape (n_samples, n_tasks)
        True where a label is present.
    n_covered : int
        Number of parts that should each have rows of every class.

    Returns
    -------
    columns : IndicatorColumns
        The columns of each row, and what each column stands for.
    """
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
    """Assign every row to a part so that all columns are spread in proportion.

    Parameters
    ----------
    columns : IndicatorColumns
        The labels.
    part_sizes : ndarray of int of shape (n_parts,)
        Rows of each part; they sum to n_samples and are met exactly.
    rng : RandomState or None
        Shuffles the rows first; None takes them in their order.
    n_covered : int, default=None
        How many of the parts, from the first, should each have rows of every class; None means
        all of them.

    Returns
    -------
    part : ndarray of int of shape (n_samples,)
        The part of each row.
    """
    n_samples = len(columns.of_cell)
    order = np.arange(n_samples) if rng is None else rng.permutation(n_samples)
    part = _deal_identical_rows(columns, part_sizes, order)
    fill = _Fill(columns, part, part_sizes, n_covered or len(part_sizes))
    _place_rows(columns, part, part_sizes, order, fill)
    _cover_empty_parts(columns, part, fill)
    return part


def share_of_parts(part_sizes: np.ndarray) -> np.ndarray:
    """Return the share of each part; folds that differ by one row have equal shares.

    Parameters
    ----------
    part_sizes : ndarray of int of shape (n_parts,)
        Rows of each part.

    Returns
    -------
    share : ndarray of float of shape (n_parts,)
        They sum to 1.
    """
    if np.ptp(part_sizes) <= 1:
        return np.full(len(part_sizes), 1 / len(part_sizes))
    return part_sizes / part_sizes.sum()


class _Fill:
    """How far the parts are filled with rows of each column, relative to what is desired.

    `level[c, j]` is (rows of column c in part j + 1/2) / desired rows; placing one more row adds
    `step[c, j]`. A part's cost for a row is the sum of the levels of the row's columns: the row
    goes where its labels are wanted most, and a rare class weighs more than a common one because
    its steps are larger.
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
        # However small a part, it should have one row of each class that has enough.
        self.desired = np.where(self.must_have, np.maximum(desired, 1.0), desired)
        weight = np.where(columns.class_code == MISSING, _WEIGHT_OF_MISSING, 1.0)
        weight[columns.class_code == NOTHING] = 0.0
        self.step = weight[:, None] / np.maximum(self.desired, 1e-9)
        self.level = (self.counts + 0.5) * self.step

    def recount(self, columns: IndicatorColumns, part: np.ndarray) -> None:
        """Take the counts, and the levels, from where the rows are now."""
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
        """Change of the number of parts without a class, and of the cost, if rows were swapped.

        `row` holds the columns of a row in source, `others` those of rows in target.
        """
        is_last = self.must_have & (self.counts == 1)
        is_first = self.must_have & (self.counts == 0)
        # What both rows belong to stays as it is.
        differs = others != row
        emptied = is_last[row, source].astype(np.int8) - is_first[row, target]
        emptied = emptied + is_last[others, target] - is_first[others, source]
        price = self.level[row, target] - self.level[row, source]
        price = price + self.level[others, source] - self.level[others, target]
        return (emptied * differs).sum(axis=1), (price * differs).sum(axis=1)


def _deal_identical_rows(
    columns: IndicatorColumns, part_sizes: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Deal rows with the same labels in all tasks, as far as that goes without a rest."""
    n_samples = len(order)
    # One random 64-bit number per column; their sum tells combinations of labels apart. Should
    # two combinations collide (odds of n_samples^2 / 2^65) they are dealt out together: harmless.
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
    """Place the unassigned rows one by one, rarest class first, where they are wanted most."""
    rarity = np.where(columns.is_class, fill.totals, len(part) + 1)[columns.of_cell]
    rarity = rarity.min(axis=1, initial=len(part) + 1)
    waiting = order[part[order] == UNASSIGNED]
    waiting = waiting[np.argsort(rarity[waiting], kind="stable")]
    room = part_sizes - np.bincount(part[part != UNASSIGNED], minlength=len(part_sizes))
    closed = np.where(room > 0, 0.0, np.inf)
    # What each part should get of the waiting rows of a column. Compared with the rows placed so
    # far, not with all that are desired: a part to which less was dealt would draw rows for the
    # sake of their common classes, and those of rare classes, which come first, with them.
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
    """Swap rows so that no part goes without a class that has enough rows for all parts.

    A swap may take another class from a part, as long as their number does not grow: that one is
    looked for next, by chance among all. So the search gets out of most blind alleys; steps that
    have led nowhere are taken back.
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
    """Find a row with the column outside the target and one in the target to swap it with."""
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
        # Where nothing is won, it is left to chance which of the swaps it is.
        rank = float(price[other]) if emptied[other] < 0 else chance.rand()
        if (emptied[other], rank) < best_change:
            best, best_change = (int(owner), int(takeable[other])), (int(emptied[other]), rank)
    return best


def _draw(rows: np.ndarray, at_most: int, chance: np.random.RandomState) -> np.ndarray:
    """Return so many of the rows at most, in random order."""
    return chance.permutation(rows)[: max(at_most, 1)]
