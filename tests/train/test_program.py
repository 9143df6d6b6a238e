"""Tests of sk_mtl._train.program: steps compiled by XLA, and the values that a program takes."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf
from jobs import make_job

from sk_mtl import MultiTaskClassifier, clear_program_cache
from sk_mtl._train import pack as _pack
from sk_mtl._train import program as _program
from sk_mtl._train.config import UnlabelledSpec
from sk_mtl._train.program import TrainingProgram
from sk_mtl._train.state import TrainingState
from sk_mtl.weighting import UncertaintyWeighting

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
    return MultiTaskClassifier(**{**settings, "jit_compile": True, **params})


def weights_of(clf):
    return clf.model_.get_weights()


def assert_same_bits(first, second):
    for a, b in zip(weights_of(first), weights_of(second), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
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
        {"dropout": 0.4, "head_hidden_layer_sizes": (3,)},
    ],
    ids=["uncertainty, clipping", "l2, schedule", "layer_norm, weight decay", "dropout"],
)
def test_weights_are_those_without_xla_but_for_rounding(params):
    X, Y = make_table()
    compiled, plain = (make(jit_compile=jit, **params).fit(X, Y) for jit in (True, False))
    for a, b in zip(weights_of(compiled), weights_of(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for name, values in plain.history_.items():
        np.testing.assert_allclose(compiled.history_[name], values, rtol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize(("width", "dropout"), [(8, 0.0), (300, 0.4)])
def test_dropout_follows_the_width_of_a_layer(width, dropout, jit_compile):
    X, Y = make_table()
    settings = {"hidden_layer_sizes": width, "jit_compile": jit_compile}
    found, given = (make(dropout=d, **settings).fit(X, Y) for d in ("auto", dropout))
    for a, b in zip(
        found._fitted.network.state.network, given._fitted.network.state.network, strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_weights_from_sparse_features_are_those_from_dense_ones():
    X, Y = make_table()
    X[X < 0] = 0
    assert_same_bits(make().fit(sp.csr_matrix(X), Y), make().fit(X, Y))


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [True, False])
def test_number_of_steps_per_call_changes_no_bit(jit_compile, monkeypatch):
    X, Y = make_table()
    whole = make(jit_compile=jit_compile, dropout=0.3).fit(X, Y)
    monkeypatch.setattr(_program, "_CELLS", 2 * 8 * (4 + 2 * 3))
    monkeypatch.setattr(_program, "_CELLS_PER_WEIGHT", 0)
    monkeypatch.setattr(_pack, "_CELLS", 2 * 8 * 4)
    clear_program_cache()  # else the program with all steps in one call would be taken
    assert_same_bits(make(jit_compile=jit_compile, dropout=0.3).fit(X, Y), whole)


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


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["equal", "uncertainty"])
def test_batches_without_a_label_of_a_task_leave_finite_weights(weighting):
    X, Y = make_table()
    Y[:, 2] = np.nan
    Y[:2, 2] = 0, 1
    clf = make(task_weighting=weighting).fit(X, Y)
    assert all(np.isfinite(w).all() for w in weights_of(clf))


@pytest.mark.slow
def test_rows_that_fill_up_the_last_batch_have_no_influence():
    X, Y = make_table(n_rows=9)
    Y[:, 2] = X[:, 2] > 0
    filled, plain = (
        make(epochs=2, optimizer="sgd", jit_compile=jit).fit(X, Y) for jit in (True, False)
    )
    for a, b in zip(weights_of(filled), weights_of(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    X[0] = 1e4  # left over from the epoch before, a row that counted would be seen
    two = [
        make(epochs=2, optimizer="sgd", jit_compile=jit).fit(X, Y).history_["loss"]
        for jit in (True, False)
    ]
    np.testing.assert_allclose(*two, rtol=1e-5)


@pytest.fixture
def built(monkeypatch):
    """The configurations of the programs that are built; there are none at first."""
    configs, original = [], TrainingProgram.__init__

    def note(program, config, *parts):
        configs.append(config)
        original(program, config, *parts)

    monkeypatch.setattr(TrainingProgram, "__init__", note)
    clear_program_cache()
    return configs


@pytest.mark.slow
def test_fits_of_other_row_counts_share_a_program(built):
    X, Y = make_table()
    for n_rows in (45, 44, 30):
        make().fit(X[:n_rows], Y[:n_rows])
    assert len(built) == 1


@pytest.mark.slow
def test_fits_of_other_rates_share_a_program(built):
    X, Y = make_table()
    for rate in (0.1, 0.2):
        settings = {"dropout": rate, "l2": rate, "ema_momentum": rate, "label_smoothing": rate}
        settings |= {"logit_adjustment": rate, "optimizer__weight_decay": rate}
        make(optimizer="adamw", optimizer__learning_rate=rate, **settings).fit(X, Y)
    assert len(built) == 1


# ------------------------------------------------------------------------------------------------
# Values
# ------------------------------------------------------------------------------------------------


def make_averaged():
    """Return a program that averages weights, and values of which the averages differ."""
    plan = make_job(
        optimizer=keras.optimizers.AdamW(0.1),
        weighting=UncertaintyWeighting(),
        spec={"dropout": 0.3},
        ema_momentum=0.5,
        unlabelled=UnlabelledSpec(0.9),
    ).plan
    program = TrainingProgram(plan.program, plan.parts.optimizer, plan.parts.weighting)
    rng = np.random.default_rng(0)
    values = program.start(TrainingState(*like(program, rng)), plan.run)
    return program, values._replace(averages=[v + 1 for v in values.averages]), plan.run


def like(program, rng):
    """Return values of a network and of its task weighting."""
    network = [
        rng.normal(size=v.shape).astype(v.dtype)
        if v.trainable
        else rng.integers(9, size=v.shape).astype(v.dtype)
        for v in program.step.variables
    ]
    return network, {"log_variance": rng.normal(size=3).astype(np.float32)}


def assert_same_values(first, second):
    for a, b in zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_state_that_is_read_starts_the_same_values():
    program, values, run = make_averaged()
    values = values._replace(n_averaged=np.int32(3), n_taught=np.int32(4))
    state = program.read(values, run.learning_rate)
    assert (state.averaging.n_steps, state.teacher.n_steps) == (3, 4)
    assert_same_values(program.start(state, run), values)


def test_without_a_state_averages_and_teacher_start_from_the_network():
    program, values, run = make_averaged()
    state = program.read(values, run.learning_rate)
    fresh = program.start(replace(state, averaging=None, teacher=None), run)
    again = program.read(fresh, run.learning_rate)
    assert_same_values(again.averaging.weights, state.network[: len(again.averaging.weights)])
    assert_same_values(again.teacher.network, state.network)
    assert (again.averaging.n_steps, again.teacher.n_steps) == (0, 0)


@pytest.mark.parametrize("predicts", [False, True])
def test_model_shows_weights_or_averages_and_nothing_is_changed_by_it(predicts):
    program, values, _ = make_averaged()
    program.show(values, predicts=predicts)
    shown = [v.numpy() for v in program.model.trainable_variables]
    state = program.read(values, None)
    weights = state.network if predicts else state.averaging.weights
    assert_same_values(shown, weights[: len(shown)])
    assert (state.network[0] != state.averaging.weights[0]).all()
    assert_same_values(program.take_back(values, predicts=predicts), values)


@pytest.mark.parametrize("predicts", [False, True])
def test_what_a_callback_changes_is_taken_back_to_where_it_was_shown(predicts):
    program, values, _ = make_averaged()
    before = program.read(values, None)
    program.show(values, predicts=predicts)
    kernel = program.model.trainable_variables[0]
    kernel.assign(kernel + 5)
    program.optimizer.learning_rate = 0.25
    after = program.read(program.take_back(values, predicts=predicts), None)
    changed, kept = after.network, after.averaging.weights
    of_changed, of_kept = before.network, before.averaging.weights
    if not predicts:
        changed, kept, of_changed, of_kept = kept, changed, of_kept, of_changed
    np.testing.assert_array_equal(changed[0], of_changed[0] + 5)
    assert_same_values(changed[1:], of_changed[1:])
    assert_same_values(kept, of_kept)
    assert_same_values(after.weighting, before.weighting)
    assert np.float32(0.25) in [value for value in after.optimizer if value.shape == ()]
    assert_same_values(after.teacher.network, before.teacher.network)


@pytest.mark.slow
def test_dropout_differs_between_epochs_and_seeds():
    X, Y = make_table()
    seen = {tuple(make(dropout=0.3, random_state=s).fit(X, Y).history_["loss"]) for s in range(3)}
    assert len(seen) == 3
    frozen = make(dropout=0.5, batch_size=45, optimizer="sgd", optimizer__learning_rate=0.0)
    assert len(set(frozen.fit(X, Y).history_["loss"])) == 3
