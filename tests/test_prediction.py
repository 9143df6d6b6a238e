"""Tests of sk_mtl._prediction: from values and X to logits and probabilities."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from sk_mtl import _prediction
from sk_mtl._network import NetworkSpec, build_network, network_variables
from sk_mtl._prediction import compute_logits, task_probabilities

SPEC = NetworkSpec(4, (1, 3, 1), (5,), ((3,), (), (3,)), dropout=0.5, normalization="batch")


def make_values(spec=SPEC, seed=0):
    """Return a network and its values, as arrays of other numbers than it starts from."""
    model = build_network(spec)
    rng = np.random.default_rng(seed)
    for variable in network_variables(model):
        if "seed" not in variable.path:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
    return model, [tf.constant(v.numpy()) for v in network_variables(model)]


def make_X(n_rows=10):
    return np.random.default_rng(1).normal(size=(n_rows, 4)).astype(np.float32)


@pytest.mark.parametrize("rows_at_once", [3, 10, 8192])
def test_logits_are_those_of_the_keras_model_in_inference(monkeypatch, rows_at_once):
    monkeypatch.setattr(_prediction, "_BATCH_ROWS", rows_at_once)
    model, values = make_values()
    X = make_X()
    logits = compute_logits(SPEC, values, X)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, np.asarray(model(X, training=False)), rtol=1e-5)


def test_logits_of_sparse_rows_are_those_of_dense_ones():
    _, values = make_values()
    X = make_X() * (np.random.default_rng(2).random((10, 4)) < 0.5)
    X = X.astype(np.float32)
    np.testing.assert_array_equal(
        compute_logits(SPEC, values, sp.csr_matrix(X)), compute_logits(SPEC, values, X)
    )


def test_logits_of_no_rows_have_their_columns():
    _, values = make_values()
    assert compute_logits(SPEC, values, make_X(0)).shape == (0, 5)


def test_predicting_changes_no_value():
    _, values = make_values()
    before = [v.numpy().copy() for v in values]
    first, second = (compute_logits(SPEC, values, make_X()) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for value, old in zip(values, before, strict=True):
        np.testing.assert_array_equal(value.numpy(), old)


@pytest.fixture
def builds(monkeypatch):
    """Return the specifications for which a forward pass was made, from an empty cache on."""
    seen = []

    def counting(spec):
        seen.append(spec)
        return build_network(spec)

    monkeypatch.setattr(_prediction, "_programs", type(_prediction._programs)())
    monkeypatch.setattr(_prediction, "build_network", counting)
    return seen


def test_networks_of_one_shape_share_a_program_and_not_their_values(builds):
    (first, a), (second, b) = make_values(seed=0), make_values(seed=1)
    X = make_X()
    for model, values in ((first, a), (second, b), (first, a)):
        np.testing.assert_allclose(compute_logits(SPEC, values, X), np.asarray(model(X)), rtol=1e-5)
    assert len(builds) == 1


def test_programs_are_bounded(builds, monkeypatch):
    monkeypatch.setattr(_prediction, "_MAX_PROGRAMS", 2)
    specs = [NetworkSpec(4, (1,), (n,)) for n in (2, 3, 4)]
    for spec in specs:
        compute_logits(spec, make_values(spec)[1], make_X())
    assert len(_prediction._programs) == 2
    compute_logits(specs[2], make_values(specs[2])[1], make_X())
    assert builds == specs


def test_predictions_at_the_same_time_do_not_mix(builds):
    networks = [make_values(seed=seed)[1] for seed in range(4)]
    X = make_X()
    expected = [compute_logits(SPEC, values, X) for values in networks]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda values: compute_logits(SPEC, values, X), networks * 5))
    for logits, wanted in zip(found, expected * 5, strict=True):
        np.testing.assert_array_equal(logits, wanted)


# ------------------------------------------------------------------------------- probabilities


def test_probabilities_of_hand_computed_logits():
    logits = np.array([[np.log(3), 0, np.log(2), 0, -np.log(4)]], dtype=np.float32)
    first, second, third = task_probabilities(logits, (1, 3, 1))
    np.testing.assert_allclose(first, [[0.25, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(second, [[0.25, 0.5, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(third, [[0.8, 0.2]], rtol=1e-6)


def test_probabilities_are_float32_and_sum_to_one():
    logits = np.random.default_rng(0).normal(scale=20, size=(50, 6)).astype(np.float32)
    for p in task_probabilities(logits, (1, 4, 1)):
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)


def test_probabilities_of_extreme_logits_are_finite():
    logits = np.array([[1e4, -1e4, 1e4, 0], [-1e4, 1e4, 1e4, 0]], dtype=np.float32)
    first, second = task_probabilities(logits, (1, 3))
    np.testing.assert_array_equal(first, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(second, [[0, 1, 0], [0.5, 0.5, 0]])
