"""From logits to class probabilities, one task or all, one member or the mean of several.

Owns the order of every sum, which depends neither on the number of rows nor on the processor.
Columns come first and rows last here, so that all operations run along the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sk_mtl._model.task_layout import TaskLayout
from sk_mtl._predict.activations import log_one_plus_exp

__all__ = [
    "average_members",
    "log_odds_by_column",
    "probabilities_by_column",
    "spread_by_column",
    "task_probabilities",
]

_LARGEST_LOGIT = np.float32(1e30)


def task_probabilities(logits: np.ndarray, n_outputs: Sequence[int]) -> list[np.ndarray]:
    """Turn logits, (n_rows, n_columns), into class probabilities, (n_rows, n_classes_t) by task."""
    return [p.T for p in probabilities_by_column(logits.T, n_outputs)]


def probabilities_by_column(logits: np.ndarray, n_outputs: Sequence[int]) -> list[np.ndarray]:
    """Turn logits, (n_columns, n_rows), into class probabilities, (n_classes_t, n_rows) by task."""
    # An infinite one, from features near the end of float32, would be NaN less itself.
    logits = np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    probabilities: list[np.ndarray] = [np.empty(0)] * len(n_outputs)
    for group in TaskLayout(tuple(n_outputs)).groups:
        classes = _softmax(logits[group.columns.T])
        for position, task in enumerate(group.tasks):
            probabilities[task] = classes[:, position]
    return probabilities


def log_odds_by_column(logits: np.ndarray, n_outputs: Sequence[int]) -> list[np.ndarray]:
    """Turn logits, (n_columns, n_rows), into log-odds of classes, (n_classes_t, n_rows) by task."""
    # Of more than two classes, they are log-probabilities less their mean: linear in the logits.
    logits = np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    stops = np.cumsum(n_outputs)[:-1]
    return [
        np.concatenate([-part, part]) if len(part) == 1 else part - _mean(part)
        for part in np.split(logits, stops)
    ]


def spread_by_column(logits: np.ndarray, n_outputs: Sequence[int]) -> list[np.ndarray]:
    """Return the deviation of probabilities over members, (n_classes_t, n_rows) by task."""
    # The logits have shape (n_members, n_columns, n_rows).
    logits = np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    spread: list[np.ndarray] = [np.empty(0)] * len(n_outputs)
    for group in TaskLayout(tuple(n_outputs)).groups:
        by_member = np.stack([_softmax(of_member[group.columns.T]) for of_member in logits])
        by_member -= _mean(by_member)
        by_member *= by_member
        deviation = np.sqrt(_mean(by_member))
        for position, task in enumerate(group.tasks):
            spread[task] = deviation[:, position]
    return spread


def average_members(logits: np.ndarray, n_outputs: Sequence[int]) -> np.ndarray:
    """Return the logits of the mean of members' probabilities, as `MeanOfMembers` does."""
    # From shape (n_members, n_columns, n_rows) to (n_columns, n_rows).
    logits = np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    averaged = np.empty(logits.shape[1:], np.float32)
    for group in TaskLayout(tuple(n_outputs)).groups:
        columns = group.columns.T
        classes = logits[:, columns]  # of shape (n_members, width, n_tasks, n_rows)
        if group.width == 1:
            both = np.empty_like(classes)
            log_one_plus_exp(classes, both)
            yes, no = np.clip(classes, -np.inf, 0), np.clip(-classes, -np.inf, 0)
            yes -= both
            no -= both
            averaged[columns] = _log_sum_exp(yes) - _log_sum_exp(no)
        else:
            total = _log_sum_exp(classes.swapaxes(0, 1))
            averaged[columns] = _log_sum_exp(classes - total[:, None])
    return averaged


def _softmax(classes: np.ndarray) -> np.ndarray:
    """Return class probabilities from logits of shape (width, ...)."""
    if len(classes) == 1:
        # The log-odds of a binary task are its second logit, where the first is 0.
        classes = np.concatenate([np.zeros_like(classes), classes])
    classes -= classes.max(axis=0)
    np.exp(classes, out=classes)
    classes /= _sum(classes)
    return classes


def _log_sum_exp(terms: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sum of exponentials over the first axis."""
    largest = terms.max(axis=0)
    total = _sum(np.exp(terms - largest))
    return largest + np.log(total)


def _sum(terms: Iterable[np.ndarray]) -> np.ndarray:
    """Sum over the first axis one after the other; the order of sum() depends on the rows."""
    first, *others = terms
    total = first.copy()
    for term in others:
        total += term
    return total


def _mean(terms: np.ndarray) -> np.ndarray:
    return _sum(terms) / np.float32(len(terms))
