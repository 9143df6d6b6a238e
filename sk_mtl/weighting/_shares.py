"""What the losses of a batch say beside their means.

Under ``loss_normalization="cells"`` the loss of a task in the objective is its mean times its share
of the labelled cells of the batch; under "tasks" it is its mean. Strategies that see a task's mean
through a logarithm would lose the share: they carry it as a factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from sk_mtl.weighting._base import TaskBatch

__all__ = [
    "EPSILON",
    "count_float",
    "logs_of_losses",
    "masked_softmax",
    "own_means",
    "shares_of",
    "weighted_sum",
]

# Added to losses before their logarithm.
EPSILON = 1e-8


def own_means(batch: TaskBatch) -> Any:
    """Return the mean losses, and 1 for absent tasks."""
    return tf.where(batch.present, batch.means, 1.0)


def logs_of_losses(
    batch: TaskBatch, state: Mapping[str, Any], momentum: float
) -> tuple[Any, Any, dict[str, Any]]:
    """Return the logarithms of the losses, the losses in their derivatives, and new averages."""
    # With `momentum`, the loss is its moving average over the labelled cells of the batches, and
    # the derivative of the logarithm that of the batch's own loss divided by the average.
    means = own_means(batch)
    if momentum == 0:
        means += EPSILON
        return tf.math.log(means), tf.stop_gradient(means), {}
    own = tf.stop_gradient(means)
    added = {"loss_sum": batch.labelled * own, "cell_sum": batch.labelled}
    averages = {
        name: tf.where(batch.present, momentum * state[name] + (1 - momentum) * value, state[name])
        for name, value in added.items()
    }
    average = averages["loss_sum"] / tf.where(batch.present, averages["cell_sum"], 1.0)
    average = tf.where(batch.present, average, 1.0) + EPSILON
    return tf.math.log(average) + (means - own) / average, average, averages


def shares_of(batch: TaskBatch) -> Any:
    """Return the share of each task in the objective beside its mean, without gradient."""
    means, losses = tf.stop_gradient(batch.means), tf.stop_gradient(batch.losses)
    is_known = batch.present & (means > 0)
    # Of a task without any loss, the gradient is 0 whatever its share.
    shares = tf.where(is_known, losses, 1.0) / tf.where(is_known, means, 1.0)
    return tf.where(batch.present, shares, 0.0)


def count_float(present: Any) -> Any:
    """Return how many tasks are present, as float32, and 1 for none."""
    return tf.maximum(tf.reduce_sum(tf.cast(present, tf.float32)), 1.0)


def masked_softmax(logits: Any, present: Any) -> Any:
    """Return the softmax over the tasks present, and 0 for the others."""
    logits = tf.where(present, logits, -1e30)
    weights = tf.where(present, tf.exp(logits - tf.reduce_max(logits)), 0.0)
    total = tf.reduce_sum(weights)
    return weights / tf.where(total > 0, total, 1.0)


def weighted_sum(weights: Any, losses: Any, present: Any) -> Any:
    """Return the sum of losses of the tasks present, times weights that pass no gradient."""
    terms = tf.stop_gradient(tf.where(present, weights, 0.0)) * tf.where(present, losses, 0.0)
    return tf.reduce_sum(terms)
