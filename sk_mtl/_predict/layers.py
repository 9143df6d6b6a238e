"""The layers of a network in NumPy, on tiles: dense ones of every kind, and hidden ones.

Owns how a layer's values become constants for tiles. What a layer's columns are is the
specification's: members first, then the heads of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sk_mtl._model.spec import NetworkSpec, column_blocks, has_shared_kernel
from sk_mtl._predict.activations import ACTIVATIONS
from sk_mtl._predict.products import Product, mean_of_units
from sk_mtl._predict.tiles import TILE_ROWS, Workspace, expand

__all__ = ["NORM_EPSILON", "Dense", "DenseValues", "HiddenLayer", "dense_values"]

NORM_EPSILON = np.float32(1e-3)  # of both normalisations

_Values = Mapping[str, np.ndarray]


class DenseValues(NamedTuple):
    """The constants of a dense layer, or of several side by side."""

    weights: np.ndarray  # (n_blocks, n_out, n_in)
    input_scale: np.ndarray | None  # of what it reads, (n_columns,)
    scale: np.ndarray | None  # of the products, (width,)
    offset: np.ndarray  # (width,)


def dense_values(
    spec: NetworkSpec, name: str, values: _Values, norm: _Values | None = None
) -> DenseValues:
    """Return the constants of a layer, with those of the batch normalisation that follows it."""
    n_read, _ = column_blocks(spec)[name]
    kernel, offset = np.asarray(values["kernel"]), np.ravel(values["bias"])
    weights = np.swapaxes(kernel if kernel.ndim == 3 else kernel[None], 1, 2)
    scale: np.ndarray | None = None
    input_scale: np.ndarray | None = None
    if has_shared_kernel(spec, name):
        input_scale, scale = values["input_scale"], np.ravel(values["output_scale"])
        if n_read == 1:  # all members read the same: their kernels are one wide one
            weights = (weights * input_scale[:, None]).reshape(1, -1, weights.shape[2])
            input_scale = None
    if norm is not None:
        factor = norm["gamma"] / np.sqrt(norm["moving_variance"] + NORM_EPSILON)
        offset = (offset - norm["moving_mean"]) * factor + norm["beta"]
        scale = factor if scale is None else scale * factor
    if scale is not None and scale.size == weights.shape[0] * weights.shape[1]:
        weights, scale = weights * scale.reshape(weights.shape[0], -1, 1), None
    return DenseValues(
        weights, None if input_scale is None else np.ravel(input_scale), scale, offset
    )


class Dense:
    """A dense layer, or several side by side: a product, a scaling where needed, and an offset."""

    def __init__(self, spec: NetworkSpec, name: str, values: _Values, norm: _Values | None = None):
        weights, input_scale, scale, offset = dense_values(spec, name, values, norm)
        self._product = Product(weights)
        self._input_scale = None if input_scale is None else expand(input_scale)
        self._scale = None if scale is None else expand(scale)
        self._offset = expand(offset)
        self.n_blocks = column_blocks(spec)[name][1]
        self.width = len(offset)

    def __call__(self, x: np.ndarray, name: str, workspace: Workspace) -> np.ndarray:
        """Return tiles of shape (n_tiles, width, 16) in the workspace, under a name."""
        if self._input_scale is not None:
            scaled = workspace.take("scaled", *x.shape)
            x = np.multiply(x, self._input_scale, out=scaled)
        y = workspace.take(name, len(x), self.width, TILE_ROWS)
        product = self._product
        self._product(
            x.reshape(-1, product.n_blocks, product.n_in, TILE_ROWS),
            y.reshape(-1, product.n_blocks, product.n_out, TILE_ROWS),
            workspace,
        )
        if self._scale is not None:
            y *= self._scale
        y += self._offset
        return y


class HiddenLayer:
    """A dense layer, its normalisation and its activation."""

    def __init__(self, spec: NetworkSpec, name: str, by_layer: Mapping[str, _Values]):
        norm = by_layer.get(f"{name}_norm")
        self._dense = Dense(
            spec, name, by_layer[name], norm if spec.normalization == "batch" else None
        )
        self._gamma = self._beta = None
        if norm is not None and spec.normalization == "layer":
            self._gamma, self._beta = expand(norm["gamma"]), expand(norm["beta"])
        self._activate = ACTIVATIONS[spec.activation]
        self.width = self._dense.width

    def __call__(self, x: np.ndarray, name: str, workspace: Workspace) -> np.ndarray:
        """Return tiles of shape (n_tiles, width, 16) in the workspace, under a name."""
        return self.finish(self._dense(x, name, workspace), workspace)

    def finish(self, y: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Normalise and activate the outputs of the dense layer, contiguous tiles, in place."""
        blocks = y.reshape(len(y), self._dense.n_blocks, -1, TILE_ROWS)
        scratch = workspace.take("scratch", *blocks.shape)
        if self._gamma is not None:
            blocks -= mean_of_units(blocks, workspace)
            np.multiply(blocks, blocks, out=scratch)
            blocks /= np.sqrt(mean_of_units(scratch, workspace) + NORM_EPSILON)
            y *= self._gamma
            y += self._beta
        self._activate(blocks, scratch)
        return y
