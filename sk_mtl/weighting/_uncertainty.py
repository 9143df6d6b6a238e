"""Task weights learned as uncertainties."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskWeighting

__all__ = ["UncertaintyWeighting"]


class UncertaintyWeighting(TaskWeighting):
    r"""Weights learned as homoscedastic uncertainties, masked where a task is absent.

    With :math:`s_t = \log \sigma_t^2` and :math:`p_t = 1` if task :math:`t` has a labelled cell in
    the batch, else 0, the objective is

    .. math:: \sum_t p_t \left( e^{-s_t} L_t + \tfrac{1}{2} s_t \right),

    equation 10 of [1]_ for classification, with the log-variance term masked along with the loss.
    Unmasked, that term would pull :math:`s_t` down on each batch without labels of the task, and
    its weight :math:`e^{-s_t}` up without bound.

    Parameters
    ----------
    initial_log_variance : float, default=0.0
        The start of every :math:`s_t`; 0 means weight 1.

    References
    ----------
    .. [1] A. Kendall, Y. Gal, R. Cipolla. "Multi-Task Learning Using Uncertainty to Weigh Losses
       for Scene Geometry and Semantics". CVPR 2018, arXiv 1705.07115.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="uncertainty")

    The same with another start:

    >>> from sk_mtl.weighting import UncertaintyWeighting
    >>> clf = MultiTaskClassifier(task_weighting=UncertaintyWeighting(initial_log_variance=-1.0))
    """

    learned_state = ("log_variance",)

    def __init__(self, initial_log_variance: float = 0.0):
        self.initial_log_variance = initial_log_variance

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        return {"log_variance": np.full(n_tasks, self.initial_log_variance, dtype=np.float32)}

    def combine(
        self, task_losses: Any, present: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        from keras import ops

        # Masked before the exponential too: it may overflow for a task that is long absent.
        log_variance = ops.where(present, state["log_variance"], 0.0)
        terms = ops.exp(-log_variance) * task_losses + 0.5 * log_variance
        return ops.sum(ops.where(present, terms, ops.zeros_like(terms))), {}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        with np.errstate(over="ignore"):  # training says what diverged
            return np.exp(-np.asarray(state["log_variance"], dtype=np.float32))

    def program_key(self) -> Hashable:
        return "uncertainty"
