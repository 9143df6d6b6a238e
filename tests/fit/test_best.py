"""Tests of MultiTaskClassifier.best: an estimator like any other, but for its parameters."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl._fit.best import choose_best

CHOSEN = choose_best({})
TINY = {"hidden_layer_sizes": (4,), "ensemble_size": 2, "epochs": 2, "random_state": 0}


def make_table(n_rows=40):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n_rows, 3)), columns=["a", "b", "c"])
    X.loc[::5, "b"] = np.nan
    X["kind"] = pd.Categorical(np.where(np.arange(n_rows) % 2, "odd", "even"))
    Y = pd.DataFrame({"sign": np.where(X["a"] > 0, "plus", "minus"), "odd": X["kind"] == "odd"})
    Y["odd"] = Y["odd"].astype(object).where(np.arange(n_rows) % 3 > 0)
    return X, Y


def test_all_that_is_set_shows_in_the_parameters():
    params = MultiTaskClassifier.best().get_params()
    assert {name: params[name] for name in CHOSEN} == CHOSEN
    others = {name: value for name, value in params.items() if name not in CHOSEN}
    defaults = MultiTaskClassifier().get_params()
    assert others == {name: value for name, value in defaults.items() if name not in CHOSEN}


@pytest.mark.parametrize(
    "given",
    [
        {"ensemble_size": 1},
        {"numeric_embedding": None},
        {"optimizer__learning_rate": 0.5},
        {"ema_momentum": 0},
        {"dropout": 0.0, "random_state": 3},
        {"optimizer": "adam"},
    ],
)
def test_given_parameters_win_and_the_others_stay(given):
    params = MultiTaskClassifier.best(**given).get_params()
    assert {name: params[name] for name in CHOSEN | given} == CHOSEN | given


@pytest.mark.parametrize("optimizer", ["sgd", keras.optimizers.Adam, None])
def test_settings_of_the_optimizer_are_left_out_when_it_is_given(optimizer):
    params = MultiTaskClassifier.best(optimizer=optimizer, optimizer__weight_decay=0.1).get_params()
    routed = {n: v for n, v in params.items() if n.startswith("optimizer__")}
    assert params["optimizer"] is optimizer
    assert routed == {"optimizer__weight_decay": 0.1}


@pytest.mark.slow
def test_fits_with_another_optimizer():
    X, Y = make_table()
    for optimizer in ("sgd", keras.optimizers.RMSprop()):
        clf = MultiTaskClassifier.best(**TINY, optimizer=optimizer).fit(X, Y)
        assert clf.summary().ensemble == (2, "shared")


def build_trunk(width=3):
    return keras.Sequential([keras.layers.Dense(width, activation="relu")])


def test_settings_of_the_network_are_left_out_when_a_model_is_given():
    X, Y = make_table()
    clf = MultiTaskClassifier.best(model=build_trunk, epochs=1, random_state=0)
    assert clf.ensemble_size == 1
    assert clf.fit(X[["a", "c"]], Y).predict(X[["a", "c"]]).shape == Y.shape


def test_unknown_parameter_is_refused_with_the_nearest_name():
    with pytest.raises(TypeError, match="Did you mean 'dropout'"):
        MultiTaskClassifier.best(dropuot=0.1)


def test_subclass_makes_its_own_kind():
    class Narrow(MultiTaskClassifier):
        def __init__(self, hidden_layer_sizes=(4,), **params):
            super().__init__(hidden_layer_sizes, **params)

    clf = Narrow.best()
    assert type(clf) is Narrow
    assert (clf.hidden_layer_sizes, clf.ensemble_size) == ((4,), CHOSEN["ensemble_size"])


def test_clone_is_equal_and_fits_to_the_same_bits():
    X, Y = make_table()
    clf = MultiTaskClassifier.best(**TINY)
    again = clone(clf)
    assert again.get_params() == clf.get_params()
    p, q = clf.fit(X, Y).predict_proba(X), again.fit(X, Y).predict_proba(X)
    assert all(np.array_equal(p[task], q[task]) for task in Y)


def test_is_the_same_as_the_parameters_written_out():
    X, Y = make_table()
    p = MultiTaskClassifier.best(**TINY).fit(X, Y).predict_proba(X)
    q = MultiTaskClassifier(**(CHOSEN | TINY)).fit(X, Y).predict_proba(X)
    assert all(np.array_equal(p[task], q[task]) for task in Y)


def test_rows_of_ones_own_are_watched_without_refit():
    X, Y = make_table()
    with pytest.raises(ValueError, match="set refit=False"):
        MultiTaskClassifier.best(**TINY).fit(X, Y, validation_data=(X, Y))
    clf = MultiTaskClassifier.best(refit=False, **TINY).fit(X, Y, validation_data=(X, Y))
    assert len(clf.history_["val_loss"]) == TINY["epochs"]


@pytest.mark.slow
def test_works_in_a_search_over_a_pipeline():
    X, Y = make_table()
    model = make_pipeline(StandardScaler(), MultiTaskClassifier.best(**TINY))
    grid = {"multitaskclassifier__optimizer__learning_rate": [1e-3, 2e-3]}
    search = GridSearchCV(model, grid, cv=2).fit(X[["a", "c"]], Y)
    assert len(search.cv_results_["params"]) == 2
    assert search.best_estimator_[-1].ensemble_size == 2


def test_is_made_alike_each_time():
    first = MultiTaskClassifier.best()
    first.set_params(ensemble_size=3, optimizer__epsilon=1.0)
    assert (
        MultiTaskClassifier.best().get_params()
        == MultiTaskClassifier().set_params(**CHOSEN).get_params()
    )
