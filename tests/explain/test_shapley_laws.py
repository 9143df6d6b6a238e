"""The laws of the values: linear networks, equal features, convergence, and bits."""

from functools import cache

import keras
import numpy as np
import pytest
from brute_force import brute_force
from helpers import make_tiny
from threadpoolctl import threadpool_limits

from sk_mtl.datasets import make_multitask_classification

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 9)).astype(np.float32)
Y = np.column_stack([X[:, 0] * X[:, 1] > 0, X[:, 2] > 0, RNG.integers(0, 3, 100)])
FIXED = {"early_stopping": False, "jit_compile": False, "optimizer__learning_rate": 0.05}


@cache
def fitted(n_features=9, **params):
    params = {"hidden_layer_sizes": (16,), "epochs": 10} | params
    return make_tiny(**FIXED | params).fit(X[:, :n_features], Y)


def layers_of(clf):
    """Return the kernel and bias of each dense layer, by the name of the layer."""
    return {layer.name: layer.get_weights() for layer in clf.model_.layers if layer.get_weights()}


# ---------------------------------------------------------------------------- networks of one layer


@cache
def linear(**params):
    return fitted(hidden_layer_sizes=(), standardize=False, numeric_embedding=None, **params)


def coefficients():
    """Return the coefficients of the logits of a network without hidden layers."""
    zero, unit = np.zeros((1, 9), np.float32), np.eye(9, dtype=np.float32)
    model = linear().model_
    outputs = np.asarray(model(np.concatenate([zero, unit])), np.float64)
    return outputs[1:] - outputs[0]  # of tasks y0 and y1, then of three classes


@pytest.mark.slow_except("y1-1")
@pytest.mark.parametrize(("task", "column"), [("y0", 0), ("y1", 1)])
def test_values_of_a_linear_network_are_coefficients_times_deviations(task, column):
    found = linear().explain(X[:7], task, background=X[50:70], output="log_odds")

    expected = (X[:7] - X[50:70].mean(axis=0)) * coefficients()[:, column]
    assert found.method == "exact"
    np.testing.assert_allclose(found.values[:, :, 1], expected, atol=2e-6)
    np.testing.assert_allclose(found.values[:, :, 0], -expected, atol=2e-6)


def test_values_of_a_linear_network_with_three_classes():
    found = linear().explain(X[:7], "y2", background=X[50:70], output="log_odds")

    of_classes = coefficients()[:, 2:]
    of_classes -= of_classes.mean(axis=1, keepdims=True)
    expected = (X[:7] - X[50:70].mean(axis=0))[:, :, None] * of_classes
    np.testing.assert_allclose(found.values, expected, atol=2e-6)


def test_temperatures_divide_the_values_of_a_linear_network():
    params = {"early_stopping": True, "validation_fraction": 0.4}
    plain = linear(**params).explain(X[:5], "y0", background=X[50:60], output="log_odds")
    calibrated = linear(**params, calibrate=True)
    found = calibrated.explain(X[:5], "y0", background=X[50:60], output="log_odds")

    ratios = plain.values / found.values
    assert abs(ratios.mean() - 1) > 1e-3
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=1e-2)


def test_probabilities_of_a_linear_network_are_estimated():
    assert linear().explain(X[:2], "y0", background=X[50:52]).method == "permutation"


# ----------------------------------------------------------------------------------- equal features


def make_symmetric(meta):
    """Return a model that reads its first two features as a sum, and not its last."""
    inputs = keras.Input((meta["n_features_in_"],))
    both = inputs[:, :1] + inputs[:, 1:2]
    hidden = keras.layers.Dense(6, "tanh")(keras.ops.concatenate([both, inputs[:, 2:4]], axis=1))
    return keras.Model(inputs, [keras.layers.Dense(n, "softmax")(hidden) for n in (2, 2, 3)])


@cache
def symmetric():
    """Return values of a model with two columns that are equal, and one that it does not read."""
    columns = X[:, [0, 0, 1, 2, 3]]
    clf = make_tiny(**FIXED, model=make_symmetric).fit(columns, Y)
    return clf.explain(columns[:5], background=columns[20:30])


@pytest.mark.slow
def test_equal_columns_with_equal_weights_get_equal_values():
    for of_task in symmetric():
        np.testing.assert_allclose(of_task.values[:, 0], of_task.values[:, 1], atol=1e-7)
        assert np.abs(of_task.values[:, 0]).max() > 1e-3


def test_a_column_that_the_network_does_not_read_gets_nothing():
    for of_task in symmetric():
        np.testing.assert_allclose(of_task.values[:, 4], 0, atol=1e-7)


@pytest.mark.slow
def test_a_constant_column_gets_exactly_nothing():
    constant = np.column_stack([X[:, :4], np.ones(len(X))])
    clf = make_tiny(**FIXED).fit(constant, Y)
    for of_task in clf.explain(constant[:5], background=constant[20:40]):
        assert (of_task.values[:, 4] == 0).all()
        assert (of_task.values[:, :4] != 0).any()


@pytest.mark.slow
def test_a_row_equal_to_the_background_gets_exactly_nothing():
    for of_task in fitted().explain(X[:1], background=np.repeat(X[:1], 3, axis=0)):
        assert (of_task.values == 0).all()
        assert of_task.method == "exact"


# ---------------------------------------------------------------------------- exact and estimated


@cache
def nine_features():
    """Return the values of nine features by enumeration: one more than what is exact."""
    x, background = X[:1], X[50:56]
    values = brute_force(lambda rows: np.hstack(list(fitted().predict_proba(rows))), x, background)
    return x, background, values


def error_of(n_permutations, seed=0):
    x, background, expected = nine_features()
    found = fitted().explain(
        x, background=background, n_permutations=n_permutations, random_state=seed
    )
    assert {e.method for e in found} == {"permutation"}
    return np.hstack([e.values[0] for e in found]) - expected


def rms(errors):
    return np.sqrt(np.mean(np.square(errors)))


def test_many_orders_come_near_the_values_of_the_definition():
    _, _, expected = nine_features()
    assert rms(error_of(400)) < 0.01 * rms(expected)


def test_one_order_is_near_already():
    _, _, expected = nine_features()
    assert rms(error_of(1)) < 0.3 * rms(expected)


def test_the_error_falls_with_the_root_of_the_orders():
    few = rms([error_of(2, seed) for seed in range(20)])
    many = rms([error_of(32, seed) for seed in range(20)])
    assert 2.5 < few / many < 6.5  # 4 is the root of 32 / 2


def test_orders_have_no_bias():
    errors = np.array([error_of(1, seed) for seed in range(60)])
    mean, spread = errors.mean(axis=0), errors.std(axis=0) / np.sqrt(len(errors))
    assert rms(mean) < 2 * rms(spread)


@pytest.mark.slow_except("8")
@pytest.mark.parametrize("n_features", range(1, 9))
def test_up_to_eight_features_are_exact(n_features):
    clf = make_tiny(**FIXED, epochs=5).fit(X[:, :n_features], Y[:, 2])
    x, background = X[:1, :n_features], X[50:53, :n_features]

    found = clf.explain(x, background=background)

    assert found.method == "exact"
    expected = brute_force(clf.predict_proba, x, background)
    np.testing.assert_allclose(found.values[0], expected, atol=1e-6)


@pytest.mark.slow
def test_rows_that_differ_in_few_features_are_exact_among_many():
    clf, near = fitted(), np.repeat(X[:1], 8, axis=0)
    near[np.arange(8), np.arange(8)] += 1
    assert clf.explain(near, 0).method == "exact"
    assert clf.explain(np.concatenate([near, X[1:2]]), 0).method == "permutation"


def test_a_pair_that_differs_in_one_feature_gives_it_all():
    near = X[:2].copy()
    near[1] = near[0]
    near[1, 3] += 1
    found = fitted().explain(near[:1], 0, background=near[1:])
    proba = fitted().predict_proba(near)["y0"]
    np.testing.assert_allclose(found.values[0, 3], proba[0] - proba[1], atol=1e-6)


# ------------------------------------------------------------------------------------------- bits


def assert_same_values(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.base_values, other.base_values)


def test_the_same_random_state_gives_the_same_bits():
    first, second = (fitted().explain(X[:9], n_background=20, random_state=7) for _ in range(2))
    assert_same_values(first, second)


def test_another_random_state_gives_other_orders():
    first, second = (fitted().explain(X[:9], random_state=seed)["y0"].values for seed in (0, 1))
    assert (first != second).any()
    assert rms(first - second) < 0.5 * rms(first)


def test_a_random_state_is_used_up():
    state = np.random.RandomState(0)
    first, second = (fitted().explain(X[:9], 0, random_state=state).values for _ in range(2))
    assert (first != second).any()


@cache
def wide(**params):
    """Return a network whose products are large enough for several threads of BLAS."""
    wide_X = np.random.default_rng(0).normal(size=(60, 300)).astype(np.float32)
    tiny = {"numeric_embedding": None, "epochs": 1, "early_stopping": False}
    return make_tiny(**tiny | params).fit(wide_X, Y[:60]), wide_X


WIDE = {
    "trunk": {"hidden_layer_sizes": (600,)},
    "ensemble": {"hidden_layer_sizes": (300,), "ensemble_size": 8},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WIDE)
def test_the_number_of_threads_changes_no_bit(kind):
    clf, wide_X = wide(**WIDE[kind])
    near = wide_X[20:40].copy()
    near[10:] = wide_X[0]
    near[10:, :8] = wide_X[20:30, :8]  # pairs that are exact, too
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            found.append(clf.explain(wide_X[:3], background=near, random_state=0))
    assert_same_values(*found)


def test_other_rows_change_no_bit():
    clf, wide_X = wide(**WIDE["trunk"])
    background = wide_X[20:30]
    whole = clf.explain(wide_X[:5], 0, background=background, random_state=0)
    for n in (1, 2):
        part = clf.explain(wide_X[:n], 0, background=background, random_state=0)
        np.testing.assert_array_equal(part.values, whole.values[:n])


@pytest.mark.parametrize("output", ["probability", "log_odds"])
@pytest.mark.parametrize("n_features", [4, 9], ids=["exact", "permutation"])
def test_other_tasks_change_no_bit(output, n_features):
    clf = fitted(n_features)
    settings = {"background": X[50:61, :n_features], "output": output, "random_state": 0}
    whole = clf.explain(X[:5, :n_features], **settings)
    alone = [clf.explain(X[:5, :n_features], task, **settings) for task in ("y0", "y1", "y2")]
    assert_same_values(whole, alone)


@pytest.mark.slow
def test_many_tasks_at_once_are_those_one_by_one():
    many_X, many_Y = make_multitask_classification(
        n_samples=60, n_tasks=12, n_features=12, random_state=0
    )
    clf = make_tiny(**FIXED).fit(many_X, many_Y)
    settings = {"background": many_X[:15], "random_state": 0}
    whole = clf.explain(many_X[40:44], **settings)
    alone = [clf.explain(many_X[40:44], task, **settings) for task in range(12)]
    assert_same_values(whole, alone)
