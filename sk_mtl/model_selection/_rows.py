"""Rows of arrays, sparse matrices, DataFrames, Series and lists: taken out, and counted."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse as sp


def take_rows(table: Any, rows: np.ndarray) -> Any:
    """Return rows of a table in its own type; None for None."""
    if table is None:
        return None
    if hasattr(table, "iloc"):
        return table.iloc[rows]
    if nw.dependencies.is_into_dataframe(table):
        return nw.to_native(nw.from_native(table, eager_only=True)[rows.tolist()])
    if nw.dependencies.is_into_series(table):
        return nw.to_native(nw.from_native(table, series_only=True)[rows.tolist()])
    if sp.issparse(table):
        return table.tocsr()[rows]
    if hasattr(table, "shape"):
        return table[rows]
    if isinstance(table, tuple):
        return tuple(table[i] for i in rows)
    return [table[i] for i in rows]


def count_rows(table: Any) -> int:
    """Return the number of rows of a table."""
    if hasattr(table, "shape") and len(table.shape):
        return int(table.shape[0])
    return len(table)
