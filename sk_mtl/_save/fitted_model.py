"""The fitted model as plain values and arrays, and back: one codec for pickle and safe file.

Owns what is stored of a fitted model, and all that a description must satisfy to be taken for one:
a safe file may come from anybody, so that everything is checked before it is used. No class,
function or module is looked up by a name in the description.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._codec.values import (
    AnyObjects,
    decode_value,
    encode_value,
    require,
    what_is_held,
)
from sk_mtl._data.input_encoder import InputEncoder
from sk_mtl._data.schema import TargetSchema
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._save.fitted_network import decode_network, encode_network
from sk_mtl._save.targets import decode_targets, encode_targets, is_column

__all__ = ["decode_fitted", "encode_fitted"]

# What is stored of a model apart from its targets and its network.
_NUMBERS = (
    "seed",
    "has_labels",
    "labelled_cells",
    "n_rows",
    "stopping",
    "task_weights",
    "history",
    "n_iter",
    "best_iter",
)
# Stored where a fit had them.
_DEFAULTS: dict[str, Any] = {"label_smoothing": 0.0, "unlabelled": None, "dtype": "float32"}
_PARTS = {"targets", "categories", "fitted", "network"}


def encode_fitted(fitted: FittedModel, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return a fitted model for JSON; put its arrays aside. TypeError if it cannot be written."""
    more = [name for name, default in _DEFAULTS.items() if getattr(fitted, name) != default]
    return {
        "targets": encode_targets(fitted.schema, arrays),
        "categories": _encode_categories(fitted.encoder.categories, arrays),
        "fitted": {
            name: encode_value(getattr(fitted, name), name, arrays) for name in (*_NUMBERS, *more)
        },
        "network": encode_network(fitted.network, arrays),
    }


def _encode_categories(categories: Any, arrays: dict[str, Any]) -> Any:
    """Encode the categories of the features of X."""
    try:
        return encode_value(categories, "categories", arrays)
    except TypeError as error:
        raise TypeError(
            "save_model cannot write the categories of X without pickle: they hold "
            f"{what_is_held(error)}. Pickle the estimator, or make text of them."
        ) from error


def decode_fitted(nodes: dict[str, Any], arrays: dict[str, Any], n_features: int) -> FittedModel:
    """Return the model that `encode_fitted` was given; ValueError if there is none."""
    require(nodes.keys() == _PARTS, "the parts are not those of a model")
    schema = decode_targets(nodes["targets"], arrays)
    categories = decode_value(nodes["categories"], arrays)
    if not isinstance(arrays, AnyObjects):
        require(_are_categories(categories, n_features), "the categorical features are invalid")
    numbers = {name: decode_value(node, arrays) for name, node in nodes["fitted"].items()}
    _check_numbers(numbers, schema)
    if not isinstance(
        arrays, AnyObjects
    ):  # users may add to the history, and pickle what they like
        _check_history(numbers["history"])
    network = decode_network(
        nodes["network"], arrays, n_features, schema, categories, numbers["n_iter"]
    )
    spec = None if network is None else network.spec.input
    return FittedModel(
        schema=schema, encoder=InputEncoder(categories, spec), network=network, **numbers
    )


def _check_numbers(fitted: dict[str, Any], schema: TargetSchema) -> None:
    """Check counts, flags, history and early stopping."""
    names = fitted.keys() - _DEFAULTS.keys()
    require(names == set(_NUMBERS), "unexpected keys in the fitted attributes")
    smoothing, unlabelled, dtype = ({**_DEFAULTS, **fitted}[name] for name in _DEFAULTS)
    is_share = type(smoothing) is float and 0 <= smoothing < 1
    require(is_share or smoothing == "auto", "label_smoothing is out of range")
    require(unlabelled in (None, "pseudo_labels", "consistency"), "unlabelled is no such word")
    require(dtype in ("float32", "mixed_bfloat16"), "dtype is no such word")
    n_tasks, n_classes = len(schema.task_names), np.array(schema.n_classes)
    lowest = {"seed": 0, "n_rows": 1, "n_iter": 0, "best_iter": 0}
    for name, least in lowest.items():
        number = fitted[name]
        require(type(number) is int and least <= number < 2**62, f"{name} is out of range")
    require(fitted["best_iter"] <= fitted["n_iter"], "the best epoch was never trained")
    dtypes = {"has_labels": np.bool_, "labelled_cells": np.int64, "task_weights": np.float32}
    for name, dtype in dtypes.items():
        values = fitted[name]
        is_array = isinstance(values, np.ndarray) and values.dtype == dtype
        require(is_array and values.shape == (n_tasks,), f"{name} is not such an array")
    require(not (fitted["has_labels"] & (n_classes == 0)).any(), "a task has no classes")
    labelled = fitted["labelled_cells"]
    is_count = (labelled >= 0) & (labelled <= fitted["n_rows"])
    require(is_count.all(), "the counts of labelled cells are invalid")
    require(not np.isnan(fitted["task_weights"]).any(), "a task weight is missing")
    require(_is_stopping(fitted["stopping"]), "the early-stopping record is invalid")


def _check_history(history: Any) -> None:
    """Check that a history is one of a fit."""
    require(type(history) is dict, "the history is invalid")
    for name, series in history.items():
        is_series = type(series) is list and all(type(value) is float for value in series)
        require(type(name) is str and is_series, "a series of the history is invalid")


def _is_stopping(stopping: Any) -> bool:
    """Return whether it is a record of early stopping, as a fit writes it."""
    if stopping is None:
        return True
    types: dict[str, set[type]] = {
        "task": {str, type(None)},
        "n_iter_no_change": {int},
        "stopped": {bool},
        "best": {float},
        "n_folds": {int},
    }
    return (
        type(stopping) is dict
        and stopping.keys() == types.keys()
        and all(type(stopping[name]) in allowed for name, allowed in types.items())
    )


def _are_categories(categories: Any, n_features: int) -> bool:
    """Return whether these are values of categorical features."""
    if categories is None:
        return True
    if type(categories) is not tuple or len(categories) != n_features:
        return False
    chosen = [known for known in categories if known is not None]
    return bool(chosen) and all(is_column(c) and pd.Index(c).is_unique for c in chosen)
