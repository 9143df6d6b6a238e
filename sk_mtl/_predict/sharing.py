"""The trunk of a sharing structure in NumPy, on tiles: experts, their gates and mixtures.

The same arithmetic as the Keras layers of `_model/sharing_layers.py`. Owns what is read by which
gates. Sums over experts are made in one order, so that the bits of a row depend on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sk_mtl._model.sharing import Mixing, Stitch, mixing_after
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict.activations import ACTIVATIONS
from sk_mtl._predict.layers import HiddenLayer
from sk_mtl._predict.products import Product
from sk_mtl._predict.tiles import TILE_ROWS, Workspace, expand

__all__ = ["MixedTrunk", "gate_values"]

_Values = Mapping[str, Any]


class MixedTrunk:
    """The layers of a trunk, and the mixing layers between and behind them."""

    def __init__(
        self, spec: NetworkSpec, layers: Sequence[HiddenLayer], by_layer: Mapping[str, _Values]
    ):
        self._layers = list(layers)
        self._mixings: list[_Mixture | _Combination | None] = []
        self.widest = 0
        for depth, units in enumerate(spec.hidden_layer_sizes):
            mixing = mixing_after(spec, depth)
            made: _Mixture | _Combination | None = None
            if isinstance(mixing, Stitch):
                made = _Combination(mixing, by_layer[mixing.name])
            elif mixing is not None:
                made = _Mixture(mixing, by_layer[mixing.name])
                n_gates = mixing.n_tasks * mixing.n_choices + mixing.n_experts
                self.widest = max(self.widest, mixing.n_given * units, n_gates)
            self._mixings.append(made)

    def __call__(self, x: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Return tiles of what the heads read, from tiles of what the trunk reads."""
        return self._run(self._layers[0](x, "trunk 0", workspace), x, None, workspace)

    def from_units(self, tiles: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Return what a call does, from the products of the layers that read what it reads."""
        # Those of the first layer, and then those of the gates.
        width = self._layers[0].width
        units = self._layers[0].finish(np.ascontiguousarray(tiles[:, :width]), workspace)
        return self._run(units, None, np.ascontiguousarray(tiles[:, width:]), workspace)

    def _run(
        self,
        x: np.ndarray,
        given: np.ndarray | None,
        gates: np.ndarray | None,
        workspace: Workspace,
    ) -> np.ndarray:
        """Return what the heads read, from the first layer and what the gates read or give."""
        of_level = given
        for depth, mixing in enumerate(self._mixings):
            if depth:
                of_level, x = x, self._layers[depth](x, f"trunk {depth % 2}", workspace)
            if isinstance(mixing, _Combination):
                x = mixing(x, f"mixtures {depth % 2}", workspace)
            elif mixing is not None:
                logits = gates
                if mixing.reads_mixtures or logits is None:
                    read = of_level if mixing.reads_mixtures else given
                    assert read is not None
                    logits = mixing.gate_logits(read, workspace)
                x = mixing(x, logits, f"mixtures {depth % 2}", workspace)
        return x


def gate_values(mixing: Mixing, values: _Values) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel, (n_in, n_gates), and bias of all gates that read what the trunk reads."""
    kernels, biases = [values["gate_kernel"]], [values["gate_bias"]]
    if mixing.gives_level:
        kernels.append(values["shared_gate_kernel"])
        biases.append(values["shared_gate_bias"])
    return np.concatenate(kernels, axis=1), np.concatenate(biases)


class _Mixture:
    """Mixtures of experts for each task, by gates."""

    def __init__(self, mixing: Mixing, values: _Values):
        self._mixing = mixing
        self.reads_mixtures = mixing.reads_mixtures
        self._products: list[Product] = []
        if mixing.reads_mixtures:
            self._products.append(Product(np.swapaxes(values["gate_kernel"], 1, 2)))
            biases = [np.ravel(values["gate_bias"])]
            if mixing.gives_level:
                self._products.append(Product(values["shared_gate_kernel"].T[None]))
                biases.append(values["shared_gate_bias"])
            bias = np.concatenate(biases)
        else:
            kernel, bias = gate_values(mixing, values)
            self._products.append(Product(kernel.T[None]))
        self._bias = expand(bias)

    def gate_logits(self, read: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Return the logits of all gates, (n_tiles, n_gates, 16)."""
        mixing, n_tiles = self._mixing, len(read)
        logits = workspace.take("gates", n_tiles, len(self._bias), TILE_ROWS)
        if mixing.reads_mixtures:
            blocks = read.reshape(n_tiles, mixing.n_experts, -1, TILE_ROWS)
            n_of_tasks = mixing.n_tasks * mixing.n_choices
            of_tasks = logits[:, :n_of_tasks].reshape(n_tiles, mixing.n_tasks, -1, TILE_ROWS)
            # All experts of a task read the same, and so do all shared ones.
            own = blocks[:, mixing.n_shared :: mixing.n_own]
            self._products[0](own, of_tasks, workspace)
            logits[:, :n_of_tasks] = of_tasks.reshape(n_tiles, -1, TILE_ROWS)
            if mixing.gives_level:
                self._products[1](blocks[:, :1], logits[:, None, n_of_tasks:], workspace)
        else:
            self._products[0](read[:, None], logits[:, None], workspace)
        logits += self._bias
        return logits

    def __call__(
        self, experts: np.ndarray, logits: np.ndarray, name: str, workspace: Workspace
    ) -> np.ndarray:
        """Return tiles of mixtures in the workspace, under a name; the logits are used up."""
        mixing, n_tiles = self._mixing, len(experts)
        n_tasks, n_shared, n_own = mixing.n_tasks, mixing.n_shared, mixing.n_own
        n_of_tasks = n_tasks * mixing.n_choices
        experts = experts.reshape(n_tiles, mixing.n_experts, -1, TILE_ROWS)
        n_units = experts.shape[2]
        gates = _softmax(logits[:, :n_of_tasks], n_tasks)
        given = workspace.take(name, n_tiles, mixing.n_given, n_units, TILE_ROWS)
        # The experts of a task each read the mixture; the first of them gets it first.
        first, step = (n_shared, n_own) if mixing.gives_level else (0, 1)
        mixtures = given[:, first::step]
        product = workspace.take("mixed", n_tiles, n_tasks, n_units, TILE_ROWS)
        for choice in range(mixing.n_choices):
            share = gates[:, :, choice, None]
            if choice < n_shared:
                read = experts[:, choice, None]
            else:
                read = experts[:, choice::n_own][:, :n_tasks]
            if choice:
                mixtures += np.multiply(share, read, out=product)
            else:
                np.multiply(share, read, out=mixtures)
        if mixing.gives_level:
            for number in range(1, n_own):
                given[:, n_shared + number :: n_own] = mixtures
            shares = _softmax(logits[:, n_of_tasks:], 1)[:, 0, :, None]
            product = workspace.take("mixed", n_tiles, n_units, TILE_ROWS)
            shared = given[:, 0]
            np.multiply(shares[:, 0], experts[:, 0], out=shared)
            for expert in range(1, mixing.n_experts):
                shared += np.multiply(shares[:, expert], experts[:, expert], out=product)
            given[:, 1:n_shared] = shared[:, None]
        return given.reshape(n_tiles, -1, TILE_ROWS)


def _softmax(logits: np.ndarray, n_blocks: int) -> np.ndarray:
    """Return the softmax of blocks of logits, (n_tiles, n_blocks, n_choices, 16)."""
    blocks = np.array(logits).reshape(len(logits), n_blocks, -1, TILE_ROWS)
    ACTIVATIONS["softmax"](blocks, blocks)
    return blocks


class _Combination:
    """Linear combinations of the blocks of all tasks for each of them."""

    def __init__(self, stitch: Stitch, values: _Values):
        self._n_tasks = stitch.n_tasks
        self._product = Product(np.asarray(values["stitch"])[None])

    def __call__(self, x: np.ndarray, name: str, workspace: Workspace) -> np.ndarray:
        """Return tiles of the same shape in the workspace, under a name."""
        n_tiles = len(x)
        blocks = x.reshape(n_tiles, self._n_tasks, -1, TILE_ROWS).transpose(0, 2, 1, 3)
        shape = (n_tiles * blocks.shape[1], 1, self._n_tasks, TILE_ROWS)
        by_unit = workspace.take("by unit", *shape)
        np.copyto(by_unit.reshape(blocks.shape), blocks)
        combined = workspace.take("combined", *shape)
        self._product(by_unit, combined, workspace)
        result = workspace.take(name, n_tiles, self._n_tasks, blocks.shape[1], TILE_ROWS)
        np.copyto(result, combined.reshape(blocks.shape).transpose(0, 2, 1, 3))
        return result.reshape(x.shape)
