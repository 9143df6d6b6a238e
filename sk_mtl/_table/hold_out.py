"""Rows held out for validation, by a hash of a key, of a group or of the number of the row.

The same value is on the same side in every table, process and order of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._data.streamed import mix_bits
from sk_mtl._quoting import quote

__all__ = ["HoldOut"]

_SALT = np.uint64(0x736B5F6D746C)  # so that rows sampled by the same hash are not all on one side


class HoldOut:
    """Chooses rows, batch by batch.

    Parameters
    ----------
    fraction : float
        The share of the values that are held out.
    column : str or None
        The column of the values; None to take the number of the row.
    """

    def __init__(self, fraction: float, column: str | None):
        self._limit = np.uint64(min(int(fraction * 2**64), 2**64 - 1))
        self._column = column

    def choose(self, frame: pd.DataFrame, first: int) -> np.ndarray:
        """Return which rows of a batch are held out; `first` is the number of its first row."""
        if self._column is None:
            numbers = np.arange(first, first + len(frame)).astype(np.uint64)
        else:
            numbers = _hash_values(frame[self._column], self._column)
        return mix_bits(mix_bits(numbers) ^ _SALT) < self._limit


def _hash_values(column: pd.Series, name: str) -> np.ndarray:
    """Return a number of 64 bits for each value, whatever the type of the column."""
    n_missing = int(column.isna().sum())
    if n_missing:
        raise ValueError(
            f"Column {quote(name)} must have a value in every row, by which rows are held out. "
            f"{n_missing} of {len(column)} are missing."
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_integer_dtype(column.dtype):
        return column.to_numpy().astype(np.int64).view(np.uint64)
    values: Any = column.astype(object).to_numpy()
    if pd.api.types.is_float_dtype(column.dtype):
        # An integer is the same value as the float.
        floats = column.to_numpy(np.float64)
        is_whole = (np.floor(floats) == floats) & (np.abs(floats) < 2**63)
        whole = np.where(is_whole, floats, 0).astype(np.int64)
        return np.where(is_whole, whole.view(np.uint64), floats.view(np.uint64))
    if not all(isinstance(value, str) for value in values):
        values = np.array([str(value) for value in values], dtype=object)
    return pd.util.hash_array(values, categorize=False)
