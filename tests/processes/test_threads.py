"""Tests of one estimator that a thread fits while others use it, in a forced order."""

import copy
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from helpers import make_tiny
from sklearn.base import clone

import sk_mtl._fit.rounds
import sk_mtl._summary
from sk_mtl import TaskView
from sk_mtl._compat.locks import lock_of

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 3))
Y = np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 0], axis=1).astype(int)
WAIT = 60  # seconds, for what comes at once


def make_fitted(**params):
    return make_tiny(epochs=1, **params).fit(X, Y)


def fit_otherwise(clf):
    """Fit with another number of tasks, of features and of members, and other labels."""
    return clf.set_params(ensemble_size=1).fit(X[:, :2], np.where(Y[:, :1] > 0, "b", "a"))


class RowsThatRefit:
    """X, during whose conversion to an array the estimator is fitted otherwise."""

    shape, dtype = X.shape, X.dtype

    def __init__(self, clf):
        self.clf = clf

    def __len__(self):
        return len(X)

    def __array__(self, dtype=None, copy=None):
        if self.clf is not None:
            clf, self.clf = self.clf, None
            fit_otherwise(clf)
        return X.astype(dtype or X.dtype)


@pytest.mark.parametrize(
    "ask",
    {
        "predict": lambda clf, X: clf.predict(X),
        "predict_proba": lambda clf, X: np.hstack(clf.predict_proba(X)),
        "predict_log_proba": lambda clf, X: np.hstack(clf.predict_log_proba(X)),
        "predict_std": lambda clf, X: np.hstack(clf.predict_std(X)),
        "predict_proba_frame": lambda clf, X: clf.predict_proba_frame(X),
        "score": lambda clf, X: clf.score(X, Y),
        "task_view": lambda clf, X: clf.task_view("y2").predict(X),
        "TaskView": lambda clf, X: TaskView(clf, 2).predict_proba(X),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_read_of_one_fit_is_not_mixed_with_another(ask):
    clf = make_fitted(ensemble_size=2)
    expected = ask[1](clf, X)
    np.testing.assert_array_equal(ask[1](clf, RowsThatRefit(clf)), expected)
    assert clf.n_tasks_ == 1  # it was fitted in between


def test_summary_is_of_one_fit(monkeypatch):
    clf = make_fitted()
    expected = str(clf.summary())
    list_layers = sk_mtl._summary._table_of_layers

    def refit_first(*arguments):
        fit_otherwise(clf)
        return list_layers(*arguments)

    monkeypatch.setattr(sk_mtl._summary, "_table_of_layers", refit_first)
    assert str(clf.summary()) == expected


def test_estimator_predicts_by_the_last_fit_while_the_next_one_trains(monkeypatch):
    clf = make_fitted()
    expected, found = clf.predict(X), []
    fit_model = sk_mtl._fit.rounds.fit_model

    def predict_first(*arguments):
        found.append(clf.predict(X))
        return fit_model(*arguments)

    monkeypatch.setattr(sk_mtl._fit.rounds, "fit_model", predict_first)
    fit_otherwise(clf)
    np.testing.assert_array_equal(found, [expected])
    assert clf.n_features_in_ == 2


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_threads_that_train_one_estimator_wait_for_each_other(method, monkeypatch):
    # Each waits inside for the other, which comes there only if nothing keeps it out.
    name = {"fit": "fit_model", "partial_fit": "train_one_epoch"}[method]
    train, inside = getattr(sk_mtl._fit.rounds, name), threading.Semaphore(0)
    clf = make_fitted(warm_start=True)

    def train_slowly(*arguments):
        fitted = train(*arguments)
        inside.release()
        inside.acquire(timeout=0.2)
        inside.acquire(timeout=0.2)
        inside.release()
        return fitted

    monkeypatch.setattr(sk_mtl._fit.rounds, name, train_slowly)
    threads = [threading.Thread(target=getattr(clf, method), args=(X, Y)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert clf.n_iter_ == 3
    assert len(clf.history_["loss"]) == 3


def test_interrupted_fit_leaves_no_lock(monkeypatch):
    clf = make_fitted()

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sk_mtl._fit.rounds, "train_one_epoch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            clf.partial_fit(X, Y)
    thread = threading.Thread(target=clf.partial_fit, args=(X, Y), daemon=True)
    thread.start()
    thread.join(WAIT)
    assert clf.n_iter_ == 2


def test_thread_that_trains_an_estimator_may_train_it_within():
    clf = make_fitted()
    with lock_of(clf):
        assert clf.partial_fit(X, Y).n_iter_ == 2


@pytest.mark.parametrize(
    "transport", [clone, copy.copy, copy.deepcopy, lambda clf: pickle.loads(pickle.dumps(clf))]
)
def test_copy_has_a_lock_of_its_own(transport):
    clf = make_fitted()
    with lock_of(clf):
        other = transport(clf)
        assert lock_of(other) is not lock_of(clf)
        assert lock_of(clf) is lock_of(clf)
    assert not any("lock" in name.lower() for name in vars(clf))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_process_does_not_wait_for_a_thread_it_lacks():
    script = """
import os, threading
from sk_mtl._compat.locks import lock_of
class Owner: pass
owner, held, done = Owner(), threading.Event(), threading.Event()
def hold():
    with lock_of(owner):
        held.set(); done.wait()
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if not child:
    os._exit(0 if lock_of(owner).acquire(blocking=False) else 1)
status = os.waitpid(child, 0)[1]
done.set()
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    run = [sys.executable, "-W", "ignore", "-c", script]
    assert subprocess.run(run, check=False, timeout=WAIT).returncode == 0
