"""Laws of the mask and of weights, over random tables: the whole estimator, fit to predictions.

All examples have one shape, so that all but the first reuse its compiled program. "Bit for bit"
is meant: `assert_same_fits` compares the fitted weights, the history and the predictions.
"""

import warnings
from dataclasses import dataclass, replace
from functools import cache, partial
from unittest import mock

import keras
import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_fits, assert_same_predictions, make_tiny, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_mtl._fit.fitted_network import FittedNetwork
from sk_mtl._model.build import network_variables
from sk_mtl._train.loop import TrainingRun
from sk_mtl.metrics import get_multitask_scorer
from sk_mtl.model_selection import MultiTaskStratifiedKFold

N_ROWS, N_FEATURES, N_CLASSES = 24, 3, (2, 3, 2)
N_TASKS = len(N_CLASSES)
CLASSES = [list(range(n)) for n in N_CLASSES]


def examples(percent):
    """Return settings for a share of the profile's examples: of 100, or of 2,000 in "long"."""
    return settings(max_examples=settings.default.max_examples * percent // 100)


FEW = examples(10)


@dataclass(frozen=True)
class Table:
    """X, the codes of all cells, which of them are labelled, and a generator for the rest."""

    X: np.ndarray
    codes: np.ndarray
    label_mask: np.ndarray
    rng: np.random.Generator

    @property
    def y(self):
        """Labels, NaN where missing."""
        return np.where(self.label_mask, self.codes, np.nan)


@st.composite
def tables(draw):
    """Draw a table in which every task has a label of each class, and any others may be missing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    codes = np.column_stack([rng.integers(0, n, size=N_ROWS) for n in N_CLASSES])
    share = draw(st.sampled_from([0.1, 0.5, 0.9]))
    label_mask = rng.random((N_ROWS, N_TASKS)) < share
    for task, n in enumerate(N_CLASSES):
        rows = rng.choice(N_ROWS, size=n, replace=False)
        codes[rows, task] = np.arange(n)
        label_mask[rows, task] = True
    return Table(X, codes, label_mask, rng)


def hide(table):
    """Return y as a masked array, with anything under the mask."""
    anything = table.rng.integers(-1000, 1000, size=table.codes.shape)
    codes = np.where(table.label_mask, table.codes, anything)
    return np.ma.array(codes, mask=~table.label_mask)


SETTINGS = {
    "plain": {},
    "dropout and batches": {"batch_size": 5, "dropout": 0.2},
    "uncertainty": {"task_weighting": "uncertainty", "batch_size": 5},
    "cells, class weights": {"loss_normalization": "cells", "class_weight": "balanced"},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "mixed precision": {"dtype": "mixed_bfloat16", "dropout": 0.2},
    "experts": {"sharing": "ple", "n_experts": 2, "hidden_layer_sizes": (4, 3)},
}


def fit(X, y, sample_weight=None, **params):
    plain = {"dropout": 0.0, "epochs": 3, "batch_size": 64, "classes": CLASSES}
    clf = make_tiny(**{**plain, "optimizer__learning_rate": 0.05, **params})
    return clf.fit(X, y, sample_weight=sample_weight)


assert_close = partial(assert_same_predictions, atol=2e-5)


@FEW
@given(tables())
def test_one_label_changes_the_fit(table):
    # The laws below would hold of an estimator that learns nothing.
    y = table.y
    y[np.flatnonzero(table.label_mask[:, 1])[0], 1] += 1
    y[:, 1] %= 3
    with pytest.raises(AssertionError):
        assert_same_fits(fit(table.X, table.y), fit(table.X, y), table.X)


# ------------------------------------------------------------------------------------------------
# The mask
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow_except("plain", "early stopping")
@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
@FEW
@given(tables())
def test_what_lies_under_the_mask_changes_no_bit(params, table):
    assert_same_fits(fit(table.X, table.y, **params), fit(table.X, hide(table), **params), table.X)


@FEW
@given(tables(), st.sampled_from([np.nan, np.inf, -5.0, 1e30]))
def test_weights_under_the_mask_change_no_bit(table, weight_of_missing):
    weight = table.rng.uniform(0.1, 3, size=table.codes.shape)
    other = np.where(table.label_mask, weight, weight_of_missing)
    assert_same_fits(fit(table.X, table.y, weight), fit(table.X, table.y, other), table.X)


@FEW
@given(tables())
def test_how_a_label_is_missing_changes_no_bit(table):
    marks = np.array([None, np.nan, pd.NA, pd.NaT, float("nan")], dtype=object)
    y = table.codes.astype(object)
    y[~table.label_mask] = table.rng.choice(marks, size=(~table.label_mask).sum())
    sentinel = np.where(table.label_mask, table.codes, -1)
    expected = fit(table.X, table.y)
    assert_same_fits(expected, fit(table.X, y), table.X)
    assert_same_fits(expected, fit(table.X, sentinel, missing_label=-1), table.X)


@pytest.mark.slow_except("plain", "early stopping")
@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
@FEW
@given(tables(), st.integers(1, 20))
def test_rows_without_labels_change_no_bit(params, table, n_added):
    X = np.vstack([table.X, 100 * table.rng.normal(size=(n_added, N_FEATURES))])
    y = np.vstack([table.y, np.full((n_added, N_TASKS), np.nan)])
    # Anywhere among the others, which keep their order.
    order = np.insert(
        np.arange(N_ROWS),
        table.rng.integers(0, N_ROWS + 1, size=n_added),
        np.arange(N_ROWS, N_ROWS + n_added),
    )
    assert_same_fits(fit(table.X, table.y, **params), fit(X[order], y[order], **params), table.X)


@pytest.mark.slow_except("plain", "early stopping")
@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
@FEW
@given(tables())
def test_rows_of_weight_zero_change_no_bit(params, table):
    weight = table.rng.integers(0, 2, size=N_ROWS).astype(float)
    for task, n in enumerate(N_CLASSES):
        for code in range(n):
            has_class = table.label_mask[:, task] & (table.codes[:, task] == code)
            weight[np.flatnonzero(has_class)[0]] = 1
    kept = weight > 0
    assert_same_fits(
        fit(table.X, table.y, weight, **params),
        fit(table.X[kept], table.y[kept], **params),
        table.X,
    )


@FEW
@given(tables())
def test_what_lies_under_the_mask_changes_no_score(table):
    clf, masked = fit(table.X, table.y), hide(table)
    assert clf.score(table.X, masked) == clf.score(table.X, table.y)
    for name in ("accuracy", "neg_log_loss"):
        scorer = get_multitask_scorer(name)
        assert scorer(clf, table.X, masked) == scorer(clf, table.X, table.y)


@FEW
@given(tables())
def test_what_lies_under_the_mask_changes_no_split(table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with a single label
        splits = [
            [test.tolist() for _, test in MultiTaskStratifiedKFold(2).split(table.X, y)]
            for y in (table.y, hide(table))
        ]
    assert splits[0] == splits[1]


# ------------------------------------------------------------------------------------------------
# Weights
# ------------------------------------------------------------------------------------------------


@FEW
@given(tables(), st.sampled_from([2.0**-20, 0.25, 1.0, 8.0, 2.0**30]))
def test_weights_scaled_by_a_power_of_two_change_no_bit(table, factor):
    weight = table.rng.uniform(0.1, 3, size=table.codes.shape)
    assert_same_fits(fit(table.X, table.y, weight), fit(table.X, table.y, factor * weight), table.X)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dropout and batches", "uncertainty", "cells, class weights"])
@FEW
@given(tables(), st.floats(1e-6, 1e6))
def test_weights_scaled_by_a_constant_change_nothing(name, table, factor):
    params = SETTINGS[name]
    weight = table.rng.uniform(0.1, 3, size=N_ROWS)
    first = fit(table.X, table.y, weight, **params)
    assert_close(first, fit(table.X, table.y, factor * weight, **params), table.X)


@FEW
@given(tables())
def test_a_weight_of_one_changes_no_bit(table):
    assert_same_fits(
        fit(table.X, table.y), fit(table.X, table.y, np.ones(table.codes.shape)), table.X
    )


@FEW
@given(tables())
def test_a_row_of_weight_k_equals_the_row_k_times(table):
    weight = table.rng.integers(1, 4, size=N_ROWS)
    repeated = np.repeat(np.arange(N_ROWS), weight)
    first = fit(table.X, table.y, weight, batch_size=128)
    second = fit(table.X[repeated], table.y[repeated], batch_size=128)
    assert_close(first, second, table.X)


@FEW
@given(tables())
def test_a_cell_of_weight_zero_is_a_missing_label(table):
    weight = (table.rng.random(table.codes.shape) < 0.5).astype(float)
    for task, n in enumerate(N_CLASSES):
        for code in range(n):
            has_class = table.label_mask[:, task] & (table.codes[:, task] == code)
            weight[np.flatnonzero(has_class)[0], task] = 1
    without = np.where(weight > 0, table.y, np.nan)
    assert_same_fits(fit(table.X, table.y, weight), fit(table.X, without), table.X)


@pytest.mark.parametrize("name", ["plain", "cells, class weights"])
@examples(6)
@given(tables(), st.sampled_from([1.2e-38, 1e-30, 1e30, 3e38]), st.booleans())
def test_any_weights_that_float32_holds_leave_everything_finite(name, table, size, are_mixed):
    weight = table.rng.uniform(0.1, 1, size=table.codes.shape) * size
    if are_mixed:
        weight[::2] = table.rng.uniform(0.1, 1, size=weight[::2].shape)
    clf = fit(table.X, table.y, np.maximum(weight, 1.2e-38), **SETTINGS[name])
    assert all(np.isfinite(values).all() for values in weights_of(clf))
    assert np.isfinite(list(clf.history_.values())).all()
    assert np.isfinite(np.hstack(clf.predict_proba(table.X))).all()


@FEW
@given(tables(), st.sampled_from([2.0**-126, 2.0**126]))
def test_weights_of_the_least_and_largest_size_are_those_of_size_one(table, size):
    weight = table.rng.uniform(1, 2, size=table.codes.shape)
    assert_close(fit(table.X, table.y, weight), fit(table.X, table.y, size * weight), table.X)


# ------------------------------------------------------------------------------------------------
# Tasks and labels
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@FEW
@given(tables(), st.permutations([0, 1, 2]))
def test_permuting_tasks_permutes_predictions(table, order):
    # From the same values: after an epoch, the heads of the one are those of the other, permuted.
    y = (table.y > 0).astype(float)
    y[~table.label_mask] = np.nan
    binary = {"classes": [[0, 1]] * N_TASKS, "warm_start": True, "epochs": 1, "batch_size": 5}
    binary |= {"standardize": False}
    first = fit(table.X, y, **binary)
    second = fit(table.X, y[:, order], **binary)
    kernel, bias, *heads = first._fitted.network.state.network
    heads = [values[..., order] for values in heads]
    state = replace(second._fitted.network.state, network=[kernel, bias, *heads])
    network = FittedNetwork(second._fitted.network.spec, state)
    second._fitted = replace(second._fitted, network=network)
    first.fit(table.X, y)
    second.fit(table.X, y[:, order])
    for position, task in enumerate(order):
        np.testing.assert_allclose(
            second.predict_proba(table.X)[position], first.predict_proba(table.X)[task], atol=2e-5
        )
        np.testing.assert_allclose(
            second.history_[f"y{position}_loss"][-1], first.history_[f"y{task}_loss"][-1], rtol=1e-5
        )


MIXED = {"head_hidden_layer_sizes": {"grade": (3,), "b": (3,)}, "warm_start": True, "epochs": 1}
TASKS = {"a": 2, "grade": 3, "b": 2, "kind": 3, "c": 2}


def part_of_head(values, position, columns):
    """Return the part that one head has of the values of heads that are computed together."""
    if values.ndim == 3:
        return values[position : position + 1]
    return values[..., columns]


def heads_of(clf):
    """Return the parts of the network's variables, by task; those of the trunk under None."""
    spec, names = clf._fitted.network.spec, list(clf.task_names_)
    outputs = dict(zip(names, spec.n_outputs, strict=True))
    shapes = [
        (sizes, n if sizes else None)  # heads without hidden layers are one layer
        for sizes, n in zip(spec.head_hidden_layer_sizes, spec.n_outputs, strict=True)
    ]
    model = clf.model_
    parts = {None: [(model.get_layer("trunk_0"), slice(None))]}
    for number, shape in enumerate(dict.fromkeys(shapes)):
        members = [name for name, other in zip(names, shapes, strict=True) if other == shape]
        layers = [layer for layer in model.layers if layer.name.startswith(f"heads_{number}_")]
        layers = [layer for layer in layers if layer.weights]
        for position, name in enumerate(members):
            starts = [position * units for units in shape[0]]
            starts.append(sum(outputs[other] for other in members[:position]))
            parts[name] = [
                (layer, (position, slice(start, start + units)))
                for layer, start, units in zip(
                    layers, starts, (*shape[0], outputs[name]), strict=True
                )
            ]
    return parts


def head_values(clf, name):
    """Return the weights of one head, or of the trunk."""
    return [
        part_of_head(w.numpy(), *part) if isinstance(part, tuple) else w.numpy()
        for layer, part in heads_of(clf)[name]
        for w in layer.weights
    ]


def start_from(clf, other):
    """Give an estimator the trunk and the heads of another, task by task."""
    for name, parts in heads_of(clf).items():
        values = iter(head_values(other, name))
        for layer, part in parts:
            for variable in layer.weights:
                whole = variable.numpy().copy()
                view = part_of_head(whole, *part) if isinstance(part, tuple) else whole
                view[...] = next(values)
                variable.assign(whole)
    values = [np.array(v.numpy()) for v in network_variables(clf.model_)]
    state = replace(clf._fitted.network.state, network=values)
    network = FittedNetwork(clf._fitted.network.spec, state)
    clf._fitted = replace(clf._fitted, network=network)


@pytest.mark.slow_except("order0")
@pytest.mark.parametrize(
    "order", [["c", "kind", "b", "grade", "a"], ["b", "a", "kind", "c", "grade"]]
)
@examples(3)
@given(st.integers(0, 2**32 - 1))
def test_permuting_tasks_permutes_heads(order, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    columns = {name: rng.integers(0, n, size=N_ROWS).astype(float) for name, n in TASKS.items()}
    Y = pd.DataFrame(columns).mask(rng.random((N_ROWS, len(TASKS))) < 0.4)
    params = {**MIXED, "classes": {name: range(n) for name, n in TASKS.items()}, "batch_size": 7}
    first, second = fit(X, Y, **params), fit(X, Y[order], **params)
    start_from(second, first)
    first.fit(X, Y)
    second.fit(X, Y[order])
    for name in [None, *TASKS]:
        for one, other in zip(head_values(first, name), head_values(second, name), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)
    for name in TASKS:
        p, q = first.predict_proba(X)[name], second.predict_proba(X)[name]
        np.testing.assert_allclose(p, q, atol=2e-5)


# ------------------------------------------------------------------------------------------------
# Keras
# ------------------------------------------------------------------------------------------------


@cache
def plain_keras_model(n_classes):
    """Return a Keras model without anything of this package."""
    n_outputs = 1 if n_classes == 2 else n_classes
    inputs = keras.Input((N_FEATURES,))
    hidden = keras.layers.Dense(4, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(n_outputs)(hidden))


@pytest.mark.slow_except("Adam-4")
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD, keras.optimizers.Adam])
@examples(3)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5, 64]), st.booleans())
def test_one_task_with_all_labels_is_the_plain_keras_network(
    n_classes, optimizer, seed, batch_size, has_weights
):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    y = rng.integers(0, n_classes, size=N_ROWS)
    # Keras divides by the number of rows, so that its weights have to be 1 in the mean of a batch.
    params = {"classes": range(n_classes), "batch_size": batch_size, "optimizer": optimizer}
    params |= {"standardize": False, "ema_momentum": 0}
    still = {**params, "optimizer": "sgd", "optimizer__learning_rate": 0.0}
    model = plain_keras_model(n_classes)
    model.set_weights(fit(X, y, **still, epochs=1).model_.get_weights())
    orders, begin_epoch = [], TrainingRun.begin_epoch

    def note_order(run):
        changed = begin_epoch(run)
        orders.append(run.rows)
        return changed

    with mock.patch.object(TrainingRun, "begin_epoch", note_order):
        clf = fit(X, y, np.full(N_ROWS, 3.0) if has_weights else None, **params)
    kind = "Binary" if n_classes == 2 else "SparseCategorical"
    loss = getattr(keras.losses, f"{kind}Crossentropy")(from_logits=True)
    model.compile(optimizer(0.05), loss, run_eagerly=True)
    assert len(orders) == 3
    for order in orders:
        assert sorted(order) == list(range(N_ROWS))
        for start in range(0, N_ROWS, batch_size):
            rows = order[start : start + batch_size]
            model.train_on_batch(X[rows], y[rows][:, None])
    for one, other in zip(clf.model_.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@FEW
@given(tables())
def test_labels_of_other_names_in_the_same_order_change_no_bit(table):
    named = pd.DataFrame(
        {
            "flag": pd.Series(table.codes[:, 0] == 1, dtype="boolean"),
            "grade": pd.Series(np.array(["high", "low", "mid"])[table.codes[:, 1]], dtype=object),
            "number": pd.Series(10 * table.codes[:, 2] - 3, dtype="Int64"),
        }
    ).where(table.label_mask)
    plain = fit(table.X, table.y)
    clf = fit(table.X, named, classes=None)
    for one, other in zip(weights_of(clf), weights_of(plain), strict=True):
        np.testing.assert_array_equal(one, other)
    names = [[False, True], ["high", "low", "mid"], [-3, 7]]
    predicted, codes = clf.predict(table.X), plain.predict(table.X)
    for task, classes in enumerate(names):
        expected = [classes[code] for code in codes[:, task].astype(int)]
        assert predicted.iloc[:, task].tolist() == expected


@FEW
@given(tables())
def test_probabilities_are_a_distribution_over_the_classes(table):
    clf = fit(table.X, table.y)
    for probabilities, labels, n in zip(
        clf.predict_proba(table.X), clf.predict(table.X).T, N_CLASSES, strict=True
    ):
        assert probabilities.shape == (N_ROWS, n)
        assert probabilities.min() >= 0
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(labels, probabilities.argmax(axis=1))


@FEW
@given(tables())
def test_rows_are_predicted_one_by_one_as_together(table):
    clf = fit(table.X, table.y)
    together = np.hstack(clf.predict_proba(table.X))
    alone = [np.hstack(clf.predict_proba(table.X[i : i + 1]))[0] for i in range(3)]
    np.testing.assert_allclose(alone, together[:3], rtol=1e-6)
