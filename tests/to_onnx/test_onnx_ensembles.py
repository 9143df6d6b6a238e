"""Tests of `to_onnx` for MultiTaskEnsemble and searches."""

import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny
from onnx_runs import assert_same_as, open_session
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from sk_mtl import MultiTaskEnsemble, to_onnx
from sk_mtl.model_selection import MultiTaskSearchCV

N_ROWS = 80
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(N_ROWS, 3)).astype(np.float32), columns=["u", "v", "w"])
MIXED = FRAME.assign(kind=pd.Categorical(RNG.choice(["a", "b", "c"], N_ROWS)))
Y = pd.DataFrame(
    {
        "sign": np.where(FRAME["u"] > 0, "plus", "minus"),
        "grade": np.where(RNG.random(N_ROWS) < 0.4, np.nan, RNG.integers(0, 3, N_ROWS)),
    }
)


def make(**params):
    """Return an ensemble of two candidates in two folds."""
    settings = {"estimator": make_tiny(), "n_candidates": 2, "cv": 2, "random_state": 0}
    space = {"optimizer__learning_rate": [1e-3, 1e-1]}
    return MultiTaskEnsemble(**{"param_distributions": space, **settings, **params})


def test_ensemble_gives_its_weighted_means():
    ensemble = make().fit(MIXED, Y)
    weights = ensemble.estimator_weights_ = np.linspace(0.1, 0.9, len(ensemble.estimators_))
    weights /= weights.sum()
    assert len(weights) > 1
    assert_same_as(ensemble, MIXED)


@pytest.mark.slow
def test_ensemble_of_networks_with_temperatures():
    estimator = make_tiny(calibrate=True, validation_fraction=0.3)
    assert_same_as(make(estimator=estimator).fit(FRAME, Y), FRAME)


FOLDS = PredefinedSplit(np.arange(N_ROWS) >= N_ROWS // 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*have no label", "ignore:.*no labelled", "ignore:.*only")
def test_a_fold_that_lacks_a_task_has_no_part_in_its_mean():
    table = Y.assign(rare=np.where(np.arange(N_ROWS) < N_ROWS // 2, Y["sign"], None))
    ensemble = make(cv=FOLDS).fit(FRAME, table)
    has_rare = [np.isfinite(e.predict_proba(FRAME)["rare"]).all() for e in ensemble.estimators_]
    assert 0 < sum(has_rare) < len(has_rare)
    assert_same_as(ensemble, FRAME)


@pytest.mark.slow_except("booleans")
@pytest.mark.parametrize("kind", ["text", "integers", "booleans"])
def test_folds_that_know_other_categories(kind):
    codes = np.arange(N_ROWS) % 5
    codes[: N_ROWS // 2] = np.arange(N_ROWS // 2) % 2
    values = {"text": np.array(list("abcde"), object), "integers": np.arange(5) + 10}
    values["booleans"] = np.array([True, False, True, False, True])
    X = FRAME.assign(kind=pd.Categorical(values[kind][codes]))
    ensemble = make(cv=FOLDS).fit(X, Y)
    known = {len(e.categories_["kind"]) for e in ensemble.estimators_}
    assert known == {2} if kind == "booleans" else len(known) == 2
    assert_same_as(ensemble, X)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No category of feature 'kind' is known")
def test_a_fold_in_which_a_category_was_always_missing():
    X = FRAME.assign(kind=pd.Categorical(np.where(np.arange(N_ROWS) < N_ROWS // 2, "a", None)))
    ensemble = make(cv=FOLDS).fit(X, Y)
    assert {len(e.categories_["kind"]) for e in ensemble.estimators_} == {0, 1}
    assert_same_as(ensemble, X)


def test_ensemble_of_known_labels_takes_them():
    ensemble = make(estimator=make_tiny(known_labels=True)).fit(FRAME, Y)
    assert_same_as(ensemble, FRAME)
    model = to_onnx(ensemble, known_labels=True)
    assert [given.name for given in model.graph.input] == ["u", "v", "w", "known_labels"]
    open_session(model)


def test_ensemble_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        to_onnx(make())


@pytest.mark.slow_except("MultiTaskSearchCV")
@pytest.mark.parametrize("search", [GridSearchCV, MultiTaskSearchCV])
def test_search_gives_its_best_estimator(search):
    found = search(make_tiny(), {"hidden_layer_sizes": [(3,), (5,)]}, cv=2).fit(MIXED, Y)
    assert_same_as(found, MIXED)


def test_search_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        to_onnx(GridSearchCV(make_tiny(), {"epochs": [1]}))


def test_search_without_a_best_estimator_is_refused():
    search = GridSearchCV(make_tiny(epochs=1), {"epochs": [1]}, cv=2, refit=False).fit(FRAME, Y)
    with pytest.raises(TypeError, match="refitted search"):
        to_onnx(search)
