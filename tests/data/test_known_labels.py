"""Tests of sk_mtl._data.known_labels: no cell is both shown and counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_mtl._data.known_labels import (
    draw_shown,
    label_columns,
    two_views,
    write_known,
    write_labels,
)

FEW = settings(max_examples=50)


def make_rng(seed=0):
    return np.random.default_rng(seed)


@st.composite
def masks(draw):
    """Draw which cells are labelled; rows without labels are among them."""
    n_rows, n_tasks = draw(st.integers(0, 30)), draw(st.integers(1, 6))
    share = draw(st.sampled_from([0.0, 0.2, 0.7, 1.0]))
    return make_rng(draw(st.integers(0, 2**32 - 1))).random((n_rows, n_tasks)) < share


seeds = st.integers(0, 2**32 - 1)


# ------------------------------------------------------------------------------------------------
# Drawing
# ------------------------------------------------------------------------------------------------


@FEW
@given(masks(), seeds)
def test_only_labelled_cells_are_shown(is_labelled, seed):
    shown = draw_shown(make_rng(seed), is_labelled).is_shown
    assert shown.dtype == bool
    assert shown.shape == is_labelled.shape
    assert not (shown & ~is_labelled).any()


@FEW
@given(masks(), seeds)
def test_a_label_of_each_row_is_left_to_count(is_labelled, seed):
    shown, counted, _ = draw_shown(make_rng(seed), is_labelled)
    np.testing.assert_array_equal(counted, is_labelled & ~shown)
    np.testing.assert_array_equal(counted.any(axis=1), is_labelled.any(axis=1))


@FEW
@given(masks(), seeds, st.lists(st.integers(0, 30), max_size=4))
def test_parts_of_the_rows_are_drawn_as_all_in_one_go(is_labelled, seed, cuts):
    whole = draw_shown(make_rng(seed), is_labelled)
    rng = make_rng(seed)
    parts = [draw_shown(rng, part) for part in np.split(is_labelled, sorted(cuts))]
    for found, expected in zip(zip(*parts, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(found), expected)


@FEW
@given(masks(), seeds)
def test_labels_of_a_row_do_not_change_what_is_drawn_for_others(is_labelled, seed):
    other = is_labelled.copy()
    other[::2] = ~other[::2]
    drawn = (draw_shown(make_rng(seed), mask) for mask in (other, is_labelled))
    for found, expected in zip(*drawn, strict=True):
        np.testing.assert_array_equal(found[1::2], expected[1::2])


def test_a_quarter_of_the_rows_is_shown_nothing():
    # Of 200 labels, a row that is shown some is hardly ever shown none by chance.
    shown = draw_shown(make_rng(), np.ones((20_000, 200), bool)).is_shown
    assert (~shown.any(axis=1)).mean() == pytest.approx(0.25 + 0.75 / 200, abs=0.01)


def test_other_rows_are_shown_any_share_of_their_labels():
    shares = draw_shown(make_rng(), np.ones((20_000, 200), bool)).is_shown.mean(axis=1)
    # Of the square root of a uniform number.
    expected = np.sqrt([0.1, 0.5, 0.9])
    found = np.quantile(shares[shares > 0], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("n_tasks", [2, 5])
def test_tasks_are_shown_equally_often(n_tasks):
    shown = draw_shown(make_rng(), np.ones((40_000, n_tasks), bool)).is_shown.mean(axis=0)
    np.testing.assert_allclose(shown, shown.mean(), atol=0.015)


def test_all_but_one_are_shown_sometimes():
    n_shown = draw_shown(make_rng(), np.ones((2_000, 3), bool)).is_shown.sum(axis=1)
    assert set(n_shown.tolist()) == {0, 1, 2}


# ------------------------------------------------------------------------------------------------
# Two views
# ------------------------------------------------------------------------------------------------


@FEW
@given(masks(), seeds)
def test_every_labelled_cell_counts_once_in_two_views(is_labelled, seed):
    counted = [view.is_counted for view in two_views(make_rng(seed), is_labelled)]
    np.testing.assert_array_equal(np.sum(counted, axis=0), is_labelled.astype(int))


@FEW
@given(masks(), seeds)
def test_no_cell_is_shown_where_it_counts(is_labelled, seed):
    for view in two_views(make_rng(seed), is_labelled):
        assert not (view.is_shown & view.is_counted).any()


@FEW
@given(masks(), seeds)
def test_views_show_labelled_cells_only(is_labelled, seed):
    for view in two_views(make_rng(seed), is_labelled):
        assert not (view.is_shown & ~is_labelled).any()


# ------------------------------------------------------------------------------------------------
# What is given as missing
# ------------------------------------------------------------------------------------------------


def drawn_and_views(is_labelled, seed):
    return [draw_shown(make_rng(seed), is_labelled), *two_views(make_rng(seed), is_labelled)]


@FEW
@given(masks(), seeds)
def test_beside_a_label_shown_all_that_is_missing_is_given_as_missing(is_labelled, seed):
    for drawn in drawn_and_views(is_labelled, seed):
        has_shown = drawn.is_shown.any(axis=1)
        np.testing.assert_array_equal(
            (drawn.is_missing & ~is_labelled)[has_shown], ~is_labelled[has_shown]
        )


@FEW
@given(masks(), seeds)
def test_without_a_label_shown_nothing_is_given_as_missing(is_labelled, seed):
    for drawn in drawn_and_views(is_labelled, seed):
        assert not drawn.is_missing[~drawn.is_shown.any(axis=1)].any()


@FEW
@given(masks(), seeds)
def test_no_label_shown_is_given_as_missing(is_labelled, seed):
    for drawn in drawn_and_views(is_labelled, seed):
        assert not (drawn.is_shown & drawn.is_missing).any()


def test_one_counted_cell_in_sixteen_is_given_as_missing():
    for drawn in drawn_and_views(np.ones((20_000, 20), bool), 0):
        asked = drawn.is_counted & drawn.is_shown.any(axis=1, keepdims=True)
        assert drawn.is_missing[asked].mean() == pytest.approx(1 / 16, abs=0.005)


def test_there_are_two_views():
    assert len(list(two_views(make_rng(), np.ones((3, 2), bool)))) == 2


# ------------------------------------------------------------------------------------------------
# Columns
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_outputs", "starts", "total"),
    [((1,), [0], 2), ((3,), [0], 3), ((1, 3, 1, 5), [0, 2, 5, 7], 12)],
)
def test_a_task_has_a_column_for_each_class(n_outputs, starts, total):
    found, n_columns = label_columns(n_outputs)
    assert found.tolist() == starts
    assert n_columns == total


def test_a_label_is_a_one_in_the_column_of_its_class():
    out = np.full((3, 7), 9, np.float32)
    codes = np.array([[1, 2, 0], [0, 0, 1], [1, 1, 1]])
    write_labels(codes, np.ones((3, 3), bool), None, (1, 3, 1), out)
    assert out.tolist() == [
        [0, 1, 0, 0, 1, 1, 0],
        [1, 0, 1, 0, 0, 0, 1],
        [0, 1, 0, 1, 0, 0, 1],
    ]


def test_codes_of_labels_that_are_not_shown_are_not_read():
    out = np.full((2, 5), 9, np.float32)
    codes = np.array([[-1, 2], [1, 1_000]])
    write_labels(codes, np.array([[False, True], [True, False]]), None, (1, 3), out)
    assert out.tolist() == [[0, 0, 0, 0, 1], [0, 1, 0, 0, 0]]


def test_labels_are_written_beside_what_stands_there():
    whole = np.full((4, 6), 9, np.float32)
    write_labels(np.zeros((4, 1), int), np.zeros((4, 1), bool), None, (3,), whole[:, 2:5])
    assert (whole[:, [0, 1, 5]] == 9).all()
    assert not whole[:, 2:5].any()


def test_further_columns_are_one_for_what_is_missing():
    out = np.full((2, 7), 9, np.float32)
    codes, is_missing = np.array([[1, 2], [0, 0]]), np.array([[False, False], [False, True]])
    write_labels(codes, np.array([[True, False], [True, False]]), is_missing, (1, 3), out)
    assert out.tolist() == [[0, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 1]]


def test_known_labels_are_written_with_what_is_missing_beside_them():
    out = np.full((3, 7), 9, np.float32)
    write_known(np.array([[1, 2], [-1, 0], [-1, -1]]), (1, 3), out)
    assert out.tolist() == [[0, 1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 1, 0], [0] * 7]


@FEW
@given(masks(), seeds)
def test_labels_are_read_back_from_their_columns(is_shown, seed):
    n_outputs = (1, 3, 1, 4, 1, 5)[: is_shown.shape[1]]
    starts, total = label_columns(n_outputs)
    widths = [max(n, 2) for n in n_outputs]
    codes = make_rng(seed).integers(0, widths, size=is_shown.shape)
    out = np.full((len(codes), total), 9, np.float32)
    write_labels(codes, is_shown, None, n_outputs, out)
    for task, (start, width) in enumerate(zip(starts, widths, strict=True)):
        of_task = out[:, start : start + width]
        np.testing.assert_array_equal(of_task.sum(axis=1), is_shown[:, task])
        found = of_task.argmax(axis=1)[is_shown[:, task]]
        np.testing.assert_array_equal(found, codes[is_shown[:, task], task])
