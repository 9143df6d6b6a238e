"""Running exported models: what a service does with a frame and a file, in few lines."""

import numpy as np
import onnx
import onnxruntime
import pandas as pd

from sk_mtl import to_onnx

__all__ = ["TOLERANCE", "assert_same_as", "feed_of", "open_session", "run"]

TOLERANCE = 1e-6  # of probabilities

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(bool)": bool,
}


def open_session(model):
    """Return a session for a model, after the checks of onnx."""
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString())


def feed_of(session, X, known=None):
    """Return what the inputs of a session take: X by column or as a matrix, and known labels."""
    feed = {}
    for number, given in enumerate(session.get_inputs()):
        if given.name == "known_labels" and known is not None:
            feed[given.name] = known
        elif given.shape[1] != 1 or not isinstance(X, pd.DataFrame):
            matrix = np.asarray(X)
            columns = matrix if given.shape[1] == matrix.shape[1] else matrix[:, [number]]
            feed[given.name] = as_input(columns, given.type)
        else:
            column = X.iloc[:, number] if given.name not in X else X[given.name]
            feed[given.name] = as_input(column.to_numpy(object)[:, None], given.type)
    return feed


def as_input(cells, kind):
    """Return cells in the type of an input; what is missing in text is empty, in integers -1."""
    is_missing = pd.isna(cells)
    if kind == "tensor(string)":
        return np.where(is_missing, "", cells).astype(object)
    if kind == "tensor(int64)":
        return np.where(is_missing, -1, cells).astype(np.int64)
    return np.where(is_missing, np.nan, cells).astype(_DTYPES[kind])


def run(session, X, known=None):
    """Return the outputs of a session by name."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feed_of(session, X, known)), strict=True))


def assert_same_as(estimator, X, /, *, atol=TOLERANCE, labels=True, **params):
    """Assert that an exported estimator gives its probabilities and labels; return the outputs."""
    found = run(open_session(to_onnx(estimator, labels=labels, **params)), X)
    probabilities, predicted = estimator.predict_proba(X), estimator.predict(X)
    if not hasattr(probabilities, "items"):  # a 1-D y
        pairs = [("", probabilities, predicted)]
    else:
        table = predicted.to_numpy(object) if hasattr(predicted, "to_numpy") else predicted
        names = [f"_{task}" for task, _ in probabilities.items()]
        pairs = list(zip(names, probabilities, np.asarray(table).T, strict=True))
    expected = {}
    for name, p, label in pairs:
        if np.isnan(p).all() and f"probabilities{name}" not in found:
            continue  # a task without labels
        expected[f"probabilities{name}"] = p
        if labels:
            expected[f"label{name}"] = label
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if name.startswith("probabilities"):
            np.testing.assert_allclose(found[name], values, rtol=0, atol=atol, err_msg=name)
            assert found[name].dtype == np.float32
        else:
            assert found[name].tolist() == list(values), name
    return found
