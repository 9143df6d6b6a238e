"""The mean of the gradients, each without its conflicts."""

from __future__ import annotations

from typing import Any

from sk_mtl.weighting._base import TaskBatch
from sk_mtl.weighting._gram_weighting import GramWeighting
from sk_mtl.weighting._settings import check_integer, check_number

__all__ = ["UPGradWeighting"]


class UPGradWeighting(GramWeighting):
    r"""The mean of the gradients, each projected to where it conflicts with none (UPGrad).

    Each gradient is replaced by the nearest vector that has no negative inner product with a
    gradient of the tasks of the batch; the step is the mean of these projections, equation 4 and
    proposition 1 of [1]_. The weights of a projection are the v that minimize :math:`v^T G v` with
    :math:`v_t \ge u_t`, where u has 1 at the gradient and 0 elsewhere.

    The Gram matrix is divided by its trace, and `ridge` is added to its diagonal, as in the
    authors' library. Up to 7 tasks, the projections are found among those for all sets of bounds
    that may be met; up to 32, by an interior-point method of at most 20 iterations; in float64. For
    more tasks the accelerated projected gradient method makes at most `n_iterations` steps for all
    of them together, in float32, of one product of two matrices of n_tasks x n_tasks each. For
    hundreds of tasks that takes much longer than the rest of a step; then set `every`.

    Parameters
    ----------
    ridge : float, default=1e-4
        What is added to the diagonal.

    n_iterations : int, default=100
        Largest number of iterations for more than 32 tasks.

    every : int, default=1
        The weights are computed in every so many steps, and kept in between.

    References
    ----------
    .. [1] P. Quinton, V. Rey. "Jacobian Descent for Multi-Objective Optimization". 2024,
       arXiv 2406.16232.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="upgrad")
    """

    _name = "upgrad"
    factorizes = False
    can_pack = False
    _is_mean = True

    def __init__(self, ridge: float = 1e-4, n_iterations: int = 100, every: int = 1):
        self.ridge = ridge
        self.n_iterations = n_iterations
        self.every = every

    def check_settings(self) -> None:
        super().check_settings()
        check_number(self, "ridge", 1e-6)
        check_integer(self, "n_iterations", 1)

    def _solve(self, batch: TaskBatch) -> Any:
        import tensorflow as tf

        from sk_mtl.weighting._gram import count, cut_gram
        from sk_mtl.weighting._simplex import descend_above, minimize_above

        cosines, norms, active, _ = cut_gram(batch.gram, batch.present)
        norms /= tf.maximum(tf.reduce_max(tf.where(active, norms, 0.0)), 1e-300)
        trace = tf.reduce_sum(tf.where(active, norms**2, 0.0))
        scale = tf.where(active, norms / tf.sqrt(tf.where(trace > 0, trace, 1.0)), 0.0)
        pairs = scale[:, None] * scale[None, :]
        gram = cosines * pairs + float(self.ridge) * tf.eye(scale.shape[-1], dtype=scale.dtype)
        # Each bound is 1 until the end, in which the mean is taken.
        bounds = tf.linalg.diag(tf.cast(active, gram.dtype))
        if scale.shape[-1] <= 32:
            weights = minimize_above(gram, bounds, active)
        else:
            gram, bounds = tf.cast(gram, tf.float32), tf.cast(bounds, tf.float32)
            weights = descend_above(gram, bounds, active, int(self.n_iterations))
        weights = tf.where(active[:, None], weights, tf.zeros_like(weights))
        return tf.cast(tf.reduce_sum(weights, axis=0), tf.float64) / count(batch.present)
