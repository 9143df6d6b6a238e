"""Keras layers: products in mixed precision, fused heads, the order of the tasks, and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

__all__ = [
    "MixedDense",
    "NoiseDropout",
    "ParallelDense",
    "Slice",
    "TaskOrder",
    "draw_uniform",
    "multiply",
]


def multiply(a: Any, b: Any, dtype: str) -> Any:
    """Return the product of float32 matrices; factors and result are rounded to a dtype."""
    # So are those of its gradient. All else, sums with biases among it, stays in float32.
    if dtype == "float32":
        return ops.matmul(a, b)
    return ops.cast(ops.matmul(ops.cast(a, dtype), ops.cast(b, dtype)), "float32")


@keras.saving.register_keras_serializable("sk_mtl")
class MixedDense(keras.layers.Dense):
    """Keras's dense layer without an activation, with a product of another dtype."""

    product_dtype: str = "float32"  # set where a network is built for training only

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Apply the layer."""
        return multiply(inputs, self.kernel, self.product_dtype) + self.bias


@keras.saving.register_keras_serializable("sk_mtl")
class ParallelDense(keras.layers.Layer):
    """Dense layers of one shape, each on its own slice of the input, as one batched product."""

    # Input (batch_size, n_heads * n_in), output (batch_size, n_heads * units); kernel (n_heads,
    # n_in, units), bias (n_heads, 1, units).

    product_dtype: str = "float32"  # as of `MixedDense`

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
        outputs = multiply(by_head, self.kernel, self.product_dtype) + self.bias
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
class Slice(keras.layers.Layer):
    """Takes the columns from `start` to `stop`."""

    def __init__(self, start: int, stop: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.start = int(start)
        self.stop = int(stop)

    def call(self, inputs: Any) -> Any:
        """Take the columns."""
        return inputs[:, self.start : self.stop]

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], self.stop - self.start)

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}


@keras.saving.register_keras_serializable("sk_mtl")
class NoiseDropout(keras.layers.Dropout):
    """Keras's dropout, whose rate can be fed while a training step is traced.

    Its random numbers are then a function of the layer's seed and of how often it was called, which
    XLA computes in one go with the layers around it; those of Keras cost more than the layer.
    """

    fed_rate: Any = None
    first_row: Any = None  # of the inputs in the whole batch, if they are a part of it

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop activations while training."""
        if self.fed_rate is None or not training:
            return super().call(inputs, training=training)
        seed = self.seed_generator.state
        numbers = draw_uniform(seed.value, inputs, self.first_row)
        seed.assign_add(np.array([0, 1]))
        kept = tf.cast(numbers >= self.fed_rate, inputs.dtype)
        return inputs * kept * (1 / (1 - self.fed_rate))


def draw_uniform(seed_state: Any, like: Any, first_row: Any = None) -> Any:
    """Return uniform numbers in [0, 1) of the shape of a tensor, from a seed and a count, (2,)."""
    # A hash of the position, as in counter-based generators (Salmon et al. 2011, Parallel Random
    # Numbers: As Easy as 1, 2, 3): the finalizer "lowbias32" (https://nullprogram.com/blog/2018/07/
    # 31/), with keys of seed and count before both of its multiplications.
    state = tf.cast(seed_state, tf.uint32)
    key = _scramble(_scramble(state[0]) + state[1])
    shape = tf.shape(like)
    position = tf.reshape(tf.range(tf.reduce_prod(shape)), shape)
    if first_row is not None:
        position += first_row * tf.reduce_prod(shape[1:])
    bits = _scramble(tf.cast(position, tf.uint32) + key, _scramble(key + np.uint32(1)))
    kept = tf.bitwise.right_shift(bits, np.uint32(8))  # as many as float32 has
    return tf.cast(tf.cast(kept, tf.int32), tf.float32) * np.float32(2**-24)


def _scramble(bits: Any, key: Any = None) -> Any:
    """Return a hash of 32-bit integers, one for each key."""
    bits = _fold(bits, 16) * np.uint32(0x7FEB352D)
    if key is not None:
        bits = tf.bitwise.bitwise_xor(bits, key)
    return _fold(_fold(bits, 15) * np.uint32(0x846CA68B), 16)


def _fold(bits: Any, shift: int) -> Any:
    """Return integers of which the upper bits have changed the lower ones."""
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, np.uint32(shift)))
