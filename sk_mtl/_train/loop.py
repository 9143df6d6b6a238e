"""Training: the loop over epochs, with its history, best epochs and callbacks.

Owns how arrays and a plan become fitted values. The arrays are placed once, each epoch is one call
of a compiled program, and the host reads once an epoch. Does not know y's labels, nor the
estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.dataset import Subset, UnlabelledSubset
from sk_mtl._model.initial_values import draw_initial_values
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._tasks import enumerate_some
from sk_mtl._train.batching import LabelAwareOrder, RandomOrder, draw_endlessly
from sk_mtl._train.best_weights import BestWeights
from sk_mtl._train.callbacks import (
    LogRecorder,
    SeenWeights,
    release_callbacks,
    start_callbacks,
    wants_batches,
)
from sk_mtl._train.config import RunConfig
from sk_mtl._train.early_stopping import StoppingResult
from sk_mtl._train.logs import record_logs, training_logs, validation_logs
from sk_mtl._train.plan import TrainingPlan
from sk_mtl._train.program import TrainingProgram
from sk_mtl._train.program_cache import acquire_program, release_program
from sk_mtl._train.resume import Progress, ResumePoint
from sk_mtl._train.state import TrainingState
from sk_mtl._train.steps import StepRange, Table, UnlabelledRows, place, place_features
from sk_mtl._train.teacher import ramp_up
from sk_mtl.weighting import FixedWeighting, TaskWeighting

__all__ = ["EpochWatch", "NonFiniteLossError", "TrainingResult", "draw_start", "train"]


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training."""

    # The values kept: those of the best epoch with early stopping, else the last.
    state: TrainingState
    history: dict[str, list[float]]  # one entry per epoch
    n_epochs: int  # epochs trained
    # The epoch whose values were kept, from 1, within this training; 0 if callbacks have set
    # others than those of any epoch.
    best_epoch: int
    # The values kept for each task, unless all have those of the best epoch.
    best_weights: BestWeights | None = None
    stopping: StoppingResult | None = None  # how early stopping ended; None without it

    @classmethod
    def untrained(cls, start: TrainingState, run: RunConfig) -> TrainingResult:
        """Return the result of a training without rows."""
        return cls(start, {}, 0, 0, stopping=run.make_monitor().result())


@dataclass(frozen=True)
class EpochWatch:
    """Functions to call around each epoch; unlike Keras's callbacks, they need no model."""

    begin: Callable[[], None]
    # Given what returns the result as if training ended now; returns whether it should.
    end: Callable[[Callable[[], TrainingResult]], bool]


class NonFiniteLossError(ValueError):
    """The loss of an epoch became NaN or infinite, so that no usable network came out."""


def draw_start(
    spec: NetworkSpec,
    weighting: TaskWeighting,
    class_frequencies: Sequence[np.ndarray],
    seed: int,
    custom_values: list[np.ndarray] | None = None,
    input_values: Mapping[str, np.ndarray] | None = None,
) -> TrainingState:
    """Draw the state that a first training starts from, with output biases by class frequencies."""
    rng = np.random.default_rng([seed, 0])
    values = draw_initial_values(spec, class_frequencies, rng, custom_values, input_values)
    return TrainingState(values, weighting.initial_state(len(spec.n_outputs)))


def train(
    plan: TrainingPlan,
    start: TrainingState,
    training: Subset,
    validation: Subset | None = None,
    resume_point: ResumePoint | None = None,
    unlabelled: UnlabelledSubset | None = None,
    watch: EpochWatch | None = None,
) -> TrainingResult:
    """Train a network from a state, or from a resume point if its file exists."""
    program = acquire_program(plan)
    program.load(_with_weighting_of(plan, start), plan.run)
    try:
        result = _run_epochs(program, plan, training, validation, resume_point, unlabelled, watch)
    finally:
        release_callbacks(plan.parts)
    # A program that was interrupted is not released: its state is unknown.
    release_program(plan, program)
    return result


def _with_weighting_of(plan: TrainingPlan, state: TrainingState) -> TrainingState:
    """Return a state with the task weights of the plan if the state's are of another kind."""
    weighting = plan.parts.weighting
    fresh = weighting.initial_state(len(plan.run.task_names))
    if fresh.keys() != state.weighting.keys():
        # The optimizer's variables were those of other trainable ones.
        return replace(state, weighting=fresh, optimizer=None)
    if isinstance(weighting, FixedWeighting):
        return replace(state, weighting=fresh)
    return state


# ------------------------------------------------------------------------------------------------
# The loop over epochs
# ------------------------------------------------------------------------------------------------


def _run_epochs(
    program: TrainingProgram,
    plan: TrainingPlan,
    training: Subset,
    validation: Subset | None,
    resume_point: ResumePoint | None,
    unlabelled: UnlabelledSubset | None,
    watch: EpochWatch | None,
) -> TrainingResult:
    """Run epochs until the last one, a stop, or a callback's wish."""
    run = plan.run
    table = _place_table(training)
    validation_table, validation_rows = None, None
    if validation is not None:
        is_same = validation.X is training.X
        validation_table = _place_table(validation, table.features if is_same else None)
        validation_rows = place(validation.rows, tf.int32)
    if resume_point is None:
        progress = Progress(run.make_monitor())
    else:
        progress = resume_point.resume(program, run)
    told, seen = LogRecorder(), SeenWeights(program.model) if plan.parts.callbacks else None
    callbacks = start_callbacks(plan, program, len(training.rows), told)
    order = _make_order(run, training)
    weights = None if unlabelled is None else place(unlabelled.weight, tf.float32)
    # The program reads its own averages where they are; only what runs the model needs them there.
    is_run = program.average is None or validation is not None or bool(plan.parts.callbacks)
    averaged = program.averaged if is_run else nullcontext
    for epoch in range(progress.epoch + 1, run.epochs + 1):
        number = run.first_epoch + epoch
        callbacks.on_epoch_begin(number - 1)
        if watch is not None:
            watch.begin()
        rng = np.random.default_rng([run.seed, 1, number])
        rows = training.rows[order.draw(rng)].astype(np.int32)
        more = None
        if unlabelled is not None:
            more = _order_unlabelled(run, unlabelled, weights, len(rows), number)
        logs = _run_epoch(program, plan, table, rows, callbacks, more)
        progress.epoch = epoch
        with averaged():
            if validation_table is not None:
                sums = program.evaluate(validation_table, validation_rows)
                logs |= validation_logs(run, [s.numpy() for s in sums])
            _keep_best(program, progress, logs)
            if seen is not None:
                seen.note_measured(epoch)
            if program.average is not None:
                # What a callback saves is then what was measured. An optimizer's own averages are
                # left to its own callbacks.
                _end_epoch(callbacks, seen, epoch, number, logs)
        if program.average is None:
            _end_epoch(callbacks, seen, epoch, number, logs)
        record_logs(progress.history, logs, told.logs)
        is_told_to_stop = False
        if watch is not None:
            with averaged():
                is_told_to_stop = watch.end(partial(_result_so_far, program, progress))
        if not np.isfinite(logs["objective"]):
            _handle_divergence(run, logs, epoch, progress.best_epoch)
            break
        if program.model.stop_training or progress.monitor.should_stop or is_told_to_stop:
            break
        if resume_point is not None and epoch < run.epochs:
            resume_point.save_if_due(program, progress)
    if progress.best is None:
        progress.best_epoch = progress.epoch
        program.optimizer.finalize_variable_values(program.trainable)
    else:
        program.load(progress.best, run)
    with averaged():
        best_network = None if seen is None else program.read_network()
        callbacks.on_train_end({name: values[-1] for name, values in progress.history.items()})
        state = program.read()
        kept_epoch = progress.best_epoch if seen is None else seen.find(progress.best_epoch)
    n_tasks = len(run.task_names)
    if best_network is None or kept_epoch == progress.best_epoch:
        best_network = state.network
    best_weights = progress.keeper.best_weights(n_tasks, progress.best_epoch, best_network)
    kept = [state.network, *(() if best_weights is None else best_weights.values)]
    if not all(np.isfinite(value).all() for values in kept for value in values):
        # A step's objective is that of the weights before it.
        _handle_divergence(run, logs, progress.epoch, 0)
    stopping = progress.monitor.result()
    return TrainingResult(
        state, progress.history, progress.epoch, kept_epoch, best_weights, stopping
    )


def _result_so_far(program: TrainingProgram, progress: Progress) -> TrainingResult:
    """Return the result as if training ended with this epoch and its weights."""
    return TrainingResult(program.read(), progress.history, progress.epoch, progress.epoch)


def _end_epoch(
    callbacks: keras.callbacks.CallbackList,
    seen: SeenWeights | None,
    epoch: int,
    number: int,
    logs: dict[str, float],
) -> None:
    """Call the callbacks at the end of an epoch, the `number`-th of the estimator."""
    callbacks.on_epoch_end(number - 1, logs)
    if seen is not None:
        seen.note_left(epoch)


def _keep_best(program: TrainingProgram, progress: Progress, logs: dict[str, float]) -> None:
    """Keep the values of this epoch if it is the best so far, for all tasks or for some."""
    epoch = progress.epoch
    is_best, improved = progress.monitor.update(logs)
    if is_best:
        progress.best, progress.best_epoch = program.read(), epoch
    if improved and is_best and progress.best is not None:
        progress.keeper.keep(improved, epoch, progress.best.network)
    elif improved:
        progress.keeper.keep(improved, epoch, program.read_network())


def _make_order(run: RunConfig, training: Subset) -> RandomOrder | LabelAwareOrder:
    """Return what orders the rows of each epoch."""
    if run.batching == "random":
        return RandomOrder(len(training.rows))
    return LabelAwareOrder(training.weight[training.rows] > 0, run.batch_size)


def _place_table(subset: Subset, features: tuple[tf.Tensor, ...] | None = None) -> Table:
    """Return the arrays as tensors; features that are already placed are used again."""
    return Table(
        place_features(subset.X) if features is None else features,
        place(subset.codes, tf.int32),
        place(subset.weight, tf.float32),
    )


def _order_unlabelled(
    run: RunConfig, unlabelled: UnlabelledSubset, weights: tf.Tensor, n_rows: int, number: int
) -> UnlabelledRows:
    """Return the unlabelled cells of an epoch of `n_rows` labelled rows."""
    n_wanted = -(-n_rows // run.batch_size) * run.unlabelled_batch_size
    rng = np.random.default_rng([run.seed, 3, number])
    order = unlabelled.rows[draw_endlessly(rng, len(unlabelled.rows), n_wanted)]
    factor = run.unlabelled_weight * ramp_up(number)
    return UnlabelledRows(
        weights,
        place(order, tf.int32),
        place(factor, tf.float32),
        place(run.unlabelled_batch_size, tf.int32),
    )


def _run_epoch(
    program: TrainingProgram,
    plan: TrainingPlan,
    table: Table,
    order: np.ndarray,
    callbacks: keras.callbacks.CallbackList,
    unlabelled: UnlabelledRows | None = None,
) -> dict[str, float]:
    """Train one epoch in one call, or in a call per batch if a callback asks for batches."""
    batch_size = plan.run.batch_size
    n_steps = -(-len(order) // batch_size)
    rows = place(order, tf.int32)
    if not wants_batches(plan.parts.callbacks):
        sums = _run(program, table, rows, (0, n_steps, batch_size), unlabelled)
        return training_logs(plan, program, sums, n_steps)
    # Adds up as the compiled loop does.
    total = [np.zeros((), np.float32)] * (3 if unlabelled is None else 4)
    for number in range(n_steps):
        callbacks.on_train_batch_begin(number)
        sums = _run(program, table, rows, (number, number + 1, batch_size), unlabelled)
        total = [t + s for t, s in zip(total, sums, strict=True)]
        logs = training_logs(plan, program, total, number + 1)
        callbacks.on_train_batch_end(number, logs)
        if program.model.stop_training:
            break
    return logs


def _run(
    program: TrainingProgram,
    table: Table,
    rows: tf.Tensor,
    counts: tuple[int, int, int],
    unlabelled: UnlabelledRows | None,
) -> list[np.ndarray]:
    """Train on steps of an epoch: first, end and batch size are given as counts."""
    steps = StepRange(rows, *(place(count, tf.int32) for count in counts))
    sums = program.run_steps(table, steps, unlabelled)
    return [s.numpy() for s in sums]


def _handle_divergence(run: RunConfig, logs: dict[str, float], epoch: int, best_epoch: int) -> None:
    """Warn if an earlier epoch is kept, else raise; name the tasks whose loss is not finite."""
    tasks = [repr(n) for n in run.task_names if not np.isfinite(logs[f"{n}_loss"])]
    if tasks:
        what = f" (tasks {enumerate_some(tasks)})"
    elif np.isfinite(logs["objective"]):
        what = ", and the weights are not finite"
    else:
        what = ", though the loss of each task is finite: task weights or the l2 penalty are not"
    message = (
        f"Training diverged: the objective is {logs['objective']} after epoch "
        f"{run.first_epoch + epoch}{what}. Scale X (standardize=True), lower "
        "optimizer__learning_rate, or clip gradients (optimizer__global_clipnorm=1.0)."
    )
    if not best_epoch:
        raise NonFiniteLossError(message)
    warn_user(
        f"{message} The weights of epoch {run.first_epoch + best_epoch} are kept.",
        ConvergenceWarning,
    )
