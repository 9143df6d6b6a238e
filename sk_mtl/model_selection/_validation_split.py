"""The validation part of early stopping: a split that leaves every task labels in both parts.

Owns the choice of validation rows from codes and mask. Does not know y in the user's form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sk_mtl._compat.arguments import as_random_state
from sk_mtl._data.groups import read_groups
from sk_mtl._quoting import quote
from sk_mtl.model_selection._groups import assign_groups
from sk_mtl.model_selection._iterative import assign_rows, index_columns

_TRAIN, _VALIDATION = 0, 1


def stratified_holdout(
    codes: np.ndarray,
    label_mask: np.ndarray,
    *,
    holdout_fraction: float,
    groups: Any = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out rows so that every task keeps labelled cells in both parts.

    A task with at least two labelled cells has labelled cells in both parts. So has a class with
    at least two, as far as the rows allow it for all tasks together. Rows without labels may go to
    either part.

    Parameters
    ----------
    codes : ndarray of int of shape (n_samples, n_tasks)
        Class index per cell; ignored where the mask is False.
    label_mask : ndarray of bool of shape (n_samples, n_tasks)
        True where a label is present.
    holdout_fraction : float
        Share of the rows to hold out, between 0 and 1, both excluded. The number of rows is
        rounded up. With more tasks than rows to hold out, one more row is taken for each task that
        would have no labelled cell among them.
    groups : array-like of shape (n_samples,), default=None
        The group of each row. Groups are never divided, so the number of rows held out is only
        approximately the one asked for. A class that two groups or more have is in both parts, as
        far as the groups allow.
    random_state : int, RandomState or None, default=None
        Shuffles the rows. An int gives the same parts each time.

    Returns
    -------
    train_rows, holdout_rows : ndarray of int, sorted
        The rows of the two parts.

    Raises
    ------
    ValueError
        If the fraction is not between 0 and 1, there are fewer than two rows or groups, or a group
        is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.model_selection import stratified_holdout
    >>> codes = np.array([[0, 0], [1, 0], [0, 0], [1, 1], [0, 0], [1, 0]])
    >>> label_mask = np.array([[1, 0], [1, 1], [1, 0], [1, 1], [1, 0], [1, 0]], dtype=bool)
    >>> train_rows, holdout_rows = stratified_holdout(
    ...     codes, label_mask, holdout_fraction=1 / 3, random_state=0
    ... )
    >>> label_mask[train_rows].any(axis=0), label_mask[holdout_rows].any(axis=0)
    (array([ True,  True]), array([ True,  True]))
    """
    n_samples = len(label_mask)
    if not 0 < holdout_fraction < 1:
        raise ValueError(
            "holdout_fraction must be a float between 0 and 1, both excluded. "
            f"Got {quote(holdout_fraction)}."
        )
    if n_samples < 2:
        raise ValueError(f"At least two rows are needed to hold some of them out. Got {n_samples}.")
    n_holdout = min(int(np.ceil(holdout_fraction * n_samples)), n_samples - 1)
    rng = as_random_state(random_state)
    columns = index_columns(codes, label_mask, n_covered=2)
    sizes = np.array([n_samples - n_holdout, n_holdout])
    if groups is None:
        part = assign_rows(columns, sizes, rng)
        _give_every_task_a_row(label_mask, part)
    else:
        group_of_row = read_groups(groups, n_samples)
        if not group_of_row.any():
            raise ValueError(
                "At least two groups are needed to hold some of them out. groups is the same for "
                f"all {n_samples} rows."
            )
        part = assign_groups(columns, group_of_row, sizes / sizes.mean(), rng)
    return np.flatnonzero(part == _TRAIN), np.flatnonzero(part == _VALIDATION)


def _give_every_task_a_row(label_mask: np.ndarray, part: np.ndarray) -> None:
    """Move rows so that each task with two labelled cells has one in both parts."""
    counts = np.stack([label_mask[part == j].sum(axis=0) for j in (_TRAIN, _VALIDATION)])
    # Moving a row for one task may take it from another, so this is repeated a few times.
    for target in (_TRAIN, _VALIDATION) * 3:
        source = 1 - target
        for task in np.flatnonzero((counts[target] == 0) & (counts[source] >= 2)):
            if counts[target, task]:
                continue
            rows = np.flatnonzero(label_mask[:, task])
            # The row whose move leaves the fewest tasks without labelled cells in the source.
            n_emptied = (label_mask[rows] & (counts[source] == 1)).sum(axis=1)
            row = rows[n_emptied.argmin()]
            part[row] = target
            counts[target] += label_mask[row]
            counts[source] -= label_mask[row]
