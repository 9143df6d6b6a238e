"""Warnings that point at the user's own line, however deep in the package they are raised."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

__all__ = ["warn_user"]

_PACKAGE = f"{Path(__file__).resolve().parent.parent}{os.sep}"


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn with the location of the nearest caller outside the package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
