"""A trained network as plain values and arrays, and back, where these may come from anybody.

Owns the checks that keep a description from building more than it has weights for. Loads no
configuration of Keras: a network follows from its specification, as in `fit`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from sk_mtl._codec.values import AnyObjects, decode_value, encode_value, require
from sk_mtl._data.categories import Categories
from sk_mtl._data.input_spec import InputSpec
from sk_mtl._data.schema import TargetSchema
from sk_mtl._fit.fitted_network import FittedNetwork
from sk_mtl._model.sharing import EXPERTS, SHARING, TASK_EXPERTS, n_trunk_blocks
from sk_mtl._model.spec import CustomOutputs, NetworkSpec, TaskOutput, head_groups
from sk_mtl._model.task_layout import TaskLayout
from sk_mtl._model.variables import Variable, list_variables
from sk_mtl._predict.activations import ACTIVATIONS
from sk_mtl._quoting import quote
from sk_mtl._train.best_weights import decode_best_weights, encode_best_weights
from sk_mtl._train.state import TrainingState, decode_state, encode_state

__all__ = ["decode_network", "encode_network"]

_MAX_VARIABLES = 8_000
_HARD_SHARING: dict[str, Any] = {"sharing": "hard", "n_experts": 0, "n_task_experts": 0}


def encode_network(network: FittedNetwork | None, arrays: dict[str, Any]) -> Any:
    """Return a network for JSON; put its arrays aside, named by their layers. None for none."""
    if network is None:
        return None
    spec, state, best = network.spec, network.state, network.best_weights
    paths = [f"network/{i}" for i in range(len(state.network))]
    if spec.custom_model is None:
        paths = [f"network/{i}/{v.layer}/{v.kind}" for i, v in enumerate(list_variables(spec))]
    return {
        "spec": _encode_spec(spec, arrays),
        "state": encode_state(state, "", arrays, paths),
        "temperatures": encode_value(network.temperatures, "temperatures", arrays),
        "best_weights": None
        if best is None
        else encode_best_weights(best, state.network, paths, arrays),
    }


def _encode_spec(spec: NetworkSpec, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a network by name; those of a custom model if there is one."""
    settings = {field.name: getattr(spec, field.name) for field in fields(spec)}
    if spec.custom_model is None:
        del settings["custom_model"], settings["custom_outputs"]
    elif spec.custom_outputs is not None:
        settings["custom_outputs"] = [_values_of(task) for task in spec.custom_outputs.tasks]
    if spec.input is not None:
        settings["input"] = _values_of(spec.input)
    return {name: encode_value(v, f"spec/{name}", arrays) for name, v in settings.items()}


def _values_of(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def decode_network(
    nodes: Any,
    arrays: dict[str, Any],
    n_features: int,
    schema: TargetSchema,
    categories: Categories | None,
    n_epochs: int,
) -> FittedNetwork | None:
    """Return the network that `encode_network` was given; ValueError if it is not such a one."""
    n_outputs = TaskLayout.of_classes(n for n in schema.n_classes if n >= 2).n_outputs
    if nodes is None:
        require(not n_outputs, "there are tasks to learn, and no network")
        return None
    parts = {"spec", "state", "temperatures", "best_weights"}
    require(n_outputs and nodes.keys() == parts, "unexpected keys in the network")
    spec = _decode_spec(nodes["spec"], arrays, n_features, n_outputs, categories)
    state = decode_state(nodes["state"], arrays)
    temperatures = decode_value(nodes["temperatures"], arrays)
    best = nodes["best_weights"]
    if best is not None:
        best = decode_best_weights(best, state.network, len(n_outputs), arrays)
        is_trained = best.epochs[0] >= 1 and best.epochs[-1] <= n_epochs
        require(is_trained, "the best epochs were never trained")
    if temperatures is not None:
        _check_temperatures(temperatures, len(n_outputs))
    if not isinstance(arrays, AnyObjects):
        networks = [state.network, *(() if best is None else best.values)]
        if state.teacher is not None:
            networks.append(state.teacher.network)
        _check_size(spec, state.network)
        variables = list_variables(spec)
        for values in networks:
            _check_values(variables, values)
        _check_training_state(state, variables)
    return FittedNetwork(spec, state, temperatures, best)


def _check_temperatures(temperatures: Any, n_tasks: int) -> None:
    is_array = isinstance(temperatures, np.ndarray) and temperatures.dtype == np.float32
    require(is_array and temperatures.shape == (n_tasks,), "the temperatures do not fit the tasks")
    is_positive = np.isfinite(temperatures) & (temperatures > 0)
    require(is_positive.all(), "a temperature is not positive")


def _check_values(variables: list[Variable], values: list[np.ndarray]) -> None:
    """Check that values are those of a network's variables."""
    for variable, value in zip(variables, values, strict=True):
        fits = value.shape == variable.shape and value.dtype == variable.dtype
        require(fits, f"{variable.layer}/{variable.kind} has another shape or dtype")
        require(value.dtype.kind != "f" or np.isfinite(value).all(), "a weight is not finite")


def _check_training_state(state: TrainingState, variables: list[Variable]) -> None:
    """Check what training would continue from, as far as it can be told without Keras."""
    weighting = list(state.weighting.values())
    require(all(v.dtype == np.float32 for v in weighting), "the task weighting is not float32")
    n_tasks = {v.shape[0] for v in weighting if v.ndim}
    require(len(n_tasks) <= 1, "the task weighting does not fit the tasks")
    learned = [v.shape for v in variables if v.trainable]
    # Adafactor has the means of a kernel's moments over its rows, and over its columns.
    means = [mean for s in learned if len(s) > 1 for mean in (s[:-1], s[:-2] + s[-1:])]
    shapes = {(), *learned, *means, *(v.shape for v in weighting)}
    if state.optimizer is not None:
        require(len(state.optimizer) >= 2, "the optimizer lacks values")
        for value in state.optimizer:
            fits = value.shape in shapes and value.dtype.str[1:] in ("f4", "i4", "i8", "u4", "b1")
            require(fits, "a value of the optimizer has another shape or dtype")
            require(value.dtype.kind != "f" or np.isfinite(value).all(), "a value is not finite")
    if state.averaging is not None:
        averaged = [v for v in variables if v.is_averaged]
        _check_values(averaged, state.averaging.weights)


def _decode_spec(
    nodes: dict[str, Any],
    arrays: dict[str, Any],
    n_features: int,
    n_outputs: tuple[int, ...],
    categories: Categories | None,
) -> NetworkSpec:
    """Return the specification of a network of these features and tasks."""
    settings = {name: decode_value(node, arrays) for name, node in nodes.items()}
    known = {field.name for field in fields(NetworkSpec)}
    is_custom = isinstance(arrays, AnyObjects) and "custom_model" in settings
    if is_custom:
        if settings["custom_outputs"] is not None:
            tasks = tuple(TaskOutput(**task) for task in settings["custom_outputs"])
            settings["custom_outputs"] = CustomOutputs(tasks)
    else:
        known -= {"custom_model", "custom_outputs"}
    # Earlier files have none of these.
    settings = {"known_labels": False, **_HARD_SHARING} | settings
    require(settings.keys() == known, "unexpected keys in the network's settings")
    rules: dict[str, Callable[[Any], bool]] = {
        "n_features": lambda n: type(n) is int and n == n_features,
        "n_outputs": lambda sizes: _are_widths(sizes) and sizes == n_outputs,
        "hidden_layer_sizes": _are_widths,
        "head_hidden_layer_sizes": lambda heads: (
            type(heads) is tuple
            and len(heads) == len(n_outputs)
            and all(_are_widths(sizes) for sizes in heads)
        ),
        "dropout": lambda share: type(share) is float and 0 <= share < 1,
        "dropout_by_width": lambda value: type(value) is bool,
        "known_labels": lambda value: type(value) is bool or value == "with_indicator",
        "normalization": lambda kind: kind in (None, "batch", "layer"),
        "l2": lambda factor: type(factor) is float and 0 <= factor < math.inf,
        "input": lambda spec: spec is None or _is_input(spec, n_features, categories),
        "activation": _is_activation,
        "ensemble_size": lambda n: type(n) is int and 1 <= n < 2**31,
        "ensemble_method": lambda kind: kind in ("shared", "independent"),
        "sharing": lambda kind: kind in SHARING,
        "n_experts": lambda n: _is_number_of_experts(n, settings, EXPERTS),
        "n_task_experts": lambda n: _is_number_of_experts(n, settings, TASK_EXPERTS),
    }
    for name, holds in rules.items():
        value = settings[name]
        require(holds(value), f"a network cannot have {name}={quote(value)}")
    if settings["input"] is not None:
        settings["input"] = InputSpec(**settings["input"])
    return NetworkSpec(**settings)


def _is_activation(name: Any) -> bool:
    """Return whether this names an activation; Keras is asked for those of users only."""
    if type(name) is not str or name in ACTIVATIONS:
        return type(name) is str
    from sk_mtl._model.activations import canonical_activation

    return canonical_activation(name) == name


def _is_input(settings: Any, n_features: int, categories: Categories | None) -> bool:
    """Return whether these are settings of an InputSpec for these features."""
    if settings.keys() != {field.name for field in fields(InputSpec)}:
        return False
    missing, embedded = settings["missing"], settings["embedded"]
    size, embedding = settings["embedding_size"], settings["embedding"]
    return (
        type(settings["standardize"]) is bool
        and settings["categories"] == tuple(0 if c is None else len(c) for c in categories or ())
        and _are_positions(missing, n_features)
        and embedding in (None, "piecewise_linear", "periodic")
        and type(size) is int
        and (0 < size < 2**31 if embedding else size == 0)
        and _are_positions(embedded, n_features)
    )


def _are_positions(positions: Any, n_features: int) -> bool:
    return (
        type(positions) is tuple
        and all(type(j) is int and 0 <= j < n_features for j in positions)
        and list(positions) == sorted(set(positions))
    )


def _is_number_of_experts(n: Any, settings: dict[str, Any], structures: Sequence[str]) -> bool:
    """Return whether a trunk can have so many experts of a kind that some structures have."""
    if settings["sharing"] != "hard":
        has_layers = bool(settings["hidden_layer_sizes"])
        if not has_layers or settings["ensemble_size"] != 1 or "custom_model" in settings:
            return False
    return type(n) is int and (0 < n < 2**31 if settings["sharing"] in structures else n == 0)


def _are_widths(sizes: Any) -> bool:
    return type(sizes) is tuple and all(type(n) is int and 1 <= n < 2**31 for n in sizes)


def _check_size(spec: NetworkSpec, values: list[np.ndarray]) -> None:
    """Refuse a network that would be larger than the values there are, before it is built."""
    trunk = (spec.n_inputs, *spec.hidden_layer_sizes)
    n_numbers, n_layers = _count(spec, trunk)
    n_numbers *= n_trunk_blocks(spec)
    if spec.input is not None:
        n_numbers += spec.input.embedding_size * len(spec.input.embedded)
    for hidden, width in zip(spec.head_hidden_layer_sizes, spec.n_outputs, strict=True):
        n_numbers += _count(spec, (trunk[-1], *hidden))[0]
        n_numbers += spec.ensemble_size * ((*trunk, *hidden)[-1] + 1) * width
    n_layers += sum(len(group.hidden) + 1 for group in head_groups(spec))
    fits = n_numbers <= sum(v.size for v in values) and 2 * n_layers <= len(values)
    require(fits, "the network needs more weights than there are")
    require(len(values) <= _MAX_VARIABLES, f"there are more than {_MAX_VARIABLES} weight arrays")


def _count(spec: NetworkSpec, widths: tuple[int, ...]) -> tuple[int, int]:
    """Return the numbers of weights and of layers, at least, of a stack of hidden layers."""
    pairs, n_members = list(itertools.pairwise(widths)), spec.ensemble_size
    n_kernels = 1 if spec.ensemble_method == "shared" else n_members
    n_numbers = sum(n_kernels * n_in * n_out + n_members * n_out for n_in, n_out in pairs)
    return n_numbers, len(pairs)
