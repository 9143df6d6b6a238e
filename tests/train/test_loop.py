"""Tests of sk_mtl._train.loop: against a plain loop, callbacks, the program cache."""

import csv
import inspect
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import keras
import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf
from jobs import train
from sklearn.exceptions import ConvergenceWarning

from sk_mtl import MultiTaskClassifier, clear_program_cache
from sk_mtl._data.dataset import Subset
from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.custom_serialization import (
    consists_of_keras,
    deserialize_model,
    serialize_model,
)
from sk_mtl._model.keras_objects import make_optimizer
from sk_mtl._model.layers import NoiseDropout
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train import program_cache as _program_cache
from sk_mtl._train import validation as _validation
from sk_mtl._train.early_stopping import StoppingConfig
from sk_mtl._train.loop import Job, NonFiniteLossError, draw_start
from sk_mtl._train.member_step import MemberStep
from sk_mtl._train.plan import TrainingParts
from sk_mtl._train.plan import make_plan as plan_training
from sk_mtl.weighting import FixedWeighting, UncertaintyWeighting

N_OUTPUTS = (1, 3, 1)
SPEC = NetworkSpec(4, N_OUTPUTS, (5,), ((), (3,), ()))
FREQUENCIES = [np.array([0.5, 0.5]), np.ones(3) / 3, np.array([0.8, 0.2])]

# Keras hands variables to np.array, saving them or reading a learning rate; NumPy 2 objects.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def make_rows(n_rows=25, seed=0, coverage=0.5):
    """Return rows with labels that depend on X, and weights other than 1."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    codes = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5]), X[:, 2] > 1], axis=1)
    weight = rng.uniform(0.5, 2, size=codes.shape) * (rng.random(codes.shape) < coverage)
    weight[:, 0] = np.where(weight.any(axis=1), weight[:, 0], 1)
    return Subset(
        X, codes.astype(np.int32), weight.astype(np.float32), np.arange(n_rows, dtype=np.int64)
    )


def make_plan(optimizer=None, weighting=None, callbacks=(), spec=SPEC, **changes):
    parts = TrainingParts(
        keras.optimizers.SGD(0.1) if optimizer is None else optimizer,
        FixedWeighting() if weighting is None else weighting,
        list(callbacks),
    )
    settings = {
        "task_names": ("a", "b", "c"),
        "loss_normalization": "tasks",
        "epochs": 2,
        "batch_size": 8,
        "seed": 3,
    }
    return plan_training(spec, parts, **{**settings, **changes})


def start_of(plan):
    return draw_start(plan.program.spec, plan.parts.weighting, FREQUENCIES, plan.run.seed)


def run(plan, training=None, validation=None):
    """Train from the plan's own start."""
    training = make_rows() if training is None else training
    return train(Job(plan, start_of(plan), training, validation))


def assert_same_values(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


# ----------------------------------------------------------------------- a plain Keras loop


def reference_task_losses(logits, codes, weight):
    """Return per task the sums of weight · cross-entropy and of weight, by Keras's losses."""
    parts = tf.split(logits, N_OUTPUTS, axis=1)
    sums = []
    for t, part in enumerate(parts):
        labelled = np.flatnonzero(weight[:, t])
        if len(labelled) == 0:
            sums.append(tf.zeros(()))
            continue
        kind = keras.losses.BinaryCrossentropy
        if N_OUTPUTS[t] > 1:
            kind = keras.losses.SparseCategoricalCrossentropy
        loss = kind(from_logits=True, reduction="sum")
        sums.append(
            loss(
                codes[labelled, t : t + 1],
                tf.gather(part, labelled),
                sample_weight=weight[labelled, t],
            )
        )
    return sums, weight.sum(axis=0, dtype=np.float64)


def train_by_hand(plan, training):
    """Train by an eager loop over batches and tasks; return the model, log-variances, history."""
    model, start, run = build_network(plan.spec), start_of(plan), plan.run
    for layer in model.layers:
        if isinstance(layer, NoiseDropout):
            layer.fed_rate = run.rates.dropout
    for variable, value in zip(network_variables(model), start.network, strict=True):
        variable.assign(value)
    optimizer = plan.parts.optimizer
    optimizer = type(optimizer).from_config(optimizer.get_config())
    learns = isinstance(plan.parts.weighting, UncertaintyWeighting)
    log_variance = keras.Variable(np.zeros(len(N_OUTPUTS), np.float32))
    variables = [*model.trainable_variables, *([log_variance] if learns else [])]
    if optimizer.weight_decay:
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if v.name != "kernel"])
    optimizer.build(variables)
    history = {"loss": [], "objective": []}
    for epoch in range(1, run.epochs + 1):
        rng = np.random.default_rng([run.seed, 1, run.first_epoch + epoch])
        order = training.rows[rng.permutation(len(training.rows))]
        totals, denominators, objectives = np.zeros(3), np.zeros(3), []
        for first in range(0, len(order), run.batch_size):
            rows = order[first : first + run.batch_size]
            with tf.GradientTape() as tape:
                logits = model(training.X[rows], training=True)
                sums, weights = reference_task_losses(
                    logits, training.codes[rows], training.weight[rows]
                )
                is_per_task = plan.program.loss_normalization == "tasks"
                by = weights if is_per_task else np.full(3, weights.sum())
                objective = tf.zeros(())
                for t in range(3):
                    if weights[t] == 0:
                        continue
                    loss = sums[t] / by[t]
                    if learns:
                        s = log_variance.value[t]
                        loss = tf.exp(-s) * loss + 0.5 * s
                    objective += loss
                objective += sum(model.losses)
            gradients = tape.gradient(objective, [v.value for v in variables])
            optimizer.apply(
                [
                    tf.zeros(v.shape) if g is None else tf.convert_to_tensor(g)
                    for g, v in zip(gradients, variables, strict=True)
                ],
                variables,
            )
            totals += [float(s) for s in sums]
            denominators += weights
            objectives.append(float(objective))
        history["loss"].append(np.mean(totals / denominators))
        history["objective"].append(np.mean(objectives))
    optimizer.finalize_variable_values(variables)
    return model, log_variance.numpy(), history


SGD, Adam = keras.optimizers.SGD, keras.optimizers.Adam
DECAY = keras.optimizers.schedules.ExponentialDecay
# Per case: what makes the optimizer, and what else differs from the plain plan.
CASES = {
    "sgd": (lambda: SGD(0.1), {}),
    "cells": (lambda: SGD(0.1), {"loss_normalization": "cells"}),
    "uncertainty": (lambda: Adam(0.05), {"weighting": UncertaintyWeighting()}),
    "l2_batch_norm": (lambda: SGD(0.1), {"spec": replace(SPEC, l2=0.1, normalization="batch")}),
    "dropout": (lambda: SGD(0.1), {"spec": replace(SPEC, dropout=0.4, normalization="layer")}),
    "schedule": (lambda: SGD(DECAY(0.2, decay_steps=2, decay_rate=0.5)), {}),
    "global_clipnorm": (lambda: Adam(0.05, global_clipnorm=0.05), {}),
    "ema_overwrite": (lambda: SGD(0.2, use_ema=True, ema_overwrite_frequency=3), {}),
    "ema_uncertainty": (
        lambda: SGD(0.2, use_ema=True, ema_momentum=0.5),
        {"weighting": UncertaintyWeighting()},
    ),
    "accumulation": (lambda: Adam(0.05, gradient_accumulation_steps=3), {}),
    "decay": (lambda: keras.optimizers.AdamW(0.05, weight_decay=0.1), {}),
}


@pytest.mark.slow_except("sgd")
@pytest.mark.release_except("sgd", "uncertainty", "dropout", "ema_uncertainty", "accumulation")
@pytest.mark.parametrize("case", CASES)
def test_training_equals_a_plain_loop(case):
    # 25 rows by 8 leave a last batch of one row, which has no label of some task.
    make_optimizer, changes = CASES[case]
    plan = make_plan(make_optimizer(), **changes)
    training = make_rows()
    assert (training.weight == 0).any()
    model, log_variance, history = train_by_hand(plan, training)
    outcome = run(make_plan(make_optimizer(), **changes), training)
    # Sums in another order: some roundings of 6e-8 a step, which Adam's division enlarges.
    close = {"rtol": 2e-5, "atol": 2e-6}
    for variable, value in zip(network_variables(model), outcome.state.network, strict=True):
        np.testing.assert_allclose(value, variable.numpy(), err_msg=variable.path, **close)
    if "uncertainty" in case:
        np.testing.assert_allclose(outcome.state.weighting["log_variance"], log_variance, **close)
    for name, values in history.items():
        np.testing.assert_allclose(outcome.history[name], values, rtol=1e-5)


@pytest.mark.parametrize(("n_rows", "batch_size", "n_steps"), [(25, 8, 4), (24, 8, 3), (5, 8, 1)])
def test_epoch_has_a_step_per_batch_and_one_for_the_rest(n_rows, batch_size, n_steps):
    outcome = run(make_plan(epochs=1, batch_size=batch_size), make_rows(n_rows))
    assert int(outcome.state.optimizer[0]) == n_steps  # the optimizer's own count of iterations


def test_rows_that_do_not_count_are_never_read():
    training = make_rows()
    some = replace(training, rows=np.arange(0, 25, 2))
    spoilt = training.X.copy()
    spoilt[1::2] = np.nan
    assert_same_values(
        run(make_plan(), some).state.network,
        run(make_plan(), replace(some, X=spoilt)).state.network,
    )


def test_codes_under_the_mask_change_no_bit_of_weights_and_history():
    training = make_rows()
    other = replace(training, codes=np.where(training.weight == 0, 0, training.codes))
    first, second = run(make_plan(), training, training), run(make_plan(), other, other)
    assert_same_values(first.state.network, second.state.network)
    assert first.history == second.history


def test_epochs_of_one_training_equal_trainings_that_go_on():
    whole = run(make_plan(Adam(0.01), epochs=3))
    state = start_of(make_plan())
    for epoch in range(3):
        plan = make_plan(Adam(0.01), epochs=1, first_epoch=epoch)
        state = train(Job(plan, state, make_rows())).state
    assert_same_values(state.network, whole.state.network)
    assert_same_values(state.optimizer, whole.state.optimizer)


def test_task_without_labels_in_training_has_nan_in_the_history_and_is_left_out_of_the_mean():
    training = make_rows()
    training.weight[:, 1] = 0
    training.weight[:, 0] = 1
    history = run(make_plan(), training).history
    assert np.isnan(history["b_loss"]).all()
    np.testing.assert_allclose(
        history["loss"], np.mean([history["a_loss"], history["c_loss"]], axis=0), rtol=1e-6
    )


# ---------------------------------------------------------------------------------- validation


@pytest.mark.parametrize(("rows_at_once", "kept_cells"), [(3, 0), (3, 1000), (8192, 1000)])
def test_validation_losses_are_the_means_over_the_labelled_cells(
    monkeypatch, rows_at_once, kept_cells
):
    monkeypatch.setattr(_validation, "_ROWS_ALONE", rows_at_once)
    monkeypatch.setattr(_validation, "_KEPT_CELLS", kept_cells)
    held_out = replace(make_rows(seed=1), rows=np.arange(3, 23))
    plan = make_plan(epochs=1, spec=replace(SPEC, dropout=0.5))
    outcome = run(plan, validation=held_out)
    model = build_network(plan.program.spec)
    for variable, value in zip(network_variables(model), outcome.state.network, strict=True):
        variable.assign(value)
    rows = held_out.rows
    sums, weights = reference_task_losses(
        model(held_out.X[rows]), held_out.codes[rows], held_out.weight[rows]
    )
    losses = np.array([float(s) for s in sums]) / weights
    found = [outcome.history[f"val_{name}_loss"][0] for name in plan.run.task_names]
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    assert outcome.history["val_loss"][0] == pytest.approx(losses.mean(), rel=1e-5)


def overfit(**changes):
    """Return a plan that overfits 12 rows within 30 epochs, and rows to validate on."""
    return make_plan(Adam(0.1), epochs=30, **changes), make_rows(12), make_rows(12, seed=9)


@pytest.mark.slow_except("None")
@pytest.mark.parametrize("task", [None, 1])
def test_early_stopping_keeps_the_best_epoch(task):
    weights = []
    recorder = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(recorder.model.get_weights())
    )
    plan, training, held_out = overfit(
        stopping=StoppingConfig(3), monitored_task=task, callbacks=[recorder]
    )
    outcome = run(plan, training, held_out)
    watched = outcome.history["val_loss" if task is None else "val_b_loss"]
    assert outcome.best_epoch == 1 + int(np.argmin(watched))
    assert outcome.n_epochs == len(watched) == outcome.best_epoch + 3 < 30
    assert_same_values(outcome.state.network, weights[outcome.best_epoch - 1])


def test_early_stopping_watches_the_training_loss_without_validation_rows():
    plan, training, _ = overfit(stopping=StoppingConfig(2, tol=0.1))
    outcome = run(plan, training)
    assert outcome.n_epochs < 30
    assert outcome.best_epoch == 1 + int(np.argmin(outcome.history["loss"]))


def test_early_stopping_with_a_cached_program_starts_afresh():
    outcomes = []
    for _ in range(2):
        plan, training, held_out = overfit(stopping=StoppingConfig(3))
        outcomes.append(run(plan, training, held_out))
    assert_same_values(outcomes[0].state.network, outcomes[1].state.network)
    assert outcomes[0].history == outcomes[1].history


# --------------------------------------------------------------------------------- divergence


def test_divergence_is_refused_with_its_epoch_and_tasks():
    with pytest.raises(
        NonFiniteLossError, match=r"after epoch 1 \(tasks 'a', 'b', 'c'\)\. Scale X"
    ):
        run(make_plan(SGD(1e30), spec=replace(SPEC, activation="linear")))


def test_weights_that_the_last_step_made_infinite_are_refused():
    # The objective of a step is that of the weights before it, and says nothing of its own.
    training = make_rows()
    training.X[:] *= 1000
    with pytest.raises(NonFiniteLossError, match="after epoch 1"):
        run(make_plan(SGD(3e38), epochs=1, batch_size=25), training)


def test_divergence_after_the_first_epoch_names_that_epoch():
    blow_up = keras.callbacks.LearningRateScheduler(lambda epoch: 1e30 if epoch == 2 else 0.1)
    with pytest.raises(NonFiniteLossError, match="after epoch 3 "):
        run(make_plan(epochs=5, callbacks=[blow_up]))


def test_divergence_keeps_the_best_epoch_before_it():
    blow_up = keras.callbacks.LearningRateScheduler(lambda epoch: 1e30 if epoch == 2 else 0.1)
    plan = make_plan(epochs=5, callbacks=[blow_up], stopping=StoppingConfig(10))
    with pytest.warns(ConvergenceWarning, match=r"after epoch 3 .* weights of epoch 2 are kept"):
        outcome = run(plan, validation=make_rows(seed=1))
    assert outcome.n_epochs == 3
    assert outcome.best_epoch == 2
    assert all(np.isfinite(v).all() for v in outcome.state.network)


@pytest.mark.slow
def test_mean_loss_is_nan_where_one_task_has_diverged():
    # Left out of the mean, the task would make the epoch look better than it is.
    held_out = make_rows(seed=1)
    row = np.flatnonzero(held_out.weight[:, 1])[0]
    held_out.weight[row, [0, 2]] = 0
    held_out.X[row] = np.nan
    history = run(make_plan(spec=replace(SPEC, activation="tanh")), validation=held_out).history
    assert np.isfinite(history["val_a_loss"]).all()
    assert np.isnan(history["val_b_loss"]).all()
    assert np.isnan(history["val_loss"]).all()


# -------------------------------------------------------------------------------------- sparse


@pytest.mark.slow_except("0.3")
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_sparse_rows_train_to_the_same_bits_as_dense_ones(density):
    training, held_out = (
        replace(rows, X=rows.X * (np.random.default_rng(5).random(rows.X.shape) < density))
        for rows in (make_rows(), make_rows(seed=1))
    )
    dense = run(make_plan(), training, held_out)
    sparse = run(
        make_plan(),
        replace(training, X=sp.csr_matrix(training.X)),
        replace(held_out, X=sp.csr_matrix(held_out.X)),
    )
    assert_same_values(dense.state.network, sparse.state.network)
    assert dense.history == sparse.history


def test_entries_given_twice_in_a_sparse_matrix_are_summed():
    training = make_rows()
    n_rows, n_columns = training.X.shape
    columns = np.tile(np.repeat(np.arange(n_columns), 2), n_rows)
    halves = np.repeat(training.X.ravel() / 2, 2).astype(np.float32)
    starts = np.arange(n_rows + 1) * 2 * n_columns
    X = sp.csr_matrix((halves, columns, starts), shape=training.X.shape)
    assert_same_values(
        run(make_plan(), training).state.network,
        run(make_plan(), replace(training, X=X)).state.network,
    )


# ----------------------------------------------------------------------------------- callbacks


class CountBatches(keras.callbacks.Callback):
    """Counts batches; `record` adds the losses that it is told."""

    def __init__(self):
        super().__init__()
        self.calls, self.record = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(("begin", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(("end", batch))
        self.record.append(dict(logs))


@pytest.mark.slow
def test_call_per_batch_gives_the_same_bits_as_a_call_per_epoch():
    weighting = UncertaintyWeighting()
    spec = replace(SPEC, dropout=0.3, normalization="batch")
    by_epoch = run(make_plan(Adam(0.01), spec=spec, weighting=weighting))
    counter = CountBatches()
    by_batch = run(make_plan(Adam(0.01), spec=spec, weighting=weighting, callbacks=[counter]))
    assert_same_values(by_epoch.state.network, by_batch.state.network)
    assert by_epoch.history == by_batch.history
    assert counter.calls == [(k, n) for _ in range(2) for n in range(4) for k in ("begin", "end")]
    assert counter.record[-1]["loss"] == by_batch.history["loss"][-1]


@pytest.mark.slow
def test_callback_may_stop_training_within_an_epoch():
    class StopAtBatch(CountBatches):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    outcome = run(make_plan(callbacks=[StopAtBatch()]))
    assert outcome.n_epochs == 1
    assert int(outcome.state.optimizer[0]) == 2


@pytest.mark.slow
def test_stop_by_a_callback_does_not_stop_the_next_training():
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(stop.model, "stop_training", True)
    )
    assert run(make_plan(callbacks=[stop])).n_epochs == 1
    assert run(make_plan()).n_epochs == 2


def test_callbacks_are_called_as_by_keras():
    calls = []

    class Recorder(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            calls.append(("train begin", self.params["epochs"], self.params["steps"]))

        def on_epoch_begin(self, epoch, logs=None):
            calls.append(("epoch begin", epoch))

        def on_epoch_end(self, epoch, logs=None):
            calls.append(("epoch end", epoch, sorted(logs)))

        def on_train_end(self, logs=None):
            calls.append(("train end", sorted(logs)))

    run(make_plan(callbacks=[Recorder()], first_epoch=5))
    names = ["a_loss", "b_loss", "c_loss", "loss", "objective"]
    assert calls == [
        ("train begin", 7, 4),
        *[(k, e, *([names] if k == "epoch end" else [])) for e in (5, 6) for k in EPOCH_HOOKS],
        ("train end", names),
    ]


EPOCH_HOOKS = ("epoch begin", "epoch end")


def test_keras_early_stopping_restores_its_best_weights():
    weights = []
    recorder = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(recorder.model.get_weights())
    )
    stop = keras.callbacks.EarlyStopping(
        monitor="val_b_loss", mode="min", patience=2, restore_best_weights=True
    )
    plan, training, held_out = overfit(callbacks=[recorder, stop])
    outcome = run(plan, training, held_out)
    best = int(np.argmin(outcome.history["val_b_loss"]))
    assert outcome.n_epochs == best + 3 < 30
    assert_same_values(outcome.state.network, weights[best])


def test_learning_rate_scheduler_sets_the_rate():
    freeze = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch < 2 else 0.0)
    two, five = run(make_plan(epochs=2)), run(make_plan(epochs=5, callbacks=[freeze]))
    assert_same_values(two.state.network, five.state.network)


@pytest.mark.slow
def test_reduce_on_plateau_lowers_the_rate():
    rates = []
    reduce = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", patience=1, min_delta=100, factor=0.1
    )
    recorder = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(recorder.model.optimizer.learning_rate))
    )
    run(make_plan(epochs=3, callbacks=[reduce, recorder]))
    np.testing.assert_allclose(rates, [0.1, 0.01, 0.001], rtol=1e-5)


def test_rate_changed_by_a_callback_does_not_reach_the_next_training():
    expected = run(make_plan()).state.network
    run(make_plan(callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)]))
    assert_same_values(run(make_plan()).state.network, expected)


def test_csv_logger_writes_the_history(tmp_path):
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    outcome = run(make_plan(callbacks=[logger]), validation=make_rows(seed=1))
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"epoch", *outcome.history}
    for name, values in outcome.history.items():
        assert [float(row[name]) for row in rows] == pytest.approx(values)


@pytest.mark.slow
def test_model_checkpoint_saves_models_that_load(tmp_path):
    save = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}.keras")
    outcome = run(make_plan(callbacks=[save], spec=replace(SPEC, dropout=0.1)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01.keras", "02.keras"]
    model = keras.models.load_model(tmp_path / "02.keras")
    trained = outcome.state.network[: len(model.trainable_variables)]
    assert_same_values([v.numpy() for v in model.trainable_variables], trained)


@pytest.mark.slow
def test_model_checkpoint_saves_the_best_weights_only(tmp_path):
    path = tmp_path / "best.weights.h5"
    save = keras.callbacks.ModelCheckpoint(
        path, monitor="val_loss", save_best_only=True, save_weights_only=True
    )
    plan, training, held_out = overfit(stopping=StoppingConfig(3), callbacks=[save])
    outcome = run(plan, training, held_out)
    model = build_network(SPEC)
    model.load_weights(path)
    assert_same_values([v.numpy() for v in network_variables(model)], outcome.state.network)


@pytest.mark.slow
def test_terminate_on_nan_ends_the_epoch_in_which_a_task_diverges():
    counter = CountBatches()
    training = make_rows()
    training.X[:] *= np.float32(1e38)
    with pytest.raises(NonFiniteLossError):
        run(make_plan(callbacks=[keras.callbacks.TerminateOnNaN(), counter]), training)
    assert len(counter.record) < 4


@pytest.mark.slow
def test_swapped_in_average_weights_are_those_validated():
    # The callback puts the average in place at the end of each epoch, and so at the last.
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    optimizer = SGD(0.1, use_ema=True, ema_momentum=0.5)
    averaged = run(make_plan(SGD(0.1, use_ema=True, ema_momentum=0.5)))
    swapped = run(make_plan(optimizer, callbacks=[swap]))
    for a, b in zip(swapped.state.network, averaged.state.network, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_averaged_weights_are_those_watched_and_kept():
    optimizer, held_out = SGD(0.5, use_ema=True, ema_momentum=0.9), make_rows(12, seed=1)
    watched = run(make_plan(optimizer, epochs=1, stopping=StoppingConfig(3)), validation=held_out)
    averaged = run(make_plan(SGD(0.5, use_ema=True, ema_momentum=0.9), epochs=1))
    assert_same_values(watched.state.network, averaged.state.network)
    # A step of no length from what was kept leaves the loss as it was watched.
    still = make_plan(SGD(0.0), epochs=1)
    again = train(Job(still, replace(watched.state, optimizer=None), make_rows(), held_out))
    assert again.history["val_loss"] == pytest.approx(watched.history["val_loss"])


@pytest.mark.slow
def test_averaging_leaves_the_weights_that_training_goes_on_from():
    held_out = make_rows(12, seed=1)
    watched = run(make_plan(SGD(0.5, use_ema=True)), validation=held_out)
    unwatched = run(make_plan(SGD(0.5, use_ema=True)))
    assert_same_values(watched.state.network, unwatched.state.network)


# -------------------------------------------------------------------------- the program cache


@pytest.fixture
def traces(monkeypatch):
    """Return a list that grows by one whenever a training step is traced; empty the cache."""
    clear_program_cache()
    seen = []
    original = MemberStep.train

    def counting(self, *args, **kwargs):
        seen.append(self.spec)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(MemberStep, "train", counting)
    return seen


WARM_CASES = {
    "uncertainty": (lambda: Adam(0.05), {"weighting": UncertaintyWeighting()}),
    "dropout": (lambda: SGD(0.1), {"spec": replace(SPEC, dropout=0.4, normalization="batch")}),
    "ema": (lambda: SGD(0.2, use_ema=True), {}),
    "accumulation": (lambda: SGD(0.2, gradient_accumulation_steps=3), {}),
    "schedule": (lambda: SGD(DECAY(0.2, decay_steps=2, decay_rate=0.5)), {}),
    "loss_scale": (lambda: keras.optimizers.LossScaleOptimizer(Adam(0.01)), {}),
}


@pytest.mark.slow
@pytest.mark.release_except("uncertainty", "dropout")
@pytest.mark.parametrize("case", WARM_CASES)
def test_cached_program_gives_the_same_bits_as_a_new_one(case, traces):
    make_optimizer, changes = WARM_CASES[case]
    cold = run(make_plan(make_optimizer(), **changes))
    run(make_plan(make_optimizer(), **changes), make_rows(19, seed=4))
    warm = run(make_plan(make_optimizer(), **changes))
    assert len(traces) == 1
    assert_same_values(cold.state.network, warm.state.network)
    assert_same_values(cold.state.optimizer, warm.state.optimizer)
    assert cold.history == warm.history


def test_second_fit_of_other_rows_rate_factors_and_batch_size_traces_nothing(traces):
    run(make_plan(Adam(0.01)), make_rows(25))
    changes = {"weighting": FixedWeighting([1.0, 2.0, 0.5]), "batch_size": 5, "epochs": 1}
    warm = run(make_plan(Adam(0.3), **changes), make_rows(40))
    assert len(traces) == 1
    clear_program_cache()
    cold = run(make_plan(Adam(0.3), **changes), make_rows(40))
    assert len(traces) == 2
    assert_same_values(cold.state.network, warm.state.network)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"spec": replace(SPEC, l2=0.1)},
        {"loss_normalization": "cells"},
        {"weighting": UncertaintyWeighting()},
        {"optimizer": SGD(0.1, momentum=0.5)},
    ],
    ids=["spec", "normalization", "weighting", "optimizer"],
)
def test_what_shapes_the_program_is_not_mixed_up(changes, traces):
    run(make_plan())
    run(make_plan(**changes))
    assert len(traces) == 2


@pytest.mark.slow
def test_cache_is_bounded_and_drops_the_least_recently_used(monkeypatch, traces):
    monkeypatch.setattr(_program_cache, "_MAX_IDLE_PROGRAMS", 2)
    specs = [replace(SPEC, hidden_layer_sizes=(n,)) for n in (2, 3, 4)]
    for spec in specs[:2] * 2 + specs[2:]:
        run(make_plan(epochs=1, spec=spec))
    assert len(_program_cache._idle_programs) == 2
    assert len(traces) == 3
    run(make_plan(epochs=1, spec=specs[1]))
    assert len(traces) == 3
    run(make_plan(epochs=1, spec=specs[0]))
    assert len(traces) == 4


@pytest.mark.slow
def test_clearing_the_cache_forgets_all_programs(traces):
    run(make_plan(epochs=1))
    clear_program_cache()
    assert not _program_cache._idle_programs
    run(make_plan(epochs=1))
    assert len(traces) == 2


class OwnStopping(keras.callbacks.EarlyStopping):
    """May do what its class does not."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "callback",
    [keras.callbacks.Callback(), keras.callbacks.LambdaCallback(), OwnStopping("loss")],
    ids=lambda callback: type(callback).__name__,
)
def test_program_that_a_callback_may_have_kept_is_not_used_again(callback):
    clear_program_cache()
    run(make_plan(epochs=1, callbacks=[callback]))
    assert not _program_cache._idle_programs


@pytest.mark.slow
def test_program_with_callbacks_that_keep_nothing_gives_the_bits_of_a_new_one(traces, tmp_path):
    def train_with_callbacks():
        callbacks = [
            keras.callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=100),
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
            keras.callbacks.ModelCheckpoint(tmp_path / "last.keras"),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.History(),
        ]
        result = run(make_plan(Adam(0.05), epochs=3, callbacks=callbacks))
        assert all(callback.model is None for callback in callbacks)
        return result

    new, again = train_with_callbacks(), train_with_callbacks()
    plain = run(make_plan(Adam(0.05), epochs=3))
    assert len(traces) == 1
    assert_same_values(new.state.network, again.state.network)
    assert_same_values(new.state.optimizer, again.state.optimizer)
    assert new.history == again.history
    clear_program_cache()
    assert_same_values(plain.state.network, run(make_plan(Adam(0.05), epochs=3)).state.network)


@pytest.mark.slow
def test_strategy_without_a_key_is_not_shared(traces):
    class Halved(FixedWeighting):
        def combine(self, task_losses, present, state):
            return 0.5 * keras.ops.sum(task_losses), {}

        def program_key(self):
            return None

    equal = run(make_plan(epochs=1)).history["objective"][0]
    halved = run(make_plan(epochs=1, weighting=Halved(), batch_size=25)).history["objective"][0]
    assert halved != equal
    assert len(traces) == 2


@pytest.mark.slow
def test_subclass_of_a_strategy_does_not_get_the_program_of_its_parent():
    class Halved(FixedWeighting):
        def combine(self, task_losses, present, state):
            return 0.5 * keras.ops.sum(task_losses), {}

    whole = run(make_plan(epochs=1, batch_size=25))
    halved = run(make_plan(epochs=1, batch_size=25, weighting=Halved()))
    assert halved.history["objective"][0] == pytest.approx(whole.history["objective"][0] / 2)


@pytest.mark.slow
def test_optimizer_whose_config_leaves_a_setting_out_is_not_shared():
    class Damped(SGD):
        def __init__(self, damping=1.0, **settings):
            super().__init__(**settings)
            self.damping = damping

        def update_step(self, gradient, variable, learning_rate):
            super().update_step(self.damping * gradient, variable, learning_rate)

    free, still = (run(make_plan(Damped(d, learning_rate=0.1))) for d in (1.0, 0.0))
    assert_same_values(still.state.network, start_of(make_plan()).network)
    assert (free.state.network[0] != still.state.network[0]).any()


@pytest.mark.slow
def test_trainings_at_the_same_time_do_not_share_a_program():
    seeds = [1, 2, 3, 4]
    one_by_one = [run(make_plan(seed=seed)).state.network for seed in seeds]
    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(lambda seed: run(make_plan(seed=seed)).state.network, seeds))
    for first, second in zip(one_by_one, at_once, strict=True):
        assert_same_values(first, second)


@keras.saving.register_keras_serializable("test_loop")
class OwnLayer(keras.layers.Layer):
    """A layer that Keras does not have."""

    def call(self, inputs):
        return inputs


def custom_plan(*more):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(6, "relu")(inputs)
    x = keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(x))
    for layer in more:
        x = layer(x)
    text = serialize_model(keras.Model(inputs, x))
    return make_plan(Adam(0.05), spec=NetworkSpec(4, N_OUTPUTS, custom_model=text))


def run_custom(*more):
    plan = custom_plan(*more)
    custom = [np.full(v.shape, 0.1, v.dtype) for v in build_custom(plan).variables]
    start = draw_start(plan.program.spec, plan.parts.weighting, FREQUENCIES, 3, custom)
    return train(Job(plan, start, make_rows()))


def build_custom(plan):
    return deserialize_model(plan.program.spec.custom_model)


@pytest.mark.slow
def test_program_of_a_model_of_keras_layers_gives_the_bits_of_a_new_one(traces):
    new, again = run_custom(), run_custom()
    assert len(traces) == 1
    assert_same_values(new.state.network, again.state.network)
    assert new.history == again.history


@pytest.mark.slow
def test_program_of_a_model_with_parts_of_the_users_own_is_not_used_again(traces):
    for _ in range(2):
        run_custom(OwnLayer())
    assert len(traces) == 2
    assert not _program_cache._idle_programs


def test_name_that_the_user_has_given_to_something_else_is_not_taken_for_keras():
    text = custom_plan().program.spec.custom_model
    assert consists_of_keras(text)
    with keras.saving.custom_object_scope({"relu": keras.ops.tanh}):
        assert not consists_of_keras(text)


# ------------------------------------------------------------------------------- in the estimator


def make_table(n_rows=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3)).astype(np.float32)
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5]), X[:, 2] > 0], axis=1).astype(
        float
    )
    Y[rng.random(Y.shape) < 0.4] = np.nan
    return X, Y


def make_classifier(**params):
    settings = {"hidden_layer_sizes": (4,), "epochs": 3, "batch_size": 16, "random_state": 0}
    return MultiTaskClassifier(**{**settings, **params})


def optimizer_names():
    """Return Keras's optimizers that can be had without naming another one."""
    base = keras.optimizers.Optimizer
    classes = {c for c in vars(keras.optimizers).values() if inspect.isclass(c)}
    wrappers = {"LossScaleOptimizer", "MultiOptimizer"}
    names = {c.__name__ for c in classes if issubclass(c, base) and c is not base}
    return sorted(names - wrappers)


@pytest.mark.slow
@pytest.mark.release_except("Adam", "Adafactor", "[SM][Gu]*")  # SGD, and Muon where Keras has it
@pytest.mark.parametrize("name", optimizer_names())
def test_every_keras_optimizer_trains_by_its_name(name):
    clf = make_classifier(
        optimizer=name,
        epochs=8,
        dropout=0.0,
        head_hidden_layer_sizes=() if name == "Muon" else 3,  # it refuses kernels side by side
        activation="tanh",  # a dead ReLU makes Keras's Adafactor divide 0 by 0
        task_weighting="uncertainty",
        optimizer__learning_rate=0.05,
    ).fit(*make_table())
    first, *_, last = clf.history_["objective"]
    assert last < first


@pytest.fixture(scope="module")
def plain_weights():
    return make_classifier().fit(*make_table()).model_.get_weights()


@pytest.mark.slow
@pytest.mark.release_except("clipnorm", "use_ema", "gradient_accumulation_steps")
@pytest.mark.parametrize(
    "routed",
    [
        {"learning_rate": DECAY, "learning_rate__decay_steps": 2, "learning_rate__decay_rate": 0.5,
         "learning_rate__initial_learning_rate": 0.1},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 10)},
        {"clipnorm": 0.1},
        {"global_clipnorm": 0.1},
        {"use_ema": True, "ema_momentum": 0.9},
        {"gradient_accumulation_steps": 2},
        {"weight_decay": 0.01},
        {"loss_scale_factor": 128.0},
    ],
    ids=lambda routed: next(iter(routed)),
)  # fmt: skip
def test_settings_of_the_optimizer_are_honoured(routed, plain_weights):
    params = {f"optimizer__{name}": value for name, value in routed.items()}
    clf = make_classifier(**params).fit(*make_table())
    assert np.isfinite(clf.history_["objective"]).all()
    # Scaling the loss by a power of two, and its gradients back, is exact.
    changed = "loss_scale_factor" not in routed
    assert (
        any((a != b).any() for a, b in zip(clf.model_.get_weights(), plain_weights, strict=True))
        == changed
    )


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: ("adam", {"learning_rate": 0.0123}),
        lambda: (keras.optimizers.SGD, {"learning_rate": 0.0123}),
        lambda: ("rmsprop", {}),
        lambda: (SGD(0.0123), {}),
        lambda: (SGD(0.5), {"learning_rate": 0.0123}),
        lambda: (keras.optimizers.LossScaleOptimizer(Adam(0.0123)), {}),
    ],
    ids=["name", "class", "default", "instance", "changed instance", "wrapped"],
)
@pytest.mark.parametrize("floatx", ["float16", "float64"])
def test_learning_rate_does_not_depend_on_the_float_type_of_keras(optimizer, floatx):
    given, settings = optimizer()  # an instance has the type that Keras had then
    expected = [np.array(v.numpy()) for v in make_optimizer(given, settings).variables]
    try:
        keras.config.set_floatx(floatx)
        made = make_optimizer(given, settings)
    finally:
        keras.config.set_floatx("float32")
    assert_same_values([v.numpy() for v in made.variables], expected)
    assert float(made.learning_rate) == float(make_optimizer(given, settings).learning_rate)


def test_monitored_task_without_labels_to_watch_gives_way_to_the_mean():
    X, Y = make_table()
    held_out = np.where([True, False, True], Y, np.nan)
    clf = make_classifier(monitor=1, epochs=2, n_iter_no_change=1)
    with pytest.warns(UserWarning, match="mean over tasks is monitored instead"):
        clf.fit(X, Y, validation_data=(X, held_out))
    assert clf.best_iter_ == 1 + int(np.argmin(clf.history_["val_loss"]))


def test_diverging_fit_leaves_an_estimator_unfitted():
    X, Y = make_table()
    clf = make_classifier(optimizer="sgd", optimizer__learning_rate=1e20)
    with pytest.raises(ValueError, match=r"after epoch \d"):
        clf.fit(X, Y)
    assert not [name for name in vars(clf) if name.endswith("_") and not name.startswith("_")]
    assert not hasattr(clf, "n_features_in_")


def test_diverging_fit_leaves_an_estimator_as_it_was():
    X, Y = make_table()
    clf = make_classifier().fit(X, Y)
    before, history = clf.predict_proba(X), clf.history_
    clf.set_params(optimizer="sgd", optimizer__learning_rate=1e30)
    with pytest.raises(NonFiniteLossError):
        clf.fit(X, Y)
    assert clf.history_ is history
    for first, second in zip(before, clf.predict_proba(X), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow_except("adam")
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_partial_fit_epoch_by_epoch_equals_fit_bit_for_bit(optimizer):
    # By design: seed and number of the epoch fix its order, and the optimizer goes on.
    X, Y = make_table()
    settings = {"optimizer": optimizer, "task_weighting": "uncertainty", "dropout": 0.2}
    whole = make_classifier(epochs=3, **settings).fit(X, Y)
    step = make_classifier(classes=[[0, 1], [0, 1, 2], [0, 1]], **settings)
    for _ in range(3):
        step.partial_fit(X, Y)
    assert step.history_ == whole.history_
    assert step.n_iter_ == whole.n_iter_ == 3
    assert_same_values(step.model_.get_weights(), whole.model_.get_weights())


def test_partial_fit_after_fit_goes_on_as_if_fit_had_been_longer():
    X, Y = make_table()
    longer = make_classifier(epochs=3).fit(X, Y)
    resumed = make_classifier(epochs=2).fit(X, Y).partial_fit(X, Y)
    assert_same_values(resumed.model_.get_weights(), longer.model_.get_weights())
