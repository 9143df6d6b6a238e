r"""Temperature scaling: one temperature per task, from logits and labels of validation rows.

The probabilities of a task are those of its logits divided by its temperature,
:math:`p = \mathrm{softmax}(z / T_t)` [1]_; a binary task has the logit 0 for its first class. Few
labels determine a temperature poorly, and a network that is overconfident is so in most of its
tasks. So the tasks share a common temperature, from which each departs as far as its own labels
support: a random-effects model, with the variance between tasks estimated as in [2]_.

With :math:`\beta = 1 / T`, the log loss of task :math:`t` is

.. math:: L_t(\beta) = \sum_i w_{it}
    \left(\log \sum_k e^{\beta z_{itk} + o_{tk}} - \beta z_{it y_{it}} - o_{t y_{it}}\right),

its weights divided by their mean. The common :math:`\beta_0` minimises
:math:`\sum_t L_t(\beta) + 100 \, (\beta - 1 - \log \beta)`, and that of a task
:math:`L_t(\beta) + (\beta / \beta_0 - 1 - \log (\beta / \beta_0)) / \tau^2`, where
:math:`\tau^2` is the variance of :math:`\log \beta_t` between tasks beyond chance. Both are
convex. The penalties weigh as much as 100, or :math:`1 / \tau^2`, average cells, and at least as
much as one: labels that are all predicted correctly would otherwise have temperature 0.

References
----------
.. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017). On Calibration of Modern Neural Networks.
   ICML 2017.
.. [2] R. C. Paule, J. Mandel (1982). Consensus Values and Weighting Factors. Journal of Research of
   the National Bureau of Standards 87(5), 377-385.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp

from sk_mtl._data.dataset import Subset

__all__ = ["fit_temperatures", "require_validation"]

# The pull of the common temperature towards 1, in labelled cells: docs/benchmarks/quality.md.
_PULL = 100.0
_LARGEST_PULL = 1e9
_LARGEST_LOGIT = 1e30
_LARGEST_FACTOR = 1e4


def require_validation(validation: Subset | None) -> None:
    """Refuse to calibrate without validation rows."""
    if validation is None:
        raise ValueError(
            "calibrate=True needs validation rows, which are not trained on. Set "
            "early_stopping=True, which sets aside validation_fraction of the rows, or pass "
            "validation_data to fit; partial_fit has neither. calibrate='auto' does without if "
            "there are none."
        )


def fit_temperatures(
    logits: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
    n_outputs: Sequence[int],
    offsets: np.ndarray | None = None,
) -> np.ndarray:
    """Fit the temperatures, float32 of shape (n_tasks,), of tasks side by side in the logits."""
    # Codes and weights have shape (n_samples, n_tasks). The offsets, (sum(n_outputs),), are added
    # to the scaled logits: how the class frequencies of the labels differ from those to predict.
    starts = np.cumsum([0, *n_outputs])
    offsets = np.zeros(starts[-1]) if offsets is None else offsets.astype(np.float64)
    tasks = []
    for t, width in enumerate(n_outputs):
        labelled = np.flatnonzero(weight[:, t] > 0)
        columns = slice(starts[t], starts[t + 1])
        of_task, offset = logits[labelled, columns].astype(np.float64), offsets[columns]
        if width == 1:
            of_task, offset = np.hstack([np.zeros_like(of_task), of_task]), np.r_[0, offset]
        tasks.append(_Cells.of_task(of_task, codes[labelled, t], weight[labelled, t], offset))
    common = _fit_factor(tasks, 1.0, _PULL)
    pull = 1 / max(_variance_between(tasks, common), 1 / _LARGEST_PULL)
    factors = [_fit_factor([cells], common, pull) for cells in tasks]
    return (1 / np.array(factors)).astype(np.float32)


@dataclass(frozen=True)
class _Cells:
    """The labelled cells of a task: logits less that of the true class, weights of mean 1."""

    logits: np.ndarray
    weight: np.ndarray
    offset: np.ndarray

    @classmethod
    def of_task(
        cls, logits: np.ndarray, codes: np.ndarray, weight: np.ndarray, offset: np.ndarray
    ) -> _Cells:
        logits = np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
        # One constant per row changes no probability.
        logits = logits - logits[np.arange(len(codes)), codes][:, None]
        weight = weight.astype(np.float64)
        return cls(logits, weight / weight.mean() if len(weight) else weight, offset)

    def slope(self, factor: float) -> float:
        """Return the derivative of the log loss by the factor of the logits."""
        return float(self.weight @ self._moments(factor)[0])

    def curvature(self, factor: float) -> tuple[float, float]:
        """Return the second derivative, and the variance that chance gives the first."""
        mean, square = self._moments(factor)
        of_cells = np.maximum(square - mean**2, 0)
        return float(self.weight @ of_cells), float(self.weight**2 @ of_cells)

    def _moments(self, factor: float) -> tuple[np.ndarray, np.ndarray]:
        log_odds = factor * self.logits + self.offset
        shares = np.exp(log_odds - logsumexp(log_odds, axis=1, keepdims=True))
        return (shares * self.logits).sum(axis=1), (shares * self.logits**2).sum(axis=1)


def _fit_factor(tasks: Sequence[_Cells], center: float, pull: float) -> float:
    """Return what to multiply the logits of these tasks by; `pull` draws it to `center`."""

    def slope(factor: float) -> float:
        return sum(cells.slope(factor) for cells in tasks) + pull * (1 / center - 1 / factor)

    low, high = 1 / _LARGEST_FACTOR, _LARGEST_FACTOR
    if slope(low) >= 0:
        return low
    if slope(high) <= 0:
        return high
    return float(brentq(slope, low, high, xtol=1e-12, rtol=1e-10))


def _variance_between(tasks: Sequence[_Cells], common: float) -> float:
    """Return the variance of the logarithms of factors between tasks, beyond chance and up to 1.

    From one Newton step of each task away from the common factor: temperatures found from a
    handful of cells would be anywhere.
    """
    slopes = np.array([cells.slope(common) for cells in tasks]) * common
    curvatures = np.array([cells.curvature(common) for cells in tasks]).reshape(-1, 2) * common**2
    is_told = curvatures[:, 0] > 0
    slopes, (curvature, chance) = slopes[is_told], curvatures[is_told].T
    steps, noise = slopes / curvature, chance / curvature**2

    def excess(variance: float) -> float:
        weights = 1 / (noise + variance)
        mean = weights @ steps / weights.sum()
        return float(weights @ (steps - mean) ** 2) - (len(steps) - 1)

    if len(steps) < 2 or excess(0.0) <= 0:
        return 0.0
    return 1.0 if excess(1.0) >= 0 else float(brentq(excess, 0.0, 1.0))
