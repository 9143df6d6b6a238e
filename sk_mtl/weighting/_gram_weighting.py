"""The base of the strategies that read nothing but a Gram matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import GradientWeighting, TaskBatch
from sk_mtl.weighting._settings import Named, check_integer

__all__ = ["GramWeighting", "hold_weights"]


class GramWeighting(Named, GradientWeighting):
    """Strategies whose weights follow from the gradients of one batch, without a history."""

    # Whether the weights are those of a mean of gradients, which sum to one if these are equal.
    _is_mean = False
    every: int

    def check_settings(self) -> None:
        check_integer(self, "every", 1)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        weight = np.full(n_tasks, 1 / n_tasks if self._is_mean else 1.0, dtype=np.float32)
        return {"weight": weight} if self.every == 1 else {"weight": weight, "step": _zero()}

    def weigh(self, batch: TaskBatch, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        def compute() -> Any:
            return hold_weights(self._solve(batch), batch.present, state["weight"], self._is_mean)

        if self.every == 1:
            weights = compute()
            return weights, {"weight": weights}
        step = state["step"]
        weights = tf.cond(step < 0.5, compute, lambda: tf.identity(state["weight"]))
        following = tf.math.floormod(step + 1, float(self.every))
        # A batch without labels counts for nothing.
        following = tf.where(tf.reduce_any(batch.present), following, step)
        return weights, {"weight": weights, "step": following}

    def _solve(self, batch: TaskBatch) -> Any:
        """Return the weights of the tasks; those of absent ones are not read."""
        raise NotImplementedError

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)


def hold_weights(weights: Any, present: Any, before: Any, is_mean: bool) -> Any:
    """Return finite weights in float32: of absent tasks, those from before."""
    import tensorflow as tf

    from sk_mtl.weighting._gram import count

    largest = float(np.finfo(np.float32).max)
    neutral = tf.cast(1 / count(present) if is_mean else 1.0, weights.dtype)
    # Gradients that are infinite or NaN have no weights; training says what diverged.
    weights = tf.where(tf.math.is_finite(weights), weights, neutral)
    weights = tf.cast(tf.clip_by_value(weights, -largest, largest), tf.float32)
    return tf.where(present, weights, before)


def _zero() -> np.ndarray:
    return np.zeros((), dtype=np.float32)
