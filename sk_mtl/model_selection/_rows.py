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


def take_rows_of_params(params: dict[str, Any], rows: np.ndarray, n_samples: int) -> dict[str, Any]:
    """Return parameters, with these rows of those that have one entry per row."""
    return {
        name: take_rows(value, rows) if _has_rows(value, n_samples) else value
        for name, value in params.items()
    }


def _has_rows(value: Any, n_samples: int) -> bool:
    """Return whether a parameter has one entry per row."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__len__"):
        return bool(getattr(value, "shape", ()) and value.shape[0] == n_samples)
    return count_rows(value) == n_samples
