"""Values of every kind of network: by their definition, and by what they add up to."""

import warnings
from functools import cache

import keras
import numpy as np
import pandas as pd
import pytest
from brute_force import brute_force, log_odds
from helpers import make_tiny

N = 150
RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(N, 9)), columns=[f"n{j}" for j in range(9)])
X["n1"] = X["n1"].mask(RNG.random(N) < 0.2)
X["city"] = pd.Categorical(RNG.choice(["a", "b", "c"], N))
X.loc[RNG.random(N) < 0.1, "city"] = np.nan
X["zip"] = pd.Categorical(np.arange(N) % 75)  # too many for a column each
NUMBERS = X.drop(columns=["city", "zip"]).fillna(0.5).to_numpy(np.float32)
FEW = [0, 1, 2, 9, 10]  # two numbers, one of them missing at times, and both categories
Y = pd.DataFrame(
    {
        "sold": np.where(X["n0"] + RNG.normal(size=N) > 0, 1.0, 0.0),
        "size": np.array(["S", "M", "L"], object)[RNG.integers(0, 3, N)],
        "grade": RNG.integers(0, 4, N),
        "flag": RNG.random(N) < 0.5,
    }
)
Y.loc[::3, "sold"] = np.nan
Y.loc[::2, "size"] = None


def make_trunk(meta):
    return keras.Sequential([keras.Input((9,)), keras.layers.Dense(4, "relu")])


def make_whole(meta):
    inputs = keras.Input((meta["n_features_in_"],))
    hidden = keras.layers.Dense(5, "tanh")(inputs)
    return keras.Model(inputs, [keras.layers.Dense(n, "softmax")(hidden) for n in (2, 3, 4, 2)])


SETTINGS = {
    "plain": {},
    "deep": {"hidden_layer_sizes": (9, 7), "head_hidden_layer_sizes": (6, 4)},
    "mixed heads": {"head_hidden_layer_sizes": {"sold": (5,), "grade": (4, 3)}},
    "only heads": {"hidden_layer_sizes": (), "head_hidden_layer_sizes": {"size": (5,)}},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "shared ensemble": {
        "ensemble_size": 3,
        "hidden_layer_sizes": (9, 7),
        "head_hidden_layer_sizes": (6,),
    },
    "independent ensemble": {"ensemble_size": 3, "ensemble_method": "independent"},
    "ensemble of heads": {
        "ensemble_size": 3,
        "hidden_layer_sizes": (),
        "head_hidden_layer_sizes": {"grade": (4,)},
    },
    "independent heads": {
        "ensemble_size": 2,
        "ensemble_method": "independent",
        "hidden_layer_sizes": (),
        "head_hidden_layer_sizes": (4,),
    },
    "linear ensemble": {"ensemble_size": 3, "hidden_layer_sizes": ()},
    "batch normalisation": {"normalization": "batch", "head_hidden_layer_sizes": (4,)},
    "layer normalisation": {
        "normalization": "layer",
        "hidden_layer_sizes": (),
        "head_hidden_layer_sizes": (4,),
        "ensemble_size": 2,
    },
    "bins": {"numeric_embedding": "piecewise_linear"},
    "waves": {"numeric_embedding": "periodic"},
    "plain numbers": {"numeric_embedding": None},
    "softmax": {"activation": "softmax"},
    "activation as a function": {"activation": keras.activations.gelu},
    "dropout": {"dropout": 0.5},
    "temperatures": {"early_stopping": True, "validation_fraction": 0.3, "calibrate": True},
    "a best epoch by task": {
        "early_stopping": True,
        "restore_best": "per_task",
        "epochs": 5,
        "optimizer__learning_rate": 0.05,
    },
    "known labels": {"known_labels": True},
    "known labels with indicator": {"known_labels": "with_indicator", "hidden_layer_sizes": ()},
    # Arrays of numbers from here on.
    "not standardised": {"standardize": False, "numeric_embedding": None},
    "trunk of the user": {"model": make_trunk},
    "model of the user": {"model": make_whole},
}
OF_NUMBERS = list(SETTINGS)[-3:]
IN_EVERY_RUN = pytest.mark.slow_except(
    "*plain", "*ensemble of heads", "*a best epoch by task", "*trunk of the user"
)
ALL = pytest.mark.parametrize("kind", SETTINGS)


@cache
def fitted(kind):
    """Return a fitted estimator, and the table for it."""
    table = NUMBERS if kind in OF_NUMBERS else X
    tiny = {"jit_compile": False, "early_stopping": False, "epochs": 2}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Temperature scaling", UserWarning)
        return make_tiny(**tiny | SETTINGS[kind]).fit(table, Y), table


def rows_of(table, rows):
    return table.iloc[rows] if isinstance(table, pd.DataFrame) else table[rows]


def near(table, row, others):
    """Return copies of a row with the values of other rows for a few features."""
    x, others = rows_of(table, [row]), rows_of(table, others)
    few = [j for j in FEW if j < table.shape[1]]
    if not isinstance(table, pd.DataFrame):
        found = np.repeat(x, len(others), axis=0)
        found[:, few] = others[:, few]
        return x, found, few
    found = pd.concat([x] * len(others), ignore_index=True)
    for name in table.columns[few]:
        found[name] = others[name].reset_index(drop=True)
    return x, found, few


@pytest.mark.slow_except("plain")
@IN_EVERY_RUN
@ALL
def test_values_and_base_add_up_to_the_probabilities(kind):
    clf, table = fitted(kind)
    rows = rows_of(table, slice(0, 9))

    found = clf.explain(rows, background=rows_of(table, slice(20, 50)), random_state=0)

    for task, proba in clf.predict_proba(rows).items():
        total = found[task].values.sum(axis=1) + found[task].base_values
        np.testing.assert_allclose(total, proba, rtol=0, atol=1e-6)
        assert found[task].method == "permutation"


@IN_EVERY_RUN
@ALL
def test_values_and_base_add_up_to_the_log_odds(kind):
    clf, table = fitted(kind)
    rows = rows_of(table, slice(0, 9))

    found = clf.explain(
        rows, background=rows_of(table, slice(20, 40)), output="log_odds", random_state=0
    )

    for task, proba in clf.predict_proba(rows).items():
        total = found[task].values.sum(axis=1) + found[task].base_values
        np.testing.assert_allclose(total, log_odds(proba), rtol=0, atol=1e-5)


@IN_EVERY_RUN
@ALL
@pytest.mark.parametrize("output", ["probability", "log_odds"])
def test_values_of_few_features_are_those_of_the_definition(kind, output):
    clf, table = fitted(kind)
    x, background, few = near(table, 3, range(20, 26))

    found = clf.explain(x, background=background, output=output)

    for task in Y:

        def predict(rows, task=task):
            proba = clf.predict_proba(rows)[task]
            return proba if output == "probability" else log_odds(proba)

        expected = brute_force(predict, x, background, few)
        assert found[task].method == "exact"
        np.testing.assert_allclose(found[task].values[0], expected, rtol=0, atol=2e-6)


@IN_EVERY_RUN
@ALL
def test_base_is_the_mean_over_the_background(kind):
    clf, table = fitted(kind)
    background = rows_of(table, slice(20, 40))

    found = clf.explain(rows_of(table, [3, 4]), background=background, random_state=0)

    for task, proba in clf.predict_proba(background).items():
        expected = np.repeat(proba.mean(axis=0, dtype=float)[None], 2, axis=0)
        np.testing.assert_allclose(found[task].base_values, expected, rtol=0, atol=1e-6)


@IN_EVERY_RUN
@ALL
def test_features_equal_to_the_background_get_exactly_nothing(kind):
    clf, table = fitted(kind)
    x, background, few = near(table, 3, range(20, 26))

    found = clf.explain(x, background=background)

    others = np.setdiff1d(np.arange(table.shape[1]), few)
    assert all((e.values[0, others] == 0).all() for e in found)


@IN_EVERY_RUN
@ALL
def test_a_task_alone_has_the_values_it_has_among_all(kind):
    clf, table = fitted(kind)
    rows, background = rows_of(table, slice(0, 3)), rows_of(table, slice(20, 30))
    whole = clf.explain(rows, background=background, random_state=0)

    for position, task in enumerate(Y):
        name = task if position % 2 else position  # by name, or by position
        alone = clf.explain(rows, name, background=background, random_state=0)
        np.testing.assert_array_equal(alone.values, whole[task].values)
        np.testing.assert_array_equal(alone.base_values, whole[task].base_values)
