"""The values of a network in training, as tensors: what a step takes and gives.

With one more axis in front they are those of several networks, the members of a pack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from sk_mtl._compat.interrupts import interrupts_deferred

__all__ = ["Batch", "Rates", "UnlabelledBatch", "Values", "stack_members", "take_member"]


class Values(NamedTuple):
    """What a step changes."""

    network: list[Any]  # in the order of `network_variables`
    weighting: dict[str, Any]  # the state of the task weighting
    optimizer: list[Any]  # in the order of the optimizer's variables
    averages: list[Any]  # of the weights, if they are averaged
    n_averaged: Any  # steps in the averages, int32
    teacher: list[Any]  # the teacher's network, if there is one
    n_taught: Any  # steps that the teacher has followed, int32


class Rates(NamedTuple):
    """What is fed into a step besides values and rows; the fields are those of `RunConfig`."""

    dropout: Any  # float32
    l2: Any  # relative to that of the program
    weight_decay: Any
    ema_momentum: Any
    logit_offsets: Any  # float32 of shape (sum(n_outputs),)
    label_smoothing: Any  # float32 of shape (n_tasks,)
    seed: Any  # of the noise in the features of unlabelled rows, int64


class UnlabelledBatch(NamedTuple):
    """Rows with unlabelled cells of a step."""

    X: Any  # float32 of shape (n_rows, n_features)
    weight: Any  # float32 of shape (n_rows, n_tasks); 0 for labelled cells
    factor: Any  # weight of these rows relative to the labelled ones


class Batch(NamedTuple):
    """The rows of a step; of several members and steps, with two more axes in front."""

    X: Any  # float32 of shape (n_rows, n_features)
    codes: Any  # int32 of shape (n_rows, n_tasks)
    weight: Any  # float32 of shape (n_rows, n_tasks); 0 for unlabelled cells
    is_used: Any  # whether there is a step to make; an epoch of another member may be longer
    unlabelled: UnlabelledBatch | tuple[()] = ()


@interrupts_deferred()
def stack_members(members: Sequence[Any]) -> Any:
    """Return structures of arrays as one structure of tensors, with members on axis 0."""
    return tf.nest.map_structure(lambda *parts: tf.constant(np.stack(parts)), *members)


def take_member(members: Any, number: int) -> Any:
    """Return a copy of the arrays of one member."""
    return tf.nest.map_structure(lambda part: np.array(part.numpy()[number]), members)
