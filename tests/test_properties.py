"""Laws of the mask and of weights, over random tables: the whole estimator, fit to predictions.

All examples have one shape, so that all but the first reuse its compiled program. "Bit for bit"
is meant: `same_bits` compares the fitted weights, the history and the predictions.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_mtl import MultiTaskClassifier
from sk_mtl._persistence import FittedNetwork
from sk_mtl.metrics import get_multitask_scorer
from sk_mtl.model_selection import MultiTaskStratifiedKFold

N_ROWS, N_FEATURES, N_CLASSES = 24, 3, (2, 3, 2)
N_TASKS = len(N_CLASSES)
CLASSES = [list(range(n)) for n in N_CLASSES]
FEW = settings(max_examples=10)


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
}


def fit(X, y, sample_weight=None, **params):
    estimator = MultiTaskClassifier(
        **{
            "hidden_layer_sizes": (4,),
            "dropout": 0.0,
            "epochs": 3,
            "batch_size": 64,
            "classes": CLASSES,
            "optimizer__learning_rate": 0.05,
            "random_state": 0,
            **params,
        }
    )
    return estimator.fit(X, y, sample_weight=sample_weight)


def weights_of(clf):
    return [np.array(v.numpy()) for v in clf.model_.variables]


def assert_same_bits(first, second, X):
    """Assert that two fits agree in weights, history and predictions, to the last bit."""
    for one, other in zip(weights_of(first), weights_of(second), strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.history_.keys() == second.history_.keys()
    for name, values in first.history_.items():
        np.testing.assert_array_equal(values, second.history_[name])
    np.testing.assert_array_equal(first.task_weights_, second.task_weights_)
    for one, other in zip(first.predict_proba(X), second.predict_proba(X), strict=True):
        np.testing.assert_array_equal(one, other)


def assert_close(first, second, X, atol=2e-5):
    for one, other in zip(first.predict_proba(X), second.predict_proba(X), strict=True):
        np.testing.assert_allclose(one, other, atol=atol)


@FEW
@given(tables())
def test_one_label_changes_the_fit(table):
    # The laws below would hold of an estimator that learns nothing.
    y = table.y
    y[np.flatnonzero(table.label_mask[:, 1])[0], 1] += 1
    y[:, 1] %= 3
    with pytest.raises(AssertionError):
        assert_same_bits(fit(table.X, table.y), fit(table.X, y), table.X)


# ------------------------------------------------------------------------------------------------
# The mask
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
@FEW
@given(tables())
def test_what_lies_under_the_mask_changes_no_bit(params, table):
    assert_same_bits(fit(table.X, table.y, **params), fit(table.X, hide(table), **params), table.X)


@FEW
@given(tables(), st.sampled_from([np.nan, np.inf, -5.0, 1e30]))
def test_weights_under_the_mask_change_no_bit(table, weight_of_missing):
    weight = table.rng.uniform(0.1, 3, size=table.codes.shape)
    other = np.where(table.label_mask, weight, weight_of_missing)
    assert_same_bits(fit(table.X, table.y, weight), fit(table.X, table.y, other), table.X)


@FEW
@given(tables())
def test_how_a_label_is_missing_changes_no_bit(table):
    marks = np.array([None, np.nan, pd.NA, pd.NaT, float("nan")], dtype=object)
    y = table.codes.astype(object)
    y[~table.label_mask] = table.rng.choice(marks, size=(~table.label_mask).sum())
    sentinel = np.where(table.label_mask, table.codes, -1)
    expected = fit(table.X, table.y)
    assert_same_bits(expected, fit(table.X, y), table.X)
    assert_same_bits(expected, fit(table.X, sentinel, missing_label=-1), table.X)


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
    assert_same_bits(fit(table.X, table.y, **params), fit(X[order], y[order], **params), table.X)


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
    assert_same_bits(
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
    assert_same_bits(fit(table.X, table.y, weight), fit(table.X, table.y, factor * weight), table.X)


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
    assert_same_bits(
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
    assert_same_bits(fit(table.X, table.y, weight), fit(table.X, without), table.X)


# ------------------------------------------------------------------------------------------------
# Tasks and labels
# ------------------------------------------------------------------------------------------------


@FEW
@given(tables(), st.permutations([0, 1, 2]))
def test_permuting_tasks_permutes_predictions(table, order):
    # From the same values: after an epoch, the heads of the one are those of the other, permuted.
    y = (table.y > 0).astype(float)
    y[~table.label_mask] = np.nan
    binary = {"classes": [[0, 1]] * N_TASKS, "warm_start": True, "epochs": 1, "batch_size": 5}
    first = fit(table.X, y, **binary)
    second = fit(table.X, y[:, order], **binary)
    kernel, bias, *heads = first._network.state.network
    heads = [values[..., order] for values in heads]
    state = replace(second._network.state, network=[kernel, bias, *heads])
    second._network = FittedNetwork(second._network.spec, state)
    first.fit(table.X, y)
    second.fit(table.X, y[:, order])
    for position, task in enumerate(order):
        np.testing.assert_allclose(
            second.predict_proba(table.X)[position], first.predict_proba(table.X)[task], atol=2e-5
        )
        np.testing.assert_allclose(
            second.history_[f"y{position}_loss"][-1], first.history_[f"y{task}_loss"][-1], rtol=1e-5
        )


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
