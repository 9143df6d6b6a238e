"""The gradients of the tasks where these meet: at what the heads read.

The first layers of the heads read the same input, and what each gives belongs to one task. So one
backward pass as far as their outputs tells the gradients of all tasks at once, D, with a row for
each sample and a block of columns for each task. With the kernels W of these layers, the gradient
of task t with respect to what the heads read is :math:`D_t W_t^T`, and the inner product of those
of two tasks is the sum of a block of :math:`(D^T D) \\circ (W^T W)`.

Knows which layers these are, and how gradients pass them. Does not know what weighs the tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._model.spec import HeadGroup, NetworkSpec, head_groups

__all__ = ["SplitNetwork"]


class SplitNetwork:
    """A network as three parts: the shared layers, the first layers of the heads, and the rest.

    Parameters
    ----------
    spec : NetworkSpec
        Its specification, with one member and hard sharing.
    model : keras.Model
        The network; the parts have its layers and variables.
    """

    def __init__(self, spec: NetworkSpec, model: keras.Model):
        groups = head_groups(spec)
        self._first = [model.get_layer(_name_of_first(n, g)) for n, g in enumerate(groups)]
        # The tensors of the model's own graph: a part calls these layers anew.
        shared, given = self._first[0].input, [layer.output for layer in self._first]
        self.shared = keras.Model(model.input, shared, name="shared")
        self.first = keras.Model(shared, given, name="first_layers")
        is_last = len(given) == 1 and given[0] is model.output
        self._rest = None if is_last else keras.Model(given, model.output, name="rest")
        self._task_of_column = np.concatenate([_tasks_of_columns(spec, g) for g in groups])
        self._n_tasks = len(spec.n_outputs)

    def rest(self, given: Sequence[Any], *, training: bool) -> Any:
        """Return the logits, from what the first layers of the heads give."""
        return given[0] if self._rest is None else self._rest(list(given), training=training)

    @property
    def losses(self) -> list[Any]:
        """The penalties on the weights of the parts."""
        parts = [self.shared, self.first, *([] if self._rest is None else [self._rest])]
        return [penalty for part in parts for penalty in part.losses]

    def kernel(self) -> Any:
        """Return the kernels of the first layers of the heads, (n_shared, n_columns)."""
        kernels = [tf.convert_to_tensor(layer.kernel) for layer in self._first]
        return kernels[0] if len(kernels) == 1 else tf.concat(kernels, axis=1)

    def gram(self, by_column: Any, kernel: Any) -> Any:
        """Return the inner products of the gradients of tasks, from those of columns."""
        products = tf.matmul(by_column, by_column, transpose_a=True)
        products *= tf.matmul(kernel, kernel, transpose_a=True)
        return self._sum_columns(tf.transpose(self._sum_columns(products)))

    def squares(self, by_column: Any, kernel: Any) -> Any:
        """Return the diagonal of what `gram` returns, as a matrix."""
        tasks, squares = [], []
        for of_width in self._columns_by_width():
            columns, weights = (_take_columns(part, of_width) for part in (by_column, kernel))
            if of_width.shape[1] == 1:
                products = tf.reduce_sum(columns**2, axis=0) * tf.reduce_sum(weights**2, axis=0)
            else:
                products = tf.einsum("rtu,rtv->tuv", columns, columns)
                products *= tf.einsum("rtu,rtv->tuv", weights, weights)
            squares.append(tf.reduce_sum(products, axis=tuple(range(1, len(products.shape)))))
            tasks.append(self._task_of_column[of_width[:, 0]])
        back = np.argsort(np.concatenate(tasks))
        return tf.linalg.diag(tf.gather(tf.concat(squares, axis=0), back))

    def weigh_columns(self, weights: Any) -> Any:
        """Return the weight of each column of gradients, (n_columns,), from those of tasks."""
        return tf.gather(weights, self._task_of_column)

    def split_columns(self, by_column: Any) -> list[Any]:
        """Return the columns of gradients layer by layer."""
        widths = [int(layer.units) for layer in self._first]
        return [by_column] if len(widths) == 1 else tf.split(by_column, widths, axis=1)

    def sum_by_unit(self, by_column: Any, kernel: Any, shared: Any) -> Any:
        """Return gradients of tasks times the signs of `shared`, summed over rows."""
        # (n_tasks, n_shared): the rows are summed before the columns are told apart.
        sums = tf.matmul(by_column, tf.sign(shared), transpose_a=True)
        return self._sum_columns(sums * tf.transpose(kernel))

    def mix_by_unit(self, by_column: Any, kernel: Any, weights: Any) -> Any:
        """Return the sum of the gradients of tasks, weighted by task and unit."""
        weighted = kernel * tf.transpose(tf.gather(weights, self._task_of_column))
        return tf.matmul(by_column, weighted, transpose_b=True)

    def _columns_by_width(self) -> list[np.ndarray]:
        """Return the columns of tasks with equally many, (n_tasks, n_columns) each."""
        positions = [np.flatnonzero(self._task_of_column == t) for t in range(self._n_tasks)]
        widths = sorted({len(p) for p in positions} - {0})
        return [np.stack([p for p in positions if len(p) == width]) for width in widths]

    def _sum_columns(self, by_column: Any) -> Any:
        """Return sums over the columns of each task, on axis 0."""
        if np.array_equal(self._task_of_column, np.arange(self._n_tasks)):
            return by_column
        return tf.math.unsorted_segment_sum(by_column, self._task_of_column, self._n_tasks)


def _take_columns(matrix: Any, positions: np.ndarray) -> Any:
    """Return columns, (n_rows, *positions.shape)."""
    if np.array_equal(positions.ravel(), np.arange(matrix.shape[1])):
        return tf.reshape(matrix, (-1, *positions.shape))  # costs nothing
    return tf.gather(matrix, positions, axis=1)


def _name_of_first(number: int, group: HeadGroup) -> str:
    """Return the name of the layer of a group of heads that reads the shared layers."""
    return f"heads_{number}_{'0' if group.hidden else 'logits'}"


def _tasks_of_columns(spec: NetworkSpec, group: HeadGroup) -> np.ndarray:
    """Return the task that each output of the first layer of a group of heads belongs to."""
    if group.hidden:
        return np.repeat(group.tasks, group.hidden[0])
    return np.repeat(group.tasks, [spec.n_outputs[task] for task in group.tasks])
