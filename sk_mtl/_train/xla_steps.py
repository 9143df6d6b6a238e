"""Steps compiled by XLA: what `steps` computes, in loops whose shapes depend on no data.

XLA compiles anew for every shape, so that the number of rows must not be in one: the rows of a
fixed number of steps are gathered outside, and the last batch is filled up with rows of weight 0.
Its random numbers are slow on the CPU: those of dropout are drawn outside.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from sk_mtl._model.layers import draw_bits
from sk_mtl._train.steps import (
    Batch,
    StepRange,
    Table,
    TrainingSteps,
    UnlabelledRows,
    gather_batch,
    gather_features,
)
from sk_mtl._train.teacher import UnlabelledBatch

__all__ = ["XlaTrainingSteps"]

_XLA_CELLS = 2**20  # of X and of noise that wait for one call of what XLA compiled


class XlaTrainingSteps(TrainingSteps):
    """The compiled functions where XLA compiles the training steps."""

    def run(
        self, table: Table, steps: StepRange, unlabelled: UnlabelledRows | None = None
    ) -> tuple[Any, ...]:
        """Train on steps of an epoch, some at a time."""
        n_steps = self._steps_at_once()
        loop = tf.function(self._run_some, jit_compile=True, autograph=False)

        def run_next(number: Any) -> tuple[Any, tuple[Any, ...]]:
            n_used = tf.minimum(steps.end - number, n_steps)
            return number + n_used, loop(
                n_used,
                self._batches(table, steps.order, number, n_used, n_steps),
                self._draw_noise(n_steps, n_used),
                self._unlabelled_batches(table, unlabelled, number, n_used, n_steps),
            )

        return self._sum_over_steps(steps.first, steps.end, run_next)

    def _run_some(
        self, n_used: Any, batches: Batch, noise: Any, unlabelled: UnlabelledBatch | None
    ) -> tuple[Any, ...]:
        """Train on the first of the steps that were gathered."""

        def step(number: Any) -> tuple[Any, tuple[Any, ...]]:
            of_step = None if unlabelled is None else unlabelled.of_step(number)
            with self.noise_in_dropout([drawn[number] for drawn in noise]):
                return number + 1, self.train_on_batch(batches.of_step(number), of_step)

        return self._sum_over_steps(tf.constant(0), n_used, step)

    def _steps_at_once(self) -> int:
        n_features = self.spec.n_features
        n_dropped = sum(layer.output.shape[-1] for layer in self._dropout_layers)
        cells = self.config.xla_batch_size * (n_features + n_dropped)
        if self.teacher is not None:
            cells += self.config.xla_unlabelled_batch_size * (2 * n_features + n_dropped)
        return max(1, _XLA_CELLS // cells)

    def _batches(self, table: Table, order: Any, first: Any, n_used: Any, n_steps: int) -> Batch:
        """Return the labelled rows of steps; rows that fill up the last one have weight 0."""
        size = self.config.xla_batch_size
        rows, is_row = _rows_of_steps(order, first, n_used, n_steps, size)
        X, codes, weight = gather_batch(table, rows, self.spec.n_features)
        weight = weight * is_row[:, None]
        return Batch(*(_by_step(array, n_steps) for array in (X, codes, weight)))

    def _unlabelled_batches(
        self, table: Table, unlabelled: UnlabelledRows | None, first: Any, n_used: Any, n_steps: int
    ) -> UnlabelledBatch | None:
        """Return the rows with unlabelled cells of steps."""
        if self.teacher is None or unlabelled is None:
            return None
        size = self.config.xla_unlabelled_batch_size
        rows, _ = _rows_of_steps(unlabelled.order, first, n_used, n_steps, size)
        return UnlabelledBatch(
            _by_step(gather_features(table.features, rows, self.spec.n_features), n_steps),
            _by_step(tf.gather(unlabelled.weight, rows), n_steps),
            self.teacher.draw_noise(n_steps, size),
            unlabelled.factor,
        )

    def _draw_noise(self, n_steps: int, n_used: Any) -> list[Any]:
        """Return random 16-bit integers for each dropout layer, by step, and count the steps."""
        noise = []
        for layer in self._dropout_layers:
            shape = (n_steps, self.config.xla_batch_size, layer.output.shape[-1])
            state = layer.seed_generator.state.value
            noise.append(draw_bits(state, shape))
            state.assign_add(tf.stack([0, tf.cast(n_used, state.dtype)]))
        return noise


def _rows_of_steps(order: Any, first: Any, n_used: Any, n_steps: int, size: int) -> tuple[Any, Any]:
    """Return the rows of steps, filled up to a number of steps, and 1 for each row that counts."""
    rows = order[first * size : (first + n_used) * size]
    n_rows = tf.size(rows)
    rows = tf.ensure_shape(tf.pad(rows, [[0, n_steps * size - n_rows]]), (n_steps * size,))
    return rows, tf.cast(tf.range(n_steps * size) < n_rows, tf.float32)


def _by_step(array: Any, n_steps: int) -> Any:
    """Return rows as (steps, rows of a batch, width)."""
    return tf.reshape(array, (n_steps, array.shape[0] // n_steps, array.shape[1]))
