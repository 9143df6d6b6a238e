"""Tests of the choice of members: greedy, on the probabilities of true classes."""

import numpy as np
import pytest

from sk_mtl._ensemble.selection import mean_log_loss, select_members, weigh_cells


def test_every_task_with_cells_has_the_same_weight():
    weight = np.array([[1.0, 0, 3.0], [1.0, 0, 0], [2.0, 0, 0]])
    scaled = weigh_cells(weight)
    np.testing.assert_allclose(scaled.sum(axis=0), [0.5, 0, 0.5])
    np.testing.assert_allclose(scaled[:, 0], [0.125, 0.125, 0.25])
    assert not weigh_cells(np.zeros((2, 3))).any()


def test_loss_is_that_of_the_weighted_cells():
    p_true = np.array([[0.5, 0.25], [1.0, 0.0]])
    found = mean_log_loss(p_true, np.array([0.75, 0.25]))
    lowest = np.log(np.finfo(np.float32).eps)
    np.testing.assert_allclose(found, [1.25 * np.log(2), -0.25 * lowest])


def test_the_one_that_is_best_on_every_cell_is_alone():
    p_true = np.array([[0.5, 0.6], [0.7, 0.9], [0.6, 0.1]])
    np.testing.assert_array_equal(select_members(p_true, np.full(2, 0.5)), [0, 1, 0])


def test_candidates_that_complete_each_other_are_both_members():
    p_true = np.array([[0.9, 0.2], [0.2, 0.9], [0.5, 0.5]])
    weights = select_members(p_true, np.full(2, 0.5))
    # The choice is greedy, and begins with the best alone, which is the third.
    assert (weights[:2] > 0.4).all()
    assert mean_log_loss(weights @ p_true, np.full(2, 0.5)) < -np.log(0.54)


def test_the_first_of_equal_candidates_is_taken():
    p_true = np.full((3, 4), 0.5)
    np.testing.assert_array_equal(select_members(p_true, np.full(4, 0.25)), [1, 0, 0])


def test_cells_of_weight_zero_do_not_count():
    p_true = np.array([[0.5, 0.999], [0.6, 0.001]])
    np.testing.assert_array_equal(select_members(p_true, np.array([1.0, 0.0])), [0, 1])


@pytest.mark.parametrize("seed", range(5))
def test_no_ensemble_is_worse_than_its_best_candidate_and_pairs_of_it(seed):
    p_true = np.random.default_rng(seed).uniform(0.05, 1, size=(6, 40))
    weight = np.full(40, 1 / 40)
    weights = select_members(p_true, weight)
    assert weights.sum() == pytest.approx(1)
    loss = mean_log_loss(weights @ p_true, weight)
    best = mean_log_loss(p_true, weight).argmin()
    with_best = [(p_true[best] + other) / 2 for other in p_true]
    assert loss <= mean_log_loss(np.array(with_best), weight).min() + 1e-12
