"""Prediction: from X and a network's values to logits and probabilities, by batches.

Owns the compiled forward pass, one per network specification, into which a network's values are
fed: predicting with many networks of one shape traces once, and from many threads at once is safe,
since the program holds no state.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from scipy.special import expit, softmax

from sk_mtl._network import NetworkSpec, build_network, logits_of

__all__ = ["clear_forward_programs", "compute_logits", "task_probabilities"]

_BATCH_ROWS = 8192
_MAX_PROGRAMS = 32
_programs: OrderedDict[NetworkSpec, tuple[Any, int]] = OrderedDict()
_lock = threading.Lock()


def compute_logits(spec: NetworkSpec, values: Sequence[tf.Tensor], X: Any) -> np.ndarray:
    """Return the logits of rows.

    Parameters
    ----------
    spec : NetworkSpec
        The network's specification.
    values : sequence of tensor
        The network's variables, in the order of `network_variables`.
    X : ndarray of float32 or CSR matrix of shape (n_samples, n_features)
        Features.

    Returns
    -------
    logits : ndarray of float32 of shape (n_samples, sum(n_outputs))
        The tasks side by side.
    """
    forward, n_trainable = _forward_program(spec)
    trainable, others = list(values[:n_trainable]), list(values[n_trainable:])
    logits = np.empty((X.shape[0], sum(spec.n_outputs)), dtype=np.float32)
    for start in range(0, X.shape[0], _BATCH_ROWS):
        some = X[start : start + _BATCH_ROWS]
        dense = some.toarray() if sp.issparse(some) else some
        logits[start : start + _BATCH_ROWS] = forward(trainable, others, tf.constant(dense))
    return logits


def task_probabilities(logits: np.ndarray, n_outputs: Sequence[int]) -> list[np.ndarray]:
    """Turn logits into class probabilities, task by task.

    Parameters
    ----------
    logits : ndarray of float32 of shape (n_samples, sum(n_outputs))
        The tasks side by side: one column of log-odds for a binary task, else one per class.
    n_outputs : sequence of int
        The width of each task.

    Returns
    -------
    probabilities : list of ndarray of float32 of shape (n_samples, n_classes_t)
        One array per task; two columns for a binary one.
    """
    parts = np.split(logits, np.cumsum(n_outputs)[:-1], axis=1)
    return [
        np.hstack([expit(-part), expit(part)]) if width == 1 else softmax(part, axis=1)
        for part, width in zip(parts, n_outputs, strict=True)
    ]


def _forward_program(spec: NetworkSpec) -> tuple[Any, int]:
    """Return the compiled forward pass of a specification, and its count of trainable values."""
    with _lock:
        if spec in _programs:
            _programs.move_to_end(spec)
            return _programs[spec]
    model = build_network(spec)

    def forward(trainable: list[Any], others: list[Any], X: Any) -> Any:
        outputs, _ = model.stateless_call(trainable, others, X, training=False)
        return logits_of(spec, outputs)

    signature = [
        [tf.TensorSpec(v.shape, v.dtype) for v in model.trainable_variables],
        [tf.TensorSpec(v.shape, v.dtype) for v in model.non_trainable_variables],
        tf.TensorSpec((None, spec.n_features), tf.float32),
    ]
    compiled = tf.function(forward, input_signature=signature, autograph=False)
    # The concrete function: TensorFlow takes a new tf.function per network for a mistake.
    program = (compiled.get_concrete_function(), len(model.trainable_variables))
    with _lock:
        _programs[spec] = program
        while len(_programs) > _MAX_PROGRAMS:
            _programs.popitem(last=False)
    return program


def clear_forward_programs() -> None:
    """Forget all compiled forward passes."""
    with _lock:
        _programs.clear()
