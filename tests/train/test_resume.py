"""Tests of sk_mtl._train.resume: a fit that was killed goes on, and ends with the same bits."""

import json
import multiprocessing
import os
import pickle
import sys
import time
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import Killed, fit_until_killed
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sk_mtl import (
    MultiTaskClassifier,
    load_model,
    save_model,
)
from sk_mtl._codec import files as _files
from sk_mtl._codec.container import pack, unpack
from sk_mtl._data.dataset import Subset
from sk_mtl._fit import preparation
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train import program_cache as _program_cache
from sk_mtl._train import resume as _checkpoint
from sk_mtl._train.early_stopping import StoppingConfig
from sk_mtl._train.loop import NonFiniteLossError, TrainingRun, draw_start
from sk_mtl._train.plan import TrainingParts, make_plan
from sk_mtl._train.program import Snapshot, TrainingProgram
from sk_mtl._train.resume import Progress, open_resume_point
from sk_mtl._train.values import stack
from sk_mtl.weighting import FixedWeighting, TaskWeighting

# Keras hands variables to np.array, which NumPy 2 objects to.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def make_table(n_rows=48, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])], axis=1).astype(float)
    Y[rng.random(Y.shape) < 0.3] = np.nan
    return X, Y


X, Y = make_table()


def make(**params):
    layers = {} if "model" in params else {"hidden_layer_sizes": (5,), "dropout": 0.4}
    settings = {**layers, "epochs": 4, "batch_size": 32, "random_state": 0}
    return MultiTaskClassifier(**{**settings, **params})


def bits_of(clf):
    """Return all that a fit gave."""
    state = clf._fitted.network.state
    arrays = [*state.network, *state.weighting.values(), *state.optimizer]
    if state.teacher is not None:
        arrays += [*state.teacher.network, np.array(state.teacher.n_steps)]
    probabilities = np.hstack(clf.predict_proba(X)).tobytes()
    # As text: NaN is not equal to itself.
    numbers = repr((clf.history_, clf.n_iter_, clf.best_iter_, clf._fitted.stopping))
    return b"".join(a.tobytes() for a in arrays), probabilities, numbers


@pytest.fixture(autouse=True)
def at_every_epoch(monkeypatch):
    """Write a checkpoint after each epoch, however long it takes."""
    monkeypatch.setattr(_checkpoint, "_PAUSE", 0)


@pytest.fixture
def uncompiled(monkeypatch):
    """Run programs step by step: to trace each one again takes most of a tiny fit's time."""
    monkeypatch.setattr(TrainingProgram, "_compile", lambda program, function, *others: function)
    monkeypatch.setattr(_program_cache, "_idle_programs", OrderedDict())


@pytest.fixture
def kill():
    """Return a function that fits, and kills the fit as an epoch begins."""

    def fit_and_kill(clf, epoch, *data):
        fit_until_killed(clf, epoch, *(data or (X, Y)))

    return fit_and_kill


@pytest.fixture
def epochs_trained(monkeypatch):
    """Return a list to which each epoch that is trained adds an entry."""
    trained, begin = [], TrainingRun.begin_epoch

    def count(run):
        trained.append(None)
        return begin(run)

    monkeypatch.setattr(TrainingRun, "begin_epoch", count)
    return trained


# ----------------------------------------------------------------------------------- going on

STOPPING = {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 2, "epochs": 6}


def build(meta, width=5):
    """Return a trunk with randomness of its own."""
    layers = keras.layers
    inputs = keras.Input((meta["n_features_in_"],))
    return keras.Model(inputs, layers.Dropout(0.3)(layers.Dense(width, "relu")(inputs)))


@pytest.mark.slow_except("plain")
@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.3, "task_weighting": "uncertainty"},
        {"dropout": 0.3, "jit_compile": True},
        {"dropout": 0.3, "jit_compile": True, "unlabelled": "consistency"},
        {"dropout": 0.3, "dtype": "mixed_bfloat16", "early_stopping": True},
    ],
    ids=["plain", "xla", "unlabelled", "mixed"],
)
def test_killed_fit_goes_on_to_the_same_bits(tmp_path, kill, epochs_trained, params):
    whole = make(**params).fit(X, Y)
    kill(make(**params, checkpoint=tmp_path), 3)
    del epochs_trained[:]
    resumed = make(**params, checkpoint=tmp_path).fit(X, Y)
    assert bits_of(resumed) == bits_of(whole)
    assert len(epochs_trained) == whole.n_iter_ - 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("params", "killed_in"),
    [
        ({"dropout": 0.3}, [1, 2, 4]),
        ({**STOPPING, "optimizer__learning_rate": 0.05}, [2, 4]),
        ({**STOPPING, "validation_fraction": None, "tol": 10}, [2]),
        ({**STOPPING, "restore_best": "per_task", "optimizer__learning_rate": 0.05}, [2, 4]),
        ({"ensemble_size": 2, "dropout": 0.3}, [3]),
        ({"loss": "focal", "logit_adjustment": 1.0, "batching": "label_aware"}, [2]),
        ({**STOPPING, "unlabelled": "pseudo_labels", "optimizer__learning_rate": 0.05}, [2, 4]),
        ({"normalization": "batch", "optimizer__use_ema": True}, [3]),
        ({"normalization": "batch", "ema_momentum": 0.5}, [3]),
        ({"optimizer": "nadam", "optimizer__gradient_accumulation_steps": 3}, [3]),
        ({"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1.0, 9))}, [3]),
        ({"model": build, "model__width": 6}, [3]),
        ({"random_state": np.random.RandomState(3)}, [2]),
    ],
    ids=[
        "dropout", "stopping", "training_loss", "per_task", "ensemble", "rare", "teacher",
        "moments", "averages", "accumulation", "schedule", "model", "random_state",
    ],
)  # fmt: skip
def test_what_training_changes_is_kept(tmp_path, kill, epochs_trained, params, killed_in):
    whole = make(**clone_values(params)).fit(X, Y)
    for epoch in killed_in:
        kill(make(**clone_values(params), checkpoint=tmp_path), epoch)
        del epochs_trained[:]
        resumed = make(**clone_values(params), checkpoint=tmp_path).fit(X, Y)
        assert bits_of(resumed) == bits_of(whole)
        assert len(epochs_trained) == whole.n_iter_ - (epoch - 1)
        assert list(tmp_path.iterdir()) == []


def clone_values(params):
    """Return the parameters as a new process would have them."""
    return pickle.loads(pickle.dumps(params)) if "random_state" in params else params


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_refit_that_was_killed_goes_on_where_it_was(tmp_path, kill, epochs_trained):
    params = {**STOPPING, "refit": True, "optimizer__learning_rate": 0.05}
    whole = make(**params).fit(X, Y)
    n_refit = len(epochs_trained) - whole.n_iter_
    assert n_refit == whole.best_iter_ > 1
    kill(make(**params, checkpoint=tmp_path), whole.n_iter_ + n_refit)
    del epochs_trained[:]
    resumed = make(**params, checkpoint=tmp_path).fit(X, Y)
    assert bits_of(resumed) == bits_of(whole)
    assert (
        len(epochs_trained) == 1 + 1
    )  # the last of the search, which was not written, and its own
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_folds_that_were_killed_go_on_where_they_were(tmp_path, kill, epochs_trained):
    params = {"early_stopping": "cv", "epochs": 3, "n_iter_no_change": 3}
    whole = make(**params).fit(X, Y)
    n_epochs = 5 * 3 + whole.best_iter_
    assert len(epochs_trained) == n_epochs
    kill(make(**params, checkpoint=tmp_path), 3 + 3 + 2)
    del epochs_trained[:]
    resumed = make(**params, checkpoint=tmp_path).fit(X, Y)
    assert bits_of(resumed) == bits_of(whole)
    # Of each of the first two folds the last epoch, which was not written; then the third's second.
    assert len(epochs_trained) == n_epochs - (2 + 2 + 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_fit_may_be_killed_again_and_again(tmp_path, kill):
    for epoch in (2, 1, 2):
        kill(make(checkpoint=tmp_path), epoch)
    assert bits_of(make(checkpoint=tmp_path).fit(X, Y)) == bits_of(make().fit(X, Y))


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_sparse_fit_goes_on(tmp_path, kill):
    sparse = sp.csr_matrix(np.maximum(X, 0))
    kill(make(checkpoint=tmp_path), 3, sparse, Y)
    resumed = make(checkpoint=tmp_path).fit(sparse, Y)
    assert bits_of(resumed) == bits_of(make().fit(sparse, Y))


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_fit_with_validation_data_goes_on(tmp_path, kill):
    watched = make_table(seed=1)
    whole = make(**STOPPING).fit(X, Y, validation_data=watched)
    clf = make(**STOPPING, checkpoint=tmp_path)
    kill(clf, 2, X, Y)  # a fit that watches other rows is another one
    assert bits_of(clf.fit(X, Y, validation_data=watched)) == bits_of(whole)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_warm_start_goes_on_from_the_second_fit(tmp_path, kill):
    first = pickle.dumps(make(warm_start=True).fit(X, Y))
    whole = pickle.loads(first).fit(X, Y)
    kill(pickle.loads(first).set_params(checkpoint=tmp_path), 3)
    resumed = pickle.loads(first).set_params(checkpoint=tmp_path).fit(X, Y)
    assert resumed.n_iter_ == 8
    assert bits_of(resumed) == bits_of(whole)


@pytest.mark.usefixtures("uncompiled")
def test_progress_counts_on(tmp_path, kill, capsys):
    kill(make(checkpoint=tmp_path), 3)
    make(checkpoint=tmp_path, verbose=2).fit(X, Y)
    assert [line.split()[3] for line in capsys.readouterr().out.splitlines()] == ["3/4", "4/4"]


@pytest.mark.slow
def test_checkpoints_change_no_bit(tmp_path):
    assert bits_of(make(dropout=0.2, checkpoint=tmp_path).fit(X, Y)) == bits_of(
        make(dropout=0.2).fit(X, Y)
    )


# ---------------------------------------------------------------------------------- the file


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("step", ["fsync", "copymode", "replace", "after"])
def test_fit_killed_while_it_writes_goes_on(tmp_path, monkeypatch, step):
    whole = make().fit(X, Y)
    owner, name = {
        "fsync": (os, "fsync"),
        "copymode": (_files.shutil, "copymode"),
        "replace": (os, "replace"),
        "after": (os, "replace"),
    }[step]
    done, calls = getattr(owner, name), []

    def die(*args):
        calls.append(args)
        if step == "after":
            done(*args)
        if len(calls) == 2:
            raise Killed
        if step != "after":
            done(*args)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        patch.setattr(os, "remove", lambda path: None)  # a killed process cleans up nothing
        with pytest.raises(Killed):
            make(checkpoint=tmp_path).fit(X, Y)
    assert bits_of(make(checkpoint=tmp_path).fit(X, Y)) == bits_of(whole)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("uncompiled")
def test_file_that_is_open_keeps_its_content_while_others_are_written(tmp_path, monkeypatch):
    mapped, contents = [], []
    replace = os.replace

    def map_what_is_written(source, target):
        replace(source, target)
        mapped.append(np.memmap(target, mode="r"))
        contents.append(mapped[-1].tobytes())

    monkeypatch.setattr(os, "replace", map_what_is_written)
    monkeypatch.setattr("sk_mtl._train.resume._PAUSE", 0)
    make(checkpoint=tmp_path).fit(X, Y)
    assert [array.tobytes() for array in mapped] == contents
    assert len(set(contents)) > 1


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_file_stays_when_fit_is_interrupted_and_goes_when_it_ends(tmp_path, monkeypatch):
    def interrupt(self, *args):
        save(self, *args)
        raise KeyboardInterrupt

    save = _checkpoint.ResumePoint.save_if_due
    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint.ResumePoint, "save_if_due", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(checkpoint=tmp_path).fit(X, Y)
    [file] = tmp_path.iterdir()
    assert file.name.startswith("checkpoint-")
    make(checkpoint=tmp_path).fit(X, Y)
    assert not file.exists()


@pytest.mark.slow
def test_file_goes_when_training_diverges(tmp_path):
    params = {"optimizer": "sgd", "optimizer__learning_rate": 1e6, "epochs": 20}
    with pytest.raises(NonFiniteLossError, match=r"after epoch [2-9]"):
        make(**params, checkpoint=tmp_path).fit(X, Y)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("uncompiled")
def test_folder_is_made_and_its_path_may_be_relative(tmp_path, monkeypatch, kill):
    monkeypatch.chdir(tmp_path)
    kill(make(checkpoint="runs/tonight"), 2)
    assert len(list((tmp_path / "runs" / "tonight").iterdir())) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_full_disk_is_told_once_and_stops_nothing(tmp_path, monkeypatch):
    def fail(path, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint, "replace_file", fail)
        with pytest.warns(UserWarning, match=r"after epoch 1 .*No space left") as told:
            clf = make(checkpoint=tmp_path).fit(X, Y)
    assert [warning.filename for warning in told] == [__file__]
    assert bits_of(clf) == bits_of(make().fit(X, Y))


@pytest.mark.usefixtures("uncompiled")
def test_pause_is_in_proportion_to_what_writing_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "_PAUSE", 19)
    now, written = [0.0], []

    def write(path, content):
        written.append(now[0])
        now[0] += 1

    _, state, checkpoint, progress = open_one(tmp_path)
    monkeypatch.setattr(_checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_checkpoint, "replace_file", write)
    for _ in range(50):
        checkpoint.save_if_due(lambda: state, progress)
        now[0] += 1
    assert written == [0, 20, 40]


# ------------------------------------------------------------------------------ whose it is


def name_of(folder, kill, data=(X, Y), **params):
    """Return the name of the file that a fit leaves when it is killed."""
    before = set(os.listdir(folder))
    kill(make(**params, checkpoint=folder), 2, *data)
    [name] = set(os.listdir(folder)) - before
    return name


def change(array, value):
    changed = array.copy()
    changed[-1, -1] = value
    return changed


@pytest.mark.parametrize(
    "changes",
    [
        {"data": (change(X, 0.5), Y)},
        {"data": (X, change(Y, 1 - np.nan_to_num(Y[-1, -1])))},
        {"data": (X, change(Y, np.nan))},
        {"data": (X[:-1], Y[:-1])},
        {"data": (sp.csr_matrix(X), Y)},
        {"data": (X, Y, np.arange(48) + 1.0)},
        {"data": (X, pd.DataFrame(Y, columns=["a", "b"]))},
        {"random_state": 1},
        {"epochs": 5},
        {"batch_size": 17},
        {"dropout": 0.1},
        {"dropout": 0.1, "l2": 0.1},
        {"optimizer": "adamw", "optimizer__weight_decay": 0.1},
        {"ema_momentum": 0.5},
        {"activation": "tanh"},
        {"class_weight": "balanced"},
        {"loss_normalization": "tasks"},
        {"task_weighting": {0: 2.0}},
        {"task_weighting": "uncertainty"},
        {"optimizer": "sgd"},
        {"optimizer__learning_rate": 0.01},
        {"optimizer__beta_1": 0.8},
        {"jit_compile": True},
        {"dtype": "mixed_bfloat16"},
        {"early_stopping": True},
        {"early_stopping": True, "n_iter_no_change": 3},
        {"early_stopping": True, "tol": 0.1},
        {"early_stopping": True, "monitor": 1},
        {"early_stopping": True, "validation_fraction": None},
        {"early_stopping": True, "restore_best": "per_task"},
        {"ensemble_size": 2},
        {"loss": "focal"},
        {"loss": "focal", "focal_gamma": 1.0},
        {"label_smoothing": 0.1},
        {"logit_adjustment": 0.5},
        {"batching": "label_aware"},
        {"unlabelled": "pseudo_labels"},
        {"unlabelled": "pseudo_labels", "pseudo_label_threshold": 0.9},
        {"unlabelled": "pseudo_labels", "unlabelled_weight": 2.0},
    ],
    ids=lambda changes: ",".join(f"{k}={v}" for k, v in changes.items() if k != "data") or "data",
)
def test_other_data_or_parameters_are_another_fit(tmp_path, monkeypatch, changes):
    changes = dict(changes)
    data = changes.pop("data", (X, Y))
    names = []

    def note(*args):
        names.append(Path(open_resume_point(*args).path).name)
        raise Killed

    monkeypatch.setattr(preparation, "open_resume_point", note)
    switches = ("dropout", "early_stopping", "optimizer", "unlabelled")
    alike = {k: v for k, v in changes.items() if k in switches and len(changes) > 1}
    for params, table in ((changes, data), (changes, data), (alike, (X, Y))):
        with pytest.raises(Killed):
            make(**params, checkpoint=tmp_path).fit(*table)
    assert names[0] == names[1] != names[2]


@pytest.mark.usefixtures("uncompiled")
def test_form_of_the_data_and_what_is_shown_make_no_other_fit(tmp_path, kill):
    kill(make(checkpoint=tmp_path), 2)
    kill(make(checkpoint=str(tmp_path / "x" / ".."), verbose=1), 2, X.astype(float), Y.tolist())
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_new_data_train_a_new_model_and_leave_the_old_file(tmp_path, kill):
    kill(make(checkpoint=tmp_path), 3)
    [old] = tmp_path.iterdir()
    tomorrow = make_table(seed=5)
    refit = make(checkpoint=tmp_path).fit(*tomorrow)
    assert bits_of(refit) == bits_of(make().fit(*tomorrow))
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_file_of_another_fit_is_refused_by_what_differs(tmp_path, kill):
    name = name_of(tmp_path, kill)
    other = make_table(seed=1)
    foreign = name_of(tmp_path, kill, other, random_state=7, dropout=0.5)
    os.replace(tmp_path / foreign, tmp_path / name)
    clf = make(checkpoint=tmp_path)
    with pytest.raises(ValueError, match="another fit, with other random_state, dropout, initial "):
        clf.fit(X, Y)
    assert not hasattr(clf, "n_features_in_")
    (tmp_path / name).unlink()
    assert bits_of(clf.fit(X, Y)) == bits_of(make().fit(X, Y))


@pytest.mark.usefixtures("uncompiled")
def test_file_of_other_versions_is_refused_by_their_names(tmp_path, kill, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(keras, "__version__", "2.0")
        patch.setattr(np, "__version__", "1.0")
        name_of(tmp_path, kill)
    found = f"keras 2.0 in place of {keras.__version__}, numpy 1.0 in place of {np.__version__}"
    with pytest.raises(ValueError, match=rf"written by {found}.* Delete the file to train"):
        make(checkpoint=tmp_path).fit(X, Y)


@pytest.mark.usefixtures("uncompiled")
def test_saved_model_is_no_checkpoint_and_a_checkpoint_no_model(tmp_path, kill):
    name = name_of(tmp_path, kill)
    with pytest.raises(ValueError, match="does not describe a model"):
        load_model(tmp_path / name)
    save_model(make(epochs=1).fit(X, Y), tmp_path / name)
    with pytest.raises(ValueError, match=r"cannot be read: .* Delete the file"):
        make(checkpoint=tmp_path).fit(X, Y)


# ------------------------------------------------------------------- several fits in a folder


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_search_that_was_killed_gives_what_one_that_was_not_does(tmp_path, kill):
    grid = {"dropout": [0.0, 0.2]}
    whole = GridSearchCV(make(epochs=2), grid, cv=2).fit(X, Y)
    kill(GridSearchCV(make(epochs=2, checkpoint=tmp_path), grid, cv=2, n_jobs=1), 6)
    assert len(list(tmp_path.iterdir())) == 1
    with joblib.parallel_backend("threading"):
        search = GridSearchCV(make(epochs=2, checkpoint=tmp_path), grid, cv=2, n_jobs=2).fit(X, Y)
    assert bits_of(search.best_estimator_) == bits_of(whole.best_estimator_)
    scores = "mean_test_score"
    np.testing.assert_array_equal(search.cv_results_[scores], whole.cv_results_[scores])
    assert list(tmp_path.iterdir()) == []


def test_file_that_the_same_fit_removes_while_it_is_written_is_no_failure(tmp_path, monkeypatch):
    def remove(source, path):
        patch.undo()
        _files.remove_file(path)  # as another process does when it has ended
        os.replace(source, path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", remove)
        clf = make(checkpoint=tmp_path).fit(X, Y)
    assert os.replace is not remove
    assert bits_of(clf) == bits_of(make().fit(X, Y))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_same_fit_twice_at_a_time_gives_the_same_model(tmp_path):
    fits = (joblib.delayed(make(checkpoint=tmp_path, epochs=20).fit)(X, Y) for _ in range(2))
    one, two = joblib.Parallel(2, backend="threading")(fits)
    assert bits_of(one) == bits_of(two) == bits_of(make(epochs=20).fit(X, Y))


# ---------------------------------------------------------------------------------- refusals


class NoConfig(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1


class Halves(TaskWeighting):
    """A strategy with settings of a kind that cannot be told."""

    def __init__(self, function=abs):
        self.function = function

    def initial_state(self, n_tasks):
        return {"factor": np.full(n_tasks, 0.5, np.float32)}

    def combine(self, losses, is_present, state):
        return keras.ops.sum(losses * state["factor"]), {}

    def weights(self, state, n_tasks):
        return state["factor"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"random_state": None}, "checkpoint needs a random_state: .* Set random_state to an int"),
        ({"callbacks": [keras.callbacks.TerminateOnNaN, keras.callbacks.ReduceLROnPlateau]},
         "what TerminateOnNaN, ReduceLROnPlateau would remember"),
        ({"optimizer": keras.optimizers.SGD, "optimizer__learning_rate": NoConfig},
         "Keras cannot write those of SGD"),
        ({"task_weighting": Halves()}, "task_weighting whose settings are known"),
        ({"checkpoint": 3}, "'checkpoint' parameter .* must be"),
    ],
    ids=["random_state", "callbacks", "optimizer", "strategy", "type"],
)  # fmt: skip
def test_fit_that_could_not_go_on_is_refused_before_it_begins(
    tmp_path, epochs_trained, params, words
):
    with pytest.raises(ValueError, match=words):
        make(**{"checkpoint": tmp_path, **params}).fit(X, Y)
    assert list(tmp_path.iterdir()) == []
    assert epochs_trained == []


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_strategy_of_numbers_goes_on(tmp_path, kill):
    name = name_of(tmp_path, kill, task_weighting=Halves(0.5))
    assert name_of(tmp_path, kill, task_weighting=Halves(0.25)) != name
    resumed = make(task_weighting=Halves(0.5), checkpoint=tmp_path).fit(X, Y)
    assert bits_of(resumed) == bits_of(make(task_weighting=Halves(0.5)).fit(X, Y))


def test_path_of_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="must be a folder that can be written to"):
            make(checkpoint=path).fit(X, Y)


def test_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch, epochs_trained):
    def fail(dir):
        raise PermissionError(13, "Permission denied", dir)

    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    with pytest.raises(ValueError, match=r"can be written to.*Permission denied"):
        make(checkpoint=tmp_path).fit(X, Y)
    assert epochs_trained == []


def test_partial_fit_and_a_fit_without_a_network_write_nothing(tmp_path):
    make(checkpoint=tmp_path / "none", callbacks=[], classes=[[0, 1], [0, 1, 2]]).partial_fit(X, Y)
    with pytest.warns(UserWarning, match="one class"):
        make(checkpoint=tmp_path / "none").fit(X, np.zeros(len(X)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("uncompiled")
def test_parameter_is_cloned_and_saved(tmp_path):
    clf = clone(make(checkpoint=str(tmp_path / "runs"), epochs=1)).fit(X, Y)
    save_model(clf, tmp_path / "model")
    assert load_model(tmp_path / "model").checkpoint == str(tmp_path / "runs")
    with pytest.raises(TypeError, match=r"'checkpoint' .* Give the folder as a str"):
        save_model(clf.set_params(checkpoint=tmp_path), tmp_path / "model")


# ------------------------------------------------------------------------------------- damage

ROWS = Subset(X, np.nan_to_num(Y).astype(np.int32), (Y == Y).astype(np.float32), np.arange(8))


def open_one(folder):
    """Return the settings of a run, its state and checkpoint, and progress to be written."""
    plan = make_plan(
        NetworkSpec(4, (1, 3), (5,)), TrainingParts(keras.optimizers.Adam(), FixedWeighting()),
        loss_normalization="tasks", task_names=("a", "b"), epochs=9, batch_size=8,
        seed=3, stopping=StoppingConfig(3),
    )  # fmt: skip
    frequencies = [np.ones(2) / 2, np.ones(3) / 3]
    start = draw_start(plan.program.spec, plan.parts.weighting, frequencies, plan.run.seed)
    program = TrainingProgram(plan.program, plan.parts.optimizer, plan.parts.weighting)
    checkpoint = open_resume_point(folder, plan, start, ROWS, ROWS)
    values = stack([program.values.join(program.start(start, plan.run))])
    state = Snapshot(program, values, 0, plan.run.learning_rate).read()
    best, monitor = (
        replace(state, network=[value + 1 for value in state.network]),
        plan.run.make_monitor(),
    )
    history = {"loss": [0.5, 0.25, float("nan")]}
    for loss in history["loss"]:
        monitor.update({"objective": 0.0, "loss": loss})
    return plan.run, state, checkpoint, Progress(monitor, 3, history, lambda: best, 2)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the settings of a run, its state, a checkpoint, and the content of its file."""
    run, state, checkpoint, progress = open_one(tmp_path_factory.mktemp("folder"))
    checkpoint.save_if_due(lambda: state, progress)
    return run, state, checkpoint, Path(checkpoint.path).read_bytes()


def test_all_is_read_that_was_written(written):
    run, state, checkpoint, content = written
    Path(checkpoint.path).write_bytes(content)
    progress, last = checkpoint.resume(state, run)
    assert (progress.epoch, progress.best_epoch) == (3, 2)
    assert repr(progress.history) == "{'loss': [0.5, 0.25, nan]}"
    [stopping] = progress.monitor.state()
    assert (stopping["best_loss"], stopping["best_epoch"], stopping["_epoch"]) == (0.25, 2, 3)
    for value, best in zip(state.network, progress.best().network, strict=True):
        np.testing.assert_array_equal(best, value + 1)
    for values in ("network", "optimizer"):
        for a, b in zip(getattr(last, values), getattr(state, values), strict=True):
            np.testing.assert_array_equal(a, b)


def refuse(written, content, match):
    """Assert that a content is refused, and that nothing was taken from it."""
    run, state, checkpoint, _ = written
    Path(checkpoint.path).write_bytes(content)
    before = [value.copy() for value in state.network]
    with pytest.raises(ValueError, match=match):
        checkpoint.resume(state, run)
    for a, b in zip(state.network, before, strict=True):
        np.testing.assert_array_equal(a, b)


@given(st.data())
def test_torn_file_is_refused(written, data):
    content = written[3]
    length = data.draw(st.integers(0, len(content) - 1))
    refuse(written, content[:length], r"cannot be read: .* Delete the file to train from the first")


@given(st.data())
def test_flipped_bit_is_refused(written, data):
    content = bytearray(written[3])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    refuse(written, bytes(content), r"cannot be read: .* Delete the file to train from the first")


KERNEL = "last/network/0"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda nodes, arrays: nodes.update(epoch=0),
        lambda nodes, arrays: nodes.update(epoch="3"),
        lambda nodes, arrays: nodes.update(epoch=4),
        lambda nodes, arrays: nodes.update(best_epoch=4),
        lambda nodes, arrays: nodes.update(best_epoch=0),
        lambda nodes, arrays: nodes.update(best=None),
        lambda nodes, arrays: nodes.update(history={"dict": []}),
        lambda nodes, arrays: nodes.update(history=3),
        lambda nodes, arrays: nodes.update(stopping=None),
        lambda nodes, arrays: nodes.update(stopping=[]),
        lambda nodes, arrays: nodes["tasks"].update(epochs_of_tasks=[[2, 1]]),
        lambda nodes, arrays: nodes["tasks"].update(epochs_of_tasks=[[0, 1]]),
        lambda nodes, arrays: nodes.update(tasks=None),
        lambda nodes, arrays: nodes["stopping"][0]["dict"].pop(),
        lambda nodes, arrays: nodes["stopping"][0]["dict"][0].__setitem__(1, "many"),
        lambda nodes, arrays: nodes["last"]["values"].pop(),
        lambda nodes, arrays: nodes["last"]["values"].reverse(),
        lambda nodes, arrays: nodes["last"].update(values=None),
        lambda nodes, arrays: nodes["last"].update(optimizer_settings=None),
        lambda nodes, arrays: nodes["last"].update(teacher={"n_steps": 1, "values": []}),
        lambda nodes, arrays: nodes["last"].update(averaging={"n_steps": "1", "values": []}),
        lambda nodes, arrays: nodes["best"].pop("optimizer"),
        lambda nodes, arrays: nodes.pop("last"),
        lambda nodes, arrays: nodes.pop("fit"),
        lambda nodes, arrays: nodes.update(versions=[]),
        lambda nodes, arrays: arrays.update({KERNEL: np.zeros((4, 6), np.float32)}),
        lambda nodes, arrays: arrays.update({KERNEL: np.zeros((4, 5))}),
        lambda nodes, arrays: arrays.pop("last/optimizer/3"),
    ],
)
def test_description_that_does_not_fit_is_refused(written, spoil):
    # With a checksum of its own: somebody wrote it, no disk damaged it.
    text, arrays = unpack(written[3])
    nodes = json.loads(text)
    spoil(nodes, arrays)
    refuse(written, pack(json.dumps(nodes), arrays), "cannot be read: .* Delete the file")


# ------------------------------------------------------------------------------------ SIGKILL

# A process that has imported the package, and forks before TensorFlow has computed anything.
PROCESSES = multiprocessing.get_context("forkserver")
LONG = {"hidden_layer_sizes": (8,), "epochs": 1000, "batch_size": 8, "dropout": 0.2}
CASES = {
    "plain": {**LONG, "epochs": 150, "task_weighting": "uncertainty"},
    "weighting": {**LONG, "task_weighting": "uncertainty"},
    "xla": {**LONG, "epochs": 4000, "jit_compile": True},
    "stopping": {**LONG, "early_stopping": True, "n_iter_no_change": 1000},
    "sparse": LONG,
}


def fit_in_child(case, folder, connection):
    table = (sp.csr_matrix(X), Y) if case == "sparse" else (X, Y)
    connection.send("begins")
    connection.send(bits_of(make(**CASES[case], checkpoint=folder).fit(*table)))


def fit_or_kill(case, folder, delay):
    """Fit in another process, which is killed after some seconds; return the bits, or None."""
    here, there = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=fit_in_child, args=(case, str(folder), there))
    child.start()
    there.close()
    assert here.recv() == "begins"
    bits = None
    if here.poll(delay):
        bits = here.recv()
    child.kill()
    child.join()
    return bits


def kill_at_random(case, folder, n_kills, seed):
    """Kill so many fits, or more until one has left a checkpoint; return how many have."""
    PROCESSES.set_forkserver_preload(["sk_mtl._classifier", "pytest"])
    table = (sp.csr_matrix(X), Y) if case == "sparse" else (X, Y)
    expected = bits_of(make(**CASES[case]).fit(*table))
    # In a process of its own, which imports and compiles as those do that are killed.
    begun = time.monotonic()
    assert fit_or_kill(case, folder, 600) == expected
    longest = time.monotonic() - begun
    rng, n_resumable = np.random.default_rng(seed), 0
    while n_kills > 0 or not n_resumable:
        assert n_kills > -25
        bits = fit_or_kill(case, folder, rng.uniform(0.2, 1) * longest)
        if bits is None:
            n_kills -= 1
            n_resumable += len(list(folder.glob("checkpoint-*"))) > 0
        else:
            assert bits == expected
    assert fit_or_kill(case, folder, 600) == expected
    assert list(folder.iterdir()) == []
    return n_resumable


@pytest.mark.slow
def test_fit_killed_by_sigkill_goes_on_to_the_same_bits(tmp_path):
    kill_at_random("plain", tmp_path, n_kills=2, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case != "plain"])
def test_fit_survives_many_kills(tmp_path, case, capsys):
    n_kills = int(os.environ.get("SK_MTL_KILLS", "25"))
    n_resumable = kill_at_random(case, tmp_path, n_kills, seed=1)
    with capsys.disabled():
        sys.stdout.write(f"\n{case}: {n_kills} kills, {n_resumable} left a checkpoint\n")
    assert n_resumable > 0
