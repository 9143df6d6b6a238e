r"""Logit adjustment: the frequencies of the classes inside the loss, and not in what is predicted.

Owns the numbers that are added to the logits while training, :math:`\tau \log \pi_k` for a class of
frequency :math:`\pi_k`, as in equation 10 of [1]_. Knows no network.

References
----------
.. [1] A. K. Menon, S. Jayasumana, A. S. Rawat, H. Jain, A. Veit, S. Kumar (2021). Long-tail
   Learning via Logit Adjustment. ICLR 2021, arXiv 2007.07314.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["compute_adjusted_frequencies", "compute_logit_offsets"]


def compute_logit_offsets(class_frequencies: Sequence[np.ndarray], tau: float) -> np.ndarray:
    """Return what is added to the logits of all tasks while training.

    Parameters
    ----------
    class_frequencies : sequence of ndarray of shape (n_classes_t,)
        Relative frequencies of the classes, by task. A class of frequency 0 is left alone: no
        label would ever speak against it.
    tau : float
        How much of the frequencies to take out of the predictions: 0 is none, 1 is all.

    Returns
    -------
    offsets : ndarray of float32 of shape (sum(n_outputs),)
        The tasks side by side; a binary task has one column, for its log-odds.

    Examples
    --------
    >>> from sk_mtl._fit.logit_adjustment import compute_logit_offsets
    >>> compute_logit_offsets([[0.9, 0.1], [0.5, 0.25, 0.25]], 1.0).round(2).tolist()
    [-2.200000047683716, -0.6899999976158142, -1.3899999856948853, -1.3899999856948853]
    """
    offsets = []
    for frequencies in class_frequencies:
        known = np.asarray(frequencies, dtype=np.float64)
        by_class = tau * np.log(np.where(known > 0, known, 1))
        offsets.append(np.diff(by_class) if len(known) == 2 else by_class)
    return np.concatenate(offsets).astype(np.float32)


def compute_adjusted_frequencies(
    class_frequencies: Sequence[np.ndarray], tau: float
) -> list[np.ndarray]:
    """Return the class frequencies that an adjusted network without any features predicts.

    Parameters
    ----------
    class_frequencies : sequence of ndarray of shape (n_classes_t,)
        Relative frequencies of the classes, by task.
    tau : float
        As for `compute_logit_offsets`.

    Returns
    -------
    frequencies : list of ndarray of shape (n_classes_t,)
        Each sums to 1. With the offsets added to their logarithms they are the frequencies
        themselves.
    """
    adjusted = []
    for frequencies in class_frequencies:
        known = np.asarray(frequencies, dtype=np.float64)
        kept = np.where(known > 0, np.where(known > 0, known, 1) ** (1 - tau), 0)
        adjusted.append(kept / kept.sum())
    return adjusted
