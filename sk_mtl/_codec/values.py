"""Values as JSON and arrays: parameters, labels and task names, stored without pickle.

Owns which Python, NumPy and pandas values can be stored, and their encoding, which keeps the type
and every bit. A value is built from a fixed list of types; no type is looked up by an untrusted
name. Does not know files nor the estimator.

JSON's null, booleans, numbers, strings and lists stand for themselves; an object has one key, the
kind of its value.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._quoting import quote, shorten
from sk_mtl._tasks import PerTask

__all__ = [
    "AnyObjects",
    "decode_time_zone",
    "decode_value",
    "encode_time_zone",
    "encode_value",
    "plain_dtype",
    "require",
    "what_is_held",
]

_UNITS = "Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as"
_PLAIN_DTYPE = re.compile(rf"[<>|](b1|[iu][1248]|f[248]|[SU][1-9]\d{{0,8}}|[Mm]8\[\d*({_UNITS})\])")
_TIME_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*)*|UTC[+-]\d\d:\d\d")
# No exponent that arithmetic with integers would take forever for.
_DECIMAL = re.compile(r"-?[0-9]{1,80}(\.[0-9]{1,80})?(E[+-][0-9]{1,2})?")
_LARGEST_CODE_POINT = 0x10FFFF


class AnyObjects(dict[str, Any]):
    """Arrays put aside that pickle will write: objects of any other type may stand among them."""


def require(condition: Any, otherwise: str) -> None:
    """Raise a ValueError unless a condition holds."""
    if not condition:
        raise ValueError(otherwise)


def what_is_held(error: TypeError) -> str:
    """Return what cannot be encoded, from the error of `encode_value`, without the place."""
    return str(error).partition(" holds ")[2]


# ------------------------------------------------------------------------------------------------
# Encoding
# ------------------------------------------------------------------------------------------------


def encode_value(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Encode a value as JSON and move its arrays to `arrays`; TypeError for unsupported types."""
    if value is None or type(value) in (bool, int, str):
        return value
    encode = _ENCODERS.get(type(value))
    if isinstance(value, np.generic):
        encode = _encode_scalar
    try:
        if encode is None:
            kind = type(value)
            raise TypeError(f"{name} holds an object of {kind.__module__}.{kind.__qualname__}")
        return encode(value, name, arrays)
    except TypeError:
        if not isinstance(arrays, AnyObjects):
            raise
        return {"object": _put_aside(value, name, arrays)}


def _encode_float(value: float, name: str, arrays: dict[str, np.ndarray]) -> Any:
    return value if math.isfinite(value) else {"float": repr(value)}


def _encode_list(value: list[Any], name: str, arrays: dict[str, np.ndarray]) -> Any:
    if value and all(type(item) is float for item in value):
        return {"floats": _put_aside(np.array(value, dtype="<f8"), name, arrays)}
    return _encode_items(value, name, arrays)


def _encode_items(items: Any, name: str, arrays: dict[str, np.ndarray]) -> list[Any]:
    return [encode_value(item, f"{name}/{i}", arrays) for i, item in enumerate(items)]


def _encode_pairs(pairs: Any, name: str, arrays: dict[str, np.ndarray]) -> list[Any]:
    return [
        [encode_value(key, f"{name}/key", arrays), encode_value(item, f"{name}/{key}", arrays)]
        for key, item in pairs
    ]


def _encode_array(value: np.ndarray, name: str, arrays: dict[str, np.ndarray]) -> Any:
    if value.dtype == object and value.ndim == 1:
        return {"objects": _encode_items(value.tolist(), name, arrays)}
    if not _PLAIN_DTYPE.fullmatch(value.dtype.str):
        raise TypeError(f"{name} holds an array of dtype {value.dtype}")
    stored = value
    if value.dtype.kind in "SUMm" or value.dtype.str[0] == ">":
        stored = np.ascontiguousarray(value).reshape(value.shape or 1)[..., None].view(np.uint8)
    key = _put_aside(stored, name, arrays)
    return {"array": [key, value.dtype.str, list(value.shape)]}


def _put_aside(array: Any, name: str, arrays: dict[str, np.ndarray]) -> str:
    """Store an array under a name, or the next free one, and return that."""
    key, number = name, 1
    while key in arrays:
        number += 1
        key = f"{name}#{number}"
    arrays[key] = array
    return key


def _encode_scalar(value: np.generic, name: str, arrays: dict[str, np.ndarray]) -> Any:
    if not _PLAIN_DTYPE.fullmatch(value.dtype.str):
        raise TypeError(f"{name} holds a scalar of dtype {value.dtype}")
    return {"scalar": [value.dtype.str, value.tobytes().hex()]}


def _encode_timestamp(value: pd.Timestamp, name: str, arrays: dict[str, np.ndarray]) -> Any:
    zone = None if value.tz is None else encode_time_zone(value.tz, name)
    moment = value.to_datetime64()
    node = {"timestamp": [moment.dtype.str, moment.astype(np.int64).item(), zone]}
    if not _same(_decode_timestamp(node["timestamp"], {}), value):
        raise TypeError(f"{name} holds a moment in a time zone that has no plain name")
    return node


def _encode_timedelta(value: pd.Timedelta, name: str, arrays: dict[str, np.ndarray]) -> Any:
    duration = value.to_timedelta64()
    return {"timedelta": [duration.dtype.str, duration.astype(np.int64).item()]}


def _encode_datetime(value: dt.datetime, name: str, arrays: dict[str, np.ndarray]) -> Any:
    if value.tzinfo is not None:
        raise TypeError(f"{name} holds a datetime.datetime with a time zone; use pandas.Timestamp")
    return {"datetime": value.isoformat()}


def _encode_time(value: dt.time, name: str, arrays: dict[str, np.ndarray]) -> Any:
    if value.tzinfo is not None:
        raise TypeError(f"{name} holds a datetime.time with a time zone")
    return {"time": value.isoformat()}


def _encode_decimal(value: decimal.Decimal, name: str, arrays: dict[str, np.ndarray]) -> Any:
    if not _DECIMAL.fullmatch(str(value)):
        raise TypeError(f"{name} holds the decimal number {shorten(str(value))}")
    return {"decimal": str(value)}


def _encode_interval(value: pd.Interval, name: str, arrays: dict[str, np.ndarray]) -> Any:
    return {"interval": [*_encode_items((value.left, value.right), name, arrays), value.closed]}


def encode_time_zone(zone: Any, name: str) -> str:
    """Return the name of a time zone, such as "Europe/Berlin" or "UTC+02:00"."""
    text = str(zone)
    if not _TIME_ZONE.fullmatch(text):
        raise TypeError(f"{name} holds the time zone {quote(text)}, which has no plain name")
    return text


_ENCODERS: dict[type, Callable[[Any, str, dict[str, np.ndarray]], Any]] = {
    float: _encode_float,
    list: _encode_list,
    tuple: lambda value, name, arrays: {"tuple": _encode_items(value, name, arrays)},
    set: lambda value, name, arrays: {"set": _encode_items(sorted(value, key=repr), name, arrays)},
    dict: lambda value, name, arrays: {"dict": _encode_pairs(value.items(), name, arrays)},
    PerTask: lambda value, name, arrays: {"per_task": _encode_pairs(value.items(), name, arrays)},
    bytes: lambda value, name, arrays: {"bytes": value.hex()},
    np.ndarray: _encode_array,
    np.memmap: _encode_array,
    type(pd.NA): lambda value, name, arrays: {"missing": "NA"},
    type(pd.NaT): lambda value, name, arrays: {"missing": "NaT"},
    pd.Timestamp: _encode_timestamp,
    pd.Timedelta: _encode_timedelta,
    dt.datetime: _encode_datetime,
    dt.date: lambda value, name, arrays: {"date": value.isoformat()},
    dt.time: _encode_time,
    dt.timedelta: lambda value, name, arrays: {
        "delta": [value.days, value.seconds, value.microseconds]
    },
    decimal.Decimal: _encode_decimal,
    pd.Interval: _encode_interval,
}


# ------------------------------------------------------------------------------------------------
# Decoding
# ------------------------------------------------------------------------------------------------


def decode_value(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Decode an untrusted node with its type, and remove its arrays from `arrays`."""
    if isinstance(node, list):
        return [decode_value(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    kind = next(iter(node)) if len(node) == 1 else None
    decode = _DECODERS.get(kind)
    if decode is None:
        raise ValueError(f"unknown kind of value, with the keys {sorted(node)[:5]}")
    try:
        return decode(node[kind], arrays)
    except (TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise ValueError(f"invalid {kind}: {error}") from error


def plain_dtype(text: Any) -> np.dtype:
    """Return the dtype of an untrusted ``dtype.str`` of numbers, booleans, text, bytes or times."""
    if not isinstance(text, str) or not _PLAIN_DTYPE.fullmatch(text):
        raise ValueError(f"{quote(str(text))} is not a plain dtype")
    dtype = np.dtype(text)
    if dtype.str != text:
        raise ValueError(f"{quote(text)} is not the canonical name of a dtype")
    return dtype


def decode_time_zone(text: Any) -> str:
    """Return an untrusted name of a time zone, if it is one and not a file."""
    # pandas opens the file that a name behind "dateutil/" gives.
    if not isinstance(text, str) or not _TIME_ZONE.fullmatch(text) or text.startswith("dateutil"):
        raise ValueError(f"{quote(str(text))} is not a time zone")
    return text


def _decode_float(node: Any, arrays: dict[str, np.ndarray]) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[node]


def _decode_floats(node: Any, arrays: dict[str, np.ndarray]) -> list[float]:
    numbers = arrays.pop(node)
    if numbers.dtype != np.float64 or numbers.ndim != 1:
        raise ValueError(f"floats are stored as an array of {numbers.dtype}")
    return numbers.tolist()


def _decode_array(node: Any, arrays: dict[str, np.ndarray]) -> np.ndarray:
    key, text, shape = node
    stored, dtype = arrays.pop(key), plain_dtype(text)
    if stored.dtype != dtype:
        if stored.dtype != np.uint8 or list(stored.shape) != [*(shape or [1]), dtype.itemsize]:
            raise ValueError(f"{stored.dtype} of shape {stored.shape} is stored for {dtype}")
        stored = _read_bytes(stored, dtype).reshape(shape)
    if list(stored.shape) != shape:
        raise ValueError(f"an array of shape {stored.shape} is stored for shape {shape}")
    return stored


def _read_bytes(stored: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return bytes as an array of a dtype, the last axis as one item."""
    values = stored.view(dtype)[..., 0]
    if dtype.kind == "b" and (stored > 1).any():
        raise ValueError("booleans are 0 or 1")
    if dtype.kind == "U" and (stored.view(dtype.str[0] + "u4") > _LARGEST_CODE_POINT).any():
        raise ValueError("text holds invalid characters")
    return values


def _decode_objects(node: Any, arrays: dict[str, np.ndarray]) -> np.ndarray:
    values: np.ndarray = np.empty(len(_list(node)), dtype=object)
    for i, item in enumerate(node):
        values[i] = decode_value(item, arrays)
    return values


def _decode_object(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(arrays, AnyObjects):
        raise ValueError("objects are read from pickles only")
    return arrays.pop(node)


def _decode_scalar(node: Any, arrays: dict[str, np.ndarray]) -> np.generic:
    text, digits = node
    dtype, content = plain_dtype(text), bytes.fromhex(digits)
    if len(content) != dtype.itemsize:
        raise ValueError(f"{len(content)} bytes are not a scalar of {dtype}")
    return _read_bytes(np.frombuffer(content, np.uint8)[None], dtype)[0]


def _decode_timestamp(node: Any, arrays: dict[str, np.ndarray]) -> pd.Timestamp:
    text, number, zone = node
    moment = pd.Timestamp(_moment(text, number, "M"))
    if zone is None:
        return moment
    return moment.tz_localize("UTC").tz_convert(decode_time_zone(zone))


def _decode_timedelta(node: Any, arrays: dict[str, np.ndarray]) -> pd.Timedelta:
    text, number = node
    return pd.Timedelta(_moment(text, number, "m"))


def _moment(text: Any, number: Any, kind: str) -> Any:
    """Return a number of pandas's units of time as a NumPy scalar."""
    if text not in [f"<{kind}8[{unit}]" for unit in ("s", "ms", "us", "ns")]:
        raise ValueError(f"{quote(str(text))} is not a time dtype of pandas")
    if type(number) is not int:
        raise ValueError(f"{quote(number)} is not an integer")
    return np.int64(number).astype(text)


def _decode_delta(node: Any, arrays: dict[str, np.ndarray]) -> dt.timedelta:
    days, seconds, microseconds = node
    if not all(type(number) is int for number in node):
        raise TypeError(f"{quote(node)} are not integers")
    return dt.timedelta(days, seconds, microseconds)


def _decode_decimal(node: Any, arrays: dict[str, np.ndarray]) -> decimal.Decimal:
    if not _DECIMAL.fullmatch(node):
        raise ValueError(f"{quote(node)} is not a decimal number")
    return decimal.Decimal(node)


def _decode_interval(node: Any, arrays: dict[str, np.ndarray]) -> pd.Interval:
    left, right, closed = node
    return pd.Interval(decode_value(left, arrays), decode_value(right, arrays), closed)


def _decode_dict(node: Any, arrays: dict[str, np.ndarray]) -> dict[Any, Any]:
    pairs = _decode_pairs(node, arrays)
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a dict repeats a key")
    return read


def _decode_per_task(node: Any, arrays: dict[str, np.ndarray]) -> PerTask:
    pairs = _decode_pairs(node, arrays)
    return PerTask([item for _, item in pairs], [name for name, _ in pairs])


def _decode_pairs(node: Any, arrays: dict[str, np.ndarray]) -> list[tuple[Hashable, Any]]:
    pairs = [tuple(decode_value(part, arrays) for part in _list(pair)) for pair in _list(node)]
    for key, _ in pairs:
        hash(key)
    return pairs


def _list(node: Any) -> list[Any]:
    if not isinstance(node, list):
        raise TypeError(f"{type(node).__name__} instead of a list")
    return node


def _same(value: Any, other: Any) -> bool:
    return value == other and repr(value) == repr(other)


_DECODERS: dict[Any, Callable[[Any, dict[str, np.ndarray]], Any]] = {
    "float": _decode_float,
    "floats": _decode_floats,
    "tuple": lambda node, arrays: tuple(decode_value(item, arrays) for item in _list(node)),
    "set": lambda node, arrays: {decode_value(item, arrays) for item in _list(node)},
    "dict": _decode_dict,
    "per_task": _decode_per_task,
    "bytes": lambda node, arrays: bytes.fromhex(node),
    "array": _decode_array,
    "object": _decode_object,
    "objects": _decode_objects,
    "scalar": _decode_scalar,
    "missing": lambda node, arrays: {"NA": pd.NA, "NaT": pd.NaT}[node],
    "timestamp": _decode_timestamp,
    "timedelta": _decode_timedelta,
    "datetime": lambda node, arrays: dt.datetime.fromisoformat(node),
    "date": lambda node, arrays: dt.date.fromisoformat(node),
    "time": lambda node, arrays: dt.time.fromisoformat(node),
    "delta": _decode_delta,
    "decimal": _decode_decimal,
    "interval": _decode_interval,
}
