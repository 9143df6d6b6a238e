"""Keras layers of the sharing structures, with no operation for a single task or expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sk_mtl._model.layers import multiply

__all__ = ["CrossStitch", "ExpertMixture", "TaskBlocks"]

# Share of a task's own trunk in what it goes on with at the start; the others have the rest.
_OWN_SHARE = 0.9


@keras.saving.register_keras_serializable("sk_mtl")
class ExpertMixture(keras.layers.Layer):
    """Mixtures of experts for each task, by gates: softmax layers on a second input."""

    # Inputs: the experts, (batch_size, n_experts * n_units), the shared ones first and then those
    # of each task; and what the gates read, (batch_size, n_in), or (batch_size, n_experts * n_in)
    # where this is what a layer of this kind gives. Output (batch_size, n_tasks * n_units); or, if
    # another level follows, what each of its experts reads, (batch_size, n_experts * n_units): a
    # shared one the mixture of all experts, one of a task the mixture of this task.

    product_dtype: str = "float32"  # as of `MixedDense`

    def __init__(
        self,
        n_tasks: int,
        n_shared: int,
        n_own: int = 0,
        reads_mixtures: bool = False,
        gives_level: bool = False,
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.n_tasks = int(n_tasks)
        self.n_shared = int(n_shared)
        self.n_own = int(n_own)
        self.n_experts = self.n_shared + self.n_tasks * self.n_own
        self.reads_mixtures = bool(reads_mixtures)
        self.gives_level = bool(gives_level)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape: Sequence[Sequence[int | None]]) -> None:
        """Create kernels and biases of the gates, which are 0: all experts count the same."""
        (_, n_columns), (_, n_read) = input_shape
        self.n_units = int(n_columns or 0) // self.n_experts
        self.n_in = int(n_read or 0) // (self.n_experts if self.reads_mixtures else 1)
        n_choices = self.n_shared + self.n_own
        shapes: tuple[tuple[int, ...], tuple[int, ...]]
        if self.reads_mixtures:
            shapes = (self.n_tasks, self.n_in, n_choices), (self.n_tasks, 1, n_choices)
        else:
            shapes = (self.n_in, self.n_tasks * n_choices), (self.n_tasks * n_choices,)
        self.gate_kernel, self.gate_bias = self._add_gates("gate", *shapes)
        if self.gives_level:
            shapes = (self.n_in, self.n_experts), (self.n_experts,)
            self.shared_gate_kernel, self.shared_gate_bias = self._add_gates("shared_gate", *shapes)

    def _add_gates(self, name: str, kernel: tuple[int, ...], bias: tuple[int, ...]) -> list[Any]:
        """Create a kernel and a bias."""
        return [
            self.add_weight(
                shape=kernel,
                initializer="zeros",
                regularizer=self.kernel_regularizer,
                name=f"{name}_kernel",
            ),
            self.add_weight(shape=bias, initializer="zeros", name=f"{name}_bias"),
        ]

    def call(self, inputs: Sequence[Any]) -> Any:
        """Mix the experts."""
        experts, read = inputs
        n_tasks, n_shared, n_own = self.n_tasks, self.n_shared, self.n_own
        experts = ops.reshape(experts, (-1, self.n_experts, self.n_units))
        gates, shared_gates = self._gates(read)
        mixtures = multiply(gates[:, :, :n_shared], experts[:, :n_shared], self.product_dtype)
        if n_own:
            own = ops.reshape(experts[:, n_shared:], (-1, n_tasks, n_own, self.n_units))
            mixtures += ops.sum(ops.expand_dims(gates[:, :, n_shared:], 3) * own, axis=2)
        if self.gives_level:
            shared = multiply(shared_gates, experts, self.product_dtype)
            parts = [_repeat_blocks(shared, n_shared), _repeat_blocks(mixtures, n_own)]
            mixtures = ops.concatenate(parts, axis=1)
        return ops.reshape(mixtures, (-1, mixtures.shape[1] * self.n_units))

    def _gates(self, read: Any) -> tuple[Any, Any]:
        """Return the shares of experts, (n, n_tasks, n_choices), and of all, (n, 1, n_experts)."""
        shared = read
        if self.reads_mixtures:
            blocks = ops.reshape(read, (-1, self.n_experts, self.n_in))
            # All experts of a task read the same, and so do all shared ones.
            of_tasks = ops.transpose(blocks[:, self.n_shared :: self.n_own], (1, 0, 2))
            logits = multiply(of_tasks, self.gate_kernel, self.product_dtype) + self.gate_bias
            logits = ops.transpose(logits, (1, 0, 2))
            shared = blocks[:, 0]
        else:
            logits = multiply(read, self.gate_kernel, self.product_dtype) + self.gate_bias
            logits = ops.reshape(logits, (-1, self.n_tasks, self.n_shared + self.n_own))
        if not self.gives_level:
            return ops.softmax(logits), None
        of_all = multiply(shared, self.shared_gate_kernel, self.product_dtype)
        of_all = ops.softmax(of_all + self.shared_gate_bias)
        return ops.softmax(logits), ops.expand_dims(of_all, 1)

    def compute_output_shape(
        self, input_shape: Sequence[Sequence[int | None]]
    ) -> tuple[int | None, int]:
        """Return the shape of the output."""
        n_rows, n_columns = input_shape[0]
        n_blocks = self.n_experts if self.gives_level else self.n_tasks
        return (n_rows, n_blocks * (int(n_columns or 0) // self.n_experts))

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {
            **super().get_config(),
            "n_tasks": self.n_tasks,
            "n_shared": self.n_shared,
            "n_own": self.n_own,
            "reads_mixtures": self.reads_mixtures,
            "gives_level": self.gives_level,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


def _repeat_blocks(x: Any, n: int) -> Any:
    """Return each of the blocks, (batch_size, n_blocks, n_units), as many times."""
    if n == 1:
        return x
    _, n_blocks, n_units = x.shape
    return ops.reshape(ops.tile(x[:, :, None], (1, 1, n, 1)), (-1, n * n_blocks, n_units))


@keras.saving.register_keras_serializable("sk_mtl")
class CrossStitch(keras.layers.Layer):
    """Linear combinations of the blocks of all tasks for each of them."""

    # Input and output (batch_size, n_tasks * n_units).

    def __init__(self, n_tasks: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n_tasks = int(n_tasks)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the shares, of which a task's own is largest at the start."""
        self.stitch = self.add_weight(
            shape=(self.n_tasks, self.n_tasks), initializer=_first_shares, name="stitch"
        )

    def call(self, inputs: Any) -> Any:
        """Combine the blocks."""
        width = inputs.shape[-1]
        blocks = ops.reshape(inputs, (-1, self.n_tasks, width // self.n_tasks))
        return ops.reshape(ops.matmul(self.stitch, blocks), (-1, width))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the output."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {**super().get_config(), "n_tasks": self.n_tasks}


def _first_shares(shape: tuple[int, int], dtype: Any = None) -> Any:
    """Return the shares of cross-stitch units at the start, whose rows add up to 1."""
    n_tasks = shape[0]
    shares = np.full(shape, (1 - _OWN_SHARE) / max(n_tasks - 1, 1), np.float32)
    np.fill_diagonal(shares, _OWN_SHARE if n_tasks > 1 else 1.0)
    return ops.convert_to_tensor(shares, dtype=dtype)


@keras.saving.register_keras_serializable("sk_mtl")
class TaskBlocks(keras.layers.Layer):
    """Takes the blocks of some of the tasks."""

    def __init__(self, tasks: Sequence[int], n_tasks: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.tasks = [int(task) for task in tasks]
        self.n_tasks = int(n_tasks)

    def call(self, inputs: Any) -> Any:
        """Take the blocks."""
        n_units = inputs.shape[-1] // self.n_tasks
        blocks = ops.reshape(inputs, (-1, self.n_tasks, n_units))
        taken = ops.take(blocks, np.asarray(self.tasks), axis=1)
        return ops.reshape(taken, (-1, len(self.tasks) * n_units))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], len(self.tasks) * (int(input_shape[-1] or 0) // self.n_tasks))

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {**super().get_config(), "tasks": self.tasks, "n_tasks": self.n_tasks}
