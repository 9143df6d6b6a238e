"""Models in files: loaded, and given the columns of a table as they know them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Number
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from sk_mtl._commands.cells import read_column
from sk_mtl._commands.tables import Reading, Table, read_table
from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["KnownModel", "load"]


@dataclass(frozen=True)
class KnownModel:
    """A fitted classifier, and what it takes columns for."""

    clf: Any
    kinds: Mapping[str, str]  # of features and tasks: "number", "text", or other "values"
    categories: Mapping[str, Collection[Any]]  # of categorical features, and classes of tasks

    @classmethod
    def of(cls, clf: Any) -> Self:
        """Return a fitted classifier with what it has learned of its columns."""
        fitted, names = clf._fitted, list(clf.feature_names_in_)
        categories = {name: values.tolist() for name, values in clf.categories_.items()}
        kinds = {n: _kind_of(categories[n]) if n in categories else "number" for n in names}
        for task, classes in zip(fitted.schema.task_names, fitted.schema.classes, strict=True):
            categories[task] = classes.tolist()
            kinds[task] = _kind_of(classes.tolist(), is_label=True)
        return cls(clf, kinds, categories)

    @property
    def features(self) -> list[str]:
        """The names of the features."""
        return list(self.clf.feature_names_in_)

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks."""
        return list(self.clf.task_names_)

    @property
    def classes(self) -> dict[str, np.ndarray]:
        """The classes by task."""
        schema = self.clf._fitted.schema
        return dict(zip(schema.task_names, schema.classes, strict=True))

    def read(self, path: Path, reading: Reading) -> Table:
        """Read a table, its columns as the model knows them."""
        labels = [*reading.missing_labels, *_as_list(self.clf.missing_label)]
        return read_table(
            path,
            replace(reading, missing_labels=labels),
            tasks=self.tasks,
            kinds=self.kinds,
            categories=self.categories,
        )

    def features_of(self, table: Table) -> tuple[pd.DataFrame, list[str]]:
        """Return the features, and sentences on categories that the model does not know."""
        _refuse_lacking(table, self.features)
        X = pd.DataFrame(
            {name: read_column(table, name, self.kinds[name]) for name in self.features}
        )
        known = {n: self.categories[n] for n in self.features if n in self.categories}
        return X, [s for n, c in known.items() for s in _describe_unknown(X[n], c)]

    def labels_of(self, table: Table) -> pd.DataFrame:
        """Return the columns of the tasks that the table has."""
        names = [name for name in self.tasks if name in table.frame.columns]
        columns = {n: read_column(table, n, self.kinds[n], is_label=True) for n in names}
        return pd.DataFrame(columns, index=table.frame.index)


def load(path: Path) -> KnownModel:
    """Load a model of `save_model` for tables with names."""
    from sk_mtl._model_file import load_model

    try:
        clf = load_model(path)
    except ValueError as error:
        raise ValueError(f"{path} is no model: {error}") from error
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
        hint = did_you_mean(lacking[0], columns)
        raise ValueError(
            f"{table.path} lacks {len(lacking)} of the {len(names)} columns that the model reads: "
            f"{enumerate_some(map(quote, lacking))}.{hint} Its columns are "
            f"{enumerate_some(map(repr, columns))}."
        )


def _describe_unknown(column: pd.Series, known: Collection[Any]) -> list[str]:
    """Return a sentence on the categories of a column that a model does not know."""
    index = pd.Index(list(known), dtype=object)
    counts = column.astype(object).value_counts()
    unknown = counts[index.get_indexer(pd.Index(counts.index, dtype=object)) < 0]
    if not len(unknown):
        return []
    listed = enumerate_some(f"{quote(value)} ({n:,})" for value, n in unknown.items())
    return [
        f"Column {quote(column.name)}: {int(unknown.sum()):,} cell(s) have {len(unknown):,} "
        f"value(s) that the model does not know, and count as missing: {listed}."
    ]
