"""The shortest mean of the gradients."""

from __future__ import annotations

from typing import Any

from sk_mtl.weighting._base import TaskBatch
from sk_mtl.weighting._gram_weighting import GramWeighting
from sk_mtl.weighting._settings import check_choice

__all__ = ["MGDAWeighting"]


class MGDAWeighting(GramWeighting):
    r"""The weights of the shortest mean of the gradients (MGDA, multiple gradient descent).

    They minimize :math:`\| \sum_t w_t g_t \|` with :math:`w_t \ge 0` and :math:`\sum_t w_t = 1`,
    equation 3 of [2]_ at the representation (its section 3.3), over the tasks of the batch. The
    common step lowers all their losses, or the weights are such that no step does.

    A task of the batch whose gradient is zero has the shortest mean to itself: the shared layers
    stand still, as the method says. An absent task has no gradient, and takes no part.

    An interior-point method solves the problem in at most 20 iterations in float64, with the
    squares of the norms enlarged by one part in a million. Where several weights give the shortest
    mean, those in their middle are taken. For more than 32 tasks, the primal-dual active-set method
    is tried first; its result is taken if it meets the conditions of the optimum.

    Parameters
    ----------
    normalization : {"none", "l2", "loss", "loss+"}, default="none"
        What the gradients are divided by before weights are chosen for them: nothing, their norms,
        the losses of the tasks, or both. The weights apply to the gradients as they are.

    every : int, default=1
        The weights are computed in every so many steps, and kept in between.

    References
    ----------
    .. [1] J.-A. Désidéri. "Multiple-Gradient Descent Algorithm (MGDA) for Multiobjective
       Optimization". Comptes Rendus Mathematique 350, 2012.
    .. [2] O. Sener, V. Koltun. "Multi-Task Learning as Multi-Objective Optimization". NeurIPS 2018,
       arXiv 1810.04650.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import MGDAWeighting
    >>> clf = MultiTaskClassifier(task_weighting=MGDAWeighting(normalization="l2"))
    """

    _name = "mgda"
    factorizes = False
    can_pack = False
    _is_mean = True

    def __init__(self, normalization: str = "none", every: int = 1):
        self.normalization = normalization
        self.every = every

    def check_settings(self) -> None:
        super().check_settings()
        check_choice(self, "normalization", ("none", "l2", "loss", "loss+"))

    def _solve(self, batch: TaskBatch) -> Any:
        import tensorflow as tf

        from sk_mtl.weighting._gram import count, cut_gram, raised
        from sk_mtl.weighting._simplex import minimize_norm

        cosines, norms, active, zero = cut_gram(batch.gram, batch.present)
        scale = norms if self.normalization in ("none", "loss") else tf.ones_like(norms)
        if self.normalization in ("loss", "loss+"):
            losses = tf.cast(tf.where(active, batch.losses, 1.0), scale.dtype)
            scale /= tf.where(losses > 0, losses, 1.0)
        scale /= tf.maximum(tf.reduce_max(tf.where(active, scale, 0.0)), 1e-300)
        scale = tf.where(active, scale, 1.0)
        weights = minimize_norm(raised(cosines) * scale[:, None] * scale[None, :], active)
        alone = tf.cast(zero, weights.dtype) / count(zero)
        return tf.where(tf.reduce_any(zero), alone, weights)
