"""Training: the loop over epochs, with its callbacks, history and best epoch.

Owns how arrays and a plan become fitted values. The arrays are placed once, each epoch is one call
of a compiled program, and the host reads once an epoch. Does not know y's labels, nor the
estimator.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning

from sk_mtl._data.dataset import Subset, UnlabelledSubset
from sk_mtl._model.initial_values import draw_initial_values
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._tasks import enumerate_some
from sk_mtl._train.batching import LabelAwareOrder, RandomOrder, draw_endlessly
from sk_mtl._train.best_weights import BestWeights
from sk_mtl._train.program import TrainingPlan, TrainingProgram, place_features
from sk_mtl._train.program_cache import (
    acquire_program,
    optimizer_settings,
    program_key,
    release_program,
)
from sk_mtl._train.resume import Progress, ResumePoint
from sk_mtl._train.state import TrainingState
from sk_mtl._train.teacher import ramp_up
from sk_mtl.weighting import FixedWeighting, TaskWeighting

__all__ = ["NonFiniteLossError", "TrainingResult", "compute_best_epochs", "draw_start", "train"]


@dataclass(frozen=True)
class TrainingResult:
    """What training gave.

    Attributes
    ----------
    state : TrainingState
        The values kept: those of the best epoch with early stopping, else the last.
    history : dict of list of float
        One entry per epoch.
    n_epochs : int
        Epochs trained.
    best_epoch : int
        The epoch whose values were kept, from 1, within this training.
    best_weights : BestWeights or None
        The values kept for each task, where not all have those of the best epoch.
    """

    state: TrainingState
    history: dict[str, list[float]]
    n_epochs: int
    best_epoch: int
    best_weights: BestWeights | None = None


class NonFiniteLossError(ValueError):
    """The loss of an epoch became NaN or infinite, so that no usable network came out."""


# ------------------------------------------------------------------------------------------------
# The loop over epochs
# ------------------------------------------------------------------------------------------------


def draw_start(
    spec: NetworkSpec,
    weighting: TaskWeighting,
    class_frequencies: Sequence[np.ndarray],
    seed: int,
    custom_values: list[np.ndarray] | None = None,
    input_values: Mapping[str, np.ndarray] | None = None,
) -> TrainingState:
    """Draw the state that a first training starts from.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    weighting : TaskWeighting
        Gives the initial state of the task weights.
    class_frequencies : sequence of ndarray of shape (n_classes_t,)
        Relative frequencies of the classes, by task, for the initial output biases.
    seed : int
        Seed of the draw.
    custom_values : list of ndarray, default=None
        The values that a custom model came with.
    input_values : mapping of str to ndarray, default=None
        The values of the input layers.

    Returns
    -------
    state : TrainingState
        Initial values.
    """
    rng = np.random.default_rng([seed, 0])
    values = draw_initial_values(spec, class_frequencies, rng, custom_values, input_values)
    return TrainingState(values, weighting.initial_state(len(spec.n_outputs)))


def train(
    plan: TrainingPlan,
    start: TrainingState,
    training: Subset,
    validation: Subset | None = None,
    checkpoint: ResumePoint | None = None,
    unlabelled: UnlabelledSubset | None = None,
) -> TrainingResult:
    """Train a network.

    Parameters
    ----------
    plan : TrainingPlan
        What to train and how.
    start : TrainingState
        The values to start from.
    training : Subset
        Rows to train on, each with a labelled cell.
    validation : Subset or None, default=None
        Rows to watch.
    checkpoint : Checkpoint or None, default=None
        Where to go on from, if it is there, and where to note how far training has come.
    unlabelled : UnlabelledSubset or None, default=None
        Rows of the training rows' X with cells that have no label, if the plan learns from them.

    Returns
    -------
    outcome : TrainingResult
        Values, history, and the best epoch.

    Raises
    ------
    NonFiniteLossError
        If the loss of an epoch is NaN or infinite and no earlier epoch is to be kept.
    ValueError
        If the checkpoint cannot be gone on from.
    """
    is_sparse = sp.issparse(training.X)
    settings = optimizer_settings(plan.optimizer)
    key = program_key(plan, settings, is_sparse)
    program = acquire_program(key, plan, is_sparse)
    program.load(_with_weighting_of(plan, start), settings)
    if program.logit_offsets is not None:
        program.logit_offsets.assign(plan.logit_offsets)
    if program.label_smoothing is not None:
        program.label_smoothing.assign(plan.label_smoothing)
    if program.teacher is not None:
        program.teacher.seed(plan.seed)
    try:
        outcome = _run_epochs(program, plan, training, validation, checkpoint, unlabelled)
    finally:
        if plan.progress is not None:
            plan.progress.on_train_end()
        for callback in plan.callbacks:
            # Else the live model would be pickled with whatever holds the callback.
            keras.callbacks.Callback.set_model(callback, None)
    # A program that was interrupted is not released: nobody knows what state it is in.
    release_program(key, program)
    return outcome


def compute_best_epochs(
    plan: TrainingPlan, history: Mapping[str, Sequence[float]]
) -> tuple[int, tuple[int, ...]]:
    """Find the best epochs of a history that no training has had as a whole.

    Parameters
    ----------
    plan : TrainingPlan
        Its early stopping, which is new, is told of all epochs.
    history : mapping of str to sequence of float
        One entry per epoch.

    Returns
    -------
    best_epoch : int
        The best epoch, counted from 1.
    task_epochs : tuple of int
        That of each task; () if all have this one.
    """
    for values in zip(*history.values(), strict=True):
        logs = dict(zip(history, values, strict=True))
        if plan.stopping is not None:
            plan.stopping.update(_watched(plan, logs))
        if plan.task_stopping is not None:
            plan.task_stopping.update(_watched_by_task(plan, logs))
    # Where no loss was ever known, training goes on to the end.
    n_epochs = len(history["loss"])
    best_epoch = (plan.stopping.best_epoch if plan.stopping else 0) or n_epochs
    if plan.task_stopping is None:
        return best_epoch, ()
    return best_epoch, tuple(n or best_epoch for n in plan.task_stopping.best_epochs)


def _with_weighting_of(plan: TrainingPlan, state: TrainingState) -> TrainingState:
    """Return a state with the task weights of the plan where the state's are of another kind."""
    fresh = plan.weighting.initial_state(len(plan.task_names))
    if fresh.keys() != state.weighting.keys():
        # The optimizer's variables were those of other trainable ones.
        return replace(state, weighting=fresh, optimizer=None)
    if isinstance(plan.weighting, FixedWeighting):
        return replace(state, weighting=fresh)
    return state


def _run_epochs(
    program: TrainingProgram,
    plan: TrainingPlan,
    training: Subset,
    validation: Subset | None,
    checkpoint: ResumePoint | None,
    unlabelled: UnlabelledSubset | None,
) -> TrainingResult:
    """Run epochs until the plan's end, a stop, or a callback's wish."""
    arrays = _placed_arrays(training)
    held_out, watched_rows = None, None
    if validation is not None:
        held_out = _placed_arrays(validation, arrays[0] if validation.X is training.X else None)
        watched_rows = tf.constant(validation.rows, tf.int32)
    progress = Progress() if checkpoint is None else checkpoint.resume(program, plan)
    callbacks = _start_callbacks(plan, program, len(training.rows))
    shuffle = _make_order(plan, training)
    missing = None if unlabelled is None else tf.constant(unlabelled.weight, tf.float32)
    # The program reads its own averages where they are; only what runs the model needs them there.
    is_run = program.average is None or held_out is not None or bool(plan.callbacks)
    averaged = program.averaged if is_run else nullcontext
    for epoch in range(progress.epoch + 1, plan.epochs + 1):
        callbacks.on_epoch_begin(plan.first_epoch + epoch - 1)
        rng = np.random.default_rng([plan.seed, 1, plan.first_epoch + epoch])
        order = training.rows[shuffle.draw(rng)].astype(np.int32)
        more: tuple[tf.Tensor, ...] = ()
        if unlabelled is not None:
            more = (missing, *_unlabelled_of_epoch(plan, unlabelled, len(order), epoch))
        logs = _run_epoch(program, plan, arrays, order, callbacks, more)
        progress.epoch = epoch
        with averaged():
            if held_out is not None:
                logs |= _validation_logs(program, plan, held_out, watched_rows)
            for name, value in logs.items():
                progress.history.setdefault(name, []).append(value)
            _keep_best(program, plan, progress, logs)
            if program.average is not None:
                # What a callback saves is then what was measured. An optimizer's own averages are
                # left to its own callbacks.
                callbacks.on_epoch_end(plan.first_epoch + epoch - 1, logs)
        if program.average is None:
            callbacks.on_epoch_end(plan.first_epoch + epoch - 1, logs)
        if not np.isfinite(logs["objective"]):
            _deal_with_divergence(plan, logs, epoch, progress.best_epoch)
            break
        stopping = plan.task_stopping or plan.stopping
        if program.model.stop_training or (stopping is not None and stopping.should_stop):
            break
        if checkpoint is not None and epoch < plan.epochs:
            checkpoint.save_if_due(program, plan, progress)
    if progress.best is None:
        progress.best_epoch = progress.epoch
        program.optimizer.finalize_variable_values(program.trainable)
    else:
        program.load(progress.best, program.settings)
    with averaged():
        callbacks.on_train_end({name: values[-1] for name, values in progress.history.items()})
        state = program.read()
    checkpoints = progress.keeper.checkpoints(
        len(plan.task_names), progress.best_epoch, state.network
    )
    kept = [state.network, *(() if checkpoints is None else checkpoints.values)]
    if not all(np.isfinite(value).all() for values in kept for value in values):
        # A step's objective is that of the weights before it.
        _deal_with_divergence(plan, logs, progress.epoch, 0)
    return TrainingResult(state, progress.history, progress.epoch, progress.best_epoch, checkpoints)


def _keep_best(
    program: TrainingProgram, plan: TrainingPlan, progress: Progress, logs: dict[str, float]
) -> None:
    """Note the values of this epoch where it is the best so far, for all tasks or for some."""
    epoch = progress.epoch
    if plan.stopping is not None and plan.stopping.update(_watched(plan, logs)):
        progress.best, progress.best_epoch = program.read(), epoch
    if plan.task_stopping is None:
        return
    improved = plan.task_stopping.update(_watched_by_task(plan, logs))
    if improved and progress.best is not None and progress.best_epoch == epoch:
        progress.keeper.keep(improved, epoch, progress.best.network)
    elif improved:
        progress.keeper.keep(improved, epoch, program.read_network())


def _make_order(plan: TrainingPlan, training: Subset) -> RandomOrder | LabelAwareOrder:
    """Return what orders the rows of each epoch."""
    if plan.batching == "random":
        return RandomOrder(len(training.rows))
    return LabelAwareOrder(training.weight[training.rows] > 0, plan.batch_size)


def _placed_arrays(
    labelled: Subset, features: tuple[tf.Tensor, ...] | None = None
) -> tuple[Any, tf.Tensor, tf.Tensor]:
    """Return the arrays as tensors; features that are placed already are not placed again."""
    return (
        place_features(labelled.X) if features is None else features,
        tf.constant(labelled.codes, tf.int32),
        tf.constant(labelled.weight, tf.float32),
    )


def _run_epoch(
    program: TrainingProgram,
    plan: TrainingPlan,
    arrays: tuple[Any, tf.Tensor, tf.Tensor],
    order: np.ndarray,
    callbacks: keras.callbacks.CallbackList,
    missing: tuple[tf.Tensor, ...] = (),
) -> dict[str, float]:
    """Train one epoch, in one call, or in one per batch where a callback asks for batches."""
    n_steps = -(-len(order) // plan.batch_size)
    rows = tf.constant(order)
    if not _wants_batches(plan.callbacks):
        sums = _run(program, plan, arrays, rows, 0, n_steps, missing)
        return _training_logs(program, plan, [s.numpy() for s in sums], n_steps)
    # Adds up as the compiled loop does.
    total: list[Any] = [np.float32(0)] * (4 if missing else 3)
    for number in range(n_steps):
        callbacks.on_train_batch_begin(number)
        sums = _run(program, plan, arrays, rows, number, number + 1, missing)
        total = [t + s.numpy() for t, s in zip(total, sums, strict=True)]
        logs = _training_logs(program, plan, total, number + 1)
        callbacks.on_train_batch_end(number, logs)
        if program.model.stop_training:
            break
    return logs


def _unlabelled_of_epoch(
    plan: TrainingPlan, unlabelled: UnlabelledSubset, n_rows: int, epoch: int
) -> tuple[tf.Tensor, ...]:
    """Return the order of the rows with unlabelled cells in an epoch, and what steps take of it."""
    number = plan.first_epoch + epoch
    n_wanted = -(-n_rows // plan.batch_size) * plan.unlabelled_batch_size
    rng = np.random.default_rng([plan.seed, 3, number])
    order = unlabelled.rows[draw_endlessly(rng, len(unlabelled.rows), n_wanted)]
    factor = plan.unlabelled_weight * ramp_up(number)
    scalars = tf.constant(factor, tf.float32), tf.constant(plan.unlabelled_batch_size, tf.int32)
    return tf.constant(order, tf.int32), *scalars


def _run(
    program: TrainingProgram,
    plan: TrainingPlan,
    arrays: Any,
    rows: tf.Tensor,
    first: int,
    end: int,
    missing: tuple[tf.Tensor, ...],
) -> Any:
    """Run steps of an epoch."""
    scalars = (tf.constant(number, tf.int32) for number in (first, end, plan.batch_size))
    return program.run_steps(*arrays, rows, *scalars, *missing)


def _training_logs(
    program: TrainingProgram, plan: TrainingPlan, sums: Sequence[np.ndarray], n_steps: int
) -> dict[str, float]:
    """Return the losses of an epoch: their mean, the objective, and one per task."""
    losses = _divide(sums[0], sums[1])
    logs = {"loss": _mean_over_tasks(losses, sums[1]), "objective": float(sums[2] / n_steps)}
    if len(sums) > 3:
        logs["unlabelled_objective"] = float(sums[3] / n_steps)
    logs |= {f"{name}_loss": float(v) for name, v in zip(plan.task_names, losses, strict=True)}
    if plan.weighting.program_key() != "fixed":
        state = {name: np.array(v.numpy()) for name, v in program.weighting_variables.items()}
        weights = plan.weighting.weights(state, len(plan.task_names))
        names = (f"{name}_weight" for name in plan.task_names)
        logs |= {name: float(w) for name, w in zip(names, weights, strict=True)}
    return logs


def _validation_logs(
    program: TrainingProgram, plan: TrainingPlan, arrays: tuple[Any, ...], rows: tf.Tensor | None
) -> dict[str, float]:
    """Return the losses on the validation rows."""
    loss_sum, weight_sum = program.evaluate(*arrays, rows)
    losses = _divide(loss_sum.numpy(), weight_sum.numpy())
    logs = {"val_loss": _mean_over_tasks(losses, weight_sum.numpy())}
    names = (f"val_{name}_loss" for name in plan.task_names)
    return logs | {name: float(v) for name, v in zip(names, losses, strict=True)}


def _divide(loss_sum: np.ndarray, weight_sum: np.ndarray) -> np.ndarray:
    """Return means over labelled cells, NaN for a task without any."""
    safe = np.where(weight_sum > 0, weight_sum, 1)
    return np.where(weight_sum > 0, np.asarray(loss_sum) / safe, np.nan)


def _mean_over_tasks(losses: np.ndarray, weight_sum: np.ndarray) -> float:
    """Return the mean over the tasks that have labelled cells; NaN if one of those diverged."""
    known = losses[np.asarray(weight_sum) > 0]
    return float(known.mean()) if len(known) else float("nan")


def _watched(plan: TrainingPlan, logs: dict[str, float]) -> float:
    """Return the loss that early stopping watches; infinite where training diverged."""
    if not np.isfinite(logs["objective"]):
        return float("inf")
    prefix = "val_" if "val_loss" in logs else ""
    if plan.monitored_task is None:
        return logs[f"{prefix}loss"]
    return logs[f"{prefix}{plan.task_names[plan.monitored_task]}_loss"]


def _watched_by_task(plan: TrainingPlan, logs: dict[str, float]) -> list[float]:
    """Return the loss of each task that is watched; infinite where training diverged."""
    if not np.isfinite(logs["objective"]):
        return [float("inf")] * len(plan.task_names)
    prefix = "val_" if "val_loss" in logs else ""
    return [logs[f"{prefix}{name}_loss"] for name in plan.task_names]


def _deal_with_divergence(
    plan: TrainingPlan, logs: dict[str, float], epoch: int, best_epoch: int
) -> None:
    """Warn where an earlier epoch is kept, else raise; name the tasks whose loss is not finite."""
    tasks = [repr(n) for n in plan.task_names if not np.isfinite(logs[f"{n}_loss"])]
    if tasks:
        what = f" (tasks {enumerate_some(tasks)})"
    elif np.isfinite(logs["objective"]):
        what = ", and the weights are not finite"
    else:
        what = ", though the loss of each task is finite: task weights or the l2 penalty are not"
    message = (
        f"Training diverged: the objective is {logs['objective']} after epoch "
        f"{plan.first_epoch + epoch}{what}. Scale X (standardize=True), lower "
        "optimizer__learning_rate, or clip gradients (optimizer__global_clipnorm=1.0)."
    )
    if not best_epoch:
        raise NonFiniteLossError(message)
    warnings.warn(
        f"{message} The weights of epoch {plan.first_epoch + best_epoch} are kept.",
        ConvergenceWarning,
        stacklevel=6,
    )


# ------------------------------------------------------------------------------------------------
# Keras callbacks
# ------------------------------------------------------------------------------------------------


def _start_callbacks(
    plan: TrainingPlan, program: TrainingProgram, n_rows: int
) -> keras.callbacks.CallbackList:
    """Return the callbacks, told of the model and of the beginning."""
    model = program.model
    if plan.callbacks:
        # What a callback expects of its model: an optimizer it can reach, and a flag to stop.
        model.compile(optimizer=program.optimizer, loss=None)
    model.stop_training = False
    callbacks = keras.callbacks.CallbackList(
        plan.callbacks + ([plan.progress] if plan.progress else []),
        add_history=False,
        add_progbar=False,
        model=model,
        epochs=plan.first_epoch + plan.epochs,
        steps=-(-n_rows // plan.batch_size),
        verbose=0,
    )
    callbacks.on_train_begin()
    return callbacks


def _wants_batches(callbacks: Sequence[keras.callbacks.Callback]) -> bool:
    """Return whether a callback does something at batches, which needs one call per batch."""
    hooks = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_freq == "epoch":
            continue
        for hook in hooks:
            method = getattr(callback, hook)
            if getattr(method, "__func__", method) is not getattr(keras.callbacks.Callback, hook):
                return True
    return False
