"""The order of rows: pandas indexes that name the same rows in different orders.

Rows are matched by position. Does not know what the tables hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals
import numpy as np
import pandas as pd

from sk_mtl._compat.user_warnings import warn_user

__all__ = ["row_labels", "warn_of_other_order"]


def row_labels(table: Any) -> pd.Index | None:
    """Return the index of a pandas table or column, of shape (n_samples,); None of others."""
    if isinstance(table, (narwhals.DataFrame, narwhals.Series)):
        table = table.to_native()
    return table.index if isinstance(table, (pd.DataFrame, pd.Series)) else None


def warn_of_other_order(tables: Mapping[str, Any]) -> None:
    """Warn if the index of a table holds the labels of the first one's in another order."""
    labelled = [(name, index) for name, t in tables.items() if (index := row_labels(t)) is not None]
    for name, index in labelled[1:]:
        first, expected = labelled[0]
        if _is_reordered(index, expected):
            advice = "Bring them into one order"
            if expected.is_unique and name.isidentifier():
                advice += f" ({name}.loc[{first}.index])"
            warn_user(
                f"The pandas indexes of {first} and {name} hold the same labels in different "
                f"orders, and rows are matched by position, not by index. {advice}, or reset the "
                "indexes if the rows match as they are."
            )


def _is_reordered(index: pd.Index, expected: pd.Index) -> bool:
    """Return whether an index holds the labels of another one, as often, in another order."""
    if index is expected or len(index) != len(expected) or index.nlevels != expected.nlevels:
        return False
    if index.equals(expected):
        return False
    found, wanted = _hash_labels(index), _hash_labels(expected)
    if np.array_equal(found, wanted):  # numbers and their text
        return False
    return np.array_equal(np.sort(found), np.sort(wanted))


def _hash_labels(index: pd.Index) -> np.ndarray:
    """Return a number for each label, the same for equal ones, of shape (n_samples,)."""
    # Faster than a look-up by a factor of ten; an index of another dtype has other numbers.
    if isinstance(index.dtype, pd.StringDtype):
        index = index.astype(object)
    return pd.util.hash_pandas_object(index, index=False, categorize=False).to_numpy()
