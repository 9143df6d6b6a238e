"""``python -m sk_mtl export``: what it writes computes what the model does."""

import json

import numpy as np
import pandas as pd
import pytest
from command_tables import FIT, TASKS, fit_in_python, make_census

from sk_mtl.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    make_census(120).to_csv(folder / "table.csv", index=False)
    model = ["--model", str(folder / "m.sk_mtl")]
    assert main(["fit", str(folder / "table.csv"), *model, *FIT]) == 0
    return folder


def export(folder, output, *arguments):
    return main(["export", str(folder / "m.sk_mtl"), str(folder / output), *arguments])


def as_codes(clf, X):
    """Return features as the network takes them: positions of categories."""
    columns = X.copy()
    for name, known in clf.categories_.items():
        codes = pd.Categorical(X[name], categories=known).codes
        columns[name] = np.where(codes < 0, np.nan, codes)
    return columns.to_numpy(np.float32)


def assert_close(found, clf, X):
    for task in TASKS:
        np.testing.assert_allclose(found[task], clf.predict_proba(X)[task], atol=1e-5)


def test_onnx_takes_the_columns(folder, capsys):
    runtime = pytest.importorskip("onnxruntime")
    assert export(folder, "m.onnx", "--labels") == 0
    assert capsys.readouterr().out == f"Wrote {folder / 'm.onnx'}\n"
    session = runtime.InferenceSession(folder / "m.onnx")
    names = [output.name for output in session.get_outputs()]
    assert {f"label_{task}" for task in TASKS} <= set(names)
    tasks = session.get_modelmeta().custom_metadata_map["sk_mtl.tasks"]
    assert all(task in json.dumps(json.loads(tasks)) for task in TASKS)


def test_keras_holds_the_network(folder):
    import keras

    assert export(folder, "m.keras", "--quiet") == 0
    clf, X = fit_in_python(folder / "table.csv")
    model = keras.models.load_model(folder / "m.keras")
    assert_close({t: np.asarray(p) for t, p in model(as_codes(clf, X)).items()}, clf, X)


@pytest.mark.slow
def test_saved_model_is_a_folder(folder):
    import tensorflow as tf

    assert export(folder, "served", "--quiet") == 0
    clf, X = fit_in_python(folder / "table.csv")
    served = tf.saved_model.load(folder / "served")
    found = served.serve(as_codes(clf, X))
    assert_close({t: p.numpy() for t, p in found.items()}, clf, X)
    assert not list(folder.glob(".served*"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # of tf.lite.Interpreter, which is to move
def test_litert_computes_the_same(folder):
    import tensorflow as tf

    assert export(folder, "m.tflite", "--quiet") == 0
    clf, X = fit_in_python(folder / "table.csv")
    interpreter = tf.lite.Interpreter(str(folder / "m.tflite"))
    serve = interpreter.get_signature_runner()
    (name,) = serve.get_input_details()
    parts = [serve(**{name: row[np.newaxis]}) for row in as_codes(clf, X)]
    assert_close({t: np.concatenate([p[t] for p in parts]) for t in TASKS}, clf, X)


@pytest.mark.parametrize(
    ("output", "arguments", "message"),
    [
        ("m.bin", [], "does not tell a format. It must end with .onnx, .keras, .tflite"),
        ("m.onnx", ["--format", "keras"], "says onnx, and --format keras"),
        ("m.keras", ["--labels"], "--labels is for ONNX"),
        ("", [], "is there already"),
        ("no/m.onnx", [], "there is no folder"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(folder, capsys, output, arguments, message):
    before = sorted(folder.iterdir())
    assert export(folder, output, *arguments) == 2
    assert message in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before
