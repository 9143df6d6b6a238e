"""Gradients turned towards others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskBatch
from sk_mtl.weighting._gram_weighting import (
    OccasionalWeighting,
    hold_weights,
    initial_count,
)
from sk_mtl.weighting._settings import (
    advance_draws,
    check_integer,
    check_number,
    draw_uniform_of,
    initial_draws,
)

__all__ = ["GradVacWeighting"]


class GradVacWeighting(OccasionalWeighting):
    r"""The sum of the gradients, each turned towards the others (GradVac, gradient vaccine).

    Each gradient meets the others in a random order. Where its cosine with one is below the usual
    one of the two tasks, so much of that gradient is added that it is not: the update of [1]_, over
    the tasks of the batch. The usual cosines start at 0 and follow what is met as a moving average,
    for pairs of tasks that are both in the batch.

    All gradients meet the others in one order, drawn anew in each step. There is one cosine for the
    whole representation. Usual cosines above 0.999 count as that, since the equation divides by
    their sine. In float32.

    Parameters
    ----------
    beta : float, default=0.5
        How fast the usual cosines follow, from 0 to 1.

    random_state : int, default=0
        The seed of the orders, from 0 to 2^32 - 1.

    every : int, default=1
        The weights are computed in every so many steps, and kept in between.

    References
    ----------
    .. [1] Z. Wang, Y. Tsvetkov, O. Firat, Y. Cao. "Gradient Vaccine: Investigating and Improving
       Multi-task Optimization in Massively Multilingual Models". ICLR 2021, arXiv 2010.05874.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import GradVacWeighting
    >>> clf = MultiTaskClassifier(task_weighting=GradVacWeighting(beta=0.01))
    """

    _name = "gradvac"
    factorizes = False
    can_pack = False

    def __init__(self, beta: float = 0.5, random_state: int = 0, every: int = 1):
        self.beta = beta
        self.random_state = random_state
        self.every = every

    def check_settings(self) -> None:
        super().check_settings()
        check_number(self, "beta", 0, 1)
        check_integer(self, "random_state", 0, 2**32 - 1)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        usual = np.zeros((n_tasks, n_tasks), dtype=np.float32)
        weight = np.ones(n_tasks, dtype=np.float32)
        draws = initial_draws(self.random_state)
        return {"weight": weight, "usual": usual, **draws, **initial_count(self.every)}

    def _compute(self, batch: TaskBatch, state: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        from sk_mtl.weighting._gram import cut_gram
        from sk_mtl.weighting._visits import visit_in_turn

        cosines, norms, active, _ = cut_gram(batch.gram, batch.present, tf.float32)
        order = tf.argsort(draw_uniform_of(state, state["weight"]))
        tasks = tf.range(norms.shape[-1])
        pairs = active[:, None] & active[None, :] & ~np.eye(norms.shape[-1], dtype=bool)
        # By the gradient visited, in rows, which are taken one by one.
        usual = tf.transpose(tf.where(pairs, state["usual"], 0.0))
        target = tf.clip_by_value(usual, -0.999, 0.999)

        def turn(products: Any, visited: Any, squares: Any) -> tuple[Any, Any]:
            wanted = tf.gather(target, visited)
            wanted_sine = tf.sqrt(1 - wanted * wanted)
            length = tf.sqrt(tf.maximum(squares, 0.0))
            cosine = tf.clip_by_value(products / tf.maximum(length, 1e-12), -1.0, 1.0)
            sine = tf.sqrt(1 - cosine * cosine)
            meets = active & tf.gather(active, visited)[:, None] & (tasks != visited[:, None])
            added = length * (wanted * sine - cosine * wanted_sine) / wanted_sine
            return tf.where(meets & (cosine < wanted), added, 0.0), cosine

        added, met = visit_in_turn(cosines, order, turn, tells_lengths=True)
        back = tf.argsort(order)
        of_visited = tf.linalg.matvec(added, norms)
        weights = 1 + tf.gather(of_visited, back) / norms
        weights = hold_weights(weights, batch.present, state["weight"], False)
        met = tf.transpose(tf.gather(met, back))
        followed = (1 - self.beta) * state["usual"] + self.beta * met
        new = {
            "weight": weights,
            "usual": tf.where(pairs & tf.math.is_finite(followed), followed, state["usual"]),
        }
        return {**new, **advance_draws(state, batch.present)}
