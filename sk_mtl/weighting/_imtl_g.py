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

    The pseudo-inverse is taken from eigenvalues in float64; those below the largest one times the
    number of tasks times 1.2e-7, the precision of float32, count as zero.

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
    _is_mean = True

    def __init__(self, every: int = 1):
        self.every = every

    def _solve(self, batch: TaskBatch) -> Any:
        import tensorflow as tf

        from sk_mtl.weighting._gram import count, cut_gram, eigen_of_active

        cosines, norms, active, _ = cut_gram(batch.gram, batch.present)
        values, vectors, is_kept = eigen_of_active(cosines, active)
        mask = tf.cast(active, values.dtype)
        along = tf.linalg.matvec(vectors, mask, transpose_a=True)
        along = tf.where(is_kept, along, 0.0) / tf.where(is_kept, values, 1.0)
        # In units of the smallest norm, as its inverse is the largest number.
        smallest = tf.reduce_min(tf.where(active, norms, tf.reduce_max(norms)))
        numbers = tf.where(active, tf.linalg.matvec(vectors, along) * (smallest / norms), 0.0)
        total = tf.reduce_sum(numbers)
        cancels = tf.abs(total) <= 1e-6 * tf.reduce_sum(tf.abs(numbers))
        weights = numbers / tf.where(cancels, tf.ones_like(total), total)
        return tf.where(cancels, 1 / count(batch.present), weights)
