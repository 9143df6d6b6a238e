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
from typing import Any, NamedTuple

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from sklearn import get_config

from sk_mtl._compat.processes import refuse_fork
from sk_mtl._data.features import describe_too_large
from sk_mtl._data.known_labels import write_known
from sk_mtl._model.build import build_network, logits_of
from sk_mtl._model.ensemble import member_model
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict.base import Forward

__all__ = ["KerasForward", "clear_forward_programs"]

# A batch has as many rows as give the widest layer this many numbers, 16 MiB: fewer cost time,
# and more only memory.
_BATCH_CELLS = 2**22
_MAX_PROGRAMS = 32


class _ForwardProgram(NamedTuple):
    """A compiled forward pass, from trainable values, other ones and a batch to logits."""

    run: Any
    n_trainable: int
    widest: int  # numbers per row in the widest layer, the input among them


_programs: OrderedDict[NetworkSpec, _ForwardProgram] = OrderedDict()
_lock = threading.Lock()


class KerasForward(Forward):
    """The forward pass of a network with its values, placed on the device once."""

    def __init__(self, spec: NetworkSpec, values: Sequence[np.ndarray]):
        refuse_fork()
        super().__init__(spec)
        self._values = [tf.constant(value) for value in values]

    def _run_by_batch(
        self, X: Any, known: np.ndarray | None, keep: Callable[[slice, np.ndarray], None]
    ) -> None:
        """Compute the members' logits of X, and give them to a function with their rows."""
        refuse_fork()
        program = _forward_program(self.spec)
        n_trainable, size = program.n_trainable, max(_BATCH_CELLS // program.widest, 1)
        trainable, others = self._values[:n_trainable], self._values[n_trainable:]
        n_rows = X.shape[0]
        batches = [slice(i, min(i + size, n_rows)) for i in range(0, n_rows, size)]
        is_checked = not get_config()["assume_finite"]

        def run(rows: slice) -> None:
            numbers = _dense_batch(X[rows], is_checked)
            if self.spec.known_labels:
                numbers = self._with_labels(numbers, None if known is None else known[rows])
            batch = tf.constant(numbers)
            logits = program.run(trainable, others, batch).numpy()
            by_member = logits.reshape(len(logits), self.spec.ensemble_size, -1)
            with np.errstate(over="ignore"):
                keep(rows, by_member.transpose(1, 2, 0))

        if len(batches) == 1:
            run(batches[0])
            return
        # A new thread knows nothing of a `tf.device` that its maker is in.
        device = tf.constant(0.0).device

        def run_there(rows: slice) -> None:
            with tf.device(device):
                run(rows)

        # One batch is copied to and fro while TensorFlow computes another.
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(run_there, batches):
                pass

    def _with_labels(self, X: np.ndarray, known: np.ndarray | None) -> np.ndarray:
        """Return X, and beside it the columns of known labels."""
        columns = np.zeros((len(X), self.spec.n_label_columns), np.float32)
        if known is not None:
            write_known(known, self.spec.n_outputs, columns)
        return np.hstack([X, columns])


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


def _forward_program(spec: NetworkSpec) -> _ForwardProgram:
    """Return the compiled forward pass of a specification, to the logits of its members."""
    with _lock:
        if spec in _programs:
            _programs.move_to_end(spec)
            return _programs[spec]
    model = build_network(spec)
    if spec.ensemble_size > 1:
        model = member_model(model)

    def forward(trainable: list[Any], others: list[Any], X: Any) -> Any:
        outputs, _ = model.stateless_call(trainable, others, X, training=False)
        return logits_of(spec, outputs)

    signature = [
        [tf.TensorSpec(v.shape, v.dtype) for v in model.trainable_variables],
        [tf.TensorSpec(v.shape, v.dtype) for v in model.non_trainable_variables],
        tf.TensorSpec((None, spec.n_inputs), tf.float32),
    ]
    compiled = tf.function(forward, input_signature=signature, autograph=False)
    # The concrete function: TensorFlow takes a new tf.function per network for a mistake.
    run = compiled.get_concrete_function()
    widest = max(spec.n_inputs, spec.layout.total, _widest_output(model))
    program = _ForwardProgram(run, len(model.trainable_variables), widest)
    with _lock:
        _programs[spec] = program
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
