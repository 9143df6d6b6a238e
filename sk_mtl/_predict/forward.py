"""Prediction: from X and a network's values to logits and probabilities, by batches, in NumPy.

Owns the batches, the threads that share them, and which networks have to go by Keras instead. The
probabilities of a row have the same bits whatever rows come with it and however many threads
compute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config

from sk_mtl._compat.threads import compute_thread_limit
from sk_mtl._data.known_labels import LABEL_SCALE, write_known
from sk_mtl._model.spec import NetworkSpec, head_groups
from sk_mtl._model.variables import values_by_layer
from sk_mtl._predict.activations import ACTIVATIONS
from sk_mtl._predict.base import Forward
from sk_mtl._predict.input_layers import InputLayers
from sk_mtl._predict.layers import Dense, HiddenLayer
from sk_mtl._predict.sharing import MixedTrunk
from sk_mtl._predict.tiles import TILE_ROWS, Workspace, fill_tiles

__all__ = ["Head", "NetworkForward", "make_forward"]

# A batch has as many tiles as give the widest layer this many numbers, 4 MiB: fewer cost time, and
# more only memory.
_BATCH_CELLS = 2**20


def make_forward(
    spec: NetworkSpec, values: Sequence[np.ndarray], in_numpy: type[NetworkForward] | None = None
) -> Forward:
    """Prepare the forward pass of a network: in NumPy, or in Keras if it has layers of the user."""
    if spec.custom_model is None and spec.activation in ACTIVATIONS:
        return (in_numpy or NetworkForward)(spec, values)
    from sk_mtl._predict.keras_forward import KerasForward

    return KerasForward(spec, values)


class Head(NamedTuple):
    """The layers of heads that are computed together, and their columns among the logits."""

    hidden: list[HiddenLayer]
    output: Dense
    columns: np.ndarray
    tasks: list[int] | None = None  # whose blocks the heads read; None for all columns


class NetworkForward(Forward):
    """The forward pass in NumPy of a network without layers of the user."""

    def __init__(self, spec: NetworkSpec, values: Sequence[np.ndarray]):
        super().__init__(spec)
        by_layer: Any = values_by_layer(spec, values)
        self._input = None
        if spec.input is not None:
            self._input = InputLayers(spec.input, spec.n_features, by_layer)
        self._trunk = [
            HiddenLayer(spec, f"trunk_{depth}", by_layer)
            for depth in range(len(spec.hidden_layer_sizes))
        ]
        self._mixed: MixedTrunk | None = None
        if spec.sharing != "hard":
            self._mixed = MixedTrunk(spec, self._trunk, by_layer)
        self._heads: list[Head] = []
        for number, group in enumerate(head_groups(spec)):
            name = f"heads_{number}"
            layers = [
                HiddenLayer(spec, f"{name}_{depth}", by_layer) for depth in range(len(group.hidden))
            ]
            output = Dense(spec, f"{name}_logits", by_layer[f"{name}_logits"])
            reads_all = spec.sharing == "hard" or len(group.tasks) == len(spec.n_outputs)
            tasks = None if reads_all else group.tasks
            self._heads.append(Head(layers, output, group.columns, tasks))
        hidden = [*self._trunk, *(layer for head in self._heads for layer in head.hidden)]
        widths = [layer.width for layer in hidden] + [head.output.width for head in self._heads]
        n_columns = spec.n_features if self._input is None else self._input.width
        widths += [spec.n_features, n_columns + spec.n_label_columns]
        widths += [] if self._mixed is None else [self._mixed.widest]
        self._widest = max(*widths, spec.layout.total * spec.ensemble_size)

    def _run_by_batch(
        self, X: Any, known: np.ndarray | None, keep: Callable[[slice, np.ndarray], None]
    ) -> None:
        """Compute the members' logits of X, and give them to a function with their rows."""
        n_rows = X.shape[0]
        size = max(_BATCH_CELLS // (self._widest * TILE_ROWS), 1) * TILE_ROWS
        batches = deque(slice(i, min(i + size, n_rows)) for i in range(0, n_rows, size))
        is_checked = not get_config()["assume_finite"]

        def work() -> None:
            workspace = Workspace()
            # As in TensorFlow, what overflows does so silently.
            with np.errstate(all="ignore"):
                while batches:
                    try:
                        rows = batches.popleft()
                    except IndexError:  # another thread was faster
                        return
                    try:
                        tiles = self._tiles(X[rows], is_checked, workspace)
                        labels = None if known is None else known[rows]
                        keep(rows, self._members(tiles, labels, workspace))
                    except BaseException:
                        batches.clear()
                        raise

        n_threads = min(len(batches), compute_thread_limit()) if len(batches) > 1 else 1
        if n_threads == 1:
            work()
            return
        with ThreadPoolExecutor(n_threads - 1) as pool:
            others = [pool.submit(work) for _ in range(n_threads - 1)]
            work()
        for other in others:
            other.result()

    def _tiles(self, X: Any, is_checked: bool, workspace: Workspace) -> np.ndarray:
        n_tiles = -(-X.shape[0] // TILE_ROWS)
        tiles = workspace.take("X", n_tiles, self.spec.n_features, TILE_ROWS)
        fill_tiles(X, tiles, is_checked)
        return tiles

    def _members(self, x: np.ndarray, known: np.ndarray | None, workspace: Workspace) -> np.ndarray:
        """Return the logits of each member, (n_members, n_columns, 16 * n_tiles), in task order."""
        if self._input is not None:
            x = self._input(x, workspace)
        if self.spec.known_labels:
            x = self._with_labels(x, known, workspace)
        if self._mixed is not None:
            x = self._mixed(x, workspace)
        else:
            for depth, layer in enumerate(self._trunk):
                x = layer(x, f"trunk {depth % 2}", workspace)
        return self._join(
            (self._head(head, x, workspace) for head in self._heads), len(x), workspace
        )

    def _head(self, head: Head, x: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Return the outputs of a group of heads, (n_tiles, width, 16)."""
        if head.tasks is not None:
            blocks = x.reshape(len(x), len(self.spec.n_outputs), -1, TILE_ROWS)
            x = blocks[:, head.tasks].reshape(len(x), -1, TILE_ROWS)
        for depth, layer in enumerate(head.hidden):
            x = layer(x, f"heads {depth % 2}", workspace)
        return head.output(x, "outputs", workspace)

    def _join(
        self, outputs: Iterable[np.ndarray], n_tiles: int, workspace: Workspace
    ) -> np.ndarray:
        """Return the outputs of all groups of heads as logits in task order."""
        n_members = self.spec.ensemble_size
        shape = (n_members, self.spec.layout.total, n_tiles, TILE_ROWS)
        logits = workspace.take("logits", *shape)
        for head, y in zip(self._heads, outputs, strict=True):
            by_member = y.reshape(n_tiles, n_members, -1, TILE_ROWS)
            logits[:, head.columns] = by_member.transpose(1, 2, 0, 3)
        return logits.reshape(n_members, -1, n_tiles * TILE_ROWS)

    def _with_labels(
        self, x: np.ndarray, known: np.ndarray | None, workspace: Workspace
    ) -> np.ndarray:
        """Return tiles of x, and below them the units of known labels."""
        n_tiles, width, _ = x.shape
        n_labels = self.spec.n_label_columns
        whole = workspace.take("with labels", n_tiles, width + n_labels, TILE_ROWS)
        whole[:, :width] = x
        whole[:, width:] = 0
        if known is not None:
            columns = np.zeros((n_tiles * TILE_ROWS, n_labels), np.float32)
            write_known(known, self.spec.n_outputs, columns[: len(known)])
            columns *= LABEL_SCALE
            tiles = columns.reshape(n_tiles, TILE_ROWS, n_labels)
            whole[:, width:] = tiles.transpose(0, 2, 1)
        return whole
