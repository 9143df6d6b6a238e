"""Constant task weights."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskWeighting

__all__ = ["FixedWeighting"]


class FixedWeighting(TaskWeighting):
    r"""Constant task weights: the objective is :math:`\sum_t \lambda_t L_t`.

    Parameters
    ----------
    factors : array-like of shape (n_tasks,), default=None
        The weights :math:`\lambda_t \ge 0`; None means 1 for every task.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import FixedWeighting
    >>> clf = MultiTaskClassifier(task_weighting=FixedWeighting([1.0, 0.5]))

    By the names of the tasks, which is the same:

    >>> clf = MultiTaskClassifier(task_weighting={"second": 0.5})
    """

    def __init__(self, factors: Sequence[float] | None = None):
        self.factors = factors

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        # State, so that programs that differ in their factors alone are one.
        factors = np.ones(n_tasks) if self.factors is None else np.asarray(self.factors)
        return {"factor": factors.astype(np.float32)}

    def combine(
        self, task_losses: Any, present: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        from keras import ops

        return ops.sum(state["factor"] * task_losses), {}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["factor"], dtype=np.float32)

    def program_key(self) -> Hashable:
        return "fixed"
