r"""Class frequencies in the loss: logit adjustment and label smoothing. Knows no network.

While training, :math:`\tau \log \pi_k` is added to the logit of a class of frequency
:math:`\pi_k`, as in equation 10 of [1]_.

References
----------
.. [1] A. K. Menon, S. Jayasumana, A. S. Rawat, H. Jain, A. Veit, S. Kumar (2021). Long-tail
   Learning via Logit Adjustment. ICLR 2021, arXiv 2007.07314.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["compute_adjusted_frequencies", "compute_label_smoothing", "compute_logit_offsets"]

_AUTO_SMOOTHING = 0.02  # chosen in docs/benchmarks/quality.md


def compute_logit_offsets(class_frequencies: Sequence[np.ndarray], tau: float) -> np.ndarray:
    """Return what is added to the logits in training, (sum(n_outputs),); see the module."""
    offsets = []
    for frequencies in class_frequencies:
        known = np.asarray(frequencies, dtype=np.float64)
        # A class of frequency 0 is left alone: no label would ever speak against its logit.
        by_class = tau * np.log(np.where(known > 0, known, 1))
        offsets.append(np.diff(by_class) if len(known) == 2 else by_class)
    return np.concatenate(offsets).astype(np.float32)


def compute_adjusted_frequencies(
    class_frequencies: Sequence[np.ndarray], tau: float
) -> list[np.ndarray]:
    """Return, by task, the class frequencies that an adjusted network without features predicts."""
    adjusted = []
    for frequencies in class_frequencies:
        known = np.asarray(frequencies, dtype=np.float64)
        kept = np.where(known > 0, np.where(known > 0, known, 1) ** (1 - tau), 0)
        adjusted.append(kept / kept.sum())
    return adjusted


def compute_label_smoothing(
    label_smoothing: str | float, class_frequencies: Sequence[np.ndarray]
) -> np.ndarray | None:
    """Return the share of each task's labels to spread, (n_tasks,); None if all are 0."""
    # What "auto" spreads must not hide the rarest class.
    shares = [
        min(_AUTO_SMOOTHING, f[f > 0].min(initial=1))
        if label_smoothing == "auto"
        else label_smoothing
        for f in class_frequencies
    ]
    return np.asarray(shares, dtype=np.float32) if any(shares) else None
