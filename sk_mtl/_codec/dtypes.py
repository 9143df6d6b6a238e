"""Dtypes of y's columns as JSON, from which predictions take the form of y.

Owns which dtypes of pandas and other DataFrame libraries can be stored. Each is one of a fixed
list; no library parses untrusted text, except NumPy for its plain dtypes.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from sk_mtl._codec.values import decode_time_zone, encode_time_zone, plain_dtype
from sk_mtl._quoting import quote

__all__ = ["decode_dtype", "encode_dtype"]

_MASKED = {
    str(dtype): dtype
    for dtype in (
        *(pd.Int8Dtype(), pd.Int16Dtype(), pd.Int32Dtype(), pd.Int64Dtype()),
        *(pd.UInt8Dtype(), pd.UInt16Dtype(), pd.UInt32Dtype(), pd.UInt64Dtype()),
        *(pd.Float32Dtype(), pd.Float64Dtype(), pd.BooleanDtype()),
    )
}
_ARROW = (
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "bool_", "string", "large_string", "date32", "date64"),
    *("binary", "large_binary", "null"),
)
# A missing value takes as many bytes, whatever a file holds.
_MAX_FIXED_BYTES = 4096
_NARWHALS = {
    dtype.__name__: dtype
    for dtype in (
        *(nw.Int8, nw.Int16, nw.Int32, nw.Int64, nw.Int128),
        *(nw.UInt8, nw.UInt16, nw.UInt32, nw.UInt64, nw.UInt128),
        *(nw.Float32, nw.Float64, nw.Boolean, nw.String, nw.Binary, nw.Categorical),
        *(nw.Date, nw.Time, nw.Object, nw.Unknown),
    )
}
_UNITS = ("s", "ms", "us", "ns")


def encode_dtype(dtype: Any, name: str) -> Any:
    """Encode a dtype of NumPy, pandas or narwhals, or None, as JSON; `name` is for the error."""
    node = None if dtype is None else _encode(dtype, name)
    if dtype is not None and node is None:
        raise TypeError(f"{name} has the dtype {quote(dtype)}")
    return node


def _encode(dtype: Any, name: str) -> Any:
    if isinstance(dtype, np.dtype):
        # `plain_dtype` allows more, but labels have no other dtype than these and objects.
        return {"numpy": dtype.str} if dtype.kind in "biufMmO" and dtype.itemsize <= 8 else None
    if isinstance(dtype, pd.CategoricalDtype):
        return {"pandas": "category"}  # its categories are stored separately
    if isinstance(dtype, pd.StringDtype):
        is_nan = dtype.na_value is not pd.NA
        storage = "pyarrow" if dtype.storage == "pyarrow_numpy" else dtype.storage
        return {"string": [storage, "NaN" if is_nan else "NA"]}
    if isinstance(dtype, pd.DatetimeTZDtype):
        return {"datetime": [dtype.unit, encode_time_zone(dtype.tz, name)]}
    if isinstance(dtype, pd.ArrowDtype):
        node = _encode_arrow(dtype.pyarrow_dtype, name)
        return None if node is None else {"arrow": node}
    if isinstance(dtype, pd.IntervalDtype):
        bounds = _encode(dtype.subtype, name)
        return None if bounds is None else {"interval": [bounds, dtype.closed]}
    if isinstance(dtype, pd.api.extensions.ExtensionDtype):
        return {"pandas": str(dtype)} if _MASKED.get(str(dtype)) == dtype else None
    if isinstance(dtype, nw.Enum):
        return {"enum": list(dtype.categories)}
    if isinstance(dtype, nw.Datetime):
        return {"moment": [dtype.time_unit, dtype.time_zone and str(dtype.time_zone)]}
    if isinstance(dtype, nw.Duration):
        return {"duration": dtype.time_unit}
    if isinstance(dtype, nw.Decimal):
        # Older versions of narwhals know neither precision nor scale.
        return {"decimal": [getattr(dtype, "precision", None), getattr(dtype, "scale", 0)]}
    kind = type(dtype).__name__
    return {"narwhals": kind} if type(dtype) is _NARWHALS.get(kind) else None


def _encode_arrow(kind: Any, name: str) -> Any:
    """Return an Arrow type by its name, or as a list of its name and what it is made of."""
    names = [n for n, t in _arrow_types().items() if t == kind]
    if names:
        return names[0]
    types = nw.dependencies.get_pyarrow().types
    if types.is_timestamp(kind):
        return ["timestamp", kind.unit, kind.tz and encode_time_zone(kind.tz, name)]
    if types.is_duration(kind):
        return ["duration", kind.unit]
    if types.is_time(kind):
        return [f"time{kind.bit_width}", kind.unit]
    if types.is_decimal(kind) and kind.bit_width in (128, 256):
        return [f"decimal{kind.bit_width}", kind.precision, kind.scale]
    if types.is_fixed_size_binary(kind) and kind.byte_width <= _MAX_FIXED_BYTES:
        return ["binary", kind.byte_width]
    if types.is_dictionary(kind) and not types.is_dictionary(kind.value_type):
        parts = [_encode_arrow(part, name) for part in (kind.index_type, kind.value_type)]
        return None if None in parts else ["dictionary", *parts, kind.ordered]
    return None


def decode_dtype(node: Any, categories: tuple[np.ndarray, bool] | None) -> Any:
    """Decode an untrusted node; `categories` are (values, ordered) of a categorical column."""
    if node is None:
        return None
    try:
        ((kind, value),) = node.items()
        return _DECODERS[kind](value, categories)
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"{str(node)[:200]} is not the dtype of a column") from error


def _decode_numpy(text: Any, categories: Any) -> np.dtype:
    return np.dtype(object) if text == "|O" else plain_dtype(text)


def _decode_pandas(name: Any, categories: Any) -> Any:
    if name != "category":
        return _MASKED[name]
    return pd.CategoricalDtype(categories[0], ordered=categories[1])


def _decode_string(value: Any, categories: Any) -> Any:
    storage, missing = value
    if storage not in ("python", "pyarrow") or missing not in ("NaN", "NA"):
        raise TypeError(value)
    if storage == "pyarrow" and not _arrow_types():
        storage = "python"  # as pandas itself does without pyarrow
    if missing == "NA":
        return pd.StringDtype(storage)
    try:
        return pd.StringDtype(storage, na_value=np.nan)
    except TypeError:  # before pandas 2.3
        return np.dtype(object)


def _decode_datetime(value: Any, categories: Any) -> pd.DatetimeTZDtype:
    unit, zone = value
    return pd.DatetimeTZDtype(_unit(unit), decode_time_zone(zone))


def _decode_arrow(node: Any, categories: Any) -> Any:
    if not _arrow_types():
        raise ValueError("y had a dtype of pyarrow, which is not installed here. Install it.")
    return pd.ArrowDtype(_decode_arrow_type(node))


def _decode_arrow_type(node: Any) -> Any:
    if not isinstance(node, list):
        return _arrow_types()[node]
    pyarrow, (kind, *parts) = nw.dependencies.get_pyarrow(), node
    if kind == "timestamp":
        unit, zone = parts
        return pyarrow.timestamp(_unit(unit), None if zone is None else decode_time_zone(zone))
    if kind in ("duration", "time32", "time64"):
        (unit,) = parts
        return getattr(pyarrow, kind)(_unit(unit))
    if kind in ("decimal128", "decimal256"):
        precision, scale = map(_small_integer, parts)
        return getattr(pyarrow, kind)(precision, scale)
    if kind == "binary":
        (n_bytes,) = map(_small_integer, parts)
        return pyarrow.binary(n_bytes)
    if kind != "dictionary":
        raise TypeError(kind)
    index, values, is_ordered = parts
    if isinstance(values, list) and values[0] == "dictionary":
        raise TypeError(values)
    index, values = (_decode_arrow_type(part) for part in (index, values))
    return pyarrow.dictionary(index, values, ordered=is_ordered is True)


def _small_integer(number: Any) -> int:
    if type(number) is not int or not 0 <= number <= _MAX_FIXED_BYTES:
        raise TypeError(number)
    return number


def _decode_interval(value: Any, categories: Any) -> pd.IntervalDtype:
    node, closed = value
    ((kind, bounds),) = node.items()
    if kind not in ("numpy", "datetime"):
        raise TypeError(kind)
    return pd.IntervalDtype(_DECODERS[kind](bounds, None), closed)


def _decode_moment(value: Any, categories: Any) -> Any:
    unit, zone = value
    return nw.Datetime(_unit(unit), None if zone is None else decode_time_zone(zone))


def _decode_decimal(value: Any, categories: Any) -> Any:
    precision, scale = value
    if precision is None:
        return nw.Decimal()
    digits = _small_integer(precision), _small_integer(scale)
    # Older versions of narwhals have one Decimal for all.
    return nw.Decimal(*digits) if hasattr(nw.Decimal(), "precision") else nw.Decimal()


def _decode_enum(names: Any, categories: Any) -> Any:
    if not all(type(name) is str for name in names) or len(set(names)) != len(names):
        raise TypeError(names)
    return nw.Enum(names)


def _unit(unit: Any) -> Any:
    if unit not in _UNITS:
        raise TypeError(unit)
    return unit


def _arrow_types() -> dict[str, Any]:
    """Return Arrow's types by name; none without pyarrow."""
    pyarrow = nw.dependencies.get_pyarrow()  # pandas has imported it, if it is installed
    return {} if pyarrow is None else {name: getattr(pyarrow, name)() for name in _ARROW}


_DECODERS: dict[str, Any] = {
    "numpy": _decode_numpy,
    "pandas": _decode_pandas,
    "string": _decode_string,
    "datetime": _decode_datetime,
    "arrow": _decode_arrow,
    "interval": _decode_interval,
    "narwhals": lambda name, categories: _NARWHALS[name](),
    "enum": _decode_enum,
    "moment": _decode_moment,
    "decimal": _decode_decimal,
    "duration": lambda unit, categories: nw.Duration(_unit(unit)),
}
