"""Custom Keras models: what their outputs are, their logits, and their form as text.

Owns how a model given by the user is read (a whole network, or a trunk on which heads are put),
how its outputs become logits, and how it travels as text. Does not build models from builders
(`_scikeras` does) and knows neither the loss nor the training loop. Weights are not part of the
text.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import random
import re
import sys
import threading
import warnings
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from sk_mtl._model.spec import CustomOutputs, TaskOutput
from sk_mtl._tasks import enumerate_some

__all__ = [
    "as_functional",
    "classify_outputs",
    "copy_model",
    "deserialize_model",
    "fixed_randomness",
    "outputs_to_logits",
    "serialize_model",
]

# Below it a probability is taken for 0: its logarithm stays finite.
_SMALLEST_PROBABILITY = 1e-7

# TensorFlow's own functions, and Keras's activation layers given as an activation.
_ACTIVATION_ALIASES = {
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
    "logsoftmax": "log_softmax",
}

_REGISTER_ADVICE = (
    "Decorate every class and function of your own in the model with "
    "@keras.saving.register_keras_serializable(), give layers a get_config that returns their "
    "constructor's arguments, and use no lambda; in another process, import the module that "
    "defines them first."
)

# Keras draws the seeds of initializers and dropout from Python's global `random`.
_RANDOMNESS_LOCK = threading.RLock()


@dataclass(frozen=True)
class _Output:
    """One output of a Keras model as it is found."""

    name: str
    key: Hashable
    shape: tuple[int | None, ...]
    activation: str | None
    from_logits: bool | None
    layer: str

    def __str__(self) -> str:
        ends = f"ends in {self.activation or self.layer}"
        return f"{(self.name if self.key is None else self.key)!r} {self.shape} {ends}"


# ------------------------------------------------------------------------------------------------
# Reading a model
# ------------------------------------------------------------------------------------------------


def classify_outputs(
    model: keras.Model, task_names: Sequence[Hashable], n_classes: Sequence[int]
) -> CustomOutputs | None:
    """Decide whether a custom model is a whole network or a trunk, and what its outputs are.

    Parameters
    ----------
    model : keras.Model
        A functional or a built sequential model, as `as_functional` returns it.
    task_names : sequence of hashable
        The names of the tasks.
    n_classes : sequence of int
        The number of classes of each task. Whatever stands for a task of fewer than two passes, so
        that a network with a fixed head per task serves where some rows lack all of its labels.

    Returns
    -------
    outputs : CustomOutputs or None
        The outputs by task of a whole network; None for a trunk. See also `CustomOutputs.select`.

    Raises
    ------
    ValueError
        If the model is neither; the message lists its outputs and what each task needs.

    Notes
    -----
    *As many outputs as tasks (two or more)*: a whole network. If the keys of a dict, or the names
    of the output layers, are the task names in any order, they say which output is whose; else
    the outputs stand in task order. Every output ends in a softmax, in a sigmoid (two classes, one
    column), or in a linear activation, whose columns are logits. Two classes have one column
    (sigmoid or linear) or two (softmax or linear); more have a column per class.

    *One output, one task*: whole if it ends in a softmax, or in a sigmoid of one column. A linear
    output is whole only if the model says so: the output layer is named as the task, the
    activation is log_softmax, or the model is compiled with a loss of ``from_logits=True``. Any
    other output of shape ``(n_samples, width)`` is a trunk.

    *One output, several tasks*: whole if all tasks have two classes and it ends in a sigmoid with
    a column per task; any other of shape ``(n_samples, width)``, unless it ends in a softmax, is a
    trunk.

    Examples
    --------
    >>> import keras
    >>> from sk_mtl._model.custom_model import classify_outputs
    >>> inputs = keras.Input((4,))
    >>> hidden = keras.layers.Dense(8, activation="relu")(inputs)
    >>> classify_outputs(keras.Model(inputs, hidden), ["a", "b"], [2, 3]) is None
    True
    >>> a = keras.layers.Dense(1, activation="sigmoid")(hidden)
    >>> b = keras.layers.Dense(3, activation="softmax")(hidden)
    >>> outputs = classify_outputs(keras.Model(inputs, [a, b]), ["a", "b"], [2, 3])
    >>> [task.kind for task in outputs.tasks]
    ['sigmoid', 'softmax']
    """
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
    """What was found and what is expected, for the error that says so."""

    found: list[_Output]
    tasks: list[tuple[Hashable, int]]

    def failure(self, reason: str) -> ValueError:
        """Return the error for a model that is neither a whole network nor a trunk."""
        needs = enumerate_some(f"{name!r}: {_widths_phrase(n)}" for name, n in self.tasks)
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
    """Return what the columns of an output hold, None if its end does not tell."""
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
    """Return the output of one task of a whole network; refuse what cannot be that."""
    name, n_classes = task
    kind, width = _kind_of(output), output.shape[1]
    assert width is not None  # checked by the caller
    if n_classes < 2:
        return TaskOutput(position, 0, 1, kind or "logits", 1)
    if kind is None:
        raise expected.failure(
            f"The output for task {name!r} does not tell whether it holds probabilities or logits: "
            "end it in softmax, in sigmoid, or in a linear activation (logits)."
        )
    if not _fits(kind, width, n_classes):
        raise expected.failure(
            f"The output for task {name!r} has {width} {kind} column(s), which does not fit its "
            f"{n_classes} classes."
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
    if any(output.key is not None for output in found):
        raise expected.failure("The keys of the outputs must be the task names.")
    misplaced = [key for position, key in enumerate(keys) if key in names[:position]]
    misplaced += [key for position, key in enumerate(keys) if key in names[position + 1 :]]
    if misplaced:
        raise expected.failure(
            f"The output named {misplaced[0]!r} stands in the place of another task: name all "
            "output layers after the tasks, or none."
        )
    return list(range(len(tasks)))


def _classify_single_for_several(
    output: _Output, tasks: list[tuple[Hashable, int]], expected: _Expectation
) -> CustomOutputs | None:
    """Return what one output is for several tasks."""
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
    """Return what one output is for one task."""
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
    structure = model.output if names is not None else None
    keys: list[Hashable] = [None] * len(operations)
    if isinstance(structure, dict) and len(structure) == len(operations):
        keys = sorted(structure)  # as keras.tree does
    return [
        _Output(
            name=operation.name,
            key=key,
            shape=tuple(tensor.shape),
            activation=_last_activation(operation),
            from_logits=_loss_takes_logits(model, position, (key, operation.name)),
            layer=f"a {type(operation).__name__} layer",
        )
        for position, (operation, key, tensor) in enumerate(
            zip(operations, keys, model.outputs, strict=True)
        )
    ]


def _last_activation(operation: Any) -> str | None:
    """Return the name of the activation that an operation ends in, None if it has none."""
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
    """Return the ``from_logits`` of the loss a model is compiled with, None without a loss."""
    loss = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    if isinstance(loss, (list, tuple)):
        loss = loss[position] if position < len(loss) else None
    elif isinstance(loss, dict):
        loss = next((loss[name] for name in names if name in loss), None)
    return None if loss is None else bool(getattr(loss, "from_logits", False))


# ------------------------------------------------------------------------------------------------
# Logits
# ------------------------------------------------------------------------------------------------


def outputs_to_logits(outputs: Any, spec: CustomOutputs) -> Any:
    """Turn what a whole custom network returned into logits, the tasks side by side.

    Parameters
    ----------
    outputs : tensor or structure of tensors of shape (n_samples, width)
        What the model returned.
    spec : CustomOutputs
        What the outputs are.

    Returns
    -------
    logits : tensor of float32 of shape (n_samples, sum of n_logits)
        In task order: one column for a task of at most two classes, the log-odds of its second
        class; one column per class for the others.

    Notes
    -----
    In a graph the input of the final softmax or sigmoid is taken, as Keras's own losses do. Where
    only the probabilities :math:`p` are at hand, the logits are :math:`\\log p` and
    :math:`\\log p - \\log(1 - p)`, with :math:`p` kept :math:`10^{-7}` away from 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl._model.custom_model import outputs_to_logits
    >>> from sk_mtl._model.spec import CustomOutputs, TaskOutput
    >>> spec = CustomOutputs((TaskOutput(0, 0, 2, "logits", 1),))
    >>> np.asarray(outputs_to_logits(np.array([[1.0, 3.0]]), spec))
    array([[2.]], dtype=float32)
    """
    flat = keras.tree.flatten(outputs)
    kinds = {task.position: task.kind for task in spec.tasks}
    logits = {position: _to_logits(flat[position], kind) for position, kind in kinds.items()}
    parts = []
    for task in spec.tasks:
        part = logits[task.position][:, task.start : task.stop]
        if task.n_logits == 1 and task.stop - task.start == 2:
            part = part[:, 1:] - part[:, :1]
        parts.append(part)
    return ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def _to_logits(output: Any, kind: str) -> Any:
    """Return the logits behind one output."""
    if kind == "logits":
        return ops.cast(output, "float32")
    operation = getattr(output, "op", None)  # TensorFlow's, in a graph only
    if operation is not None and operation.type.lower() == kind:
        return ops.cast(operation.inputs[0], "float32")
    p = ops.clip(ops.cast(output, "float32"), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return ops.log(p) if kind == "softmax" else ops.log(p) - ops.log1p(-p)


# ------------------------------------------------------------------------------------------------
# Building and copying without touching the process's random state
# ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def fixed_randomness(seed: int) -> Iterator[None]:
    """Make what Keras draws while building depend on a seed alone, and leave no trace of it.

    Initializers and dropout without a seed of their own draw one from Python's global `random`;
    user code may use NumPy's. Both are seeded inside and put back after. One thread at a time.

    Parameters
    ----------
    seed : int
        The seed, not negative.

    Yields
    ------
    None
        Nothing.
    """
    with _RANDOMNESS_LOCK:
        python_state = random.getstate()
        numpy_state = np.random.get_state()  # noqa: NPY002 - put back below
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - for builders that use it
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


def as_functional(model: keras.Model, n_features: int) -> keras.Model:
    """Return a model with known inputs and outputs: itself, or a functional one around it.

    Parameters
    ----------
    model : keras.Model
        A functional, sequential (built or not) or subclassed model.
    n_features : int
        Width of X.

    Returns
    -------
    model : keras.Model
        With `inputs` and `outputs`, its weights created; compiled as the given one was.

    Raises
    ------
    ValueError
        If it does not take one input of shape (n_samples, n_features).
    """
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, n_features))
    if not getattr(model, "inputs", None):
        inputs = keras.Input((n_features,), dtype="float32", name="X")
        wrapped = keras.Model(inputs, model(inputs), name="custom_network")
        _compile_like(wrapped, model)
        model = wrapped
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] not in (None, n_features):
        raise ValueError(
            f"model= must take one input of shape (n_samples, {n_features}), which X has. Got "
            f"{len(shapes)} input(s) of shape {enumerate_some(shapes)}. A builder that asks for "
            "`meta` finds the width in meta['n_features_in_']."
        )
    return model


def copy_model(model: keras.Model) -> keras.Model:
    """Return an independent copy of a model with the weights it has, if it has any.

    Parameters
    ----------
    model : keras.Model
        The model; it is not changed.

    Returns
    -------
    copy : keras.Model
        Compiled with the same loss and a copy of the optimizer if the model is compiled.
    """
    try:
        copied = keras.models.clone_model(model)
        if model.weights and len(copied.weights) == len(model.weights):
            copied.set_weights(model.get_weights())
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"The model given as model= cannot be copied ({error}). Pass a function that builds it."
        ) from error
    if len(copied.weights) != len(model.weights):
        raise ValueError(
            f"The model given as model= cannot be copied: the copy has {len(copied.weights)} "
            f"weight(s), the model {len(model.weights)}. Pass a function that builds it."
        )
    _compile_like(copied, model)
    return copied


def _compile_like(model: keras.Model, other: keras.Model) -> None:
    """Compile a model as another one is, if it is."""
    if getattr(other, "compiled", False) and other.optimizer is not None:
        config = keras.optimizers.serialize(other.optimizer)
        model.compile(optimizer=keras.optimizers.deserialize(config), loss=other.loss)


# ------------------------------------------------------------------------------------------------
# Text
# ------------------------------------------------------------------------------------------------


def serialize_model(model: keras.Model) -> str:
    """Return a model's architecture as text, without weights, loss and optimizer.

    Layers that Keras named itself are numbered afresh: Keras counts them over the whole process,
    so that two builds of one architecture would differ in their text, and in the order of
    ``dense_9`` and ``dense_10``.

    Parameters
    ----------
    model : keras.Model
        A functional or a built sequential model.

    Returns
    -------
    text : str
        JSON; the same for two builds of one architecture.

    Raises
    ------
    ValueError
        If the model cannot be written as text; the message says what to do.
    """
    with _RANDOMNESS_LOCK, warnings.catch_warnings():
        # A lambda is refused below, with advice.
        warnings.simplefilter("ignore")
        try:
            config = keras.saving.serialize_keras_object(model)
            text = json.dumps(_without_compilation(config))
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ValueError(
                f"The custom model cannot be saved as text: {_first_line(error)} {_REGISTER_ADVICE}"
            ) from error
    if '"__lambda__"' in text:
        raise ValueError(f"The custom model holds a lambda. {_REGISTER_ADVICE}")
    config = json.loads(text)
    return json.dumps(
        {
            "model": _rename(config, _canonical_names(config)),
            "imports": sorted(_custom_modules(config)),
            "weight_shapes": _weight_shapes(model),
        }
    )


def deserialize_model(text: str) -> keras.Model:
    """Build a model from its text; its weights are arbitrary.

    Parameters
    ----------
    text : str
        What `serialize_model` returned.

    Returns
    -------
    model : keras.Model
        Not compiled.

    Raises
    ------
    ValueError
        If a class or function of the model is not known in this process, or its configuration does
        not give the weights that the model had.
    """
    stored = json.loads(text)
    for module in stored["imports"]:
        if module not in sys.modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
    with fixed_randomness(0):
        try:
            model = keras.saving.deserialize_keras_object(stored["model"])
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"The custom model cannot be built from its text: {_first_line(error)} "
                f"{_REGISTER_ADVICE}"
            ) from error
    # Keras makes up a configuration for a subclass of keras.Model, from the defaults of its
    # constructor.
    if _weight_shapes(model) != stored["weight_shapes"]:
        raise ValueError(
            "The custom model cannot be built from its text: the configuration of its parts gives "
            f"weights of the shapes {enumerate_some(_weight_shapes(model))}, but it had "
            f"{enumerate_some(stored['weight_shapes'])}. {_REGISTER_ADVICE}"
        )
    return model


def _weight_shapes(model: keras.Model) -> list[list[int]]:
    """Return the shapes of a model's weights, in their order."""
    return [list(weight.shape) for weight in model.weights]


def _first_line(error: Exception) -> str:
    """Return what an error of Keras says, without the configuration it appends."""
    text = str(error)
    found = re.search(r"Could not locate (class|function) '[^']*'", text)
    return f"{found.group(0)}." if found else text.strip().split("\n")[0][:300]


def _without_compilation(config: Any) -> Any:
    """Return a configuration without the optimizer and loss of the model and its parts."""
    if isinstance(config, dict):
        return {k: _without_compilation(v) for k, v in config.items() if k != "compile_config"}
    if isinstance(config, (list, tuple)):
        return [_without_compilation(item) for item in config]
    return config


def _walk(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every dict of a configuration, outer ones first."""
    if isinstance(config, dict):
        yield config
        for value in config.values():
            yield from _walk(value)
    elif isinstance(config, list):
        for item in config:
            yield from _walk(item)


def _custom_modules(config: Any) -> set[str]:
    """Return the modules that define the classes and functions registered with Keras."""
    modules = set()
    for part in _walk(config):
        registered = part.get("registered_name")
        found = keras.saving.get_registered_object(registered) if registered else None
        module = getattr(found, "__module__", None)
        if module not in (None, "__main__"):
            modules.add(str(module))
    return modules


def _canonical_names(config: Any) -> dict[str, str]:
    """Return the new name of every layer that Keras named itself, counted within the model."""
    automatic: dict[str, str] = {}
    taken = set()
    for part in _walk(config):
        inner = part.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        if not isinstance(name, str) or "class_name" not in part:
            continue
        stem = _snake_case(str(part["class_name"]))
        # Keras names the inputs of a cloned model after their tensors.
        stems = f"{re.escape(stem)}|keras_tensor" if stem == "input_layer" else re.escape(stem)
        if re.fullmatch(rf"({stems})(_\d+)?", name):
            automatic.setdefault(name, stem)
        else:
            taken.add(name)
    canonical: dict[str, str] = {}
    for name, stem in automatic.items():
        number, fresh = 0, stem
        while fresh in taken:
            number += 1
            fresh = f"{stem}_{number}"
        taken.add(fresh)
        canonical[name] = fresh
    return canonical


def _rename(config: Any, names: dict[str, str]) -> Any:
    """Return a configuration with layers renamed, where they are defined and referred to."""
    if isinstance(config, dict):
        return {
            key: names.get(value, value)
            if key == "name" and isinstance(value, str)
            else _rename(value, names)
            for key, value in config.items()
        }
    if isinstance(config, list):
        # A reference to a layer's output: [name, node index, tensor index].
        if len(config) == 3 and isinstance(config[0], str) and isinstance(config[1], int):
            return [names.get(config[0], config[0]), *config[1:]]
        return [_rename(item, names) for item in config]
    return config


def _snake_case(class_name: str) -> str:
    """Return the stem that Keras makes of a class name for automatic layer names."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
