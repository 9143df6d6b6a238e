"""Tests of sk_mtl._data.categories: which features are categories, and their codes."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from sk_mtl._data.categories import (
    find_categorical,
    learn_categories,
    split_columns,
    used_categories,
)
from sk_mtl._data.input_encoder import InputEncoder


def make_frame():
    return pd.DataFrame(
        {
            "age": [3.0, 1.0, np.nan, 2.0],
            "job": pd.Categorical(["b", "a", None, "b"], categories=["z", "b", "a"]),
            "size": [10, 30, 10, 20],
            "text": ["u", None, "v", "u"],
        }
    )


def codes_of(values, known=None):
    """Return the categories of one feature, and the codes of its values."""
    X = pd.DataFrame({"x": values})
    categories = learn_categories(X if known is None else known, np.array([True]))
    return categories[0].tolist(), split_columns(X, categories)[1][:, 0].tolist()


# ------------------------------------------------------------------------------------- finding


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("from_dtype", [1]),
        (["job", "text"], [1, 3]),
        (np.array(["size"]), [2]),
        (pd.Index(["size"]), [2]),
        ([1, 2], [1, 2]),
        (np.array([3, 1, 1]), [1, 3]),
        ([False, True, False, True], [1, 3]),
    ],
)
def test_features_are_chosen_by_dtype_name_position_or_mask(chosen, expected):
    assert np.flatnonzero(find_categorical(make_frame(), chosen)).tolist() == expected


@pytest.mark.parametrize("chosen", [None, [], [False] * 4, np.array([], dtype=int)])
def test_no_feature_is_categorical_where_none_is_chosen(chosen):
    assert find_categorical(make_frame(), chosen) is None


def test_dtypes_of_polars_are_found():
    frame = pl.DataFrame({"a": [1.0], "b": ["x"], "c": ["y"]})
    frame = frame.with_columns(
        pl.col("b").cast(pl.Categorical), pl.col("c").cast(pl.Enum(["y", "z"]))
    )
    assert find_categorical(frame, "from_dtype").tolist() == [False, True, True]


def test_arrays_have_no_dtypes_to_find():
    for X in (np.ones((2, 2)), [[1, 2]], sp.csr_matrix([[1.0]]), np.array([["a"]], dtype=object)):
        assert find_categorical(X, "from_dtype") is None


@pytest.mark.parametrize(
    ("X", "chosen", "words"),
    [
        (make_frame(), ["jobs", "size"], "names 'jobs', which X does not have"),
        (make_frame(), [4], "positions from 0 to 3. Got 4"),
        (make_frame(), [-1], "positions from 0 to 3. Got -1"),
        (make_frame(), [True], "a boolean for each of the 4 features. Got 1"),
        (make_frame(), [1.0], "must be 'from_dtype', None, or a list"),
        (make_frame(), [1, "job"], "must be 'from_dtype', None, or a list|names '1'"),
        (make_frame(), [[1]], "must be 'from_dtype', None, or a list"),
        (np.ones((2, 3)), ["job"], "X has none. Pass positions"),
        (sp.csr_matrix(np.ones((2, 3))), [1], "needs a dense X"),
    ],
)
def test_choice_that_does_not_fit_is_refused(X, chosen, words):
    with pytest.raises(ValueError, match=words):
        find_categorical(X, chosen)


# -------------------------------------------------------------------------------------- coding

nan = np.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", None, "b"], (["a", "b"], [1, 0, nan, 1])),
        ([3, 1, 3], ([1, 3], [1, 0, 1])),
        ([0.5, nan, -1.5], ([-1.5, 0.5], [1, nan, 0])),
        ([True, False, True], ([False, True], [1, 0, 1])),
        (pd.array([2, pd.NA, 1], dtype="Int64"), ([1, 2], [1, nan, 0])),
        (pd.array(["x", pd.NA], dtype="string"), (["x"], [0, nan])),
        (pd.Categorical(["b", "a"], categories=["z", "b", "a"]), (["a", "b"], [1, 0])),
        (np.array([1, "a", None, 2.5], dtype=object), ([1, 2.5, "a"], [0, 2, nan, 1])),
        ([None, None], ([], [nan, nan])),
    ],
)
def test_values_become_positions_among_the_sorted_ones(values, expected):
    categories, codes = codes_of(values)
    assert categories == expected[0]
    np.testing.assert_array_equal(codes, expected[1])


def test_dates_are_categories():
    days = pd.to_datetime(["2020-03-01", "2020-01-01", None])
    categories, codes = codes_of(days)
    assert categories == [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-03-01")]
    np.testing.assert_array_equal(codes, [1, 0, nan])
    assert codes_of([dt.date(2020, 1, 1)])[1] == [0]


def test_value_without_a_code_is_missing():
    _, codes = codes_of(["c", "b", None], known=pd.DataFrame({"x": ["a", "b"]}))
    np.testing.assert_array_equal(codes, [nan, 1, nan])


def test_equal_values_of_other_types_have_one_code():
    known = pd.DataFrame({"x": [1, 2]})
    for values in ([1.0, 2.0], [True, 2], pd.Categorical([1, 2]), pd.array([1, 2], "Int8")):
        assert codes_of(values, known=known)[1] == [0, 1]


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X,
        pl.from_pandas,
        lambda X: X.astype({"job": object}),
        lambda X: X.astype({"job": "string"}),
        lambda X: X.to_numpy(dtype=object),
        lambda X: X.to_numpy(dtype=object).tolist(),
    ],
    ids=["pandas", "polars", "object", "string", "array", "lists"],
)
def test_tables_of_any_kind_are_split_alike(convert):
    mask = np.array([False, True, False, True])
    categories = learn_categories(make_frame(), mask)
    assert [c if c is None else c.tolist() for c in categories] == [
        None,
        ["a", "b"],
        None,
        ["u", "v"],
    ]
    again = learn_categories(convert(make_frame()), mask)
    for first, second in zip(categories, again, strict=True):
        np.testing.assert_array_equal(first, second)
    numbers, codes = split_columns(convert(make_frame()), categories)
    np.testing.assert_array_equal(codes, [[1, 0], [0, nan], [nan, 1], [1, 0]])
    expected = make_frame()[["age", "size"]].to_numpy()
    np.testing.assert_array_equal(np.asarray(numbers, dtype=float), expected)


def test_frame_of_categories_alone_has_no_numbers():
    for frame in (make_frame()[["job"]], pl.from_pandas(make_frame()[["job"]])):
        numbers, codes = split_columns(frame, learn_categories(frame, np.array([True])))
        assert np.asarray(numbers).shape == (4, 0)
        assert codes.shape == (4, 1)


def test_columns_of_one_name_are_told_apart():
    frame = pd.DataFrame([["a", "x"], ["b", "x"]], columns=["n", "n"]).astype("category")
    categories = learn_categories(frame, find_categorical(frame, "from_dtype"))
    assert [c.tolist() for c in categories] == [["a", "b"], ["x"]]


def test_values_that_cannot_be_told_apart_are_refused():
    with pytest.raises(TypeError, match="categories of feature 0 must be scalars"):
        codes_of([[1], [2]])


# ------------------------------------------------------------------------------- what is used


def test_categories_of_other_rows_lose_their_codes():
    categories = (np.array(["a", "b", "c"], dtype=object), None, np.array([1, 2], dtype=object))
    X = np.float32([[2, 5, 0], [1, 5, 1], [nan, 5, 0], [0, 5, 1]])
    kept = used_categories(categories, X, np.array([0, 2, 3]))
    assert kept[0].tolist() == ["a", "c"]
    assert kept[1] is None
    assert kept[2].tolist() == [1, 2]
    coded = InputEncoder(kept).transform(X, categories)
    np.testing.assert_array_equal(coded, [[1, 5, 0], [nan, 5, 1], [nan, 5, 0], [0, 5, 1]])
    assert X[1, 0] == 1  # of the caller's
