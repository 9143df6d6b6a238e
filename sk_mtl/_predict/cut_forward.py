"""The forward pass cut in two: up to the first products, where features add up, and from there.

Each input of the first layers depends on one feature only, so that what a feature adds to their
units is known without the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sk_mtl._data.input_spec import CATEGORY_VECTOR_SIZE
from sk_mtl._model.sharing import Mixing, mixing_after
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._model.variables import values_by_layer
from sk_mtl._predict.forward import NetworkForward
from sk_mtl._predict.layers import dense_values
from sk_mtl._predict.sharing import gate_values
from sk_mtl._predict.tiles import Workspace

__all__ = ["CutForward"]


class CutForward(NetworkForward):
    """A network as inputs, the kernel of the layers that read them, and the rest."""

    features: np.ndarray  # (n_columns,), the feature of each input of the first layers
    kernel: np.ndarray  # (n_columns, n_units), from inputs to the units of all first layers
    offset: np.ndarray  # (n_units,), which is added to the units

    def __init__(self, spec: NetworkSpec, values: Sequence[np.ndarray]):
        super().__init__(spec, values)
        by_layer: Any = values_by_layer(spec, values)
        self.features = np.array(list(_features_of_columns(spec)), np.intp)
        names = ["trunk_0"] if self._trunk else self._first_of_heads()
        kernels, offsets = [], []
        for name in names:
            norm = by_layer.get(f"{name}_norm") if spec.normalization == "batch" else None
            of_layer = dense_values(spec, name, by_layer[name], norm)
            kernel = of_layer.weights[0].T
            kernels.append(kernel if of_layer.scale is None else kernel * of_layer.scale)
            offsets.append(of_layer.offset)
        mixing = self._gates_of_inputs()
        if mixing is not None:
            kernel, offset = gate_values(mixing, by_layer[mixing.name])
            kernels.append(kernel)
            offsets.append(offset)
        # Known labels are inputs, too, which are 0 here: no label is known.
        self.kernel = np.ascontiguousarray(np.hstack(kernels)[: len(self.features)], np.float32)
        self.offset = np.concatenate(offsets).astype(np.float32)
        self._stops = np.cumsum([len(offset) for offset in offsets])

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Return the inputs of the first layers, (n_rows, n_columns), of rows of float32."""
        workspace = Workspace()
        with np.errstate(all="ignore"):
            x = self._tiles(X, False, workspace)
            if self._input is not None:
                x = self._input(x, workspace)
        return x.transpose(0, 2, 1).reshape(-1, x.shape[1])[: len(X)].copy()

    def logits_of_units(self, units: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Return the logits, (n_columns, 16 * n_tiles), of tiles of units, which are used up."""
        with np.errstate(all="ignore"):
            outputs = self._outputs_of_units(units, workspace)
            return self._average(self._join(outputs, len(units), workspace))

    def _gates_of_inputs(self) -> Mixing | None:
        """Return the mixing layer whose gates read what the trunk reads, if there is one."""
        mixings = (mixing_after(self.spec, depth) for depth in range(len(self._trunk)))
        return next((mixing for mixing in mixings if isinstance(mixing, Mixing)), None)

    def _first_of_heads(self) -> list[str]:
        return [
            f"heads_{number}_{'0' if head.hidden else 'logits'}"
            for number, head in enumerate(self._heads)
        ]

    def _outputs_of_units(self, tiles: np.ndarray, workspace: Workspace) -> Iterator[np.ndarray]:
        """Yield the outputs of the groups of heads."""
        if self._mixed is not None:
            x = self._mixed.from_units(tiles, workspace)
            for head in self._heads:
                yield self._head(head, x, workspace)
            return
        if self._trunk:
            x = self._trunk[0].finish(tiles, workspace)
            for depth, layer in enumerate(self._trunk[1:]):
                x = layer(x, f"trunk {depth % 2}", workspace)
            for head in self._heads:
                yield self._head(head, x, workspace)
            return
        for head, stop in zip(self._heads, self._stops, strict=True):
            width = (head.hidden[0] if head.hidden else head.output).width
            x = np.ascontiguousarray(tiles[:, stop - width : stop])
            if head.hidden:
                x = head.hidden[0].finish(x, workspace)
                x = self._head(head._replace(hidden=head.hidden[1:]), x, workspace)
            yield x


def _features_of_columns(spec: NetworkSpec) -> Iterator[int]:
    """Yield the feature of each input of the first layers, labels apart."""
    if spec.input is None:
        yield from range(spec.n_features)
        return
    numeric = spec.input.numeric(spec.n_features)
    yield from numeric
    yield from (feature for feature, _ in spec.input.indicators)
    if spec.input.embedding is not None:
        for position in spec.input.embedded:
            yield from [numeric[position]] * spec.input.embedding_size
    for feature in spec.input.looked_up:
        yield from [feature] * CATEGORY_VECTOR_SIZE
