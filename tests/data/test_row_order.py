"""Tests of sk_mtl._data.row_order: which pandas indexes hold the same labels in another order."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sk_mtl._data.row_order import warn_of_other_order

DAYS = pd.date_range("2020-01-01", periods=4)
NUMBERS = pd.RangeIndex(4)
PAIRS = pd.MultiIndex.from_product([["a", "b"], [1, 2]])


def warnings_of(first, second):
    """Return the messages about two tables with these indexes."""
    tables = {"X": pd.DataFrame({"u": 0}, index=first), "y": pd.Series(0, index=second)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_other_order(tables)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize(
    "index",
    [NUMBERS, pd.Index([7, 3, 9, 1]), pd.Index(list("wxyz")), DAYS, PAIRS, pd.Index([1.5, np.nan])],
    ids=["range", "integers", "text", "dates", "pairs", "a missing one"],
)
def test_same_labels_in_another_order_are_told(index):
    assert warnings_of(index, index[::-1]) == [
        "The pandas indexes of X and y hold the same labels in different orders, and rows are "
        "matched by position, not by index. Bring them into one order (y.loc[X.index]), or reset "
        "the indexes if the rows match as they are."
    ]
    assert warnings_of(index, index.copy()) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (NUMBERS, NUMBERS + 4),
        (NUMBERS, pd.Index([9, 3, 2, 0])),  # rows taken out, and a table made anew
        (NUMBERS, pd.Index(list("wxyz"))),
        (DAYS, DAYS + pd.Timedelta(days=1)),  # the next day's label
        (pd.Index([0, 1, 0, 1]), NUMBERS),
        (pd.Index([0, 0, 1, 1]), pd.Index([1, 1, 1, 0])),
        (PAIRS, NUMBERS),
        (pd.Index([1, 2]), pd.Index(["1", "2"])),
        (pd.Index(["w", "x"], dtype=object), pd.Index(["w", "x"], dtype="string")),
        (NUMBERS, NUMBERS[:3]),
    ],
)
def test_other_labels_say_nothing_about_the_order(first, second):
    assert warnings_of(first, second) == []


def test_labels_that_occur_twice_must_be_in_order_too():
    (message,) = warnings_of(pd.Index([0, 0, 1, 1]), pd.Index([0, 1, 0, 1]))
    assert "Bring them into one order, or reset" in message  # .loc would repeat rows


def test_text_is_compared_across_dtypes():
    index = pd.Index(["w", "x"], dtype=object)
    assert len(warnings_of(index, index[::-1].astype("string"))) == 1


def test_tables_without_an_index_are_passed_over():
    reordered = pd.Series(0, index=[1, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_other_order({"X": np.ones((2, 1)), "y": reordered, "w": None})
    with pytest.warns(UserWarning, match="indexes of X and w hold"):
        warn_of_other_order({"X": pd.DataFrame({"u": [0, 0]}), "y": np.ones(2), "w": reordered})
