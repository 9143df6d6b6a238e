"""Tests of sk_mtl._train.program: steps compiled by XLA, and the values that a program takes."""

import keras
import numpy as np
import pytest
import scipy.sparse as sp

from sk_mtl import MultiTaskClassifier, clear_program_cache
from sk_mtl._train import pack as _pack
from sk_mtl._train import program as _program
from sk_mtl._train.program import TrainingProgram

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
@pytest.mark.parametrize("jit_compile", [True, False])
def test_number_of_steps_per_call_changes_no_bit(jit_compile, monkeypatch):
    X, Y = make_table()
    whole = make(jit_compile=jit_compile, dropout=0.3).fit(X, Y)
    monkeypatch.setattr(_program, "_CELLS", 2 * 8 * (4 + 2 * 3))
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


@pytest.mark.slow_except("uncertainty")
@pytest.mark.parametrize("weighting", ["equal", "uncertainty"])
def test_batches_without_a_label_of_a_task_leave_finite_weights(weighting):
    X, Y = make_table()
    Y[:, 2] = np.nan
    Y[:2, 2] = 0, 1
    clf = make(task_weighting=weighting).fit(X, Y)
    assert all(np.isfinite(w).all() for w in weights_of(clf))


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


@pytest.mark.slow
def test_dropout_differs_between_epochs_and_seeds():
    X, Y = make_table()
    seen = {tuple(make(dropout=0.3, random_state=s).fit(X, Y).history_["loss"]) for s in range(3)}
    assert len(seen) == 3
    frozen = make(dropout=0.5, batch_size=45, optimizer="sgd", optimizer__learning_rate=0.0)
    assert len(set(frozen.fit(X, Y).history_["loss"])) == 3
