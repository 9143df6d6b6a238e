"""Prediction by Keras, for networks with layers of the user: a custom model, or an activation.

Owns the compiled forward pass, one per network specification, into which a network's values are
fed: predicting with many networks of one shape traces once, and from many threads at once is safe,
since the program holds no state. Owns how much memory a prediction takes beside X and its result.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from sklearn import get_config

from sk_mtl._compat.processes import refuse_fork
from sk_mtl._data.features import describe_too_large
from sk_mtl._model.build import build_network, logits_of
from sk_mtl._model.ensemble import member_model
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict.probabilities import task_probabilities

__all__ = [
    "KerasForward",
    "clear_forward_programs",
    "compute_logits",
    "compute_probabilities",
    "compute_spread",
]

# A batch has as many rows as give the widest layer this many numbers, 16 MiB: fewer cost time,
# and more only memory.
_BATCH_CELLS = 2**22
_MAX_PROGRAMS = 32


@dataclass(frozen=True)
class _ForwardProgram:
    """A compiled forward pass.

    Attributes
    ----------
    run : callable
        From lists of trainable and of other values, and a batch, to logits.
    n_trainable : int
        Number of trainable values.
    widest : int
        Numbers per row in the widest layer, the input among them.
    """

    run: Any
    n_trainable: int
    widest: int


_programs: OrderedDict[tuple[NetworkSpec, bool], _ForwardProgram] = OrderedDict()
_lock = threading.Lock()


class KerasForward:
    """The forward pass of a network with its values, placed on the device once."""

    def __init__(self, spec: NetworkSpec, values: Sequence[np.ndarray]):
        refuse_fork()
        self._spec = spec
        self._values = [tf.constant(value) for value in values]

    def logits(self, X: Any) -> np.ndarray:
        """Return the logits of rows, of shape (n_rows, n_columns)."""
        refuse_fork()
        return compute_logits(self._spec, self._values, X)

    def probabilities(self, X: Any, temperatures: np.ndarray | None = None) -> list[np.ndarray]:
        """Return the class probabilities of rows, (n_rows, n_classes_t) by task."""
        refuse_fork()
        return compute_probabilities(self._spec, self._values, X, temperatures)

    def spread(self, X: Any) -> list[np.ndarray]:
        """Return the deviation of probabilities over members, (n_rows, n_classes_t) by task."""
        refuse_fork()
        return compute_spread(self._spec, self._values, X)


# ------------------------------------------------------------------------------------------------
# From X to logits and probabilities
# ------------------------------------------------------------------------------------------------


def compute_probabilities(
    spec: NetworkSpec,
    values: Sequence[tf.Tensor],
    X: Any,
    temperatures: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Return the class probabilities of rows, task by task.

    Parameters
    ----------
    spec : NetworkSpec
        The network's specification.
    values : sequence of tensor
        The network's variables, in the order of `network_variables`.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Features, of float32 or what can be cast to it.
    temperatures : ndarray of float32 of shape (n_tasks,), default=None
        What the logits of each task are divided by.

    Returns
    -------
    probabilities : list of ndarray of float32 of shape (n_samples, n_classes_t)
        One array per task; two columns for a binary one.

    Raises
    ------
    ValueError
        If a number of X is too large for float32.
    """
    widths = (max(width, 2) for width in spec.n_outputs)
    probabilities = [np.empty((X.shape[0], width), dtype=np.float32) for width in widths]
    divisors = None if temperatures is None else np.repeat(temperatures, spec.n_outputs)

    def keep(rows: slice, logits: np.ndarray) -> None:
        if divisors is not None:
            with np.errstate(over="ignore"):
                logits = logits / divisors
        parts = task_probabilities(logits, spec.n_outputs)
        for whole, part in zip(probabilities, parts, strict=True):
            whole[rows] = part

    _run_by_batch(_forward_program(spec), values, X, keep)
    return probabilities


def compute_spread(spec: NetworkSpec, values: Sequence[tf.Tensor], X: Any) -> list[np.ndarray]:
    """Return the standard deviation over members of class probabilities, task by task.

    Parameters
    ----------
    spec : NetworkSpec
        The specification of a network of several members.
    values : sequence of tensor
        The network's variables, in the order of `network_variables`.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Features, of float32 or what can be cast to it.

    Returns
    -------
    spread : list of ndarray of float32 of shape (n_samples, n_classes_t)
        One array per task; two equal columns for a binary one.

    Raises
    ------
    ValueError
        If a number of X is too large for float32.
    """
    widths = (max(width, 2) for width in spec.n_outputs)
    spread = [np.empty((X.shape[0], width), dtype=np.float32) for width in widths]

    def keep(rows: slice, logits: np.ndarray) -> None:
        n_rows, n_members, n_columns = logits.shape
        parts = task_probabilities(logits.reshape(-1, n_columns), spec.n_outputs)
        for whole, part in zip(spread, parts, strict=True):
            whole[rows] = part.reshape(n_rows, n_members, -1).std(axis=1)

    _run_by_batch(_forward_program(spec, by_member=True), values, X, keep)
    return spread


def compute_logits(spec: NetworkSpec, values: Sequence[tf.Tensor], X: Any) -> np.ndarray:
    """Return the logits of rows.

    Parameters
    ----------
    spec : NetworkSpec
        The network's specification.
    values : sequence of tensor
        The network's variables, in the order of `network_variables`.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Features, of float32 or what can be cast to it.

    Returns
    -------
    logits : ndarray of float32 of shape (n_samples, sum(n_outputs))
        The tasks side by side.

    Raises
    ------
    ValueError
        If a number of X is too large for float32.
    """
    whole = np.empty((X.shape[0], sum(spec.n_outputs)), dtype=np.float32)
    _run_by_batch(_forward_program(spec), values, X, whole.__setitem__)
    return whole


def _run_by_batch(
    program: _ForwardProgram,
    values: Sequence[tf.Tensor],
    X: Any,
    keep: Callable[[slice, np.ndarray], None],
) -> None:
    """Compute the logits of X, and give them to a function with the rows that they are of."""
    trainable, others = list(values[: program.n_trainable]), list(values[program.n_trainable :])
    n_rows = max(_BATCH_CELLS // program.widest, 1)
    starts = range(0, X.shape[0], n_rows)
    is_checked = not get_config()["assume_finite"]

    def run(start: int) -> None:
        rows = slice(start, start + n_rows)
        batch = tf.constant(_dense_batch(X[rows], is_checked))
        keep(rows, program.run(trainable, others, batch).numpy())

    if len(starts) == 1:
        run(0)
        return
    # A new thread knows nothing of a `tf.device` that its maker is in.
    device = tf.constant(0.0).device

    def run_there(start: int) -> None:
        with tf.device(device):
            run(start)

    # One batch is copied to and fro while TensorFlow computes another.
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(run_there, starts):
            pass


def _dense_batch(batch: Any, is_checked: bool) -> np.ndarray:
    """Return rows of X as a dense array of float32."""
    if sp.issparse(batch):
        batch = batch.toarray()
    if batch.dtype == np.float32:
        return batch
    with np.errstate(over="ignore"):
        cast = batch.astype(np.float32)
    # X was found finite, or missing, in its own dtype.
    if is_checked and np.isinf(cast).any():
        raise ValueError(describe_too_large(batch.flat[np.argmax(np.isinf(cast))]))
    return cast


# ------------------------------------------------------------------------------------------------
# Compiled forward passes
# ------------------------------------------------------------------------------------------------


def _forward_program(spec: NetworkSpec, by_member: bool = False) -> _ForwardProgram:
    """Return the compiled forward pass of a specification, to the logits of its mean or members."""
    key = (spec, by_member)
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
            return _programs[key]
    model = build_network(spec)
    if by_member:
        model = member_model(model)

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
    run = compiled.get_concrete_function()
    widest = max(spec.n_features, sum(spec.n_outputs), _widest_output(model))
    program = _ForwardProgram(run, len(model.trainable_variables), widest)
    with _lock:
        _programs[key] = program
        while len(_programs) > _MAX_PROGRAMS:
            _programs.popitem(last=False)
    return program


def _widest_output(model: keras.Model) -> int:
    """Return how many numbers per row the widest layer of a model gives, as far as it tells."""
    widest = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            widest = max(widest, _widest_output(layer))
        # A layer that a model's own `call` uses does not know its output.
        for output in keras.tree.flatten(getattr(layer, "output", ())):
            widest = max(widest, int(np.prod([n or 1 for n in output.shape[1:]])))
    return widest


def clear_forward_programs() -> None:
    """Forget all compiled forward passes."""
    with _lock:
        _programs.clear()
