"""The displays: what is computed, what is drawn, and on which axes."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl.metrics import multitask_report, multitask_score
from sk_mtl.plotting import LabelCoverageDisplay, LearningCurvesDisplay, TaskScoresDisplay
from sk_mtl.plotting._figures import shorten_name
from sk_mtl.plotting._panels import grid_shape


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    """Return a fitted Pipeline with its X and y: two tasks, the second half labelled."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    Y = pd.DataFrame(
        {"sign": np.where(X[:, 0] > 0, "plus", "minus"), "grade": rng.integers(0, 3, 60) * 1.0}
    )
    Y.loc[::2, "grade"] = np.nan
    clf = MultiTaskClassifier((4,), epochs=3, early_stopping=True, random_state=0)
    return make_pipeline(StandardScaler(), clf).fit(X, Y), X, Y


def make_history(names, n_epochs=5, validation=True):
    curves = {"loss": np.linspace(1, 0.5, n_epochs).tolist()}
    curves |= {f"{name}_loss": np.linspace(1, 0.5, n_epochs).tolist() for name in names}
    if validation:
        curves |= {f"val_{key}": [v + 0.1 for v in curve] for key, curve in curves.items()}
    return curves


# -- Label coverage ------------------------------------------------------------------------------


def test_coverage_counts_labels_alone_and_together():
    y = pd.DataFrame({"a": ["x", None, "x", "y"], "b": [0, 1, np.nan, np.nan]})

    display = LabelCoverageDisplay.from_labels(y)

    np.testing.assert_array_equal(display.pair_counts, [[3, 1], [1, 2]])
    np.testing.assert_allclose(display.coverage, [0.75, 0.5])
    np.testing.assert_allclose(display.co_coverage, [[1, 1 / 3], [0.5, 1]])


def test_coverage_knows_the_missing_label():
    display = LabelCoverageDisplay.from_labels([[0, -1], [1, 1]], missing_label=-1)

    np.testing.assert_allclose(display.coverage, [1, 0.5])


def test_coverage_names_tasks_and_draws_a_bar_each():
    display = LabelCoverageDisplay.from_labels(pd.DataFrame({"a": [0, 1], "b": [0, np.nan]}))

    bars, _, matrix = display.axes_
    assert [label.get_text() for label in bars.get_yticklabels()] == ["a", "b"]
    assert [patch.get_width() for patch in bars.patches] == [1, 0.5]
    assert [label.get_text() for label in matrix.get_xticklabels()] == ["a", "b"]


def test_coverage_of_a_task_without_labels_is_zero_and_of_its_rows_unknown():
    display = LabelCoverageDisplay.from_labels(pd.DataFrame({"a": [0, 1], "b": [np.nan] * 2}))

    np.testing.assert_array_equal(display.coverage, [1, 0])
    np.testing.assert_array_equal(display.co_coverage, [[1, 0], [np.nan, np.nan]])


def test_coverage_of_one_task_has_no_matrix():
    display = LabelCoverageDisplay.from_labels([0, 1, np.nan])

    assert len(display.axes_) == 2  # bars and rows


def shown_rows(display):
    """Return what the picture of the rows shows, a row per task."""
    (image,) = display.axes_[1].get_images()
    return image.get_array()


def test_coverage_shows_rows_as_they_are():
    y = [[0, np.nan], [np.nan, 1], [np.nan, np.nan]]

    display = LabelCoverageDisplay.from_labels(y, rows="given")

    np.testing.assert_array_equal(shown_rows(display), [[1, 0, 0], [0, 1, 0]])


def test_coverage_sorts_rows_by_the_task_with_most_labels_then_the_others():
    y = [[np.nan, np.nan], [0, np.nan], [np.nan, 1], [0, 1], [np.nan, 1]]

    display = LabelCoverageDisplay.from_labels(y)

    np.testing.assert_array_equal(shown_rows(display), [[1, 0, 0, 1, 0], [1, 1, 1, 0, 0]])
    assert display.axes_[1].get_title(loc="left").endswith("4 patterns")


@pytest.mark.parametrize("n_samples", [601, 1000, 1801])
def test_coverage_of_many_rows_shows_shares_that_add_up(n_samples):
    y = np.where(np.random.default_rng(0).random((n_samples, 2)) < 0.3, np.nan, 1)

    display = LabelCoverageDisplay.from_labels(y, rows="given")

    shares = shown_rows(display)
    assert shares.shape == (2, 600)
    np.testing.assert_allclose(shares.mean(axis=1), display.coverage)


def test_coverage_of_twice_as_many_rows_as_stripes_shows_means_of_two():
    y = np.where(np.random.default_rng(0).random((1200, 1)) < 0.5, np.nan, 1)

    display = LabelCoverageDisplay.from_labels(y, rows="given")

    expected = np.isfinite(y[:, 0]).reshape(600, 2).mean(axis=1)
    np.testing.assert_allclose(shown_rows(display)[0], expected, atol=1e-9)


def test_coverage_leaves_the_rows_out_on_request():
    display = LabelCoverageDisplay.from_labels([[0, 1], [1, 0]], rows=None)

    assert len(display.axes_) == 2


def test_coverage_refuses_another_order_of_rows():
    with pytest.raises(ValueError, match=r"'rows' .* must be one of"):
        LabelCoverageDisplay.from_labels([[0, 1], [1, 0]], rows="random")


def test_coverage_is_drawn_in_the_place_of_given_axes():
    figure, ax = plt.subplots(1, 2)

    display = LabelCoverageDisplay.from_labels([[0, 1], [1, 0]], ax=ax[1])

    assert display.figure_ is figure
    assert all(a.get_position().x0 > 0.5 for a in display.axes_)


# -- Learning curves -----------------------------------------------------------------------------


def test_curves_have_a_panel_for_the_mean_and_for_each_task():
    display = LearningCurvesDisplay(make_history(["a", "b"]), ["a", "b"], 3).plot()

    assert display.panel_names == ["mean over tasks", "a", "b"]
    assert [ax.get_title(loc="left") for ax in display.axes_] == display.panel_names


def test_curves_show_training_and_validation():
    history = make_history(["a", "b"])

    display = LearningCurvesDisplay(history, ["a", "b"], 3).plot()

    lines = display.lines_[1]
    np.testing.assert_array_equal(lines["training"].get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(lines["training"].get_ydata(), history["a_loss"])
    np.testing.assert_array_equal(lines["validation"].get_ydata(), history["val_a_loss"])


def test_curves_mark_the_best_epoch_in_every_panel():
    display = LearningCurvesDisplay(make_history(["a", "b"]), ["a", "b"], 3).plot()

    assert [set(lines["best"].get_xdata()) for lines in display.lines_] == [{3}] * 3


def test_curves_do_without_validation_and_without_best_epoch():
    display = LearningCurvesDisplay(make_history(["a"], validation=False), ["a"]).plot()

    assert [list(lines) for lines in display.lines_] == [["training"]]


def test_curves_leave_out_tasks_that_were_not_learned():
    history = make_history(["a", "b"])

    assert "empty" not in LearningCurvesDisplay(history, ["a", "empty", "b"]).panel_names


def test_curves_of_one_task_have_one_panel():
    display = LearningCurvesDisplay(make_history(["y0"]), ["y0"], 2).plot()

    assert display.panel_names == ["y0"]


@pytest.mark.slow
def test_curves_find_the_estimator_in_a_pipeline(fitted):
    model, _, _ = fitted

    display = LearningCurvesDisplay.from_estimator(model)

    assert display.panel_names == ["mean over tasks", "sign", "grade"]
    assert display.best_epoch == model[-1].best_iter_


def test_curves_are_drawn_on_given_axes_one_per_panel():
    figure, axes = plt.subplots(3)

    display = LearningCurvesDisplay(make_history(["a", "b"]), ["a", "b"], 3).plot(axes)

    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure


def test_curves_of_chosen_tasks_stand_beside_the_mean():
    display = LearningCurvesDisplay(make_history(["a", "b", "c"]), ["a", "b", "c"])

    display.plot(tasks=["c", 0])

    titles = [ax.get_title(loc="left") for ax in display.axes_]
    assert titles == ["mean over tasks", "c", "a"]


def test_curves_of_too_many_tasks_say_how_many_are_shown(monkeypatch):
    monkeypatch.setattr("sk_mtl.plotting._panels._MAX_PANELS", 2)

    display = LearningCurvesDisplay(make_history(["a", "b", "c"]), ["a", "b", "c"]).plot()

    assert display.panel_names == ["mean over tasks", "a", "b"]
    assert "the first 2 of 3 tasks" in display.figure_.get_supxlabel()


def test_curves_refuse_another_number_of_axes():
    _, axes = plt.subplots(2)
    display = LearningCurvesDisplay(make_history(["a", "b"]), ["a", "b"])

    with pytest.raises(ValueError, match=r"panels, 3\. Got 2"):
        display.plot(axes)


def test_curves_refuse_an_estimator_that_is_not_fitted():
    with pytest.raises(NotFittedError):
        LearningCurvesDisplay.from_estimator(MultiTaskClassifier())


def test_curves_refuse_another_estimator():
    clf = LogisticRegression().fit([[0], [1]], [0, 1])

    with pytest.raises(ValueError, match="LogisticRegression"):
        LearningCurvesDisplay.from_estimator(clf)


def test_curves_refuse_a_history_without_losses():
    with pytest.raises(ValueError, match="no loss"):
        LearningCurvesDisplay({}, ["a"]).plot()


@pytest.mark.parametrize("n_panels", [1, 3, 5, 13, 61])
def test_grid_holds_every_panel_and_leaves_less_than_a_row_empty(n_panels):
    n_rows, n_columns = grid_shape(n_panels)

    assert 0 <= n_rows * n_columns - n_panels < n_columns


# -- Scores --------------------------------------------------------------------------------------


def test_scores_are_those_of_multitask_score(fitted):
    model, X, Y = fitted

    display = TaskScoresDisplay.from_estimator(model, X, Y)

    expected = multitask_score("roc_auc", Y, model.predict_proba(X), average=None)
    np.testing.assert_array_equal(display.scores["Pipeline"], list(expected.values()))
    np.testing.assert_array_equal(display.dots_["Pipeline"].get_xdata(), display.scores["Pipeline"])
    assert display.task_names == ["sign", "grade"]


def test_constant_predictor_has_no_ranking(fitted):
    model, X, Y = fitted

    display = TaskScoresDisplay.from_estimator(model, X, Y)

    np.testing.assert_array_equal(display.constant_scores, [0.5, 0.5])


def test_constant_predictor_gives_the_majority_of_the_labelled_cells():
    y_true = pd.DataFrame({"a": ["x", "x", "y", None], "b": [0, 1, 1, 1]})

    display = TaskScoresDisplay.from_predictions(y_true, y_true, metric="accuracy")

    np.testing.assert_allclose(display.constant_scores, [2 / 3, 3 / 4])


def test_constant_predictor_learns_from_training_labels_by_task_name():
    y_true = pd.DataFrame({"a": ["x", "x", "y"], "b": [0, 1, 1]})
    y_train = pd.DataFrame({"b": [0, 0, 1], "a": ["y", None, None]})

    display = TaskScoresDisplay.from_predictions(y_true, y_true, metric="accuracy", y_train=y_train)

    np.testing.assert_allclose(display.constant_scores, [1 / 3, 1 / 3])


def test_an_unseen_label_costs_the_constant_predictor_what_it_costs_the_model():
    proba = np.tile(np.array([0.5, 0.5], dtype=np.float32), (4, 1))

    display = TaskScoresDisplay.from_predictions(
        ["a", "b", "new", "a"], proba, metric="log_loss", y_train=["a", "b"]
    )

    np.testing.assert_allclose(display.constant_scores, display.scores["model"])


def test_constant_predictor_has_no_score_for_a_task_without_training_labels():
    y_true = pd.DataFrame({"a": [0, 1], "b": [0, 1]})
    y_train = pd.DataFrame({"a": [0, 1], "b": [np.nan, np.nan]})
    proba = [np.eye(2)] * 2

    display = TaskScoresDisplay.from_predictions(y_true, proba, y_train=y_train)

    np.testing.assert_array_equal(display.constant_scores, [0.5, np.nan])


@pytest.mark.parametrize("metric", ["brier_score", "log_loss", "calibration_error"])
def test_constant_predictor_is_that_of_the_report(metric):
    # The model knows a third class, which has no labelled cell.
    y_true, proba = np.array([0, 0, 1, 1, 0]), np.tile([0.6, 0.3, 0.1], (5, 1))
    settings = {"classes": [np.arange(3)], "sample_weight": [3, 1, 1, 1, 1]}

    display = TaskScoresDisplay.from_predictions(y_true, proba, metric=metric, **settings)

    report = multitask_report(y_true, y_proba=proba, metrics=metric, **settings)
    expected = report.frame[metric].loc["y0"]
    np.testing.assert_array_equal(display.scores["model"], expected["score"])
    np.testing.assert_array_equal(display.constant_scores, expected["constant"])


def test_constant_predictor_refuses_other_tasks():
    y_true = pd.DataFrame({"a": [0, 1], "b": [0, 1]})

    with pytest.raises(ValueError, match=r"must have the tasks of y_true, 'a', 'b'\. Got 'y0'"):
        TaskScoresDisplay.from_predictions(y_true, [np.eye(2)] * 2, y_train=[0, 1])


def test_scores_of_one_task_in_1d_form():
    proba = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])

    display = TaskScoresDisplay.from_predictions([0, 1, np.nan], proba)

    np.testing.assert_array_equal(display.scores["model"], [1.0])


def test_scores_of_several_models_are_told_apart_in_the_legend():
    display = TaskScoresDisplay({"m": [0.9, 0.7], "n": [0.8, np.nan]}, ["a", "b"], "AUC").plot()

    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["m (mean 0.800)", "n (mean 0.800)"]
    assert display.ax_.get_xlabel() == "AUC"


def test_scores_are_drawn_on_given_axes():
    figure, ax = plt.subplots()

    display = TaskScoresDisplay({"m": [0.9]}, ["a"]).plot(ax)

    assert display.ax_ is ax
    assert display.figure_ is figure


def test_scores_of_an_estimator_know_its_missing_label(fitted):
    _, X, Y = fitted
    y = np.column_stack([np.where(Y["sign"] == "plus", 1, 0), Y["grade"].fillna(-1)]).astype(int)
    clf = MultiTaskClassifier((4,), epochs=1, missing_label=-1, random_state=0).fit(X, y)

    display = TaskScoresDisplay.from_estimator(clf, X, y)

    expected = multitask_score("roc_auc", y, clf.predict_proba(X), average=None, missing_label=-1)
    np.testing.assert_array_equal(display.scores["MultiTaskClassifier"], list(expected.values()))


def test_task_without_a_score_is_said_to_have_none():
    display = TaskScoresDisplay({"m": [0.9, np.nan]}, ["a", "b"]).plot()

    texts = {text.get_text(): text.get_position()[1] for text in display.ax_.texts}
    assert texts == {"no score": 1}


# -- All -----------------------------------------------------------------------------------------


def test_long_names_keep_the_ends_by_which_they_differ():
    names = {shorten_name(f"a task with a rather long name, number {i}") for i in range(60)}

    assert len(names) == 60
    assert max(map(len, names)) == 28


def test_names_are_no_formulas():
    display = TaskScoresDisplay({"m": [0.9, 0.8]}, ["price in $", "$_{"]).plot()

    display.figure_.draw_without_rendering()  # a formula that cannot be read is an error
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == [r"price in \$", r"\$_{"]


@pytest.mark.slow_except("2")
@pytest.mark.parametrize("n_tasks", [2, 60])
def test_displays_draw_few_tasks_and_many(n_tasks):
    names = [f"a task with a rather long name, {i}" for i in range(n_tasks)]
    displays = [
        LabelCoverageDisplay(np.eye(n_tasks, dtype=int), 2, names).plot(),
        LearningCurvesDisplay(make_history(names), names, 2).plot(),
        TaskScoresDisplay({"m": np.linspace(0.5, 1, n_tasks)}, names).plot(),
    ]

    for display in displays:
        display.figure_.draw_without_rendering()  # a warning of the layout is an error
    assert len(displays[1].axes_) == n_tasks + 1


def test_displays_take_their_colours_from_the_style():
    with plt.style.context("dark_background"):
        display = TaskScoresDisplay({"m": [0.9]}, ["a"], constant_scores=[0.5]).plot()

        assert display.dots_["constant predictor"].get_color() == plt.rcParams["text.color"]


def test_missing_matplotlib_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)

    with pytest.raises(ImportError, match=r"pip install \"sk_mtl\[plot\]\""):
        TaskScoresDisplay({"m": [0.9]}, ["a"]).plot()
