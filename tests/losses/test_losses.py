"""Tests of sk_mtl.losses: the loss of the training loop and the public Keras losses and metrics.

The reference is NumPy in float64, cell by cell, written to be read.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_mtl.losses import (
    MaskedBinaryAccuracy,
    MaskedBinaryCrossentropy,
    MaskedCategoricalAccuracy,
    MaskedCategoricalCrossentropy,
    MaskedSparseCategoricalAccuracy,
    MaskedSparseCategoricalCrossentropy,
)
from sk_mtl.losses._tasks import task_cross_entropy, task_means

# Tasks of unlike widths in unlike orders: one width, sorted, interleaved, widest first, one task.
WIDTHS = [(1, 1, 1), (1, 3, 5), (3, 1, 4, 1, 3), (7, 2, 1), (4,), (1,)]

# ---------------------------------------------------------------------------- the reference


def reference_sums(logits, codes, weight, n_outputs):
    """Return per task the sums of weight · cross-entropy and of weight, and their gradient.

    The gradient of a task's sum by its logits is weight · (probability − label).
    """
    logits = np.asarray(logits, dtype=np.float64)
    gradient = np.zeros_like(logits)
    loss_sum, weight_sum = np.zeros(len(n_outputs)), np.zeros(len(n_outputs))
    starts = np.concatenate([[0], np.cumsum(n_outputs)])
    for t, width in enumerate(n_outputs):
        for i in range(len(logits)):
            w = float(weight[i, t])
            if w == 0:
                continue
            z = logits[i, starts[t] : starts[t + 1]]
            if width == 1:
                z = np.array([0.0, z[0]])
            log_p = z - z.max() - np.log(np.exp(z - z.max()).sum())
            loss_sum[t] -= w * log_p[codes[i, t]]
            weight_sum[t] += w
            residual = np.exp(log_p) - np.eye(len(z))[codes[i, t]]
            gradient[i, starts[t] : starts[t + 1]] = w * (residual[1:] if width == 1 else residual)
    return loss_sum, weight_sum, gradient


def reference_objective(logits, codes, weight, n_outputs, factors, normalization):
    """Return L = Σ_t λ_t L_t, the L_t, and the gradient of L by the logits."""
    loss_sum, weight_sum, gradient = reference_sums(logits, codes, weight, n_outputs)
    denominator = weight_sum
    if normalization == "cells":
        denominator = np.full_like(weight_sum, weight_sum.sum())
    scale = np.divide(1.0, denominator, out=np.zeros_like(weight_sum), where=denominator > 0)
    task_of_column = np.repeat(np.arange(len(n_outputs)), n_outputs)
    losses = scale * loss_sum
    return factors @ losses, losses, gradient * (factors * scale)[task_of_column]


def make_batch(n_outputs, seed=0, n_rows=9, coverage=0.6):
    """Return logits, codes and weights with labelled cells of weights other than 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(n_rows, sum(n_outputs))).astype(np.float32)
    codes = np.stack([rng.integers(max(w, 2), size=n_rows) for w in n_outputs], axis=1)
    weight = rng.uniform(0.2, 4, size=codes.shape) * (rng.random(codes.shape) < coverage)
    return logits, codes.astype(np.int32), weight.astype(np.float32)


def compute_objective(logits, codes, weight, n_outputs, factors=None, normalization="tasks"):
    """Return what `reference_objective` does, from the functions under test."""
    factors = np.ones(len(n_outputs)) if factors is None else factors
    logits = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss_sum, weight_sum = task_cross_entropy(logits, codes, tf.constant(weight), n_outputs)
        if normalization == "cells":
            weight_sum = tf.fill(tf.shape(weight_sum), tf.reduce_sum(weight_sum))
        losses = task_means(loss_sum, weight_sum)
        objective = tf.reduce_sum(tf.constant(factors, tf.float32) * losses)
    return float(objective), losses.numpy(), tape.gradient(objective, logits).numpy()


def columns_under_mask(weight, n_outputs):
    return np.repeat(weight == 0, n_outputs, axis=1)


# -------------------------------------------------------------- task_cross_entropy, task_means


@pytest.mark.parametrize("normalization", ["tasks", "cells"])
@pytest.mark.parametrize("n_outputs", WIDTHS)
def test_loss_and_gradient_equal_the_reference(n_outputs, normalization):
    for seed in range(3):
        batch = make_batch(n_outputs, seed)
        factors = np.random.default_rng(seed).uniform(0, 2, size=len(n_outputs))
        expected = reference_objective(*batch, n_outputs, factors, normalization)
        found = compute_objective(*batch, n_outputs, factors, normalization)
        np.testing.assert_allclose(found[0], expected[0], rtol=2e-6)
        np.testing.assert_allclose(found[1], expected[1], rtol=2e-6)
        np.testing.assert_allclose(found[2], expected[2], atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("n_outputs", WIDTHS)
def test_focal_loss_equals_its_equation_on_the_labelled_cells(n_outputs, gamma):
    logits, codes, weight = make_batch(n_outputs)
    found, _ = task_cross_entropy(tf.constant(logits), codes, weight, n_outputs, gamma)
    starts = np.cumsum([0, *n_outputs])
    for t, width in enumerate(n_outputs):
        z = logits[:, starts[t] : starts[t + 1]].astype(np.float64)
        z = np.hstack([np.zeros_like(z), z]) if width == 1 else z
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        p = p[np.arange(len(p)), codes[:, t]]
        expected = (weight[:, t] * -((1 - p) ** gamma) * np.log(p)).sum()
        np.testing.assert_allclose(found[t], expected, rtol=2e-5)


@pytest.mark.parametrize("size", [0.0, 50.0, 1e4, 1e30])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_and_gradient_are_finite_however_sure_the_network_is(gamma, size):
    n_outputs = (1, 3)
    logits = tf.constant([[size, size, 0, -size], [-size, size, -size, 0]], tf.float32)
    codes, weight = np.array([[1, 0], [1, 2]]), np.array([[1, 1], [1, 0]], np.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss, _ = task_cross_entropy(logits, codes, weight, n_outputs, gamma)
    assert np.isfinite(loss).all()
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1, 1:], 0)


@st.composite
def batches(draw, magnitudes=(1.0,), scale_of_weights=(1.0,)):
    """Draw a batch of up to six tasks, with any cells missing and weights of any size."""
    n_outputs = draw(st.sampled_from([*WIDTHS, (1, 2, 2), (6, 1, 3, 6, 1, 3)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_rows = draw(st.integers(1, 12))
    logits = rng.uniform(-1, 1, size=(n_rows, sum(n_outputs))) * draw(st.sampled_from(magnitudes))
    codes = np.stack([rng.integers(max(w, 2), size=n_rows) for w in n_outputs], axis=1)
    weight = rng.uniform(0.1, 4, size=codes.shape) * draw(st.sampled_from(scale_of_weights))
    weight *= rng.random(codes.shape) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    return logits.astype(np.float32), codes.astype(np.int32), weight.astype(np.float32), n_outputs


# Of 100 examples, or of 2,000 in "long".
SOME = settings(max_examples=settings.default.max_examples * 3 // 10)


@pytest.mark.slow_except("tasks")
@pytest.mark.parametrize("normalization", ["tasks", "cells"])
@SOME
@given(batches(magnitudes=(0.1, 3.0, 50.0)), st.integers(0, 2**32 - 1))
def test_loss_and_gradient_equal_the_reference_in_float64(normalization, batch, seed):
    factors = np.random.default_rng(seed).uniform(0, 2, size=len(batch[3]))
    expected = reference_objective(*batch, factors, normalization)
    found = compute_objective(*batch, factors, normalization)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


# From the least that float32 holds to what `read_cell_weight` and class weights of 1e9 leave.
EXTREMES = {"magnitudes": (0.0, 1.0, 1e4), "scale_of_weights": (2.0**-120, 1.0, 2.0**70)}


@pytest.mark.slow_except("cells")
@pytest.mark.parametrize("normalization", ["tasks", "cells"])
@SOME
@given(batches(**EXTREMES))
def test_loss_and_gradient_are_finite_for_any_mask_weights_and_logits(normalization, batch):
    objective, losses, gradient = compute_objective(*batch, normalization=normalization)
    assert np.isfinite(objective)
    assert np.isfinite(losses).all()
    assert np.isfinite(gradient).all()
    assert losses.min() >= 0
    assert not gradient[columns_under_mask(batch[2], batch[3])].any()


@SOME
@given(batches(magnitudes=(3.0,)), st.integers(0, 2**32 - 1))
def test_rows_without_a_label_leave_the_loss_and_gradient_of_each_task(batch, seed):
    # So that what a shuffled batch holds beside its labelled rows does not matter.
    logits, codes, weight, n_outputs = batch
    rng = np.random.default_rng(seed)
    places = rng.integers(0, len(logits) + 1, size=3)
    longer = [
        np.insert(logits, places, rng.normal(size=(3, logits.shape[1])), axis=0),
        np.insert(codes, places, 0, axis=0),
        np.insert(weight, places, 0, axis=0),
    ]
    is_added = np.insert(np.zeros(len(logits), dtype=bool), places, True)
    expected = compute_objective(*batch)
    found = compute_objective(*longer, n_outputs)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)
    np.testing.assert_allclose(found[2][~is_added], expected[2], rtol=1e-6, atol=1e-9)
    assert not found[2][is_added].any()


def test_reference_gradient_equals_finite_differences():
    n_outputs = (3, 1)
    logits, codes, weight = make_batch(n_outputs)
    factors, step = np.array([0.7, 1.9]), 1e-6
    gradient = reference_objective(logits, codes, weight, n_outputs, factors, "tasks")[2]
    for i, j in np.ndindex(logits.shape):
        moved = np.zeros(logits.shape)
        moved[i, j] = step
        up, down = (
            reference_objective(
                logits.astype(float) + sign * moved, codes, weight, n_outputs, factors, "tasks"
            )[0]
            for sign in (1, -1)
        )
        assert (up - down) / (2 * step) == pytest.approx(gradient[i, j], abs=1e-8)


def test_loss_of_a_hand_computed_batch():
    # Task 0 is binary: -ln σ(ln 3) = ln 4/3, weight 1, and -ln σ(-ln 3) = ln 4, weight 3.
    # Task 1 has three equal logits: ln 3, whatever the weight; its first row is missing.
    logits = np.array([[np.log(3), 5, 0, 0], [np.log(3), 2, 2, 2]], dtype=np.float32)
    codes = np.array([[1, 2], [0, 1]], dtype=np.int32)
    weight = np.array([[1, 0], [3, 7]], dtype=np.float32)
    _, losses, _ = compute_objective(logits, codes, weight, (1, 3))
    np.testing.assert_allclose(losses, [(np.log(4 / 3) + 3 * np.log(4)) / 4, np.log(3)], rtol=1e-6)


def test_task_without_a_labelled_cell_has_loss_and_gradient_zero():
    n_outputs = (1, 3, 1, 3)
    logits, codes, weight = make_batch(n_outputs)
    weight[:, 1:3] = 0
    _, losses, gradient = compute_objective(logits, codes, weight, n_outputs)
    assert (losses > 0).tolist() == [True, False, False, True]
    assert not gradient[:, 1:5].any()
    assert gradient[:, [0, 5, 6, 7]].any(axis=0).all()


UNDER_THE_MASK = [0.0, 1e4, -1e4, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("normalization", ["tasks", "cells"])
@pytest.mark.parametrize("value", UNDER_THE_MASK)
def test_batch_without_any_label_has_loss_and_gradient_zero(value, normalization):
    n_outputs = (3, 1, 3)
    logits, codes, weight = make_batch(n_outputs)
    objective, losses, gradient = compute_objective(
        np.full_like(logits, value), codes, 0 * weight, n_outputs, normalization=normalization
    )
    assert objective == 0
    assert not losses.any()
    assert not gradient.any()


@pytest.mark.parametrize("value", UNDER_THE_MASK)
def test_logits_and_codes_under_the_mask_change_no_bit(value):
    n_outputs = (3, 1, 4, 1, 3)
    logits, codes, weight = make_batch(n_outputs)
    expected = compute_objective(logits, codes, weight, n_outputs)
    masked = columns_under_mask(weight, n_outputs)
    other_logits = np.where(masked, np.float32(value), logits)
    other_codes = np.where(weight == 0, 0, codes)
    found = compute_objective(other_logits, other_codes, weight, n_outputs)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[2], expected[2])
    assert not found[2][masked].any()


def test_labelled_logits_of_ten_thousand_keep_loss_and_gradient_finite():
    logits = np.array([[1e4, -1e4, 1e4], [-1e4, 1e4, -1e4]], dtype=np.float32)
    codes = np.array([[0, 0], [1, 1]], dtype=np.int32)
    _, losses, gradient = compute_objective(logits, codes, np.ones((2, 2), np.float32), (1, 2))
    np.testing.assert_allclose(losses, [1e4, 2e4])
    assert np.isfinite(gradient).all()


def test_weight_of_two_equals_the_row_twice():
    n_outputs = (3, 1)
    logits, codes, weight = make_batch(n_outputs)
    doubled = weight.copy()
    doubled[0] *= 2
    once = compute_objective(logits, codes, doubled, n_outputs)
    twice = compute_objective(
        *(np.vstack([a[:1], a]) for a in (logits, codes, weight)), n_outputs=n_outputs
    )
    np.testing.assert_allclose(once[1], twice[1], rtol=1e-6)


def test_rare_task_counts_as_much_as_a_full_one():
    # Trap 3: divided by all cells, a task with labels for one row in ten has a tenth of the step.
    logits, codes = np.zeros((10, 2), np.float32), np.zeros((10, 2), np.int32)
    weight = np.ones((10, 2), np.float32)
    weight[1:, 1] = 0
    by_task = compute_objective(logits, codes, weight, (1, 1))[2].sum(axis=0)
    by_cell = compute_objective(logits, codes, weight, (1, 1), normalization="cells")[2].sum(axis=0)
    np.testing.assert_allclose(by_task, [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(by_cell, np.array([0.5, 0.05]) / 1.1, rtol=1e-6)


@pytest.mark.parametrize("shapes", [(1,), (3,), (1, 3), (5, 1, 3)])
def test_number_of_operations_does_not_grow_with_the_tasks(shapes):
    def count_operations(n_outputs):
        def loss_and_gradient(logits, codes, weight):
            loss = tf.reduce_sum(task_means(*task_cross_entropy(logits, codes, weight, n_outputs)))
            return loss, tf.gradients(loss, logits)

        n_tasks = len(n_outputs)
        graph = tf.function(loss_and_gradient, autograph=False).get_concrete_function(
            tf.TensorSpec((None, sum(n_outputs)), tf.float32),
            tf.TensorSpec((None, n_tasks), tf.int32),
            tf.TensorSpec((None, n_tasks), tf.float32),
        )
        return len(graph.graph.get_operations())

    assert count_operations(shapes * 3) == count_operations(shapes * 60)


# ------------------------------------------------------------------------------ Keras losses


@dataclass
class Form:
    """A masked loss and its Keras counterpart, with labels of which some are missing."""

    loss: Any
    accuracy: Any
    keras_loss: Any
    keras_accuracy: Any
    y_true: np.ndarray  # with missing labels
    y_pred: np.ndarray
    labelled: np.ndarray  # one bool per entry
    entries: Any  # of an array (batch_size, ...), those that are labelled, in a column

    def keras_value(self, metric, sample_weight=None):
        weight = None if sample_weight is None else sample_weight[self.labelled]
        found = metric(self.entries(self.y_true), self.entries(self.y_pred), sample_weight=weight)
        # Keras divides by the number of entries; weights count in the denominator here.
        return float(found) if weight is None else float(found) * weight.size / weight.sum()


FORMS = ["sparse", "sparse_column", "label_map", "one_hot", "one_hot_map", "binary", "binary_tasks"]


def make_form(kind, from_logits=False, label_smoothing=0.0):
    rng = np.random.default_rng(0)
    shape = {"sparse_column": (9, 1), "label_map": (5, 3, 2), "one_hot_map": (5, 3, 2)}.get(
        kind, {"binary": (9, 1), "binary_tasks": (6, 4)}.get(kind, (9,))
    )
    labelled = rng.random(shape) < 0.6
    if kind.startswith("binary"):
        logits = rng.normal(scale=2, size=shape)
        y_true = np.where(labelled, rng.integers(2, size=shape), -1)
        y_pred = logits if from_logits else 1 / (1 + np.exp(-logits))
        smoothing = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        return Form(
            MaskedBinaryCrossentropy(**smoothing),
            MaskedBinaryAccuracy(threshold=0.0 if from_logits else 0.5),
            keras.losses.BinaryCrossentropy(**smoothing),
            keras.metrics.BinaryAccuracy(threshold=0.0 if from_logits else 0.5),
            y_true,
            y_pred.astype(np.float32),
            labelled,
            lambda a: a[labelled][:, None],
        )
    pred_shape = (*shape[:1], 3) if kind == "sparse_column" else (*shape, 3)
    logits = rng.normal(scale=2, size=pred_shape)
    y_pred = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    y_pred = (logits if from_logits else y_pred).astype(np.float32)
    codes = rng.integers(3, size=shape)
    if kind.startswith("one_hot"):
        smoothing = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        return Form(
            MaskedCategoricalCrossentropy(**smoothing),
            MaskedCategoricalAccuracy(),
            keras.losses.CategoricalCrossentropy(**smoothing),
            keras.metrics.CategoricalAccuracy(),
            np.where(labelled[..., None], np.eye(3, dtype=int)[codes], 0),
            y_pred,
            labelled,
            lambda a: a[labelled],
        )
    flat = labelled[:, 0] if kind == "sparse_column" else labelled
    return Form(
        MaskedSparseCategoricalCrossentropy(from_logits=from_logits),
        MaskedSparseCategoricalAccuracy(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        keras.metrics.SparseCategoricalAccuracy(),
        np.where(labelled, codes, -1),
        y_pred,
        flat,
        lambda a: a[flat],
    )


def loss_and_gradient(loss, y_true, y_pred, sample_weight=None):
    y_pred = tf.constant(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = loss(y_true, y_pred, sample_weight=sample_weight)
    return value.numpy(), tape.gradient(value, y_pred).numpy()


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("kind", FORMS)
def test_keras_loss_equals_keras_on_the_labelled_entries(kind, from_logits):
    form = make_form(kind, from_logits)
    value, gradient = loss_and_gradient(form.loss, form.y_true, form.y_pred)
    kept = loss_and_gradient(form.keras_loss, form.entries(form.y_true), form.entries(form.y_pred))
    np.testing.assert_allclose(value, kept[0], rtol=1e-6)
    np.testing.assert_allclose(form.entries(gradient), kept[1], rtol=1e-5, atol=1e-7)
    assert not gradient[~form.labelled].any()


@pytest.mark.parametrize("kind", FORMS)
def test_keras_accuracy_equals_keras_on_the_labelled_entries(kind):
    form = make_form(kind)
    assert float(form.accuracy(form.y_true, form.y_pred)) == pytest.approx(
        form.keras_value(form.keras_accuracy)
    )


@pytest.mark.parametrize("kind", FORMS)
def test_keras_loss_and_accuracy_weigh_the_labelled_entries(kind):
    form = make_form(kind)
    weight = np.random.default_rng(1).uniform(0.1, 3, size=form.labelled.shape).astype(np.float32)
    expected = form.keras_value(form.keras_loss, weight)
    assert float(form.loss(form.y_true, form.y_pred, weight)) == pytest.approx(expected, rel=1e-5)
    hits = np.array(
        [
            float(type(form.keras_accuracy)()(y[None], p[None]))
            for y, p in zip(form.entries(form.y_true), form.entries(form.y_pred), strict=True)
        ]
    )
    assert float(form.accuracy(form.y_true, form.y_pred, weight)) == pytest.approx(
        np.average(hits, weights=weight[form.labelled]), rel=1e-5
    )


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("as_column", [False, True])
def test_keras_loss_and_accuracy_take_a_weight_per_row(kind, as_column):
    form = make_form(kind)
    rows = np.random.default_rng(1).uniform(0.1, 3, size=len(form.labelled)).astype(np.float32)
    spread = rows.reshape(-1, *(1,) * (form.labelled.ndim - 1)) * np.ones(form.labelled.shape)
    given = rows[:, None] if as_column else rows
    for function in (form.loss, form.accuracy):
        expected = float(function(form.y_true, form.y_pred, spread.astype(np.float32)))
        if function is form.accuracy:
            function.reset_state()
        assert float(function(form.y_true, form.y_pred, given)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [1e4, -np.inf, np.nan])
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("kind", FORMS)
def test_keras_loss_does_not_see_what_is_under_the_mask(kind, from_logits, value):
    form = make_form(kind, from_logits)
    weight = np.random.default_rng(1).uniform(0.1, 3, size=form.labelled.shape).astype(np.float32)
    expected = loss_and_gradient(form.loss, form.y_true, form.y_pred, weight)
    y_pred, other_weight = form.y_pred.copy(), weight.copy()
    y_pred[~form.labelled] = value
    other_weight[~form.labelled] = value
    found = loss_and_gradient(form.loss, form.y_true, y_pred, other_weight)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    accuracy = float(form.accuracy(form.y_true, form.y_pred, weight))
    form.accuracy.reset_state()
    assert float(form.accuracy(form.y_true, y_pred, other_weight)) == accuracy


@pytest.mark.parametrize("value", [0.5, 1e4, np.nan])
@pytest.mark.parametrize("kind", FORMS)
def test_keras_loss_of_a_batch_without_labels_is_zero(kind, value):
    form = make_form(kind, from_logits=True)
    nothing = np.full_like(form.y_true, 0 if kind.startswith("one_hot") else -1)
    found = loss_and_gradient(form.loss, nothing, np.full_like(form.y_pred, value))
    assert found[0] == 0
    assert not found[1].any()
    assert float(form.accuracy(nothing, form.y_pred)) == 0


@pytest.mark.parametrize("kind", FORMS)
def test_keras_loss_takes_nan_for_a_missing_label(kind):
    form = make_form(kind)
    expected = loss_and_gradient(form.loss, form.y_true, form.y_pred)
    missing = np.flatnonzero(~form.labelled)
    with_nan = form.y_true.astype(np.float32)
    cells = with_nan.reshape(form.labelled.size, -1)
    cells[missing[::2]] = np.nan  # the others stay as they were: both marks in one batch
    found = loss_and_gradient(form.loss, with_nan, form.y_pred)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    accuracy = float(form.accuracy(form.y_true, form.y_pred))
    form.accuracy.reset_state()
    assert float(form.accuracy(with_nan, form.y_pred)) == accuracy


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("kind", ["sparse", "one_hot", "binary_tasks"])
def test_keras_loss_of_an_entry_of_weight_zero_is_nothing_whatever_its_prediction(
    kind, from_logits
):
    form = make_form(kind, from_logits)
    first = tuple(np.argwhere(form.labelled)[0])
    weight = np.ones(form.labelled.shape, np.float32)
    weight[first] = 0
    expected = loss_and_gradient(form.loss, form.y_true, form.y_pred, weight)
    y_pred = form.y_pred.copy()
    y_pred[first] = np.nan
    found = loss_and_gradient(form.loss, form.y_true, y_pred, weight)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_keras_loss_takes_boolean_labels():
    y_true, y_pred = np.array([[True], [False]]), np.array([[0.5], [0.2]], np.float32)
    expected = -(np.log(0.5) + np.log(0.8)) / 2
    assert float(MaskedBinaryCrossentropy()(y_true, y_pred)) == pytest.approx(expected, rel=1e-5)
    assert float(MaskedBinaryAccuracy()(y_true, y_pred)) == 0.5


def test_keras_loss_takes_unsigned_labels_with_a_sentinel_of_their_type():
    y_true = np.array([0, 255, 1], dtype=np.uint8)
    y_pred = np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]], np.float32)
    loss = MaskedSparseCategoricalCrossentropy(ignore_class=255)
    assert float(loss(y_true, y_pred)) == pytest.approx(-np.log(0.5 * 0.8) / 2, rel=1e-5)


def test_keras_loss_does_not_take_an_unsigned_label_for_a_negative_sentinel():
    y_true = np.array([0, 255], dtype=np.uint8)
    y_pred = np.full((2, 256), 1 / 256, np.float32)
    y_pred[1] = np.eye(256)[255]
    loss = MaskedSparseCategoricalCrossentropy()
    assert float(loss(y_true, y_pred)) == pytest.approx(np.log(256) / 2, rel=1e-5)


@pytest.mark.parametrize("kind", ["one_hot", "one_hot_map", "binary", "binary_tasks"])
@pytest.mark.parametrize("from_logits", [False, True])
def test_label_smoothing_equals_keras(kind, from_logits):
    form = make_form(kind, from_logits, label_smoothing=0.2)
    assert float(form.loss(form.y_true, form.y_pred)) == pytest.approx(
        form.keras_value(form.keras_loss), rel=1e-6
    )


def test_binary_loss_takes_flat_labels_with_predictions_in_a_column():
    form = make_form("binary")
    expected = float(form.loss(form.y_true, form.y_pred))
    assert float(form.loss(form.y_true[:, 0], form.y_pred)) == expected
    accuracy = float(form.accuracy(form.y_true, form.y_pred))
    form.accuracy.reset_state()
    assert float(form.accuracy(form.y_true[:, 0], form.y_pred)) == accuracy


def test_accuracy_adds_up_over_batches_of_unlike_coverage():
    accuracy = MaskedSparseCategoricalAccuracy()
    sure_of_zero = np.array([[0.9, 0.1]] * 4, np.float32)
    accuracy.update_state(np.array([0, -1, -1, -1]), sure_of_zero)
    accuracy.update_state(np.array([1, 1, 1, 0]), sure_of_zero)
    assert float(accuracy.result()) == pytest.approx(2 / 5)


def test_steps_of_a_sequence_that_keras_masks_count_as_nothing():
    embed = keras.layers.Embedding(10, 4, mask_zero=True)
    outputs = keras.layers.Dense(3, activation="softmax")(embed(np.array([[1, 2, 0], [3, 0, 0]])))
    y_true = np.array([[0, 1, 2], [1, 0, 0]])
    expected = keras.losses.SparseCategoricalCrossentropy()(y_true, outputs)
    found = MaskedSparseCategoricalCrossentropy()(y_true, outputs)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_mask_as_sample_weight_shrinks_the_step_in_keras_and_not_here():
    # Trap 4: Keras's default reduction divides by all rows, so sparse labels train more slowly.
    y_true, y_pred = np.zeros(10, int), np.full((10, 2), 0.5, np.float32)
    mask = (np.arange(10) < 2).astype(np.float32)
    keras_loss = keras.losses.SparseCategoricalCrossentropy()
    assert float(keras_loss(y_true, y_pred, mask)) == pytest.approx(0.2 * np.log(2))
    masked_loss = MaskedSparseCategoricalCrossentropy()
    assert float(masked_loss(np.where(mask, y_true, -1), y_pred)) == pytest.approx(np.log(2))


# ----------------------------------------------------------------------------- serialisation


@pytest.mark.parametrize(
    "loss",
    [
        MaskedSparseCategoricalCrossentropy(ignore_class=255, from_logits=True, name="a"),
        MaskedCategoricalCrossentropy(from_logits=True, label_smoothing=0.1, dtype="float64"),
        MaskedBinaryCrossentropy(ignore_class=9, from_logits=True, label_smoothing=0.3),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_loss_round_trips_through_its_config(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert all(getattr(again, k) == v for k, v in loss.get_config().items())


@pytest.mark.parametrize(
    "metric",
    [
        MaskedSparseCategoricalAccuracy(ignore_class=255, name="a"),
        MaskedCategoricalAccuracy(name="b"),
        MaskedBinaryAccuracy(ignore_class=9, threshold=0.0, name="c"),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_metric_round_trips_through_its_config(metric):
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


# Keras hands its variables to np.array, which NumPy 2 finds wanting.
@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
@pytest.mark.parametrize("kind", ["sparse", "one_hot", "binary"])
def test_compiled_model_with_masked_loss_is_saved_and_loaded(kind, tmp_path):
    form = make_form(kind)
    X = np.random.default_rng(2).normal(size=(len(form.y_true), 4)).astype(np.float32)
    activation = "sigmoid" if kind == "binary" else "softmax"
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(form.y_pred.shape[-1], activation=activation)(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss=form.loss, metrics=[form.accuracy])
    model.fit(X, form.y_true, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is type(form.loss)
    expected = model.evaluate(X, form.y_true, verbose=0)
    assert loaded.evaluate(X, form.y_true, verbose=0) == expected
    assert expected[0] == pytest.approx(float(form.loss(form.y_true, model(X))), rel=1e-6)
