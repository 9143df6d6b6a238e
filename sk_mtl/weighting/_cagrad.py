"""The step near the mean that is best for the worst task."""

from __future__ import annotations

from typing import Any

from sk_mtl.weighting._base import TaskBatch
from sk_mtl.weighting._gram_weighting import GramWeighting
from sk_mtl.weighting._settings import check_choice, check_number

__all__ = ["CAGradWeighting"]


class CAGradWeighting(GramWeighting):
    r"""The step near the mean of the gradients that is best for the worst task (CAGrad).

    With the mean :math:`g_0` of the gradients of the tasks of the batch, the step maximizes
    :math:`\min_t \langle g_t, d \rangle` with :math:`\|d - g_0\| \le c \|g_0\|`, equation 3 of
    [1]_. By its algorithm 1,

    .. math:: d = g_0 + \frac{c \|g_0\|}{\|g_w\|} g_w, \qquad
        w = \arg\min_w \langle g_w, g_0 \rangle + c \|g_0\| \|g_w\|,

    where :math:`g_w = \sum_t w_t g_t` is a mean of the gradients.

    The primal-dual active-set method finds w in float64, with the squares of the norms enlarged by
    one part in a million. If it does not end, or its result does not meet the conditions of the
    optimum, 35 iterations of an interior-point method are made instead. Where the gradients nearly
    cancel each other, the weights of these may be less accurate. The norm of :math:`g_w` counts as
    at least 1e-4 times the largest norm of a gradient.

    Parameters
    ----------
    c : float, default=0.5
        Radius of the ball around the mean. With 0 the step is the mean.

    rescale : {0, 1, 2}, default=1
        What the step is divided by: 1, :math:`1 + c^2` or :math:`1 + c`.

    every : int, default=1
        The weights are computed in every so many steps, and kept in between.

    References
    ----------
    .. [1] B. Liu, X. Liu, X. Jin, P. Stone, Q. Liu. "Conflict-Averse Gradient Descent for
       Multi-task Learning". NeurIPS 2021, arXiv 2110.14048.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import CAGradWeighting
    >>> clf = MultiTaskClassifier(task_weighting=CAGradWeighting(c=0.4))
    """

    _name = "cagrad"
    factorizes = False
    can_pack = False
    _is_mean = True

    def __init__(self, c: float = 0.5, rescale: int = 1, every: int = 1):
        self.c = c
        self.rescale = rescale
        self.every = every

    def check_settings(self) -> None:
        super().check_settings()
        check_number(self, "c", 0)
        check_choice(self, "rescale", (0, 1, 2))

    def _solve(self, batch: TaskBatch) -> Any:
        import tensorflow as tf

        from sk_mtl.weighting._gram import count, cut_gram, raised
        from sk_mtl.weighting._simplex import minimize_with_norm

        cosines, norms, active, _ = cut_gram(batch.gram, batch.present)
        norms /= tf.maximum(tf.reduce_max(tf.where(active, norms, 0.0)), 1e-300)
        norms = tf.where(active, norms, 1.0)
        gram = raised(cosines) * norms[:, None] * norms[None, :]
        # A present task without a gradient counts in the mean.
        even = tf.cast(active, gram.dtype) / count(batch.present)
        linear = tf.linalg.matvec(gram, even)
        length = tf.sqrt(tf.maximum(tf.reduce_sum(even * linear), 1e-18))
        if self.c > 0:
            w = minimize_with_norm(gram, linear, self.c * length, active)
            w_length = tf.sqrt(tf.maximum(tf.reduce_sum(w * tf.linalg.matvec(gram, w)), 1e-8))
            even += self.c * length / w_length * w
        divisor = (1.0, 1 + self.c**2, 1 + self.c)[self.rescale]
        return even / divisor
