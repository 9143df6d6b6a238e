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

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._train.state import AveragingState

__all__ = ["WeightAverage", "averaged_variables"]


class WeightAverage:
    """The running average of variables, of which a step keeps the share `momentum`."""

    # After step n the average is a_n = m_n a_(n-1) + (1 - m_n) w_n with m_n = min(m, n / (9 + n)),
    # as in TensorFlow's ExponentialMovingAverage with num_updates: at first it consists mostly of
    # the last steps, so that the start of a short training does not hold it back.

    def __init__(self, variables: Sequence[keras.Variable], momentum: float):
        self._variables = list(variables)
        self._momentum = momentum
        self._averages = [
            keras.Variable(v.numpy(), trainable=False, dtype=v.dtype, name=f"average_{number}")
            for number, v in enumerate(self._variables)
        ]
        self._n_steps = keras.Variable(0, trainable=False, dtype="int32", name="averaged_steps")
        # Whether variables and averages have changed places.
        self._is_exchanged = False
        self._exchange = tf.function(self._change_places, autograph=False)

    def follow(self) -> None:
        """Update the averages after a step."""
        n = tf.cast(self._n_steps.value + 1, tf.float32)
        share = 1 - tf.minimum(self._momentum, n / (9 + n))
        for average, variable in zip(self._averages, self._variables, strict=True):
            average.assign_add((variable.value - average.value) * share)
        self._n_steps.assign_add(1)

    def load(self, state: AveragingState | None) -> None:
        """Take what the variables hold as the averages, and assign the weights of a state."""
        self._n_steps.assign(0 if state is None else state.n_steps)
        for average, variable in zip(self._averages, self._variables, strict=True):
            average.assign(variable.value)
        if state is not None:
            for variable, value in zip(self._variables, state.weights, strict=True):
                variable.assign(value)

    def read(self) -> AveragingState:
        """Return copies of the weights, and the number of steps."""
        weights = self._averages if self._is_exchanged else self._variables
        values = [np.array(w.value.numpy()) for w in weights]
        return AveragingState(values, int(self._n_steps.numpy()))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the variables hold the averages within a `with` block."""
        self._exchange()
        self._is_exchanged = True
        try:
            yield
        finally:
            self._exchange()
            self._is_exchanged = False

    def by_variable(self) -> dict[int, Any]:
        """Return the variables that hold the averages, by the identity of the averaged ones."""
        if self._is_exchanged:
            return {}
        return {id(v): a for v, a in zip(self._variables, self._averages, strict=True)}

    def _change_places(self) -> None:
        for variable, average in zip(self._variables, self._averages, strict=True):
            weight = tf.identity(variable.value)
            variable.assign(average.value)
            average.assign(weight)


def averaged_variables(model: keras.Model) -> list[Any]:
    """Return the variables of a network that are averaged: weights, and the moments of batches."""
    moments = [v for v in model.non_trainable_variables if v.name.startswith("moving_")]
    return [*model.trainable_variables, *moments]
