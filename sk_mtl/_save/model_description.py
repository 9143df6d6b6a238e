"""A fitted estimator as a text and arrays, and back, where the text may come from anybody.

Owns what of an estimator is stored without pickle, and all that a description must say to be taken
for one: it is checked before anything is built from it. No class, function or module is looked up
by a name in the description, but in fixed lists. Does not know files.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import sklearn

from sk_mtl import weighting
from sk_mtl._classifier import DERIVED_ATTRIBUTES, MultiTaskClassifier
from sk_mtl._codec.container import read_json
from sk_mtl._codec.dtypes import decode_dtype, encode_dtype
from sk_mtl._codec.values import decode_value, encode_value, require
from sk_mtl._compat.parameters import check_parameters
from sk_mtl._data.labels import TargetForm
from sk_mtl._data.schema import TargetSchema
from sk_mtl._fit.fitted import ADDED_PARAMETERS
from sk_mtl._save.stored_network import describe_network, restore_network
from sk_mtl._tasks import enumerate_some
from sk_mtl.weighting import TaskWeighting

__all__ = ["describe_model", "restore_model"]

# Attributes of a fitted estimator, by what they are called in a description.
_FITTED = {
    "seed": "_seed",
    "is_learnable": "_is_learnable",
    "has_labels": "_has_labels",
    "labelled_cells": "_labelled_cells",
    "n_rows": "_n_rows",
    "stopping": "_stopping",
    "task_weights": "task_weights_",
    "history": "history_",
    "n_iter": "n_iter_",
    "best_iter": "best_iter_",
    "n_features_in": "n_features_in_",
    "feature_names_in": "feature_names_in_",
    "categories": "_categories",
}
# Parameters that the estimator did not have when files of this format were first written: where
# they are missing, they are `ADDED_PARAMETERS`, or else their defaults.
_ADDED_PARAMETERS = ADDED_PARAMETERS.keys() | frozenset(
    {
        "batching",
        "calibrate",
        "checkpoint",
        "ensemble_method",
        "ensemble_size",
        "focal_gamma",
        "input_noise",
        "label_smoothing",
        "logit_adjustment",
        "loss",
        "pseudo_label_threshold",
        "refit",
        "restore_best",
        "teacher_momentum",
        "unlabelled",
        "unlabelled_weight",
    }
)
_REQUESTED = ("fit", "partial_fit", "score")
_PARTS = ("estimator", "fitted", "network", "parameters", "requests", "targets", "versions")
_BACKENDS = ("pandas", "polars", "pyarrow")

_ADVICE = {
    "activation": "Name the activation by a string.",
    "callbacks": "A fitted model needs none: set_params(callbacks=None) takes them away.",
    "checkpoint": "Give the folder as a str, or None: a fitted model needs none.",
    "classes": "Give the classes as lists.",
    "optimizer": "Name the optimizer by a string, and give its settings as optimizer__…=.",
    "random_state": "Give an int.",
    "task_weighting": "A strategy of your own is code, which the file must not hold.",
}


def describe_model(estimator: MultiTaskClassifier) -> tuple[str, dict[str, np.ndarray]]:
    """Return what is stored of a fitted estimator.

    Parameters
    ----------
    estimator : MultiTaskClassifier
        A fitted estimator.

    Returns
    -------
    text : str
        JSON.
    arrays : dict of str to ndarray
        Its arrays, by name.

    Raises
    ------
    TypeError
        If a parameter, an attribute or y's form cannot be written.
    ValueError
        If a value is nested too deep.
    """
    arrays: dict[str, np.ndarray] = {}
    _refuse_custom_model(estimator)
    parameters = estimator.get_params(deep=False)
    known = {
        *parameters,
        *_FITTED.values(),
        *DERIVED_ATTRIBUTES,
        "_schema",
        "_network",
        "_metadata_request",
    }
    unknown = sorted(vars(estimator).keys() - known)
    if unknown:
        raise TypeError(
            f"save_model does not know the attribute(s) {enumerate_some(unknown)}, and would lose "
            "them. Delete them, or pickle the estimator."
        )
    try:
        description = {
            "estimator": "MultiTaskClassifier",
            "versions": _versions(),
            "parameters": {
                name: _describe_parameter(name, value, arrays) for name, value in parameters.items()
            },
            "requests": _describe_requests(estimator),
            "targets": _describe_targets(estimator._schema, arrays),
            "fitted": {
                name: encode_value(getattr(estimator, attribute, None), name, arrays)
                for name, attribute in _FITTED.items()
            },
            "network": describe_network(estimator._network, arrays),
        }
        return json.dumps(description, allow_nan=False, separators=(",", ":")), arrays
    except RecursionError as error:
        raise ValueError("A value holds itself, or is nested too deep.") from error


def restore_model(text: str, arrays: dict[str, np.ndarray]) -> MultiTaskClassifier:
    """Return the estimator that a description stands for.

    Parameters
    ----------
    text : str
        JSON, from anybody.
    arrays : dict of str to ndarray
        Arrays, from anybody; taken out of the dict.

    Returns
    -------
    estimator : MultiTaskClassifier
        Fitted.

    Raises
    ------
    ValueError
        If it stands for none; any other error says the same.
    """
    description = read_json(text)
    require(sorted(description) == sorted(_PARTS), "its parts are not those of a model")
    require(description["estimator"] == "MultiTaskClassifier", "it is of another estimator")
    estimator = _restore_parameters(description["parameters"], arrays)
    schema = _restore_targets(description["targets"], arrays)
    fitted = {name: decode_value(node, arrays) for name, node in description["fitted"].items()}
    fitted = {"categories": None, **fitted}  # which files did not have at first
    _check_fitted(fitted, schema)
    attributes = {_FITTED[name]: value for name, value in fitted.items()}
    if attributes["feature_names_in_"] is None:
        del attributes["feature_names_in_"]
    vars(estimator).update(attributes, _schema=schema)
    estimator._describe_targets()
    _try_to_decode(estimator)
    vars(estimator)["_network"] = restore_network(description["network"], estimator, arrays)
    _restore_requests(description["requests"], estimator)
    require(not arrays, f"nothing uses the arrays {enumerate_some(arrays)}")
    return estimator


def _versions() -> dict[str, str]:
    """Return the versions of the libraries at work, for those who ask where a file is from."""
    libraries = ("sk_mtl", "keras", "numpy", "pandas", "sklearn", "tensorflow")
    return {library: str(sys.modules[library].__version__) for library in libraries}


# ------------------------------------------------------------------------------------------------
# Parameters, and what was asked of metadata routing
# ------------------------------------------------------------------------------------------------


def _refuse_custom_model(estimator: MultiTaskClassifier) -> None:
    network = estimator._network
    if estimator.model is None and (network is None or network.spec.custom_model is None):
        return
    raise TypeError(
        "save_model does not take a network of your own (model=): the configuration of a Keras "
        "model names classes and functions, so that to load it is to run code. Pickle the "
        "estimator, or save the network alone by clf.model_.save('network.keras'), for those who "
        "trust you."
    )


def _describe_parameter(name: str, value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if type(value) in _strategies().values():
        settings = encode_value(vars(value), f"parameters/{name}", arrays)
        return {"strategy": [type(value).__name__, settings]}
    try:
        return encode_value(value, f"parameters/{name}", arrays)
    except TypeError as error:
        advice = _ADVICE.get(name.partition("__")[0], "Pickle the estimator.")
        raise TypeError(
            f"save_model cannot write the parameter {name!r} without pickle: {error}. {advice}"
        ) from error


def _strategies() -> dict[str, type]:
    """Return this package's own strategies of task weighting, by name."""
    classes = {name: getattr(weighting, name) for name in weighting.__all__}
    return {name: cls for name, cls in classes.items() if cls is not TaskWeighting}


def _restore_parameters(nodes: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    expected = MultiTaskClassifier().get_params(deep=False).keys() - _ADDED_PARAMETERS
    missing = sorted(expected - nodes.keys())
    require(not missing, f"it lacks the parameter(s) {enumerate_some(missing)}")
    values = {name: _restore_parameter(node, arrays) for name, node in nodes.items()}
    estimator = MultiTaskClassifier(**{**ADDED_PARAMETERS, **values})
    require(estimator.model is None, "it has a model of its own")
    check_parameters(estimator)
    return estimator


def _restore_parameter(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(node, dict) or set(node) != {"strategy"}:
        return decode_value(node, arrays)
    name, settings = node["strategy"]
    strategy, settings = _strategies()[name], decode_value(settings, arrays)
    require(
        settings.keys() == inspect.signature(strategy).parameters.keys(),
        f"{name} has other settings",
    )
    return strategy(**settings)


def _describe_requests(estimator: MultiTaskClassifier) -> dict[str, dict[str, Any]]:
    """Return what was set by `set_fit_request` and its kin."""
    if "_metadata_request" not in vars(estimator):
        return {}
    routing = estimator.get_metadata_routing()
    return {name: dict(getattr(routing, name).requests) for name in _REQUESTED}


def _restore_requests(requests: dict[str, Any], estimator: MultiTaskClassifier) -> None:
    if not requests:
        return
    require(requests.keys() == set(_REQUESTED), "its metadata requests are of other methods")
    with sklearn.config_context(enable_metadata_routing=True):
        for method, asked in requests.items():
            require(
                all(value is None or type(value) in (bool, str) for value in asked.values()),
                "a metadata request is no request",
            )
            getattr(estimator, f"set_{method}_request")(**asked)


# ------------------------------------------------------------------------------------------------
# Targets
# ------------------------------------------------------------------------------------------------


def _describe_targets(schema: TargetSchema, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    form = schema.form
    if form.backend not in (None, *_BACKENDS):
        raise TypeError(
            f"save_model cannot write that y was a frame of {form.backend}. Pickle the estimator."
        )
    try:
        return {
            "task_names": encode_value(schema.task_names, "task_names", arrays),
            "classes": encode_value(schema.classes, "classes", arrays),
            "kind": form.kind,
            "backend": form.backend,
            "dtypes": [
                encode_dtype(dtype, f"task {name!r} of y")
                for name, dtype in zip(schema.task_names, form.dtypes, strict=True)
            ],
            "categories": encode_value(form.categories, "categories", arrays),
            "level_names": encode_value(form.level_names, "level_names", arrays),
        }
    except TypeError as error:
        raise TypeError(
            f"save_model cannot write what y was without pickle: {error}. Pickle the estimator."
        ) from error


def _restore_targets(nodes: dict[str, Any], arrays: dict[str, np.ndarray]) -> TargetSchema:
    kind, backend = nodes["kind"], nodes["backend"]
    names, classes, categories, levels = (
        decode_value(nodes[part], arrays)
        for part in ("task_names", "classes", "categories", "level_names")
    )
    require(len(nodes) == 7, "its targets say something else")
    require(
        all(type(part) is tuple for part in (names, classes, categories, levels)),
        "its targets are no tuples",
    )
    require(
        len(names) == len(classes) == len(categories) == len(nodes["dtypes"]) > 0,
        "its targets are of different numbers of tasks",
    )
    require(len(set(names)) == len(names), "two tasks have one name")
    require(kind in ("frame", "array_1d", "array_2d"), f"y cannot have been {str(kind)[:80]!r}")
    require(backend in (_BACKENDS if kind == "frame" else (None,)), "y was of no known library")
    require(kind != "array_1d" or len(names) == 1, "a 1-D y has one task")
    for of_task in classes:
        require(_is_sorted(of_task), "the classes of a task are not sorted labels")
    for of_task in categories:
        if of_task is not None:
            labels, is_ordered = of_task
            require(type(of_task) is tuple and type(is_ordered) is bool, "no categories")
            require(_is_column(labels) and pd.Index(labels).is_unique, "categories repeat")
    pairs = zip(nodes["dtypes"], categories, strict=True)
    dtypes = tuple(decode_dtype(node, of_task) for node, of_task in pairs)
    # Not by equality: NumPy's float64 equals None.
    require(
        all((dtype is None) == (kind != "frame") for dtype in dtypes),
        "tasks have dtypes where y was a frame, and only there",
    )
    for level in levels:
        hash(level)
    return TargetSchema(names, classes, TargetForm(kind, backend, dtypes, categories, levels))


def _try_to_decode(estimator: MultiTaskClassifier) -> None:
    """Make a prediction of the first and the last class: other libraries have their say here."""
    codes = np.zeros((2, len(estimator._schema.classes)), dtype=np.int64)
    codes[1] = np.maximum(np.array(estimator._schema.n_classes) - 1, 0)
    with contextlib.suppress(ImportError):  # of the library that y's frame was from
        estimator._schema.decode(codes, estimator._has_labels)


def _is_column(labels: Any) -> bool:
    """Return whether it is an array of labels, none of them missing."""
    if type(labels) is not np.ndarray or labels.ndim != 1 or pd.isna(labels).any():
        return False
    return labels.dtype.kind != "O" or all(pd.api.types.is_scalar(label) for label in labels)


def _is_sorted(labels: Any) -> bool:
    if not _is_column(labels) or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        return False
    return bool(all(a < b for a, b in itertools.pairwise(labels.tolist())))


# ------------------------------------------------------------------------------------------------
# What fit counted and recorded
# ------------------------------------------------------------------------------------------------


def _check_fitted(fitted: dict[str, Any], schema: TargetSchema) -> None:
    """Check every attribute that is taken from a description as it is."""
    require(fitted.keys() == _FITTED.keys(), "its fitted attributes are others")
    n_tasks, n_classes = len(schema.task_names), np.array(schema.n_classes)
    lowest = {"seed": 0, "n_rows": 1, "n_iter": 0, "best_iter": 0, "n_features_in": 1}
    for name, least in lowest.items():
        number = fitted[name]
        require(type(number) is int and least <= number < 2**62, f"{name} is no such number")
    require(fitted["best_iter"] <= fitted["n_iter"], "its best epoch was never trained")
    dtypes = {
        "is_learnable": np.bool_,
        "has_labels": np.bool_,
        "labelled_cells": np.int64,
        "task_weights": np.float32,
    }
    for name, dtype in dtypes.items():
        values = fitted[name]
        is_array = type(values) is np.ndarray and values.dtype == dtype
        require(is_array and values.shape == (n_tasks,), f"{name} is no such array")
    require((fitted["is_learnable"] == (n_classes >= 2)).all(), "it learns tasks without classes")
    require(not (fitted["has_labels"] & (n_classes == 0)).any(), "a task has no classes")
    labelled = fitted["labelled_cells"]
    require(((labelled >= 0) & (labelled <= fitted["n_rows"])).all(), "its labels are miscounted")
    require(not np.isnan(fitted["task_weights"]).any(), "a task has no weight")
    require(_is_outcome(fitted["stopping"]), "its outcome of early stopping is none")
    history = fitted["history"]
    require(type(history) is dict, "its history is none")
    for name, series in history.items():
        is_series = type(series) is list and all(type(value) is float for value in series)
        require(type(name) is str and is_series, "a series of its history is none")
    is_known = _are_categories(fitted["categories"], fitted["n_features_in"])
    require(is_known, "its categorical features are none")
    names = fitted["feature_names_in"]
    if names is not None:
        is_names = type(names) is np.ndarray and names.shape == (fitted["n_features_in"],)
        require(is_names and all(type(name) is str for name in names), "features without names")


def _are_categories(categories: Any, n_features: int) -> bool:
    """Return whether these are values of categorical features."""
    if categories is None:
        return True
    if type(categories) is not tuple or len(categories) != n_features:
        return False
    chosen = [of_feature for of_feature in categories if of_feature is not None]
    return bool(chosen) and all(_is_column(c) and pd.Index(c).is_unique for c in chosen)


def _is_outcome(stopping: Any) -> bool:
    """Return whether it is what `describe_stopping` returns."""
    if stopping is None:
        return True
    types: dict[str, set[type]] = {
        "task": {str, type(None)},
        "n_iter_no_change": {int},
        "stopped": {bool},
        "best": {float},
        "n_folds": {int},
    }
    stopping = {"n_folds": 0} | stopping  # earlier files do not have it
    return stopping.keys() == types.keys() and all(type(stopping[k]) in types[k] for k in types)
