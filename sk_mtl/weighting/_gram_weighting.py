"""The bases of the strategies that compute weights from a Gram matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import GradientWeighting, TaskBatch
from sk_mtl.weighting._settings import Named, check_integer

__all__ = ["GramWeighting", "OccasionalWeighting", "hold_weights", "initial_count"]


class OccasionalWeighting(Named, GradientWeighting):
    """Strategies whose weights may be computed in every so many steps, and kept in between."""

    every: int

    def check_settings(self) -> None:
        check_integer(self, "every", 1)

    def weigh(self, batch: TaskBatch, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        return self.weigh_batch(batch, lambda: batch.gram, state)

    def weigh_batch(
        self, batch: TaskBatch, make_gram: Callable[[], Any], state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        def compute() -> dict[str, Any]:
            return self._compute(batch._replace(gram=make_gram()), state)

        new = _compute_every(self.every, compute, batch.present, state)
        return new["weight"], new

    def _compute(self, batch: TaskBatch, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return the new entries of the state, with the weights as "weight"."""
        raise NotImplementedError

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)


class GramWeighting(OccasionalWeighting):
    """Strategies whose weights follow from the gradients of one batch, without a history."""

    # Whether the weights are those of a mean of gradients, which sum to one if these are equal.
    _is_mean = False

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        weight = np.full(n_tasks, 1 / n_tasks if self._is_mean else 1.0, dtype=np.float32)
        return {"weight": weight, **initial_count(self.every)}

    def _compute(self, batch: TaskBatch, state: Mapping[str, Any]) -> dict[str, Any]:
        weights = hold_weights(self._solve(batch), batch.present, state["weight"], self._is_mean)
        return {"weight": weights}

    def _solve(self, batch: TaskBatch) -> Any:
        """Return the weights of the tasks; those of absent ones are not read."""
        raise NotImplementedError


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


def initial_count(every: int) -> dict[str, np.ndarray]:
    """Return what counts the steps in the state."""
    return {} if every == 1 else {"since": np.zeros((), dtype=np.float32)}


def _compute_every(
    every: int, compute: Callable[[], dict[str, Any]], present: Any, state: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the entries of the state that are computed in every so many steps."""
    import tensorflow as tf

    if every == 1:
        return compute()
    since = state["since"]
    names = sorted(set(state) - {"since"})
    # Nothing is computed for a branch that is not taken.
    kept = tf.cond(
        since < 0.5,
        lambda: [tf.identity((dict(state) | compute())[name]) for name in names],
        lambda: [tf.identity(state[name]) for name in names],
    )
    following = tf.math.floormod(since + 1, float(every))
    # A batch without labels counts for nothing.
    following = tf.where(tf.reduce_any(present), following, since)
    return {**dict(zip(names, kept, strict=True)), "since": following}
