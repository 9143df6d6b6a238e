"""The bundled files of the installed package: their location, and how to open them."""

from __future__ import annotations

from importlib.resources import files
from typing import IO

_DATA = files("sk_mtl.datasets") / "data"


def open_bundled(name: str) -> IO[bytes]:
    """Open a bundled file for reading bytes."""
    return (_DATA / name).open("rb")


def read_description(name: str) -> str:
    """Return the description of a bundled table, with its origin and terms."""
    return (_DATA / f"{name}.rst").read_text(encoding="utf-8")
