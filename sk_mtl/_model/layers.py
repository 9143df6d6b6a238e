"""Keras layers: fused heads, the order of the tasks, and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

__all__ = ["NoiseDropout", "ParallelDense", "TaskOrder", "draw_bits"]


@keras.saving.register_keras_serializable("sk_mtl")
class ParallelDense(keras.layers.Layer):
    """Dense layers of one shape, each on its own slice of the input, as one batched product."""

    # Input (batch_size, n_heads * n_in), output (batch_size, n_heads * units); kernel (n_heads,
    # n_in, units), bias (n_heads, 1, units).

    def __init__(self, units: int, n_heads: int, kernel_regularizer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.n_heads = n_heads
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create kernel and bias."""
        self.n_in = int(input_shape[-1] or 0) // self.n_heads
        self.kernel = self.add_weight(
            shape=(self.n_heads, self.n_in, self.units),
            initializer="zeros",
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.n_heads, 1, self.units), initializer="zeros", name="bias"
        )

    def call(self, inputs: Any) -> Any:
        """Apply every head to its slice."""
        by_head = ops.transpose(ops.reshape(inputs, (-1, self.n_heads, self.n_in)), (1, 0, 2))
        outputs = ops.matmul(by_head, self.kernel) + self.bias
        return ops.reshape(ops.transpose(outputs, (1, 0, 2)), (-1, self.n_heads * self.units))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], self.n_heads * self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {
            **super().get_config(),
            "units": self.units,
            "n_heads": self.n_heads,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable("sk_mtl")
class TaskOrder(keras.layers.Layer):
    """Reorders columns by task: `columns` gives the position of each in the input."""

    def __init__(self, columns: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.columns = [int(c) for c in columns]

    def call(self, inputs: Any) -> Any:
        """Reorder the columns."""
        return ops.take(inputs, np.asarray(self.columns), axis=-1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the output."""
        return (*input_shape[:-1], len(self.columns))

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {**super().get_config(), "columns": self.columns}


@keras.saving.register_keras_serializable("sk_mtl")
class NoiseDropout(keras.layers.Dropout):
    """Keras's dropout, which can take its random numbers from outside.

    If `noise`, 16-bit integers of the input's shape, is set while a training step is traced,
    activations are dropped where it is below ``round(rate * 2**16)``.
    """

    noise: Any = None

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop activations while training."""
        if self.noise is None or not training or not self.rate:
            return super().call(inputs, training=training)
        threshold = round(self.rate * 2**16)
        kept = ops.cast(ops.cast(self.noise, "int32") >= threshold, inputs.dtype)
        return inputs * kept * (2**16 / (2**16 - threshold))


def draw_bits(seed_state: Any, shape: tuple[int, int, int]) -> Any:
    """Draw uniform uint16 of the shape (n_steps, n_rows, n_units)."""
    # The state is a seed and the number of steps drawn for before, (2,): a step's numbers do not
    # depend on how many steps are drawn at once.
    n_steps, n_rows, n_units = shape
    n_blocks = -(-n_rows * n_units // 8)  # Philox gives eight at a time
    counter = tf.cast(seed_state[1], tf.uint64) * tf.cast(n_blocks, tf.uint64)
    drawn = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=(n_steps, n_blocks * 4),
        key=tf.reshape(tf.cast(seed_state[0], tf.uint64), (1,)),
        counter=tf.stack([counter, tf.constant(0, tf.uint64)]),
        alg=1,
        dtype=tf.uint32,
    )
    bits = tf.reshape(tf.bitcast(drawn, tf.uint16), (n_steps, n_blocks * 8))
    return tf.reshape(bits[:, : n_rows * n_units], shape)
