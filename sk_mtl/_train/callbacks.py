"""Callbacks: Keras's, called around a training that is not `keras.Model.fit`."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from sk_mtl._train.plan import TrainingParts, TrainingPlan
from sk_mtl._train.program import TrainingProgram

__all__ = ["release_callbacks", "start_callbacks", "wants_batches"]

_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def start_callbacks(
    plan: TrainingPlan, program: TrainingProgram, n_rows: int
) -> keras.callbacks.CallbackList:
    """Return the callbacks of a training, its progress bar among them, after `on_train_begin`."""
    model, run, parts = program.model, plan.run, plan.parts
    if parts.callbacks:
        # What a callback expects of its model: an optimizer it can reach, and a flag to stop.
        model.compile(optimizer=program.optimizer, loss=None)
    model.stop_training = False
    callbacks = keras.callbacks.CallbackList(
        parts.callbacks + ([parts.progress] if parts.progress else []),
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
