"""The input layers in ONNX: the arithmetic of `_predict/input_layers.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl._data.input_spec import FARTHEST, InputSpec
from sk_mtl._onnx.graph import FLOAT, INT64, Graph

__all__ = ["add_input_layers"]


def add_input_layers(
    graph: Graph, x: str, spec: InputSpec, n_features: int, by_layer: Mapping[str, Any]
) -> str:
    """Add what stands between X, (n, n_features), and the first weights."""
    columns = x
    if spec.categories or spec.missing:
        columns = _add_columns(graph, x, spec, n_features)
    values = by_layer["standardize"]
    columns = graph.add("Sub", columns, graph.constant(values["shift"]))
    columns = graph.add("Mul", columns, graph.constant(values["scale"]))
    # Before clipping, which a runtime may do by comparisons that NaN does not pass.
    zero = graph.constant(0)
    columns = graph.add("Where", graph.add("IsNaN", columns), zero, columns)
    if spec.standardize:
        columns = graph.clip(columns, -FARTHEST, FARTHEST)
    parts = [columns]
    if spec.embedded and spec.embedding is not None:
        n_columns = len(values["shift"])
        numbers = graph.take(columns, spec.embedded, n_columns)
        add = _add_piecewise_linear if spec.embedding == "piecewise_linear" else _add_periodic
        parts.append(add(graph, numbers, by_layer[spec.embedding]))
    if spec.looked_up:
        table = by_layer["categories"]["embeddings"]
        parts.append(_add_vectors(graph, x, spec, n_features, table))
    return graph.concat(parts)


def _add_columns(graph: Graph, x: str, spec: InputSpec, n_features: int) -> str:
    """Numbers, and columns of zeros and ones for categories and missing cells."""
    numbers = graph.take(x, spec.numeric(n_features), n_features)
    if not spec.indicators:
        return numbers
    features = np.array([j for j, _ in spec.indicators])
    codes = np.array([-1 if k is None else k for _, k in spec.indicators])
    is_for_missing = codes < 0
    cells = graph.take(x, features, n_features)
    is_missing = graph.add("IsNaN", cells)
    is_one = graph.add("Equal", cells, graph.constant(codes))
    if is_for_missing.any():
        of_missing = graph.add("And", is_missing, graph.constant(is_for_missing, bool))
        is_one = graph.add("Or", is_one, of_missing)
    ones = graph.add("Cast", is_one, to=FLOAT)
    has_none = ~np.isin(features, features[is_for_missing])
    if has_none.any():
        # What is missing without a column for that is the mean, which NaN becomes.
        is_unknown = graph.add("And", is_missing, graph.constant(has_none, bool))
        ones = graph.add("Where", is_unknown, graph.constant(np.nan), ones)
    return graph.concat([numbers, ones]) if spec.numeric(n_features) else ones


def _add_piecewise_linear(graph: Graph, numbers: str, values: Mapping[str, np.ndarray]) -> str:
    """How far each number has come through the bins of its feature."""
    n_numbers, n_bins = values["lower"].shape
    x = graph.reshape(numbers, -1, n_numbers, 1)
    x = graph.add("Sub", x, graph.constant(values["lower"]))
    x = graph.clip(graph.add("Mul", x, graph.constant(values["slope"])), 0, 1)
    x = graph.add("Sub", x, graph.constant(values["center"]))
    return graph.reshape(x, -1, n_numbers * n_bins)


def _add_periodic(graph: Graph, numbers: str, values: Mapping[str, np.ndarray]) -> str:
    """Waves of learned frequencies for each number, and a layer of its own on them."""
    n_numbers, size = values["frequencies"].shape
    x = graph.add("Mul", numbers, graph.constant(2 * np.pi))
    x = graph.reshape(x, -1, n_numbers, 1)
    angles = graph.add("Mul", x, graph.constant(values["frequencies"]))
    waves = graph.concat([graph.add("Sin", angles), graph.add("Cos", angles)], axis=2)
    products = graph.multiply_blocks(waves, values["kernel"])
    results = graph.add("Add", products, graph.constant(values["bias"][:, 0]))
    return graph.reshape(graph.add("Relu", results), -1, n_numbers * size)


def _add_vectors(graph: Graph, x: str, spec: InputSpec, n_features: int, table: np.ndarray) -> str:
    """A learned vector for the category of each of some features."""
    counts = np.array([spec.categories[j] for j in spec.looked_up])
    first = np.cumsum(counts + 1) - (counts + 1)
    codes = graph.take(x, spec.looked_up, n_features)
    # The vector of a missing value is the last of its feature.
    is_missing = graph.add("IsNaN", codes)
    codes = graph.add("Where", is_missing, graph.constant(counts), codes)
    rows = graph.add("Add", graph.add("Cast", codes, to=INT64), graph.constant(first, np.int64))
    vectors = graph.add("Gather", graph.constant(table), rows, axis=0)
    return graph.reshape(vectors, -1, len(counts) * table.shape[1])
