r"""Ensembles: several members in one network, side by side, and the mean of their probabilities.

Owns the layer whose kernel the members share, the loss of members and how their probabilities are
averaged. Members that share nothing need no layer of their own: `ParallelDense` of `_network` does.
Does not know the rest of the network, nor how training goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sk_mtl.losses import task_cross_entropy, task_margins

__all__ = [
    "MeanOfMembers",
    "SharedDense",
    "average_logits",
    "member_cross_entropy",
    "member_margins",
    "member_model",
]

_LARGEST_LOGIT = 1e30


@keras.saving.register_keras_serializable("sk_mtl")
class SharedDense(keras.layers.Layer):
    r"""Dense layers of the members of an ensemble, with one kernel and scalings of their own.

    Member :math:`k` computes :math:`s_k \circ (W^\top (r_k \circ x)) + b_k`: its kernel is
    :math:`W \circ r_k s_k^\top` (Wen, Tran & Ba 2020).

    Parameters
    ----------
    units : int
        Width of each layer's output.
    n_members : int
        Number of members.
    n_heads : int, default=1
        Layers of each member, each with a kernel of its own and on its own slice of the input.
    reads_same : bool, default=False
        Whether all members read one input; of one head only.
    kernel_regularizer : keras.Regularizer, default=None
        Applied to the kernels of all heads together.
    **kwargs : dict
        Settings of `keras.layers.Layer`.

    Notes
    -----
    Input of shape ``(batch_size, n_members * n_heads * n_in)``, members first, or
    ``(batch_size, n_in)`` if all read the same; output
    ``(batch_size, n_members * n_heads * units)``. Kernel ``(n_heads, n_in, units)``; scalings and
    biases have a row per member.

    References
    ----------
    Y. Wen, D. Tran, J. Ba. "BatchEnsemble: An Alternative Approach to Efficient Ensemble and
    Lifelong Learning". ICLR 2020, arXiv 2002.06715.
    """

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
        """Create the kernel, scalings and biases.

        Parameters
        ----------
        input_shape : tuple
            ``(batch_size, n_columns)``.
        """
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
        """Apply every member's layers.

        Parameters
        ----------
        inputs : tensor of shape (batch_size, n_columns)
            The members' inputs side by side, or the one that all read.

        Returns
        -------
        outputs : tensor of shape (batch_size, n_members * n_heads * units)
            The members' outputs side by side.
        """
        n_members, n_in = self.n_members, self.kernel.shape[1]
        if self.reads_same:
            # The members' kernels side by side: one product, and no gradient of its input.
            kernels = ops.expand_dims(ops.transpose(self.input_scale), 2) * self.kernel[0][:, None]
            products = ops.matmul(inputs, ops.reshape(kernels, (n_in, n_members * self.units)))
        else:
            scaled = ops.reshape(inputs, (-1, n_members, self.n_heads * n_in)) * self.input_scale
            if self.n_heads == 1:
                products = ops.matmul(ops.reshape(scaled, (-1, n_in)), self.kernel[0])
            else:
                by_head = ops.transpose(ops.reshape(scaled, (-1, self.n_heads, n_in)), (1, 0, 2))
                products = ops.transpose(ops.matmul(by_head, self.kernel), (1, 0, 2))
        width = self.n_heads * self.units
        outputs = ops.reshape(products, (-1, n_members, width)) * self.output_scale + self.bias
        return ops.reshape(outputs, (-1, n_members * width))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output.

        Parameters
        ----------
        input_shape : tuple
            ``(batch_size, n_columns)``.

        Returns
        -------
        output_shape : tuple
            ``(batch_size, n_members * n_heads * units)``.
        """
        return (input_shape[0], self.n_members * self.n_heads * self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
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
    """From the logits of members to those of the mean of their probabilities.

    Parameters
    ----------
    n_outputs : sequence of int
        The width of each task.
    **kwargs : dict
        Settings of `keras.layers.Layer`.
    """

    def __init__(self, n_outputs: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.n_outputs = [int(n) for n in n_outputs]

    def call(self, inputs: Any) -> Any:
        """Average the members.

        Parameters
        ----------
        inputs : tensor of shape (batch_size, n_members, sum(n_outputs))
            Logits of members.

        Returns
        -------
        logits : tensor of shape (batch_size, sum(n_outputs))
            Logits of the mean.
        """
        return average_logits(inputs, self.n_outputs)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the output.

        Parameters
        ----------
        input_shape : tuple
            ``(batch_size, n_members, n_columns)``.

        Returns
        -------
        output_shape : tuple
            ``(batch_size, n_columns)``.
        """
        return (input_shape[0], input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {**super().get_config(), "n_outputs": self.n_outputs}


def average_logits(logits: Any, n_outputs: Sequence[int]) -> Any:
    """Return the logits of the mean of members' probabilities.

    Parameters
    ----------
    logits : tensor of shape (n_samples, n_members, sum(n_outputs))
        Logits of members, the tasks side by side.
    n_outputs : sequence of int
        The width of each task: 1 for a binary one.

    Returns
    -------
    logits : tensor of shape (n_samples, sum(n_outputs))
        Log-odds of a binary task; logarithms of probabilities, up to a constant, of others.
    """
    starts, parts, order = np.cumsum([0, *n_outputs]), [], []
    # An infinite one would be NaN less itself.
    logits = ops.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    for width in sorted(set(n_outputs)):
        tasks = np.flatnonzero(np.asarray(n_outputs) == width)
        columns = (starts[tasks][:, None] + np.arange(width)).ravel()
        part = logits if len(columns) == starts[-1] else ops.take(logits, columns, axis=2)
        if width == 1:
            yes, no = ops.log_sigmoid(part), ops.log_sigmoid(-part)
            part = ops.logsumexp(yes, axis=1) - ops.logsumexp(no, axis=1)
        else:
            by_task = ops.reshape(part, (-1, logits.shape[1], len(tasks), width))
            part = ops.logsumexp(ops.log_softmax(by_task, axis=-1), axis=1)
            part = ops.reshape(part, (-1, len(columns)))
        parts.append(part)
        order.extend(columns.tolist())
    whole = ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    return whole if order == sorted(order) else ops.take(whole, np.argsort(order), axis=1)


def member_cross_entropy(
    logits: Any,
    codes: Any,
    weight: Any,
    n_outputs: Sequence[int],
    focal_gamma: float | None = None,
) -> tuple[Any, Any]:
    """Sum the weighted cross-entropy of the labelled cells, as a mean over members.

    Parameters
    ----------
    logits : tensor of float of shape (n_samples, n_members, sum(n_outputs))
        Logits of members, the tasks side by side.
    codes : tensor of int of shape (n_samples, n_tasks)
        As for `task_cross_entropy`.
    weight : tensor of float of shape (n_samples, n_tasks)
        As for `task_cross_entropy`.
    n_outputs : sequence of int
        The width of each task.
    focal_gamma : float or None, default=None
        As for `task_cross_entropy`.

    Returns
    -------
    loss_sum : tensor of shape (n_tasks,)
        Mean over members of the sum of weight times cross-entropy over the labelled cells.
    weight_sum : tensor of shape (n_tasks,)
        Sum of the weights of the labelled cells.
    """
    loss_sum, _ = task_cross_entropy(*_as_rows(logits, codes, weight), n_outputs, focal_gamma)
    return loss_sum / logits.shape[1], ops.sum(weight, axis=0)


def member_margins(logits: Any, codes: Any, weight: Any, n_outputs: Sequence[int]) -> Any:
    """Sum the margins of each member's logits, task by task.

    Parameters
    ----------
    logits : tensor of float of shape (n_samples, n_members, sum(n_outputs))
        As for `member_cross_entropy`.
    codes : tensor of int of shape (n_samples, n_tasks)
        As for `task_cross_entropy`.
    weight : tensor of float of shape (n_samples, n_tasks)
        As for `task_cross_entropy`.
    n_outputs : sequence of int
        The width of each task.

    Returns
    -------
    margin_sum : tensor of shape (n_tasks,)
        Mean over members of what `task_margins` gives.
    """
    return task_margins(*_as_rows(logits, codes, weight), n_outputs) / logits.shape[1]


def _as_rows(logits: Any, codes: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return the members' logits, and the labels of each, in rows of their own."""
    n_members, n_columns = logits.shape[1:]
    return (
        ops.reshape(logits, (-1, n_columns)),
        ops.repeat(codes, n_members, axis=0),
        ops.repeat(weight, n_members, axis=0),
    )


def member_model(model: keras.Model) -> keras.Model:
    """Return the model that gives the logits of each member, with the same layers.

    Parameters
    ----------
    model : keras.Model
        A network that ends in `MeanOfMembers`.

    Returns
    -------
    model : keras.Model
        From X to the logits of members, of shape (n_samples, n_members, n_columns).
    """
    return keras.Model(model.input, model.layers[-1].input, name="members")
