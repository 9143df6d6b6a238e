"""Tests of MultiTaskClassifier under scikit-learn's own tools, called as a user calls them.

Every y here has missing labels unless a test says otherwise. What one task alone needs is in
test_task_view, what cannot work in test_sklearn_table.
"""

import copy
import inspect
import os
import pickle
import subprocess
import sys
import warnings
from functools import cache

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from scipy.stats import loguniform
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import FitFailedWarning, UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    LearningCurveDisplay,
    RandomizedSearchCV,
    ValidationCurveDisplay,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks

import sk_mtl
from sk_mtl import MissingLabelsError, MultiTaskClassifier
from sk_mtl.metrics import get_multitask_scorer, make_multitask_scorer, per_task_scorers
from sk_mtl.model_selection import MultiTaskStratifiedKFold, MultiTaskStratifiedShuffleSplit

N_ROWS = 48
GRID = {"optimizer__learning_rate": [1e-3, 1e-1]}


def make_tiny(**params):
    """Return an estimator that is fitted in no time; all of them share one compiled program."""
    settings = {"hidden_layer_sizes": (4,), "epochs": 2, "batch_size": 64, "random_state": 0}
    return MultiTaskClassifier(**{**settings, **params})


def make_features():
    X = np.random.default_rng(0).normal(size=(N_ROWS, 4))
    return pd.DataFrame(X, columns=["width", "height", "depth", "mass"])


def make_labels(kind="mixed"):
    """Return y of a kind; a third of the labels of the second task are missing, or more."""
    X = make_features().to_numpy()
    rng = np.random.default_rng(1)
    colour = np.where(X[:, 0] + 0.5 * rng.normal(size=N_ROWS) > 0, "red", "blue").astype(object)
    grade = np.digitize(X[:, 1] + 0.5 * rng.normal(size=N_ROWS), [-0.5, 0.5]).astype(float)
    fits = (X[:, 2] > 0).astype(float)
    colour[rng.random(N_ROWS) < 0.2] = None
    grade[rng.random(N_ROWS) < 0.4] = np.nan
    fits[rng.random(N_ROWS) < 0.2] = np.nan
    numbers = pd.DataFrame({"grade": grade, "fits": fits})
    return {
        "mixed": pd.DataFrame({"colour": colour, "grade": grade, "fits": fits}),
        "numbers": numbers,
        "array": numbers.to_numpy(),
        "object array": np.column_stack([colour, grade]),
        "nullable": numbers.astype("Int64"),
        "series": numbers["grade"],
        "array 1-D": fits,
        "text 1-D": colour,
    }[kind]


KINDS = ["mixed", "numbers", "array", "object array", "nullable", "series", "array 1-D", "text 1-D"]
X, Y = make_features(), make_labels()


def probabilities_of(estimator, X=X):
    """Return all probabilities of an estimator in one array."""
    probabilities = estimator.predict_proba(X)
    return np.hstack(probabilities) if isinstance(probabilities, list) else probabilities


def fit_by_hand(train, weight=None, **params):
    weights = {} if weight is None else {"sample_weight": np.asarray(weight)[train]}
    return make_tiny(**params).fit(X.iloc[train], Y.iloc[train], **weights)


# ------------------------------------------------------------------------------------------------
# scikit-learn's common checks, with both tags
# ------------------------------------------------------------------------------------------------


class TaggedAsClassifier(MultiTaskClassifier):
    """The estimator with the tag that makes scikit-learn run its checks of classifiers too."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        return tags


def expected_failed_checks(estimator):
    expected = {
        "check_do_not_raise_errors_in_init_or_set_params": (
            "passes the name of **routed as a parameter; an unknown one is a TypeError in Python"
        ),
    }
    if not is_classifier(estimator):
        expected["check_n_features_in_after_fitting"] = (
            "passes classes to partial_fit only where the tag says classifier"
        )
    return expected


CHECKED = {"epochs": 60, "batch_size": 512, "hidden_layer_sizes": (64,), "random_state": 0}
CHECKED |= {"dropout": 0.0}  # with which a row of weight 2 is not the row twice


@pytest.mark.slow_except("MultiTask*[!)]")
@parametrize_with_checks(
    [MultiTaskClassifier(**{**CHECKED, "epochs": 5}), TaggedAsClassifier(**CHECKED)],
    expected_failed_checks=expected_failed_checks,
)
def test_scikit_learn_common_check(estimator, check):
    if check.func.__name__.startswith("check_sample_weight_equivalence"):
        # Rounding decides whether it holds. The test below asks the same, as far as float32 can.
        pytest.skip("asks for agreement to 1e-7; training is in float32, whose step is 1.2e-7")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks provoke them, and look for those they mean
        check(estimator)


@pytest.mark.slow_except("True")
@pytest.mark.parametrize("sparse", [False, True])
def test_weights_equal_repeated_rows_in_float32(sparse):
    # What scikit-learn's check asks, at a tolerance that float32 can keep: the largest relative
    # difference of eight such draws, after 60 epochs, was 6e-7.
    rng = np.random.default_rng(42)
    X, y = rng.random((15, 30)), rng.integers(0, 3, size=15)
    weight = rng.integers(0, 5, size=15)
    repeated_X, repeated_y = X.repeat(weight, axis=0), y.repeat(weight)
    if sparse:
        X, repeated_X = sp.csr_matrix(X), sp.csr_matrix(repeated_X)
    weighted = MultiTaskClassifier(**CHECKED).fit(X, y, sample_weight=weight)
    repeated = MultiTaskClassifier(**CHECKED).fit(repeated_X, repeated_y)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-5)
    assert (weighted.predict(X) == repeated.predict(X)).all()


def test_tags_say_neither_classifier_nor_regressor():
    assert not is_classifier(make_tiny())
    assert not is_regressor(make_tiny())


def test_tags_tell_what_y_may_be():
    tags = make_tiny().__sklearn_tags__()
    target = tags.target_tags
    assert target.required
    assert target.single_output
    assert target.multi_output
    assert target.one_d_labels
    assert target.two_d_labels
    assert tags.classifier_tags.multi_label
    assert tags.input_tags.allow_nan
    assert not make_tiny(standardize=False).__sklearn_tags__().input_tags.allow_nan
    assert not tags.non_deterministic


# ------------------------------------------------------------------------------------------------
# Searches
# ------------------------------------------------------------------------------------------------

SPLITS = [(np.arange(24), np.arange(24, 48)), (np.arange(24, 48), np.arange(24))]
CVS = {
    "None": None,
    "int": 2,
    "KFold": KFold(2, shuffle=True, random_state=0),
    "list": SPLITS,
    "ours": MultiTaskStratifiedKFold(2),
    "our shuffle": MultiTaskStratifiedShuffleSplit(2, test_size=0.4, random_state=0),
}
SEARCHES = {
    "grid": lambda clf, cv: GridSearchCV(clf, GRID, cv=cv),
    "randomized": lambda clf, cv: RandomizedSearchCV(
        clf, {"optimizer__learning_rate": loguniform(1e-3, 1e-1)}, n_iter=2, cv=cv, random_state=0
    ),
    "halving": lambda clf, cv: HalvingGridSearchCV(
        clf, GRID, cv=cv, factor=2, min_resources=24, random_state=0
    ),
}


@pytest.mark.slow_except("grid-*")
@pytest.mark.parametrize("cv", CVS)
@pytest.mark.parametrize("search", SEARCHES)
def test_search_takes_missing_labels(search, cv):
    found = SEARCHES[search](make_tiny(), CVS[cv]).fit(X, Y)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert found.predict(X).columns.tolist() == ["colour", "grade", "fits"]
    assert found.predict_proba(X)["grade"].shape == (N_ROWS, 3)
    assert found.classes_["colour"].tolist() == ["blue", "red"]
    assert 0 <= found.score(X, Y) <= 1


@pytest.mark.slow_except("mixed")
@pytest.mark.parametrize("kind", KINDS)
def test_search_with_integer_cv_takes_y_of_every_kind(kind):
    y = make_labels(kind)
    pipeline = make_pipeline(StandardScaler(), make_tiny())
    grid = {"multitaskclassifier__optimizer__learning_rate": [1e-3, 1e-1]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.shape(search.predict(X)) == np.shape(y)


def test_search_scores_each_candidate_as_a_fit_by_hand():
    search = GridSearchCV(make_tiny(), GRID, cv=SPLITS, refit=False).fit(X, Y)
    for candidate, params in enumerate(search.cv_results_["params"]):
        for fold, (train, test) in enumerate(SPLITS):
            by_hand = fit_by_hand(train, **params).score(X.iloc[test], Y.iloc[test])
            assert search.cv_results_[f"split{fold}_test_score"][candidate] == by_hand


def test_search_survives_a_fold_in_which_a_task_has_no_label():
    y = Y.copy()
    y.loc[24:, "grade"] = np.nan  # the first of two folds trains on these
    with pytest.warns(UserWarning, match="no label") as caught:
        search = GridSearchCV(make_tiny(), GRID, cv=KFold(2)).fit(X, y)
    assert any("'grade'" in str(w.message) for w in caught)
    assert not any(isinstance(w.message, FitFailedWarning) for w in caught)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict_proba(X)["grade"].shape[1] == 3


def test_search_survives_a_fold_in_which_a_task_has_one_class():
    y = Y.copy()
    y.loc[24:, "fits"] = 1.0
    with pytest.warns(UserWarning, match=r"one class: 'fits' \(only 1"):
        search = GridSearchCV(make_tiny(), GRID, cv=KFold(2)).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_search_fails_where_a_fold_has_no_label_at_all():
    y = Y.copy()
    y.loc[24:] = np.nan
    with pytest.raises(ValueError, match="no label at all"):
        GridSearchCV(make_tiny(), GRID, cv=KFold(2), error_score="raise").fit(X, y)


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "neg_log_loss", "balanced_accuracy"])
def test_search_takes_our_scorers(name):
    scorer = get_multitask_scorer(name)
    search = GridSearchCV(make_tiny(), GRID, cv=2, scoring=scorer).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(X, Y) == scorer(search.best_estimator_, X, Y)


@pytest.mark.parametrize("refit", ["mean", "grade"])
@pytest.mark.parametrize(
    "scoring",
    [make_multitask_scorer("accuracy", average=None), per_task_scorers("accuracy", Y.columns)],
    ids=["one scorer", "dict of scorers"],
)
def test_search_of_several_metrics_refits_by_one(scoring, refit):
    search = GridSearchCV(make_tiny(), GRID, cv=2, scoring=scoring, refit=refit).fit(X, Y)
    per_task = [search.cv_results_[f"mean_test_{task}"] for task in Y.columns]
    np.testing.assert_allclose(search.cv_results_["mean_test_mean"], np.mean(per_task, axis=0))
    assert search.best_index_ == search.cv_results_[f"mean_test_{refit}"].argmax()


# ------------------------------------------------------------------------------------------------
# Cross-validation, curves and inspection
# ------------------------------------------------------------------------------------------------


def test_cross_val_score_takes_an_integer_cv():
    by_hand = [fit_by_hand(a).score(X.iloc[b], Y.iloc[b]) for a, b in KFold(2).split(X)]
    assert cross_val_score(make_tiny(), X, Y, cv=2).tolist() == by_hand


@pytest.mark.slow
def test_cross_validate_returns_estimators_and_train_scores():
    results = cross_validate(
        make_tiny(), X, Y, cv=2, return_estimator=True, return_train_score=True
    )
    for estimator, train_score, (train, _) in zip(
        results["estimator"], results["train_score"], KFold(2).split(X), strict=True
    ):
        assert estimator.score(X.iloc[train], Y.iloc[train]) == train_score


WEIGHTS = {
    "per row": np.linspace(0, 3, N_ROWS),
    "per cell": np.random.default_rng(2).uniform(0, 3, size=(N_ROWS, 3)),
    "frame": pd.DataFrame(
        np.random.default_rng(3).uniform(0, 3, size=(N_ROWS, 3)), columns=list(Y.columns)
    ),
}


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_cross_validate_hands_each_fold_its_weights(weight):
    results = cross_validate(
        make_tiny(), X, Y, cv=2, params={"sample_weight": weight}, return_estimator=True
    )
    for estimator, (train, _) in zip(results["estimator"], KFold(2).split(X), strict=True):
        by_hand = fit_by_hand(train, weight)
        np.testing.assert_array_equal(probabilities_of(estimator), probabilities_of(by_hand))


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_grid_search_hands_weights_to_fit(weight):
    search = GridSearchCV(make_tiny(), {"epochs": [2]}, cv=2).fit(X, Y, sample_weight=weight)
    by_hand = fit_by_hand(np.arange(N_ROWS), weight)
    np.testing.assert_array_equal(probabilities_of(search), probabilities_of(by_hand))


def test_learning_curve_has_a_score_for_each_size():
    sizes, train_scores, test_scores = learning_curve(
        make_tiny(), X, Y, cv=2, train_sizes=[0.5, 1.0]
    )
    assert sizes.tolist() == [12, 24]
    assert np.isfinite(train_scores).all()
    assert np.isfinite(test_scores).all()


def test_learning_curve_goes_on_by_partial_fit():
    classes = {"colour": ["blue", "red"], "grade": [0, 1, 2], "fits": [0, 1]}
    _, _, scores = learning_curve(
        make_tiny(classes=classes),
        X,
        Y,
        cv=2,
        train_sizes=[0.5, 1.0],
        exploit_incremental_learning=True,
    )
    assert np.isfinite(scores).all()


def test_validation_curve_has_a_score_for_each_value():
    _, scores = validation_curve(
        make_tiny(),
        X,
        Y,
        param_name="optimizer__learning_rate",
        param_range=GRID["optimizer__learning_rate"],
        cv=2,
    )
    assert scores.shape == (2, 2)
    assert np.isfinite(scores).all()


def test_permutation_test_score_permutes_rows_of_y():
    score, permuted, p_value = permutation_test_score(
        make_tiny(), X, Y, cv=2, n_permutations=2, random_state=0
    )
    assert np.isfinite([score, *permuted, p_value]).all()


@pytest.mark.parametrize("display", [LearningCurveDisplay, ValidationCurveDisplay])
def test_curve_display_is_drawn_from_the_estimator(display):
    plt = pytest.importorskip("matplotlib.pyplot")
    params = {"train_sizes": [0.5, 1.0]}
    if display is ValidationCurveDisplay:
        params = {"param_name": "optimizer__learning_rate", "param_range": [1e-3, 1e-1]}
    drawn = display.from_estimator(make_tiny(), X, Y, cv=2, score_name="accuracy", **params)
    assert np.isfinite(drawn.ax_.get_lines()[0].get_ydata()).all()
    plt.close(drawn.figure_)


@pytest.mark.slow_except("mixed", "array", "nullable", "text 1-D")
@pytest.mark.parametrize("kind", KINDS)
def test_cross_val_predict_of_labels_predicts_each_row_by_the_other_folds(kind):
    y = make_labels(kind)
    predicted = cross_val_predict(make_tiny(), X, y, cv=2)
    assert isinstance(predicted, np.ndarray)
    for train, test in KFold(2).split(X):
        rows = y.iloc if hasattr(y, "iloc") else y
        clf = make_tiny().fit(X.iloc[train], rows[train])
        assert (predicted[test] == np.asarray(clf.predict(X.iloc[test]))).all()


@pytest.mark.parametrize("scoring", [None, get_multitask_scorer("roc_auc")])
def test_permutation_importance_scores_with_missing_labels(scoring):
    clf = make_tiny(epochs=30, optimizer__learning_rate=0.05).fit(X, Y)
    importance = permutation_importance(clf, X, Y, scoring=scoring, n_repeats=3, random_state=0)
    assert np.isfinite(importance.importances).all()
    assert importance.importances_mean.argmin() == 3  # no task depends on the mass


@pytest.mark.slow
def test_sequential_feature_selector_selects_features():
    selector = SequentialFeatureSelector(make_tiny(), n_features_to_select=1, cv=2).fit(X, Y)
    assert selector.transform(X).shape == (N_ROWS, 1)


def test_select_from_model_selects_by_the_first_kernel():
    def first_kernel(clf):
        return np.abs(np.asarray(clf.model_.get_layer("trunk_0").kernel)).sum(axis=1)

    selector = SelectFromModel(
        make_tiny(), importance_getter=first_kernel, max_features=2, threshold=-np.inf
    ).fit(X, Y)
    largest = np.sort(first_kernel(selector.estimator_).argsort()[-2:])
    assert np.flatnonzero(selector.get_support()).tolist() == largest.tolist()


# ------------------------------------------------------------------------------------------------
# Composition
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_column_transformer_works_within_a_search():
    frame = X.assign(shape=np.where(X["mass"] > 0, "round", "flat"))
    columns = ColumnTransformer(
        [("scale", StandardScaler(), list(X.columns)), ("encode", OneHotEncoder(), ["shape"])]
    )
    grid = {
        "columntransformer__scale__with_mean": [True, False],
        "multitaskclassifier__optimizer__learning_rate": [1e-2],
    }
    search = GridSearchCV(make_pipeline(columns, make_tiny()), grid, cv=2).fit(frame, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_[-1].n_features_in_ == 6


def test_set_output_gives_the_estimator_named_features():
    pipeline = make_pipeline(StandardScaler(), make_tiny()).set_output(transform="pandas")
    assert pipeline.fit(X, Y)[-1].feature_names_in_.tolist() == list(X.columns)


def test_frozen_estimator_keeps_the_fit():
    clf = make_tiny().fit(X, Y)
    before = probabilities_of(clf)
    frozen = clone(FrozenEstimator(clf)).fit(X.iloc[:10], Y.iloc[:10])
    np.testing.assert_array_equal(probabilities_of(frozen), before)


@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.slow), "threading"])
def test_parallel_search_scores_as_the_serial_one(backend):
    serial = GridSearchCV(make_tiny(dropout=0.2), GRID, cv=2).fit(X, Y)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        parallel = GridSearchCV(make_tiny(dropout=0.2), GRID, cv=2).fit(X, Y)
    for name in ("split0_test_score", "split1_test_score"):
        assert parallel.cv_results_[name].tolist() == serial.cv_results_[name].tolist()
    np.testing.assert_array_equal(probabilities_of(parallel), probabilities_of(serial))


# ------------------------------------------------------------------------------------------------
# Metadata routing
# ------------------------------------------------------------------------------------------------


def test_routing_hands_requested_weights_to_fit_and_score():
    weight = WEIGHTS["per cell"]
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make_tiny().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        results = cross_validate(
            clf, X, Y, cv=2, params={"sample_weight": weight}, return_estimator=True
        )
    for fold, (train, test) in enumerate(KFold(2).split(X)):
        by_hand = fit_by_hand(train, weight)
        np.testing.assert_array_equal(
            probabilities_of(results["estimator"][fold]), probabilities_of(by_hand)
        )
        score = by_hand.score(X.iloc[test], Y.iloc[test], sample_weight=weight[test])
        assert results["test_score"][fold] == score


def test_routing_refuses_weights_that_nobody_requested():
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(UnsetMetadataPassedError, match="sample_weight"),
    ):
        cross_validate(make_tiny(), X, Y, cv=2, params={"sample_weight": WEIGHTS["per row"]})


def test_routing_reaches_a_pipeline_and_our_scorer_in_a_search():
    weight = WEIGHTS["per row"]
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make_tiny().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        scorer = make_multitask_scorer("accuracy").set_score_request(sample_weight=True)
        search = GridSearchCV(make_pipeline(scaler, clf), {}, cv=2, scoring=scorer, refit=False)
        search.fit(X, Y, sample_weight=weight)
    for fold, (train, test) in enumerate(KFold(2).split(X)):
        by_hand = make_pipeline(StandardScaler(), make_tiny()).fit(
            X.iloc[train], Y.iloc[train], multitaskclassifier__sample_weight=weight[train]
        )
        score = scorer(by_hand, X.iloc[test], Y.iloc[test], sample_weight=weight[test])
        assert search.cv_results_[f"split{fold}_test_score"][0] == pytest.approx(score)


def test_weights_reach_the_last_step_of_a_pipeline_by_its_name():
    weight = WEIGHTS["per cell"]
    search = GridSearchCV(make_pipeline(make_tiny()), {}, cv=2)
    search.fit(X, Y, multitaskclassifier__sample_weight=weight)
    by_hand = fit_by_hand(np.arange(N_ROWS), weight)
    np.testing.assert_array_equal(probabilities_of(search), probabilities_of(by_hand))


# ------------------------------------------------------------------------------------------------
# The guard on scikit-learn's cross_val_predict of probabilities
# ------------------------------------------------------------------------------------------------

GUARDED = {
    "estimator": lambda clf: clf,
    "pipeline": lambda clf: make_pipeline(StandardScaler(), clf),
    "search": lambda clf: GridSearchCV(clf, GRID, cv=2),
    "search of a pipeline": lambda clf: GridSearchCV(make_pipeline(clf), {}, cv=2),
    "pipeline of a search": lambda clf: make_pipeline(GridSearchCV(clf, GRID, cv=2)),
    "halving search": lambda clf: HalvingGridSearchCV(clf, GRID, cv=2),
}
CALLS = {
    "int": {"cv": 2},
    "None": {"cv": None},
    "KFold": {"cv": KFold(2)},
    "list": {"cv": SPLITS},
    "two jobs": {"cv": 2, "n_jobs": 2},
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wrap", GUARDED)
def test_guard_refuses_cross_val_predict_of_probabilities(wrap, call):
    estimator = GUARDED[wrap](make_tiny())
    with pytest.raises(MissingLabelsError, match=r"sk_mtl\.model_selection\.cross_val_predict"):
        cross_val_predict(estimator, X, Y, method="predict_proba", **CALLS[call])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_guard_refuses_y_of_every_kind(method, kind):
    with pytest.raises(MissingLabelsError, match=method):
        cross_val_predict(make_tiny(), X, make_labels(kind), cv=2, method=method)


def test_guard_refuses_the_best_estimator_of_a_search():
    best = GridSearchCV(make_tiny(), {}, cv=2).fit(X, Y).best_estimator_
    with pytest.raises(MissingLabelsError):
        cross_val_predict(best, X, Y, cv=2, method="predict_proba")


@pytest.mark.parametrize("sentinel", [-1, "unknown"])
def test_guard_knows_the_label_that_means_missing(sentinel):
    y = Y[["grade"]].astype(object).where(Y[["grade"]].notna(), sentinel).to_numpy()
    if sentinel == -1:
        y = y.astype(int)
    y = np.hstack([y, y])
    guarded = make_tiny(missing_label=sentinel)
    with pytest.raises(MissingLabelsError):
        cross_val_predict(guarded, X, y, cv=2, method="predict_proba")


@pytest.mark.slow_except(
    "frame-pipeline",
    "frame-search",
    "array 1-D-estimator",
    "array 1-D-pipeline",
    "array 1-D-search",
)
@pytest.mark.parametrize("wrap", ["estimator", "pipeline", "search"])
@pytest.mark.parametrize("form", ["frame", "array 1-D"])
def test_guard_lets_a_complete_y_pass(form, wrap):
    y = pd.DataFrame({"colour": np.where(X["width"] > 0, "red", "blue"), "fits": X["depth"] > 0})
    y = y if form == "frame" else y["colour"].to_numpy()
    estimator = GUARDED[wrap](make_tiny())
    probabilities = cross_val_predict(estimator, X, y, cv=2, method="predict_proba")
    by_ours = sk_mtl.model_selection.cross_val_predict(
        estimator, X, y, cv=KFold(2), method="predict_proba"
    )
    if form == "array 1-D":
        probabilities, by_ours = [probabilities], [by_ours]
    for ours, theirs in zip(by_ours, probabilities, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_guard_lets_labels_and_our_own_function_pass():
    assert cross_val_predict(make_tiny(), X, Y, cv=2, method="predict").shape == (N_ROWS, 3)
    ours = sk_mtl.model_selection.cross_val_predict(make_tiny(), X, Y, cv=2, method="predict_proba")
    assert [p.shape[1] for p in ours] == [2, 3, 2]


def test_guard_reads_names_that_scikit_learn_still_uses():
    # The guard looks for this frame; under other names it would let missing labels pass.
    function = inspect.unwrap(cross_val_predict)
    assert function.__globals__["__name__"] == "sklearn.model_selection._validation"
    assert function.__code__.co_name == "cross_val_predict"
    names = function.__code__.co_varnames
    count = function.__code__.co_argcount + function.__code__.co_kwonlyargcount
    assert {"y", "method"} <= set(names[:count])


# ------------------------------------------------------------------------------------------------
# Copies: pickle, joblib, clone, another process
# ------------------------------------------------------------------------------------------------


class CountEpochs(keras.callbacks.Callback):
    """Counts the epochs of the fits that it is given to."""

    def __init__(self, start=0):
        super().__init__()
        self.count = start

    def on_epoch_end(self, epoch, logs=None):
        self.count += 1


FITTED = {
    "plain": {},
    "callback class": {"callbacks": CountEpochs, "callbacks__start": 3},
    "callback instance": {"callbacks": [CountEpochs()]},
    "optimizer instance": {"optimizer": keras.optimizers.SGD(0.1, momentum=0.9)},
    "schedule": {
        "optimizer": keras.optimizers.Adam,
        "optimizer__learning_rate": keras.optimizers.schedules.CosineDecay,
        "optimizer__learning_rate__initial_learning_rate": 0.01,
        "optimizer__learning_rate__decay_steps": 10,
    },
    "all layers": {
        "normalization": "batch",
        "dropout": 0.1,
        "head_hidden_layer_sizes": (3,),
        "task_weighting": "uncertainty",
    },
}
COPIES = {
    "pickle": lambda fitted: pickle.loads(pickle.dumps(fitted)),
    "oldest protocol": lambda fitted: pickle.loads(pickle.dumps(fitted, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@cache
def fit_once(name):
    """Return an estimator of `FITTED`, which no test may change."""
    return make_tiny(**FITTED[name]).fit(X, Y)


@pytest.mark.slow_except("plain-*")
@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("name", FITTED)
def test_copy_predicts_the_same_bits(name, copied):
    clf = fit_once(name)
    twin = COPIES[copied](clf)
    np.testing.assert_array_equal(probabilities_of(twin), probabilities_of(clf))
    pd.testing.assert_frame_equal(twin.predict(X), clf.predict(X))
    assert twin.history_ == clf.history_
    assert twin.classes_["grade"].tolist() == clf.classes_["grade"].tolist()
    assert twin.score(X, Y) == clf.score(X, Y)


@pytest.mark.slow
def test_clone_of_a_fit_with_a_callback_instance_fits_the_same_bits():
    clf = fit_once("callback instance")
    twin = clone(clf).fit(X, Y)
    np.testing.assert_array_equal(probabilities_of(twin), probabilities_of(clf))


def test_copy_that_is_fitted_on_leaves_the_original_alone():
    clf = make_tiny(warm_start=True).fit(X, Y)
    before = probabilities_of(clf)
    copy.deepcopy(clf).fit(X, Y)
    copy.copy(clf).fit(X, Y)
    np.testing.assert_array_equal(probabilities_of(clf), before)


@pytest.mark.slow
def test_copy_goes_on_training_as_the_original():
    clf = make_tiny(warm_start=True, dropout=0.1).fit(X, Y)
    twin = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(probabilities_of(twin.fit(X, Y)), probabilities_of(clf.fit(X, Y)))


@pytest.mark.parametrize("compress", [0, 3, ("xz", 1)])
def test_joblib_dump_predicts_the_same_bits(tmp_path, compress):
    clf = make_pipeline(StandardScaler(), make_tiny()).fit(X, Y)
    joblib.dump(clf, tmp_path / "clf.joblib", compress=compress)
    twin = joblib.load(tmp_path / "clf.joblib")
    np.testing.assert_array_equal(probabilities_of(twin), probabilities_of(clf))


@pytest.mark.slow
def test_joblib_load_maps_the_weights_from_disk(tmp_path):
    clf = make_tiny(hidden_layer_sizes=(64,)).fit(X, Y)
    joblib.dump(clf, tmp_path / "clf.joblib")
    twin = joblib.load(tmp_path / "clf.joblib", mmap_mode="r")
    np.testing.assert_array_equal(probabilities_of(twin), probabilities_of(clf))


@pytest.mark.slow
def test_cloudpickle_carries_an_estimator_with_a_local_callback():
    cloudpickle = pytest.importorskip("cloudpickle")

    class Local(keras.callbacks.Callback):
        pass

    clf = make_tiny(callbacks=Local).fit(X, Y)
    twin = cloudpickle.loads(cloudpickle.dumps(clf))
    np.testing.assert_array_equal(probabilities_of(twin), probabilities_of(clf))


def test_pickle_holds_weights_and_settings_only():
    # 39 weights here, and Adam's two moments of each; measured: 3.8 kB.
    clf = make_tiny(callbacks=[CountEpochs()], numeric_embedding=None).fit(X, Y)
    clf.predict(X)
    clf.model_  # noqa: B018  what is built on demand is not to be pickled
    text = pickle.dumps(clf)
    assert len(text) < 8_000
    assert b"tensorflow" not in text


def test_pickle_does_not_grow_with_the_training_rows():
    small = make_tiny(early_stopping=False).fit(X, Y)
    large = make_tiny(early_stopping=False).fit(pd.concat([X] * 20), pd.concat([Y] * 20))
    assert abs(len(pickle.dumps(large)) - len(pickle.dumps(small))) < 200


@pytest.mark.slow
def test_another_process_predicts_the_same_bits(tmp_path):
    fitted = {name: fit_once(name) for name in ("optimizer instance", "schedule", "all layers")}
    fitted["pipeline"] = make_pipeline(StandardScaler(), make_tiny()).fit(X, Y)
    expected = {name: (probabilities_of(clf), clf.predict(X)) for name, clf in fitted.items()}
    joblib.dump((fitted, X, expected), tmp_path / "fitted.joblib", compress=3)
    script = (
        "import sys, joblib, numpy, pandas\n"
        "fitted, X, expected = joblib.load(sys.argv[1])\n"
        "for name, clf in fitted.items():\n"
        "    probabilities, labels = expected[name]\n"
        "    numpy.testing.assert_array_equal(numpy.hstack(clf.predict_proba(X)), probabilities)\n"
        "    pandas.testing.assert_frame_equal(clf.predict(X), labels)\n"
        "assert 'scikeras' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "fitted.joblib")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_clone_takes_all_parameters_and_no_fit():
    callbacks = {"stop": keras.callbacks.EarlyStopping}
    clf = make_tiny(
        callbacks=callbacks,
        callbacks__stop__patience=3,
        callbacks__stop__monitor="loss",
        optimizer=keras.optimizers.SGD(0.1),
        class_weight={"grade": "balanced"},
        task_weighting={"colour": 2.0},
    ).fit(X, Y)
    twin = clone(clf)
    assert not hasattr(twin, "classes_")
    params, twin_params = clf.get_params(), twin.get_params()
    assert params.keys() == twin_params.keys()
    assert twin.callbacks__stop__patience == 3
    assert twin.callbacks == callbacks
    assert twin.optimizer.get_config() == clf.optimizer.get_config()
    np.testing.assert_array_equal(probabilities_of(twin.fit(X, Y)), probabilities_of(clf))


def test_clone_fits_the_same_bits_when_the_classes_are_those_of_a_fit():
    clf = make_tiny().fit(X, Y)
    twin = clone(make_tiny(classes=clf.classes_)).fit(X, Y)
    np.testing.assert_array_equal(probabilities_of(twin), probabilities_of(clf))


def test_clone_after_set_params_carries_routed_settings_first_set_there():
    clf = clone(make_tiny().set_params(optimizer__learning_rate=0.5, callbacks=CountEpochs))
    assert clf.get_params()["optimizer__learning_rate"] == 0.5
    assert clf.callbacks is CountEpochs


def test_metadata_requests_survive_clone_and_pickle():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make_tiny().set_fit_request(sample_weight="importance")
        for twin in (clone(clf), pickle.loads(pickle.dumps(clf))):
            assert twin.get_metadata_routing().fit.requests["sample_weight"] == "importance"


# ------------------------------------------------------------------------------------------------
# Names of features, representations
# ------------------------------------------------------------------------------------------------


def test_feature_names_are_noted_and_compared():
    clf = make_tiny().fit(X, Y)
    assert clf.n_features_in_ == 4
    assert clf.feature_names_in_.tolist() == list(X.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="3 features"):
        make_tiny().fit(X.to_numpy(), Y).predict(X.to_numpy()[:, :3])


def test_feature_names_are_not_noted_of_an_array():
    clf = make_tiny().fit(X.to_numpy(), Y)
    assert not hasattr(clf, "feature_names_in_")
    with pytest.warns(UserWarning, match="fitted without feature names"):
        clf.predict(X)


def test_failed_fit_leaves_the_features_as_they_were():
    clf = make_tiny().fit(X, Y)
    with pytest.raises(ValueError, match="no label at all"):
        clf.fit(X.iloc[:, :2], pd.DataFrame(np.nan, index=Y.index, columns=Y.columns))
    assert clf.n_features_in_ == 4
    assert clf.predict(X).shape == (N_ROWS, 3)


def test_predicting_changes_nothing_of_the_estimator():
    clf = make_tiny().fit(X, Y)
    before = dict(vars(clf))
    clf.predict(X)
    clf.predict_proba(X)
    clf.score(X, Y)
    assert vars(clf).keys() == before.keys()
    assert all(vars(clf)[name] is value for name, value in before.items())


def test_repr_shows_what_differs_from_the_defaults():
    clf = MultiTaskClassifier(epochs=5, optimizer__learning_rate=0.1)
    assert repr(clf) == "MultiTaskClassifier(epochs=5, optimizer__learning_rate=0.1)"
    assert repr(MultiTaskClassifier()) == "MultiTaskClassifier()"


def test_html_shows_the_estimator_and_whether_it_is_fitted():
    clf = make_tiny(optimizer__learning_rate=0.1)
    assert "Not fitted" in estimator_html_repr(clf)
    pipeline = make_pipeline(StandardScaler(), clf).fit(X, Y)
    html = estimator_html_repr(pipeline)
    assert "MultiTaskClassifier" in html
    assert "Not fitted" not in html
