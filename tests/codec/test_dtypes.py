"""Tests of sk_mtl._codec.dtypes: the dtype of each kind of column comes back, others never."""

import datetime as dt
import json

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pytest

from sk_mtl._codec.dtypes import decode_dtype, encode_dtype

NUMPY = [np.dtype(code) for code in ("?", "i1", "u8", ">i4", "f2", "f8", "O", "M8[s]", "m8[ns]")]
PANDAS = [
    *(pd.Int8Dtype(), pd.UInt64Dtype(), pd.Float32Dtype(), pd.BooleanDtype()),
    *(pd.StringDtype("python"), pd.Series(["a"], dtype="str").dtype),
    pd.DatetimeTZDtype("ns", "Europe/Berlin"),
    pd.DatetimeTZDtype("s", "America/Argentina/Ushuaia"),
    pd.DatetimeTZDtype("us", dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
    pd.DatetimeTZDtype("ns", dt.UTC),
    *(pd.IntervalDtype("float64", "left"), pd.IntervalDtype("datetime64[ns, UTC]", "both")),
]
NARWHALS = [
    *(nw.Int64(), nw.UInt8(), nw.Float32(), nw.Boolean(), nw.String(), nw.Categorical()),
    *(nw.Enum(["b", "a"]), nw.Date(), nw.Datetime("us"), nw.Datetime("ns", "Europe/Berlin")),
    *(nw.Duration("ms"), nw.Unknown(), nw.Decimal()),
]


def store(dtype, categories=None):
    """Return a dtype after a way through JSON."""
    return decode_dtype(json.loads(json.dumps(encode_dtype(dtype, "y"))), categories)


@pytest.mark.parametrize("dtype", [*NUMPY, *PANDAS, *NARWHALS], ids=repr)
def test_dtype_comes_back(dtype):
    again = store(dtype)
    assert type(again) is type(dtype)
    assert again == dtype
    assert repr(again) == repr(dtype)


def test_no_dtype_comes_back():
    assert store(None) is None


@pytest.mark.parametrize("name", ["int64", "string", "large_string", "bool_", "date32", "float32"])
def test_dtype_of_arrow_comes_back(name):
    pyarrow = pytest.importorskip("pyarrow")
    dtype = pd.ArrowDtype(getattr(pyarrow, name)())
    assert store(dtype) == dtype


def test_categorical_dtype_comes_back_by_the_categories_beside_it():
    categories = np.array(["b", "a"], dtype=object)
    dtype = pd.CategoricalDtype(categories, ordered=True)
    assert store(dtype, (categories, True)) == dtype


@pytest.mark.parametrize("missing", ["NaN", "NA"])
def test_text_stored_by_arrow_is_stored_by_python_without_arrow(missing, monkeypatch):
    monkeypatch.setattr(nw.dependencies, "get_pyarrow", lambda: None)
    dtype = decode_dtype({"string": ["pyarrow", missing]}, None)
    assert getattr(dtype, "storage", "python") == "python"
    assert pd.Series(["a", None], dtype=dtype).isna().tolist() == [False, True]


def test_other_dtype_of_arrow_needs_arrow(monkeypatch):
    monkeypatch.setattr(nw.dependencies, "get_pyarrow", lambda: None)
    with pytest.raises(ValueError, match="pyarrow, which is not installed here"):
        decode_dtype({"arrow": "int64"}, None)


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype("c8"),
        np.dtype([("a", int)]),
        np.dtype(np.longdouble),
        pd.PeriodDtype("M"),
        pd.SparseDtype(int),
        nw.List(nw.Int64()),
        "int64",
    ],
    ids=repr,
)
def test_other_dtype_is_refused(dtype):
    with pytest.raises(TypeError, match="task 'a' of y has the dtype"):
        encode_dtype(dtype, "task 'a' of y")


def test_time_zone_without_a_name_is_refused():
    dtype = pd.DatetimeTZDtype("ns", dt.timezone(dt.timedelta(hours=1), "a/../b"))
    with pytest.raises(TypeError, match=r"y holds the time zone 'a/\.\./b'"):
        encode_dtype(dtype, "y")


@pytest.mark.parametrize(
    "node",
    [
        {},
        [],
        "int64",
        5,
        {"numpy": "O"},
        {"numpy": "<c8"},
        {"numpy": "<f8,<f8"},
        {"numpy": None},
        {"numpy": "<i4", "pandas": "Int8"},
        {"pandas": "category"},  # without categories
        {"pandas": "period[M]"},
        {"pandas": ["Int8"]},
        {"string": ["numpy", "NA"]},
        {"string": ["python", "0"]},
        {"string": "python"},
        {"datetime": ["D", "UTC"]},
        {"datetime": ["ns", "dateutil//dev/zero"]},
        {"datetime": ["ns", "../../../dev/zero"]},
        {"datetime": ["ns", "/dev/zero"]},
        {"datetime": ["ns", "tzlocal()"]},
        {"datetime": ["ns", None]},
        {"datetime": ["ns", "No/Where"]},
        {"arrow": "list_"},
        {"arrow": "fs"},
        {"arrow": None},
        {"arrow": []},
        {"arrow": ["list_", "int8"]},
        {"arrow": ["timestamp", "D", None]},
        {"arrow": ["timestamp", "ns", "/dev/zero"]},
        {"arrow": ["duration", "Y"]},
        {"arrow": ["time32", "us"]},
        {"arrow": ["decimal128", 39, 0]},
        {"arrow": ["decimal128", "5", 0]},
        {"arrow": ["decimal128", 10**30, 0]},
        {"arrow": ["binary", 2**31 - 1]},
        {"arrow": ["binary", -1]},
        {"arrow": ["dictionary", "string", "string", False]},
        {"arrow": ["dictionary", "int8", ["dictionary", "int8", "string", False], False]},
        {"interval": [{"pandas": "category"}, "left"]},
        {"interval": [{"numpy": "<U1"}, "left"]},
        {"interval": [{"numpy": "<f8"}, "middle"]},
        {"decimal": [10**30, 0]},
        {"decimal": ["5", 0]},
        {"narwhals": "List"},
        {"narwhals": "__class__"},
        {"narwhals": []},
        {"enum": ["a", "a"]},
        {"enum": [1]},
        {"enum": None},
        {"moment": ["ns", "/dev/zero"]},
        {"moment": ["h", None]},
        {"duration": "Y"},
        {"pickle": "gASVAAAA"},
    ],
    ids=json.dumps,
)
def test_node_that_stands_for_no_dtype_is_refused(node):
    with pytest.raises(ValueError):  # noqa: PT011 - the messages differ, the kind must not
        decode_dtype(node, None)
