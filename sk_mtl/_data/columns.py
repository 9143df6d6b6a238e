"""Columns of a dense table, with their names, and which of them are times."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

__all__ = ["column_names", "columns_of", "find_times"]

_TIMES = (np.datetime64, np.timedelta64, dt.date, dt.time, dt.timedelta, pd.Period)


def column_names(X: Any) -> list[Any] | None:
    """Return the names of the columns of a DataFrame; None of any other table."""
    if isinstance(X, pd.DataFrame):  # whose names may repeat, which narwhals does not take
        return list(X.columns)
    if nw.dependencies.is_into_dataframe(X):
        return list(nw.from_native(X, eager_only=True).columns)
    return None


def columns_of(X: Any) -> tuple[list[Any], list[np.ndarray]] | None:
    """Return the names and the columns, as objects, of a dense table; None for anything else."""
    names = column_names(X)
    if names is not None:
        frame = nw.from_native(X, eager_only=True)
        return names, [np.asarray(frame[:, i].to_list(), object) for i in range(len(names))]
    if sp.issparse(X):
        return None
    try:
        cells = np.array(X, dtype=object)
    except (TypeError, ValueError):
        return None
    return None if cells.ndim != 2 else (list(range(cells.shape[1])), list(cells.T))


def find_times(X: Any) -> tuple[list[Any], int]:
    """Return the names of the columns of times, by dtype or by value, and how many columns are."""
    if isinstance(X, pd.DataFrame):
        # Most frames of thousands of columns have few dtypes.
        suspects = {d for d in set(X.dtypes) if d.kind == "O" or issubclass(d.type, _TIMES)}
        dtypes = zip(X.columns, X.dtypes, strict=True) if suspects else ()
        found = [
            name
            for i, (name, dtype) in enumerate(dtypes)
            if dtype in suspects and (issubclass(dtype.type, _TIMES) or _holds_times(X.iloc[:, i]))
        ]
        return found, X.shape[1]
    if nw.dependencies.is_into_dataframe(X):
        frame = nw.from_native(X, eager_only=True)
        found = [
            name
            for name, dtype in frame.schema.items()
            if dtype.is_temporal() or (dtype == nw.Object and _holds_times(frame[name].to_list()))
        ]
        return found, len(frame.columns)
    arrays = X if isinstance(X, (list, tuple)) else [X]
    if any(_dtype_kind(a) in ("M", "m") for a in arrays) and np.ndim(X) == 2:
        n_columns = np.shape(X)[1]
        return list(range(n_columns)), n_columns
    if not _may_hold_times(X):
        return [], 0
    _, columns = columns_of(X) or ([], [])
    return [i for i, cells in enumerate(columns) if _holds_times(cells)], len(columns)


def _may_hold_times(X: Any) -> bool:
    """Return whether an array or a list has a time in some cell, before it is cut into columns."""
    if isinstance(X, (list, tuple)):
        rows = (row for row in X if isinstance(row, (list, tuple)))
        return _holds_times(itertools.chain.from_iterable(rows))
    return isinstance(X, np.ndarray) and X.dtype.kind == "O" and _holds_times(X.flat)


def _dtype_kind(X: Any) -> str:
    return getattr(getattr(X, "dtype", None), "kind", "")


def _holds_times(values: Iterable[Any]) -> bool:
    """Return whether a value is a time; NaT alone is a missing number."""
    return any(issubclass(kind, _TIMES) for kind in set(map(type, values)) - {type(pd.NaT)})
