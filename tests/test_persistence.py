"""Tests of sk_mtl._persistence: a network as settings and arrays, and back."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest

from sk_mtl import MultiTaskClassifier
from sk_mtl._network import NetworkSpec, network_variables
from sk_mtl._persistence import FORMAT_VERSION, FittedNetwork, check_format_version
from sk_mtl._training import draw_start
from sk_mtl.weighting import FixedWeighting

SPEC = NetworkSpec(4, (1, 3, 1), (5,), ((3,), (), (3,)), dropout=0.5, normalization="batch")


@pytest.fixture
def network():
    frequencies = [np.array([0.5, 0.5]), np.ones(3) / 3, np.array([0.2, 0.8])]
    return FittedNetwork(SPEC, draw_start(SPEC, FixedWeighting(), frequencies, seed=0))


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(X):
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])], axis=1).astype(float)
    Y[::3, 1] = np.nan
    settings = {"hidden_layer_sizes": (4,), "dropout": 0.2, "normalization": "batch"}
    return MultiTaskClassifier(**settings, epochs=2, random_state=0).fit(X, Y)


COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
def test_copy_of_a_network_gives_the_same_bits(network, X, way):
    expected = network.logits(X)
    again = COPIES[way](network)
    np.testing.assert_array_equal(again.logits(X), expected)
    assert again.spec == network.spec


def test_copy_of_a_network_does_not_depend_on_what_was_asked_of_it_before(network, X):
    before = pickle.dumps(network)
    network.logits(X)
    assert network.model is network.model
    assert pickle.dumps(network) == before


def test_pickle_of_a_network_holds_arrays_and_settings_only(network):
    state = network.__getstate__()
    assert set(state) == {"format_version", "spec", "state"}
    assert state["format_version"] == FORMAT_VERSION
    assert all(type(v) is np.ndarray for v in state["state"].network)
    text = pickle.dumps(network)
    assert b"tensorflow" not in text
    assert b"keras" not in text


def test_model_has_the_values_and_is_a_copy_of_them(network, X):
    expected = network.logits(X)
    for variable, value in zip(
        network_variables(network.model), network.state.network, strict=True
    ):
        np.testing.assert_array_equal(variable.numpy(), value)
    np.testing.assert_allclose(np.asarray(network.model(X)), expected, rtol=1e-5, atol=1e-6)
    for variable in network.model.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    np.testing.assert_array_equal(network.logits(X), expected)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, None, "1"])
def test_state_of_another_format_is_refused(version):
    with pytest.raises(ValueError, match=rf"of a thing has format version {version};.*up to"):
        check_format_version({"format_version": version}, "a thing")


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_state_of_this_and_earlier_formats_is_taken(version):
    check_format_version({"format_version": version}, "a thing")


def test_network_of_a_newer_format_is_refused(network):
    state = {**network.__getstate__(), "format_version": FORMAT_VERSION + 1}
    with pytest.raises(ValueError, match="newer one"):
        FittedNetwork.__new__(FittedNetwork).__setstate__(state)


def test_estimator_of_a_newer_format_is_refused(fitted):
    state = {**fitted.__getstate__(), "format_version": FORMAT_VERSION + 1}
    with pytest.raises(ValueError, match="MultiTaskClassifier has format version"):
        MultiTaskClassifier().__setstate__(state)


def test_copied_estimator_goes_on_training_to_the_same_bits(fitted, X):
    again = pickle.loads(pickle.dumps(fitted))
    Y = np.column_stack([X[:, 0] > 0, np.zeros(len(X))]).astype(float)
    first, second = (copy.deepcopy(clf).partial_fit(X, Y) for clf in (fitted, again))
    for a, b in zip(first.model_.get_weights(), second.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_estimator_saved_by_joblib_is_loaded_memory_mapped(fitted, X, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    for a, b in zip(again.predict_proba(X), fitted.predict_proba(X), strict=True):
        np.testing.assert_array_equal(a, b)


def test_estimator_loaded_in_another_process_predicts_the_same_bits(fitted, X, tmp_path):
    with open(tmp_path / "model.pickle", "wb") as file:
        pickle.dump(fitted, file)
    np.save(tmp_path / "X.npy", X)
    code = (
        "import pickle, numpy as np\n"
        "with open('model.pickle', 'rb') as file: clf = pickle.load(file)\n"
        "np.save('p.npy', np.hstack(clf.predict_proba(np.load('X.npy'))))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), np.hstack(fitted.predict_proba(X)))
