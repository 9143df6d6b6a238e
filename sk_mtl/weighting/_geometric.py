"""The geometric mean of the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskBatch, TaskWeighting
from sk_mtl.weighting._settings import Named

__all__ = ["GeometricMeanWeighting"]


class GeometricMeanWeighting(Named, TaskWeighting):
    r"""The geometric mean of the losses (GLS, geometric loss strategy).

    With the mean loss :math:`L_t` of a task over its labelled cells, the objective is

    .. math:: \prod_t L_t^{q_t}, \qquad q_t = p_t / \sum_u p_u,

    over the tasks of the batch: the geometric mean of [1]_. The factor :math:`p_t` is 1 under
    ``loss_normalization="tasks"``, as in the paper, and under "cells" the share of the task in the
    labelled cells of the batch. The weight of a task is the derivative of the objective with
    respect to its mean loss, :math:`q_t / L_t` times the objective.

    References
    ----------
    .. [1] S. Chennupati, G. Sistu, S. Yogamani, S. A. Rawashdeh. "MultiNet++: Multi-Stream Feature
       Aggregation and Geometric Loss Strategy for Multi-Task Learning". CVPR Workshops 2019,
       arXiv 1904.08492.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="gls")
    """

    _name = "gls"

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        return {"weight": np.full(n_tasks, 1 / n_tasks, dtype=np.float32)}

    def combine_batch(
        self, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import EPSILON, own_means, shares_of, weighted_sum

        present = batch.present
        shares = shares_of(batch)
        total = tf.reduce_sum(shares)
        exponents = shares / tf.where(total > 0, total, 1.0)
        means = own_means(batch) + EPSILON
        mean = tf.exp(weighted_sum(exponents, tf.math.log(means), present))
        mean = tf.where(tf.reduce_any(present), mean, 0.0)
        weight = tf.stop_gradient(mean * exponents / means)
        return mean, {"weight": tf.where(present, weight, state["weight"])}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)
