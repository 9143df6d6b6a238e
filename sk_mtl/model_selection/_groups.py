"""Stratification of whole groups of rows: the assignment of groups to folds.

Owns the assignment of groups by their labels. Does not know y in the user's form or scikit-learn's
splitter interface.

A group is not divided, so the sizes of folds are not exact. The heaviest groups (many rows of rare
classes) are placed first, each in the fold whose columns are least filled with the labels of the
group, as in `_iterative`, with the number of rows as one more column.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from sk_mtl.model_selection._iterative import (
    MISSING,
    NOTHING,
    UNASSIGNED,
    IndicatorColumns,
    index_columns,
)

# Weights of a task's missing labels and of the size of a fold, relative to a class.
_WEIGHT_OF_MISSING = 0.1
_WEIGHT_OF_SIZE = 1.0

# Groups are placed again after all others, until none moves or for so many placements: with many
# small groups the first pass is even enough.
_MAX_REPLACEMENTS = 20_000
_MAX_SWEEPS = 10

# Attempts to give each fold the classes that it lacks.
_MAX_COVER_PASSES = 5


def assign_group_folds(
    codes: np.ndarray,
    label_mask: np.ndarray,
    group_of_row: np.ndarray,
    n_folds: int,
    rng: np.random.RandomState | None,
) -> np.ndarray:
    """Assign every group to one of the folds so that each has labels of every task and class."""
    columns = index_columns(codes, label_mask, n_folds)
    return assign_groups(columns, group_of_row, np.ones(n_folds), rng)


def assign_groups(
    columns: IndicatorColumns,
    group_of_row: np.ndarray,
    sizes: np.ndarray,
    rng: np.random.RandomState | None,
) -> np.ndarray:
    """Assign every group to a fold so that all columns are spread in proportion to the sizes."""
    # The sizes of the folds are relative to their mean.
    n_folds = len(sizes)
    contents = _count_contents(columns, group_of_row)
    totals = np.asarray(contents.sum(axis=0)).ravel()
    step = _weigh_columns(columns) * n_folds / np.maximum(totals, 1)
    weighed = contents.copy()
    weighed.data *= step[weighed.indices]
    order = _order_groups(weighed, rng)

    fold = np.full(contents.shape[0], UNASSIGNED, dtype=np.intp)
    counts = np.zeros((contents.shape[1], n_folds))
    for _ in range(1 + min(_MAX_SWEEPS, _MAX_REPLACEMENTS // len(order))):
        if not _place_groups(contents, weighed, fold, counts, order, sizes):
            break
    _cover_empty_folds(columns, contents, fold, counts, step, sizes)
    return fold[group_of_row]


def _order_groups(weighed: sp.csr_matrix, rng: np.random.RandomState | None) -> np.ndarray:
    """Return the groups, those with the most rows of rare classes first."""
    heaviness = np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel()
    if rng is None:
        return np.argsort(-heaviness, kind="stable")
    # Shuffled among groups of similar weight, because exactly equal weights are rare.
    order = rng.permutation(len(heaviness))
    return order[np.argsort(-np.round(np.log2(heaviness[order])), kind="stable")]


def _place_groups(
    contents: sp.csr_matrix,
    weighed: sp.csr_matrix,
    fold: np.ndarray,
    counts: np.ndarray,
    order: np.ndarray,
    sizes: np.ndarray,
) -> bool:
    """Place each group in the fold of lowest price, again if it has one; return if any moved."""
    any_moved = False
    for group in order:
        held = slice(contents.indptr[group], contents.indptr[group + 1])
        cells, n_rows = contents.indices[held], contents.data[held]
        source = fold[group]
        if source != UNASSIGNED:
            counts[cells, source] -= n_rows
        # By how much the squares of counts, relative to sizes, grow; in a small fold by more.
        price = weighed.data[held] @ counts[cells] / sizes
        price += weighed.data[held] @ n_rows / 2 * (1 / sizes - 1)
        target = price.argmin()
        if source != UNASSIGNED and price[source] <= price[target] + 1e-9 * abs(price[target]):
            target = source
        counts[cells, target] += n_rows
        fold[group] = target
        any_moved |= bool(target != source)
    return any_moved


def _weigh_columns(columns: IndicatorColumns) -> np.ndarray:
    """Return the weight of each column, with the size of the fold last."""
    weight = np.ones(columns.n_columns + 1)
    weight[:-1][columns.class_code == MISSING] = _WEIGHT_OF_MISSING
    weight[:-1][columns.class_code == NOTHING] = 0.0
    weight[-1] = _WEIGHT_OF_SIZE
    return weight


def _count_contents(columns: IndicatorColumns, group_of_row: np.ndarray) -> sp.csr_matrix:
    """Count the rows of each column in each group, with the group's size as the last column."""
    n_samples, n_cells = columns.of_cell.shape
    cells = np.hstack(
        [columns.of_cell, np.full((n_samples, 1), columns.n_columns, dtype=np.int32)]
    ).ravel()
    groups = np.repeat(group_of_row, n_cells + 1)
    shape = (int(group_of_row.max()) + 1, columns.n_columns + 1)
    ones = np.ones(len(cells))
    return sp.coo_matrix((ones, (groups, cells)), shape=shape).tocsr()


def _cover_empty_folds(
    columns: IndicatorColumns,
    contents: sp.csr_matrix,
    fold: np.ndarray,
    counts: np.ndarray,
    step: np.ndarray,
    sizes: np.ndarray,
) -> None:
    """Move groups so that no fold lacks a class that enough groups have."""
    by_column = contents.tocsc()
    n_owners = np.diff(by_column.indptr)
    must_have = n_owners >= counts.shape[1]
    must_have[:-1] &= (columns.class_code != MISSING) & (columns.class_code != NOTHING)
    for _ in range(_MAX_COVER_PASSES):
        lacking = np.argwhere(must_have[:, None] & (counts == 0))
        any_moved = False
        for column, target in lacking[np.argsort(n_owners[lacking[:, 0]], kind="stable")]:
            owners = by_column.indices[by_column.indptr[column] : by_column.indptr[column + 1]]
            if counts[column, target] == 0:
                any_moved |= _move_best(
                    owners, target, contents, fold, counts, step, sizes, must_have
                )
        if not any_moved:
            return


def _move_best(
    groups: np.ndarray,
    target: int,
    contents: sp.csr_matrix,
    fold: np.ndarray,
    counts: np.ndarray,
    step: np.ndarray,
    sizes: np.ndarray,
    must_have: np.ndarray,
) -> bool:
    """Move the group whose move leaves the fewest folds without a class; return if any did."""
    best, best_change = None, (0, 0.0)
    for group in groups:
        held = slice(contents.indptr[group], contents.indptr[group + 1])
        cells, n_rows, source = contents.indices[held], contents.data[held], fold[group]
        is_emptied = must_have[cells] & (counts[cells, source] == n_rows)
        is_filled = must_have[cells] & (counts[cells, target] == 0)
        filled = counts[cells, target] / sizes[target] - counts[cells, source] / sizes[source]
        price = filled * n_rows * step[cells]
        change = (int(is_emptied.sum()) - int(is_filled.sum()), float(price.sum()))
        if change[0] < 0 and change < best_change:
            best, best_change = group, change
    if best is None:
        return False
    held = slice(contents.indptr[best], contents.indptr[best + 1])
    cells, n_rows = contents.indices[held], contents.data[held]
    counts[cells, fold[best]] -= n_rows
    counts[cells, target] += n_rows
    fold[best] = target
    return True
