"""The methods for more than 32 tasks, which factorize no matrix, against those that do."""

import numpy as np
import pytest
import tensorflow as tf
from weighting_batches import make_batch, mask_batch, run, take_tasks

from sk_mtl import weighting
from sk_mtl.weighting import TaskBatch, _many, _simplex

N_TASKS = 40
PRESENT = np.random.default_rng(5).random(N_TASKS) < 0.7
# The few present are solved for by factorizing, as 28 tasks alone.
STRATEGIES = {
    "nash_mtl": weighting.NashMTLWeighting(),
    "fairgrad": weighting.FairGradWeighting(2.0),
    "mgda": weighting.MGDAWeighting(),
    "mgda-l2": weighting.MGDAWeighting("l2"),
    "pcgrad": weighting.PCGradWeighting(),
    "imtl_g": weighting.IMTLGWeighting(),
}


def run_eagerly(strategy, batch):
    state = {k: tf.constant(v) for k, v in strategy.initial_state(len(batch.present)).items()}
    weights, _ = strategy.weigh(TaskBatch(*map(tf.constant, batch)), state)
    return weights.numpy()


@pytest.mark.parametrize("name", STRATEGIES)
def test_weights_are_those_of_the_tasks_present_alone(name, monkeypatch):
    numbers = np.random.default_rng(1).random(N_TASKS)
    kept = {"numbers": numbers}
    draw = lambda state, like: tf.constant(kept["numbers"], tf.float32)  # noqa: E731
    monkeypatch.setattr("sk_mtl.weighting._pcgrad.draw_uniform_of", draw)
    batch = mask_batch(make_batch(N_TASKS, PRESENT, rank=60))
    tasks = np.flatnonzero(PRESENT)
    many = run_eagerly(STRATEGIES[name], batch)
    kept["numbers"] = numbers[tasks]
    few = run_eagerly(STRATEGIES[name], take_tasks(batch, tasks))
    assert len(tasks) <= _many.FEW < N_TASKS
    np.testing.assert_allclose(many[tasks], few, rtol=1e-5, atol=1e-5)


def test_imtl_g_takes_the_pseudo_inverse_of_gradients_that_depend_on_each_other():
    strategy, batch = weighting.IMTLGWeighting(), mask_batch(make_batch(N_TASKS, PRESENT, rank=20))
    tasks = np.flatnonzero(PRESENT)
    few = run_eagerly(strategy, take_tasks(batch, tasks))
    np.testing.assert_allclose(run_eagerly(strategy, batch)[tasks], few, rtol=1e-3, atol=1e-4)


@pytest.mark.slow_except("[!c]*")
@pytest.mark.parametrize("name", [*STRATEGIES, "cagrad"])
def test_what_absent_tasks_hold_changes_no_bit(name):
    strategy = STRATEGIES.get(name) or weighting.CAGradWeighting()
    batch, other = (make_batch(N_TASKS, PRESENT, seed=s, rank=60) for s in (0, 1))
    pairs = PRESENT[:, None] & PRESENT[None, :]
    changed = batch._replace(gram=np.where(pairs, batch.gram, other.gram))
    first, second = (run(strategy, b)[0][PRESENT] for b in (batch, changed))
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow_except("200")
@pytest.mark.parametrize("rank", [60, 200])
def test_cagrad_meets_the_conditions_of_its_optimum(rank):
    batch = make_batch(N_TASKS, rank=rank)
    weights, _ = run(weighting.CAGradWeighting(c=0.5, rescale=0), batch)
    gram = batch.gram.astype(np.float64)
    even = np.full(N_TASKS, 1 / N_TASKS)
    mean = gram @ even
    w = np.maximum(weights - even, 0)
    w /= w.sum()
    length = np.sqrt(even @ mean)
    slopes = mean + 0.5 * length * gram @ w / np.sqrt(w @ gram @ w)
    level = w @ slopes
    assert (slopes > level * (1 - 1e-4)).all()
    assert (np.abs(slopes[w > 1e-5] / level - 1) < 1e-4).all()


@pytest.mark.parametrize(
    ("strategy", "method"),
    [
        (weighting.MGDAWeighting(), "_minimize_norm_inside"),
        (weighting.CAGradWeighting(), "_minimize_with_norm_inside"),
    ],
)
def test_an_interior_point_method_takes_over_where_active_sets_do_not_end(
    strategy, method, monkeypatch
):
    called, solve = [], getattr(_simplex, method)
    monkeypatch.setattr(_simplex, method, lambda *a: called.append(1) or solve(*a))
    batch = make_batch(N_TASKS, rank=60)
    by_sets = run_eagerly(strategy, batch)
    assert not called
    monkeypatch.setattr(_many, "_MOST_ROUNDS", 0)
    inside = run_eagerly(strategy, batch)
    assert called
    np.testing.assert_allclose(by_sets, inside, atol=1e-4)


GRAMS = {
    "zero": np.zeros((N_TASKS,) * 2),
    "equal": np.ones((N_TASKS,) * 2),
    "opposed": np.outer(*[np.where(np.arange(N_TASKS) % 2, 1.0, -1.0)] * 2),
    "of many scales": np.diag(np.logspace(-24, 24, N_TASKS)),
    "not a number": np.full((N_TASKS,) * 2, np.nan),
}


@pytest.mark.parametrize("gram", GRAMS)
@pytest.mark.parametrize("name", [*STRATEGIES, "cagrad", "gradvac", "upgrad"])
@pytest.mark.slow_except("nash_mtl-opposed", "mgda-opposed")
def test_weights_are_finite_whatever_the_gradients(name, gram):
    strategy = STRATEGIES.get(name) or weighting.make_weighting(name, ("a",), np.array([True]))
    weights, state = run(strategy, make_batch(N_TASKS, PRESENT, gram=GRAMS[gram]))
    assert np.isfinite(weights).all()
    assert all(np.isfinite(value).all() for value in state.values())


@pytest.mark.parametrize("kind", [weighting.PCGradWeighting, weighting.GradVacWeighting])
def test_gradients_meet_in_every_so_many_steps_only(kind):
    strategy = kind(every=3)
    first, second = (make_batch(3, seed=seed) for seed in (0, 1))
    start, state = run(strategy, first)
    for _ in range(2):
        kept, state = run(strategy, second, state)
        np.testing.assert_array_equal(kept, start)
    renewed, _ = run(strategy, second, state)
    assert (renewed != start).any()


def test_no_gram_matrix_is_computed_for_the_steps_in_between():
    made = []

    def make_gram(gram):
        made.append(1)
        return gram

    strategy = weighting.MGDAWeighting(every=2)
    batch = TaskBatch(*map(tf.constant, make_batch(3)))
    state = {k: tf.constant(v) for k, v in strategy.initial_state(3).items()}
    for _ in range(4):
        weights, state = strategy.weigh_batch(batch, lambda: make_gram(batch.gram), state)
        assert np.isfinite(weights).all()
    assert len(made) == 2
