"""Parameters of the estimator: constraints, and their check in `fit`.

Uses scikit-learn's private declarations of constraints. Does not look at X or y.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)

from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote

__all__ = ["PARAMETER_CONSTRAINTS", "check_parameters", "find_changed_layers"]


class _Choice(StrOptions):
    """One of several words, which errors list in a fixed order."""

    def __str__(self) -> str:
        return f"a str among {{{', '.join(repr(word) for word in sorted(self.options))}}}"


# Rules over several parameters are checked where these are used.
PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "head_hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), dict],
    "activation": [str, callable],
    "standardize": [_Choice({"auto"}), "boolean"],
    "numeric_embedding": [_Choice({"auto", "piecewise_linear", "periodic"}), None],
    "embedding_size": [Interval(Integral, 1, None, closed="left")],
    "known_labels": [_Choice({"with_indicator"}), "boolean"],
    "categorical_features": [_Choice({"from_dtype"}), "array-like", None],
    "dropout": [_Choice({"auto"}), Interval(Real, 0, 1, closed="left")],
    "normalization": [_Choice({"batch", "layer"}), None],
    "l2": [Interval(Real, 0, None, closed="left")],
    "sharing": [_Choice({"hard", "mmoe", "cgc", "ple", "cross_stitch"})],
    "n_experts": [Interval(Integral, 1, None, closed="left")],
    "n_task_experts": [Interval(Integral, 1, None, closed="left")],
    "ensemble_size": [Interval(Integral, 1, None, closed="left")],
    "ensemble_method": [_Choice({"shared", "independent"})],
    # Mappings are checked by `make_weighting`, which knows the tasks. The names are those there.
    "task_weighting": [
        _Choice(
            {
                *("equal", "uncertainty", "dwa", "rlw", "gls", "stch", "famo", "log", "gradnorm"),
                *("pcgrad", "gradvac", "graddrop", "mgda", "cagrad", "imtl_g", "nash_mtl"),
                *("aligned_mtl", "fairgrad", "upgrad"),
            }
        ),
        dict,
        HasMethods(["initial_state", "combine", "weights"]),
    ],
    "loss_normalization": [_Choice({"tasks", "cells"})],
    "class_weight": [_Choice({"balanced"}), dict, None],
    "loss": [_Choice({"cross_entropy", "focal"})],
    "label_smoothing": [_Choice({"auto"}), Interval(Real, 0, 1, closed="left")],
    "focal_gamma": [Interval(Real, 0, None, closed="left")],
    "logit_adjustment": [Interval(Real, 0, None, closed="left")],
    "optimizer": [str, object],
    "ema_momentum": [_Choice({"auto"}), Interval(Real, 0, 1, closed="left")],
    "epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [_Choice({"auto"}), Interval(Integral, 1, None, closed="left")],
    "batching": [_Choice({"random", "label_aware"})],
    "unlabelled": [_Choice({"pseudo_labels", "consistency"}), None],
    "unlabelled_weight": [Interval(Real, 0, None, closed="neither")],
    "pseudo_label_threshold": [Interval(Real, 0.5, 1, closed="left"), None],
    "teacher_momentum": [Interval(Real, 0, 1, closed="left")],
    "input_noise": [Interval(Real, 0, 1, closed="left")],
    "dtype": [_Choice({"float32", "mixed_bfloat16"}), None],
    "jit_compile": [_Choice({"auto"}), "boolean"],
    "early_stopping": [_Choice({"auto", "cv"}), "boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
    "monitor": [object, None],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "restore_best": [_Choice({"common", "per_task"})],
    "refit": ["boolean"],
    "calibrate": [_Choice({"auto"}), "boolean"],
    "warm_start": ["boolean"],
    "callbacks": [object, None],
    "checkpoint": [str, PathLike, None],
    "model": [callable, object, None],
    "classes": ["array-like", dict, None],
    "missing_label": [object, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


# Parameters that act only beside another one: with what, in words and as a test. Those of early
# stopping are not among them: as in scikit-learn, a search may switch it on and off.
_ACT_ONLY_IF: dict[str, tuple[str, Callable[[Mapping[str, Any]], bool]]] = {
    "embedding_size": (
        "numeric_embedding is set, and model is None",
        lambda p: p["numeric_embedding"] is not None and p.get("model") is None,
    ),
    "ensemble_method": ("ensemble_size is above 1", lambda p: p["ensemble_size"] > 1),
    "hidden_layer_sizes": ("model is None", lambda p: p.get("model") is None),
    "focal_gamma": ("loss='focal'", lambda p: p["loss"] == "focal"),
    "n_experts": (
        "sharing is 'mmoe', 'cgc' or 'ple'",
        lambda p: p["sharing"] in ("mmoe", "cgc", "ple"),
    ),
    "n_task_experts": ("sharing is 'cgc' or 'ple'", lambda p: p["sharing"] in ("cgc", "ple")),
    "input_noise": ("unlabelled='consistency'", lambda p: p["unlabelled"] == "consistency"),
    "pseudo_label_threshold": (
        "unlabelled='pseudo_labels'",
        lambda p: p["unlabelled"] == "pseudo_labels",
    ),
    "teacher_momentum": ("unlabelled is set", lambda p: p["unlabelled"] is not None),
    "unlabelled_weight": ("unlabelled is set", lambda p: p["unlabelled"] is not None),
}

# Parameters of layers, which a whole network of the user does not have.
_LAYERS = ("head_hidden_layer_sizes", "activation", "dropout", "normalization", "l2")


def check_parameters(estimator: Any) -> None:
    """Check an estimator's parameters against their constraints, if they have any."""
    params = estimator.get_params(deep=False)
    for name in params.keys() & PARAMETER_CONSTRAINTS.keys():
        allowed = {name: PARAMETER_CONSTRAINTS[name]}
        try:
            validate_parameter_constraints(allowed, {name: params[name]}, type(estimator).__name__)
        except InvalidParameterError as error:
            words = [w for c in allowed[name] if isinstance(c, _Choice) for w in c.options]
            hint = did_you_mean(params[name], words)
            if name == "class_weight" and isinstance(params[name], (list, tuple)):
                hint = " Several tasks take a dict by task: dict(zip(Y.columns, class_weight))."
            if name == "dtype" and params[name] in ("float16", "mixed_float16"):
                hint = (
                    " float16 ends at 65,504, and gradients vanish below 6e-8, so that it needs "
                    "the loss scaled; bfloat16 has the range of float32."
                )
            message = str(error).replace(repr(params[name]), quote(params[name]))
            raise InvalidParameterError(f"{message}{hint}") from None
    _check_combinations(type(estimator), params)


def _check_combinations(cls: type, params: Mapping[str, Any]) -> None:
    """Refuse a parameter that was set, but cannot act beside the others."""
    for name, (condition, holds) in _ACT_ONLY_IF.items():
        if name not in params or holds(params):
            continue
        default = _default_of(cls, name)
        if not _are_equal(params[name], default):
            raise InvalidParameterError(
                f"{name}={quote(params[name])} has no effect: it acts only if {condition}. Leave "
                f"it at its default, {default!r}, or change the other parameter."
            )


def find_changed_layers(cls: type, params: Mapping[str, Any]) -> list[str]:
    """Return the parameters of layers that are not at their default."""
    return [n for n in _LAYERS if not _are_equal(params[n], _default_of(cls, n))]


def _are_equal(value: Any, default: Any) -> bool:
    return value is default or bool(np.array_equal(value, default))


@lru_cache(maxsize=256)
def _default_of(cls: type, name: str) -> Any:
    """Return the default of a parameter, of the class or of the one it inherits it from."""
    for base in cls.__mro__:
        if name in (parameters := inspect.signature(base).parameters):
            return parameters[name].default
    raise TypeError(f"{cls.__name__} has no parameter {name!r}")
