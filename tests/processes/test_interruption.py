"""What stops a fit leaves a usable estimator or none: Ctrl-C, a callback that raises, NaN."""

import copy
import multiprocessing
import os
import signal
import sys
import time

import keras
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV

from sk_mtl import MultiTaskClassifier, clear_program_cache
from sk_mtl._classifier import MultiTaskClassifier as Classifier
from sk_mtl._fit import preparation as _preparation
from sk_mtl._train import pack as _pack
from sk_mtl._train import program_cache as _program_cache
from sk_mtl._train import together as _together
from sk_mtl._train.loop import NonFiniteLossError, TrainingRun
from sk_mtl._train.member_step import MemberStep
from sk_mtl._train.pack import Pack
from sk_mtl._train.program import TrainingProgram

# Keras hands variables to np.array, which NumPy 2 objects to.
pytestmark = [
    pytest.mark.usefixtures("heeds_ctrl_c"),
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),
]


def make_table(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])], axis=1).astype(float)
    Y[rng.random(Y.shape) < 0.3] = np.nan
    return X, Y


X, Y = make_table()


def make(**params):
    settings = {
        "hidden_layer_sizes": (5,), "epochs": 3, "batch_size": 16, "dropout": 0.2,
        "early_stopping": True, "validation_fraction": 0.3, "random_state": 0,
    }  # fmt: skip
    return MultiTaskClassifier(**{**settings, **params})


def bits_of(clf):
    """Return all that a fit gave."""
    state = clf._fitted.network.state
    arrays = [*state.network, *state.optimizer, *clf.predict_proba(X)]
    return b"".join(a.tobytes() for a in arrays), repr((clf.history_, clf.best_iter_))


def attributes_of(clf):
    """Return which objects the fitted attributes are."""
    return {k: id(v) for k, v in vars(clf).items() if k not in clf.get_params()}


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X, Y)


@pytest.fixture(scope="module")
def expected(fitted):
    return bits_of(fitted)


# ------------------------------------------------------------------------------------- Ctrl-C


def press_ctrl_c():
    """Do what Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)


@pytest.mark.slow_except("MultiTaskClassifier-_set_fitted-1")
@pytest.mark.parametrize(("owner", "name", "call"), [
    (_preparation, "draw_start", 1),
    (TrainingProgram, "__init__", 1),
    (TrainingProgram, "start", 1),
    (MemberStep, "train", 1),
    (Pack, "_call", 1),
    (Pack, "_call", 3),
    (TrainingProgram, "read", 1),
    (_pack, "validation_logs", 2),
    (_together, "release_program", 1),
    (Classifier, "_set_fitted", 1),
])  # fmt: skip
def test_ctrl_c_leaves_the_estimator_as_it_was(fitted, expected, monkeypatch, owner, name, call):
    if owner in (TrainingProgram, MemberStep):
        clear_program_cache()  # else it is built, and traced, already
    calls, function = [], getattr(owner, name)

    def interrupt(*args, **settings):
        calls.append(name)
        if len(calls) == call:
            press_ctrl_c()
        return function(*args, **settings)

    clf = copy.deepcopy(fitted)
    before = attributes_of(clf)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            clf.fit(X, Y)
    assert attributes_of(clf) == before
    assert bits_of(clf) == expected
    assert bits_of(make().fit(X, Y)) == expected


@pytest.mark.parametrize("going_on", [False, True], ids=["afresh", "warm"])
def test_ctrl_c_leaves_nothing_half_fitted(fitted, expected, monkeypatch, going_on):
    fresh, warm = make(), copy.deepcopy(fitted).set_params(warm_start=True)
    clf = warm if going_on else fresh
    monkeypatch.setattr(TrainingRun, "begin_epoch", lambda *args: press_ctrl_c())
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    assert bits_of(warm) == expected
    assert not hasattr(fresh, "n_features_in_")
    with pytest.raises(NotFittedError):
        fresh.predict(X)


@pytest.mark.slow
def test_program_that_was_interrupted_is_not_used_again(monkeypatch):
    make().fit(X, Y)
    idle = len(_program_cache._idle_programs)
    monkeypatch.setattr(Pack, "_call", lambda *args, **settings: press_ctrl_c())
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, Y)
    assert len(_program_cache._idle_programs) == idle - 1


@pytest.mark.slow
def test_second_ctrl_c_while_the_estimator_is_put_back_changes_nothing(fitted, expected):
    class Impatient(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            press_ctrl_c()

        def set_model(self, model):
            super().set_model(model)
            if model is None:  # training cleans up
                press_ctrl_c()

    clf = copy.deepcopy(fitted).set_params(callbacks=Impatient())
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    assert bits_of(clf) == expected


@pytest.mark.slow
def test_ctrl_c_ends_a_search_and_not_one_of_its_fits(expected, monkeypatch):
    fits, fit = [], Classifier.fit

    def interrupt_the_second(self, *args, **settings):
        fits.append(self)
        if len(fits) == 2:
            self.set_params(callbacks=keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: press_ctrl_c()
            ))  # fmt: skip
        return fit(self, *args, **settings)

    search = GridSearchCV(make(), {"l2": [0.0, 0.1]}, cv=2, error_score=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "fit", interrupt_the_second)
        with pytest.raises(KeyboardInterrupt):
            search.fit(X, Y)
    assert len(fits) == 2
    assert not hasattr(search, "best_estimator_")
    assert bits_of(make().fit(X, Y)) == expected


def test_bar_is_closed_when_a_fit_is_interrupted(monkeypatch, capsys):
    monkeypatch.setattr(TrainingRun, "begin_epoch", lambda *args: press_ctrl_c())
    with pytest.raises(KeyboardInterrupt):
        make(verbose=1).fit(X, Y)
    assert capsys.readouterr().err.endswith("\n")


# ----------------------------------------------------------------------------------- callbacks


@pytest.mark.slow
@pytest.mark.parametrize(
    "hook",
    ["set_params", "set_model", "on_train_begin", "on_epoch_begin", "on_train_batch_begin",
     "on_train_batch_end", "on_epoch_end", "on_train_end"],
)  # fmt: skip
def test_callback_that_raises_leaves_the_estimator_as_it_was(fitted, expected, hook):
    def fail(*args, **settings):
        raise RuntimeError("out of ink")

    callback = keras.callbacks.Callback()
    setattr(callback, hook, fail)
    clf = copy.deepcopy(fitted).set_params(callbacks=[callback])
    before = attributes_of(clf)
    with pytest.raises(RuntimeError, match="out of ink"):
        clf.fit(X, Y)
    assert attributes_of(clf) == before
    assert bits_of(clf) == expected
    assert callback.model is None
    assert bits_of(make().fit(X, Y)) == expected


# ------------------------------------------------------------------------------------------ NaN

TOO_FAST = {"optimizer": "sgd", "optimizer__learning_rate": 1e6, "epochs": 20, "batch_size": 32}
ADVICE = r"Scale X \(standardize=True\), lower optimizer__learning_rate, or clip gradients"


def test_nan_loss_says_epoch_tasks_and_what_to_try(fitted, expected):
    fresh, clf = make(**TOO_FAST, early_stopping=False), copy.deepcopy(fitted)
    clf.set_params(**TOO_FAST, early_stopping=False)
    for each in (fresh, clf):
        with pytest.raises(
            NonFiniteLossError,
            match=rf"objective is nan after epoch [1-9] \(tasks 'y0', 'y1'\)\. {ADVICE}",
        ):
            each.fit(X, Y)
    assert not hasattr(fresh, "history_")
    assert bits_of(clf) == expected
    assert bits_of(make().fit(X, Y)) == expected


def test_nan_loss_after_a_best_epoch_keeps_that_epoch():
    with pytest.warns(ConvergenceWarning, match=rf"after epoch \d.*{ADVICE}.*epoch 1 are") as told:
        clf = make(**TOO_FAST).fit(X, Y)
    assert [warning.filename for warning in told] == [__file__]
    assert clf.best_iter_ == 1 < clf.n_iter_
    assert np.isfinite(np.hstack(clf.predict_proba(X))).all()


def test_nan_loss_of_a_second_fit_counts_epochs_as_the_history_does(fitted):
    clf = copy.deepcopy(fitted).set_params(warm_start=True)
    clf.set_params(**{**TOO_FAST, "optimizer__learning_rate": 1e30}, early_stopping=False)
    with pytest.raises(NonFiniteLossError, match=f"after epoch {fitted.n_iter_ + 1} "):
        clf.fit(X, Y)


@pytest.mark.slow
def test_objective_that_overflows_while_losses_do_not_is_told_apart():
    clf = make(task_weighting="uncertainty", loss_normalization="tasks", early_stopping=False)
    clf.set_params(optimizer="rmsprop", optimizer__learning_rate=1e3)
    with pytest.raises(NonFiniteLossError, match="loss of each task is finite: task weights or"):
        clf.fit(X, Y)


@pytest.mark.slow
def test_search_scores_a_fit_that_diverges_as_failed():
    grid = {"optimizer__learning_rate": [0.1, 1e6]}
    search = GridSearchCV(make(**{**TOO_FAST, "early_stopping": False}), grid, cv=2)
    with (
        pytest.warns(FitFailedWarning, match=r"2 fits failed(.|\n)*Training diverged"),
        pytest.warns(UserWarning, match="test scores are non-finite"),
    ):
        search.fit(X, Y)
    assert search.best_params_ == {"optimizer__learning_rate": 0.1}


# ---------------------------------------------------------------------------- random moments

# A process that has imported the package, and forks before TensorFlow has computed anything.
PROCESSES = multiprocessing.get_context("forkserver")


def interrupt_at_random(n_interrupts, seed, params, connection):
    """Interrupt fits at random moments; send how many were, and what was wrong afterwards."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, lambda *args: os.kill(os.getpid(), signal.SIGINT))
    # Where Python cannot raise, as in `__del__`, it tells of the interruption and goes on.
    sys.unraisablehook = lambda told: None
    long = {"epochs": 60, "n_iter_no_change": 60, **params}
    seconds = []  # of a fit that compiles, and of one that does not
    for _ in range(2):
        begun = time.monotonic()
        fitted = make(**long).fit(X, Y)
        seconds.append(time.monotonic() - begun)
    expected, rng = bits_of(fitted), np.random.default_rng(seed)
    n_interrupted, wrong = 0, []
    for number in range(n_interrupts):
        is_compiled = rng.random() < 0.5
        if not is_compiled:
            clear_program_cache()
        clf = copy.deepcopy(fitted)
        before = attributes_of(clf)
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.001, seconds[is_compiled]))
            clf.fit(X, Y)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except (KeyboardInterrupt, SystemError):  # C code may make the latter of the former
            n_interrupted += 1
            if attributes_of(clf) != before or bits_of(clf) != expected:
                wrong.append(f"estimator {number}")
        if bits_of(make(**long).fit(X, Y)) != expected:
            wrong.append(f"next fit {number}")
    connection.send((n_interrupted, wrong))


def run_interruptions(n_interrupts, seed, params):
    PROCESSES.set_forkserver_preload(["sk_mtl._classifier", "pytest"])
    here, there = PROCESSES.Pipe(duplex=False)
    arguments = (n_interrupts, seed, params, there)
    child = PROCESSES.Process(target=interrupt_at_random, args=arguments)
    child.start()
    there.close()
    n_interrupted, wrong = here.recv()
    child.join()
    assert wrong == []
    return n_interrupted


@pytest.mark.slow
@pytest.mark.parametrize(
    "params", [{}, {"early_stopping": "cv", "jit_compile": True}], ids=["one", "folds"]
)
def test_ctrl_c_at_many_random_moments_changes_nothing(capsys, params):
    n_interrupts = int(os.environ.get("SK_MTL_INTERRUPTS", "100"))
    n_interrupted = run_interruptions(n_interrupts, 1, params)
    with capsys.disabled():
        sys.stdout.write(f"\n{n_interrupted} fits interrupted\n")
    assert n_interrupted > 0
