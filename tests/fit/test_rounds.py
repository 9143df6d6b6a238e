"""Tests of early_stopping="cv": the number of epochs by folds, then a training on all rows."""

import io
import pickle
from functools import partial

import helpers
import keras
import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_predictions

from sk_mtl import load_model, save_model
from sk_mtl._data.dataset import encode_dataset
from sk_mtl._data.labels import read_labels
from sk_mtl._fit import rounds
from sk_mtl._fit.splits import split_folds
from sk_mtl._train.early_stopping import mean_history

# -- The mean of histories -----------------------------------------------------------------------


def test_mean_is_over_the_trainings_that_know_the_series():
    nan = float("nan")
    found = mean_history([{"a": [2.0, nan], "b": [nan, nan]}, {"a": [4.0, 6.0], "b": [nan, nan]}])
    assert found["a"] == [3, 6]
    assert np.isnan(found["b"]).all()


def test_training_that_stopped_keeps_its_last_entry():
    found = mean_history([{"a": [4.0, 2.0]}, {"a": [4.0, 4.0, 4.0, 8.0]}])
    assert found == {"a": [4, 3, 3, 5]}


# -- The folds -----------------------------------------------------------------------------------


def make_data(n_rows=120, seed=0):
    """Return an easy task, one of noise, and one of three classes with few labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 5)).astype(np.float32)
    Y = pd.DataFrame(
        {
            "easy": np.where(X[:, 0] > 0, "plus", "minus"),
            "noise": rng.integers(2, size=n_rows).astype(float),
            "grade": np.digitize(X[:, 1] + rng.normal(size=n_rows), [-0.5, 0.5]).astype(float),
        }
    )
    Y.loc[rng.random(n_rows) < 0.6, "grade"] = np.nan
    return X, Y


X, Y = make_data()
X_NEW, _ = make_data(seed=1)


make_tiny = partial(
    helpers.make_tiny,
    hidden_layer_sizes=(8,),
    epochs=20,
    n_iter_no_change=3,
    optimizer__learning_rate=0.1,
    early_stopping="cv",
)
assert_same = partial(assert_same_predictions, X=X_NEW)


@pytest.fixture(scope="module")
def by_folds():
    return make_tiny().fit(X, Y)


def test_each_labelled_row_is_held_out_once_and_trained_on_otherwise():
    holes = Y.copy()
    holes.iloc[:7] = np.nan
    problem = encode_dataset(X, read_labels(holes), None, None, None, None)
    seen = []
    for training, held_out in split_folds(problem, seed=3):
        np.testing.assert_array_equal(np.sort(np.r_[training.rows, held_out.rows]), problem.rows)
        assert (held_out.weight[held_out.rows] > 0).any(axis=0).all()
        seen += held_out.rows.tolist()
    assert sorted(seen) == problem.rows.tolist() == list(range(7, 120))


@pytest.mark.slow
def test_network_is_that_of_all_rows_trained_for_the_best_number_of_epochs(by_folds):
    losses = by_folds.history_["val_loss"]
    assert by_folds.best_iter_ == 1 + int(np.argmin(losses)) < by_folds.n_iter_ == len(losses)
    afresh = make_tiny(early_stopping=False, epochs=by_folds.best_iter_).fit(X, Y)
    assert_same(by_folds, afresh)
    assert_same(by_folds, make_tiny(refit=True).fit(X, Y))


def test_history_is_the_mean_over_folds(by_folds):
    problem = encode_dataset(X, read_labels(Y), None, None, None, None)
    histories = []
    for training, held_out in split_folds(problem, by_folds._fitted.seed):
        clf = make_tiny(early_stopping=True)
        rows, others = training.rows, held_out.rows
        clf.fit(X[rows], Y.iloc[rows], validation_data=(X[others], Y.iloc[others]))
        histories.append(clf.history_)
    expected = mean_history(histories)
    assert expected.keys() == by_folds.history_.keys()
    for name, series in expected.items():
        assert by_folds.history_[name] == pytest.approx(series, rel=1e-5)


def test_each_task_has_its_own_number_of_epochs():
    clf = make_tiny(restore_best="per_task").fit(X, Y)
    assert len(set(clf.best_iters_)) > 1
    for t, name in enumerate(Y.columns):
        losses = clf.history_[f"val_{name}_loss"]
        assert clf.best_iters_[t] == 1 + int(np.argmin(losses))
        afresh = make_tiny(early_stopping=False, epochs=int(clf.best_iters_[t])).fit(X, Y)
        np.testing.assert_array_equal(clf.predict_proba(X_NEW)[t], afresh.predict_proba(X_NEW)[t])


def test_monitored_task_decides():
    clf = make_tiny(monitor="grade").fit(X, Y)
    assert clf.best_iter_ == 1 + int(np.argmin(clf.history_["val_grade_loss"]))


def test_task_that_cannot_be_monitored_is_warned_of_once():
    with pytest.warns(UserWarning, match="one class|monitor") as caught:
        make_tiny(epochs=2, monitor="same").fit(X, Y.assign(same="s"))
    messages = [str(w.message) for w in caught]
    assert sum("mean over tasks is monitored instead" in message for message in messages) == 1


def test_temperatures_are_found_on_every_cell_once(monkeypatch):
    given = []

    def note(logits, codes, weight, *others):
        given.append((logits, codes, weight))
        return find(logits, codes, weight, *others)

    find = rounds.fit_temperatures
    monkeypatch.setattr(rounds, "fit_temperatures", note)
    clf = make_tiny(calibrate=True).fit(X, Y)
    ((logits, codes, weight),) = given
    np.testing.assert_array_equal((weight > 0).sum(axis=0), Y.notna().sum())
    # Logits of rows that were trained on would be surer.
    of_all = clf._fitted.network.logits(X)
    assert np.abs(logits).mean() < np.abs(of_all).mean()
    assert np.bincount(codes[weight[:, 0] > 0, 0]).tolist() == [
        *Y["easy"].value_counts().sort_index()
    ]
    assert (clf.temperatures_ != 1).all()


def build_trunk():
    return keras.Sequential([keras.layers.Dense(3, activation="relu")])


@pytest.mark.slow_except(
    "99-settings0-None", "5600-settings4-0", "99-settings10-5", "100-settings13-0"
)
@pytest.mark.parametrize(
    ("n_rows", "settings", "n_folds"),
    [
        (99, {}, None),
        (100, {}, 5),
        (1999, {}, 5),
        (2000, {}, 5),  # one task has fewer labels
        (5600, {}, 0),
        (20_000, {}, 0),
        (100, {"validation_fraction": None}, None),
        (100, {"epochs": 1, "n_iter_no_change": 1}, None),
        (100, {"callbacks": keras.callbacks.TerminateOnNaN}, None),
        (100, {"model": build_trunk}, None),
        (99, {"early_stopping": "cv"}, 5),
        (2000, {"early_stopping": "cv"}, 5),
        (100, {"early_stopping": False}, None),
        (100, {"early_stopping": True}, 0),
    ],
)
def test_rows_with_labels_decide_unless_told(n_rows, settings, n_folds):
    X, Y = make_data(n_rows + 50)
    Y.iloc[n_rows:] = np.nan
    clf = make_tiny(**{"early_stopping": "auto", "epochs": 4, "batch_size": 256} | settings)
    stopping = clf.fit(X, Y).summary().stopping
    assert (None if stopping is None else stopping["n_folds"]) == n_folds


def test_auto_watches_validation_data_where_they_are_given():
    clf = make_tiny(early_stopping="auto", epochs=2).fit(X, Y, validation_data=(X_NEW, Y))
    assert clf.summary().stopping["n_folds"] == 0


def test_warm_start_that_goes_on_holds_nothing_out():
    clf = make_tiny(early_stopping="auto", epochs=4, warm_start=True).fit(X, Y)
    assert clf.summary().stopping["n_folds"] == 5
    assert clf.fit(X, Y).summary().stopping is None


def test_unlabelled_rows_and_labels_under_the_mask_change_no_bit(by_folds):
    more = pd.concat([Y, Y.iloc[:30].assign(easy=None, noise=np.nan, grade=np.nan)])
    clf = make_tiny().fit(np.vstack([X, X_NEW[:30]]), more)
    assert_same(clf, by_folds)
    assert clf.history_ == by_folds.history_


@pytest.mark.slow
@pytest.mark.parametrize("categorical", [False, True])
def test_class_or_category_of_one_row_is_no_obstacle(categorical):
    y = Y.copy()
    y.loc[3, "grade"] = 7.0
    table = pd.DataFrame(X, columns=list("abcde"))
    if categorical:
        table["f"] = pd.Categorical(["rare", *["often"] * 119])
    clf = make_tiny(epochs=2).fit(table, y)
    assert clf.predict_proba(table)["grade"].shape == (120, 4)


def test_task_without_labels_and_task_of_one_class_are_no_obstacle():
    y = Y.assign(empty=np.nan, same="s")
    with pytest.warns(UserWarning, match=r"'empty'|'same'"):
        clf = make_tiny(epochs=2).fit(X, y)
    assert (clf.predict(X)["same"] == "s").all()


def test_nothing_to_learn_is_no_obstacle():
    with pytest.warns(UserWarning, match="one class"):
        clf = make_tiny().fit(X, np.zeros((120, 2)))
    assert clf.n_iter_ == 0


def test_validation_data_and_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="early_stopping='cv' validates on folds of X and y"):
        make_tiny().fit(X, Y, validation_data=(X, Y))
    clf = make_tiny()
    with pytest.raises(ValueError, match=r"at least 5 rows with labels. Found 4"):
        clf.fit(X[:4], Y[:4])
    assert not hasattr(clf, "classes_")


@pytest.mark.slow
def test_callbacks_are_called_in_all_six_trainings():
    class Count(keras.callbacks.Callback):
        trainings = 0

        def on_train_begin(self, logs=None):
            Count.trainings += 1

    make_tiny(epochs=1, callbacks=Count).fit(X, Y)
    assert Count.trainings == 6


def test_summary_says_how_epochs_were_found_and_comes_back(by_folds):
    assert "lowest mean val_loss of 5 folds, then trained on all rows" in str(by_folds.summary())
    file = io.BytesIO()
    save_model(by_folds, file)
    file.seek(0)
    for again in (load_model(file), pickle.loads(pickle.dumps(by_folds))):
        assert str(again.summary()) == str(by_folds.summary())
        assert_same(again, by_folds)
