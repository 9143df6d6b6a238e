"""Feeding: the rows of steps as arrays, from tables that stay where they are.

X is never copied as a whole: each call of the compiled program gets the rows of its steps. Knows no
network.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from sk_mtl._compat.interrupts import interrupts_deferred
from sk_mtl._data.known_labels import Shown, write_labels
from sk_mtl._data.stored_rows import Piece
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.values import Batch, UnlabelledBatch

__all__ = ["Feed", "UnlabelledRows", "count"]


class UnlabelledRows(NamedTuple):
    """The unlabelled cells of an epoch."""

    weight: np.ndarray  # float32 of shape (n_samples, n_tasks); 0 for labelled cells
    order: np.ndarray  # rows with unlabelled cells, in their order
    factor: float  # weight of these cells relative to labelled ones
    batch_size: int  # rows per step


class Feed:
    """Arrays for the rows of a call, filled member by member.

    Parameters
    ----------
    n_members, n_steps, n_rows, n_inputs, n_tasks : int
        Their shape: members, steps, rows of a step, columns of inputs and tasks.
    n_unlabelled : int, default=0
        Rows with unlabelled cells of a step.
    has_epoch : bool, default=False
        Whether a step is told the number of the epoch.
    """

    def __init__(
        self,
        n_members: int,
        n_steps: int,
        n_rows: int,
        n_inputs: int,
        n_tasks: int,
        n_unlabelled: int = 0,
        has_epoch: bool = False,
    ):
        self.shape = (n_members, n_steps, n_rows, n_inputs, n_tasks, n_unlabelled, has_epoch)
        axes = (n_members, n_steps, n_rows)
        self._arrays = Batch(
            np.zeros((*axes, n_inputs), np.float32),
            np.zeros((*axes, n_tasks), np.int32),
            np.zeros((*axes, n_tasks), np.float32),
            np.zeros((n_members, n_steps), bool),
        )
        if has_epoch:
            self._arrays = self._arrays._replace(epoch=np.zeros((n_members, n_steps), np.int32))
        if n_unlabelled:
            more = (n_members, n_steps, n_unlabelled)
            self._arrays = self._arrays._replace(
                unlabelled=UnlabelledBatch(
                    np.zeros((*more, n_inputs), np.float32),
                    np.zeros((*more, n_tasks), np.float32),
                    np.zeros((n_members, n_steps), np.float32),
                )
            )

    def tell_epoch(self, member: int, number: int) -> None:
        """Tell the steps of a member the number of the epoch."""
        self._arrays.epoch[member] = number

    def fill(
        self, member: int, X: Any, codes: np.ndarray, weight: np.ndarray, rows: np.ndarray
    ) -> None:
        """Take the rows of the next steps of a member; what they do not fill has weight 0."""
        arrays, n = self._arrays, len(rows)
        n_rows, n_steps = arrays.X.shape[2], -(-n // arrays.X.shape[2])
        for source, target in zip((X, codes, weight), arrays[:3], strict=True):
            flat = target[member].reshape(-1, target.shape[-1])
            _gather(source, rows, flat[:n, : source.shape[1]])
            flat[n : n_steps * n_rows] = 0
        arrays.is_used[member] = np.arange(arrays.X.shape[1]) < n_steps

    def show(self, member: int, shown: Shown, spec: NetworkSpec) -> None:
        """Let the first rows of a member have some labels as inputs, and others in the loss."""
        n, (X, codes, weight) = len(shown.is_shown), (part[member] for part in self._arrays[:3])
        columns = X.reshape(-1, X.shape[-1])[:n, spec.n_features :]
        codes, weight = (part.reshape(-1, part.shape[-1])[:n] for part in (codes, weight))
        write_labels(codes, shown.is_shown, shown.is_missing, spec.n_outputs, columns)
        weight *= shown.is_counted

    def fill_unlabelled(
        self, member: int, X: Any, unlabelled: UnlabelledRows, first: int, n_steps: int
    ) -> None:
        """Take the rows with unlabelled cells of the steps from `first` on."""
        arrays, size = self._arrays.unlabelled, unlabelled.batch_size
        assert isinstance(arrays, UnlabelledBatch)
        rows = unlabelled.order[first * size : (first + n_steps) * size]
        for source, target in zip((X, unlabelled.weight), arrays[:2], strict=True):
            flat = target[member].reshape(-1, target.shape[-1])
            _gather(source, rows, flat[: len(rows), : source.shape[1]])
        arrays.factor[member] = unlabelled.factor

    def skip(self, member: int) -> None:
        """Let a member make no step."""
        self._arrays.is_used[member] = False
        self._arrays.weight[member] = 0

    @interrupts_deferred()
    def place(self) -> Batch:
        """Return the arrays as tensors."""
        return tf.nest.map_structure(tf.constant, self._arrays)

    @interrupts_deferred()
    def place_rows(self) -> Batch:
        """Return the rows of a single step as tensors, without an axis of steps."""
        X, codes, weight = (tf.constant(part[:, 0]) for part in self._arrays[:3])
        return Batch(X, codes, weight, ())


@interrupts_deferred()
def count(number: int) -> tf.Tensor:
    """Return a number of steps as a tensor."""
    return tf.constant(number, tf.int32)


def _gather(source: Any, rows: np.ndarray, out: np.ndarray) -> None:
    """Write rows of a matrix; only here is a CSR matrix made dense."""
    if isinstance(source, Piece):
        source.write_X(out)
    elif sp.issparse(source):
        out[...] = source[rows].toarray()
    elif out.flags.c_contiguous:
        np.take(source, rows, axis=0, out=out, mode="clip")
    else:  # known labels stand beside
        out[...] = source[rows]
