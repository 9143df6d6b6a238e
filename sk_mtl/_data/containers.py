"""Containers: tables of other libraries, unwrapped and in memory.

Owns which containers are refused before anyone looks at their values. Does not know what a table
is for.
"""

from __future__ import annotations

from typing import Any

import narwhals
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

__all__ = ["open_table"]

# By package and class: how each loads what it stands for.
_LOADED_BY = {
    ("dask", "FrameBase"): "compute()",
    ("dask", "_Frame"): "compute()",
    ("dask_expr", "FrameBase"): "compute()",
    ("duckdb", "DuckDBPyRelation"): "df()",
    ("ibis", "Expr"): "to_pandas()",
    ("polars", "LazyFrame"): "collect()",
    ("pyspark", "DataFrame"): "toPandas()",
    ("narwhals", "LazyFrame"): "collect()",
}


def open_table(table: Any, name: str) -> Any:
    """Return a table or column as its own library has it; refuse one that is not in memory."""
    if isinstance(table, (np.ndarray, pd.DataFrame, pd.Series)):
        return table
    for kind in type(table).__mro__:
        package = kind.__module__.partition(".")[0].lstrip("_")
        loaded_by = _LOADED_BY.get((package, kind.__name__))
        if loaded_by is not None:
            _refuse_lazy(table, name, f"call {loaded_by} on it first")
    # Those of narwhals's stable versions are subclasses.
    if isinstance(table, (narwhals.DataFrame, narwhals.Series)):
        return open_table(table.to_native(), name)
    if isinstance(nw.from_native(table, pass_through=True), nw.LazyFrame):
        _refuse_lazy(table, name, "load it first")
    return table


def _refuse_lazy(table: Any, name: str, advice: str) -> None:
    raise TypeError(
        f"{name} must be in memory. Got {type(table).__name__}, which is lazy: {advice}."
    )
