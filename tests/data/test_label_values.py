"""Labels of several dtypes: which are equal, and that none is rounded or read in the wrong order.

All expected values are Python's: its integers, decimals and fractions compare exactly.
"""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sk_mtl._data.classes import index_labels
from sk_mtl._data.label_values import as_comparable, concatenate_labels, factorize_labels
from sk_mtl._data.labels import read_labels
from sk_mtl._data.schema import TargetSchema

BIG = 2**60  # float64 has one value for 2**60 - 32 to 2**60 + 128


def learn(y, **how):
    """Return the table of y, and its schema."""
    table = read_labels(y, **how)
    return table, TargetSchema.from_table(table)


def decode(y, **how):
    """Return y encoded and decoded."""
    table, schema = learn(y, **how)
    return schema.decode(schema.encode(table).codes, table.label_mask.any(axis=0))


# -- Values ------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(BIG - 2, BIG + 2),
    st.integers(2**63 - 2, 2**63 + 2),
    st.integers(-(2**63), -(2**63) + 2),
)


def as_array(values, kind):
    """Return integers as an array of a kind if it holds them exactly, else as objects."""
    dtype = np.dtype(kind)
    if dtype.kind in "iu":
        is_exact = all(np.iinfo(dtype).min <= v <= np.iinfo(dtype).max for v in values)
    else:
        is_exact = all(int(dtype.type(v)) == v for v in values)
    return np.array(values, dtype=dtype if is_exact else object)


KINDS = st.sampled_from(["int64", "uint64", "float64", "float32", "int8", ">i8", ">u8", "object"])


@given(st.lists(NUMBERS, max_size=8), st.lists(NUMBERS, min_size=1, max_size=8), KINDS, KINDS)
def test_labels_are_found_among_the_classes_as_python_finds_them(labels, classes, one, other):
    classes = sorted(set(classes))
    found = index_labels(as_array(labels, one), as_array(classes, other))
    assert found.tolist() == [classes.index(x) if x in classes else -1 for x in labels]


@given(st.lists(st.tuples(st.lists(NUMBERS, max_size=5), KINDS), min_size=1, max_size=4))
def test_labels_of_several_arrays_are_the_same_label_if_python_says_so(parts):
    every = [x for values, _ in parts for x in values]
    if not every:
        return
    codes, labels = factorize_labels([as_array(values, kind) for values, kind in parts])
    assert [int(x) for x in labels.tolist()] == sorted(set(every))
    assert [int(labels[c]) for c in codes] == every


@given(st.lists(st.tuples(st.lists(NUMBERS, min_size=1, max_size=5), KINDS), min_size=1))
def test_joined_labels_keep_their_values(parts):
    joined = concatenate_labels([as_array(values, kind) for values, kind in parts])
    assert [int(x) for x in joined.tolist()] == [x for values, _ in parts for x in values]


def test_integers_and_floats_that_hold_fractions_stay_numbers():
    one, other = as_comparable([np.array([1, 2]), np.array([0.5, 2.0])])
    assert one.dtype == other.dtype == np.float64


def test_a_boolean_and_a_float_are_the_number_that_they_equal():
    classes = np.array([0, 1])
    for labels in (np.array([True, False]), np.array([1.0, 0.0]), np.array([True, 0.0], object)):
        assert index_labels(labels, classes).tolist() == [1, 0]


def test_times_are_found_in_any_resolution_and_in_objects():
    moments = [dt.datetime(2020, 1, 1), dt.datetime(2021, 1, 1)]
    classes = np.array(moments, dtype="M8[ns]")
    for kind in ("M8[s]", "M8[us]", ">M8[ns]"):
        assert index_labels(np.array(moments, dtype=kind), classes).tolist() == [0, 1]
    objects = np.array([pd.Timestamp(m) for m in moments], dtype=object)
    assert index_labels(objects, classes).tolist() == [0, 1]
    assert factorize_labels([objects, classes])[0].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["2020-01-01", "2021-01-01"], dtype="M8[ns]"),
        np.array(["2020-01-01", "2021-01-01"], dtype="M8[s]"),
        np.array([1, 2], dtype="m8[ns]"),
    ],
)
def test_times_are_named_as_times_beside_the_probabilities(labels):
    index = learn(pd.DataFrame({"a": labels}))[1].class_index()
    assert index.get_level_values("class").tolist() == pd.Index(labels).tolist()


def test_dates_of_polars_are_dates_beside_the_probabilities():
    days = [dt.date(2020, 1, 1), dt.date(2020, 1, 2)]
    schema = learn(pl.DataFrame({"a": days}))[1]
    assert schema.class_index().tolist() == [("a", day) for day in days]
    assert factorize_labels([np.array(days, dtype=object), schema.classes[0]])[0].tolist() == [
        *(0, 1, 0, 1)
    ]


# -- Reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        ([2**63 + 5, 1, None], np.uint64),
        ([2**63 + 5, -1], object),
        ([np.uint64(BIG + 1), np.int64(-5)], np.int64),
        ([np.uint64(2**63 + 5), np.int64(-5), None], object),
        ([2**70, 2**70 + 1], object),
    ],
)
def test_integers_of_a_list_keep_their_values(labels, dtype):
    table, schema = learn(labels)
    assert schema.classes[0].dtype == dtype
    assert schema.classes[0].tolist() == sorted(int(x) for x in labels if x is not None)
    assert table.label_mask[:, 0].tolist() == [x is not None for x in labels]


def test_a_list_of_rows_keeps_each_columns_integers():
    rows = [[2**63 + 5, -1], [2**63 + 6, -2]]
    assert decode(rows).tolist() == rows


def test_predicted_integers_are_not_rounded_beside_a_task_without_labels():
    y = np.array([[BIG + 1, -1], [BIG + 2, -1]])
    assert decode(y, missing_label=-1)[:, 0].tolist() == [BIG + 1, BIG + 2]


def test_a_sentinel_does_not_hide_the_label_beside_it():
    y = np.array([BIG, BIG + 1, BIG + 1])
    assert read_labels(y, missing_label=float(BIG)).label_mask[:, 0].tolist() == [False, True, True]


@pytest.mark.parametrize("hole", [False, True])
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([Decimal("1.00"), Decimal(0)], [0, 1]),
        ([Decimal(BIG + 1), Decimal(BIG + 2)], [BIG + 1, BIG + 2]),
        ([1, 0.0], [0, 1]),
        ([BIG + 1, 1.0], [1, BIG + 1]),
    ],
)
def test_decimals_and_mixed_numbers_are_integers_with_and_without_holes(labels, classes, hole):
    classes_found = learn(labels + [None] * hole)[1].classes[0]
    assert classes_found.dtype == np.int64
    assert classes_found.tolist() == classes


def test_a_decimal_column_of_polars_comes_back_alike_with_and_without_holes():
    forms = []
    for labels in ([Decimal(1), Decimal(0)], [Decimal(1), None]):
        y = pl.DataFrame({"a": pl.Series(labels, dtype=pl.Decimal(10, 2))})
        assert learn(y)[1].classes[0].dtype == np.int64
        forms.append(decode(y).schema)
    assert forms[0] == forms[1]


def test_a_decimal_with_a_fraction_that_float64_lacks_is_a_label_of_its_own():
    labels = [Decimal("9007199254740993.5"), Decimal(0)]
    assert learn(labels)[1].classes[0].tolist() == [Decimal(0), labels[0]]


def test_fractions_are_labels_as_they_are():
    assert learn([Fraction(2, 3), None, Fraction(1, 3)])[1].classes[0].tolist() == [
        Fraction(1, 3),
        Fraction(2, 3),
    ]


@pytest.mark.parametrize("dtype", ["Int128", "UInt128"])
def test_integers_of_128_bits_are_read_from_polars(dtype):
    if not hasattr(pl, dtype):
        pytest.skip("this version of polars has no such dtype")
    y = pl.DataFrame({"a": pl.Series([2**70, None, 1], dtype=getattr(pl, dtype))})
    assert learn(y)[1].classes[0].tolist() == [1, 2**70]
    assert decode(y)["a"].to_list()[::2] == [2**70, 1]


@pytest.mark.parametrize("dtype", ["double[pyarrow]", "float[pyarrow]", "Float64", "float64"])
def test_floats_with_holes_come_back_as_integers_from_any_column(dtype):
    y = pd.DataFrame({"a": pd.Series([1, 0, None], dtype=dtype)})
    assert decode(y)["a"].dtype == np.int64


# -- Byte order --------------------------------------------------------------------------------

OTHER_ORDER = np.dtype("i4").newbyteorder("S").str[0]


@pytest.mark.parametrize("form", ["array", "table", "frame", "series"])
@pytest.mark.parametrize(
    ("kind", "hole"),
    [
        *((kind, None) for kind in ("i2", "i4", "u8", "f4", "f8", "U3", "M8[s]", "m8[s]")),
        *((kind, np.nan) for kind in ("f4", "f8")),
        *((kind, "NaT") for kind in ("M8[s]", "m8[s]")),
    ],
)
def test_labels_in_the_other_byte_order_are_read(kind, hole, form):
    native = np.array([1, 0, 1, 0]).astype(kind)
    if hole is not None:
        native[3] = hole
    make = {
        "array": lambda values: values,
        "table": lambda values: values[:, np.newaxis].repeat(2, axis=1),
        "frame": lambda values: pd.DataFrame({"a": values}),
        "series": pd.Series,
    }[form]
    y, twin = (make(values) for values in (native.astype(OTHER_ORDER + kind), native))
    wanted = learn(twin)[0]
    table, schema = learn(y)
    np.testing.assert_array_equal(table.label_mask, wanted.label_mask)
    for one, other, mask in zip(table.columns, wanted.columns, table.label_mask.T, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one[mask], other[mask])
    np.testing.assert_array_equal(np.asarray(decode(y)), np.asarray(decode(twin)))
    assert len(schema.classes[0]) == 2


def test_records_of_the_other_byte_order_are_read_as_a_frame():
    # As binary tables such as those of FITS arrive.
    records = np.zeros(3, dtype=[("a", OTHER_ORDER + "i4"), ("b", OTHER_ORDER + "f8")])
    records["a"], records["b"] = [1, 0, 1], [1, np.nan, 0]
    table, schema = learn(pd.DataFrame(records))
    assert [c.tolist() for c in schema.classes] == [[0, 1], [0, 1]]
    assert table.label_mask.tolist() == [[True, True], [True, False], [True, True]]


def test_masked_times_stay_times():
    y = np.ma.masked_array(np.array([1, 0, 1], dtype="M8[ns]"), [False, False, True])
    assert learn(y)[1].classes[0].dtype == np.dtype("M8[ns]")


def test_listed_classes_may_be_in_the_other_byte_order():
    listed = np.array([256, 1, BIG + 1], dtype=OTHER_ORDER + "i8")
    schema = TargetSchema.from_table(read_labels([1, 256]), listed)
    assert schema.classes[0].tolist() == [1, 256, BIG + 1]
