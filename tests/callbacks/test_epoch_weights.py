"""The weights of each epoch."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from sk_mtl import MultiTaskClassifier
from sk_mtl._train import program_cache as _program_cache
from sk_mtl.callbacks import EpochWeights
from sk_mtl.datasets import make_multitask_classification

X, Y = make_multitask_classification(n_samples=60, n_tasks=2, random_state=0)


def make(record, **settings):
    settings = {"epochs": 3, "callbacks": record, "random_state": 0} | settings
    return MultiTaskClassifier((4,), **settings)


def list_values(model):
    return [np.array(v) for v in (*model.trainable_variables, *model.non_trainable_variables)]


def assert_equal(weights, others):
    for values, expected in zip(weights, others, strict=True):
        np.testing.assert_array_equal(values, expected)


def test_weights_of_an_epoch_are_those_of_a_fit_that_ends_with_it():
    record = EpochWeights()
    make(record).fit(X, Y)

    assert record.epochs_ == [1, 2, 3]
    for epoch, weights in zip(record.epochs_, record.weights_, strict=True):
        shorter = make(None, epochs=epoch).fit(X, Y)
        assert_equal(weights, list_values(shorter.model_))


def test_record_changes_nothing_of_the_fit():
    plain = make(None).fit(X, Y)

    watched = make(EpochWeights()).fit(X, Y)

    assert_equal(list_values(watched.model_), list_values(plain.model_))
    assert watched.history_ == plain.history_


def test_every_second_epoch_is_kept_from_the_first_on():
    record = EpochWeights(every=2)
    make(record, epochs=4).fit(X, Y)

    assert record.epochs_ == [1, 3]
    assert len(record.weights_) == 2


def test_second_fit_starts_the_record_afresh():
    record = EpochWeights()
    make(record).fit(X, Y)

    make(record, epochs=2).fit(X, Y)

    assert record.epochs_ == [1, 2]


def test_continued_training_continues_the_record():
    record = EpochWeights()
    clf = make(record)

    for _ in range(2):
        clf.partial_fit(X, Y, classes={"y0": [0, 1], "y1": [0, 1]})

    assert record.epochs_ == [1, 2]
    assert_equal(record.weights_[-1], list_values(clf.model_))


def test_record_is_pickled_with_the_estimator():
    clf = make(EpochWeights()).fit(X, Y)

    again = pickle.loads(pickle.dumps(clf)).callbacks

    assert again.epochs_ == [1, 2, 3]
    assert_equal(again.weights_[1], clf.callbacks.weights_[1])


def test_fits_with_a_record_share_their_compiled_program(monkeypatch):
    built = []

    class Counted(_program_cache.TrainingProgram):
        def __init__(self, *args):
            built.append(self)
            super().__init__(*args)

    monkeypatch.setattr(_program_cache, "TrainingProgram", Counted)
    for _ in range(2):
        make(EpochWeights(), epochs=1).fit(X, Y)

    assert len(built) <= 1  # an earlier test may have left one


def test_clone_leaves_the_record_of_the_original_alone():
    clf = make(EpochWeights()).fit(X, Y)

    clone(clf).set_params(epochs=1).fit(X, Y)

    assert clf.callbacks.epochs_ == [1, 2, 3]


@pytest.mark.parametrize("every", [0, 1.5, True])
def test_every_must_be_a_positive_integer(every):
    with pytest.raises(ValueError, match=r"'every' .* must be an integer >= 1"):
        EpochWeights(every)
