"""Tests of MultiTaskEnsemble: an estimator like MultiTaskClassifier, of several of them."""

import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_arrays, make_tiny
from searches import X, Y
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_mtl import MissingLabelsError, MultiTaskClassifier, MultiTaskEnsemble, TaskView
from sk_mtl._ensemble import estimator as module
from sk_mtl._ensemble.candidates import draw_candidates
from sk_mtl.metrics import get_multitask_scorer, multitask_score
from sk_mtl.model_selection import MultiTaskStratifiedKFold

SPACE = {"optimizer__learning_rate": [1e-3, 1e-2, 1e-1]}
GROUPS = np.arange(60) // 3


def make(**params):
    settings = {"estimator": make_tiny(), "param_distributions": SPACE, "n_candidates": 3}
    return MultiTaskEnsemble(**{**settings, "cv": 2, "random_state": 0, **params})


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X, Y)


# ------------------------------------------------------------------------------------------------
# Candidates
# ------------------------------------------------------------------------------------------------

draw = partial(draw_candidates, n_candidates=40, n_features=10, n_folds=5)


def test_first_candidate_is_the_estimator_as_it_is():
    candidates = draw(MultiTaskClassifier(), None, rng=np.random.RandomState(0))
    assert len(candidates) == 40
    assert candidates[0] == {}
    for params in candidates[1:]:
        MultiTaskClassifier().set_params(**params)
    assert {p["numeric_embedding"] for p in candidates[1:]} == {"auto", "periodic"}
    assert {p["ensemble_size"] for p in candidates[1:]} == {2}
    assert draw(MultiTaskClassifier(), None, n_candidates=1, rng=np.random.RandomState(0)) == [{}]


def test_candidates_follow_from_the_seed():
    one, again, other = (
        draw(MultiTaskClassifier(), None, rng=np.random.RandomState(seed)) for seed in (0, 0, 1)
    )
    assert one == again != other


@pytest.mark.parametrize(
    ("params", "n_features", "names"),
    [
        ({"model": np.tanh}, 10, {"hidden_layer_sizes", "dropout", "numeric_embedding"}),
        ({"optimizer": "sgd"}, 10, {"optimizer", "optimizer__weight_decay"}),
        ({"loss": "focal"}, 10, {"label_smoothing"}),
    ],
)
def test_parameters_that_cannot_act_are_not_drawn(params, n_features, names):
    estimator, rng = MultiTaskClassifier(**params), np.random.RandomState(0)
    drawn = set().union(*draw(estimator, None, n_features=n_features, rng=rng))
    assert drawn
    assert not drawn & names


def test_fewer_candidates_where_there_are_fewer_combinations():
    rng = np.random.RandomState(0)
    candidates = draw(MultiTaskClassifier(), {"l2": [0.0, 1e-4]}, rng=rng)
    assert sorted(p.get("l2", -1) for p in candidates) == [-1, 0, 1e-4]


def test_waves_are_not_drawn_for_wide_tables():
    rng = np.random.RandomState(0)
    candidates = draw(MultiTaskClassifier(), None, n_features=257, rng=rng)
    assert {p["numeric_embedding"] for p in candidates[1:]} == {"auto"}


# ------------------------------------------------------------------------------------------------
# Fitting
# ------------------------------------------------------------------------------------------------


def test_prediction_is_the_weighted_mean_of_the_networks(fitted):
    assert fitted.estimator_weights_.sum() == pytest.approx(1)
    assert len(fitted.estimators_) % 2 == 0  # two folds
    for t in range(2):
        pairs = zip(fitted.estimator_weights_, fitted.estimators_, strict=True)
        mean = sum(weight * clf.predict_proba(X)[t] for weight, clf in pairs)
        np.testing.assert_allclose(fitted.predict_proba(X)[t], mean, atol=1e-6)


def test_leaderboard_has_every_candidate_with_its_loss_on_cells_it_was_not_fitted_to(fitted):
    board = fitted.leaderboard_
    assert sorted(board.index) == [0, 1, 2]
    assert board["log_loss"].is_monotonic_increasing
    assert board["params"][0] == {}
    assert board["weight"].sum() == pytest.approx(1)
    assert fitted.validation_loss_ <= board["log_loss"].min() + 1e-12
    only = make(n_candidates=1).fit(X, Y)
    splitter = MultiTaskStratifiedKFold(2, shuffle=True, random_state=_seed_of_folds())
    out_of_fold = {name: np.zeros((60, n)) for name, n in (("sign", 2), ("grade", 3))}
    for clf, (_, test) in zip(only.estimators_, splitter.split(X, Y), strict=True):
        for name, p in clf.predict_proba(X[test]).items():
            out_of_fold[name][test] = p
    expected = -multitask_score("neg_log_loss", Y, list(out_of_fold.values()))
    assert only.validation_loss_ == pytest.approx(expected, abs=1e-6)


def _seed_of_folds():
    return int(np.random.RandomState(0).randint(2**31))


def test_same_seed_gives_the_same_bits(fitted):
    again = clone(fitted).fit(X, Y)
    assert_same_arrays(again.predict_proba(X), fitted.predict_proba(X))
    other = make(random_state=1).fit(X, Y)
    assert (other.predict_proba(X)[0] != fitted.predict_proba(X)[0]).any()


def test_validation_rows_take_the_place_of_folds():
    clf = make().fit(X[:40], Y[:40], validation_data=(X[40:], Y[40:]))
    assert len(clf.estimators_) == (clf.leaderboard_["weight"] > 0).sum()
    loss = -multitask_score("neg_log_loss", Y[40:], list(clf.predict_proba(X[40:])))
    assert clf.validation_loss_ == pytest.approx(loss, abs=1e-6)


def test_validation_rows_may_be_separate_arguments():
    one = make().fit(X[:40], Y[:40], validation_data=(X[40:], Y[40:]))
    other = make().fit(X[:40], Y[:40], X_val=X[40:], y_val=Y[40:])
    assert_same_arrays(one.predict_proba(X), other.predict_proba(X))
    with pytest.raises(ValueError, match="validation_data must be a tuple"):
        make().fit(X, Y, validation_data=3)
    with pytest.raises(ValueError, match="Pass one of the two"):
        make().fit(X, Y, validation_data=(X, Y), groups=GROUPS)


@pytest.mark.parametrize("params", [{"refit": True}, {"early_stopping": "cv"}])
def test_settings_for_other_stopping_do_not_apply(params):
    plain, other = (make(estimator=make_tiny(**own)).fit(X, Y) for own in ({}, params))
    assert_same_arrays(plain.predict_proba(X), other.predict_proba(X))


@pytest.mark.slow
def test_candidates_stop_by_the_rows_that_they_are_judged_by():
    clf = make(estimator=make_tiny(epochs=60), param_distributions={"n_iter_no_change": [1, 2, 3]})
    clf.fit(X, Y)
    assert all(len(network.history_["val_loss"]) == network.n_iter_ for network in clf.estimators_)


def test_groups_stay_whole():
    seen = []

    class Watched(MultiTaskClassifier):
        def fit(self, X, y, *args, validation_data=None, **kwargs):
            seen.append((X[:, 0], validation_data[0][:, 0]))
            return super().fit(X, y, *args, validation_data=validation_data, **kwargs)

    numbered = np.column_stack([GROUPS, X])
    make(estimator=Watched((4,), epochs=1)).fit(numbered, Y, groups=GROUPS)
    assert len(seen) == 6
    assert not any(set(train) & set(test) for train, test in seen)


def test_cells_without_weight_change_no_bit():
    weight = np.ones(Y.shape)
    weight[::4, 0] = 0
    hidden = Y.copy()
    hidden.iloc[::4, 0] = np.nan
    folds = list(KFold(2).split(X))
    weighted = make(cv=folds).fit(X, Y, sample_weight=weight)
    missing = make(cv=folds).fit(X, hidden, sample_weight=np.ones(Y.shape))
    assert_same_arrays(weighted.predict_proba(X), missing.predict_proba(X))
    assert weighted.validation_loss_ == missing.validation_loss_


def test_fold_without_labels_of_a_task_tells_nothing_of_it():
    labels = Y.copy()
    labels.loc[20:, "grade"] = np.nan
    folds = [(np.arange(30, 60), np.arange(30)), (np.arange(30), np.arange(30, 60))]
    with pytest.warns(UserWarning, match="grade"):
        clf = make(cv=folds).fit(X, labels)
    of_second = clf.estimators_[1].predict_proba(X)["grade"]
    if len(clf.estimators_) == 2:
        np.testing.assert_array_equal(clf.predict_proba(X)["grade"], of_second)
    assert np.isfinite(clf.predict_proba(X)["grade"]).all()
    assert clf.predict(X)["grade"].notna().all()


def test_task_without_labels_is_predicted_as_missing():
    labels = Y.assign(unknown=np.nan)
    with pytest.warns(UserWarning, match="unknown"):
        clf = make().fit(X, labels)
    assert clf.predict(X)["unknown"].isna().all()
    assert clf.predict_proba(X)["unknown"].shape == (60, 0)


@pytest.mark.slow_except("text")
@pytest.mark.parametrize("last", ["1d", "array", "text"])
def test_labels_in_every_form(last):
    y = {"1d": (X[:, 0] > 0).astype(int), "array": Y.isna().to_numpy()[:, [1, 1]]}.get(last)
    y = np.where(X[:, 0] > 0, "yes", None) if last == "text" else y
    if last == "text":
        y[X[:, 0] < -0.5] = "no"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = make().fit(X, y)
    assert clf.predict(X).shape == y.shape
    assert 0 <= clf.score(X, y) <= 1


@pytest.mark.slow
def test_classes_that_a_fold_lacks_have_a_probability():
    labels = Y.assign(sign=Y["sign"].where(np.arange(60) > 0, "rare"))
    folds = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = make(cv=folds).fit(X, labels)
    assert clf.classes_["sign"].tolist() == ["minus", "plus", "rare"]
    np.testing.assert_allclose(clf.predict_proba(X)["sign"].sum(axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_defaults_learn_a_table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    Y = pd.DataFrame({"a": X[:, 0] > 0, "b": np.where(X[:, 1] > 0, "x", "y")})
    Y["b"] = Y["b"].where(rng.random(120) < 0.7)
    clf = MultiTaskEnsemble(MultiTaskClassifier(epochs=25), n_candidates=2, cv=2, random_state=0)
    assert clf.fit(X, Y).score(X, Y) > 0.8
    assert clf.estimator_weights_.sum() == pytest.approx(1)


# ------------------------------------------------------------------------------------------------
# scikit-learn
# ------------------------------------------------------------------------------------------------


def test_methods_agree_with_each_other(fitted):
    p = fitted.predict_proba(X)
    assert_same_arrays([np.exp(q) for q in fitted.predict_log_proba(X)], p, atol=1e-6)
    frame = fitted.predict_proba_frame(pd.DataFrame(X, index=range(5, 65)))
    assert frame.index.tolist() == list(range(5, 65))
    np.testing.assert_array_equal(frame["grade"].to_numpy(), p["grade"])
    assert fitted.predict(X)["grade"].tolist() == p["grade"].argmax(axis=1).tolist()
    view = fitted.task_view("sign")
    assert isinstance(view, TaskView)
    assert view.predict(X).tolist() == fitted.predict(X)["sign"].tolist()
    assert fitted.score(X, Y) == pytest.approx(multitask_score("accuracy", Y, fitted.predict(X)))


def test_spread_is_that_of_the_networks(fitted):
    p = np.array([clf.predict_proba(X)["sign"] for clf in fitted.estimators_])
    mean = np.average(p, axis=0, weights=fitted.estimator_weights_)
    expected = np.sqrt(np.average((p - mean) ** 2, axis=0, weights=fitted.estimator_weights_))
    np.testing.assert_allclose(fitted.predict_std(X)["sign"], expected, atol=1e-6)


def test_pickle_predicts_the_same_bits(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    assert_same_arrays(again.predict_proba(X), fitted.predict_proba(X))


def test_pipelines_and_searches_take_it():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), make()),
        {"multitaskensemble__n_candidates": [1, 2]},
        scoring=get_multitask_scorer("neg_log_loss"),
        cv=MultiTaskStratifiedKFold(2),
    ).fit(X, Y)
    assert search.predict(X).shape == Y.shape
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.slow
def test_sentinels_are_missing_labels():
    clf = make(estimator=make_tiny(missing_label=-1))
    codes = Y["grade"].fillna(-1).astype(int).to_numpy()
    assert set(clf.fit(X, codes).classes_) == {0, 1, 2}
    assert clf.score(X, codes) == pytest.approx(
        np.mean(clf.predict(X)[codes >= 0] == codes[codes >= 0])
    )


def test_tools_that_would_make_a_class_of_missing_labels_are_refused():
    from sklearn.model_selection import cross_val_predict

    with pytest.raises(MissingLabelsError):
        cross_val_predict(make(), X, Y, cv=2, method="predict_proba")


def test_refused_fit_leaves_the_ensemble_as_it_was(fitted):
    clf = pickle.loads(pickle.dumps(fitted))
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match="n_candidates"):
        clf.set_params(n_candidates=0).fit(X, Y)
    assert_same_arrays(clf.predict_proba(X), before)


@pytest.mark.parametrize(
    ("params", "kind", "message"),
    [
        ({"estimator": LogisticRegression()}, TypeError, "Got LogisticRegression"),
        ({"estimator": MultiTaskClassifier}, TypeError, "the class MultiTaskClassifier"),
        ({"n_candidates": 0}, ValueError, "n_candidates"),
        ({"cv": ShuffleSplit(1, test_size=2, random_state=0)}, None, ""),
        ({"param_distributions": {"dropuot": [0.1, 0.2]}}, ValueError, "dropuot"),
        ({"param_distributions": {"dropout": [2.0, 3.0]}}, ValueError, "dropout"),
    ],
)
def test_what_cannot_be_fitted_is_refused(params, kind, message):
    if kind is None:
        assert make(**params).fit(X, Y).n_tasks_ == 2
        return
    with pytest.raises(kind, match=message):
        make(**params).fit(X, Y)


def test_held_out_rows_need_a_label():
    labels = Y.copy()
    labels.iloc[:30] = None
    folds = [(np.arange(30, 60), np.arange(30))]
    with pytest.raises(ValueError, match="label"):
        make(cv=folds).fit(X, labels)


def test_unfitted_ensemble_does_not_predict():
    for method in ("predict", "predict_proba", "predict_std", "task_view"):
        with pytest.raises(NotFittedError):
            getattr(make(), method)(X if method != "task_view" else "sign")


def test_bar_counts_the_fits(capsys):
    make(verbose=1).fit(X, Y)
    assert "6/6" in capsys.readouterr().err


def test_order_of_the_candidates_is_that_of_their_numbers(monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "select_members", lambda p, w: seen.append(p.shape) or np.eye(len(p))[1]
    )
    clf = make().fit(X, Y)
    assert seen == [(3, Y.notna().to_numpy().sum())]
    rate = clf.leaderboard_["params"][1]["optimizer__learning_rate"]
    assert all(network.optimizer__learning_rate == rate for network in clf.estimators_)


EXPECTED_FAILURES = {
    "check_fit2d_1sample": "the splitter says that there are fewer rows than folds",
    "check_sample_weight_equivalence_on_dense_data": "rows that occur twice have other folds",
    "check_sample_weight_equivalence_on_sparse_data": "rows that occur twice have other folds",
}


@pytest.mark.slow
@parametrize_with_checks(
    [
        MultiTaskEnsemble(
            MultiTaskClassifier((16,), epochs=40, batch_size=64, dropout=0.0, jit_compile=False),
            {"l2": [1e-4, 1e-3]},
            n_candidates=2,
            cv=2,
            random_state=0,
        )
    ],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
def test_ensemble_passes_the_common_checks(estimator, check):
    check(estimator)
