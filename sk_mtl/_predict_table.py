"""`predict_table`: predictions for tables that are larger than memory, or spread over workers.

Owns the way of the rows, batch by batch. The estimator predicts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sk_mtl._compat.arguments import check_choice, check_integer
from sk_mtl._names import did_you_mean
from sk_mtl._parquet import (
    check_output,
    iterate_batches,
    library_of,
    open_dataset,
    write_batches,
)
from sk_mtl._tasks import enumerate_some
from sk_mtl._wrappers import find_multitask

__all__ = ["predict_table"]

# By method: whether it reads labels, and whether it gives probabilities.
_METHODS = {
    "predict": (False, False),
    "predict_proba": (False, True),
    "complete": (True, False),
    "complete_proba": (True, True),
}


def predict_table(
    estimator: Any,
    table: Any,
    output: Any = None,
    *,
    method: str = "predict",
    keep: Sequence[str] = (),
    batch_size: int = 65_536,
) -> Any:
    """Predict for a table that need not fit into memory, batch by batch.

    A row has the same predictions, to the last bit, as in memory: those of a built-in network do
    not depend on the rows beside it.

    Parameters
    ----------
    estimator : MultiTaskClassifier, MultiTaskEnsemble, Pipeline or search
        A fitted estimator that was fitted to a DataFrame.
    table : path-like, pyarrow.dataset.Dataset, dask.dataframe.DataFrame or ray.data.Dataset
        The rows, with a column for each feature: a Parquet file or a folder of them, a dataset of
        Arrow, or a data frame of Dask or Ray, whose workers then predict.
    output : path-like, default=None
        A Parquet file to write the predictions to, for a path or a dataset of Arrow. It appears
        when all rows are written. None returns the batches.
    method : {"predict", "predict_proba", "complete", "complete_proba"}, default="predict"
        What to compute. The last two read the labels that the table has, for an estimator that can
        complete them.
    keep : list of str, default=()
        Columns of the table to copy, such as an identifier.
    batch_size : int, default=65_536
        The largest number of rows of a batch. With Dask, a batch is a partition.

    Returns
    -------
    predictions : iterator of DataFrame, int, dask.dataframe.DataFrame or ray.data.Dataset
        For a path or a dataset of Arrow: the predictions by batch, in the order of the rows, or the
        number of rows written. For Dask and Ray: a lazy table. The columns are those of `keep`,
        then one for each task; "<task>=<class>" for the probability of each class.

    Raises
    ------
    ImportError
        If pyarrow is not installed, for a path: ``pip install "sk_mtl[tables]"``.
    TypeError
        If the table is none of these.
    ValueError
        If the table lacks columns, or a parameter is invalid.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from sk_mtl import MultiTaskClassifier, predict_table
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(n_samples=80, as_frame=True, random_state=0)
    >>> clf = MultiTaskClassifier((8,), epochs=2, random_state=0).fit(X, Y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     X.to_parquet(Path(folder) / "part-0.parquet")
    ...     batches = predict_table(clf, folder, method="predict_proba", batch_size=50)
    ...     [len(batch) for batch in batches]
    [50, 30]
    """
    check_choice("predict_table", "method", method, tuple(_METHODS))
    check_integer("predict_table", "batch_size", batch_size, 1)
    check_is_fitted(estimator)
    work = _Work(estimator, method, keep)
    library = library_of(table)
    if output is not None and library in ("dask", "ray"):
        raise ValueError(
            f"output is for paths and datasets of Arrow. {library.capitalize()} writes its own "
            "tables: predict_table(...).to_parquet(folder) or .write_parquet(folder)."
        )
    if library == "dask":
        work.choose(list(map(str, table.columns)))
        return table.map_partitions(work, meta=work(table._meta))
    if library == "ray":
        work.choose(list(map(str, table.columns() or ())))
        return table.map_batches(work, batch_size=batch_size, batch_format="pandas")
    dataset = open_dataset(table, work.columns)
    work.choose(dataset.schema.names)
    if output is None:
        batches = iterate_batches(dataset, work.columns, work, batch_size)
        return (frame for _, frame in batches)
    path = Path(os.fspath(output))
    check_output(table, dataset, path)
    batches = iterate_batches(dataset, work.columns, work.without_kept, batch_size)
    return write_batches(batches, path, work.keep)


class _Work:
    """From a frame of rows to a frame of predictions; other processes get it, too."""

    def __init__(self, estimator: Any, method: str, keep: Sequence[str]):
        inner = find_multitask(estimator)
        if inner is None:
            raise TypeError(
                "estimator must be a MultiTaskClassifier or MultiTaskEnsemble, or a Pipeline or "
                f"search with one. Got {type(estimator).__name__}."
            )
        if isinstance(keep, str):
            raise TypeError(f"keep must be a list of columns: [{keep!r}]. Got text.")
        self._estimator = estimator
        self.keep = list(dict.fromkeys(keep))
        reads_labels, self._are_probabilities = _METHODS[method]
        features = getattr(estimator, "feature_names_in_", None)
        if features is None:
            raise ValueError(
                "The estimator was fitted to an array, whose columns have no names. Fit it to a "
                "DataFrame, so that the columns of the table can be found."
            )
        self._features = list(features)
        self._tasks: dict[str, Hashable] = {}  # by column, the tasks whose labels are read
        if reads_labels:
            self._tasks = {str(task): task for task in inner.task_names_}
        if reads_labels and not hasattr(estimator, method):
            raise ValueError(
                f"{type(estimator).__name__} has no {method}: pass the MultiTaskClassifier itself."
            )
        network = inner.estimators_[0] if hasattr(inner, "estimators_") else inner
        self._fitted = network._fitted
        schema = self._fitted.schema
        self._names = [str(task) for task in schema.task_names]
        if self._are_probabilities:
            self._names = [f"{task}={label}" for task, label in schema.class_index()]
        taken = [name for name in self.keep if name in self._names]
        if taken:
            raise ValueError(
                f"keep names {len(taken)} column(s) that hold predictions: "
                f"{enumerate_some(map(repr, taken))}. Keep others, or rename them in the table."
            )

    def choose(self, columns: Sequence[str]) -> None:
        """Choose the columns to read; refuse a table that lacks some."""
        lacking = [name for name in [*self._features, *self.keep] if name not in columns]
        if lacking:
            raise ValueError(
                f"The table lacks {len(lacking)} column(s): {enumerate_some(map(repr, lacking))}."
                f"{did_you_mean(lacking[0], columns)}"
            )
        self._tasks = {name: task for name, task in self._tasks.items() if name in columns}

    @property
    def columns(self) -> list[str]:
        """The columns to read."""
        return list(dict.fromkeys([*self._features, *self._tasks, *self.keep]))

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the kept columns and the predictions for rows."""
        return pd.concat([frame[self.keep], self.without_kept(frame)], axis=1)

    def without_kept(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the predictions for rows."""
        X = frame[self._features]
        if not len(frame):  # a partition may have no rows
            found = self._predict_nothing(X)
        elif self._tasks:
            predict: Callable[..., Any] = getattr(self._estimator, self._name_of_method())
            labels = frame[list(self._tasks)].set_axis(list(self._tasks.values()), axis=1)
            found = predict(X, labels)
        else:
            name = "predict_proba_frame" if self._are_probabilities else "predict"
            found = self._predict(name, X)
        return self._as_frame(found, frame)

    def _name_of_method(self) -> str:
        return "complete_proba_frame" if self._are_probabilities else "complete"

    def _predict(self, name: str, X: pd.DataFrame) -> Any:
        """Return predictions; a Pipeline has no frame of probabilities of its own."""
        if hasattr(self._estimator, name):
            return getattr(self._estimator, name)(X)
        from sk_mtl._wrappers import reach

        inner, transformed = reach(self._estimator, X)
        return getattr(inner, name)(transformed)

    def _predict_nothing(self, X: pd.DataFrame) -> Any:
        """Return the predictions for no rows, with their types."""
        if self._are_probabilities:
            return pd.DataFrame(np.zeros((0, len(self._names)), np.float32))
        codes = np.zeros((0, len(self._names)), np.int32)
        return self._fitted.schema.decode(codes, self._fitted.has_labels, like=X)

    def _as_frame(self, found: Any, frame: pd.DataFrame) -> pd.DataFrame:
        """Return predictions as a frame with the rows' index and text as names."""
        if hasattr(found, "to_pandas"):  # of an estimator that was fitted to labels of polars
            found = found.to_pandas()
        elif not isinstance(found, pd.DataFrame):
            found = pd.DataFrame(found)
        return found.set_axis(self._names, axis=1).set_axis(frame.index, axis=0)


# The public path, for documentation; doctest skips objects of another module.
predict_table.__module__ = "sk_mtl"
__test__ = {"predict_table": predict_table}
