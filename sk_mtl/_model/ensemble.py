"""Ensembles: layers of several members in one network, and the mean of their probabilities.

Independent members need no layer here; `ParallelDense` serves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sk_mtl._model.layers import multiply
from sk_mtl._model.task_layout import TaskLayout

__all__ = [
    "MeanOfMembers",
    "SharedDense",
    "average_logits",
    "member_model",
]

_LARGEST_LOGIT = 1e30


@keras.saving.register_keras_serializable("sk_mtl")
class SharedDense(keras.layers.Layer):
    """Dense layers of the members of an ensemble, which share a kernel but not its scalings."""

    # Member k computes s_k ∘ (Wᵀ (r_k ∘ x)) + b_k, that is, its kernel is W ∘ r_k s_kᵀ (Wen, Tran &
    # Ba 2020, BatchEnsemble, arXiv 2002.06715). Input (batch_size, n_members * n_heads * n_in),
    # members first, or (batch_size, n_in) if all read the same, with one head; output (batch_size,
    # n_members * n_heads * units); kernel (n_heads, n_in, units); one row of scalings and biases
    # per member.

    product_dtype: str = "float32"  # as of `MixedDense`

    def __init__(
        self,
        units: int,
        n_members: int,
        n_heads: int = 1,
        reads_same: bool = False,
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.n_members = n_members
        self.n_heads = n_heads
        self.reads_same = reads_same
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the kernel, scalings and biases."""
        n_in = int(input_shape[-1] or 0) // (
            1 if self.reads_same else self.n_members * self.n_heads
        )
        self.kernel = self.add_weight(
            shape=(self.n_heads, n_in, self.units),
            initializer="zeros",
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.input_scale = self.add_weight(
            shape=(self.n_members, self.n_heads * n_in), initializer="ones", name="input_scale"
        )
        self.output_scale = self.add_weight(
            shape=(self.n_members, self.n_heads * self.units),
            initializer="ones",
            name="output_scale",
        )
        self.bias = self.add_weight(
            shape=(self.n_members, self.n_heads * self.units), initializer="zeros", name="bias"
        )

    def call(self, inputs: Any) -> Any:
        """Apply every member's layers."""
        n_members, n_in, dtype = self.n_members, self.kernel.shape[1], self.product_dtype
        if self.reads_same:
            # The members' kernels side by side: one product, and no gradient of its input.
            kernels = ops.expand_dims(ops.transpose(self.input_scale), 2) * self.kernel[0][:, None]
            kernels = ops.reshape(kernels, (n_in, n_members * self.units))
            products = multiply(inputs, kernels, dtype)
        else:
            scaled = ops.reshape(inputs, (-1, n_members, self.n_heads * n_in)) * self.input_scale
            if self.n_heads == 1:
                products = multiply(ops.reshape(scaled, (-1, n_in)), self.kernel[0], dtype)
            else:
                by_head = ops.transpose(ops.reshape(scaled, (-1, self.n_heads, n_in)), (1, 0, 2))
                products = ops.transpose(multiply(by_head, self.kernel, dtype), (1, 0, 2))
        width = self.n_heads * self.units
        outputs = ops.reshape(products, (-1, n_members, width)) * self.output_scale + self.bias
        return ops.reshape(outputs, (-1, n_members * width))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (input_shape[0], self.n_members * self.n_heads * self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {
            **super().get_config(),
            "units": self.units,
            "n_members": self.n_members,
            "n_heads": self.n_heads,
            "reads_same": self.reads_same,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable("sk_mtl")
class MeanOfMembers(keras.layers.Layer):
    """From the logits of members, on axis 1, to the logits of their mean probabilities."""

    def __init__(self, n_outputs: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.n_outputs = [int(n) for n in n_outputs]

    def call(self, inputs: Any) -> Any:
        """Average the members."""
        return average_logits(inputs, self.n_outputs)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the output."""
        return (input_shape[0], input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the settings."""
        return {**super().get_config(), "n_outputs": self.n_outputs}


def average_logits(logits: Any, n_outputs: Sequence[int]) -> Any:
    """Return the logits of the members' mean probabilities, (n_samples, sum(n_outputs))."""
    # Those of a binary task are log-odds; those of others are log-probabilities up to a constant.
    layout, parts = TaskLayout(tuple(n_outputs)), []
    # Infinity minus infinity would be NaN.
    logits = ops.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    for width, tasks, columns in layout.groups:
        part = logits
        if columns.size < layout.total:
            part = ops.take(logits, columns.ravel(), axis=2)
        if width == 1:
            yes, no = ops.log_sigmoid(part), ops.log_sigmoid(-part)
            part = ops.logsumexp(yes, axis=1) - ops.logsumexp(no, axis=1)
        else:
            by_task = ops.reshape(part, (-1, logits.shape[1], len(tasks), width))
            part = ops.logsumexp(ops.log_softmax(by_task, axis=-1), axis=1)
            part = ops.reshape(part, (-1, columns.size))
        parts.append(part)
    whole = ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    order = layout.column_order
    return whole if order is None else ops.take(whole, order, axis=1)


def member_model(model: keras.Model) -> keras.Model:
    """Return the model of the same layers that gives the members' logits, on axis 1."""
    return keras.Model(model.input, model.layers[-1].input, name="members")
