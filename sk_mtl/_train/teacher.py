r"""Unlabelled cells: a teacher's predictions of them, as a target.

Owns the teacher, which is the network with a running average of its weights [1]_, and what the
network learns from: the teacher's predictions as pseudo-labels [2]_, or for consistency, where the
network sees rows with replaced features [3]_. Does not know labels, nor the training loop.

References
----------
.. [1] A. Tarvainen, H. Valpola (2017). Mean Teachers Are Better Role Models. NeurIPS 2017, arXiv
   1703.01780.
.. [2] D.-H. Lee (2013). Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for
   Deep Neural Networks. ICML 2013 Workshop on Challenges in Representation Learning.
.. [3] J. Yoon, Y. Zhang, J. Jordon, M. van der Schaar (2020). VIME: Extending the Success of Self-
   and Semi-supervised Learning to Tabular Domain. NeurIPS 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

__all__ = ["ramp_up", "replace_features", "update_teacher"]

_RAMP_EPOCHS = 10


def ramp_up(epoch: int) -> float:
    """Return the share of their weight that unlabelled cells have in an epoch, counted from 1."""
    # As in section 2 of Laine & Aila (2017), there over 80 epochs.
    return math.exp(-5 * (1 - min(epoch / _RAMP_EPOCHS, 1)) ** 2)


def update_teacher(
    teacher: Sequence[Any],
    weights: Sequence[Any],
    fixed: Sequence[Any],
    n_taught: Any,
    momentum: float,
) -> list[Any]:
    """Return the teacher's weights and other values a step later; at first, weights are means."""
    n_steps = tf.cast(n_taught, tf.float32)
    share = 1 - tf.minimum(momentum, n_steps / (n_steps + 1))
    own = teacher[: len(weights)]
    moved = [old + (new - old) * share for old, new in zip(own, weights, strict=True)]
    # Moments of batches are averages already.
    others = zip(teacher[len(weights) :], fixed, strict=True)
    return [*moved, *(new if new.dtype.is_floating else old for old, new in others)]


def replace_features(X: Any, numbers: Any, share: float) -> tf.Tensor:
    """Replace a share of each row's features by those of the next row, of rows in random order."""
    # As in [3]: each feature keeps its distribution, numeric, categorical or missing. The numbers
    # are uniform in [0, 1), of the shape of X.
    return tf.where(numbers < share, tf.roll(X, shift=-1, axis=0), X)
