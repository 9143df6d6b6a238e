"""Tests of sk_mtl._train.batching: orders of rows, from masks. Nothing is trained."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_mtl._train.batching import LabelAwareOrder, RandomOrder, draw_endlessly


def make_mask(n_rows, shares, seed=0):
    """Return a mask with labels in these shares of the rows, and one in the first task else."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n_rows, len(shares))) < shares
    mask[~mask.any(axis=1), 0] = True
    return mask


def cut(order, batch_size):
    return [order[k : k + batch_size] for k in range(0, len(order), batch_size)]


def draw(mask, batch_size, seed=0):
    return LabelAwareOrder(mask, batch_size).draw(np.random.default_rng(seed))


@settings(deadline=None, max_examples=60)
@given(
    n_rows=st.integers(1, 60),
    batch_size=st.integers(1, 70),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=5),
    seed=st.integers(0, 2**16),
)
def test_every_row_comes_once_and_groups_are_spread_evenly(n_rows, batch_size, shares, seed):
    mask = make_mask(n_rows, shares, seed)
    shuffle = LabelAwareOrder(mask, batch_size)
    order = shuffle.draw(np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(n_rows))
    whole = [batch for batch in cut(order, batch_size) if len(batch) == batch_size]
    for group in np.unique(shuffle.group):
        counts = [(shuffle.group[batch] == group).sum() for batch in whole]
        assert not counts or max(counts) - min(counts) <= 1


@pytest.mark.parametrize("n_rows", [320, 321, 351])
def test_each_batch_has_labels_of_the_rarest_task_where_they_go_round(n_rows):
    mask = make_mask(n_rows, (0.9, 0.5, 0.0))
    mask[:11, 2] = True  # the last batch may be of one row
    for seed in range(5):
        order = draw(mask, 32, seed)
        assert all(mask[batch, 2].any() for batch in cut(order, 32) if len(batch) == 32)
        assert not all(
            mask[batch, 2].any()
            for batch in cut(RandomOrder(n_rows).draw(np.random.default_rng(seed)), 32)
        )


def test_last_batch_has_its_share_and_no_more():
    mask = make_mask(1_000, (1.0, 0.0))
    mask[:500, 1] = True
    last = cut(draw(mask, 300), 300)[-1]
    assert len(last) == 100
    assert abs(mask[last, 1].sum() - 50) <= 1


def test_rows_with_all_labels_are_shuffled_plainly():
    shuffle, rng = LabelAwareOrder(np.ones((4, 3), bool), 2), np.random.default_rng(0)
    drawn = [tuple(shuffle.draw(rng).tolist()) for _ in range(4_800)]
    counts = [drawn.count(order) for order in itertools.permutations(range(4))]
    # 24 orders, 200 of each expected: chi-squared with 23 degrees of freedom.
    assert sum((count - 200) ** 2 / 200 for count in counts) < 50


def test_batches_are_mixed_anew_in_every_epoch():
    mask = make_mask(200, (1.0, 0.1))
    shuffle, rng = LabelAwareOrder(mask, 10), np.random.default_rng(0)
    pairs = [
        {
            frozenset(pair)
            for batch in cut(shuffle.draw(rng), 10)
            for pair in itertools.combinations(batch.tolist(), 2)
        }
        for _ in range(2)
    ]
    # 900 of 19,900 pairs share a batch in each epoch.
    assert len(pairs[0] & pairs[1]) < 100


def test_labels_of_a_rare_task_do_not_gather_at_one_end_of_the_epoch():
    mask = make_mask(1_000, (1.0, 0.0))
    mask[:5, 1] = True
    places = [np.flatnonzero(mask[draw(mask, 10, seed), 1]).mean() for seed in range(40)]
    assert 400 < np.mean(places) < 600


def test_order_is_that_of_the_seed():
    mask = make_mask(50, (0.5, 0.2))
    np.testing.assert_array_equal(draw(mask, 8, 1), draw(mask, 8, 1))
    assert (draw(mask, 8, 1) != draw(mask, 8, 2)).any()


@pytest.mark.parametrize(("n_rows", "n_drawn"), [(7, 3), (7, 7), (7, 24), (1, 5)])
def test_rows_drawn_endlessly_come_as_often_as_each_other(n_rows, n_drawn):
    drawn = draw_endlessly(np.random.default_rng(0), n_rows, n_drawn)
    counts = np.bincount(drawn, minlength=n_rows)
    assert len(drawn) == n_drawn
    assert counts.max() - counts.min() <= 1
