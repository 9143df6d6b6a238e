"""Smooth Tchebycheff scalarization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskBatch, TaskWeighting
from sk_mtl.weighting._settings import Named, check_integer, check_number, initial_averages

__all__ = ["SmoothTchebycheffWeighting"]


class SmoothTchebycheffWeighting(Named, TaskWeighting):
    r"""A smooth maximum of the losses, each relative to its size after some epochs (STCH).

    With the mean loss :math:`L_t` of a task over its labelled cells and its mean :math:`z_t` in the
    last epoch of the warm-up, the objective is

    .. math:: P \mu \log \sum_t p_t \exp(\log(L_t / z_t) / \mu), \qquad P = \sum_t p_t,

    over the tasks of the batch: the scalarization of [1]_, with the logarithms, the warm-up and the
    factor P of the authors' program for multi-task learning. During the warm-up the objective is
    that of :class:`LogWeighting`. The factor :math:`p_t` is 1 under ``loss_normalization="tasks"``,
    as in the paper, and under "cells" the share of the task in the labelled cells of the batch.

    For a task without a label in the last epoch of the warm-up, :math:`z_t` is the mean of the
    first batch that has one.

    Parameters
    ----------
    mu : float, default=1.0
        The smoothing :math:`\mu`: the smaller, the nearer to the maximum.

    warmup_epochs : int, default=5
        Number of epochs of warm-up.

    momentum : float, default=0.0
        Momentum of the moving average, over the labelled cells of the batches, that stands for the
        loss of a task in its weight; at least 0 and below 1. With 0 it is the loss of the batch, as
        in the paper. For small batches and rare classes, see :class:`LogWeighting`.

    References
    ----------
    .. [1] X. Lin, X. Zhang, Z. Yang, F. Liu, Z. Wang, Q. Zhang. "Smooth Tchebycheff Scalarization
       for Multi-Objective Optimization". ICML 2024, arXiv 2402.19078.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import SmoothTchebycheffWeighting
    >>> clf = MultiTaskClassifier(task_weighting=SmoothTchebycheffWeighting(mu=0.5))
    """

    _name = "stch"
    reads_epoch = True

    def __init__(self, mu: float = 1.0, warmup_epochs: int = 5, momentum: float = 0.0):
        self.mu = mu
        self.warmup_epochs = warmup_epochs
        self.momentum = momentum

    def check_settings(self) -> None:
        check_number(self, "mu", 0, above=True)
        check_integer(self, "warmup_epochs", 1)
        check_number(self, "momentum", 0, 1, below=True)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        # The means of the losses in the last epoch of the warm-up, and the cells they are over.
        zeros = {name: np.zeros(n_tasks, dtype=np.float32) for name in ("nadir", "cells")}
        averages = initial_averages(n_tasks, self.momentum)
        return {"weight": np.ones(n_tasks, dtype=np.float32), **zeros, **averages}

    def combine_batch(
        self, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import (
            EPSILON,
            logs_of_losses,
            own_means,
            shares_of,
            weighted_sum,
        )

        present, mu = batch.present, self.mu
        means = own_means(batch) + EPSILON
        logs, losses, averages = logs_of_losses(batch, state, self.momentum)
        shares = shares_of(batch)
        is_warm = batch.epoch > self.warmup_epochs

        notes = present & ((batch.epoch == self.warmup_epochs) | (is_warm & (state["cells"] == 0)))
        added = tf.where(notes, batch.labelled, 0.0)
        cells = state["cells"] + added
        change = tf.stop_gradient(tf.where(notes, means, 0.0)) - state["nadir"]
        change *= added / tf.where(cells > 0, cells, 1.0)
        nadir = tf.where(notes, state["nadir"] + change, state["nadir"])

        warming = weighted_sum(shares, logs, present)
        relative = logs - tf.math.log(tf.where(present & (nadir > 0), nadir, 1.0))
        # The largest is taken out before the exponential, and has no gradient of its own.
        largest = tf.stop_gradient(tf.reduce_max(tf.where(present, relative, -1e30)))
        largest = tf.where(tf.reduce_any(present), largest, 0.0)
        terms = tf.where(present, tf.exp((relative - largest) / mu), 0.0)
        total = weighted_sum(shares, terms, present)
        of_all = tf.reduce_sum(shares)
        smooth = of_all * (largest + mu * tf.math.log(tf.where(total > 0, total, 1.0)))

        softened = of_all * tf.stop_gradient(terms / tf.where(total > 0, total, 1.0))
        factor = tf.where(is_warm, softened, tf.ones_like(shares))
        weight = tf.where(present, factor / losses, state["weight"])
        new = {"weight": weight, "nadir": nadir, "cells": cells, **averages}
        return tf.where(is_warm, smooth, warming), new

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)
