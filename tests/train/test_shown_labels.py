"""Known labels in training: what a step, and a validation batch, has as inputs and in its loss."""

from functools import cache
from unittest import mock

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from helpers import assert_same_fits, make_tiny
from jobs import N_OUTPUTS, assert_same_results, make_job, make_rows, train_in_packs

from sk_mtl._data.known_labels import Shown, label_columns
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train import pack, validation
from sk_mtl._train.feeding import Feed

N_CLASSES = (2, 3, 2)
N_ROWS = 60
RNG = np.random.default_rng(0)
# The first feature is the number of the row, from 1; rows that fill up a batch have 0 there.
X = np.column_stack([np.arange(1, N_ROWS + 1), RNG.integers(0, 3, N_ROWS)]).astype(np.float32)
CODES = np.column_stack([RNG.integers(0, n, N_ROWS) for n in N_CLASSES])
IS_LABELLED = RNG.random(CODES.shape) < 0.6
IS_LABELLED[:3] = [[True, False, False], [True, True, True], [False, False, False]]
Y = np.where(IS_LABELLED, CODES, np.nan)


def make(**params):
    settings = {"known_labels": True, "early_stopping": False, "batch_size": 16, "epochs": 3}
    return make_tiny(**{**settings, "jit_compile": False, **params})


class EachBatch(keras.callbacks.Callback):
    """Asks for batches one by one."""

    def on_train_batch_end(self, batch, logs=None):
        pass


# ------------------------------------------------------------------------------------------------
# A batch
# ------------------------------------------------------------------------------------------------

# Two members, three steps of four rows each, two features, and 7 columns of labels.
N_INPUTS = 2 + 7
ROWS = np.arange(10, dtype=np.int32)


SPEC = NetworkSpec(2, (1, 3, 1), known_labels=True)


def make_feed():
    feed = Feed(2, 3, 4, N_INPUTS, 3)
    for member in (0, 1):
        feed.fill(member, X, CODES.astype(np.int32), IS_LABELLED.astype(np.float32), ROWS)
    return feed


def parts_of(batch, member):
    """Return the features, the columns of labels and the weights of the rows of a member."""
    inputs = batch.X[member].numpy().reshape(12, N_INPUTS)
    return inputs[:, :2], inputs[:, 2:], batch.weight[member].numpy().reshape(12, 3)


def show(feed, member, shown):
    feed.show(member, Shown(shown, ~shown, ~shown), SPEC)
    return feed.place()


def test_labels_shown_have_no_weight():
    shown = IS_LABELLED[:10] & (RNG.random((10, 3)) < 0.5)
    _, _, weight = parts_of(show(make_feed(), 1, shown), 1)
    np.testing.assert_array_equal(weight[:10], IS_LABELLED[:10] & ~shown)


def test_labels_shown_stand_behind_the_features():
    shown = IS_LABELLED[:10]
    features, labels, _ = parts_of(show(make_feed(), 1, shown), 1)
    np.testing.assert_array_equal(features[:10], X[:10])
    starts, _ = label_columns((1, 3, 1))
    expected = np.zeros((12, 7))
    for row, task in zip(*np.nonzero(shown), strict=True):
        expected[row, starts[task] + CODES[row, task]] = 1
    np.testing.assert_array_equal(labels, expected)


def test_showing_labels_of_a_member_leaves_the_others_alone():
    feed = make_feed()
    before = feed.place()
    after = show(feed, 1, IS_LABELLED[:10])
    for one, other in zip(parts_of(before, 0), parts_of(after, 0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_labels_of_the_call_before_are_gone():
    feed = make_feed()
    show(feed, 1, IS_LABELLED[:10])
    feed.fill(1, X, CODES.astype(np.int32), IS_LABELLED.astype(np.float32), ROWS[:6])
    features, labels, _ = parts_of(show(feed, 1, np.zeros((6, 3), bool)), 1)
    assert not labels[:8].any()
    assert not features[6:8].any()


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_array])
def test_sparse_rows_leave_room_for_labels(form):
    feeds = [Feed(1, 3, 4, N_INPUTS, 3) for _ in range(2)]
    for feed, source in zip(feeds, (X, form(X)), strict=True):
        feed.fill(0, source, CODES.astype(np.int32), IS_LABELLED.astype(np.float32), ROWS)
    dense, sparse = (show(feed, 0, IS_LABELLED[:10]) for feed in feeds)
    np.testing.assert_array_equal(sparse.X, dense.X)


# ------------------------------------------------------------------------------------------------
# The batches of a fit
# ------------------------------------------------------------------------------------------------


def read_batch(batch, n_features=2):
    """Return numbers, codes of labels shown (-1 where none is), and weights of a batch's rows."""
    inputs, weight = (
        np.array(part).reshape(-1, part.shape[-1]) for part in (batch.X, batch.weight)
    )
    starts, _ = label_columns((1, 3, 1))
    numbers = inputs[:, 0].astype(int)
    shown = np.full((len(inputs), 3), -1)
    for t, (start, n) in enumerate(zip(starts, N_CLASSES, strict=True)):
        of_task = inputs[:, n_features + start : n_features + start + n]
        is_shown = of_task.any(axis=1)
        assert set(np.unique(of_task)) <= {0, 1}
        assert (of_task.sum(axis=1) <= 1).all()
        shown[is_shown, t] = of_task[is_shown].argmax(axis=1)
    return numbers, shown, weight


def record(name, fit):
    """Fit; return the batches that a method of Feed has placed, one below the other."""
    batches, place = [], getattr(Feed, name)

    def placing(feed):
        batches.append(place(feed))
        return batches[-1]

    with mock.patch.object(Feed, name, placing):
        fit()
    return [np.concatenate(parts) for parts in zip(*map(read_batch, batches), strict=True)]


WAYS = {
    "steps": {},
    "one by one": {"callbacks": EachBatch},
    "XLA": {"jit_compile": True},
    "ensemble": {"ensemble_size": 2},
    "label-aware": {"batching": "label_aware", "loss_normalization": "tasks"},
    "unlabelled": {"unlabelled": "consistency"},
    "sparse": {},
}


@cache
def batches_of(way):
    """Return what the steps of a fit were fed with, without the rows that fill up a batch."""
    clf, features = make(**WAYS[way]), sp.csr_matrix(X) if way == "sparse" else X
    numbers, shown, weight = record("place", lambda: clf.fit(features, Y))
    is_filler = numbers == 0
    assert not weight[is_filler].any()
    assert (shown[is_filler] == -1).all()
    return numbers[~is_filler] - 1, shown[~is_filler], weight[~is_filler]


SLOW = {"XLA", "unlabelled"}
ways = pytest.mark.parametrize(
    "way", [pytest.param(way, marks=[pytest.mark.slow] * (way in SLOW)) for way in WAYS]
)


@pytest.mark.slow_except("sparse")
@ways
def test_no_cell_is_input_and_counted(way):
    _, shown, weight = batches_of(way)
    assert (shown >= 0).any()
    assert not ((shown >= 0) & (weight > 0)).any()


@ways
def test_each_labelled_cell_of_an_epoch_is_either_input_or_counted(way):
    rows, shown, weight = batches_of(way)
    times = np.zeros(CODES.shape, int)
    np.add.at(times, rows, (shown >= 0).astype(int) + (weight > 0))
    np.testing.assert_array_equal(times, 3 * IS_LABELLED)


@ways
def test_inputs_are_the_labels_of_their_row(way):
    rows, shown, _ = batches_of(way)
    np.testing.assert_array_equal(shown[shown >= 0], CODES[rows][shown >= 0])


@ways
def test_every_row_counts(way):
    _, _, weight = batches_of(way)
    assert (weight > 0).any(axis=1).all()


def test_epochs_show_other_labels():
    rows, shown, _ = batches_of("steps")
    n = len(rows) // 3
    epochs = [shown[k * n : (k + 1) * n][rows[k * n : (k + 1) * n].argsort()] for k in range(3)]
    assert (epochs[0] != epochs[1]).any()
    assert (epochs[1] != epochs[2]).any()


@pytest.mark.parametrize(
    "way", ["one by one", pytest.param("XLA", marks=pytest.mark.slow), "ensemble"]
)
def test_the_same_labels_are_shown_however_steps_are_made(way):
    for found, expected in zip(batches_of(way)[:2], batches_of("steps")[:2], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_number_of_steps_in_a_call_changes_no_bit(monkeypatch):
    expected = make().fit(X, Y)
    monkeypatch.setattr(pack, "_CELLS", 1)
    assert_same_fits(make().fit(X, Y), expected, X)


def test_cells_without_weight_are_not_inputs():
    weight = IS_LABELLED * RNG.integers(0, 2, CODES.shape)
    weight[:6] = 1
    numbers, shown, _ = record("place", lambda: make().fit(X, Y, sample_weight=weight))
    kept = numbers > 0
    assert not ((shown[kept] >= 0) & (weight[numbers[kept] - 1] == 0)).any()


# ------------------------------------------------------------------------------------------------
# Validation
# ------------------------------------------------------------------------------------------------

X_VAL = X[:40] + np.float32([100, 0])
Y_VAL = Y[20:]


def fit_validated(y_val=Y_VAL, **params):
    clf = make(early_stopping=True, epochs=1, optimizer__learning_rate=0.05, **params)
    return clf.fit(X, Y, validation_data=(X_VAL, y_val))


def validation_batches(**params):
    numbers, shown, weight = record("place_rows", lambda: fit_validated(**params))
    kept = numbers > 0
    return numbers[kept] - 101, shown[kept], weight[kept]


def test_no_validation_cell_is_input_and_counted():
    _, shown, weight = validation_batches()
    assert (shown >= 0).any()
    assert not ((shown >= 0) & (weight > 0)).any()


@pytest.mark.parametrize("n_rows", [16, 8192])
@pytest.mark.parametrize("n_kept", [0, 2**23], ids=["gathered anew", "kept"])
def test_each_validation_cell_counts_once(monkeypatch, n_rows, n_kept):
    monkeypatch.setattr(validation, "_ROWS_ALONE", n_rows)
    monkeypatch.setattr(validation, "_KEPT_CELLS", n_kept)
    rows, _, weight = validation_batches()
    times = np.zeros(Y_VAL.shape)
    np.add.at(times, rows, weight)
    np.testing.assert_array_equal(times, ~np.isnan(Y_VAL))


def test_validation_inputs_are_the_labels_of_their_row():
    rows, shown, _ = validation_batches()
    np.testing.assert_array_equal(shown[shown >= 0], Y_VAL[rows][shown >= 0])


def test_each_epoch_is_validated_with_the_same_inputs(monkeypatch):
    monkeypatch.setattr(validation, "_KEPT_CELLS", 0)
    fits = [make(early_stopping=True, epochs=epochs) for epochs in (1, 3)]
    once, thrice = (
        record("place_rows", lambda clf=clf: clf.fit(X, Y, validation_data=(X_VAL, Y_VAL)))
        for clf in fits
    )
    for one, three in zip(once, thrice, strict=True):
        np.testing.assert_array_equal(three[-len(one) :], one)


def test_validation_loss_is_that_of_each_label_given_those_shown():
    losses, (rows, shown, weight) = np.zeros(3), validation_batches()
    clf = fit_validated()
    given = np.where(shown >= 0, shown, np.nan)
    probabilities = clf.complete_proba(X_VAL[rows], given)
    for t, p in enumerate(probabilities):
        counted = np.flatnonzero(weight[:, t] > 0)
        truth = Y_VAL[rows[counted], t].astype(int)
        losses[t] = -np.log(p[counted, truth]).mean()
    found = [clf.history_[f"val_y{t}_loss"][0] for t in range(3)]
    np.testing.assert_allclose(found, losses, rtol=1e-5)


def test_validation_loss_of_rows_with_one_label_is_that_without_any():
    alone = Y_VAL.copy()
    for row in alone:
        row[np.flatnonzero(~np.isnan(row))[1:]] = np.nan
    clf = fit_validated(alone)
    for t, p in enumerate(clf.predict_proba(X_VAL)):
        rows = np.flatnonzero(~np.isnan(alone[:, t]))
        loss = -np.log(p[rows, alone[rows, t].astype(int)]).mean()
        assert clf.history_[f"val_y{t}_loss"][0] == pytest.approx(loss, rel=1e-5)


# ------------------------------------------------------------------------------------------------
# Trainings side by side
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_partners_of_a_training_change_no_bit():
    def make_jobs():
        return [
            make_job(
                make_rows(n, seed=n),
                make_rows(n_val, seed=n_val) if n_val else None,
                keras.optimizers.Adam(0.05),
                spec={"known_labels": True, "n_outputs": N_OUTPUTS},
                seed=n,
            )
            for n, n_val in ((25, 12), (40, 0), (19, 30))
        ]

    together = train_in_packs(make_jobs(), 2)
    assert_same_results(train_in_packs(make_jobs()[2:], 2), together[2:])
