"""Held-out rows: the folds of an ensemble, and what candidates predict for the others' cells.

Owns which rows each network learns from, and which it is stopped and judged by. Does not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import check_cv

from sk_mtl._data.labels import read_labels
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._data.schema import TargetSchema
from sk_mtl.model_selection._k_fold import (
    MultiTaskStratifiedGroupKFold,
    MultiTaskStratifiedKFold,
)
from sk_mtl.model_selection._rows import count_rows, take_rows

__all__ = ["HeldOutCells", "Part", "split_parts"]


class Part(NamedTuple):
    """The rows that a network learns from, and those that it is stopped and judged by."""

    X: Any
    y: Any
    sample_weight: Any
    validation_data: tuple[Any, ...]  # X, y and perhaps their weights

    @property
    def fit_params(self) -> dict[str, Any]:
        """The arguments of ``fit`` beside X and y."""
        return {"sample_weight": self.sample_weight, "validation_data": self.validation_data}


def split_parts(
    cv: Any, X: Any, y: Any, sample_weight: Any, groups: Any, missing_label: Any, seed: int
) -> list[Part]:
    """Return the parts of the folds."""
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        kind = MultiTaskStratifiedKFold if groups is None else MultiTaskStratifiedGroupKFold
        cv = kind(int(cv), shuffle=True, random_state=seed, missing_label=missing_label)
    parts = []
    for train, test in check_cv(cv).split(np.empty((count_rows(X), 0)), y, groups):
        of_train, of_test = (
            (take_rows(X, rows), take_rows(y, rows), _take_weight(sample_weight, rows))
            for rows in (np.asarray(train), np.asarray(test))
        )
        watched = of_test if sample_weight is not None else of_test[:2]
        parts.append(Part(*of_train, watched))
    return parts


def _take_weight(sample_weight: Any, rows: np.ndarray) -> Any:
    return None if sample_weight is None else take_rows(sample_weight, rows)


class HeldOutCells:
    """The labelled cells of the held-out rows of all parts, and their weights."""

    def __init__(self, parts: Sequence[Part], schema: TargetSchema, missing_label: Any):
        self._codes, weights = [], []
        for part in parts:
            _, y, *rest = part.validation_data
            table = schema.align(read_labels(y, missing_label=missing_label))
            weight = read_cell_weight(rest[0] if rest else None, table)
            # What a fit refuses, such as unknown labels, it refuses by itself.
            targets = schema.encode(table, weight, unknown="keep")
            counts = targets.label_mask & (targets.codes >= 0)
            self._codes.append(np.where(counts, targets.codes, -1))
            weights.append(np.where(counts, targets.cell_weight, 0))
        self.weights = weights

    def true_probabilities(self, part: int, probabilities: Sequence[np.ndarray]) -> np.ndarray:
        """Return the probability of each cell's true class, (n_rows, n_tasks); NaN for none."""
        # A task without labels in the training rows of a fold has none there.
        codes = self._codes[part]
        p_true = np.full(codes.shape, np.nan)
        for t, p in enumerate(probabilities):
            rows = np.flatnonzero(codes[:, t] >= 0)
            if p.shape[1]:
                p_true[rows, t] = p[rows, codes[rows, t]]
        return p_true
