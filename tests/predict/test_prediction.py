"""Tests of sk_mtl._predict: the Keras road, the probabilities of logits, and forms of X."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.special import expit, softmax

from sk_mtl import MultiTaskClassifier
from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.custom_serialization import serialize_model
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict import forward, keras_forward
from sk_mtl._predict.keras_forward import KerasForward
from sk_mtl._predict.probabilities import task_probabilities

# Its widest layer is that of the two heads of 3.
SPEC = NetworkSpec(4, (1, 3, 1), (5,), ((3,), (), (3,)), dropout=0.5, normalization="batch")
WIDEST = 6


def make_values(spec=SPEC, seed=0):
    """Return a network and its values, as arrays of other numbers than it starts from."""
    model = build_network(spec)
    rng = np.random.default_rng(seed)
    for variable in network_variables(model):
        if "seed" not in variable.path:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
    return model, [np.array(v.numpy()) for v in network_variables(model)]


def make_X(n_rows=10):
    return np.random.default_rng(1).normal(size=(n_rows, 4)).astype(np.float32)


def compute_logits(spec, values, X):
    return KerasForward(spec, values).logits(X)


def compute_probabilities(spec, values, X):
    return KerasForward(spec, values).probabilities(X)


@pytest.fixture
def batches(monkeypatch):
    """Return the batches that are placed, of 3 rows each."""
    seen = []

    def noting(*args):
        batch = dense_batch(*args)
        seen.append(batch)
        return batch

    dense_batch = keras_forward._dense_batch
    monkeypatch.setattr(keras_forward, "_BATCH_CELLS", 3 * WIDEST)
    monkeypatch.setattr(keras_forward, "_dense_batch", noting)
    return seen


@pytest.mark.parametrize("rows_at_once", [1, 3, 10, 8192])
def test_logits_are_those_of_the_keras_model_in_inference(monkeypatch, rows_at_once):
    monkeypatch.setattr(keras_forward, "_BATCH_CELLS", rows_at_once * WIDEST)
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
    probabilities = compute_probabilities(SPEC, values, make_X(0))
    assert [p.shape for p in probabilities] == [(0, 2), (0, 3), (0, 2)]


def test_probabilities_are_those_of_the_logits(batches):
    _, values = make_values()
    X = make_X()
    found = compute_probabilities(SPEC, values, X)
    assert sorted(len(b) for b in batches) == [1, 3, 3, 3]
    expected = task_probabilities(compute_logits(SPEC, values, X), SPEC.n_outputs)
    for p, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(p, wanted)
        assert p.flags.c_contiguous
        assert p.base is None  # one task's do not keep those of the others alive


# ------------------------------------------------------------------------------------- memory


def test_float32_rows_are_not_copied(batches):
    X = make_X()
    X.flags.writeable = False
    compute_probabilities(SPEC, make_values()[1], X)
    assert all(np.shares_memory(b, X) for b in batches)


def test_rows_of_a_batch_are_fewer_the_wider_a_layer_is(batches):
    spec = NetworkSpec(4, (1,) * 5, (3,), ((2,),) * 5)
    compute_logits(spec, make_values(spec)[1], make_X(4))
    assert [len(b) for b in batches] == [1] * 4  # 18 numbers, layers of 10


def test_rows_of_a_batch_are_fewer_the_wider_a_layer_of_a_custom_trunk_is(batches):
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(9), keras.layers.Dense(2)])
    trunk = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(3)])
    spec = NetworkSpec(4, (1,), custom_model=serialize_model(trunk))
    compute_logits(spec, make_values(spec)[1], make_X(4))
    assert [len(b) for b in batches] == [2, 2]


class RefusingToBeDense(sp.csr_matrix):
    """A CSR matrix that is made dense in pieces only."""

    def toarray(self, *args, **kwargs):
        assert self.shape[0] <= 3
        return super().toarray(*args, **kwargs)


def test_sparse_rows_are_made_dense_by_batch(batches):
    compute_probabilities(SPEC, make_values()[1], RefusingToBeDense(make_X()))
    assert sorted(len(b) for b in batches) == [1, 3, 3, 3]


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.float64),
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: sp.csr_matrix(X.astype(np.float64)),
        sp.csr_array,
    ],
    ids=["float64", "Fortran", "strided", "float64 CSR", "CSR array"],
)
def test_rows_of_another_form_are_cast_by_batch(batches, convert):
    _, values = make_values()
    expected = compute_logits(SPEC, values, make_X())
    del batches[:]
    np.testing.assert_array_equal(compute_logits(SPEC, values, convert(make_X())), expected)
    assert [b.dtype for b in batches] == [np.float32] * 4


def test_a_number_too_large_for_float32_is_refused_in_any_batch(batches):
    X = make_X().astype(np.float64)
    X[7, 2] = 1e300
    with pytest.raises(ValueError, match="too large for dtype"):
        compute_probabilities(SPEC, make_values()[1], X)


# -------------------------------------------------------------------------------- the program


def test_predicting_changes_no_value():
    _, values = make_values()
    network = KerasForward(SPEC, values)
    first, second = (network.logits(make_X()) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for value, old in zip(network._values, values, strict=True):
        np.testing.assert_array_equal(value.numpy(), old)


@pytest.fixture
def builds(monkeypatch):
    """Return the specifications for which a forward pass was made, from an empty cache on."""
    seen = []

    def counting(spec):
        seen.append(spec)
        return build_network(spec)

    monkeypatch.setattr(keras_forward, "_programs", type(keras_forward._programs)())
    monkeypatch.setattr(keras_forward, "build_network", counting)
    return seen


def test_networks_of_one_shape_share_a_program_and_not_their_values(builds):
    (first, a), (second, b) = make_values(seed=0), make_values(seed=1)
    X = make_X()
    for model, values in ((first, a), (second, b), (first, a)):
        np.testing.assert_allclose(compute_logits(SPEC, values, X), np.asarray(model(X)), rtol=1e-5)
    assert len(builds) == 1


def test_programs_are_bounded(builds, monkeypatch):
    monkeypatch.setattr(keras_forward, "_MAX_PROGRAMS", 2)
    specs = [NetworkSpec(4, (1,), (n,)) for n in (2, 3, 4)]
    for spec in specs:
        compute_logits(spec, make_values(spec)[1], make_X())
    assert len(keras_forward._programs) == 2
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


def test_probabilities_of_many_tasks_are_those_of_each():
    widths = (1, 4, 1, 3, 4, 1, 1)
    logits = np.random.default_rng(0).normal(scale=3, size=(20, 15)).astype(np.float32)
    parts = np.split(logits, np.cumsum(widths)[:-1], axis=1)
    for part, p in zip(parts, task_probabilities(logits, widths), strict=True):
        expected = softmax(part, axis=1) if part.shape[1] > 1 else expit(np.hstack([-part, part]))
        np.testing.assert_allclose(p, expected, rtol=1e-6)


def test_probabilities_of_a_row_do_not_depend_on_the_others():
    logits = np.random.default_rng(0).normal(scale=3, size=(50, 21)).astype(np.float32)
    together = task_probabilities(logits, (1, 20))
    for row in range(len(logits)):
        alone = task_probabilities(logits[row : row + 1], (1, 20))
        for p, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(one[0], p[row])


def test_probabilities_leave_the_logits_as_they_were():
    logits = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    before = logits.copy()
    task_probabilities(logits, (1, 3))
    np.testing.assert_array_equal(logits, before)


def test_probabilities_of_infinite_logits_are_certain():
    logits = np.array([[np.inf, -np.inf, 0, np.inf]], dtype=np.float32)
    first, second = task_probabilities(logits, (1, 3))
    np.testing.assert_array_equal(first, [[0, 1]])
    np.testing.assert_array_equal(second, [[0, 0, 1]])


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


# ------------------------------------------------------------------------- through the estimator


@pytest.fixture(scope="module")
def fitted():
    X = make_X(30)
    Y = pd.DataFrame({"sign": X[:, 0] > 0, "grade": np.digitize(X[:, 1], [-0.5, 0.5])})
    return MultiTaskClassifier((5,), epochs=1, random_state=0).fit(X, Y)


FORMS = {
    "float64": lambda X: X.astype(np.float64),
    "Fortran": np.asfortranarray,
    "list": lambda X: X.tolist(),
    "object": lambda X: X.astype(object),
    "float64 frame": lambda X: pd.DataFrame(X.astype(np.float64)),
    "nullable frame": lambda X: pd.DataFrame(X).astype("Float32"),
    "float64 CSR": lambda X: sp.csr_matrix(X.astype(np.float64)),
    "CSC": sp.csc_matrix,
}


@pytest.mark.parametrize("form", FORMS)
def test_predictions_are_the_same_for_every_form_of_X(fitted, form):
    X = make_X()
    for p, expected in zip(
        fitted.predict_proba(FORMS[form](X)), fitted.predict_proba(X), strict=True
    ):
        np.testing.assert_array_equal(p, expected)


def test_predictions_are_the_same_for_columns_of_numbers_and_booleans(fitted):
    X = pd.DataFrame(make_X()).astype(np.float64)
    X[2] = X[2] > 0
    X[3] = np.arange(len(X))
    expected = fitted.predict_proba(X.to_numpy(dtype=np.float32))
    for p, wanted in zip(fitted.predict_proba(X), expected, strict=True):
        np.testing.assert_array_equal(p, wanted)


@pytest.mark.parametrize("bad", [np.inf, 1e300])
def test_a_number_that_is_not_finite_in_float32_is_refused(fitted, bad):
    X = make_X().astype(np.float64)
    X[3, 1] = bad
    frame = pd.DataFrame(X).assign(**{"3": True}).drop(columns=3)  # read as objects
    for x in (X, sp.csr_matrix(X), pd.DataFrame(X), frame.set_axis(range(4), axis=1)):
        with pytest.raises(ValueError, match="Input X contains"):
            fitted.predict_proba(x)


@pytest.mark.parametrize(
    "convert",
    [lambda X: X, lambda X: X.astype(np.float64), np.asfortranarray, sp.csr_matrix],
    ids=["float32", "float64", "Fortran", "CSR"],
)
def test_predicting_takes_little_memory_beside_X_and_the_result(fitted, monkeypatch, convert):
    monkeypatch.setattr(forward, "_BATCH_CELLS", 5000)
    X = np.zeros((50_000, 4), dtype=np.float32)
    X[:, 0] = 1
    X = convert(X)
    fitted.predict_proba(X[:3000])
    tracemalloc.start()
    result = fitted.predict_proba(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # X in float32 is 800 kB.
    assert peak - sum(p.nbytes for p in result) < 400_000
