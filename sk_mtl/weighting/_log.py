"""The sum of the logarithms of the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskBatch, TaskWeighting
from sk_mtl.weighting._settings import Named, check_number, initial_averages

__all__ = ["LogWeighting"]


class LogWeighting(Named, TaskWeighting):
    r"""The sum of the logarithms of the losses, which brings all losses to one scale.

    With the mean loss :math:`L_t` of a task over its labelled cells, the objective is

    .. math:: \sum_t p_t \log L_t,

    over the tasks of the batch: the logarithmic transformation of DB-MTL, section 3.1 of [1]_. The
    weight of a task is :math:`p_t / L_t`. The factor :math:`p_t` is 1 under
    ``loss_normalization="tasks"``, as in the paper, and under "cells" the share of the task in the
    labelled cells of the batch: the logarithm balances how large losses are, and not how many.

    The mean of these logarithms over the batches is not the logarithm of the mean loss. In batches
    that lack a rare class, it falls without bound as the probability of that class goes to 0; so
    rare classes are underestimated, the more so the smaller the batches. With `momentum`, the
    weight is :math:`p_t / \bar L_t`, where :math:`\bar L_t` is a moving average of the loss; that
    is the gradient of the logarithm of the mean, but for the delay.

    DB-MTL also averages the gradients of each task over the steps, and makes them equally long. The
    average needs a copy of the gradients for every task, and is not part of this strategy.

    Parameters
    ----------
    momentum : float, default=0.0
        Momentum of the moving average, over the labelled cells of the batches, that stands for the
        loss of a task in its weight; at least 0 and below 1. With 0 it is the loss of the batch, as
        in the paper.

    References
    ----------
    .. [1] B. Lin, W. Jiang, F. Ye, Y. Zhang, P. Chen, Y.-C. Chen, S. Liu, J. T. Kwok.
       "Dual-Balancing for Multi-Task Learning". 2023, arXiv 2308.12029.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import LogWeighting
    >>> clf = MultiTaskClassifier(task_weighting=LogWeighting(momentum=0.99))
    """

    _name = "log"

    def __init__(self, momentum: float = 0.0):
        self.momentum = momentum

    def check_settings(self) -> None:
        check_number(self, "momentum", 0, 1, below=True)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        weight = np.ones(n_tasks, dtype=np.float32)
        return {"weight": weight, **initial_averages(n_tasks, self.momentum)}

    def combine_batch(
        self, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import logs_of_losses, shares_of, weighted_sum

        logs, losses, averages = logs_of_losses(batch, state, self.momentum)
        objective = weighted_sum(shares_of(batch), logs, batch.present)
        weight = tf.where(batch.present, 1 / losses, state["weight"])
        return objective, {"weight": weight, **averages}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)
