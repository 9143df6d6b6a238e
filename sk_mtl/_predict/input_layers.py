"""The input layers in NumPy: from tiles of X to what the trunk reads.

The same arithmetic as the Keras layers of `_model/input_layers.py`, step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sk_mtl._data.input_spec import FARTHEST, InputSpec
from sk_mtl._predict.activations import ACTIVATIONS
from sk_mtl._predict.products import Product
from sk_mtl._predict.tiles import TILE_ROWS, Workspace, expand

__all__ = ["InputLayers"]

_Values = Mapping[str, np.ndarray]


class InputLayers:
    """All input layers of a specification with their values."""

    def __init__(self, spec: InputSpec, n_features: int, by_layer: Mapping[str, _Values]):
        self._columns: _Columns | None = None
        if spec.categories or spec.missing:
            self._columns = _Columns(spec.numeric(n_features), spec.indicators)
        self._limit = FARTHEST if spec.standardize else None
        self._shift = expand(by_layer["standardize"]["shift"])
        self._scale = expand(by_layer["standardize"]["scale"])
        self._embedding: _PiecewiseLinear | _Periodic | None = None
        if spec.embedded and spec.embedding == "piecewise_linear":
            self._embedding = _PiecewiseLinear(spec.embedded, by_layer[spec.embedding])
        elif spec.embedded and spec.embedding == "periodic":
            self._embedding = _Periodic(spec.embedded, by_layer[spec.embedding])
        self._categories: _CategoryEmbedding | None = None
        if spec.looked_up:
            table = by_layer["categories"]["embeddings"]
            counts = [spec.categories[j] for j in spec.looked_up]
            self._categories = _CategoryEmbedding(spec.looked_up, counts, table)
        widths = [
            len(self._shift),
            0 if self._embedding is None else self._embedding.width,
            0 if self._categories is None else self._categories.width,
        ]
        self._stops = np.cumsum(widths).tolist()
        self.width = sum(widths)

    def __call__(self, x: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Return tiles of shape (n_tiles, width, 16) from tiles of X."""
        whole = workspace.take("inputs", len(x), self.width, TILE_ROWS)
        n_columns, n_numbers, _ = self._stops
        columns = whole[:, :n_columns]
        if self._columns is None:
            np.subtract(x, self._shift, out=columns)
        else:
            self._columns(x, columns)
            columns -= self._shift
        columns *= self._scale
        if self._limit is not None:
            np.clip(columns, -self._limit, self._limit, out=columns)
        is_missing = np.isnan(columns)
        if is_missing.any():
            np.copyto(columns, 0, where=is_missing)
        if self._embedding is not None:
            self._embedding(columns, whole[:, n_columns:n_numbers], workspace)
        if self._categories is not None:
            self._categories(x, whole[:, n_numbers:])
        return whole


class _Columns:
    """Numbers, and columns of zeros and ones for categories and missing cells."""

    def __init__(self, numeric: Sequence[int], indicators: Sequence[tuple[int, int | None]]):
        self._numeric = np.array(numeric, np.intp)
        self._features = np.array([j for j, _ in indicators], np.intp)
        codes = np.array([np.nan if k is None else k for _, k in indicators], np.float32)
        self._codes = expand(codes)
        self._is_for_missing = np.isnan(self._codes)
        has_own = np.isin(self._features, self._features[np.isnan(codes)])
        self._has_none = ~expand(has_own).astype(bool)

    def __call__(self, x: np.ndarray, out: np.ndarray) -> None:
        n_numeric = len(self._numeric)
        out[:, :n_numeric] = np.take(x, self._numeric, axis=1)
        cells = np.take(x, self._features, axis=1)
        is_missing = np.isnan(cells)
        is_one = cells == self._codes
        is_one |= is_missing & self._is_for_missing
        columns = out[:, n_numeric:]
        np.copyto(columns, is_one)
        # What is missing without a column for that is the mean, which NaN becomes.
        np.copyto(columns, np.nan, where=is_missing & self._has_none)


class _PiecewiseLinear:
    """Each of some numbers as how far it has come through the bins of its feature."""

    def __init__(self, columns: Sequence[int], values: _Values):
        self._columns = np.array(columns, np.intp)
        self._lower, self._slope, self._center = (
            expand(values[kind]) for kind in ("lower", "slope", "center")
        )
        self.width = self._lower.shape[0] * self._lower.shape[1]

    def __call__(self, numbers: np.ndarray, out: np.ndarray, workspace: Workspace) -> None:
        parts = out.reshape(len(out), *self._lower.shape)
        np.subtract(np.take(numbers, self._columns, axis=1)[:, :, None], self._lower, out=parts)
        parts *= self._slope
        np.clip(parts, 0, 1, out=parts)
        parts -= self._center


class _Periodic:
    """Each of some numbers as waves of learned frequencies, and a layer of its own on them."""

    def __init__(self, columns: Sequence[int], values: _Values):
        self._columns = np.array(columns, np.intp)
        self._frequencies = expand(values["frequencies"])
        self._product = Product(np.swapaxes(values["kernel"], 1, 2))
        self._bias = expand(values["bias"][:, 0])
        self.width = self._bias.shape[0] * self._bias.shape[1]

    def __call__(self, numbers: np.ndarray, out: np.ndarray, workspace: Workspace) -> None:
        n_numbers, size, _ = self._frequencies.shape
        x = np.take(numbers, self._columns, axis=1)
        x *= np.float32(2 * np.pi)
        angles = workspace.take("angles", len(x), n_numbers, size, TILE_ROWS)
        np.multiply(x[:, :, None], self._frequencies, out=angles)
        waves = workspace.take("waves", len(x), n_numbers, 2 * size, TILE_ROWS)
        np.sin(angles, out=waves[:, :, :size])
        np.cos(angles, out=waves[:, :, size:])
        results = out.reshape(len(out), n_numbers, size, TILE_ROWS)
        self._product(waves, results, workspace)
        results += self._bias
        ACTIVATIONS["relu"](results, results)


class _CategoryEmbedding:
    """A learned vector for the category of each of some features."""

    def __init__(self, features: Sequence[int], n_categories: Sequence[int], table: np.ndarray):
        self._features = np.array(features, np.intp)
        counts = np.array(n_categories)
        # The vector of a missing value is the last of its feature.
        self._missing = expand(counts)
        self._first = (np.cumsum(counts + 1) - (counts + 1))[:, None]
        self._table = np.asarray(table, np.float32)
        self.width = len(counts) * table.shape[1]

    def __call__(self, x: np.ndarray, out: np.ndarray) -> None:
        codes = np.take(x, self._features, axis=1)
        codes = np.where(np.isnan(codes), self._missing, codes)
        vectors = self._table[codes.astype(np.intp) + self._first]
        by_feature = out.reshape(len(out), len(self._features), -1, TILE_ROWS)
        np.copyto(by_feature, vectors.transpose(0, 1, 3, 2))
