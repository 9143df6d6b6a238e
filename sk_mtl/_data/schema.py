"""Targets: from labels to codes, mask and cell weights, and back to the form of y.

Owns the classes of the tasks. Every later module sees integer codes and a boolean mask; a code
under the mask is 0 and is never read. Does not know the estimator, the network or the loss.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from sk_mtl._data.classes import (
    index_labels,
    read_classes,
    refuse_identifiers,
    refuse_other_kind,
    sort_classes,
)
from sk_mtl._data.label_values import as_comparable, as_objects, common_dtype, object_array
from sk_mtl._data.labels import LabelTable, TargetForm, equals_any, read_labels
from sk_mtl._data.missing_labels import find_missing_words, refuse_missing_words
from sk_mtl._data.row_order import row_labels
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["EncodedTargets", "TargetSchema", "has_missing_labels", "make_class_index"]


@dataclass(frozen=True)
class EncodedTargets:
    """Targets as arrays of shape (n_samples, n_tasks)."""

    codes: np.ndarray  # int32 class indices; 0 where masked, -1 for an unknown label that is kept
    label_mask: np.ndarray  # whether a label is present and has weight
    cell_weight: np.ndarray  # float32; 0 where masked


@dataclass(frozen=True)
class TargetSchema:
    """What `fit` learns about y: tasks, their classes, and the form of y."""

    task_names: tuple[Hashable, ...]
    classes: tuple[np.ndarray, ...]  # sorted; empty for a task without labels or listed classes
    form: TargetForm

    @classmethod
    def from_table(cls, table: LabelTable, classes: Any = None) -> TargetSchema:
        """Take the classes of each task from `classes`, its categories, or its labels."""
        fixed = read_classes(classes, table.task_names, table.missing)
        table.check_labels({t for t, given in fixed.items() if given is not None})
        found: list[np.ndarray] = []
        for t, column in enumerate(table.columns):
            categories, given = table.form.categories[t], fixed.get(t)
            if given is not None:
                found.append(given)
            elif categories is not None and len(categories[0]):
                hidden = equals_any(np.asarray(categories[0]), table.missing[t])
                found.append(sort_classes(categories[0][~hidden], table.task_names[t]))
            else:
                present = column[table.label_mask[:, t]]
                found.append(sort_classes(present, table.task_names[t]))
                counts = table.counts(t)
                n_labels = len(present) if counts is None else int(counts.sum())
                refuse_identifiers(found[-1], n_labels, table.task_names[t])
        return cls(table.task_names, tuple(found), table.form)

    @property
    def is_1d(self) -> bool:
        """Whether y was one task in 1-D form."""
        return self.form.kind == "array_1d"

    @property
    def n_classes(self) -> tuple[int, ...]:
        """Number of classes of each task."""
        return tuple(len(c) for c in self.classes)

    def class_index(self) -> pd.MultiIndex:
        """Return an index of the (task, class) pairs."""
        pairs = [
            (name, label)
            for name, classes in zip(self.task_names, self.classes, strict=True)
            for label in as_objects(classes).tolist()
        ]
        numbers = [c for c in self.classes if len(c) and c.dtype.kind in "biuf"]
        kinds = {c.dtype.kind for c in numbers}
        # pandas alone would round integers beside floats, and take True and 1 for one label.
        if numbers and (common_dtype(numbers).kind == "O" or ("b" in kinds and len(kinds) > 1)):
            return make_class_index(pairs)
        return pd.MultiIndex.from_tuples(pairs, names=["task", "class"])

    def align(self, table: LabelTable, *, may_lack_tasks: bool = False) -> LabelTable:
        """Return a table with its columns in the order of the tasks of this schema."""
        # All labels of a task that is lacking are missing.
        names, given = self.task_names, table.task_names
        has_names = table.form.kind == self.form.kind == "frame"
        if table.n_tasks != len(names) and not (has_names and may_lack_tasks):
            raise ValueError(
                f"y must have one column per task: {len(names)} "
                f"({enumerate_some([repr(n) for n in names])}). Got {table.n_tasks}."
            )
        if not has_names or given == names:
            return table
        missing = [repr(n) for n in names if n not in given]
        unknown = [repr(n) for n in given if n not in names]
        if may_lack_tasks and unknown:
            raise ValueError(
                f"Y must have columns seen in fit, {enumerate_some([repr(n) for n in names])}; "
                f"unknown: {enumerate_some(unknown)}."
            )
        if missing and not may_lack_tasks:
            raise ValueError(
                f"y must have the columns seen in fit; missing: {enumerate_some(missing)}. "
                f"Got {enumerate_some([repr(n) for n in given])}."
            )
        place = {name: k for k, name in enumerate(given)}
        nothing, nowhere = np.full(table.n_samples, None), np.zeros(table.n_samples, dtype=bool)
        columns = [table.columns[place[n]] if n in place else nothing for n in names]
        masks = [table.label_mask[:, place[n]] if n in place else nowhere for n in names]
        return replace(
            table,
            columns=tuple(columns),
            label_mask=np.column_stack(masks),
            task_names=names,
            missing=tuple(table.missing[place[n]] if n in place else () for n in names),
        )

    def encode(
        self,
        table: LabelTable,
        cell_weight: np.ndarray | None = None,
        *,
        unknown: Literal["error", "keep"] = "error",
    ) -> EncodedTargets:
        """Encode an aligned table; an unknown label is an error, or is kept as -1."""
        mask = table.label_mask if cell_weight is None else table.label_mask & (cell_weight > 0)
        codes = np.zeros(mask.shape, dtype=np.int32)
        for t, (column, classes) in enumerate(zip(table.columns, self.classes, strict=True)):
            present = table.label_mask[:, t]
            found = index_labels(column[present], classes)
            refuse_missing_words(column[present][found < 0], self.task_names[t])
            if unknown == "error" and (found < 0).any():
                strangers = pd.unique(as_comparable([column[present][found < 0]])[0])
                raise ValueError(
                    f"Task {quote(self.task_names[t])} has {int((found < 0).sum())} label(s) "
                    "outside its classes "
                    f"({enumerate_some(map(repr, classes.tolist())) or 'none'}): "
                    f"{enumerate_some(map(repr, strangers.tolist()))}. Correct them, or list every "
                    "class in `classes`."
                )
            if unknown == "keep" and (found < 0).all():
                refuse_other_kind(column[present], classes, self.task_names[t])
            codes[present, t] = found
        codes[~mask] = 0
        weight = mask.astype(np.float32)
        if cell_weight is not None:
            weight *= np.where(mask, cell_weight, 0)
        return EncodedTargets(codes, mask, weight)

    def decode(self, codes: np.ndarray, has_labels: np.ndarray, like: Any = None) -> Any:
        """Decode predicted codes to the form of y; tasks without labels are missing."""
        columns = [
            self.classes[t].take(codes[:, t]) if has_labels[t] else None
            for t in range(len(self.classes))
        ]
        if self.form.kind == "frame":
            return self._decode_frame(columns, len(codes), like)
        arrays = [
            _missing_column(c, len(codes)) if column is None else column
            for column, c in zip(columns, self.classes, strict=True)
        ]
        if self.is_1d:
            return arrays[0]
        kinds = {a.dtype.kind for a in arrays}
        # Of the classes, so that the rows do not decide whether integers would be rounded.
        known = [
            a if column is None else c
            for a, column, c in zip(arrays, columns, self.classes, strict=True)
        ]
        are_numbers = kinds <= set("iuf") and common_dtype(known).kind != "O"
        if len({a.dtype for a in arrays}) == 1 or are_numbers or kinds == {"U"}:
            return np.column_stack(arrays)
        return np.column_stack([a.astype(object) for a in arrays])

    def _decode_frame(self, columns: list[np.ndarray | None], n: int, like: Any) -> Any:
        """Return decoded columns as a DataFrame of the library of y."""
        form = self.form
        if form.backend == "pandas":
            index = row_labels(like)
            series = [
                _pandas_column(column, n, form.dtypes[t], form.categories[t], self.classes[t])
                for t, column in enumerate(columns)
            ]
            frame = pd.concat(series, axis=1) if series else pd.DataFrame()
            # Set apart from the concatenation: names may be of mixed types or tuples.
            frame.columns = pd.Index(self.task_names).set_names(list(form.level_names))
            return frame if index is None else frame.set_axis(index, axis=0)
        made = []
        for t, column in enumerate(columns):
            values = [None] * n if column is None else column.tolist()
            dtype = form.dtypes[t]
            if dtype == nw.Unknown:  # Arrow's null column
                dtype = None
            elif column is not None and column.dtype.kind in "iu" and dtype.is_float():
                dtype = nw.Int64()
            made.append(_narwhals_column(str(self.task_names[t]), values, dtype, form.backend))
        return nw.from_dict({s.name: s for s in made}).to_native()


def make_class_index(pairs: list[tuple[Any, Any]]) -> pd.MultiIndex:
    """Return an index of (task, class) pairs that keeps names and labels as they are."""
    levels = [
        pd.Index(object_array(values), dtype=object, tupleize_cols=False)
        for values in ([task for task, _ in pairs], [label for _, label in pairs])
    ]
    return pd.MultiIndex.from_arrays(levels, names=["task", "class"])


def has_missing_labels(y: Any, *, missing_label: Any = None, classes: Any = None) -> bool:
    """Return whether any label of y is missing, or its text is; False if y cannot be read."""
    try:
        table = read_labels(y, missing_label=missing_label)
        listed = read_classes(classes, table.task_names, table.missing)
    except (ValueError, TypeError):
        return False
    return not table.label_mask.all() or any(
        listed.get(t) is None and not table.declares(t) and find_missing_words(column)
        for t, column in enumerate(table.columns)
    )


def _narwhals_column(name: str, values: list[Any], dtype: Any, backend: Any) -> Any:
    """Return values as a series of a library, of the dtype they had in y if possible."""
    try:
        return nw.new_series(name, values, dtype, backend=backend)
    except (NotImplementedError, TypeError):
        # Older versions of narwhals know no decimals of polars, and of pyarrow no dictionaries.
        return nw.new_series(name, values, backend=backend)


def _missing_column(classes: np.ndarray, n: int) -> np.ndarray:
    """Return n missing labels, in a dtype that fits the task's classes."""
    if classes.dtype.kind in "iuf":
        return np.full(n, np.nan)
    return np.full(n, None, dtype=object)


def _pandas_column(
    column: np.ndarray | None,
    n: int,
    dtype: Any,
    categories: tuple[np.ndarray, bool] | None,
    classes: np.ndarray,
) -> pd.Series:
    """Return decoded labels as a pandas column of the dtype the task had in y."""
    if categories is not None:
        values = np.full(n, None, dtype=object) if column is None else column
        return pd.Series(pd.Categorical(values, categories[0], ordered=categories[1]))
    is_numpy = isinstance(dtype, np.dtype)
    if column is None:
        series = pd.Series(_missing_column(classes, n))
        # NumPy's integers and booleans know no missing label.
        return series if is_numpy and dtype.kind in "biu" else _cast(series, dtype)
    series = pd.Series(column)
    if column.dtype.kind in "iu" and pd.api.types.is_float_dtype(dtype):
        return series
    if isinstance(dtype, pd.DatetimeTZDtype):
        return series.dt.tz_localize("UTC").astype(dtype)
    return _cast(series, dtype)


def _cast(series: pd.Series, dtype: Any) -> pd.Series:
    """Return a column in a dtype, or unchanged if the dtype cannot hold it."""
    try:
        return series.astype(dtype)
    except (ValueError, TypeError, NotImplementedError):
        pass
    try:  # some dtypes take Python's objects only
        return pd.Series(pd.array(series.tolist(), dtype=dtype))
    except (ValueError, TypeError, NotImplementedError):
        return series
