"""The bargaining solution of the tasks."""

from __future__ import annotations

from typing import Any

from sk_mtl.weighting._base import TaskBatch
from sk_mtl.weighting._gram_weighting import GramWeighting

__all__ = ["NashMTLWeighting"]


class NashMTLWeighting(GramWeighting):
    r"""Weights of the step that the tasks would agree on in bargaining (Nash-MTL).

    They solve :math:`G w = 1 / w` with :math:`w > 0` over the tasks of the batch, claim 3.1 of
    [1]_, with the Gram matrix divided by its Frobenius norm as the authors' program does. The step
    has the largest product of gains. A task that is absent, or whose gradient is zero, has nothing
    to gain and takes no part; with it, the problem would have no solution.

    The solution minimizes :math:`\frac{1}{2} w^T G w - \sum_t \log w_t`. Newton's method finds it
    in at most 25 iterations, with the squares of the norms enlarged by one part in a million; for
    more than 32 tasks, its systems are solved by conjugate gradients.
    The authors' limit on the norm of the step is that of the optimizer here
    (``optimizer__clipnorm``).

    Parameters
    ----------
    every : int, default=1
        The weights are computed in every so many steps, and kept in between.

    References
    ----------
    .. [1] A. Navon, A. Shamsian, I. Achituve, H. Maron, K. Kawaguchi, G. Chechik, E. Fetaya.
       "Multi-Task Learning as a Bargaining Game". ICML 2022, arXiv 2202.01017.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import NashMTLWeighting
    >>> clf = MultiTaskClassifier(task_weighting=NashMTLWeighting(every=10))
    """

    _name = "nash_mtl"
    factorizes = False
    can_pack = False

    def __init__(self, every: int = 1):
        self.every = every

    def _solve(self, batch: TaskBatch) -> Any:
        from sk_mtl.weighting._fair import solve_fairness

        return solve_fairness(batch.gram, batch.present, alpha=1.0, as_normalized=True)
