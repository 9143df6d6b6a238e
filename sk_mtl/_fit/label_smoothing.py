"""Label smoothing: which share of a task's labels is spread evenly over its classes.

Owns the shares, and what "auto" is. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["compute_label_smoothing"]

_AUTO = 0.02  # chosen in docs/benchmarks/quality.md


def compute_label_smoothing(
    label_smoothing: str | float, class_frequencies: Sequence[np.ndarray]
) -> np.ndarray | None:
    """Return the shares of the tasks.

    Parameters
    ----------
    label_smoothing : "auto" or float
        "auto" is 0.02, and less where a class is rarer: what is spread must not hide it.
    class_frequencies : sequence of ndarray of shape (n_classes_t,)
        Relative frequencies of the classes, by task. Those of 0 are left out.

    Returns
    -------
    shares : ndarray of float32 of shape (n_tasks,) or None
        None where nothing is spread.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl._fit.label_smoothing import compute_label_smoothing
    >>> compute_label_smoothing("auto", [np.array([0.995, 0.005]), np.array([0.5, 0.5])]).tolist()
    [0.004999999888241291, 0.019999999552965164]
    """
    shares = [
        min(_AUTO, f[f > 0].min(initial=1)) if label_smoothing == "auto" else label_smoothing
        for f in class_frequencies
    ]
    return np.asarray(shares, dtype=np.float32) if any(shares) else None
