"""Tests of sk_mtl._codec.values: every value comes back with its type and bits, others never."""

import collections
import datetime as dt
import enum
import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from sk_mtl import PerTask
from sk_mtl._codec.values import decode_value, encode_value


def store(value):
    """Return a value after a way through JSON."""
    arrays = {}
    node = json.loads(json.dumps(encode_value(value, "v", arrays), allow_nan=False))
    arrays = {name: array.copy() for name, array in arrays.items()}
    again = decode_value(node, arrays)
    assert not arrays
    return again


def assert_identical(value, other):
    """Assert equality in type, content and order, NaN being equal to NaN."""
    assert type(value) is type(other)
    if isinstance(value, np.ndarray):
        assert (value.dtype, value.shape) == (other.dtype, other.shape)
        if value.dtype == object:
            assert_identical(value.tolist(), other.tolist())
        else:
            assert value.tobytes() == other.tobytes()
    elif isinstance(value, dict):
        assert_identical(list(value.items()), list(other.items()))
    elif isinstance(value, (list, tuple)):
        assert len(value) == len(other)
        for item, other_item in zip(value, other, strict=True):
            assert_identical(item, other_item)
        if isinstance(value, PerTask):
            assert_identical(value.task_names, other.task_names)
    elif isinstance(value, np.generic):
        assert (value.dtype, value.tobytes()) == (other.dtype, other.tobytes())
    else:
        assert repr(value) == repr(other)
        assert pd.isna(value) or value == other


VALUES = [
    {7, 9},
    {"a"},
    set(),
    *(None, True, 0, -1, 2**70, 0.1, -0.0, 5e-324, math.inf, -math.inf, math.nan),
    *("", "a", "Ünï 𝄞 \0 \ud800", b"", b"\x00\xff"),
    *([], (), {}, [1], (1,), [0.5, 1.5], [0.5, 1], [math.nan], ([],), [[0.1], [0.2]]),
    {"a": {1: None}, (1, "b"): [2.0], None: (), 1.5: "x", True: "y"},
    PerTask([np.array([1, 2]), "b"], ["t", ("u", 1)]),
    *(pd.NA, pd.NaT, pd.Timestamp("2020-01-01 12:00"), pd.Timestamp("2020", tz="Europe/Berlin")),
    *(pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020-07-01", tz="+05:30")),
    *(pd.Timestamp(5, unit="s"), pd.Timedelta("1 day 3 ns"), pd.Timedelta(5, unit="s")),
    *(dt.date(2020, 2, 29), dt.datetime(2020, 1, 1, 12, 30, 0, 7), dt.time(1, 2, 3, 4)),
    *(dt.timedelta(-1, 2, 3), Decimal("1.50"), Decimal("-0"), Decimal("1E+2")),
    *(pd.Interval(0, 1), pd.Interval(0.5, math.inf, closed="both")),
    pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021"), closed="left"),
    *(np.int8(-3), np.uint64(2**63), np.float16(0.5), np.float32("nan"), np.float64(-0.0)),
    *(np.bool_(True), np.str_("äb"), np.bytes_(b"ab"), np.datetime64("2020-01", "M")),
    np.timedelta64(3, "us"),
    *(np.array(1), np.array([]), np.zeros((2, 0)), np.arange(6).reshape(2, 3).T),
    *(np.array([1, 2], dtype=">i4"), np.array([True, False]), np.array(["a", "ää\0b"])),
    *(np.array([b"a", b"bc"]), np.array("one"), np.array(["2020", "NaT"], dtype="M8[10s]")),
    *(np.array([1], dtype="m8[ns]"), np.array([0.1, math.nan], dtype="f2")),
    np.array(["a", None, pd.NA, 1, (1, 2), dt.date(2020, 1, 1)], dtype=object),
    np.array([["a", "bcd"], ["", "e"]]),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_value_comes_back(value):
    assert_identical(value, store(value))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.text(), st.booleans()), inner)
    ),
    max_leaves=10,
)


@settings(max_examples=settings.default.max_examples * 2 // 5)
@given(plain)
def test_any_nest_of_plain_values_comes_back(value):
    assert_identical(value, store(value))


@given(
    st_numpy.arrays(
        st_numpy.scalar_dtypes().filter(lambda dtype: dtype.kind != "c" and dtype.itemsize <= 8)
        | st_numpy.unicode_string_dtypes(max_len=5)
        | st_numpy.byte_string_dtypes(max_len=5),
        st_numpy.array_shapes(min_dims=0, min_side=1, max_side=3),
    )
)
def test_any_array_comes_back(array):
    assert_identical(array, store(array))


def test_arrays_are_named_by_where_they_stand():
    arrays = {}
    encode_value({"a": [np.zeros(2)], "b": {"c": np.ones(3)}}, "p", arrays)
    assert list(arrays) == ["p/a/0", "p/b/c"]


def test_arrays_whose_names_would_be_one_are_told_apart():
    value = {"1": np.zeros(1), 1: np.ones(2), "1#2": np.ones(3)}
    arrays = {}
    encode_value(value, "p", arrays)
    assert len(arrays) == 3
    assert_identical(value, store(value))


class Text(str):
    pass


class Colour(enum.IntEnum):
    red = 1


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Text("a"), "Text"),
        (Colour.red, "Colour"),
        (collections.OrderedDict(a=1), "collections.OrderedDict"),
        (frozenset({1, 2}), "builtins.frozenset"),
        # The text of an object has its address, which differs between processes.
        pytest.param(object(), "builtins.object", id="object"),
        (print, "builtins.builtin_function_or_method"),
        (int, "builtins.type"),
        (1j, "builtins.complex"),
        (range(3), "builtins.range"),
        (pd.Series([1]), "Series"),
        (pd.Period("2020"), "Period"),
        (np.ma.array([1]), "MaskedArray"),
        (np.random.RandomState(0), "RandomState"),
        (np.complex64(1), "dtype complex64"),
        (np.array([1j]), "dtype complex128"),
        (np.zeros(1, dtype=[("a", int)]), "dtype"),
        (np.empty((1, 1), dtype=object), "dtype object"),
        (np.array([1], dtype=np.longdouble), "dtype"),
        (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "use pandas.Timestamp"),
        (dt.time(1, tzinfo=dt.UTC), "time with a time zone"),
        (Decimal("1E+999999"), "decimal number 1E"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_other_value_is_refused_by_its_place_and_kind(value, kind):
    with pytest.raises(TypeError, match=rf"v/a/0 holds .*{kind}"):
        encode_value({"a": [value]}, "v", {})


NOTHING = [
    {},
    {"a": 1},
    {"tuple": [], "list": []},
    {"tuple": 5},
    {"tuple": {"tuple": []}},
    {"float": "1"},
    {"float": None},
    {"floats": "absent"},
    {"floats": "i4"},
    {"floats": ["f8"]},
    {"dict": [[1]]},
    {"dict": [[1, 2, 3]]},
    {"dict": [[[], 1]]},
    {"dict": [[1, 2], [1, 3]]},
    {"dict": {"a": 1}},
    {"per_task": 1},
    {"bytes": "xy"},
    {"bytes": 1},
    {"missing": "None"},
    {"missing": []},
    {"array": ["absent", "<i4", [2]]},
    {"array": ["i4", "<i4", [3]]},
    {"array": ["i4", "<i4", None]},
    {"array": ["i4", "<f4", [2]]},
    {"array": ["i4", "O", [2]]},
    {"array": ["i4", "|O", [2]]},
    {"array": ["i4", "V4", [2]]},
    {"array": ["i4", "<i4,<i4", [1]]},
    {"array": ["i4", "int32", [2]]},
    {"array": ["i4", None, [2]]},
    {"array": ["i4"]},
    {"array": ["u1", "<U1", [2]]},
    {"array": ["u1", "<U0", [2]]},
    {"array": ["u1", "<U999999999", [2]]},
    {"array": ["u1", "<M8", [1]]},
    {"array": ["u1", "|b1", [4]]},
    {"objects": "abc"},
    {"objects": [{}]},
    {"scalar": ["<i4", "00"]},
    {"scalar": ["|b1", "02"]},
    {"scalar": ["<U1", "ffffffff"]},
    {"scalar": ["|O", "00000000"]},
    {"scalar": "<i4"},
    {"timestamp": ["<M8[ns]", 0, "dateutil//dev/zero"]},
    {"timestamp": ["<M8[ns]", 0, "../../etc/passwd"]},
    {"timestamp": ["<M8[ns]", 0, "/etc/localtime"]},
    {"timestamp": ["<M8[ns]", 0, "Nowhere/Nothing"]},
    {"timestamp": ["<M8[ns]", 0, 1]},
    {"timestamp": ["<M8[ns]", 2**70, None]},
    {"timestamp": ["<M8[ns]", 1.5, None]},
    {"timestamp": ["<i8", 0, None]},
    {"timestamp": ["<M8[Y]", 10**9, None]},
    {"timedelta": ["<M8[ns]", 0]},
    {"timedelta": ["<m8[ns]"]},
    {"datetime": "yesterday"},
    {"datetime": 5},
    {"date": "2020-02-30"},
    {"time": "25:00"},
    {"time": 1},
    {"delta": [1, 2]},
    {"delta": [1.5, 0, 0]},
    {"delta": [10**10, 0, 0]},
    {"decimal": "1E+999999999"},
    {"decimal": "NaN"},
    {"decimal": 1},
    {"interval": [0, 1]},
    {"interval": [1, 0, "left"]},
    {"interval": [0, 1, "up"]},
    {"interval": ["a", "b", "left"]},
]


@pytest.mark.parametrize("node", NOTHING, ids=lambda node: json.dumps(node)[:60])
@pytest.mark.parametrize("wrap", [lambda n: n, lambda n: [n], lambda n: {"tuple": [n]}])
def test_node_that_stands_for_no_value_is_refused(node, wrap):
    arrays = {
        "i4": np.arange(2, dtype=np.int32),
        "f8": np.zeros((1, 1)),
        "u1": np.full((2, 4), 0xFF, dtype=np.uint8),
    }
    with pytest.raises(ValueError):  # noqa: PT011 - the messages differ, the kind must not
        decode_value(wrap(node), arrays)


def test_array_is_used_once():
    arrays = {"a": np.zeros(1)}
    node = {"array": ["a", "<f8", [1]]}
    with pytest.raises(ValueError, match="invalid array: 'a'"):
        decode_value([node, node], arrays)
