"""Fits with each strategy by name: with tasks that most batches lack, in files, packs and more."""

import pickle
from unittest import mock

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import assert_same_fits, assert_same_predictions, fit_until_killed

from sk_mtl import MultiTaskClassifier, MultiTaskEnsemble, load_model, save_model
from sk_mtl._ensemble.candidates import draw_candidates
from sk_mtl._fit.best import choose_best
from sk_mtl._fit_together import Fit, fit_together
from sk_mtl._train import resume, together
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.weighting import GradDropWeighting, SmoothTchebycheffWeighting
from sk_mtl.weighting._make import WEIGHTING_NAMES

X, FULL = make_multitask_classification(160, 6, n_classes=(2, 3, 2, 2), random_state=0)
# As by name, but with a warm-up that tiny fits leave behind.
STRATEGIES = dict(zip(WEIGHTING_NAMES, WEIGHTING_NAMES, strict=True))
STRATEGIES["stch"] = SmoothTchebycheffWeighting(warmup_epochs=2)
EACH = pytest.mark.parametrize("name", WEIGHTING_NAMES)
# One of each kind: by losses of before and after a step, by norms, by a problem, by signs.
MOSTLY_BEFORE_RELEASES = pytest.mark.release_except(
    "dwa", "famo", "gradnorm", "pcgrad", "upgrad", "graddrop"
)


def thin_out(Y):
    """Return labels of which half of the tasks have none in nine of ten batches of 16 rows."""
    thinned = Y.astype(float)
    thinned[16:, 2:] = np.nan
    return thinned


def make(name, **params):
    settings = {"epochs": 4, "batch_size": 16, "early_stopping": False, "random_state": 0}
    return MultiTaskClassifier((12,), task_weighting=STRATEGIES[name], **(settings | params))


def fit(name, Y, **params):
    return make(name, **params).fit(X, Y)


def assert_same_states(first, second):
    """Assert that two strategies have learned the same, bit for bit."""
    states = [clf._fitted.network.state.weighting for clf in (first, second)]
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key], err_msg=key)


@pytest.mark.slow_except("pcgrad")
@EACH
def test_fit_with_tasks_that_batches_lack_is_finite_and_is_kept(name, tmp_path):
    clf = fit(name, thin_out(FULL))
    assert np.isfinite(clf.history_["loss"]).all()
    assert np.isfinite(clf.task_weights_).all()
    assert_same_fits(pickle.loads(pickle.dumps(clf)), clf, X)
    save_model(clf, tmp_path / "model.safetensors")
    assert_same_fits(load_model(tmp_path / "model.safetensors"), clf, X)


@pytest.mark.slow
@MOSTLY_BEFORE_RELEASES
@EACH
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


@pytest.mark.slow
@MOSTLY_BEFORE_RELEASES
@EACH
def test_killed_fit_goes_on_to_the_same_bits(name, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "_PAUSE", 0)  # a checkpoint after each epoch
    params = {"dropout": 0.3, "epochs": 6, "jit_compile": False}
    Y = thin_out(FULL)
    whole = fit(name, Y, **params)
    fit_until_killed(make(name, **params, checkpoint=tmp_path), 4, X, Y)
    [_] = tmp_path.iterdir()
    resumed = fit(name, Y, **params, checkpoint=tmp_path)
    assert_same_fits(resumed, whole, X)
    assert_same_states(resumed, whole)


@pytest.mark.slow
@pytest.mark.release_except("famo", "gradnorm")
@EACH
def test_fits_in_a_pack_are_those_alone_but_for_rounding(name):
    Y = thin_out(FULL)
    rows = [np.random.default_rng(seed).permutation(160)[: 120 + 10 * seed] for seed in range(3)]

    def fit_in_packs(numbers, n_members):
        estimators = [
            make(name, jit_compile=True, dropout=0.1 * number + 0.1, random_state=number)
            for number in numbers
        ]
        fits = [
            Fit(clf, X[rows[n]], Y[rows[n]], {}) for n, clf in zip(numbers, estimators, strict=True)
        ]
        with mock.patch.object(together, "_count_members", return_value=n_members):
            errors = {number: error for number, error, _ in fit_together(fits)}
        assert errors == dict.fromkeys(range(len(fits)))
        return estimators

    first, second, _ = packed = fit_in_packs([0, 1, 2], 2)
    for clf, alone in zip(packed, fit_in_packs([0, 1, 2], 1), strict=True):
        assert_same_predictions(clf, alone, X, atol=1e-4)
    # Others in the pack make no difference at all.
    other_second, other_first = fit_in_packs([1, 0], 2)
    for clf, again in ((first, other_first), (second, other_second)):
        assert_same_fits(clf, again, X)
        assert_same_states(clf, again)


@pytest.mark.slow
@pytest.mark.release_except("upgrad")
@EACH
def test_ensemble_of_fits_predicts_and_is_pickled(name):
    base, space = make(name, epochs=2, dropout=0.3), {"dropout": [0.1, 0.2]}
    ensemble = MultiTaskEnsemble(base, space, n_candidates=2, cv=2, random_state=0)
    ensemble.fit(X, thin_out(FULL))
    assert np.isfinite(np.hstack(ensemble.predict_proba(X))).all()
    assert ensemble.predict(X).shape == FULL.shape
    assert_same_predictions(pickle.loads(pickle.dumps(ensemble)), ensemble, X)


@pytest.mark.slow_except("graddrop")
@MOSTLY_BEFORE_RELEASES
@EACH
def test_sparse_rows_give_what_dense_ones_give(name):
    few = np.where(np.abs(X) > 0.7, X, 0)
    dense, sparse = (make(name).fit(form(few), thin_out(FULL)) for form in (np.array, sp.csr_array))
    assert_same_fits(dense, sparse, few)
    assert_same_states(dense, sparse)


@pytest.mark.parametrize(
    ("weighting", "has_members"),
    [
        ("equal", True),
        ({0: 2.0}, True),
        (SmoothTchebycheffWeighting(), True),
        ("pcgrad", False),
        (GradDropWeighting(), False),
    ],
)
def test_members_are_left_out_where_gradients_are_weighed(weighting, has_members):
    assert ("ensemble_size" in choose_best({"task_weighting": weighting})) == has_members
    clf, rng = MultiTaskClassifier(task_weighting=weighting), np.random.RandomState(0)
    _, params = draw_candidates(clf, None, 2, 4, n_folds=5, rng=rng)
    assert ("ensemble_size" in params) == has_members
