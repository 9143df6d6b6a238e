"""Masked losses and metrics as Keras classes.

A loss masks a missing label before the cross-entropy and after it: zero times infinity is NaN, in
the gradient too.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from sk_mtl._compat.keras_internals import get_mask
from sk_mtl.losses._tasks import task_means

__all__ = [
    "MaskedBinaryAccuracy",
    "MaskedBinaryCrossentropy",
    "MaskedCategoricalAccuracy",
    "MaskedCategoricalCrossentropy",
    "MaskedSparseCategoricalAccuracy",
    "MaskedSparseCategoricalCrossentropy",
]

# ------------------------------------------------------------------------------------------------
# What is labelled
# ------------------------------------------------------------------------------------------------


class _Masked:
    """Base of a loss and a metric that read the same form of labels."""

    _settings: tuple[str, ...] = ()

    def _split(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Return the targets with something valid under the mask, and the mask."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the keyword arguments of the constructor, for Keras's serialisation."""
        return {name: getattr(self, name) for name in ("name", "dtype", *self._settings)}


class _SparseLabels(_Masked):
    """Class indices; `ignore_class` and NaN are missing."""

    ignore_class: int

    def _split(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Return class indices, 0 where missing, and the mask, both (batch_size, ...)."""
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, axis=-1)
        labelled = _present(y_true, self.ignore_class)
        return ops.cast(ops.where(labelled, y_true, ops.zeros_like(y_true)), "int32"), labelled


class _OneHotLabels(_Masked):
    """One-hot rows; a row of zeros or with NaN is missing."""

    def _split(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Return one-hot rows, the first class where missing, and the mask (batch_size, ...)."""
        y_true = ops.cast(y_true, y_pred.dtype)
        labelled = ops.any(y_true != 0, axis=-1) & ~ops.any(ops.isnan(y_true), axis=-1)
        first = ops.one_hot(ops.zeros_like(y_true[..., 0], dtype="int32"), y_pred.shape[-1])
        return ops.where(labelled[..., None], y_true, ops.cast(first, y_true.dtype)), labelled


class _BinaryLabels(_Masked):
    """Zeros and ones; `ignore_class` and NaN are missing."""

    ignore_class: int

    def _split(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Return labels, 0 where missing, and the mask, both of the shape of the predictions."""
        if len(y_true.shape) == len(y_pred.shape) - 1 and y_pred.shape[-1] == 1:
            y_true = y_true[..., None]
        labelled = _present(y_true, self.ignore_class)
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
    """Return the weight of each entry; 0 if the label is missing, whatever weight was given."""
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


# ------------------------------------------------------------------------------------------------
# Losses
# ------------------------------------------------------------------------------------------------


class _MaskedCrossentropy(keras.losses.Loss):
    """Weighted mean over the labelled entries of a batch, which `_split` finds."""

    def __init__(self, from_logits: bool, name: str | None, dtype: Any):
        # Keras's reductions divide by the size of the batch; this class divides by the weight of
        # the labelled entries, which only `__call__` can know.
        super().__init__(name=name, reduction="sum", dtype=dtype)
        self.from_logits = from_logits

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss of a batch; 0, with gradient 0, if it has no label."""
        steps = get_mask(y_pred)
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

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the cross-entropy of each entry.

        Parameters
        ----------
        y_true : tensor of shape (batch_size, ...) or (batch_size, ..., n_classes)
            Labels, none of them missing.
        y_pred : tensor of shape (batch_size, ...) or (batch_size, ..., n_classes)
            Probabilities or logits.

        Returns
        -------
        losses : tensor of shape (batch_size, ...)
            Unreduced losses.
        """
        raise NotImplementedError


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedSparseCategoricalCrossentropy(_SparseLabels, _MaskedCrossentropy):
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

    _settings = ("from_logits", "ignore_class")

    def __init__(
        self,
        ignore_class: int = -1,
        from_logits: bool = False,
        name: str = "masked_sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, name, dtype)
        self.ignore_class = ignore_class

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=self.from_logits)


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedCategoricalCrossentropy(_OneHotLabels, _MaskedCrossentropy):
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

    _settings = ("from_logits", "label_smoothing")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        name: str = "masked_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, name, dtype)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if self.label_smoothing:
            share = self.label_smoothing / y_pred.shape[-1]
            y_true = y_true * (1.0 - self.label_smoothing) + share
        return ops.categorical_crossentropy(y_true, y_pred, from_logits=self.from_logits)


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedBinaryCrossentropy(_BinaryLabels, _MaskedCrossentropy):
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

    _settings = ("from_logits", "ignore_class", "label_smoothing")

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

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if self.label_smoothing:
            y_true = y_true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        return ops.binary_crossentropy(y_true, y_pred, from_logits=self.from_logits)


# ------------------------------------------------------------------------------------------------
# Metrics
# ------------------------------------------------------------------------------------------------


class _MaskedAccuracy(keras.metrics.Metric):
    """Mixin for a Keras metric: entries without a label get weight 0."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch.

        Parameters
        ----------
        y_true : tensor of shape (batch_size, ...) or (batch_size, ..., n_classes)
            Labels, some of them missing.
        y_pred : tensor of shape (batch_size, ...) or (batch_size, ..., n_classes)
            Probabilities or logits.
        sample_weight : tensor, default=None
            One weight per sample, or of the shape of the labels.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        target, labelled = self._split(ops.convert_to_tensor(y_true), y_pred)
        super().update_state(target, y_pred, _weight_of(labelled, sample_weight, self.dtype))


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedSparseCategoricalAccuracy(
    _SparseLabels, _MaskedAccuracy, keras.metrics.SparseCategoricalAccuracy
):
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

    _settings = ("ignore_class",)

    def __init__(self, ignore_class: int = -1, name: str = "accuracy", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.ignore_class = ignore_class


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedCategoricalAccuracy(_OneHotLabels, _MaskedAccuracy, keras.metrics.CategoricalAccuracy):
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


@keras.saving.register_keras_serializable("sk_mtl")
class MaskedBinaryAccuracy(_BinaryLabels, _MaskedAccuracy, keras.metrics.MeanMetricWrapper):
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

    _settings = ("ignore_class", "threshold")

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


def _cell_matches(y_true: Any, y_pred: Any, threshold: float) -> Any:
    """Return 1.0 where a cell is predicted correctly."""
    return ops.cast(ops.equal(y_true > 0.5, y_pred > threshold), "float32")
