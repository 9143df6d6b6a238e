"""Tests of sk_mtl._model.layers: random numbers, and dropout whose rate is fed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sk_mtl._model.layers import NoiseDropout, draw_uniform


def draw(seed, count=0, shape=(64, 50)):
    return draw_uniform(tf.constant([seed, count], tf.uint32), np.zeros(shape, np.float32)).numpy()


def chi_squared(cells):
    """Return how unequal the counts of cells are, in deviations of what chance makes."""
    expected = cells.mean()
    n_free = cells.size - 1
    return (((cells - expected) ** 2).sum() / expected - n_free) / np.sqrt(2 * n_free)


# ------------------------------------------------------------------------------------------------
# Random numbers. All is fixed: five deviations are what one draw in two million exceeds.
# ------------------------------------------------------------------------------------------------

SEEDS = (0, 1, 2, 7, 2**31 - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_are_equally_distributed(seed):
    numbers = draw(seed, shape=(1000, 1000)).astype(float).ravel()
    assert 0 <= numbers.min() < 1e-5
    assert 1 - 1e-5 < numbers.max() < 1
    n = numbers.size
    assert abs(numbers.mean() - 0.5) < 5 * np.sqrt(1 / 12 / n)
    assert abs((numbers**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / n)
    for bits in (1, 4, 10):
        assert abs(chi_squared(np.bincount((numbers * 2**bits).astype(int)))) < 5
    lowest = (numbers * 2**24).astype(int) & 255
    assert abs(chi_squared(np.bincount(lowest))) < 5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lag", [1, 2, 3, 32, 50, 64, 128])
def test_neighbours_are_independent(seed, lag):
    numbers = draw(seed, shape=(400, 500)).astype(float).ravel()
    first, second = numbers[:-lag], numbers[lag:]
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(first.size)
    cells = np.bincount((first * 16).astype(int) * 16 + (second * 16).astype(int), minlength=256)
    assert abs(chi_squared(cells)) < 5


@pytest.mark.parametrize("what", ["count", "seed"])
def test_draws_of_other_counts_and_seeds_are_independent(what):
    others = [draw(7, n) if what == "count" else draw(n, 7) for n in range(40)]
    flat = np.stack([numbers.ravel() for numbers in others]).astype(float)
    off_diagonal = np.corrcoef(flat)[~np.eye(len(flat), dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(flat.shape[1])
    # Nor does one continue the other at another place.
    assert len(np.unique(flat)) > 0.99 * flat.size
    assert chi_squared(np.bincount((flat[:, 0] * 4).astype(int), minlength=4)) < 5
    equal = (flat[1:] == flat[:-1]).mean()
    assert equal < 1e-5


def test_seed_and_count_do_not_stand_for_each_other():
    assert (draw(3, 4) != draw(4, 3)).mean() > 0.999
    assert (draw(3, 4) != draw(7, 0)).mean() > 0.999


def test_numbers_depend_on_nothing_but_seed_count_and_position():
    np.testing.assert_array_equal(draw(7, 3), draw(7, 3))
    np.testing.assert_array_equal(draw(7, 3, (5, 50)), draw(7, 3)[:5])
    first, second = draw(7, 3), draw(7, 2**31)
    assert (first != second).mean() > 0.999


@pytest.mark.parametrize("jit_compile", [False, True])
def test_numbers_are_the_same_compiled_and_vectorised(jit_compile):
    states = tf.constant([[7, 0], [7, 1], [2**31 - 1, 5]], tf.uint32)
    like = np.zeros((3, 6, 5), np.float32)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def draw_all():
        each = tf.stack([draw_uniform(state, like[0]) for state in tf.unstack(states)])
        return each, tf.vectorized_map(lambda parts: draw_uniform(*parts), (states, like))

    expected = [draw(*state, shape=(6, 5)) for state in states.numpy().tolist()]
    for found in draw_all():
        np.testing.assert_array_equal(found.numpy(), expected)


def test_large_seeds_of_64_bits_are_told_apart():
    first, second = (draw_uniform(tf.constant([s, 0], tf.int64), np.zeros(100)) for s in (5, 6))
    assert (first.numpy() != second.numpy()).all()


# ------------------------------------------------------------------------------------------------
# Dropout
# ------------------------------------------------------------------------------------------------


def drop(layer, inputs, rate):
    layer.fed_rate = tf.constant(rate, tf.float32)
    return layer(inputs, training=True).numpy()


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
def test_fed_rate_drops_its_share_and_keeps_the_mean(rate):
    layer, inputs = NoiseDropout(0.5, seed=0), np.ones((1000, 256), np.float32)
    outputs = drop(layer, inputs, rate)
    deviation = np.sqrt(rate * (1 - rate) / inputs.size)
    assert (outputs == 0).mean() == pytest.approx(rate, abs=4 * deviation)
    np.testing.assert_allclose(outputs[outputs > 0], 1 / (1 - rate), rtol=1e-6)
    assert outputs.mean(dtype=float) == pytest.approx(1, abs=4 * deviation / (1 - rate))
    # Neither rows nor units are preferred.
    for axis in (0, 1):
        shares = (outputs == 0).mean(axis=axis)
        n = outputs.shape[axis]
        assert np.abs(shares - rate).max() < 5 * np.sqrt(rate * (1 - rate) / n)


def test_fed_rate_of_0_drops_nothing_and_a_layer_at_rest_neither():
    layer, inputs = NoiseDropout(0.5, seed=0), np.ones((8, 4), np.float32)
    np.testing.assert_array_equal(drop(layer, inputs, 0.0), inputs)
    layer.fed_rate = tf.constant(0.5)
    np.testing.assert_array_equal(layer(inputs, training=False), inputs)


def test_each_call_draws_others_and_counts_on():
    layer, inputs = NoiseDropout(0.5, seed=3), np.ones((50, 20), np.float32)
    state = layer.seed_generator.state
    before = state.numpy()
    first, second = (drop(layer, inputs, 0.5) for _ in range(2))
    assert 0.4 < (first == second).mean() < 0.6
    np.testing.assert_array_equal(state.numpy() - before, [0, 2])
    state.assign(before)
    np.testing.assert_array_equal(drop(layer, inputs, 0.5), first)


def test_without_a_fed_rate_the_layer_is_that_of_keras():
    inputs = np.ones((50, 20), np.float32)
    ours, theirs = (kind(0.3, seed=5) for kind in (NoiseDropout, keras.layers.Dropout))
    np.testing.assert_array_equal(ours(inputs, training=True), theirs(inputs, training=True))
