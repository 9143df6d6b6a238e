"""Arguments of public functions and constructors, checked one by one.

Owns the errors for a wrong type or range; as scikit-learn's, each is a ValueError and a TypeError.
Does not know what an argument means.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import InvalidParameterError

from sk_mtl._quoting import quote

__all__ = [
    "as_random_state",
    "check_choice",
    "check_flags",
    "check_integer",
    "check_real",
    "spread_over_tasks",
]


def check_flags(caller: str, **flags: object) -> None:
    """Refuse anything but True and False: ``masked="no"`` would silently mean True."""
    for name, value in flags.items():
        _require(isinstance(value, (bool, np.bool_)), caller, name, "True or False", value)


def check_integer(caller: str, name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return value as an int within [low, high]; refuse anything else."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    must = f"an integer >= {low}" if high is None else f"an integer in the range [{low}, {high}]"
    in_range = is_integer and low <= value and (high is None or value <= high)
    _require(in_range, caller, name, must, value)
    return int(value)


def check_real(caller: str, name: str, value: Any, low: float, high: float = float("inf")) -> float:
    """Return value as a finite float within [low, high]; refuse anything else."""
    is_real = isinstance(value, (int, float, np.integer, np.floating))
    is_real &= not isinstance(value, bool)
    must = f"a number in the range [{low:g}, {high:g}]"
    if high == float("inf"):
        must = f"a finite number >= {low:g}"
    in_range = is_real and np.isfinite(value) and low <= value <= high
    _require(in_range, caller, name, must, value)
    return float(value)


def check_choice(caller: str, name: str, value: Any, choices: Sequence[str | None]) -> Any:
    """Return value if it is one of the choices; refuse anything else."""
    listed = ", ".join(repr(c) for c in choices)
    is_choice = (value is None or isinstance(value, str)) and value in choices
    _require(is_choice, caller, name, f"one of {listed}", value)
    return value


def spread_over_tasks(caller: str, name: str, value: Any, n_tasks: int) -> list[Any]:
    """Return one value per task, from a scalar for all tasks or a sequence."""
    if isinstance(value, (str, dict)) or not isinstance(value, (Sequence, np.ndarray)):
        return [value] * n_tasks
    if len(value) != n_tasks:
        raise ValueError(
            f"The {name!r} parameter of {caller} must have one entry per task, {n_tasks} of them. "
            f"Got {len(value)} entries instead."
        )
    return list(value)


def as_random_state(random_state: Any) -> np.random.RandomState:
    """Turn a seed into a RandomState, without touching NumPy's global one."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def _require(condition: object, caller: str, name: str, must: str, value: object) -> None:
    if not condition:
        raise InvalidParameterError(
            f"The {name!r} parameter of {caller} must be {must}. Got {quote(value)} instead."
        )
