"""The dataset of one fit: X and y encoded, and the rows and tasks that count.

Owns the conversion of validated X and read y to the arrays that training takes: declared classes,
learnable tasks, training and validation rows. Does not know the network.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_consistent_length

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.categories import Categories
from sk_mtl._data.class_weight import (
    check_weighted_classes,
    class_frequencies,
    class_weight_factors,
    weigh_classes,
)
from sk_mtl._data.classes import index_labels, read_classes
from sk_mtl._data.columns import column_names
from sk_mtl._data.groups import read_groups
from sk_mtl._data.input_encoder import InputEncoder
from sk_mtl._data.labels import LabelTable, read_labels
from sk_mtl._data.missing_labels import looks_missing
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._data.sample_weight import read_cell_weight, read_missing_weight
from sk_mtl._data.schema import EncodedTargets, TargetSchema
from sk_mtl._data.statistics import FAR, find_far_features
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some, name_series

__all__ = [
    "Dataset",
    "Subset",
    "UnlabelledSubset",
    "check_class_weight",
    "check_same_classes",
    "declare_schema",
    "encode_dataset",
    "gather_validation",
    "read_validation",
    "require_labels",
    "warn_of_degenerate_tasks",
    "warn_of_suspect_classes",
]


@dataclass(frozen=True)
class Subset:
    """Training or validation rows: all arrays of the learnable tasks, and which rows count."""

    X: Any  # float32 or CSR matrix, of shape (n_samples, n_features)
    codes: np.ndarray  # int32 class indices, of shape (n_samples, n_learnable); 0 where missing
    weight: np.ndarray  # float32 cell weights, of the same shape; 0 where missing
    rows: np.ndarray  # int32, the rows that count

    def take(self, rows: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
        """Return X, codes and weights, and where some of the rows that count are in them."""
        return self.X, self.codes, self.weight, rows

    def is_labelled(self, rows: Any) -> np.ndarray:
        """Return which cells of some of the rows that count have a label."""
        return self.weight[rows] > 0

    def has_labels(self, task: int) -> bool:
        """Return whether a row that counts has a label of a task."""
        return bool(self.weight[self.rows, task].any())

    def some(self, n_rows: int) -> Subset:
        """Return the rows that count, as arrays; if they are not in memory, so many of them."""
        return self

    def shares_X(self, other: Subset) -> bool:
        """Return whether both subsets are of the same X."""
        return self.X is other.X

    def encoded(self, encoder: InputEncoder, categories: Categories | None) -> Subset:
        """Return the same rows with an encoder's codes in X."""
        return replace(self, X=encoder.transform(self.X, categories))

    def content(self, *, with_X: bool = True) -> dict[str, list[Any]]:
        """Return what tells the rows from others, by names that a user knows."""
        X = self.X
        arrays = [X.shape, X.data, X.indices, X.indptr] if sp.issparse(X) else [X]
        return {
            "X": arrays if with_X else [],
            "y": [self.codes],
            "weights": [self.weight],
            "rows": [self.rows],
        }

    def among(self, rows: np.ndarray) -> Subset:
        """Return the same arrays with only those of the given rows that count."""
        # A class weight of zero may leave a row without any cell that counts.
        return replace(self, rows=rows[self.weight[rows].any(axis=1)])

    def class_frequencies(self, n_classes: tuple[int, ...]) -> list[np.ndarray]:
        """Return the relative weight of each class among the rows that count, by task."""
        return class_frequencies(self.codes[self.rows], self.weight[self.rows], n_classes)


@dataclass(frozen=True)
class UnlabelledSubset:
    """Rows with unlabelled cells that are learned from."""

    weight: np.ndarray  # float32 cell weights, of shape (n_samples, n_learnable); 0 where labelled
    rows: np.ndarray  # int32, the rows that count


@dataclass(frozen=True)
class Dataset:
    """X and y of one fit, validated and encoded."""

    X: Any
    targets: EncodedTargets  # of all tasks
    schema: TargetSchema
    class_weight: Any  # the estimator's parameter
    missing_weight: np.ndarray | None = None  # of the unlabelled cells, if these are learned from
    categories: Categories | None = None  # that X is coded by
    groups: np.ndarray | None = None  # the group of each row; None if each stands for itself

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of X."""
        return self.X.shape

    @property
    def n_samples(self) -> int:
        """The number of rows, with and without labels."""
        return len(self.targets.codes)

    @property
    def labelled_cells(self) -> np.ndarray:
        """The number of labelled cells of each task."""
        return self.targets.label_mask.sum(axis=0)

    @cached_property
    def is_learnable(self) -> np.ndarray:
        """Whether each task has at least two classes, so that the network learns it."""
        return np.array([n >= 2 for n in self.schema.n_classes])

    @cached_property
    def learnable_names(self) -> tuple[Hashable, ...]:
        """The names of the learnable tasks."""
        return tuple(itertools.compress(self.schema.task_names, self.is_learnable))

    @cached_property
    def series_labels(self) -> tuple[str, ...]:
        """The names of the learnable tasks in the history."""
        return tuple(itertools.compress(name_series(self.schema.task_names), self.is_learnable))

    @cached_property
    def learnable_classes(self) -> tuple[np.ndarray, ...]:
        """The classes of the learnable tasks."""
        return tuple(itertools.compress(self.schema.classes, self.is_learnable))

    @cached_property
    def rows(self) -> np.ndarray:
        """The rows with a labelled cell of a learnable task."""
        # Rows without labels never enter training, so they cannot change a bit of it.
        is_labelled = self.targets.label_mask[:, self.is_learnable].any(axis=1)
        return np.flatnonzero(is_labelled).astype(np.int32)

    @property
    def n_groups(self) -> int:
        """The number of groups that the rows with labels are of."""
        return len(self.rows if self.groups is None else np.unique(self.groups[self.rows]))

    def class_factors(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return the weights of the classes, "balanced" ones counted over the given rows."""
        factors = class_weight_factors(self.class_weight, self.schema, self.targets, rows)
        return list(itertools.compress(factors, self.is_learnable))

    def subset(self, rows: np.ndarray, factors: list[np.ndarray]) -> Subset:
        """Return the arrays of the learnable tasks over some rows, with class weights applied."""
        learned, chosen = self.targets, self.is_learnable
        if not chosen.all():
            learned = EncodedTargets(*(a[:, chosen] for a in vars(learned).values()))
        weight = weigh_classes(learned, factors)
        return Subset(self.X, learned.codes, weight, rows).among(rows)

    def unlabelled_subset(
        self, training: Subset, validation: Subset | None
    ) -> UnlabelledSubset | None:
        """Return the rows with unlabelled cells to learn from, without the validation rows."""
        if self.missing_weight is None:
            return None
        # A task without training labels gives no predictions to learn from.
        is_taught = (training.weight[training.rows] > 0).any(axis=0)
        weight = self.missing_weight[:, self.is_learnable] * is_taught
        counts = weight.any(axis=1)
        if validation is not None and validation.X is training.X:
            counts[validation.rows] = False
            if self.groups is not None:
                counts &= ~np.isin(self.groups, self.groups[validation.rows])
        # Without such rows the training rows stand in, with weights of zero.
        rows = np.flatnonzero(counts) if counts.any() else training.rows
        return UnlabelledSubset(weight, rows.astype(np.int32))


def require_labels(table: LabelTable) -> None:
    """Refuse a y without any label."""
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
    groups: Any = None,
) -> Dataset:
    """Encode y by a schema, or by one learned from it and `classes`."""
    check_consistent_length(X, np.empty(table.n_samples))
    if schema is None:
        schema = TargetSchema.from_table(table, classes)
    table = schema.align(table)
    weight = read_cell_weight(sample_weight, table)
    of_missing = read_missing_weight(sample_weight, table) if learns_unlabelled else None
    if groups is not None:
        groups = read_groups(groups, table.n_samples)
    targets = schema.encode(table, weight)
    return Dataset(X, targets, schema, class_weight, of_missing, categories, groups)


def declare_schema(table: LabelTable, classes: Any) -> TargetSchema:
    """Return a schema for a stream, whose classes must all be listed or categorical."""
    schema = TargetSchema.from_table(table, classes)
    given = read_classes(classes, table.task_names, table.missing)
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
    """Refuse classes other than those that a stream began with."""
    for t, new in read_classes(classes, schema.task_names).items():
        old = schema.classes[t]
        if new is None:
            continue
        if not np.array_equal(index_labels(new, old), np.arange(len(old))):
            raise ValueError(
                f"classes of task {quote(schema.task_names[t])} must be those of the first "
                f"fit, {enumerate_some([repr(c) for c in old.tolist()])}. "
                f"Got {enumerate_some([repr(c) for c in new.tolist()])}."
            )


def check_class_weight(dataset: Dataset, classes: Any = None, *, is_stream: bool = False) -> None:
    """Check the labels that class weights name; those of a stream are declared for each task."""
    schema = dataset.schema
    listed = read_classes(classes, schema.task_names)
    declared = {
        t
        for t, categories in enumerate(schema.form.categories)
        if is_stream or listed.get(t) is not None or (categories is not None and len(categories[0]))
    }
    check_weighted_classes(dataset.class_weight, schema, declared)


def warn_of_degenerate_tasks(dataset: Dataset) -> None:
    """Warn of tasks without any label, and of tasks with one class."""
    schema, counts = dataset.schema, dataset.labelled_cells
    empty = [repr(n) for n, count in zip(schema.task_names, counts, strict=True) if count == 0]
    if empty:
        warn_user(
            f"{len(empty)} task(s) have no label among {dataset.n_samples} rows: "
            f"{enumerate_some(empty)}. They are left untrained and predicted as missing."
        )
    single = [
        f"{quote(name)} (only {quote(classes.tolist()[0])}, {count} label(s))"
        for name, classes, count in zip(schema.task_names, schema.classes, counts, strict=True)
        if len(classes) == 1 and count > 0
    ]
    if single:
        warn_user(
            f"{len(single)} task(s) have one class: {enumerate_some(single)}. That class is "
            "predicted for every row. List all classes in `classes` if there are others."
        )


def warn_of_suspect_classes(
    schema: TargetSchema, table: LabelTable, classes: Any, *, is_part: bool
) -> None:
    """Warn of categories without any label, and of codes among which -1 may mean missing."""
    listed = read_classes(classes, table.task_names, table.missing)
    for t, name in enumerate(table.task_names):
        present, missing = table.columns[t][table.label_mask[:, t]], table.missing[t]
        if listed.get(t) is not None or not len(present):
            continue
        found = index_labels(present, schema.classes[t])
        counts = np.bincount(found, table.counts(t), len(schema.classes[t])).astype(int)
        labelled, empty = (schema.classes[t][c].tolist() for c in (counts > 0, counts == 0))
        is_declared = table.declares(t)
        are_codes = len(labelled) > 2 and labelled == [-1, *range(len(labelled) - 1)]
        if are_codes and not missing and not is_declared and not is_part:
            warn_user(
                f"Task {quote(name)} has the labels -1 (in {counts[0]} cell(s)) and 0 to "
                f"{len(labelled) - 2}. Other tools write -1 where a label is missing, for instance "
                "pandas.factorize and cat.codes. If so, set missing_label=-1. If it is a class, "
                "list all classes of the task in `classes`."
            )
        # A part of the rows may lack any category, and an order is given to a list of them.
        if is_part or is_declared:
            empty = [category for category in empty if looks_missing(category, labelled, missing)]
        if empty:
            warn_user(
                f"Task {quote(name)} has no label of {len(empty)} of its {len(counts)} categories: "
                f"{enumerate_some(map(repr, empty))}. Each is a class, with probabilities of its "
                "own. Call cat.remove_unused_categories() on the column to drop them, or list all "
                "classes of the task in `classes` to keep them."
            )


class ValidationData(NamedTuple):
    """What was passed to `fit` as validation rows, and what messages call it."""

    X: Any
    y: Any
    sample_weight: Any
    arguments: str
    names: tuple[str, ...]


def gather_validation(
    groups: Any,
    validation_data: Any = None,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
) -> ValidationData | None:
    """Return the validation rows from one of both forms of the arguments of `fit`."""
    parts = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
    given = [name for name, part in parts.items() if part is not None]
    if validation_data is None and not given:
        return None
    if groups is not None:
        raise ValueError(
            "groups keeps rows together when fit sets some aside for early stopping, and with "
            "validation data it sets none aside. Pass one of the two."
        )
    if validation_data is None:
        if X_val is None or y_val is None:
            raise ValueError(
                f"Validation rows need both X_val and y_val. Got {enumerate_some(given)} alone."
            )
        return ValidationData(X_val, y_val, sample_weight_val, "X_val and y_val", tuple(parts))
    if given:
        raise ValueError(
            "Pass validation rows as validation_data=(X, y), or as X_val and y_val. Got "
            f"validation_data and {enumerate_some(given)}."
        )
    is_tuple = isinstance(validation_data, (tuple, list))
    if not is_tuple or len(validation_data) not in (2, 3):
        count = f" of {len(validation_data)}" if is_tuple else ""
        raise ValueError(
            "validation_data must be a tuple (X, y) or (X, y, sample_weight). "
            f"Got {type(validation_data).__name__}{count}."
        )
    X, y, sample_weight = (*validation_data, None)[:3]
    names = tuple(f"{name} of validation_data" for name in ("X", "y", "sample_weight"))
    return ValidationData(X, y, sample_weight, "validation_data", names)


def read_validation(
    given: ValidationData, dataset: Dataset, check_X: Any, missing_label: Any
) -> Subset:
    """Read validation rows like the training data."""
    warn_of_other_order(dict(zip(given.names, given[:3], strict=True)))
    try:
        names = dataset.schema.task_names
        table = read_labels(given.y, missing_label=missing_label, task_names=names)
        table = dataset.schema.align(table)
        # Labels of a task that is not learned are not in the loss, whatever classes they have.
        table = replace(table, label_mask=table.label_mask & dataset.is_learnable)
        X = check_X(given.X)
        if sp.issparse(X) and not sp.issparse(dataset.X):
            X = X.toarray()
        elif sp.issparse(dataset.X) and not sp.issparse(X):
            X = sp.csr_matrix(X)
        validation = encode_dataset(
            X, table, given.sample_weight, dataset.class_weight, dataset.schema
        )
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In {given.arguments}: {error}") from error
    if len(validation.rows) == 0:
        raise ValueError(f"In {given.arguments}: y has no label of a task that the network learns.")
    _warn_of_far_rows(dataset, validation, given)
    # Weighed as the training rows, so that the validation loss is the loss that is minimised.
    return validation.subset(validation.rows, dataset.class_factors(dataset.rows))


def _warn_of_far_rows(dataset: Dataset, validation: Dataset, given: ValidationData) -> None:
    """Warn if most validation rows lie far from the others, as untransformed ones do."""
    far = find_far_features(dataset.X, dataset.rows, validation.X, validation.rows)
    if dataset.categories is not None:
        far = [j for j in far if dataset.categories[j] is None]
    if not far:
        return
    names = column_names(given.X) or range(dataset.X.shape[1])
    warn_user(
        f"In {given.arguments}: most rows lie more than {FAR} standard deviations from the mean of "
        f"the training rows, in {len(far)} of {dataset.X.shape[1]} feature(s): "
        f"{enumerate_some([repr(names[j]) for j in far])}. If X was transformed, transform these "
        "rows in the same way. A Pipeline does so for X_val and y_val, with "
        'transform_input=["X_val"] and metadata routing.'
    )
