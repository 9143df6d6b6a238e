"""Formats of tables: which endings there are, what reads and writes them, and what that needs."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sk_mtl._codec.files import check_writable
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = [
    "ENDINGS",
    "FORMATS",
    "STATISTICAL",
    "check_format",
    "check_names",
    "check_output",
    "family_of",
    "import_for",
    "import_library",
]

# Formats of one family hold the same things: a table of one can be written as it was in another.
_FAMILIES = {
    ".csv": "text",
    ".tsv": "text",
    ".parquet": "arrow",
    ".feather": "arrow",
    ".dta": "Stata",
    ".sav": "SPSS",
    ".zsav": "SPSS",
    ".por": "SPSS portable",
    ".sas7bdat": "SAS",
    ".xpt": "SAS transport",
}
STATISTICAL = {".dta", ".sav", ".zsav", ".por", ".sas7bdat", ".xpt"}
ENDINGS = tuple(_FAMILIES)
FORMATS = ", ".join(ENDINGS)
# The library reads these, and cannot write them.
_READ_ONLY = {".sas7bdat"}


def check_format(path: Path) -> str:
    """Return the ending of a name; refuse one that stands for no known format."""
    ending = path.suffix.lower()
    if ending not in _FAMILIES:
        raise ValueError(f"The name of a table must end with one of {FORMATS}. Got {path.name!r}.")
    return ending


def family_of(path: Path) -> str:
    """Return what kind of format a table has."""
    return _FAMILIES[check_format(path)]


def check_output(
    path: Path | None, *, inputs: Iterable[Path | None] = (), is_table: bool = True
) -> None:
    """Refuse a file that could not be written, or is read, before anything is computed for it."""
    if path is None:
        return
    if any(other is not None and path.resolve() == other.resolve() for other in inputs):
        raise ValueError(f"{path} is read by this command, and would be replaced. Name another.")
    if is_table:
        ending = check_format(path)
        if ending in _READ_ONLY:
            others = ", ".join(e for e in _FAMILIES if e not in _READ_ONLY)
            raise ValueError(
                f"Tables that end with {ending} can be read and not be written. Give "
                f"{path.name!r} another ending: {others}."
            )
        import_library(ending)
    check_writable(str(path))


def import_library(ending: str) -> None:
    """Refuse a format whose library is not installed."""
    if ending in STATISTICAL:
        import_for(ending, "pyreadstat")
    elif _FAMILIES[ending] == "arrow":
        import_for(ending, "pyarrow")


def import_for(ending: str, library: str) -> Any:
    """Import the library of a format, or raise ImportError with the command that installs it."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ImportError(
            f"Tables that end with {ending} need {library}, which is not installed. Install it "
            'with: pip install "sk_mtl[tables]"'
        ) from error


def check_names(names: Iterable[str], path: Path) -> None:
    """Refuse names of columns that a format cannot hold, before anything is computed for it."""
    ending = check_format(path)
    if ending not in STATISTICAL:
        return
    bad = [name for name in names if not name.replace("_", "a").isalnum()]
    if bad:
        raise ValueError(
            f"Names of columns in a table that ends with {ending} are of letters, digits and _. "
            f"Got {enumerate_some(map(quote, bad))}. Write a .csv or .parquet table."
        )
