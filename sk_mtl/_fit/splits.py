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
    """Split the rows into those to train on and those to watch.

    Parameters
    ----------
    dataset : Dataset
        What is to be learned.
    fraction : float
        Share of the rows to watch.
    seed : int
        Seed of the draw.

    Returns
    -------
    training : Subset
        Rows to train on; every task keeps labelled cells.
    held_out : Subset
        Rows to watch, of the same arrays.

    Raises
    ------
    ValueError
        If one of the two parts would be empty.
    """
    rows, active = dataset.rows, dataset.is_learnable
    train_part, watched_part = stratified_holdout(
        dataset.targets.codes[rows][:, active],
        dataset.targets.label_mask[rows][:, active],
        holdout_fraction=fraction,
        random_state=int(np.random.default_rng([seed, 2]).integers(2**31)),
    )
    if len(train_part) == 0 or len(watched_part) == 0:
        raise ValueError(
            f"Early stopping with validation_fraction={fraction} leaves {len(train_part)} rows to "
            f"train on and {len(watched_part)} to watch, of {len(rows)} with labels. Change the "
            "fraction, or set early_stopping=False."
        )
    factors = dataset.class_factors(rows[train_part])
    training = dataset.subset(rows[train_part], factors)
    return training, training.among(rows[watched_part])


def split_folds(dataset: Dataset, n_folds: int, seed: int) -> Iterator[tuple[Subset, Subset]]:
    """Split the rows, once for each fold, into those to train on and those of the fold.

    Parameters
    ----------
    dataset : Dataset
        What is to be learned.
    n_folds : int
        Number of folds, at most that of the rows with labels.
    seed : int
        Seed of the draw.

    Yields
    ------
    training : Subset
        Rows to train on.
    held_out : Subset
        Rows to watch, of the same arrays.
    """
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
