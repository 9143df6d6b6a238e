"""Weights by the fall of the losses in each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._adam import initial_logits, step_logits
from sk_mtl.weighting._base import TaskBatch, TaskWeighting
from sk_mtl.weighting._settings import Named, check_number, initial_averages

__all__ = ["FAMOWeighting"]


class FAMOWeighting(Named, TaskWeighting):
    r"""Weights such that all losses fall at equal rates, from the losses alone (FAMO).

    With the mean loss :math:`L_t` of a task over its labelled cells, logits :math:`\xi_t` and
    :math:`z = \mathrm{softmax}(\xi)`, the objective is

    .. math:: c \sum_t z_t \log L_t, \qquad c = \Bigl(\sum_t z_t / L_t\Bigr)^{-1},

    over the tasks of the batch, where c has no gradient: algorithm 1 of [1]_. After the step, the
    losses of the same rows are computed again, and with :math:`\delta_t = \log L_t - \log L_t'`
    the logits make a step of Adam along :math:`-(\partial z / \partial \xi)^T \delta - \gamma
    \xi`. Logits of tasks without a label in the batch stay as they are, with their moments.

    Under ``loss_normalization="cells"`` the softmax has the share of a task in the labelled cells
    of the batch as a factor. Under "tasks", and if all tasks have equally many cells, this is the
    published method. The weights, :math:`c z_t / L_t`, sum to 1. The losses after the step cost one
    more pass through the network, without gradients.

    Parameters
    ----------
    learning_rate : float, default=0.025
        Step size of the logits.

    gamma : float, default=0.001
        Decay of the logits: the larger, the more even the weights.

    momentum : float, default=0.0
        Momentum of the moving average, over the labelled cells of the batches, that stands for the
        loss of a task in its weight; at least 0 and below 1. With 0 it is the loss of the batch, as
        in the paper. The logits follow the losses of the batch all the same. For small batches and
        rare classes, see :class:`LogWeighting`.

    References
    ----------
    .. [1] B. Liu, Y. Feng, P. Stone, Q. Liu. "FAMO: Fast Adaptive Multitask Optimization".
       NeurIPS 2023, arXiv 2306.03792.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="famo")
    """

    _name = "famo"
    reads_losses_after = True

    def __init__(self, learning_rate: float = 0.025, gamma: float = 1e-3, momentum: float = 0.0):
        self.learning_rate = learning_rate
        self.gamma = gamma
        self.momentum = momentum

    def check_settings(self) -> None:
        check_number(self, "learning_rate", 0)
        check_number(self, "gamma", 0)
        check_number(self, "momentum", 0, 1, below=True)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        weight = np.full(n_tasks, 1 / n_tasks, dtype=np.float32)
        averages = initial_averages(n_tasks, self.momentum)
        return {"weight": weight, **initial_logits(n_tasks), **averages}

    def combine_batch(
        self, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import logs_of_losses, weighted_sum

        present = batch.present
        logs, losses, averages = logs_of_losses(batch, state, self.momentum)
        rates = self._probabilities(batch, state) / losses
        total = tf.reduce_sum(rates)
        weight = rates / tf.where(total > 0, total, 1.0)
        # The weights on the logarithms are those on the losses, times the losses.
        objective = weighted_sum(weight * losses, logs, present)
        return objective, {"weight": tf.where(present, weight, state["weight"]), **averages}

    def note_losses_after(
        self, batch: TaskBatch, means: Any, state: Mapping[str, Any]
    ) -> dict[str, Any]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import EPSILON, own_means

        present = batch.present
        after = tf.where(present, means, 1.0) + EPSILON
        fall = tf.math.log(own_means(batch) + EPSILON) - tf.math.log(after)
        z = self._probabilities(batch, state)
        gradient = z * (fall - tf.reduce_sum(z * fall)) + self.gamma * state["logit"]
        # A step after which the losses are not finite tells nothing of their fall.
        is_finite = tf.reduce_all(tf.math.is_finite(fall))
        gradient = tf.where(present & is_finite, gradient, 0.0)
        return step_logits(state, gradient, present & is_finite, self.learning_rate)

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)

    def _probabilities(self, batch: TaskBatch, state: Mapping[str, Any]) -> Any:
        """Return the softmax over the tasks present, with their shares as factors."""
        import tensorflow as tf

        from sk_mtl.weighting._shares import masked_softmax, shares_of

        shares = shares_of(batch)
        logits = state["logit"] + tf.math.log(tf.where(shares > 0, shares, 1.0))
        return masked_softmax(logits, batch.present & (shares > 0))
