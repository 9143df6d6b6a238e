"""Checks of arguments that public functions share, with one wording for all."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

__all__ = ["check_choice", "check_count"]


def check_count(name: str, value: object, at_least: int) -> None:
    """Raise ValueError unless the value is an int of at least so much."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < at_least:
        raise ValueError(f"{name} must be an int of at least {at_least}. Got {value!r}.")


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Raise ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {tuple(choices)}. Got {value!r}.")
