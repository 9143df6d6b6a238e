"""Tests of sk_mtl._task_view: one task of a fitted estimator in the tools that know one task."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    partial_dependence,
    permutation_importance,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    auc,
    average_precision_score,
    confusion_matrix,
    roc_auc_score,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.validation import check_is_fitted

from sk_mtl import MultiTaskClassifier, TaskView

N_ROWS = 60


def make_tiny(**params):
    settings = {"hidden_layer_sizes": (4,), "epochs": 20, "batch_size": 64, "random_state": 0}
    settings["optimizer__learning_rate"] = 0.05
    return MultiTaskClassifier(**{**settings, **params})


def make_table():
    """Return X with two features, and a binary, a three-class and a numeric binary task."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(N_ROWS, 2)), columns=["width", "height"])
    Y = pd.DataFrame(
        {
            "colour": np.where(X["width"] + rng.normal(size=N_ROWS) > 0, "red", "blue"),
            "grade": np.digitize(X["height"], [-0.5, 0.5]).astype(float) + 1,
            "fits": (X["width"] > X["height"]).astype(float),
        }
    ).astype({"colour": object})
    for task, share in [("colour", 0.2), ("grade", 0.3), ("fits", 0.3)]:
        Y.loc[rng.random(N_ROWS) < share, task] = None if task == "colour" else np.nan
    return X, Y


X, Y = make_table()
FORMS = {
    "estimator": lambda: make_tiny().fit(X, Y),
    "pipeline": lambda: make_pipeline(StandardScaler(), make_tiny()).fit(X, Y),
    "search": lambda: GridSearchCV(make_tiny(), {"epochs": [20]}, cv=2).fit(X, Y),
}
TASKS = ["colour", "grade", "fits"]


def subset(task):
    """Return the rows of X and y in which a task has a label."""
    known = Y[task].notna()
    y = Y.loc[known, task]
    return X[known], (y if task == "colour" else y.astype(int)).to_numpy()


@pytest.fixture(scope="module")
def fitted():
    return FORMS["estimator"]()


@pytest.fixture(scope="module")
def view(fitted):
    return fitted.task_view("fits")


@pytest.fixture
def axes():
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


# ------------------------------------------------------------------------------------------------
# The view itself
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow_except("colour-*", "*-estimator")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", TASKS)
def test_view_predicts_as_the_estimator(task, form):
    estimator = FORMS[form]()
    view = TaskView(estimator, task)
    np.testing.assert_allclose(view.predict_proba(X), estimator.predict_proba(X)[task], rtol=2e-7)
    np.testing.assert_array_equal(view.predict(X), estimator.predict(X)[task].to_numpy())
    np.testing.assert_array_equal(view.classes_, estimator.classes_[task])
    assert view.predict_proba(X).sum(axis=1) == pytest.approx(1)
    np.testing.assert_array_equal(view.predict_log_proba(X), np.log(view.predict_proba(X)))


@pytest.mark.parametrize("task", ["grade", 1, np.int64(1)])
def test_view_is_of_a_task_by_name_or_position(fitted, task):
    assert fitted.task_view(task).task == "grade"


def test_view_of_an_unknown_task_is_refused(fitted):
    with pytest.raises(ValueError, match=r"no task 'grad'\. Did you mean 'grade'"):
        fitted.task_view("grad")


def test_view_of_an_unfitted_estimator_is_refused():
    with pytest.raises(NotFittedError):
        make_tiny().task_view("grade")


@pytest.mark.slow
def test_view_of_one_dimensional_y_is_the_task(fitted):
    clf = make_tiny().fit(X, Y["grade"])
    view = clf.task_view("grade")
    np.testing.assert_allclose(view.predict_proba(X), clf.predict_proba(X), rtol=2e-7)
    assert view.classes_.tolist() == [1, 2, 3]


def test_view_is_a_classifier_to_scikit_learn(view):
    assert is_classifier(view)
    assert not is_classifier(view.estimator)
    check_is_fitted(view)


def test_view_tells_the_features_of_its_estimator(view):
    assert view.n_features_in_ == 2
    assert view.feature_names_in_.tolist() == ["width", "height"]


def test_view_has_no_feature_names_when_the_estimator_has_none():
    assert not hasattr(make_tiny().fit(X.to_numpy(), Y).task_view(0), "feature_names_in_")


def test_feature_names_of_a_view_can_be_set_without_changing_the_estimator(fitted):
    # shap sets them to None, and passes arrays.
    view = copy.deepcopy(fitted.task_view("fits"))
    before = view.predict_proba(X)
    view.feature_names_in_ = None
    assert view.feature_names_in_ is None
    assert view.estimator.feature_names_in_.tolist() == ["width", "height"]
    np.testing.assert_array_equal(view.predict_proba(X.to_numpy()), before)  # and no warning
    again = pickle.loads(pickle.dumps(view))
    np.testing.assert_array_equal(again.predict_proba(X.to_numpy()), before)
    assert view.fit().feature_names_in_ is None
    assert fitted.task_view("fits").feature_names_in_.tolist() == ["width", "height"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("standardize", [True, False])
def test_view_accepts_what_its_estimator_accepts(standardize, form):
    estimator = FORMS[form]()
    inner = estimator[-1] if form == "pipeline" else estimator
    inner.set_params(**{f"{'estimator__' * (form == 'search')}standardize": standardize})
    of_estimator, of_view = (
        get_tags(e).input_tags for e in (estimator, TaskView(estimator, "fits"))
    )
    assert (of_view.allow_nan, of_view.sparse) == (of_estimator.allow_nan, of_estimator.sparse)
    if form == "estimator":
        assert (of_view.allow_nan, of_view.sparse) == (standardize, True)


@pytest.mark.slow
def test_view_takes_cells_that_are_missing_and_sparse_rows(fitted):
    holes = X.to_numpy(copy=True)
    holes[::7, 0] = np.nan
    clf = make_tiny().fit(holes, Y)
    for rows in (holes, sp.csr_array(X.to_numpy())):
        np.testing.assert_allclose(
            clf.task_view("fits").predict_proba(rows), clf.predict_proba(rows)["fits"], rtol=2e-7
        )


def test_probabilities_of_a_view_are_those_of_the_estimator_as_float64(fitted, view):
    single = fitted.predict_proba(X)["fits"]
    assert single.dtype == np.float32
    assert view.predict_proba(X).dtype == view.predict_log_proba(X).dtype == np.float64
    np.testing.assert_allclose(view.predict_proba(X), single, rtol=2e-7)
    # scikit-learn's log loss warns of sums that are 1 to the precision of float32 only.
    assert np.abs(view.predict_proba(X).sum(axis=1) - 1).max() < 1e-15
    # As fairlearn does, with pandas 3: part of a column of scores is replaced by float64.
    column = pd.Series(view.predict_proba(X)[:, 1])
    column.iloc[:5] = np.float64(1) / 3
    assert column.iloc[0] == 1 / 3


def test_view_is_kept_by_fit_and_clone(view):
    before = view.predict_proba(X)
    assert view.fit(X.iloc[:4], [0, 1, 0, 1]) is view
    assert clone(view) is view
    np.testing.assert_array_equal(view.predict_proba(X), before)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda view: pickle.loads(pickle.dumps(view))], ids=["copy", "pickle"]
)
def test_copy_of_a_view_predicts_the_same_bits(view, copied):
    np.testing.assert_array_equal(copied(view).predict_proba(X), view.predict_proba(X))


def test_html_of_a_view_names_its_estimator(view):
    assert "MultiTaskClassifier" in estimator_html_repr(view)


@pytest.mark.parametrize("task", TASKS)
def test_score_is_the_accuracy_over_labelled_rows(fitted, task):
    rows, y = subset(task)
    view = fitted.task_view(task)
    expected = np.mean(view.predict(rows) == y)
    assert view.score(X, Y[task]) == pytest.approx(expected)
    assert view.score(rows, y) == pytest.approx(expected)


def test_score_weighs_rows(view):
    weight = np.random.default_rng(3).integers(0, 3, size=N_ROWS)
    rows = np.repeat(np.arange(N_ROWS), weight)
    expected = view.score(X.iloc[rows], Y["fits"].iloc[rows])
    assert view.score(X, Y["fits"], sample_weight=weight) == pytest.approx(expected)


def test_score_leaves_out_the_label_that_means_missing():
    y = Y["fits"].fillna(-1).astype(int)
    view = make_tiny(missing_label=-1).fit(X, y).task_view(0)
    assert view.score(X, y) == view.score(X, Y["fits"])


def test_score_is_nan_when_no_row_has_a_label(view):
    assert np.isnan(view.score(X, np.full(N_ROWS, np.nan)))


@pytest.mark.slow_except("declared")
@pytest.mark.parametrize("classes", [None, {"fits": [0, 1]}], ids=["unknown", "declared"])
def test_predicting_a_task_that_had_no_label_is_refused(classes):
    # Its probabilities are NaN; the first class, which argmax would give, is no prediction.
    with pytest.warns(UserWarning, match="no label"):
        clf = make_tiny(classes=classes).fit(X, Y.assign(fits=np.nan))
    with pytest.raises(ValueError, match=r"'fits'.* no label"):
        clf.task_view("fits").predict(X)


def test_view_of_a_task_with_one_class_predicts_that_class():
    with pytest.warns(UserWarning, match="one class"):
        clf = make_tiny().fit(X, Y.assign(fits=1.0))
    assert set(clf.task_view("fits").predict(X)) == {1}


# ------------------------------------------------------------------------------------------------
# Meta-estimators
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_of_the_frozen_view(form, method):
    rows, y = subset("grade")
    frozen = FrozenEstimator(TaskView(FORMS[form](), "grade"))
    calibrated = CalibratedClassifierCV(frozen, method=method, cv=2).fit(rows, y)
    assert calibrated.classes_.tolist() == [1, 2, 3]
    assert calibrated.predict_proba(X).sum(axis=1) == pytest.approx(1)
    assert set(calibrated.predict(X)) <= {1, 2, 3}


@pytest.mark.parametrize("form", FORMS)
def test_tuned_threshold_scores_at_least_as_the_view(form):
    rows, y = subset("colour")
    view = TaskView(FORMS[form](), "colour")
    tuned = TunedThresholdClassifierCV(
        view, scoring="balanced_accuracy", cv="prefit", refit=False
    ).fit(rows, y)
    assert set(tuned.predict(X)) <= {"blue", "red"}
    recall = confusion_matrix(y, view.predict(rows), normalize="true").diagonal().mean()
    assert tuned.best_score_ >= recall


def test_tuned_threshold_takes_folds_of_a_frozen_view(view):
    rows, y = subset("fits")
    tuned = TunedThresholdClassifierCV(FrozenEstimator(view), scoring="f1", cv=2).fit(rows, y)
    assert set(tuned.predict(X)) <= {0, 1}


@pytest.mark.parametrize("threshold", [0.2, 0.9])
def test_fixed_threshold_predicts_the_class_above_it(view, threshold):
    rows, y = subset("fits")
    fixed = FixedThresholdClassifier(FrozenEstimator(view), threshold=threshold).fit(rows, y)
    expected = (view.predict_proba(X)[:, 1] >= threshold).astype(int)
    np.testing.assert_array_equal(fixed.predict(X), expected)


def test_self_training_takes_the_rows_without_a_label_too():
    y = Y["fits"].fillna(-1).astype(int)  # what it takes for a missing label
    view = make_tiny().fit(X.to_numpy(), Y).task_view("fits")  # self-training hands over arrays
    trained = SelfTrainingClassifier(view, max_iter=1).fit(X.to_numpy(), y)
    np.testing.assert_array_equal(trained.predict(X.to_numpy()), view.predict(X.to_numpy()))


@pytest.mark.parametrize("task", TASKS)
def test_stacking_learns_on_top_of_the_view(fitted, task):
    rows, y = subset(task)
    stack = StackingClassifier([("mtl", fitted.task_view(task))], cv="prefit").fit(rows, y)
    on_top = LogisticRegression()
    columns = slice(1, None) if task != "grade" else slice(None)
    on_top.fit(fitted.task_view(task).predict_proba(rows)[:, columns], y)
    expected = on_top.predict(fitted.task_view(task).predict_proba(X)[:, columns])
    np.testing.assert_array_equal(stack.predict(X), expected)


@pytest.mark.parametrize("task", TASKS)
def test_soft_voting_averages_the_view_with_others(fitted, task):
    rows, y = subset(task)
    view, line = fitted.task_view(task), LogisticRegression()
    vote = VotingClassifier([("mtl", view), ("line", line)], voting="soft").fit(rows, y)
    mean = (view.predict_proba(X) + line.fit(rows, y).predict_proba(X)) / 2
    np.testing.assert_allclose(vote.predict_proba(X), mean, rtol=1e-5)
    np.testing.assert_array_equal(vote.predict(X), view.classes_[mean.argmax(axis=1)])


@pytest.mark.parametrize("wrap", [lambda view: view, FrozenEstimator], ids=["view", "frozen"])
@pytest.mark.parametrize("task", ["colour", "grade"])
def test_hard_voting_on_labels_that_are_not_encoded_is_refused(fitted, task, wrap):
    rows, y = subset(task)
    vote = VotingClassifier([("mtl", wrap(fitted.task_view(task)))], voting="hard")
    with pytest.raises(RuntimeError, match=rf"voting='hard'.*task '{task}'.*voting='soft'"):
        vote.fit(rows, y)


def test_hard_voting_on_labels_from_zero_is_the_view(view):
    rows, y = subset("fits")
    vote = VotingClassifier([("mtl", view), ("again", view)], voting="hard").fit(rows, y)
    np.testing.assert_array_equal(vote.predict(X), view.predict(X))


@pytest.mark.parametrize("task", TASKS)
def test_bagging_of_a_fitted_view_is_the_view(task):
    rows, y = subset(task)
    view = make_tiny().fit(X.to_numpy(), Y).task_view(task)  # bagging hands over arrays
    bag = BaggingClassifier(view, n_estimators=2, random_state=0).fit(rows, y)
    expected = view.predict_proba(X.to_numpy())
    np.testing.assert_allclose(bag.predict_proba(X), expected, rtol=1e-5)
    np.testing.assert_array_equal(bag.predict(X), view.predict(X.to_numpy()))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scoring", ["roc_auc_ovr", "neg_log_loss", None])
def test_permutation_importance_finds_what_the_task_depends_on(scoring, form):
    rows, y = subset("grade")
    view = TaskView(FORMS[form](), "grade")
    importance = permutation_importance(view, rows, y, scoring=scoring, n_repeats=3, random_state=0)
    assert importance.importances_mean.argmax() == 1  # the height; the width says nothing


def test_scorers_of_one_task_score_the_view(view):
    rows, y = subset("fits")
    scores = cross_val_score(view, rows, y, cv=2, scoring="roc_auc")
    assert len(scores) == 2
    assert scores.min() > 0.8


# ------------------------------------------------------------------------------------------------
# Displays
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", TASKS)
def test_confusion_matrix_display_counts_labelled_rows(task, form, axes):
    rows, y = subset(task)
    view = TaskView(FORMS[form](), task)
    display = ConfusionMatrixDisplay.from_estimator(view, rows, y, ax=axes)
    np.testing.assert_array_equal(display.confusion_matrix, confusion_matrix(y, view.predict(rows)))
    assert list(display.display_labels) == list(view.classes_)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", ["colour", "fits"])
def test_roc_curve_display_has_the_area_of_the_view(task, form, axes):
    rows, y = subset(task)
    view = TaskView(FORMS[form](), task)
    display = RocCurveDisplay.from_estimator(view, rows, y, ax=axes)
    x, height = axes.get_lines()[0].get_data()
    area = roc_auc_score(y == view.classes_[1], view.predict_proba(rows)[:, 1])
    assert auc(x, height) == pytest.approx(area)
    assert display.ax_ is axes


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", ["colour", "fits"])
def test_precision_recall_display_has_the_average_precision_of_the_view(task, form, axes):
    rows, y = subset(task)
    view = TaskView(FORMS[form](), task)
    display = PrecisionRecallDisplay.from_estimator(view, rows, y, ax=axes)
    probability = view.predict_proba(rows)[:, 1]
    expected = average_precision_score(y == view.classes_[1], probability)
    assert display.average_precision == pytest.approx(expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", ["colour", "fits"])
def test_calibration_display_shows_the_probabilities_of_the_view(task, form, axes):
    rows, y = subset(task)
    view = TaskView(FORMS[form](), task)
    display = CalibrationDisplay.from_estimator(view, rows, y, n_bins=3, ax=axes)
    np.testing.assert_array_equal(display.y_prob, view.predict_proba(rows)[:, 1])


@pytest.mark.parametrize("form", FORMS)
def test_partial_dependence_display_is_drawn(form, axes):
    view = TaskView(FORMS[form](), "grade")
    PartialDependenceDisplay.from_estimator(
        view, X, ["height"], target=3, ax=axes, grid_resolution=5
    )
    found = partial_dependence(view, X, ["height"], grid_resolution=5)
    assert found["average"].shape == (3, 5)  # a curve for each class
    assert found["average"].sum(axis=0) == pytest.approx(1)
    assert found["average"][2, -1] > found["average"][2, 0]


@pytest.mark.slow_except("fits-*", "grade-estimator", "grade-pipeline")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", TASKS)
def test_decision_boundary_display_is_drawn(task, form, axes):
    view = TaskView(FORMS[form](), task)
    display = DecisionBoundaryDisplay.from_estimator(
        view, X, response_method="predict", grid_resolution=5, ax=axes
    )
    grid = pd.DataFrame({"width": display.xx0.ravel(), "height": display.xx1.ravel()})
    positions = np.searchsorted(view.classes_, view.predict(grid))
    np.testing.assert_array_equal(display.response.ravel(), positions)
