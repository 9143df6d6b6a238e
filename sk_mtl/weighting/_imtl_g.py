"""Equal projections onto all gradients."""

from __future__ import annotations

from typing import Any

from sk_mtl.weighting._base import TaskBatch
from sk_mtl.weighting._gram_weighting import GramWeighting

__all__ = ["IMTLGWeighting"]


class IMTLGWeighting(GramWeighting):
    r"""Weights such that the common step has equal projections onto all gradients (IMTL-G).

    The weights sum to 1 over the tasks of the batch and may be negative: equations 1 and 2 of [1]_.
    With the cosines C between the gradients and their norms, they are
    :math:`w_t \propto (C^{+} \mathbf{1})_t / \|g_t\|`, with the pseudo-inverse, as in [2]_, if
    gradients depend on each other. If these numbers cancel in their sum, so that no step is equally
    good for all, the weights are equal.

    Up to 32 tasks, the pseudo-inverse is taken from eigenvalues in float64; those below the largest
    one times the number of tasks times 1.2e-7, the precision of float32, count as zero. For more
    tasks, :math:`C x = \mathbf{1}` is solved by at most 100 iterations of conjugate gradients, and
    :math:`C^2 x = C \mathbf{1}` where that has no solution.

    Parameters
    ----------
    every : int, default=1
        The weights are computed in every so many steps, and kept in between. A pack of networks
        computes them in each step all the same.

    References
    ----------
    .. [1] L. Liu, Y. Li, Z. Kuang, J.-H. Xue, Y. Chen, W. Yang, Q. Liao, W. Zhang. "Towards
       Impartial Multi-task Learning". ICLR 2021.
    .. [2] P. Quinton, V. Rey. "Jacobian Descent for Multi-Objective Optimization". 2024,
       arXiv 2406.16232.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="imtl_g")
    """

    _name = "imtl_g"
    factorizes = False
    _is_mean = True

    def __init__(self, every: int = 1):
        self.every = every

    def _solve(self, batch: TaskBatch) -> Any:
        import tensorflow as tf

        from sk_mtl.weighting._gram import count, cut_gram
        from sk_mtl.weighting._many import FEW, solve_least

        cosines, norms, active, _ = cut_gram(batch.gram, batch.present)
        solve = _solve_by_eigenvalues if norms.shape[-1] <= FEW else solve_least
        solution = solve(cosines, active)
        # In units of the smallest norm, as its inverse is the largest number.
        smallest = tf.reduce_min(tf.where(active, norms, tf.reduce_max(norms)))
        numbers = tf.where(active, solution * (smallest / norms), 0.0)
        total = tf.reduce_sum(numbers)
        cancels = tf.abs(total) <= 1e-6 * tf.reduce_sum(tf.abs(numbers))
        weights = numbers / tf.where(cancels, tf.ones_like(total), total)
        return tf.where(cancels, 1 / count(batch.present), weights)


def _solve_by_eigenvalues(cosines: Any, active: Any) -> Any:
    """Return the product of the pseudo-inverse and ones, over the tasks that take part."""
    import tensorflow as tf

    from sk_mtl.weighting._gram import eigen_of_active

    values, vectors, is_kept = eigen_of_active(cosines, active)
    along = tf.linalg.matvec(vectors, tf.cast(active, values.dtype), transpose_a=True)
    along = tf.where(is_kept, along, 0.0) / tf.where(is_kept, values, 1.0)
    return tf.linalg.matvec(vectors, along)
