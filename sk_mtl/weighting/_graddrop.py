"""Gradients of one sign, drawn for each unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import SignWeighting, TaskBatch
from sk_mtl.weighting._settings import (
    Named,
    advance_draws,
    check_integer,
    check_number,
    draw_uniform_of,
    initial_draws,
)

__all__ = ["GradDropWeighting"]


class GradDropWeighting(Named, SignWeighting):
    r"""Of the gradients of each unit, those of one sign, which is drawn (GradDrop).

    The gradients of each task are multiplied by the signs of the unit's outputs, so that those of
    different rows compare, and summed over the batch. With these sums :math:`g_t`,

    .. math:: P = \frac{1}{2} \left( 1 + \frac{\sum_t g_t}{\sum_t |g_t|} \right)

    is the probability that the tasks with a positive sum are kept and those with a negative one
    dropped, drawn for each unit in each step; otherwise it is the other way round: equation 1 and
    algorithm 1 of [1]_. A task that is dropped in a unit is dropped for all rows. Absent tasks have
    no gradients, and so no influence.

    Parameters
    ----------
    leak : float, default=0.0
        The part of the gradients that is kept in any case, from 0 to 1.

    random_state : int, default=0
        The seed, from 0 to 2^32 - 1.

    References
    ----------
    .. [1] Z. Chen, J. Ngiam, Y. Huang, T. Luong, H. Kretzschmar, Y. Chai, D. Anguelov. "Just Pick a
       Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout". NeurIPS 2020,
       arXiv 2010.06808.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import GradDropWeighting
    >>> clf = MultiTaskClassifier(task_weighting=GradDropWeighting(leak=0.2))
    """

    _name = "graddrop"

    def __init__(self, leak: float = 0.0, random_state: int = 0):
        self.leak = leak
        self.random_state = random_state

    def check_settings(self) -> None:
        check_number(self, "leak", 0, 1)
        check_integer(self, "random_state", 0, 2**32 - 1)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        return initial_draws(self.random_state)

    def weigh_units(
        self, sums: Any, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        sums = tf.where(batch.present[:, None], sums, 0.0)
        total, size = tf.reduce_sum(sums, axis=0), tf.reduce_sum(tf.abs(sums), axis=0)
        probability = 0.5 * (1 + total / tf.where(size > 0, size, 1.0))
        keeps_positive = probability > draw_uniform_of(state, total)
        is_kept = tf.where(keeps_positive, sums > 0, sums < 0)
        weights = self.leak + (1 - self.leak) * tf.cast(is_kept, sums.dtype)
        return weights, advance_draws(state, batch.present)

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.ones(n_tasks, dtype=np.float32)
