"""The compiled program: a network, its optimizer and weighting, and the functions over them.

A program is built once per configuration and used again: values, learning rate, data and batch size
are fed into it, so that a second fit of the same shape traces nothing (`program_cache`). Does not
know epochs, callbacks or history.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._compat.interrupts import interrupts_deferred
from sk_mtl._compat.keras_internals import dismantle_graphs
from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.ensemble import member_model
from sk_mtl._train.averaging import WeightAverage, averaged_variables
from sk_mtl._train.config import ProgramConfig, RunConfig
from sk_mtl._train.optimizer import build_optimizer, inner_optimizer, kept_dtype
from sk_mtl._train.state import TeacherState, TrainingState
from sk_mtl._train.steps import TrainingSteps, dropout_layers, signature_of
from sk_mtl._train.teacher import Teacher
from sk_mtl._train.xla_steps import XlaTrainingSteps
from sk_mtl.weighting import TaskWeighting

__all__ = ["TrainingProgram"]

_DECAYED = ("kernel", "embeddings")


class TrainingProgram:
    """A network, its optimizer and weighting, and the functions compiled over them.

    Parameters
    ----------
    config : ProgramConfig
        What shapes the program.
    optimizer : keras.Optimizer
        As the configuration describes it; not built yet.
    weighting : TaskWeighting
        As the configuration describes it.
    """

    @interrupts_deferred()
    def __init__(
        self,
        config: ProgramConfig,
        optimizer: keras.optimizers.Optimizer,
        weighting: TaskWeighting,
    ):
        spec = config.spec
        n_tasks = len(spec.n_outputs)
        self.config = config
        self.logit_offsets = self.label_smoothing = None
        if config.has_logit_offsets:
            self.logit_offsets = _settable(sum(spec.n_outputs), "logit_offsets")
        if config.smooths_labels:
            self.label_smoothing = _settable(n_tasks, "label_smoothing")
        self.model = build_network(spec)
        members = member_model(self.model) if spec.ensemble_size > 1 else self.model
        self.teacher: Teacher | None = None
        if config.unlabelled is not None:
            widths = [layer.output.shape[-1] for layer in dropout_layers(self.model)]
            self.teacher = Teacher(spec, config.unlabelled, widths)
        self.average: WeightAverage | None = None
        if config.ema_momentum:
            self.average = WeightAverage(averaged_variables(self.model), config.ema_momentum)
        self.weighting_variables = {
            name: keras.Variable(value, name=f"task_weighting_{name}", dtype="float32")
            for name, value in weighting.initial_state(n_tasks).items()
        }
        learned = [self.weighting_variables[name] for name in weighting.learned_state]
        self.trainable = [*self.model.trainable_variables, *learned]
        self.optimizer = optimizer
        build_optimizer(optimizer, self.trainable, self._exempt_from_decay(learned))
        self._optimizer_start = [np.array(v.numpy()) for v in optimizer.variables]
        self._settings: tuple[str, float | None] = (config.optimizer, None)
        steps = XlaTrainingSteps if config.xla_batch_size else TrainingSteps
        self._steps = steps(
            config=config,
            model=self.model,
            members=members,
            optimizer=optimizer,
            weighting=weighting,
            weighting_variables=self.weighting_variables,
            trainable=self.trainable,
            logit_offsets=self.logit_offsets,
            label_smoothing=self.label_smoothing,
            teacher=self.teacher,
            average=self.average,
        )
        self._graphs: list[tf.Graph] = []
        # TensorFlow never frees a graph with a loop in it, nor does Python's garbage collector.
        self.dismantle = weakref.finalize(self, dismantle_graphs, self._graphs)
        self.dismantle.atexit = False

    def _exempt_from_decay(self, learned: list[Any]) -> list[Any]:
        """Return the variables that weight decay leaves alone."""
        # It would draw the output biases away from the log-odds of the classes, and the
        # log-variances of tasks to 0. A custom model decays as Keras does.
        if self.config.spec.custom_model is not None:
            return learned
        return [*learned, *(v for v in self.model.trainable_variables if v.name not in _DECAYED)]

    # --------------------------------------------------------------------------------------------
    # Compiled functions
    # --------------------------------------------------------------------------------------------

    @cached_property
    def run_steps(self) -> Any:
        """The compiled steps of an epoch; see `TrainingSteps.run`."""
        table, steps, unlabelled = signature_of(self.config)
        is_taught = self.teacher is not None
        return self._compile(
            self._steps.run, (table, steps, unlabelled) if is_taught else (table, steps)
        )

    @cached_property
    def evaluate(self) -> Any:
        """The compiled evaluation; see `TrainingSteps.evaluate`."""
        table, steps, _ = signature_of(self.config)
        return self._compile(self._steps.evaluate, (table, steps.order))

    @interrupts_deferred()
    def _compile(self, function: Any, signature: Sequence[Any]) -> Any:
        """Return a function traced once, for one signature: nothing can make it trace again."""
        compiled = tf.function(function, input_signature=signature, autograph=False)
        # The concrete function: TensorFlow takes a new tf.function per fit for a retracing by
        # mistake.
        concrete = compiled.get_concrete_function()
        self._graphs.append(concrete.graph)
        return concrete

    # --------------------------------------------------------------------------------------------
    # Values
    # --------------------------------------------------------------------------------------------

    @interrupts_deferred()
    def load(self, state: TrainingState, run: RunConfig) -> None:
        """Assign the values that a run starts or continues from."""
        for variable, value in zip(network_variables(self.model), state.network, strict=True):
            variable.assign(value)
        if self.average is not None:
            self.average.load(state.averaging)
        for name, variable in self.weighting_variables.items():
            variable.assign(state.weighting[name])
        self._load_optimizer(state, run.learning_rate)
        if self.teacher is not None:
            self.teacher.load(state.teacher or TeacherState(state.network, 0))
            self.teacher.seed(run.seed)
        if self.logit_offsets is not None:
            self.logit_offsets.assign(run.logit_offsets)
        if self.label_smoothing is not None:
            self.label_smoothing.assign(run.label_smoothing)

    def _load_optimizer(self, state: TrainingState, learning_rate: float | None) -> None:
        """Assign the optimizer's variables; values of another optimizer are not used."""
        values, carried_rate = self._optimizer_start, None
        if state.optimizer is not None and state.optimizer_settings is not None:
            description, rate = state.optimizer_settings
            if description == self.config.optimizer:
                values, carried_rate = state.optimizer, rate
        for variable, value in zip(self.optimizer.variables, values, strict=True):
            variable.assign(value)
        # A new learning rate replaces the one in the state.
        if learning_rate is not None and learning_rate != carried_rate:
            self.optimizer.learning_rate = learning_rate
        self._settings = (self.config.optimizer, learning_rate)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Hold the averages of the weights, the program's or the optimizer's, in a `with` block."""
        optimizer = inner_optimizer(self.optimizer)
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
        """Return copies of all values."""
        return TrainingState(
            self.read_network(),
            self.read_weighting(),
            [np.array(v.value.numpy(), dtype=kept_dtype(v)) for v in self.optimizer.variables],
            self._settings,
            None if self.teacher is None else self.teacher.read(),
            None if self.average is None else self.average.read(),
        )

    def read_network(self) -> list[np.ndarray]:
        """Return copies of the network's values, or of their averages if weights are averaged."""
        averages = {} if self.average is None else self.average.by_variable()
        variables = [averages.get(id(v), v) for v in network_variables(self.model)]
        return [np.array(v.value.numpy()) for v in variables]

    def read_weighting(self) -> dict[str, np.ndarray]:
        """Return copies of the state of the task weighting."""
        return {name: np.array(v.numpy()) for name, v in self.weighting_variables.items()}


def _settable(n_values: int, name: str) -> keras.Variable:
    """Return a variable for a setting of the loss, whose values do not shape the program."""
    return keras.Variable(np.zeros(n_values), trainable=False, name=name, dtype="float32")
