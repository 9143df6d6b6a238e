"""Fits that continue another one: parameters that only its beginning can follow.

Owns what is said of those that have changed since. Does not train, and imports no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from sklearn.utils import check_random_state

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.categories import find_named_categorical
from sk_mtl._data.dataset import check_same_classes
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.temperature_scaling import require_validation
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["check_unchanged", "draw_seed", "refuse_changes"]


def draw_seed(random_state: Any) -> int:
    """Return the seed of everything that a fit draws."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def check_unchanged(
    previous: FittedModel, params: Mapping[str, Any], X: Any, *, keeps_temperatures: bool = False
) -> None:
    """Refuse parameters that a fit cannot follow any more; warn of another seed."""
    check_same_classes(previous.schema, params["classes"])
    _check_same_categorical(previous, params["categorical_features"], X)
    if keeps_temperatures and previous.network is not None:
        _check_same_calibration(previous.network.temperatures is not None, params["calibrate"])
    random_state = params["random_state"]
    if isinstance(random_state, Integral) and draw_seed(random_state) != previous.seed:
        warn_user(
            f"random_state={random_state} has no effect: warm_start and partial_fit continue "
            "with the seed of the first fit. Clone the estimator to start afresh."
        )


def refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to continue with a network if a parameter of its layers has changed."""
    changed = [name for name in before if before[name] != now[name]]
    if not changed:
        return
    phrases = [f"{name} (was {quote(before[name])}, is {quote(now[name])})" for name in changed]
    if {"custom_model", "custom_outputs"} & set(changed):
        phrases = ["model"]
    raise ValueError(
        "warm_start and partial_fit continue with the fitted network, but its parameters have "
        f"changed since: {enumerate_some(phrases)}. Clone the estimator to start afresh."
    )


def _check_same_categorical(previous: FittedModel, categorical_features: Any, X: Any) -> None:
    # A stream that has brought no label yet has learned nothing of X.
    if previous.n_iter == 0:
        return
    named = find_named_categorical(X, categorical_features)
    if named is None:
        return
    known = previous.encoder.categories or (None,) * len(named)
    if named.tolist() != [categories is not None for categories in known]:
        raise ValueError(
            "warm_start and partial_fit continue with the categorical features of the first fit, "
            f"but categorical_features={quote(categorical_features)} names others. Clone the "
            "estimator to start afresh."
        )


def _check_same_calibration(is_calibrated: bool, calibrate: Any) -> None:
    if is_calibrated and not calibrate:
        raise ValueError(
            "partial_fit keeps the temperatures of the fitted network, but calibrate has changed "
            f"to {quote(calibrate)}. Clone the estimator to start afresh."
        )
    if not is_calibrated and calibrate and calibrate != "auto":
        require_validation(None)
