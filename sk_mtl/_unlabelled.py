r"""Unlabelled cells: a teacher's opinion of them, as something that the network learns from.

Owns the teacher, which is the network with a running average of its weights [1]_, and what the
network is told to do about its opinions: to predict them (pseudo-labels, [2]_), or not to change
its mind when features are replaced (consistency, [3]_). Does not know labels, nor how training
goes.

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
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._network import NetworkSpec, build_network, logits_of, network_variables

__all__ = [
    "MissingBatch",
    "Teacher",
    "TeacherState",
    "UnlabelledSpec",
    "ramp_up",
    "replace_features",
    "task_disagreement",
]

RATIO = int(os.environ.get("U_RATIO", 1))
RAMP_EPOCHS = int(os.environ.get("U_RAMP", 10))
PREDICT_TEACHER = bool(int(os.environ.get("U_TEACHER", 0)))
LOSS = os.environ.get("U_LOSS", "mse")


@dataclass(frozen=True)
class UnlabelledSpec:
    """How cells without a label are learned from: hashable, a part of a program's key.

    Attributes
    ----------
    method : {"pseudo_labels", "consistency"}
        What the network is to do about the teacher's opinion.
    threshold : float or None
        How sure the teacher must be of a class, which is the label then; None for its
        probabilities.
    momentum : float
        How much of the teacher's weights a step leaves.
    input_noise : float
        Share of the features of a row that are replaced before the network sees it.
    """

    method: str
    threshold: float | None
    momentum: float
    input_noise: float


@dataclass(frozen=True)
class TeacherState:
    """A teacher as plain arrays.

    Attributes
    ----------
    network : list of ndarray
        The values of its variables, in the order of `network_variables`.
    n_steps : int
        Steps of training that it has seen.
    """

    network: list[np.ndarray]
    n_steps: int


class MissingBatch(NamedTuple):
    """Rows with missing labels, for a step.

    Attributes
    ----------
    X : tensor of shape (n_rows, n_features)
        Features.
    weight : tensor of shape (n_rows, n_tasks)
        Cell weights; 0 where there is a label.
    noise : list of tensor of uint16
        Random numbers: for the features, where they are replaced, then for each dropout layer.
    factor : scalar tensor
        What these rows count beside the labelled ones.
    """

    X: Any
    weight: Any
    noise: list[Any]
    factor: Any


def ramp_up(epoch: int, n_epochs: int = RAMP_EPOCHS) -> float:
    r"""Return which part of their weight unlabelled cells have in an epoch.

    Parameters
    ----------
    epoch : int
        The epoch, counted from 1.
    n_epochs : int
        From which epoch on it is 1.

    Returns
    -------
    share : float
        :math:`e^{-5 (1 - t)^2}` with :math:`t` growing from 0 to 1 (Laine & Aila 2017, section 2).

    Examples
    --------
    >>> from sk_mtl._unlabelled import ramp_up
    >>> [round(ramp_up(epoch, 4), 2) for epoch in (1, 2, 3, 4, 5)]
    [0.06, 0.29, 0.73, 1.0, 1.0]
    """
    return math.exp(-5 * (1 - min(epoch / max(n_epochs,1), 1)) ** 2)


class Teacher:
    """The network with a running average of its weights.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    momentum : float
        How much of the teacher's weights a step leaves, once it has seen many.
    """

    def __init__(self, spec: NetworkSpec, momentum: float):
        self.spec = spec
        self.momentum = momentum
        self.model = build_network(spec)
        self.n_steps = keras.Variable(0, trainable=False, dtype="int32", name="teacher_steps")

    def load(self, state: TeacherState) -> None:
        """Assign values."""
        for variable, value in zip(network_variables(self.model), state.network, strict=True):
            variable.assign(value)
        self.n_steps.assign(state.n_steps)

    def read(self) -> TeacherState:
        """Return copies of the values."""
        values = [np.array(v.numpy()) for v in network_variables(self.model)]
        return TeacherState(values, int(self.n_steps.numpy()))

    def logits(self, X: Any) -> Any:
        """Return the teacher's logits of a batch, by which nothing is learned."""
        return tf.stop_gradient(logits_of(self.spec, self.model(X, training=False)))

    def follow(self, student: keras.Model) -> None:
        """Take a step towards the network's weights.

        As in [1]_, it is their mean in the first steps, so that the start is soon forgotten.
        """
        n_steps = tf.cast(self.n_steps.value, tf.float32)
        share = 1 - tf.minimum(self.momentum, n_steps / (n_steps + 1))
        pairs = zip(network_variables(self.model), network_variables(student), strict=True)
        for own, other in pairs:
            if not own.dtype.startswith("float"):
                continue  # seeds of dropout
            step = share if own.trainable else 1.0  # else moments of batches: averages already
            own.assign_add((other.value - own.value) * step)
        self.n_steps.assign_add(1)


def replace_features(X: Any, noise: Any, share: float) -> Any:
    """Replace features of each row by those of the row after it, as in [3]_.

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
        What has the distribution of each feature, be it a number, a category or missing.
    """
    is_replaced = tf.cast(noise, tf.int32) < round(share * 2**16)
    return tf.where(is_replaced, tf.roll(X, shift=-1, axis=0), X)


def task_disagreement(
    logits: Any, targets: Any, weight: Any, n_outputs: Sequence[int], how: UnlabelledSpec
) -> tuple[Any, Any]:
    """Sum how far the network is from the teacher, over the unlabelled cells, task by task."""
    n_members = 1
    if len(logits.shape) == 3:
        n_members = logits.shape[1]
        logits = tf.reshape(logits, (-1, logits.shape[2]))
        targets, weight_of_row = (tf.repeat(a, n_members, axis=0) for a in (targets, weight))
    else:
        weight_of_row = weight
    starts, sums, order = np.cumsum([0, *n_outputs]), [], []
    for width in sorted(set(n_outputs)):
        tasks = np.flatnonzero(np.asarray(n_outputs) == width)
        columns = np.concatenate([np.arange(starts[t], starts[t + 1]) for t in tasks])
        shape = (-1, len(tasks), width)
        own, other = (tf.reshape(tf.gather(a, columns, axis=1), shape) for a in (logits, targets))
        of_group = tf.gather(weight_of_row, tasks, axis=1)
        counts = of_group > 0
        own = tf.where(counts[:, :, None], own, tf.zeros_like(own))
        cells = _cell_disagreement(own, other, width, how)
        sums.append(tf.reduce_sum(tf.where(counts, of_group * cells, 0.0), axis=0))
        order.extend(tasks.tolist())
    loss_sum = tf.gather(tf.concat(sums, axis=0), np.argsort(order))
    return loss_sum / n_members, tf.reduce_sum(weight, axis=0)


def _cell_disagreement(own: Any, other: Any, width: int, how: UnlabelledSpec) -> Any:
    """Return the disagreement per cell from logits of shape (n_rows, n_tasks, width)."""
    if width == 1:
        own, other = (tf.concat([tf.zeros_like(z), z], axis=2) for z in (own, other))
    q = tf.nn.softmax(other)
    if how.method == "consistency" and LOSS == "mse":
        return tf.reduce_sum(tf.square(tf.nn.softmax(own) - q), axis=2)
    if how.threshold is None:
        return -tf.reduce_sum(q * tf.nn.log_softmax(own), axis=2)
    best = tf.argmax(q, axis=2)
    sure = tf.reduce_max(q, axis=2) >= how.threshold
    hard = tf.one_hot(best, q.shape[2], dtype=q.dtype)
    return tf.where(sure, -tf.reduce_sum(hard * tf.nn.log_softmax(own), axis=2), 0.0)
