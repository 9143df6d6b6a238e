"""Tests of jit_compile: steps compiled by XLA train as those that are not."""

import keras
import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from sk_mtl import MultiTaskClassifier, clear_program_cache
from sk_mtl._model.layers import NoiseDropout, draw_bits
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train import plan as _plan
from sk_mtl._train import xla_steps as _xla_steps
from sk_mtl._train.plan import TrainingParts, make_plan, resolve_jit_compile
from sk_mtl._train.program import TrainingProgram
from sk_mtl.weighting import FixedWeighting, TaskWeighting

# Keras hands variables to np.array, which NumPy 2 objects to.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def make_table(n_rows=45, seed=0):
    """Return X and Y; the third task is labelled in one row of nine."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5]), X[:, 2] > 0], axis=1)
    Y = Y.astype(float)
    Y[np.arange(n_rows) % 9 > 0, 2] = np.nan
    return X, Y


def make(**params):
    settings = {"hidden_layer_sizes": (6,), "epochs": 3, "batch_size": 8, "random_state": 0}
    settings |= {"dropout": 0.0}  # whose draws are others under XLA
    return MultiTaskClassifier(**{**settings, "jit_compile": True, **params})


def weights_of(clf):
    return clf.model_.get_weights()


def assert_same_bits(first, second):
    for a, b in zip(weights_of(first), weights_of(second), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow_except("uncertainty, clipping")
@pytest.mark.parametrize(
    "params",
    [
        {
            "task_weighting": "uncertainty",
            "loss_normalization": "cells",
            "optimizer__global_clipnorm": 0.1,
        },
        {
            "optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.01, 9)),
            "l2": 1e-2,
            "head_hidden_layer_sizes": (3,),
        },
        {
            "normalization": "layer",
            "optimizer": "adamw",
            "optimizer__weight_decay": 0.01,
            "class_weight": "balanced",
        },
    ],
    ids=["uncertainty, clipping", "l2, schedule", "layer_norm, weight decay"],
)
def test_weights_are_those_without_xla_but_for_rounding(params):
    X, Y = make_table()
    compiled, plain = (make(jit_compile=jit, **params).fit(X, Y) for jit in (True, False))
    for a, b in zip(weights_of(compiled), weights_of(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for name, values in plain.history_.items():
        np.testing.assert_allclose(compiled.history_[name], values, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_weights_from_sparse_features_are_those_from_dense_ones():
    X, Y = make_table()
    X[X < 0] = 0
    assert_same_bits(make().fit(sp.csr_matrix(X), Y), make().fit(X, Y))


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_number_of_steps_per_call_changes_no_bit(dropout, monkeypatch):
    X, Y = make_table()
    whole = make(dropout=dropout).fit(X, Y)
    monkeypatch.setattr(_xla_steps, "_XLA_CELLS", 2 * 8 * (4 + (6 if dropout else 0)))
    clear_program_cache()  # else the program with all steps in one call would be taken
    assert_same_bits(make(dropout=dropout).fit(X, Y), whole)


@pytest.mark.slow
def test_callback_that_asks_for_batches_changes_no_bit():
    class Batches(keras.callbacks.Callback):
        n_batches = 0

        def on_train_batch_end(self, batch, logs=None):
            type(self).n_batches += 1

    X, Y = make_table()
    watched = make(dropout=0.3, callbacks=Batches).fit(X, Y)
    assert Batches.n_batches == 3 * 6
    assert_same_bits(watched, make(dropout=0.3).fit(X, Y))


@pytest.mark.slow
def test_program_from_the_cache_changes_no_bit():
    X, Y = make_table()
    clear_program_cache()
    cold = make(dropout=0.3).fit(X, Y)
    make(dropout=0.3, random_state=1).fit(X[:31], Y[:31])
    assert_same_bits(make(dropout=0.3).fit(X, Y), cold)


@pytest.mark.slow
def test_partial_fit_epoch_by_epoch_equals_fit_bit_for_bit():
    X, Y = make_table()
    step = make(dropout=0.3, classes=[[0, 1], [0, 1, 2], [0, 1]])
    for _ in range(3):
        step.partial_fit(X, Y)
    assert_same_bits(step, make(dropout=0.3).fit(X, Y))


@pytest.mark.slow_except("uncertainty")
@pytest.mark.parametrize("weighting", ["equal", "uncertainty"])
def test_batches_without_a_label_of_a_task_leave_finite_weights(weighting):
    X, Y = make_table()
    Y[:, 2] = np.nan
    Y[:2, 2] = 0, 1
    clf = make(task_weighting=weighting).fit(X, Y)
    assert all(np.isfinite(w).all() for w in weights_of(clf))


def test_rows_that_fill_up_the_last_batch_have_no_influence():
    # The filling is row 0: with weight, it would count twice.
    X, Y = make_table(n_rows=9)
    Y[:, 2] = X[:, 2] > 0
    filled, plain = (
        make(epochs=1, optimizer="sgd", jit_compile=jit).fit(X, Y) for jit in (True, False)
    )
    for a, b in zip(weights_of(filled), weights_of(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    X[0] = 1e4  # a filling row that counted would be seen
    two = [
        make(epochs=1, optimizer="sgd", jit_compile=jit).fit(X, Y).history_["loss"]
        for jit in (True, False)
    ]
    np.testing.assert_allclose(*two, rtol=1e-5)


@pytest.mark.slow
def test_fits_of_other_row_counts_share_a_program(monkeypatch):
    built = []
    original = TrainingProgram.__init__
    monkeypatch.setattr(
        TrainingProgram,
        "__init__",
        lambda self, *args: (built.append(1), original(self, *args))[1],
    )
    X, Y = make_table()
    clear_program_cache()
    for n_rows in (45, 44, 30):
        make().fit(X[:n_rows], Y[:n_rows])
    assert len(built) == 1


# ------------------------------------------------------------------------------------------------
# Random numbers
# ------------------------------------------------------------------------------------------------


def test_bits_of_a_step_do_not_depend_on_how_many_are_drawn_at_once():
    seed = tf.constant([7, 0], tf.uint32)
    together = draw_bits(seed, (3, 5, 3)).numpy()
    for step in range(3):
        alone = draw_bits(tf.constant([7, step], tf.uint32), (1, 5, 3)).numpy()
        np.testing.assert_array_equal(alone[0], together[step])


def test_bits_are_uniform_and_differ_between_steps_and_seeds():
    bits = draw_bits(tf.constant([7, 0], tf.uint32), (10, 64, 50)).numpy()
    counts = np.bincount(bits.ravel() // 4096, minlength=16)
    expected = bits.size / 16
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 37.7  # P = .001 with 15 degrees of freedom
    flat = bits.reshape(10, -1).astype(float)
    off_diagonal = np.corrcoef(flat)[~np.eye(10, dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(flat.shape[1])
    other = draw_bits(tf.constant([8, 0], tf.uint32), (10, 64, 50)).numpy()
    assert (bits == other).mean() < 1e-3


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_drops_its_share_and_scales_the_rest(rate):
    layer = NoiseDropout(rate, seed=0)
    layer.noise = tf.reshape(tf.cast(tf.range(2**16), tf.uint16), (256, 256))
    outputs = np.asarray(layer(np.ones((256, 256), np.float32), training=True))
    assert (outputs == 0).mean() == pytest.approx(rate, abs=2**-16)
    assert outputs.mean(dtype=float) == pytest.approx(1, rel=1e-6)
    np.testing.assert_array_equal(layer(np.ones((256, 256), np.float32), training=False), 1)


@pytest.mark.slow
def test_dropout_differs_between_epochs_and_seeds():
    X, Y = make_table()
    seen = {tuple(make(dropout=0.3, random_state=s).fit(X, Y).history_["loss"]) for s in range(3)}
    assert len(seen) == 3
    frozen = make(dropout=0.5, batch_size=45, optimizer="sgd", optimizer__learning_rate=0.0)
    assert len(set(frozen.fit(X, Y).history_["loss"])) == 3


# ------------------------------------------------------------------------------------------------
# The decision
# ------------------------------------------------------------------------------------------------


class UserWeighting(TaskWeighting):
    def combine(self, losses, has_labels, state):
        return tf.reduce_sum(losses), {}


class UserOptimizer(keras.optimizers.SGD):
    pass


class UserSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1

    def get_config(self):
        return {}


SPEC = NetworkSpec(4, (1,), (5,))


def resolve_auto(n_steps, spec=SPEC, optimizer=None, weighting=None):
    optimizer = keras.optimizers.Adam() if optimizer is None else optimizer
    return resolve_jit_compile("auto", spec, optimizer, weighting or FixedWeighting(), n_steps)


@pytest.mark.parametrize(
    ("changes", "n_steps", "expected"),
    [
        ({}, 400, True),
        ({}, 399, False),
        ({"optimizer": keras.optimizers.LossScaleOptimizer(UserOptimizer())}, 400, False),
        ({"optimizer": UserOptimizer()}, 400, False),
        ({"optimizer": keras.optimizers.SGD(UserSchedule())}, 400, False),
        (
            {"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1, 9))},
            400,
            True,
        ),
        ({"weighting": UserWeighting()}, 400, False),
        ({"spec": NetworkSpec(4, (1,), (5,), normalization="batch")}, 400, False),
        ({"spec": NetworkSpec(4, (1,), (5,), custom_model="{}")}, 400, False),
    ],
)
def test_auto_takes_xla_for_many_steps_of_what_is_known(changes, n_steps, expected, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert resolve_auto(n_steps, **changes) is expected


def test_auto_leaves_xla_alone_on_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    assert resolve_auto(400) is False


@pytest.mark.slow
def test_auto_decides_by_all_epochs_in_partial_fit_too(monkeypatch):
    monkeypatch.setattr(_plan, "_MIN_XLA_STEPS", 18)
    X, Y = make_table()
    step = make(jit_compile="auto", classes=[[0, 1], [0, 1, 2], [0, 1]])
    for _ in range(3):
        step.partial_fit(X, Y)
    assert_same_bits(step, make(jit_compile=True).fit(X, Y))


def test_true_is_refused_with_batch_normalization():
    X, Y = make_table()
    with pytest.raises(ValueError, match="jit_compile=True needs a network in which a row"):
        make(normalization="batch").fit(X, Y)


def test_plan_without_xla_has_another_program():
    parts = TrainingParts(keras.optimizers.Adam(), FixedWeighting())
    settings = {"task_names": ("a",), "epochs": 2, "seed": 3, "loss_normalization": "tasks"}
    configs = {
        make_plan(
            SPEC, parts, **settings, batch_size=size, jit_compile=jit, is_sparse=False
        ).program
        for jit in (True, False)
        for size in (8, 16)
    }
    assert len(configs) == 3  # the batch size shapes a program only under XLA
