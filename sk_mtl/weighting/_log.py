"""The sum of the logarithms of the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskBatch, TaskWeighting
from sk_mtl.weighting._settings import Named

__all__ = ["LogWeighting"]


class LogWeighting(Named, TaskWeighting):
    r"""The sum of the logarithms of the losses, which brings all losses to one scale.

    With the mean loss :math:`L_t` of a task over its labelled cells, the objective is

    .. math:: \sum_t p_t \log L_t,

    over the tasks of the batch: the logarithmic transformation of DB-MTL, section 3.1 of [1]_. The
    weight of a task is :math:`p_t / L_t`. The factor :math:`p_t` is 1 under
    ``loss_normalization="tasks"``, as in the paper, and under "cells" the share of the task in the
    labelled cells of the batch: the logarithm balances how large losses are, and not how many.

    DB-MTL also averages the gradients of each task over the steps, and makes them equally long. The
    average needs a copy of the gradients for every task, and is not part of this strategy.

    References
    ----------
    .. [1] B. Lin, W. Jiang, F. Ye, Y. Zhang, P. Chen, Y.-C. Chen, S. Liu, J. T. Kwok.
       "Dual-Balancing for Multi-Task Learning". 2023, arXiv 2308.12029.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="log")
    """

    _name = "log"

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        return {"weight": np.ones(n_tasks, dtype=np.float32)}

    def combine_batch(
        self, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import EPSILON, own_means, shares_of, weighted_sum

        means = own_means(batch) + EPSILON
        objective = weighted_sum(shares_of(batch), tf.math.log(means), batch.present)
        weight = tf.where(batch.present, 1 / tf.stop_gradient(means), state["weight"])
        return objective, {"weight": weight}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)
