"""Odd input that is right is taken, and left as it was."""

import pickle

import numpy as np
import pandas as pd
import pytest
from bad_input import A, N, W, X, Y, make


def read_only(values):
    values = np.array(values)
    values.flags.writeable = False
    return values


CODES = np.column_stack([np.arange(N) % 2, np.arange(N) % 3]).astype(float)
KNOWN = {"classes": [[0, 1], [0, 1, 2]]}
# name: X, y, sample_weight, parameters
ODD = {
    "read-only arrays": (read_only(A), read_only(CODES), read_only(W), {}),
    "arrays in Fortran's order": (np.asfortranarray(A), np.asfortranarray(CODES), None, {}),
    "every other column of an array": (np.repeat(A, 2, axis=1)[:, ::2], CODES[::-1], None, {}),
    "integers": (np.arange(3 * N).reshape(N, 3) % 7, CODES.astype(np.int8), None, {}),
    "truth values": (A > 0, CODES > 0, W > 0, {}),
    "numbers in objects": (A.astype(object), CODES.astype(object), W.astype(object), {}),
    "lists": (A.tolist(), CODES.tolist(), W.tolist(), {}),
    "masked arrays with nothing masked": (np.ma.array(A), np.ma.array(CODES), np.ma.array(W), {}),
    "columns of numbers for names": (pd.DataFrame(A), pd.DataFrame(CODES), None, {}),
    "indices that differ": (X.set_axis(range(5, 5 + N)), Y, None, {}),
    "a weight for all rows": (A, CODES, 2.0, {}),
    "integers beyond 64 bits": (A, [10**30 + i % 2 for i in range(N)], None, {}),
    "one row": (A[:1], CODES[:1], None, KNOWN),
    "one feature": (A[:, :1], CODES, None, {}),
    "one row, one feature, one task": (A[:1, :1], [1], None, {"classes": [0, 1]}),
    "a thousand classes of one row each": (A, np.arange(N), None, {"classes": range(1000)}),
}


@pytest.mark.parametrize(("features", "labels", "weights", "params"), ODD.values(), ids=ODD)
def test_odd_input_is_taken_and_left_as_it_was(features, labels, weights, params):
    before = pickle.dumps((features, labels, weights))
    clf = make(**params).fit(features, labels, weights)
    assert np.isfinite(clf.predict_proba_frame(features)).all(axis=None)
    assert len(clf.predict(features)) == len(features)
    assert 0 <= clf.score(features, labels, weights) <= 1
    assert pickle.dumps((features, labels, weights)) == before
