"""Weights by the norms of the gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._adam import initial_logits, step_logits
from sk_mtl.weighting._base import GradientWeighting, TaskBatch
from sk_mtl.weighting._gram_weighting import hold_weights
from sk_mtl.weighting._settings import Named, check_number

__all__ = ["GradNormWeighting"]


class GradNormWeighting(Named, GradientWeighting):
    r"""Weights learned such that tasks train at similar rates (GradNorm).

    With the norms :math:`n_t` of the gradients at the representation and the losses
    :math:`L_t`, relative to their first ones, :math:`r_t = (L_t / L_t(0)) / \mathrm{mean}`, the
    weights move by the gradient of

    .. math:: \sum_t \bigl| w_t n_t - \bar{G} r_t^\alpha \bigr|,
        \qquad \bar{G} = \mathrm{mean}_t \, w_t n_t,

    where the second term has no gradient: equation 2 and algorithm 1 of [1]_, over the tasks of the
    batch. The weights are the softmax of logits over these tasks, times their number, so that they
    stay positive and keep their sum. The logits make steps of Adam.

    The first loss of a task is that of the first batch that has a label of it. Logits of tasks
    without a label in the batch stay as they are, with their moments.

    Parameters
    ----------
    alpha : float, default=1.5
        How strongly tasks that train slowly are favoured.

    learning_rate : float, default=0.025
        Step size of the logits.

    References
    ----------
    .. [1] Z. Chen, V. Badrinarayanan, C.-Y. Lee, A. Rabinovich. "GradNorm: Gradient Normalization
       for Adaptive Loss Balancing in Deep Multitask Networks". ICML 2018, arXiv 1711.02257.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import GradNormWeighting
    >>> clf = MultiTaskClassifier(task_weighting=GradNormWeighting(alpha=0.5))
    """

    _name = "gradnorm"
    factorizes = False
    reads_norms_only = True

    def __init__(self, alpha: float = 1.5, learning_rate: float = 0.025):
        self.alpha = alpha
        self.learning_rate = learning_rate

    def check_settings(self) -> None:
        check_number(self, "alpha", 0)
        check_number(self, "learning_rate", 0)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        first = np.zeros(n_tasks, dtype=np.float32)  # 0: not known yet
        weight = np.ones(n_tasks, dtype=np.float32)
        return {"weight": weight, "first": first, **initial_logits(n_tasks)}

    def weigh(self, batch: TaskBatch, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import count_float, masked_softmax

        present = batch.present
        n_present = count_float(present)
        means = tf.where(present, batch.means, 0.0)
        first = tf.where(present & (state["first"] == 0), means, state["first"])
        is_known = present & (first > 0)
        rate = tf.where(is_known, means, 1.0) / tf.where(is_known, first, 1.0)
        rate = tf.where(present, rate, 0.0)
        mean_rate = tf.reduce_sum(rate) / n_present
        rate = tf.where(mean_rate > 0, rate / tf.where(mean_rate > 0, mean_rate, 1.0), 1.0)

        squares = tf.where(present, tf.linalg.diag_part(batch.gram), 0.0)
        norms = tf.sqrt(tf.maximum(squares, 0.0))
        weight = n_present * masked_softmax(state["logit"], present)
        weighted = weight * norms
        wanted = tf.reduce_sum(weighted) / n_present * rate**self.alpha
        by_weight = tf.where(present, norms * tf.sign(weighted - wanted), 0.0)
        # Through the softmax.
        by_logit = weight * (by_weight - tf.reduce_sum(weight * by_weight) / n_present)
        moves = present & tf.reduce_all(tf.math.is_finite(by_logit))
        moved = step_logits(state, tf.where(moves, by_logit, 0.0), moves, self.learning_rate)
        # The step is made with the weights before they move.
        weights = hold_weights(weight, present, state["weight"], False)
        return weights, {"weight": weights, "first": first, **moved}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)
