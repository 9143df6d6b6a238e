"""Calibration error of the probabilities of one task, which scikit-learn does not have."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from sk_mtl._compat.arguments import check_integer
from sk_mtl._data.label_values import factorize_labels
from sk_mtl._quoting import quote


def calibration_error(
    y_true: Any,
    y_proba: Any,
    *,
    labels: Any = None,
    n_bins: int = 15,
    sample_weight: Any = None,
) -> float:
    r"""Expected calibration error of the most probable class.

    The rows are binned by their confidence, the probability of the predicted class, in bins of
    equal width. For a calibrated model, the accuracy in each bin equals the mean confidence. The
    error is the weighted mean of the differences, equation 3 of [1]_:

    .. math::

        \mathrm{ECE} = \sum_{b=1}^{B} \frac{W_b}{W}
        \left| \mathrm{accuracy}_b - \mathrm{confidence}_b \right|

    with the weight :math:`W_b` of the rows in bin :math:`b`. For two classes, too, the confidence
    is that of the predicted class, not the probability of the second class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of one task, without missing ones.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Probabilities of the classes; if 1-D, of the second of two classes.
    labels : array-like of shape (n_classes,), default=None
        The class of each column; None means the sorted labels of `y_true`. For a true label that
        is not among them, every prediction is wrong.
    n_bins : int, default=15
        Number of bins.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.

    Returns
    -------
    error : float
        Between 0 (calibrated) and 1; smaller is better.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017). On Calibration of Modern Neural
       Networks. ICML 2017.

    Examples
    --------
    >>> from sk_mtl.metrics import calibration_error
    >>> calibration_error(["no", "yes", "yes", "yes"], [0.25, 0.75, 0.75, 0.75])
    0.25
    """
    check_integer("calibration_error", "n_bins", n_bins, 1)
    y_true = np.asarray(y_true)
    proba = as_class_probabilities(y_proba)
    labels = np.unique(y_true) if labels is None else np.asarray(labels)
    check_consistent_length(y_true, proba, sample_weight)
    if len(labels) != proba.shape[1]:
        raise ValueError(
            f"labels must name the class of each column of y_proba: {proba.shape[1]} column(s), "
            f"{len(labels)} label(s). Pass labels=."
        )
    check_probabilities(proba)
    weight = np.ones(len(y_true)) if sample_weight is None else np.asarray(sample_weight, float)
    confidence = proba.max(axis=1).astype(np.float64)
    codes, _ = factorize_labels([labels, y_true])
    of_columns, of_rows = np.split(codes, [len(labels)])
    correct = (of_columns[proba.argmax(axis=1)] == of_rows).astype(np.float64)
    bins = equal_width_bins(confidence, n_bins)
    gap = np.bincount(bins, weights=weight * (correct - confidence), minlength=n_bins)
    return float(np.abs(gap).sum() / weight.sum())


def equal_width_bins(proba: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the bin of each probability; bin b is ``(b / n_bins, (b + 1) / n_bins]``."""
    return np.clip(np.ceil(proba * n_bins).astype(np.intp) - 1, 0, n_bins - 1)


def as_class_probabilities(y_proba: Any) -> np.ndarray:
    """Return probabilities (n_samples, n_classes); 1-D are those of the second of two classes."""
    proba = np.asarray(y_proba)
    if proba.dtype.kind != "f":
        proba = proba.astype(np.float64)
    return np.column_stack([1 - proba, proba]) if proba.ndim == 1 else proba


def check_probabilities(proba: np.ndarray, task_name: Any = None) -> None:
    """Raise ValueError unless all values (n_samples, n_classes) are between 0 and 1."""
    if len(proba) and not (proba.min() >= 0 and proba.max() <= 1 + 1e-6):
        of_task = "" if task_name is None else f" of task {quote(task_name)}"
        raise ValueError(
            f"Probabilities{of_task} must be between 0 and 1. Got values from "
            f"{proba.min():.3g} to {proba.max():.3g}."
        )
