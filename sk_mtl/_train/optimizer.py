"""Optimizers: what describes one, and the update of a step as a function of values.

Adam and AdamW, as Keras computes them, are written as functions here, so that several networks are
updated at once. Any other optimizer of Keras updates its own variables, which is one network at a
time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._compat.keras_internals import (
    adam_slots,
    clip_gradients,
    disable_gradient_sum,
    get_learning_rate,
)
from sk_mtl._train.values import Groups

__all__ = [
    "AdamUpdate",
    "VariableUpdate",
    "fed_settings",
    "inner_optimizer",
    "is_plain_adam",
    "kept_dtype",
    "make_update",
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


def fed_settings(optimizer: keras.optimizers.Optimizer, description: str) -> tuple[str, float]:
    """Return a description without the weight decay, if it is fed into the program, and it."""
    decay = getattr(optimizer, "weight_decay", None)
    if not is_plain_adam(optimizer) or not isinstance(decay, (int, float)):
        return description, 0.0
    kind, _, text = description.partition(" ")
    return f"{kind} {json.dumps(json.loads(text) | {'weight_decay': None})}", float(decay)


def _without_names(config: Any) -> Any:
    """Return a configuration without the names that Keras gives by counting."""
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    return config


def is_plain_adam(optimizer: Any) -> bool:
    """Return whether `AdamUpdate` computes what an optimizer does."""
    return (
        type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
        and not optimizer.amsgrad
        and not optimizer.use_ema
        and not optimizer.gradient_accumulation_steps
    )


def make_update(
    optimizer: Any, variables: Sequence[Any], exempt: Sequence[Any], n_network: int
) -> AdamUpdate | VariableUpdate:
    """Build an optimizer for variables, some exempt from weight decay; return what updates them."""
    # The first `n_network` of the variables are the network's.
    inner = inner_optimizer(optimizer)
    if inner.weight_decay and exempt:
        inner.exclude_from_weight_decay(var_list=list(exempt))
    optimizer.build(variables)
    if is_plain_adam(optimizer) and all(v.dtype == "float32" for v in variables):
        return AdamUpdate(optimizer, variables, exempt, n_network)
    return VariableUpdate(optimizer, variables)


class AdamUpdate:
    """Adam or AdamW as a function of gradients, values and its own values."""

    def __init__(
        self, optimizer: Any, variables: Sequence[Any], exempt: Sequence[Any], n_network: int
    ):
        self.optimizer = optimizer
        constraints = [v.constraint for v in variables]
        can_join = [c is None and k < n_network for k, c in enumerate(constraints)]
        self.groups = Groups([tuple(v.shape) for v in variables], can_join)
        self._constraints = [constraints[group[0]] for group in self.groups.members]
        is_exempt = {id(v) for v in exempt}
        # 1 where weights decay; a joined vector may hold both kinds.
        self._decays = self.groups.join(
            [np.full(v.shape, id(v) not in is_exempt, np.float32) for v in variables]
        )
        position = {id(v): k for k, v in enumerate(optimizer.variables)}
        pairs = [(position[id(m)], position[id(v)]) for m, v in adam_slots(optimizer, variables)]
        # The positions, among the optimizer's variables, of both kinds of slots, and of the others.
        self._slots = [list(positions) for positions in zip(*pairs, strict=True)]
        in_slots = {k for positions in self._slots for k in positions}
        self._others = [k for k in range(len(position)) if k not in in_slots]
        self._count = self._others.index(position[id(optimizer.iterations)])
        rate = position.get(id(get_learning_rate(optimizer)))
        self._rate = None if rate is None else self._others.index(rate)

    def split_values(self, values: Sequence[Any]) -> tuple[list[list[Any]], list[Any]]:
        """Return slots, joined, and the other values, from those in the optimizer's order."""
        slots = [self.groups.join([values[k] for k in positions]) for positions in self._slots]
        return slots, [values[k] for k in self._others]

    def join_values(self, slots: Sequence[Sequence[Any]], others: Sequence[Any]) -> list[Any]:
        """Return the optimizer's values in its order."""
        values = dict(zip(self._others, others, strict=True))
        for positions, joined in zip(self._slots, slots, strict=True):
            values |= zip(positions, self.groups.split(joined), strict=True)
        return [values[k] for k in range(len(values))]

    def begin(self, others: Sequence[Any]) -> None:
        """Take the optimizer's values of a step."""

    def scale(self, loss: Any) -> Any:
        """Return the loss whose gradients `update` takes."""
        return loss

    def update(
        self,
        gradients: Sequence[Any],
        trained: Sequence[Any],
        slots: Sequence[Sequence[Any]],
        others: Sequence[Any],
        decay: Any,
    ) -> tuple[list[Any], list[list[Any]], list[Any]]:
        """Return what is trained after a step, joined, and the optimizer's values."""
        # Keras's order of operations; what all variables have in common is computed once.
        optimizer, others = self.optimizer, list(others)
        gradients = self.groups.join(clip_gradients(optimizer, gradients))
        count, held = others[self._count], get_learning_rate(optimizer)
        rate = tf.cast(held(count) if self._rate is None else others[self._rate], tf.float32)
        n_steps = tf.cast(count + 1, tf.float32)
        unbias_1, unbias_2 = (1 - tf.pow(b, n_steps) for b in (optimizer.beta_1, optimizer.beta_2))
        unbiased = rate * tf.sqrt(unbias_2) / unbias_1
        others[self._count] = count + 1
        changed: list[Any] = []
        new_slots: list[list[Any]] = [[], []]
        parts = zip(gradients, trained, *slots, self._decays, self._constraints, strict=True)
        for gradient, value, first, second, decays, constraint in parts:
            if optimizer.weight_decay and decays.any():
                value = value - value * decay * rate * decays
            m = first + (gradient - first) * (1 - optimizer.beta_1)
            v = second + (tf.square(gradient) - second) * (1 - optimizer.beta_2)
            value = value - m * unbiased / (tf.sqrt(v) + optimizer.epsilon)
            changed.append(value if constraint is None else constraint(value))
            new_slots[0].append(m)
            new_slots[1].append(v)
        return changed, new_slots, others


class VariableUpdate:
    """Any optimizer, which updates variables: they take the values of a step and give them back."""

    def __init__(self, optimizer: Any, variables: Sequence[Any]):
        self.optimizer = optimizer
        self._variables = list(variables)
        self.groups = Groups([tuple(v.shape) for v in variables], [False] * len(variables))
        if not tf.distribute.has_strategy():
            for part in optimizer_and_inner(optimizer):
                disable_gradient_sum(part)

    def split_values(self, values: Sequence[Any]) -> tuple[list[list[Any]], list[Any]]:
        """Return no slots, and the values in the optimizer's order."""
        return [], list(values)

    def join_values(self, slots: Sequence[Sequence[Any]], others: Sequence[Any]) -> list[Any]:
        """Return the optimizer's values in its order."""
        return list(others)

    def begin(self, others: Sequence[Any]) -> None:
        """Take the optimizer's values of a step."""
        for variable, value in zip(self.optimizer.variables, others, strict=True):
            variable.assign(value)

    def scale(self, loss: Any) -> Any:
        """Return the loss whose gradients `update` takes."""
        return self.optimizer.scale_loss(loss)

    def update(
        self,
        gradients: Sequence[Any],
        trained: Sequence[Any],
        slots: Sequence[Sequence[Any]],
        others: Sequence[Any],
        decay: Any,
    ) -> tuple[list[Any], list[list[Any]], list[Any]]:
        """Return what is trained after a step, and the optimizer's values."""
        for variable, value in zip(self._variables, trained, strict=True):
            variable.assign(value)
        self.optimizer.apply(gradients, self._variables)
        changed = [tf.identity(v.value) for v in self._variables]
        return changed, [], [tf.cast(v.value, kept_dtype(v)) for v in self.optimizer.variables]


def kept_dtype(variable: keras.Variable) -> str:
    """Return the dtype in which the value of an optimizer's variable is kept: never float64."""
    # That is how Keras creates a learning rate while `keras.config.floatx` is float64, and a model
    # must not depend on what a process has set.
    dtype = str(variable.dtype)
    return "float32" if dtype == "float64" else dtype
