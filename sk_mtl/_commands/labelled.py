"""Columns of Stata, SPSS and SAS to learn from: values by label, and kinds of missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from sk_mtl._commands.statistical import StatisticalTable, blank_out, write_value

__all__ = ["CODES_SUFFIX", "read_labelled"]

# The column of the kinds of missing of a column of numbers has its name and this.
CODES_SUFFIX = " (code)"


def read_labelled(
    table: StatisticalTable,
    *,
    missing: Sequence[str],
    missing_labels: Sequence[str],
    keep: Collection[str] | None,
    tasks: Collection[str],
    kinds: Mapping[str, str],
    categories: Mapping[str, Collection[Any]],
) -> dict[str, Any]:
    """Return the fields of a `Table`: its frame, and what there is to tell of its columns."""
    columns: dict[str, pd.Series] = {}
    code_notes, bases, labelled = {}, {}, set()
    for name in table.stored.columns:
        words = [*missing, *missing_labels] if name in tasks else missing
        kind, code_column = kinds.get(name), name + CODES_SUFFIX
        column, has_labels = _read_values(table, name, words, kind)
        names = _read_codes(table, name, words)
        if has_labels:
            labelled.add(name)
        is_kept = keep is None or name in keep
        becomes_text = name in tasks or has_labels or table.is_text(name)
        if becomes_text and len(names):
            # A model keeps the codes that it knows.
            known = (
                is_kept
                if kind is None
                else not names[names.isin(list(categories.get(name, ())))].empty
            )
            if known:
                column = _as_words(column)
                column[names.index] = names
                names = names[:0]
        columns[name] = column
        if not becomes_text and (len(names) and is_kept if kind is None else code_column in kinds):
            columns[code_column] = names.reindex(column.index).astype(object)
            bases[code_column] = name
            labelled.add(code_column)
        elif len(names):
            told = table.describe_codes(name)
            code_notes[name] = f"Column {name!r}: read as missing are {told}."
    return {
        "frame": pd.DataFrame(columns),
        "code_notes": code_notes,
        "bases": bases,
        "labelled": labelled,
        "times": table.times,
    }


def _read_codes(table: StatisticalTable, name: str, words: Sequence[str]) -> pd.Series:
    """Return the names of the codes of those cells that hold one, unless it is to be missing."""
    codes = table.codes_of(name).dropna()
    called = {code: table.name_of(name, code) for code in codes.unique()}
    called = {
        code: text
        for code, text in called.items()
        if table.write_code(code) not in words and text not in words
    }
    return codes.map(called).dropna().astype(object)


def _read_values(
    table: StatisticalTable, name: str, words: Sequence[str], kind: str | None
) -> tuple[pd.Series, bool]:
    """Return a column by its labels, and True, if all its values have one or a model says so."""
    values, labels = blank_out(table.values_of(name), words), table.labels_of(name)
    if not labels or kind in ("number", "values"):
        return values, False
    found = values.dropna().unique()
    has_label = [value in labels for value in found]
    if not (any(has_label) if kind is not None else has_label and all(has_label)):
        return values, False
    return blank_out(_as_words(values, labels), words), True


def _as_words(column: pd.Series, labels: Mapping[Any, str] | None = None) -> pd.Series:
    """Return a column as text: labels, or values, whole numbers without a point."""
    known = {} if labels is None else labels
    found = column.dropna().unique()
    words = {value: known.get(value) or write_value(value) for value in found}
    text = column.map(words).astype(object)
    return text.where(text.notna(), None)
