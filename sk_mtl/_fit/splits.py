"""Splits: which rows are trained on and which are for validation, once or by folds.

Does not know the network, nor what is done with the rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sk_mtl._data.dataset import LabelledRows, Problem
from sk_mtl.model_selection import stratified_holdout
from sk_mtl.model_selection._holdout import assign_folds

__all__ = ["hold_out", "hold_out_in_turn"]


def hold_out(problem: Problem, fraction: float, seed: int) -> tuple[LabelledRows, LabelledRows]:
    """Split the rows into those to train on and those to watch.

    Parameters
    ----------
    problem : Problem
        What is to be learned.
    fraction : float
        Share of the rows to watch.
    seed : int
        Seed of the draw.

    Returns
    -------
    training : LabelledRows
        Rows to train on; every task keeps labelled cells.
    held_out : LabelledRows
        Rows to watch, of the same arrays.

    Raises
    ------
    ValueError
        If one of the two parts would be empty.
    """
    rows, active = problem.rows, problem.is_active
    train_part, watched_part = stratified_holdout(
        problem.targets.codes[rows][:, active],
        problem.targets.label_mask[rows][:, active],
        holdout_fraction=fraction,
        random_state=int(np.random.default_rng([seed, 2]).integers(2**31)),
    )
    if len(train_part) == 0 or len(watched_part) == 0:
        raise ValueError(
            f"Early stopping with validation_fraction={fraction} leaves {len(train_part)} rows to "
            f"train on and {len(watched_part)} to watch, of {len(rows)} with labels. Change the "
            "fraction, or set early_stopping=False."
        )
    factors = problem.class_factors(rows[train_part])
    training = problem.labelled_rows(rows[train_part], factors)
    return training, training.among(rows[watched_part])


def hold_out_in_turn(
    problem: Problem, n_folds: int, seed: int
) -> Iterator[tuple[LabelledRows, LabelledRows]]:
    """Split the rows, once for each fold, into those to train on and those of the fold.

    Parameters
    ----------
    problem : Problem
        What is to be learned.
    n_folds : int
        Number of folds, at most that of the rows with labels.
    seed : int
        Seed of the draw.

    Yields
    ------
    training : LabelledRows
        Rows to train on.
    held_out : LabelledRows
        Rows to watch, of the same arrays.
    """
    rows, active = problem.rows, problem.is_active
    fold = assign_folds(
        problem.targets.codes[rows][:, active],
        problem.targets.label_mask[rows][:, active],
        n_folds,
        np.random.RandomState(int(np.random.default_rng([seed, 2]).integers(2**31))),
    )
    for number in range(n_folds):
        others = rows[fold != number]
        training = problem.labelled_rows(others, problem.class_factors(others))
        yield training, training.among(rows[fold == number])
