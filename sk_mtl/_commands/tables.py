"""Tables in files: read with what their format says, and written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sk_mtl._codec.files import replace_file
from sk_mtl._commands.delimited import TextTable, read_text_table
from sk_mtl._commands.formats import (
    STATISTICAL,
    check_format,
    check_output,
    family_of,
    import_library,
)
from sk_mtl._commands.labelled import read_labelled
from sk_mtl._commands.missing import find_unmatched, words_of
from sk_mtl._commands.statistical import (
    StatisticalTable,
    blank_out,
    read_statistical,
    write_statistical,
)
from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["Reading", "Table", "read_table", "refuse_unknown", "write_table"]

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_WRITERS: dict[str, Callable[[pd.DataFrame, Any], Any]] = {
    ".csv": lambda table, file: table.to_csv(file, index=False),
    ".tsv": lambda table, file: table.to_csv(file, index=False, sep="\t"),
    ".parquet": lambda table, file: table.to_parquet(file, index=False),
    ".feather": lambda table, file: table.to_feather(file),
}


@dataclass(frozen=True)
class Reading:
    """How a table is read, as far as its format and its model leave it open."""

    missing_values: Sequence[str] = ()  # cells that mean missing, anywhere
    missing_labels: Sequence[Any] = ()  # the same, in the columns of tasks
    keep_codes: Collection[str] | None = ()  # columns; None for all
    skip_bad_lines: bool = False
    delimiter: str | None = None
    decimal: str = "."
    encoding: str = "utf-8"


@dataclass
class Table:
    """A table as it is learned from, and what is known of its file."""

    path: Path
    frame: pd.DataFrame
    missing_values: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    code_notes: dict[str, str] = field(default_factory=dict)  # by column, of kinds of missing
    bases: dict[str, str] = field(default_factory=dict)  # the column of a column of codes
    labelled: set[str] = field(default_factory=set)  # columns that were read by their labels
    times: set[str] = field(default_factory=set)
    text: TextTable | None = None
    statistical: StatisticalTable | None = None

    def place(self, row: int) -> str:
        """Return where a row stands in the file."""
        return f"row {row + 1}" if self.text is None else f"line {self.text.places[row]}"

    def notes_on(self, columns: Collection[str]) -> list[str]:
        """Return what the user is told of the table and of some of its columns."""
        return [*self.notes, *(n for name, n in self.code_notes.items() if name in columns)]

    def as_stored(self, path: Path) -> pd.DataFrame:
        """Return the cells to write to a file: as they were, if its format is of the same kind."""
        if family_of(path) == family_of(self.path):
            if self.text is not None:
                return self.text.as_written()
            if self.statistical is not None:
                return self.statistical.stored.copy()
        return self.frame.drop(columns=list(self.bases))


def read_table(
    path: Path,
    reading: Reading,
    *,
    tasks: Collection[str] = (),
    categorical: Collection[str] = (),
    kinds: Mapping[str, str] | None = None,
    categories: Mapping[str, Collection[Any]] | None = None,
) -> Table:
    """Read a table, in the format that its name ends with."""
    # In a CSV, which knows no types, a categorical column is text as it is written.
    # `kinds` and `categories` are what a model takes its columns for: see `KnownModel`.
    kinds = {} if kinds is None else kinds
    ending = check_format(path)
    import_library(ending)
    missing = list(reading.missing_values)
    unmatched: list[str] = []
    if ending in _SEPARATORS:
        separator = _SEPARATORS[ending] if reading.delimiter is None else reading.delimiter
        text = read_text_table(path, separator, reading.encoding, skips_bad=reading.skip_bad_lines)
        words = [*categorical, *(name for name, kind in kinds.items() if kind == "text")]
        frame = text.parse(missing=missing, text_columns=words, decimal=reading.decimal)
        table = Table(path, frame, missing, text.notes, text=text)
        if missing:
            unmatched = find_unmatched(missing, text.as_written(), reads_numbers=True)
    elif ending in STATISTICAL:
        statistical = read_statistical(path)
        read = read_labelled(
            statistical,
            missing=missing,
            missing_labels=words_of(reading.missing_labels),
            keep=reading.keep_codes,
            tasks=tasks,
            kinds=kinds,
            categories={} if categories is None else categories,
        )
        table = Table(path, **read, missing_values=missing, statistical=statistical)
        unmatched = find_unmatched(missing, table.frame, statistical)
    else:
        stored = _read_arrow(path, ending)
        frame = pd.DataFrame({name: _without_missing(stored[name], missing) for name in stored})
        table = Table(path, frame, missing)
        unmatched = find_unmatched(missing, stored)
    if not len(table.frame):
        raise ValueError(f"{path} has no rows.")
    table.notes += [f"--missing-values: no cell is {quote(word)}." for word in unmatched]
    if not kinds and (reading.keep_codes is None or len(reading.keep_codes)):
        _check_kept(table, reading.keep_codes)
    return table


def _read_arrow(path: Path, ending: str) -> pd.DataFrame:
    """Return a Parquet or Feather table; its pandas index is a column if it has a name."""
    with path.open("rb") as file:
        try:
            frame = pd.read_parquet(file) if ending == ".parquet" else pd.read_feather(file)
        except (OSError, ValueError) as error:  # Arrow's own are of these
            raise ValueError(f"{path} cannot be read as a {ending} table: {error}.") from error
    has_name = any(name is not None for name in frame.index.names)
    frame = frame.reset_index(drop=not has_name)
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _without_missing(stored: pd.Series, missing: Sequence[str]) -> pd.Series:
    """Return a column without cells that mean missing, as numbers if nothing else is left."""
    column = blank_out(stored, missing)
    if column is stored or column.equals(stored):
        return column
    if pd.api.types.is_numeric_dtype(column):
        return column
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if (numbers.notna() == column.notna()).all() else column


def _check_kept(table: Table, keep: Collection[str] | None) -> None:
    """Refuse to keep codes where the format has none, or of columns that are not there."""
    statistical = table.statistical
    if statistical is None or not statistical.has_codes:
        raise ValueError(
            "--keep-codes is for tables of Stata (.dta), SPSS (.sav, .zsav) and SAS (.sas7bdat), "
            f"in which kinds of missing can be told apart. Got {table.path.name!r}."
        )
    refuse_unknown(statistical.stored, list(keep or ()))


def write_table(
    table: pd.DataFrame,
    path: Path,
    *,
    origin: Table | None = None,
    kept: Sequence[str] = (),
) -> None:
    """Write a table in one step; `kept` columns have the labels and codes of the origin."""
    check_output(path)
    ending = check_format(path)
    table = table.reset_index(drop=True)
    if ending in STATISTICAL:
        source = None if origin is None else origin.statistical
        if source is not None and family_of(path) != family_of(source.path):
            source = None
        replace_file(str(path), write_statistical(table, path, source, kept))
        return
    buffer = io.BytesIO()
    _WRITERS[ending](table, buffer)
    replace_file(str(path), buffer.getvalue())


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
