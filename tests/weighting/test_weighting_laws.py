"""Laws of every strategy: an absent task is as if it were not there."""

import itertools
import pickle
import re

import numpy as np
import pytest
import tensorflow as tf
from weighting_batches import call_strategy, make_batch, mask_batch, run, take_tasks

import sk_mtl.weighting as public
from sk_mtl.weighting import SignWeighting, TaskBatch, make_weighting
from sk_mtl.weighting import _settings as settings_module
from sk_mtl.weighting._make import WEIGHTING_NAMES

# Strategies that may weigh by moving averages of the losses.
AVERAGING = {
    "log, momentum": public.LogWeighting(momentum=0.9),
    "gls, momentum": public.GeometricMeanWeighting(momentum=0.9),
    "stch, momentum": public.SmoothTchebycheffWeighting(momentum=0.9),
    "famo, momentum": public.FAMOWeighting(momentum=0.9),
}
NAMES = [name for name in WEIGHTING_NAMES if name not in ("equal", "uncertainty")] + [*AVERAGING]
# With weights of tasks of their own; GradDrop gives gradients instead.
BY_TASK = [name for name in NAMES if name != "graddrop"]
EIGHT = [
    np.random.default_rng(seed).random(8) < chance
    for seed, chance in [(0, 0.3), (1, 0.6), (2, 0.8)]
]
MASKS = [np.array(mask) for mask in itertools.product([True, False], repeat=3)] + EIGHT


def make(name):
    return AVERAGING.get(name) or make_weighting(name, ("a",), np.array([True]))


@pytest.fixture
def fixed_draws(monkeypatch):
    """Let the draw of a task be a number that a test may move with the task."""
    draws = {"numbers": np.array([0.31, 0.77, 0.12, 0.55, 0.93, 0.42, 0.05, 0.66])}

    def draw(state, like):
        return tf.constant(draws["numbers"][: like.shape[0]], tf.float32)

    monkeypatch.setattr(settings_module, "draw_uniform_of", draw)
    for module in ("_random", "_pcgrad", "_gradvac"):
        monkeypatch.setattr(f"sk_mtl.weighting.{module}.draw_uniform_of", draw)
    return draws


def run_eagerly(name, batch, n_calls=2):
    strategy = make(name)
    state = {k: tf.constant(v) for k, v in strategy.initial_state(len(batch.present)).items()}
    for _ in range(n_calls):
        weights, state = call_strategy(strategy, TaskBatch(*map(tf.constant, batch)), state)
    return weights.numpy(), {k: v.numpy() for k, v in state.items()}


@pytest.mark.slow_except("mgda", "nash_mtl", "pcgrad", "gls", "stch", "famo")
@pytest.mark.parametrize("name", BY_TASK)
def test_weights_of_the_tasks_present_are_those_of_a_problem_of_these_alone(name, fixed_draws):
    every = fixed_draws["numbers"]
    masks = MASKS if name not in ("upgrad", "cagrad", "mgda") else MASKS[1:4] + EIGHT[1:]
    for mask in masks:
        if not mask.any():
            continue
        batch = mask_batch(make_batch(len(mask), mask, seed=len(mask)))
        tasks = np.flatnonzero(mask)
        fixed_draws["numbers"] = every
        whole, _ = run_uncached(name, batch)
        fixed_draws["numbers"] = every[tasks]
        alone, _ = run_uncached(name, take_tasks(batch, tasks))
        np.testing.assert_allclose(whole[tasks], alone, rtol=1e-5, atol=1e-5)


def run_uncached(name, batch):
    """Run a strategy twice with the draws of the moment."""
    if name not in ("rlw", "pcgrad", "gradvac"):
        return run(make(name), batch, n_calls=2)
    return run_eagerly(name, batch)


@pytest.mark.slow_except("[!c]*")
@pytest.mark.parametrize("name", NAMES)
def test_what_an_absent_task_holds_changes_no_bit_for_the_others(name):
    strategy = make(name)
    for mask in MASKS:
        batch = make_batch(len(mask), mask, seed=3)
        other = make_batch(len(mask), mask, seed=4)
        pairs = mask[:, None] & mask[None, :]
        names = ("losses", "means", "labelled")
        mixed = {k: np.where(mask, getattr(batch, k), 3 * getattr(other, k)) for k in names}
        changed = batch._replace(**mixed, gram=np.where(pairs, batch.gram, 5 * other.gram))
        state = strategy.initial_state(len(mask))
        held = {
            k: np.where(_by_task(mask, v), v, v + np.float32(0.7)).astype(np.float32)
            for k, v in state.items()
        }
        (first, after), (second, after_changed) = (
            run(strategy, b, s) for b, s in ((batch, state), (changed, held))
        )
        if not isinstance(strategy, SignWeighting):
            np.testing.assert_array_equal(first[mask], second[mask])
        for key, value in after_changed.items():
            where = _by_task(mask, value)
            np.testing.assert_array_equal(value[where], after[key][where])
            np.testing.assert_array_equal(value[~where], held[key][~where])


def _by_task(mask, value):
    """Return which entries of the state belong to tasks that are present."""
    if np.shape(value) == mask.shape:
        return mask
    if np.shape(value) == (len(mask),) * 2:
        return mask[:, None] & mask[None, :]
    return np.ones(np.shape(value), bool)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_labels_moves_no_state(name):
    strategy = make(name)
    batch = mask_batch(make_batch(3, np.zeros(3, bool)))
    weights, state = run(strategy, batch)
    assert np.isfinite(weights).all()
    for key, value in strategy.initial_state(3).items():
        np.testing.assert_array_equal(state[key], value)


@pytest.mark.parametrize("name", BY_TASK)
def test_permuted_tasks_have_permuted_weights(name, fixed_draws):
    batch = make_batch(8, EIGHT[2], seed=5)
    order = np.random.default_rng(0).permutation(8)
    if name.startswith("famo"):
        pytest.skip("the losses after the step are made by position here")
    plain, _ = run_uncached(name, batch)
    fixed_draws["numbers"] = fixed_draws["numbers"][order]
    permuted, _ = run_uncached(name, take_tasks(batch, order))
    present = batch.present[order]
    np.testing.assert_allclose(plain[order][present], permuted[present], rtol=1e-5, atol=1e-5)


ONES = np.ones((3, 3))
GRAMS = {
    "zero": 0 * ONES,
    "equal": ONES,
    "opposed": np.outer([1, -1, 0.5], [1, -1, 0.5]),
    "one is zero": np.diag([1.0, 0.0, 2.0]),
    "tiny": 1e-24 * (np.eye(3) + 0.5 * ONES),
    "huge": 1e24 * (np.eye(3) + 0.5 * ONES),
    "of many scales": np.diag([1e-24, 1.0, 1e24]),
}


@pytest.mark.parametrize("gram", GRAMS)
@pytest.mark.parametrize("name", BY_TASK)
def test_weights_are_finite_whatever_the_gradients(name, gram):
    for mask in ([True] * 3, [True, False, True], [False, True, False]):
        batch = mask_batch(make_batch(3, mask, gram=GRAMS[gram]))
        weights, state = run(make(name), batch, n_calls=2)
        assert np.isfinite(weights).all()
        assert all(np.isfinite(value).all() for value in state.values())


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e12])
@pytest.mark.parametrize("name", BY_TASK)
def test_weights_are_finite_whatever_the_losses(name, scale):
    batch = make_batch(3, [True, True, False])
    losses = np.float32(scale) * batch.losses
    weights, state = run(make(name), mask_batch(batch._replace(losses=losses, means=losses)))
    assert np.isfinite(weights).all()
    assert all(np.isfinite(value).all() for value in state.values())


@pytest.mark.slow
@pytest.mark.release_except("[!c]*")
@pytest.mark.parametrize("name", NAMES)
def test_networks_side_by_side_have_the_weights_of_each_alone(name):
    strategy = make(name)
    batches = [make_batch(4, mask, seed=s) for s, mask in enumerate(np.eye(4, dtype=bool) == 0)]
    alone = [run(strategy, batch)[0] for batch in batches]
    stacked = TaskBatch(
        *(tf.stack([tf.constant(p) for p in parts]) for parts in zip(*batches, strict=True))
    )
    state = {k: tf.stack([v] * 4) for k, v in strategy.initial_state(4).items()}
    together = tf.function(
        lambda b, s: tf.vectorized_map(
            lambda pair: call_strategy(strategy, *pair), (b, s), fallback_to_while_loop=False
        ),
        autograph=False,
    )
    np.testing.assert_allclose(together(stacked, state)[0], np.stack(alone), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_compiled_weights_are_those_of_the_graph(name):
    strategy, batch = make(name), make_batch(4, [True, False, True, True])
    compiled = tf.function(
        lambda b, s: call_strategy(strategy, b, s), autograph=False, jit_compile=True
    )
    state = {k: tf.constant(v) for k, v in strategy.initial_state(4).items()}
    weights, _ = compiled(TaskBatch(*map(tf.constant, batch)), state)
    np.testing.assert_allclose(weights, run(strategy, batch)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["mgda", "nash_mtl", "aligned_mtl", "cagrad", "upgrad"])
def test_weights_are_kept_for_the_steps_in_between(name):
    strategy = type(make(name))(every=3)
    first, second = (make_batch(3, seed=seed) for seed in (0, 1))
    start, state = run(strategy, first)
    for _ in range(2):
        kept, state = run(strategy, second, state)
        np.testing.assert_array_equal(kept, start)
    renewed, _ = run(strategy, second, state)
    assert (renewed != start).any()


CHANGED = {
    "dwa": {"temperature": 1.0},
    "gls": {"momentum": 0.9},
    "log": {"momentum": 0.9},
    "stch": {"mu": 0.5},
    "famo": {"gamma": 0.1},
    "gradnorm": {"alpha": 0.5},
    "gradvac": {"beta": 0.1},
    "graddrop": {"leak": 0.1},
    "mgda": {"normalization": "l2"},
    "cagrad": {"c": 0.1},
    "nash_mtl": {"every": 2},
    "fairgrad": {"alpha": 2.0},
    "upgrad": {"ridge": 0.1},
}


@pytest.mark.parametrize("name", CHANGED)
def test_strategies_with_other_settings_share_no_program(name):
    kind = type(make(name))
    assert kind(**CHANGED[name]).program_key() != kind().program_key()
    assert kind(**CHANGED[name]).program_key() == kind(**CHANGED[name]).program_key()


def test_seeds_are_in_the_state_and_share_a_program():
    first, second = public.RandomWeighting(1), public.RandomWeighting(2**32 - 1)
    assert first.program_key() == second.program_key()
    batch = make_batch(4)
    weights = [run(s, batch, s.initial_state(4))[0] for s in (first, second)]
    assert (weights[0] != weights[1]).all()


@pytest.mark.parametrize("name", NAMES)
def test_strategies_are_pickled_with_their_settings(name):
    strategy = make(name)
    assert vars(pickle.loads(pickle.dumps(strategy))) == vars(strategy)
    assert strategy.weights(strategy.initial_state(3), 3).shape == (3,)


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (
            public.DWAWeighting(0),
            "temperature of DWAWeighting must be a finite number above 0. Got 0",
        ),
        (public.MGDAWeighting("L2"), "must be one of 'none', 'l2', 'loss', 'loss+'. Got 'L2'"),
        (public.CAGradWeighting(rescale=3), "rescale of CAGradWeighting must be one of 0, 1, 2"),
        (public.NashMTLWeighting(every=0), "every of NashMTLWeighting must be an integer"),
        (public.GradDropWeighting(leak=2), "at least 0 and at most 1. Got 2"),
        (
            public.LogWeighting(momentum=1),
            "momentum of LogWeighting must be a finite number at least 0",
        ),
        (public.FAMOWeighting(momentum=1.0), "at least 0 and below 1. Got 1.0"),
    ],
)
def test_unusable_settings_are_refused(strategy, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        make_weighting(strategy, ("a",), np.array([True]))


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(ValueError, match=r"'upgrad'.*Got 'pc_grad'\. Did you mean 'pcgrad'\?"):
        make("pc_grad")
