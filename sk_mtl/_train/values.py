"""The values of a network in training: what a step takes and gives, and how a call carries it.

With one more axis in front they are those of several networks, the members of a pack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from sk_mtl._compat.interrupts import interrupts_deferred

__all__ = [
    "Batch",
    "Groups",
    "Layout",
    "UnlabelledBatch",
    "Values",
    "member_of",
    "stack",
]


# Numbers of an array below which it is joined with others: copying it costs less than an operation.
_SMALL = 2**16


class Values(NamedTuple):
    """What a step changes."""

    trained: list[Any]  # what the optimizer updates, joined by `Groups`
    fixed: list[Any]  # the other values of the network
    weighting: dict[str, Any]  # what is not trained of the state of the task weighting
    slots: list[list[Any]]  # the optimizer's values with the shapes of what it updates, joined
    optimizer: list[Any]  # its other values
    averages: list[Any]  # of the network's weights, joined, and of the moments of batches; or none
    n_averaged: Any  # steps in the averages, int32
    teacher: list[Any]  # of the weights of a teacher, joined, and its other values; or none
    n_taught: Any  # steps that the teacher has followed, int32


class UnlabelledBatch(NamedTuple):
    """Rows with unlabelled cells of a step."""

    X: Any  # float32 of shape (n_rows, n_inputs)
    weight: Any  # float32 of shape (n_rows, n_tasks); 0 for labelled cells
    factor: Any  # weight of these rows relative to the labelled ones


class Batch(NamedTuple):
    """The rows of a step; of several members and steps, with two more axes in front."""

    X: Any  # float32 of shape (n_rows, n_inputs)
    codes: Any  # int32 of shape (n_rows, n_tasks)
    weight: Any  # float32 of shape (n_rows, n_tasks); 0 for unlabelled cells
    is_used: Any  # whether there is a step to make; an epoch of another member may be longer
    unlabelled: UnlabelledBatch | tuple[()] = ()
    epoch: Any = ()  # its number, int32, if the task weighting reads it
    first_row: Any = ()  # in the batch of all replicas, int32, if there are several


class Groups:
    """Which of the arrays that are trained are joined in one vector: all small ones.

    What is computed element by element is then one operation in place of one for each array, which
    takes a fraction of the time to compile, and of that to run where arrays are small.

    Parameters
    ----------
    shapes : sequence of tuple
        The shapes of the arrays.
    can_join : sequence of bool
        Which of them may be joined.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], can_join: Sequence[bool]):
        sizes = [int(np.prod(shape)) for shape in shapes]
        is_joined = [ok and n < _SMALL for ok, n in zip(can_join, sizes, strict=True)]
        joined = [k for k, is_small in enumerate(is_joined) if is_small]
        alone = [[k] for k, is_small in enumerate(is_joined) if not is_small]
        self.members = [joined, *alone] if joined else alone  # positions of arrays, by group
        self._shapes = shapes
        self._sizes = sizes

    def join(self, arrays: Sequence[Any]) -> list[Any]:
        """Return arrays, or tensors, group by group."""
        joined = []
        for group in self.members:
            parts = [arrays[k] for k in group]
            if len(group) == 1:
                joined.append(parts[0])
            elif isinstance(parts[0], np.ndarray):
                joined.append(np.concatenate([part.ravel() for part in parts]))
            else:
                joined.append(tf.concat([tf.reshape(part, (-1,)) for part in parts], axis=0))
        return joined

    def split(self, joined: Sequence[Any]) -> list[Any]:
        """Return the arrays, or tensors, of groups."""
        arrays: dict[int, Any] = {}
        for group, vector in zip(self.members, joined, strict=True):
            if len(group) == 1:
                arrays[group[0]] = vector
                continue
            start = 0
            for k in group:
                part, start = vector[start : start + self._sizes[k]], start + self._sizes[k]
                reshape = np.reshape if isinstance(vector, np.ndarray) else tf.reshape
                arrays[k] = reshape(part, self._shapes[k])
        return [arrays[k] for k in range(len(arrays))]


class Layout:
    """Where the parts of a structure lie in vectors: one for all small parts of a dtype.

    TensorFlow checks each argument of a call, which takes longer than a step where there are many;
    a large part has a vector of its own, as joining it would copy it.

    Parameters
    ----------
    example : structure of ndarray
        Arrays of the shapes and dtypes of the parts.
    """

    def __init__(self, example: Any):
        self._structure = example
        self._dtypes: list[str] = []  # of the vectors
        self._sizes: list[int] = []
        self._parts = []  # position of the vector, start, end and shape of each part
        of_small: dict[str, int] = {}  # position of the vector, by dtype
        for part in tf.nest.flatten(example):
            vector = None if part.size >= _SMALL else of_small.get(part.dtype.name)
            if vector is None:
                vector = len(self._dtypes)
                self._dtypes.append(part.dtype.name)
                self._sizes.append(0)
            if part.size < _SMALL:
                of_small[part.dtype.name] = vector
            start = self._sizes[vector]
            self._sizes[vector] += part.size
            self._parts.append((vector, start, start + part.size, part.shape))

    def join(self, structure: Any) -> tuple[np.ndarray, ...]:
        """Return the parts of a structure of arrays as vectors."""
        vectors = [np.empty(n, dtype) for n, dtype in zip(self._sizes, self._dtypes, strict=True)]
        parts = tf.nest.flatten(structure)
        for (vector, start, end, shape), part in zip(self._parts, parts, strict=True):
            if part.shape != shape:
                raise ValueError(f"A part has the shape {part.shape} in place of {shape}.")
            vectors[vector][start:end] = part.ravel()
        return tuple(vectors)

    def join_members(self, structure: Any) -> tuple[Any, ...]:
        """Return the parts of a structure of tensors, with members on axis 0, as matrices."""
        rows: list[list[Any]] = [[] for _ in self._sizes]
        parts = tf.nest.flatten(structure)
        for (vector, start, end, _), part in zip(self._parts, parts, strict=True):
            rows[vector].append(tf.reshape(part, (-1, end - start)))
        return tuple(tf.concat(parts, axis=1) for parts in rows)

    def split(self, vectors: Sequence[Any]) -> Any:
        """Return the structure of vectors, or of matrices with members on axis 0."""
        parts = []
        for number, start, end, shape in self._parts:
            vector = vectors[number]
            if isinstance(vector, np.ndarray):
                parts.append(vector[..., start:end].reshape((*vector.shape[:-1], *shape)))
            else:
                part = tf.reshape(vector[:, start:end], (vector.shape[0], *shape))
                parts.append(part)
        return tf.nest.pack_sequence_as(self._structure, parts)

    def specs(self, n_members: int) -> tuple[tf.TensorSpec, ...]:
        """Return the specifications of matrices of members."""
        pairs = zip(self._sizes, self._dtypes, strict=True)
        return tuple(tf.TensorSpec((n_members, size), dtype) for size, dtype in pairs)


@interrupts_deferred()
def stack(members: Sequence[tuple[np.ndarray, ...]]) -> tuple[tf.Tensor, ...]:
    """Return the vectors of members as matrices, with members on axis 0."""
    return tuple(tf.constant(np.stack(parts)) for parts in zip(*members, strict=True))


def member_of(matrices: Sequence[tf.Tensor], number: int) -> tuple[np.ndarray, ...]:
    """Return a copy of the vectors of one member."""
    return tuple(np.array(matrix.numpy()[number]) for matrix in matrices)
