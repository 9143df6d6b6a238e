"""Fits that continue another one, and parameters that have changed since."""

import copy
import io
import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny

from sk_mtl import load_model, save_model

rng = np.random.default_rng(0)
X = pd.DataFrame({"u": rng.normal(size=40), "c": rng.integers(0, 3, 40)})
Y = pd.DataFrame({"a": X["u"] > 0, "b": rng.integers(0, 3, 40)})
CLASSES = {"a": [False, True], "b": [0, 1, 2]}
SEED = (
    r"^random_state=1 has no effect: warm_start and partial_fit continue with the seed of the first"
)


def pickle_copy(clf):
    return pickle.loads(pickle.dumps(clf))


def save_and_load(clf):
    file = io.BytesIO()
    save_model(clf, file)
    return load_model(io.BytesIO(file.getvalue()))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_another_seed_is_told(method):
    clf = make_tiny(warm_start=True).fit(X, Y)
    with pytest.warns(UserWarning, match=SEED):
        getattr(clf.set_params(random_state=1), method)(X, Y)


@pytest.mark.parametrize("way", [copy.deepcopy, pickle_copy, save_and_load])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"random_state": None},
        {"random_state": np.random.RandomState(0)},
        {"classes": {"b": np.array([2, 1, 0])}},
        {"categorical_features": ["c"]},
        {"categorical_features": [1]},
        {"categorical_features": [False, True]},
        {"categorical_features": None},
        {"calibrate": "auto"},
    ],
    ids=lambda params: "-".join(f"{k}={type(v).__name__}" for k, v in params.items()) or "none",
)
def test_unchanged_parameters_are_not_told(params, method, way):
    if way is save_and_load and isinstance(params.get("random_state"), np.random.RandomState):
        pytest.skip("not saved")
    clf = make_tiny(epochs=1, warm_start=True, early_stopping=False, **params).fit(X, Y)
    assert getattr(way(clf), method)(X, Y).n_iter_ == 2


def test_later_rows_may_lack_the_names_or_types_of_the_first():
    typed = X.astype({"c": "category"})
    clf = make_tiny().partial_fit(typed, Y, classes=CLASSES)
    assert clf.partial_fit(X.astype({"c": object}), Y).n_iter_ == 2
    named = make_tiny(categorical_features=["c"]).partial_fit(X, Y, classes=CLASSES)
    with pytest.warns(UserWarning, match="feature names"):
        assert named.partial_fit(X.to_numpy(), Y).n_iter_ == 2


def test_temperatures_that_partial_fit_would_keep_are_told():
    valid = {"X_val": X, "y_val": Y}
    clf = make_tiny(calibrate=True).fit(X, Y, **valid)
    message = r"^partial_fit keeps the temperatures .* but calibrate has changed to False\."
    with pytest.raises(ValueError, match=message):
        copy.deepcopy(clf).set_params(calibrate=False).partial_fit(X, Y)
    assert copy.deepcopy(clf).partial_fit(X, Y).n_iter_ == clf.n_iter_ + 1
    clf.set_params(calibrate=False, warm_start=True).fit(X, Y, **valid)
    np.testing.assert_array_equal(clf.temperatures_, 1)
