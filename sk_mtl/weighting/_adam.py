"""Steps of Adam on the logits of task weights, each task with steps of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["initial_logits", "step_logits"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


def initial_logits(n_tasks: int) -> dict[str, np.ndarray]:
    """Return logits of equal weights, with their moments and counts of steps."""
    names = ("logit", "momentum", "velocity", "steps")
    return {name: np.zeros(n_tasks, dtype=np.float32) for name in names}


def step_logits(
    state: Mapping[str, Any], gradient: Any, moves: Any, learning_rate: float
) -> dict[str, Any]:
    """Return the state after a step of those that move (Kingma & Ba 2015, algorithm 1)."""
    import tensorflow as tf

    steps = state["steps"] + 1
    momentum = _BETA_1 * state["momentum"] + (1 - _BETA_1) * gradient
    velocity = _BETA_2 * state["velocity"] + (1 - _BETA_2) * gradient * gradient
    mean = momentum / (1 - _BETA_1**steps)
    scale = tf.sqrt(velocity / (1 - _BETA_2**steps)) + _EPSILON
    new = {
        "logit": state["logit"] - learning_rate * mean / scale,
        "momentum": momentum,
        "velocity": velocity,
        "steps": steps,
    }
    return {name: tf.where(moves, value, state[name]) for name, value in new.items()}
