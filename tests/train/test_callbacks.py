"""Tests of what callbacks leave behind: the epoch of the weights, and what they add to the logs."""

import pickle

import keras
import numpy as np
import pytest
from helpers import make_tiny

LambdaCallback, EarlyStopping = keras.callbacks.LambdaCallback, keras.callbacks.EarlyStopping

# Keras hands variables to np.array; NumPy 2 objects.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def draw(n_rows, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 6))
    return X, (X[:, 0] + rng.normal(size=n_rows) > 0).astype(int)


X, y = draw(80, 0)
X_VALID, Y_VALID = draw(60, 1)


def fit(callbacks, **params):
    """Return an estimator that overfits from about the fifth epoch on."""
    overfits = {"hidden_layer_sizes": (32,), "epochs": 12, "optimizer__learning_rate": 0.02}
    plain = {"dropout": 0.0, "early_stopping": False, "callbacks": callbacks}
    clf = make_tiny(**overfits | plain | params)
    return clf.fit(X, y, validation_data=(X_VALID, Y_VALID))


def validation_loss(clf):
    """Return the cross-entropy of the predictions."""
    p = clf.predict_proba(X_VALID).astype(float)[np.arange(len(Y_VALID)), Y_VALID]
    return -np.log(p).mean()


class Doubled(keras.callbacks.Callback):
    """Adds a metric of its own to the logs, as Keras's own callbacks do."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_twice"] = 2 * logs["val_loss"]


class KeepSecond(keras.callbacks.Callback):
    """Puts the weights of the second epoch back, in the last epoch or when training ends."""

    def __init__(self, in_epoch):
        super().__init__()
        self.in_epoch = in_epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.kept = self.model.get_weights()
        if self.in_epoch and epoch == self.params["epochs"] - 1:
            self.model.set_weights(self.kept)

    def on_train_end(self, logs=None):
        if not self.in_epoch:
            self.model.set_weights(self.kept)


# ------------------------------------------------------------------- the epoch of the weights


@pytest.mark.slow_except("ema_momentum")
@pytest.mark.release_except("ema_momentum", "ensemble_size", "early_stopping, n_iter_no_change")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"ema_momentum": 0.5},
        {"dropout": 0.2},
        {"normalization": "batch"},
        {"ensemble_size": 2},
        {"early_stopping": True, "n_iter_no_change": 100},
    ],
    ids=", ".join,
)
def test_best_iter_is_the_epoch_that_keras_early_stopping_restored(params):
    stop = EarlyStopping("val_twice", mode="min", patience=3, restore_best_weights=True)
    clf = fit([Doubled(), stop], **params)
    losses = clf.history_["val_loss"]
    assert 1 < clf.best_iter_ == stop.best_epoch + 1 == np.argmin(losses) + 1 < clf.n_iter_
    assert validation_loss(clf) == pytest.approx(losses[clf.best_iter_ - 1], abs=1e-5)


@pytest.mark.slow_except("0.5-False")
@pytest.mark.parametrize("in_epoch", [False, True])
@pytest.mark.parametrize("ema_momentum", [0, 0.5])
def test_best_iter_is_the_epoch_that_any_callback_went_back_to(in_epoch, ema_momentum):
    clf = fit(KeepSecond(in_epoch), ema_momentum=ema_momentum, epochs=4)
    assert clf.best_iter_ == 2
    assert validation_loss(clf) == pytest.approx(clf.history_["val_loss"][1], abs=1e-5)


@pytest.mark.slow
def test_best_iter_is_that_of_a_file_that_is_loaded_in_the_end(tmp_path):
    path = tmp_path / "best.weights.h5"
    save = keras.callbacks.ModelCheckpoint(
        path, monitor="val_loss", save_best_only=True, save_weights_only=True
    )
    load = LambdaCallback(on_train_end=lambda logs: load.model.load_weights(path))
    clf = fit([save, load])
    assert clf.best_iter_ == np.argmin(clf.history_["val_loss"]) + 1 < clf.n_iter_


@pytest.mark.slow
@pytest.mark.parametrize(
    ("callbacks", "params"),
    [
        ([Doubled()], {}),
        ([Doubled()], {"optimizer__use_ema": True, "optimizer__ema_momentum": 0.5}),
        (
            [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)],
            {"optimizer__use_ema": True, "optimizer__ema_momentum": 0.5},
        ),
        # Nothing moves, and so the weights are those of every epoch.
        ([keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)], {"ema_momentum": 0}),
    ],
    ids=["logs", "averages", "swapped averages", "no step"],
)
def test_best_iter_is_the_last_epoch_when_callbacks_leave_the_weights_alone(callbacks, params):
    clf = fit(callbacks, epochs=3, **params)
    assert clf.best_iter_ == clf.n_iter_ == 3


def halve_weights(**params):
    halve = LambdaCallback(
        on_train_end=lambda logs: halve.model.set_weights(
            [weight / 2 for weight in halve.model.get_weights()]
        )
    )
    return fit([halve], **params)


@pytest.mark.slow
def test_best_iter_is_zero_when_a_callback_made_weights_of_its_own():
    clf = halve_weights(epochs=3)
    assert (clf.best_iter_, clf.n_iter_) == (0, 3)
    text = str(clf.summary())
    assert "3, weights set by a callback" in text
    assert f"{clf.history_['val_loss'][-1]:.4f} in the last" in text
    assert pickle.loads(pickle.dumps(clf._fitted)).best_iter == 0


@pytest.mark.slow
def test_warm_start_counts_on_from_weights_of_no_epoch():
    clf = halve_weights(epochs=3, warm_start=True)
    clf.set_params(callbacks=Doubled()).fit(X, y, validation_data=(X_VALID, Y_VALID))
    assert (clf.best_iter_, clf.n_iter_) == (6, 6)


@pytest.mark.slow
def test_rows_without_labels_leave_the_epoch_that_was_kept():
    clf = fit(KeepSecond(in_epoch=False), epochs=3).set_params(callbacks=None)
    assert clf.partial_fit(X[:4], np.full((4, 1), np.nan)).best_iter_ == 2


@pytest.mark.slow
def test_second_training_is_as_long_as_the_epochs_that_were_restored():
    stop = EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    found = make_tiny(
        hidden_layer_sizes=(32,),
        epochs=12,
        optimizer__learning_rate=0.02,
        early_stopping=True,
        n_iter_no_change=100,
        validation_fraction=0.4,
        callbacks=[stop],
        refit=True,
    )
    with pytest.warns(UserWarning, match="Early stopping conditioned on metric"):
        found.fit(X, y)  # the second training has no validation loss
    assert found.best_iter_ == np.argmin(found.history_["val_loss"]) + 1


# --------------------------------------------------------------------------------- the history


@pytest.mark.slow_except("order0")
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_history_has_what_keras_history_has(order):
    callbacks = [
        Doubled(),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=100),
        keras.callbacks.History(),
    ]
    recorded = callbacks[-1]
    clf = fit([*callbacks[:-1][order], recorded], epochs=3)
    assert clf.history_.keys() == recorded.history.keys()
    for name, series in recorded.history.items():
        assert clf.history_[name] == pytest.approx(series)
    assert clf.history_["learning_rate"] == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert list(clf.history_)[:2] == ["loss", "objective"]


@pytest.mark.slow
def test_series_of_a_callback_has_nan_in_epochs_without_a_value():
    def add(epoch, logs):
        logs.update({"seldom": np.float32(epoch)} if epoch % 2 else {"text": "no number"})

    history = fit(LambdaCallback(on_epoch_end=add), epochs=3).history_
    np.testing.assert_array_equal(history["seldom"], [np.nan, 1, np.nan])
    assert "text" not in history


@pytest.mark.slow
def test_losses_stay_as_measured_when_a_callback_writes_over_them():
    def overwrite(epoch, logs):
        logs["val_loss"] = 0.0

    assert min(fit(LambdaCallback(on_epoch_end=overwrite), epochs=2).history_["val_loss"]) > 0.1


@pytest.mark.slow
def test_series_continues_over_fits():
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    clf = fit(None, epochs=2, warm_start=True).set_params(callbacks=rate).fit(X, y)
    clf.set_params(callbacks=None).partial_fit(X, y)
    expected = [np.nan, np.nan, 0.1, 0.1, np.nan]
    np.testing.assert_allclose(clf.history_["learning_rate"], expected, rtol=1e-6)


@pytest.mark.slow
def test_series_is_the_mean_over_folds():
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    clf = make_tiny(early_stopping="cv", n_iter_no_change=2, epochs=3, callbacks=rate).fit(X, y)
    expected = 0.1 / np.arange(1, 1 + len(clf.history_["loss"]))
    assert clf.history_["learning_rate"] == pytest.approx(expected)


@pytest.mark.slow
def test_validation_loss_of_a_callback_is_shown_where_there_is_no_other(capsys):
    def measure(epoch, logs):
        logs["val_loss"] = 0.25

    Y = np.column_stack([y, 1 - y])
    clf = make_tiny(early_stopping=False, callbacks=LambdaCallback(on_epoch_end=measure), verbose=2)
    clf.fit(X, Y)
    assert clf.history_["val_loss"] == [0.25, 0.25]
    assert "val_loss=0.2500" in capsys.readouterr().out
    assert "0.2500 in epoch 2" in str(clf.summary())
