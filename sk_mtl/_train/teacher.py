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
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._model.build import build_network, logits_of, network_variables
from sk_mtl._model.layers import draw_bits
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.config import UnlabelledSpec
from sk_mtl._train.state import TeacherState

__all__ = [
    "Teacher",
    "UnlabelledBatch",
    "ramp_up",
    "replace_features",
]

_RAMP_EPOCHS = 10


class UnlabelledBatch(NamedTuple):
    """Rows with unlabelled cells of a step; or of several steps, with one more axis in front."""

    X: Any  # float32 of shape (n_rows, n_features)
    weight: Any  # float32 of shape (n_rows, n_tasks); 0 for labelled cells
    noise: list[Any]  # uint16 of shape (n_rows, width), from `Teacher.draw_noise`
    factor: Any  # weight of these rows relative to the labelled ones

    def of_step(self, number: Any) -> UnlabelledBatch:
        """Return the rows of one of several steps."""
        noise = [drawn[number] for drawn in self.noise]
        return UnlabelledBatch(self.X[number], self.weight[number], noise, self.factor)


def ramp_up(epoch: int) -> float:
    """Return the share of their weight that unlabelled cells have in an epoch, counted from 1."""
    # As in section 2 of Laine & Aila (2017), there over 80 epochs.
    return math.exp(-5 * (1 - min(epoch / _RAMP_EPOCHS, 1)) ** 2)


class Teacher:
    """The network with a running average of its weights, its dropout layers `n_dropped` wide."""

    def __init__(self, spec: NetworkSpec, how: UnlabelledSpec, n_dropped: Sequence[int]):
        self.spec = spec
        self.how = how
        self.model = build_network(spec)
        self._n_steps = keras.Variable(0, trainable=False, dtype="int32", name="teacher_steps")
        self._widths = [*([spec.n_features] if how.input_noise else []), *n_dropped]
        self._seeds = keras.Variable(
            np.zeros(len(self._widths)), trainable=False, dtype="int32", name="teacher_seeds"
        )

    def load(self, state: TeacherState) -> None:
        """Assign values."""
        for variable, value in zip(network_variables(self.model), state.network, strict=True):
            variable.assign(value)
        self._n_steps.assign(state.n_steps)

    def read(self) -> TeacherState:
        """Return copies of the values."""
        values = [np.array(v.numpy()) for v in network_variables(self.model)]
        return TeacherState(values, int(self._n_steps.numpy()))

    def seed(self, seed: int) -> None:
        """Set the seeds of the noise from the seed of the fit."""
        rng = np.random.default_rng([seed, 4])
        self._seeds.assign(rng.integers(2**31, size=len(self._widths)))

    def draw_noise(self, n_steps: int, n_rows: Any) -> list[tf.Tensor]:
        """Return the noise of the next steps, as tensors of uint16 (n_steps, n_rows, width)."""
        # For the features, if some are replaced, then for each dropout layer.
        count = self._n_steps.value
        return [
            draw_bits(tf.stack([self._seeds.value[k], count]), (n_steps, n_rows, width))
            for k, width in enumerate(self._widths)
        ]

    def logits(self, X: Any) -> tf.Tensor:
        """Return the teacher's logits of rows, of shape (n_rows, sum(n_outputs))."""
        return tf.stop_gradient(logits_of(self.spec, self.model(X, training=False)))

    def follow(self, network: keras.Model) -> None:
        """Move a step towards the network's weights: in the first steps, to their mean."""
        n_steps = tf.cast(self._n_steps.value, tf.float32)
        share = 1 - tf.minimum(self.how.momentum, n_steps / (n_steps + 1))
        pairs = zip(network_variables(self.model), network_variables(network), strict=True)
        for own, other in pairs:
            if own.trainable:
                own.assign_add((other.value - own.value) * share)
            elif own.dtype.startswith("float"):  # moments of batches, which are averages already
                own.assign(other.value)
        self._n_steps.assign_add(1)


def replace_features(X: Any, noise: Any, share: float) -> tf.Tensor:
    """Replace a share of each row's features by those of the next row, of rows in random order."""
    # As in [3]: each feature keeps its distribution, numeric, categorical or missing.
    is_replaced = tf.cast(noise, tf.int32) < round(share * 2**16)
    return tf.where(is_replaced, tf.roll(X, shift=-1, axis=0), X)
