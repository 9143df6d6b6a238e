"""Tests of sk_mtl._onnx.network: every kind of network, by what it predicts in NumPy.

Networks are made from specifications, with random values, so that no one has to be trained.
"""

from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from onnx_runs import TOLERANCE, open_session
from specs import INPUTS, make_specs, make_values, make_X

from sk_mtl._data.input_spec import InputSpec
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._onnx.activations import ACTIVATIONS
from sk_mtl._onnx.graph import FLOAT, INT64, Graph
from sk_mtl._onnx.network import add_logits, add_probabilities
from sk_mtl._predict.activations import ACTIVATIONS as ACTIVATIONS_IN_NUMPY
from sk_mtl._predict.forward import NetworkForward

N_FEATURES = 4
N_ROWS = 40
TEMPERATURES = np.array([0.5, 1.5, 1, 3], dtype=np.float32)


def export(spec, values, temperatures=None):
    """Return a session that gives the probabilities of all tasks side by side."""
    graph = Graph()
    x = graph.add_input("X", FLOAT, spec.n_features)
    known = None
    if spec.known_labels:
        known = graph.add_input("known", INT64, len(spec.n_outputs))
    network = SimpleNamespace(
        spec=spec, best_weights=None, state=SimpleNamespace(network=list(values))
    )
    logits = add_logits(graph, x, known, network)
    shares = add_probabilities(graph, logits, spec.n_outputs, temperatures)
    graph.add_output(shares, "shares", FLOAT, sum(max(n, 2) for n in spec.n_outputs))
    return open_session(graph.to_model("A network."))


def assert_same_network(spec, *, X=None, seed=0, known=None, atol=TOLERANCE):
    """Assert that ONNX Runtime and NumPy agree, with temperatures and without."""
    values = make_values(spec, seed)
    if X is None:
        X = make_X(spec, N_ROWS)
        if spec.input is not None:
            X[-1] = np.nan
    feed = {"X": X} | ({"known": known} if spec.known_labels else {})
    for temperatures in (None, np.resize(TEMPERATURES, len(spec.n_outputs))):
        (found,) = export(spec, values, temperatures).run(None, feed)
        expected = NetworkForward(spec, values).probabilities(X, temperatures, known)
        np.testing.assert_allclose(found, np.hstack(expected), rtol=0, atol=atol)


@pytest.mark.slow_except("0")
@pytest.mark.parametrize("number", range(8))
def test_network_gives_its_probabilities(number):
    for spec in make_specs()[number::8]:
        assert_same_network(spec, seed=number)


@pytest.mark.parametrize("name", INPUTS)
def test_input_layers_give_their_probabilities(name):
    assert_same_network(NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS[name]))


def test_activations_are_those_of_prediction():
    assert ACTIVATIONS.keys() == ACTIVATIONS_IN_NUMPY.keys()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_gives_its_probabilities_in_trunk_heads_and_members(name):
    spec = NetworkSpec(
        N_FEATURES, (1, 3, 4), (9,), ((6,), (), (6,)), name, input=InputSpec(), ensemble_size=2
    )
    assert_same_network(spec)


@pytest.mark.parametrize("name", sorted({*ACTIVATIONS} - {"exponential"}))
def test_activation_gives_the_numbers_of_numpy_far_from_zero(name):
    # exponential: NumPy and ONNX Runtime both give infinity beyond 88, of which nothing is left.
    some = np.array([0, 1e-40, 1e-20, 1e-6, 0.25, 0.5, 1, 3, 6, 40, 88, 1e3, 1e18], np.float32)
    x = np.concatenate([some, -some, np.linspace(-20, 20, 102, dtype=np.float32)]).reshape(-1, 4)
    graph = Graph()
    result = ACTIVATIONS[name](graph, graph.add_input("X", FLOAT, 4))
    graph.add_output(result, "Y", FLOAT, 4)
    (found,) = open_session(graph.to_model("An activation.")).run(None, {"X": x})
    expected = np.repeat(x.T[None, :, :, None], 16, axis=3).transpose(2, 0, 1, 3).copy()
    with np.errstate(all="ignore"):
        ACTIVATIONS_IN_NUMPY[name](expected, np.empty_like(expected))
    # In units of x: some subtract two numbers of its size from each other.
    unit = np.maximum(np.abs(x), 1)
    np.testing.assert_allclose(found / unit, expected[:, 0, :, 0] / unit, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec(300, (1, 3), (300, 200), normalization="layer", input=InputSpec()),
        NetworkSpec(20, (1, 30), (64,), ((40,), (40,)), ensemble_size=4, activation="gelu"),
        NetworkSpec(9, (1,) * 30, (8,), ((300,),) * 30, activation="softmax"),
        NetworkSpec(4, (1, 3) * 150, (16,)),
        NetworkSpec(4, tuple(range(3, 12)), (16,), input=InputSpec()),
        NetworkSpec(4, (1000, 1), (16,)),
    ],
    ids=["long sums", "members", "many heads", "300 tasks", "widths", "1000 classes"],
)
def test_wide_network_gives_its_probabilities(spec):
    assert_same_network(spec)


COMMON = {"activation": "gelu", "known_labels": True}
WITH_LABELS = {
    "plain": NetworkSpec(4, (1, 3, 1), (5,), **COMMON),
    "input layers": NetworkSpec(4, (1, 3, 1), (5,), **COMMON, input=InputSpec()),
    "heads": NetworkSpec(4, (1, 3, 1), (), ((3,), (), (3,)), **COMMON),
    "ensemble": NetworkSpec(4, (1, 3, 1), (5,), **COMMON, ensemble_size=2),
    "indicator": NetworkSpec(4, (1, 3, 1), (5,), **{**COMMON, "known_labels": "with_indicator"}),
}


@pytest.mark.parametrize("name", WITH_LABELS)
def test_network_reads_known_labels(name):
    rng = np.random.default_rng(0)
    known = np.column_stack([rng.integers(-2, n, 40) for n in (2, 3, 2)])
    known[0], known[1] = -1, -2
    assert_same_network(WITH_LABELS[name], known=known)


EXTREMES = np.array([1e30, -1e30, 3e38, -3e38, 1e-40, -1e-45, 0, np.nan], np.float32)


@pytest.mark.parametrize("name", ["standardize", "missing", "piecewise", "periodic"])
def test_extreme_numbers_give_the_same_probabilities(name):
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS[name])
    X = make_X(spec, len(EXTREMES))
    for j in spec.input.numeric(N_FEATURES):
        X[:, j] = np.roll(EXTREMES, j)
    assert_same_network(spec, X=X)


def test_extreme_numbers_without_standardising_give_the_same_probabilities():
    # Sums of such numbers differ in their last bits, and no two logits are near each other.
    X = np.diag(np.full(4, 1e30, np.float32))
    assert_same_network(NetworkSpec(N_FEATURES, (1, 3), (5,)), X=np.vstack([X, -X, X * 0 + 1e-42]))


# Older ones end the process in a product of several matrices that have no rows, and in TopK.
TAKES_NO_ROWS = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 32)
none = pytest.param(0, marks=pytest.mark.skipif(not TAKES_NO_ROWS, reason="onnxruntime < 1.32"))


@pytest.mark.parametrize("n_rows", [none, 1, 17, 1000])
def test_any_number_of_rows(n_rows):
    for spec in (
        NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS["piecewise"], ensemble_size=2),
        NetworkSpec(N_FEATURES, (1, 3), (5,), ((4,), (4,)), normalization="layer"),
        NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS["periodic"], activation="sparsemax"),
    ):
        assert_same_network(spec, X=make_X(spec, n_rows or 1)[:n_rows])
