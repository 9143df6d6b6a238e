r"""Unlabelled cells: a teacher's opinion of them, as something to learn.

The teacher is the network with a running average of its weights [1]_. By `task_disagreement`, the
network learns from it where a cell has no label: by pseudo-labels [2]_, or by consistency, where
the network sees rows of which features were replaced [3]_.

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
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._model.build import build_network, logits_of, network_variables
from sk_mtl._model.layers import draw_bits
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.state import TeacherState

__all__ = [
    "MissingBatch",
    "Teacher",
    "UnlabelledSpec",
    "ramp_up",
    "replace_features",
]

_RAMP_EPOCHS = 10


@dataclass(frozen=True)
class UnlabelledSpec:
    """How cells without a label are learned from: hashable, a part of a program's key.

    Attributes
    ----------
    momentum : float
        How much of the teacher's weights a step leaves.
    threshold : float or None
        How probable the teacher must find a class, which is the label then; None for its
        probabilities.
    input_noise : float
        Share of the features of a row that are replaced before the network sees it; 0 for none.
    """

    momentum: float
    threshold: float | None = None
    input_noise: float = 0.0


class MissingBatch(NamedTuple):
    """Rows with missing labels, of a step; or of several, with one axis more.

    Attributes
    ----------
    X : tensor of shape (n_rows, n_features)
        Features.
    weight : tensor of shape (n_rows, n_tasks)
        Cell weights; 0 where there is a label.
    noise : list of tensor of uint16 of shape (n_rows, width)
        What `Teacher.draw_noise` gives.
    factor : scalar tensor
        What these rows count beside the labelled ones.
    """

    X: Any
    weight: Any
    noise: list[Any]
    factor: Any

    def of_step(self, number: Any) -> MissingBatch:
        """Return the rows of one of several steps."""
        noise = [drawn[number] for drawn in self.noise]
        return MissingBatch(self.X[number], self.weight[number], noise, self.factor)


def ramp_up(epoch: int) -> float:
    r"""Return which part of their weight unlabelled cells have in an epoch.

    Parameters
    ----------
    epoch : int
        The epoch, counted from 1.

    Returns
    -------
    share : float
        :math:`e^{-5 (1 - t)^2}`, where :math:`t` grows to 1 over ten epochs (as in section
        2 of Laine & Aila 2017, over 80).

    Examples
    --------
    >>> from sk_mtl._train.teacher import ramp_up
    >>> [round(ramp_up(epoch), 2) for epoch in (1, 4, 7, 10, 13)]
    [0.02, 0.17, 0.64, 1.0, 1.0]
    """
    return math.exp(-5 * (1 - min(epoch / _RAMP_EPOCHS, 1)) ** 2)


class Teacher:
    """The network with a running average of its weights.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    how : UnlabelledSpec
        What it teaches.
    n_dropped : sequence of int
        The widths of the network's dropout layers.
    """

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
        """Assign values.

        Parameters
        ----------
        state : TeacherState
            As `read` returned it.
        """
        for variable, value in zip(network_variables(self.model), state.network, strict=True):
            variable.assign(value)
        self._n_steps.assign(state.n_steps)

    def read(self) -> TeacherState:
        """Return copies of the values.

        Returns
        -------
        state : TeacherState
            The variables as arrays.
        """
        values = [np.array(v.numpy()) for v in network_variables(self.model)]
        return TeacherState(values, int(self._n_steps.numpy()))

    def seed(self, seed: int) -> None:
        """Set the seeds of the noise.

        Parameters
        ----------
        seed : int
            The seed of the fit.
        """
        rng = np.random.default_rng([seed, 4])
        self._seeds.assign(rng.integers(2**31, size=len(self._widths)))

    def draw_noise(self, n_steps: int, n_rows: Any) -> list[tf.Tensor]:
        """Draw what is random about unlabelled rows, apart from what is random about others.

        Parameters
        ----------
        n_steps : int
            Steps from now on.
        n_rows : int or scalar tensor
            Rows of a step.

        Returns
        -------
        noise : list of tensor of uint16 of shape (n_steps, n_rows, width)
            For the features, where some are replaced, then for each dropout layer.
        """
        count = self._n_steps.value
        return [
            draw_bits(tf.stack([self._seeds.value[k], count]), (n_steps, n_rows, width))
            for k, width in enumerate(self._widths)
        ]

    def logits(self, X: Any) -> tf.Tensor:
        """Return the teacher's logits of rows as they are.

        Parameters
        ----------
        X : tensor of shape (n_rows, n_features)
            Features.

        Returns
        -------
        logits : tensor of shape (n_rows, sum(n_outputs))
            The tasks side by side; of an ensemble, those of the mean probabilities.
        """
        return tf.stop_gradient(logits_of(self.spec, self.model(X, training=False)))

    def follow(self, network: keras.Model) -> None:
        """Go a step towards the network's weights: as in [1]_, to their mean in the first steps.

        Parameters
        ----------
        network : keras.Model
            The network after its own step.
        """
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
    """Replace features of each row by those of the row after it.

    Each feature keeps its distribution, be it a number, a category or missing (as in [3]_).

    Parameters
    ----------
    X : tensor of shape (n_rows, n_features)
        Rows in random order.
    noise : tensor of uint16 of the same shape
        Random numbers.
    share : float
        The share of the features that is replaced, in [0, 1).

    Returns
    -------
    X : tensor of the same shape
        With replaced features.
    """
    is_replaced = tf.cast(noise, tf.int32) < round(share * 2**16)
    return tf.where(is_replaced, tf.roll(X, shift=-1, axis=0), X)
