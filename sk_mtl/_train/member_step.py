"""The training step of one network, as a function of its values and a batch.

Owns what a step computes. Does not know how many networks are trained side by side, nor where
values and rows come from.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._model.build import logits_of, network_variables
from sk_mtl._model.layers import NoiseDropout, draw_uniform
from sk_mtl._train.averaging import is_moment, update_averages
from sk_mtl._train.config import ProgramConfig, Rates
from sk_mtl._train.optimizer import AdamUpdate, VariableUpdate
from sk_mtl._train.replicas import Share
from sk_mtl._train.task_gradients import SplitNetwork
from sk_mtl._train.teacher import replace_features, update_teacher
from sk_mtl._train.values import Batch, UnlabelledBatch, Values
from sk_mtl.losses._tasks import (
    member_cross_entropy,
    member_margins,
    task_cross_entropy,
    task_disagreement,
    task_margins,
    task_means,
)
from sk_mtl.weighting import GradientWeighting, SignWeighting, TaskBatch, TaskWeighting

__all__ = ["MemberStep"]

_OTHER_SEED = 0x2545F491  # added to a seed for other random numbers


class _Meeting(NamedTuple):
    """The tensors between the parts of a split network, each as it is given and as it is read."""

    # No gradient passes from one part to another by itself.
    shared: Any  # what the shared layers give, (n_samples, n_shared)
    shared_read: Any
    given: list[Any]  # what the first layers of the heads give, (n_samples, n_columns) each
    given_read: list[Any]
    kernel: Any  # of the first layers of the heads, (n_shared, n_columns)


@dataclass(eq=False)
class MemberStep:
    """What a step computes, over a Keras model whose variables it does not touch."""

    config: ProgramConfig
    model: keras.Model
    # The same network as a step computes it, which may be in mixed precision: with variables of its
    # own, in the same order.
    trained: keras.Model
    # What is trained: the network, or in an ensemble the logits of each of its members.
    members: keras.Model
    weighting: TaskWeighting
    update: AdamUpdate | VariableUpdate

    def __post_init__(self) -> None:
        self.spec = self.config.spec
        self.variables = network_variables(self.model)
        self._trained_variables = network_variables(self.trained)
        self.n_trainable = len(self.model.trainable_variables)
        fixed = self.variables[self.n_trainable :]
        self.is_moment = [is_moment(v) for v in fixed]
        self._is_seed = [v.name == "seed_generator_state" for v in fixed]
        # The network's; what the weighting learns is in groups of its own, the last ones.
        self.n_groups = len(self.update.groups.members) - len(self.weighting.learned_state)
        # With a strategy that sees the gradients of the tasks; None for the network as a whole.
        self.split: SplitNetwork | None = None
        if isinstance(self.weighting, (GradientWeighting, SignWeighting)):
            self.split = SplitNetwork(self.spec, self.members)

    def train(
        self, values: Values, rates: Rates, batch: Batch, share: Share | None = None
    ) -> tuple[Values, tuple[Any, ...]]:
        """Make one step; return task losses, weights, objective, and that of unlabelled cells."""
        # With a share, the rows are a part of a batch; all that is returned is of the whole.
        n, learned_names = self.n_trainable, self.weighting.learned_state
        trained, fixed = self.update.groups.split(values.trained), values.fixed
        of_unlabelled: tuple[Any, ...] = ()
        self.update.begin(values.optimizer)
        split, fixed_before = self.split, fixed
        with tf.GradientTape(split is not None, watch_accessed_variables=False) as tape:
            tape.watch(trained)
            state = values.weighting | dict(zip(learned_names, trained[n:], strict=True))
            network = [*trained[:n], *fixed]
            if split is None:
                logits, fixed, penalty = self._call(network, rates, batch.X, batch.first_row)
            else:
                logits, fixed, penalty, meeting = self._call_split(
                    split, network, rates, batch.X, tape
                )
            logits = self._adjust_logits(logits, rates)
            loss_sum, weight_sum = self.sum_losses(logits, batch.codes, batch.weight)
            smoothed_sum = loss_sum + self._smoothing_sum(logits, rates, batch)
            if share is not None:
                loss_sum, smoothed_sum, weight_sum = share.add_up(
                    loss_sum, smoothed_sum, weight_sum
                )
                # What does not depend on rows is the same everywhere, and is one of the terms.
                state = {name: share.once(value) for name, value in state.items()}
                penalty = [share.once(value) for value in penalty]
            losses = self._divide_losses(smoothed_sum, weight_sum)
            tasks = TaskBatch(
                losses,
                task_means(smoothed_sum, weight_sum),
                weight_sum > 0,
                weight_sum,
                batch.epoch if self.weighting.reads_epoch else None,
            )
            objective, new_state = self.weighting.combine_batch(tasks, state)
            if penalty:
                objective += tf.add_n(penalty) * rates.l2
            if isinstance(batch.unlabelled, UnlabelledBatch):
                more, fixed = self._unlabelled_objective(
                    trained[:n], fixed, values, rates, batch.unlabelled, state, tasks
                )
                objective += batch.unlabelled.factor * more
                of_unlabelled = (more,)
            minimized = objective
            if self.spec.ensemble_method == "independent":
                # The gradient of a member is that of its own objective, not of its share of a mean.
                minimized = objective * self.spec.ensemble_size
            scaled = self.update.scale(minimized)
        if split is None:
            gradients = _gradients(tape, scaled, trained)
            if share is not None:
                gradients = share.add_up_gradients(gradients)
        else:
            gradients, of_strategy = self._weigh_gradients(
                split, tape, scaled, trained, meeting, tasks, state
            )
            new_state |= of_strategy
        joined, slots, optimizer = self.update.update(
            gradients, values.trained, values.slots, values.optimizer, rates.weight_decay
        )
        kept = {name: v for name, v in new_state.items() if name not in learned_names}
        changed = values._replace(
            trained=joined,
            fixed=fixed,
            weighting=values.weighting | kept,
            slots=slots,
            optimizer=optimizer,
        )
        weights = joined[: self.n_groups]
        if self.config.averages_weights:
            averaged = [*weights, *itertools.compress(fixed, self.is_moment)]
            averages = update_averages(
                values.averages, averaged, values.n_averaged, rates.ema_momentum
            )
            changed = changed._replace(averages=averages, n_averaged=values.n_averaged + 1)
        if self.config.unlabelled is not None:
            teacher = update_teacher(
                values.teacher,
                weights,
                fixed,
                values.n_taught,
                self.config.unlabelled.momentum,
            )
            changed = changed._replace(teacher=teacher, n_taught=values.n_taught + 1)
        if self.weighting.reads_losses_after:
            network = [*self.update.groups.split(joined)[:n], *fixed_before]
            logits, _, _ = self._call(network, rates, batch.X)
            after = self._means(logits, rates, batch)
            noted = self.weighting.note_losses_after(tasks, after, values.weighting | kept)
            changed = changed._replace(weighting=changed.weighting | noted)
        return changed, (loss_sum, weight_sum, objective, *of_unlabelled)

    def split_network(self, weights: Sequence[Any], fixed: Sequence[Any]) -> list[Any]:
        """Return the values of the network's variables from joined weights and the others."""
        # What the weighting learns takes no part: its groups have one value each.
        n_learned = len(self.weighting.learned_state)
        groups = [*weights[: self.n_groups], *[()] * n_learned]
        return [*self.update.groups.split(groups)[: self.n_trainable], *fixed]

    def evaluate(self, network: Sequence[Any], offsets: Any, batch: Batch) -> tuple[Any, Any]:
        """Return the sums of task losses and of weights over a batch, in inference mode."""
        logits = self._predict(network, batch.X)
        if self.config.has_logit_offsets:
            logits = logits + offsets
        return self.sum_losses(logits, batch.codes, batch.weight)

    # --------------------------------------------------------------------------------------------
    # The network
    # --------------------------------------------------------------------------------------------

    def _call(
        self, network: Sequence[Any], rates: Rates, X: Any, first_row: Any = ()
    ) -> tuple[Any, list[Any], list[Any]]:
        """Return logits in training mode, values that the call changed, and penalties."""
        dropout = self._fed_dropout(rates.dropout, first_row)
        with _held(self._trained_variables, network) as scope, dropout:
            logits = logits_of(self.spec, self.members(X, training=True))
            penalties = list(self.members.losses)
            fixed = [
                scope.get_current_value(v) for v in self._trained_variables[self.n_trainable :]
            ]
        return logits, fixed, penalties

    def _call_split(
        self,
        split: SplitNetwork,
        network: Sequence[Any],
        rates: Rates,
        X: Any,
        tape: tf.GradientTape,
    ) -> tuple[Any, list[Any], list[Any], _Meeting]:
        """Return what `_call` does, and the tensors where the gradients of the tasks meet."""

        def part_from(tensor: Any) -> Any:
            read = tf.stop_gradient(tensor)
            tape.watch(read)
            return read

        with _held(self._trained_variables, network) as scope, self._fed_dropout(rates.dropout):
            shared = split.shared(X, training=True)
            shared_read = part_from(shared)
            given = keras.tree.flatten(split.first(shared_read, training=True))
            given_read = [part_from(part) for part in given]
            logits = logits_of(self.spec, split.rest(given_read, training=True))
            meeting = _Meeting(shared, shared_read, given, given_read, split.kernel())
            penalties = split.losses
            fixed = [
                scope.get_current_value(v) for v in self._trained_variables[self.n_trainable :]
            ]
        return logits, fixed, penalties, meeting

    def _weigh_gradients(
        self,
        split: SplitNetwork,
        tape: tf.GradientTape,
        scaled: Any,
        trained: Sequence[Any],
        meeting: _Meeting,
        tasks: TaskBatch,
        state: dict[str, Any],
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return gradients, those of the shared layers as the strategy says, and its new state."""
        n = len(trained)
        gradients = _gradients(tape, scaled, [*trained, *meeting.given_read])
        of_rest, of_given = gradients[:n], gradients[n:]
        of_first = _gradients(tape, meeting.given, trained, of_given)
        by_column = of_given[0] if len(of_given) == 1 else tf.concat(of_given, axis=1)
        if isinstance(self.weighting, GradientWeighting):
            # An optimizer may scale the loss.
            unscaled = by_column / self.update.scale(tf.constant(1.0))
            gram_of = split.squares if self.weighting.reads_norms_only else split.gram
            weights, new_state = self.weighting.weigh_batch(
                tasks, lambda: gram_of(unscaled, meeting.kernel), state
            )
            weighted = split.split_columns(by_column * split.weigh_columns(weights))
            (of_shared,) = _gradients(tape, meeting.given, [meeting.shared_read], weighted)
        else:
            assert isinstance(self.weighting, SignWeighting)
            sums = split.sum_by_unit(by_column, meeting.kernel, meeting.shared)
            by_unit, new_state = self.weighting.weigh_units(sums, tasks, state)
            of_shared = split.mix_by_unit(by_column, meeting.kernel, by_unit)
        of_shared = _gradients(tape, meeting.shared, trained, of_shared)
        return [sum(parts) for parts in zip(of_rest, of_first, of_shared, strict=True)], new_state

    def _predict(self, network: Sequence[Any], X: Any) -> Any:
        """Return logits in inference mode."""
        with _held(self.variables, network):
            return logits_of(self.spec, self.model(X, training=False))

    @contextmanager
    def _fed_dropout(self, rate: Any, first_row: Any = ()) -> Iterator[None]:
        """Let the dropout layers have this rate within a `with` block."""
        # With the number of the first row, each row gets the numbers of its place in the batch.
        layers = [layer for layer in self.trained.layers if isinstance(layer, NoiseDropout)]
        try:
            for layer in layers:
                # Layers may have parts of the network's rate.
                layer.fed_rate = rate * (layer.rate / self.spec.dropout)
                layer.first_row = None if isinstance(first_row, tuple) else first_row
            yield
        finally:
            for layer in layers:
                layer.fed_rate = layer.first_row = None

    # --------------------------------------------------------------------------------------------
    # Losses
    # --------------------------------------------------------------------------------------------

    def sum_losses(self, logits: Any, codes: Any, weight: Any) -> tuple[Any, Any]:
        """Return the sums of task losses and of weights over a batch, as a mean over members."""
        loss_of = task_cross_entropy if len(logits.shape) == 2 else member_cross_entropy
        return loss_of(logits, codes, weight, self.spec.n_outputs, self.config.focal_gamma)

    def _adjust_logits(self, logits: Any, rates: Rates) -> Any:
        return logits + rates.logit_offsets if self.config.has_logit_offsets else logits

    def _smoothing_sum(self, logits: Any, rates: Rates, batch: Batch) -> Any:
        """Return what smoothed labels add to the sums of task losses."""
        if not self.config.smooths_labels:
            return 0.0
        margins_of = task_margins if len(logits.shape) == 2 else member_margins
        margins = margins_of(logits, batch.codes, batch.weight, self.spec.n_outputs)
        return rates.label_smoothing * margins

    def _divide_losses(self, loss_sum: Any, weight_sum: Any) -> Any:
        """Return the task losses from the sums over a batch."""
        if self.config.loss_normalization == "tasks":
            return task_means(loss_sum, weight_sum)
        everything = tf.fill(tf.shape(weight_sum), tf.reduce_sum(weight_sum))
        return task_means(loss_sum, everything)

    def _means(self, logits: Any, rates: Rates, batch: Batch) -> Any:
        """Return the mean loss of each task over its labelled cells, from logits."""
        logits = self._adjust_logits(logits, rates)
        loss_sum, weight_sum = self.sum_losses(logits, batch.codes, batch.weight)
        return task_means(loss_sum + self._smoothing_sum(logits, rates, batch), weight_sum)

    def _unlabelled_objective(
        self,
        trained: Sequence[Any],
        fixed: Sequence[Any],
        values: Values,
        rates: Rates,
        batch: UnlabelledBatch,
        state: dict[str, Any],
        labelled_tasks: TaskBatch,
    ) -> tuple[Any, list[Any]]:
        """Return what unlabelled cells add to the objective, before their factor."""
        how = self.config.unlabelled
        assert how is not None
        X = batch.X
        teacher = self.split_network(
            values.teacher[: self.n_groups], values.teacher[self.n_groups :]
        )
        teacher_logits = tf.stop_gradient(self._predict(teacher, X))
        if how.input_noise:
            key = tf.stack([rates.noise_seed, tf.cast(values.n_taught, tf.int64)])
            X = replace_features(X, draw_uniform(key, X), how.input_noise)
        # Dropout draws from seeds of its own, so that labelled rows get what they get without.
        own = np.array([_OTHER_SEED, 0])
        pairs = list(zip(fixed, self._is_seed, strict=True))
        seeded = [value + own if is_seed else value for value, is_seed in pairs]
        logits, after, _ = self._call([*trained, *seeded], rates, X)
        fixed = [old if is_seed else new for (old, is_seed), new in zip(pairs, after, strict=True)]
        loss_sum, weight_sum = task_disagreement(
            logits, teacher_logits, batch.weight, self.spec.n_outputs, how.threshold
        )
        losses, means = self._divide_losses(loss_sum, weight_sum), task_means(loss_sum, weight_sum)
        tasks = TaskBatch(losses, means, weight_sum > 0, weight_sum, labelled_tasks.epoch)
        nothing = tasks._replace(losses=tf.zeros_like(losses), means=tf.zeros_like(means))
        # The weights of tasks are learned from labels only.
        state = {name: tf.stop_gradient(value) for name, value in state.items()}
        combined, of_nothing = (
            self.weighting.combine_batch(of_tasks, state)[0] for of_tasks in (tasks, nothing)
        )
        return combined - of_nothing, fixed


def _gradients(
    tape: tf.GradientTape, target: Any, sources: Sequence[Any], of_target: Any = None
) -> list[Any]:
    """Return the gradients with respect to sources; 0 where the target does not depend on one."""
    # A custom network may have heads that no task reads.
    unread = tf.UnconnectedGradients.ZERO
    found = tape.gradient(target, list(sources), of_target, unread)
    return [tf.convert_to_tensor(gradient) for gradient in found]


@contextmanager
def _held(variables: Sequence[Any], values: Sequence[Any]) -> Iterator[keras.StatelessScope]:
    """Let variables hold these values within a `with` block, in which they are not assigned."""
    mapping = list(zip(variables, values, strict=True))
    with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
        yield scope
