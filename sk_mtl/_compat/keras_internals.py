"""Private names of Keras and TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.eager import context

__all__ = [
    "adam_slots",
    "clip_gradients",
    "disable_gradient_sum",
    "dismantle_graphs",
    "get_learning_rate",
    "get_mask",
    "hold_learning_rate",
    "moving_averages",
    "outside_graphs",
    "report_to_workers",
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


@contextmanager
def outside_graphs() -> Iterator[None]:
    """Step out of the default graph, in which a strategy stands, and compute eagerly."""
    with tf.Graph().as_default(), tf.__internal__.eager_context.eager_mode():
        yield


def report_to_workers(message: str) -> None:
    """End the collectives of all workers with an error; nothing computes on them any more."""
    context.context().report_error_to_cluster(tf.errors.INTERNAL, message)


def disable_gradient_sum(optimizer: Any) -> None:
    """Let an optimizer of a single replica skip the sum of gradients over replicas."""
    # Keras registers a gradient of that sum with TensorFlow, which keeps it, with its graph.
    optimizer._all_reduce_sum_gradients = list


def adam_slots(optimizer: Any, variables: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return the two variables that Adam keeps for each variable that it updates."""
    positions = [optimizer._get_variable_index(variable) for variable in variables]
    return [(optimizer._momentums[k], optimizer._velocities[k]) for k in positions]


def clip_gradients(optimizer: Any, gradients: Sequence[Any]) -> list[Any]:
    """Return gradients clipped as an optimizer clips them."""
    return list(optimizer._clip_gradients(list(gradients)))


def moving_averages(optimizer: Any) -> list[Any]:
    """Return the averages that an optimizer keeps of what it trains; none without `use_ema`."""
    return list(optimizer._model_variables_moving_average) if optimizer.use_ema else []


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
