"""Quoting: values of the user in messages, shortened.

Owns how much of a value a message shows. Does not know what the message says.
"""

from __future__ import annotations

from typing import Any

__all__ = ["quote", "shorten"]

# Longer texts lose their middle.
_MAX_LENGTH = 160
_N_LAST = 40


def quote(value: Any) -> str:
    """Return the repr of a value for a message, shortened if it is long."""
    return shorten(repr(value))


def shorten(text: str) -> str:
    """Return a text without its middle if it is long."""
    if len(text) <= _MAX_LENGTH:
        return text
    return f"{text[: _MAX_LENGTH - _N_LAST - 3]}...{text[-_N_LAST:]}"
