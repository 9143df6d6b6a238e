"""The Keras model of a network that reads known labels: X, and beside it a column per class."""

import keras
import numpy as np
import pytest
from helpers import make_tiny
from scipy.special import expit, softmax

from sk_mtl._data.input_spec import InputSpec
from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.initial_values import draw_initial_values
from sk_mtl._model.layers import Slice
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._model.variables import list_variables

N = 80
N_CLASSES = (2, 3, 2)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
Y = np.column_stack([RNG.integers(0, n, N) for n in N_CLASSES]).astype(float)
Y[RNG.random(Y.shape) < 0.4] = np.nan
STOPS = {"early_stopping": True, "validation_fraction": 0.3, "epochs": 8}


def make(**params):
    settings = {"hidden_layer_sizes": (8,), "known_labels": True, "epochs": 3}
    settings |= {"early_stopping": False, "optimizer__learning_rate": 0.05, "jit_compile": False}
    return make_tiny(**{**settings, **params})


def beside(features, labels):
    """Return features, and beside them a column of 0 and 1 for each class."""
    parts = [features]
    for t, n in enumerate(N_CLASSES):
        parts.append((labels[:, t, None] == np.arange(n)).astype(np.float32))
    return np.hstack(parts)


def probabilities_of(logits):
    """Return the probabilities of a binary task, one of three classes, and a binary one."""
    first, last = expit(logits[:, 0].astype(float)), expit(logits[:, 4].astype(float))
    return [
        np.column_stack([1 - first, first]),
        softmax(logits[:, 1:4].astype(float), axis=1),
        np.column_stack([1 - last, last]),
    ]


@pytest.mark.slow_except("calibrated")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": ()},
        {"head_hidden_layer_sizes": {"y1": (3,)}},
        {"ensemble_size": 3},
        {"ensemble_size": 3, "ensemble_method": "independent"},
        {**STOPS, "restore_best": "per_task"},
        {**STOPS, "calibrate": True},
        {"standardize": False},
        {"activation": "celu"},
    ],
    ids=[
        "plain", "no hidden layers", "heads", "shared ensemble", "independent ensemble",
        "best epochs by task", "calibrated", "numbers as they are", "celu",
    ],
)  # fmt: skip
def test_model_gives_what_complete_proba_gives(params):
    clf = make(**params).fit(X, Y)
    for task in range(3):
        given = Y.copy()
        given[:, task] = np.nan
        found = probabilities_of(clf.model_(beside(X, given)).numpy())[task]
        np.testing.assert_allclose(found, clf.complete_proba(X, given)[task], atol=1e-6)


def test_model_without_labels_gives_what_predict_proba_gives():
    clf = make().fit(X, Y)
    found = probabilities_of(clf.model_(beside(X, np.full(Y.shape, np.nan))).numpy())
    for p, expected in zip(found, clf.predict_proba(X), strict=True):
        np.testing.assert_allclose(p, expected, atol=1e-6)


def test_model_takes_x_and_a_column_for_each_class():
    assert make().fit(X, Y).model_.input_shape == (None, 3 + 7)


def test_model_is_saved_and_loaded_by_keras(tmp_path):
    clf = make().fit(X, Y)
    clf.model_.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    inputs = beside(X, Y)
    np.testing.assert_array_equal(again(inputs).numpy(), clf.model_(inputs).numpy())


def test_slice_takes_columns():
    layer = Slice(1, 3)
    assert layer.compute_output_shape((None, 5)) == (None, 2)
    np.testing.assert_array_equal(layer(X).numpy(), X[:, 1:3])
    again = Slice.from_config(layer.get_config())
    assert (again.start, again.stop) == (1, 3)


# ------------------------------------------------------------------------------------------------
# Values to begin with
# ------------------------------------------------------------------------------------------------

SPECS = {
    "trunk": NetworkSpec(4, (1, 3), (5,), known_labels=True),
    "input layers": NetworkSpec(4, (1, 3), (5,), known_labels=True, input=InputSpec()),
    "heads": NetworkSpec(4, (1, 3), (), ((3,), ()), known_labels=True),
    "logits": NetworkSpec(4, (1, 3), (), known_labels=True),
    "shared ensemble": NetworkSpec(4, (1, 3), (5,), ensemble_size=2, known_labels=True),
    "independent": NetworkSpec(
        4, (1, 3), (5,), ensemble_size=2, ensemble_method="independent", known_labels=True
    ),
}
FREQUENCIES = [np.array([0.5, 0.5]), np.ones(3) / 3]


@pytest.mark.parametrize("name", SPECS)
def test_variables_listed_are_those_of_the_network(name):
    listed = [(v.shape, v.dtype) for v in list_variables(SPECS[name])]
    built = [(tuple(v.shape), v.dtype) for v in network_variables(build_network(SPECS[name]))]
    assert listed == built


@pytest.mark.parametrize("name", SPECS)
def test_labels_tell_nothing_at_the_start(name):
    model = build_network(SPECS[name])
    values = draw_initial_values(SPECS[name], FREQUENCIES, np.random.default_rng(0))
    for variable, value in zip(network_variables(model), values, strict=True):
        variable.assign(value)
    features = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    labels = np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4, 0]]
    without = model(np.hstack([features, 0 * labels])).numpy()
    np.testing.assert_array_equal(model(np.hstack([features, labels])).numpy(), without)


def test_features_are_drawn_as_without_labels():
    plain = NetworkSpec(4, (1, 3), (5,))
    drawn = [
        draw_initial_values(spec, FREQUENCIES, np.random.default_rng(0))
        for spec in (plain, SPECS["trunk"])
    ]
    np.testing.assert_array_equal(drawn[1][0][:4], drawn[0][0])
