"""Tests of sk_mtl._data.known_categories: categories that training did not have."""

import datetime as dt
import re
import warnings
from decimal import Decimal

import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import make_tiny

from sk_mtl._data.categories import learn_categories, split_columns

N = 24
Y = pd.DataFrame({"a": np.tile([0, 1, 1], 8), "b": np.arange(N) % 2})
TEXT = pd.DataFrame({"region": pd.Categorical(np.tile(["10", "20", "30"], 8))})
NUMBERS = pd.DataFrame({"region": pd.Categorical(np.tile([10, 20, 30], 8))})


def codes_of(found, known):
    """Return the codes of values in a column whose categories in training are given."""
    known = learn_categories(pd.DataFrame({"x": known}), np.array([True]))
    return split_columns(pd.DataFrame({"x": found}), known)[1][:, 0].tolist()


DAY, NOON = dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 12)


@pytest.mark.parametrize(
    ("known", "found", "had", "got"),
    [
        (["10", "20"], [10, 20], "text such as '10'", "numbers such as 10"),
        ([10, 20], ["10", "20"], "numbers such as 10", "text such as '10'"),
        (["10", "20"], [10.0, np.nan], "text such as '10'", "numbers such as 10.0"),
        ([10, 20], pd.array(["10", None], dtype="string"), "numbers such as 10", "text such as '1"),
        (["a", "b"], [b"a", b"c"], "text such as 'a'", "bytes such as b'a'"),
        ([b"a", b"b"], ["a"], "bytes such as b'a'", "text such as 'a'"),
        ([True, False], ["True", "False"], "numbers such as False", "text such as 'True'"),
        (["True", "False"], [True, False], "text such as 'False'", "numbers such as True"),
        (["a", "b"], [0, 1], "text such as 'a'", "numbers such as 0"),  # codes
        ([DAY], [NOON], r"dates such as datetime.date\(2020, 1, 1\)", "timestamps such as"),
        ([DAY], ["2020-01-01"], "dates such as", "text such as '2020-01-01'"),
        ([NOON], [DAY], "timestamps such as", "dates such as"),
        (["1"], [Decimal(1)], "text such as '1'", "numbers such as"),
        # Some of the values only, but as in training except for the type.
        (["10", "20"], ["10", 20, 20], "text such as '10'", "numbers such as 20"),
        (["10", "20"], [30, "10", 20.0], "text such as '10'", "numbers such as 20.0"),
    ],
)
def test_categories_of_another_type_are_refused(known, found, had, got):
    with pytest.raises(TypeError, match=f"feature 'x' must have .*: {had}.* Got {got}"):
        codes_of(found, known)


@pytest.mark.parametrize(
    ("known", "found", "expected"),
    [
        ([1, 2], [2.0, 1.0], [1, 0]),
        ([0, 1], [True, False], [1, 0]),
        ([False, True], [1, 0], [1, 0]),
        ([1, 2], pd.array([2, None], dtype="Int8"), [1, np.nan]),
        ([1, 2], [Decimal(2), Decimal(1)], [1, 0]),
        ([1, 2], np.array([2, 1], dtype=np.float32), [1, 0]),
        ([pd.Timestamp(NOON)], [NOON], [0]),
        # An unknown one beside known ones counts as missing, whatever its type.
        (["a", "b"], ["a", "c", "b"], [0, np.nan, 1]),
        (["a", "b"], ["a", 7, "b"], [0, np.nan, 1]),
        # One row alone, and nothing but missing ones.
        (["a", "b"], ["c"], [np.nan]),
        (["a", "b"], [None, None], [np.nan, np.nan]),
    ],
)
def test_equal_values_and_single_unknown_ones_say_nothing(known, found, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(codes_of(found, known), expected)


@pytest.mark.parametrize(
    ("known", "found", "message"),
    [
        (
            ["a", "b", "b"],
            ["c", None, "d"],
            "No category of feature 'x' is known, so that all its 2 cells count as missing. X "
            "has 2: text such as 'c'; training had 2: text such as 'a'.",
        ),
        (
            [None, None],
            ["c", "c"],
            "No category of feature 'x' is known, so that all its 2 cells count as missing. X "
            "has 1: text such as 'c'; training had none.",
        ),
        (
            [NOON],
            [NOON.replace(tzinfo=dt.UTC)] * 2,
            "No category of feature 'x' is known, so that all its 2 cells count as missing. X "
            "has 1: timestamps such as Timestamp('2020-01-01 12:00:00+0000', tz='UTC'); training "
            "had 1: timestamps such as Timestamp('2020-01-01 12:00:00').",
        ),
    ],
)
def test_column_without_a_known_category_is_told(known, found, message):
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        assert np.isnan(codes_of(found, known)).all()


def test_categories_that_print_alike_are_told():
    with pytest.warns(UserWarning, match=r"^Feature 'x' has 1 and '1' as different categories\."):
        codes_of([1, "1"], [1, "1", 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codes_of([1, "one"], [1, "one"])


# ------------------------------------------------------------------------- in every table and call

CLF = make_tiny(ensemble_size=2).fit(TEXT, Y)
CALLS = {
    "predict": CLF.predict,
    "predict_proba": CLF.predict_proba,
    "predict_log_proba": CLF.predict_log_proba,
    "predict_proba_frame": CLF.predict_proba_frame,
    "predict_std": CLF.predict_std,
    "score": lambda X: CLF.score(X, Y),
    "task_view": lambda X: CLF.task_view("a").predict(X),
    "partial_fit": lambda X: make_tiny(classes=[[0, 1]] * 2).partial_fit(TEXT, Y).partial_fit(X, Y),
    "warm start": lambda X: make_tiny(warm_start=True).fit(TEXT, Y).fit(X, Y),
    "validation_data": lambda X: make_tiny().fit(TEXT, Y, validation_data=(X, Y)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_calls_refuse_categories_of_another_type(call):
    with pytest.raises(TypeError, match="categories of feature 'region' must have the type"):
        call(NUMBERS)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(int),
        lambda X: X.astype(object),
        lambda X: pl.from_pandas(X.astype(int)),
        lambda X: pa.Table.from_pandas(X.astype(int)),
        narwhals.from_native,
    ],
    ids=["numbers", "objects", "polars", "Arrow", "narwhals"],
)
def test_frames_with_categories_of_another_type_are_refused(convert):
    with pytest.raises(TypeError, match=r"'region' .*: text such as '10'\. Got numbers such as 10"):
        CLF.predict(convert(NUMBERS))


def test_arrays_with_categories_of_another_type_are_refused():
    codes = np.arange(70)[:, None]
    clf = make_tiny(categorical_features=[0]).fit(codes, np.arange(70) % 2)
    for X in (codes.astype(str), codes.astype(str).tolist(), codes.astype(str).astype(object)):
        with pytest.raises(TypeError, match=r"feature 0 .*: numbers such as 0\. Got text such"):
            clf.predict(X)
    clf = make_tiny(categorical_features=[0]).fit(codes.astype(str), np.arange(70) % 2)
    with pytest.raises(TypeError, match=r"feature 0 must .*: text such as '0'\. Got numbers such"):
        clf.predict(codes)
