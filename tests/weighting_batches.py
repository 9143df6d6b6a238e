"""What the tests of task weighting share: batches of tasks, and strategies called on them."""

import functools

import numpy as np
import tensorflow as tf

from sk_mtl.weighting import GradientWeighting, SignWeighting, TaskBatch


def make_batch(n_tasks, present=None, seed=0, epoch=7, rank=30, gram=None):
    """Return a batch as NumPy arrays; nothing is masked."""
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(n_tasks, rank))
    means = rng.uniform(0.1, 2, n_tasks).astype(np.float32)
    return TaskBatch(
        losses=means,
        means=means,
        present=np.ones(n_tasks, bool) if present is None else np.asarray(present),
        labelled=rng.integers(1, 9, n_tasks).astype(np.float32),
        epoch=np.int32(epoch),
        gram=(gradients @ gradients.T if gram is None else np.asarray(gram)).astype(np.float32),
    )


def mask_batch(batch):
    """Return a batch as the training step makes it: 0 for absent tasks."""
    present = batch.present
    pairs = present[:, None] & present[None, :]
    cut = {name: np.where(present, getattr(batch, name), 0) for name in ("losses", "means")}
    cut["labelled"] = np.where(present, batch.labelled, 0)
    return batch._replace(**cut, gram=np.where(pairs, batch.gram, 0))


def take_tasks(batch, tasks):
    """Return a batch of some of its tasks, in this order."""
    parts = {name: getattr(batch, name)[tasks] for name in ("losses", "means", "present")}
    parts["labelled"] = batch.labelled[tasks]
    return batch._replace(**parts, gram=batch.gram[np.ix_(tasks, tasks)])


def run(strategy, batch, state=None, n_calls=1):
    """Return the weights of the gradients of the tasks, and the state as arrays.

    Of a strategy that sees losses only, the weights are the derivatives of its objective with
    respect to the losses: both ways together, as the mean of a task is its loss here.
    """
    n_tasks = len(batch.present)
    state = dict(strategy.initial_state(n_tasks)) if state is None else dict(state)
    for _ in range(n_calls):
        weights, new = _function(type(strategy), tuple(sorted(vars(strategy).items())), n_tasks)(
            TaskBatch(*(tf.constant(part) for part in batch)),
            {name: tf.constant(value) for name, value in state.items()},
        )
        state = {name: np.array(value) for name, value in new.items()}
    return weights.numpy(), state


@functools.cache
def _function(kind, settings, n_tasks):
    strategy = kind(**dict(settings))

    @tf.function(autograph=False)
    def call(batch, state):
        return call_strategy(strategy, batch, state)

    return call


def call_strategy(strategy, batch, state):
    """Return what `run` does, as tensors."""
    if isinstance(strategy, SignWeighting):
        weights, new = strategy.weigh_units(batch.gram, batch, state)
        return tf.reduce_sum(weights, axis=1), {**state, **new}
    if isinstance(strategy, GradientWeighting):
        weights, new = strategy.weigh(batch, state)
        return weights, {**state, **new}
    with tf.GradientTape() as tape:
        tape.watch([batch.losses, batch.means])
        objective, new = strategy.combine_batch(batch, state)
    parts = tape.gradient(
        objective, [batch.losses, batch.means], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    state = {**state, **new}
    if strategy.reads_losses_after:
        factors = tf.linspace(0.8, 1.1, batch.means.shape[0])
        after = batch.means * tf.cast(factors, tf.float32)
        state = {**state, **strategy.note_losses_after(batch, after, state)}
    return parts[0] + parts[1], state
