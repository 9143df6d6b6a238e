"""Models in files, and columns of a table as a model knows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Number
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from sk_mtl._commands.cells import advise_missing, read_column
from sk_mtl._commands.labelled import CODES_SUFFIX
from sk_mtl._commands.statistical import write_value
from sk_mtl._commands.tables import Reading, Table, read_table
from sk_mtl._data.labels import read_labels
from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["KnownColumns", "KnownModel", "load", "load_classifier"]


@dataclass(frozen=True)
class KnownColumns:
    """What a model takes columns for."""

    features: list[str]
    tasks: list[str]
    kinds: Mapping[str, str]  # of features and tasks: "number", "text", or other "values"
    categories: Mapping[str, Collection[Any]]  # of categorical features, and classes of tasks
    missing_label: Any

    @classmethod
    def of_data(cls, X: pd.DataFrame, Y: pd.DataFrame, missing_label: Any) -> Self:
        """Return what a model that is to be fitted to a table will take its columns for."""
        features, tasks = list(X.columns), list(Y.columns)
        table = read_labels(Y, missing_label=missing_label)
        categories = {
            name: X[name].dropna().unique().tolist()
            for name in features
            if isinstance(X[name].dtype, pd.CategoricalDtype)
        }
        kinds = {n: _kind_of(categories[n]) if n in categories else "number" for n in features}
        for task, column, mask in zip(tasks, table.columns, table.label_mask.T, strict=True):
            categories[task] = pd.unique(column[mask]).tolist()
            kinds[task] = _kind_of(categories[task], is_label=True)
        return cls(features, tasks, kinds, categories, missing_label)

    def read(self, path: Path, reading: Reading) -> Table:
        """Read a table, its columns as the model knows them."""
        labels = [*reading.missing_labels, *_as_list(self.missing_label)]
        return read_table(
            path,
            replace(reading, missing_labels=labels),
            tasks=self.tasks,
            kinds=self.kinds,
            categories=self.categories,
        )

    def features_of(self, table: Table) -> tuple[pd.DataFrame, dict[str, str]]:
        """Return the features, and by column a sentence on categories the model does not know."""
        # Such cells are missing in what is returned, so that the estimator does not tell of them
        # again.
        _refuse_lacking(table, self.features)
        X = pd.DataFrame(
            {name: read_column(table, name, self.kinds[name]) for name in self.features}
        )
        sentences = {}
        for name in self.features:
            unknown = _find_unknown(X[name], self.categories.get(name))
            if len(unknown):
                X[name] = X[name].mask(X[name].isin(unknown.index))
                sentences[name] = f"{_describe_unknown(name, unknown)} missing: {_list(unknown)}."
        return X, sentences

    def labels_of(self, table: Table) -> pd.DataFrame:
        """Return the columns of the tasks that the table has."""
        names = [name for name in self.tasks if name in table.frame.columns]
        columns = {n: read_column(table, n, self.kinds[n], is_label=True) for n in names}
        return pd.DataFrame(columns, index=table.frame.index)

    def scored_labels_of(self, table: Table) -> tuple[pd.DataFrame, list[str]]:
        """Return labels to score on, and sentences on those that the model does not know."""
        # A table without labels is refused, and one that has no label of the model in a task.
        Y = self.labels_of(table)
        if not Y.shape[1]:
            raise ValueError(
                f"{table.path} has no column of the model's tasks: "
                f"{enumerate_some(map(repr, self.tasks))}."
            )
        labels = read_labels(Y, missing_label=self.missing_label)
        if not labels.label_mask.any():
            raise ValueError(
                f"{table.path} has no label to score on: all cells of "
                f"{enumerate_some(map(repr, Y.columns))} are missing."
            )
        sentences = []
        for task, column, mask in zip(Y.columns, labels.columns, labels.label_mask.T, strict=True):
            unknown = _find_unknown(pd.Series(column[mask]), self.categories[task])
            if not len(unknown):
                continue
            if unknown.sum() == mask.sum():
                raise ValueError(
                    f"Column {quote(task)} of {table.path}: none of its labels is one of the "
                    f"model. It has {_list(unknown)}; the model knows "
                    f"{enumerate_some(map(quote, self.categories[task]))}."
                )
            sentences.append(
                f"{_describe_unknown(task, unknown, 'label')} wrong: {_list(unknown)}. If they "
                f"mean missing, add {advise_missing(map(write_value, unknown.index))}."
            )
        return Y, sentences


@dataclass(frozen=True)
class KnownModel(KnownColumns):
    """A fitted classifier, and what it takes columns for."""

    clf: Any

    @classmethod
    def of(cls, clf: Any) -> Self:
        """Return a fitted classifier with what it has learned of its columns."""
        fitted, names = clf._fitted, list(clf.feature_names_in_)
        categories = {name: values.tolist() for name, values in clf.categories_.items()}
        kinds = {n: _kind_of(categories[n]) if n in categories else "number" for n in names}
        for task, classes in zip(fitted.schema.task_names, fitted.schema.classes, strict=True):
            categories[task] = classes.tolist()
            kinds[task] = _kind_of(classes.tolist(), is_label=True)
        return cls(names, list(clf.task_names_), kinds, categories, clf.missing_label, clf)

    @property
    def classes(self) -> dict[str, np.ndarray]:
        """The classes by task."""
        schema = self.clf._fitted.schema
        return dict(zip(schema.task_names, schema.classes, strict=True))

    @property
    def kept_weights(self) -> str:
        """Which epoch's weights were kept, as a phrase; empty if those of the last."""
        best = self.clf.best_iter_
        return f", weights of epoch {best} kept" if 0 < best < self.clf.n_iter_ else ""


def load_classifier(path: Path) -> Any:
    """Load a classifier of `save_model`."""
    from sk_mtl._model_file import load_model

    try:
        return load_model(path)
    except ValueError as error:
        raise ValueError(f"{path} is no model: {error}") from error


def load(path: Path) -> KnownModel:
    """Load a model of `save_model` for tables with names."""
    clf = load_classifier(path)
    if not hasattr(clf, "feature_names_in_"):
        raise ValueError(f"{path} was fitted to an array, whose columns have no names.")
    if not all(isinstance(name, str) for name in clf.task_names_):
        raise ValueError(f"{path} was fitted to tasks whose names are no text.")
    return KnownModel.of(clf)


def _as_list(value: Any) -> list[Any]:
    """Return the labels that a parameter names as missing."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [label for labels in value.values() for label in _as_list(labels)]
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]


def _kind_of(values: Sequence[Any], *, is_label: bool = False) -> str:
    if values and all(isinstance(value, str) for value in values):
        return "text"
    is_number = all(isinstance(v, (Number, np.number)) and not isinstance(v, bool) for v in values)
    return "number" if is_label and values and is_number else "values"


def _refuse_lacking(table: Table, names: Sequence[str]) -> None:
    """Refuse a table without some of the features."""
    columns = list(table.frame.columns)
    lacking = [name for name in names if name not in columns]
    if lacking:
        base = lacking[0].removesuffix(CODES_SUFFIX)
        hint = (
            f" {quote(lacking[0])} holds the kinds of missing of {quote(base)} (fit --keep-codes), "
            "which only .dta, .sav, .zsav and .sas7bdat tell apart."
            if base != lacking[0] and base in columns
            else did_you_mean(lacking[0], columns)
        )
        raise ValueError(
            f"{table.path} lacks {len(lacking)} of the {len(names)} columns that the model reads: "
            f"{enumerate_some(map(quote, lacking))}.{hint} Its columns are "
            f"{enumerate_some(map(repr, columns))}."
        )


def _find_unknown(column: pd.Series, known: Collection[Any] | None) -> pd.Series:
    """Return the number of cells by value, of those values that a model does not know."""
    counts = column.astype(object).value_counts()
    if known is None:
        return counts[:0]
    index = pd.Index(list(known), dtype=object)
    return counts[index.get_indexer(pd.Index(counts.index, dtype=object)) < 0]


def _describe_unknown(name: str, unknown: pd.Series, what: str = "value") -> str:
    return (
        f"Column {quote(name)}: {int(unknown.sum()):,} cell(s) have {len(unknown):,} {what}(s) "
        "that the model does not know, and count as"
    )


def _list(counts: pd.Series) -> str:
    """Return values with their numbers of cells."""
    return enumerate_some(f"{quote(value)} ({n:,})" for value, n in counts.items())
