"""Scores of hidden labels that are filled, by hand, in any form, and in searches."""

import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.metrics as skm
from helpers import make_tiny
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LearningCurveDisplay,
    ValidationCurveDisplay,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_mtl import MultiTaskEnsemble
from sk_mtl.metrics import CompletionScorer, completion_score
from sk_mtl.model_selection import MultiTaskSearchCV

N = 120
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
INDEX = pd.Index([f"row {i}" for i in range(N)], name="id")
GRADES = RNG.integers(0, 3, N)
WHOLE = pd.DataFrame(
    {
        "text": pd.Series(np.where(X[:, 0] > 0, "yes", "no"), dtype="string"),
        "grade": pd.array(GRADES, dtype="Int64"),
        "kind": pd.Categorical(np.array(["w", "u", "v"])[GRADES], ["w", "v", "u"]),
        "flag": pd.array(X[:, 1] > 0, dtype="boolean"),
    },
)
Y = WHOLE.mask(RNG.random(WHOLE.shape) < 0.3).set_axis(INDEX)
# Three tasks with the same classes: mistaking one for another is no error, but wrong.
ALIKE = pd.DataFrame(
    {"a": GRADES > 0, "b": X[:, 0] > 0, "c": (GRADES > 0) ^ (RNG.random(N) < 0.1)}, index=INDEX
).astype(float)
ALIKE = ALIKE.mask(RNG.random(ALIKE.shape) < 0.2)
FOLDS = KFold(2)
PATTERNS = ["cells", "tasks", "holes"]
COLUMNS = ["n_hidden", "completed", "without_labels", "constant"]
patterns = pytest.mark.parametrize("pattern", PATTERNS)


def make(**params):
    settings = {"hidden_layer_sizes": (8,), "known_labels": True, "epochs": 3}
    settings |= {"early_stopping": False, "optimizer__learning_rate": 0.05, "jit_compile": False}
    return make_tiny(**{**settings, **params})


@cache
def fitted(known_labels=True):
    return make(known_labels=known_labels).fit(X, Y)


@cache
def fitted_alike():
    return make(epochs=10).fit(X, ALIKE)


def score(labels=Y, metric="roc_auc", clf=None, features=X, **params):
    clf = fitted() if clf is None else clf
    settings = {"random_state": 0, "n_repeats": 2} | params
    return completion_score(clf, features, labels, metric, **settings)


def auc_of(classes, true, p):
    """Return the ROC-AUC of one task, the mean over classes against the rest."""
    if len(classes) == 2:
        return skm.roc_auc_score(true == classes[1], p[:, 1])
    return np.mean([skm.roc_auc_score(true == c, p[:, k]) for k, c in enumerate(classes)])


# ------------------------------------------------------------------------------------------------
# By hand
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_row_for_each_task_and_one_for_the_mean():
    scores = score()
    assert list(scores.index) == [*Y.columns, "mean"]
    assert scores.index.name == "task"
    assert list(scores.columns) == COLUMNS


@pytest.mark.parametrize("task", Y.columns)
def test_each_task_is_scored_by_its_probabilities_given_the_others(task):
    clf = fitted()
    known = Y[task].notna().to_numpy()
    p = clf.complete_proba(X, Y, leave_one_out=True)[task][known]
    true = Y[task][known].to_numpy(dtype=object)
    found = score(pattern="tasks").loc[task]
    assert found["n_hidden"] == known.sum()
    assert found["completed"] == pytest.approx(auc_of(clf.classes_[task], true, p))


@pytest.mark.parametrize("task", Y.columns)
def test_beside_it_is_the_score_of_x_alone(task):
    clf = fitted()
    known = Y[task].notna().to_numpy()
    p = clf.predict_proba(X)[task][known]
    true = Y[task][known].to_numpy(dtype=object)
    found = score(pattern="tasks").loc[task, "without_labels"]
    assert found == pytest.approx(auc_of(clf.classes_[task], true, p))


@pytest.mark.parametrize("task", Y.columns)
def test_accuracy_is_that_of_the_most_probable_labels(task):
    clf = fitted()
    known = Y[task].notna().to_numpy()
    p = clf.complete_proba(X, Y, leave_one_out=True)[task][known]
    chosen = clf.classes_[task][p.argmax(axis=1)].astype(object)
    expected = (chosen == Y[task][known].to_numpy(dtype=object)).mean()
    assert score(metric="accuracy", pattern="tasks").loc[task, "completed"] == expected


@pytest.mark.slow
def test_random_cells_are_filled_given_those_that_are_left():
    clf, known = fitted_alike(), ALIKE.notna().to_numpy()
    drawn = np.random.RandomState(3).random_sample(known.shape) < 0.4
    filled = clf.complete(X, ALIKE.mask(drawn))
    found = score(ALIKE, "accuracy", clf, hide=0.4, n_repeats=1, random_state=3)
    for t, task in enumerate(ALIKE):
        hidden = known[:, t] & drawn[:, t]
        assert found.loc[task, "n_hidden"] == hidden.sum()
        expected = (filled[task] == ALIKE[task])[hidden].mean()
        assert found.loc[task, "completed"] == expected


def test_holes_hide_only_labels_that_other_rows_lack():
    some = Y.copy()
    some["text"] = WHOLE["text"].set_axis(INDEX)
    with pytest.warns(UndefinedMetricWarning, match=r"'text' \(no labelled cell\)"):
        found = score(some, pattern="holes")["n_hidden"]
    assert found["text"] == 0
    assert (found[["grade", "kind", "flag"]] > 0).all()


def test_more_is_hidden_if_told_so():
    assert score(hide=0.6).loc["mean", "n_hidden"] > score(hide=0.2).loc["mean", "n_hidden"]


@patterns
@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_a_network_of_x_alone_completes_as_it_predicts(pattern, metric):
    found = score(clf=fitted(False), metric=metric, pattern=pattern)
    np.testing.assert_allclose(found["completed"], found["without_labels"])


@patterns
def test_labels_that_tell_of_one_another_raise_the_score(pattern):
    found = score(pattern=pattern).loc[["grade", "kind"]]
    assert (found["completed"] > found["without_labels"]).all()


def test_mean_is_the_mean_of_the_tasks():
    found = score()
    np.testing.assert_allclose(found.loc["mean"], found.drop("mean").mean())


def test_mean_is_the_mean_of_the_tasks_if_a_repeat_lacks_one():
    # Of few rows, a repeat may hide no label of a task, or only those of one class.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        found = score(Y[:14], features=X[:14], n_repeats=6)
    assert found["completed"].notna().all()
    np.testing.assert_allclose(found.loc["mean"], found.drop("mean").mean())


def test_repeats_are_averaged():
    rng = np.random.RandomState(0)
    single = [score(n_repeats=1, random_state=rng) for _ in range(3)]
    expected = sum(single) / 3
    pd.testing.assert_frame_equal(score(n_repeats=3), expected)


@pytest.mark.slow
def test_same_seed_hides_the_same():
    pd.testing.assert_frame_equal(score(), score())
    assert not score().equals(score(random_state=1))


def test_constant_predictor_learns_from_labels_of_training():
    known = ALIKE.notna().all(axis=1).to_numpy()
    train = pd.DataFrame({"a": [0, 0, 0, 1], "b": [0, 1, 1, 1], "c": [0, 1, 0, 1]})
    found = score(
        ALIKE[known], "log_loss", fitted_alike(), X[known], pattern="tasks", Y_train=train
    )
    for task in ALIKE:
        true, share = ALIKE[task][known], train[task].mean()
        expected = -np.log(np.where(true == 1, share, 1 - share)).mean()
        assert found.loc[task, "constant"] == pytest.approx(expected)


def test_losses_have_names_too():
    found, negated = (score(metric=m, pattern="tasks") for m in ("log_loss", "neg_log_loss"))
    np.testing.assert_allclose(found[COLUMNS[1:]], -negated[COLUMNS[1:]])


def share_of_hits(true, predicted):
    return np.mean(true == predicted)


@patterns
def test_a_function_gets_labels(pattern):
    found = score(metric=share_of_hits, pattern=pattern)
    pd.testing.assert_frame_equal(found, score(metric="accuracy", pattern=pattern))


# ------------------------------------------------------------------------------------------------
# Forms of the labels
# ------------------------------------------------------------------------------------------------

FORMS = {
    "objects": lambda y: y.astype(object),
    "array": lambda y: y.to_numpy(object),
    "lists": lambda y: y.astype(object).where(y.notna(), None).to_numpy().tolist(),
    "polars": lambda y: pl.from_pandas(y.astype({"kind": str}).mask(y.isna(), None)),
}


@pytest.mark.parametrize(
    ("metric", "pattern"), [("roc_auc", "cells"), ("accuracy", "cells"), ("accuracy", "tasks")]
)
@pytest.mark.parametrize("form", FORMS)
def test_form_of_the_labels_changes_no_score(form, metric, pattern):
    found = score(FORMS[form](Y), metric, pattern=pattern)
    pd.testing.assert_frame_equal(found, score(metric=metric, pattern=pattern))


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_order_of_the_columns_changes_no_score_of_a_task(metric):
    moved = ALIKE[["b", "c", "a"]]
    found = score(moved, metric, fitted_alike(), pattern="tasks")
    expected = score(ALIKE, metric, fitted_alike(), pattern="tasks")
    pd.testing.assert_frame_equal(found.loc[expected.index], expected)


@patterns
@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_tasks_of_any_classes_may_come_in_another_order(metric, pattern):
    found = score(Y[Y.columns[::-1]], metric, pattern=pattern)
    assert set(found.index) == {*Y.columns, "mean"}


def test_labels_of_training_may_have_another_order_of_columns():
    train = pd.DataFrame({"a": [0, 0, 0, 1], "b": [0, 1, 1, 1], "c": [0, 1, 0, 1]})
    settings = {"metric": "log_loss", "clf": fitted_alike(), "pattern": "tasks"}
    found = score(ALIKE, **settings, Y_train=train[["b", "c", "a"]])
    pd.testing.assert_frame_equal(found, score(ALIKE, **settings, Y_train=train))


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_labels_that_mean_missing_are_those_of_the_estimator(metric):
    marked = ALIKE.fillna(-1).to_numpy()
    clf = make(missing_label=-1, epochs=10).fit(X, marked)
    found = score(marked, metric, clf)
    expected = score(ALIKE, metric, fitted_alike())
    np.testing.assert_array_equal(found, expected)


def test_labels_that_mean_missing_can_be_given():
    found = score(ALIKE.fillna(-1), clf=fitted_alike(), missing_label=-1)
    pd.testing.assert_frame_equal(found, score(ALIKE, clf=fitted_alike()))


def test_rows_in_another_order_than_x_are_told():
    with pytest.warns(UserWarning, match="indexes of X and Y hold the same labels in different"):
        score(Y[::-1], features=pd.DataFrame(X, index=INDEX))


def test_labels_are_not_written_to():
    before = Y.copy(deep=True)
    score()
    pd.testing.assert_frame_equal(Y, before)


# ------------------------------------------------------------------------------------------------
# Tasks that cannot be learned
# ------------------------------------------------------------------------------------------------

ODD = Y[["text", "grade"]].assign(
    nothing=np.nan, listed=pd.Series(None, index=INDEX, dtype=object), single="k"
)[["single", "nothing", "text", "listed", "grade"]]


@cache
def fitted_odd():
    """Return a fit to tasks without labels, one of them with classes, and with one class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of these tasks
        return make(classes={"listed": ["a", "b"]}).fit(X, ODD)


@patterns
@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_tasks_without_labels_have_no_score(metric, pattern):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        found = score(ODD, metric, fitted_odd(), pattern=pattern)
    assert found.loc[["nothing", "listed"], "completed"].isna().all()
    assert found.loc[["text", "grade", "mean"], "completed"].notna().all()


def test_a_task_with_one_class_is_always_right():
    with pytest.warns(UndefinedMetricWarning, match="left out of the mean"):
        found = score(ODD, "accuracy", fitted_odd())
    assert found.loc["single", "completed"] == 1


def test_what_is_left_out_is_told():
    with pytest.warns(UndefinedMetricWarning, match=r"'nothing' \(no labelled cell\)"):
        score(ODD, clf=fitted_odd(), pattern="tasks")


def test_holes_of_a_table_without_any_are_refused():
    with pytest.raises(ValueError, match="Y has no missing label"):
        score(WHOLE.set_axis(INDEX), pattern="holes")


# ------------------------------------------------------------------------------------------------
# Pipelines
# ------------------------------------------------------------------------------------------------


def test_a_pipeline_is_scored_by_its_last_step():
    pipe = make_pipeline(StandardScaler(), make()).fit(X, Y)
    expected = score(clf=pipe[-1], features=pipe[:-1].transform(X))
    pd.testing.assert_frame_equal(score(clf=pipe), expected)


@pytest.mark.slow
def test_a_pipeline_takes_frames_apart():
    frame = pd.DataFrame({"n": X[:, 0], "m": X[:, 1], "c": np.where(X[:, 2] > 0, "x", "y")}, INDEX)
    parts = [("scale", StandardScaler(), ["n", "m"]), ("code", OneHotEncoder(), ["c"])]
    pipe = make_pipeline(ColumnTransformer(parts), make()).fit(frame, Y)
    expected = score(clf=pipe[-1], features=pipe[:-1].transform(frame))
    pd.testing.assert_frame_equal(score(clf=pipe, features=frame), expected)


def test_a_search_is_scored_by_its_best_estimator():
    search = GridSearchCV(make(), {"epochs": [1]}, cv=FOLDS).fit(X, ALIKE)
    expected = score(ALIKE, clf=search.best_estimator_)
    pd.testing.assert_frame_equal(score(ALIKE, clf=search), expected)


def test_sparse_features_are_taken():
    clf = make().fit(sp.csr_matrix(X), Y)
    assert score(clf=clf, features=sp.csr_matrix(X))["completed"].notna().all()


# ------------------------------------------------------------------------------------------------
# What is refused
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hide", [-0.1, 1.5, "a", None, True, np.nan])
def test_hide_is_a_share(hide):
    with pytest.raises(ValueError, match="'hide' parameter of completion_score"):
        score(hide=hide)


@pytest.mark.parametrize("hide", [0, 1])
def test_hiding_none_or_all_is_refused(hide):
    with pytest.raises(ValueError, match="'hide' parameter of completion_score"):
        score(hide=hide)


@pytest.mark.parametrize("pattern", ["cell", "Tasks", None, 3])
def test_unknown_patterns_are_refused(pattern):
    with pytest.raises(ValueError, match="must be one of 'cells', 'tasks', 'holes'"):
        score(pattern=pattern)


@pytest.mark.parametrize("n_repeats", [0, -1, 1.0, True, None])
def test_number_of_repeats_is_at_least_one(n_repeats):
    with pytest.raises(ValueError, match="'n_repeats' parameter of completion_score"):
        score(n_repeats=n_repeats)


def test_unknown_metrics_are_refused():
    with pytest.raises(ValueError, match=r"^There is no metric 'auc'\."):
        score(metric="auc")


@pytest.mark.slow_except("column")
@pytest.mark.parametrize("form", ["Series", "column"])
def test_a_single_task_is_refused(form):
    labels = Y["text"] if form == "Series" else Y[["text"]]
    clf = make(epochs=1).fit(X, labels)
    with pytest.raises(ValueError, match=r"^Y must have at least two tasks"):
        score(labels, clf=clf)


def test_a_task_called_mean_is_refused():
    named = ALIKE.rename(columns={"a": "mean"})
    with pytest.raises(ValueError, match="rename the task of that name"):
        score(named, clf=make(epochs=1).fit(X, named))


@patterns
def test_labels_unseen_in_training_are_refused(pattern):
    strange = Y.assign(text="maybe")
    with pytest.raises(ValueError, match=r"^Task 'text' has \d+ label\(s\) outside its classes"):
        score(strange, pattern=pattern)


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_another_number_of_rows_is_refused(metric):
    with pytest.raises(ValueError, match=r"^Y must have one row per row of X: 120\. Got 119\."):
        score(Y[:-1], metric)


def test_another_number_of_tasks_of_training_is_refused():
    with pytest.raises(ValueError, match="y_train must have the tasks"):
        score(Y_train=Y[["text", "grade"]])


def test_other_tasks_of_training_are_refused():
    with pytest.raises(ValueError, match="must have the tasks of y_true"):
        score(ALIKE, clf=fitted_alike(), Y_train=ALIKE.rename(columns={"a": "z"}))


@pytest.mark.parametrize("is_inside", [False, True], ids=["alone", "pipeline"])
def test_estimators_that_are_not_fitted_are_refused(is_inside):
    with pytest.raises(NotFittedError):
        score(clf=make_pipeline(StandardScaler(), make()) if is_inside else make())


def test_estimators_that_cannot_complete_are_refused():
    forest = RandomForestClassifier(2, random_state=0).fit(X, np.column_stack([GRADES, GRADES]))
    with pytest.raises(TypeError, match=r"^The estimator must be a MultiTaskClassifier"):
        score(np.column_stack([GRADES, GRADES]), clf=forest)


def test_a_view_of_one_task_is_refused():
    with pytest.raises(TypeError, match="Got TaskView"):
        score(clf=fitted().task_view("text"))


def test_an_ensemble_of_networks_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        score(clf=MultiTaskEnsemble())


# ------------------------------------------------------------------------------------------------
# The scorer
# ------------------------------------------------------------------------------------------------


@patterns
@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "neg_log_loss"])
def test_scorer_is_the_mean_of_the_completed(metric, pattern):
    scorer = CompletionScorer(metric, pattern=pattern, n_repeats=2, random_state=4)
    expected = score(metric=metric, pattern=pattern, n_repeats=2, random_state=4)
    assert scorer(fitted(), X, Y) == pytest.approx(expected.loc["mean", "completed"])


@pytest.mark.slow
def test_scorer_is_a_number_if_a_repeat_has_no_score():
    # As in completion_score, the mean over the repeats that have one.
    labels = np.full((12, 2), np.nan)
    labels[0], labels[1], labels[2:, 0] = [0, 0], [1, 1], 0
    clf = make(epochs=1).fit(X[:12], labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        settings = {"hide": 0.4, "n_repeats": 12, "random_state": 0}
        expected = completion_score(clf, X[:12], labels, **settings).loc["mean", "completed"]
        found = CompletionScorer(**settings)(clf, X[:12], labels)
    assert np.isfinite(expected)
    assert found == pytest.approx(expected)


def test_scorer_hides_the_same_cells_again():
    scorer = CompletionScorer()
    assert scorer(fitted(), X, Y) == scorer(fitted(), X, Y)


def test_copies_of_the_scorer_score_alike():
    scorer = CompletionScorer("accuracy", hide=0.4, n_repeats=2)
    expected = scorer(fitted(), X, Y)
    for copy in (clone(scorer), pickle.loads(pickle.dumps(scorer))):
        assert copy.get_params() == scorer.get_params()
        assert copy(fitted(), X, Y) == expected


def test_scorer_shows_its_parameters():
    assert repr(CompletionScorer("f1", hide=0.3)) == "CompletionScorer(hide=0.3, metric='f1')"
    assert "CompletionScorer" in CompletionScorer()._repr_html_()


def test_scorer_has_the_name_of_its_metric():
    # scikit-learn's displays of curves show it.
    assert "roc_auc" in CompletionScorer("roc_auc").__name__


@pytest.mark.slow
def test_displays_of_curves_take_the_scorer():
    settings = {"scoring": CompletionScorer("accuracy"), "cv": FOLDS}
    LearningCurveDisplay.from_estimator(
        make(epochs=1), X, ALIKE, train_sizes=[0.5, 1.0], **settings
    )
    ValidationCurveDisplay.from_estimator(
        make(), X, ALIKE, param_name="epochs", param_range=[1, 2], **settings
    )


def test_scorer_refuses_losses():
    with pytest.raises(ValueError, match=r"^'log_loss' is a loss, .* use 'neg_log_loss'\."):
        CompletionScorer("log_loss")(fitted(), X, Y)


@pytest.mark.parametrize(
    "params", [{"hide": 2}, {"pattern": "cell"}, {"n_repeats": 0}], ids=lambda p: next(iter(p))
)
def test_scorer_refuses_what_the_score_refuses(params):
    with pytest.raises(ValueError, match="parameter of CompletionScorer"):
        CompletionScorer(**params)(fitted(), X, Y)


GRID = {"known_labels": [False, True]}


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["cells", "tasks"])
def test_searches_score_each_fold(pattern):
    scorer = CompletionScorer(pattern=pattern)
    theirs = GridSearchCV(make(), GRID, scoring=scorer, cv=FOLDS).fit(X, ALIKE)
    ours = MultiTaskSearchCV(make(), GRID, scoring=scorer, cv=FOLDS).fit(X, ALIKE)
    for k, (train, test) in enumerate(FOLDS.split(X)):
        clf = make().fit(X[train], ALIKE.iloc[train])
        expected = scorer(clf, X[test], ALIKE.iloc[test])
        for search in (theirs, ours):
            assert search.cv_results_[f"split{k}_test_score"][1] == expected


@pytest.mark.slow
def test_search_finds_that_labels_tell():
    copies = np.column_stack([GRADES, GRADES])
    scorer = CompletionScorer("accuracy", pattern="tasks")
    search = MultiTaskSearchCV(make(epochs=10), GRID, scoring=scorer, cv=FOLDS).fit(X, copies)
    assert search.best_params_ == {"known_labels": True}


def test_several_scorers_at_once():
    scoring = {"auc": CompletionScorer(), "hits": CompletionScorer("accuracy", pattern="tasks")}
    found = cross_validate(make(), X, ALIKE, scoring=scoring, cv=FOLDS)
    for name, scorer in scoring.items():
        expected = cross_val_score(make(), X, ALIKE, scoring=scorer, cv=FOLDS)
        np.testing.assert_array_equal(found[f"test_{name}"], expected)


def test_weights_of_training_are_routed_past_the_scorer():
    weight = np.ones(N)
    expected = cross_val_score(make(), X, ALIKE, scoring=CompletionScorer(), cv=FOLDS)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make().set_fit_request(sample_weight=True)
        params = {"sample_weight": weight}
        found = cross_val_score(clf, X, ALIKE, scoring=CompletionScorer(), cv=FOLDS, params=params)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_scorer_is_exported():
    import sk_mtl.metrics

    assert {"completion_score", "CompletionScorer"} <= set(sk_mtl.metrics.__all__)
