"""Calibration error of the probabilities of one task.

Owns the one metric that scikit-learn does not have. Does not know tasks or missing labels.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length


def calibration_error(
    y_true: Any,
    y_proba: Any,
    *,
    labels: Any = None,
    n_bins: int = 15,
    sample_weight: Any = None,
) -> float:
    r"""Expected calibration error of the most probable class.

    The rows are sorted into bins of equal width by the probability of the class predicted, their
    confidence. In a calibrated model the accuracy in each bin is the mean confidence:

    .. math::

        \mathrm{ECE} = \sum_{b=1}^{B} \frac{W_b}{W}
        \left| \mathrm{accuracy}_b - \mathrm{confidence}_b \right|

    with the weight :math:`W_b` of the rows in bin :math:`b`, of [1]_, equation 3. For
    two classes as for more, it is the confidence in the prediction that is judged.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of one task, none of them missing.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Probabilities of the classes; 1-D are those of the second of two classes.
    labels : array-like of shape (n_classes,), default=None
        The class of each column; None means the sorted labels of `y_true`. A true label that is
        not among them counts as a wrong prediction.
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
    if isinstance(n_bins, bool) or not isinstance(n_bins, Integral) or int(n_bins) < 1:
        raise ValueError(f"n_bins must be an int of at least 1. Got {n_bins!r}.")
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
    correct = (labels[proba.argmax(axis=1)] == y_true).astype(np.float64)
    # Bin b holds the confidences in (b / n_bins, (b + 1) / n_bins].
    bin_of_row = np.clip(np.ceil(confidence * n_bins).astype(np.intp) - 1, 0, n_bins - 1)
    gap = np.bincount(bin_of_row, weights=weight * (correct - confidence), minlength=n_bins)
    return float(np.abs(gap).sum() / weight.sum())


def as_class_probabilities(y_proba: Any) -> np.ndarray:
    """Return probabilities with a column per class.

    Parameters
    ----------
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        1-D are those of the second of two classes.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        In the float type they had.
    """
    proba = np.asarray(y_proba)
    if proba.dtype.kind != "f":
        proba = proba.astype(np.float64)
    return np.column_stack([1 - proba, proba]) if proba.ndim == 1 else proba


def check_probabilities(proba: np.ndarray) -> None:
    """Refuse what are not probabilities.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Without NaN.
    """
    if len(proba) and not (proba.min() >= 0 and proba.max() <= 1 + 1e-6):
        raise ValueError(
            "Probabilities must be between 0 and 1. Got values from "
            f"{proba.min():.3g} to {proba.max():.3g}."
        )
