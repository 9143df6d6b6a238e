"""Warnings that point at the user's own line, however deep in the package they are raised."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

__all__ = ["handing_over_warnings", "warn_user"]

_PACKAGE = f"{Path(__file__).resolve().parent.parent}{os.sep}"
_hand_over: ContextVar[Callable[[str, type[Warning]], None] | None] = ContextVar(
    "_hand_over", default=None
)


@contextmanager
def handing_over_warnings(take: Callable[[str, type[Warning]], None]) -> Iterator[None]:
    """Hand over what this thread warns of in a `with` block, to be warned of by the caller's."""
    token = _hand_over.set(take)
    try:
        yield
    finally:
        _hand_over.reset(token)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn with the location of the nearest caller outside the package."""
    if (take := _hand_over.get()) is not None:
        take(message, category)
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
