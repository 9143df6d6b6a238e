"""Tables in files: read by pandas, and written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sk_mtl._codec.files import replace_file
from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["FORMATS", "read_table", "split_features", "write_table"]

_READERS: dict[str, Callable[..., pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".tsv": lambda path: pd.read_csv(path, sep="\t"),
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    # Stata knows no missing text but the empty one.
    ".dta": lambda path: pd.read_stata(path).replace({"": None}),
}
_WRITERS: dict[str, Callable[[pd.DataFrame, Any], Any]] = {
    ".csv": lambda table, file: table.to_csv(file, index=False),
    ".tsv": lambda table, file: table.to_csv(file, index=False, sep="\t"),
    ".parquet": lambda table, file: table.to_parquet(file, index=False),
    ".feather": lambda table, file: table.to_feather(file),
    ".dta": lambda table, file: table.to_stata(file, write_index=False),
}
FORMATS = ", ".join(_READERS)


def read_table(path: Path) -> pd.DataFrame:
    """Read a table, in the format that its name ends with."""
    table = _READERS[check_format(path)](path)
    if not len(table):
        raise ValueError(f"{path} has no rows.")
    return table


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table in one step, in the format that the name ends with."""
    write = _WRITERS[check_format(path)]
    buffer = io.BytesIO()
    write(table.reset_index(drop=True), buffer)
    replace_file(str(path), buffer.getvalue())


def check_format(path: Path) -> str:
    """Return the ending of a name; refuse one that stands for no known format."""
    ending = path.suffix.lower()
    if ending not in _READERS:
        raise ValueError(f"The name of a table must end with one of {FORMATS}. Got {path.name!r}.")
    return ending


def split_features(table: pd.DataFrame, others: Sequence[str]) -> pd.DataFrame:
    """Return the features, text as categories; refuse names of other columns it does not have."""
    refuse_unknown(table, others)
    X = table.drop(columns=list(others))
    if not X.shape[1]:
        raise ValueError("No column is left as a feature.")
    return categorize(X)


def refuse_unknown(table: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse names that no column has."""
    columns = [str(name) for name in table.columns]
    unknown = [name for name in names if name not in columns]
    if unknown:
        hint = did_you_mean(unknown[0], columns)
        raise ValueError(
            f"The table has no column {quote(unknown[0])}.{hint} Its columns are "
            f"{enumerate_some(map(repr, columns))}."
        )


def categorize(X: pd.DataFrame) -> pd.DataFrame:
    """Return a table with text as categories."""
    text = X.select_dtypes(include=["object", "string"]).columns
    return X.astype(dict.fromkeys(text, "category"))
