"""Optimizers: what describes one, and how it is prepared for training. Knows no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from sk_mtl._compat.keras_internals import disable_gradient_sum, shorten_adam

__all__ = [
    "build_optimizer",
    "inner_optimizer",
    "kept_dtype",
    "optimizer_and_inner",
    "optimizer_settings",
]


def inner_optimizer(optimizer: Any) -> Any:
    """Return the optimizer that updates variables where the outer one only scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def optimizer_and_inner(optimizer: Any) -> tuple[Any, Any]:
    """Return an optimizer and its inner one, which may be the same."""
    return optimizer, inner_optimizer(optimizer)


def optimizer_settings(optimizer: keras.optimizers.Optimizer) -> tuple[str, float | None]:
    """Return an optimizer's kind and configuration as text, and its learning rate separately."""
    kind = f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"
    try:
        config = _without_names(keras.optimizers.serialize(optimizer)["config"])
        rate = config.get("learning_rate")
        rate = float(config.pop("learning_rate")) if isinstance(rate, (int, float)) else None
        return f"{kind} {json.dumps(config, sort_keys=True)}", rate
    except (TypeError, ValueError, NotImplementedError):
        return kind, None


def _without_names(config: Any) -> Any:
    """Return a configuration without the names that Keras gives by counting."""
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    return config


def build_optimizer(optimizer: Any, variables: Sequence[Any], exempt: Sequence[Any]) -> None:
    """Create an optimizer's variables; weight decay leaves the exempt ones alone."""
    inner = inner_optimizer(optimizer)
    if inner.weight_decay and exempt:
        inner.exclude_from_weight_decay(var_list=list(exempt))
    optimizer.build(variables)
    shorten_adam(inner)
    if not tf.distribute.has_strategy():
        for part in optimizer_and_inner(optimizer):
            disable_gradient_sum(part)


def kept_dtype(variable: keras.Variable) -> str:
    """Return the dtype in which the value of an optimizer's variable is kept: never float64."""
    # That is how Keras creates a learning rate while `keras.config.floatx` is float64, and a model
    # must not depend on what a process has set.
    dtype = str(variable.dtype)
    return "float32" if dtype == "float64" else dtype
