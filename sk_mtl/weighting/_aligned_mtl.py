"""Gradients made orthogonal and equally long."""

from __future__ import annotations

from typing import Any

from sk_mtl.weighting._base import TaskBatch
from sk_mtl.weighting._gram_weighting import GramWeighting

__all__ = ["AlignedMTLWeighting"]


class AlignedMTLWeighting(GramWeighting):
    r"""Weights that make the system of the gradients well conditioned (Aligned-MTL).

    With eigenvalues and vectors of the Gram matrix, :math:`G = V \Sigma V^T`, the weights are

    .. math:: w = \sqrt{\sigma_{\min}} \, V \Sigma^{-1/2} V^T \mathbf{1},

    over the tasks of the batch: algorithm 1 of [1]_ with equal preferences of 1. The gradients are
    replaced by the nearest orthogonal ones, whose common length is the smallest singular value.

    Eigenvalues in float64; those below the largest one times the number of tasks times 1.2e-7, the
    precision of float32, count as zero and are left out, as in the paper.

    Parameters
    ----------
    every : int, default=1
        The weights are computed in every so many steps, and kept in between. A pack of networks
        computes them in each step all the same.

    References
    ----------
    .. [1] D. Senushkin, N. Patakin, A. Kuznetsov, A. Konushin. "Independent Component Alignment for
       Multi-Task Learning". CVPR 2023, arXiv 2305.19000.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="aligned_mtl")
    """

    _name = "aligned_mtl"

    def __init__(self, every: int = 1):
        self.every = every

    def _solve(self, batch: TaskBatch) -> Any:
        import tensorflow as tf

        from sk_mtl.weighting._gram import cut_gram, eigen_of_active

        cosines, norms, active, _ = cut_gram(batch.gram, batch.present)
        norms /= tf.maximum(tf.reduce_max(tf.where(active, norms, 0.0)), 1e-300)
        gram = cosines * norms[:, None] * norms[None, :]
        values, vectors, is_kept = eigen_of_active(gram, active)
        smallest = tf.reduce_min(tf.where(is_kept, values, tf.reduce_max(values)))
        factors = tf.sqrt(smallest / tf.where(is_kept, values, 1.0))
        along = tf.linalg.matvec(vectors, tf.cast(active, values.dtype), transpose_a=True)
        weights = tf.linalg.matvec(vectors, tf.where(is_kept, factors * along, 0.0))
        return tf.where(active, weights, 1.0)
