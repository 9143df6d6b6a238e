"""The outputs of a custom Keras model: whether it is a whole network or a trunk, and its logits.

*As many outputs as tasks (two or more)*: a whole network. If the keys of a mapping, the names of
the output layers or the fields of a named tuple are the task names in any order, they assign
outputs to tasks; otherwise the outputs are in task order. Every output ends in a softmax, in a
sigmoid (two classes, one column), or in a linear activation, whose columns are logits. Two classes
have one column (sigmoid or linear) or two (softmax or linear); more have a column per class. A task
with fewer classes accepts any output, so that a network with fixed heads can be fitted to rows that
lack all labels of a task.

*One output, one task*: whole if it ends in a softmax, or in a sigmoid of one column. A linear
output is whole only if the output layer has the name of the task, the activation is log_softmax, or
the model is compiled with a loss with ``from_logits=True``. Any other output of shape
``(n_samples, width)`` is a trunk.

*One output, several tasks*: whole if all tasks have two classes and it ends in a sigmoid with a
column per task. Any other output of shape ``(n_samples, width)`` that does not end in a softmax is
a trunk.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import ops

from sk_mtl._model.spec import CustomOutputs, TaskOutput
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = [
    "changes_as_text",
    "classify_outputs",
    "outputs_to_logits",
    "to_logits",
    "with_plain_outputs",
]

# Probabilities are clipped to it, so that their logarithms stay finite.
_SMALLEST_PROBABILITY = 1e-7

# TensorFlow's own functions, and Keras's activation layers given as an activation.
_ACTIVATION_ALIASES = {
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
    "logsoftmax": "log_softmax",
}


@dataclass(frozen=True)
class _Output:
    """One output of a Keras model."""

    name: str
    key: Hashable  # of the mapping that holds it; None outside of mappings
    field: str | None  # of the named tuple that holds it
    shape: tuple[int | None, ...]
    activation: str | None
    from_logits: bool | None
    layer: str

    def __str__(self) -> str:
        ends = f"ends in {self.activation or self.layer}"
        return f"{quote(self.name if self.key is None else self.key)} {self.shape} {ends}"


def classify_outputs(
    model: keras.Model, task_names: Sequence[Hashable], n_classes: Sequence[int]
) -> CustomOutputs | None:
    """Return the outputs by task of a whole network, or None for a trunk; refuse other models."""
    found = _read_outputs(model)
    tasks = list(zip(task_names, n_classes, strict=True))
    expected = _Expectation(found, tasks)
    for output in found:
        if len(output.shape) != 2 or output.shape[1] is None:
            advice = "Outputs have the shape (n_samples, width): flatten or pool before the end."
            raise expected.failure(advice)
    if len(found) == len(tasks) > 1:
        order = _order_by_name(found, tasks, expected)
        return CustomOutputs(
            tuple(
                _whole_output(position, found[position], task, expected)
                for position, task in zip(order, tasks, strict=True)
            )
        )
    if len(found) != 1:
        raise expected.failure("The number of outputs is neither 1 nor the number of tasks.")
    if len(tasks) > 1:
        return _classify_single_for_several(found[0], tasks, expected)
    return _classify_single_for_one(found[0], tasks[0], expected)


@dataclass(frozen=True)
class _Expectation:
    """The outputs found and the tasks given, for error messages."""

    found: list[_Output]
    tasks: list[tuple[Hashable, int]]

    def failure(self, reason: str) -> ValueError:
        """Return the error for a model that is neither a whole network nor a trunk."""
        needs = enumerate_some(f"{quote(name)}: {_widths_phrase(n)}" for name, n in self.tasks)
        return ValueError(
            f"model= must give a whole network (one output per task, or one sigmoid column per "
            f"task of two classes) or a trunk (one output of shape (n_samples, width)). {reason} "
            f"Found {len(self.found)} output(s): {enumerate_some(self.found)}. Expected for "
            f"{len(self.tasks)} task(s): {needs}. A builder that asks for `meta` finds the classes "
            "in it; `classes=` fixes them where a part of the rows may lack some."
        )


def _widths_phrase(n_classes: int) -> str:
    if n_classes < 2:
        return f"{n_classes} class(es), any"
    if n_classes == 2:
        return f"{n_classes} classes, 1 sigmoid or linear column, or 2 softmax or linear columns"
    return f"{n_classes} classes, {n_classes} softmax or linear columns"


def _fits(kind: str, width: int, n_classes: int) -> bool:
    """Return whether an output of a kind and width can be that of a task."""
    if kind == "sigmoid":
        return width == 1 and n_classes == 2
    if n_classes > 2:
        return width == n_classes
    # One column of a softmax is 1 whatever the input.
    return width == 2 or (width == 1 and kind == "logits")


def _kind_of(output: _Output) -> Literal["softmax", "sigmoid", "logits"] | None:
    """Return what the columns of an output hold, or None if its last activation does not tell."""
    if output.activation == "softmax":
        return "softmax"
    if output.activation == "sigmoid":
        return "sigmoid"
    # softmax(log_softmax(z)) is softmax(z), so these columns serve as logits.
    if output.activation in ("linear", "log_softmax") or output.from_logits:
        return "logits"
    return None


def _whole_output(
    position: int, output: _Output, task: tuple[Hashable, int], expected: _Expectation
) -> TaskOutput:
    """Return the output of one task of a whole network; refuse an output that does not fit."""
    name, n_classes = task
    kind, width = _kind_of(output), output.shape[1]
    assert width is not None  # checked by the caller
    if n_classes < 2:
        return TaskOutput(position, 0, 1, kind or "logits", 1)
    if kind is None:
        raise expected.failure(
            f"The output for task {quote(name)} does not tell whether it holds probabilities or "
            "logits: end it in softmax, in sigmoid, or in a linear activation (logits)."
        )
    if not _fits(kind, width, n_classes):
        raise expected.failure(
            f"The output for task {quote(name)} has {width} {kind} column(s), which does not fit "
            f"its {n_classes} classes."
        )
    return TaskOutput(position, 0, width, kind, n_classes if n_classes > 2 else 1)


def _order_by_name(
    found: list[_Output], tasks: list[tuple[Hashable, int]], expected: _Expectation
) -> list[int]:
    """Return the position of each task's output."""
    names = [str(name) for name, _ in tasks]
    keys = [output.name if output.key is None else str(output.key) for output in found]
    if sorted(keys) == sorted(names) and len(set(names)) == len(names):
        return [keys.index(name) for name in names]
    fields = [output.field for output in found]
    if set(fields) == set(names) and len(fields) == len(set(names)):
        return [fields.index(name) for name in names]
    if any(output.key is not None for output in found):
        raise expected.failure("The keys of the outputs must be the task names.")
    misplaced = [key for position, key in enumerate(keys) if key in names[:position]]
    misplaced += [key for position, key in enumerate(keys) if key in names[position + 1 :]]
    if misplaced:
        raise expected.failure(
            f"The output named {quote(misplaced[0])} stands in the place of another task: name all "
            "output layers after the tasks, or none."
        )
    return list(range(len(tasks)))


def _classify_single_for_several(
    output: _Output, tasks: list[tuple[Hashable, int]], expected: _Expectation
) -> CustomOutputs | None:
    """Classify the only output of a model for several tasks."""
    if output.activation == "softmax":
        raise expected.failure("One softmax cannot serve several tasks.")
    all_binary = all(n_classes <= 2 for _, n_classes in tasks)
    if output.activation == "sigmoid" and output.shape[1] == len(tasks) and all_binary:
        return CustomOutputs(
            tuple(TaskOutput(0, t, t + 1, "sigmoid", 1) for t in range(len(tasks)))
        )
    return None


def _classify_single_for_one(
    output: _Output, task: tuple[Hashable, int], expected: _Expectation
) -> CustomOutputs | None:
    """Classify the only output of a model for one task."""
    width, n_classes = output.shape[1], task[1]
    assert width is not None  # checked by the caller
    is_named = str(task[0]) == str(output.name if output.key is None else output.key)
    is_probability = output.activation == "softmax" or (
        output.activation == "sigmoid" and width == 1
    )
    says_logits = output.activation == "log_softmax" or bool(output.from_logits)
    if is_probability or is_named or says_logits:
        return CustomOutputs((_whole_output(0, output, task, expected),))
    if output.activation == "sigmoid" and width == n_classes:
        raise expected.failure("One class excludes the others: use softmax instead of sigmoid.")
    if output.from_logits is not None and _fits("logits", width, n_classes):
        raise expected.failure(
            "The model is compiled with a loss of probabilities, but does not end in softmax or "
            "sigmoid: add it, or from_logits=True to the loss. A trunk needs no compile."
        )
    return None


def _read_outputs(model: keras.Model) -> list[_Output]:
    """Return the outputs of a model in the order of ``keras.tree.flatten``."""
    names = getattr(model, "output_names", None)
    if names is None:  # a Sequential
        operations = [model.layers[-1]]
    else:
        by_name = {operation.name: operation for operation in model.operations}
        operations = [by_name[name] for name in names]
    structure = [0] if names is None else _positions(model)
    by_position = {position: held for position, *held in _leaves(structure)}
    keys, fields = zip(*(by_position[n] for n in range(len(operations))), strict=True)
    if len(set(keys)) == 1 < len(keys):  # what is below the only key has an order of its own
        keys = (None,) * len(keys)
    return [
        _Output(
            name=operation.name,
            key=key,
            field=field,
            shape=tuple(tensor.shape),
            activation=_last_activation(operation),
            from_logits=_loss_takes_logits(model, position, (key, operation.name)),
            layer=f"a {type(operation).__name__} layer",
        )
        for position, (operation, key, field, tensor) in enumerate(
            zip(operations, keys, fields, model.outputs, strict=True)
        )
    ]


def _positions(model: keras.Model) -> Any:
    """Return the outputs of a model as it nests them, each by its position among all."""
    return keras.tree.pack_sequence_as(model.output, list(range(len(model.outputs))))


def _leaves(
    structure: Any, key: Hashable = None, field: str | None = None
) -> Iterator[tuple[Any, Hashable, str | None]]:
    """Yield what is nested, with the key of the innermost mapping, and a named tuple's field."""
    if isinstance(structure, Mapping):
        for inner, value in structure.items():
            yield from _leaves(value, inner)
    elif isinstance(structure, (list, tuple)):
        fields = getattr(structure, "_fields", [field] * len(structure))
        for name, value in zip(fields, structure, strict=True):
            yield from _leaves(value, key, name)
    else:
        yield structure, key, field


def changes_as_text(model: keras.Model) -> bool:
    """Return whether the outputs of a model come back in another order when Keras loads it."""
    # Keras saves every mapping as a dict with text as keys and sorts those: the heads of an
    # OrderedDict, or of the keys 9 and 10, change places, and their weights do not.
    if isinstance(model, keras.Sequential) or not getattr(model, "outputs", None):
        return False
    order = keras.tree.flatten(_as_plain(_positions(model)))
    return bool(order != sorted(order))


def with_plain_outputs(model: keras.Model) -> keras.Model:
    """Return the model, or one of the same layers whose outputs keep their order as text."""
    if not changes_as_text(model):
        return model
    positions = _as_plain(_positions(model))
    outputs = keras.tree.map_structure(lambda position: model.outputs[position], positions)
    plain = keras.Model(model.input, outputs, name=model.name)
    if model.compiled and model.optimizer is not None:
        loss = model.loss
        if isinstance(loss, (list, tuple)) and len(loss) == len(model.outputs):
            loss = [loss[position] for position in keras.tree.flatten(positions)]
        plain.compile(optimizer=model.optimizer, loss=loss)
    return plain


def _as_plain(structure: Any) -> Any:
    """Return nested outputs with every mapping as a dict with text as keys."""
    if isinstance(structure, Mapping):
        plain = {str(key): _as_plain(value) for key, value in structure.items()}
        if len(plain) < len(structure):
            raise ValueError(
                "The keys of the outputs of model= must differ as text, since Keras saves them so. "
                f"Got {enumerate_some(map(repr, structure))}."
            )
        return plain
    if isinstance(structure, (list, tuple)):
        return [_as_plain(value) for value in structure]
    return structure


def _last_activation(operation: Any) -> str | None:
    """Return the name of the activation that an operation ends in, or None."""
    if isinstance(operation, keras.Model):
        outputs = getattr(operation, "outputs", None) or []
        return _read_outputs(operation)[0].activation if len(outputs) == 1 else None
    kind = type(operation).__name__
    if kind in ("Softmax", "LogSoftmax", "Sigmoid"):
        if getattr(operation, "axis", -1) not in (-1, 1):
            return None
        return {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}[kind]
    if not hasattr(operation, "activation"):
        return None
    activation = operation.activation
    if activation is None:
        return "linear"
    name = str(getattr(activation, "__name__", type(activation).__name__)).lower()
    return _ACTIVATION_ALIASES.get(name, name)


def _loss_takes_logits(
    model: keras.Model, position: int, names: tuple[Hashable, ...]
) -> bool | None:
    """Return ``from_logits`` of the loss that a model is compiled with, or None without a loss."""
    loss = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    if isinstance(loss, (list, tuple)):
        loss = loss[position] if position < len(loss) else None
    elif isinstance(loss, dict):
        loss = next((loss[name] for name in names if name in loss), None)
    return None if loss is None else bool(getattr(loss, "from_logits", False))


def outputs_to_logits(outputs: Any, spec: CustomOutputs) -> Any:
    """Return the logits, (n_samples, sum of n_logits), from what a whole custom network gives."""
    # In a graph they are the input of the final softmax or sigmoid, as in Keras's own losses.
    # Elsewhere they are log(p), or log(p) - log(1 - p), of the clipped probabilities.
    flat = keras.tree.flatten(outputs)
    kinds = {task.position: task.kind for task in spec.tasks}
    logits = {position: to_logits(flat[position], kind) for position, kind in kinds.items()}
    parts = []
    for task in spec.tasks:
        part = logits[task.position][:, task.start : task.stop]
        if task.n_logits == 1 and task.stop - task.start == 2:
            part = part[:, 1:] - part[:, :1]
        parts.append(part)
    return ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def to_logits(output: Any, kind: str) -> Any:
    """Return the logits behind one output."""
    if kind == "logits":
        return ops.cast(output, "float32")
    operation = getattr(output, "op", None)  # TensorFlow's, in a graph only
    if operation is not None and operation.type.lower() == kind:
        return ops.cast(operation.inputs[0], "float32")
    p = ops.clip(ops.cast(output, "float32"), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return ops.log(p) if kind == "softmax" else ops.log(p) - ops.log1p(-p)
