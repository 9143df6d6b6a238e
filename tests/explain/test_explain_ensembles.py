"""The explanations of a MultiTaskEnsemble: the weighted mean of those of its networks."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from brute_force import brute_force
from helpers import make_tiny
from sklearn.exceptions import NotFittedError

from sk_mtl import MultiTaskEnsemble

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(60, 4)), columns=list("abcd"))
X["shop"] = pd.Categorical(RNG.choice(["east", "west"], 60))
Y = pd.DataFrame({"sign": np.where(X["a"] > 0, "plus", "minus"), "grade": RNG.integers(0, 3, 60)})
Y["grade"] = Y["grade"].where(RNG.random(60) < 0.6)


def make(**params):
    space = {"optimizer__learning_rate": [1e-3, 1e-2, 1e-1]}
    tiny = make_tiny(jit_compile=False)
    settings = {"n_candidates": 2, "cv": 2, "random_state": 0, "param_distributions": space}
    return MultiTaskEnsemble(tiny, **settings | params)


@cache
def fitted():
    return make().fit(X, Y)


@pytest.mark.slow
def test_values_and_base_add_up_to_the_probabilities():
    found = fitted().explain(X[:9], background=X[20:40], random_state=0)
    for task, proba in fitted().predict_proba(X[:9]).items():
        total = found[task].values.sum(axis=1) + found[task].base_values
        np.testing.assert_allclose(total, proba, rtol=0, atol=1e-6)


def test_values_are_those_of_the_definition():
    x, background = X[:1], X[20:25]
    found = fitted().explain(x, background=background)
    for task in Y:
        expected = brute_force(
            lambda rows, task=task: fitted().predict_proba(rows)[task], x, background
        )
        assert found[task].method == "exact"
        np.testing.assert_allclose(found[task].values[0], expected, rtol=0, atol=1e-6)


def test_a_task_alone_has_the_values_it_has_among_all():
    whole = fitted().explain(X[:5], background=X, n_background=9, random_state=0)
    alone = fitted().explain(X[:5], "grade", background=X, n_background=9, random_state=0)
    np.testing.assert_array_equal(alone.values, whole["grade"].values)


def test_features_have_their_names():
    assert fitted().explain(X[:2], 0).feature_names == ["a", "b", "c", "d", "shop"]


def test_one_column_of_labels_has_one_explanation():
    ensemble = make().fit(X, Y["sign"])
    found = ensemble.explain(X[:5], background=X[20:30])
    total = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(total, ensemble.predict_proba(X[:5]), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_fold_without_labels_of_a_task_tells_nothing_of_it():
    few = Y.assign(rare=np.nan)
    few.loc[:29, "rare"] = np.arange(30) % 2
    halves = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the fold without labels
        ensemble = make(cv=halves).fit(X, few)
        found = ensemble.explain(X[:5], background=X[20:30])
    for task, proba in ensemble.predict_proba(X[:5]).items():
        total = found[task].values.sum(axis=1) + found[task].base_values
        np.testing.assert_allclose(total, proba, rtol=0, atol=1e-6)


def test_log_odds_of_a_mean_are_refused():
    with pytest.raises(ValueError, match=r'mean of the probabilities of its networks.*"log_odds"'):
        fitted().explain(X[:5], output="log_odds")


def test_a_single_row_needs_a_background():
    with pytest.raises(ValueError, match=r"X is a single row. Pass training rows"):
        fitted().explain(X[:1])


def test_an_ensemble_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        make().explain(X)
