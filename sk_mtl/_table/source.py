"""Sources: a table of any kind as batches of Arrow, as often as they are asked for.

Owns how Parquet files, datasets of Arrow, frames of Dask and Ray, and iterators are read. Does not
know what columns are for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import pandas as pd

from sk_mtl._parquet import index_columns, library_of, open_dataset

__all__ = ["Source", "open_source", "to_frame"]

# Returns tables or batches of Arrow with some columns, of at most so many rows where it can.
_Read = Callable[[list[str], int], Iterable[Any]]


class Source:
    """A table that can be read several times, batch by batch.

    Parameters
    ----------
    read : callable
        Returns batches with the columns that it is given.
    names : list of str or None
        The names of the columns; None to take those of the first batch.
    index : sequence of str
        Those that were the index of a DataFrame.
    may_read_ahead : bool
        Whether another thread may read it, as a connection to a database may not allow.
    """

    def __init__(
        self,
        read: _Read,
        names: Sequence[str] | None = None,
        index: Sequence[str] = (),
        *,
        may_read_ahead: bool = True,
    ):
        self._read = read
        self._names = names
        self.index = index
        self.may_read_ahead = may_read_ahead

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        if self._names is None:
            first = next(iter(self.batches([], 1)), None)
            if first is None:
                raise ValueError("The table has no rows.")
            self._names = first.schema.names
        return list(self._names)

    def batches(self, columns: Sequence[str], batch_size: int) -> Iterator[Any]:
        """Yield batches with some columns, or with all, that have at most so many rows."""
        for table in self._read(list(columns), batch_size):
            for start in range(0, table.num_rows, batch_size):
                yield table.slice(start, batch_size)


def open_source(table: Any, columns: Sequence[str], folder: str) -> Source:
    """Return the source of a table; an iterator is written to a folder first."""
    library = library_of(table)
    if library == "dask":
        return Source(partial(_read_dask, table), [str(name) for name in table.columns])
    if library == "ray":
        return Source(partial(_read_ray, table), [str(name) for name in table.columns() or ()])
    if isinstance(table, Iterator):
        return Source(partial(_read_spooled, _spool(table, folder)))
    if callable(table):
        return Source(partial(_read_calls, table), may_read_ahead=False)
    if isinstance(table, (pd.DataFrame, list, tuple, dict)) or hasattr(table, "to_pandas"):
        raise TypeError(
            f"table is a {type(table).__name__}, which is in memory: call the fit of the estimator "
            "with X and y. fit_table reads a path, a pyarrow.dataset.Dataset, a data frame of Dask "
            "or Ray, or an iterator of DataFrames."
        )
    if not isinstance(table, (str, os.PathLike)) and not hasattr(table, "to_batches"):
        raise TypeError(
            "table must be a path, a pyarrow.dataset.Dataset, a data frame of Dask or Ray, an "
            "iterator of DataFrames, or a function that returns one. Got "
            f"{type(table).__name__}."
        )
    dataset = open_dataset(table, columns)
    schema = dataset.schema
    return Source(partial(_read_dataset, dataset), schema.names, index_columns(schema))


def to_frame(batch: Any) -> pd.DataFrame:
    """Return a batch as a DataFrame, all of whose columns are those of the batch."""
    # The metadata of pandas would turn a column into the index.
    return batch.replace_schema_metadata(None).to_pandas()


def _read_dataset(dataset: Any, columns: list[str], batch_size: int) -> Iterable[Any]:
    return dataset.to_batches(columns=columns or dataset.schema.names, batch_size=batch_size)


def _read_dask(table: Any, columns: list[str], batch_size: int) -> Iterator[Any]:
    chosen = table[columns] if columns else table
    for number in range(chosen.npartitions):
        yield _as_arrow(chosen.partitions[number].compute())


def _read_ray(table: Any, columns: list[str], batch_size: int) -> Iterable[Any]:
    chosen = table.select_columns(columns) if columns else table
    return chosen.iter_batches(batch_size=batch_size, batch_format="pyarrow")


def _read_calls(table: Callable[[], Any], columns: list[str], batch_size: int) -> Iterator[Any]:
    for batch in table():
        arrow = _as_arrow(batch)
        _require_columns(arrow.schema.names, columns)
        yield arrow.select(columns) if columns else arrow


def _as_arrow(batch: Any) -> Any:
    """Return a DataFrame, table or batch as one of Arrow."""
    import pyarrow as pa

    if isinstance(batch, (pa.Table, pa.RecordBatch)):
        return batch
    if isinstance(batch, pd.DataFrame):
        return pa.Table.from_pandas(batch, preserve_index=False)
    if hasattr(batch, "to_arrow"):  # of polars
        return batch.to_arrow()
    raise TypeError(
        "The batches of a table must be DataFrames of pandas or polars, or tables or batches of "
        f"Arrow. Got {type(batch).__name__}."
    )


def _require_columns(names: Sequence[str], columns: Sequence[str]) -> None:
    lacking = [name for name in columns if name not in names]
    if lacking:
        raise ValueError(f"A batch of the table lacks the column {lacking[0]!r}, as others do not.")


def _spool(batches: Iterator[Any], folder: str) -> list[str]:
    """Write batches to files of Arrow, and return their paths."""
    import pyarrow as pa

    paths: list[str] = []
    writer: Any = None
    schema: Any = None
    try:
        for batch in batches:
            arrow = _as_arrow(batch)
            if writer is None or arrow.schema != schema:  # a file has one schema
                if writer is not None:
                    writer.close()
                schema = arrow.schema
                paths.append(os.path.join(folder, f"spooled-{len(paths)}.arrow"))
                options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
                writer = pa.ipc.new_stream(paths[-1], schema, options=options)
            writer.write(arrow)
    finally:
        if writer is not None:
            writer.close()
    if not paths:
        raise ValueError("The table has no rows.")
    return paths


def _read_spooled(paths: Sequence[str], columns: list[str], batch_size: int) -> Iterator[Any]:
    import pyarrow as pa

    for path in paths:
        with pa.OSFile(path) as file:
            fields = pa.ipc.open_stream(file).schema.names
        _require_columns(fields, columns)
        chosen = [fields.index(name) for name in columns] if columns else None
        options = pa.ipc.IpcReadOptions(included_fields=chosen)
        with pa.OSFile(path) as file:
            for batch in pa.ipc.open_stream(file, options=options):
                yield batch.select(columns) if columns else batch
