"""Completing a table of labels: each missing label, given X and the known labels of its row.

Owns what a known label may reach: never its own output. Knows no tables but arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sk_mtl._data.known_labels import HIDDEN, MISSING
from sk_mtl._fit.fitted import FittedModel

__all__ = ["complete_codes", "complete_probabilities", "draw_completed", "leave_labels_out"]


def complete_codes(fitted: FittedModel, X: Any, known: np.ndarray) -> np.ndarray:
    """Return class indices, (n_samples, n_tasks): known ones, and the most probable of others."""
    probabilities = fitted.probabilities(X, calibrated=False, known=known)
    codes = known.copy()
    for t, p in enumerate(probabilities):
        is_missing = known[:, t] < 0
        codes[is_missing, t] = p[is_missing].argmax(axis=1) if fitted.has_labels[t] else 0
    return codes


def complete_probabilities(
    fitted: FittedModel, X: Any, known: np.ndarray, leave_one_out: bool
) -> list[np.ndarray]:
    """Return class probabilities by task, (n_samples, n_classes_t), given the known labels."""
    probabilities = fitted.probabilities(X, known=known)
    for t, p in enumerate(probabilities):
        rows = np.flatnonzero(known[:, t] >= 0)
        if leave_one_out:
            if len(rows):
                # As if the cell were a hole, whose prediction it thus equals.
                p[rows] = _without(fitted, X[rows], known[rows], t, MISSING)[t]
        else:
            p[rows] = 0
            p[rows, known[rows, t]] = 1
    return probabilities


def draw_completed(
    fitted: FittedModel, X: Any, known: np.ndarray, n: int, rng: np.random.RandomState
) -> Iterator[np.ndarray]:
    """Draw completed class indices n times, one hole of a row after another in random order."""
    can_draw = np.array([k >= 2 for k in fitted.schema.n_classes]) & fitted.has_labels
    is_hole = (known < 0) & can_draw
    n_holes = is_hole.sum(axis=1)
    # Of a task with one class, or without labels, nothing is drawn.
    others = complete_codes(fitted, X, known) if not can_draw.all() else known
    for _ in range(n):
        codes = known.copy()
        order = np.where(is_hole, rng.random_sample(known.shape), 2.0).argsort(axis=1)
        uniform = rng.random_sample(known.shape)
        for step in range(n_holes.max(initial=0)):
            rows = np.flatnonzero(n_holes > step)
            tasks = order[rows, step]
            probabilities = fitted.probabilities(X[rows], known=codes[rows])
            for t in np.unique(tasks):
                chosen = tasks == t
                at = rows[chosen]
                codes[at, t] = _draw(probabilities[t][chosen], uniform[at, step])
        yield np.where((codes < 0), others, codes)


def leave_labels_out(
    fitted: FittedModel, X: Any, known: np.ndarray, task: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a task's probabilities given the labels of others, and what each of these adds."""
    # Of shape (n_samples, n_classes_t), and (n_samples, n_tasks, n_classes_t), where NaN stands for
    # a label that is missing.
    given = known.copy()
    given[:, task] = MISSING
    whole = fitted.probabilities(X, known=given)[task]
    effects = np.full((len(given), given.shape[1], whole.shape[1]), np.nan, dtype=np.float32)
    for other in range(given.shape[1]):
        rows = np.flatnonzero(given[:, other] >= 0)
        if len(rows):
            without = _without(fitted, X[rows], given[rows], other, HIDDEN)[task]
            effects[rows, other] = whole[rows] - without
    return whole, effects


def _without(
    fitted: FittedModel, X: Any, known: np.ndarray, task: int, instead: int
) -> list[np.ndarray]:
    """Return probabilities by task as if the labels of a task were missing, or hidden."""
    given = known.copy()
    given[:, task] = instead
    return fitted.probabilities(X, known=given)


def _draw(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw class indices by inverting the cumulative probabilities."""
    reached = probabilities.cumsum(axis=1, dtype=np.float64)
    return (uniform[:, None] * reached[:, -1:] >= reached[:, :-1]).sum(axis=1)
