"""Fitting a classifier to a table: its columns as features, labels, groups and weights."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._commands.cells import (
    read_column,
    refuse_times,
    suspect_columns,
    suspect_tasks,
    suspect_text,
)
from sk_mtl._commands.console import quiet_import, tell
from sk_mtl._commands.missing import find_unmatched, read_missing_labels
from sk_mtl._commands.tables import Table, refuse_unknown
from sk_mtl._quoting import quote

__all__ = [
    "TrainingData",
    "column_of_groups",
    "column_of_weights",
    "fit_classifier",
    "gather",
    "refuse_two_roles",
]

# Parameters that the commands must know of, too.
_OPTIONS = {
    "categorical_features": "--categorical",
    "known_labels": "--known-labels and --indicator",
    "missing_label": "--missing",
    "random_state": "--random-state",
    "verbose": "--quiet",
}


@dataclass(frozen=True)
class TrainingData:
    """Rows to learn from."""

    X: pd.DataFrame
    Y: pd.DataFrame
    groups: pd.Series | None
    weights: pd.Series | None
    missing_label: list[Any] | None = None

    def take(self, rows: np.ndarray) -> TrainingData:
        """Return some of the rows."""
        groups, weights = (
            None if part is None else part.iloc[rows] for part in (self.groups, self.weights)
        )
        return replace(
            self, X=self.X.iloc[rows], Y=self.Y.iloc[rows], groups=groups, weights=weights
        )


def gather(table: Table, options: argparse.Namespace) -> TrainingData:
    """Return the columns of a table in their parts, and tell what is doubtful of them."""
    frame, tasks = table.frame, options.tasks
    others = [name for name in (options.group, options.weight) if name is not None]
    refuse_unknown(frame, [*tasks, *options.drop, *others, *options.categorical])
    refuse_two_roles(options)
    left_out = {*tasks, *options.drop, *others}
    features = [
        name
        for name in frame.columns
        if name not in left_out and table.bases.get(name) not in left_out
    ]
    if not features:
        raise ValueError("No column is left as a feature.")
    categorical = set(options.categorical)
    refuse_times(table, features, categorical)
    X = pd.DataFrame({n: read_column(table, n, is_categorical=n in categorical) for n in features})
    Y = pd.DataFrame(
        {n: read_column(table, n, is_label=True, is_categorical=n in categorical) for n in tasks}
    )
    missing = read_missing_labels(options.missing, Y) or None
    if not options.quiet:
        tell(table.notes_on({*features, *tasks}))
        unmatched = find_unmatched(options.missing, Y, table.statistical)
        tell(f"--missing: no label of the tasks is {quote(word)}." for word in unmatched)
        texts = [name for name in (*features, *tasks) if name not in categorical]
        tell([*suspect_text(table, texts), *suspect_columns(X), *suspect_tasks(Y)])
    groups = column_of_groups(table, options.group)
    return TrainingData(X, Y, groups, column_of_weights(table, options.weight), missing)


def refuse_two_roles(options: argparse.Namespace) -> None:
    """Refuse a column that options name twice, where it can be one thing only."""
    tasks = getattr(options, "tasks", None) or []
    twice = [name for name in tasks if tasks.count(name) > 1]
    if twice:
        raise ValueError(f"{quote(twice[0])} is in --tasks more than once. Name it once.")
    roles = dict.fromkeys(tasks, "--tasks")
    named = [(name, "--drop") for name in getattr(options, "drop", ()) if name in roles]
    # A column of groups or weights is no feature: to drop it, too, changes nothing.
    named += [(options.group, "--group"), (options.weight, "--weight")]
    for name, option in named:
        if name is not None and roles.setdefault(name, option) != option:
            raise ValueError(f"{quote(name)} is in {roles[name]} and in {option}. Name it in one.")


def column_of_groups(table: Table, name: str | None) -> pd.Series | None:
    """Return a column of groups; refuse one with holes."""
    if name is None:
        return None
    refuse_unknown(table.frame, [name])
    column = table.frame[name]
    empty = np.flatnonzero(column.isna())
    if len(empty):
        raise ValueError(
            f"Column {quote(name)} must have a group for every row. {len(empty):,} cell(s) are "
            f"empty, the first in {table.place(int(empty[0]))}."
        )
    return column


def column_of_weights(table: Table, name: str | None) -> pd.Series | None:
    """Return a column of weights; refuse one with other cells than numbers from 0 on."""
    if name is None:
        return None
    refuse_unknown(table.frame, [name])
    weights = read_column(table, name)
    numbers = pd.to_numeric(weights.astype(object), errors="coerce").astype(float)
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))
    if len(bad):
        first = weights.iloc[bad[0]]
        cell = "an empty cell" if pd.isna(first) else quote(first)
        raise ValueError(
            f"Column {quote(name)} must have a weight of at least 0 for every row. {len(bad):,} "
            f"cell(s) have none, the first in {table.place(int(bad[0]))}: {cell}."
        )
    return numbers


def fit_classifier(
    data: TrainingData, options: argparse.Namespace, known_labels: bool | str
) -> Any:
    """Return a classifier fitted with the options of a command."""
    from sk_mtl._classifier import MultiTaskClassifier

    make: Any = MultiTaskClassifier.best if options.best else MultiTaskClassifier
    params = _read_params(options.param)
    params |= {
        "known_labels": known_labels,
        "missing_label": data.missing_label,
        "random_state": options.random_state,
        "verbose": 0 if options.quiet else 1,
    }
    clf = make(**params)
    with quiet_import():
        import tensorflow  # noqa: F401, ICN001
    return clf.fit(data.X, data.Y, sample_weight=data.weights, groups=data.groups)


def _read_params(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"--param sets {quote(twice[0])} more than once.")
    for name in names:
        if name in _OPTIONS:
            raise ValueError(f"{name} is set by {_OPTIONS[name]}, not by --param.")
    return dict(pairs)
