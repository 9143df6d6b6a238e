"""Categories of later rows that training did not have: other values, or values of another type.

Does not know how categories are coded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._quoting import quote

__all__ = ["check_known_categories", "warn_of_alike_categories"]

# Values of two kinds are never equal.
_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("numbers", (Number, np.bool_, Decimal)),
    ("text", (str,)),
    ("bytes", (bytes,)),
    ("timestamps", (dt.datetime,)),
    ("dates", (dt.date,)),
    ("durations", (dt.timedelta,)),
)


def check_known_categories(
    feature: Any, known: np.ndarray, found: np.ndarray, is_known: np.ndarray, n_cells: int
) -> None:
    """Refuse categories of another type than in training; warn if none of several is known."""
    if is_known.all():
        return
    kinds = _kinds_of(known)
    others = [value for value in found if _kind_of(type(value)) not in kinds]
    if len(known) and others:
        printed = set(map(_as_printed, known))
        alike = [value for value in others if _as_printed(value) in printed]
        if alike or len(others) == len(found):
            value = (alike or others)[0]
            raise TypeError(
                f"The categories of feature {quote(feature)} must have the type that they had in "
                f"training: {_describe(known)}. Got {_describe([value])}. Convert the column, or "
                "read it from its file as for training."
            )
    # A single row with a new category is nothing unusual.
    if not is_known.any() and n_cells > 1:
        had = f"{len(known)}: {_describe(known)}" if len(known) else "none"
        warn_user(
            f"No category of feature {quote(feature)} is known, so that all its {n_cells} cells "
            f"count as missing. X has {len(found)}: {_describe(found)}; training had {had}."
        )


def warn_of_alike_categories(feature: Any, categories: np.ndarray) -> None:
    """Warn of categories of different types that print the same, such as 1 and "1"."""
    if len(_kinds_of(categories)) < 2:
        return
    first: dict[str, Any] = {}
    for value in categories:
        other = first.setdefault(_as_printed(value), value)
        if _kind_of(type(other)) != _kind_of(type(value)):
            warn_user(
                f"Feature {quote(feature)} has {quote(other)} and {quote(value)} as different "
                "categories. Convert the column to one type if they are the same."
            )
            return


def _kinds_of(values: Iterable[Any]) -> set[str]:
    return {_kind_of(kind) for kind in set(map(type, values))}


def _kind_of(kind: type) -> str:
    return next((name for name, kinds in _KINDS if issubclass(kind, kinds)), kind.__name__)


def _as_printed(value: Any) -> str:
    """Return the text of a value, as a file has it."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (float, np.floating)) and value.is_integer():
        return str(int(value))
    return str(value)


def _describe(values: Any) -> str:
    """Return the type of the values, with the first of them."""
    return f"{_kind_of(type(values[0]))} such as {quote(values[0])}"
