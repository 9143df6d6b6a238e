"""Tests of sk_mtl._predict: the forward pass in NumPy, by Keras's results and by its own law.

The law: the predictions of a row have the same bits whatever rows come before, after or with it,
and however many threads compute, on any processor.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import INPUTS, make_specs, make_values, make_X
from threadpoolctl import threadpool_info, threadpool_limits

from sk_mtl._compat.threads import compute_thread_limit
from sk_mtl._data.input_spec import InputSpec
from sk_mtl._model.build import build_network
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict import forward
from sk_mtl._predict.activations import ACTIVATIONS
from sk_mtl._predict.forward import NetworkForward, make_forward
from sk_mtl._predict.keras_forward import KerasForward
from sk_mtl._predict.products import Product
from sk_mtl._predict.tiles import TILE_ROWS, Workspace, expand

N_FEATURES = 4
NEWER_ACTIVATIONS = {"sparse_sigmoid"}  # than the oldest Keras that is supported
TEMPERATURES = np.array([0.5, 1.5, 1, 3], dtype=np.float32)


def predict_all(network, X):
    """Return all that a network predicts of rows, side by side."""
    parts = [
        network.logits(X),
        *network.probabilities(X),
        *network.probabilities(X, TEMPERATURES[: len(network.spec.n_outputs)]),
    ]
    if network.spec.ensemble_size > 1:
        parts += network.spread(X)
    return np.hstack(parts)


# ------------------------------------------------------------------------------ Keras's results


@pytest.mark.slow_except("0")
@pytest.mark.release_except("0", "[1-5]")
@pytest.mark.parametrize("number", range(16))
def test_predictions_are_those_of_keras(number):
    for spec in make_specs()[number::16]:
        values, X = make_values(spec, seed=number), make_X(spec, 37)
        found = predict_all(make_forward(spec, values), X)
        expected = predict_all(KerasForward(spec, values), X)
        assert isinstance(make_forward(spec, values), NetworkForward)
        n_logits = sum(spec.n_outputs)
        np.testing.assert_allclose(found[:, n_logits:], expected[:, n_logits:], rtol=0, atol=1e-6)
        np.testing.assert_allclose(found[:, :n_logits], expected[:, :n_logits], atol=1e-5)


@pytest.mark.parametrize("name", INPUTS)
def test_predictions_behind_input_layers_are_those_of_keras(name):
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS[name])
    values, X = make_values(spec), make_X(spec)
    found, expected = (predict_all(f(spec, values), X) for f in (NetworkForward, KerasForward))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec(300, (1, 3), (300, 200), normalization="layer", input=InputSpec()),
        NetworkSpec(20, (1, 30), (64,), ((40,), (40,)), ensemble_size=4, activation="gelu"),
        NetworkSpec(9, (1,) * 30, (8,), ((300,),) * 30, activation="softmax"),
    ],
    ids=["long sums", "members", "many heads"],
)
def test_predictions_of_wide_networks_are_those_of_keras(spec):
    values, X = make_values(spec), make_X(spec, 50)
    pairs = zip(
        NetworkForward(spec, values).probabilities(X),
        KerasForward(spec, values).probabilities(X),
        strict=True,
    )
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def in_blocks(activation, x):
    """Return Keras's activation of tiles, which has the units on the last axis but one."""
    return np.moveaxis(np.asarray(activation(np.moveaxis(x, -2, -1))), -1, -2)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_that_of_keras(name):
    if name in NEWER_ACTIVATIONS and not hasattr(keras.activations, name):
        pytest.skip("this version of Keras does not have it")
    rng = np.random.default_rng(0)
    some = np.array([0, 1e-20, 1e-6, 0.5, 1, 3, 6, 88, 1e3, 1e19, 3e38])
    x = np.concatenate([rng.normal(scale=3, size=990), some, -some, np.linspace(-100, 100, 1000)])
    x = np.resize(x.astype(np.float32), (4, 2, 16, TILE_ROWS))
    found = x.copy()
    with np.errstate(all="ignore"):
        ACTIVATIONS[name](found, np.empty_like(found))
    expected = in_blocks(keras.activations.get(name), x)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    is_finite = np.isfinite(expected)
    atol = 1e-6 * np.maximum(np.abs(x), 1)[is_finite]
    error = np.abs(found[is_finite] - expected[is_finite])
    assert (error <= atol + 1e-6 * np.abs(expected[is_finite])).all()


def test_all_activations_that_keep_the_width_are_known():
    names = {f.__name__ for f in vars(keras.activations).values() if hasattr(f, "__name__")}
    others = {"deserialize", "get", "serialize", "glu", "threshold"}  # the last needs arguments
    missing = {name for name in NEWER_ACTIVATIONS if name not in names}
    assert names - others == set(ACTIVATIONS) - missing


@keras.saving.register_keras_serializable("sk_mtl_tests")
def twice(x):
    return 2 * x


def test_an_activation_of_the_user_goes_by_keras():
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), activation="sk_mtl_tests>twice")
    assert isinstance(make_forward(spec, make_values(spec)), KerasForward)


# -------------------------------------------------------------------------------------- the law

LAWFUL = {
    "plain": NetworkSpec(N_FEATURES, (1, 3, 2), (20,)),
    "all inputs": NetworkSpec(
        N_FEATURES,
        (1, 3, 1, 1),
        (130, 7),
        ((), (5,), (5, 3), ()),
        "gelu",
        normalization="batch",
        input=INPUTS["piecewise"],
    ),
    "waves": NetworkSpec(N_FEATURES, (4,), (9,), input=INPUTS["periodic"], activation="tanh"),
    "layer normalisation": NetworkSpec(
        N_FEATURES, (1, 3), (33, 4), ((3,), (2,)), "softmax", normalization="layer"
    ),
    "shared ensemble": NetworkSpec(
        N_FEATURES, (1, 3, 1), (17, 5), ((3,), (), (3,)), input=InputSpec(), ensemble_size=3
    ),
    "independent ensemble": NetworkSpec(
        N_FEATURES, (1, 3), (17,), activation="silu", ensemble_size=5, ensemble_method="independent"
    ),
    "no hidden layer": NetworkSpec(N_FEATURES, (1, 5)),
}
_PREPARED = {}


def lawful(name):
    """Return a network, rows, and what it predicts of them all at once."""
    if name not in _PREPARED:
        spec = LAWFUL[name]
        network, X = NetworkForward(spec, make_values(spec)), make_X(spec)
        _PREPARED[name] = network, X, predict_all(network, X)
    return _PREPARED[name]


@pytest.mark.parametrize("name", LAWFUL)
@settings(max_examples=30)
@given(
    rows=st.lists(st.integers(0, 59), min_size=1, max_size=70),
    tiles_per_batch=st.integers(1, 4),
    n_threads=st.integers(1, 4),
    form=st.sampled_from(["float32", "float64", "Fortran", "strided", "CSR", "float64 CSR"]),
)
def test_predictions_of_a_row_have_the_same_bits_in_any_company(
    name, rows, tiles_per_batch, n_threads, form
):
    network, X, expected = lawful(name)
    convert = {
        "float32": lambda X: X,
        "float64": lambda X: X.astype(np.float64),
        "Fortran": np.asfortranarray,
        "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        "CSR": sp.csr_matrix,
        "float64 CSR": lambda X: sp.csr_array(X.astype(np.float64)),
    }
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(n_threads):
        patch.setattr(forward, "_BATCH_CELLS", tiles_per_batch * TILE_ROWS * network._widest)
        found = predict_all(network, convert[form](X[rows]))
    np.testing.assert_array_equal(found, expected[rows])


def test_extreme_rows_do_not_change_their_neighbours():
    network, X, expected = lawful("all inputs")
    X = X.copy()
    X[1::2, 0] = 3e38
    X[5::6, 1] = -3e38
    np.testing.assert_array_equal(predict_all(network, X)[::2], expected[::2])


SIZES = [(1, 1), (3, 1), (7, 5), (64, 256), (129, 64), (300, 9), (700, 130), (2048, 33)]
SCRIPT = f"""
import json
import numpy as np
from sk_mtl._predict.products import Product
from sk_mtl._predict.tiles import Workspace

rng, sums = np.random.default_rng(0), []
for n_in, n_out in {SIZES}:
    weights = rng.normal(size=(2, n_out, n_in)).astype("f4")
    x = rng.normal(size=(2, 2, n_in, 16)).astype("f4")
    x[1] = x[0, :, :, ::-1]
    y = np.empty((2, 2, n_out, 16), "f4")
    Product(weights)(x, y, Workspace())
    assert (y[1] == y[0, :, :, ::-1]).all(), (n_in, n_out)
    sums.append(y.view("u4").sum(dtype="u8").item())
print(json.dumps(sums))
"""


def is_openblas_on_x86():
    libraries = threadpool_info()
    is_x86 = any(name in os.uname().machine for name in ("x86_64", "amd64", "AMD64"))
    return is_x86 and any(library["internal_api"] == "openblas" for library in libraries)


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "uname") or not is_openblas_on_x86(), reason="needs OpenBLAS on x86"
)
@pytest.mark.parametrize("processor", ["Haswell", "Zen", "Sandybridge", "Nehalem", "Prescott"])
def test_products_have_the_same_bits_in_any_position_and_number_of_threads(processor):
    found = []
    for n_threads in (1, 2, 3):
        environment = {
            **os.environ,
            "OPENBLAS_CORETYPE": processor,
            "OPENBLAS_NUM_THREADS": str(n_threads),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("n_in", "n_out"), [*SIZES, (0, 3), (5, 20_000)])
def test_products_are_those_of_the_matrices(n_in, n_out):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, n_out, n_in)).astype(np.float32)
    x = rng.normal(size=(2, 3, n_in, TILE_ROWS)).astype(np.float32)
    found = np.empty((2, 3, n_out, TILE_ROWS), np.float32)
    Product(weights)(x, found, Workspace())
    expected = weights.astype(np.float64) @ x.astype(np.float64)
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(n_in, 1) ** 0.5)


def test_no_piece_of_a_product_is_large_enough_for_threads():
    for weights in (np.ones((1, 3000, 2000)), np.ones((40, 30, 700)), np.ones((2, 5, 1))):
        for pieces in Product(weights)._pieces:
            for _, _, piece in pieces:
                assert piece.shape[1] * piece.shape[2] * TILE_ROWS <= 2**18


# ------------------------------------------------------------------------------- rows and batches


def test_no_rows_have_their_columns():
    spec = LAWFUL["shared ensemble"]
    network = NetworkForward(spec, make_values(spec))
    X = make_X(spec, 0)
    assert network.logits(X).shape == (0, 5)
    assert [p.shape for p in network.probabilities(X)] == [(0, 2), (0, 3), (0, 2)]
    assert [p.shape for p in network.spread(sp.csr_matrix(X))] == [(0, 2), (0, 3), (0, 2)]


def test_cells_of_a_sparse_matrix_that_are_written_twice_are_summed():
    network, X, _ = lawful("plain")
    rows, columns = np.indices(X.shape).reshape(2, -1)
    twice = sp.coo_matrix(
        (np.tile(X.ravel() / 2, 2), (np.tile(rows, 2), np.tile(columns, 2))), X.shape
    )
    X_twice = sp.csr_matrix((X.shape[0], X.shape[1]), dtype=np.float32)
    order = np.argsort(twice.row, kind="stable")
    X_twice.data, X_twice.indices = twice.data[order], twice.col[order].astype(np.int32)
    X_twice.indptr = np.arange(0, 2 * X.size + 1, 2 * X.shape[1], dtype=np.int32)
    before = X_twice.data.copy()
    np.testing.assert_array_equal(network.logits(X_twice), network.logits(X))
    np.testing.assert_array_equal(X_twice.data, before)


@pytest.mark.parametrize("convert", [np.array, sp.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_number_too_large_for_float32_is_refused_in_any_batch(monkeypatch, convert, n_threads):
    network, X, _ = lawful("plain")
    monkeypatch.setattr(forward, "_BATCH_CELLS", 1)
    X = X.astype(np.float64)
    X[55, 2], X[55, 3] = 1e300, np.nan
    with (
        threadpool_limits(n_threads),
        pytest.raises(ValueError, match=r"too large for dtype\('float32'\).* 1e\+300"),
    ):
        network.probabilities(convert(X))


def test_predicting_changes_neither_values_nor_rows():
    spec = LAWFUL["all inputs"]
    values, X = make_values(spec), make_X(spec)
    for array in (*values, X):
        array.flags.writeable = False
    network = NetworkForward(spec, values)
    np.testing.assert_array_equal(network.logits(X), network.logits(X))


def test_probabilities_do_not_keep_those_of_other_tasks_alive():
    network, X, _ = lawful("plain")
    for p in network.probabilities(X):
        assert p.flags.c_contiguous
        assert p.base is None


def test_rows_of_a_batch_are_fewer_the_wider_a_layer_is(monkeypatch):
    monkeypatch.setattr(forward, "_BATCH_CELLS", 64 * TILE_ROWS)
    seen = []
    spec = replace(LAWFUL["plain"], hidden_layer_sizes=(32,))
    network = NetworkForward(spec, make_values(spec))
    members = network._members
    monkeypatch.setattr(
        network, "_members", lambda x, *rest: seen.append(len(x)) or members(x, *rest)
    )
    network.logits(make_X(spec, 60))
    assert sorted(seen) == [2, 2]


def test_threads_are_as_many_as_blas_may_use():
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            assert compute_thread_limit() == n_threads


def test_expanded_values_stand_in_each_position():
    np.testing.assert_array_equal(expand(np.array([1.0, 2.0])), np.repeat([[1], [2]], 16, axis=1))


@pytest.mark.slow
def test_built_network_is_not_needed():
    """Predicting imports neither TensorFlow nor Keras."""
    code = """
import sys
import numpy as np
from sk_mtl._data.input_spec import InputSpec
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._model.variables import list_variables
from sk_mtl._predict.forward import make_forward
spec = NetworkSpec(4, (1, 3), (5,), input=InputSpec())
values = [np.zeros(v.shape, v.dtype) for v in list_variables(spec)]
make_forward(spec, values).probabilities(np.zeros((3, 4)))
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_wide_inputs_and_the_built_model_agree():
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), dropout=0.5, normalization="batch")
    values, X = make_values(spec), make_X(spec)
    model = build_network(spec)
    for variable, value in zip(
        [*model.trainable_variables, *model.non_trainable_variables], values, strict=True
    ):
        variable.assign(value)
    np.testing.assert_allclose(
        NetworkForward(spec, values).logits(X), np.asarray(model(X, training=False)), atol=1e-5
    )
