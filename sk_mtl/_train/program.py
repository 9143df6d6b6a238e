"""The compiled program: a network, its optimizer and weighting, and the functions over them.

Owns the steps of an epoch and the evaluation as compiled functions. A program is built once per
shape and used again: values, learning rate, data and batch size are fed into it, so a second fit of
the same shape traces nothing (`_program_cache`). Does not know epochs, callbacks or history.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from sk_mtl._model.build import build_network, logits_of, network_variables
from sk_mtl._model.ensemble import member_model
from sk_mtl._model.layers import NoiseDropout, draw_bits
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.averaging import WeightAverage
from sk_mtl._train.early_stopping import EarlyStopping, PlannedEpoch, TaskStopping
from sk_mtl._train.state import TeacherState, TrainingState
from sk_mtl._train.teacher import (
    MissingBatch,
    Teacher,
    UnlabelledSpec,
    replace_features,
)
from sk_mtl.losses._tasks import (
    member_cross_entropy,
    member_margins,
    task_cross_entropy,
    task_disagreement,
    task_margins,
    task_means,
)
from sk_mtl.weighting import TaskWeighting

__all__ = [
    "TrainingPlan",
    "TrainingProgram",
    "averaged_variables",
    "kept_dtype",
    "optimizer_and_inner",
    "place_features",
    "resolve_jit_compile",
]

_DECAYED = ("kernel", "embeddings")
_EVALUATION_ROWS = 8192
# Steps that pay for what XLA takes to compile; measured in docs/benchmarks/speed.md.
_MIN_XLA_STEPS = 400
_XLA_CELLS = 2**20  # of X and of noise that wait for one call of what XLA compiled


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
    stopping : EarlyStopping, PlannedEpoch or None
        Watches the validation loss, or the training loss without validation rows.
    task_stopping : TaskStopping or None
        Watches the same of each task, whose best epochs are kept then; decides on the stop.
    monitored_task : int or None
        Task whose loss is watched; None for the mean over tasks.
    callbacks : list of keras.callbacks.Callback
        The user's, called as by `keras.Model.fit`.
    progress : keras.callbacks.Callback or None
        Shows how training goes; keeps nothing.
    jit_compile : bool
        Whether XLA compiles the steps; see `_run_steps_by_xla`.
    focal_gamma : float or None
        Exponent of the focal loss; None for the cross-entropy.
    logit_offsets : ndarray of float32 of shape (sum(n_outputs),) or None
        What is added to the logits in the loss.
    label_smoothing : ndarray of float32 of shape (n_tasks,) or None
        Share of each task's labels that is spread over its classes, in training alone.
    batching : {"random", "label_aware"}
        How the rows of an epoch are ordered.
    unlabelled : UnlabelledSpec or None
        How cells without a label are learned from; None for not at all.
    unlabelled_weight : float
        What they count beside the labelled ones, in the end.
    unlabelled_batch_size : int
        Rows with such cells per step.
    ema_momentum : float
        How much of the running average of the weights a step leaves; 0 for no average.
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
    stopping: EarlyStopping | PlannedEpoch | None = None
    task_stopping: TaskStopping | None = None
    monitored_task: int | None = None
    callbacks: list[keras.callbacks.Callback] = field(default_factory=list)
    progress: keras.callbacks.Callback | None = None
    jit_compile: bool = False
    focal_gamma: float | None = None
    logit_offsets: np.ndarray | None = None
    label_smoothing: np.ndarray | None = None
    batching: str = "random"
    unlabelled: UnlabelledSpec | None = None
    unlabelled_weight: float = 1.0
    unlabelled_batch_size: int = 0
    ema_momentum: float = 0.0


# ------------------------------------------------------------------------------------------------
# The compiled program
# ------------------------------------------------------------------------------------------------


class TrainingProgram:
    """A network, its optimizer and weighting, and the functions compiled over them.

    Parameters
    ----------
    plan : TrainingPlan
        Gives spec, optimizer, weighting, normalisation and loss; nothing else of it is used.
    is_sparse : bool
        Whether X is a CSR matrix.
    """

    def __init__(self, plan: TrainingPlan, is_sparse: bool):
        self.spec = plan.spec
        self.jit_batch_size = plan.batch_size if plan.jit_compile else 0  # 0: no XLA
        self.weighting = plan.weighting
        self.loss_normalization = plan.loss_normalization
        self.focal_gamma = plan.focal_gamma
        self.logit_offsets = None
        if plan.logit_offsets is not None:
            # A variable: other data have other offsets, and no other program.
            self.logit_offsets = keras.Variable(
                plan.logit_offsets, trainable=False, name="logit_offsets", dtype="float32"
            )
        self.label_smoothing = None
        if plan.label_smoothing is not None:
            self.label_smoothing = keras.Variable(
                plan.label_smoothing, trainable=False, name="label_smoothing", dtype="float32"
            )
        self.model = build_network(plan.spec)
        # What is trained: the logits of each member, where there are several.
        self.members = member_model(self.model) if plan.spec.ensemble_size > 1 else self.model
        self.teacher: Teacher | None = None
        self.jit_missing_size = plan.unlabelled_batch_size if plan.jit_compile else 0
        if plan.unlabelled is not None:
            widths = [layer.output.shape[-1] for layer in self._dropout_layers]
            self.teacher = Teacher(plan.spec, plan.unlabelled, widths)
        self.average: WeightAverage | None = None
        if plan.ema_momentum:
            self.average = WeightAverage(averaged_variables(self.model), plan.ema_momentum)
        self.optimizer = plan.optimizer
        self._build_state()
        self._graphs: list[tf.Graph] = []
        # TensorFlow never frees a graph with a loop in it, nor does Python's garbage collector.
        self.dismantle = weakref.finalize(self, _dismantle_graphs, self._graphs)
        self.dismantle.atexit = False
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
        steps = self._run_steps_by_xla if self.jit_batch_size else self._run_steps
        missing: tuple[Any, ...] = ()
        if self.teacher is not None:
            weight = tf.TensorSpec((None, len(self.spec.n_outputs)), tf.float32)
            order, factor = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.float32)
            missing = (weight, order, factor, tf.TensorSpec((), tf.int32))
        return self._compile(steps, (*self._signature, *scalars, *missing))

    @cached_property
    def evaluate(self) -> Any:
        """The compiled evaluation; see `_evaluate`."""
        return self._compile(self._evaluate, self._signature)

    def _compile(self, function: Any, signature: Sequence[Any]) -> Any:
        """Return a function traced once, for one signature: nothing can make it trace again."""
        compiled = tf.function(function, input_signature=signature, autograph=False)
        # The concrete function: TensorFlow takes a new tf.function per fit for a retracing by
        # mistake.
        concrete = compiled.get_concrete_function()
        self._graphs.append(concrete.graph)
        return concrete

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
            # Decay is for kernels and embeddings: it would draw the output biases away from the
            # log-odds of the classes, and the log-variances of tasks to 0. A custom model decays as
            # Keras does.
            exempt = list(learned)
            if self.spec.custom_model is None:
                exempt += [v for v in self.model.trainable_variables if v.name not in _DECAYED]
            if exempt:
                optimizer.exclude_from_weight_decay(var_list=exempt)
        self.optimizer.build(self.trainable)
        _shorten_adam(optimizer)
        if not tf.distribute.has_strategy():
            for part in optimizer_and_inner(self.optimizer):
                # A sum over one replica: Keras registers a gradient of it with TensorFlow, where it
                # stays, with the graph that it is of.
                part._all_reduce_sum_gradients = list
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
        if self.average is not None:
            self.average.load(state.averaging)
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
        if self.teacher is not None:
            self.teacher.load(state.teacher or TeacherState(state.network, 0))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Hold, for a while, the averages of the weights, the program's own or the optimizer's."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if self.average is not None:
            with self.average.held():
                yield
            return
        if not optimizer.use_ema:
            yield
            return
        weights = [np.array(v.numpy()) for v in self.trainable]
        optimizer.finalize_variable_values(self.trainable)
        try:
            yield
        finally:
            for variable, value in zip(self.trainable, weights, strict=True):
                variable.assign(value)

    def read(self) -> TrainingState:
        """Return copies of all values.

        Returns
        -------
        state : TrainingState
            The program's variables as arrays.
        """
        return TrainingState(
            self.read_network(),
            {name: np.array(v.numpy()) for name, v in self.weighting_variables.items()},
            [np.array(v.value.numpy(), dtype=kept_dtype(v)) for v in self.optimizer.variables],
            self.settings,
            None if self.teacher is None else self.teacher.read(),
            None if self.average is None else self.average.read(),
        )

    def read_network(self) -> list[np.ndarray]:
        """Return copies of the network's values.

        Returns
        -------
        values : list of ndarray
            In the order of `network_variables`; averages, where weights are averaged.
        """
        averages = {} if self.average is None else self.average.by_variable()
        variables = [averages.get(id(v), v) for v in network_variables(self.model)]
        return [np.array(v.value.numpy()) for v in variables]

    def _run_steps(
        self,
        features: tuple[tf.Tensor, ...],
        codes: tf.Tensor,
        weight: tf.Tensor,
        order: tf.Tensor,
        first_step: tf.Tensor,
        end_step: tf.Tensor,
        batch_size: tf.Tensor,
        *missing: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        """Train on steps of an epoch; return sums of task losses, of weights, of objectives.

        Where there is a teacher: of those of the unlabelled cells, too. `missing` are their
        weights, the order of their rows, what they count, and how many there are in a step.
        """

        def step(number: tf.Tensor, *totals: Any) -> Any:
            rows = order[number * batch_size : (number + 1) * batch_size]
            sums = self._train_on(
                _gather_rows(features, rows, self.spec.n_features),
                tf.gather(codes, rows),
                tf.gather(weight, rows),
                self._gather_missing(features, number, missing),
            )
            return number + 1, *(t + s for t, s in zip(totals, sums, strict=True))

        _, *sums = tf.while_loop(
            lambda number, *_: number < end_step,
            step,
            (first_step, *self._no_sums()),
            parallel_iterations=1,
        )
        return tuple(sums)

    def _no_sums(self) -> tuple[tf.Tensor, ...]:
        """Return what the sums of `_train_on` start from."""
        nothing = tf.zeros(len(self.spec.n_outputs))
        return (nothing, nothing, tf.zeros(()), *([tf.zeros(())] if self.teacher else []))

    def _gather_missing(
        self, features: Any, number: Any, missing: tuple[Any, ...]
    ) -> MissingBatch | None:
        """Return the rows with unlabelled cells of a step."""
        if self.teacher is None:
            return None
        weight, order, factor, size = missing
        rows = order[number * size : (number + 1) * size]
        noise = [drawn[0] for drawn in self.teacher.draw_noise(1, size)]
        X = _gather_rows(features, rows, self.spec.n_features)
        return MissingBatch(X, tf.gather(weight, rows), noise, factor)

    def _run_steps_by_xla(
        self,
        features: tuple[tf.Tensor, ...],
        codes: tf.Tensor,
        weight: tf.Tensor,
        order: tf.Tensor,
        first_step: tf.Tensor,
        end_step: tf.Tensor,
        batch_size: tf.Tensor,
        *missing: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        """Do what `_run_steps` does, with the loop over some steps compiled by XLA.

        XLA compiles anew for every shape, so that the number of rows must not be in one: the rows
        of a fixed number of steps are gathered outside, and the last batch is filled up with rows
        of weight 0. Its random numbers are slow on the CPU: those of dropout are drawn outside.
        """
        size = self.jit_batch_size
        cells = size * (self.spec.n_features + self._n_dropped)
        if self.teacher is not None:
            cells += self.jit_missing_size * (2 * self.spec.n_features + self._n_dropped)
        n_steps = max(1, _XLA_CELLS // cells)
        loop = tf.function(self._loop_of_xla, jit_compile=True, autograph=False)

        def run_some(number: tf.Tensor, *totals: Any) -> Any:
            some = tf.minimum(end_step - number, n_steps)
            rows, is_row = _rows_of_steps(order, number, some, n_steps, size)
            sums = loop(
                some,
                _by_step(_gather_rows(features, rows, self.spec.n_features), n_steps),
                _by_step(tf.gather(codes, rows), n_steps),
                _by_step(tf.gather(weight, rows) * is_row[:, None], n_steps),
                self._draw_noise(n_steps, some),
                self._gather_missing_of_steps(features, number, some, n_steps, missing),
            )
            return number + some, *(t + s for t, s in zip(totals, sums, strict=True))

        _, *sums = tf.while_loop(
            lambda number, *_: number < end_step,
            run_some,
            (first_step, *self._no_sums()),
            parallel_iterations=1,
        )
        return tuple(sums)

    def _gather_missing_of_steps(
        self, features: Any, number: Any, some: Any, n_steps: int, missing: tuple[Any, ...]
    ) -> MissingBatch | None:
        """Return the rows with unlabelled cells of several steps, by step."""
        if self.teacher is None:
            return None
        weight, order, factor, _ = missing
        size = self.jit_missing_size
        rows, _ = _rows_of_steps(order, number, some, n_steps, size)
        return MissingBatch(
            _by_step(_gather_rows(features, rows, self.spec.n_features), n_steps),
            _by_step(tf.gather(weight, rows), n_steps),
            self.teacher.draw_noise(n_steps, size),
            factor,
        )

    def _loop_of_xla(
        self,
        n_steps: tf.Tensor,
        X: tf.Tensor,
        codes: tf.Tensor,
        weight: tf.Tensor,
        noise: Any,
        missing: MissingBatch | None,
    ) -> Any:
        """Train on the first steps of arrays of shape (steps, rows of a batch, width)."""

        def step(number: tf.Tensor, *totals: Any) -> Any:
            of_step = None if missing is None else missing.of_step(number)
            with self._noise_in_dropout([drawn[number] for drawn in noise]):
                sums = self._train_on(X[number], codes[number], weight[number], of_step)
            return number + 1, *(t + s for t, s in zip(totals, sums, strict=True))

        _, *sums = tf.while_loop(
            lambda number, *_: number < n_steps,
            step,
            (tf.constant(0), *self._no_sums()),
            parallel_iterations=1,
        )
        return tuple(sums)

    @contextmanager
    def _noise_in_dropout(self, noise: Sequence[Any]) -> Iterator[None]:
        """Let the dropout layers take their random numbers from here, for a while."""
        before = [layer.noise for layer in self._dropout_layers]
        try:
            for layer, drawn in zip(self._dropout_layers, noise, strict=True):
                layer.noise = drawn
            yield
        finally:
            for layer, drawn in zip(self._dropout_layers, before, strict=True):
                layer.noise = drawn

    @cached_property
    def _dropout_layers(self) -> list[NoiseDropout]:
        return [layer for layer in self.model.layers if isinstance(layer, NoiseDropout)]

    @property
    def _n_dropped(self) -> int:
        """Return how many activations of a row may be dropped."""
        return sum(layer.output.shape[-1] for layer in self._dropout_layers)

    def _draw_noise(self, n_steps: int, n_used: tf.Tensor) -> list[tf.Tensor]:
        """Return random 16-bit integers for each dropout layer, by step, and count the steps."""
        noise = []
        for layer in self._dropout_layers:
            shape = (n_steps, self.jit_batch_size, layer.output.shape[-1])
            state = layer.seed_generator.state.value
            noise.append(draw_bits(state, shape))
            state.assign_add(tf.stack([0, tf.cast(n_used, state.dtype)]))
        return noise

    def _train_on(
        self,
        X: tf.Tensor,
        codes: tf.Tensor,
        weight: tf.Tensor,
        missing: MissingBatch | None = None,
    ) -> tuple[Any, ...]:
        """Make one step on one batch."""
        of_missing: tuple[Any, ...] = ()
        with tf.GradientTape() as tape:
            logits = logits_of(self.spec, self.members(X, training=True))
            logits = self._adjust_logits(logits)
            loss_sum, weight_sum = self._sum_losses(logits, codes, weight)
            smoothed_sum = loss_sum + self._smoothing_sum(logits, codes, weight)
            losses = self._divide_losses(smoothed_sum, weight_sum)
            state = {name: v.value for name, v in self.weighting_variables.items()}
            objective, new_state = self.weighting.combine(losses, weight_sum > 0, state)
            if self.members.losses:
                objective += tf.add_n(self.members.losses)
            if self.teacher is not None and missing is not None:
                of_missing = (self._objective_of_missing(self.teacher, missing, state),)
                objective += missing.factor * of_missing[0]
            minimized = objective
            if self.spec.ensemble_method == "independent":
                # The gradient of a member is that of its own objective, not of its share of a mean.
                minimized = objective * self.spec.ensemble_size
            scaled = self.optimizer.scale_loss(minimized)
        # A custom network may have heads that no task reads.
        unread = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(scaled, [v.value for v in self.trainable], None, unread)
        self.optimizer.apply(gradients, self.trainable)
        for name, value in new_state.items():
            self.weighting_variables[name].assign(value)
        if self.average is not None:
            self.average.follow()
        if self.teacher is not None:
            self.teacher.follow(self.model)
        return loss_sum, weight_sum, objective, *of_missing

    def _divide_losses(self, loss_sum: Any, weight_sum: Any) -> Any:
        """Return the task losses from the sums over a batch."""
        if self.loss_normalization == "tasks":
            return task_means(loss_sum, weight_sum)
        everything = tf.fill(tf.shape(weight_sum), tf.reduce_sum(weight_sum))
        return task_means(loss_sum, everything)

    def _objective_of_missing(
        self, teacher: Teacher, missing: MissingBatch, state: dict[str, Any]
    ) -> tf.Tensor:
        """Return what unlabelled cells add to the objective, before their factor."""
        X, noise = missing.X, list(missing.noise)
        teacher_logits = teacher.logits(X)
        if teacher.how.input_noise:
            X = replace_features(X, noise.pop(0), teacher.how.input_noise)
        with self._noise_in_dropout(noise):
            logits = logits_of(self.spec, self.members(X, training=True))
        loss_sum, weight_sum = task_disagreement(
            logits, teacher_logits, missing.weight, self.spec.n_outputs, teacher.how.threshold
        )
        losses, present = self._divide_losses(loss_sum, weight_sum), weight_sum > 0
        # Weights of tasks are learned from labels alone.
        state = {name: tf.stop_gradient(value) for name, value in state.items()}
        combined, of_nothing = (
            self.weighting.combine(x, present, state)[0] for x in (losses, tf.zeros_like(losses))
        )
        return combined - of_nothing

    def _adjust_logits(self, logits: tf.Tensor) -> tf.Tensor:
        return logits if self.logit_offsets is None else logits + self.logit_offsets.value

    def _sum_losses(self, logits: tf.Tensor, codes: tf.Tensor, weight: tf.Tensor) -> Any:
        """Return the sums of task losses and of weights over a batch, as a mean over members."""
        loss_of = task_cross_entropy if len(logits.shape) == 2 else member_cross_entropy
        return loss_of(logits, codes, weight, self.spec.n_outputs, self.focal_gamma)

    def _smoothing_sum(self, logits: tf.Tensor, codes: tf.Tensor, weight: tf.Tensor) -> Any:
        """Return what smoothed labels add to the sums of task losses."""
        if self.label_smoothing is None:
            return 0.0
        margins_of = task_margins if len(logits.shape) == 2 else member_margins
        margins = margins_of(logits, codes, weight, self.spec.n_outputs)
        return self.label_smoothing.value * margins

    def _evaluate(
        self,
        features: tuple[tf.Tensor, ...],
        codes: tf.Tensor,
        weight: tf.Tensor,
        rows: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the sums of task losses and of weights over rows, in inference mode."""
        n_rows = max(_EVALUATION_ROWS // self.spec.ensemble_size, 1)

        def step(start: tf.Tensor, losses: Any, weights: Any) -> Any:
            some = rows[start : start + n_rows]
            X = _gather_rows(features, some, self.spec.n_features)
            logits = logits_of(self.spec, self.model(X, training=False))
            loss_sum, weight_sum = self._sum_losses(
                self._adjust_logits(logits), tf.gather(codes, some), tf.gather(weight, some)
            )
            return start + n_rows, losses + loss_sum, weights + weight_sum

        nothing = tf.zeros(len(self.spec.n_outputs))
        _, *sums = tf.while_loop(
            lambda start, *_: start < tf.shape(rows)[0],
            step,
            (tf.constant(0), nothing, nothing),
            parallel_iterations=1,
        )
        return tuple(sums)


def averaged_variables(model: keras.Model) -> list[Any]:
    """Return the variables of a network that are averaged.

    Parameters
    ----------
    model : keras.Model
        A network.

    Returns
    -------
    variables : list of keras.Variable
        What changes in training and is predicted with: weights, and the moments of batches.
    """
    moments = [v for v in model.non_trainable_variables if v.name.startswith("moving_")]
    return [*model.trainable_variables, *moments]


def _dismantle_graphs(graphs: list[tf.Graph]) -> None:
    """Take graphs apart that nothing will run any more, with those of the loops in them.

    By what TensorFlow itself calls for a function that goes out of scope; where it has other names,
    the memory stays taken.
    """
    while graphs:
        graph = graphs.pop()
        with suppress(AttributeError):
            graphs += [function.graph for function in graph._functions.values()]
            graph._function_captures.clear()
            graph._functions.clear()
            graph.Dismantle()


def _shorten_adam(optimizer: keras.optimizers.Optimizer) -> None:
    """Let Adam update all variables with half the operations of Keras's own loop over them.

    The arithmetic is Keras's, to the bit; what all variables have in common is computed once. In
    small networks a step, and the tracing of the first fit, are mostly Adam's.
    """
    is_adam = type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
    if not is_adam or optimizer.amsgrad:
        return

    def update(gradients: Sequence[Any], variables: Sequence[Any], learning_rate: Any) -> None:
        rate = tf.cast(learning_rate, tf.float32)
        n_steps = tf.cast(tf.convert_to_tensor(optimizer.iterations) + 1, tf.float32)
        unbias_1, unbias_2 = (1 - tf.pow(b, n_steps) for b in (optimizer.beta_1, optimizer.beta_2))
        rate = rate * tf.sqrt(unbias_2) / unbias_1
        for gradient, variable in zip(gradients, variables, strict=True):
            if variable.dtype != "float32" or not isinstance(gradient, tf.Tensor):
                optimizer.update_step(gradient, variable, learning_rate)
                continue
            index = optimizer._get_variable_index(variable)
            first = optimizer._momentums[index].value
            second = optimizer._velocities[index].value
            m = first + (gradient - first) * (1 - optimizer.beta_1)
            v = second + (tf.square(gradient) - second) * (1 - optimizer.beta_2)
            first.assign(m)
            second.assign(v)
            variable.value.assign_sub(m * rate / (tf.sqrt(v) + optimizer.epsilon))

    optimizer._backend_update_step = update


def _rows_of_steps(
    order: tf.Tensor, first: tf.Tensor, n_used: tf.Tensor, n_steps: int, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the rows of steps, filled up to a number of steps, and 1 where it is a row."""
    rows = order[first * size : (first + n_used) * size]
    n_rows = tf.size(rows)
    rows = tf.ensure_shape(tf.pad(rows, [[0, n_steps * size - n_rows]]), (n_steps * size,))
    return rows, tf.cast(tf.range(n_steps * size) < n_rows, tf.float32)


def _by_step(array: tf.Tensor, n_steps: int) -> tf.Tensor:
    """Return rows as (steps, rows of a batch, width)."""
    return tf.reshape(array, (n_steps, array.shape[0] // n_steps, array.shape[1]))


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


def place_features(X: Any) -> tuple[tf.Tensor, ...]:
    """Return X as tensors: one matrix, or the three arrays of a CSR matrix."""
    if sp.issparse(X):
        return (
            tf.constant(X.data, tf.float32),
            tf.constant(X.indices, tf.int64),
            tf.constant(X.indptr, tf.int64),
        )
    return (tf.constant(X, tf.float32),)


def resolve_jit_compile(jit_compile: bool | str, plan: TrainingPlan, n_steps: int) -> bool:
    """Return whether XLA compiles the steps.

    Parameters
    ----------
    jit_compile : bool or "auto"
        What the user wants.
    plan : TrainingPlan
        What to train.
    n_steps : int
        Steps that are planned at most.

    Returns
    -------
    jit_compile : bool
        The decision. It depends on no other fit, so that a result does not.

    Raises
    ------
    ValueError
        If XLA is wanted for a network whose rows depend on each other, or may.
    """
    if jit_compile is False:
        return False
    is_safe = plan.spec.normalization != "batch" and plan.spec.custom_model is None
    if jit_compile is True:
        if not is_safe:
            raise ValueError(
                "jit_compile=True needs a network in which a row does not depend on the others of "
                "its batch, since the last batch is filled up. Got normalization='batch' or a "
                "`model`; set jit_compile=False or 'auto'."
            )
        return True
    # What is not Keras's or ours may do what XLA cannot compile.
    parts = (*optimizer_and_inner(plan.optimizer), plan.weighting)
    is_known = all(type(p).__module__.startswith(("keras.", "sk_mtl.")) for p in parts)
    schedules = [getattr(o, "_learning_rate", None) for o in optimizer_and_inner(plan.optimizer)]
    is_known &= all(type(s).__module__.startswith(("keras.", "builtins")) for s in schedules)
    on_cpu = not tf.config.list_physical_devices("GPU")
    return is_safe and is_known and on_cpu and n_steps >= _MIN_XLA_STEPS


def optimizer_and_inner(optimizer: Any) -> tuple[Any, Any]:
    return optimizer, getattr(optimizer, "inner_optimizer", optimizer)


def kept_dtype(variable: keras.Variable) -> str:
    """Return the dtype in which a value of the optimizer is kept.

    Parameters
    ----------
    variable : keras.Variable
        One of an optimizer's.

    Returns
    -------
    dtype : str
        The variable's, or "float32" where it is "float64": that is how Keras creates a learning
        rate while `keras.config.floatx` is, and a model must not depend on what a process has set.
    """
    dtype = str(variable.dtype)
    return "float32" if dtype == "float64" else dtype
