"""Tables of Stata, SPSS and SAS: read and written by pyreadstat, with labels and kinds of missing.

Such a table holds numbers and text, labels of values, and values that stand for a kind of missing:
Stata's .a to .z, SAS's .A to .Z and ._, and what SPSS calls user-missing.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._commands.formats import check_format, family_of, import_for
from sk_mtl._quoting import shorten

__all__ = [
    "StatisticalTable",
    "blank_out",
    "read_statistical",
    "write_statistical",
    "write_value",
]

# The library tells kinds of missing apart in these only.
_WITH_CODES = {".dta", ".sav", ".zsav", ".sas7bdat"}
_READERS = {
    ".dta": "read_dta",
    ".sav": "read_sav",
    ".zsav": "read_sav",
    ".por": "read_por",
    ".sas7bdat": "read_sas7bdat",
    ".xpt": "read_xport",
}
# Formats of Stata, then those of SPSS and SAS, in which numbers are dates or times.
_TIMES = re.compile(
    r"%-?t|(A|E|J|S)?DATE|QYR|MOYR|WKYR|YMDHMS|D?TIME|MTIME|MMDDYY|DDMMYY|YYMMDD|[BE]8601|JULIAN",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class StatisticalTable:
    """A table as it is stored, and what its file says of the columns."""

    path: Path
    stored: pd.DataFrame
    meta: Any

    @property
    def has_codes(self) -> bool:
        """Whether kinds of missing can be told apart."""
        return check_format(self.path) in _WITH_CODES

    @cached_property
    def times(self) -> set[str]:
        """The columns of dates and times, which are stored as numbers."""
        formats = self.meta.original_variable_types
        return {n for n in self.stored.columns if _TIMES.match(str(formats.get(n, "")))}

    def is_text(self, name: str) -> bool:
        """Return whether a column holds text."""
        return self.meta.readstat_variable_types.get(name) == "string"

    def codes_of(self, name: str) -> pd.Series:
        """Return the code of each cell that holds a kind of missing, None elsewhere."""
        column = self.stored[name]
        codes = pd.Series(None, index=column.index, dtype=object)
        ranges = self.meta.missing_ranges.get(name, ())
        if ranges:
            is_code = np.zeros(len(column), dtype=bool)
            for ends in ranges:
                is_code |= (column >= ends["lo"]).to_numpy() & (column <= ends["hi"]).to_numpy()
        elif name in self.meta.missing_user_values and not self.is_text(name):
            declared = self.meta.missing_user_values[name]
            is_code = column.isin(declared).to_numpy()
        else:
            return codes
        codes[is_code] = column[is_code]
        return codes

    def values_of(self, name: str) -> pd.Series:
        """Return the column without codes: numbers, or text without empty cells."""
        column = self.stored[name]
        is_code = self.codes_of(name).notna()
        column = column.mask(is_code, None) if is_code.any() else column
        if self.is_text(name):
            return column.astype(object).where(column.astype(object) != "", None)
        return _as_numbers(column)

    def labels_of(self, name: str) -> dict[Any, str]:
        """Return the text of each labelled value and code; equal texts are told apart by value."""
        labels = self.meta.variable_value_labels.get(name, {})
        n_times = Counter(labels.values())
        return {
            value: label if n_times[label] == 1 else f"{label} ({write_value(value)})"
            for value, label in labels.items()
        }

    def name_of(self, name: str, code: Any) -> str:
        """Return what a code is called: by its label if it has one."""
        return self.labels_of(name).get(code) or self.write_code(code)

    def write_code(self, code: Any) -> str:
        """Return a code as Stata, SAS and SPSS write it."""
        is_dotted = isinstance(code, str) and family_of(self.path) in ("Stata", "SAS")
        return f".{code}" if is_dotted else write_value(code)

    def describe_codes(self, name: str) -> str:
        """Return how many cells have which code, as a phrase; an empty one if none has."""
        counts = self.codes_of(name).value_counts()
        labels = self.labels_of(name)
        return ", ".join(
            f"{n:,} of {self.write_code(code)}"
            + (f" ({shorten(labels[code])})" if code in labels else "")
            for code, n in sorted(counts.items(), key=lambda item: str(item[0]))
        )


def read_statistical(path: Path) -> StatisticalTable:
    """Read a table of Stata, SPSS or SAS as it is stored."""
    ending = check_format(path)
    pyreadstat: Any = import_for(ending, "pyreadstat")
    with path.open("rb"):
        pass  # the library has an error of its own for a file that is not there
    read = partial(
        getattr(pyreadstat, _READERS[ending]), str(path), disable_datetime_conversion=True
    )
    with _translating_errors(f"{path} cannot be read as a {ending} table"):
        stored, meta = read(user_missing=True) if ending in _WITH_CODES else read()
        if ending == ".dta":
            stored = _correct_missing(stored, meta, read)
    return StatisticalTable(path, stored, meta)


@contextmanager
def _translating_errors(what: str) -> Iterator[None]:
    """Raise ValueError for the errors of the library, whose classes have no public name."""
    try:
        yield
    except Exception as error:
        module = type(error).__module__.partition(".")[0]
        if module != "pyreadstat" and not isinstance(error, UnicodeDecodeError):
            raise
        raise ValueError(f"{what}: {error}.") from error


def _correct_missing(stored: pd.DataFrame, meta: Any, read: Any) -> pd.DataFrame:
    """Return a table of Stata with "." in place of the numbers that pyreadstat (1.3.7) invents.

    Where a column of integers has codes, it reads "." as 0 or as what the memory held. Without
    `user_missing` it reads both kinds as missing.
    """
    names = [n for n in meta.missing_user_values if meta.readstat_variable_types[n] != "string"]
    if not names:
        return stored
    plain, _ = read(usecols=names)
    corrected = {
        name: stored[name].mask(
            plain[name].isna() & ~stored[name].isin(meta.missing_user_values[name]), None
        )
        for name in names
    }
    return stored.assign(**corrected)


def write_statistical(
    table: pd.DataFrame, path: Path, origin: StatisticalTable | None, kept: Sequence[str]
) -> bytes:
    """Return the content of a table; `kept` columns are described as in the origin."""
    ending = check_format(path)
    pyreadstat: Any = import_for(ending, "pyreadstat")
    columns = {name: _writable(table[name]) for name in table.columns}
    options: dict[str, Any] = {}
    if origin is not None:
        options = _describe_columns(origin, table, kept, ending)
        for name in kept:
            if not origin.is_text(name):
                kind = str(origin.meta.readstat_variable_types.get(name))
                columns[name] = _writable_numbers(columns[name], kind.startswith("int"))
    table = pd.DataFrame(columns)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"table{ending}"
        write: Any = {
            ".dta": pyreadstat.write_dta,
            ".sav": pyreadstat.write_sav,
            ".zsav": pyreadstat.write_sav,
            ".por": pyreadstat.write_por,
            ".xpt": pyreadstat.write_xport,
        }[ending]
        if ending == ".zsav":
            options["compress"] = True
        with _translating_errors(f"A {ending} table cannot hold this one"):
            write(table, str(target), **options)
        return target.read_bytes()


def blank_out(column: pd.Series, missing: Sequence[str]) -> pd.Series:
    """Return a column without the cells that mean missing: equal text, or equal numbers."""
    if not missing:
        return column
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers = pd.to_numeric(pd.Series(missing, dtype=object), errors="coerce").dropna()
        is_missing = column.isin(numbers)
    else:
        is_missing = column.astype(object).isin(list(missing))
    return column.mask(is_missing) if is_missing.any() else column


def _as_numbers(column: pd.Series) -> pd.Series:
    """Return a column as numbers: integers if they all are and none is missing, as of a CSV."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    is_whole = numbers.notna() & (numbers == np.round(numbers)) & (numbers.abs() < 2**53)
    return numbers.astype(np.int64) if is_whole.all() else numbers


def write_value(value: Any) -> str:
    """Return a value as text, whole numbers without a point."""
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)


def _writable(column: pd.Series) -> pd.Series:
    """Return a column in a dtype that the library can write."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return column.astype(object)
    if pd.api.types.is_bool_dtype(dtype):
        return column.astype(np.float64)
    if pd.api.types.is_numeric_dtype(dtype) and not isinstance(dtype, np.dtype):
        return column.astype(np.float64)
    return column


def _writable_numbers(column: pd.Series, is_integer: bool) -> pd.Series:
    """Return a column of numbers and codes such that the library keeps integers as these."""
    if is_integer and column.dtype == np.int64:
        return column.astype(np.int32)  # wider ones become doubles
    if column.dtype != object:
        return column
    # Of numbers of several types, the library would make text.
    number = int if is_integer else float
    cells = column.map(lambda cell: cell if isinstance(cell, str) else number(cell), "ignore")
    cells = cells.astype(object).where(column.notna(), None)
    return cells if is_integer or _holds_text(cells) else cells.astype(np.float64)


def _holds_text(column: pd.Series) -> bool:
    return column.dtype == object and any(isinstance(cell, str) for cell in column)


def _describe_columns(
    origin: StatisticalTable, table: pd.DataFrame, kept: Sequence[str], ending: str
) -> dict[str, Any]:
    """Return what the library writes beside the cells of columns that are as in the origin."""
    meta = origin.meta
    known = set(kept)

    def of_kept(by_name: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in by_name.items() if name in known and value}

    options: dict[str, Any] = {
        "column_labels": of_kept(meta.column_names_to_labels),
        "file_label": meta.file_label or "",
        # Of text, the format is its length, which may have changed.
        "variable_format": {
            name: text
            for name, text in of_kept(meta.original_variable_types).items()
            if not origin.is_text(name) or table[name].equals(origin.stored[name])
        },
    }
    if ending in (".dta", ".sav", ".zsav"):
        options["variable_value_labels"] = of_kept(meta.variable_value_labels)
    if ending == ".dta":
        # The library knows those of cells, and wants those of labels, too.
        labelled = {
            name: [value for value in labels if isinstance(value, str)]
            for name, labels in meta.variable_value_labels.items()
            if not origin.is_text(name)
        }
        codes = {
            name: sorted({*meta.missing_user_values.get(name, ()), *labelled.get(name, ())})
            for name in {*meta.missing_user_values, *labelled}
        }
        options["missing_user_values"] = of_kept(codes)
    if ending in (".sav", ".zsav"):
        options["missing_ranges"] = of_kept(meta.missing_ranges)
        options["variable_measure"] = of_kept(meta.variable_measure)
        options["variable_display_width"] = of_kept(meta.variable_display_width)
        if meta.notes:
            options["note"] = list(meta.notes)
    if ending == ".xpt" and meta.table_name:
        options["table_name"] = meta.table_name
    return options
