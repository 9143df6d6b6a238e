"""Tests of averaged weights, sk_mtl._train.averaging, and of `ema_momentum`."""

import io
import pickle
from functools import partial

import keras
import numpy as np
import pandas as pd
import pytest

from sk_mtl import MultiTaskClassifier, load_model, save_model
from sk_mtl._train.averaging import is_moment, update_averages

# -- The average ---------------------------------------------------------------------------------


def follow(steps, momentum):
    """Return the averages by their definition: the start counts a tenth of the first one."""
    average, found = steps[0], []
    for n, weight in enumerate(steps[1:], start=1):
        share = 1 - min(momentum, n / (9 + n))
        average = average + (weight - average) * share
        found.append(average)
    return found


@pytest.mark.parametrize("momentum", [0.3, 0.9])
def test_average_follows_as_defined(momentum):
    steps = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    averages, expected = [steps[0]], follow(steps, momentum)
    for n, step in enumerate(steps[1:]):
        averages = update_averages(averages, [step], np.int32(n), np.float32(momentum))
        np.testing.assert_allclose(averages[0], expected[n], rtol=1e-5, atol=1e-6)


def test_moments_of_batches_are_told_from_seeds():
    inputs = keras.Input((3,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(2)(inputs))
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(hidden))
    variables = [*model.non_trainable_variables, *model.layers[-1].variables]
    assert {v.name for v in variables if is_moment(v)} == set(MOMENTS)
    assert {v.name for v in variables if not is_moment(v)} == {"seed_generator_state"}


# -- The estimator -------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
Y = pd.DataFrame({"sign": np.where(X[:, 0] > 0, 1.0, 0.0), "grade": np.digitize(X[:, 1], [-1, 1])})
Y["grade"] = Y["grade"].where(np.arange(30) % 3 > 0)


def make_tiny(**settings):
    plain = {"hidden_layer_sizes": (5,), "epochs": 3, "batch_size": 8, "random_state": 0}
    return MultiTaskClassifier(**plain | settings)


class Recorder(keras.callbacks.Callback):
    """Notes all variables after each step, after each epoch, and in the end."""

    def __init__(self):
        super().__init__()
        self.steps, self.epochs, self.end = [], [], []

    def values(self):
        return [np.array(v.numpy()) for v in self.model.variables]

    def on_train_begin(self, logs=None):
        self.steps.append(self.values())

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.values())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.values())

    def on_train_end(self, logs=None):
        self.end = self.values()


def fit_recorded(**settings):
    recorder = Recorder()
    return make_tiny(callbacks=recorder, **settings).fit(X, Y), recorder


def named(clf, values, names):
    """Return those of the values whose variables have such names."""
    variables = clf.model_.variables
    return [a for v, a in zip(variables, values, strict=True) if v.name in names]


WEIGHTS = ("kernel", "bias", "gamma", "beta")
MOMENTS = ("moving_mean", "moving_variance")


@pytest.mark.slow
@pytest.mark.parametrize("momentum", ["auto", 0.5])
def test_averages_predict_and_training_goes_on_from_the_weights(momentum):
    clf, recorder = fit_recorded(ema_momentum=momentum, normalization="batch")
    plain, of_plain = fit_recorded(ema_momentum=0, normalization="batch")
    for step, of_step in zip(recorder.steps, of_plain.steps, strict=True):
        for a, b in zip(step, of_step, strict=True):
            np.testing.assert_array_equal(a, b)
    found = [np.array(v.numpy()) for v in clf.model_.variables]
    for names in (WEIGHTS, MOMENTS):
        by_step = [named(clf, step, names) for step in recorder.steps]
        for k, average in enumerate(named(clf, found, names)):
            steps = [step[k] for step in by_step]
            expected = follow(steps, 0.99 if momentum == "auto" else momentum)[-1]
            np.testing.assert_allclose(average, expected, rtol=1e-4, atol=1e-6)
    assert (plain._fitted.network.logits(X) != clf._fitted.network.logits(X)).any()


def test_callbacks_see_the_averages_at_the_end_of_an_epoch():
    clf, recorder = fit_recorded()
    last = [np.array(v.numpy()) for v in clf.model_.variables]
    for seen in (recorder.epochs[-1], recorder.end):
        for a, b in zip(seen, last, strict=True):
            np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(recorder.steps[-1], last, strict=True))


@pytest.mark.slow
def test_averages_are_what_is_watched():
    clf = make_tiny(epochs=6, n_iter_no_change=6).fit(X, Y, validation_data=(X, Y))
    losses = [
        make_tiny(epochs=n).fit(X, Y, validation_data=(X, Y)).history_["val_loss"][-1]
        for n in range(1, 7)
    ]
    assert clf.history_["val_loss"] == losses
    n = clf.best_iter_
    np.testing.assert_array_equal(
        clf._fitted.network.logits(X), make_tiny(epochs=n).fit(X, Y)._fitted.network.logits(X)
    )


@pytest.mark.slow
def test_each_task_is_predicted_by_the_averages_of_its_epoch():
    settings = {"restore_best": "per_task", "early_stopping": True, "validation_fraction": None}
    clf = make_tiny(epochs=8, optimizer__learning_rate=0.3, **settings).fit(X, Y)
    for t, n in enumerate(clf.best_iters_):
        alone = make_tiny(epochs=int(n), optimizer__learning_rate=0.3).fit(X, Y)
        np.testing.assert_array_equal(clf.predict_proba(X)[t], alone.predict_proba(X)[t])


def restore_pickled(clf):
    return pickle.loads(pickle.dumps(clf))


def restore_saved(clf):
    file = io.BytesIO()
    save_model(clf, file)
    file.seek(0)
    return load_model(file)


@pytest.mark.parametrize("restore", [restore_pickled, restore_saved])
def test_what_comes_back_goes_on_from_the_weights(restore):
    clf = make_tiny().fit(X, Y)
    again = restore(clf)
    again.partial_fit(X, Y)
    clf.partial_fit(X, Y)
    np.testing.assert_array_equal(again._fitted.network.logits(X), clf._fitted.network.logits(X))
    longer = make_tiny(epochs=4).fit(X, Y)
    np.testing.assert_array_equal(again._fitted.network.logits(X), longer._fitted.network.logits(X))


def test_warm_start_goes_on_from_what_predicts():
    warm = make_tiny(warm_start=True, optimizer__learning_rate=0.0).fit(X, Y)
    before = warm._fitted.network.logits(X)
    np.testing.assert_allclose(warm.fit(X, Y)._fitted.network.logits(X), before, atol=1e-6)


@pytest.mark.slow
def test_optimizer_that_averages_itself_is_left_to_it():
    own = make_tiny(optimizer__use_ema=True).fit(X, Y)
    assert own._fitted.network.state.averaging is None
    with pytest.raises(ValueError, match=r"and so does the optimizer.*ema_momentum=0"):
        make_tiny(optimizer__use_ema=True, ema_momentum=0.9).fit(X, Y)


def build_trunk():
    return keras.Sequential([keras.layers.Dense(3, activation="relu")])


@pytest.mark.slow
def test_model_of_ones_own_is_trained_as_keras_does_unless_told():
    make = partial(make_tiny, model=build_trunk, hidden_layer_sizes=(256,))
    assert make().fit(X, Y)._fitted.network.state.averaging is None
    averaged = make(ema_momentum=0.9).fit(X, Y)
    assert averaged._fitted.network.state.averaging.n_steps == 12
    assert make()._settings().make_optimizer().epsilon == 1e-7


@pytest.mark.parametrize(
    ("optimizer", "settings", "epsilon"),
    [
        ("adam", {}, 1e-4),
        ("AdamW", {}, 1e-4),
        ("adam", {"epsilon": 1e-3}, 1e-3),
        ("nadam", {}, 1e-7),
        (keras.optimizers.Adam, {}, 1e-7),
        (keras.optimizers.Adam(), {}, 1e-7),
    ],
)
def test_adam_by_its_name_has_a_larger_epsilon(optimizer, settings, epsilon):
    routed = {f"optimizer__{name}": value for name, value in settings.items()}
    assert make_tiny(optimizer=optimizer, **routed)._settings().make_optimizer().epsilon == epsilon


@pytest.mark.parametrize("value", [1.0, -0.1, "yes", None])
def test_other_momenta_are_refused(value):
    with pytest.raises(ValueError, match="'ema_momentum' parameter"):
        make_tiny(ema_momentum=value).fit(X, Y)


def test_file_with_forged_averages_is_refused():
    clf = make_tiny().fit(X, Y)
    clf._fitted.network.state.averaging.weights[0] = np.zeros((2, 2), np.float32)
    with pytest.raises(ValueError, match="another shape"):
        restore_saved(clf)
