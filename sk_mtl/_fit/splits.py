"""Splits: which rows are trained on and which are for validation, once or by folds.

Does not know the network, nor what is done with the rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.copies import count_copies
from sk_mtl._data.dataset import Dataset, Subset
from sk_mtl._data.groups import read_groups
from sk_mtl._data.table_dataset import TableDataset
from sk_mtl.model_selection import stratified_holdout
from sk_mtl.model_selection._groups import assign_group_folds
from sk_mtl.model_selection._iterative import assign_folds

__all__ = ["N_FOLDS", "split_folds", "split_validation"]

N_FOLDS = 5


def split_validation(dataset: Dataset, fraction: float, seed: int) -> tuple[Subset, Subset]:
    """Split the rows into training rows, in which every task keeps labels, and validation rows."""
    if isinstance(dataset, TableDataset):
        return dataset.split()
    _warn_of_copies(dataset)
    rows, active = dataset.rows, dataset.is_learnable
    train_part, validation_part = stratified_holdout(
        dataset.targets.codes[rows][:, active],
        dataset.targets.label_mask[rows][:, active],
        holdout_fraction=fraction,
        groups=None if dataset.groups is None else dataset.groups[rows],
        random_state=int(np.random.default_rng([seed, 2]).integers(2**31)),
    )
    if len(train_part) == 0 or len(validation_part) == 0:
        raise ValueError(
            f"Early stopping with validation_fraction={fraction} leaves {len(train_part)} rows to "
            f"train on and {len(validation_part)} for validation, of {len(rows)} with labels. "
            "Change the fraction, or set early_stopping=False."
        )
    factors = dataset.class_factors(rows[train_part])
    training = dataset.subset(rows[train_part], factors)
    return training, training.among(rows[validation_part])


def split_folds(dataset: Dataset, seed: int) -> Iterator[tuple[Subset, Subset]]:
    """Yield, for each fold, the other rows to train on and its own for validation."""
    _warn_of_copies(dataset)
    rows, active = dataset.rows, dataset.is_learnable
    codes = dataset.targets.codes[rows][:, active]
    label_mask = dataset.targets.label_mask[rows][:, active]
    rng = np.random.RandomState(int(np.random.default_rng([seed, 2]).integers(2**31)))
    if dataset.groups is None:
        fold = assign_folds(codes, label_mask, N_FOLDS, rng)
    else:
        group_of_row = read_groups(dataset.groups[rows], len(rows))
        fold = assign_group_folds(codes, label_mask, group_of_row, N_FOLDS, rng)
    for number in range(N_FOLDS):
        others = rows[fold != number]
        training = dataset.subset(others, dataset.class_factors(others))
        yield training, training.among(rows[fold == number])


def _warn_of_copies(dataset: Dataset) -> None:
    """Warn if many rows are the same, and would be on both sides of a split."""
    if dataset.groups is not None:
        return
    n_copies = count_copies(dataset.X, dataset.rows, dataset.categories)
    if n_copies:
        warn_user(
            f"{n_copies:,} of the {len(dataset.rows):,} rows of X with labels are the same as "
            "another row. If copies of a validation row are trained on, early stopping trains for "
            "too many epochs. Pass groups= to fit, with the same group for rows that belong "
            "together."
        )
