"""Tests of `model_.export`: in each format of Keras, without a call of the model before."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import make_tiny
from keras import layers

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3)).astype(np.float32)
Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])], axis=1)


def build_trunk(meta):
    return keras.Sequential([layers.Dense(4, "relu")])


def build_heads(meta):
    inputs = keras.Input((3,))
    return keras.Model(inputs, [layers.Dense(1, "sigmoid")(inputs), layers.Dense(3)(inputs)])


SETTINGS = {
    "default": {},
    "ensemble": {"ensemble_size": 2},
    "embedding": {"numeric_embedding": "periodic"},
    "calibrated": {"early_stopping": True, "calibrate": True},
    "per_task": {"early_stopping": True, "restore_best": "per_task", "epochs": 6},
    "trunk": {"model": build_trunk},
    "whole": {"model": build_heads},
}


def fit(settings):
    return make_tiny(**{"early_stopping": False} | SETTINGS[settings]).fit(X, Y).model_


def expected_of(model):
    return [np.asarray(output) for output in keras.tree.flatten(model(X))]


@pytest.mark.slow_except("default")
@pytest.mark.parametrize("settings", SETTINGS)
def test_saved_model_computes_what_the_model_does(settings, tmp_path):
    model = fit(settings)
    model.export(tmp_path, verbose=False)
    served = tf.saved_model.load(tmp_path)
    outputs = tf.nest.flatten(served.serve(X))
    for output, expected in zip(outputs, expected_of(model), strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_onnx_computes_what_the_model_does(settings, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    model = fit(settings)
    path = str(tmp_path / "model.onnx")
    model.export(path, format="onnx", verbose=False)
    session = runtime.InferenceSession(path)
    outputs = session.run(None, {session.get_inputs()[0].name: X})
    for output, expected in zip(outputs, expected_of(model), strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-5)


def test_model_counts_as_called_as_keras_requires_of_what_it_exports():
    assert fit("default")._called
