"""Tests of sk_mtl._data.containers: what is unwrapped, and what is not in memory."""

import narwhals
import narwhals.stable.v1 as nw_v1
import narwhals.stable.v2 as nw_v2
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from helpers import make_tiny

from sk_mtl._data.containers import open_table
from sk_mtl.metrics import multitask_score
from sk_mtl.model_selection import MultiTaskStratifiedGroupKFold

FRAME = pd.DataFrame({"a": [0, 1] * 4, "b": [0, 0, 1, 1] * 2})
X = np.arange(16.0).reshape(8, 2)


def stand_in(package, *names):
    """Return an object whose class and its bases have these names in a package."""
    kind = object
    for name in reversed(names):
        kind = type(name, (kind,), {"__module__": package})
    return kind()


# The classes as in Dask 2026.8 and 2024.1, DuckDB 2.0 and 1.0, Ibis 12.0 and PySpark 4.0.
LAZY = {
    "Dask": (stand_in("dask.dataframe.dask_expr._collection", "Series", "FrameBase"), "compute()"),
    "Dask before 2025": (stand_in("dask.dataframe.core", "DataFrame", "_Frame"), "compute()"),
    "Dask Expressions": (stand_in("dask_expr._collection", "Index", "FrameBase"), "compute()"),
    "DuckDB": (stand_in("_duckdb", "DuckDBPyRelation"), "df()"),
    "DuckDB before 1.4": (stand_in("duckdb.duckdb", "DuckDBPyRelation"), "df()"),
    "Ibis": (stand_in("ibis.expr.types.numeric", "IntegerColumn", "Column", "Expr"), "to_pandas()"),
    "Spark": (stand_in("pyspark.sql.classic.dataframe", "DataFrame", "DataFrame"), "toPandas()"),
    "polars": (pl.from_pandas(FRAME).lazy(), "collect()"),
    "narwhals": (narwhals.from_native(pl.from_pandas(FRAME).lazy()), "collect()"),
    "narwhals v1": (nw_v1.from_native(pl.from_pandas(FRAME).lazy()), "collect()"),
}


@pytest.mark.parametrize(("lazy", "loaded_by"), LAZY.values(), ids=LAZY)
def test_lazy_tables_are_told_the_method_that_loads_them(lazy, loaded_by):
    with pytest.raises(TypeError) as caught:
        open_table(lazy, "y")
    assert str(caught.value) == (
        f"y must be in memory. Got {type(lazy).__name__}, which is lazy: call {loaded_by} on it "
        "first."
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: _dask().from_pandas(FRAME, npartitions=2),
        lambda: _dask().from_pandas(FRAME, npartitions=2)["a"],
        lambda: pytest.importorskip("duckdb").from_df(FRAME),
        lambda: pytest.importorskip("ibis").memtable(FRAME),
        lambda: pytest.importorskip("ibis").memtable(FRAME)["a"],
    ],
    ids=["a Dask frame", "a Dask Series", "a DuckDB relation", "an Ibis table", "an Ibis column"],
)
def test_lazy_tables_of_installed_libraries_are_refused(make):
    with pytest.raises(TypeError, match=r"which is lazy: call (compute|df|to_pandas)\(\) on it"):
        open_table(make(), "y")


def _dask():
    return pytest.importorskip("dask.dataframe")


LAZY_SERIES = LAZY["Dask"][0]
PLACES = {
    "X": lambda: make_tiny().fit(LAZY_SERIES, FRAME),
    "y": lambda: make_tiny().fit(X, LAZY_SERIES),
    "sample_weight": lambda: make_tiny().fit(X, FRAME, LAZY_SERIES),
    "In validation_data: X": lambda: make_tiny().fit(
        X, FRAME, validation_data=(LAZY_SERIES, FRAME)
    ),
    "In validation_data: y": lambda: make_tiny().fit(X, FRAME, validation_data=(X, LAZY_SERIES)),
    "y_pred": lambda: multitask_score("accuracy", FRAME, LAZY_SERIES),
    "groups": lambda: next(MultiTaskStratifiedGroupKFold(2).split(X, FRAME, LAZY_SERIES)),
}


@pytest.mark.parametrize("place", PLACES)
def test_lazy_tables_are_refused_wherever_a_table_is_taken(place):
    with pytest.raises(TypeError, match=rf"^{place} must be in memory\. Got Series"):
        PLACES[place]()


@pytest.mark.parametrize("version", [narwhals, nw_v1, nw_v2], ids=["main", "v1", "v2"])
@pytest.mark.parametrize("convert", [lambda frame: frame, pl.from_pandas], ids=["pandas", "polars"])
def test_frames_and_series_of_narwhals_are_unwrapped(version, convert):
    native = convert(FRAME)
    assert open_table(version.from_native(native), "y") is native
    column = native["a"]
    assert open_table(version.from_native(column, series_only=True), "y") is column


@pytest.mark.parametrize(
    "table",
    [None, [1], {"a": 1}, FRAME, FRAME["a"], pl.from_pandas(FRAME), X, sp.csr_matrix(X), "abc"],
    ids=lambda table: type(table).__name__,
)
def test_other_tables_are_left_as_they_are(table):
    assert open_table(table, "y") is table


@pytest.mark.parametrize("version", [narwhals, nw_v1, nw_v2], ids=["main", "v1", "v2"])
def test_labels_in_narwhals_keep_names_and_form(version):
    clf = make_tiny().fit(X, version.from_native(pl.from_pandas(FRAME)))
    assert clf.task_names_.tolist() == ["a", "b"]
    assert isinstance(clf.predict(X), pl.DataFrame)
    column = version.from_native(FRAME["b"], series_only=True)
    assert make_tiny().fit(X, column).task_names_.tolist() == ["b"]
    weights = version.from_native(FRAME[["b", "a"]] + 1.0)
    one, other = (make_tiny().fit(X, FRAME, w) for w in (weights, FRAME[["b", "a"]] + 1.0))
    np.testing.assert_array_equal(one.predict_proba(X)[0], other.predict_proba(X)[0])
