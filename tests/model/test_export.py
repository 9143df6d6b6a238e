"""Tests of `model_.export` and `to_keras().export`: in each format of Keras, uncalled before.

ONNX needs tf2onnx, LiteRT ai-edge-litert, and OpenVINO openvino; without them, these are skipped.
"""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers import make_tiny
from keras import layers

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3)).astype(np.float32)
Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])], axis=1)
TASKS = ["y0", "y1"]
# tf2onnx 1.17 asks for np.object, and goes on without it.
by_tf2onnx = pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")


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


def fit_classifier(settings):
    return make_tiny(**{"early_stopping": False} | SETTINGS[settings]).fit(X, Y)


def fit(settings):
    return fit_classifier(settings).model_


def expected_of(model):
    return [np.asarray(output) for output in keras.tree.flatten(model(X))]


# ------------------------------------------------------------------------------------------------
# model_, of logits
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow_except("default")
@pytest.mark.parametrize("settings", SETTINGS)
def test_saved_model_computes_what_the_model_does(settings, tmp_path):
    model = fit(settings)
    model.export(tmp_path, verbose=False)
    served = tf.saved_model.load(tmp_path)
    outputs = tf.nest.flatten(served.serve(X))
    for output, expected in zip(outputs, expected_of(model), strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-5)


@by_tf2onnx
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
    assert fit_classifier("default").to_keras()._called


# ------------------------------------------------------------------------------------------------
# to_keras(), of probabilities
# ------------------------------------------------------------------------------------------------


def assert_same_probabilities(found, clf):
    """Assert that the outputs of a runtime, by task, are the probabilities of a classifier."""
    assert set(found) == set(TASKS)
    for task, p in clf.predict_proba(X).items():
        np.testing.assert_allclose(np.asarray(found[task]), p, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_saved_model_of_probabilities_has_the_tasks_in_its_signature(settings, tmp_path):
    clf = fit_classifier(settings)
    clf.to_keras().export(tmp_path, verbose=False)
    served = tf.saved_model.load(tmp_path)
    assert_same_probabilities(served.serve(X), clf)
    signature = served.signatures["serving_default"]
    assert list(signature.structured_input_signature[1]) == ["X"]
    assert_same_probabilities(signature(X=tf.constant(X)), clf)


@pytest.mark.slow
def test_saved_model_of_probabilities_takes_any_number_of_rows(tmp_path):
    clf = fit_classifier("default")
    clf.to_keras().export(tmp_path, verbose=False)
    served = tf.saved_model.load(tmp_path)
    assert [served.serve(np.resize(X, (n, 3)))["y1"].shape[0] for n in (1, 200)] == [1, 200]


@by_tf2onnx
@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_onnx_of_probabilities_has_outputs_by_task(settings, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    clf = fit_classifier(settings)
    path = str(tmp_path / "model.onnx")
    clf.to_keras().export(path, format="onnx", verbose=False)
    session = runtime.InferenceSession(path)
    assert [given.name for given in session.get_inputs()] == ["X"]
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"X": X}), strict=True))
    assert_same_probabilities(found, clf)


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_litert_of_probabilities_has_the_tasks_in_its_signature(settings, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    clf = fit_classifier(settings)
    path = str(tmp_path / "model.tflite")
    clf.to_keras().export(path, format="litert", verbose=False)
    runner = interpreter.Interpreter(path).get_signature_runner()
    assert list(runner.get_input_details()) == ["X"]
    rows = [runner(X=X[[i]]) for i in range(len(X))]  # a row at a time
    assert_same_probabilities({name: np.vstack([r[name] for r in rows]) for name in rows[0]}, clf)


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_openvino_of_probabilities_has_outputs_by_task(settings, tmp_path):
    openvino = pytest.importorskip("openvino")
    clf = fit_classifier(settings)
    path = str(tmp_path / "model.xml")
    clf.to_keras().export(path, format="openvino", verbose=False)
    # By default, OpenVINO computes in bfloat16 where the processor can.
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", precise)
    found = compiled(X)
    by_name = {output.get_any_name(): found[output] for output in compiled.outputs}
    assert_same_probabilities(by_name, clf)


@pytest.mark.slow
def test_tasks_whose_names_no_format_takes_are_in_the_signature_of_tensorflow(tmp_path):
    names = ["marital status/x", "é"]
    clf = make_tiny(early_stopping=False).fit(X, pd.DataFrame(Y, columns=names))
    clf.to_keras().export(tmp_path, verbose=False)
    assert set(tf.saved_model.load(tmp_path).serve(X)) == set(names)


@by_tf2onnx
@pytest.mark.slow
def test_onnx_takes_any_names_of_tasks(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    table = pd.DataFrame(Y, columns=["marital status/x", "é"])
    path = str(tmp_path / "model.onnx")
    model = make_tiny(early_stopping=False).fit(X, table).to_keras()
    model.export(path, format="onnx", verbose=False)
    names = [output.name for output in runtime.InferenceSession(path).get_outputs()]
    assert names == ["marital status/x", "é"]
