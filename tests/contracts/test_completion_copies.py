"""Known labels and copies of an estimator, searches, and fits that go on: nothing gets lost."""

import copy
import io
import pickle
from functools import cache

import keras
import numpy as np
import pytest
from helpers import assert_same_arrays, assert_same_fits, make_tiny
from searches import assert_same_results
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sk_mtl import SKOPS_TYPES, MultiTaskClassifier, load_model, save_model
from sk_mtl._train import resume
from sk_mtl._train.loop import TrainingRun
from sk_mtl.model_selection import MultiTaskSearchCV

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
Y = np.column_stack([X[:, 0] > 0, RNG.integers(0, 3, N), X[:, 0] + X[:, 1] > 0]).astype(float)
Y[RNG.random(Y.shape) < 0.3] = np.nan


def make(**params):
    settings = {"hidden_layer_sizes": (8,), "known_labels": True, "epochs": 3, "batch_size": 16}
    settings |= {"early_stopping": False, "optimizer__learning_rate": 0.05, "jit_compile": False}
    return make_tiny(**{**settings, **params})


@cache
def fitted():
    return make().fit(X, Y)


def assert_same_completions(first, second):
    """Assert that two estimators give the same, whatever is known."""
    assert_same_arrays(first.complete_proba(X, Y), second.complete_proba(X, Y))
    one_out = (clf.complete_proba(X, Y, leave_one_out=True) for clf in (first, second))
    assert_same_arrays(*one_out)
    np.testing.assert_array_equal(first.complete(X, Y), second.complete(X, Y))


# ------------------------------------------------------------------------------------------------
# Copies
# ------------------------------------------------------------------------------------------------


def save_and_load(clf):
    file = io.BytesIO()
    save_model(clf, file)
    return load_model(io.BytesIO(file.getvalue()))


def save_and_load_by_skops(clf):
    skops = pytest.importorskip("skops.io")
    return skops.loads(skops.dumps(clf), trusted=SKOPS_TYPES)


COPIES = {
    "pickle": lambda clf: pickle.loads(pickle.dumps(clf)),
    "deepcopy": copy.deepcopy,
    "save_model": save_and_load,
    "skops": save_and_load_by_skops,
}


@pytest.mark.slow_except("deepcopy", "save_model", "skops")
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_completes_alike(way):
    assert_same_completions(COPIES[way](fitted()), fitted())


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_trains_on_alike(way):
    first, second = (COPIES[w](fitted()).partial_fit(X, Y) for w in ("deepcopy", way))
    assert_same_completions(first, second)


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_], ids=repr)
def test_any_boolean_is_saved(value):
    clf = make(known_labels=value).fit(X, Y)
    again = save_and_load(clf)
    assert bool(again.known_labels) is bool(value)
    assert_same_completions(again, clf)


def test_pickles_of_earlier_versions_read_no_labels():
    state = make(known_labels=False).fit(X, Y).__getstate__()
    del state["known_labels"]
    clf = MultiTaskClassifier.__new__(MultiTaskClassifier)
    clf.__setstate__(state)
    assert clf.known_labels is False
    assert clf.complete(X, Y).shape == Y.shape


def test_a_file_that_says_otherwise_is_refused():
    from sk_mtl._codec.container import pack, unpack

    file = io.BytesIO()
    save_model(make(known_labels=False).fit(X, Y), file)
    text, arrays = unpack(file.getvalue())
    forged = text.replace('"known_labels": false', '"known_labels": true').replace(
        '"known_labels":false', '"known_labels":true'
    )
    assert forged != text
    with pytest.raises(ValueError, match="does not describe a model"):
        load_model(io.BytesIO(pack(forged, arrays)))


def test_clone_has_the_parameter():
    assert clone(make()).known_labels is True
    assert make().get_params()["known_labels"] is True
    assert "known_labels=True" in repr(make())


def test_labels_are_not_read_by_default():
    assert MultiTaskClassifier().known_labels is False


@pytest.mark.parametrize("value", [None, 1, "yes", 0.5])
def test_other_values_are_refused(value):
    with pytest.raises(ValueError, match="'known_labels' parameter"):
        make(known_labels=value).fit(X, Y)


def test_same_seed_gives_the_same_bits():
    assert_same_fits(make().fit(X, Y), fitted(), X)
    assert_same_completions(make().fit(X, Y), fitted())


def test_another_seed_gives_other_bits():
    other = make(random_state=1).fit(X, Y)
    assert (other.complete_proba(X, Y)[1] != fitted().complete_proba(X, Y)[1]).any()


def test_second_fit_of_an_estimator_gives_the_bits_of_the_first():
    assert_same_fits(make().fit(X, Y).fit(X, Y), fitted(), X)


def test_completing_leaves_predictions_as_they_are():
    clf = copy.deepcopy(fitted())
    before = clf.predict_proba(X)
    clf.complete_proba(X, Y, leave_one_out=True)
    clf.complete_samples(X, Y, 2)
    assert_same_arrays(clf.predict_proba(X), before)


def test_other_methods_go_by_x_alone():
    clf = fitted()
    assert 0 <= clf.score(X, Y) <= 1
    view = clf.task_view("y1")
    np.testing.assert_allclose(view.predict_proba(X), clf.predict_proba(X)["y1"], atol=1e-6)


# ------------------------------------------------------------------------------------------------
# Searches
# ------------------------------------------------------------------------------------------------

FOLDS = KFold(2)
GRID = {"known_labels": [False, True], "optimizer__learning_rate": [0.01, 0.1]}


def test_search_over_known_labels_has_the_results_of_grid_search():
    theirs = GridSearchCV(make(), GRID, cv=FOLDS).fit(X, Y)
    ours = MultiTaskSearchCV(make(), GRID, cv=FOLDS).fit(X, Y)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    assert ours.best_params_ == theirs.best_params_
    assert_same_completions(ours.best_estimator_, theirs.best_estimator_)


def test_search_gives_the_bits_of_single_fits():
    search = MultiTaskSearchCV(make(), {"known_labels": [True]}, cv=FOLDS).fit(X, Y)
    assert_same_completions(search.best_estimator_, fitted())
    scores = [
        make().fit(X[train], Y[train]).score(X[test], Y[test]) for train, test in FOLDS.split(X)
    ]
    found = [search.cv_results_[f"split{k}_test_score"][0] for k in range(2)]
    assert found == scores


# ------------------------------------------------------------------------------------------------
# Fits that go on
# ------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the package handles it."""


@pytest.fixture
def kill(monkeypatch):
    """Return a function that fits, and kills the fit as an epoch begins."""
    monkeypatch.setattr(resume, "_PAUSE", 0)  # a checkpoint after each epoch

    def fit_and_kill(clf, epoch):
        calls, begin = [], TrainingRun.begin_epoch

        def begin_or_die(run):
            calls.append(run)
            if len(calls) == epoch:
                raise Killed
            return begin(run)

        with monkeypatch.context() as patch:
            patch.setattr(TrainingRun, "begin_epoch", begin_or_die)
            with pytest.raises(Killed):
                clf.fit(X, Y)

    return fit_and_kill


STOPS = {"early_stopping": True, "validation_fraction": 0.3}


@pytest.mark.slow_except("plain")
@pytest.mark.parametrize("params", [{}, STOPS], ids=["plain", "early stopping"])
def test_killed_fit_goes_on_to_the_same_bits(tmp_path, kill, params):
    whole = make(**params).fit(X, Y)
    kill(make(**params, checkpoint=tmp_path), 3)
    resumed = make(**params, checkpoint=tmp_path).fit(X, Y)
    assert_same_fits(resumed, whole, X)
    assert_same_completions(resumed, whole)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow_except("False")
@pytest.mark.parametrize("known", [False, True])
def test_checkpoint_of_the_other_kind_of_network_is_not_gone_on_with(tmp_path, kill, known):
    kill(make(known_labels=not known, checkpoint=tmp_path), 3)
    clf = make(known_labels=known, checkpoint=tmp_path).fit(X, Y)
    assert_same_fits(clf, make(known_labels=known).fit(X, Y), X)


def test_warm_start_goes_on_with_new_draws():
    once, twice = make(epochs=6).fit(X, Y), make(warm_start=True).fit(X, Y).fit(X, Y)
    assert twice.n_iter_ == 6
    series = [clf.history_["loss"] for clf in (once, twice)]
    # The optimizer begins anew, so that the rest differs.
    assert series[0][:3] == series[1][:3]
    assert len({*series[1]}) == 6


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("known", [False, True])
def test_change_of_known_labels_is_refused(method, known):
    clf = make(warm_start=True, known_labels=known).fit(X, Y)
    clf.set_params(known_labels=not known)
    with pytest.raises(ValueError, match=rf"known_labels \(was {known}, is {not known}\)\. Clone"):
        getattr(clf, method)(X, Y)


def test_refused_change_leaves_the_fit_as_it_was():
    clf = make(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="known_labels"):
        clf.set_params(known_labels=False).fit(X, Y)
    assert_same_completions(clf, fitted())


def test_setting_the_parameter_after_the_fit_changes_nothing():
    clf = copy.deepcopy(fitted()).set_params(known_labels=False)
    assert_same_completions(clf, fitted())


@pytest.mark.slow_except("trunk")
@pytest.mark.parametrize("is_whole", [False, True], ids=["trunk", "whole"])
def test_a_model_of_your_own_is_refused(is_whole):
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(n)(inputs) for n in (1, 3, 1)]
    model = keras.Model(inputs, outputs if is_whole else outputs[1])
    with pytest.raises(ValueError, match=r"^known_labels=True needs the built-in network"):
        make(model=model).fit(X, Y)
    make(model=model, known_labels=False).fit(X, Y)
