"""Fits that are done together."""

import threading

import numpy as np
import pytest
from helpers import make_tiny

from sk_mtl import MultiTaskClassifier
from sk_mtl._fit_together import Asked, Fit, ask_for_programs, count_trainings, fit_together

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4)).astype(np.float32)
Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])], axis=1).astype(float)
Y[::4, 1] = np.nan
SETTINGS = {"epochs": 3, "jit_compile": True, "early_stopping": False}


def make(seed=0, **settings):
    return make_tiny(**(SETTINGS | {"random_state": seed} | settings))


def run(*estimators, **params):
    fits = [Fit(estimator, X, Y, params) for estimator in estimators]
    return {number: error for number, error, _ in fit_together(fits)}


@pytest.mark.slow
def test_estimators_are_those_of_separate_fits_but_for_rounding():
    together = [make(0), make(1, dropout=0.3), make(2, early_stopping=True), make(3, l2=0.01)]
    assert run(*together) == dict.fromkeys(range(4))
    for clf in together:
        alone = MultiTaskClassifier(**clf.get_params()).fit(X, Y)
        for found, expected in zip(clf.predict_proba(X), alone.predict_proba(X), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-4)
        assert clf.n_iter_ == alone.n_iter_


def test_arguments_of_fit_are_passed():
    weight = rng.uniform(size=len(X))
    clf = make()
    assert run(clf, sample_weight=weight) == {0: None}
    expected = make().fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(clf.predict_proba(X)[0], expected.predict_proba(X)[0])


def test_fit_that_fails_does_not_stop_the_others():
    good, bad, diverging = make(), make(epochs=0), make(optimizer__learning_rate=1e30, epochs=50)
    errors = run(good, bad, diverging)
    assert errors[0] is None
    assert good.n_iter_ == 3
    assert isinstance(errors[1], ValueError)
    assert "epochs" in str(errors[1])
    assert isinstance(errors[2], ValueError)
    assert "diverged" in str(errors[2])
    assert not hasattr(bad, "classes_")
    assert not hasattr(diverging, "classes_")


def test_unknown_argument_is_the_error_of_fit():
    errors = run(make(), unknown=1)
    assert isinstance(errors[0], TypeError)
    assert "unknown" in str(errors[0])


def test_fit_of_a_subclass_is_called():
    class Own(MultiTaskClassifier):
        def fit(self, X, y):
            self.called_ = True
            return super().fit(X, y)

    clf = Own(**make().get_params())
    assert run(clf) == {0: None}
    assert clf.called_
    assert clf.n_iter_ == 3


@pytest.mark.parametrize("n_wanted", [0, 1])
def test_closing_ends_the_work(n_wanted):
    estimators = [make(seed, epochs=2_000) for seed in range(4)]
    results = fit_together([Fit(clf, X, Y, {}) for clf in estimators])
    estimators[0].epochs = 1
    for _ in range(n_wanted):
        next(results)
    results.close()
    assert sum(hasattr(clf, "classes_") for clf in estimators) == n_wanted
    assert not any(thread.name.startswith("sk_mtl") for thread in threading.enumerate())


def test_fits_tell_the_programs_that_they_would_ask_for():
    asked = [ask_for_programs(Fit(clf, X, Y, {})) for clf in (make(0), make(1), make(2, epochs=0))]
    folds = ask_for_programs(Fit(make(early_stopping="cv"), X, Y, {}))
    assert asked[0] == asked[1] == Asked(asked[0].group, asked[0].first, None)
    assert asked[2] == Asked()
    assert len(folds.first) == 6  # that on all rows runs beside the folds
    assert count_trainings(asked).first == {asked[0].first[0]: 2}


def test_fits_that_are_asked_are_not_fitted():
    clf = make()
    ask_for_programs(Fit(clf, X, Y, {}))
    assert not hasattr(clf, "classes_")
