"""A table with its holes filled, in the values that its file has for labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._commands.formats import family_of
from sk_mtl._commands.statistical import StatisticalTable, write_value
from sk_mtl._commands.tables import Table
from sk_mtl._quoting import quote

__all__ = ["fill_columns"]


def fill_columns(
    table: Table, completed: pd.DataFrame, is_known: Mapping[str, np.ndarray], path: Path
) -> tuple[pd.DataFrame, list[str]]:
    """Return the table to write to a file, and which of its columns are those of its origin."""
    # All other cells, and known labels, are as they were if the file has the format of the table.
    stored = table.as_stored(path)
    kept = list(stored.columns)
    is_same = family_of(path) == family_of(table.path)
    filled: dict[str, Any] = {}
    for task in completed.columns:
        labels = completed[task].reset_index(drop=True)
        holes = ~is_known[task] & labels.notna().to_numpy()
        if task not in stored.columns or not (is_same and (table.text or table.statistical)):
            filled[task] = labels
            continue
        if table.statistical is not None:
            labels = _encode(table, table.statistical, task, labels, holes)
        else:
            labels = labels.astype(object).map(write_value, na_action="ignore")
        column = stored[task].reset_index(drop=True).astype(object)
        column[holes] = labels[holes]
        filled[task] = _as_before(column, stored[task])
    return stored.reset_index(drop=True).assign(**filled), kept


def _as_before(column: pd.Series, before: pd.Series) -> pd.Series:
    """Return a column in the dtype that it had, if it fits."""
    try:
        return column.astype(before.dtype)
    except (ValueError, TypeError):
        return column


def _encode(
    table: Table, origin: StatisticalTable, task: str, labels: pd.Series, holes: np.ndarray
) -> pd.Series:
    """Return the labels of holes as the values that the file has for them."""
    if origin.is_text(task):
        return labels.astype(object).map(write_value, na_action="ignore")
    values: dict[Any, Any] = {text: value for value, text in origin.labels_of(task).items()}
    codes = origin.codes_of(task).dropna().unique()
    values = {origin.name_of(task, code): code for code in codes} | values
    if task not in table.labelled:
        numbers = origin.values_of(task).dropna().unique()
        values |= {write_value(number): number for number in numbers}

    def encode(label: Any) -> Any:
        if label in values:
            return values[label]
        if not isinstance(label, str):
            return float(label)
        raise ValueError(
            f"Column {quote(task)} of {origin.path} holds numbers, none of which has the label "
            f"{quote(label)} of the model. Write a .csv or .parquet table."
        )

    return labels.astype(object).where(pd.Series(holes), None).map(encode, na_action="ignore")
