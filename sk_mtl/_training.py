"""Training: the compiled loop over the steps of an epoch, and the cache of compiled programs.

Owns how arrays, network, weighting and optimizer become fitted values. The arrays are placed once,
the steps of an epoch run inside one compiled function, and the host reads once an epoch. Does not
know y's labels, nor the estimator.

A program (network, optimizer, weighting, compiled functions) is built once per shape and used
again: values, learning rate, data and batch size are fed into it, so a second fit of the same
shape traces nothing.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning

from sk_mtl._early_stopping import EarlyStopping
from sk_mtl._labels import enumerate_some
from sk_mtl._network import (
    NetworkSpec,
    build_network,
    draw_initial_values,
    logits_of,
    network_variables,
)
from sk_mtl._prediction import clear_forward_programs
from sk_mtl._problem import LabelledRows
from sk_mtl.losses import task_cross_entropy, task_means
from sk_mtl.weighting import FixedWeighting, TaskWeighting

__all__ = [
    "NonFiniteLossError",
    "TrainingOutcome",
    "TrainingPlan",
    "TrainingState",
    "clear_program_cache",
    "draw_start",
    "train",
]

_EVALUATION_ROWS = 8192
_MAX_IDLE_PROGRAMS = 16


@dataclass(frozen=True)
class TrainingState:
    """What training changes, as plain arrays, so that it can go on from there.

    Attributes
    ----------
    network : list of ndarray
        The network's variables, in the order of `network_variables`.
    weighting : dict of ndarray
        The state of the task weighting.
    optimizer : list of ndarray or None
        The optimizer's variables; None starts it afresh.
    optimizer_settings : tuple (str, float or None) or None
        Whose variables they are: the optimizer's kind and configuration, and the learning rate
        that it was given, None for a schedule.
    """

    network: list[np.ndarray]
    weighting: dict[str, np.ndarray]
    optimizer: list[np.ndarray] | None = None
    optimizer_settings: tuple[str, float | None] | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """What to train and how.

    Attributes
    ----------
    spec : NetworkSpec
        The network.
    task_names : tuple
        Names of its tasks, for logs.
    optimizer : keras.Optimizer
        An optimizer of this fit's own, not built yet.
    weighting : TaskWeighting
        How task losses are combined.
    loss_normalization : {"tasks", "cells"}
        What the sum over a task's labelled cells is divided by.
    epochs : int
        Passes over the rows at most.
    batch_size : int
        Rows per step.
    seed : int
        Seed of everything drawn: with the number of the epoch it fixes its order.
    first_epoch : int
        Epochs that were trained before.
    stopping : EarlyStopping or None
        Watches the validation loss, or the training loss without validation rows.
    monitored_task : int or None
        Task whose loss is watched; None for the mean over tasks.
    callbacks : list of keras.callbacks.Callback
        The user's, called as by `keras.Model.fit`.
    progress : keras.callbacks.Callback or None
        Shows how training goes; keeps nothing.
    """

    spec: NetworkSpec
    task_names: tuple[Hashable, ...]
    optimizer: keras.optimizers.Optimizer
    weighting: TaskWeighting
    loss_normalization: str
    epochs: int
    batch_size: int
    seed: int
    first_epoch: int = 0
    stopping: EarlyStopping | None = None
    monitored_task: int | None = None
    callbacks: list[keras.callbacks.Callback] = field(default_factory=list)
    progress: keras.callbacks.Callback | None = None


@dataclass(frozen=True)
class TrainingOutcome:
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
    """

    state: TrainingState
    history: dict[str, list[float]]
    n_epochs: int
    best_epoch: int


class NonFiniteLossError(ValueError):
    """The loss of an epoch became NaN or infinite, so that no usable network came out."""


# ------------------------------------------------------------------------------------------------
# The compiled program
# ------------------------------------------------------------------------------------------------


class TrainingProgram:
    """A network, its optimizer and weighting, and the functions compiled over them.

    Parameters
    ----------
    plan : TrainingPlan
        Gives spec, optimizer, weighting and normalisation; nothing else of it is used.
    is_sparse : bool
        Whether X is a CSR matrix.
    """

    def __init__(self, plan: TrainingPlan, is_sparse: bool):
        self.spec = plan.spec
        self.weighting = plan.weighting
        self.loss_normalization = plan.loss_normalization
        self.model = build_network(plan.spec)
        self.optimizer = plan.optimizer
        self._build_state()
        features: tuple[Any, ...] = (tf.TensorSpec((None, plan.spec.n_features), tf.float32),)
        if is_sparse:
            features = (
                tf.TensorSpec((None,), tf.float32),
                tf.TensorSpec((None,), tf.int64),
                tf.TensorSpec((None,), tf.int64),
            )
        n_tasks = len(plan.spec.n_outputs)
        self._signature = (
            features,
            tf.TensorSpec((None, n_tasks), tf.int32),
            tf.TensorSpec((None, n_tasks), tf.float32),
            tf.TensorSpec((None,), tf.int32),
        )

    @cached_property
    def run_steps(self) -> Any:
        """The compiled steps of an epoch; see `_run_steps`."""
        scalars = [tf.TensorSpec((), tf.int32)] * 3
        return _compile(self._run_steps, (*self._signature, *scalars))

    @cached_property
    def evaluate(self) -> Any:
        """The compiled evaluation; see `_evaluate`."""
        return _compile(self._evaluate, self._signature)

    def _build_state(self) -> None:
        """Create the weighting's variables and the optimizer's, and note the latter's start."""
        initial = self.weighting.initial_state(len(self.spec.n_outputs))
        self.weighting_variables = {
            name: keras.Variable(value, name=f"task_weighting_{name}", dtype="float32")
            for name, value in initial.items()
        }
        learned = [self.weighting_variables[name] for name in self.weighting.learned_state]
        self.trainable = [*self.model.trainable_variables, *learned]
        # Weight decay is the inner optimizer's where the outer one only scales the loss.
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if optimizer.weight_decay:
            # Decay is for kernels: it would draw the output biases away from the log-odds of the
            # classes, and the log-variances of tasks to 0. A custom model decays as Keras does.
            exempt = list(learned)
            if self.spec.custom_model is None:
                exempt += [v for v in self.model.trainable_variables if v.name != "kernel"]
            if exempt:
                optimizer.exclude_from_weight_decay(var_list=exempt)
        self.optimizer.build(self.trainable)
        self.optimizer_start = [np.array(v.numpy()) for v in self.optimizer.variables]

    def load(self, state: TrainingState, settings: tuple[str, float | None]) -> None:
        """Assign the values that training starts from.

        Parameters
        ----------
        state : TrainingState
            Values of the network, the weighting and, if it goes on, the optimizer.
        settings : tuple (str, float or None)
            Of the plan's optimizer. Another optimizer than the state's starts afresh, and
            another learning rate takes the place of the one in the state.
        """
        for variable, value in zip(network_variables(self.model), state.network, strict=True):
            variable.assign(value)
        for name, variable in self.weighting_variables.items():
            variable.assign(state.weighting[name])
        values, carried_rate = self.optimizer_start, None
        if state.optimizer is not None and state.optimizer_settings is not None:
            carried, rate = state.optimizer_settings
            if carried == settings[0]:
                values, carried_rate = state.optimizer, rate
        for variable, value in zip(self.optimizer.variables, values, strict=True):
            variable.assign(value)
        if settings[1] is not None and settings[1] != carried_rate:
            self.optimizer.learning_rate = settings[1]
        self.settings = settings

    def read(self) -> TrainingState:
        """Return copies of all values.

        Returns
        -------
        state : TrainingState
            The program's variables as arrays.
        """
        return TrainingState(
            [np.array(v.numpy()) for v in network_variables(self.model)],
            {name: np.array(v.numpy()) for name, v in self.weighting_variables.items()},
            [np.array(v.numpy()) for v in self.optimizer.variables],
            self.settings,
        )

    def _run_steps(
        self,
        features: tuple[tf.Tensor, ...],
        codes: tf.Tensor,
        weight: tf.Tensor,
        order: tf.Tensor,
        first_step: tf.Tensor,
        end_step: tf.Tensor,
        batch_size: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Train on steps of an epoch; return sums of task losses, of weights, of objectives."""

        def step(number: tf.Tensor, losses: Any, weights: Any, objectives: Any) -> Any:
            rows = order[number * batch_size : (number + 1) * batch_size]
            loss_sum, weight_sum, objective = self._train_on(
                _gather_rows(features, rows, self.spec.n_features),
                tf.gather(codes, rows),
                tf.gather(weight, rows),
            )
            return number + 1, losses + loss_sum, weights + weight_sum, objectives + objective

        nothing = tf.zeros(len(self.spec.n_outputs))
        _, *sums = tf.while_loop(
            lambda number, *_: number < end_step,
            step,
            (first_step, nothing, nothing, tf.zeros(())),
            parallel_iterations=1,
        )
        return tuple(sums)

    def _train_on(self, X: tf.Tensor, codes: tf.Tensor, weight: tf.Tensor) -> tuple[Any, Any, Any]:
        """Make one step on one batch."""
        with tf.GradientTape() as tape:
            logits = logits_of(self.spec, self.model(X, training=True))
            loss_sum, weight_sum = task_cross_entropy(logits, codes, weight, self.spec.n_outputs)
            if self.loss_normalization == "tasks":
                losses = task_means(loss_sum, weight_sum)
            else:
                everything = tf.fill(tf.shape(weight_sum), tf.reduce_sum(weight_sum))
                losses = task_means(loss_sum, everything)
            state = {name: v.value for name, v in self.weighting_variables.items()}
            objective, new_state = self.weighting.combine(losses, weight_sum > 0, state)
            if self.model.losses:
                objective += tf.add_n(self.model.losses)
            scaled = self.optimizer.scale_loss(objective)
        # A custom network may have heads that no task reads.
        unread = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(scaled, [v.value for v in self.trainable], None, unread)
        self.optimizer.apply(gradients, self.trainable)
        for name, value in new_state.items():
            self.weighting_variables[name].assign(value)
        return loss_sum, weight_sum, objective

    def _evaluate(
        self,
        features: tuple[tf.Tensor, ...],
        codes: tf.Tensor,
        weight: tf.Tensor,
        rows: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the sums of task losses and of weights over rows, in inference mode."""

        def step(start: tf.Tensor, losses: Any, weights: Any) -> Any:
            some = rows[start : start + _EVALUATION_ROWS]
            X = _gather_rows(features, some, self.spec.n_features)
            logits = logits_of(self.spec, self.model(X, training=False))
            loss_sum, weight_sum = task_cross_entropy(
                logits, tf.gather(codes, some), tf.gather(weight, some), self.spec.n_outputs
            )
            return start + _EVALUATION_ROWS, losses + loss_sum, weights + weight_sum

        nothing = tf.zeros(len(self.spec.n_outputs))
        _, *sums = tf.while_loop(
            lambda start, *_: start < tf.shape(rows)[0],
            step,
            (tf.constant(0), nothing, nothing),
            parallel_iterations=1,
        )
        return tuple(sums)


def _compile(function: Any, signature: Sequence[Any]) -> Any:
    """Return a function traced once, for one signature, which nothing can make it trace again."""
    compiled = tf.function(function, input_signature=signature, autograph=False)
    # The concrete function: TensorFlow takes a new tf.function per fit for a retracing by mistake.
    return compiled.get_concrete_function()


def _gather_rows(features: tuple[tf.Tensor, ...], rows: tf.Tensor, n_features: int) -> tf.Tensor:
    """Return rows of X as a dense batch; a CSR matrix is made dense here and nowhere else."""
    if len(features) == 1:
        return tf.gather(features[0], rows)
    values, columns, starts = features
    first = tf.gather(starts, rows)
    length = tf.gather(starts, rows + 1) - first
    row = tf.repeat(tf.range(tf.size(rows, out_type=tf.int64)), length)
    within = tf.range(tf.size(row, out_type=tf.int64)) - tf.gather(
        tf.cumsum(length, exclusive=True), row
    )
    position = tf.gather(first, row) + within
    cells = tf.stack([row, tf.gather(columns, position)], axis=1)
    shape = tf.stack([tf.size(rows, out_type=tf.int64), tf.constant(n_features, tf.int64)])
    batch = tf.scatter_nd(cells, tf.gather(values, position), shape)
    return tf.ensure_shape(batch, (None, n_features))


def _place(X: Any) -> tuple[tf.Tensor, ...]:
    """Return X as tensors: one matrix, or the three arrays of a CSR matrix."""
    if sp.issparse(X):
        return (
            tf.constant(X.data, tf.float32),
            tf.constant(X.indices, tf.int64),
            tf.constant(X.indptr, tf.int64),
        )
    return (tf.constant(X, tf.float32),)


# ------------------------------------------------------------------------------------------------
# The cache of compiled programs
# ------------------------------------------------------------------------------------------------

_idle_programs: OrderedDict[int, tuple[Hashable, TrainingProgram]] = OrderedDict()
_lock = threading.Lock()


def _optimizer_settings(optimizer: keras.optimizers.Optimizer) -> tuple[str, float | None]:
    """Return an optimizer's kind and configuration as text, and its learning rate apart."""
    kind = f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"
    try:
        config = _without_names(keras.optimizers.serialize(optimizer)["config"])
        rate = config.get("learning_rate")
        rate = float(config.pop("learning_rate")) if isinstance(rate, (int, float)) else None
        return f"{kind} {json.dumps(config, sort_keys=True)}", rate
    except (TypeError, ValueError, NotImplementedError):
        return kind, None


def _without_names(config: Any) -> Any:
    """Return a configuration without the names that Keras gives by counting."""
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    return config


def _program_key(
    plan: TrainingPlan, settings: tuple[str, float | None], is_sparse: bool
) -> Hashable | None:
    """Return what shapes the program; None if it cannot be told, or may outlive the training."""
    inner = getattr(plan.optimizer, "inner_optimizer", plan.optimizer)
    # Classes of the user's own may do what their configuration does not tell.
    is_told = all(type(o).__module__.startswith("keras.") for o in (plan.optimizer, inner))
    weighting_key = plan.weighting.program_key()
    # A callback may keep the model beyond the fit.
    if not is_told or weighting_key is None or plan.spec.custom_model or plan.callbacks:
        return None
    weighting = (type(plan.weighting), weighting_key)
    return (plan.spec, settings[0], weighting, plan.loss_normalization, is_sparse)


def _acquire_program(key: Hashable | None, plan: TrainingPlan, is_sparse: bool) -> TrainingProgram:
    """Take an idle program of this key out of the cache, or build one."""
    with _lock:
        for number in reversed(_idle_programs):
            if key is not None and _idle_programs[number][0] == key:
                return _idle_programs.pop(number)[1]
    return TrainingProgram(plan, is_sparse)


def _release_program(key: Hashable | None, program: TrainingProgram) -> None:
    """Put a program back; the least recently used one leaves when there are too many."""
    if key is None:
        return
    with _lock:
        _idle_programs[id(program)] = (key, program)
        while len(_idle_programs) > _MAX_IDLE_PROGRAMS:
            _idle_programs.popitem(last=False)


def clear_program_cache() -> None:
    """Forget all compiled programs, of training and of prediction, and the memory they hold.

    A fit takes the compiled program of an earlier fit of the same shape (network, optimizer,
    task weighting), which changes no result; at most 16 idle ones are kept.

    Examples
    --------
    >>> from sk_mtl import clear_program_cache
    >>> clear_program_cache()
    """
    with _lock:
        _idle_programs.clear()
    clear_forward_programs()


# ------------------------------------------------------------------------------------------------
# The loop over epochs
# ------------------------------------------------------------------------------------------------


def draw_start(
    spec: NetworkSpec,
    weighting: TaskWeighting,
    class_frequencies: Sequence[np.ndarray],
    seed: int,
    custom_values: list[np.ndarray] | None = None,
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

    Returns
    -------
    state : TrainingState
        Initial values.
    """
    rng = np.random.default_rng([seed, 0])
    values = draw_initial_values(spec, class_frequencies, rng, custom_values)
    return TrainingState(values, weighting.initial_state(len(spec.n_outputs)))


def train(
    plan: TrainingPlan,
    start: TrainingState,
    training: LabelledRows,
    validation: LabelledRows | None = None,
) -> TrainingOutcome:
    """Train a network.

    Parameters
    ----------
    plan : TrainingPlan
        What to train and how.
    start : TrainingState
        The values to start from.
    training : LabelledRows
        Rows to train on, each with a labelled cell.
    validation : LabelledRows or None, default=None
        Rows to watch.

    Returns
    -------
    outcome : TrainingOutcome
        Values, history, and the best epoch.

    Raises
    ------
    NonFiniteLossError
        If the loss of an epoch is NaN or infinite and no earlier epoch is to be kept.
    """
    is_sparse = sp.issparse(training.X)
    settings = _optimizer_settings(plan.optimizer)
    key = _program_key(plan, settings, is_sparse)
    program = _acquire_program(key, plan, is_sparse)
    program.load(_with_weighting_of(plan, start), settings)
    outcome = _run_epochs(program, plan, training, validation)
    for callback in plan.callbacks:
        # Else the live model would be pickled with whatever holds the callback.
        keras.callbacks.Callback.set_model(callback, None)
    _release_program(key, program)
    return outcome


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
    training: LabelledRows,
    validation: LabelledRows | None,
) -> TrainingOutcome:
    """Run epochs until the plan's end, a stop, or a callback's wish."""
    arrays = _placed_arrays(training)
    held_out, watched_rows = None, None
    if validation is not None:
        held_out = _placed_arrays(validation, arrays[0] if validation.X is training.X else None)
        watched_rows = tf.constant(validation.rows, tf.int32)
    callbacks = _start_callbacks(plan, program, len(training.rows))
    history: dict[str, list[float]] = {}
    best, best_epoch, epoch = None, 0, 0
    for epoch in range(1, plan.epochs + 1):
        callbacks.on_epoch_begin(plan.first_epoch + epoch - 1)
        rng = np.random.default_rng([plan.seed, 1, plan.first_epoch + epoch])
        order = training.rows[rng.permutation(len(training.rows))].astype(np.int32)
        logs = _run_epoch(program, plan, arrays, order, callbacks)
        if held_out is not None:
            logs |= _validation_logs(program, plan, held_out, watched_rows)
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        if plan.stopping is not None and plan.stopping.update(_watched(plan, logs)):
            best, best_epoch = program.read(), epoch
        callbacks.on_epoch_end(plan.first_epoch + epoch - 1, logs)
        if not np.isfinite(logs["objective"]):
            _deal_with_divergence(plan, logs, epoch, best_epoch)
            break
        stops = plan.stopping is not None and plan.stopping.should_stop
        if stops or program.model.stop_training:
            break
    if best is None:
        best_epoch = epoch
        program.optimizer.finalize_variable_values(program.trainable)
    else:
        program.load(best, program.settings)
    callbacks.on_train_end({name: values[-1] for name, values in history.items()})
    state = program.read()
    if not all(np.isfinite(value).all() for value in state.network):
        # A step's objective is that of the weights before it.
        _deal_with_divergence(plan, logs, epoch, 0)
    return TrainingOutcome(state, history, epoch, best_epoch)


def _placed_arrays(
    labelled: LabelledRows, features: tuple[tf.Tensor, ...] | None = None
) -> tuple[Any, tf.Tensor, tf.Tensor]:
    """Return the arrays as tensors; features that are placed already are not placed again."""
    return (
        _place(labelled.X) if features is None else features,
        tf.constant(labelled.codes, tf.int32),
        tf.constant(labelled.weight, tf.float32),
    )


def _run_epoch(
    program: TrainingProgram,
    plan: TrainingPlan,
    arrays: tuple[Any, tf.Tensor, tf.Tensor],
    order: np.ndarray,
    callbacks: keras.callbacks.CallbackList,
) -> dict[str, float]:
    """Train one epoch, in one call, or in one per batch where a callback asks for batches."""
    n_steps = -(-len(order) // plan.batch_size)
    rows = tf.constant(order)
    if not _wants_batches(plan.callbacks):
        sums = _run(program, plan, arrays, rows, 0, n_steps)
        return _training_logs(program, plan, [s.numpy() for s in sums], n_steps)
    total: list[Any] = [0.0, 0.0, 0.0]
    for number in range(n_steps):
        callbacks.on_train_batch_begin(number)
        sums = _run(program, plan, arrays, rows, number, number + 1)
        total = [t + s.numpy() for t, s in zip(total, sums, strict=True)]
        logs = _training_logs(program, plan, total, number + 1)
        callbacks.on_train_batch_end(number, logs)
        if program.model.stop_training:
            break
    return logs


def _run(
    program: TrainingProgram, plan: TrainingPlan, arrays: Any, rows: tf.Tensor, first: int, end: int
) -> Any:
    """Run steps of an epoch."""
    scalars = (tf.constant(number, tf.int32) for number in (first, end, plan.batch_size))
    return program.run_steps(*arrays, rows, *scalars)


def _training_logs(
    program: TrainingProgram, plan: TrainingPlan, sums: Sequence[np.ndarray], n_steps: int
) -> dict[str, float]:
    """Return the losses of an epoch: their mean, the objective, and one per task."""
    losses = _divide(sums[0], sums[1])
    logs = {"loss": _mean_over_tasks(losses, sums[1]), "objective": float(sums[2] / n_steps)}
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


def _deal_with_divergence(
    plan: TrainingPlan, logs: dict[str, float], epoch: int, best_epoch: int
) -> None:
    """Warn where an earlier epoch is kept, else raise; name the tasks whose loss is not finite."""
    tasks = [repr(n) for n in plan.task_names if not np.isfinite(logs[f"{n}_loss"])]
    message = (
        f"Training diverged: the objective is {logs['objective']} after epoch {epoch}"
        + (f" (tasks {enumerate_some(tasks)})" if tasks else ", and the weights are not finite")
        + ". Scale X (StandardScaler), lower optimizer__learning_rate, or clip gradients "
        "(optimizer__global_clipnorm=1.0)."
    )
    if not best_epoch:
        raise NonFiniteLossError(message)
    warnings.warn(
        f"{message} The weights of epoch {best_epoch} are kept.", ConvergenceWarning, stacklevel=2
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
