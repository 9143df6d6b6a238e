"""Groups of rows that belong together: read and checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._data.containers import open_table
from sk_mtl._data.label_values import in_native_order, object_array

__all__ = ["read_groups"]


def read_groups(groups: Any, n_samples: int) -> np.ndarray:
    """Return the number of each row's group, intp of shape (n_samples,), from 0 on."""
    if isinstance(groups, (list, tuple)):
        # NumPy would turn None and NaN beside text into text.
        values = object_array(groups)
    elif isinstance(groups, np.ma.MaskedArray):
        values = groups.data.astype(object)
        values[np.ma.getmaskarray(groups)] = None
    else:
        values = in_native_order(np.asarray(open_table(groups, "groups")))
    if values.ndim != 1:
        raise ValueError(
            "groups must be 1-D: the group of each row. Got "
            f"{type(groups).__name__} of {values.ndim} dimensions."
        )
    if len(values) != n_samples:
        raise ValueError(
            f"groups must have a group for each of the {n_samples} rows. Got {len(values)}."
        )
    try:
        group_of_row, _ = pd.factorize(values, use_na_sentinel=True)
    except TypeError as error:
        raise TypeError(f"groups must hold scalars, such as numbers or text: {error}.") from error
    if (group_of_row < 0).any():
        raise ValueError(
            f"groups must have a group for every row. {int((group_of_row < 0).sum())} of "
            f"{n_samples} are missing."
        )
    return group_of_row
