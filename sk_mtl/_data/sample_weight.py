"""Sample weights: one per row or per cell, read and checked.

Owns the weights of cells with and without labels. Does not know classes or codes.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse as sp

from sk_mtl._data.containers import open_table
from sk_mtl._data.labels import LabelTable
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["check_largest_weight", "read_cell_weight", "read_missing_weight"]

_LARGEST_EXPONENT = 40
_SMALLEST_WEIGHT = float(np.finfo(np.float32).tiny)


def read_cell_weight(
    sample_weight: Any, table: LabelTable, largest: float | None = None
) -> np.ndarray | None:
    """Read weights per row or per cell as (n_samples, n_tasks), 0 where the label is missing."""
    # `largest`: the largest weight of a table that these rows are a part of.
    if sample_weight is None:
        return None
    weight = _shape_weight(sample_weight, table)
    labelled = weight[table.label_mask]
    if not np.isfinite(labelled).all():
        raise ValueError(
            "sample_weight must be finite on labelled cells. Got NaN or infinity in "
            f"{_count_and_place(~np.isfinite(weight), table)}."
        )
    if (labelled < 0).any():
        raise ValueError(
            "sample_weight must not be negative. Got negative weights in "
            f"{_count_and_place(weight < 0, table)}."
        )
    if largest is None:
        largest = labelled.max(initial=0)
        check_largest_weight(largest, bool(labelled.size))
    weight = _scale_weight(weight, largest)
    # A weight that underflows in float32 counts as 0.
    counts = table.label_mask & (np.where(table.label_mask, weight, 0) >= _SMALLEST_WEIGHT)
    return np.where(counts, weight, 0.0)


def check_largest_weight(largest: float, has_labels: bool) -> None:
    """Refuse weights of which all are zero, or out of the range of float32."""
    if has_labels and not largest:
        raise ValueError(
            "sample_weight is zero on every labelled cell: at least one weight must be positive."
        )
    if has_labels and not np.finfo(np.float32).tiny <= largest <= np.finfo(np.float32).max:
        raise ValueError(
            "sample_weight is out of the range of float32, in which training computes: the "
            f"largest weight is {largest}. Rescale the weights, for instance to mean 1."
        )


def read_missing_weight(sample_weight: Any, table: LabelTable) -> np.ndarray:
    """Read the weights of the unlabelled cells as (n_samples, n_tasks), 0 at labelled cells."""
    is_missing = ~table.label_mask
    if sample_weight is None:
        return is_missing.astype(np.float32)
    weight = _shape_weight(sample_weight, table)
    is_bad = is_missing & ~(np.isfinite(weight) & (weight >= 0))
    if is_bad.any():
        row, task = np.argwhere(is_bad)[0]
        raise ValueError(
            "If unlabelled is set, sample_weight must be finite and not negative on unlabelled "
            f"cells, too. Got invalid weights in {int(is_bad.sum())} of {int(is_missing.sum())} "
            f"unlabelled cells, the first in row {row}, task {quote(table.task_names[task])}. A "
            "weight of 0 leaves a cell out."
        )
    weight = np.where(is_missing, weight, 0)
    return _scale_weight(weight, weight.max(initial=0)).astype(np.float32)


def _shape_weight(sample_weight: Any, table: LabelTable) -> np.ndarray:
    """Return weights of shape (n_samples, n_tasks), unchecked; match a DataFrame by column name."""
    shape = table.label_mask.shape
    sample_weight = open_table(sample_weight, "sample_weight")
    if nw.dependencies.is_into_dataframe(sample_weight):
        frame = nw.from_native(sample_weight, eager_only=True)
        if table.form.kind == "frame":
            # narwhals's names of a pandas DataFrame are those of the DataFrame, of any type.
            frame = frame[:, _order_of_columns(list(frame.columns), table)]
        sample_weight = frame.to_numpy()
    weight = _as_numbers(sample_weight)
    if weight.ndim == 0:
        weight = np.full(shape[0], float(weight))
    if weight.ndim == 1 and len(weight) == shape[0]:
        weight = np.broadcast_to(weight[:, None], shape)
    if weight.shape != shape:
        raise ValueError(
            f"sample_weight must have the shape ({shape[0]},) (one weight per row) or {shape} "
            f"(one per cell). Got {weight.shape}."
        )
    return weight


def _order_of_columns(names: list[Any], table: LabelTable) -> list[int]:
    """Return the position of each task's column of weights, by name or by the name's text."""
    if set(names) == set(table.task_names):
        return [names.index(name) for name in table.task_names]
    # Other libraries have text only; tasks named 1 and "1" have one text.
    found, wanted = [str(name) for name in names], [str(name) for name in table.task_names]
    if sorted(found) != sorted(wanted) or len(set(wanted)) < len(wanted):
        raise ValueError(
            "The columns of sample_weight must be the tasks of y "
            f"({enumerate_some([repr(n) for n in table.task_names])}). "
            f"Got {enumerate_some([repr(n) for n in names])}."
        )
    return [found.index(name) for name in wanted]


def _scale_weight(weight: np.ndarray, largest: float) -> np.ndarray:
    """Return weights times a power of two, so that float32 holds their sums."""
    # Only proportions of weights count, and a power of two leaves them exact.
    exponent = int(np.frexp(largest)[1])
    shift = int(np.clip(exponent, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)) - exponent
    return np.ldexp(weight, shift) if shift else weight


def _count_and_place(is_bad: np.ndarray, table: LabelTable) -> str:
    """Return the number of labelled cells with bad weights, and the first of them."""
    bad = is_bad & table.label_mask
    row, task = np.argwhere(bad)[0]
    return (
        f"{int(bad.sum())} of {int(table.label_mask.sum())} labelled cells, the first in row "
        f"{row}, task {quote(table.task_names[task])}"
    )


def _as_numbers(sample_weight: Any) -> np.ndarray:
    """Return weights as float64, None as NaN."""
    if sp.issparse(sample_weight):
        raise TypeError("sample_weight must be dense. Got a sparse matrix; use toarray().")
    if isinstance(sample_weight, (str, dict)):
        raise TypeError(
            "sample_weight must be an array with one weight per row or per cell. "
            f"Got {quote(sample_weight)}; pass class weights as class_weight."
        )
    try:
        given = np.asarray(sample_weight)
        if given.dtype.kind in "cUSMm":
            raise TypeError(f"got {'text' if given.dtype.kind in 'US' else given.dtype.name}")
        return given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must hold numbers: {error}".rstrip(".") + ".") from error
