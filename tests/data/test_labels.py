"""Reading y: every form a user has it in, what counts as missing, and weights."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from sk_mtl._data.labels import array_of_sequence, read_labels
from sk_mtl._data.sample_weight import read_cell_weight, read_missing_weight
from sk_mtl._data.schema import has_missing_labels

HOLE = [True, False, True, True]  # the mask of what most tests read: the second label is missing


def present(table, task=0):
    """Return the labels of a task that are there, as plain Python objects."""
    return table.columns[task][table.label_mask[:, task]].tolist()


# ------------------------------------------------------------------------------------------------
# One task
# ------------------------------------------------------------------------------------------------

ONE_TASK = {
    "list with None": [0, None, 1, 0],
    "list with NaN": [0, np.nan, 1, 0],
    "list with pd.NA": [0, pd.NA, 1, 0],
    "list with NaT": [0, pd.NaT, 1, 0],
    "tuple": (0, None, 1, 0),
    "float array": np.array([0.0, np.nan, 1.0, 0.0]),
    "float16 array": np.array([0, np.nan, 1, 0], dtype=np.float16),
    "object array": np.array([0, None, 1, 0], dtype=object),
    "column array": np.array([[0.0], [np.nan], [1.0], [0.0]]),
    "list of one-element rows": [[0], [None], [1], [0]],
    "masked array": np.ma.masked_array([0, 7, 1, 0], mask=[0, 1, 0, 0]),
    "masked column": np.ma.masked_array([[0], [7], [1], [0]], mask=[[0], [1], [0], [0]]),
    "masked array with NaN": np.ma.masked_array([0.0, np.nan, 1.0, 0.0], mask=[0, 0, 0, 0]),
    "pandas Series": pd.Series([0.0, np.nan, 1.0, 0.0]),
    "Int64": pd.Series([0, None, 1, 0], dtype="Int64"),
    "UInt8": pd.Series([0, None, 1, 0], dtype="UInt8"),
    "Float64": pd.Series([0, None, 1, 0], dtype="Float64"),
    "int64[pyarrow]": pd.Series([0, None, 1, 0], dtype="int64[pyarrow]"),
    "double[pyarrow]": pd.Series([0, None, 1, 0], dtype="double[pyarrow]"),
    "category": pd.Series([0, None, 1, 0], dtype="category"),
    "pandas array": pd.array([0, None, 1, 0], dtype="Int64"),
    "pandas Index": pd.Index([0.0, np.nan, 1.0, 0.0]),
    "sparse pandas": pd.Series(pd.arrays.SparseArray([0.0, np.nan, 1.0, 0.0])),
    "polars Series": pl.Series([0, None, 1, 0]),
    "polars NaN": pl.Series([0.0, np.nan, 1.0, 0.0]),
    "pyarrow array": pa.array([0, None, 1, 0]),
    "pyarrow chunks": pa.chunked_array([[0, None], [1, 0]]),
}


@pytest.mark.parametrize("y", ONE_TASK.values(), ids=ONE_TASK)
def test_one_task_of_integers_is_read_in_every_form(y):
    table = read_labels(y)
    assert table.is_1d
    assert table.label_mask[:, 0].tolist() == HOLE
    assert present(table) == [0, 1, 0]
    if not isinstance(y, pd.Series) or y.dtype != "category":
        assert table.columns[0].dtype.kind in "iu"


TEXT = {
    "list": ["a", None, "b", "a"],
    "list with NaN": ["a", np.nan, "b", "a"],
    "object array": np.array(["a", np.nan, "b", "a"], dtype=object),
    "masked array": np.ma.masked_array(["a", "zzz", "b", "a"], mask=[0, 1, 0, 0]),
    "object": pd.Series(["a", None, "b", "a"], dtype=object),
    "str": pd.Series(["a", None, "b", "a"], dtype="str"),
    "string": pd.Series(["a", None, "b", "a"], dtype="string"),
    "string[pyarrow]": pd.Series(["a", None, "b", "a"], dtype="string[pyarrow]"),
    "Arrow string": pd.Series(["a", None, "b", "a"], dtype=pd.ArrowDtype(pa.string())),
    "Arrow dictionary": pd.Series(
        ["a", None, "b", "a"], dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    ),
    "category": pd.Series(["a", None, "b", "a"], dtype="category"),
    "ordered category": pd.Series(pd.Categorical(["a", None, "b", "a"], ["b", "a"], ordered=True)),
    "bare Categorical": pd.Categorical(["a", None, "b", "a"]),
    "polars": pl.Series(["a", None, "b", "a"]),
    "polars Categorical": pl.Series(["a", None, "b", "a"], dtype=pl.Categorical),
    "polars Enum": pl.Series(["a", None, "b", "a"], dtype=pl.Enum(["b", "a", "z"])),
    "pyarrow": pa.array(["a", None, "b", "a"]),
    "pyarrow dictionary": pa.chunked_array([pa.array(["a", None, "b", "a"]).dictionary_encode()]),
}


@pytest.mark.parametrize("y", TEXT.values(), ids=TEXT)
def test_one_task_of_text_is_read_in_every_form(y):
    table = read_labels(y)
    assert table.is_1d
    assert table.label_mask[:, 0].tolist() == HOLE
    assert present(table) == ["a", "b", "a"]


BOOLEANS = {
    "list": [True, None, False, True],
    "object": pd.Series([True, np.nan, False, True], dtype=object),
    "boolean": pd.Series([True, None, False, True], dtype="boolean"),
    "bool[pyarrow]": pd.Series([True, None, False, True], dtype="bool[pyarrow]"),
    "polars": pl.Series([True, None, False, True]),
    "masked": np.ma.masked_array([True, True, False, True], mask=[0, 1, 0, 0]),
}


@pytest.mark.parametrize("y", BOOLEANS.values(), ids=BOOLEANS)
def test_one_task_of_booleans_stays_boolean(y):
    table = read_labels(y)
    assert table.columns[0].dtype == bool
    assert table.label_mask[:, 0].tolist() == HOLE
    assert present(table) == [True, False, True]


@pytest.mark.parametrize(
    "y",
    [
        pd.Series(pd.to_datetime(["2020-01-01", None, "2021-01-01", "2020-01-01"])),
        pd.Series(pd.to_datetime(["2020-01-01", None, "2021-01-01", "2020-01-01"], utc=True)),
        np.array(["2020-01-01", "NaT", "2021-01-01", "2020-01-01"], dtype="datetime64[D]"),
        [
            pd.Timestamp("2020-01-01"),
            pd.NaT,
            pd.Timestamp("2021-01-01"),
            pd.Timestamp("2020-01-01"),
        ],
        [dt.date(2020, 1, 1), None, dt.date(2021, 1, 1), dt.date(2020, 1, 1)],
        pl.Series([dt.date(2020, 1, 1), None, dt.date(2021, 1, 1), dt.date(2020, 1, 1)]),
        pd.Series(pd.PeriodIndex(["2020", None, "2021", "2020"], freq="Y")),
        pd.Series([b"x", None, b"y", b"x"], dtype=object),
        [decimal.Decimal(1), None, decimal.Decimal(2), decimal.Decimal(1)],
    ],
    ids=[
        "datetime",
        "UTC",
        "datetime64",
        "Timestamps",
        "dates",
        "polars",
        "Period",
        "bytes",
        "Decimal",
    ],
)
def test_labels_of_other_scalar_types_are_read(y):
    table = read_labels(y)
    assert table.label_mask[:, 0].tolist() == HOLE
    first, second, third = present(table)
    assert first == third != second


def test_complete_numpy_labels_keep_their_dtype():
    for dtype in ("i1", "u8", "f2", "f4", "?", "U3", "S2"):
        y = np.array([0, 1, 1, 0]).astype(dtype)
        table = read_labels(y)
        assert table.columns[0].dtype == y.dtype
        assert table.label_mask.all()


def test_integers_beyond_the_range_of_floats_are_exact():
    y = pd.Series([2**53, None, 2**53 + 1], dtype="Int64")
    assert present(read_labels(y)) == [2**53, 2**53 + 1]


@pytest.mark.parametrize(
    "labels", [["y", "n"], ["Oui", "Non"], ["N", "m"], ["No", "na"], [b"y", b"n"], ["Nona", "nano"]]
)
def test_short_text_that_begins_like_nan_or_none_is_a_label(labels):
    # "None" cut to the width of such an array would be "N", "No", "Non".
    table = read_labels(np.array(labels * 2))
    assert table.label_mask.all()
    assert present(table) == labels * 2


def test_the_text_nan_is_missing_when_missing_label_says_so():
    table = read_labels(np.array(["a", "nan", "b", "a"]), missing_label="nan")
    assert table.label_mask[:, 0].tolist() == HOLE


# ------------------------------------------------------------------------------------------------
# Several tasks, and names
# ------------------------------------------------------------------------------------------------

TWO_TASKS = {
    "lists": [["a", 0], [None, 1], ["b", None]],
    "tuples": [("a", 0), (None, 1), ("b", None)],
    "object array": np.array([["a", 0], [None, 1], ["b", np.nan]], dtype=object),
    "pandas": pd.DataFrame({"y0": ["a", None, "b"], "y1": [0, 1, None]}),
    "pandas nullable": pd.DataFrame(
        {"y0": pd.array(["a", None, "b"], "string"), "y1": pd.array([0, 1, None], "Int64")}
    ),
    "polars": pl.DataFrame({"y0": ["a", None, "b"], "y1": [0, 1, None]}),
    "pyarrow": pa.table({"y0": ["a", None, "b"], "y1": [0, 1, None]}),
}


@pytest.mark.parametrize("y", TWO_TASKS.values(), ids=TWO_TASKS)
def test_two_tasks_of_unlike_types_are_read_in_every_form(y):
    table = read_labels(y)
    assert not table.is_1d
    assert table.task_names == ("y0", "y1")
    assert (table.n_samples, table.n_tasks) == (3, 2)
    assert table.label_mask.tolist() == [[True, True], [False, True], [True, False]]
    assert (present(table, 0), present(table, 1)) == (["a", "b"], [0, 1])
    assert table.columns[1].dtype == np.int64


def test_all_columns_of_a_float_array_with_one_hole_are_integers():
    table = read_labels(np.array([[0.0, 1.0], [np.nan, 2.0]]))
    assert [c.dtype.kind for c in table.columns] == ["i", "i"]


def test_a_frame_of_one_column_is_not_1d():
    assert not read_labels(pd.DataFrame({"a": [0, 1]})).is_1d


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (pd.Series([0, 1], name="income"), ("income",)),
        (pd.Series([0, 1]), ("y0",)),
        (pd.Series([0, 1], name=0), (0,)),
        (pd.Series([0, 1], name=("a", "b")), (("a", "b"),)),
        (pl.Series("income", [0, 1]), ("income",)),
        (pl.Series([0, 1]), ("y0",)),
        (np.zeros((2, 2)), ("y0", "y1")),
        (pd.DataFrame([[0, 1]], columns=[3, 7]), (3, 7)),
        (pd.DataFrame([[0, 1]], columns=["a", 7]), ("a", 7)),
        (
            pd.DataFrame([[0, 1]], columns=pd.MultiIndex.from_tuples([("x", "a"), ("x", "b")])),
            (("x", "a"), ("x", "b")),
        ),
    ],
)
def test_tasks_are_named_by_the_columns_of_y(y, names):
    assert read_labels(y).task_names == names


# ------------------------------------------------------------------------------------------------
# missing_label
# ------------------------------------------------------------------------------------------------

SENTINELS = {
    "int": (np.array([0, -1, 1, 0]), -1),
    "int for floats": (np.array([0.0, -1.0, 1.0, 0.0]), -1),
    "float for ints": (np.array([0, -1, 1, 0]), -1.0),
    "NumPy scalar": (np.array([0, -1, 1, 0]), np.int64(-1)),
    "uint8": (np.array([0, 255, 1, 0], dtype=np.uint8), 255),
    "list": ([0, -1, 1, 0], -1),
    "object": (np.array([0, -1, 1, 0], dtype=object), -1),
    "Int64": (pd.Series([0, -1, 1, 0], dtype="Int64"), -1),
    "category": (pd.Series([0, -1, 1, 0], dtype="category"), -1),
    "polars": (pl.Series([0, -1, 1, 0]), -1),
    "infinity": (np.array([0, np.inf, 1, 0]), np.inf),
    "fraction": (np.array([0, 0.5, 1, 0]), 0.5),
    "text": (np.array(["0", "?", "1", "0"]), "?"),
    "empty text": (np.array(["0", "", "1", "0"]), ""),
    "object text": (np.array(["0", "?", "1", "0"], dtype=object), "?"),
    "string": (pd.Series(["0", "?", "1", "0"], dtype="string"), "?"),
    "Arrow": (pd.Series(["0", "?", "1", "0"], dtype=pd.ArrowDtype(pa.string())), "?"),
    "Enum": (pl.Series(["0", "?", "1", "0"], dtype=pl.Enum(["?", "0", "1"])), "?"),
    "bytes": (np.array([b"0", b"?", b"1", b"0"]), b"?"),
    "Timestamp": (
        pd.Series(pd.to_datetime(["2020-01-01", "1900-01-01", "2021-01-01", "2020-01-01"])),
        pd.Timestamp("1900-01-01"),
    ),
}


@pytest.mark.parametrize(("y", "missing_label"), SENTINELS.values(), ids=SENTINELS)
def test_missing_label_is_missing_besides_nan(y, missing_label):
    assert read_labels(y, missing_label=missing_label).label_mask[:, 0].tolist() == HOLE


@pytest.mark.parametrize(
    ("y", "missing_label"),
    [
        (np.array([0, 1, 1]), True),
        (np.array([0, 1, 1]), False),
        (np.array([True, False]), 0),
        ([True, False, None], 1),
        (np.array(["-1", "0"]), -1),
        (np.array([-1, 0]), "-1"),
        (np.array([0, 255], dtype=np.uint8), -1),
        (pd.Series(pd.to_datetime(["2020-01-01"])), -1),
    ],
)
def test_missing_label_of_another_type_hides_nothing(y, missing_label):
    # True is not 1 here, and the text "-1" is not the number.
    mask = read_labels(y, missing_label=missing_label).label_mask[:, 0]
    np.testing.assert_array_equal(mask, ~pd.isna(pd.Series(y)))


@pytest.mark.parametrize("missing_label", [None, np.nan, pd.NA, pd.NaT, [np.nan, None], {}])
def test_missing_label_may_be_a_value_that_is_missing_anyway(missing_label):
    assert (
        read_labels([0, None, 1, 0], missing_label=missing_label).label_mask[:, 0].tolist() == HOLE
    )


def test_missing_label_applies_to_the_tasks_that_have_its_type():
    y = pd.DataFrame({"a": ["x", "y", "x"], "b": [0, -1, 1]})
    assert read_labels(y, missing_label=-1).label_mask.tolist() == [[1, 1], [1, 0], [1, 1]]


# ------------------------------------------------------------------------------------------------
# What is refused
# ------------------------------------------------------------------------------------------------

REFUSED = {
    "None": (None, ValueError, "requires y to be passed, but the target y is None"),
    "number": (3, ValueError, "must be 1-D .* or 2-D"),
    "text": ("abc", TypeError, "must be a table of class labels.*Got str"),
    "3-D": (np.zeros((4, 2, 2)), ValueError, "1-D .* or 2-D .*3 dimensions"),
    "no rows": ([], ValueError, r"at least one row.*0 row\(s\)"),
    "no tasks": ([[], []], ValueError, r"at least one row and one task.*0 task\(s\)"),
    "empty frame": (pd.DataFrame({"a": []}), ValueError, r"0 row\(s\)"),
    "frame without columns": (pd.DataFrame(index=[0, 1]), ValueError, r"0 task\(s\)"),
    "ragged": ([[1, 2], [3]], ValueError, "equal length"),
    "ragged arrays": ([np.array([1, 2]), np.array([3])], ValueError, "equal length"),
    "sparse": (sp.csr_matrix(np.eye(3)), TypeError, "Sparse.*toarray"),
    "lazy frame": (pl.DataFrame({"a": [0, 1]}).lazy(), (TypeError, ValueError), "collect"),
    "infinity": ([0.0, np.inf], ValueError, "infinity.*'y0' has 1 infinite"),
    "fractions": ([0.5, 1.25, np.nan], ValueError, "continuous.*'y0' holds 2 non-integral"),
    "fractions in Float64": (pd.Series([0.5, None], dtype="Float64"), ValueError, "continuous"),
    "decimal fractions": ([decimal.Decimal("0.5")], ValueError, "continuous"),
    "beyond int64": ([1e300, np.nan], ValueError, "'y0'.*2\\*\\*53"),
    "complex": (np.array([1j, 0]), ValueError, "Complex data not supported.*'y0'"),
    "records": (np.zeros(3, dtype=[("a", int)]), ValueError, "structured records"),
    "masked records": (
        np.ma.masked_array(np.zeros(3, dtype=[("a", int)])),
        ValueError,
        "structured records",
    ),
    "int and text": ([1, "a", None], ValueError, "one type.*'y0' mixes int, str"),
    "int and bool": ([1, True], ValueError, "one type.*'y0' mixes bool, int"),
    "same name twice": (pd.DataFrame([[0, 1]], columns=["a", "a"]), ValueError, "unique.*a"),
    "lists as labels": (pd.DataFrame({"a": [[0], [1]]}), ValueError, "'a'.*scalar"),
    "tuples as labels": (pd.DataFrame({"a": [(0,), (1,)]}), ValueError, "'a'.*scalar"),
    "sets as labels": ([{1}, {2}], ValueError, "'y0'.*scalar"),
    "dicts as labels": ([{"a": 1}, {"a": 2}], ValueError, "'y0'.*scalar"),
    "polars lists": (pl.DataFrame({"a": [[0], [1]]}), ValueError, "'a'.*scalar"),
    "polars records": (pl.DataFrame({"a": [{"b": 0}]}), ValueError, "'a'.*scalar"),
}


@pytest.mark.parametrize(("y", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_table_of_class_labels_is_refused(y, error, words):
    with pytest.raises(error, match=words):
        read_labels(y)


def test_errors_name_plain_numbers():
    with pytest.raises(ValueError, match="continuous") as caught:
        read_labels(np.array([0.5, 1.0]))
    assert "np.float" not in str(caught.value)


def test_has_missing_labels_knows_every_kind_of_missing():
    assert has_missing_labels([0, None])
    assert has_missing_labels(pd.DataFrame({"a": [0, 1], "b": ["x", None]}))
    assert has_missing_labels([0, -1], missing_label=-1)
    assert not has_missing_labels([0, -1])


@pytest.mark.parametrize("y", [None, [0.5, 1.0], "abc", [[1], [1, 2]]])
def test_has_missing_labels_says_no_when_y_cannot_be_read(y):
    assert not has_missing_labels(y)


def test_array_of_sequence_never_turns_nan_into_text():
    assert array_of_sequence(["a", np.nan]).dtype == object
    assert array_of_sequence(["a", "b"]).dtype.kind == "U"


# ------------------------------------------------------------------------------------------------
# Sample weights
# ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    return read_labels(pd.DataFrame({"a": [0, None, 1], "b": ["x", "y", None]}))


def test_no_weights_stay_none(table):
    assert read_cell_weight(None, table) is None


@pytest.mark.parametrize(
    "weight",
    [
        [2, 3, 4],
        np.array([2.0, 3.0, 4.0]),
        pd.Series([2, 3, 4], index=[9, 8, 7]),
        pl.Series([2, 3, 4]),
        [[2, 2], [3, 3], [4, 4]],
        pd.DataFrame({"a": [2, 3, 4], "b": [2, 3, 4]}),
        pl.DataFrame({"a": [2, 3, 4], "b": [2, 3, 4]}),
    ],
    ids=["list", "array", "Series", "polars Series", "cells", "frame", "polars frame"],
)
def test_weights_of_rows_and_cells_are_zero_where_the_label_is_missing(table, weight):
    cells = read_cell_weight(weight, table)
    assert cells.dtype == np.float64
    np.testing.assert_array_equal(cells, [[2, 2], [0, 3], [4, 0]])


def test_a_weight_frame_is_aligned_by_task_name(table):
    weight = pd.DataFrame({"b": [1, 2, 3], "a": [4, 5, 6]})
    np.testing.assert_array_equal(read_cell_weight(weight, table), [[4, 1], [0, 2], [6, 0]])


def test_a_weight_frame_for_an_array_is_taken_by_position():
    table = read_labels([[0, 1], [1, 0]])
    weight = pd.DataFrame({"p": [1, 2], "q": [3, 4]})
    np.testing.assert_array_equal(read_cell_weight(weight, table), [[1, 3], [2, 4]])


def test_a_weight_frame_follows_integer_and_tuple_task_names():
    for names in ([1, 0], pd.MultiIndex.from_tuples([("x", 1), ("x", 0)])):
        table = read_labels(pd.DataFrame([[0, 1], [1, 0]], columns=names))
        weight = pd.DataFrame([[1, 2], [3, 4]], columns=names)[list(names)[::-1]]
        np.testing.assert_array_equal(read_cell_weight(weight, table), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "under_the_mask",
    [np.nan, np.inf, -np.inf, -5.0, None],
    ids=["NaN", "inf", "-inf", "-5", "None"],
)
def test_weights_under_the_mask_are_not_looked_at(table, under_the_mask):
    weight = [[1, 2], [under_the_mask, 3], [4, under_the_mask]]
    np.testing.assert_array_equal(read_cell_weight(weight, table), [[1, 2], [0, 3], [4, 0]])


def test_missing_values_of_a_weight_frame_are_allowed_under_the_mask(table):
    weight = pd.DataFrame({"a": pd.array([1, None, 4], "Float64"), "b": [2.0, 3.0, np.nan]})
    np.testing.assert_array_equal(read_cell_weight(weight, table), [[1, 2], [0, 3], [4, 0]])


BAD_WEIGHTS = {
    "too short": ([1, 2], r"shape \(3,\).*or \(3, 2\).*Got \(2,\)"),
    "transposed": (np.ones((2, 3)), r"Got \(2, 3\)"),
    "column for two tasks": (np.ones((3, 1)), r"Got \(3, 1\)"),
    "3-D": (np.ones((3, 2, 1)), r"Got \(3, 2, 1\)"),
    "negative": ([1, -1, -1], "negative.* 2 of 4"),
    "NaN": ([np.nan, 1, 1], "finite.* 2 of 4"),
    "infinite": ([1, 1, np.inf], "finite.* 1 of 4"),
    "zero": ([0, 0, 0], "weight.*zero"),
    "zero on labelled cells": ([[0, 0], [1, 0], [0, 1]], "weight.*zero"),
    "other columns": (pd.DataFrame({"a": [1] * 3, "c": [1] * 3}), "columns of sample_weight.*'c'"),
    "more columns": (pd.DataFrame({c: [1] * 3 for c in "abc"}), "columns of sample_weight.*'c'"),
    "text": (["x", "y", "z"], "sample_weight.*number"),
    "complex": (np.ones(3) * 1j, "sample_weight.*number"),
    "too large for float32": ([1e39, 1, 1], "sample_weight.*float32"),
    "too small for float32": ([1e-60, 1e-60, 1e-60], "sample_weight.*float32"),
}


@pytest.mark.parametrize(("weight", "words"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_unusable_weights_are_refused(table, weight, words):
    with pytest.raises(ValueError, match=words):
        read_cell_weight(weight, table)


def test_sparse_weights_are_refused(table):
    with pytest.raises(TypeError, match=r"sample_weight must be dense.*toarray"):
        read_cell_weight(sp.csr_matrix(np.ones((3, 2))), table)


def test_missing_cells_have_the_weights_that_labelled_ones_do_not_have(table):
    is_missing = ~table.label_mask
    np.testing.assert_array_equal(read_missing_weight(None, table), is_missing)
    weight = np.where(is_missing, [[1, 2], [3, 4], [5, 6]], np.nan)  # labelled ones are not read
    found = read_missing_weight(weight, table)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.where(is_missing, weight, 0))
    np.testing.assert_array_equal(
        read_missing_weight([1, 0, 2], table), is_missing * [[1], [0], [2]]
    )
    huge = read_missing_weight(weight * 2.0**600, table)
    np.testing.assert_array_equal(huge / huge.max(), found / found.max())


def test_missing_weights_may_all_be_zero(table):
    assert not read_missing_weight(np.where(table.label_mask, 1, 0), table).any()


# ------------------------------------------------------------------------------------------------
# Laws
# ------------------------------------------------------------------------------------------------

_labels = st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=12)


@given(_labels)
def test_every_form_of_the_same_labels_reads_the_same(labels):
    forms = [
        labels,
        np.array(labels, dtype=object),
        np.array([np.nan if v is None else v for v in labels], dtype=float),
        pd.Series(labels, dtype="Int64"),
        pl.Series(labels, dtype=pl.Int64),
        np.ma.masked_array([0 if v is None else v for v in labels], [v is None for v in labels]),
    ]
    wanted = [v for v in labels if v is not None]
    for form in forms:
        table = read_labels(form)
        assert table.label_mask[:, 0].tolist() == [v is not None for v in labels]
        assert present(table) == wanted


@given(_labels, st.integers(-3, 3))
def test_a_sentinel_reads_like_none(labels, sentinel):
    by_sentinel = read_labels(
        [sentinel if v is None else v for v in labels], missing_label=sentinel
    )
    by_none = read_labels([None if v == sentinel else v for v in labels])
    np.testing.assert_array_equal(by_sentinel.label_mask, by_none.label_mask)
    assert present(by_sentinel) == present(by_none)
