"""Laws of known labels, over the whole estimator: no label reaches its own output, nor other rows.

"Bit for bit" is meant. Each way to fit is fitted once, and all laws look at that fit.
"""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import assert_same_arrays, assert_same_fits, make_tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from sk_mtl._predict import forward

N_ROWS = 80
N_CLASSES = (2, 3, 2)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_ROWS, 3)).astype(np.float32)
CODES = np.column_stack([RNG.integers(0, n, N_ROWS) for n in N_CLASSES])
CODES[:, 2] = CODES[:, 0]  # so that labels tell something
IS_LABELLED = RNG.random(CODES.shape) < 0.7
IS_LABELLED[::11] = False
Y = np.where(IS_LABELLED, CODES, np.nan)
NOTHING = np.full(Y.shape, np.nan)

MIXED = pd.DataFrame(X[:, :2], columns=["u", "v"])
MIXED["c"] = pd.Categorical(RNG.choice(["x", "y", "z"], N_ROWS))
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
SPARSE = sp.csr_matrix(X * (X > 0))

STOPS = {"early_stopping": True, "validation_fraction": 0.3, "epochs": 8}
# A way to fit: parameters, and X.
WAYS = {
    "plain": ({}, X),
    "shared ensemble": ({"ensemble_size": 4}, X),
    "independent ensemble": ({"ensemble_size": 4, "ensemble_method": "independent"}, X),
    "heads": ({"head_hidden_layer_sizes": {"y0": (8,), "y1": (16, 8)}}, X),
    "no hidden layers": ({"hidden_layer_sizes": ()}, X),
    "heads only": (
        {"hidden_layer_sizes": (), "head_hidden_layer_sizes": {"y1": (3,)}, "ensemble_size": 2},
        X,
    ),
    "celu": ({"activation": "celu"}, X),
    "numbers as they are": ({"standardize": False}, X),
    "waves": ({"numeric_embedding": "periodic"}, X),
    "batch normalisation": ({"normalization": "batch"}, X),
    "categories": ({}, MIXED),
    "missing cells": ({}, HOLES),
    "sparse": ({}, SPARSE),
    "folds": ({"early_stopping": "cv"}, X),
    "best epochs by task": ({**STOPS, "restore_best": "per_task"}, X),
    "calibrated": ({**STOPS, "calibrate": True}, X),
    "refitted": ({**STOPS, "refit": True}, X),
    "consistency": ({"unlabelled": "consistency"}, X),
    "pseudo-labels": ({"unlabelled": "pseudo_labels"}, X),
    "class weights": ({"class_weight": "balanced", "label_smoothing": 0.1}, X),
    "focal loss": ({"loss": "focal", "logit_adjustment": 1.0}, X),
    "learned weights": ({"task_weighting": "uncertainty", "batching": "label_aware"}, X),
    "partial_fit": ({}, X),
    "warm start": ({"warm_start": True}, X),
}
# A new program takes its time to be traced; these have one of the others, or parts of several.
QUICK = {
    "plain", "shared ensemble", "sparse", "best epochs by task", "calibrated", "partial_fit",
}  # fmt: skip
ways = pytest.mark.parametrize(
    "way", [pytest.param(way, marks=[pytest.mark.slow] * (way not in QUICK)) for way in WAYS]
)


def make(**params):
    settings = {"hidden_layer_sizes": (8,), "known_labels": True, "epochs": 3}
    settings |= {"early_stopping": False, "optimizer__learning_rate": 0.05, "jit_compile": False}
    return make_tiny(**{**settings, **params})


@cache
def fitted(way):
    """Return the estimator that was fitted in a way, and its X."""
    params, features = WAYS[way]
    clf = make(**params)
    if way == "partial_fit":
        for _ in range(3):
            clf.partial_fit(features, Y, classes=[range(n) for n in N_CLASSES])
    elif way == "warm start":
        clf.fit(features, Y).fit(features, Y)
    else:
        clf.fit(features, Y)
    return clf, features


@cache
def left_out(way):
    """Return what `complete_proba` gives of Y, each label unknown to itself."""
    clf, features = fitted(way)
    return clf.complete_proba(features, Y, leave_one_out=True)


def take(features, rows):
    return features.iloc[rows] if isinstance(features, pd.DataFrame) else features[rows]


def test_ways_are_what_they_are_called():
    assert len(fitted("best epochs by task")[0]._fitted.network.best_weights.values) > 1
    assert (fitted("calibrated")[0].temperatures_ != 1).all()
    for clf, _ in map(fitted, QUICK):
        assert clf._fitted.knows_labels


@pytest.mark.slow
def test_folds_are_folds():
    assert fitted("folds")[0]._fitted.stopping["n_folds"] == 5


# ------------------------------------------------------------------------------------------------
# A label and its own output
# ------------------------------------------------------------------------------------------------


def change(y, rows, task):
    """Return labels of which some are others."""
    changed = y.copy()
    changed[rows, task] = (changed[rows, task] + 1) % N_CLASSES[task]
    return changed


@ways
@pytest.mark.parametrize("task", range(3))
def test_changing_a_label_changes_no_bit_of_its_own_probabilities(way, task):
    clf, features = fitted(way)
    changed = change(Y, np.flatnonzero(IS_LABELLED[:, task]), task)
    found = clf.complete_proba(features, changed, leave_one_out=True)
    np.testing.assert_array_equal(found[task], left_out(way)[task])


@ways
@pytest.mark.parametrize("task", range(3))
def test_removing_a_label_changes_no_bit_of_its_own_probabilities(way, task):
    clf, features = fitted(way)
    without = Y.copy()
    without[::2, task] = np.nan
    found = clf.complete_proba(features, without, leave_one_out=True)
    np.testing.assert_array_equal(found[task], left_out(way)[task])


@ways
def test_leaving_one_out_is_completing_without_it(way):
    clf, features = fitted(way)
    for task in range(3):
        without = Y.copy()
        without[:, task] = np.nan
        expected = clf.complete_proba(features, without)[task]
        np.testing.assert_array_equal(left_out(way)[task], expected)


@ways
@pytest.mark.parametrize("task", range(3))
def test_changing_the_other_labels_changes_the_probabilities(way, task):
    # The laws above would hold of a network that reads no labels.
    clf, features = fitted(way)
    changed, others = Y, [t for t in range(3) if t != task]
    for other in others:
        changed = change(changed, np.flatnonzero(IS_LABELLED[:, other]), other)
    found = clf.complete_proba(features, changed, leave_one_out=True)[task]
    is_changed = IS_LABELLED[:, others].any(axis=1)
    assert (found != left_out(way)[task])[is_changed].any(axis=1).mean() > 0.5


@ways
def test_changing_a_label_changes_no_bit_of_other_rows(way):
    clf, features = fitted(way)
    rows = np.flatnonzero(IS_LABELLED[:, 0])[::2]
    others = np.setdiff1d(np.arange(N_ROWS), rows)
    found = clf.complete_proba(features, change(Y, rows, 0), leave_one_out=True)
    for p, expected in zip(found, left_out(way), strict=True):
        np.testing.assert_array_equal(p[others], expected[others])


@ways
def test_probabilities_of_a_row_are_those_of_the_row_alone(way):
    clf, features = fitted(way)
    together = clf.complete_proba(features, Y)
    for row in range(0, N_ROWS, 13):
        alone = clf.complete_proba(take(features, [row]), Y[[row]])
        one_out = clf.complete_proba(take(features, [row]), Y[[row]], leave_one_out=True)
        for task in range(3):
            np.testing.assert_array_equal(alone[task][0], together[task][row])
            np.testing.assert_array_equal(one_out[task][0], left_out(way)[task][row])


@ways
def test_rows_without_known_labels_have_the_bits_of_predict_proba(way):
    clf, features = fitted(way)
    expected = clf.predict_proba(features)
    assert_same_arrays(clf.complete_proba(features, NOTHING), expected)
    assert_same_arrays(clf.complete_proba(features, NOTHING, leave_one_out=True), expected)
    has_none = ~IS_LABELLED.any(axis=1)
    for p, of_x in zip(clf.complete_proba(features, Y), expected, strict=True):
        np.testing.assert_array_equal(p[has_none], of_x[has_none])


@ways
def test_known_labels_have_probability_one(way):
    clf, features = fitted(way)
    for task, p in enumerate(clf.complete_proba(features, Y)):
        rows = np.flatnonzero(IS_LABELLED[:, task])
        expected = np.zeros((len(rows), N_CLASSES[task]))
        expected[np.arange(len(rows)), CODES[rows, task]] = 1
        np.testing.assert_array_equal(p[rows], expected)


@ways
def test_probabilities_sum_to_one(way):
    for p in left_out(way):
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


def test_deviations_of_members_go_by_x_alone():
    clf, features = fitted("shared ensemble")
    assert (np.hstack(clf.predict_std(features)) > 0).any()


@pytest.mark.parametrize("way", ["plain", "sparse"])
def test_rows_of_several_batches_keep_their_own_labels(way, monkeypatch):
    clf, features = fitted(way)
    expected = clf.complete_proba(features, Y)
    monkeypatch.setattr(forward, "_BATCH_CELLS", 1)  # 16 rows
    assert_same_arrays(clf.complete_proba(features, Y), expected)


# ------------------------------------------------------------------------------------------------
# A label and its own output in training
# ------------------------------------------------------------------------------------------------

N_LONG = 200


@cache
def fit_to_chance():
    """Return a long fit to tasks that have nothing to do with one another, nor with X."""
    rng = np.random.default_rng(1)
    # Few different rows, so that none can be learned by heart.
    features = rng.integers(0, 2, size=(N_LONG, 1)).astype(np.float32)
    labels = np.column_stack([rng.integers(0, n, N_LONG) for n in (2, 3)])
    return make(epochs=60, batch_size=32).fit(features, labels), features, labels


def test_labels_drawn_at_random_cannot_be_told_from_themselves():
    clf, features, labels = fit_to_chance()
    for task, p in enumerate(clf.complete_proba(features, labels, leave_one_out=True)):
        frequencies = np.bincount(labels[:, task]) / N_LONG
        # What is left are the differences between the few groups of equal rows.
        np.testing.assert_allclose(p, np.broadcast_to(frequencies, p.shape), atol=0.25)


def test_loss_of_labels_drawn_at_random_stays_at_their_entropy():
    clf, _, labels = fit_to_chance()
    for task in range(2):
        loss = min(clf.history_[f"y{task}_loss"])
        assert loss > 0.93 * entropy(np.bincount(labels[:, task]) / N_LONG)


# ------------------------------------------------------------------------------------------------
# The mask
# ------------------------------------------------------------------------------------------------

FEW = settings(max_examples=5)
BATCHES = {"batch_size": 16, "classes": [range(n) for n in N_CLASSES]}
masks = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def assert_same_completions(first, second):
    """Assert that two fits are the same to the bit, and complete labels alike."""
    assert_same_fits(first, second, X)
    for leave_one_out in (False, True):
        found, expected = (
            clf.complete_proba(X, Y, leave_one_out=leave_one_out) for clf in (first, second)
        )
        assert_same_arrays(found, expected)


def draw_mask(rng):
    """Draw which cells are labelled; of each task a label of each class is."""
    mask = rng.random(CODES.shape) < rng.choice([0.2, 0.8])
    for task, n in enumerate(N_CLASSES):
        for code in range(n):
            mask[rng.choice(np.flatnonzero(CODES[:, task] == code)), task] = True
    return mask


@FEW
@given(masks)
def test_what_lies_under_a_missing_label_changes_no_bit(rng):
    mask = draw_mask(rng)
    anything = np.ma.array(np.where(mask, CODES, rng.integers(-9, 9, CODES.shape)), mask=~mask)
    first = make(**BATCHES).fit(X, np.where(mask, CODES, np.nan))
    assert_same_completions(make(**BATCHES).fit(X, anything), first)


@FEW
@given(masks)
def test_how_a_label_is_missing_changes_no_bit(rng):
    mask = draw_mask(rng)
    first = make(**BATCHES).fit(X, np.where(mask, CODES, np.nan))
    sentinel = make(**BATCHES, missing_label=-1).fit(X, np.where(mask, CODES, -1))
    assert_same_fits(sentinel, first, X)
    given = sentinel.complete_proba(X, np.where(mask, CODES, -1), leave_one_out=True)
    expected = first.complete_proba(X, np.where(mask, CODES, np.nan), leave_one_out=True)
    assert_same_arrays(given, expected)


@FEW
@given(masks)
def test_rows_without_labels_change_no_bit(rng):
    labels = np.where(draw_mask(rng), CODES, np.nan)
    places = rng.integers(0, N_ROWS + 1, size=7)
    more = np.insert(X, places, rng.normal(size=(7, 3)).astype(np.float32) * 100, axis=0)
    first = make(**BATCHES).fit(X, labels)
    second = make(**BATCHES).fit(more, np.insert(labels, places, np.nan, axis=0))
    assert_same_completions(second, first)


@FEW
@given(masks)
def test_a_cell_of_weight_zero_is_a_missing_label(rng):
    mask = draw_mask(rng)
    first = make(**BATCHES).fit(X, CODES, sample_weight=mask.astype(float))
    second = make(**BATCHES).fit(X, np.where(mask, CODES, np.nan))
    assert_same_completions(second, first)


def test_a_class_of_weight_zero_is_not_shown():
    weight = {"y1": {0: 1.0, 1: 0.0, 2: 1.0}}
    without = Y.copy()
    without[Y[:, 1] == 1, 1] = np.nan
    first = make(**BATCHES, class_weight=weight).fit(X, Y)
    second = make(**BATCHES, class_weight={"y1": {0: 1.0, 2: 1.0}}).fit(X, without)
    assert_same_completions(first, second)


@pytest.mark.parametrize("normalization", ["cells", "tasks"])
def test_batches_without_any_label_of_a_task_leave_everything_finite(normalization):
    rare = Y.copy()
    rare[4:, 1] = np.nan
    rare[:3, 1] = [0, 1, 2]
    clf = make(loss_normalization=normalization, batch_size=4).fit(X, rare)
    assert np.isfinite(list(clf.history_.values())).all()
    assert np.isfinite(np.hstack(clf.complete_proba(X, rare, leave_one_out=True))).all()


def test_a_task_with_labels_of_one_row_in_a_hundred_is_completed():
    rng = np.random.default_rng(2)
    features = rng.normal(size=(300, 3)).astype(np.float32)
    labels = rng.integers(0, 2, size=(300, 3)).astype(float)
    labels[3:, 1] = np.nan
    labels[:3, 1] = [0, 1, 1]
    clf = make(loss_normalization="tasks").fit(features, labels)
    completed = clf.complete(features, labels)
    assert set(np.unique(completed)) <= {0, 1}
    np.testing.assert_array_equal(completed[:3], labels[:3])


def test_labels_tell_nothing_where_no_row_had_two_of_them():
    single = np.full(Y.shape, np.nan)
    rows, first = np.flatnonzero(IS_LABELLED.any(axis=1)), IS_LABELLED.argmax(axis=1)
    single[rows, first[rows]] = Y[rows, first[rows]]
    of_third = np.flatnonzero(IS_LABELLED[:, 2])[:10]
    single[of_third] = np.nan
    single[of_third, 2] = Y[of_third, 2]
    clf = make().fit(X, single)
    pairs = zip(clf.complete_proba(X, Y), clf.predict_proba(X), strict=True)
    for task, (p, expected) in enumerate(pairs):
        holes = ~IS_LABELLED[:, task]
        np.testing.assert_array_equal(p[holes], expected[holes])
