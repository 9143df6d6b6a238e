"""Arguments of loaders and generators, checked.

Owns the sentences that refuse an argument. What the arguments mean is the callers' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def check_flags(caller: str, **flags: object) -> None:
    """Refuse anything but True and False: ``masked="no"`` would silently mean True."""
    for name, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(_refusal(caller, name, "True or False", value))


def check_integer(caller: str, name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return value as an int within [low, high]; refuse anything else."""
    must = f"an integer >= {low}" if high is None else f"an integer in the range [{low}, {high}]"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(_refusal(caller, name, must, value))
    if value < low or (high is not None and value > high):
        raise ValueError(_refusal(caller, name, must, value))
    return int(value)


def check_real(caller: str, name: str, value: Any, low: float, high: float = float("inf")) -> float:
    """Return value as a finite float within [low, high]; refuse anything else."""
    must = (
        f"a finite number >= {low:g}"
        if high == float("inf")
        else f"a number in the range [{low:g}, {high:g}]"
    )
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(_refusal(caller, name, must, value))
    if not np.isfinite(value) or not low <= value <= high:
        raise ValueError(_refusal(caller, name, must, value))
    return float(value)


def check_choice(caller: str, name: str, value: Any, choices: Sequence[str]) -> str:
    """Return value if it is one of the choices; refuse anything else."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(c) for c in choices)
        raise ValueError(_refusal(caller, name, f"one of {listed}", value))
    return value


def spread_over_tasks(caller: str, name: str, value: Any, n_tasks: int) -> list[Any]:
    """Return one value per task: a scalar for all of them, or a sequence as it stands."""
    if isinstance(value, (str, dict)) or not isinstance(value, (Sequence, np.ndarray)):
        return [value] * n_tasks
    if len(value) != n_tasks:
        raise ValueError(
            f"The {name!r} parameter of {caller} must have one entry per task, {n_tasks} of them. "
            f"Got {len(value)} entries instead."
        )
    return list(value)


def _refusal(caller: str, name: str, must: str, value: Any) -> str:
    return f"The {name!r} parameter of {caller} must be {must}. Got {value!r} instead."
