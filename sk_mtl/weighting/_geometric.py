"""The geometric mean of the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskBatch, TaskWeighting
from sk_mtl.weighting._settings import Named, check_number, initial_averages

__all__ = ["GeometricMeanWeighting"]


class GeometricMeanWeighting(Named, TaskWeighting):
    r"""The geometric mean of the losses (GLS, geometric loss strategy).

    With the mean loss :math:`L_t` of a task over its labelled cells, the objective is

    .. math:: \prod_t L_t^{q_t}, \qquad q_t = p_t / \sum_u p_u,

    over the tasks of the batch: the geometric mean of [1]_. The factor :math:`p_t` is 1 under
    ``loss_normalization="tasks"``, as in the paper, and under "cells" the share of the task in the
    labelled cells of the batch. The weight of a task is the derivative of the objective with
    respect to its mean loss, :math:`q_t / L_t` times the objective.

    Parameters
    ----------
    momentum : float, default=0.0
        Momentum of the moving average, over the labelled cells of the batches, that stands for the
        loss of a task in its weight; at least 0 and below 1. With 0 it is the loss of the batch, as
        in the paper. For small batches and rare classes, see :class:`LogWeighting`.

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

    def __init__(self, momentum: float = 0.0):
        self.momentum = momentum

    def check_settings(self) -> None:
        check_number(self, "momentum", 0, 1, below=True)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        weight = np.full(n_tasks, 1 / n_tasks, dtype=np.float32)
        return {"weight": weight, **initial_averages(n_tasks, self.momentum)}

    def combine_batch(
        self, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import logs_of_losses, shares_of, weighted_sum

        present = batch.present
        shares = shares_of(batch)
        total = tf.reduce_sum(shares)
        exponents = shares / tf.where(total > 0, total, 1.0)
        logs, losses, averages = logs_of_losses(batch, state, self.momentum)
        mean = tf.exp(weighted_sum(exponents, logs, present))
        mean = tf.where(tf.reduce_any(present), mean, 0.0)
        weight = tf.stop_gradient(mean * exponents / losses)
        return mean, {"weight": tf.where(present, weight, state["weight"]), **averages}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)
