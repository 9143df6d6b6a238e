r"""Calibration: one temperature per task, from logits and labels that training did not see.

Owns the fit of the temperatures, and which tasks have the labels for it; knows no network. The
probabilities of a task are those of its logits over its temperature,
:math:`p = \mathrm{softmax}(z / T_t)` [1]_, with the logit 0 of the first class beside the log-odds
of a binary task.

References
----------
.. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017). On Calibration of Modern Neural Networks.
   ICML 2017.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp

from sk_mtl._problem import LabelledRows
from sk_mtl._tasks import enumerate_some

__all__ = ["calibrate_tasks", "find_temperature", "find_temperatures", "require_watched_rows"]

# Fewer labelled cells than this say next to nothing of how far probabilities are off.
_MIN_CELLS = 20
_LARGEST_LOGIT = 1e30
_LARGEST_FACTOR = 1e4


def require_watched_rows(watched: LabelledRows | None) -> None:
    """Refuse to calibrate without rows that training does not see.

    Parameters
    ----------
    watched : LabelledRows or None
        Rows held out, or validation data.

    Raises
    ------
    ValueError
        If there are none.
    """
    if watched is None:
        raise ValueError(
            "calibrate=True needs labelled rows that are not trained on. Set early_stopping=True, "
            "which holds out validation_fraction of the rows, or give fit validation_data; "
            "partial_fit has neither."
        )


def calibrate_tasks(
    logits: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
    n_outputs: Sequence[int],
    names: Sequence[Hashable],
    offsets: np.ndarray | None = None,
    stacklevel: int = 1,
) -> np.ndarray:
    """Return the temperature of each task, 1 with a warning where labels are too few.

    Parameters
    ----------
    logits : ndarray of float of shape (n_rows, sum(n_outputs))
        Of the rows that count.
    codes : ndarray of int of shape (n_rows, n_tasks)
        Their class indices; any where the label is missing.
    weight : ndarray of float of shape (n_rows, n_tasks)
        Their cell weights, 0 where the label is missing.
    n_outputs : sequence of int
        The width of each task.
    names : sequence of hashable
        The names of the tasks.
    offsets : ndarray of float of shape (sum(n_outputs),), default=None
        As for `find_temperatures`.
    stacklevel : int, default=1
        Of the warning, as seen from the caller.

    Returns
    -------
    temperatures : ndarray of float32 of shape (n_tasks,)
        Positive.
    """
    temperatures = find_temperatures(logits, codes, weight, n_outputs, offsets)
    is_unknown = np.isnan(temperatures)
    if is_unknown.any():
        counts = (weight > 0).sum(axis=0)
        tasks = [
            f"{name!r} ({count} label(s))"
            for name, count, unknown in zip(names, counts, is_unknown, strict=True)
            if unknown
        ]
        warnings.warn(
            f"{len(tasks)} task(s) are not calibrated, and keep the temperature 1: "
            f"{enumerate_some(tasks)} among the rows watched. At least {_MIN_CELLS} labels of two "
            "classes are needed. Raise validation_fraction, or give more validation_data.",
            UserWarning,
            stacklevel=stacklevel + 1,
        )
    return np.where(is_unknown, np.float32(1), temperatures)


def find_temperatures(
    logits: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
    n_outputs: Sequence[int],
    offsets: np.ndarray | None = None,
) -> np.ndarray:
    """Find the temperature of each task.

    Parameters
    ----------
    logits : ndarray of float of shape (n_samples, sum(n_outputs))
        The tasks side by side: one column of log-odds for a binary task, else one per class.
    codes : ndarray of int of shape (n_samples, n_tasks)
        Class indices; any where the label is missing.
    weight : ndarray of float of shape (n_samples, n_tasks)
        Cell weights, 0 where the label is missing.
    n_outputs : sequence of int
        The width of each task.
    offsets : ndarray of float of shape (sum(n_outputs),), default=None
        Added to the logits over temperature: by how much the frequencies of the classes that the
        labels are drawn from differ from those that are to be predicted.

    Returns
    -------
    temperatures : ndarray of float32 of shape (n_tasks,)
        NaN for a task with fewer than 20 labelled cells, or with one class among them.
    """
    temperatures = np.full(len(n_outputs), np.nan, dtype=np.float32)
    starts = np.cumsum([0, *n_outputs])
    offsets = np.zeros(starts[-1]) if offsets is None else offsets.astype(np.float64)
    for t, width in enumerate(n_outputs):
        labelled = np.flatnonzero(weight[:, t] > 0)
        known = codes[labelled, t]
        if len(labelled) < _MIN_CELLS or (known == known[0]).all():
            continue
        columns = slice(starts[t], starts[t + 1])
        of_task, offset = logits[labelled, columns].astype(np.float64), offsets[columns]
        if width == 1:
            of_task, offset = np.hstack([np.zeros_like(of_task), of_task]), np.r_[0, offset]
        temperatures[t] = find_temperature(of_task, known, weight[labelled, t], offset)
    return temperatures


def find_temperature(
    logits: np.ndarray, codes: np.ndarray, weight: np.ndarray, offset: np.ndarray | float = 0.0
) -> float:
    r"""Find the temperature of one task.

    With :math:`\beta = 1 / T` it minimises

    .. math:: \sum_i w_i \left(\log \sum_k e^{\beta z_{ik} + o_k} - \beta z_{i y_i}\right)
        + \bar w \, (\beta - 1 - \log \beta),

    which is convex in :math:`\beta`: the weighted log loss, and a pull towards 1 that weighs as
    much as one average cell. Without it, labels that are all predicted right would have no best
    temperature but 0, and probabilities of 0 and 1.

    Parameters
    ----------
    logits : ndarray of float of shape (n_samples, n_classes)
        Logits.
    codes : ndarray of int of shape (n_samples,)
        Indices of the true classes.
    weight : ndarray of float of shape (n_samples,)
        Weights, all positive.
    offset : ndarray of float of shape (n_classes,) or float, default=0.0
        The numbers :math:`o_k`.

    Returns
    -------
    temperature : float
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl._calibration import find_temperature
    >>> rng = np.random.default_rng(0)
    >>> log_odds = rng.normal(size=5000)
    >>> codes = (rng.random(5000) < 1 / (1 + np.exp(-log_odds))).astype(int)
    >>> overconfident = np.stack([np.zeros(5000), 2 * log_odds], axis=1)
    >>> round(find_temperature(overconfident, codes, np.ones(5000)))
    2
    """
    logits = np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    # One constant per row changes no probability.
    logits = logits - logits[np.arange(len(codes)), codes][:, None]
    weight = weight / weight.mean()

    def slope(factor: float) -> float:
        """Return the derivative of the objective."""
        log_odds = factor * logits + offset
        shares = np.exp(log_odds - logsumexp(log_odds, axis=1, keepdims=True))
        return float(weight @ (shares * logits).sum(axis=1) + 1 - 1 / factor)

    low, high = 1 / _LARGEST_FACTOR, _LARGEST_FACTOR
    if slope(low) >= 0:
        return 1 / low
    if slope(high) <= 0:
        return 1 / high
    return 1 / float(brentq(slope, low, high, xtol=1e-12, rtol=1e-10))
