"""Fitting a classifier to a table: its columns as features, labels, groups and weights."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._commands.cells import read_column, refuse_times, suspect_columns
from sk_mtl._commands.console import quiet_import, tell
from sk_mtl._commands.tables import Table, refuse_unknown
from sk_mtl._quoting import quote

__all__ = ["TrainingData", "column_of_groups", "column_of_weights", "fit_classifier", "gather"]

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

    def take(self, rows: np.ndarray) -> TrainingData:
        """Return some of the rows."""
        parts = (self.X, self.Y, self.groups, self.weights)
        return TrainingData(*(None if part is None else part.iloc[rows] for part in parts))


def gather(table: Table, options: argparse.Namespace) -> TrainingData:
    """Return the columns of a table in their parts, and tell what is doubtful of them."""
    frame, tasks = table.frame, list(dict.fromkeys(options.tasks))
    others = [name for name in (options.group, options.weight) if name is not None]
    refuse_unknown(frame, [*tasks, *options.drop, *others, *options.categorical])
    for name in [*options.drop, *others]:
        if name in tasks:
            raise ValueError(f"Column {quote(name)} cannot be a task and something else.")
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
    if not options.quiet:
        tell([*table.notes_on({*features, *tasks}), *suspect_columns(X)])
    return TrainingData(
        X, Y, column_of_groups(table, options.group), column_of_weights(table, options.weight)
    )


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
        raise ValueError(
            f"Column {quote(name)} must have a weight of at least 0 for every row. {len(bad):,} "
            f"cell(s) have none, the first in {table.place(int(bad[0]))}: "
            f"{quote(weights.iloc[bad[0]])}."
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
        "missing_label": options.missing or None,
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
