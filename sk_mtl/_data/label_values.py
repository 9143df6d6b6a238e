"""Values of labels: arrays of labels brought to one dtype in which they compare exactly.

NumPy's common dtype of int64 and uint64 is float64, which rounds integers above 2**53 and so makes
two labels one. Does not know tasks, masks or classes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "as_comparable",
    "as_integers",
    "as_objects",
    "as_whole_numbers",
    "common_dtype",
    "concatenate_labels",
    "factorize_labels",
    "in_native_order",
    "in_native_order_series",
    "object_array",
]

_LARGEST_EXACT_FLOAT = 2**53


def object_array(items: Collection[Any]) -> np.ndarray:
    """Return items of any kind, tuples and lists among them, as a 1-D array of objects."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def in_native_order(values: np.ndarray) -> np.ndarray:
    """Return values in the byte order of this machine, the only one that pandas can look up."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def in_native_order_series(series: pd.Series) -> pd.Series:
    """Return a column of a DataFrame in the byte order of this machine."""
    is_foreign = isinstance(series.dtype, np.dtype) and not series.dtype.isnative
    return series.astype(series.dtype.newbyteorder("=")) if is_foreign else series


def as_integers(values: np.ndarray) -> np.ndarray:
    """Return an object array of integers as int64, else as uint64, else as Python's integers."""
    try:
        return values.astype(np.int64)
    except OverflowError:
        integers = [int(v) for v in values]
    is_uint64 = min(integers) >= 0 and max(integers) < 2**64
    return np.array(integers, dtype=np.uint64 if is_uint64 else object)


def as_whole_numbers(values: np.ndarray) -> np.ndarray:
    """Return an object array of decimals or numbers as integers if all are, else as float64."""
    floats = values.astype(np.float64)
    if not np.isfinite(floats).all() or (floats != np.floor(floats)).any():
        return floats
    integers = np.array([int(v) for v in values], dtype=object)
    # Above 2**53, fractions are lost in float64.
    return as_integers(integers) if (integers == values).all() else values


def as_objects(values: np.ndarray) -> np.ndarray:
    """Return labels as objects; NumPy alone would turn times into integers."""
    if values.dtype.kind in "OUS" or values.dtype == "M8[D]":  # dates, which are no timestamps
        return values.astype(object, copy=False)
    objects = pd.Index(in_native_order(values).ravel(), dtype=object).to_numpy()
    return objects.reshape(values.shape)


def as_comparable(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return arrays of labels in one dtype, in which labels of equal value are equal."""
    dtype = common_dtype(arrays)
    if dtype.kind in "US":  # pandas looks up objects faster, and without its own dtype
        return [a.astype(object) for a in arrays]
    if len({a.dtype for a in arrays}) > 1 and all(a.dtype.kind in "biuf" for a in arrays):
        for integer in (np.int64, np.uint64):
            if all(_holds(integer, a) for a in arrays):
                return [a.astype(integer) for a in arrays]
    return [as_objects(a) if dtype.kind == "O" else a.astype(dtype, copy=False) for a in arrays]


def concatenate_labels(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenate labels in their common dtype, in objects if that would change some."""
    dtype = common_dtype(arrays)
    return np.concatenate([as_objects(a) if dtype.kind == "O" else a for a in arrays])


def factorize_labels(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of the labels in all arrays together, and the sorted labels."""
    together = np.concatenate(as_comparable([a for a in arrays if len(a)]))
    codes, labels = pd.factorize(together, sort=True)
    return codes, np.asarray(labels)


def common_dtype(arrays: Sequence[np.ndarray]) -> np.dtype:
    """Return NumPy's common dtype, or object where that would change a label."""
    kinds = {a.dtype.kind for a in arrays}
    if len(kinds) > 1 and not kinds <= set("biuf"):
        return np.dtype(object)
    common = np.result_type(*arrays)
    is_rounded = common.kind == "f" and any(
        a.dtype.kind in "iu" and max(-int(a.min()), int(a.max())) > _LARGEST_EXACT_FLOAT
        for a in arrays
        if len(a)
    )
    return np.dtype(object) if is_rounded else common


def _holds(dtype: type[np.integer], values: np.ndarray) -> bool:
    """Return whether an integer dtype holds all values exactly."""
    if not len(values) or values.dtype.kind == "b":
        return True
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.floor(values))).all():
        return False
    # As Python's integers: NumPy would compare these limits with floats.
    limits = np.iinfo(dtype)
    return int(limits.min) <= int(values.min()) and int(values.max()) <= int(limits.max)
