"""Dynamic weight average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskBatch, TaskWeighting
from sk_mtl.weighting._settings import Named, check_number

__all__ = ["DWAWeighting"]


class DWAWeighting(Named, TaskWeighting):
    r"""Weights by how fast the losses fell from one epoch to the next (dynamic weight average).

    With the mean loss :math:`L_t(e)` of a task in epoch e, :math:`r_t = L_t(e-1) / L_t(e-2)` and
    the temperature T, the weights are

    .. math:: \lambda_t = K \frac{\exp(r_t / T)}{\sum_u \exp(r_u / T)},

    equation 7 of [1]_, with sum and number K over the tasks of the batch: those that have a
    labelled cell in it. They multiply the losses as these count in the objective.

    The mean of an epoch is one over its labelled cells, whichever batches hold them. An epoch
    without a label of a task does not exist for that task, whose rate is then that of the last two
    epochs with one; until there are two, its rate is 1.

    Parameters
    ----------
    temperature : float, default=2.0
        The temperature T. The larger, the more even the weights.

    References
    ----------
    .. [1] S. Liu, E. Johns, A. J. Davison. "End-to-End Multi-Task Learning with Attention".
       CVPR 2019, arXiv 1803.10704.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import DWAWeighting
    >>> clf = MultiTaskClassifier(task_weighting=DWAWeighting(temperature=1.0))
    """

    _name = "dwa"
    reads_epoch = True

    def __init__(self, temperature: float = 2.0):
        self.temperature = temperature

    def check_settings(self) -> None:
        check_number(self, "temperature", 0, above=True)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        # Of each task: its last epoch, the mean in it so far and its cells; the means before that.
        names = ("epoch", "mean", "cells", "last", "before")
        zeros = {name: np.zeros(n_tasks, dtype=np.float32) for name in names}
        return {"weight": np.ones(n_tasks, dtype=np.float32), **zeros}

    def combine_batch(
        self, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import count_float, masked_softmax, weighted_sum

        present = batch.present
        epoch = tf.cast(batch.epoch, tf.float32)
        # A fit that goes on may count its epochs from 1 again.
        is_new = present & (state["epoch"] != epoch)
        had_cells = is_new & (state["cells"] > 0)
        before = tf.where(had_cells, state["last"], state["before"])
        last = tf.where(had_cells, state["mean"], state["last"])
        mean = tf.where(is_new, 0.0, state["mean"])
        cells = tf.where(is_new, 0.0, state["cells"])

        is_known = present & (before > 0)
        rate = tf.where(is_known, last, 1.0) / tf.where(is_known, before, 1.0)
        weight = count_float(present) * masked_softmax(rate / self.temperature, present)

        added = tf.where(present, batch.labelled, 0.0)
        cells += added
        change = tf.stop_gradient(tf.where(present, batch.means, 0.0)) - mean
        mean += tf.where(present, change * added / tf.where(cells > 0, cells, 1.0), 0.0)
        new = {
            "weight": tf.where(present, weight, state["weight"]),
            "epoch": tf.where(present, epoch, state["epoch"]),
            "mean": mean,
            "cells": cells,
            "last": last,
            "before": before,
        }
        return weighted_sum(weight, batch.losses, present), new

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)
