"""Tests of sk_mtl._train.early_stopping: lists of losses in, epochs out. Nothing is trained."""

import math

import pytest

from sk_mtl._train.early_stopping import EarlyStopping, Monitor, PlannedEpoch, StoppingConfig


def run(losses, **settings):
    """Feed losses until it says stop; return it and the number of epochs it saw."""
    stopping = EarlyStopping(**settings)
    for epoch, loss in enumerate(losses, start=1):
        stopping.update(loss)
        if stopping.should_stop:
            return stopping, epoch
    return stopping, None


@pytest.mark.parametrize(
    ("losses", "patience", "stopped_at", "best_epoch"),
    [
        ([3, 2, 1], 1, None, 3),
        ([3, 2, 2], 1, 3, 2),
        ([1, 2, 3, 4], 2, 3, 1),
        ([1, 2, 0.5, 2, 2], 2, 5, 3),
        ([5, 5, 5], 2, 3, 1),
    ],
)
def test_stops_after_so_many_epochs_without_an_improvement(
    losses, patience, stopped_at, best_epoch
):
    stopping, stopped = run(losses, n_iter_no_change=patience)
    assert stopped == stopped_at
    assert stopping.best_epoch == best_epoch
    assert stopping.best_loss == min(losses)


def test_gain_below_tol_is_the_best_epoch_but_does_not_postpone_the_stop():
    stopping, stopped = run([1.0, 0.95, 0.93, 0.91], n_iter_no_change=3, tol=0.1)
    assert stopped == 4
    assert stopping.best_epoch == 4


def test_small_gains_that_add_up_to_tol_postpone_the_stop():
    _, stopped = run([1.0, 0.95, 0.89, 0.89, 0.89], n_iter_no_change=2, tol=0.1)
    assert stopped == 5


def test_gain_of_exactly_tol_does_not_count():
    _, stopped = run([1.0, 0.5], n_iter_no_change=1, tol=0.5)
    assert stopped == 2


def test_nan_and_infinity_are_never_an_improvement():
    stopping, stopped = run([math.nan, math.inf, math.nan], n_iter_no_change=3)
    assert stopped == 3
    assert stopping.best_epoch == 0
    assert stopping.best_loss == math.inf


def test_nan_does_not_hide_a_later_improvement():
    stopping, stopped = run([1.0, math.nan, 0.5], n_iter_no_change=2)
    assert stopped is None
    assert stopping.best_epoch == 3


def test_update_says_whether_the_epoch_is_the_best():
    stopping = EarlyStopping(n_iter_no_change=9)
    assert [stopping.update(loss) for loss in (2, 3, 1, 1, 0)] == [True, False, True, False, True]


def test_does_not_stop_before_the_first_epoch():
    assert not EarlyStopping(n_iter_no_change=1).should_stop


# -- By task, and known beforehand ---------------------------------------------------------------


def logs_of(*losses):
    """Return the logs of an epoch of tasks "a" and "b"."""
    by_task = zip(("a_loss", "b_loss"), losses, strict=True)
    return {"objective": 0.0, "loss": 0.0, **dict(by_task)}


def test_each_task_has_its_own_best_epoch():
    monitor = Monitor(("a", "b"), StoppingConfig(3, by_task=True))
    losses = ((3, 1), (2, 2), (3, 0.5), (1, 3))
    improved = [monitor.update(logs_of(*of_tasks))[1] for of_tasks in losses]
    assert improved == [[0, 1], [0], [1], [0]]
    assert monitor.task_epochs == (4, 3)


def test_stops_when_no_task_has_improved_for_so_long():
    monitor = Monitor(("a", "b"), StoppingConfig(2, by_task=True))
    stops = []
    for losses in ((1, 9), (2, 8), (3, 7), (4, 7), (5, 7)):
        monitor.update(logs_of(*losses))
        stops.append(monitor.should_stop)
    assert stops == [False, False, False, False, True]


def test_task_without_a_loss_neither_improves_nor_waits():
    monitor = Monitor(("a", "b"), StoppingConfig(2, by_task=True))
    for loss in (1, 2, 2):
        monitor.update(logs_of(loss, math.nan))
    assert monitor.should_stop
    assert monitor.task_epochs == (1, 0)


@pytest.mark.parametrize(
    ("task", "logs", "best"),
    [
        (None, {"loss": 1.0, "val_loss": 2.0}, 2.0),
        (None, {"loss": 1.0}, 1.0),
        (1, {"b_loss": 3.0, "val_b_loss": 4.0, "val_loss": 2.0}, 4.0),
        (1, {"b_loss": 3.0, "loss": 2.0}, 3.0),
    ],
)
def test_monitored_is_the_validation_loss_if_there_is_one(task, logs, best):
    monitor = Monitor(("a", "b"), StoppingConfig(2), task)
    monitor.update({"objective": 0.0, **logs})
    assert monitor.result() == ("b" if task else None, 2, False, best)


def test_epoch_with_an_objective_that_is_not_finite_is_never_the_best():
    monitor = Monitor(("a", "b"), StoppingConfig(2, by_task=True))
    assert monitor.update({**logs_of(1, 1), "objective": math.nan}) == (False, [])


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((1.0, 2.0, 0.5), [False, True, False]),
        ((1.0, math.nan, 0.5), [False] * 3),
        ((1.0, math.inf, 0.5), [False] * 3),
    ],
)
def test_planned_epoch_is_the_best_whatever_the_finite_loss(losses, expected):
    planned = PlannedEpoch(2)
    assert [planned.update(loss) for loss in losses] == expected
    assert not planned.should_stop
