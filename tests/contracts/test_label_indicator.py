"""Laws of ``known_labels="with_indicator"``: a hole tells, but only where something is known."""

import io
import pickle
from functools import cache

import keras
import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_arrays, assert_same_fits, make_tiny
from scipy.special import expit
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import load_model, save_model
from sk_mtl._data.known_labels import draw_shown, two_views
from sk_mtl.metrics import completion_score

N = 80
N_CLASSES = (2, 3, 2)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
CODES = np.column_stack([RNG.integers(0, n, N) for n in N_CLASSES])
CODES[:, 2] = CODES[:, 0]
IS_LABELLED = RNG.random(CODES.shape) < 0.7
IS_LABELLED[::11] = False
Y = np.where(IS_LABELLED, CODES, np.nan)
NOTHING = np.full(Y.shape, np.nan)

STOPS = {"early_stopping": True, "validation_fraction": 0.3, "epochs": 6}
WAYS = {
    "plain": {},
    "shared ensemble": {"ensemble_size": 3},
    "heads": {"head_hidden_layer_sizes": {"y1": (4,)}},
    "no hidden layers": {"hidden_layer_sizes": ()},
    "best epochs by task": {**STOPS, "restore_best": "per_task"},
    "calibrated": {**STOPS, "calibrate": True},
}
ways = pytest.mark.parametrize("way", WAYS)
tasks = pytest.mark.parametrize("task", range(3))


def make(**params):
    settings = {"hidden_layer_sizes": (8,), "known_labels": "with_indicator", "epochs": 3}
    settings |= {"early_stopping": False, "optimizer__learning_rate": 0.05, "jit_compile": False}
    return make_tiny(**{**settings, **params})


@cache
def fitted(way="plain"):
    return make(**WAYS[way]).fit(X, Y)


@cache
def left_out(way="plain"):
    return fitted(way).complete_proba(X, Y, leave_one_out=True)


def assert_same_completions(first, second):
    for leave_one_out in (False, True):
        found, expected = (
            clf.complete_proba(X, Y, leave_one_out=leave_one_out) for clf in (first, second)
        )
        assert_same_arrays(found, expected)


# ------------------------------------------------------------------------------------------------
# Holes and labels
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow_except("best epochs by task", "calibrated")
@ways
def test_rows_without_known_labels_have_the_bits_of_predict_proba(way):
    expected = fitted(way).predict_proba(X)
    for leave_one_out in (False, True):
        found = fitted(way).complete_proba(X, NOTHING, leave_one_out=leave_one_out)
        assert_same_arrays(found, expected)
    has_none = ~IS_LABELLED.any(axis=1)
    for p, of_x in zip(fitted(way).complete_proba(X, Y), expected, strict=True):
        np.testing.assert_array_equal(p[has_none], of_x[has_none])


@ways
@tasks
def test_changing_a_label_changes_no_bit_of_its_own_probabilities(way, task):
    changed, known = Y.copy(), IS_LABELLED[:, task]
    changed[known, task] = (changed[known, task] + 1) % N_CLASSES[task]
    found = fitted(way).complete_proba(X, changed, leave_one_out=True)[task]
    np.testing.assert_array_equal(found, left_out(way)[task])


@ways
@tasks
def test_removing_a_label_changes_no_bit_of_its_own_probabilities(way, task):
    without = Y.copy()
    without[:, task] = np.nan
    for leave_one_out in (False, True):
        found = fitted(way).complete_proba(X, without, leave_one_out=leave_one_out)[task]
        np.testing.assert_array_equal(found, left_out(way)[task])


@ways
@tasks
def test_probabilities_of_a_row_are_those_of_the_row_alone(way, task):
    for row in range(0, N, 19):
        found = fitted(way).complete_proba(X[[row]], Y[[row]], leave_one_out=True)[task]
        np.testing.assert_array_equal(found[0], left_out(way)[task][row])


def columns_of(labels):
    """Return the inputs beside X: a column for each class, and one for each task."""
    known = np.isfinite(labels)
    classes = [labels[:, [t]] == np.arange(n) for t, n in enumerate(N_CLASSES)]
    return np.hstack([*classes, ~known & known.any(axis=1, keepdims=True)]).astype(np.float32)


def test_model_takes_columns_of_labels_and_of_holes():
    p = fitted().complete_proba(X, Y)[2]
    logits = np.asarray(fitted().model_(np.hstack([X, columns_of(Y)])))[:, -1]
    hole = ~IS_LABELLED[:, 2]
    np.testing.assert_allclose(expit(logits)[hole], p[hole, 1], atol=1e-6)


def test_a_hole_of_another_task_changes_the_probabilities():
    # The same labels are known; only the column of holes differs.
    inputs = np.hstack([X, columns_of(Y)])
    changed = inputs.copy()
    changed[:, -3:] = 0
    rows = inputs[:, -3:].any(axis=1)
    found, expected = (np.asarray(fitted().model_(z)) for z in (changed, inputs))
    assert (found != expected)[rows].any(axis=1).mean() > 0.9


@cache
def fitted_to_a_telling_hole(known_labels="with_indicator"):
    """Return a fit to three tasks that are noise, but for when the first is missing."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(300, 1)).astype(np.float32)
    labels = rng.integers(0, 2, size=(300, 3)).astype(float)
    labels[labels[:, 1] == 1, 0] = np.nan
    clf = make(known_labels=known_labels, epochs=15).fit(features, labels)
    return clf, features, labels


def test_a_telling_hole_is_learned():
    clf, features, labels = fitted_to_a_telling_hole()
    p = clf.complete_proba(features, labels, leave_one_out=True)["y1"][:, 1]
    assert ((p > 0.5) == labels[:, 1]).mean() > 0.95


@pytest.mark.parametrize("pattern", ["cells", "holes"])
def test_labels_that_are_hidden_for_scoring_do_not_look_missing(pattern):
    # They are not missing for the reason for which labels of training are.
    rng = np.random.default_rng(2)
    features = rng.normal(size=(300, 1)).astype(np.float32)
    labels = rng.integers(0, 2, size=(300, 3)).astype(float)
    labels[labels[:, 1] == 1, 0] = np.nan
    clf, _, _ = fitted_to_a_telling_hole()
    settings = {"metric": "log_loss", "pattern": pattern, "hide": 0.3, "random_state": 0}
    labels[rng.random(300) < 0.3, 1] = np.nan
    labels[rng.random(300) < 0.3, 2] = np.nan
    found = completion_score(clf, features, labels, **settings).loc["y1"]
    assert found["completed"] < found["constant"]


# ------------------------------------------------------------------------------------------------
# Training
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [draw_shown, lambda rng, mask: list(two_views(rng, mask))[1]])
def test_no_cell_is_given_both_as_known_and_as_missing(draw):
    for seed in range(5):
        shown = draw(np.random.default_rng(seed), IS_LABELLED)
        assert not (shown.is_shown & shown.is_counted).any()
        assert not (shown.is_shown & shown.is_missing).any()


def test_nothing_is_given_as_missing_where_nothing_is_shown():
    shown = draw_shown(np.random.default_rng(0), IS_LABELLED)
    assert not shown.is_missing[~shown.is_shown.any(axis=1)].any()


def test_every_hole_beside_a_shown_label_is_given_as_missing():
    shown = draw_shown(np.random.default_rng(0), IS_LABELLED)
    rows = shown.is_shown.any(axis=1)
    assert shown.is_missing[~IS_LABELLED & rows[:, None]].all()


def test_validation_counts_each_label_once():
    views = two_views(np.random.default_rng(0), IS_LABELLED)
    np.testing.assert_array_equal(sum(v.is_counted.astype(int) for v in views), IS_LABELLED)


def test_a_cell_of_weight_zero_is_a_missing_label():
    classes = [range(n) for n in N_CLASSES]
    weighted = make(classes=classes).fit(X, CODES, sample_weight=IS_LABELLED.astype(float))
    assert_same_completions(weighted, make(classes=classes).fit(X, Y))


def test_how_a_label_is_missing_changes_no_bit():
    marked = np.where(IS_LABELLED, CODES, -1)
    sentinel = make(missing_label=-1).fit(X, marked)
    assert_same_fits(sentinel, fitted(), X)
    found = sentinel.complete_proba(X, marked, leave_one_out=True)
    assert_same_arrays(found, left_out())


def test_same_seed_gives_the_same_bits():
    assert_same_fits(make().fit(X, Y), fitted(), X)


@pytest.mark.slow
def test_it_is_another_network_than_without_indicator():
    other = make(known_labels=True).fit(X, Y)
    assert fitted().model_.input.shape[1] == other.model_.input.shape[1] + 3


# ------------------------------------------------------------------------------------------------
# Tables
# ------------------------------------------------------------------------------------------------


def test_tables_are_filled():
    index = pd.Index([f"row {i}" for i in range(N)])
    frame = pd.DataFrame(Y, index, ["a", "b", "c"]).astype("Int64")
    clf = make().fit(X, frame)
    table = clf.complete(X, frame)
    assert table.index.equals(index)
    assert not table.isna().any(axis=None)
    assert (table == frame)[frame.notna()].stack().all()


@pytest.mark.slow
def test_a_single_task_is_completed_by_x_alone():
    clf = make().fit(X, Y[:, 1])
    found = clf.complete_proba(X, Y[:, 1], leave_one_out=True)
    np.testing.assert_array_equal(found, clf.predict_proba(X))


@pytest.mark.slow
def test_two_tasks_of_which_one_row_has_both():
    labels = CODES[:, :2].astype(float)
    labels[:40, 0], labels[41:, 1] = np.nan, np.nan
    clf = make().fit(X, labels)
    assert np.isfinite(np.hstack(clf.complete_proba(X, labels, leave_one_out=True))).all()


def test_it_completes_in_a_pipeline():
    pipe = make_pipeline(StandardScaler(), make()).fit(X, Y)
    assert completion_score(pipe, X, Y, "accuracy", pattern="tasks").notna().all(axis=None)


# ------------------------------------------------------------------------------------------------
# Copies, and what is refused
# ------------------------------------------------------------------------------------------------


def save_and_load(clf):
    file = io.BytesIO()
    save_model(clf, file)
    return load_model(io.BytesIO(file.getvalue()))


COPIES = {"pickle": lambda clf: pickle.loads(pickle.dumps(clf)), "save_model": save_and_load}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_completes_alike(way):
    again = COPIES[way](fitted())
    assert again.known_labels == "with_indicator"
    assert_same_completions(again, fitted())


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_trains_on_alike(way):
    first = COPIES[way](fitted()).partial_fit(X, Y)
    second = COPIES["pickle"](fitted()).partial_fit(X, Y)
    assert_same_completions(first, second)


def test_clone_has_the_parameter():
    assert clone(make()).known_labels == "with_indicator"
    assert "known_labels='with_indicator'" in repr(make())


@pytest.mark.parametrize("value", ["indicator", "WITH_INDICATOR", "", b"with_indicator"])
def test_other_words_are_refused(value):
    with pytest.raises(ValueError, match="'known_labels' parameter"):
        make(known_labels=value).fit(X, Y)


@pytest.mark.slow_except("True")
@pytest.mark.parametrize("before", [False, True])
def test_change_to_it_is_refused(before):
    clf = make(warm_start=True, known_labels=before).fit(X, Y)
    clf.set_params(known_labels="with_indicator")
    with pytest.raises(ValueError, match="its parameters have changed since"):
        clf.fit(X, Y)


def test_refused_change_is_told_by_names_of_parameters():
    clf = make(warm_start=True, known_labels=True).fit(X, Y)
    clf.set_params(known_labels="with_indicator")
    with pytest.raises(ValueError, match="changed since") as told:
        clf.fit(X, Y)
    assert "label_indicator" not in str(told.value)


def test_a_model_of_your_own_is_refused():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    with pytest.raises(ValueError, match=r"^known_labels='with_indicator' needs the built-in"):
        make(model=model).fit(X, Y)


def test_drawing_is_refused():
    # A label that was drawn for a hole would count as one that was measured.
    with pytest.raises(ValueError, match=r"^complete_samples needs .* known_labels=True"):
        make().fit(X, Y).complete_samples(X, Y, 2)
