"""A network as JSON and arrays, and back, where these may come from anybody.

Owns what of a network and its training is stored, and the checks that keep a description from
building more than it has weights for. Loads no configuration of Keras: a network is built from its
specification, as by `fit`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import keras
import numpy as np

from sk_mtl._codec.values import decode_value, encode_value, require
from sk_mtl._data.input_encoder import InputSpec
from sk_mtl._fit.fitted import FittedNetwork
from sk_mtl._model.network import (
    build_network,
    canonical_activation,
    network_variables,
)
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.averaging import averaged_variables
from sk_mtl._train.best_weights import BestWeights
from sk_mtl._train.optimizer import kept_dtype, optimizer_settings
from sk_mtl._train.state import AveragingState, TeacherState, TrainingState
from sk_mtl.weighting import make_weighting

__all__ = ["describe_network", "restore_network"]

# Keras builds some two hundred layers a second.
_MAX_VARIABLES = 8_000
# Settings that a network did not have when files of this format were first written: where they are
# missing, they are the defaults.
_ADDED_PARTS = ("averaging", "checkpoints", "teacher", "temperatures")
_ADDED_SETTINGS = frozenset({"ensemble_size", "ensemble_method", "input"})


def describe_network(network: FittedNetwork | None, arrays: dict[str, np.ndarray]) -> Any:
    """Return what is stored of a network.

    Parameters
    ----------
    network : FittedNetwork or None
        One without a model of the user's own; None if no task has two classes.
    arrays : dict of str to ndarray
        Arrays are added to it.

    Returns
    -------
    node : dict or None
        For JSON.
    """
    if network is None:
        return None
    spec, state = network.spec, network.state
    names = _variable_names(build_network(spec))
    optimizer = state.optimizer
    node = {
        "spec": {
            name: encode_value(value, f"spec/{name}", arrays)
            for name, value in _settings_of(spec).items()
        },
        "values": [
            encode_value(np.asarray(value), name, arrays)
            for name, value in zip(names, state.network, strict=True)
        ],
        "weighting": encode_value(dict(state.weighting), "task_weighting", arrays),
        "optimizer": encode_value(optimizer, "optimizer", arrays),
        "optimizer_settings": encode_value(state.optimizer_settings, "optimizer", arrays),
    }
    if state.teacher is not None:
        node["teacher"] = {
            "n_steps": state.teacher.n_steps,
            "values": [
                encode_value(np.asarray(value), f"teacher/{name}", arrays)
                for name, value in zip(names, state.teacher.network, strict=True)
            ],
        }
    if state.averaging is not None:
        node["averaging"] = {
            "n_steps": state.averaging.n_steps,
            "values": encode_value(state.averaging.weights, "weights", arrays),
        }
    if network.temperatures is not None:
        node["temperatures"] = encode_value(network.temperatures, "temperatures", arrays)
    if network.checkpoints is not None:
        node["checkpoints"] = _describe_checkpoints(network.checkpoints, state, names, arrays)
    return node


def _describe_checkpoints(
    checkpoints: BestWeights,
    state: TrainingState,
    names: list[str],
    arrays: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Return what is stored of the values of each task; those of the state are not repeated."""
    values = [
        None
        if of_epoch is state.network
        else [
            encode_value(np.asarray(value), f"epoch_{epoch}/{name}", arrays)
            for name, value in zip(names, of_epoch, strict=True)
        ]
        for epoch, of_epoch in zip(checkpoints.epochs, checkpoints.values, strict=True)
    ]
    return {
        "epochs": list(checkpoints.epochs),
        "of_task": list(checkpoints.of_task),
        "values": values,
    }


def _settings_of(spec: NetworkSpec) -> dict[str, Any]:
    """Return the settings of a network by name, without those of a model of the user's own."""
    names = (field.name for field in fields(spec))
    settings = {name: getattr(spec, name) for name in names if not name.startswith("custom_")}
    if spec.input is not None:
        settings["input"] = {
            field.name: getattr(spec.input, field.name) for field in fields(spec.input)
        }
    return settings


def _variable_names(model: keras.Model) -> list[str]:
    """Return names for the variables of a network, by which other tools see them."""
    # Keras numbers seed generators over the whole process in some versions.
    paths = (variable.path for variable in network_variables(model))
    paths = (path if "seed_generator" not in path else "seed" for path in paths)
    return [f"network/{number}/{path}" for number, path in enumerate(paths)]


def restore_network(
    nodes: Any, estimator: Any, arrays: dict[str, np.ndarray]
) -> FittedNetwork | None:
    """Return the network that a description stands for.

    Parameters
    ----------
    nodes : object
        What JSON said, from anybody.
    estimator : MultiTaskClassifier
        Whose network it is to be: its parameters, tasks and classes.
    arrays : dict of str to ndarray
        Arrays, from anybody; those that are used are taken out.

    Returns
    -------
    network : FittedNetwork or None
        The network; None if no task has two classes.

    Raises
    ------
    ValueError
        If it stands for none, or for one of other features or tasks.
    """
    classes = estimator._schema.n_classes
    n_outputs = tuple(1 if n == 2 else n for n in classes if n >= 2)
    if nodes is None:
        require(not n_outputs, "it has tasks to learn, and no network")
        return None
    required = {"spec", "values", "weighting", "optimizer", "optimizer_settings"}
    says_all = required <= nodes.keys() <= {*required, *_ADDED_PARTS}
    require(n_outputs and says_all, "its network says something else")
    spec = _restore_spec(nodes["spec"], estimator, n_outputs, arrays)
    values, state, optimizer, settings = (
        decode_value(nodes[part], arrays)
        for part in ("values", "weighting", "optimizer", "optimizer_settings")
    )
    require(_are_arrays(values), "the values of its network are no arrays")
    _check_size(spec, values)
    model = build_network(spec)
    _check_values(model, values)
    require(type(state) is dict and _are_arrays(list(state.values())), "no task weighting")
    require(all(v.dtype == np.float32 for v in state.values()), "task weighting is float32")
    strategy = make_weighting(
        estimator.task_weighting, estimator._schema.task_names, estimator._is_learnable
    )
    fresh = strategy.initial_state(len(n_outputs))
    if fresh.keys() == state.keys():
        same = all(fresh[name].shape == state[name].shape for name in fresh)
        require(same, "its task weighting is of other tasks")
    learned = [state[name] for name in strategy.learned_state if name in state]
    _check_optimizer(estimator, optimizer, settings, model, learned)
    temperatures = _restore_temperatures(nodes.get("temperatures"), len(n_outputs), arrays)
    teacher = _restore_teacher(nodes["teacher"], model, arrays) if "teacher" in nodes else None
    averaging = None
    if "averaging" in nodes:
        averaging = _restore_averaging(nodes["averaging"], model, arrays)
    training_state = TrainingState(values, state, optimizer, settings, teacher, averaging)
    checkpoints = None
    if "checkpoints" in nodes:
        checkpoints = _restore_checkpoints(
            nodes["checkpoints"], values, model, len(n_outputs), estimator.n_iter_, arrays
        )
    return FittedNetwork(spec, training_state, temperatures, checkpoints)


def _check_values(model: keras.Model, values: list[np.ndarray]) -> None:
    """Check that values are those of a network's variables."""
    _check_arrays(network_variables(model), values)


def _check_arrays(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        fits = value.shape == tuple(variable.shape) and value.dtype == variable.dtype
        require(fits, f"{variable.path} has another shape or dtype")
        require(value.dtype.kind != "f" or np.isfinite(value).all(), "a weight is not finite")


def _restore_checkpoints(
    node: dict[str, Any],
    of_state: list[np.ndarray],
    model: keras.Model,
    n_tasks: int,
    n_epochs: int,
    arrays: dict[str, np.ndarray],
) -> BestWeights:
    """Return the values of each task."""
    require(node.keys() == {"epochs", "of_task", "values"}, "its best epochs say something else")
    epochs, of_task = node["epochs"], node["of_task"]
    require(all(type(n) is int for n in (*epochs, *of_task)), "an epoch is no number")
    ascends = all(a < b for a, b in itertools.pairwise([0, *epochs, n_epochs + 1]))
    require(ascends, "its best epochs were never trained")
    is_each = len(of_task) == n_tasks and set(of_task) == set(range(len(epochs)))
    require(is_each and len(node["values"]) == len(epochs), "its best epochs are of other tasks")
    values = []
    for nodes in node["values"]:
        of_epoch = of_state if nodes is None else [decode_value(part, arrays) for part in nodes]
        require(_are_arrays(of_epoch), "the values of an epoch are no arrays")
        _check_values(model, of_epoch)
        values.append(of_epoch)
    return BestWeights(tuple(epochs), tuple(values), tuple(of_task))


def _restore_teacher(
    node: dict[str, Any], model: keras.Model, arrays: dict[str, np.ndarray]
) -> TeacherState:
    """Return the teacher from which training would go on."""
    require(node.keys() == {"n_steps", "values"}, "its teacher says something else")
    n_steps, values = node["n_steps"], [decode_value(part, arrays) for part in node["values"]]
    require(type(n_steps) is int and 0 <= n_steps < 2**31, "its teacher has seen no such steps")
    require(_are_arrays(values), "the values of its teacher are no arrays")
    _check_values(model, values)
    return TeacherState(values, n_steps)


def _restore_averaging(
    node: dict[str, Any], model: keras.Model, arrays: dict[str, np.ndarray]
) -> AveragingState:
    """Return the weights from which training would go on."""
    require(node.keys() == {"n_steps", "values"}, "its averages say something else")
    n_steps, weights = node["n_steps"], decode_value(node["values"], arrays)
    require(type(n_steps) is int and 0 <= n_steps < 2**31, "its averages are of no such steps")
    require(_are_arrays(weights), "the weights that were averaged are no arrays")
    _check_arrays(averaged_variables(model), weights)
    return AveragingState(weights, n_steps)


def _restore_temperatures(
    node: Any, n_tasks: int, arrays: dict[str, np.ndarray]
) -> np.ndarray | None:
    temperatures = None if node is None else decode_value(node, arrays)
    if temperatures is None:
        return None
    require(_are_arrays([temperatures]), "its temperatures are no array")
    is_float32 = temperatures.dtype == np.float32 and temperatures.shape == (n_tasks,)
    require(is_float32, "its temperatures are of other tasks")
    is_positive = np.isfinite(temperatures) & (temperatures > 0)
    require(is_positive.all(), "a temperature is no positive number")
    return temperatures


def _are_arrays(values: Any) -> bool:
    return type(values) is list and all(type(value) is np.ndarray for value in values)


def _restore_spec(
    nodes: dict[str, Any],
    estimator: Any,
    n_outputs: tuple[int, ...],
    arrays: dict[str, np.ndarray],
) -> NetworkSpec:
    settings = {name: decode_value(node, arrays) for name, node in nodes.items()}
    known = {field.name for field in fields(NetworkSpec) if not field.name.startswith("custom_")}
    is_known = known - _ADDED_SETTINGS <= settings.keys() <= known
    require(is_known, "its network has other settings")
    rules: dict[str, Callable[[Any], bool]] = {
        "n_features": lambda n: type(n) is int and n == estimator.n_features_in_,
        "n_outputs": lambda sizes: _are_widths(sizes) and sizes == n_outputs,
        "hidden_layer_sizes": _are_widths,
        "head_hidden_layer_sizes": lambda heads: (
            type(heads) is tuple
            and len(heads) == len(n_outputs)
            and all(_are_widths(sizes) for sizes in heads)
        ),
        "dropout": lambda share: type(share) is float and 0 <= share < 1,
        "normalization": lambda kind: kind in (None, "batch", "layer"),
        "l2": lambda factor: type(factor) is float and 0 <= factor < math.inf,
        "input": lambda of_X: of_X is None or _is_input(of_X, estimator),
        "activation": lambda name: type(name) is str and canonical_activation(name) == name,
        "ensemble_size": lambda n: type(n) is int and 1 <= n < 2**31,
        "ensemble_method": lambda kind: kind in ("shared", "independent"),
    }
    for name, value in settings.items():
        require(rules[name](value), f"its network cannot have {name}={str(value)[:80]}")
    if settings.get("input") is not None:
        settings["input"] = InputSpec(**settings["input"])
    return NetworkSpec(**settings)


def _is_input(settings: Any, estimator: Any) -> bool:
    """Return whether these are settings of an InputSpec that fits the features of an estimator."""
    if settings.keys() != {field.name for field in fields(InputSpec)}:
        return False
    categories, missing = settings["categories"], settings["missing"]
    size, embedded = settings["embedding_size"], settings["embedded"]
    known = estimator._categories or ()
    return (
        type(settings["standardize"]) is bool
        and categories == tuple(0 if c is None else len(c) for c in known)
        and type(missing) is tuple
        and all(type(j) is int and 0 <= j < estimator.n_features_in_ for j in missing)
        and list(missing) == sorted(set(missing))
        and settings["embedding"] in (None, "piecewise_linear", "periodic")
        and type(size) is int
        and (0 < size < 2**31 if settings["embedding"] else size == 0)
        and type(embedded) is tuple
        and all(type(k) is int and 0 <= k < estimator.n_features_in_ for k in embedded)
        and list(embedded) == sorted(set(embedded))
    )


def _are_widths(sizes: Any) -> bool:
    return type(sizes) is tuple and all(type(n) is int and 1 <= n < 2**31 for n in sizes)


def _check_size(spec: NetworkSpec, values: list[np.ndarray]) -> None:
    """Refuse a network that would be larger than the values there are, before it is built."""
    trunk = (spec.n_features, *spec.hidden_layer_sizes)
    n_numbers, n_layers = _count(spec, trunk)
    if spec.input is not None:
        n_numbers += spec.input.embedding_size * len(spec.input.embedded)
    for hidden, width in zip(spec.head_hidden_layer_sizes, spec.n_outputs, strict=True):
        n_numbers += _count(spec, (trunk[-1], *hidden))[0]
        n_numbers += spec.ensemble_size * ((*trunk, *hidden)[-1] + 1) * width
    for shape in set(zip(spec.head_hidden_layer_sizes, spec.n_outputs, strict=True)):
        n_layers += len(shape[0]) + 1
    fits = n_numbers <= sum(v.size for v in values) and 2 * n_layers <= len(values)
    require(fits, "its network needs more weights than there are")
    require(len(values) <= _MAX_VARIABLES, f"it has more than {_MAX_VARIABLES} arrays of weights")


def _count(spec: NetworkSpec, widths: tuple[int, ...]) -> tuple[int, int]:
    """Return the numbers of weights and of layers, at least, of a stack of hidden layers."""
    pairs, n_members = list(itertools.pairwise(widths)), spec.ensemble_size
    n_kernels = 1 if spec.ensemble_method == "shared" else n_members
    n_numbers = sum(n_kernels * n_in * n_out + n_members * n_out for n_in, n_out in pairs)
    return n_numbers, len(pairs)


def _check_optimizer(
    estimator: Any,
    values: Any,
    settings: Any,
    model: keras.Model,
    learned: list[np.ndarray],
) -> None:
    """Check the values from which the optimizer would go on."""
    if values is None and settings is None:
        return
    require(_are_arrays(values), "the values of its optimizer are no arrays")
    require(type(settings) is tuple, "its optimizer has no settings")
    kind, rate = settings
    require(type(kind) is str and (rate is None or type(rate) is float), "no settings")
    optimizer = estimator._make_optimizer()
    if optimizer_settings(optimizer)[0] != kind:
        return  # of an optimizer that was replaced since: training starts it afresh
    optimizer.build([*model.trainable_variables, *(keras.Variable(value) for value in learned)])
    for variable, value in zip(optimizer.variables, values, strict=True):
        fits = value.shape == tuple(variable.shape) and value.dtype == kept_dtype(variable)
        require(fits, "its optimizer has values of another shape or dtype")
