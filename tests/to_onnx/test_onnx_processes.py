"""`to_onnx` where something is not installed: TensorFlow, onnx, skl2onnx, onnxruntime."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import save_model, to_onnx

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(60, 2)).astype(np.float32), columns=["u", "v"])
X["kind"] = pd.Categorical(RNG.choice(["a", "b"], 60))
Y = pd.DataFrame({"a": RNG.integers(0, 2, 60), "b": RNG.integers(0, 3, 60)})

WITHOUT_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "scikeras", "skl2onnx"):
    sys.modules[name] = None
import numpy as np, onnxruntime, pandas as pd
from sk_mtl import load_model, to_onnx

folder = sys.argv[1]
clf = load_model(folder + "/model.safetensors")
to_onnx(clf, folder + "/model.onnx", labels=True)
X = pd.read_pickle(folder + "/X.pickle")
session = onnxruntime.InferenceSession(folder + "/model.onnx")
types = [np.float32, np.float32, object]
feed = {name: X[[name]].to_numpy().astype(t) for name, t in zip(X, types, strict=True)}
found = dict(zip([o.name for o in session.get_outputs()], session.run(None, feed), strict=True))
for task, p in clf.predict_proba(X).items():
    np.testing.assert_allclose(found[f"probabilities_{task}"], p, rtol=0, atol=1e-6)
    assert (found[f"label_{task}"] == clf.predict(X)[task]).all()
print("the same")
"""


def test_keras_is_not_asked_for_anything(monkeypatch):
    clf = make_tiny().fit(X, Y)
    for name in ("tensorflow", "keras", "scikeras"):
        monkeypatch.setitem(sys.modules, name, None)
    assert len(to_onnx(clf, labels=True).graph.output) == 4


@pytest.mark.slow
def test_neither_tensorflow_nor_keras_is_needed(tmp_path):
    save_model(make_tiny().fit(X, Y), tmp_path / "model.safetensors")
    X.to_pickle(tmp_path / "X.pickle")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stdout.strip() == "the same", done.stderr[-2000:]


def forget(monkeypatch, package):
    """Let imports of a package fail, and let modules of this package import it again."""
    for name in list(sys.modules):
        if name.split(".")[0] == package or name.startswith("sk_mtl._onnx."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def test_without_onnx_the_error_says_what_to_install(monkeypatch, tmp_path):
    clf = make_tiny().fit(X, Y)
    forget(monkeypatch, "onnx")
    with pytest.raises(ImportError, match=r'to_onnx needs onnx: pip install "sk_mtl\[onnx\]"'):
        to_onnx(clf, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_skl2onnx_the_error_says_what_to_install(monkeypatch):
    numbers = X[["u", "v"]]
    pipeline = make_pipeline(StandardScaler(), make_tiny()).fit(numbers, Y)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    to_onnx(pipeline[-1])  # a classifier alone does not need it
    with pytest.raises(ImportError, match=r'skl2onnx.*pip install "sk_mtl\[onnx\]"'):
        to_onnx(pipeline, X=numbers)


@pytest.mark.slow
def test_onnx_is_imported_by_the_call_only():
    code = (
        "import sys, sk_mtl; sk_mtl.to_onnx; print(sorted({'onnx', 'skl2onnx'} & {*sys.modules}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout.strip() == "[]", done.stderr[-2000:]
