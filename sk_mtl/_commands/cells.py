"""Columns of a table as features and labels: numbers, categories, and cells that are neither.

Cells that are not what their column is are refused, with their places and the ways out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from numbers import Number
from typing import Any

import pandas as pd

from sk_mtl._commands.tables import Table, refuse_unknown
from sk_mtl._data.columns import find_times
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = [
    "advise_missing",
    "read_column",
    "refuse_times",
    "suspect_columns",
    "suspect_tasks",
    "suspect_text",
]

# A column with such a share of numbers among its cells is one of numbers, with something else in
# it; text that has so many different numbers is told.
_MOSTLY_NUMBERS = 0.5
_MANY_NUMBERS = 10
_N_SHOWN = 5
_DAY = "|".join(
    rf"\d{{4}}{mark}\d{{1,2}}{mark}\d{{1,2}}|\d{{1,2}}{mark}\d{{1,2}}{mark}\d{{4}}"
    for mark in ("-", "/", r"\.")
)
_HOUR = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?(Z|[+-]\d{2}:?\d{2})?"
_DATE = rf"({_DAY})([T ]{_HOUR})?"
_DECIMAL_COMMA = r"[+-]?\d+,\d+"
_MIN_ROWS_TO_SUSPECT = 50
_MANY_CLASSES = 0.2  # of the labels


def read_column(
    table: Table,
    name: str,
    kind: str | None = None,
    *,
    is_label: bool = False,
    is_categorical: bool = False,
) -> pd.Series:
    """Return a column as a feature, text as categories, or as labels."""
    # `kind` is what a model takes it for: a "number", "text", or other "values" as categories.
    column = _without_objects(table.frame[name])
    is_text = _is_text(column)
    if kind == "number":
        return _as_numbers(table, name, column) if is_text else column
    if kind == "values" and is_text:
        column = _as_numbers_where_possible(column)
    elif kind is None and is_text and not is_categorical and name not in table.labelled:
        _refuse_numbers_in_text(table, name, column, is_label=is_label)
    if is_label:
        return column
    return column.astype("category") if is_text or is_categorical or kind else column


def _without_objects(column: pd.Series) -> pd.Series:
    """Return a column of Python's numbers as one of numbers."""
    if column.dtype != object:
        return column
    kinds = {type(value) for value in column.dropna()}
    if kinds and bool not in kinds and all(issubclass(k, (Number, Decimal)) for k in kinds):
        return column.astype(float)
    return column


def _is_text(column: pd.Series) -> bool:
    dtype = column.dtype
    return (
        pd.api.types.is_object_dtype(dtype)
        or isinstance(dtype, (pd.StringDtype, pd.CategoricalDtype))
        or pd.api.types.is_string_dtype(dtype)
    )


def _present_text(column: pd.Series) -> pd.Series:
    """Return the cells that hold something, as objects."""
    cells = column.astype(object)
    is_empty = cells.isna() | cells.map(lambda cell: isinstance(cell, str) and not cell.strip())
    return cells[~is_empty.astype(bool)]


def _parse(cells: pd.Series) -> pd.Series:
    """Return cells as numbers, NaN where they are none."""
    return pd.to_numeric(cells, errors="coerce").astype(float)


def _as_numbers(table: Table, name: str, column: pd.Series) -> pd.Series:
    """Return a column that a model takes for numbers; refuse cells that are none."""
    cells = _present_text(column)
    numbers = _parse(cells)
    odd = cells[numbers.isna()]
    if len(odd):
        raise ValueError(
            f"Column {quote(name)} is a number for this model, and {len(odd):,} of its "
            f"{len(cells):,} non-empty cells are none: {_list_cells(table, odd)}. If such cells "
            f"mean missing, add {advise_missing(odd)}; otherwise correct them in the table."
        )
    return numbers.reindex(column.index)


def _as_numbers_where_possible(column: pd.Series) -> pd.Series:
    """Return a column with its numbers as numbers, and its other cells as they are."""
    numbers = _parse(column.astype(object))
    return numbers.astype(object).where(numbers.notna(), column.astype(object))


def _refuse_numbers_in_text(table: Table, name: str, column: pd.Series, *, is_label: bool) -> None:
    """Refuse text that is mostly numbers."""
    cells, odd = _find_odd(column)
    if not len(odd):
        return
    has_comma = odd.str.fullmatch(_DECIMAL_COMMA)
    n_numbers = len(cells) - len(odd) + has_comma.sum()
    if has_comma.mean() >= 0.5 and n_numbers >= _MOSTLY_NUMBERS * len(cells):
        raise ValueError(
            f"Column {quote(name)} has numbers with a comma, such as "
            f"{_list_cells(table, odd[has_comma][:1])}. If it is the decimal one, add --decimal "
            f"','; if the values are categories, --categorical {_as_argument(name)}."
        )
    if len(cells) - len(odd) > _MOSTLY_NUMBERS * len(cells):
        leave_out = "" if is_label else f"; to leave the column out, --drop {_as_argument(name)}"
        raise ValueError(
            f"Column {quote(name)} has numbers in {len(cells) - len(odd):,} of its {len(cells):,} "
            f"non-empty cells, and something else in {len(odd):,}: {_list_cells(table, odd)}. If "
            f"these mean missing, add {advise_missing(odd)}; if all values are categories, "
            f"--categorical {_as_argument(name)}{leave_out}."
        )


def _find_odd(column: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return the cells of text, and which are no numbers: none if the format has said its type."""
    empty = pd.Series([], dtype=object)
    if not _is_text(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return empty, empty
    cells = _present_text(column)
    if not all(type(cell) is str for cell in cells):
        return empty, empty
    return cells, cells[_parse(cells).isna()]


def _list_cells(table: Table, cells: pd.Series) -> str:
    """Return the first cells with their places."""
    first = [f"{quote(v)} ({table.place(int(i))})" for i, v in cells[:_N_SHOWN].items()]
    rest = f" and {len(cells) - _N_SHOWN:,} more" if len(cells) > _N_SHOWN else ""
    return ", ".join(first) + rest


def advise_missing(odd: Iterable[Any]) -> str:
    """Return the option by which cells are read as missing."""
    words = list(dict.fromkeys(str(value).strip() for value in odd))
    words = [f'"{word}"' if "," in word else word for word in words]  # see `read_names`
    listed = ",".join(words[:_N_SHOWN]) + (",..." if len(words) > _N_SHOWN else "")
    return f"--missing-values {_as_argument(listed)}"


def _as_argument(text: str) -> str:
    """Return text as a shell takes it."""
    import shlex

    return shlex.quote(text)


def refuse_times(table: Table, names: Sequence[str], categorical: Collection[str] = ()) -> None:
    """Refuse features that are dates or times."""
    refuse_unknown(table.frame, names)
    times = {*table.times, *find_times(table.frame[list(names)])[0]}
    found = [n for n in names if n not in categorical and (n in times or _has_dates(table, n))]
    if found:
        raise ValueError(
            f"{len(found)} column(s) hold dates or times: {enumerate_some(map(quote, found))}. The "
            "network learns from numbers and categories. Derive columns from them, such as an age "
            f"or a month, and leave them out: --drop {_as_argument(','.join(found))}."
        )


def _has_dates(table: Table, name: str) -> bool:
    """Return whether all cells of a column of text are dates."""
    column = table.frame[name]
    if not _is_text(column) or name in table.labelled:
        return False
    cells = _present_text(column)
    return bool(
        len(cells)
        and all(type(cell) is str for cell in cells[:20])
        and cells.astype(str).str.fullmatch(_DATE).all()
    )


def suspect_columns(X: pd.DataFrame) -> list[str]:
    """Return sentences on features that may say which row it is, and nothing else."""
    sentences = []
    for name in X.columns:
        present = X[name].dropna()
        if len(present) < _MIN_ROWS_TO_SUSPECT:
            continue
        option = f"--drop {_as_argument(name)}"
        if isinstance(present.dtype, pd.CategoricalDtype):
            if present.nunique() > len(present) / 2:
                sentences.append(
                    f"Column {quote(name)} is text with {present.nunique():,} different values in "
                    f"{len(present):,} cells, and a feature. If it names the rows, add {option}."
                )
        elif len(present) == len(X) and present.nunique() == len(X) and (present % 1 == 0).all():
            sentences.append(
                f"Column {quote(name)} has a different whole number in each row, and is a feature. "
                f"If it numbers the rows, add {option}."
            )
    return sentences


def suspect_text(table: Table, names: Sequence[str]) -> list[str]:
    """Return sentences on text with many numbers in it, which becomes a category."""
    sentences = []
    for name in names:
        if name in table.labelled:
            continue
        cells, odd = _find_odd(_without_objects(table.frame[name]))
        n_numbers = len(cells) - len(odd)
        if len(odd) and _parse(cells).nunique() >= _MANY_NUMBERS:
            sentences.append(
                f"Column {quote(name)} has numbers in {n_numbers:,} of its {len(cells):,} "
                "non-empty cells, and becomes a category. If the others mean missing, add "
                f"{advise_missing(odd)}."
            )
    return sentences


def suspect_tasks(Y: pd.DataFrame) -> list[str]:
    """Return sentences on tasks with so many classes that few rows are left for each."""
    sentences = []
    for name in Y.columns:
        present = Y[name].dropna()
        n_classes = present.nunique()
        if len(present) >= _MIN_ROWS_TO_SUSPECT and n_classes > _MANY_CLASSES * len(present):
            sentences.append(
                f"Task {quote(name)} has {n_classes:,} classes in {len(present):,} labelled rows. "
                "Each different value is a class: numbers to predict, and names of rows, are no "
                "tasks."
            )
    return sentences
