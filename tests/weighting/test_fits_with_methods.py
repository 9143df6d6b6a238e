"""Fits with each strategy by name: with tasks that most batches lack, and in files."""

import pickle

import numpy as np
import pytest
from helpers import assert_same_fits

from sk_mtl import MultiTaskClassifier, load_model, save_model
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.weighting._make import WEIGHTING_NAMES

X, FULL = make_multitask_classification(160, 6, n_classes=(2, 3, 2, 2), random_state=0)


def thin_out(Y):
    """Return labels of which half of the tasks have none in nine of ten batches of 16 rows."""
    thinned = Y.astype(float)
    thinned[16:, 2:] = np.nan
    return thinned


def fit(name, Y, **params):
    settings = {"epochs": 4, "batch_size": 16, "early_stopping": False, "random_state": 0}
    clf = MultiTaskClassifier((12,), task_weighting=name, **(settings | params))
    return clf.fit(X, Y)


@pytest.mark.slow_except("pcgrad", "famo", "graddrop")
@pytest.mark.parametrize("name", WEIGHTING_NAMES)
def test_fit_with_tasks_that_batches_lack_is_finite_and_is_kept(name, tmp_path):
    clf = fit(name, thin_out(FULL))
    assert np.isfinite(clf.history_["loss"]).all()
    assert np.isfinite(clf.task_weights_).all()
    assert_same_fits(pickle.loads(pickle.dumps(clf)), clf, X)
    save_model(clf, tmp_path / "model.safetensors")
    assert_same_fits(load_model(tmp_path / "model.safetensors"), clf, X)


@pytest.mark.slow
@pytest.mark.parametrize("name", WEIGHTING_NAMES)
def test_what_lies_under_the_mask_changes_no_bit(name):
    weight = np.ones(FULL.shape)
    weight[16:, 2:] = 0
    other = np.where(weight > 0, FULL, 1 - np.minimum(FULL, 1))
    first, second = (
        MultiTaskClassifier(
            (12,), task_weighting=name, epochs=2, batch_size=16, early_stopping=False,
            classes=[[0, 1], [0, 1, 2], [0, 1], [0, 1]], random_state=0,
        ).fit(X, Y, sample_weight=weight)
        for Y in (FULL, other)
    )  # fmt: skip
    assert_same_fits(first, second, X)
