"""The learning dataset: X and y of one fit, encoded, and which rows and tasks of it count.

Owns the way from validated X and read y to the arrays that training takes: classes known or
declared, tasks that can be learned, rows to train on and rows to watch. Does not know the network.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_consistent_length

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.categories import Categories
from sk_mtl._data.labels import LabelTable, read_cell_weight, read_labels, read_missing_weight
from sk_mtl._data.schema import (
    EncodedTargets,
    TargetSchema,
    class_frequencies,
    class_weight_factors,
    weigh_classes,
)
from sk_mtl._tasks import enumerate_some, name_series, resolve_task

__all__ = [
    "Dataset",
    "Subset",
    "UnlabelledSubset",
    "check_same_classes",
    "declare_schema",
    "encode_dataset",
    "read_validation",
    "require_labels",
    "warn_of_degenerate_tasks",
]


@dataclass(frozen=True)
class Subset:
    """Rows to train or to validate on: all arrays, and which of their rows count.

    Attributes
    ----------
    X : ndarray of float32 or CSR matrix of shape (n_samples, n_features)
        Features.
    codes : ndarray of int32 of shape (n_samples, n_active_tasks)
        Class indices, 0 where the label is missing.
    weight : ndarray of float32 of shape (n_samples, n_active_tasks)
        Cell weights, 0 where the label is missing.
    rows : ndarray of int32 of shape (n_rows,)
        The rows that count.
    """

    X: Any
    codes: np.ndarray
    weight: np.ndarray
    rows: np.ndarray

    def among(self, rows: np.ndarray) -> Subset:
        """Return the same arrays with those of some rows that count."""
        # A class weight of zero may leave a row without any cell that does.
        return replace(self, rows=rows[self.weight[rows].any(axis=1)])

    def class_frequencies(self, n_classes: tuple[int, ...]) -> list[np.ndarray]:
        """Return the relative weight of each class among the rows that count, by task."""
        return class_frequencies(self.codes[self.rows], self.weight[self.rows], n_classes)


@dataclass(frozen=True)
class UnlabelledSubset:
    """Rows with cells that have no label, to be learned from all the same.

    Attributes
    ----------
    weight : ndarray of float32 of shape (n_samples, n_active_tasks)
        Cell weights, 0 where there is a label.
    rows : ndarray of int32 of shape (n_rows,)
        The rows that count.
    """

    weight: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """X and y of one fit, validated and encoded.

    Attributes
    ----------
    X : ndarray of float32 or CSR matrix of shape (n_samples, n_features)
        Features.
    targets : EncodedTargets
        Codes, mask and weights of all tasks.
    schema : TargetSchema
        Tasks and classes.
    class_weight : object
        As the estimator's parameter.
    missing_weight : ndarray of float32 of shape (n_samples, n_tasks) or None
        Weights of the cells without a label, where these are learned from.
    categories : Categories or None
        The categories that X is coded by.
    """

    X: Any
    targets: EncodedTargets
    schema: TargetSchema
    class_weight: Any
    missing_weight: np.ndarray | None = None
    categories: Categories | None = None

    @cached_property
    def is_learnable(self) -> np.ndarray:
        """Whether a task has classes to tell apart, so that the network learns it."""
        return np.array([n >= 2 for n in self.schema.n_classes])

    @cached_property
    def learnable_names(self) -> tuple[Hashable, ...]:
        """The names of the tasks that the network learns."""
        pairs = zip(self.schema.task_names, self.is_learnable, strict=True)
        return tuple(name for name, active in pairs if active)

    @cached_property
    def series_labels(self) -> tuple[str, ...]:
        """What these tasks are called in the history."""
        pairs = zip(name_series(self.schema.task_names), self.is_learnable, strict=True)
        return tuple(label for label, active in pairs if active)

    @cached_property
    def learnable_classes(self) -> tuple[np.ndarray, ...]:
        """The classes of the tasks that the network learns."""
        return tuple(c for c in self.schema.classes if len(c) >= 2)

    @cached_property
    def rows(self) -> np.ndarray:
        """The rows with a labelled cell of a task that the network learns."""
        # Rows without any never enter training, so they cannot change a bit of it.
        is_labelled = self.targets.label_mask[:, self.is_learnable].any(axis=1)
        return np.flatnonzero(is_labelled).astype(np.int32)

    def class_factors(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return the weights of the classes, "balanced" ones counted over some rows."""
        factors = class_weight_factors(self.class_weight, self.schema, self.targets, rows)
        return [f for f, active in zip(factors, self.is_learnable, strict=True) if active]

    def subset(self, rows: np.ndarray, factors: list[np.ndarray]) -> Subset:
        """Return arrays of the active tasks over some rows, weighed by class weights."""
        learned, active = self.targets, self.is_learnable
        if not active.all():
            learned = EncodedTargets(
                learned.codes[:, active],
                learned.label_mask[:, active],
                learned.cell_weight[:, active],
            )
        weight = weigh_classes(learned, factors)
        return Subset(self.X, learned.codes, weight, rows).among(rows)

    def unlabelled_subset(
        self, training: Subset, watched: Subset | None
    ) -> UnlabelledSubset | None:
        """Return the rows with cells to learn from without a label, none of those held out."""
        if self.missing_weight is None:
            return None
        # Of a task without labels there is nothing to go on from.
        is_taught = (training.weight[training.rows] > 0).any(axis=0)
        weight = self.missing_weight[:, self.is_learnable] * is_taught
        counts = weight.any(axis=1)
        if watched is not None and watched.X is training.X:
            counts[watched.rows] = False
        # Where there are none, rows without any such cell stand for them.
        rows = np.flatnonzero(counts) if counts.any() else training.rows
        return UnlabelledSubset(weight, rows.astype(np.int32))


def require_labels(table: LabelTable) -> None:
    """Refuse a y without any label.

    Parameters
    ----------
    table : LabelTable
        y as read.

    Raises
    ------
    ValueError
        If every cell is missing.
    """
    if not table.label_mask.any():
        raise ValueError(
            f"y has no label at all: every cell of {table.n_tasks} task(s) and "
            f"{table.n_samples} row(s) is missing. Supply labels for at least one task."
        )


def encode_dataset(
    X: Any,
    table: LabelTable,
    sample_weight: Any,
    class_weight: Any,
    schema: TargetSchema | None = None,
    classes: Any = None,
    learns_unlabelled: bool = False,
    categories: Categories | None = None,
) -> Dataset:
    """Encode y by a schema, or learn one from it.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Validated features.
    table : LabelTable
        y as read.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), or None
        Weights of rows or of cells.
    class_weight : None, "balanced" or mapping
        As the estimator's parameter.
    schema : TargetSchema or None, default=None
        Tasks and classes, if they are known.
    classes : object, default=None
        The estimator's parameter, if they are not.
    learns_unlabelled : bool, default=False
        Whether cells without a label are learned from, and so have weights, too.
    categories : Categories or None, default=None
        The categories that X is coded by.

    Returns
    -------
    dataset : Dataset
        What is to be learned.

    Raises
    ------
    ValueError
        If lengths do not agree, or labels or weights cannot be used.
    """
    check_consistent_length(X, np.empty(table.n_samples))
    if schema is None:
        schema = TargetSchema.from_table(table, classes)
    table = schema.align(table)
    weight = read_cell_weight(sample_weight, table)
    of_missing = read_missing_weight(sample_weight, table) if learns_unlabelled else None
    return Dataset(X, schema.encode(table, weight), schema, class_weight, of_missing, categories)


def declare_schema(table: LabelTable, classes: Any) -> TargetSchema:
    """Return a schema whose classes are all declared, as a stream needs it.

    Parameters
    ----------
    table : LabelTable
        y as read.
    classes : object
        All classes that any batch will hold.

    Returns
    -------
    schema : TargetSchema
        Tasks and classes.

    Raises
    ------
    ValueError
        If the classes of a task are neither given nor fixed by a categorical column.
    """
    schema = TargetSchema.from_table(table, classes)
    given: set[int] = set()
    if isinstance(classes, Mapping):
        given = {resolve_task(k, table.task_names, parameter="classes") for k in classes}
    elif classes is not None:
        given = set(range(table.n_tasks))
    undeclared = [
        repr(name)
        for t, name in enumerate(table.task_names)
        if t not in given and table.form.categories[t] is None
    ]
    if undeclared:
        raise ValueError(
            "classes must be passed on the first call to partial_fit: the classes of "
            f"{enumerate_some(undeclared)} are not known. Pass {{task: labels}}, or make the "
            "columns categorical."
        )
    return schema


def check_same_classes(schema: TargetSchema, classes: Any) -> None:
    """Refuse classes other than those that a stream began with.

    Parameters
    ----------
    schema : TargetSchema
        Tasks and classes so far.
    classes : object
        What a later call declares.
    """
    nothing = np.zeros((0, len(schema.task_names)), dtype=bool)
    columns = tuple(np.empty(0, dtype=c.dtype) for c in schema.classes)
    table = LabelTable(columns, nothing, schema.task_names, schema.form)
    declared = TargetSchema.from_table(table, classes).classes
    for name, old, new in zip(schema.task_names, schema.classes, declared, strict=True):
        if len(new) and not np.array_equal(old, new):
            raise ValueError(
                f"classes of task {name!r} must be those of the first call to partial_fit, "
                f"{enumerate_some([repr(c) for c in old.tolist()])}. "
                f"Got {enumerate_some([repr(c) for c in new.tolist()])}."
            )


def warn_of_degenerate_tasks(dataset: Dataset) -> None:
    """Warn of tasks without any label, and of tasks with one class."""
    schema, counts = dataset.schema, dataset.targets.label_mask.sum(axis=0)
    empty = [repr(n) for n, count in zip(schema.task_names, counts, strict=True) if count == 0]
    if empty:
        warn_user(
            f"{len(empty)} task(s) have no label among {len(dataset.targets.codes)} rows: "
            f"{enumerate_some(empty)}. They are left untrained and predicted as missing."
        )
    single = [
        f"{name!r} (only {classes.tolist()[0]!r}, {count} label(s))"
        for name, classes, count in zip(schema.task_names, schema.classes, counts, strict=True)
        if len(classes) == 1 and count > 0
    ]
    if single:
        warn_user(
            f"{len(single)} task(s) have one class: {enumerate_some(single)}. That class is "
            "predicted for every row. Name all classes in `classes` if there are others."
        )


def read_validation(
    validation_data: Any, dataset: Dataset, check_X: Any, missing_label: Any
) -> Subset:
    """Read validation data as the training data were read.

    Parameters
    ----------
    validation_data : tuple (X, y) or (X, y, sample_weight)
        What the user passed.
    dataset : Dataset
        The training data.
    check_X : callable
        Validates X.
    missing_label : scalar
        One more value that means "missing".

    Returns
    -------
    watched : Subset
        Rows to watch.

    Raises
    ------
    ValueError
        If it is not such a tuple, or has no label that could be watched.
    """
    is_tuple = isinstance(validation_data, (tuple, list))
    if not is_tuple or len(validation_data) not in (2, 3):
        count = f" of {len(validation_data)}" if is_tuple else ""
        raise ValueError(
            "validation_data must be a tuple (X, y) or (X, y, sample_weight). "
            f"Got {type(validation_data).__name__}{count}."
        )
    X, y, weight = (*validation_data, None)[:3]
    try:
        table = read_labels(y, missing_label=missing_label)
        X = check_X(X)
        if sp.issparse(X) and not sp.issparse(dataset.X):
            X = X.toarray()
        elif sp.issparse(dataset.X) and not sp.issparse(X):
            X = sp.csr_matrix(X)
        watched = encode_dataset(X, table, weight, dataset.class_weight, dataset.schema)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In validation_data: {error}") from error
    if len(watched.rows) == 0:
        raise ValueError("validation_data has no label of a task that the network learns.")
    # Weighed as the training rows are, so that the loss watched is the loss trained.
    return watched.subset(watched.rows, dataset.class_factors(dataset.rows))
