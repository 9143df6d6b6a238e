"""The compiled program: the training step of several networks at once, in a loop over batches.

A program is built once per configuration and used again: values, rates and rows are fed into it, so
that a second fit of the same shape traces nothing (`program_cache`). The networks that are trained
side by side, the members of a pack, have nothing in common but their shape. Does not know epochs,
callbacks or history.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._compat.interrupts import interrupts_deferred
from sk_mtl._compat.keras_internals import (
    dismantle_graphs,
    get_learning_rate,
    moving_averages,
)
from sk_mtl._model.build import build_network
from sk_mtl._model.ensemble import member_model
from sk_mtl._train.config import ProgramConfig, Rates, RunConfig
from sk_mtl._train.member_step import MemberStep
from sk_mtl._train.optimizer import inner_optimizer, kept_dtype, make_update
from sk_mtl._train.replicas import Share
from sk_mtl._train.state import AveragingState, TeacherState, TrainingState
from sk_mtl._train.values import Batch, Layout, UnlabelledBatch, Values, member_of
from sk_mtl.weighting import TaskWeighting

__all__ = ["Snapshot", "TrainingProgram"]

_DECAYED = ("kernel", "embeddings", "gate_kernel", "shared_gate_kernel")
# Numbers of the rows that wait for one call where XLA compiles: its shapes must not depend on the
# number of rows, for which it would compile anew. A call copies the weights, so that those of a
# large network want more rows.
_CELLS = 2**20
_CELLS_PER_WEIGHT = 4
_MAX_CELLS = 2**23


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
        self.config = config
        self.weighting = weighting
        self.optimizer = optimizer
        self.model = build_network(spec)
        # The model predicts in float32, and so it is validated.
        trained = self.model
        if config.product_dtype != "float32":
            trained = build_network(spec, config.product_dtype)
        members = member_model(trained) if spec.ensemble_size > 1 else trained
        self._initial_weighting = weighting.initial_state(len(spec.n_outputs))
        learned = [
            keras.Variable(self._initial_weighting[name], name=name, dtype="float32")
            for name in weighting.learned_state
        ]
        # What the optimizer updates; of the values of a training, these variables hold none.
        self._trainable = [*self.model.trainable_variables, *learned]
        n_network = len(self.model.trainable_variables)
        exempt = self._exempt_from_decay(learned)
        update = make_update(optimizer, self._trainable, exempt, n_network)
        self._optimizer_start = [np.array(v.numpy()) for v in optimizer.variables]
        position = {id(v): k for k, v in enumerate(optimizer.variables)}
        inner = inner_optimizer(optimizer)
        self._rate_variable = position.get(id(get_learning_rate(inner)))
        self._optimizer_averages = [position[id(v)] for v in moving_averages(inner)]
        self.step = MemberStep(config, self.model, trained, members, weighting, update)
        # How a call carries values and rates.
        self.values = Layout(self._example())
        self.rates = Layout(self.feed_rates(RunConfig((), 0, 0, 0)))
        self._compiled: dict[tuple[str, int], Callable[..., Any]] = {}
        self._lock = threading.Lock()  # packs in several threads share a program
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

    def run(self, n_members: int) -> Callable[[Any, Any, Any, Any], Any]:
        """Return what trains members on steps, compiled; see `_run`."""
        if self.config.replicas.number > 1:
            return self._run_on_devices(n_members)
        return self._compile(self._run, n_members, self._run_signature)

    def evaluate(self, n_members: int) -> Callable[[Any, Any, Batch], Any]:
        """Return what evaluates members on rows, compiled; see `_evaluate`."""
        return self._compile(self._evaluate, n_members, self._evaluate_signature)

    def _run_signature(self, n_members: int) -> tuple[Any, ...]:
        config = self.config
        n_steps = self.steps_per_call(n_members) if config.xla_batch_size else None
        rows = _rows_spec(config, (n_members, n_steps, config.xla_batch_size or None))
        batch = Batch(*rows, tf.TensorSpec((n_members, n_steps), tf.bool))
        if config.unlabelled is not None:
            n_more = config.xla_unlabelled_batch_size or None
            more = _rows_spec(config, (n_members, n_steps, n_more))
            factor = tf.TensorSpec((n_members, n_steps), tf.float32)
            batch = batch._replace(unlabelled=UnlabelledBatch(more[0], more[2], factor))
        if self.weighting.reads_epoch:
            batch = batch._replace(epoch=tf.TensorSpec((n_members, n_steps), tf.int32))
        values, rates = (layout.specs(n_members) for layout in (self.values, self.rates))
        return values, rates, batch, tf.TensorSpec((), tf.int32)

    def _part_signature(self, n_members: int) -> tuple[Any, ...]:
        values, rates, batch, n_steps = self._run_signature(n_members)
        part = batch._replace(first_row=tf.TensorSpec((n_members, None), tf.int32))
        return values, rates, part, n_steps

    def _evaluate_signature(self, n_members: int) -> tuple[Any, ...]:
        values, rates = (layout.specs(n_members) for layout in (self.values, self.rates))
        return values, rates, Batch(*_rows_spec(self.config, (n_members, None)), ())

    def steps_per_call(self, n_members: int) -> int:
        """Return the number of steps whose rows are gathered for one call, if XLA compiles it."""
        config, n_tasks = self.config, len(self.config.spec.n_outputs)
        n_inputs = config.spec.n_inputs
        cells = config.xla_batch_size * (n_inputs + 2 * n_tasks)
        cells += config.xla_unlabelled_batch_size * (n_inputs + n_tasks)
        n_weights = sum(int(np.prod(v.shape)) for v in self._trainable)
        wanted = min(max(_CELLS, _CELLS_PER_WEIGHT * n_weights), _MAX_CELLS)
        return _power_of_two(wanted // (cells * n_members))

    def _compile(
        self, function: Callable[..., Any], n_members: int, signature_of: Callable[[int], Any]
    ) -> Callable[..., Any]:
        """Return a function traced once, for one signature: nothing can make it trace again."""
        key = function.__name__, n_members
        with self._lock, interrupts_deferred():
            if key not in self._compiled:
                compiled = tf.function(
                    function,
                    input_signature=signature_of(n_members),
                    autograph=False,
                    # Evaluations are too short to pay for being compiled by XLA.
                    jit_compile=bool(self.config.xla_batch_size) and function == self._run,
                )
                # The concrete function: TensorFlow takes a new tf.function per fit for a retracing
                # by mistake.
                concrete = compiled.get_concrete_function()
                self._graphs.append(concrete.graph)
                self._compiled[key] = concrete
            return self._compiled[key]

    def _run_on_devices(self, n_members: int) -> Callable[..., Any]:
        """Return what does what `_run` does, with the rows of each device of this worker."""
        replicas, compiled = self.config.replicas, []
        for number, device in enumerate(replicas.devices):
            with tf.device(device):
                compiled.append(
                    self._compile(self._run_of(number), n_members, self._part_signature)
                )

        def call(values: Any, rates: Any, parts: Sequence[Batch], n_steps: Any) -> Any:
            def call_on(number: int) -> Any:
                with tf.device(replicas.devices[number]):
                    return compiled[number](values, rates, parts[number], n_steps)

            if len(compiled) == 1:
                return call_on(0)
            # One function with the operations of all devices would wait for itself for ever.
            with ThreadPoolExecutor(len(compiled)) as pool:
                return next(iter(list(pool.map(call_on, range(len(compiled))))))

        return call

    def _run_of(self, number: int) -> Callable[..., Any]:
        share = Share(self.config.replicas, number, repr(self.config))

        def run(values: Any, rates: Any, part: Batch, n_steps: Any) -> Any:
            return self._make_steps(values, rates, part, n_steps, share)

        run.__name__ = f"run_{number}"
        return run

    def _run(self, values: Any, rates: Any, batches: Batch, n_steps: Any) -> Any:
        """Train members on steps; return values, and sums of what `MemberStep.train` returns."""
        return self._make_steps(values, rates, batches, n_steps)

    def _make_steps(
        self, values: Any, rates: Any, batches: Batch, n_steps: Any, share: Share | None = None
    ) -> Any:
        n_members = values[0].shape[0]
        members, of_members = self.values.split(values), self.rates.split(rates)
        shapes = tf.nest.map_structure(lambda part: part.shape, members)

        def step(number: Any, members: Values, sums: Any) -> Any:
            batch = tf.nest.map_structure(lambda part: part[:, number], batches)
            # Of the steps of a single member, none is left out.
            train = partial(self.step.train, share=share) if n_members == 1 else self._train_member
            members, terms = _for_each_member(train, (members, of_members, batch))
            tf.nest.map_structure(lambda part, shape: part.set_shape(shape), members, shapes)
            return number + 1, members, tuple(s + t for s, t in zip(sums, terms, strict=True))

        of_tasks = tf.zeros((n_members, len(self.config.spec.n_outputs)))
        nothing = tf.zeros((n_members,))
        sums = (of_tasks, of_tasks, nothing, *([nothing] if batches.unlabelled else []))
        _, members, sums = tf.while_loop(
            lambda number, *_: number < n_steps,
            step,
            (tf.constant(0), members, sums),
            parallel_iterations=1,
        )
        return self.values.join_members(members), sums

    def _train_member(self, values: Values, rates: Rates, batch: Batch) -> Any:
        """Make a step of one of several members, unless it has none to make."""
        changed, terms = self.step.train(values, rates, batch)

        def choose(new: Any, old: Any) -> Any:
            return tf.where(batch.is_used, new, old)

        nothing = tf.nest.map_structure(tf.zeros_like, terms)
        return (
            tf.nest.map_structure(choose, changed, values),
            tf.nest.map_structure(choose, terms, nothing),
        )

    def _evaluate(self, values: Any, rates: Any, batch: Batch) -> Any:
        """Return by member the sums of task losses and of weights over rows, in inference mode."""
        members, offsets = self.values.split(values), self.rates.split(rates).logit_offsets
        return _for_each_member(self._evaluate_member, (members, offsets, batch))

    def _evaluate_member(self, values: Values, offsets: Any, batch: Batch) -> tuple[Any, Any]:
        return self.step.evaluate(self.predicting(values), offsets, batch)

    # --------------------------------------------------------------------------------------------
    # Values
    # --------------------------------------------------------------------------------------------

    def start(self, state: TrainingState, run: RunConfig) -> Values:
        """Return the values, as arrays, from which a run starts or continues."""
        step, config, n = self.step, self.config, self.step.n_trainable
        learned = self.weighting.learned_state
        network = [
            np.asarray(value, dtype=variable.dtype)
            for variable, value in zip(step.variables, state.network, strict=True)
        ]
        weighting = {name: np.asarray(v, np.float32) for name, v in state.weighting.items()}
        of_learned = [weighting.pop(name) for name in learned]
        averages: list[np.ndarray] = []
        n_averaged = n_taught = 0
        if config.averages_weights:
            averages = self._averaged(network)
            if state.averaging is not None:
                weights, n_averaged = iter(state.averaging.weights), state.averaging.n_steps
                is_averaged = [True] * n + step.is_moment
                pairs = zip(network, is_averaged, strict=True)
                network = [next(weights) if counts else value for value, counts in pairs]
        teacher: list[np.ndarray] = []
        if config.unlabelled is not None:
            of_teacher = state.teacher or TeacherState(state.network, 0)
            teacher = [*self._join(of_teacher.network[:n]), *of_teacher.network[n:]]
            n_taught = of_teacher.n_steps
        slots, others = step.update.split_values(self._start_optimizer(state, run.learning_rate))
        return Values(
            step.update.groups.join([*network[:n], *of_learned]),
            network[n:],
            weighting,
            slots,
            others,
            averages,
            np.int32(n_averaged),
            teacher,
            np.int32(n_taught),
        )

    def _join(self, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the network's weights, joined."""
        nothing = [np.zeros(0, np.float32)] * len(self.weighting.learned_state)
        return self.step.update.groups.join([*weights, *nothing])[: self.step.n_groups]

    def _averaged(self, network: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return what is averaged of a network's values: weights, joined, and moments."""
        n = self.step.n_trainable
        return [*self._join(network[:n]), *itertools.compress(network[n:], self.step.is_moment)]

    def _start_optimizer(
        self, state: TrainingState, learning_rate: float | None
    ) -> list[np.ndarray]:
        """Return the optimizer's values; those of another optimizer are not used."""
        values, carried_rate = self._optimizer_start, None
        if state.optimizer is not None and state.optimizer_settings is not None:
            description, rate = state.optimizer_settings
            if description == self.config.optimizer:
                values, carried_rate = state.optimizer, rate
        variables = self.optimizer.variables
        values = [np.asarray(v, kept_dtype(o)) for o, v in zip(variables, values, strict=True)]
        # A new learning rate replaces the one in the state.
        if self._rate_variable is not None and learning_rate not in (None, carried_rate):
            values[self._rate_variable] = np.array(learning_rate, np.float32)
        return values

    def _example(self) -> Values:
        """Return values of this program's shapes."""
        state = TrainingState(
            [np.array(v.numpy()) for v in self.step.variables], self._initial_weighting
        )
        return self.start(state, RunConfig((), 0, 0, 0))

    def feed_rates(self, run: RunConfig) -> Rates:
        """Return what is fed besides values and rows, as arrays."""
        spec, rates = self.config.spec, run.rates
        scalars = {
            name: np.float32(value)
            for name, value in rates._asdict().items()
            if isinstance(value, (int, float))
        }
        # The factor of the network's own layers is one before this.
        more = rates._replace(**scalars)
        return more._replace(
            l2=np.float32(rates.l2 / spec.l2 if spec.l2 else 1),
            logit_offsets=_filled(rates.logit_offsets, sum(spec.n_outputs)),
            label_smoothing=_filled(rates.label_smoothing, len(spec.n_outputs)),
            noise_seed=np.int64(np.random.default_rng([run.seed, 4]).integers(2**31)),
        )

    def predicting(self, values: Values) -> list[Any]:
        """Return the values with which networks predict: averages, if weights are averaged."""
        step = self.step
        if self.config.averages_weights:
            moments = iter(values.averages[step.n_groups :])
            pairs = zip(values.fixed, step.is_moment, strict=True)
            fixed = [next(moments) if counts else value for value, counts in pairs]
            return step.split_network(values.averages, fixed)
        if self._optimizer_averages:  # the optimizer's own, of what is trained
            averages = [values.optimizer[k] for k in self._optimizer_averages]
            return [*averages[: step.n_trainable], *values.fixed]
        return step.split_network(values.trained, values.fixed)

    def read(
        self, values: Values, learning_rate: float | None, *, continues: bool = False
    ) -> TrainingState:
        """Return the state that the values of one member, as arrays, stand for."""
        # An optimizer's own averages take the place of the weights at the end of a training, not
        # where the same one continues.
        step = self.step
        trained = step.update.groups.split(values.trained)
        network, learned = self.predicting(values), trained[step.n_trainable :]
        if self._optimizer_averages and continues:
            network = step.split_network(values.trained, values.fixed)
        elif self._optimizer_averages:
            averages = [values.optimizer[k] for k in self._optimizer_averages]
            learned = averages[step.n_trainable :]
        averaging = teacher = None
        if self.config.averages_weights:
            moments = itertools.compress(values.fixed, step.is_moment)
            weights = [*trained[: step.n_trainable], *moments]
            averaging = AveragingState(weights, int(values.n_averaged))
        if self.config.unlabelled is not None:
            of_teacher = step.split_network(values.teacher, values.teacher[step.n_groups :])
            teacher = TeacherState(of_teacher, int(values.n_taught))
        return TrainingState(
            network,
            self.read_weighting(values, learned),
            step.update.join_values(values.slots, values.optimizer),
            (self.config.optimizer, learning_rate),
            teacher,
            averaging,
        )

    def read_weighting(
        self, values: Values, learned: Sequence[np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the state of the task weighting."""
        if learned is None:
            learned = values.trained[self.step.n_groups :]
        of_learned = dict(zip(self.weighting.learned_state, learned, strict=True))
        state = values.weighting | of_learned
        return {name: state[name] for name in self._initial_weighting}

    # --------------------------------------------------------------------------------------------
    # The live model, for callbacks
    # --------------------------------------------------------------------------------------------

    @interrupts_deferred()
    def show(self, values: Values, *, predicts: bool) -> None:
        """Let model and optimizer hold the values of one member, or those it predicts with."""
        network = self.step.split_network(values.trained, values.fixed)
        if predicts:
            network = self.predicting(values)
        for variable, value in zip(self.step.variables, network, strict=True):
            variable.assign(value)
        of_optimizer = self.step.update.join_values(values.slots, values.optimizer)
        for variable, value in zip(self.optimizer.variables, of_optimizer, strict=True):
            variable.assign(value)

    @interrupts_deferred()
    def take_back(self, values: Values, *, predicts: bool) -> Values:
        """Return the values of one member with what callbacks changed in what `show` gave them."""
        step, n = self.step, self.step.n_trainable
        network = [np.array(v.value.numpy()) for v in step.variables]
        slots, others = step.update.split_values(
            [np.array(v.value.numpy(), dtype=kept_dtype(v)) for v in self.optimizer.variables]
        )
        values = values._replace(slots=slots, optimizer=others)
        if predicts and self.config.averages_weights:
            pairs = zip(network[n:], values.fixed, step.is_moment, strict=True)
            fixed = [old if counts else new for new, old, counts in pairs]
            return values._replace(fixed=fixed, averages=self._averaged(network))
        trained = [*self._join(network[:n]), *values.trained[step.n_groups :]]
        return values._replace(trained=trained, fixed=network[n:])


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The values of a member of a pack after an epoch; read when they are needed."""

    program: TrainingProgram
    matrices: tuple[Any, ...]  # of all members
    number: int  # of the member
    learning_rate: float | None  # that it was given

    def take(self) -> Values:
        """Return the member's values as arrays."""
        return self.program.values.split(member_of(self.matrices, self.number))

    def read(self, *, continues: bool = False) -> TrainingState:
        """Return the state of its training, as it ends or as it continues."""
        return self.program.read(self.take(), self.learning_rate, continues=continues)

    def read_network(self) -> list[np.ndarray]:
        """Return the values with which its network predicts."""
        return self.program.predicting(self.take())


# ------------------------------------------------------------------------------------------------
# Shapes
# ------------------------------------------------------------------------------------------------


def _power_of_two(number: int) -> int:
    """Return the largest power of two that is not larger, at least 1."""
    return 1 << max(number.bit_length() - 1, 0)


def _rows_spec(config: ProgramConfig, axes: tuple[int | None, ...]) -> tuple[Any, Any, Any]:
    """Return the specifications of features, codes and weights of rows."""
    n_tasks = len(config.spec.n_outputs)
    return (
        tf.TensorSpec((*axes, config.spec.n_inputs), tf.float32),
        tf.TensorSpec((*axes, n_tasks), tf.int32),
        tf.TensorSpec((*axes, n_tasks), tf.float32),
    )


def _for_each_member(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return what a function gives for each member, on axis 0; for several it is vectorised."""
    if tf.nest.flatten(arguments)[0].shape[0] > 1:
        return tf.vectorized_map(lambda parts: function(*parts), arguments)
    own = tf.nest.map_structure(lambda part: tf.squeeze(part, 0), arguments)
    return tf.nest.map_structure(lambda part: part[tf.newaxis], function(*own))


def _filled(values: np.ndarray | None, n_values: int) -> np.ndarray:
    """Return values as float32; zeros for None."""
    return np.zeros(n_values, np.float32) if values is None else np.asarray(values, np.float32)
