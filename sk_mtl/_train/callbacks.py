"""Callbacks: Keras's, called around a training that is not `keras.Model.fit`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from sk_mtl._train.plan import TrainingParts, TrainingPlan
from sk_mtl._train.program import TrainingProgram
from sk_mtl.callbacks import EpochWeights

__all__ = [
    "LogRecorder",
    "SeenWeights",
    "may_keep_the_model",
    "release_callbacks",
    "start_callbacks",
    "wants_batches",
]

# Callbacks that hold the model by the attribute that `release_callbacks` clears only.
_KEEP_NO_MODEL = (
    keras.callbacks.CSVLogger,
    keras.callbacks.EarlyStopping,
    keras.callbacks.History,
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.TerminateOnNaN,
    EpochWeights,
)
_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


class LogRecorder(keras.callbacks.Callback):
    """Keeps the logs of an epoch with what the callbacks before it have added."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: Mapping[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the logs."""
        self.logs = logs or {}


class SeenWeights:
    """Tells by the weights of a model in which epoch it had them: callbacks may set any."""

    def __init__(self, model: keras.Model):
        self._model = model
        self._measured: defaultdict[bytes, list[int]] = defaultdict(list)
        self._left: defaultdict[bytes, list[int]] = defaultdict(list)

    def note_measured(self, epoch: int) -> None:
        """Note the weights of an epoch, before its callbacks."""
        self._measured[self._digest()].append(epoch)

    def note_left(self, epoch: int) -> None:
        """Note the weights that the callbacks of an epoch leave, such as averages."""
        self._left[self._digest()].append(epoch)

    def find(self, expected: int) -> int:
        """Return the expected epoch if the model has its weights, else the last that had, or 0."""
        digest = self._digest()
        epochs = self._measured.get(digest) or self._left.get(digest, [0])
        return expected if expected in epochs else epochs[-1]

    def _digest(self) -> bytes:
        # Not of the seeds of dropout, which Keras does not restore either.
        digest = hashlib.blake2b(digest_size=16)
        for value in self._model.get_weights():
            digest.update(value.tobytes())
        return digest.digest()


def start_callbacks(
    plan: TrainingPlan, program: TrainingProgram, n_rows: int, recorder: LogRecorder
) -> keras.callbacks.CallbackList:
    """Return the callbacks of a training, its progress bar among them, after `on_train_begin`."""
    model, run, parts = program.model, plan.run, plan.parts
    if parts.callbacks:
        # What a callback expects of its model: an optimizer it can reach, and a flag to stop.
        model.compile(optimizer=program.optimizer, loss=None, auto_scale_loss=False)
    model.stop_training = False
    callbacks = keras.callbacks.CallbackList(
        [*parts.callbacks, recorder, *([parts.progress] if parts.progress else [])],
        add_history=False,
        add_progbar=False,
        model=model,
        epochs=run.first_epoch + run.epochs,
        steps=-(-n_rows // run.batch_size),
        verbose=0,
    )
    callbacks.on_train_begin()
    return callbacks


def release_callbacks(parts: TrainingParts) -> None:
    """Close the progress bar, and take the model from the callbacks."""
    if parts.progress is not None:
        parts.progress.on_train_end()
    for callback in parts.callbacks:
        # Else the live model would be pickled with whatever holds the callback.
        keras.callbacks.Callback.set_model(callback, None)


def may_keep_the_model(callbacks: Sequence[keras.callbacks.Callback]) -> bool:
    """Return whether a callback may still hold the model, or a part of it, after a training."""
    # A fit that used the program again would change the weights under its hands.
    return any(type(callback) not in _KEEP_NO_MODEL for callback in callbacks)


def wants_batches(callbacks: Sequence[keras.callbacks.Callback]) -> bool:
    """Return whether a callback does something at batches, which needs one call per batch."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_freq == "epoch":
            continue
        for hook in _BATCH_HOOKS:
            method = getattr(callback, hook)
            if getattr(method, "__func__", method) is not getattr(keras.callbacks.Callback, hook):
                return True
    return False
