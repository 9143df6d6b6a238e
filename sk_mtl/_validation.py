"""Validation: parameters declared as data, X, and scikit-learn's common rules.

The only user of scikit-learn's private names. Does not look at y, but for the guard, which is told
how.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import validate_data

__all__ = [
    "PARAMETER_CONSTRAINTS",
    "MissingLabelsError",
    "check_features",
    "check_parameters",
    "refuse_encoding_of_missing_labels",
]

# What a parameter may be; cross-parameter rules are checked where both are used.
PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "head_hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), dict],
    "activation": [str, callable],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "normalization": [StrOptions({"batch", "layer"}), None],
    "l2": [Interval(Real, 0, None, closed="left")],
    # Mappings are checked by `make_weighting`, which knows the tasks.
    "task_weighting": [
        StrOptions({"equal", "uncertainty"}),
        dict,
        HasMethods(["initial_state", "combine", "weights"]),
    ],
    "loss_normalization": [StrOptions({"tasks", "cells"})],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "optimizer": [str, object],
    "epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "jit_compile": [StrOptions({"auto"}), "boolean"],
    "early_stopping": [StrOptions({"auto"}), "boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
    "monitor": [object, None],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "warm_start": ["boolean"],
    "callbacks": [object, None],
    "model": [callable, object, None],
    "classes": ["array-like", dict, None],
    "missing_label": [object, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class MissingLabelsError(RuntimeError):
    """A tool that takes missing labels for a class was about to be used.

    Not a ValueError, TypeError or AttributeError: scikit-learn's `Pipeline` swallows those while
    it collects the tags of its steps.
    """


def check_parameters(estimator: Any) -> None:
    """Check an estimator's parameters against their constraints.

    Parameters
    ----------
    estimator : BaseEstimator
        The estimator; parameters without a constraint are left alone.

    Raises
    ------
    ValueError
        If one is not what it must be; `sklearn.utils.InvalidParameterError`, to be exact.
    """
    validate_parameter_constraints(
        PARAMETER_CONSTRAINTS, estimator.get_params(deep=False), type(estimator).__name__
    )


def check_features(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Check X and return it as float32.

    Parameters
    ----------
    estimator : BaseEstimator
        Notes, or compares, the number and names of features.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Features: numbers, finite.
    reset : bool
        Whether to note the number and names of the features, or to compare.

    Returns
    -------
    X : ndarray of float32, C-ordered, or CSR matrix of float32
        Not copied where it is that already.
    """
    return validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=np.float32, order="C"
    )


def refuse_encoding_of_missing_labels(has_missing: Callable[[Any], bool]) -> None:
    """Refuse scikit-learn's `cross_val_predict` of probabilities where y has missing labels.

    That function encodes the labels of y before any estimator sees them, so that a missing label
    becomes a class, without a warning. The one thing it asks of an estimator before that is its
    tags; this is called there, and looks who asks.

    Parameters
    ----------
    has_missing : callable
        Tells whether a y has missing labels.

    Raises
    ------
    MissingLabelsError
        If the caller is that function, on its way to probabilities, with missing labels in y.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if (
            frame.f_code.co_name == "cross_val_predict"
            and frame.f_globals.get("__name__") == "sklearn.model_selection._validation"
        ):
            asked = frame.f_locals
            wants_columns = asked.get("method") in ("predict_proba", "predict_log_proba")
            if wants_columns and asked.get("y") is not None and has_missing(asked["y"]):
                raise MissingLabelsError(
                    f"scikit-learn's cross_val_predict(method={asked['method']!r}) would take the "
                    "missing labels of y for one more class. Use "
                    "sk_mtl.model_selection.cross_val_predict, which leaves them out."
                )
            return
        frame = frame.f_back  # type: ignore[assignment]
