"""Labels: y in any supported form, read as a column per task and a mask of the labels present.

Owns what a missing label is: no later module looks for one. Does not know classes or codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

from sk_mtl._data.containers import open_table
from sk_mtl._data.label_values import (
    as_comparable,
    as_integers,
    as_whole_numbers,
    in_native_order,
    in_native_order_series,
)
from sk_mtl._data.missing_labels import (
    missing_by_task,
    refuse_missing_words,
    warn_of_doubtful_labels,
)
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = [
    "LabelTable",
    "equals_any",
    "read_labels",
]

# Labels this near to whole numbers are whole numbers that a file or a computation has changed.
_ROUNDING_ERROR = 1e-6


@dataclass(frozen=True)
class TargetForm:
    """The form of y, which predictions take again."""

    kind: Literal["frame", "array_1d", "array_2d"]  # a Series or (n, 1) array counts as 1-D
    backend: str | None  # the library of a DataFrame, by narwhals's name; None for arrays
    dtypes: tuple[Any, ...]  # by column of a DataFrame: pandas's, or narwhals's for other libraries
    categories: tuple[tuple[np.ndarray, bool] | None, ...]  # (categories, ordered) by column
    level_names: tuple[Hashable, ...] = ()  # of a pandas DataFrame's columns


@dataclass(frozen=True)
class LabelTable:
    """y as read: a column of labels per task and the mask of the labelled cells."""

    columns: tuple[np.ndarray, ...]  # what lies under the mask is arbitrary
    label_mask: np.ndarray  # of shape (n_samples, n_tasks)
    task_names: tuple[Hashable, ...]
    form: TargetForm
    missing: tuple[tuple[Any, ...], ...]  # by task, besides NaN, None, NaT and NA
    # Of a table of distinct labels: the number of cells that each stands for.
    cell_counts: np.ndarray | None = None

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

    def declares(self, t: int) -> bool:
        """Return whether a column declares its classes itself: its categories have an order."""
        # Those of an unordered column may be what astype("category") found.
        categories = self.form.categories[t]
        return categories is not None and categories[1]

    def counts(self, t: int) -> np.ndarray | None:
        """Return the numbers of cells that the labels of a task stand for; None for one each."""
        return None if self.cell_counts is None else self.cell_counts[self.label_mask[:, t], t]

    def check_labels(self, listed: Container[int] = ()) -> None:
        """Refuse the text of missing labels, and warn of what may be one, but for listed tasks."""
        for t, name in enumerate(self.task_names):
            if t not in listed and not self.declares(t):
                present = self.columns[t][self.label_mask[:, t]]
                refuse_missing_words(present, name, self.counts(t))
                warn_of_doubtful_labels(present, self.missing[t], name, self.counts(t))


def read_labels(
    y: Any, *, missing_label: Any = None, task_names: Sequence[Hashable] | None = None
) -> LabelTable:
    """Read y in any supported form; `task_names` are those of a y that has no names of its own."""
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None. "
            "Pass one column of class labels per task, NaN where a label is missing."
        )
    y = open_table(y, "y")
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
    if nw.dependencies.is_into_dataframe(y):
        raw, names, form = _columns_of_frame(nw.from_native(y, eager_only=True))
    elif nw.dependencies.is_into_series(y):
        series = nw.from_native(y, series_only=True)
        column, _, categories = _column_of_series(series)
        raw, names = [column], (series.name if series.name not in (None, "") else "y0",)
        form = TargetForm("array_1d", None, (None,), (categories,))
    else:
        raw, names, form = _columns_of_array(y)
    if not raw or len(raw[0]) == 0:
        raise ValueError(
            f"y must have at least one row and one task. Got {len(raw[0]) if raw else 0} row(s) "
            f"and {len(raw)} task(s)."
        )
    _refuse_duplicates(names)
    # One missing label in an array has turned the integers of all its columns into floats.
    floated = form.kind == "array_2d" and any(
        c.dtype.kind == "f" and np.isnan(c).any() for c in raw
    )
    if form.kind != "frame" and task_names is not None and len(task_names) == len(names):
        names = tuple(task_names)
    known_as = names if task_names is None or set(names) == set(task_names) else task_names
    missing = missing_by_task(missing_label, known_as)
    # Whoever has asked for these tasks refuses another number of them.
    missing = (*missing, *((),) * len(names))[: len(names)]
    read = [
        _labels_of_column(c, name, of_task, floated)
        for c, name, of_task in zip(raw, names, missing, strict=True)
    ]
    columns, masks = zip(*read, strict=True)
    return LabelTable(columns, np.column_stack(masks), names, form, missing)


def _refuse_duplicates(names: tuple[Hashable, ...]) -> None:
    """Refuse duplicate task names."""
    duplicates = sorted({repr(name) for name, count in Counter(names).items() if count > 1})
    if duplicates:
        raise ValueError(
            f"Task names must be unique: y has several columns named {enumerate_some(duplicates)}. "
            "Rename them."
        )


def _columns_of_frame(
    frame: nw.DataFrame,
) -> tuple[list[np.ndarray], tuple[Hashable, ...], TargetForm]:
    """Return the raw columns of a DataFrame, their names, and its form."""
    is_pandas = nw.dependencies.is_pandas_like_dataframe(frame.to_native())
    names = tuple(frame.to_native().columns) if is_pandas else tuple(frame.columns)
    read = [_column_of_series(frame[:, position]) for position in range(len(names))]
    form = TargetForm(
        "frame",
        backend=str(frame.implementation.value),
        dtypes=tuple(dtype for _, dtype, _ in read),
        categories=tuple(categories for _, _, categories in read),
        level_names=tuple(frame.to_native().columns.names) if is_pandas else (),
    )
    return [column for column, _, _ in read], names, form


def _column_of_series(
    series: nw.Series,
) -> tuple[np.ndarray, Any, tuple[np.ndarray, bool] | None]:
    """Return a raw column (None or NaN where missing), its dtype and its categories."""
    native = series.to_native()
    is_pandas = nw.dependencies.is_pandas_like_series(native)
    if isinstance(native, pd.Series):
        native = in_native_order_series(native)
        series = nw.from_native(native, series_only=True)
    dtype = native.dtype if is_pandas else series.dtype
    if is_pandas and isinstance(native.dtype, pd.CategoricalDtype):
        fixed = (np.asarray(native.cat.categories), bool(native.cat.ordered))
        return native.astype(object).to_numpy(), dtype, fixed
    if isinstance(series.dtype, nw.Categorical | nw.Enum):
        # Only an Enum fixes its classes: a polars Categorical shares its categories with others.
        categories = series.dtype.categories if isinstance(series.dtype, nw.Enum) else None
        raw = np.asarray(series.cast(nw.String).to_list(), dtype=object)
        return raw, dtype, None if categories is None else (np.asarray(categories), True)
    if series.dtype in (nw.Int128, nw.UInt128):  # which NumPy does not have
        return np.asarray(series.to_list(), dtype=object), dtype, None
    if series.dtype.is_nested():
        raise ValueError(
            f"The labels of task {quote(series.name)} must be scalars. Got {series.dtype}."
        )
    is_null = series.is_null().to_numpy()
    if not is_null.any() or series.dtype.is_float() or series.dtype.is_temporal():
        return np.asarray(series.to_numpy()), dtype, None
    raw = np.full(len(series), None, dtype=object)
    raw[~is_null] = np.asarray(series.filter(~series.is_null()).to_numpy(), dtype=object)
    return raw, dtype, None


def _columns_of_array(
    y: Any,
) -> tuple[list[np.ndarray], tuple[Hashable, ...], TargetForm]:
    """Return the raw columns of an array-like, generated names, and its form."""
    if isinstance(y, np.ndarray) and y.dtype.kind == "V":
        raise ValueError("y holds structured records; labels must be scalars.")
    if isinstance(y, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(y)
        values = y.data.astype(y.dtype if y.dtype.kind in "Mm" else object)
        values[hidden] = None
    elif isinstance(y, (list, tuple)):
        # As objects first: NumPy would turn [“a”, nan] into two strings.
        values = array_of_sequence(y)
    else:
        values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1 and len(values) and isinstance(values[0], (list, tuple, np.ndarray)):
        if len({np.shape(row) for row in values}) == 1:
            raise ValueError(
                f"The labels of a 1-D y must be scalars. Got {type(values[0]).__name__}. For "
                "several tasks, pass a DataFrame or y.tolist()."
            )
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
    """Return a list (of lists) as an object array, or as NumPy would if nothing is lost."""
    try:
        values = np.array(y, dtype=object)
    except ValueError as error:
        raise ValueError(
            "y must be 1-D or 2-D with rows of equal length. Got a ragged sequence."
        ) from error
    kind = pd.api.types.infer_dtype(values.ravel(), skipna=False) if values.ndim <= 2 else ""
    if kind == "integer":  # np.array would round where a column of int64 stands beside uint64
        return as_integers(values.ravel()).reshape(values.shape)
    return np.array(y) if kind in ("string", "boolean") else values


def _labels_of_column(
    raw: np.ndarray, name: Hashable, missing: tuple[Any, ...], floated: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return a column's labels in their natural dtype, and its mask."""
    if raw.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: task {quote(name)} of y holds complex numbers."
        )
    if raw.dtype.kind == "V":
        raise ValueError(
            f"Task {quote(name)} of y holds structured records; labels must be scalars."
        )
    raw = in_native_order(raw)  # first: pandas sees no NaT in another byte order
    mask = ~np.asarray(pd.isna(raw)) & ~equals_any(raw, missing)
    values = natural_dtype(raw, mask, name) if raw.dtype.kind == "O" else raw
    if values.dtype.kind == "f":
        values = _integral_floats(values, mask, name, floated)
    return values, mask


def equals_any(raw: np.ndarray, missing: tuple[Any, ...]) -> np.ndarray:
    """Return where a column equals one of the values that mean "missing"."""
    found = np.zeros(len(raw), dtype=bool)
    for value in missing:
        found |= _equals(raw, value)
    return found


def _equals(raw: np.ndarray, missing_label: Any) -> np.ndarray:
    """Return where a column equals a missing label; True is not 1 and False is not 0 here."""
    nowhere = np.zeros(len(raw), dtype=bool)
    is_bool = isinstance(missing_label, (bool, np.bool_))
    if raw.dtype.kind == "O":
        found = [
            v is not None
            and v is not pd.NA
            and isinstance(v, (bool, np.bool_)) == is_bool
            and v == missing_label
            for v in raw
        ]
        return np.fromiter(found, dtype=bool, count=len(raw))
    wanted = {"U": str, "S": bytes, "M": (pd.Timestamp, np.datetime64), "m": pd.Timedelta}
    fits = wanted.get(raw.dtype.kind, (int, float, bool, np.number, np.bool_))
    if is_bool != (raw.dtype.kind == "b") or not isinstance(missing_label, fits):
        return nowhere
    if raw.dtype.kind in "iu":
        raw, (missing_label,) = as_comparable([raw, np.asarray([missing_label])])
    if raw.dtype.kind in "Mm":
        missing_label = getattr(missing_label, "to_numpy", lambda: missing_label)()
    return np.asarray(raw == missing_label)


def natural_dtype(raw: np.ndarray, mask: np.ndarray, name: Hashable) -> np.ndarray:
    """Return an object column as numbers or booleans if it holds only those."""
    present = raw[mask]
    kind = pd.api.types.infer_dtype(present, skipna=False)
    convert = {
        "boolean": lambda labels: labels.astype(np.bool_),
        "integer": as_integers,
        "floating": lambda labels: labels.astype(np.float64),
        "mixed-integer-float": as_whole_numbers,
        "decimal": as_whole_numbers,
    }.get(kind)
    if convert is not None:
        converted = convert(present)
        values: np.ndarray = np.zeros(len(raw), dtype=converted.dtype)
        values[mask] = converted
        return values
    nested = sorted({type(v).__name__ for v in present if pd.api.types.is_list_like(v)})
    if kind.startswith("mixed") and nested:
        raise ValueError(
            f"The labels of task {quote(name)} must be scalars. Got {enumerate_some(nested)}."
        )
    if kind not in ("empty", "string", "bytes", "date", "datetime", "datetime64", "categorical"):
        types = sorted({type(v).__name__ for v in present})
        if len(types) > 1:
            refuse_missing_words(present, name)
            raise ValueError(
                f"Unknown label type: unknown. The labels of a task must be of one type; task "
                f"{quote(name)} mixes {enumerate_some(types)}. Convert the column to one type."
            )
    return raw


def _integral_floats(
    values: np.ndarray, mask: np.ndarray, name: Hashable, floated: bool
) -> np.ndarray:
    """Refuse continuous targets; restore the integers that NaN turned into floats."""
    present = values[mask]
    n_infinite = int(np.isinf(present).sum())
    if n_infinite:
        raise ValueError(
            f"Input y contains infinity: task {quote(name)} has {n_infinite} infinite value(s). "
            "Labels must be finite; NaN marks a missing one."
        )
    fractional = present[present != np.floor(present)]
    if len(fractional):
        raise ValueError(
            f"Unknown label type: continuous. Task {quote(name)} holds {len(fractional)} "
            f"non-integral number(s), such as {quote(fractional[0].item())}; class labels must be "
            f"discrete. {_advise(present)}"
        )
    if mask.all() and not floated:
        return values
    if len(present) and float(np.abs(present).max()) > 2**53:
        raise ValueError(
            f"Task {quote(name)} holds floats above 2**53, where not every integer has its own "
            "float. Use an integer column that can hold missing values, such as Int64, or text."
        )
    integers = np.zeros(len(values), dtype=np.int64)
    integers[mask] = present.astype(np.int64)
    return integers


def _advise(numbers: np.ndarray) -> str:
    """Return what to do with labels of which some are not whole numbers."""
    if float(np.abs(numbers - np.round(numbers)).max()) <= _ROUNDING_ERROR:
        return (
            f"All lie within {_ROUNDING_ERROR:g} of whole numbers: round them, as y.round() does."
        )
    return "Bin them, or convert them to text if each number is a class."
