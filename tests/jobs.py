"""Trainings for the tests of what trains several at once: tiny, and of one program."""

from dataclasses import replace
from unittest import mock

import keras
import numpy as np

from sk_mtl._data.dataset import Subset
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train import together
from sk_mtl._train.loop import Job, draw_start
from sk_mtl._train.plan import TrainingParts, make_plan
from sk_mtl.weighting import FixedWeighting

N_OUTPUTS = (1, 3, 1)
SPEC = NetworkSpec(4, N_OUTPUTS, (6,))
FREQUENCIES = [np.array([0.5, 0.5]), np.ones(3) / 3, np.array([0.8, 0.2])]


def make_rows(n_rows=25, seed=0, coverage=0.5):
    """Return rows with labels that depend on X, and weights other than 1."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    codes = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5]), X[:, 2] > 1], axis=1)
    weight = rng.uniform(0.5, 2, size=codes.shape) * (rng.random(codes.shape) < coverage)
    weight[:, 0] = np.where(weight.any(axis=1), weight[:, 0], 1)
    return Subset(X, codes.astype(np.int32), weight.astype(np.float32), np.arange(n_rows))


def make_job(
    training=None, validation=None, optimizer=None, weighting=None, spec=None, job=None, **settings
):
    """Return a training whose program XLA compiles; `spec` and `job` are changes."""
    parts = TrainingParts(
        keras.optimizers.Adam(0.01) if optimizer is None else optimizer,
        FixedWeighting() if weighting is None else weighting,
    )
    plain = {"loss_normalization": "tasks", "task_names": ("a", "b", "c"), "jit_compile": True}
    plain |= {"epochs": 2, "batch_size": 8, "seed": 3}
    plan = make_plan(replace(SPEC, **(spec or {})), parts, **plain | settings)
    start = draw_start(plan.spec, parts.weighting, FREQUENCIES, plan.run.seed)
    training = make_rows() if training is None else training
    return Job(plan, start, training, validation, **(job or {}))


def bits_of(result):
    """Return all that a training gave."""
    if isinstance(result, Exception):
        return repr(result)
    states = [result.state, *result.by_epoch.values()]
    arrays = []
    for state in states:
        arrays += [*state.network, *state.weighting.values(), *state.optimizer]
        if state.teacher is not None:
            arrays += [*state.teacher.network, np.array(state.teacher.n_steps)]
        if state.averaging is not None:
            arrays += [*state.averaging.weights, np.array(state.averaging.n_steps)]
    if result.best_weights is not None:
        arrays += [value for network in result.best_weights.values for value in network]
    # As text: NaN is not equal to itself.
    numbers = repr((result.history, result.n_epochs, result.best_epoch, result.stopping))
    return [array.tobytes() for array in arrays], numbers


def assert_same_results(first, second):
    """Assert that trainings gave the same, bit for bit."""
    assert len(first) == len(second)
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        assert bits_of(one)[1] == bits_of(other)[1], f"training {number}"
        assert bits_of(one)[0] == bits_of(other)[0], f"training {number}"


def train_in_packs(jobs, n_members, n_threads=1):
    """Train in packs of so many members; return results or errors in the order of the jobs."""
    with (
        mock.patch.object(together, "_count_members", return_value=n_members),
        mock.patch.object(together, "compute_thread_limit", return_value=n_threads),
    ):
        found = dict(together.train_together(jobs))
    assert sorted(found) == list(range(len(jobs)))
    return [found[number] for number in range(len(jobs))]


def train(job):
    """Train one network; raise what it raises."""
    ((_, result),) = together.train_together([job])
    if isinstance(result, Exception):
        raise result
    return result
