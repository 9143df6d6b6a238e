"""Surveys: the distinct values of columns, with their counts, in one pass over the table.

From them follow classes and categories, with the checks of a table in memory. Does not know codes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._parquet import unify_schemas
from sk_mtl._quoting import quote
from sk_mtl._table.source import to_frame

__all__ = ["Survey"]

# With more distinct values than this, what they are for is asked before the table ends.
_MANY = 100_000


class Survey:
    """The distinct values of some columns.

    Parameters
    ----------
    columns : sequence of str
        The columns.
    check : callable
        Called with a column when it has many values; raises if they cannot be classes.
    """

    def __init__(self, columns: Sequence[str], check: Callable[[str], None] = lambda name: None):
        self.n_rows = 0
        self._counts: dict[str, Counter[Any]] = {name: Counter() for name in columns}
        self._categories: dict[str, dict[Any, None]] = {name: {} for name in columns}
        self._schemas: list[Any] = []
        self._check = check
        self._asked = dict.fromkeys(columns, _MANY)

    def add(self, batch: Any) -> None:
        """Count the values of a batch of Arrow."""
        import pyarrow as pa

        self.n_rows += batch.num_rows
        # Columns without a value in a batch, of which pandas says that they are floats, may hold
        # text in another.
        schema = pa.schema(
            [
                (name, pa.null() if column.null_count == len(column) else column.type)
                for name in self._counts
                for column in [batch.column(name)]
            ]
        )
        if not self._schemas or schema != self._schemas[-1]:
            self._schemas.append(schema)
        for name, counts in self._counts.items():
            for chunk in _chunks(batch.column(name)):
                self._add(name, chunk)
            if len(counts) > self._asked[name]:
                self._asked[name] = 2 * len(counts)
                self._check(name)

    def _add(self, name: str, chunk: Any) -> None:
        import pyarrow as pa

        if pa.types.is_dictionary(chunk.type):
            self._categories[name].update(dict.fromkeys(chunk.dictionary.to_pylist()))
            chunk = chunk.dictionary_decode()
        counts = self._counts[name]
        try:
            found = chunk.value_counts()
            values, numbers = found.field("values").to_pylist(), found.field("counts").to_pylist()
            for value, number in zip(values, numbers, strict=True):
                # NaN, which is not equal to itself, is missing as null is.
                counts[None if value != value else value] += number
        except (TypeError, pa.ArrowNotImplementedError) as error:
            raise ValueError(
                f"The values of column {quote(name)} must be scalars. Got {chunk.type}."
            ) from error

    def frame(self, columns: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
        """Return a frame whose columns hold the distinct values, and of how many cells each is."""
        # The types are those of the whole table in memory: a column with missing cells has one
        # here, and what fills a column up are values of its own, which count 0 cells.
        import pyarrow as pa

        schema = self._schema(columns)
        values = {name: list(self._counts[name]) for name in columns}
        n_rows = max(map(len, values.values()), default=0)
        counts = np.zeros((n_rows, len(columns)), np.int64)
        arrays = []
        for k, name in enumerate(columns):
            listed = values[name]
            counts[: len(listed), k] = [self._counts[name][value] for value in listed]
            filled = list(itertools.islice(itertools.cycle(listed), n_rows))
            arrays.append(self._as_array(name, filled, schema.field(name).type))
        return to_frame(pa.Table.from_arrays(arrays, schema=schema)), counts

    def _schema(self, columns: Sequence[str]) -> Any:
        import pyarrow as pa

        kinds = {}
        for name in columns:
            of_batches = dict.fromkeys(pa.schema([s.field(name)]) for s in self._schemas)
            try:
                kinds[name] = unify_schemas(list(of_batches)).field(name).type
            except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
                found = ", ".join(sorted({str(s.field(name).type) for s in of_batches}))
                raise ValueError(
                    f"Column {quote(name)} must have values of one kind in all batches of the "
                    f"table. Found {found}. Convert it in each batch, for instance by "
                    "astype(str), or by dtype= where a file is read."
                ) from error
        return pa.schema([(name, _wide(kind)) for name, kind in kinds.items()])

    def _as_array(self, name: str, values: list[Any], kind: Any) -> Any:
        import pyarrow as pa

        if not pa.types.is_dictionary(kind):
            return pa.array(values, kind)
        categories = list(self._categories[name])
        place: Mapping[Any, int] = {value: k for k, value in enumerate(categories)}
        indices = pa.array([place.get(value) for value in values], kind.index_type)
        dictionary = pa.array(categories, kind.value_type)
        return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=kind.ordered)

    def types(self, columns: Sequence[str]) -> dict[str, Any]:
        """Return the types of columns that hold the values of all batches."""
        return {name: self._schema([name]).field(name).type for name in columns}


def _wide(kind: Any) -> Any:
    """Return a type of Arrow, that of categories with room for those of all batches."""
    import pyarrow as pa

    if not pa.types.is_dictionary(kind):
        return kind
    return pa.dictionary(pa.int32(), kind.value_type, kind.ordered)


def _chunks(column: Any) -> Sequence[Any]:
    return column.chunks if hasattr(column, "chunks") else [column]
