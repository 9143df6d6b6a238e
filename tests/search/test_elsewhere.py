"""Searches whose fits are done by workers: the same results, and what travels."""

import pickle
import warnings
from collections import deque
from contextlib import contextmanager

import numpy as np
import pytest
from helpers import make_tiny
from searches import FOLDS, GRID, X, Y, assert_same_results
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl._search import search as module
from sk_mtl._train import together
from sk_mtl.metrics import make_multitask_scorer
from sk_mtl.model_selection import MultiTaskSearchCV


class Placed:
    def __init__(self, content):
        self.content = content


class Pickling:
    """Workers in this process, which take and give pickles, as those of an engine."""

    def __init__(self, n_workers):
        self.n_workers = n_workers
        self.placed = []  # sizes in bytes
        self.sent = []  # function, size in bytes, and worker
        self._waiting = deque()
        self.n_waiting_at_most = 0

    def count(self):
        return self.n_workers

    def place(self, value):
        content = pickle.dumps(value)
        self.placed.append(len(content))
        return Placed(content)

    def find_idle(self):
        busy = {worker for worker, _, _ in self._waiting}
        return [number for number in range(self.n_workers) if number not in busy]

    def send(self, worker, function, *arguments):
        content = pickle.dumps([a for a in arguments if not isinstance(a, Placed)])
        self.sent.append((function.__name__, len(content), worker))
        self._waiting.append((worker, function, arguments))
        self.n_waiting_at_most = max(self.n_waiting_at_most, len(self._waiting))

    def is_busy(self):
        return bool(self._waiting)

    def receive(self):
        _, function, arguments = self._waiting.popleft()
        there = [
            pickle.loads(a.content if isinstance(a, Placed) else pickle.dumps(a)) for a in arguments
        ]
        return [pickle.loads(pickle.dumps(function(*there)))]

    def cancel(self):
        self._waiting.clear()

    def n_parcels(self):
        return sum(name == "_do_fits" for name, _, _ in self.sent)


@pytest.fixture
def workers(monkeypatch):
    """Two workers, which all searches use."""
    workers = Pickling(2)

    @contextmanager
    def open_workers():
        yield workers

    monkeypatch.setattr(module, "open_workers", open_workers)
    return workers


def search_here(*args, **kwargs):
    """Search in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "open_workers", contextmanager(lambda: iter([None])))
        return MultiTaskSearchCV(*args, **kwargs).fit(X, Y)


def assert_equal_results(found, expected):
    """Assert that all columns but the times are equal, bit for bit."""
    assert_same_results(found.cv_results_, expected.cv_results_)
    for key in found.cv_results_:
        if key.startswith(("split", "mean_test", "std_test", "mean_train", "std_train")):
            np.testing.assert_array_equal(found.cv_results_[key], expected.cv_results_[key])


class Picky(TransformerMixin, BaseEstimator):
    """Fails or warns on request."""

    def __init__(self, fails=False):
        self.fails = fails

    def fit(self, X, y=None):
        if self.fails:
            raise ZeroDivisionError("this step fails")
        warnings.warn("this step warns", RuntimeWarning, stacklevel=1)
        return self

    def transform(self, X):
        return X


# -- The same results ----------------------------------------------------------------------------


@pytest.mark.slow_except("predictions")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scoring": make_multitask_scorer("neg_log_loss", average=None), "refit": "mean"},
        {"return_train_score": True, "keep_predictions": "all"},
        {"factor": 2},
        {"factor": 2, "resource": "n_samples", "min_resources": 30, "random_state": 0},
    ],
    ids=["plain", "several scores", "predictions", "halving", "halving by rows"],
)
def test_results_are_those_of_a_search_in_this_process(workers, options):
    found = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, **options).fit(X, Y)

    expected = search_here(make_tiny(), GRID, cv=FOLDS, **options)
    assert workers.n_parcels() > 1
    assert_equal_results(found, expected)
    assert found.leaderboard_.columns.tolist() == expected.leaderboard_.columns.tolist()
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    if "keep_predictions" in options:
        for number, kept in expected.cv_predictions_.items():
            for one, other in zip(found.cv_predictions_[number], kept, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_pipelines_have_the_same_results(workers):
    pipe = make_pipeline(StandardScaler(), make_tiny())
    grid = {
        "standardscaler__with_mean": [True, False],
        "multitaskclassifier__optimizer__learning_rate": [1e-4, 1e-1],
    }

    found = MultiTaskSearchCV(pipe, grid, cv=FOLDS, refit=False).fit(X, Y)

    assert_equal_results(found, search_here(pipe, grid, cv=FOLDS, refit=False))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "n_jobs"),
    [({}, [6]), ({"early_stopping": "cv"}, [6 * 6])],
    ids=["one training", "folds"],
)
def test_trainings_of_a_program_are_counted_over_all_workers(
    workers, monkeypatch, settings, n_jobs
):
    counted = []

    def count_members(program, n):
        counted.append(n)
        return 1

    monkeypatch.setattr(together, "_count_members", count_members)
    grid = {"optimizer__learning_rate": [1e-4, 1e-2]}
    clf = make_tiny(jit_compile=True, early_stopping=False).set_params(**settings)

    MultiTaskSearchCV(clf, grid, cv=FOLDS, refit=False).fit(X, Y)

    assert workers.n_parcels() > 1
    assert set(counted) == set(n_jobs)
    counted.clear()
    search_here(clf, grid, cv=FOLDS, refit=False)
    assert counted == n_jobs


# -- What travels --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"factor": 2}], ids=["plain", "halving"])
def test_rows_are_sent_once(workers, options):
    many, labels = np.random.default_rng(0).normal(size=(3000, 3)), np.arange(3000) % 2

    MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, refit=False, **options).fit(many, labels)

    data, folds = workers.placed
    assert many.nbytes < data < 2 * many.nbytes
    assert folds < 4 * labels.nbytes  # a training and a test part of each fold
    assert max(size for _, size, _ in workers.sent) < 10_000


@pytest.mark.slow
def test_search_that_was_fitted_before_is_not_sent(workers):
    search = MultiTaskSearchCV(make_tiny(hidden_layer_sizes=(2_000,)), {}, cv=FOLDS).fit(X, Y)

    search.fit(X, Y)

    assert workers.placed[0] == workers.placed[2] < 20_000


@pytest.mark.slow
def test_worker_has_one_parcel_at_a_time(workers):
    MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, refit=False).fit(X, Y)

    assert workers.n_waiting_at_most == 2


# -- Errors and warnings -------------------------------------------------------------------------


@pytest.mark.slow
def test_fits_that_fail_get_the_error_score(workers):
    pipe = make_pipeline(Picky(), make_tiny())
    grid = {"picky__fails": [True, False], "multitaskclassifier__dropout": [0.0, 2.0]}

    with pytest.warns() as caught:
        search = MultiTaskSearchCV(pipe, grid, cv=FOLDS, error_score=-1.0).fit(X, Y)

    assert search.cv_results_["mean_test_score"][[0, 2, 3]].tolist() == [-1.0] * 3
    failed = [str(w.message) for w in caught if w.category is FitFailedWarning]
    assert len(failed) == 1
    assert failed[0].startswith("9 of 12 fits of the search failed")
    assert "ZeroDivisionError: this step fails" in failed[0]


def test_warnings_of_workers_are_heard_at_the_line_of_the_user(workers):
    pipe = make_pipeline(Picky(), make_tiny())

    with pytest.warns(RuntimeWarning, match="this step warns") as caught:
        MultiTaskSearchCV(pipe, {}, cv=FOLDS, refit=False).fit(X, Y)

    assert {warning.filename for warning in caught} == {__file__}


def test_error_of_a_worker_is_raised_here_and_ends_the_search(workers):
    grid = {"picky__fails": [True], "multitaskclassifier__epochs": [1, 2, 3]}
    pipe = make_pipeline(Picky(), make_tiny())
    search = MultiTaskSearchCV(pipe, grid, cv=FOLDS, error_score="raise")

    with pytest.raises(ZeroDivisionError, match="this step fails") as raised:
        search.fit(X, Y)

    assert "On a worker of the cluster" in raised.value.__notes__[0]
    assert not workers.is_busy()
    assert vars(search).keys() == search.get_params(deep=False).keys()


def test_several_scores_without_a_decision_are_refused(workers):
    scoring = make_multitask_scorer("neg_log_loss", average=None)

    with pytest.raises(ValueError, match="refit must be set"):
        MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, scoring=scoring).fit(X, Y)

    assert not workers.is_busy()


# -- Time, kept results, progress ----------------------------------------------------------------


@pytest.mark.slow
def test_search_stops_when_the_time_is_over(workers):
    grid = {"optimizer__learning_rate": np.logspace(-4, -1, 12).tolist()}

    with pytest.warns(match=r"max_time ended the search: \d+ of 12 candidates"):
        search = MultiTaskSearchCV(make_tiny(), grid, cv=FOLDS, max_time=0).fit(X, Y)

    is_evaluated = search.cv_results_["is_evaluated"]
    assert 0 < is_evaluated.sum() < 12
    assert not workers.is_busy()


def test_results_are_kept_as_they_arrive(workers, tmp_path):
    options = {"cv": FOLDS, "refit": False, "checkpoint": tmp_path}
    first = MultiTaskSearchCV(make_tiny(), GRID, **options).fit(X, Y)
    n_sent = len(workers.sent)

    second = MultiTaskSearchCV(make_tiny(), GRID, **options).fit(X, Y)

    assert len(workers.sent) == n_sent
    assert_equal_results(second, first)


def test_progress_bar_counts_the_fits_of_workers(workers, capfd):
    MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, refit=False, verbose=1).fit(X, Y)

    assert "12/12" in capfd.readouterr().err
