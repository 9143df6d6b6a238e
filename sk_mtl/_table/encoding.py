"""Encoding: what a table is, and its batches as the arrays that training takes.

The encoders are those of tables in memory. Does not write, nor train.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sk_mtl._data.categories import Categories
from sk_mtl._data.labels import LabelTable, read_labels
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._data.schema import TargetSchema

__all__ = ["BatchEncoder", "Columns", "EncodedBatch", "in_rows", "read_targets"]


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are."""

    targets: tuple[str, ...]
    features: tuple[str, ...]
    sample_weight: str | Mapping[str, str] | None = None
    held_out_by: str | None = None  # the groups, or the key

    @property
    def weights(self) -> list[str]:
        """The columns of weights."""
        if self.sample_weight is None:
            return []
        if isinstance(self.sample_weight, str):
            return [self.sample_weight]
        return list(self.sample_weight.values())

    @property
    def others(self) -> list[str]:
        """The columns that are no features."""
        more = [] if self.held_out_by is None else [self.held_out_by]
        return list(dict.fromkeys([*self.targets, *self.weights, *more]))

    @property
    def all(self) -> list[str]:
        """The columns to read."""
        return list(dict.fromkeys([*self.features, *self.others]))

    def weight_of(self, frame: pd.DataFrame) -> Any:
        """Return the weights of rows, or of their cells, from a batch; None if all are 1."""
        given = self.sample_weight
        if given is None:
            return None
        if isinstance(given, str):
            return frame[given].to_numpy()
        ones = np.ones(len(frame))
        return pd.DataFrame(
            {t: frame[given[t]].to_numpy() if t in given else ones for t in self.targets},
            index=frame.index,
        )


class EncodedBatch(NamedTuple):
    """A batch as arrays; those of rows that have a label of a learnable task."""

    n_labelled: np.ndarray  # labelled cells of each task, in all rows
    rows: np.ndarray  # the positions of those rows
    X: np.ndarray
    codes: np.ndarray  # of the learnable tasks
    weight: np.ndarray


@dataclass(frozen=True)
class BatchEncoder:
    """Encodes batches by what was learned of the whole table."""

    columns: Columns
    schema: TargetSchema
    categories: Categories | None
    missing_label: Any
    largest_weight: float | None
    check_X: Any  # from a frame to float32, as the estimator checks it

    def encode(self, frame: pd.DataFrame, *, ignores_unlearned: bool = False) -> EncodedBatch:
        """Return a batch as arrays."""
        is_learnable = np.array([n >= 2 for n in self.schema.n_classes])
        table = self.schema.align(read_targets(frame, self.columns, self.missing_label))
        if ignores_unlearned:
            # Labels of a task that is not learned are not in the loss, whatever classes they have.
            table = LabelTable(
                table.columns,
                table.label_mask & is_learnable,
                table.task_names,
                table.form,
                table.missing,
            )
        weight = read_cell_weight(self.columns.weight_of(frame), table, self.largest_weight)
        targets = self.schema.encode(table, weight)
        X = self.check_X(frame[list(self.columns.features)])
        rows = np.flatnonzero(targets.label_mask[:, is_learnable].any(axis=1))
        if len(rows) < len(X):
            X = X[rows]
        chosen = np.ix_(rows, np.flatnonzero(is_learnable))
        return EncodedBatch(
            targets.label_mask.sum(axis=0),
            rows,
            X,
            targets.codes[chosen],
            targets.cell_weight[chosen],
        )


def read_targets(frame: pd.DataFrame, columns: Columns, missing_label: Any) -> LabelTable:
    """Return the labels of a batch."""
    return read_labels(
        frame[list(columns.targets)], missing_label=missing_label, task_names=columns.targets
    )


@contextmanager
def in_rows(first: int, n_rows: int, what: str) -> Iterator[None]:
    """Name the rows of a table in errors about their values."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In rows {first:,} to {first + n_rows - 1:,} of {what}: {error}") from error
