"""A training, epoch by epoch: its history, best epochs, callbacks and resume point.

Owns how arrays and a plan become fitted values. What makes the steps of an epoch, for this training
or for several at once, is `pack`. Does not know y's labels, nor the estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.dataset import Subset, UnlabelledSubset
from sk_mtl._data.known_labels import Shown, draw_shown
from sk_mtl._data.table_dataset import StoredSubset
from sk_mtl._model.initial_values import draw_initial_values
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._tasks import enumerate_some
from sk_mtl._train.batching import LabelAwareOrder, RandomOrder, draw_endlessly
from sk_mtl._train.best_weights import BestWeights, BestWeightsKeeper
from sk_mtl._train.callbacks import (
    LogRecorder,
    SeenWeights,
    release_callbacks,
    start_callbacks,
)
from sk_mtl._train.config import RunConfig
from sk_mtl._train.early_stopping import PlannedEpochs, StoppingResult
from sk_mtl._train.feeding import UnlabelledRows
from sk_mtl._train.logs import record_logs
from sk_mtl._train.plan import TrainingPlan
from sk_mtl._train.program import Snapshot, TrainingProgram
from sk_mtl._train.resume import Progress, ResumePoint
from sk_mtl._train.state import TrainingState
from sk_mtl._train.teacher import ramp_up
from sk_mtl._train.values import Values, stack
from sk_mtl._train.windows import EpochRows, WindowOrder
from sk_mtl.weighting import FixedWeighting, TaskWeighting

__all__ = [
    "EpochWatch",
    "Job",
    "NonFiniteLossError",
    "TrainingResult",
    "TrainingRun",
    "draw_start",
    "keep_planned",
]


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
    # The best epoch of each task, if folds have found them; () for the same.
    task_epochs: tuple[int, ...] = ()
    # The values of each epoch, if all were kept.
    by_epoch: dict[int, TrainingState] = field(default_factory=dict)

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

    is_known_to_all = True  # of several workers, which compute the same losses


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


@dataclass(frozen=True, eq=False)
class Job:
    """A training to do."""

    plan: TrainingPlan
    start: TrainingState
    training: Subset
    validation: Subset | None = None
    resume_point: ResumePoint | None = None
    unlabelled: UnlabelledSubset | None = None
    watch: EpochWatch | None = None
    # Given the number of an epoch, whether to stop after it; with this, all epochs are kept.
    is_enough: Callable[[int], bool] | None = None


class TrainingRun:
    """A training in progress: what comes before and after the steps of an epoch.

    Parameters
    ----------
    job : Job
        What to train.
    program : TrainingProgram
        A program of the plan's configuration.
    """

    def __init__(self, job: Job, program: TrainingProgram):
        self.job = job
        self.program = program
        plan, run = job.plan, job.plan.run
        state = _with_weighting_of(plan, job.start)
        self.progress = Progress(run.make_monitor())
        if job.resume_point is not None:
            like = program.read(program.start(state, run), run.learning_rate)
            self.progress, last = job.resume_point.resume(like, run)
            state = last or state
        start = program.start(state, run)
        self.has_callbacks = bool(plan.parts.callbacks)
        self._seen = SeenWeights(program.model) if self.has_callbacks else None
        self._recorder = LogRecorder()
        if self.has_callbacks:
            program.show(start, predicts=False)
        self.callbacks = start_callbacks(plan, program, len(job.training.rows), self._recorder)
        if self.has_callbacks:
            start = program.take_back(start, predicts=False)
        # As the program takes them; a pack has the values of later epochs.
        self.values = program.values.join(start)
        self.rates = program.rates.join(program.feed_rates(run))
        self._order = _make_order(run, job.training)
        self._by_epoch: dict[int, TrainingState] = {}
        self.is_done = run.epochs <= self.progress.epoch
        # Of the epoch, in their order.
        self.rows: np.ndarray | EpochRows = np.zeros(0, np.int32)
        self.position = 0  # how many of them have been trained on
        self.sums: list[np.ndarray] = []  # of the losses and weights of these
        self.unlabelled: UnlabelledRows | None = None
        self.shows_labels = bool(plan.spec.known_labels)
        self._label_rng = np.random.default_rng(run.seed)  # another one for each epoch

    # --------------------------------------------------------------------------------------------
    # An epoch
    # --------------------------------------------------------------------------------------------

    def begin_epoch(self) -> None:
        """Draw the order of the rows."""
        job, run = self.job, self.job.plan.run
        self.progress.epoch += 1
        number = run.first_epoch + self.progress.epoch
        self.callbacks.on_epoch_begin(number - 1)
        if job.watch is not None:
            job.watch.begin()
        rng = np.random.default_rng([run.seed, 1, number])
        if isinstance(self._order, WindowOrder):
            self.rows = self._order.draw(rng)
        else:
            self.rows = job.training.rows[self._order.draw(rng)].astype(np.int32)
        self.position, self.sums = 0, []
        self._label_rng = np.random.default_rng([run.seed, 5, number])
        if job.unlabelled is not None:
            self.unlabelled = _order_unlabelled(run, job.unlabelled, len(self.rows), number)

    @property
    def epoch_number(self) -> int:
        """The number of the epoch, from 1, counted from the first fit."""
        return self.job.plan.run.first_epoch + self.progress.epoch

    @property
    def is_epoch_over(self) -> bool:
        """Whether the steps of the epoch have been made, or none has begun."""
        return self.position == len(self.rows)

    def draw_shown(self, rows: Any) -> Shown:
        """Draw which cells of the next rows are inputs, and which count."""
        return draw_shown(self._label_rng, self.job.training.is_labelled(rows))

    def note_steps(self, sums: list[np.ndarray], n_rows: int) -> None:
        """Note steps on the next rows, and what they sum up to."""
        self.position = min(self.position + n_rows, len(self.rows))
        # As the compiled loop adds.
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)] if self.sums else sums

    def end_epoch(self, snapshot: Snapshot, logs: dict[str, float]) -> Values | None:
        """Keep what is best, and decide whether to go on; return values that callbacks changed."""
        job, progress, program = self.job, self.progress, self.program
        run, number = job.plan.run, job.plan.run.first_epoch + progress.epoch
        self._keep_best(snapshot, logs)
        changed = None
        if self._seen is not None:
            # What a callback saves is then what was measured. An optimizer's own averages are left
            # to its own callbacks.
            predicts = program.config.averages_weights
            values = snapshot.take()
            program.show(values, predicts=True)
            self._seen.note_measured(progress.epoch)
            program.show(values, predicts=predicts)
            self.callbacks.on_epoch_end(number - 1, logs)
            self._seen.note_left(progress.epoch)
            changed = program.take_back(values, predicts=predicts)
            changed_only = stack([program.values.join(changed)])
            snapshot = Snapshot(program, changed_only, 0, run.learning_rate)
        else:
            self.callbacks.on_epoch_end(number - 1, logs)
        record_logs(progress.history, logs, self._recorder.logs)
        is_told_to_stop = False
        if job.watch is not None:
            is_told_to_stop = job.watch.end(partial(self._result_so_far, snapshot))
        has_diverged = not np.isfinite(logs["objective"])
        if job.is_enough is not None:
            is_told_to_stop |= job.is_enough(progress.epoch)
            if not has_diverged:
                self._by_epoch[progress.epoch] = snapshot.read()
        elif has_diverged:
            _handle_divergence(run, logs, progress.epoch, progress.best_epoch)
        self.is_done = (
            has_diverged
            or progress.epoch == run.epochs
            or (self.has_callbacks and program.model.stop_training)
            or progress.monitor.should_stop
            or is_told_to_stop
        )
        if job.resume_point is not None and not self.is_done:
            job.resume_point.save_if_due(partial(snapshot.read, continues=True), progress)
        return changed

    def _keep_best(self, snapshot: Snapshot, logs: dict[str, float]) -> None:
        """Keep the values of this epoch if it is the best so far, for all tasks or for some."""
        progress = self.progress
        is_best, improved = progress.monitor.update(logs)
        if is_best:
            progress.best, progress.best_epoch = snapshot.read, progress.epoch
        if improved:
            progress.keeper.keep(improved, progress.epoch, snapshot.read_network())

    def _result_so_far(self, snapshot: Snapshot) -> TrainingResult:
        """Return the result as if training ended with this epoch and its weights."""
        epoch = self.progress.epoch
        return TrainingResult(snapshot.read(), self.progress.history, epoch, epoch)

    # --------------------------------------------------------------------------------------------
    # The end
    # --------------------------------------------------------------------------------------------

    def result(self, last: Snapshot) -> TrainingResult:
        """Return the result, from the values of the last epoch."""
        run, progress, program = self.job.plan.run, self.progress, self.program
        if progress.best is None:
            progress.best_epoch = progress.epoch
        state = (progress.best or last.read)()
        kept_epoch = progress.best_epoch
        best_network = state.network
        if self._seen is not None:
            values = program.start(state, run)
            program.show(values, predicts=True)
        self.callbacks.on_train_end({name: v[-1] for name, v in progress.history.items()})
        if self._seen is not None:
            state = program.read(program.take_back(values, predicts=True), run.learning_rate)
            kept_epoch = self._seen.find(progress.best_epoch)
            if kept_epoch == progress.best_epoch:
                best_network = state.network
        n_tasks = len(run.task_names)
        best_weights = progress.keeper.best_weights(n_tasks, progress.best_epoch, best_network)
        saved = [state.network, *(() if best_weights is None else best_weights.values)]
        is_finite = all(np.isfinite(value).all() for network in saved for value in network)
        if self.job.is_enough is None and not is_finite:
            # A step's objective is that of the weights before it.
            logs = {name: series[-1] for name, series in progress.history.items()}
            _handle_divergence(run, logs, progress.epoch, 0)
        stopping = progress.monitor.result()
        return TrainingResult(
            state,
            progress.history,
            progress.epoch,
            kept_epoch,
            best_weights,
            stopping,
            by_epoch=self._by_epoch,
        )

    def close(self) -> None:
        """Close the progress bar and what reads rows, and take the model from the callbacks."""
        if isinstance(self._order, WindowOrder):
            self._order.close()
        release_callbacks(self.job.plan.parts)


def keep_planned(result: TrainingResult, planned: PlannedEpochs) -> TrainingResult | None:
    """Return a result of which all epochs were kept as one of these; None if some are no use."""
    best, wanted = planned.best_epoch, {planned.best_epoch, *planned.task_epochs}
    if not wanted <= result.by_epoch.keys():
        return None
    kept = [result.by_epoch[epoch].network for epoch in wanted]
    if not all(np.isfinite(value).all() for network in kept for value in network):
        return None
    keeper = BestWeightsKeeper()
    for task, epoch in enumerate(planned.task_epochs):
        keeper.keep([task], epoch, result.by_epoch[epoch].network)
    state = result.by_epoch[best]
    weights = keeper.best_weights(len(planned.task_epochs), best, state.network)
    return replace(result, state=state, best_epoch=best, best_weights=weights, by_epoch={})


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


def _make_order(run: RunConfig, training: Subset) -> RandomOrder | LabelAwareOrder | WindowOrder:
    """Return what orders the rows of each epoch."""
    if isinstance(training, StoredSubset):
        return WindowOrder(training, run)
    if run.batching == "random":
        return RandomOrder(len(training.rows))
    return LabelAwareOrder(training.weight[training.rows] > 0, run.batch_size)


def _order_unlabelled(
    run: RunConfig, unlabelled: UnlabelledSubset, n_rows: int, number: int
) -> UnlabelledRows:
    """Return the unlabelled cells of an epoch of `n_rows` labelled rows."""
    n_wanted = -(-n_rows // run.batch_size) * run.unlabelled_batch_size
    rng = np.random.default_rng([run.seed, 3, number])
    order = unlabelled.rows[draw_endlessly(rng, len(unlabelled.rows), n_wanted)]
    factor = run.unlabelled_weight * ramp_up(number)
    return UnlabelledRows(unlabelled.weight, order, factor, run.unlabelled_batch_size)


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
