"""The features in ONNX: from raw columns, or a matrix of numbers, to X with codes of categories."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from numbers import Integral, Real
from typing import Any

import numpy as np

from sk_mtl._data.categories import Categories
from sk_mtl._onnx.graph import DOUBLE, FLOAT, INT64, STRING, Graph
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["Features"]

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1  # of int64
# What a feature is, by the type of its categories.
_WORDS: dict[int | None, str] = {
    None: "number",
    STRING: "text category",
    INT64: "integer category",
    DOUBLE: "number category",
}


class Features:
    """The inputs of a graph, one for each column or one matrix, and what they hold."""

    def __init__(
        self,
        graph: Graph,
        n_features: int,
        names: Sequence[str] | None,
        categories: Sequence[Categories | None],
        *,
        matrix: str | None,
    ):
        # `categories` are those of all networks of the graph, which may know different ones;
        # `matrix` is the name of the only input, None for an input for each column.
        self._graph = graph
        self._n_features = n_features
        self.names = list(names) if names is not None else [f"x{j}" for j in range(n_features)]
        self._values = [
            [value for c in categories if c and (known := c[j]) is not None for value in known]
            for j in range(n_features)
        ]
        self._kinds = [_find_kind(*pair) for pair in zip(self.names, self._values, strict=True)]
        if matrix is not None:
            text = [quote(n) for n, k in zip(self.names, self._kinds, strict=True) if k == STRING]
            if text:
                raise ValueError(
                    "A matrix of numbers cannot hold the text of categorical features: "
                    f'{enumerate_some(text)}. Export an input for each column, inputs="columns"; '
                    "in a Pipeline, encode the text in a step."
                )
            self._matrix: str | None = graph.add_input(matrix, FLOAT, n_features)
            self._columns: list[str] = []
        else:
            self._matrix = None
            self._columns = [
                graph.add_input(name, FLOAT if kind is None else kind, 1)
                for name, kind in zip(self.names, self._kinds, strict=True)
            ]

    @property
    def any_input(self) -> str:
        """A tensor that has the rows."""
        return self._matrix or self._columns[0]

    def describe(self) -> list[dict[str, Any]]:
        """Return the name of each feature, and what it is."""
        found = []
        for j, (name, kind) in enumerate(zip(self.names, self._kinds, strict=True)):
            entry: dict[str, Any] = {"name": name, "kind": _WORDS[kind]}
            if kind in (STRING, INT64):  # other types have NaN
                entry["missing"] = _find_free(kind, self._values[j])
            found.append(entry)
        return found

    def add_table(self, categories: Categories | None) -> str:
        """Add the matrix X of a network, (n, n_features), in which categories are its codes."""
        graph = self._graph
        known = categories or (None,) * self._n_features
        if self._matrix is not None and not any(c is not None for c in known):
            return self._matrix
        parts = []
        for j, of_feature in enumerate(known):
            if self._matrix is None:
                column = self._columns[j]
            else:
                position = graph.constant([j], np.int64)
                column = graph.add("Gather", self._matrix, position, axis=1)
            parts.append(column if of_feature is None else self._add_codes(j, column, of_feature))
        return graph.concat(parts)

    def _add_codes(self, feature: int, column: str, known: np.ndarray) -> str:
        """Add the codes of a column's categories, (n, 1); NaN for any other value."""
        graph, kind = self._graph, self._kinds[feature]
        if not len(known):  # all cells were missing in training, and all are now
            n_rows = graph.add("Shape", column, start=0, end=1)
            shape = graph.add("Concat", n_rows, graph.constant([1], np.int64), axis=0)
            return graph.add("Expand", graph.constant(np.nan), shape)
        codes = list(map(float, range(len(known))))
        is_matrix = self._matrix is not None
        if kind == STRING or (kind == INT64 and not is_matrix):
            is_text = kind == STRING
            keys = known.tolist() if is_text else list(map(int, known))
            return graph.add(
                "LabelEncoder",
                column,
                domain="ai.onnx.ml",
                **{"keys_strings" if is_text else "keys_int64s": keys},
                values_floats=codes,
                default_float=float("nan"),
            )
        dtype = np.float32 if is_matrix else np.float64
        numbers = known.astype(np.float64).astype(dtype)
        if len(np.unique(numbers)) < len(numbers):
            other = ', or export an input for each column, inputs="columns"' if is_matrix else ""
            raise ValueError(
                f"Feature {quote(self.names[feature])} has categories that are the same number in "
                f"{np.dtype(dtype)}, the type of its input. Make text of its values before "
                f"fit{other}."
            )
        is_it = graph.add("Equal", column, graph.constant(numbers, dtype))
        code = graph.add("Where", is_it, graph.constant(codes), graph.constant(-1))
        code = graph.add("ReduceMax", code, axes=[1], keepdims=1)
        is_known = graph.add("GreaterOrEqual", code, graph.constant(0))
        return graph.add("Where", is_known, code, graph.constant(np.nan))


def _find_free(kind: int, values: Sequence[Any]) -> str | int:
    """Return a value that is no category, and so stands for a missing one."""
    if kind == STRING:
        return next(text for k in count() if (text := "?" * k) not in values)
    return next(-k for k in count(1) if -k not in values)


def _find_kind(name: str, values: Sequence[Any]) -> int | None:
    """Return the type of the input for categories; None for numbers that are no categories."""
    if not values:
        return None
    if all(isinstance(value, str) for value in values):
        return STRING
    if all(isinstance(value, (bool, Integral)) for value in values):
        large = [value for value in values if not _LOWEST <= value <= _HIGHEST]
        if large:
            raise ValueError(
                f"ONNX has integers of 64 bits. Categorical feature {quote(name)} holds "
                f"{quote(large[0])}: make text of its values before fit."
            )
        return INT64
    if all(isinstance(value, Real) for value in values):
        return DOUBLE
    raise ValueError(
        f"ONNX has inputs of text and of numbers. Categorical feature {quote(name)} holds "
        f"{quote(next(v for v in values if not isinstance(v, str)))}: make text of its values "
        "before fit."
    )
