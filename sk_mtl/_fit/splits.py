"""Splits: which rows are trained on and which are for validation, once or by folds.

Does not know the network, nor what is done with the rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sk_mtl._data.dataset import Dataset, Subset
from sk_mtl.model_selection import stratified_holdout
from sk_mtl.model_selection._iterative import assign_folds

__all__ = ["split_folds", "split_validation"]


def split_validation(dataset: Dataset, fraction: float, seed: int) -> tuple[Subset, Subset]:
    """Split the rows into training rows, in which every task keeps labels, and validation rows."""
    rows, active = dataset.rows, dataset.is_learnable
    train_part, validation_part = stratified_holdout(
        dataset.targets.codes[rows][:, active],
        dataset.targets.label_mask[rows][:, active],
        holdout_fraction=fraction,
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


def split_folds(dataset: Dataset, n_folds: int, seed: int) -> Iterator[tuple[Subset, Subset]]:
    """Yield, for each fold, the other rows to train on and its own for validation."""
    rows, active = dataset.rows, dataset.is_learnable
    fold = assign_folds(
        dataset.targets.codes[rows][:, active],
        dataset.targets.label_mask[rows][:, active],
        n_folds,
        np.random.RandomState(int(np.random.default_rng([seed, 2]).integers(2**31))),
    )
    for number in range(n_folds):
        others = rows[fold != number]
        training = dataset.subset(others, dataset.class_factors(others))
        yield training, training.among(rows[fold == number])
