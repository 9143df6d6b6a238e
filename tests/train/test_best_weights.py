"""Tests of sk_mtl._train.best_weights, and of restore_best="per_task" and refit=True."""

import copy
import io
import pickle
import warnings

import keras
import numpy as np
import pandas as pd
import pytest

from sk_mtl import MultiTaskClassifier, load_model, save_model
from sk_mtl._codec.container import pack, unpack
from sk_mtl._fit import rounds
from sk_mtl._train import together
from sk_mtl._train.best_weights import BestWeights, BestWeightsKeeper
from sk_mtl.plotting import TaskSimilarityDisplay

# -- What is kept --------------------------------------------------------------------------------


def test_one_set_of_values_per_epoch_is_kept():
    keeper = BestWeightsKeeper()
    values = {epoch: [np.full(2, epoch)] for epoch in range(1, 6)}
    keeper.keep([0, 1, 2], 1, values[1])
    keeper.keep([1], 3, values[3])
    keeper.keep([2], 5, values[5])
    found = keeper.best_weights(4, 3, values[3])
    assert found.epochs == (1, 3, 5)
    assert found.of_task == (0, 1, 2, 1)
    assert found.task_epochs == (1, 3, 5, 3)
    assert all(kept is values[epoch] for kept, epoch in zip(found.values, (1, 3, 5), strict=True))


def test_nothing_is_kept_when_all_tasks_have_the_common_epoch():
    keeper = BestWeightsKeeper()
    keeper.keep([0, 1], 2, [np.zeros(1)])
    assert keeper.best_weights(3, 2, [np.zeros(1)]) is None


def test_values_of_the_state_are_not_held_twice():
    keeper, of_state = BestWeightsKeeper(), [np.zeros(1)]
    keeper.keep([0], 2, [np.zeros(1)])
    keeper.keep([1], 1, [np.ones(1)])
    assert keeper.best_weights(2, 2, of_state).values[1] is of_state


def test_shifted_epochs_are_counted_from_an_earlier_one():
    found = BestWeights((1, 4), ([], []), (1, 0)).shift(10)
    assert found.epochs == (11, 14)
    assert found.task_epochs == (14, 11)


# -- The estimator -------------------------------------------------------------------------------


def make_data(n_rows=240, seed=0):
    """Return an easy task, one of noise, and one of three classes with few labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 6)).astype(np.float32)
    Y = pd.DataFrame(
        {
            "easy": np.where(X[:, 0] > 0, "plus", "minus"),
            "noise": rng.integers(2, size=n_rows).astype(float),
            "grade": np.digitize(X[:, 1] + rng.normal(size=n_rows), [-0.5, 0.5]).astype(float),
        }
    )
    Y.loc[rng.random(n_rows) < 0.5, "grade"] = np.nan
    return X, Y


X, Y = make_data()
X_NEW, _ = make_data(seed=1)


def make_tiny(**settings):
    network = {"hidden_layer_sizes": (16,), "epochs": 15, "optimizer__learning_rate": 0.02}
    network |= {"numeric_embedding": None}
    defaults = {"early_stopping": True, "validation_fraction": 0.3, "random_state": 0}
    return MultiTaskClassifier(**{**network, **defaults, "n_iter_no_change": 6, **settings})


def assert_same(first, second, X=X_NEW, atol=0.0):
    for p, q in zip(first.predict_proba(X), second.predict_proba(X), strict=True):
        np.testing.assert_allclose(p, q, atol=atol, rtol=0)


@pytest.fixture(scope="module")
def common():
    return make_tiny().fit(X, Y)


@pytest.fixture(scope="module")
def by_task():
    return make_tiny(restore_best="per_task").fit(X, Y)


def test_each_task_has_the_epoch_of_its_lowest_watched_loss(by_task):
    for t, name in enumerate(Y.columns):
        losses = by_task.history_[f"val_{name}_loss"]
        assert by_task.best_iters_[t] == np.argmin(losses) + 1
    assert len(set(by_task.best_iters_)) == 3
    losses = by_task.history_["val_loss"]
    assert by_task.best_iter_ == np.argmin(losses) + 1


def test_each_task_is_predicted_as_by_the_network_of_its_epoch(by_task):
    for t, name in enumerate(Y.columns):
        clf = make_tiny(monitor=name, epochs=int(by_task.best_iters_[t])).fit(X, Y)
        assert clf.best_iter_ == by_task.best_iters_[t]
        np.testing.assert_array_equal(by_task.predict_proba(X_NEW)[t], clf.predict_proba(X_NEW)[t])
        np.testing.assert_array_equal(by_task.predict(X_NEW)[name], clf.predict(X_NEW)[name])


@pytest.mark.slow
def test_training_stops_when_no_task_has_improved_for_so_long():
    clf = make_tiny(restore_best="per_task", n_iter_no_change=3, tol=0, epochs=100).fit(X, Y)
    assert clf.n_iter_ == clf.best_iters_.max() + 3
    assert clf.n_iter_ > make_tiny(n_iter_no_change=3, tol=0, epochs=100).fit(X, Y).n_iter_


def test_common_epoch_is_that_of_every_task(common):
    np.testing.assert_array_equal(common.best_iters_, [common.best_iter_] * 3)
    assert common._fitted.network.best_weights is None


def test_nothing_watched_leaves_the_last_epoch():
    clf = make_tiny(restore_best="per_task", early_stopping=False, epochs=2).fit(X, Y)
    np.testing.assert_array_equal(clf.best_iters_, [2, 2, 2])
    assert_same(clf, make_tiny(early_stopping=False, epochs=2).fit(X, Y))


def test_task_that_is_not_learned_has_epoch_0():
    with pytest.warns(UserWarning, match="one class"):
        clf = make_tiny(restore_best="per_task", epochs=3).fit(X, Y.assign(one="s"))
    assert clf.best_iters_[3] == 0
    assert (clf.best_iters_[:3] > 0).all()
    assert (clf.predict(X_NEW)["one"] == "s").all()


def test_task_without_watched_labels_has_the_common_epoch():
    watched = Y[:60].assign(noise=np.nan)
    clf = make_tiny(restore_best="per_task").fit(X[60:], Y[60:], validation_data=(X[:60], watched))
    assert clf.best_iters_[1] == clf.best_iter_
    assert clf.best_iters_[0] != clf.best_iter_


@pytest.mark.slow
def test_1d_y_has_one_epoch():
    clf = make_tiny(restore_best="per_task").fit(X, Y["easy"])
    assert clf.best_iters_.tolist() == [clf.best_iter_]


class Explode(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 6:
            self.model.optimizer.learning_rate = 1e30


@pytest.mark.slow
def test_training_that_diverges_later_leaves_the_best_epochs():
    with pytest.warns(match="Training diverged"):
        clf = make_tiny(restore_best="per_task", callbacks=Explode).fit(X, Y)
    assert clf.best_iters_.max() <= 6 < clf.n_iter_
    assert np.isfinite(np.hstack(clf.predict_proba(X_NEW))).all()


@pytest.mark.slow
def test_keras_model_joins_the_networks(by_task, tmp_path):
    by_task.model_.save(tmp_path / "network.keras")
    logits = np.asarray(keras.models.load_model(tmp_path / "network.keras")(X_NEW))
    p = by_task.predict_proba(X_NEW)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[:, 0])), p["easy"][:, 1], atol=1e-6)
    odds = np.exp(logits[:, 2:])
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), p["grade"], atol=1e-6)


def test_calibration_is_of_what_predicts_each_task(by_task):
    clf = make_tiny(restore_best="per_task", calibrate=True).fit(X, Y)
    logits, expected = (
        by_task._fitted.network.logits(X_NEW),
        by_task._fitted.network.logits(X_NEW[:1]),
    )
    np.testing.assert_allclose(logits[:1], expected, atol=1e-6)
    p = 1 / (1 + np.exp(-logits[:, 0] / clf.temperatures_[0]))
    np.testing.assert_allclose(clf.predict_proba(X_NEW)["easy"][:, 1], p, atol=1e-6)
    np.testing.assert_allclose(
        clf.model_(X_NEW), logits / np.repeat(clf.temperatures_, (1, 1, 3)), atol=1e-4
    )


def test_gradients_of_networks_of_their_own_are_not_compared(by_task):
    with pytest.raises(ValueError, match="restore_best='common'"):
        TaskSimilarityDisplay.from_estimator(by_task, X, Y, measure="gradients")


def test_summary_names_the_epochs(by_task, common):
    summary = by_task.summary()
    np.testing.assert_array_equal(summary.tasks["best_epoch"], by_task.best_iters_)
    for t, name in enumerate(Y.columns):
        losses = by_task.history_[f"val_{name}_loss"]
        assert summary.tasks.loc[name, "val_loss"] == min(losses)
        assert summary.tasks["best_epoch"].iloc[t] == np.argmin(losses) + 1
    low, high = by_task.best_iters_.min(), by_task.best_iters_.max()
    assert f"weights of epochs {low} to {high} kept, by task" in str(summary)
    assert "by task" not in str(common.summary())


# -- Going on, keeping ---------------------------------------------------------------------------


def test_partial_fit_goes_on_from_the_common_epoch(by_task, common):
    assert by_task.best_iter_ == common.best_iter_
    first, second = (copy.deepcopy(clf).partial_fit(X, Y) for clf in (by_task, common))
    assert first._fitted.network.best_weights is None
    np.testing.assert_array_equal(first.best_iters_, [first.n_iter_] * 3)
    for a, b in zip(
        first._fitted.network.state.network, second._fitted.network.state.network, strict=True
    ):
        assert a.shape == b.shape


def test_warm_start_counts_epochs_on(by_task):
    clf = copy.deepcopy(by_task).set_params(warm_start=True, epochs=3).fit(X, Y)
    assert clf.n_iter_ == by_task.n_iter_ + 3
    for t, name in enumerate(Y.columns):
        losses = clf.history_[f"val_{name}_loss"][by_task.n_iter_ :]
        assert clf.best_iters_[t] == by_task.n_iter_ + np.argmin(losses) + 1


def save_bytes(clf):
    file = io.BytesIO()
    save_model(clf, file)
    return file.getvalue()


COPIES = {
    "pickle": lambda clf: pickle.loads(pickle.dumps(clf)),
    "file": lambda clf: load_model(io.BytesIO(save_bytes(clf))),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
def test_saved_model_keeps_all_epochs(by_task, way):
    again = COPIES[way](by_task)
    np.testing.assert_array_equal(again.best_iters_, by_task.best_iters_)
    assert_same(again, by_task)
    assert str(again.summary()) == str(by_task.summary())


@pytest.mark.parametrize("way", COPIES)
def test_values_of_the_common_epoch_are_kept_once(way):
    watched = Y[:60].assign(noise=np.nan)
    clf = make_tiny(restore_best="per_task").fit(X[60:], Y[60:], validation_data=(X[:60], watched))
    network = COPIES[way](clf)._fitted.network
    position = network.best_weights.epochs.index(clf.best_iter_)
    assert network.best_weights.values[position] is network.state.network


def forge(content, change):
    """Return a file that says something else of the best epochs."""
    import json

    text, arrays = unpack(content)
    description = json.loads(text)
    change(description["model"]["network"]["best_weights"])
    return pack(json.dumps(description), arrays)


FORGED = {
    "an epoch too many": lambda node: node["epochs"].append(10_000),
    "epochs out of order": lambda node: node["epochs"].reverse(),
    "epoch 0": lambda node: node["epochs"].__setitem__(0, 0),
    "epoch of another kind": lambda node: node["epochs"].__setitem__(0, 1.0),
    "true for an epoch": lambda node: node["epochs"].__setitem__(0, True),
    "a task too many": lambda node: node["of_task"].append(0),
    "a task without an epoch": lambda node: node["of_task"].__setitem__(0, 7),
    "a negative position": lambda node: node["of_task"].__setitem__(0, -1),
    "an epoch of no task": lambda node: node.update(of_task=[0, 0, 0]),
    "no values": lambda node: node["values"].clear(),
    "values cut": lambda node: next(v for v in node["values"] if v).pop(),
    "values that are text": lambda node: node["values"].__setitem__(0, "keras"),
    "values of another shape": lambda node: next(v for v in node["values"] if v).reverse(),
    "something else": lambda node: node.update(more=1),
    "nothing": lambda node: node.clear(),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_epochs_are_refused(by_task, what):
    content = forge(save_bytes(by_task), FORGED[what])
    with pytest.raises(ValueError, match="does not describe a model"):
        load_model(io.BytesIO(content))


# -- On all rows in the end ----------------------------------------------------------------------


def test_refitted_network_is_that_of_a_fit_on_all_rows_for_as_many_epochs(common):
    clf = make_tiny(refit=True).fit(X, Y)
    assert clf.history_ == common.history_
    assert clf.best_iter_ == common.best_iter_
    assert clf.n_iter_ == common.n_iter_
    afresh = make_tiny(early_stopping=False, epochs=common.best_iter_).fit(X, Y)
    assert_same(clf, afresh)


@pytest.mark.slow_except("per_task")
@pytest.mark.parametrize("restore_best", ["common", "per_task"])
def test_small_network_is_trained_on_all_rows_beside_the_search(monkeypatch, restore_best):
    n_trained = []
    train_together = together.train_together

    def note_number(jobs):
        n_trained.append(len(jobs))
        return train_together(jobs)

    monkeypatch.setattr(together, "train_together", note_number)
    settings = {"refit": True, "restore_best": restore_best, "jit_compile": True}
    beside = make_tiny(**settings).fit(X, Y)
    monkeypatch.setattr(rounds, "_MAX_KEPT_NUMBERS", 0)
    after = make_tiny(**settings).fit(X, Y)
    assert n_trained == [2, 1, 1]
    assert beside.best_iter_ < beside.n_iter_
    assert beside.history_ == after.history_
    np.testing.assert_array_equal(beside.best_iters_, after.best_iters_)
    assert_same(beside, after)


def test_each_task_is_refitted_for_its_own_number_of_epochs(by_task):
    clf = make_tiny(refit=True, restore_best="per_task").fit(X, Y)
    np.testing.assert_array_equal(clf.best_iters_, by_task.best_iters_)
    for t, epochs in enumerate(by_task.best_iters_.tolist()):
        afresh = make_tiny(early_stopping=False, epochs=epochs).fit(X, Y)
        np.testing.assert_array_equal(clf.predict_proba(X_NEW)[t], afresh.predict_proba(X_NEW)[t])


@pytest.mark.filterwarnings("ignore:.*rows of X with labels are the same:UserWarning")
def test_refit_keeps_batch_size_and_temperatures():
    rows, labels = np.tile(X, (9, 1)), pd.concat([Y] * 9, ignore_index=True)
    settings = {"refit": True, "validation_fraction": 0.1, "epochs": 2, "calibrate": True}
    clf = make_tiny(**settings).fit(rows, labels)  # 1,944 rows, then 2,160: 32 and 128 by "auto"
    settings = {"early_stopping": False, "epochs": clf.best_iter_, "batch_size": 32}
    afresh = make_tiny(**settings).fit(rows, labels)
    np.testing.assert_array_equal(
        clf._fitted.network.logits(X_NEW), afresh._fitted.network.logits(X_NEW)
    )
    first = make_tiny(validation_fraction=0.1, epochs=2, calibrate=True).fit(rows, labels)
    np.testing.assert_array_equal(clf.temperatures_, first.temperatures_)


@pytest.mark.parametrize(
    "settings", [{"early_stopping": False}, {"validation_fraction": None}], ids=["none", "training"]
)
def test_refit_does_nothing_where_all_rows_were_trained_on(settings):
    assert_same(
        make_tiny(refit=True, epochs=3, **settings).fit(X, Y),
        make_tiny(epochs=3, **settings).fit(X, Y),
    )


def test_refit_with_validation_data_is_refused():
    with pytest.raises(ValueError, match="refit=True trains again on all rows"):
        make_tiny(refit=True).fit(X, Y, validation_data=(X_NEW, Y))


def test_warm_start_refits_from_where_it_began(common):
    warm = copy.deepcopy(common).set_params(warm_start=True, refit=True, epochs=3).fit(X, Y)
    assert warm.n_iter_ == common.n_iter_ + 3
    n_epochs = warm.best_iter_ - common.n_iter_
    again = copy.deepcopy(common).set_params(warm_start=True, early_stopping=False)
    assert_same(warm, again.set_params(epochs=n_epochs).fit(X, Y))


@pytest.mark.slow
def test_callbacks_are_called_in_both_trainings():
    class Count(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.begun, self.epochs = 0, 0

        def on_train_begin(self, logs=None):
            self.begun += 1

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1

    count = Count()
    clf = make_tiny(refit=True, callbacks=count, epochs=3).fit(X, Y)
    assert (count.begun, count.epochs) == (2, 3 + clf.best_iter_)


@pytest.mark.slow
def test_whole_custom_network_is_predicted_by_task():
    def build():
        inputs = keras.Input((6,))
        hidden = keras.layers.Dense(8, "relu")(inputs)
        sizes = {"easy": 2, "noise": 2, "grade": 3}
        return keras.Model(
            inputs, [keras.layers.Dense(n, "softmax", name=t)(hidden) for t, n in sizes.items()]
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = make_tiny(
            model=build, hidden_layer_sizes=(256,), restore_best="per_task", refit=True, epochs=8
        ).fit(X, Y)
    assert len(set(clf.best_iters_)) > 1
    assert np.isfinite(np.hstack(clf.predict_proba(X_NEW))).all()
    assert len(clf.model_(X_NEW)) == 3
