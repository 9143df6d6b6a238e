"""`fit_table`: fits to tables that are larger than memory.

Owns the way from a table to stored rows. The stages of a fit are those of tables in memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._compat.arguments import check_integer
from sk_mtl._compat.locks import lock_of
from sk_mtl._compat.parameters import check_parameters
from sk_mtl._compat.sklearn_callbacks import calling_callbacks
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
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.shown import FEATURE_ATTRIBUTES
from sk_mtl._fit.temperature_scaling import require_validation
from sk_mtl._fit.unchanged import draw_seed
from sk_mtl._fit.waves import Steps, run_together
from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._table.encoding import BatchEncoder, Columns, EncodedBatch, in_rows, read_targets
from sk_mtl._table.hold_out import HoldOut
from sk_mtl._table.source import Source, open_source, to_frame
from sk_mtl._table.survey import Survey
from sk_mtl._tasks import enumerate_some

__all__ = ["fit_table"]

_WINDOW_BYTES = 2**28  # of the rows that are shuffled together
# With early_stopping="auto", as of a table in memory.
_MIN_ROWS_TO_VALIDATE = 2_000
# The parameters that decide what is stored of a table.
_SHAPING = (
    "missing_label",
    "classes",
    "categorical_features",
    "class_weight",
    "validation_fraction",
)

T = TypeVar("T")


def fit_table(
    estimator: Any,
    table: Any,
    targets: Sequence[str],
    *,
    features: Sequence[str] | None = None,
    sample_weight: str | Mapping[str, str] | None = None,
    groups: str | None = None,
    key: str | None = None,
    validation_data: Any = None,
    shuffle_rows: int | str = "auto",
    folder: Any = None,
    batch_size: int = 65_536,
) -> Any:
    """Fit to a table that need not fit into memory.

    The table is read twice: its labels and categories first, then all of its columns. What a
    network is trained on is stored in a temporary folder, as float32, and read from there in every
    epoch, in shuffled blocks.

    Parameters
    ----------
    estimator : MultiTaskClassifier or list of MultiTaskClassifier
        What to fit. Several estimators read and store the table once, and are trained side by side;
        the parameters that say what a table holds must be equal among them.
    table : path-like, pyarrow.dataset.Dataset, Dask or Ray data frame, iterator or callable
        The rows: a Parquet file or a folder of them, a dataset of Arrow, a data frame of Dask or
        Ray, an iterator of DataFrames or Arrow tables, or a function that returns such an iterator
        and is called for each pass. An iterator is written to the folder first.
    targets : list of str
        The columns of labels, one for each task.
    features : list of str, default=None
        The columns of X. By default all others, without what was the index of a DataFrame.
    sample_weight : str or dict, default=None
        The column of the weights of rows, or {task: column} for weights of cells.
    groups : str, default=None
        The column of groups. A group is trained on or validated on, as a whole.
    key : str, default=None
        A column, such as an identifier, by a hash of which rows are held out for early stopping. By
        default, this is done by the number of the row.
    validation_data : table, default=None
        The validation rows of early stopping, in a table of the same columns.
    shuffle_rows : int or "auto", default="auto"
        The number of rows that are in memory and shuffled together. "auto" is as many as take 256
        MiB, divided by the number of estimators. If the table has no more rows, they are kept in
        memory and shuffled as by `fit`.
    folder : path-like, default=None
        Where the temporary folder is made; None for that of the system. It takes 4 bytes for each
        number of X, and 1 to 8 for each label, and is removed at the end.
    batch_size : int, default=65_536
        The largest number of rows that are encoded together.

    Returns
    -------
    estimator : MultiTaskClassifier or list of MultiTaskClassifier
        What was passed, fitted.

    Raises
    ------
    ImportError
        If pyarrow is not installed: ``pip install "sk_mtl[tables]"``.
    TypeError
        If the table or the estimator is none of these.
    ValueError
        If a parameter or the data cannot be used; the estimator is left as it was.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sk_mtl import MultiTaskClassifier, fit_table
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(n_samples=80, as_frame=True, random_state=0)
    >>> clf = MultiTaskClassifier((8,), epochs=2, early_stopping=False, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     X.join(Y).to_parquet(Path(folder) / "part-0.parquet")
    ...     clf = fit_table(clf, folder, list(Y.columns))
    >>> clf.predict(X).shape == Y.shape
    True
    """
    check_integer("fit_table", "batch_size", batch_size, 1)
    if shuffle_rows != "auto":
        check_integer("fit_table", "shuffle_rows", shuffle_rows, 1)
    is_list = isinstance(estimator, (list, tuple))
    estimators = list(estimator) if is_list else [estimator]
    _check_estimators(estimators)
    request = _Request(
        _names_of(targets, "targets"),
        None if features is None else _names_of(features, "features"),
        sample_weight,
        groups,
        key,
        validation_data is not None,
        shuffle_rows,
        batch_size,
    )
    with ExitStack() as stack:
        for each in sorted(set(estimators), key=id):
            stack.enter_context(lock_of(each))
        snapshots = [each._snapshot() for each in estimators]
        request.check(snapshots)
        place = None if folder is None else os.fspath(folder)
        temporary = tempfile.TemporaryDirectory(prefix="sk_mtl-table-", dir=place)
        inside = stack.enter_context(temporary)
        reading = _Reading(request, snapshots, inside, stack)
        dataset, validation = reading.read(table, validation_data)
        fits = [
            _fit(each, now, dataset, validation, is_validated=reading.is_validated)
            for each, now in zip(estimators, snapshots, strict=True)
        ]
        _run(fits)
    return estimator


def _names_of(names: Any, argument: str) -> tuple[str, ...]:
    """Return names of columns; refuse text, which is a sequence of letters."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"{argument} must be a list of columns, such as ['a', 'b']. Got {names!r}.")
    listed = tuple(names)
    if not listed or len(set(listed)) < len(listed):
        raise ValueError(f"{argument} must name columns, each once. Got {quote(list(listed))}.")
    return listed


def _check_estimators(estimators: Sequence[Any]) -> None:
    if not estimators:
        raise ValueError("estimator is an empty list: pass one MultiTaskClassifier or several.")
    for each in estimators:
        if not isinstance(each, MultiTaskClassifier):
            raise TypeError(
                "estimator must be a MultiTaskClassifier, or a list of them. Got "
                f"{type(each).__name__}. The steps of a Pipeline have no pass over a table: "
                "transform its batches in an iterator, and pass that as the table."
            )
    if len(set(map(id, estimators))) < len(estimators):
        raise ValueError("The list has an estimator twice. Clone it: the second fit replaces it.")


@dataclass(frozen=True)
class _Request:
    """What was asked for."""

    targets: tuple[str, ...]
    features: tuple[str, ...] | None
    sample_weight: str | Mapping[str, str] | None
    groups: str | None
    key: str | None
    has_validation: bool
    shuffle_rows: int | str
    batch_size: int

    def check(self, snapshots: Sequence[MultiTaskClassifier]) -> None:
        """Refuse what cannot work, before anything is read."""
        if self.groups is not None and self.key is not None:
            raise ValueError(
                "groups and key both say by what rows are held out for validation. Pass one."
            )
        if self.has_validation and (self.groups is not None or self.key is not None):
            name = "groups" if self.key is None else "key"
            raise ValueError(
                f"{name} says which rows fit_table holds out for early stopping, and with "
                "validation data it holds none out. Pass one of the two."
            )
        if not (self.sample_weight is None or isinstance(self.sample_weight, (str, Mapping))):
            raise TypeError(
                "sample_weight must be the name of a column, or {task: column}. Got "
                f"{type(self.sample_weight).__name__}."
            )
        if isinstance(self.sample_weight, Mapping):
            for task in self.sample_weight:
                if task not in self.targets:
                    raise ValueError(
                        f"sample_weight names task {quote(task)}, which is not among targets."
                        f"{did_you_mean(task, self.targets)}"
                    )
        for now in snapshots:
            self._check_parameters(now)
        _require_equal(snapshots)

    def _check_parameters(self, now: MultiTaskClassifier) -> None:
        # Imported here, as it imports TensorFlow.
        from sk_mtl._fit.preparation import require_seed

        check_parameters(now)
        if now.warm_start and "_fitted" in vars(now):
            raise ValueError(
                "fit_table does not continue a fit: warm_start=True, and the estimator is fitted. "
                "Clone it, or set warm_start=False. partial_fit continues batch by batch."
            )
        if now.early_stopping == "cv":
            raise ValueError(
                "early_stopping='cv' trains on folds of a table in memory. For fit_table set "
                "early_stopping=True, which holds rows out, or False."
            )
        if now.unlabelled is not None:
            raise ValueError(
                f"unlabelled={now.unlabelled!r} learns from the rows without labels, which "
                "fit_table does not store. Set unlabelled=None."
            )
        if now.refit and self.has_validation:
            raise ValueError(
                "refit=True trains again on all rows, the validation rows among them, but "
                "validation data is never trained on. Put these rows into the table, or set "
                "refit=False."
            )
        may_validate = now.early_stopping and now.validation_fraction is not None
        if now.calibrate and now.calibrate != "auto" and not (self.has_validation or may_validate):
            require_validation(None)
        require_seed(now.checkpoint, now.random_state)

    def columns(self, names: Sequence[str], index: Sequence[str]) -> Columns:
        """Return what the columns of a table are; refuse a table that lacks some."""
        columns = Columns(
            self.targets,
            self.features or (),
            self.sample_weight,
            self.key if self.groups is None else self.groups,
        )
        if self.features is None:
            others = {*columns.others, *index}
            features = tuple(name for name in names if name not in others)
            columns = replace(columns, features=features)
        twice = [name for name in columns.features if name in self.targets]
        if twice:
            raise ValueError(
                f"{len(twice)} column(s) are both features and targets: "
                f"{enumerate_some(map(repr, twice))}. A label must not predict itself."
            )
        if not columns.features:
            raise ValueError("The table has no feature: all its columns are labels and others.")
        require_columns(columns.all, names)
        return columns


def _require_equal(snapshots: Sequence[MultiTaskClassifier]) -> None:
    """Refuse estimators whose parameters ask for different stored tables."""
    first = snapshots[0]
    shaping: dict[str, Callable[[MultiTaskClassifier], Any]] = {
        name: lambda now, name=name: getattr(now, name)  # type: ignore[misc]
        for name in _SHAPING
    }
    shaping["early_stopping"] = lambda now: now.early_stopping
    shaping["standardize"] = lambda now: now._allows_nan()
    shaping["model"] = lambda now: now.model is None
    for now in snapshots[1:]:
        for name, read in shaping.items():
            if repr(_as_plain(read(now))) != repr(_as_plain(read(first))):
                raise ValueError(
                    f"Estimators that are fitted together read one stored table, so that {name} "
                    f"must be equal among them. Got {quote(getattr(first, name))} and "
                    f"{quote(getattr(now, name))}. Call fit_table for each."
                )


def _as_plain(value: Any) -> Any:
    """Return a parameter as a value whose text tells all of it."""
    if isinstance(value, Mapping):
        return {key: _as_plain(values) for key, values in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_plain(values) for values in value]
    return value.tolist() if hasattr(value, "tolist") else value


def require_columns(wanted: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a table that lacks columns."""
    lacking = [name for name in wanted if name not in names]
    if lacking:
        raise ValueError(
            f"The table lacks {len(lacking)} column(s): {enumerate_some(map(repr, lacking))}."
            f"{did_you_mean(lacking[0], names)}"
        )


class _Reading:
    """From a table to stored rows: a survey of its labels and categories, and a pass over it.

    Parameters
    ----------
    request : _Request
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
        request: _Request,
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
        """Yield the batches of a table as DataFrames; the next one is read meanwhile."""
        batches = source.batches(columns.all, self._request.batch_size)
        return _read_ahead(to_frame(batch) for batch in batches if batch.num_rows)

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


# ------------------------------------------------------------------------------------------------
# Fits
# ------------------------------------------------------------------------------------------------


def _fit(
    estimator: MultiTaskClassifier,
    now: MultiTaskClassifier,
    dataset: TableDataset,
    validation: Subset | None,
    *,
    is_validated: bool,
) -> Steps[MultiTaskClassifier]:
    """Fit to stored rows, asking for trainings that are done beside those of other fits."""
    from sk_mtl._fit.rounds import fit_model

    settings = now._settings()
    if now.early_stopping == "auto":
        # Whether rows are held out was decided when the table was read.
        settings = replace(
            settings, parameters={**settings.parameters, "early_stopping": is_validated}
        )
    with calling_callbacks(estimator, None, None, None, now._attributes_of) as tasks:
        seed = draw_seed(now.random_state)
        fitted: FittedModel = yield from fit_model(settings, dataset, validation, seed, None, tasks)
        estimator._set_fitted(fitted, now)
    return estimator


def _run(fits: Sequence[Steps[MultiTaskClassifier]]) -> None:
    """Do all fits; raise the first error when all others are done."""
    with closing(run_together(fits)) as results:
        errors = {number: found for number, found in results if isinstance(found, Exception)}
    if errors:
        number, error = min(errors.items())
        if len(fits) > 1:
            error.add_note(f"Of estimator {number} of the list; {len(errors)} failed.")
        raise error


# The public path, for documentation; doctest skips objects of another module.
fit_table.__module__ = "sk_mtl"
__test__ = {"fit_table": fit_table}
