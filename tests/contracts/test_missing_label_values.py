"""`missing_label` in each of its forms, wherever labels are read: the result is that of NaN."""

import io
import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import assert_same_fits, make_tiny
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sk_mtl import TaskView, load_model, save_model
from sk_mtl.metrics import make_multitask_scorer, multitask_report, multitask_score
from sk_mtl.model_selection import (
    MultiTaskStratifiedKFold,
    MultiTaskStratifiedShuffleSplit,
    cross_val_predict,
    train_test_split,
)

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 2))
# A survey: 7 and 9 are answers to one question, and mean missing in the other.
KNOWN = pd.DataFrame({"ill": 1.0 + (X[:, 0] > 0), "visits": 7.0 + 2 * (X[:, 1] > 0)})
HIDDEN = RNG.random((N, 2)) < 0.4
Y = KNOWN.mask(HIDDEN)
CODED = Y.fillna({"ill": 7.0, "visits": 98.0}).astype(int)
CODED.loc[HIDDEN[:, 0] & (X[:, 1] > 0), "ill"] = 9
CODED.loc[HIDDEN[:, 1] & (X[:, 0] > 0), "visits"] = 99
FORMS = {
    "lists": {"ill": [7, 9], "visits": [98, 99]},
    "tuples": {"ill": (7, 9), "visits": (98, 99)},
    "sets": {"ill": {7, 9}, "visits": {98, 99}},
    "by position": {0: [7, 9], "visits": np.array([98, 99])},
    "everywhere": [97, 98, 99],
}
BY_TASK = FORMS["lists"]


def coded(form):
    """Return labels in which the values of a form mean missing, as NaN does in Y."""
    return CODED.replace({"ill": {7: 97, 9: 97}}) if form == "everywhere" else CODED


@pytest.fixture(scope="module")
def with_nan():
    return make_tiny().fit(X, Y)


@pytest.mark.parametrize("form", FORMS)
def test_fit_predict_and_score_are_those_of_nan(form, with_nan):
    clf = make_tiny(missing_label=FORMS[form]).fit(X, coded(form))
    assert_same_fits(with_nan, clf, X)
    assert clf.score(X, coded(form)) == with_nan.score(X, Y)
    pd.testing.assert_frame_equal(clf.predict(X), with_nan.predict(X), check_dtype=False)


def test_an_array_knows_the_names_of_the_fit(with_nan):
    clf = make_tiny(missing_label=BY_TASK).fit(X, CODED)
    assert clf.score(X, CODED.to_numpy()) == with_nan.score(X, Y)


@pytest.mark.parametrize("validation", [CODED, CODED.to_numpy(), CODED[["visits", "ill"]]])
def test_validation_data_are_those_of_nan(validation):
    expected = make_tiny().fit(X, Y, validation_data=(X, Y))
    clf = make_tiny(missing_label=BY_TASK).fit(X, CODED, validation_data=(X, validation))
    assert clf.history_["val_loss"] == expected.history_["val_loss"]


def test_partial_fit_is_that_of_nan():
    classes = {"ill": [1, 2], "visits": [7, 9]}
    expected = make_tiny().partial_fit(X, Y, classes).partial_fit(X, Y)
    clf = make_tiny(missing_label=BY_TASK).partial_fit(X, CODED, classes)
    assert_same_fits(expected, clf.partial_fit(X, CODED.to_numpy()), X)


@pytest.mark.parametrize("form", FORMS)
def test_form_comes_back_from_clone_pickle_and_file(form):
    clf = make_tiny(missing_label=FORMS[form]).fit(X, coded(form))
    buffer = io.BytesIO()
    save_model(clf, buffer)
    buffer.seek(0)
    for again in (clone(clf), pickle.loads(pickle.dumps(clf)), load_model(buffer)):
        assert repr(again.missing_label) == repr(FORMS[form])
    assert clf.set_params(missing_label=8).get_params()["missing_label"] == 8


def test_search_tries_several_forms():
    grid = {"missing_label": [BY_TASK, FORMS["sets"]]}
    cv = MultiTaskStratifiedKFold(2, missing_label=BY_TASK)
    scoring = make_multitask_scorer("accuracy", missing_label=BY_TASK)
    search = GridSearchCV(make_tiny(), grid, cv=cv, scoring=scoring).fit(X, CODED)
    first, second = search.cv_results_["mean_test_score"]
    assert first == second > 0


@pytest.mark.parametrize("kind", ["frame", "array"])
def test_scores_of_predictions_are_those_of_nan(kind, with_nan):
    predicted = with_nan.predict(X)
    predicted = predicted if kind == "array" else predicted[["visits", "ill"]]
    predicted = predicted.to_numpy() if kind == "array" else predicted
    expected = multitask_score("accuracy", Y, with_nan.predict(X), average=None)
    found = multitask_score("accuracy", CODED, predicted, average=None, missing_label=BY_TASK)
    assert found == expected


def test_predicted_missing_labels_are_left_out_by_task():
    predicted = KNOWN.astype(int)
    predicted.loc[:9, "ill"] = 7  # a class of visits
    with pytest.warns(UserWarning, match=r"without a prediction.*'ill' \(10\)"):
        score = multitask_score("accuracy", KNOWN, predicted, missing_label=BY_TASK)
    assert score == 1


def test_report_is_that_of_nan(with_nan):
    predicted, probabilities = with_nan.predict(X), with_nan.predict_proba(X)
    made = [
        multitask_report(y, predicted, probabilities, y_train=y, missing_label=m)
        for y, m in [(Y, None), (CODED, BY_TASK)]
    ]
    pd.testing.assert_frame_equal(made[0].frame, made[1].frame)


@pytest.mark.parametrize(
    "make", [MultiTaskStratifiedKFold, partial(MultiTaskStratifiedShuffleSplit, random_state=0)]
)
def test_splits_are_those_of_nan(make):
    expected = [test.tolist() for _, test in make(2).split(X, Y)]
    found = make(2, missing_label=BY_TASK).split(X, CODED)
    assert [test.tolist() for _, test in found] == expected


def test_train_and_test_rows_are_those_of_nan():
    expected = train_test_split(X, Y, random_state=0)[1]
    found = train_test_split(X, CODED, random_state=0, missing_label=BY_TASK)[1]
    np.testing.assert_array_equal(found, expected)


def test_cross_val_predict_is_that_of_nan():
    expected = cross_val_predict(make_tiny(), X, Y, cv=2, method="predict_proba")
    found = cross_val_predict(
        make_tiny(missing_label=BY_TASK),
        X,
        CODED,
        cv=2,
        method="predict_proba",
        missing_label=BY_TASK,
    )
    np.testing.assert_array_equal(np.hstack(found), np.hstack(expected))


@pytest.mark.parametrize("task", ["ill", "visits", 1])
def test_view_scores_its_own_missing_labels(task, with_nan):
    clf = make_tiny(missing_label=BY_TASK).fit(X, CODED)
    name = "visits" if task == 1 else task
    expected = with_nan.task_view(task).score(X, Y[name])
    assert clf.task_view(task).score(X, CODED[name]) == expected
    pipeline = make_pipeline(make_tiny(missing_label=BY_TASK)).fit(X, CODED)
    assert TaskView(pipeline, task).score(X, CODED[name]) == expected


@pytest.mark.slow_except("0")
@pytest.mark.parametrize("key", ["ill", 0])
def test_view_of_one_task_scores_its_missing_labels(key, with_nan):
    expected = make_tiny().fit(X, Y["ill"]).task_view(0).score(X, Y["ill"])
    clf = make_tiny(missing_label={key: [7, 9]}).fit(X, CODED["ill"])
    assert clf.task_view(0).score(X, CODED["ill"]) == expected


def test_displays_are_those_of_nan():
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot as plt

    from sk_mtl.plotting import LabelCoverageDisplay, TaskScoresDisplay, TaskSimilarityDisplay

    clf = make_tiny(missing_label=BY_TASK).fit(X, CODED)
    coverage = LabelCoverageDisplay.from_labels(CODED, missing_label=BY_TASK)
    np.testing.assert_array_equal(coverage.label_mask, Y.notna())
    similarity = TaskSimilarityDisplay.from_labels(CODED, missing_label=BY_TASK, min_common=1)
    assert similarity.counts[0, 0] == Y["ill"].notna().sum()
    scores = TaskScoresDisplay.from_estimator(clf, X, CODED, metric="accuracy").scores
    expected = TaskScoresDisplay.from_estimator(make_tiny().fit(X, Y), X, Y, metric="accuracy")
    np.testing.assert_equal(scores, expected.scores)
    plt.close("all")


def test_predictions_take_the_form_of_y():
    for y in (CODED, CODED.to_numpy(), pl.from_pandas(CODED)):
        missing = BY_TASK if not isinstance(y, np.ndarray) else {"y0": [7, 9], "y1": [98, 99]}
        predicted = make_tiny(missing_label=missing).fit(X, y).predict(X)
        assert type(predicted) is type(y)
        assert set(np.unique(np.asarray(predicted)[:, 0])) <= {1, 2}


def test_a_task_of_missing_labels_alone_is_predicted_as_missing():
    with pytest.warns(UserWarning, match="no label"):
        clf = make_tiny(missing_label=BY_TASK).fit(X, CODED.assign(ill=[7, 9] * (N // 2)))
    assert clf.predict(X)["ill"].isna().all()


def test_forms_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for form, missing_label in FORMS.items():
            make_tiny(missing_label=missing_label).fit(X, coded(form))
