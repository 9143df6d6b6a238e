"""Reading: from a table to stored rows, by a survey of its labels and a pass over all columns.

Owns what is read and stored of a table. Does not train.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.categories import Categories, learn_categories
from sk_mtl._data.columns import column_names
from sk_mtl._data.dataset import (
    Subset,
    check_class_weight,
    warn_of_degenerate_tasks,
    warn_of_suspect_classes,
)
from sk_mtl._data.features import check_features
from sk_mtl._data.labels import LabelTable
from sk_mtl._data.sample_weight import check_largest_weight, read_cell_weight
from sk_mtl._data.schema import TargetSchema
from sk_mtl._data.statistics import FAR, find_far_features
from sk_mtl._data.stored_rows import RowFile, RowFormat
from sk_mtl._data.table_dataset import RowStore, TableDataset, load_rows
from sk_mtl._fit.shown import FEATURE_ATTRIBUTES
from sk_mtl._table.encoding import BatchEncoder, Columns, EncodedBatch, in_rows, read_targets
from sk_mtl._table.hold_out import HoldOut
from sk_mtl._table.request import Request, require_columns
from sk_mtl._table.source import Source, open_source, to_frame
from sk_mtl._table.survey import Survey
from sk_mtl._tasks import enumerate_some

__all__ = ["Reading"]

_WINDOW_BYTES = 2**28  # of the rows that are shuffled together
# With early_stopping="auto", as of a table in memory.
_MIN_ROWS_TO_VALIDATE = 2_000
T = TypeVar("T")


class Reading:
    """From a table to stored rows: a survey of its labels and categories, and a pass over it.

    Parameters
    ----------
    request : Request
        What was asked for.
    snapshots : list of MultiTaskClassifier
        The estimators; the first stands for all.
    folder : str
        Where rows are stored.
    stack : ExitStack
        Closes the files at the end.
    """

    def __init__(
        self,
        request: Request,
        snapshots: Sequence[MultiTaskClassifier],
        folder: str,
        stack: ExitStack,
    ):
        self._request = request
        self._snapshots = snapshots
        self._now = snapshots[0]
        self._folder = folder
        self._stack = stack
        self._has_features = False  # whether the estimator has those of this table
        self.is_validated = request.has_validation

    def read(self, table: Any, validation_data: Any) -> tuple[TableDataset, Subset | None]:
        """Return the dataset of a table, and the validation rows that were passed."""
        request, now = self._request, self._now
        source = open_source(table, [*request.targets, *(request.features or ())], self._folder)
        columns = request.columns(source.names, source.index)
        watched_source = None
        if validation_data is not None:
            inner = os.path.join(self._folder, "validation")
            os.mkdir(inner)
            watched_source = open_source(validation_data, columns.all, inner)
            with _in_validation_data():
                require_columns(columns.all, watched_source.names)
        schema, categories, found = self._survey(source, columns)
        hold_out = self._hold_out(found.n_labelled_rows, columns)
        self.is_validated |= hold_out is not None
        encoder = BatchEncoder(
            columns, schema, categories, now.missing_label, found.largest_weight, self._check_X
        )
        encoder = replace(encoder, check_X=lambda X: self._check_X(X, categories))
        dataset = self._store(source, encoder, hold_out, found.n_rows)
        for other in self._snapshots[1:]:
            seen = {k: v for k, v in vars(now).items() if k in FEATURE_ATTRIBUTES}
            other.__dict__.update(seen)
        check_class_weight(dataset, now.classes)
        warn_of_degenerate_tasks(dataset)
        warn_of_suspect_classes(schema, found.table, now.classes, is_part=False)
        if hold_out is not None and dataset.learnable_names:
            self._check_split(dataset)
        validation = None
        if watched_source is not None and dataset.learnable_names:
            with _in_validation_data():
                validation = self._read_validation(watched_source, encoder, dataset)
        return dataset, validation

    # --------------------------------------------------------------------------------------------
    # Survey
    # --------------------------------------------------------------------------------------------

    def _survey(
        self, source: Source, columns: Columns
    ) -> tuple[TargetSchema, Categories | None, _Found]:
        """Return classes, categories, and what else one pass over their columns tells."""
        now, request = self._now, self._request
        head = _head_of(source, columns.features)
        is_categorical = now._find_categorical(head)
        categorical: list[str] = []
        if is_categorical is not None:
            names = column_names(head) or []
            categorical = [n for n, chosen in zip(names, is_categorical, strict=True) if chosen]

        def check(name: str) -> None:
            if name in columns.targets:
                TargetSchema.from_table(_distinct_labels(survey, columns, now), now.classes)

        survey = Survey([*columns.targets, *categorical], check)
        counts_rows = any(each.early_stopping == "auto" for each in self._snapshots)
        largest, n_labelled, first = 0.0, 0, 0
        read = list(dict.fromkeys([*columns.targets, *categorical, *columns.weights]))
        for batch in source.batches(read, request.batch_size):
            with in_rows(first, batch.num_rows, "the table"):
                survey.add(batch)
                counts = counts_rows and n_labelled < _MIN_ROWS_TO_VALIDATE
                if batch.num_rows and (columns.weights or counts):
                    frame = to_frame(batch)
                    labels = read_targets(frame, columns, now.missing_label)
                    n_labelled += int(labels.label_mask.any(axis=1).sum())
                    weight = read_cell_weight(columns.weight_of(frame), labels, 1.0)
                    largest = max(largest, 0.0 if weight is None else float(weight.max()))
            first += batch.num_rows
        if not survey.n_rows:
            raise ValueError("The table has no rows.")
        table = _distinct_labels(survey, columns, now)
        if not table.label_mask.any():
            raise ValueError(
                f"The table has no label at all: every cell of {len(columns.targets)} task(s) and "
                f"{survey.n_rows:,} row(s) is missing. Supply labels for at least one task."
            )
        if columns.weights:
            check_largest_weight(largest, True)
        schema = TargetSchema.from_table(table, now.classes)
        found = _Found(survey.n_rows, n_labelled, largest if columns.weights else None, table)
        if not categorical:
            return schema, None, found
        frame, _ = survey.frame(categorical)
        learned = iter(learn_categories(frame, np.ones(len(categorical), bool)))
        categories = tuple(
            next(learned) if name in categorical else None for name in columns.features
        )
        return schema, categories, found

    def _hold_out(self, n_labelled_rows: int, columns: Columns) -> HoldOut | None:
        """Return what holds rows out for early stopping; None if nothing is."""
        now = self._now
        stops = bool(now.early_stopping)
        if now.early_stopping == "auto":
            stops = n_labelled_rows >= _MIN_ROWS_TO_VALIDATE
        if self._request.has_validation or not stops or now.validation_fraction is None:
            return None
        return HoldOut(float(now.validation_fraction), columns.held_out_by)

    # --------------------------------------------------------------------------------------------
    # Store
    # --------------------------------------------------------------------------------------------

    def _store(
        self, source: Source, encoder: BatchEncoder, hold_out: HoldOut | None, n_expected: int
    ) -> TableDataset:
        """Store the rows with labels, and return the dataset."""
        training = self._make_store("training", encoder)
        held_out = None if hold_out is None else self._make_store("held-out", encoder)
        n_rows, n_labelled = 0, np.zeros(len(encoder.schema.task_names), int)
        for frame in self._frames(source, encoder.columns):
            with in_rows(n_rows, len(frame), "the table"):
                batch = encoder.encode(frame)
                chosen = np.zeros(len(batch.rows), bool)
                if hold_out is not None:
                    chosen = hold_out.choose(frame, n_rows)[batch.rows]
            if held_out is not None:
                _append(held_out, batch, chosen)
            _append(training, batch, ~chosen)
            n_rows += len(frame)
            n_labelled += batch.n_labelled
        if n_rows != n_expected:
            raise ValueError(
                f"The table had {n_expected:,} rows when its labels were read, and {n_rows:,} when "
                "all columns were: it must have the same rows each time it is read."
            )
        return TableDataset(
            None,
            None,  # type: ignore[arg-type]
            encoder.schema,
            self._now.class_weight,
            categories=encoder.categories,
            n_features=len(encoder.columns.features),
            n_read=n_rows,
            n_labelled=n_labelled,
            training=training,
            held_out=held_out,
            window_rows=self._window_rows(encoder, training.n_rows),
        )

    def _read_validation(
        self, source: Source, encoder: BatchEncoder, dataset: TableDataset
    ) -> Subset:
        """Store validation rows, and return them."""
        if encoder.largest_weight is not None:
            encoder = replace(encoder, largest_weight=self._find_largest(source, encoder))
        store, n_rows = self._make_store("validation", encoder), 0
        columns = replace(encoder.columns, held_out_by=None)
        for frame in self._frames(source, columns):
            with in_rows(n_rows, len(frame), "the table"):
                batch = encoder.encode(frame, ignores_unlearned=True)
            _append(store, batch, np.ones(len(batch.rows), bool))
            n_rows += len(frame)
        if not store.n_rows:
            raise ValueError("There is no label of a task that the network learns.")
        assert dataset.training is not None
        _warn_of_far_rows(dataset.training, store, encoder)
        return load_rows([store], dataset.class_factors(dataset.rows), dataset.window_rows)

    def _find_largest(self, source: Source, encoder: BatchEncoder) -> float:
        """Return the largest weight of a labelled cell."""
        columns, largest, first = encoder.columns, 0.0, 0
        read = list(dict.fromkeys([*columns.targets, *columns.weights]))
        for batch in source.batches(read, self._request.batch_size):
            frame = to_frame(batch)
            with in_rows(first, len(frame), "the table"):
                labels = read_targets(frame, columns, encoder.missing_label)
                weight = read_cell_weight(columns.weight_of(frame), labels, 1.0)
            largest = max(largest, 0.0 if weight is None else float(weight.max()))
            first += len(frame)
        check_largest_weight(largest, True)
        return largest

    def _frames(self, source: Source, columns: Columns) -> Iterator[pd.DataFrame]:
        """Yield the batches of a table as DataFrames; the next one is read meanwhile if it may."""
        batches = source.batches(columns.all, self._request.batch_size)
        frames = (to_frame(batch) for batch in batches if batch.num_rows)
        return _read_ahead(frames) if source.may_read_ahead else frames

    def _make_store(self, name: str, encoder: BatchEncoder) -> RowStore:
        features, categories = encoder.columns.features, encoder.categories
        n_classes = [n for n in encoder.schema.n_classes if n >= 2]
        file = RowFile(
            self._folder,
            name,
            RowFormat.of(len(features), n_classes, bool(encoder.columns.weights)),
            hashes=any(now.checkpoint is not None for now in self._snapshots),
        )
        self._stack.callback(file.close)
        n_categories = [0 if known is None else len(known) for known in categories or ()]
        is_weighed = self._now.class_weight is not None
        return RowStore(file, n_classes, n_categories, sums_features=not is_weighed)

    def _window_rows(self, encoder: BatchEncoder, n_rows: int) -> int:
        """Return the number of rows that are shuffled together."""
        given = self._request.shuffle_rows
        if given != "auto":
            return int(given)
        n_learnable = sum(n >= 2 for n in encoder.schema.n_classes)
        most = _WINDOW_BYTES // (4 * len(encoder.columns.features) + 8 * n_learnable)
        return max(most if n_rows <= most else most // len(self._snapshots), 1)

    def _check_X(self, X: pd.DataFrame, categories: Categories | None) -> np.ndarray:
        """Return features as numbers; those of the first batch are the estimator's."""
        now = self._now
        reset, self._has_features = not self._has_features, True
        allow_nan = now._allows_nan()
        return check_features(now, X, reset=reset, allow_nan=allow_nan, categories=categories)

    def _check_split(self, dataset: TableDataset) -> None:
        """Refuse a split without rows on one side; warn of tasks without a label to train on."""
        training, held_out = dataset.training, dataset.held_out
        assert training is not None
        assert held_out is not None
        if not (training.n_rows and held_out.n_rows):
            raise ValueError(
                f"Early stopping with validation_fraction={self._now.validation_fraction} leaves "
                f"{training.n_rows:,} rows to train on and {held_out.n_rows:,} for validation. "
                "Hold out by a column of more values, change the fraction, or set "
                "early_stopping=False."
            )
        lost = [
            repr(name)
            for name, here, there in zip(
                dataset.learnable_names,
                training.totals.of_task,
                held_out.totals.of_task,
                strict=True,
            )
            if there.any() and not here.any()
        ]
        if lost:
            warn_user(
                f"{len(lost)} task(s) have labels in the rows held out for validation only: "
                f"{enumerate_some(lost)}. They are not learned. Hold out by another column, or "
                "change validation_fraction."
            )


@dataclass(frozen=True)
class _Found:
    """What a survey tells besides classes and categories."""

    n_rows: int
    n_labelled_rows: int  # up to as many as decide
    largest_weight: float | None
    table: LabelTable  # of the distinct labels


def _distinct_labels(survey: Survey, columns: Columns, now: MultiTaskClassifier) -> LabelTable:
    """Return the distinct labels as a table of labels that knows how many cells each is of."""
    frame, counts = survey.frame(columns.targets)
    table = read_targets(frame, columns, now.missing_label)
    return replace(table, label_mask=table.label_mask & (counts > 0), cell_counts=counts)


def _head_of(source: Source, features: Sequence[str]) -> pd.DataFrame:
    """Return the first row of the features."""
    for batch in source.batches(features, 1024):
        if batch.num_rows:
            return to_frame(batch.slice(0, 1))
    raise ValueError("The table has no rows.")


def _append(store: RowStore, batch: EncodedBatch, chosen: np.ndarray) -> None:
    if chosen.all():
        store.append(batch.X, batch.codes, batch.weight)
    else:
        store.append(batch.X[chosen], batch.codes[chosen], batch.weight[chosen])


def _read_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield items, the next of which is made by a thread meanwhile."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="sk_mtl_table") as thread:
        waiting = thread.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = thread.submit(next, items, end)
            yield item  # type: ignore[misc]


def _warn_of_far_rows(training: RowStore, validation: RowStore, encoder: BatchEncoder) -> None:
    """Warn if most validation rows lie far from the others, as untransformed ones do."""
    (X, *_), (X_new, *_) = training.sample.arrays(), validation.sample.arrays()
    far = find_far_features(X, np.arange(len(X)), X_new, np.arange(len(X_new)))
    names = encoder.columns.features
    far = [j for j in far if encoder.categories is None or encoder.categories[j] is None]
    if far:
        warn_user(
            f"In validation_data: most rows lie more than {FAR} standard deviations from the mean "
            f"of the training rows, in {len(far)} of {len(names)} feature(s): "
            f"{enumerate_some([repr(names[j]) for j in far])}. If the table was transformed, "
            "transform these rows in the same way."
        )


class _in_validation_data:
    """Names validation data in errors."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (TypeError, ValueError)):
            raised = TypeError if isinstance(error, TypeError) else ValueError
            raise raised(f"In validation_data: {error}") from error
