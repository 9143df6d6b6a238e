"""Tasks whose names are numbers, or differ in type only: everywhere a name means that task.

The truth is an estimator of the same table whose tasks have ordinary names.
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import cross_val_predict as their_cross_val_predict
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

from sk_mtl import MultiTaskClassifier, TaskView
from sk_mtl.metrics import make_multitask_scorer, multitask_report, multitask_score
from sk_mtl.model_selection import cross_val_predict
from sk_mtl.plotting import LearningCurvesDisplay, TaskRocCurveDisplay

PLAIN = ["two", "three", "four"]  # by their number of classes
NUMBERS = {
    "out of order": [3, 1, 2],
    "from one": [1, 2, 3],
    "NumPy": list(np.array([2, 0, 1])),
    "with text of the same look": [1, "1", "0"],
    "floats": [1.0, 0.5, 2.0],
}


def make_table():
    """Return X, and labels of tasks with two, three and four classes, of which some are missing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    Y = pd.DataFrame(
        {
            "two": (X[:, 0] > 0) * 1.0,
            "three": np.digitize(X[:, 1], [-0.5, 0.5]) * 1.0,
            "four": np.digitize(X[:, 2], [-0.7, 0, 0.7]) * 1.0,
        }
    )
    return X, Y.mask(rng.random(Y.shape) < 0.2)


X, Y = make_table()


def make_tiny(**params):
    settings = {"hidden_layer_sizes": (4,), "epochs": 3, "batch_size": 32, "random_state": 0}
    return MultiTaskClassifier(**{**settings, **params})


def rename(names):
    return Y.set_axis(pd.Index(names, tupleize_cols=False), axis=1)


@pytest.fixture(scope="module")
def plain():
    return make_tiny().fit(X, Y)


@pytest.fixture(scope="module", params=NUMBERS)
def names(request):
    return NUMBERS[request.param]


@pytest.fixture(scope="module")
def named(names):
    return make_tiny().fit(X, rename(names))


def test_probabilities_and_classes_are_those_of_the_name(plain, named, names):
    out = {
        "predict_proba": named.predict_proba(X),
        "predict_log_proba": named.predict_log_proba(X),
        "classes_": named.classes_,
    }
    truth = {
        "predict_proba": plain.predict_proba(X),
        "predict_log_proba": plain.predict_log_proba(X),
        "classes_": plain.classes_,
    }
    for name, word in zip(names, PLAIN, strict=True):
        for what in out:
            np.testing.assert_array_equal(out[what][name], truth[what][word])
        assert named.n_classes_[name] == plain.n_classes_[word]
    assert list(named.task_names_) == names


def test_frames_have_the_columns_of_the_names(plain, named, names):
    predicted, probabilities = named.predict(X), named.predict_proba_frame(X)
    for name, word in zip(names, PLAIN, strict=True):
        assert predicted[name].tolist() == plain.predict(X)[word].tolist()
        np.testing.assert_array_equal(probabilities[name], plain.predict_proba_frame(X)[word])


def test_view_is_of_the_name(plain, named, names):
    pipeline = make_pipeline(make_tiny()).fit(X, rename(names))
    for name, word in zip(names, PLAIN, strict=True):
        truth = plain.task_view(word)
        for view in (named.task_view(name), TaskView(pipeline, name)):
            np.testing.assert_array_equal(view.classes_, truth.classes_)
            np.testing.assert_array_equal(view.predict_proba(X), truth.predict_proba(X))


def test_position_of_no_name_is_refused(named):
    for use in (named.task_view, lambda task: TaskView(named, task).classes_):
        with pytest.raises(ValueError, match="an integer is a name and not a position"):
            use(-7)
    with pytest.raises(KeyError, match="an integer is a name and not a position"):
        named.classes_[7]
    assert list(named.classes_)[-1].tolist() == [0, 1, 2, 3]


def test_out_of_fold_probabilities_are_those_of_the_name(names):
    found = cross_val_predict(make_tiny(), X, rename(names), cv=2, method="predict_proba")
    truth = cross_val_predict(make_tiny(), X, Y, cv=2, method="predict_proba")
    for name, word in zip(names, PLAIN, strict=True):
        np.testing.assert_array_equal(found[name], truth[word])


BY_TASK = {
    "monitor": lambda two, four: {"monitor": four, "early_stopping": True, "n_iter_no_change": 1},
    "class_weight": lambda two, four: {"class_weight": {two: {0: 1, 1: 9}, four: "balanced"}},
    "task_weighting": lambda two, four: {"task_weighting": {four: 7.0}},
    "heads": lambda two, four: {"head_hidden_layer_sizes": {two: (3,), four: (2,)}},
    "classes": lambda two, four: {"classes": {two: [0, 1, 2], four: [0, 1, 2, 3, 4]}},
}


@pytest.mark.parametrize("parameter", BY_TASK)
def test_parameter_by_task_is_for_the_name(parameter, names):
    two, _, four = names
    found = make_tiny(**BY_TASK[parameter](two, four)).fit(X, rename(names))
    truth = make_tiny(**BY_TASK[parameter]("two", "four")).fit(X, Y)
    for p, q in zip(found.predict_proba(X), truth.predict_proba(X), strict=True):
        np.testing.assert_array_equal(p, q)


def test_frame_of_weights_reaches_the_name(names):
    weight = pd.DataFrame(np.random.default_rng(1).integers(1, 9, size=Y.shape), columns=PLAIN)
    truth = make_tiny().fit(X, Y, sample_weight=weight)
    other = rename(names).iloc[:0].columns[[2, 0, 1]]
    renamed = weight.set_axis(rename(names).columns, axis=1)[list(other)]
    found = make_tiny().fit(X, rename(names), sample_weight=renamed)
    for p, q in zip(found.predict_proba(X), truth.predict_proba(X), strict=True):
        np.testing.assert_array_equal(p, q)
    assert found.score(X, rename(names), sample_weight=renamed) == truth.score(X, Y, weight)


def test_frame_of_weights_with_text_columns_is_refused_where_two_names_have_one_text():
    weight = pl.DataFrame(np.ones(Y.shape), schema=["1", "0", "2"])
    with pytest.raises(ValueError, match="columns of sample_weight must be the tasks of y"):
        make_tiny().fit(X, rename([1, "1", 2]), sample_weight=weight)
    numbers = pl.DataFrame(np.ones(Y.shape), schema=["3", "1", "2"])
    assert make_tiny().fit(X, rename([1, 2, 3]), sample_weight=numbers).n_tasks_ == 3


def test_history_has_a_series_for_each_task(plain, named):
    assert len(named.history_) == len(plain.history_)
    for found, truth in zip(named.history_.values(), plain.history_.values(), strict=True):
        assert found == truth


def test_summary_and_report_have_a_row_for_each_name(plain, named, names):
    assert named.summary().tasks.index.tolist() == names
    losses = plain.summary().tasks["loss"].tolist()
    assert named.summary().tasks["loss"].tolist() == losses
    report = multitask_report(rename(names), named.predict(X), named.predict_proba(X))
    truth = multitask_report(Y, plain.predict(X), plain.predict_proba(X))
    assert report.frame.index.tolist() == [*names, "mean"]
    for name, word in zip(names, PLAIN, strict=True):
        assert report.frame.loc[[name]].to_numpy().tolist() == (
            truth.frame.loc[[word]].to_numpy().tolist()
        )


def test_scores_are_those_of_the_name(plain, named, names):
    found = multitask_score("accuracy", rename(names), named.predict(X), average=None)
    truth = multitask_score("accuracy", Y, plain.predict(X), average=None)
    assert list(found.values()) == list(truth.values())
    assert list(found) == names
    for name, word in zip(names, PLAIN, strict=True):
        scorer = make_multitask_scorer("neg_log_loss", task=name)
        by_word = make_multitask_scorer("neg_log_loss", task=word)
        assert scorer(named, X, rename(names)) == by_word(plain, X, Y)


def test_scores_by_task_in_a_search_are_refused_where_two_names_have_one_text():
    y = rename([1, "1", 2])
    scorer = make_multitask_scorer("accuracy", average=None)
    with pytest.raises(ValueError, match="text of its name, which two tasks of y share"):
        cross_validate(make_tiny(), X, y, cv=2, scoring=scorer, error_score="raise")


@pytest.mark.parametrize(
    "names", [NUMBERS["out of order"], NUMBERS["with text of the same look"]], ids=str
)
def test_displays_draw_the_name(names):
    plt = pytest.importorskip("matplotlib.pyplot")
    y = rename(names)
    clf = make_tiny().fit(X, y)
    curves = LearningCurvesDisplay.from_estimator(clf, tasks=[names[2]])
    assert np.ravel(curves.axes_)[-1].get_title(loc="left") == str(names[2])
    roc = TaskRocCurveDisplay.from_estimator(clf, X, y, tasks=[names[0]])
    [title] = [ax.get_title(loc="left") for ax in np.ravel(roc.axes_)]
    assert title.startswith(f"{names[0]}\n")
    plt.close("all")


def test_columns_that_are_one_name_are_refused():
    for same in ([1, 1.0, 2], [1, True, 2]):
        with pytest.raises(ValueError, match="Task names must be unique"):
            make_tiny().fit(X, Y.set_axis(pd.Index(same, dtype=object), axis=1))


def test_true_and_false_are_names_and_no_positions():
    y = Y[["two", "four"]].set_axis([True, False], axis=1)
    clf = make_tiny().fit(X, y)
    assert (clf.n_classes_[True], clf.n_classes_[False]) == (2, 4)
    with pytest.raises(KeyError, match="an integer is a name"):
        clf.n_classes_[1]


def test_scikit_learns_out_of_fold_probabilities_are_refused_where_a_position_is_another_name():
    y = pd.DataFrame({1: (X[:, 0] > 0) * 1, 0: (X[:, 1] > 0) * 1})
    with pytest.raises(RuntimeError, match=r"by position.*sk_mtl\.model_selection"):
        their_cross_val_predict(make_tiny(), X, y, cv=2, method="predict_proba")
    ordered = y.set_axis([0, 1], axis=1)
    found = their_cross_val_predict(make_tiny(), X, ordered, cv=2, method="predict_proba")
    assert [p.shape for p in found] == [(80, 2), (80, 2)]
