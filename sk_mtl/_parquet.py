"""Tables in files and on clusters: read by batch, and written whole or not at all.

Imports pyarrow when it is used.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from sk_mtl._codec.files import check_writable, replaced_file
from sk_mtl._tasks import enumerate_some

__all__ = [
    "check_output",
    "index_columns",
    "iterate_batches",
    "library_of",
    "open_dataset",
    "unify_schemas",
    "write_batches",
]


def library_of(table: Any) -> str:
    """Return "dask" or "ray" for their data frames, and an empty text for anything else."""
    module = type(table).__module__.partition(".")[0]
    if module in ("dask", "dask_expr") and hasattr(table, "columns") and table.ndim == 2:
        return "dask"
    return "ray" if module == "ray" and hasattr(table, "map_batches") else ""


def open_dataset(table: Any, columns: Sequence[str] = ()) -> Any:
    """Return a dataset of Arrow, or that of the Parquet files at a path, each with the columns."""
    try:
        import pyarrow.dataset as ds
    except ImportError as error:
        raise ImportError(
            'Parquet files need pyarrow, which is not installed: pip install "sk_mtl[tables]".'
        ) from error
    if isinstance(table, ds.Dataset):
        return table
    if isinstance(table, (str, os.PathLike)):
        return _open_path(os.fspath(table), columns)
    raise TypeError(
        "table must be a path, a pyarrow.dataset.Dataset, or a data frame of Dask or Ray. Got "
        f"{type(table).__name__}. For a table in memory, call the estimator itself."
    )


def _open_path(path: str, columns: Sequence[str]) -> Any:
    """Return the dataset of a file or folder, with the types that fit the cells of all files."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    if not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    options: Any = {"format": "parquet", "partitioning": "hive"}  # as pandas.read_parquet
    try:
        dataset = ds.dataset(path, **options)
        files = list(dataset.get_fragments())
        if not files:
            raise ValueError("it has none.")
        # Arrow takes the types of the first file: null, if a column has no cells there.
        schemas = [dataset.schema, *(file.physical_schema for file in files)]
        schema = unify_schemas(schemas)
    except (ValueError, pa.ArrowTypeError) as error:  # ArrowInvalid is a ValueError
        raise ValueError(
            f"{path} must hold Parquet files, with columns of the same kinds: {error}"
        ) from error
    wanted = [column for column in columns if column in schema.names]
    for file in files:
        in_folders = ds.get_partition_keys(file.partition_expression)
        there = {*file.physical_schema.names, *in_folders}
        lacking = [column for column in wanted if column not in there]
        if lacking:
            raise ValueError(
                f"{file.path} lacks {len(lacking)} column(s) that other files have: "
                f"{enumerate_some(map(repr, lacking))}."
            )
    kept = schema.remove_metadata().with_metadata(_only_index(dataset.schema))
    return _ParquetFiles(ds.dataset(path, schema=kept, **options))


def index_columns(schema: Any) -> list[str]:
    """Return the columns of a schema of Arrow that were the index of a DataFrame of pandas."""
    described = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in described if isinstance(name, str)]


def _only_index(schema: Any) -> dict[bytes, bytes] | None:
    """Return the metadata of pandas of a schema with nothing but its index."""
    columns = index_columns(schema)
    text = json.dumps({"index_columns": columns, "columns": [], "column_indexes": []})
    return {b"pandas": text.encode()} if columns else None


class _ParquetFiles:
    """Parquet files, of which one row group is in memory at a time."""

    # Arrow's own scan reads up to 1 GiB ahead, and keeps the bytes of a file until its end.

    def __init__(self, dataset: Any):
        self._dataset = dataset
        self.schema = dataset.schema
        self.files = dataset.files

    def to_batches(self, columns: list[str], batch_size: int) -> Iterator[Any]:
        """Yield batches of rows, file by file, as a dataset of Arrow does."""
        import pyarrow.dataset as ds

        reading: Any = {"fragment_scan_options": ds.ParquetFragmentScanOptions(pre_buffer=False)}
        reading |= {"schema": self.schema, "columns": columns, "batch_size": batch_size}
        for file in self._dataset.get_fragments():
            with _naming(file.path):
                for row_group in file.split_by_row_group():
                    yield from row_group.to_batches(**reading)


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Name a file in errors of Arrow about it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if path in str(error):
            raise
        raise ValueError(f"{path} cannot be read: {error}") from error


def unify_schemas(schemas: Sequence[Any]) -> Any:
    """Return the schema whose types can hold the cells of all; categories in some may be text."""
    import pyarrow as pa

    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowTypeError:
        plain = [pa.schema([_without_dictionary(field) for field in s]) for s in schemas]
        return pa.unify_schemas(plain, promote_options="permissive")


def _without_dictionary(field: Any) -> Any:
    """Return a field of Arrow, a dictionary as its values."""
    import pyarrow as pa

    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def check_output(table: Any, dataset: Any, path: Path) -> None:
    """Refuse a file that could not be written, or is read, before anything is computed for it."""
    check_writable(str(path))
    read = {Path(name).resolve() for name in getattr(dataset, "files", ())}
    if isinstance(table, (str, os.PathLike)):
        read.add(Path(os.fspath(table)).resolve())
    if read.intersection([path.resolve(), *path.resolve().parents]):
        raise ValueError(
            f"{path} is among the files that are read, or would be next time. Name one elsewhere."
        )


def iterate_batches(
    dataset: Any,
    columns: Sequence[str],
    compute: Callable[[pd.DataFrame], pd.DataFrame],
    batch_size: int,
) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield each batch of rows, and what a function makes of it; their index numbers all rows."""
    first = 0
    for batch in dataset.to_batches(columns=list(columns), batch_size=batch_size):
        if batch.num_rows:
            # The metadata of pandas would turn a column into the index.
            frame = batch.replace_schema_metadata(None).to_pandas()
            frame.index = pd.RangeIndex(first, first + len(frame))
            first += len(frame)
            yield batch, compute(frame)


def write_batches(
    batches: Iterable[tuple[Any, pd.DataFrame]], path: Path, keep: Sequence[str]
) -> int:
    """Write batches to a Parquet file under a temporary name, and rename it; return the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    schema: Any = None  # of the predictions; those of the first batch
    n_rows = 0
    with replaced_file(str(path)) as file:
        try:
            for batch, frame in batches:
                kept = batch.select(list(keep))  # as stored: pandas has no integers with nulls
                part = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
                schema = part.schema
                fields = pa.schema([*kept.schema, *schema], metadata=schema.metadata)
                if writer is None:
                    writer = pq.ParquetWriter(file, fields)
                columns = [*kept.columns, *part.columns]
                writer.write_table(pa.Table.from_arrays(columns, schema=fields))
                n_rows += len(frame)
        finally:
            if writer is not None:
                writer.close()
        if not n_rows:
            raise ValueError("The table has no rows.")
    return n_rows
