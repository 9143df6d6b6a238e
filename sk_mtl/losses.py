r"""Masked cross-entropy: one function for the training loop, and Keras losses and metrics.

Owns the mathematics of a missing label. For a task :math:`t` with labelled cells
:math:`m_{it} \in \{0, 1\}`, weights :math:`w_{it}` and cross-entropies :math:`\ell_{it}`,

.. math:: L_t = \frac{\sum_i m_{it} w_{it} \ell_{it}}{\sum_i m_{it} w_{it}},

and :math:`L_t = 0`, with gradient 0, where the denominator is 0. A missing label is masked twice,
before the cross-entropy and after it: zero times infinity is NaN, in the gradient too.

The Keras classes work in any Keras 3 model and need nothing else from this package. They are
written in `keras.ops`, and were run on the TensorFlow and the PyTorch backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = [
    "MaskedBinaryAccuracy",
    "MaskedBinaryCrossentropy",
    "MaskedCategoricalAccuracy",
    "MaskedCategoricalCrossentropy",
    "MaskedSparseCategoricalAccuracy",
    "MaskedSparseCategoricalCrossentropy",
]


def task_cross_entropy(
    logits: Any,
    codes: Any,
    weight: Any,
    n_outputs: Sequence[int],
    focal_gamma: float | None = None,
) -> tuple[Any, Any]:
    """Sum the weighted cross-entropy of the labelled cells, task by task.

    Tasks of one width are computed together, so the number of operations grows with the number
    of distinct widths and not with the number of tasks.

    Parameters
    ----------
    logits : tensor of float of shape (n_samples, sum(n_outputs))
        The tasks side by side: one column for a binary task (the log-odds of its second class),
        one per class for the others.
    codes : tensor of int of shape (n_samples, n_tasks)
        Class indices; any valid one where the label is missing.
    weight : tensor of float of shape (n_samples, n_tasks)
        Cell weights; 0 where the label is missing.
    n_outputs : sequence of int
        The width of each task, at least 1.
    focal_gamma : float or None, default=None
        Where given, the exponent of the focal loss, which takes the place of the cross-entropy.

    Returns
    -------
    loss_sum : tensor of shape (n_tasks,)
        Sum of weight times cross-entropy over the labelled cells.
    weight_sum : tensor of shape (n_tasks,)
        Sum of the weights of the labelled cells.
    """

    def cells(logits: Any, codes: Any, labelled: Any, width: int) -> Any:
        return _cell_cross_entropy(logits, codes, labelled, width, focal_gamma)

    return _sum_cells(cells, logits, codes, weight, n_outputs), ops.sum(weight, axis=0)


def task_margins(logits: Any, codes: Any, weight: Any, n_outputs: Sequence[int]) -> Any:
    """Sum by how much the true class's logit exceeds the mean logit, task by task.

    The cross-entropy of a label of which the share :math:`s` is spread evenly over all classes is
    that of the label itself and :math:`s` times this.

    Parameters
    ----------
    logits : tensor of float of shape (n_samples, sum(n_outputs))
        As for `task_cross_entropy`.
    codes : tensor of int of shape (n_samples, n_tasks)
        As for `task_cross_entropy`.
    weight : tensor of float of shape (n_samples, n_tasks)
        As for `task_cross_entropy`.
    n_outputs : sequence of int
        As for `task_cross_entropy`.

    Returns
    -------
    margin_sum : tensor of shape (n_tasks,)
        Sum of weight times margin over the labelled cells.
    """
    return _sum_cells(_cell_margin, logits, codes, weight, n_outputs)


def _sum_cells(
    cells: Callable[..., Any], logits: Any, codes: Any, weight: Any, n_outputs: Sequence[int]
) -> Any:
    """Return the weighted sum by task of what `cells` gives for all tasks of one width."""
    starts = np.concatenate([[0], np.cumsum(n_outputs)])
    sums, order = [], []
    for width in sorted(set(n_outputs)):
        tasks = np.flatnonzero(np.asarray(n_outputs) == width)
        columns = np.concatenate([np.arange(starts[t], starts[t + 1]) for t in tasks])
        group_weight = _take_columns(weight, tasks)
        cell = cells(
            _take_columns(logits, columns), _take_columns(codes, tasks), group_weight > 0, width
        )
        sums.append(ops.sum(group_weight * cell, axis=0))
        order.extend(tasks.tolist())
    by_task = ops.concatenate(sums) if len(sums) > 1 else sums[0]
    return by_task if order == sorted(order) else ops.take(by_task, np.argsort(order))


def task_means(loss_sum: Any, weight_sum: Any) -> Any:
    """Divide sums over labelled cells by their weights; 0 where there is no labelled cell.

    Parameters
    ----------
    loss_sum : tensor of shape (n_tasks,)
        As `task_cross_entropy` gives it.
    weight_sum : tensor of shape (n_tasks,)
        As `task_cross_entropy` gives it.

    Returns
    -------
    means : tensor of shape (n_tasks,)
        The loss of each task.
    """
    present = weight_sum > 0
    safe_weight = ops.where(present, weight_sum, ops.ones_like(weight_sum))
    return ops.where(present, loss_sum / safe_weight, ops.zeros_like(loss_sum))


def _cell_cross_entropy(
    logits: Any, codes: Any, labelled: Any, width: int, focal_gamma: float | None
) -> Any:
    """Return the cross-entropy per cell, (n_samples, n_tasks), 0 where not labelled."""
    if width == 1:
        safe = ops.where(labelled, logits, ops.zeros_like(logits))
        cell = ops.binary_crossentropy(ops.cast(codes, safe.dtype), safe, from_logits=True)
    else:
        shaped = ops.reshape(logits, (-1, codes.shape[1], width))
        safe = ops.where(labelled[..., None], shaped, ops.zeros_like(shaped))
        cell = ops.sparse_categorical_crossentropy(codes, safe, from_logits=True)
    if focal_gamma is not None:
        # By its logarithm: a small power of 0 has no finite gradient.
        cell = cell * ops.exp(focal_gamma * _log_of_rest(safe, codes, width))
    return ops.where(labelled, cell, ops.zeros_like(cell))


def _cell_margin(logits: Any, codes: Any, labelled: Any, width: int) -> Any:
    """Return the true class's logit less the mean, (n_samples, n_tasks), 0 where not labelled."""
    if width == 1:  # the logit of the other class is 0
        safe = ops.where(labelled, logits, ops.zeros_like(logits))
        return safe * (ops.cast(codes, safe.dtype) - 0.5)
    shaped = ops.reshape(logits, (-1, codes.shape[1], width))
    safe = ops.where(labelled[..., None], shaped, ops.zeros_like(shaped))
    return ops.sum(safe * ops.one_hot(codes, width, dtype=safe.dtype), axis=-1) - ops.mean(
        safe, axis=-1
    )


def _log_of_rest(logits: Any, codes: Any, width: int) -> Any:
    """Return the logarithm of the probability that is not the true class's, per cell."""
    if width == 1:
        return -ops.softplus(logits * (2 * ops.cast(codes, logits.dtype) - 1))
    is_true = ops.one_hot(codes, width, dtype=logits.dtype) > 0
    others = ops.where(is_true, ops.full_like(logits, -1e9), logits)
    return ops.logsumexp(others, axis=-1) - ops.logsumexp(logits, axis=-1)


def _take_columns(matrix: Any, columns: np.ndarray) -> Any:
    """Return columns of a matrix, by slicing where they stand together."""
    if len(columns) == matrix.shape[1] and (columns == np.arange(len(columns))).all():
        return matrix
    if (np.diff(columns) == 1).all():
        return matrix[:, int(columns[0]) : int(columns[-1]) + 1]
    return ops.take(matrix, columns, axis=1)


# ------------------------------------------------------------------------------------------------
# Keras losses
# ------------------------------------------------------------------------------------------------


class _MaskedCrossentropy(keras.losses.Loss):
    """Weighted mean over the labelled entries of a batch; subclasses say which those are."""

    def __init__(self, from_logits: bool, name: str | None, dtype: Any):
        # Keras's reductions divide by the size of the batch; this class divides by the weight of
        # the labelled entries, which only `__call__` can know.
        super().__init__(name=name, reduction="sum", dtype=dtype)
        self.from_logits = from_logits

    def _split(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Return the targets with something valid under the mask, and the mask."""
        raise NotImplementedError

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss of a batch, a scalar.

        Parameters
        ----------
        y_true : tensor
            Targets, some of them missing.
        y_pred : tensor
            Predictions.
        sample_weight : tensor, default=None
            One weight per sample, or of the shape of the labels.

        Returns
        -------
        loss : scalar tensor
            0, with gradient 0, for a batch without any label.
        """
        steps = getattr(y_pred, "_keras_mask", None)  # of a Masking or an Embedding layer
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        target, labelled = self._split(ops.convert_to_tensor(y_true), y_pred)
        if steps is not None:
            labelled = labelled & _weight_of(labelled, steps, "bool")
        weight = _weight_of(labelled, sample_weight, y_pred.dtype)
        # A weight of 0 is a missing label: what stands there must not reach the gradient either.
        counts = weight > 0
        losses = self.call(target, _neutral(y_pred, counts, self.from_logits))
        losses = ops.where(counts, losses, ops.zeros_like(losses))
        return task_means(ops.sum(weight * losses), ops.sum(weight))

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {"name": self.name, "dtype": self.dtype, "from_logits": self.from_logits}


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedSparseCategoricalCrossentropy(_MaskedCrossentropy):
    r"""Cross-entropy of integer labels, of which some are missing.

    The loss of a batch is the weighted mean over its labelled entries,
    :math:`\sum_i m_i w_i \ell_i / \sum_i m_i w_i`: a missing label counts as exactly nothing, in
    the numerator and in the denominator. A batch without any label has loss 0 and gradient 0.

    Parameters
    ----------
    ignore_class : int, default=-1
        The label that means "missing". NaN always does.
    from_logits : bool, default=False
        Whether the predictions are logits; otherwise they are probabilities.
    name : str, default="masked_sparse_categorical_crossentropy"
        Name of the loss.
    dtype : str or keras.DTypePolicy, default=None
        Type of the computation; None means Keras's float type.

    See Also
    --------
    MaskedCategoricalCrossentropy : The same for one-hot labels.
    MaskedSparseCategoricalAccuracy : The accuracy over labelled entries.

    Notes
    -----
    ``keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)`` divides by the number of the
    labelled entries too, but with sample weights still by their number and not by their weight.

    The loss in Keras's own `History` is the mean of the batches' losses. It counts a batch
    without labels as 0, although such a batch trains nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.losses import MaskedSparseCategoricalCrossentropy
    >>> loss = MaskedSparseCategoricalCrossentropy()
    >>> probabilities = np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])
    >>> print(f"{float(loss(np.array([0, -1, 1]), probabilities)):.4f}")  # -(ln .5 + ln .8) / 2
    0.4581
    >>> float(loss(np.array([-1, -1, -1]), probabilities))
    0.0
    """

    def __init__(
        self,
        ignore_class: int = -1,
        from_logits: bool = False,
        name: str = "masked_sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, name, dtype)
        self.ignore_class = ignore_class

    def _split(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        return _split_sparse(y_true, y_pred, self.ignore_class)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the cross-entropy of each entry.

        Parameters
        ----------
        y_true : tensor of int of shape (batch_size, ...)
            Class indices.
        y_pred : tensor of shape (batch_size, ..., n_classes)
            Probabilities or logits.

        Returns
        -------
        losses : tensor of shape (batch_size, ...)
            Unreduced losses.
        """
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=self.from_logits)

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {**super().get_config(), "ignore_class": self.ignore_class}


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedCategoricalCrossentropy(_MaskedCrossentropy):
    """Cross-entropy of one-hot labels, of which some are missing: an all-zero row is missing.

    The loss of a batch is the weighted mean over its labelled rows, as for
    `MaskedSparseCategoricalCrossentropy`.

    Parameters
    ----------
    from_logits : bool, default=False
        Whether the predictions are logits; otherwise they are probabilities.
    label_smoothing : float, default=0.0
        Share of each label spread evenly over the classes, in [0, 1].
    name : str, default="masked_categorical_crossentropy"
        Name of the loss.
    dtype : str or keras.DTypePolicy, default=None
        Type of the computation; None means Keras's float type.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.losses import MaskedCategoricalCrossentropy
    >>> loss = MaskedCategoricalCrossentropy()
    >>> one_hot = np.array([[1, 0], [0, 0], [0, 1]])
    >>> probabilities = np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])
    >>> print(f"{float(loss(one_hot, probabilities)):.4f}")
    0.4581
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        name: str = "masked_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, name, dtype)
        self.label_smoothing = label_smoothing

    def _split(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        return _split_one_hot(y_true, y_pred)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the cross-entropy of each row.

        Parameters
        ----------
        y_true : tensor of shape (batch_size, ..., n_classes)
            One-hot or soft labels.
        y_pred : tensor of shape (batch_size, ..., n_classes)
            Probabilities or logits.

        Returns
        -------
        losses : tensor of shape (batch_size, ...)
            Unreduced losses.
        """
        if self.label_smoothing:
            share = self.label_smoothing / y_pred.shape[-1]
            y_true = y_true * (1.0 - self.label_smoothing) + share
        return ops.categorical_crossentropy(y_true, y_pred, from_logits=self.from_logits)

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedBinaryCrossentropy(_MaskedCrossentropy):
    """Cross-entropy of binary labels, one column or several, of which some are missing.

    The loss of a batch is the weighted mean over all its labelled cells, as for
    `MaskedSparseCategoricalCrossentropy`.

    Parameters
    ----------
    ignore_class : int, default=-1
        The label that means "missing". NaN always does.
    from_logits : bool, default=False
        Whether the predictions are logits; otherwise they are probabilities.
    label_smoothing : float, default=0.0
        How far labels are drawn towards 0.5, in [0, 1].
    name : str, default="masked_binary_crossentropy"
        Name of the loss.
    dtype : str or keras.DTypePolicy, default=None
        Type of the computation; None means Keras's float type.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.losses import MaskedBinaryCrossentropy
    >>> loss = MaskedBinaryCrossentropy()
    >>> labels, probabilities = np.array([[1], [-1], [0]]), np.array([[0.5], [0.9], [0.2]])
    >>> print(f"{float(loss(labels, probabilities)):.4f}")
    0.4581
    """

    def __init__(
        self,
        ignore_class: int = -1,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        name: str = "masked_binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, name, dtype)
        self.ignore_class = ignore_class
        self.label_smoothing = label_smoothing

    def _split(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        return _split_binary(y_true, y_pred, self.ignore_class)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the cross-entropy of each cell.

        Parameters
        ----------
        y_true : tensor of shape (batch_size, ...)
            Labels 0 and 1.
        y_pred : tensor of shape (batch_size, ...)
            Probabilities or logits of label 1.

        Returns
        -------
        losses : tensor of shape (batch_size, ...)
            Unreduced losses.
        """
        if self.label_smoothing:
            y_true = y_true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        return ops.binary_crossentropy(y_true, y_pred, from_logits=self.from_logits)

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {
            **super().get_config(),
            "ignore_class": self.ignore_class,
            "label_smoothing": self.label_smoothing,
        }


# ------------------------------------------------------------------------------------------------
# Keras metrics
# ------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedSparseCategoricalAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Accuracy over the labelled entries of integer labels.

    Parameters
    ----------
    ignore_class : int, default=-1
        The label that means "missing". NaN always does.
    name : str, default="accuracy"
        Name of the metric.
    dtype : str or keras.DTypePolicy, default=None
        Type of the result; None means Keras's float type.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.losses import MaskedSparseCategoricalAccuracy
    >>> accuracy = MaskedSparseCategoricalAccuracy()
    >>> accuracy.update_state(np.array([0, -1, 0]), np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]))
    >>> float(accuracy.result())
    0.5
    """

    def __init__(self, ignore_class: int = -1, name: str = "accuracy", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.ignore_class = ignore_class

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch.

        Parameters
        ----------
        y_true : tensor of shape (batch_size, ...)
            Class indices, some missing.
        y_pred : tensor of shape (batch_size, ..., n_classes)
            Probabilities or logits.
        sample_weight : tensor, default=None
            One weight per sample, or of the shape of the labels.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        target, labelled = _split_sparse(ops.convert_to_tensor(y_true), y_pred, self.ignore_class)
        super().update_state(target, y_pred, _weight_of(labelled, sample_weight, self.dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {"name": self.name, "dtype": self.dtype, "ignore_class": self.ignore_class}


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedCategoricalAccuracy(keras.metrics.CategoricalAccuracy):
    """Accuracy over the labelled rows of one-hot labels; an all-zero row is missing.

    Parameters
    ----------
    name : str, default="accuracy"
        Name of the metric.
    dtype : str or keras.DTypePolicy, default=None
        Type of the result; None means Keras's float type.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.losses import MaskedCategoricalAccuracy
    >>> accuracy = MaskedCategoricalAccuracy()
    >>> one_hot = np.array([[1, 0], [0, 0], [1, 0]])
    >>> accuracy.update_state(one_hot, np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]))
    >>> float(accuracy.result())
    0.5
    """

    def __init__(self, name: str = "accuracy", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch.

        Parameters
        ----------
        y_true : tensor of shape (batch_size, ..., n_classes)
            One-hot labels, some rows all zero.
        y_pred : tensor of shape (batch_size, ..., n_classes)
            Probabilities or logits.
        sample_weight : tensor, default=None
            One weight per sample, or of the shape of the labels.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        target, labelled = _split_one_hot(ops.convert_to_tensor(y_true), y_pred)
        super().update_state(target, y_pred, _weight_of(labelled, sample_weight, self.dtype))


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedBinaryAccuracy(keras.metrics.MeanMetricWrapper):
    """Accuracy over the labelled cells of binary labels.

    Parameters
    ----------
    ignore_class : int, default=-1
        The label that means "missing". NaN always does.
    threshold : float, default=0.5
        Predictions above it count as label 1; 0.0 suits logits.
    name : str, default="accuracy"
        Name of the metric.
    dtype : str or keras.DTypePolicy, default=None
        Type of the result; None means Keras's float type.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.losses import MaskedBinaryAccuracy
    >>> accuracy = MaskedBinaryAccuracy()
    >>> accuracy.update_state(np.array([[1], [-1], [0]]), np.array([[0.9], [0.9], [0.8]]))
    >>> float(accuracy.result())
    0.5
    """

    def __init__(
        self,
        ignore_class: int = -1,
        threshold: float = 0.5,
        name: str = "accuracy",
        dtype: Any = None,
    ):
        # Not keras.metrics.BinaryAccuracy: it averages over columns before it weighs, so that
        # one missing cell could not be left out.
        super().__init__(fn=_cell_matches, name=name, dtype=dtype, threshold=threshold)
        self.ignore_class = ignore_class
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch.

        Parameters
        ----------
        y_true : tensor of shape (batch_size, ...)
            Labels 0 and 1, some missing.
        y_pred : tensor of shape (batch_size, ...)
            Probabilities or logits of label 1.
        sample_weight : tensor, default=None
            One weight per sample, or of the shape of the labels.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        target, labelled = _split_binary(ops.convert_to_tensor(y_true), y_pred, self.ignore_class)
        super().update_state(target, y_pred, _weight_of(labelled, sample_weight, self.dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {
            "name": self.name,
            "dtype": self.dtype,
            "ignore_class": self.ignore_class,
            "threshold": self.threshold,
        }


def _cell_matches(y_true: Any, y_pred: Any, threshold: float) -> Any:
    """Return 1.0 where a cell is predicted right."""
    return ops.cast(ops.equal(y_true > 0.5, y_pred > threshold), "float32")


# ------------------------------------------------------------------------------------------------
# What is labelled
# ------------------------------------------------------------------------------------------------


def _split_sparse(y_true: Any, y_pred: Any, ignore_class: int) -> tuple[Any, Any]:
    """Return class indices, 0 where missing, and the mask, both (batch_size, ...)."""
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    labelled = _present(y_true, ignore_class)
    return ops.cast(ops.where(labelled, y_true, ops.zeros_like(y_true)), "int32"), labelled


def _split_one_hot(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return one-hot rows, the first class where missing, and the mask (batch_size, ...)."""
    y_true = ops.cast(y_true, y_pred.dtype)
    labelled = ops.any(y_true != 0, axis=-1) & ~ops.any(ops.isnan(y_true), axis=-1)
    first = ops.one_hot(ops.zeros_like(y_true[..., 0], dtype="int32"), y_pred.shape[-1])
    return ops.where(labelled[..., None], y_true, ops.cast(first, y_true.dtype)), labelled


def _split_binary(y_true: Any, y_pred: Any, ignore_class: int) -> tuple[Any, Any]:
    """Return labels, 0 where missing, and the mask, both of the shape of the predictions."""
    if len(y_true.shape) == len(y_pred.shape) - 1 and y_pred.shape[-1] == 1:
        y_true = y_true[..., None]
    labelled = _present(y_true, ignore_class)
    target = ops.where(labelled, y_true, ops.zeros_like(y_true))
    return ops.cast(target, y_pred.dtype), labelled


def _present(y_true: Any, ignore_class: int) -> Any:
    """Return where a label is neither the sentinel nor NaN."""
    kind = keras.backend.standardize_dtype(y_true.dtype)
    if kind == "bool" or kind.startswith("uint"):
        # In their own type, -1 would be True or the largest number.
        y_true = ops.cast(y_true, "int64" if kind == "uint32" else "int32")
    labelled = y_true != ops.cast(ignore_class, y_true.dtype)
    if "float" in kind:
        labelled = labelled & ~ops.isnan(y_true)
    return labelled


def _neutral(y_pred: Any, labelled: Any, from_logits: bool) -> Any:
    """Replace predictions under the mask by ones whose loss and gradient are finite."""
    if len(labelled.shape) < len(y_pred.shape):
        labelled = labelled[..., None]
    return ops.where(labelled, y_pred, ops.full_like(y_pred, 0.0 if from_logits else 0.5))


def _weight_of(labelled: Any, sample_weight: Any, dtype: Any) -> Any:
    """Return the weight of each entry, 0 where the label is missing, whatever stands there."""
    weight = ops.cast(labelled, dtype)
    if sample_weight is None:
        return weight
    given = ops.convert_to_tensor(sample_weight, dtype=dtype)
    while len(given.shape) > len(labelled.shape) and given.shape[-1] == 1:
        given = ops.squeeze(given, axis=-1)
    while len(given.shape) < len(labelled.shape):
        given = given[..., None]
    given = ops.broadcast_to(given, ops.shape(labelled))
    return ops.where(labelled, given, ops.zeros_like(given))
