"""Masked losses summed over the cells of each task, for the training loop.

Logits have the shape (n_samples, sum(n_outputs)), laid out as in `TaskLayout`. Codes and weights
have the shape (n_samples, n_tasks); where a label is missing, the weight is 0 and the code may be
any class. Tasks of one width are computed together, so that the number of operations grows with the
number of distinct widths and not with the number of tasks.

A missing label is masked twice, before the loss of its cell and after it: zero times infinity is
NaN, in the gradient too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from sk_mtl._model.task_layout import TaskGroup, TaskLayout

__all__ = [
    "member_cross_entropy",
    "member_margins",
    "task_cross_entropy",
    "task_disagreement",
    "task_margins",
    "task_means",
]


def task_cross_entropy(
    logits: Any,
    codes: Any,
    weight: Any,
    n_outputs: Sequence[int],
    focal_gamma: float | None = None,
) -> tuple[Any, Any]:
    """Return by task the sums of weight times cross-entropy (or focal loss), and of weights."""

    def cells(group: TaskGroup, labelled: Any) -> Any:
        own = _masked(_take(logits, group.columns), labelled, group.width)
        of_group = _take(codes, group.tasks)
        return _cell_cross_entropy(own, of_group, group.width, focal_gamma)

    return _sum_cells(cells, weight, n_outputs), ops.sum(weight, axis=0)


def task_margins(logits: Any, codes: Any, weight: Any, n_outputs: Sequence[int]) -> Any:
    """Return by task the sum of weight times margin: the true class's logit minus the mean."""
    # With label smoothing by a share, the cross-entropy grows by the share times this.

    def cells(group: TaskGroup, labelled: Any) -> Any:
        own = _masked(_take(logits, group.columns), labelled, group.width)
        return _cell_margin(own, _take(codes, group.tasks), group.width)

    return _sum_cells(cells, weight, n_outputs)


def member_cross_entropy(
    logits: Any,
    codes: Any,
    weight: Any,
    n_outputs: Sequence[int],
    focal_gamma: float | None = None,
) -> tuple[Any, Any]:
    """Return the mean of `task_cross_entropy` over members, which are on axis 1 of the logits."""
    rows = _members_as_rows(logits, codes, weight)
    loss_sum, _ = task_cross_entropy(*rows, n_outputs, focal_gamma)
    return loss_sum / logits.shape[1], ops.sum(weight, axis=0)


def member_margins(logits: Any, codes: Any, weight: Any, n_outputs: Sequence[int]) -> Any:
    """Return the mean of `task_margins` over members, which are on axis 1 of the logits."""
    return task_margins(*_members_as_rows(logits, codes, weight), n_outputs) / logits.shape[1]


def task_disagreement(
    logits: Any,
    teacher_logits: Any,
    weight: Any,
    n_outputs: Sequence[int],
    threshold: float | None = None,
) -> tuple[Any, Any]:
    """Return by task the sums of weight times cross-entropy with a teacher, and of weights."""
    # A cell's is -Σ q_k log p_k with the teacher's probabilities q and the network's p; with a
    # threshold, -log p_k of the class with the largest q_k, or 0 if that is below the threshold.
    # Such cells still count in the sum of weights (Sohn et al. 2020, equation 4), so that a few
    # confident cells weigh less than many. If the logits have members on axis 1, the result is
    # their mean.
    weight_sum, n_members = ops.sum(weight, axis=0), 1
    if len(logits.shape) == 3:
        n_members = logits.shape[1]
        logits, teacher_logits, weight = _members_as_rows(logits, teacher_logits, weight)

    def cells(group: TaskGroup, labelled: Any) -> Any:
        own = _masked(_take(logits, group.columns), labelled, group.width)
        other = _by_task(_take(teacher_logits, group.columns), len(group.tasks), group.width)
        return _cell_disagreement(own, other, group.width, threshold)

    return _sum_cells(cells, weight, n_outputs) / n_members, weight_sum


def task_means(loss_sum: Any, weight_sum: Any) -> Any:
    """Divide sums of losses by sums of weights; 0 for a task without a labelled cell."""
    present = weight_sum > 0
    safe_weight = ops.where(present, weight_sum, ops.ones_like(weight_sum))
    return ops.where(present, loss_sum / safe_weight, ops.zeros_like(loss_sum))


def _sum_cells(
    cells: Callable[[TaskGroup, Any], Any], weight: Any, n_outputs: Sequence[int]
) -> Any:
    """Return the weighted sum by task of what `cells` gives for the tasks of a group."""
    layout, sums = TaskLayout(tuple(n_outputs)), []
    for group in layout.groups:
        group_weight = _take(weight, group.tasks)
        labelled = group_weight > 0
        cell = cells(group, labelled)
        cell = ops.where(labelled, cell, ops.zeros_like(cell))
        sums.append(ops.sum(group_weight * cell, axis=0))
    by_task = ops.concatenate(sums) if len(sums) > 1 else sums[0]
    return by_task if layout.task_order is None else ops.take(by_task, layout.task_order)


def _masked(logits: Any, labelled: Any, width: int) -> Any:
    """Return logits by task, with 0 under the mask."""
    logits = _by_task(logits, labelled.shape[1], width)
    mask = labelled if width == 1 else labelled[..., None]
    return ops.where(mask, logits, ops.zeros_like(logits))


def _by_task(logits: Any, n_tasks: int, width: int) -> Any:
    """Return logits as (n_samples, n_tasks), or with several columns as (..., width)."""
    return logits if width == 1 else ops.reshape(logits, (-1, n_tasks, width))


def _cell_cross_entropy(logits: Any, codes: Any, width: int, focal_gamma: float | None) -> Any:
    """Return the cross-entropy, or the focal loss, per cell, (n_samples, n_tasks)."""
    if width == 1:
        cell = ops.binary_crossentropy(ops.cast(codes, logits.dtype), logits, from_logits=True)
    else:
        cell = ops.sparse_categorical_crossentropy(codes, logits, from_logits=True)
    if focal_gamma is not None:
        # By its logarithm: a small power of 0 has no finite gradient.
        cell = cell * ops.exp(focal_gamma * _log_of_rest(logits, codes, width))
    return cell


def _log_of_rest(logits: Any, codes: Any, width: int) -> Any:
    """Return the logarithm of the probability of the other classes, (n_samples, n_tasks)."""
    if width == 1:
        return -ops.softplus(logits * (2 * ops.cast(codes, logits.dtype) - 1))
    is_true = ops.one_hot(codes, width, dtype=logits.dtype) > 0
    others = ops.where(is_true, ops.full_like(logits, -1e9), logits)
    return ops.logsumexp(others, axis=-1) - ops.logsumexp(logits, axis=-1)


def _cell_margin(logits: Any, codes: Any, width: int) -> Any:
    """Return the true class's logit minus the mean of all, (n_samples, n_tasks)."""
    if width == 1:  # the logit of the other class is 0
        return logits * (ops.cast(codes, logits.dtype) - 0.5)
    of_true = ops.sum(logits * ops.one_hot(codes, width, dtype=logits.dtype), axis=-1)
    return of_true - ops.mean(logits, axis=-1)


def _cell_disagreement(own: Any, other: Any, width: int, threshold: float | None) -> Any:
    """Return the cross-entropy between a teacher's and the own logits, (n_samples, n_tasks)."""
    q = ops.sigmoid(other) if width == 1 else ops.softmax(other, axis=-1)
    is_sure = True
    if threshold is not None:
        largest = ops.maximum(q, 1 - q) if width == 1 else ops.max(q, axis=-1)
        is_sure = largest >= threshold
        q = q > 0.5 if width == 1 else ops.one_hot(tf.argmax(q, axis=-1), width)
        q = ops.cast(q, own.dtype)
    if width == 1:
        cell = ops.binary_crossentropy(q, own, from_logits=True)
    else:
        cell = ops.categorical_crossentropy(q, own, from_logits=True)
    return cell if threshold is None else ops.where(is_sure, cell, 0.0)


def _members_as_rows(logits: Any, targets: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return the logits with members on axis 0, and targets and weights repeated to match."""
    n_members, n_columns = logits.shape[1:]
    return (
        ops.reshape(logits, (-1, n_columns)),
        ops.repeat(targets, n_members, axis=0),
        ops.repeat(weight, n_members, axis=0),
    )


def _take(matrix: Any, columns: np.ndarray) -> Any:
    """Return columns of a matrix; adjacent ones by slicing."""
    columns = columns.ravel()
    if len(columns) == matrix.shape[1] and (columns == np.arange(len(columns))).all():
        return matrix
    if (np.diff(columns) == 1).all():
        return matrix[:, int(columns[0]) : int(columns[-1]) + 1]
    return ops.take(matrix, columns, axis=1)
