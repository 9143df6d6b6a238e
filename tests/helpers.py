"""What several test files share: a small estimator, comparisons of two fits, and a fit's end."""

from unittest import mock

import numpy as np
import pytest

from sk_mtl import MultiTaskClassifier
from sk_mtl._train.loop import TrainingRun


def make_tiny(**params):
    """Return an estimator that is fitted in no time; a file fixes more by ``partial``."""
    tiny = {"hidden_layer_sizes": (4,), "epochs": 2, "random_state": 0} | params
    if tiny.get("model") is not None:
        del tiny["hidden_layer_sizes"]
    return MultiTaskClassifier(**tiny)


def weights_of(clf):
    """Return the variables of a fitted network as arrays."""
    return [np.array(v.numpy()) for v in clf.model_.variables]


def assert_same_arrays(first, second, atol=0.0):
    """Assert that two sequences hold equal arrays, by default bit for bit."""
    for one, other in zip(first, second, strict=True):
        if atol:
            np.testing.assert_allclose(one, other, atol=atol)
        else:
            np.testing.assert_array_equal(one, other)


def assert_same_predictions(first, second, X, atol=0.0):
    """Assert that two estimators predict the same probabilities, by default bit for bit."""
    assert_same_arrays(first.predict_proba(X), second.predict_proba(X), atol)


def predict_differently(first, second, X):
    """Whether any probability of two estimators differs."""
    pairs = zip(first.predict_proba(X), second.predict_proba(X), strict=True)
    return any((p != q).any() for p, q in pairs)


def assert_same_fits(first, second, X):
    """Assert that two fits agree in weights, history and predictions, bit for bit."""
    assert_same_arrays(weights_of(first), weights_of(second))
    assert first.history_.keys() == second.history_.keys()
    assert_same_arrays(first.history_.values(), second.history_.values())
    np.testing.assert_array_equal(first.task_weights_, second.task_weights_)
    assert_same_predictions(first, second, X)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the package handles it."""


def fit_until_killed(clf, epoch, *data):
    """Fit, and kill the fit as this epoch begins, counted over all of its trainings."""
    calls, begin = [], TrainingRun.begin_epoch

    def begin_or_die(run):
        calls.append(run)
        if len(calls) == epoch:
            raise Killed
        return begin(run)

    with mock.patch.object(TrainingRun, "begin_epoch", begin_or_die), pytest.raises(Killed):
        clf.fit(*data)
