"""Tests of sharing structures in the estimator: fits, files, searches and predictions."""

import io
import pickle
from functools import cache
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import (
    assert_same_fits,
    assert_same_predictions,
    fit_until_killed,
    make_tiny,
    predict_differently,
)
from specs import SHARING

from sk_mtl import MultiTaskEnsemble, load_model, save_model
from sk_mtl._ensemble.candidates import draw_candidates
from sk_mtl._fit.best import choose_best
from sk_mtl._fit_together import Fit, fit_together
from sk_mtl._predict.forward import NetworkForward
from sk_mtl._train import resume, together
from sk_mtl.model_selection import MultiTaskSearchCV

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype(np.float32)
Y = pd.DataFrame(
    {
        "sign": np.where(X[:, 0] > 0, "plus", "minus"),
        "grade": np.digitize(X[:, 1], [-0.5, 0.5]).astype(float),
        "odd": np.arange(N) % 2,
    }
)
Y.loc[::3, "grade"] = np.nan
FIRST = {"mmoe", "ple"}
EACH = pytest.mark.parametrize(
    "sharing",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in FIRST)) for name in SHARING],
)


def settings_of(sharing):
    n_shared, n_own = SHARING.get(sharing, (0, 0))
    settings = {"sharing": sharing}
    settings |= {"n_experts": n_shared} if n_shared else {}
    return settings | ({"n_task_experts": n_own} if n_own else {})


def make(sharing, **params):
    plain = {"hidden_layer_sizes": (4, 3), "batch_size": 16, "epochs": 3}
    return make_tiny(**plain | settings_of(sharing) | params)


def fit(sharing, X=X, Y=Y, **params):
    return make(sharing, **params).fit(X, Y)


@cache
def fitted(sharing):
    """Return an estimator for tests that change nothing in it."""
    return fit(sharing, dropout=0.2)


@EACH
def test_same_fit_has_the_same_bits_in_any_form_of_x(sharing):
    assert_same_fits(fitted(sharing), fit(sharing, dropout=0.2), X)
    X_few = np.where(np.abs(X) > 0.7, X, 0)
    dense, sparse = (fit(sharing, form(X_few)) for form in (np.array, sp.csr_matrix))
    assert_same_fits(dense, sparse, X_few)


@EACH
def test_what_lies_under_the_mask_changes_no_bit(sharing):
    codes = np.column_stack([Y["odd"], np.arange(N) % 3, Y["odd"]])
    hidden = np.zeros(codes.shape, bool)
    hidden[::3, 1] = hidden[5:20, 2] = True
    settings = {"classes": [[0, 1], [0, 1, 2], [0, 1]]}
    first = fit(sharing, Y=np.ma.array(codes, mask=hidden), **settings)
    other = np.where(hidden, 77, codes)
    assert_same_fits(first, fit(sharing, Y=np.ma.array(other, mask=hidden), **settings), X)


def test_a_task_without_labels_leaves_its_own_experts_as_they_were():
    labels = {"sign": ["minus", "plus"], "grade": [0.0, 1.0, 2.0], "odd": [0, 1]}
    settings = {"classes": labels, "hidden_layer_sizes": (4,), "ema_momentum": 0}
    kernels = []
    for epochs in (1, 4):
        with pytest.warns(UserWarning, match="'odd'"):
            clf = fit("cgc", Y=Y.assign(odd=np.nan), epochs=epochs, **settings)
        kernels.append(clf.model_.get_layer("trunk_0").kernel.numpy())
    before, after = kernels
    np.testing.assert_array_equal(before[:, -4:], after[:, -4:])
    assert (before[:, :-4] != after[:, :-4]).any(axis=0).all()


@pytest.mark.parametrize(
    "params",
    [
        {},
        pytest.param(
            {"head_hidden_layer_sizes": {"grade": (3,)}, "normalization": "layer"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["plain", "heads"],
)
@EACH
def test_predictions_are_those_of_the_keras_model(sharing, params):
    clf = fit(sharing, **params) if params else fitted(sharing)
    assert all(isinstance(f, NetworkForward) for f in clf._fitted.network._prepared())
    probabilities = clf.to_keras()(X)
    for name, found in zip(Y.columns, clf.predict_proba(X), strict=True):
        np.testing.assert_allclose(found, probabilities[name], atol=1e-6)


@EACH
def test_fitted_estimator_goes_through_pickle_and_a_safe_file(sharing):
    clf = fit(sharing, dropout=0.2, l2=1e-3, restore_best="per_task", early_stopping=True)
    file = io.BytesIO()
    save_model(clf, file)
    file.seek(0)
    for again in (pickle.loads(pickle.dumps(clf)), load_model(file)):
        assert_same_fits(clf, again, X)
        assert again.get_params() == clf.get_params()


@EACH
def test_training_goes_on_as_if_it_had_not_ended(sharing):
    settings = {"classes": {"sign": ["minus", "plus"], "grade": [0.0, 1.0, 2.0], "odd": [0, 1]}}
    whole = make(sharing, **settings).partial_fit(X, Y).partial_fit(X, Y)
    half = make(sharing, **settings).partial_fit(X, Y)
    again = pickle.loads(pickle.dumps(half)).partial_fit(X, Y)
    assert_same_fits(whole, again, X)


@pytest.mark.parametrize(
    "change",
    [{"sharing": "hard", "n_experts": 4}, {"n_experts": 2}, {"sharing": "cgc"}],
    ids=["hard", "experts", "structure"],
)
def test_warm_start_with_other_experts_is_refused(change):
    clf = fit("mmoe", warm_start=True)
    with pytest.raises(ValueError, match=r"parameters have changed since: .*(sharing|n_experts)"):
        clf.set_params(**change).fit(X, Y)


@pytest.mark.slow
@pytest.mark.release_except("mmoe")
@EACH
def test_networks_of_a_search_are_those_of_fits_alone(sharing):
    base = make(sharing, jit_compile=True, dropout=0.2)
    grid = {"optimizer__learning_rate": [0.003, 0.03]}
    search = MultiTaskSearchCV(base, grid, cv=3, random_state=0).fit(X, Y)
    alone = base.set_params(**search.best_params_).fit(X, Y)
    assert_same_predictions(search.best_estimator_, alone, X, atol=1e-5)


@pytest.mark.slow
@pytest.mark.release_except("cgc")
@EACH
def test_killed_fit_goes_on_to_the_same_bits(sharing, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "_PAUSE", 0)  # a checkpoint after each epoch
    params = {"dropout": 0.2, "jit_compile": False}
    whole = fit(sharing, **params)
    fit_until_killed(make(sharing, **params, checkpoint=tmp_path), 3, X, Y)
    [_] = tmp_path.iterdir()
    assert_same_fits(fit(sharing, **params, checkpoint=tmp_path), whole, X)


@pytest.mark.slow
@pytest.mark.release_except("cgc")
@EACH
def test_fits_in_a_pack_are_those_alone_but_for_rounding(sharing):
    def fit_in_packs(numbers, n_members):
        estimators = [
            make(sharing, jit_compile=True, dropout=0.1 * number, random_state=number)
            for number in numbers
        ]
        fits = [Fit(clf, X[10 * n :], Y[10 * n :], {}) for n, clf in enumerate(estimators)]
        with mock.patch.object(together, "_count_members", return_value=n_members):
            errors = {number: error for number, error, _ in fit_together(fits)}
        assert errors == dict.fromkeys(range(len(fits)))
        return estimators

    packed, separate = (fit_in_packs([1, 2, 3], n_members) for n_members in (2, 1))
    for clf, alone in zip(packed, separate, strict=True):
        assert_same_predictions(clf, alone, X, atol=1e-4)


@pytest.mark.slow
@pytest.mark.release_except("ple")
@EACH
def test_ensemble_of_fits_predicts_and_is_pickled(sharing):
    base, space = make(sharing, dropout=0.3), {"dropout": [0.1, 0.2]}
    ensemble = MultiTaskEnsemble(base, space, n_candidates=2, cv=2, random_state=0).fit(X, Y)
    assert ensemble.predict(X).shape == Y.shape
    assert_same_predictions(pickle.loads(pickle.dumps(ensemble)), ensemble, X)


@pytest.mark.slow
@pytest.mark.release_except("ple")
@EACH
def test_mixed_precision_is_close_to_float32(sharing):
    params = {"jit_compile": False, "head_hidden_layer_sizes": (3,)}
    mixed, single = (fit(sharing, dtype=d, **params) for d in ("mixed_bfloat16", "float32"))
    for name, series in single.history_.items():
        np.testing.assert_allclose(mixed.history_[name], series, rtol=0.02, err_msg=name)
    assert {str(v.dtype) for v in mixed._fitted.network.state.network} == {"float32"}
    assert np.isfinite(np.hstack(mixed.predict_proba(X))).all()
    assert predict_differently(mixed, single, X)


@pytest.mark.slow
def test_ensemble_of_fits_draws_no_members_for_networks_with_experts():
    drawn = [
        draw_candidates(make(sharing), None, 3, 4, 1, np.random.RandomState(0))[1:]
        for sharing in ("mmoe", "hard")
    ]
    assert [all("ensemble_size" in p for p in params) for params in drawn] == [False, True]
    clf = MultiTaskEnsemble(make("mmoe"), {"dropout": [0.1, 0.2]}, n_candidates=2, random_state=0)
    assert clf.fit(X, Y).predict_proba(X)["sign"].shape == (N, 2)


@pytest.mark.slow_except("mmoe")
@pytest.mark.release_except("mmoe", "ple")
@EACH
def test_one_task_in_one_dimension(sharing):
    clf = fit(sharing, Y=Y["odd"])
    assert clf.predict(X).shape == (N,)


@pytest.mark.slow
@pytest.mark.release_except("cgc", "ple")
@EACH
def test_known_labels_embeddings_and_unlabelled_cells_go_with_it(sharing):
    clf = fit(sharing, known_labels=True, numeric_embedding="periodic", unlabelled="consistency")
    assert np.isfinite(clf.history_["objective"]).all()
    assert clf.complete(X, Y).shape == Y.shape


@EACH
def test_explanation_adds_up(sharing):
    clf = fitted(sharing)
    explanation = clf.explain(X[:3], "grade", background=X[:10], random_state=0)
    total = explanation.values.sum(axis=1) + explanation.base_values
    np.testing.assert_allclose(total, clf.predict_proba(X[:3])["grade"], atol=1e-4)


def test_best_leaves_the_number_of_members_out_where_there_are_experts():
    assert "ensemble_size" not in choose_best({"sharing": "mmoe"})
    assert choose_best({"sharing": "hard"})["ensemble_size"] > 1


def test_summary_names_the_structure():
    assert "ple, 2 shared experts, 2 of each task" in str(fitted("ple").summary())
    assert "cross_stitch\n" in str(fitted("cross_stitch").summary())
    assert "sharing" not in str(make_tiny().fit(X, Y).summary())
