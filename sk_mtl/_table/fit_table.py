"""`fit_table`: fits to tables that are larger than memory.

Owns the course of such fits. What is asked for, and what is read and stored of a table, are modules
beside it; the stages of a fit are those of tables in memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._compat.arguments import check_integer
from sk_mtl._compat.locks import lock_of
from sk_mtl._compat.sklearn_callbacks import calling_callbacks
from sk_mtl._data.dataset import (
    Subset,
)
from sk_mtl._data.table_dataset import TableDataset
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.unchanged import draw_seed
from sk_mtl._fit.waves import Steps, run_together
from sk_mtl._table.reading import Reading
from sk_mtl._table.request import Request, names_of

__all__ = ["fit_table"]


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
    request = Request(
        names_of(targets, "targets"),
        None if features is None else names_of(features, "features"),
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
        reading = Reading(request, snapshots, inside, stack)
        dataset, validation = reading.read(table, validation_data)
        fits = [
            _fit(each, now, dataset, validation, is_validated=reading.is_validated)
            for each, now in zip(estimators, snapshots, strict=True)
        ]
        _run(fits)
    return estimator


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
