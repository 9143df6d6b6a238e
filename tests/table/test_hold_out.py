"""Which rows of a table are held out: by a value, wherever it stands and however it is stored."""

import numpy as np
import pandas as pd
import pytest

from sk_mtl._table.hold_out import HoldOut

NUMBERS = pd.Series(range(-200, 200))


def choose(values):
    return HoldOut(0.3, "key").choose(pd.DataFrame({"key": values}), 0)


@pytest.mark.parametrize("dtype", ["int16", "Int64", "float64", "category"])
def test_number_is_on_the_same_side_in_columns_of_any_type(dtype):
    np.testing.assert_array_equal(choose(NUMBERS.astype(dtype)), choose(NUMBERS))


@pytest.mark.parametrize("dtype", ["category", "string"])
def test_text_is_on_the_same_side_in_columns_of_any_type(dtype):
    text = NUMBERS.astype(str)
    np.testing.assert_array_equal(choose(text.astype(dtype)), choose(text.astype(object)))


def test_batches_choose_as_the_whole_does():
    by_batch = [choose(NUMBERS[start : start + 90]) for start in range(0, 400, 90)]
    np.testing.assert_array_equal(np.concatenate(by_batch), choose(NUMBERS))


def test_share_of_values_is_about_the_fraction():
    assert 0.25 < choose(pd.Series(range(5000))).mean() < 0.35


def test_missing_values_are_refused_with_their_count():
    with pytest.raises(ValueError, match="1 of 3 are missing"):
        choose(pd.Series([1.0, np.nan, 2.0]))
