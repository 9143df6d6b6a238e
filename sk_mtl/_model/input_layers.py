"""Input layers, between X and the trunk; some of their values are learned before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sk_mtl._data.input_spec import CATEGORY_VECTOR_SIZE, FARTHEST, InputSpec

__all__ = [
    "CategoryEmbedding",
    "Columns",
    "Periodic",
    "PiecewiseLinear",
    "Standardize",
    "build_input",
]


def build_input(X: Any, spec: InputSpec, kernel_regularizer: Any = None) -> Any:
    """Return what the trunk reads, from X, (batch_size, n_features)."""
    settings = {"dtype": "float32"}
    columns = X
    if spec.categories or spec.missing:
        columns = Columns(spec.numeric(X.shape[1]), spec.indicators, name="columns", **settings)(X)
    limit = FARTHEST if spec.standardize else None
    parts = [Standardize(limit, name="standardize", **settings)(columns)]
    if spec.embedded and spec.embedding == "piecewise_linear":
        bins = PiecewiseLinear(spec.embedded, spec.embedding_size, name=spec.embedding, **settings)
        parts.append(bins(parts[0]))
    elif spec.embedded and spec.embedding == "periodic":
        waves = Periodic(
            spec.embedded,
            spec.embedding_size,
            kernel_regularizer=kernel_regularizer,
            name=spec.embedding,
            **settings,
        )
        parts.append(waves(parts[0]))
    if spec.looked_up:
        embedding = CategoryEmbedding(
            spec.looked_up,
            [spec.categories[j] for j in spec.looked_up],
            [j in spec.missing for j in spec.looked_up],
            CATEGORY_VECTOR_SIZE,
            name="categories",
            **settings,
        )
        parts.append(embedding(X))
    return keras.layers.Concatenate(name="inputs", **settings)(parts) if parts[1:] else parts[0]


@keras.saving.register_keras_serializable("sk_mtl")
class Standardize(keras.layers.Layer):
    """Subtracts a fixed shift from each feature and multiplies by a fixed scale."""

    # z = max(-limit, min(limit, (x - shift) * scale)), so that numbers near the end of float32 stay
    # finite. NaN becomes 0, which is the mean.

    def __init__(self, limit: float | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.limit = limit

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create shift and scale."""
        shape, fixed = (input_shape[-1],), {"trainable": False, "dtype": "float32"}
        self.shift = self.add_weight(shape=shape, initializer="zeros", name="shift", **fixed)
        self.scale = self.add_weight(shape=shape, initializer="ones", name="scale", **fixed)

    def call(self, inputs: Any) -> Any:
        """Standardise a batch."""
        z = (inputs - self.shift) * self.scale
        # Infinity times 0, the scale of a constant feature, is NaN too.
        is_missing = ops.isnan(z)
        if self.limit is not None:
            z = ops.clip(z, -self.limit, self.limit)
        return ops.where(is_missing, 0.0, z)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the output."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {**super().get_config(), "limit": self.limit}


@keras.saving.register_keras_serializable("sk_mtl")
class Columns(keras.layers.Layer):
    """Puts columns of zeros and ones beside the numbers: for categories and for missing cells."""

    # An indicator is a feature and the code for which its column is 1, or None for a missing cell.
    # If a feature has no column for missing cells, a missing cell makes all its columns NaN.

    def __init__(
        self,
        numeric: Sequence[int],
        indicators: Sequence[tuple[int, int | None]],
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.numeric = [int(j) for j in numeric]
        self.indicators = [(int(j), None if k is None else int(k)) for j, k in indicators]

    def call(self, inputs: Any) -> Any:
        """Take the numbers, and compare the codes."""
        features = np.array([j for j, _ in self.indicators], np.int32)
        codes = np.array([np.nan if k is None else k for _, k in self.indicators], np.float32)
        has_own = np.isin(features, features[np.isnan(codes)])
        cells = ops.take(inputs, features, axis=1)
        is_missing = ops.isnan(cells)
        is_one = ops.where(np.isnan(codes), is_missing, ops.equal(cells, codes))
        is_unknown = ops.logical_and(is_missing, ~has_own)
        columns = ops.where(is_unknown, np.float32(np.nan), ops.cast(is_one, inputs.dtype))
        numbers = ops.take(inputs, np.array(self.numeric, np.int32), axis=1)
        return ops.concatenate([numbers, columns], axis=1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], len(self.numeric) + len(self.indicators))

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        own = {"numeric": self.numeric, "indicators": self.indicators}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("sk_mtl")
class CategoryEmbedding(keras.layers.Layer):
    """Looks up a learned vector of length `size` for the category of each of some features."""

    # `learns_missing` tells, by feature, whether the vector of a missing value is learned or zero.

    def __init__(
        self,
        features: Sequence[int],
        n_categories: Sequence[int],
        learns_missing: Sequence[bool],
        size: int,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.features = [int(j) for j in features]
        self.n_categories = [int(n) for n in n_categories]
        self.learns_missing = [bool(x) for x in learns_missing]
        self.size = int(size)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create one table of vectors, feature after feature."""
        ends = np.cumsum(np.array(self.n_categories) + 1)
        # The vector of a missing value is the last of its feature.
        start = np.ones((ends[-1], self.size), np.float32)
        start[ends[~np.array(self.learns_missing)] - 1] = 0
        self.embeddings = self.add_weight(
            shape=start.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(start, dtype),
            name="embeddings",
        )

    def call(self, inputs: Any) -> Any:
        """Look up."""
        counts = np.array(self.n_categories)
        codes = ops.take(inputs, np.array(self.features, np.int32), axis=1)
        codes = ops.where(ops.isnan(codes), np.float32(counts), codes)
        first = np.cumsum(counts + 1) - (counts + 1)
        rows = ops.cast(codes, "int32") + np.int32(first)
        # The product makes the gradient of the table dense, as XLA and optimizers need it.
        vectors = ops.take(self.embeddings * 1.0, rows, axis=0)
        return ops.reshape(vectors, (-1, len(self.features) * self.size))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], len(self.features) * self.size)

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        own = ("features", "n_categories", "learns_missing", "size")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("sk_mtl")
class PiecewiseLinear(keras.layers.Layer):
    """Encodes each of some numbers by how much of each bin of its feature lies below it."""

    # Bin t between the edges b_(t-1) < b_t gives max(0, min(1, (x - b_(t-1)) / (b_t - b_(t-1))))
    # minus its mean in training. In equation 1 of Gorishniy, Rubachev & Babenko (2022, On
    # Embeddings for Numerical Features in Tabular Deep Learning, arXiv 2203.05556) the first and
    # the last bin extend beyond their outer edges; here the number itself, which is passed on too,
    # covers that.

    def __init__(self, columns: Sequence[int], n_bins: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.columns = [int(c) for c in columns]
        self.n_bins = int(n_bins)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the edges and slopes of the bins."""
        shape = (len(self.columns), self.n_bins)
        fixed = {"shape": shape, "initializer": "zeros", "trainable": False}
        self.lower = self.add_weight(name="lower", **fixed)
        self.slope = self.add_weight(name="slope", **fixed)
        self.center = self.add_weight(name="center", **fixed)

    def call(self, inputs: Any) -> Any:
        """Encode."""
        x = ops.take(inputs, np.array(self.columns, np.int32), axis=1)[:, :, None]
        parts = ops.clip((x - self.lower) * self.slope, 0.0, 1.0) - self.center
        return ops.reshape(parts, (-1, len(self.columns) * self.n_bins))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], len(self.columns) * self.n_bins)

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {**super().get_config(), "columns": self.columns, "n_bins": self.n_bins}


@keras.saving.register_keras_serializable("sk_mtl")
class Periodic(keras.layers.Layer):
    """Encodes each of some numbers by waves of learned frequencies and a dense layer on them."""

    # With frequencies c from a normal distribution with standard deviation 0.1, the result is
    # ReLU(W [sin(2πcx), cos(2πcx)] + b), equations 2 and 3 ("PLR") of the same article.

    def __init__(
        self, columns: Sequence[int], size: int, kernel_regularizer: Any = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.columns = [int(c) for c in columns]
        self.size = int(size)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create frequencies, kernels and biases."""
        n, size = len(self.columns), self.size
        self.frequencies = self.add_weight(shape=(n, size), initializer="zeros", name="frequencies")
        self.kernel = self.add_weight(
            shape=(n, 2 * size, size),
            initializer="zeros",
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(shape=(n, 1, size), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Encode."""
        x = ops.take(inputs, np.array(self.columns, np.int32), axis=1)
        angle = 2 * np.pi * ops.transpose(x)[:, :, None] * self.frequencies[:, None, :]
        waves = ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)
        results = ops.relu(ops.matmul(waves, self.kernel) + self.bias)
        return ops.reshape(ops.transpose(results, (1, 0, 2)), (-1, len(self.columns) * self.size))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], len(self.columns) * self.size)

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        own = {"columns": self.columns, "size": self.size, "kernel_regularizer": regularizer}
        return {**super().get_config(), **own}
