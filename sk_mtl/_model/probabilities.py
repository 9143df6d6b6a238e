"""The network as a Keras model of class probabilities, with a named output for each task."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import keras
from keras import ops

from sk_mtl._model.build import build_fitted
from sk_mtl._model.custom_outputs import to_logits
from sk_mtl._model.spec import NetworkSpec

__all__ = ["NamedTask", "TaskProbabilities", "build_probabilities"]

Kind = Literal["logits", "sigmoid", "softmax"]


class NamedTask(NamedTuple):
    """A task under the name of its output."""

    name: str
    position: int | None  # among the tasks of the network; None for a task with a single class


@keras.saving.register_keras_serializable("sk_mtl")
class TaskProbabilities(keras.layers.Layer):
    """The class probabilities of one task, from its columns in an output of a network."""

    def __init__(
        self, start: int, stop: int, kind: Kind = "logits", temperature: float = 1.0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.start = int(start)
        self.stop = int(stop)
        self.kind = kind
        self.temperature = float(temperature)

    def call(self, inputs: Any) -> Any:
        """Return probabilities, (n_samples, n_classes)."""
        columns = inputs[:, self.start : self.stop]
        if self.temperature == 1 and self.kind == "softmax":
            return columns
        if self.temperature == 1 and self.kind == "sigmoid":
            return ops.concatenate([1 - columns, columns], axis=1)
        # Of the whole output: in a graph, its logits are what the last activation reads.
        logits = to_logits(inputs, self.kind)[:, self.start : self.stop] / self.temperature
        if self.stop - self.start == 1:  # log-odds
            logits = ops.concatenate([ops.zeros_like(logits), logits], axis=1)
        return ops.softmax(logits, axis=1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], max(self.stop - self.start, 2))

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {
            **super().get_config(),
            "start": self.start,
            "stop": self.stop,
            "kind": self.kind,
            "temperature": self.temperature,
        }


@keras.saving.register_keras_serializable("sk_mtl")
class SingleClass(keras.layers.Layer):
    """The probability 1 of the only class of a task."""

    def call(self, inputs: Any) -> Any:
        """Return ones, (n_samples, 1)."""
        return ops.ones_like(inputs[:, :1])

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], 1)


def build_probabilities(
    spec: NetworkSpec,
    networks: Sequence[list[Any]],
    epochs: Sequence[int],
    of_task: Sequence[int],
    temperatures: Any,
    tasks: Sequence[NamedTask],
) -> keras.Model:
    """Build the model that predicts, with probabilities by task as a dict of outputs."""
    is_whole = spec.custom_outputs is not None
    if is_whole:
        # Networks of several epochs give their outputs beside one another.
        models = [build_fitted(spec, [values], (0,), (), None) for values in networks]
    else:
        models = [build_fitted(spec, networks, epochs, of_task, temperatures)]
    inputs = keras.Input((spec.n_inputs,), dtype="float32", name="X")
    given = []
    for number, model in enumerate(models):
        model.name = f"network_{number}" if len(models) > 1 else "network"
        given.append(keras.tree.flatten(model(inputs)))
    outputs = {}
    for name, task in zip(_layer_names([task.name for task in tasks]), tasks, strict=True):
        settings: Any = {"name": name, "dtype": "float32"}
        if task.position is None:
            outputs[task.name] = SingleClass(**settings)(inputs)
            continue
        if spec.custom_outputs is None:
            start = int(spec.layout.starts[task.position])
            layer = TaskProbabilities(start, start + spec.n_outputs[task.position], **settings)
            outputs[task.name] = layer(given[0][0])
            continue
        found = spec.custom_outputs.tasks[task.position]
        temperature = 1.0 if temperatures is None else float(temperatures[task.position])
        layer = TaskProbabilities(found.start, found.stop, found.kind, temperature, **settings)
        network = of_task[task.position] if len(of_task) else 0
        outputs[task.name] = layer(given[network][found.position])
    model = keras.Model(inputs, outputs, name="task_probabilities")
    # Keras refuses to export a model to ONNX that was never called.
    model(keras.ops.zeros((1, spec.n_inputs), dtype="float32"))
    return model


def _layer_names(tasks: Sequence[str]) -> list[str]:
    """Return names of layers, by which some formats call outputs: those of tasks if possible."""
    # TensorFlow's names of operations have these characters, and Keras's no slash.
    names = [re.sub(r"[^A-Za-z0-9_.-]", "_", task) for task in tasks]
    for position, name in enumerate(names):
        taken = {"X", *names[:position]}
        if not re.match(r"[A-Za-z0-9.]", name) or name in taken or name.startswith("network"):
            names[position] = f"probabilities_{position}"
    return names
