"""Fair gains of the tasks."""

from __future__ import annotations

from typing import Any

from sk_mtl.weighting._base import TaskBatch
from sk_mtl.weighting._gram_weighting import GramWeighting
from sk_mtl.weighting._settings import check_number

__all__ = ["FairGradWeighting"]


class FairGradWeighting(GramWeighting):
    r"""Weights of the step whose gains are fair to the tasks (FairGrad).

    They solve :math:`G w = w^{-1/\alpha}` with :math:`w > 0` over the tasks of the batch, as in
    algorithm 1 of [1]_: the step maximizes the :math:`\alpha`-fair utility of the gains of the
    tasks. Gains are in proportion for :math:`\alpha = 1`, and the larger it is, the more the
    smallest gain counts. A task that is absent, or whose gradient is zero, takes no part.

    The weights grow as gradients shrink, by the power :math:`-2 \alpha / (1 + \alpha)` of their
    common scale; that is the published method. Newton's method finds them in at most 25 iterations,
    with the squares of the norms enlarged by one part in a million; for more than 32 tasks, its
    systems are solved by conjugate gradients.

    Parameters
    ----------
    alpha : float, default=1.0
        The kind of fairness :math:`\alpha`, at least 0.1.

    every : int, default=1
        The weights are computed in every so many steps, and kept in between.

    References
    ----------
    .. [1] H. Ban, K. Ji. "Fair Resource Allocation in Multi-Task Learning". ICML 2024,
       arXiv 2402.15638.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import FairGradWeighting
    >>> clf = MultiTaskClassifier(task_weighting=FairGradWeighting(alpha=2.0))
    """

    _name = "fairgrad"
    factorizes = False
    can_pack = False

    def __init__(self, alpha: float = 1.0, every: int = 1):
        self.alpha = alpha
        self.every = every

    def check_settings(self) -> None:
        super().check_settings()
        check_number(self, "alpha", 0.1, 100)

    def _solve(self, batch: TaskBatch) -> Any:
        from sk_mtl.weighting._fair import solve_fairness

        return solve_fairness(batch.gram, batch.present, float(self.alpha))
