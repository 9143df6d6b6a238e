"""Labels: y in any form a user has it, read as a column per task and a mask of what is there.

Owns what a missing label is, and the weights of cells. Does not know classes or codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

from sk_mtl._tasks import enumerate_some

__all__ = [
    "LabelTable",
    "equals_sentinel",
    "has_missing_labels",
    "read_cell_weight",
    "read_labels",
    "read_missing_weight",
]


@dataclass(frozen=True)
class TargetForm:
    """The form y had, so that predictions can take it again.

    Attributes
    ----------
    kind : {"frame", "array_1d", "array_2d"}
        A Series and an (n, 1) array count as 1-D.
    backend : str or None
        The dataframe library of a frame, by narwhals's name; None for arrays.
    dtypes : tuple
        Per column of a frame what its library needs to make the column again: pandas's dtype, or
        narwhals's for others; None for arrays.
    categories : tuple
        Per column ``(categories, ordered)`` of a categorical column, else None.
    level_names : tuple
        Names of the levels of a pandas frame's columns.
    """

    kind: Literal["frame", "array_1d", "array_2d"]
    backend: str | None
    dtypes: tuple[Any, ...]
    categories: tuple[tuple[np.ndarray, bool] | None, ...]
    level_names: tuple[Hashable, ...] = ()


@dataclass(frozen=True)
class LabelTable:
    """y as read: a column of labels per task and the mask of the labelled cells.

    Attributes
    ----------
    columns : tuple of ndarray of shape (n_samples,)
        The labels of each task. What lies under the mask is arbitrary and must not be read.
    label_mask : ndarray of bool of shape (n_samples, n_tasks)
        True where a label is present.
    task_names : tuple
        One name per task.
    form : TargetForm
        The form y had.
    missing_label : scalar
        What meant "missing" besides NaN, None, NaT and NA.
    """

    columns: tuple[np.ndarray, ...]
    label_mask: np.ndarray
    task_names: tuple[Hashable, ...]
    form: TargetForm
    missing_label: Any = None

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.label_mask.shape[0]

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return self.label_mask.shape[1]

    @property
    def is_1d(self) -> bool:
        """Whether y was one task in 1-D form."""
        return self.form.kind == "array_1d"


# ------------------------------------------------------------------------------------------------
# Reading y
# ------------------------------------------------------------------------------------------------


def read_labels(y: Any, *, missing_label: Any = None) -> LabelTable:
    """Read y in any supported form.

    Parameters
    ----------
    y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
        Class labels. NaN, None, NaT and NA are missing labels.
    missing_label : scalar, default=None
        One more value that means "missing", such as -1.

    Returns
    -------
    table : LabelTable
        The labels by task, with the mask of those present.

    Raises
    ------
    ValueError
        If y is None, empty, of more than two dimensions, holds infinities or non-integral
        floats, mixes label types within a task, or has duplicate task names.
    TypeError
        If y is sparse, or `missing_label` is not a scalar.
    """
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None. "
            "Pass one column of class labels per task, NaN where a label is missing."
        )
    if not pd.api.types.is_scalar(missing_label):
        raise TypeError(
            "missing_label must be a scalar or None (NaN, None, NaT and NA are always missing). "
            f"Got {missing_label!r}."
        )
    if sp.issparse(y):
        raise TypeError(
            "Sparse data was passed for y, but dense labels are required: the zeros of a sparse y "
            "could be labels or missing ones. Use y.toarray() and NaN for missing labels."
        )
    if isinstance(y, (str, bytes, dict, set, frozenset, Iterator)):
        raise TypeError(
            "y must be a table of class labels: a DataFrame, a Series, an array or a list. "
            f"Got {type(y).__name__}.{' Pass pd.DataFrame(y).' if isinstance(y, dict) else ''}"
        )
    if isinstance(y, (pd.Index, pd.api.extensions.ExtensionArray)):
        y = pd.Series(y)
    if isinstance(y, pd.DataFrame):
        _refuse_duplicates(tuple(y.columns))
    elif isinstance(nw.from_native(y, pass_through=True), nw.LazyFrame):
        raise TypeError("y must hold its labels. Got a lazy frame; call collect() on it.")
    if nw.dependencies.is_into_dataframe(y):
        raw, names, form = _columns_of_frame(nw.from_native(y, eager_only=True))
    elif nw.dependencies.is_into_series(y):
        series = nw.from_native(y, series_only=True)
        column, _, categories = _column_of_series(series)
        raw, names = [column], (series.name if series.name not in (None, "") else "y0",)
        form = TargetForm("array_1d", None, (None,), (categories,))
    else:
        raw, names, form = _columns_of_array(y, missing_label)
    if not raw or raw[0].shape[0] == 0:
        raise ValueError(
            f"y must have at least one row and one task. Got {0 if not raw else raw[0].shape[0]} "
            f"row(s) and {len(raw)} task(s)."
        )
    _refuse_duplicates(names)
    # One hole in a float array made floats of the integers in all of its columns.
    floated = form.kind == "array_2d" and any(
        c.dtype.kind == "f" and np.isnan(c).any() for c in raw
    )
    columns, masks = zip(
        *(_labels_of_column(c, n, missing_label, floated) for c, n in zip(raw, names, strict=True)),
        strict=True,
    )
    return LabelTable(columns, np.column_stack(masks), names, form, missing_label)


def has_missing_labels(y: Any, *, missing_label: Any = None) -> bool:
    """Return whether any label of y is missing; False where y cannot be read at all.

    Parameters
    ----------
    y : array-like
        The labels, in any form.
    missing_label : scalar, default=None
        One more value that means "missing".

    Returns
    -------
    missing : bool
        Whether at least one label is missing.
    """
    try:
        return not read_labels(y, missing_label=missing_label).label_mask.all()
    except (ValueError, TypeError):
        return False


def _refuse_duplicates(names: tuple[Hashable, ...]) -> None:
    """Refuse tasks of the same name."""
    duplicates = sorted({repr(name) for name, count in Counter(names).items() if count > 1})
    if duplicates:
        raise ValueError(
            f"Task names must be unique: y has several columns named {enumerate_some(duplicates)}. "
            "Rename them."
        )


def _columns_of_frame(
    frame: nw.DataFrame,
) -> tuple[list[np.ndarray], tuple[Hashable, ...], TargetForm]:
    """Return the raw columns of a frame, their names, and its form."""
    is_pandas = nw.dependencies.is_pandas_like_dataframe(frame.to_native())
    names = tuple(frame.to_native().columns) if is_pandas else tuple(frame.columns)
    columns, dtypes, categories = [], [], []
    for position in range(len(names)):
        column, dtype, column_categories = _column_of_series(frame[:, position])
        columns.append(column)
        dtypes.append(dtype)
        categories.append(column_categories)
    levels = tuple(frame.to_native().columns.names) if is_pandas else ()
    form = TargetForm(
        "frame", str(frame.implementation.value), tuple(dtypes), tuple(categories), levels
    )
    return columns, names, form


def _column_of_series(
    series: nw.Series,
) -> tuple[np.ndarray, Any, tuple[np.ndarray, bool] | None]:
    """Return a raw column (None or NaN where missing), its dtype and its categories."""
    native = series.to_native()
    is_pandas = nw.dependencies.is_pandas_like_series(native)
    dtype = native.dtype if is_pandas else series.dtype
    if is_pandas and isinstance(native.dtype, pd.CategoricalDtype):
        fixed = (np.asarray(native.cat.categories), bool(native.cat.ordered))
        return native.astype(object).to_numpy(), dtype, fixed
    if isinstance(series.dtype, nw.Categorical | nw.Enum):
        # Only an Enum fixes its classes: a polars Categorical shares its categories with others.
        categories = series.dtype.categories if isinstance(series.dtype, nw.Enum) else None
        raw = np.asarray(series.cast(nw.String).to_list(), dtype=object)
        return raw, dtype, None if categories is None else (np.asarray(categories), True)
    if series.dtype.is_nested():
        raise ValueError(f"The labels of task {series.name!r} must be scalars. Got {series.dtype}.")
    is_null = series.is_null().to_numpy()
    if not is_null.any():
        return np.asarray(series.to_numpy()), dtype, None
    if series.dtype.is_float() or series.dtype.is_temporal():
        return np.asarray(series.to_numpy()), dtype, None
    raw = np.full(len(series), None, dtype=object)
    raw[~is_null] = np.asarray(series.filter(~series.is_null()).to_numpy(), dtype=object)
    return raw, dtype, None


def _columns_of_array(
    y: Any, missing_label: Any
) -> tuple[list[np.ndarray], tuple[Hashable, ...], TargetForm]:
    """Return the raw columns of an array-like, generated names, and its form."""
    if isinstance(y, np.ndarray) and y.dtype.kind == "V":
        raise ValueError("y holds structured records; labels must be scalars.")
    if isinstance(y, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(y)
        values = y.data.astype(object)
        values[hidden] = None
    elif isinstance(y, (list, tuple)):
        # As objects first: NumPy would turn [“a”, nan] into two strings.
        values = array_of_sequence(y)
    else:
        values = np.asarray(y)
        _refuse_stringified_nan(values, missing_label)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1 and len(values) and isinstance(values[0], (list, tuple, np.ndarray)):
        raise ValueError("y must be 1-D or 2-D with rows of equal length. Got a ragged sequence.")
    if values.ndim not in (1, 2):
        raise ValueError(
            f"y must be 1-D (one task) or 2-D (one column per task). Got {values.ndim} dimensions."
        )
    if values.ndim == 1:
        return [values], ("y0",), TargetForm("array_1d", None, (None,), (None,))
    columns = list(values.T)
    names = tuple(f"y{t}" for t in range(len(columns)))
    nothing = (None,) * len(columns)
    return columns, names, TargetForm("array_2d", None, nothing, nothing)


def array_of_sequence(y: Sequence[Any]) -> np.ndarray:
    """Return a list (of lists) as an object array, or as NumPy would where nothing is lost."""
    try:
        values = np.array(y, dtype=object)
    except ValueError as error:
        raise ValueError(
            "y must be 1-D or 2-D with rows of equal length. Got a ragged sequence."
        ) from error
    if values.ndim <= 2 and pd.api.types.infer_dtype(values.ravel(), skipna=False) in (
        "string",
        "integer",
        "boolean",
    ):
        return np.array(y)
    return values


def _refuse_stringified_nan(values: np.ndarray, missing_label: Any) -> None:
    """Refuse text "nan" in a NumPy string array: it was a missing label once."""
    written: dict[str, list[Any]] = {"U": ["nan", "None"], "S": [b"nan", b"None"]}
    suspects = written.get(values.dtype.kind, [])
    count = int(np.isin(values, [w for w in suspects if w != missing_label]).sum())
    if suspects and count:
        raise ValueError(
            f"y is a NumPy array of text that holds 'nan' or 'None' in {count} cell(s): NumPy "
            "turned missing labels into text. Build it with dtype=object, pass a DataFrame or a "
            "list, or say missing_label='nan'."
        )


def _labels_of_column(
    raw: np.ndarray, name: Hashable, missing_label: Any, floated: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return a column's labels in their natural dtype, and its mask."""
    if raw.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: task {name!r} of y holds complex numbers.")
    if raw.dtype.kind == "V":
        raise ValueError(f"Task {name!r} of y holds structured records; labels must be scalars.")
    mask = ~np.asarray(pd.isna(raw)) & ~equals_sentinel(raw, missing_label)
    values = raw
    if raw.dtype.kind == "O":
        values = natural_dtype(raw, mask, name)
    if values.dtype.kind == "f":
        values = _integral_floats(values, mask, name, floated)
    return values, mask


def equals_sentinel(raw: np.ndarray, missing_label: Any) -> np.ndarray:
    """Return where a column equals the sentinel; True is not 1 and False is not 0 here."""
    if pd.isna(missing_label):
        return np.zeros(len(raw), dtype=bool)
    is_bool = isinstance(missing_label, (bool, np.bool_))
    if raw.dtype.kind != "O" and is_bool != (raw.dtype.kind == "b"):
        return np.zeros(len(raw), dtype=bool)
    if raw.dtype.kind == "O":
        return np.fromiter(
            (
                v is not None
                and isinstance(v, (bool, np.bool_)) == is_bool
                and v is not pd.NA
                and v == missing_label
                for v in raw
            ),
            dtype=bool,
            count=len(raw),
        )
    wanted = {"U": str, "S": bytes, "M": (pd.Timestamp, np.datetime64), "m": pd.Timedelta}
    fits = wanted.get(raw.dtype.kind, (int, float, bool, np.number, np.bool_))
    if not isinstance(missing_label, fits):
        return np.zeros(len(raw), dtype=bool)
    if raw.dtype.kind in "Mm":
        missing_label = (
            missing_label.to_numpy() if hasattr(missing_label, "to_numpy") else (missing_label)
        )
    return np.asarray(raw == missing_label)


def natural_dtype(raw: np.ndarray, mask: np.ndarray, name: Hashable) -> np.ndarray:
    """Return an object column as numbers or booleans where it holds only those."""
    present = raw[mask]
    kind = pd.api.types.infer_dtype(present, skipna=False)
    dtype = {
        "boolean": np.bool_,
        "integer": np.int64,
        "floating": np.float64,
        "mixed-integer-float": np.float64,
        "decimal": np.float64,
    }.get(kind)
    if dtype is not None:
        values: np.ndarray = np.zeros(len(raw), dtype=dtype)
        try:
            values[mask] = present.astype(dtype)
        except OverflowError:  # integers beyond int64
            return raw
        return values
    nested = sorted({type(v).__name__ for v in present if pd.api.types.is_list_like(v)})
    if kind.startswith("mixed") and nested:
        raise ValueError(
            f"The labels of task {name!r} must be scalars. Got {enumerate_some(nested)}."
        )
    if kind not in ("empty", "string", "bytes", "date", "datetime", "datetime64", "categorical"):
        types = sorted({type(v).__name__ for v in present})
        if len(types) > 1:
            raise ValueError(
                f"Unknown label type: unknown. The labels of a task must be of one type; task "
                f"{name!r} mixes {enumerate_some(types)}. Convert the column to one type."
            )
    return raw


def _integral_floats(
    values: np.ndarray, mask: np.ndarray, name: Hashable, floated: bool
) -> np.ndarray:
    """Refuse continuous targets; give back the integers that NaN turned into floats."""
    present = values[mask]
    n_infinite = int(np.isinf(present).sum())
    if n_infinite:
        raise ValueError(
            f"Input y contains infinity: task {name!r} has {n_infinite} infinite value(s). Labels "
            "must be finite; NaN marks a missing one."
        )
    fractional = present[present != np.floor(present)]
    if len(fractional):
        raise ValueError(
            f"Unknown label type: continuous. Task {name!r} holds {len(fractional)} non-integral "
            f"float(s), such as {fractional[0].item()!r}; class labels must be discrete. Bin "
            "them, or convert them to strings or categories."
        )
    if mask.all() and not floated:
        return values
    if len(present) and float(np.abs(present).max()) > 2**53:
        raise ValueError(
            f"Task {name!r} holds floats beyond 2**53, above which integers are no longer told "
            "apart. Use an integer column that can hold missing values, such as Int64, or text."
        )
    integers = np.zeros(len(values), dtype=np.int64)
    integers[mask] = present.astype(np.int64)
    return integers


# ------------------------------------------------------------------------------------------------
# Weights and names
# ------------------------------------------------------------------------------------------------


def read_cell_weight(sample_weight: Any, table: LabelTable) -> np.ndarray | None:
    """Read sample weights: one per row, or one per cell.

    Parameters
    ----------
    sample_weight : None, array-like of shape (n_samples,) or (n_samples, n_tasks)
        Non-negative weights. A DataFrame is aligned to the tasks by its columns' names. What
        stands at a cell without a label is not looked at.
    table : LabelTable
        y as read.

    Returns
    -------
    cell_weight : ndarray of float64 of shape (n_samples, n_tasks) or None
        0 where the label is missing; None if `sample_weight` is None.

    Raises
    ------
    ValueError
        If the shape does not fit, a labelled cell's weight is negative, NaN or infinite, or all
        of them are zero.
    """
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
    if labelled.size and not labelled.any():
        raise ValueError(
            "sample_weight is zero on every labelled cell: at least one weight must be positive."
        )
    largest = labelled.max(initial=0)
    if labelled.size and not np.finfo(np.float32).tiny <= largest <= np.finfo(np.float32).max:
        raise ValueError(
            "sample_weight is out of the range of float32, in which training computes: the "
            f"largest weight is {largest}. Rescale the weights, for instance to mean 1."
        )
    weight = _scale_weight(weight, largest)
    # A weight that vanishes in float32 is a weight of 0.
    counts = table.label_mask & (np.where(table.label_mask, weight, 0) >= _SMALLEST_WEIGHT)
    return np.where(counts, weight, 0.0)


def read_missing_weight(sample_weight: Any, table: LabelTable) -> np.ndarray:
    """Read the sample weights of the cells without a label.

    Parameters
    ----------
    sample_weight : None, array-like of shape (n_samples,) or (n_samples, n_tasks)
        As for `read_cell_weight`; what stands at a cell with a label is not looked at.
    table : LabelTable
        y as read.

    Returns
    -------
    missing_weight : ndarray of float32 of shape (n_samples, n_tasks)
        0 where there is a label, 1 elsewhere without sample weights.

    Raises
    ------
    ValueError
        If the weight of a missing cell is negative, NaN or infinite.
    """
    is_missing = ~table.label_mask
    if sample_weight is None:
        return is_missing.astype(np.float32)
    weight = _shape_weight(sample_weight, table)
    is_bad = is_missing & ~(np.isfinite(weight) & (weight >= 0))
    if is_bad.any():
        row, task = np.argwhere(is_bad)[0]
        raise ValueError(
            "sample_weight must be finite and not negative on cells without a label, too, if "
            f"unlabelled cells are learned from. Got others in {int(is_bad.sum())} of "
            f"{int(is_missing.sum())} cells without a label, the first in row {row}, task "
            f"{table.task_names[task]!r}. A weight of 0 leaves a cell out."
        )
    weight = np.where(is_missing, weight, 0)
    return _scale_weight(weight, weight.max(initial=0)).astype(np.float32)


def _shape_weight(sample_weight: Any, table: LabelTable) -> np.ndarray:
    """Return weights as numbers by cell, whatever stands at those without a label."""
    shape = table.label_mask.shape
    if nw.dependencies.is_into_dataframe(sample_weight):
        frame = nw.from_native(sample_weight, eager_only=True)
        names = list(frame.columns)
        wanted = [str(n) if not isinstance(n, str) else n for n in table.task_names]
        if table.form.kind == "frame" and set(wanted) == {str(n) for n in names}:
            frame = frame[:, [[str(n) for n in names].index(w) for w in wanted]]
        elif table.form.kind == "frame":
            raise ValueError(
                "The columns of sample_weight must be the tasks of y "
                f"({enumerate_some([repr(n) for n in table.task_names])}). "
                f"Got {enumerate_some([repr(n) for n in names])}."
            )
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


def _scale_weight(weight: np.ndarray, largest: float) -> np.ndarray:
    """Return weights times a power of two, so that float32 holds their sums."""
    # Sums of weights and of weighted losses must stay within float32. Only proportions count, and
    # a power of two changes no bit of them.
    exponent = int(np.frexp(largest)[1])
    shift = int(np.clip(exponent, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)) - exponent
    return np.ldexp(weight, shift) if shift else weight


def _count_and_place(is_bad: np.ndarray, table: LabelTable) -> str:
    """Return how many labelled cells have bad weights, and where the first is."""
    bad = is_bad & table.label_mask
    row, task = np.argwhere(bad)[0]
    return (
        f"{int(bad.sum())} of {int(table.label_mask.sum())} labelled cells, the first in row "
        f"{row}, task {table.task_names[task]!r}"
    )


_LARGEST_EXPONENT = 40
_SMALLEST_WEIGHT = float(np.finfo(np.float32).tiny)


def _as_numbers(sample_weight: Any) -> np.ndarray:
    """Return weights as float64, None as NaN."""
    if sp.issparse(sample_weight):
        raise TypeError("sample_weight must be dense. Got a sparse matrix; use toarray().")
    if isinstance(sample_weight, (str, dict)):
        raise TypeError(
            "sample_weight must be an array of a weight per row or per cell. "
            f"Got {sample_weight!r}; weights of classes go into class_weight."
        )
    try:
        given = np.asarray(sample_weight)
        if given.dtype.kind in "cUSMm":
            raise TypeError(f"got {'text' if given.dtype.kind in 'US' else given.dtype.name}")
        return given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must hold numbers: {error}".rstrip(".") + ".") from error
