"""Validation rows that are passed to `fit`: in either form, and as the training rows are."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import assert_same_fits, make_tiny
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(0)
Z = rng.normal(size=(120, 3))
RAW = pd.DataFrame(50 + 20 * Z, columns=["age", "height", "weight"])
Y = pd.DataFrame({"a": Z[:, 0] > 0, "b": np.digitize(Z[:, 1], [-0.5, 0.5]).astype(float)})
Y.loc[::4, "b"] = np.nan
W = rng.random((40, 2))
TRAIN, VALID = slice(0, 80), slice(80, 120)
scale = StandardScaler().fit(RAW[TRAIN])
X, X_VALID = scale.transform(RAW[TRAIN]), scale.transform(RAW[VALID])


@pytest.mark.parametrize("weight", [None, W, pd.DataFrame(W, columns=["a", "b"])])
def test_both_forms_give_the_same_bits(weight):
    data = (X_VALID, Y[VALID]) if weight is None else (X_VALID, Y[VALID], weight)
    expected = make_tiny(epochs=5).fit(X, Y[TRAIN], validation_data=data)
    found = make_tiny(epochs=5).fit(
        X, Y[TRAIN], X_val=X_VALID, y_val=Y[VALID], sample_weight_val=weight
    )
    assert_same_fits(found, expected, X)
    assert len(found.history_["val_loss"]) == found.n_iter_


def test_pipeline_transforms_x_val():
    expected = make_tiny().fit(X, Y[TRAIN], validation_data=(X_VALID, Y[VALID]))
    with config_context(enable_metadata_routing=True):
        clf = make_tiny().set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("clf", clf)], transform_input=["X_val"])
        rows = {"X_val": RAW[VALID], "y_val": Y[VALID]}
        pipeline.fit(RAW[TRAIN], Y[TRAIN], **rows)
        search = GridSearchCV(pipeline, {"clf__l2": [0.0]}, cv=KFold(2), error_score="raise")
        search.fit(RAW[TRAIN], Y[TRAIN], **rows)
    assert_same_fits(pipeline[-1], expected, X)
    assert_same_fits(search.best_estimator_[-1], expected, X)


# -- Rows that lie far outside ---------------------------------------------------------------------


RAW_ROWS = (
    r"^In {}: most rows lie more than 10 standard deviations from the mean of the training rows, "
    r"in 3 of 3 feature\(s\): {}\. If X was transformed, .* transform_input=\[\"X_val\"\]"
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"validation_data": (RAW[VALID].to_numpy(), Y[VALID])},
            RAW_ROWS.format("validation_data", "0, 1, 2"),
        ),
        (
            {"X_val": RAW[VALID], "y_val": Y[VALID]},
            RAW_ROWS.format("X_val and y_val", "'age', 'height', 'weight'"),
        ),
    ],
)
def test_rows_that_were_not_transformed_are_told(arguments, message):
    X_train = pd.DataFrame(X, columns=RAW.columns) if "X_val" in arguments else X
    with pytest.warns(UserWarning, match=message):
        raw = make_tiny(epochs=5).fit(X_train, Y[TRAIN], **arguments)
    right = make_tiny(epochs=5).fit(X, Y[TRAIN], X_val=X_VALID, y_val=Y[VALID])
    assert min(raw.history_["val_loss"]) > 2 * max(right.history_["val_loss"])


def draw_ordinary(n, name, generator):
    """Return X of training and of validation rows from one distribution."""
    if name == "heavy tails":
        return generator.standard_cauchy((n, 20))
    if name == "skewed":
        return np.exp(4 * generator.normal(size=(n, 20)))
    if name == "rare counts":
        return generator.poisson(0.02, (n, 20)) * generator.integers(1, 50, (n, 20))
    if name == "rare bits":
        return (generator.random((n, 20)) < 0.01).astype(float)
    if name == "sparse":
        return sp.random(n, 20, 0.05, format="csr", random_state=generator.integers(2**31))
    if name == "missing":
        return np.where(generator.random((n, 20)) < 0.5, np.nan, generator.normal(size=(n, 20)))
    return np.full((n, 20), generator.integers(100)) + 0.0  # constant, not of one value


@pytest.mark.parametrize("n_valid", [1, 3, 100])
@pytest.mark.parametrize(
    "name",
    ["heavy tails", "skewed", "rare counts", "rare bits", "sparse", "missing", "constant"],
)
def test_ordinary_rows_are_not_told(name, n_valid):
    generator = np.random.default_rng(0)
    X, X_val = (draw_ordinary(n, name, generator) for n in (200, n_valid))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_tiny(epochs=1, optimizer__learning_rate=1e-6).fit(
            X, np.arange(200) % 2, X_val=X_val, y_val=np.arange(n_valid) % 2
        )


@pytest.mark.slow
def test_new_categories_are_not_far():
    X = pd.DataFrame({"u": rng.normal(size=80), "c": pd.Categorical(["a"] * 79 + ["z"])})
    X_val = pd.DataFrame({"u": rng.normal(size=40), "c": pd.Categorical(["z"] * 40)})
    make_tiny(epochs=1).fit(X, Y["a"][TRAIN], X_val=X_val, y_val=Y["a"][VALID])
