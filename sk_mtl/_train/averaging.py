r"""Averaged weights: the running average of a network's weights, with which it predicts.

Owns the average and how it follows the weights. An average over the last steps lies nearer to the
middle of the valley that steps wander in than any one of them [1]_, and changes less from one epoch
to the next. Does not know what the network computes.

References
----------
.. [1] B. T. Polyak, A. B. Juditsky. "Acceleration of Stochastic Approximation by Averaging". SIAM
   Journal on Control and Optimization 30(4), 1992.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

__all__ = ["is_moment", "update_averages"]


def is_moment(variable: Any) -> bool:
    """Return whether a variable that is not trained is averaged: the moments of batches."""
    return variable.name.startswith("moving_")


def update_averages(
    averages: Sequence[Any], values: Sequence[Any], n_averaged: Any, momentum: Any
) -> list[Any]:
    """Return the averages after a step, of which it keeps at most the share `momentum`."""
    # After step n the average is a_n = m_n a_(n-1) + (1 - m_n) w_n with m_n = min(m, n / (9 + n)),
    # as in TensorFlow's ExponentialMovingAverage with num_updates: at first it consists mostly of
    # the last steps, so that the start of a short training does not hold it back.
    n = tf.cast(n_averaged + 1, tf.float32)
    share = 1 - tf.minimum(momentum, n / (9 + n))
    return [a + (v - a) * share for a, v in zip(averages, values, strict=True)]
