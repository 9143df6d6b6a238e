"""Steps: the functions of a program that are compiled.

Owns what a training step computes, and the loops over steps and over the rows of an evaluation.
Does not know what is compiled when, nor where the values of variables come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy.typing as npt
import scipy.sparse as sp
import tensorflow as tf

from sk_mtl._compat.interrupts import interrupts_deferred
from sk_mtl._model.build import logits_of
from sk_mtl._model.layers import NoiseDropout
from sk_mtl._train.averaging import WeightAverage
from sk_mtl._train.config import ProgramConfig
from sk_mtl._train.teacher import Teacher, UnlabelledBatch, replace_features
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
    "Batch",
    "StepRange",
    "Table",
    "TrainingSteps",
    "UnlabelledRows",
    "dropout_layers",
    "place",
    "place_features",
    "signature_of",
]

_EVALUATION_ROWS = 8192


class Table(NamedTuple):
    """Rows on the device."""

    features: tuple[Any, ...]  # one matrix, or the three arrays of a CSR matrix
    codes: Any  # int32 of shape (n_rows, n_tasks)
    weight: Any  # float32 of shape (n_rows, n_tasks); 0 for unlabelled cells


class StepRange(NamedTuple):
    """The steps of an epoch to train on."""

    order: Any  # rows of the epoch in their order, int32 of shape (n_rows,)
    first: Any  # the first step
    end: Any  # the step after the last
    batch_size: Any  # rows per step


class UnlabelledRows(NamedTuple):
    """The unlabelled cells of an epoch."""

    weight: Any  # float32 of shape (n_rows, n_tasks); 0 for labelled cells
    order: Any  # rows with unlabelled cells, in their order
    factor: Any  # weight of these cells relative to labelled ones
    batch_size: Any  # rows per step


class Batch(NamedTuple):
    """The labelled rows of a step; or of several steps, with one more axis in front."""

    X: Any  # float32 of shape (n_rows, n_features)
    codes: Any  # int32 of shape (n_rows, n_tasks)
    weight: Any  # float32 of shape (n_rows, n_tasks)

    def of_step(self, number: Any) -> Batch:
        """Return the rows of one of several steps."""
        return Batch(self.X[number], self.codes[number], self.weight[number])


@dataclass(eq=False)
class TrainingSteps:
    """The compiled functions, over the variables that they read and change."""

    config: ProgramConfig
    model: keras.Model
    # What is trained: the network, or in an ensemble the logits of each member.
    members: keras.Model
    optimizer: keras.optimizers.Optimizer  # built for `trainable`
    weighting: TaskWeighting
    weighting_variables: dict[str, keras.Variable]
    trainable: list[Any]  # what the optimizer updates
    # Variables, so that other data need no other program.
    logit_offsets: keras.Variable | None
    label_smoothing: keras.Variable | None
    teacher: Teacher | None
    average: WeightAverage | None

    def __post_init__(self) -> None:
        self.spec = self.config.spec

    # --------------------------------------------------------------------------------------------
    # Loops
    # --------------------------------------------------------------------------------------------

    def run(
        self, table: Table, steps: StepRange, unlabelled: UnlabelledRows | None = None
    ) -> tuple[Any, ...]:
        """Train on steps of an epoch; return the sums of what `train_on_batch` returns."""

        def step(number: Any) -> tuple[Any, tuple[Any, ...]]:
            rows = steps.order[number * steps.batch_size : (number + 1) * steps.batch_size]
            batch = gather_batch(table, rows, self.spec.n_features)
            return number + 1, self.train_on_batch(
                batch, self._unlabelled_of_step(table, number, unlabelled)
            )

        return self._sum_over_steps(steps.first, steps.end, step)

    def evaluate(self, table: Table, rows: Any) -> tuple[Any, ...]:
        """Return the sums of task losses and of weights over rows, in inference mode."""
        n_rows = max(_EVALUATION_ROWS // self.spec.ensemble_size, 1)

        def step(start: Any) -> tuple[Any, tuple[Any, ...]]:
            batch = gather_batch(table, rows[start : start + n_rows], self.spec.n_features)
            logits = logits_of(self.spec, self.model(batch.X, training=False))
            return start + n_rows, self._sum_losses(self._adjust_logits(logits), batch)

        nothing = tf.zeros(len(self.spec.n_outputs))
        return _add_up(tf.constant(0), tf.shape(rows)[0], step, (nothing, nothing))

    def _sum_over_steps(self, first: Any, end: Any, step: Callable[[Any], Any]) -> tuple[Any, ...]:
        """Return the sums of what `train_on_batch` returns; see `_add_up`."""
        nothing = tf.zeros(len(self.spec.n_outputs))
        start = (nothing, nothing, tf.zeros(()), *([tf.zeros(())] if self.teacher else []))
        return _add_up(first, end, step, start)

    def _unlabelled_of_step(
        self, table: Table, number: Any, unlabelled: UnlabelledRows | None
    ) -> UnlabelledBatch | None:
        if self.teacher is None or unlabelled is None:
            return None
        size = unlabelled.batch_size
        rows = unlabelled.order[number * size : (number + 1) * size]
        noise = [drawn[0] for drawn in self.teacher.draw_noise(1, size)]
        X = gather_features(table.features, rows, self.spec.n_features)
        return UnlabelledBatch(X, tf.gather(unlabelled.weight, rows), noise, unlabelled.factor)

    # --------------------------------------------------------------------------------------------
    # A step
    # --------------------------------------------------------------------------------------------

    def train_on_batch(
        self, batch: Batch, unlabelled: UnlabelledBatch | None = None
    ) -> tuple[Any, ...]:
        """Make one step; return task losses, weights, objective, and that of unlabelled cells."""
        of_unlabelled: tuple[Any, ...] = ()
        with tf.GradientTape() as tape:
            logits = logits_of(self.spec, self.members(batch.X, training=True))
            logits = self._adjust_logits(logits)
            loss_sum, weight_sum = self._sum_losses(logits, batch)
            smoothed_sum = loss_sum + self._smoothing_sum(logits, batch)
            losses = self._divide_losses(smoothed_sum, weight_sum)
            state = {name: v.value for name, v in self.weighting_variables.items()}
            objective, new_state = self.weighting.combine(losses, weight_sum > 0, state)
            if self.members.losses:
                objective += tf.add_n(self.members.losses)
            if self.teacher is not None and unlabelled is not None:
                of_unlabelled = (self._unlabelled_objective(self.teacher, unlabelled, state),)
                objective += unlabelled.factor * of_unlabelled[0]
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
        return loss_sum, weight_sum, objective, *of_unlabelled

    def _divide_losses(self, loss_sum: Any, weight_sum: Any) -> Any:
        """Return the task losses from the sums over a batch."""
        if self.config.loss_normalization == "tasks":
            return task_means(loss_sum, weight_sum)
        everything = tf.fill(tf.shape(weight_sum), tf.reduce_sum(weight_sum))
        return task_means(loss_sum, everything)

    def _unlabelled_objective(
        self, teacher: Teacher, unlabelled: UnlabelledBatch, state: dict[str, Any]
    ) -> Any:
        """Return what unlabelled cells add to the objective, before their factor."""
        X, noise = unlabelled.X, list(unlabelled.noise)
        teacher_logits = teacher.logits(X)
        if teacher.how.input_noise:
            X = replace_features(X, noise.pop(0), teacher.how.input_noise)
        with self.noise_in_dropout(noise):
            logits = logits_of(self.spec, self.members(X, training=True))
        loss_sum, weight_sum = task_disagreement(
            logits, teacher_logits, unlabelled.weight, self.spec.n_outputs, teacher.how.threshold
        )
        losses, present = self._divide_losses(loss_sum, weight_sum), weight_sum > 0
        # The weights of tasks are learned from labels only.
        state = {name: tf.stop_gradient(value) for name, value in state.items()}
        combined, of_nothing = (
            self.weighting.combine(x, present, state)[0] for x in (losses, tf.zeros_like(losses))
        )
        return combined - of_nothing

    def _adjust_logits(self, logits: Any) -> Any:
        return logits if self.logit_offsets is None else logits + self.logit_offsets.value

    def _sum_losses(self, logits: Any, batch: Batch) -> tuple[Any, Any]:
        """Return the sums of task losses and of weights over a batch, as a mean over members."""
        loss_of = task_cross_entropy if len(logits.shape) == 2 else member_cross_entropy
        n_outputs, gamma = self.spec.n_outputs, self.config.focal_gamma
        return loss_of(logits, batch.codes, batch.weight, n_outputs, gamma)

    def _smoothing_sum(self, logits: Any, batch: Batch) -> Any:
        """Return what smoothed labels add to the sums of task losses."""
        if self.label_smoothing is None:
            return 0.0
        margins_of = task_margins if len(logits.shape) == 2 else member_margins
        margins = margins_of(logits, batch.codes, batch.weight, self.spec.n_outputs)
        return self.label_smoothing.value * margins

    # --------------------------------------------------------------------------------------------
    # Dropout
    # --------------------------------------------------------------------------------------------

    @cached_property
    def _dropout_layers(self) -> list[NoiseDropout]:
        return dropout_layers(self.model)

    @contextmanager
    def noise_in_dropout(self, noise: Sequence[Any]) -> Iterator[None]:
        """Let the dropout layers use these random numbers within a `with` block."""
        before = [layer.noise for layer in self._dropout_layers]
        try:
            for layer, drawn in zip(self._dropout_layers, noise, strict=True):
                layer.noise = drawn
            yield
        finally:
            for layer, drawn in zip(self._dropout_layers, before, strict=True):
                layer.noise = drawn


def dropout_layers(model: keras.Model) -> list[NoiseDropout]:
    """Return the dropout layers of a built-in network."""
    return [layer for layer in model.layers if isinstance(layer, NoiseDropout)]


def _add_up(first: Any, end: Any, step: Callable[[Any], Any], start: Any) -> tuple[Any, ...]:
    """Return the sums, from `start` on, of what `step(number) -> (next number, terms)` returns."""

    def body(number: Any, *totals: Any) -> Any:
        following, terms = step(number)
        return following, *(t + s for t, s in zip(totals, terms, strict=True))

    _, *sums = tf.while_loop(
        lambda number, *_: number < end, body, (first, *start), parallel_iterations=1
    )
    return tuple(sums)


# ------------------------------------------------------------------------------------------------
# Rows
# ------------------------------------------------------------------------------------------------


@interrupts_deferred()
def place(values: npt.ArrayLike, dtype: tf.DType) -> tf.Tensor:
    """Return values as a tensor."""
    return tf.constant(values, dtype)


def place_features(X: Any) -> tuple[tf.Tensor, ...]:
    """Return X as tensors: one matrix, or the three arrays of a CSR matrix."""
    if sp.issparse(X):
        return (
            place(X.data, tf.float32),
            place(X.indices, tf.int64),
            place(X.indptr, tf.int64),
        )
    return (place(X, tf.float32),)


def signature_of(config: ProgramConfig) -> tuple[Table, StepRange, UnlabelledRows]:
    """Return what `TrainingSteps.run` is called with, as specifications of tensors."""
    vector = {dtype: tf.TensorSpec((None,), dtype) for dtype in (tf.float32, tf.int32, tf.int64)}
    scalar = {dtype: tf.TensorSpec((), dtype) for dtype in (tf.float32, tf.int32)}
    n_tasks = len(config.spec.n_outputs)
    features: tuple[Any, ...] = (tf.TensorSpec((None, config.spec.n_features), tf.float32),)
    if config.is_sparse:
        features = (vector[tf.float32], vector[tf.int64], vector[tf.int64])
    weight = tf.TensorSpec((None, n_tasks), tf.float32)
    count = scalar[tf.int32]
    return (
        Table(features, tf.TensorSpec((None, n_tasks), tf.int32), weight),
        StepRange(vector[tf.int32], count, count, count),
        UnlabelledRows(weight, vector[tf.int32], scalar[tf.float32], count),
    )


def gather_batch(table: Table, rows: Any, n_features: int) -> Batch:
    """Return rows of a table as a dense batch."""
    X = gather_features(table.features, rows, n_features)
    return Batch(X, tf.gather(table.codes, rows), tf.gather(table.weight, rows))


def gather_features(features: tuple[tf.Tensor, ...], rows: tf.Tensor, n_features: int) -> tf.Tensor:
    """Return rows of X as a dense matrix; only here is a CSR matrix made dense."""
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
