"""Tests of sk_mtl._train.progress: what is shown while training goes."""

import keras
import numpy as np
import pytest

from sk_mtl import MultiTaskClassifier
from sk_mtl._train.progress import ProgressBar

TASKS = ("first", "second", "third", "fourth", "fifth")


def logs_of(epoch, with_validation=True, tasks=TASKS):
    names = ["loss", *(f"{t}_loss" for t in tasks)]
    logs = {name: k + 0.1 * epoch for k, name in enumerate(names)}
    if with_validation:
        logs |= {f"val_{name}": 10 + value for name, value in logs.items()}
    return logs


def show(first_epoch=0, n_epochs=2, tasks=TASKS, with_validation=True, **settings):
    """Drive a bar as training does."""
    bar = ProgressBar(tasks, **settings)
    bar.set_params({"epochs": first_epoch + n_epochs})
    bar.on_train_begin()
    for epoch in range(first_epoch, first_epoch + n_epochs):
        bar.on_epoch_begin(epoch)
        bar.on_epoch_end(epoch, logs_of(epoch, with_validation, tasks))
    bar.on_train_end()
    return bar


def test_bar_shows_epochs_and_the_losses_of_four_tasks(capsys):
    show()
    last = capsys.readouterr().err.split("\r")[-1]
    assert "2/2" in last
    assert "loss=0.1000, val_loss=10.1000, val_first_loss=11.1000" in last
    assert "val_fourth_loss" in last
    assert "fifth" not in last


def test_bar_shows_training_losses_without_validation(capsys):
    show(with_validation=False)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "loss=0.1000, first_loss=1.1000" in last
    assert "val_" not in last


def test_bar_of_one_task_shows_its_loss_once(capsys):
    show(tasks=("only",), with_validation=False)
    assert "only_loss" not in capsys.readouterr().err


def test_bar_goes_on_from_the_epochs_of_an_earlier_fit(capsys):
    bar = show(first_epoch=5, n_epochs=3)
    assert bar._bar.n == 8
    assert "8/8" in capsys.readouterr().err


def test_line_per_epoch_is_printed_with_aligned_numbers(capsys):
    show(n_epochs=10, line_per_epoch=True, with_validation=False, tasks=("a", "b"))
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "epochs: epoch  1/10  loss=0.0000  a_loss=1.0000  b_loss=2.0000"
    assert lines[-1].startswith("epochs: epoch 10/10  ")
    assert len(lines) == 10
    assert "%" not in captured.err


def test_loss_of_a_task_without_labels_is_shown_as_nan(capsys):
    bar = ProgressBar(("a", "b"), line_per_epoch=True)
    bar.set_params({"epochs": 1})
    bar.on_train_begin()
    bar.on_epoch_end(0, {"loss": 1.0, "a_loss": 1.0, "b_loss": np.nan})
    bar.on_train_end()
    assert "b_loss=nan" in capsys.readouterr().out


def test_bar_is_closed_as_it_stands_when_training_stops_early():
    bar = ProgressBar(("a",))
    bar.set_params({"epochs": 100})
    bar.on_train_begin()
    bar.on_epoch_end(0, {"loss": 1.0})
    bar.on_train_end()
    assert bar._bar.n == 1
    assert bar._bar.disable  # tqdm's sign of a closed bar


@pytest.fixture(scope="module")
def table():
    X = np.random.default_rng(0).normal(size=(30, 3))
    return X, np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(int)


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_verbose_chooses_silence_a_bar_or_lines(table, verbose, capsys):
    clf = MultiTaskClassifier((3,), epochs=2, batch_size=30, random_state=0, verbose=verbose)
    clf.fit(*table)
    captured = capsys.readouterr()
    assert ("2/2" in captured.err) == (verbose == 1)
    assert len(captured.out.splitlines()) == (2 if verbose == 2 else 0)


def test_showing_progress_changes_no_bit_and_costs_no_call_per_batch(table, capsys):
    weights = [
        MultiTaskClassifier((3,), epochs=2, batch_size=8, random_state=0, verbose=verbose)
        .fit(*table)
        .model_.get_weights()
        for verbose in (0, 1)
    ]
    for quiet, shown in zip(*weights, strict=True):
        np.testing.assert_array_equal(quiet, shown)
    assert "8/8" not in capsys.readouterr().err
    for hook in ("on_train_batch_begin", "on_train_batch_end"):
        assert getattr(ProgressBar, hook) is getattr(keras.callbacks.Callback, hook)


@pytest.mark.parametrize(
    ("settings", "titles"),
    [
        ({"early_stopping": False}, ["all rows"]),
        ({"early_stopping": False, "ensemble_size": 2}, ["all rows, 2 members"]),
        ({"early_stopping": True}, ["training rows"]),
        ({"early_stopping": True, "refit": True}, ["training rows", "all rows"]),
        ({"early_stopping": "cv"}, [*(f"fold {k} of 5" for k in range(1, 6)), "all rows"]),
    ],
)
@pytest.mark.parametrize("verbose", [1, 2])
def test_each_bar_and_line_says_which_training_it_shows(table, settings, titles, verbose, capsys):
    clf = MultiTaskClassifier((3,), epochs=1, random_state=0, verbose=verbose, **settings)
    clf.fit(*table)
    captured = capsys.readouterr()
    shown = (captured.err if verbose == 1 else captured.out).replace("\r", "\n").splitlines()
    assert list(dict.fromkeys(line.partition(":")[0] for line in shown if line)) == titles


def test_bar_of_partial_fit_and_of_validation_data_say_so(table, capsys):
    X, Y = table
    clf = MultiTaskClassifier((3,), epochs=1, random_state=0, verbose=2)
    clf.fit(X, Y, validation_data=(X, Y)).partial_fit(X, Y)
    titles = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert titles == ["all rows", "partial_fit"]
