"""Laws of the mask and of weights, over random tables: the whole estimator, fit to predictions.

All examples have one shape, so that all but the first reuse its compiled program. "Bit for bit"
is meant: `same_bits` compares the fitted weights, the history and the predictions.
"""

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


# ------------------------------------------------------------------------------------------------
# The mask
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
@FEW
@given(tables())
def test_what_lies_under_the_mask_changes_no_bit(params, table):
    garbage = table.rng.integers(-1000, 1000, size=table.codes.shape)
    masked = np.ma.array(np.where(table.label_mask, table.codes, garbage), mask=~table.label_mask)
    assert_same_bits(
        fit(table.X, table.y, **params), fit(table.X, masked, **params), table.X
    )


@FEW
@given(tables(), st.sampled_from([np.nan, np.inf, -5.0, 1e30]))
def test_weights_under_the_mask_change_no_bit(table, weight_of_missing):
    weight = table.rng.uniform(0.1, 3, size=table.codes.shape)
    other = np.where(table.label_mask, weight, weight_of_missing)
    assert_same_bits(
        fit(table.X, table.y, weight), fit(table.X, table.y, other), table.X
    )


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
    assert_same_bits(
        fit(table.X, table.y, **params), fit(X[order], y[order], **params), table.X
    )


@FEW
@given(tables())
def test_rows_of_weight_zero_change_no_bit_of_the_loss_of_the_others(table):
    # In one batch; rows of weight zero may be drawn, and then they take the place of others.
    weight = table.rng.integers(0, 2, size=N_ROWS).astype(float)
    for task, n in enumerate(N_CLASSES):
        for code in range(n):
            here = (table.codes[:, task] == code) & table.label_mask[:, task]
            weight[np.flatnonzero(here)[0]] = 1
    kept = weight > 0
    weighted = fit(table.X, table.y, weight)
    assert_close(weighted, fit(table.X[kept], table.y[kept]), table.X)


@FEW
@given(tables())
def test_what_lies_under_the_mask_changes_no_score_and_no_split(table):
    clf = fit(table.X, table.y)
    garbage = table.rng.integers(-1000, 1000, size=table.codes.shape)
    masked = np.ma.array(np.where(table.label_mask, table.codes, garbage), mask=~table.label_mask)
    assert clf.score(table.X, masked) == clf.score(table.X, table.y)
    for name in ("accuracy", "neg_log_loss"):
        scorer = get_multitask_scorer(name)
        assert scorer(clf, table.X, masked) == scorer(clf, table.X, table.y)
    splitter = MultiTaskStratifiedKFold(2, missing_label=-1)
    sentinel = np.where(table.label_mask, table.codes, -1)
    with pytest.warns(UserWarning) if has_rare_class(table) else nothing():
        by_nan = list(MultiTaskStratifiedKFold(2).split(table.X, table.y))
        by_sentinel = list(splitter.split(table.X, sentinel))
    for (_, one), (_, other) in zip(by_nan, by_sentinel, strict=True):
        np.testing.assert_array_equal(one, other)
