"""Targets: from labels to codes, mask and cell weights, and back to the form that y had.

Owns which classes a task has. Missing labels end here: every other module sees integer codes and
a boolean mask, and a code under the mask is 0 and is never read. Does not know the estimator, the
network or the loss.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from sk_mtl._data.labels import (
    LabelTable,
    TargetForm,
    array_of_sequence,
    equals_sentinel,
    natural_dtype,
)
from sk_mtl._names import did_you_mean
from sk_mtl._tasks import enumerate_some, resolve_task

# More classes than this, with hardly two labels each, are taken for identifiers.
_MAX_CLASSES_BY_ROW = 1000
_MAX_CLASS_WEIGHT = 1e9  # so that float32 holds the sums of weights

__all__ = [
    "EncodedTargets",
    "TargetSchema",
    "class_frequencies",
    "class_weight_factors",
    "weigh_classes",
]


@dataclass(frozen=True)
class EncodedTargets:
    """Targets as the training loop reads them.

    Attributes
    ----------
    codes : ndarray of int32 of shape (n_samples, n_tasks)
        Class index per cell; 0 where masked; -1 for a label outside the classes, where
        `TargetSchema.encode` was asked to let those pass.
    label_mask : ndarray of bool of shape (n_samples, n_tasks)
        True where a label is present and has weight.
    cell_weight : ndarray of float32 of shape (n_samples, n_tasks)
        Weight per cell; 0 where masked.
    """

    codes: np.ndarray
    label_mask: np.ndarray
    cell_weight: np.ndarray


# ------------------------------------------------------------------------------------------------
# Classes, codes, and the way back
# ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TargetSchema:
    """What `fit` learned about y: tasks, their classes, and the form of y.

    Attributes
    ----------
    task_names : tuple
        One name per task.
    classes : tuple of ndarray
        The sorted classes of each task; empty for a task without any label or fixed class.
    form : TargetForm
        The form y had.
    """

    task_names: tuple[Hashable, ...]
    classes: tuple[np.ndarray, ...]
    form: TargetForm

    @classmethod
    def from_table(cls, table: LabelTable, classes: Any = None) -> TargetSchema:
        """Learn the classes of each task from its labels, categories, or `classes`.

        Parameters
        ----------
        table : LabelTable
            y as read.
        classes : None, mapping, or sequence, default=None
            Fixed classes: ``{task: labels}``, one sequence per task, or for one task the labels
            themselves. A task that is not named takes its categories, or else the labels found.

        Returns
        -------
        schema : TargetSchema
            The tasks and their classes.
        """
        fixed = _fixed_classes(classes, table)
        found: list[np.ndarray] = []
        for t, column in enumerate(table.columns):
            categories, given = table.form.categories[t], fixed[t]
            if given is not None:
                found.append(given)
            elif categories is not None and len(categories[0]):
                hidden = equals_sentinel(np.asarray(categories[0]), table.missing_label)
                found.append(_sorted_unique(categories[0][~hidden], table.task_names[t]))
            else:
                present = column[table.label_mask[:, t]]
                found.append(_sorted_unique(present, table.task_names[t]))
                _refuse_identifiers(found[-1], len(present), table.task_names[t])
        return cls(table.task_names, tuple(found), table.form)

    @property
    def is_1d(self) -> bool:
        """Whether y was one task in 1-D form."""
        return self.form.kind == "array_1d"

    @property
    def n_classes(self) -> tuple[int, ...]:
        """Number of classes of each task."""
        return tuple(len(c) for c in self.classes)

    def align(self, table: LabelTable) -> LabelTable:
        """Return another y's columns in the order of the tasks of this schema.

        Parameters
        ----------
        table : LabelTable
            y as read, of a frame in any order of columns, or of an array in task order.

        Returns
        -------
        table : LabelTable
            The same labels, a column per task of the schema.
        """
        names = self.task_names
        if table.n_tasks != len(names):
            raise ValueError(
                f"y must have one column per task: {len(names)} "
                f"({enumerate_some([repr(n) for n in names])}). Got {table.n_tasks}."
            )
        if table.form.kind != "frame" or self.form.kind != "frame" or table.task_names == names:
            return table
        missing = [repr(n) for n in names if n not in table.task_names]
        if missing:
            raise ValueError(
                f"y must have the columns seen in fit; missing: {enumerate_some(missing)}. "
                f"Got {enumerate_some([repr(n) for n in table.task_names])}."
            )
        order = [table.task_names.index(n) for n in names]
        columns = tuple(table.columns[i] for i in order)
        return replace(
            table, columns=columns, label_mask=table.label_mask[:, order], task_names=names
        )

    def encode(
        self,
        table: LabelTable,
        cell_weight: np.ndarray | None = None,
        *,
        unknown: Literal["error", "keep"] = "error",
    ) -> EncodedTargets:
        """Turn labels into codes.

        Parameters
        ----------
        table : LabelTable
            y as read, aligned to this schema.
        cell_weight : ndarray of shape (n_samples, n_tasks), default=None
            Weights as `read_cell_weight` gives them; a weight of 0 masks the cell. None means 1.
        unknown : {"error", "keep"}, default="error"
            Whether a label outside the classes is an error, or is kept with the code -1.

        Returns
        -------
        targets : EncodedTargets
            Codes, mask and weights.
        """
        mask = table.label_mask if cell_weight is None else table.label_mask & (cell_weight > 0)
        codes = np.zeros(mask.shape, dtype=np.int32)
        for t, (column, classes) in enumerate(zip(table.columns, self.classes, strict=True)):
            present = table.label_mask[:, t]
            found = _index_of_labels(column[present], classes)
            if unknown == "error" and (found < 0).any():
                strangers = pd.unique(_hashable(column[present][found < 0]))
                raise ValueError(
                    f"Task {self.task_names[t]!r} has {int((found < 0).sum())} label(s) outside "
                    f"its classes {enumerate_some([repr(c) for c in classes.tolist()])}: "
                    f"{enumerate_some([repr(s) for s in strangers.tolist()])}. Correct them, or "
                    "name every class in `classes`."
                )
            if unknown == "keep" and (found < 0).all():
                _refuse_other_kind(column[present], classes, self.task_names[t])
            codes[present, t] = found
        codes[~mask] = 0
        weight = mask.astype(np.float32)
        if cell_weight is not None:
            weight *= np.where(mask, cell_weight, 0)
        return EncodedTargets(codes, mask, weight)

    def decode(self, codes: np.ndarray, has_labels: np.ndarray, like: Any = None) -> Any:
        """Turn predicted codes into labels in the form y had.

        Parameters
        ----------
        codes : ndarray of int of shape (n_samples, n_tasks)
            Predicted class indices.
        has_labels : ndarray of bool of shape (n_tasks,)
            A task that is not trained is predicted as missing.
        like : object, default=None
            X; a pandas X gives a predicted pandas frame its index.

        Returns
        -------
        labels : DataFrame or ndarray
            A frame if y was one, else an array of shape (n_samples,) or (n_samples, n_tasks).
        """
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
        if len({a.dtype for a in arrays}) == 1 or kinds <= set("iuf") or kinds == {"U"}:
            return np.column_stack(arrays)
        return np.column_stack([a.astype(object) for a in arrays])

    def _decode_frame(self, columns: list[np.ndarray | None], n: int, like: Any) -> Any:
        """Return decoded columns as a frame of the library y came from."""
        form = self.form
        if form.backend == "pandas":
            index = like.index if isinstance(like, (pd.DataFrame, pd.Series)) else None
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


def _narwhals_column(name: str, values: list[Any], dtype: Any, backend: Any) -> Any:
    """Return values as a series of a library, of the dtype that they had in y if it can be made."""
    try:
        return nw.new_series(name, values, dtype, backend=backend)
    except (NotImplementedError, TypeError):
        # Older versions of narwhals know no decimals of polars, and of pyarrow no dictionaries.
        return nw.new_series(name, values, backend=backend)


def _fixed_classes(classes: Any, table: LabelTable) -> list[np.ndarray | None]:
    """Return the classes fixed by the user, one entry per task, None where not fixed."""
    fixed: list[np.ndarray | None] = [None] * table.n_tasks
    if classes is None:
        return fixed
    if isinstance(classes, Mapping):
        given: dict[int, Any] = {}
        for task, labels in classes.items():
            t = resolve_task(task, table.task_names, parameter="classes")
            if t in given:
                raise ValueError(f"classes names task {table.task_names[t]!r} twice.")
            given[t] = labels
    else:
        items = list(classes)
        nested = bool(items) and all(pd.api.types.is_list_like(c) for c in items)
        if not nested and table.n_tasks == 1:
            items = [items]
        elif not nested or len(items) != table.n_tasks:
            raise ValueError(
                f"classes must be {{task: labels}} or one sequence of labels per task, for "
                f"{table.n_tasks} task(s). Got {classes!r}."
            )
        given = dict(enumerate(items))
    for t, labels in given.items():
        if labels is not None:
            fixed[t] = _fixed_classes_of_task(labels, table.task_names[t], table.missing_label)
    return fixed


def _fixed_classes_of_task(labels: Any, name: Hashable, missing_label: Any) -> np.ndarray:
    """Return the classes that the user fixed for one task."""
    if not pd.api.types.is_list_like(labels):
        raise ValueError(f"classes of task {name!r} must be a sequence of labels. Got {labels!r}.")
    raw = labels if isinstance(labels, np.ndarray) else array_of_sequence(list(labels))
    is_usable = raw.ndim == 1 and len(raw) > 0 and not pd.isna(raw).any()
    if not is_usable or equals_sentinel(raw, missing_label).any():
        raise ValueError(
            f"classes of task {name!r} must be a non-empty 1-D sequence of labels without "
            f"missing ones. Got {labels!r}."
        )
    if raw.dtype.kind == "O":
        raw = natural_dtype(raw, np.ones(len(raw), dtype=bool), name)
    return _sorted_unique(raw, name)


def _refuse_identifiers(classes: np.ndarray, n_labels: int, name: Hashable) -> None:
    """Refuse labels that name their rows: a million classes would take hours or all memory."""
    if len(classes) > _MAX_CLASSES_BY_ROW and 2 * len(classes) > n_labels:
        raise ValueError(
            f"Task {name!r} has {len(classes):,} classes among {n_labels:,} labels, so that it "
            "looks like an identifier, or a number, of the rows. Leave it out or bin it; if these "
            "are classes, name them in `classes`."
        )


def _hashable(values: np.ndarray) -> np.ndarray:
    """Return text as objects, which pandas looks up faster and without a dtype of its own."""
    return values.astype(object) if values.dtype.kind in "US" else values


def _sorted_unique(values: np.ndarray, name: Hashable) -> np.ndarray:
    """Return the distinct labels, sorted."""
    distinct = np.asarray(pd.unique(_hashable(values)))
    try:
        # sorted() and not np.sort for objects: its error names the types.
        ordered = (
            np.array(sorted(distinct.tolist()), dtype=values.dtype)
            if (distinct.dtype.kind == "O")
            else np.sort(distinct)
        )
    except TypeError as error:
        raise ValueError(
            f"Unknown label type: unknown. The labels of task {name!r} cannot be ordered: {error}."
        ) from error
    return ordered.astype(values.dtype, copy=False)


def _index_of_labels(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the position of each label among the classes, -1 where it is none of them."""
    if len(classes) == 0 or len(labels) == 0:
        return np.full(len(labels), -1, dtype=np.int32)
    if classes.dtype.kind in "biuf" and labels.dtype.kind in "biuf":
        positions = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
        return np.where(classes[positions] == labels, positions, -1).astype(np.int32)
    index = pd.Index(_hashable(classes), dtype=object)
    return index.get_indexer(pd.Index(_hashable(labels), dtype=object)).astype(np.int32)


def _refuse_other_kind(labels: np.ndarray, classes: np.ndarray, name: Hashable) -> None:
    """Refuse text where the classes are numbers, and the other way round."""
    are_numbers = [values.dtype.kind in "biuf" for values in (labels, classes)]
    if len(labels) and len(classes) and are_numbers[0] != are_numbers[1]:
        raise ValueError(
            f"The labels of task {name!r} must be of the type seen in fit, such as "
            f"{classes.tolist()[0]!r}. Got {labels.tolist()[0]!r}. Convert them."
        )


def _missing_column(classes: np.ndarray, n: int) -> np.ndarray:
    """Return n missing labels, in a dtype that goes with the task's classes."""
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
    if column.dtype.kind in "iu" and str(dtype).lower().startswith("float"):
        return series
    if isinstance(dtype, pd.DatetimeTZDtype):
        return series.dt.tz_localize("UTC").astype(dtype)
    return _cast(series, dtype)


def _cast(series: pd.Series, dtype: Any) -> pd.Series:
    """Return a column in a dtype, or as it is where the dtype cannot hold it."""
    try:
        return series.astype(dtype)
    except (ValueError, TypeError, NotImplementedError):
        pass
    try:  # some dtypes take Python's objects only
        return pd.Series(pd.array(series.tolist(), dtype=dtype))
    except (ValueError, TypeError, NotImplementedError):
        return series


# ------------------------------------------------------------------------------------------------
# Weights of classes
# ------------------------------------------------------------------------------------------------


def class_frequencies(
    codes: np.ndarray, weight: np.ndarray, n_classes: Sequence[int]
) -> list[np.ndarray]:
    """Return the relative weight of each class among a task's labelled cells.

    Parameters
    ----------
    codes : ndarray of int of shape (n_samples, n_tasks)
        Class indices.
    weight : ndarray of float of shape (n_samples, n_tasks)
        Cell weights, 0 where the label is missing.
    n_classes : sequence of int
        Number of classes of each task.

    Returns
    -------
    frequencies : list of ndarray of shape (n_classes_t,)
        Each sums to 1; uniform for a task without labelled cells.
    """
    frequencies = []
    for t, n in enumerate(n_classes):
        counts = np.bincount(codes[:, t], weights=weight[:, t], minlength=n)
        total = counts.sum()
        frequencies.append(counts / total if total > 0 else np.full(n, 1.0 / n))
    return frequencies


def class_weight_factors(
    class_weight: Any, schema: TargetSchema, targets: EncodedTargets, rows: np.ndarray
) -> list[np.ndarray]:
    """Return the factor on the weight of each class, by task.

    Parameters
    ----------
    class_weight : None, "balanced", or mapping
        None is 1 for every class. "balanced" weighs a class by ``W / (K * W_k)``: the weight of
        the task's labelled cells, over its number of classes present times the weight of the
        class, as scikit-learn does (King & Zeng 2001). A mapping gives per task "balanced" or
        ``{label: weight}``, with 1 for labels it leaves out. For a 1-D y, ``{label: weight}`` may
        be given directly.
    schema : TargetSchema
        Tasks and classes.
    targets : EncodedTargets
        Codes and weights.
    rows : ndarray of int
        The rows that training uses, over which "balanced" counts.

    Returns
    -------
    factors : list of ndarray of float of shape (n_classes_t,)
        One array per task.
    """
    factors = [np.ones(len(classes)) for classes in schema.classes]
    if class_weight is None:
        return factors
    for t, wanted in _class_weight_by_task(class_weight, schema).items():
        if isinstance(wanted, Mapping):
            factors[t] = _listed_class_weight(wanted, schema.classes[t], schema.task_names[t])
        elif len(factors[t]):
            counts = _class_totals(targets, rows, t, len(factors[t]))
            present = counts > 0
            factors[t][present] = counts.sum() / (present.sum() * counts[present])
        counts = _class_totals(targets, rows, t, len(factors[t]))
        if counts.any() and not (counts * factors[t]).any():
            raise ValueError(
                f"class_weight makes the weight of every labelled cell of task "
                f"{schema.task_names[t]!r} zero: a class that has labels must keep a positive "
                "weight."
            )
    return factors


def _class_totals(targets: EncodedTargets, rows: np.ndarray, t: int, n: int) -> np.ndarray:
    """Return the weight of each class of a task over some rows."""
    return np.bincount(targets.codes[rows, t], targets.cell_weight[rows, t], minlength=n)


def weigh_classes(targets: EncodedTargets, factors: Sequence[np.ndarray]) -> np.ndarray:
    """Multiply cell weights by class weights.

    Parameters
    ----------
    targets : EncodedTargets
        Codes and weights.
    factors : sequence of ndarray of shape (n_classes_t,)
        As `class_weight_factors` gives them.

    Returns
    -------
    weight : ndarray of float32 of shape (n_samples, n_tasks)
        Cell weights times class weights; the cell weights themselves if those are all 1.
    """
    if all((factor == 1).all() for factor in factors):
        return targets.cell_weight
    weight = targets.cell_weight.copy()
    for t, factor in enumerate(factors):
        if (factor != 1).any():
            # In float64: the factor of a rare class may be large where its weights are small.
            weight[:, t] = weight[:, t] * factor[targets.codes[:, t]]
    return weight


def _class_weight_by_task(class_weight: Any, schema: TargetSchema) -> dict[int, Any]:
    """Return what is wanted for each task, by position."""
    if isinstance(class_weight, str):
        return dict.fromkeys(range(len(schema.classes)), class_weight)
    if schema.is_1d and not any(isinstance(v, (Mapping, str)) for v in class_weight.values()):
        return {0: class_weight}
    by_task = {
        resolve_task(task, schema.task_names, parameter="class_weight"): wanted
        for task, wanted in class_weight.items()
    }
    for t, wanted in by_task.items():
        if wanted is not None and wanted != "balanced" and not isinstance(wanted, Mapping):
            raise ValueError(
                f"class_weight of task {schema.task_names[t]!r} must be 'balanced', None or "
                f"{{label: weight}}. Got {wanted!r}.{did_you_mean(wanted, ['balanced'])}"
            )
    return {t: wanted for t, wanted in by_task.items() if wanted is not None}


def _listed_class_weight(wanted: Mapping[Any, Any], classes: np.ndarray, name: Hashable) -> Any:
    """Return a factor per class from {label: weight}."""
    labels = array_of_sequence(list(wanted))
    found = _index_of_labels(labels, classes)
    if (found < 0).any():
        strangers = [repr(label) for label, i in zip(wanted, found, strict=True) if i < 0]
        raise ValueError(
            f"class_weight of task {name!r} names {enumerate_some(strangers)}, not among its "
            f"classes {enumerate_some([repr(c) for c in classes.tolist()])}."
            f"{did_you_mean(labels[np.argmax(found < 0)], classes.tolist())}"
        )
    factors = np.ones(len(classes))
    try:
        factors[found] = [np.nan if w is None else w for w in wanted.values()]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"class_weight of task {name!r} must be numbers. Got {wanted!r}."
        ) from error
    in_range = (factors == 0) | (
        (factors >= 1 / _MAX_CLASS_WEIGHT) & (factors <= _MAX_CLASS_WEIGHT)
    )
    if not in_range.all():
        raise ValueError(
            f"class_weight of task {name!r} must be finite and not negative, and 0 or between 1e-9 "
            f"and 1e9. Got {wanted!r}."
        )
    return factors
