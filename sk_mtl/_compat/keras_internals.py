"""Private names of Keras and TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import keras
import tensorflow as tf

__all__ = [
    "disable_gradient_sum",
    "dismantle_graphs",
    "get_learning_rate",
    "get_mask",
    "hold_learning_rate",
    "shorten_adam",
]


def get_learning_rate(optimizer: Any) -> Any:
    """Return the learning rate of an optimizer as it is held: a variable or a schedule."""
    return getattr(optimizer, "_learning_rate", None)


def hold_learning_rate(optimizer: Any, rate: Any) -> None:
    """Let an optimizer hold this learning rate in float32, whatever `keras.config.floatx` is."""
    held = get_learning_rate(optimizer)
    if not isinstance(held, keras.Variable) or held.dtype == "float32":
        return
    variable = keras.Variable(float(rate), dtype="float32", trainable=False, name="learning_rate")
    optimizer._untrack_variable(held)
    optimizer._track_variable(variable)
    optimizer._learning_rate = variable


def disable_gradient_sum(optimizer: Any) -> None:
    """Let an optimizer of a single replica skip the sum of gradients over replicas."""
    # Keras registers a gradient of that sum with TensorFlow, which keeps it, with its graph.
    optimizer._all_reduce_sum_gradients = list


def shorten_adam(optimizer: Any) -> None:
    """Let Adam update all variables with half the operations of Keras's loop, to the same bits."""
    # What all variables have in common is computed once. In small networks a step, and the tracing
    # of the first fit, are mostly Adam's.
    is_adam = type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
    if not is_adam or optimizer.amsgrad:
        return

    def update(gradients: Sequence[Any], variables: Sequence[Any], learning_rate: Any) -> None:
        rate = tf.cast(learning_rate, tf.float32)
        n_steps = tf.cast(tf.convert_to_tensor(optimizer.iterations) + 1, tf.float32)
        unbias_1, unbias_2 = (1 - tf.pow(b, n_steps) for b in (optimizer.beta_1, optimizer.beta_2))
        rate = rate * tf.sqrt(unbias_2) / unbias_1
        for gradient, variable in zip(gradients, variables, strict=True):
            if variable.dtype != "float32" or not isinstance(gradient, tf.Tensor):
                optimizer.update_step(gradient, variable, learning_rate)
                continue
            index = optimizer._get_variable_index(variable)
            first = optimizer._momentums[index].value
            second = optimizer._velocities[index].value
            m = first + (gradient - first) * (1 - optimizer.beta_1)
            v = second + (tf.square(gradient) - second) * (1 - optimizer.beta_2)
            first.assign(m)
            second.assign(v)
            variable.value.assign_sub(m * rate / (tf.sqrt(v) + optimizer.epsilon))

    optimizer._backend_update_step = update


def dismantle_graphs(graphs: list[tf.Graph]) -> None:
    """Take apart graphs that will not run any more, with those of the loops in them."""
    # By what TensorFlow itself calls for a function that goes out of scope; where it has other
    # names, the memory stays taken.
    while graphs:
        graph = graphs.pop()
        with suppress(AttributeError):
            graphs += [function.graph for function in graph._functions.values()]
            graph._function_captures.clear()
            graph._functions.clear()
            graph.Dismantle()


def get_mask(tensor: Any) -> Any:
    """Return the mask that a Masking or an Embedding layer put on a tensor, or None."""
    return getattr(tensor, "_keras_mask", None)
