"""Random task weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskBatch, TaskWeighting
from sk_mtl.weighting._settings import (
    Named,
    advance_draws,
    check_integer,
    draw_uniform_of,
    initial_draws,
)

__all__ = ["RandomWeighting"]


class RandomWeighting(Named, TaskWeighting):
    r"""Weights drawn anew in each step (random loss weighting).

    The weights are the softmax of independent standard normal numbers, section 3 of [1]_, over the
    tasks of the batch; they sum to 1. They multiply the losses as these count in the objective.

    Parameters
    ----------
    random_state : int, default=0
        The seed, from 0 to 2^32 - 1. Fits with equal seeds draw equal weights, step by step.

    References
    ----------
    .. [1] B. Lin, F. Ye, Y. Zhang, I. W. Tsang. "Reasonable Effectiveness of Random Weighting: A
       Litmus Test for Multi-Task Learning". TMLR 2022, arXiv 2111.10603.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="rlw")
    """

    _name = "rlw"

    def __init__(self, random_state: int = 0):
        self.random_state = random_state

    def check_settings(self) -> None:
        check_integer(self, "random_state", 0, 2**32 - 1)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        weight = np.full(n_tasks, 1 / n_tasks, dtype=np.float32)
        return {"weight": weight, **initial_draws(self.random_state)}

    def combine_batch(
        self, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._shares import masked_softmax, weighted_sum

        # A task's number is that of its position, whoever else is present.
        normal = tf.math.ndtri(draw_uniform_of(state, state["weight"]))
        weight = masked_softmax(normal, batch.present)
        kept = tf.where(batch.present, weight, state["weight"])
        new = {"weight": kept, **advance_draws(state, batch.present)}
        return weighted_sum(weight, batch.losses, batch.present), new

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)
