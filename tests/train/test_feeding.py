"""Tests of sk_mtl._train.feeding: the rows of a call."""

import numpy as np
import pytest
import scipy.sparse as sp

from sk_mtl._train.feeding import Feed, UnlabelledRows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3)).astype(np.float32) * (RNG.random((20, 3)) < 0.5)
CODES = RNG.integers(3, size=(20, 2)).astype(np.int32)
WEIGHT = RNG.random((20, 2)).astype(np.float32)


def make_feed(n_unlabelled=0):
    """Return the rows of calls of two members, of three steps of four rows each."""
    return Feed(2, 3, 4, 3, 2, n_unlabelled)


def steps_of(rows):
    return rows.reshape(-1, 4)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csr_array])
def test_rows_are_cut_into_steps_in_their_order(form):
    feed, rows = make_feed(), RNG.permutation(20)[:12].astype(np.int32)
    feed.fill(1, form(X), CODES, WEIGHT, rows)
    batch = feed.place()
    np.testing.assert_array_equal(batch.X[1], X[steps_of(rows)])
    np.testing.assert_array_equal(batch.codes[1], CODES[steps_of(rows)])
    np.testing.assert_array_equal(batch.weight[1], WEIGHT[steps_of(rows)])
    np.testing.assert_array_equal(batch.is_used, [[False] * 3, [True] * 3])
    assert not batch.X[0].numpy().any()


def test_what_rows_do_not_fill_has_no_weight_and_nothing_of_the_call_before():
    feed = make_feed()
    feed.fill(0, np.full_like(X, 9), CODES, WEIGHT, np.arange(12, dtype=np.int32))
    feed.fill(0, X, CODES, WEIGHT, np.arange(6, dtype=np.int32))
    batch = feed.place()
    np.testing.assert_array_equal(batch.is_used[0], [True, True, False])
    np.testing.assert_array_equal(batch.X[0, 1, :2], X[4:6])
    for part in batch[:3]:
        assert not part[0, 1, 2:].numpy().any()


def test_place_that_nobody_takes_makes_no_step():
    feed = make_feed()
    for member in (0, 1):
        feed.fill(member, X, CODES, WEIGHT, np.arange(12, dtype=np.int32))
    feed.skip(0)
    batch = feed.place()
    np.testing.assert_array_equal(batch.is_used, [[False] * 3, [True] * 3])
    assert not batch.weight[0].numpy().any()


def test_rows_of_a_call_stay_as_they_were_when_the_next_ones_are_taken():
    feed = make_feed()
    feed.fill(0, X, CODES, WEIGHT, np.arange(12, dtype=np.int32))
    batch = feed.place()
    feed.fill(0, X, CODES, WEIGHT, np.arange(8, 20, dtype=np.int32))
    feed.place()
    np.testing.assert_array_equal(batch.X[0].numpy().reshape(12, 3), X[:12])


def test_entries_given_twice_in_a_sparse_matrix_are_summed():
    data, columns = np.repeat(X.ravel() / 2, 2), np.tile(np.repeat(np.arange(3), 2), 20)
    doubled = sp.csr_matrix((data, columns, np.arange(21) * 6), shape=X.shape)
    feed, rows = make_feed(), np.arange(12, dtype=np.int32)
    feed.fill(0, doubled, CODES, WEIGHT, rows)
    np.testing.assert_array_equal(feed.place().X[0], X[steps_of(rows)])


def test_unlabelled_rows_are_those_of_the_steps():
    feed, order = make_feed(n_unlabelled=2), RNG.permutation(20)[:10]
    unlabelled = UnlabelledRows(WEIGHT, order, 0.7, 2)
    feed.fill_unlabelled(1, X, unlabelled, 2, 3)
    found = feed.place().unlabelled
    rows = order[4:10].reshape(3, 2)
    np.testing.assert_array_equal(found.X[1], X[rows])
    np.testing.assert_array_equal(found.weight[1], WEIGHT[rows])
    np.testing.assert_allclose(found.factor[1], 0.7, rtol=1e-6)
