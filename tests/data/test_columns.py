"""Tests of sk_mtl._data.columns: names of features, and columns of times."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from sk_mtl._data.columns import column_names, find_times

DAY = dt.datetime(2020, 1, 1, 12)
TIMES = {
    "timestamp": [DAY, DAY + dt.timedelta(hours=1)],
    "date": [DAY.date(), DAY.date() + dt.timedelta(days=1)],
    "time": [DAY.time(), dt.time(13)],
    "duration": [dt.timedelta(1), dt.timedelta(2)],
}
FRAMES = {
    "pandas": pd.Series,
    "pandas objects": lambda values: pd.Series(values, dtype=object),
    "pandas of Arrow": lambda values: pd.Series(
        pa.array(values), dtype=pd.ArrowDtype(pa.array(values).type)
    ),
    "polars": lambda values: pl.Series(values, strict=False),
    "polars objects": lambda values: pl.Series(values, dtype=pl.Object),
    "Arrow": pa.array,
}


def table_of(column):
    """Return a frame of numbers "u" and a column "t", in the library of the column."""
    if isinstance(column, pd.Series):
        return pd.DataFrame({"u": [0.5, 1.5], "t": column})
    if isinstance(column, pl.Series):
        return pl.DataFrame({"u": [0.5, 1.5], "t": column})
    return pa.table({"u": [0.5, 1.5], "t": column})


@pytest.mark.parametrize("values", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("convert", FRAMES.values(), ids=FRAMES)
def test_times_are_found_in_every_frame(convert, values):
    assert find_times(table_of(convert(values))) == (["t"], 2)


@pytest.mark.parametrize("values", TIMES.values(), ids=TIMES)
def test_times_are_found_in_arrays_and_lists(values):
    rows = [[0.5, v] for v in values]
    assert find_times(rows) == ([1], 2)
    assert find_times(np.array(rows, dtype=object)) == ([1], 2)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pd.Series(TIMES["timestamp"]).dt.tz_localize("UTC"), True),
        (pd.Series(pd.period_range("2020", periods=2)), True),
        (pd.Series([pd.NaT, pd.NaT]), True),
        (pd.Series([1.0, pd.NaT], dtype=object), False),  # a missing number
        (pd.Series(pd.interval_range(0, 2)), False),
        (pd.Series(["2020-01-01", "2020-01-02"]), False),
        (pa.array(TIMES["date"], pa.date32()), True),
        (pa.array([None, None]), False),
    ],
)
def test_times_are_found_by_dtype_or_by_value(column, found):
    assert find_times(table_of(column)) == (["t"] if found else [], 2)


@pytest.mark.parametrize("unit", ["datetime64[ns]", "datetime64[D]", "timedelta64[ns]"])
def test_times_of_numpy_are_found(unit):
    times = np.ones((2, 2), dtype=unit)
    for X in (times, list(times)):
        assert find_times(X) == ([0, 1], 2)
    # float() takes those of nanoseconds for numbers.
    cells = np.array([[1.0, times[0, 0]], [2.0, times[0, 1]]], dtype=object)
    assert find_times(cells) == ([1], 2)


@pytest.mark.parametrize(
    "X",
    [np.ones((2, 2)), sp.csr_matrix(np.ones((2, 2))), [[1, 2], [3, 4]], [[1], [2, 3]], [1, 2], 3],
    ids=["array", "sparse", "lists", "ragged", "1-D", "number"],
)
def test_tables_of_numbers_have_no_times(X):
    assert find_times(X)[0] == []


def test_frames_have_names_of_features():
    frame = pd.DataFrame({"u": [1], "v": [2]})
    for table in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        assert column_names(table) == ["u", "v"]
    assert column_names(frame.set_axis([3, 3], axis=1)) == [3, 3]
    assert column_names(np.ones((2, 2))) is None
    assert column_names(sp.csr_matrix(np.ones((2, 2)))) is None
    assert column_names([[1]]) is None
