"""ROC, precision-recall and calibration, a panel per task."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.metrics import precision_recall_curve, roc_curve
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl.metrics import calibration_error, multitask_score
from sk_mtl.plotting import (
    TaskCalibrationDisplay,
    TaskPrecisionRecallDisplay,
    TaskRocCurveDisplay,
)

DISPLAYS = [TaskRocCurveDisplay, TaskPrecisionRecallDisplay, TaskCalibrationDisplay]
CURVES = DISPLAYS[:2]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    """Return a fitted Pipeline with its X and y: a binary task and one of three classes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    Y = pd.DataFrame(
        {"sign": np.where(X[:, 0] > 0, "plus", "minus"), "grade": rng.integers(0, 3, 60) * 1.0}
    )
    Y.loc[::2, "grade"] = np.nan
    clf = MultiTaskClassifier((4,), epochs=3, random_state=0)
    return make_pipeline(StandardScaler(), clf).fit(X, Y), X, Y


@pytest.fixture(scope="module")
def predicted():
    """Return labels and probabilities: binary, three classes, one class, no label."""
    rng = np.random.default_rng(1)
    Y = pd.DataFrame(
        {
            "binary": rng.choice(["no", "yes", None], 40),
            "three": rng.choice([0, 1, 2, np.nan], 40),
            "single": rng.choice([1, np.nan], 40),
            "empty": np.full(40, np.nan),
        }
    )
    classes = [np.array(["no", "yes"]), np.arange(3.0), np.array([0, 1]), np.array([0, 1])]
    proba = {name: rng.dirichlet(np.ones(len(c)), 40) for name, c in zip(Y, classes, strict=True)}
    return Y, proba, dict(zip(Y, classes, strict=True))


def draw(display, predicted, **settings):
    Y, proba, classes = predicted
    return display.from_predictions(Y, proba, classes=classes, **settings)


def panel_titles(display):
    return [ax.get_title(loc="left") for ax in display.axes_]


# -- ROC and precision-recall --------------------------------------------------------------------


def test_roc_curve_of_a_binary_task_is_that_of_its_second_class(predicted):
    Y, proba, _ = predicted

    display = draw(TaskRocCurveDisplay, predicted)

    known = Y["binary"].notna()
    fpr, tpr, _ = roc_curve(Y["binary"][known] == "yes", proba["binary"][known, 1])
    np.testing.assert_array_equal(display.fpr["binary"]["yes"], fpr)
    np.testing.assert_array_equal(display.lines_["binary"]["yes"].get_xdata(), fpr)
    np.testing.assert_array_equal(display.lines_["binary"]["yes"].get_ydata(), tpr)


def test_roc_curves_of_three_classes_are_each_against_the_rest(predicted):
    Y, proba, _ = predicted

    display = draw(TaskRocCurveDisplay, predicted)

    known = Y["three"].notna()
    assert list(display.lines_["three"]) == [0.0, 1.0, 2.0]
    _, tpr, _ = roc_curve(Y["three"][known] == 2, proba["three"][known, 2])
    np.testing.assert_array_equal(display.tpr["three"][2.0], tpr)


def test_precision_and_recall_are_those_of_scikit_learn(predicted):
    Y, proba, _ = predicted

    display = draw(TaskPrecisionRecallDisplay, predicted)

    known = Y["binary"].notna()
    precision, recall, _ = precision_recall_curve(
        Y["binary"][known] == "yes", proba["binary"][known, 1], drop_intermediate=True
    )
    np.testing.assert_array_equal(display.lines_["binary"]["yes"].get_xdata(), recall)
    np.testing.assert_array_equal(display.lines_["binary"]["yes"].get_ydata(), precision)


def test_precision_recall_has_the_share_of_each_class_as_chance_level(predicted):
    Y, _, _ = predicted

    display = draw(TaskPrecisionRecallDisplay, predicted)

    shares = Y["three"].value_counts(normalize=True).sort_index()
    drawn = [line.get_ydata()[0] for line in display.chance_levels_["three"]]
    np.testing.assert_allclose(drawn, shares)
    assert display.prevalence["binary"] == {"yes": (Y["binary"].dropna() == "yes").mean()}


def test_roc_has_one_diagonal_as_chance_level(predicted):
    display = draw(TaskRocCurveDisplay, predicted)

    (line,) = display.chance_levels_["three"]
    assert list(line.get_xdata()) == list(line.get_ydata()) == [0, 1]


@pytest.mark.parametrize(
    ("display", "metric", "scores"),
    [
        (TaskRocCurveDisplay, "roc_auc", "roc_auc"),
        (TaskPrecisionRecallDisplay, "average_precision", "average_precision"),
    ],
)
def test_scores_and_titles_are_those_of_multitask_score(display, metric, scores, predicted):
    Y, proba, classes = predicted
    with pytest.warns(UndefinedMetricWarning):
        expected = multitask_score(metric, Y, proba, classes=classes, average=None)

    drawn = draw(display, predicted)

    np.testing.assert_equal(getattr(drawn, scores), expected)
    assert f" {expected['binary']:.2f} for yes" in panel_titles(drawn)[0]
    assert f" {expected['three']:.2f}, mean of 3 classes" in panel_titles(drawn)[1]


@pytest.mark.parametrize("display", CURVES)
def test_panel_of_a_task_without_two_classes_says_so(display, predicted):
    drawn = draw(display, predicted)

    said = [" ".join(ax.texts[0].get_text().split()) for ax in drawn.axes_[2:]]
    assert said == [
        "no curve: only class 1 in its labelled cells",
        "no curve: no labelled cell",
    ]
    assert drawn.lines_["single"] == drawn.lines_["empty"] == {}


@pytest.mark.parametrize("display", CURVES)
def test_class_without_labels_has_no_curve(display):
    Y = pd.DataFrame({"t": [0.0, 1.0, 0.0, np.nan]})
    proba = {"t": np.full((4, 3), 1 / 3)}

    drawn = display.from_predictions(Y, proba, classes={"t": [0, 1, 2]})

    assert list(drawn.lines_["t"]) == [0, 1]


@pytest.mark.parametrize("display", CURVES)
def test_chance_level_is_left_out_on_request(display, predicted):
    drawn = draw(display, predicted, plot_chance_level=False)

    assert len(drawn.axes_[0].lines) == 1


@pytest.mark.parametrize("display", CURVES)
def test_style_of_curves_and_chance_level_can_be_set(display, predicted):
    drawn = draw(display, predicted, curve_kwargs={"lw": 3}, chance_level_kw={"ls": ":", "c": "C5"})

    assert drawn.lines_["three"][1.0].get_linewidth() == 3
    assert drawn.chance_levels_["three"][0].get_linestyle() == ":"
    assert drawn.chance_levels_["three"][0].get_color() == "C5"


@pytest.mark.parametrize(
    ("classes", "said"), [([0, 1], ""), ([False, True], ""), (["miss", "strike"], " for strike")]
)
def test_title_names_a_positive_class_that_does_not_go_without_saying(classes, said):
    display = TaskRocCurveDisplay.from_predictions(pd.Series(classes, name="t"), [0.2, 0.8])

    assert panel_titles(display) == [f"t\nAUC 1.00{said}"]


# -- Calibration ---------------------------------------------------------------------------------


def test_calibration_of_a_binary_task_is_that_of_its_second_class(predicted):
    Y, proba, _ = predicted

    display = draw(TaskCalibrationDisplay, predicted, n_bins=5)

    known = Y["binary"].notna()
    expected = calibration_curve(Y["binary"][known] == "yes", proba["binary"][known, 1], n_bins=5)
    curve = display.curves["binary"]["yes"]
    np.testing.assert_allclose([curve.prob_true, curve.prob_pred], expected)
    np.testing.assert_array_equal(display.lines_["binary"]["yes"].get_ydata(), curve.prob_true)


def test_calibration_by_quantiles_is_that_of_scikit_learn(predicted):
    Y, proba, _ = predicted

    display = draw(TaskCalibrationDisplay, predicted, n_bins=4, strategy="quantile")

    known = Y["binary"].notna()
    expected = calibration_curve(
        Y["binary"][known] == "yes", proba["binary"][known, 1], n_bins=4, strategy="quantile"
    )
    curve = display.curves["binary"]["yes"]
    np.testing.assert_allclose([curve.prob_true, curve.prob_pred], expected)


def test_confidence_curve_adds_up_to_the_calibration_error(predicted):
    Y, proba, _ = predicted

    display = draw(TaskCalibrationDisplay, predicted, n_bins=7)

    known = Y["three"].notna()
    error = calibration_error(Y["three"][known], proba["three"][known], n_bins=7)
    curve = display.curves["three"]["confidence"]
    gaps = np.abs(curve.prob_true - curve.prob_pred)
    assert np.average(gaps, weights=curve.counts) == pytest.approx(error)
    assert display.calibration_error["three"] == pytest.approx(error)
    assert f"ECE {error:.3f}, predicted class" in panel_titles(display)[1]


@pytest.mark.parametrize(
    ("kind", "binary", "three"),
    [
        ("auto", ["yes"], ["confidence"]),
        ("confidence", ["confidence"], ["confidence"]),
        ("one_vs_rest", ["yes"], [0, 1, 2]),
    ],
)
def test_kind_says_whose_probability_is_shown(kind, binary, three, predicted):
    display = draw(TaskCalibrationDisplay, predicted, kind=kind)

    assert list(display.lines_["binary"]) == binary
    assert list(display.lines_["three"]) == three


def test_histogram_counts_labelled_cells_by_probability(predicted):
    Y, proba, _ = predicted

    display = draw(TaskCalibrationDisplay, predicted, n_bins=4, strategy="quantile")

    known = Y["binary"].notna()
    expected, _ = np.histogram(proba["binary"][known, 1], bins=4, range=(0, 1))
    np.testing.assert_array_equal(display.curves["binary"]["yes"].histogram, expected)
    (ticks,) = display.histogram_axes_["binary"].get_yticks()
    assert ticks == expected.max()


def test_interval_of_a_share_is_wilsons():
    y = [1] * 3 + [0] * 7

    display = TaskCalibrationDisplay.from_predictions(y, np.full(10, 0.35))

    expected = binomtest(3, 10).proportion_ci(method="wilson")
    np.testing.assert_allclose(display.curves["y0"][1].interval[:, 0], expected, rtol=1e-6)


def test_weight_of_two_is_a_cell_twice():
    weighted = TaskCalibrationDisplay.from_predictions(
        [0, 1, 1], [0.3, 0.35, 0.9], sample_weight=[2, 1, 1], n_bins=2
    )
    twice = TaskCalibrationDisplay.from_predictions([0, 0, 1, 1], [0.3, 0.3, 0.35, 0.9], n_bins=2)

    for name in ("prob_true", "prob_pred"):
        np.testing.assert_allclose(
            getattr(weighted.curves["y0"][1], name), getattr(twice.curves["y0"][1], name)
        )


def test_calibration_of_one_class_is_drawn_and_of_no_label_said(predicted):
    display = draw(TaskCalibrationDisplay, predicted)

    assert list(display.lines_["single"]) == [1]
    assert "no\nlabelled cell" in display.axes_[3].texts[0].get_text()


@pytest.mark.parametrize("wrong", [{"kind": "both"}, {"strategy": "none"}])
def test_calibration_refuses_unknown_settings(wrong, predicted):
    with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' .* must be one of"):
        draw(TaskCalibrationDisplay, predicted, **wrong)


# -- All three -----------------------------------------------------------------------------------


@pytest.mark.parametrize("display", DISPLAYS)
def test_estimator_in_a_pipeline_is_judged_as_its_predictions(display, fitted):
    model, X, Y = fitted

    drawn = display.from_estimator(model, X, Y)

    expected = display.from_predictions(Y, model.predict_proba(X), classes=model[-1].classes_)
    for name, lines in expected.lines_.items():
        for label, line in lines.items():
            np.testing.assert_array_equal(drawn.lines_[name][label].get_ydata(), line.get_ydata())
    assert drawn.task_names == ["sign", "grade"]


@pytest.mark.parametrize("display", DISPLAYS)
def test_search_and_one_task_in_1d_form_are_judged(display, fitted):
    _, X, Y = fitted
    clf = MultiTaskClassifier((4,), epochs=1, random_state=0)
    search = GridSearchCV(clf, {"l2": [0.0]}, cv=2).fit(X, Y["sign"])

    drawn = display.from_estimator(search, X, Y["sign"])

    assert list(drawn.lines_) == ["sign"]


@pytest.mark.parametrize("display", DISPLAYS)
def test_another_multioutput_classifier_is_judged(display, fitted):
    _, X, Y = fitted
    forest = RandomForestClassifier(3, random_state=0).fit(X, Y.fillna(0).to_numpy(dtype=str))

    drawn = display.from_estimator(
        forest, X, Y["sign"].to_frame().assign(grade=Y["grade"].map(str, na_action="ignore"))
    )

    assert list(drawn.lines_) == ["sign", "grade"]


@pytest.mark.parametrize("display", DISPLAYS)
def test_missing_label_is_that_of_the_estimator(display, fitted):
    _, X, Y = fitted
    y = Y["grade"].fillna(-1).astype(int)
    clf = MultiTaskClassifier((4,), epochs=1, missing_label=-1, random_state=0).fit(X, y)

    drawn = display.from_estimator(make_pipeline("passthrough", clf), X, y)

    assert -1 not in drawn.lines_["grade"]
    assert drawn.task_names == ["grade"]


@pytest.mark.parametrize("display", DISPLAYS)
def test_what_lies_under_the_mask_has_no_influence(display, predicted):
    Y, proba, classes = predicted
    other = {name: np.where(Y[[name]].isna(), 0.5, p) for name, p in proba.items()}

    first = display.from_predictions(Y, proba, classes=classes).lines_["binary"]["yes"]
    second = display.from_predictions(Y, other, classes=classes).lines_["binary"]["yes"]

    np.testing.assert_array_equal(first.get_xydata(), second.get_xydata())


@pytest.mark.parametrize("display", DISPLAYS)
def test_labelled_cells_without_prediction_are_left_out_with_a_warning(display, predicted):
    Y, proba, classes = predicted
    partial = proba["three"].copy()
    partial[:20] = np.nan

    with pytest.warns(UndefinedMetricWarning, match="without a prediction are left out"):
        display.from_predictions(
            Y[["three"]], {"three": partial}, classes={"three": classes["three"]}
        )


@pytest.mark.parametrize("display", DISPLAYS)
def test_chosen_tasks_are_drawn_in_their_order(display, predicted):
    drawn = draw(display, predicted, tasks=["three", 0])

    assert list(drawn.lines_) == ["three", "binary"]
    assert len(drawn.axes_) == 2


@pytest.mark.parametrize("display", DISPLAYS)
def test_one_task_may_be_named_by_itself(display, predicted):
    assert list(draw(display, predicted, tasks="binary").lines_) == ["binary"]


@pytest.mark.parametrize("display", DISPLAYS)
def test_unknown_task_is_refused(display, predicted):
    with pytest.raises(ValueError, match=r"no task 'tree'\. Did you mean 'three'"):
        draw(display, predicted, tasks=["tree"])


@pytest.mark.parametrize("display", DISPLAYS)
def test_no_task_is_refused(display, predicted):
    with pytest.raises(ValueError, match="at least one task"):
        draw(display, predicted, tasks=[])


@pytest.mark.parametrize("display", DISPLAYS)
def test_panels_are_drawn_in_the_place_of_given_axes(display, predicted):
    figure, axes = plt.subplots(1, 2)

    drawn = draw(display, predicted, ax=axes[1])

    assert drawn.figure_ is figure
    assert all(ax.get_position().x0 > 0.5 for ax in drawn.axes_)


@pytest.mark.parametrize("display", DISPLAYS)
def test_panels_are_given_axes(display, predicted):
    _, axes = plt.subplots(2, 2)

    drawn = draw(display, predicted, ax=axes)

    assert list(drawn.axes_) == list(axes.ravel())
    assert [bool(ax.get_ylabel()) for ax in drawn.axes_] == [True, False, True, False]
    assert [bool(ax.get_xlabel()) for ax in drawn.axes_] == [False, False, True, True]


@pytest.mark.parametrize("display", DISPLAYS)
def test_another_number_of_axes_is_refused(display, predicted):
    _, axes = plt.subplots(3)

    with pytest.raises(ValueError, match=r"panels, 4\. Got 3"):
        draw(display, predicted, ax=axes)


@pytest.mark.parametrize("display", DISPLAYS)
def test_estimator_must_be_fitted(display, fitted):
    _, X, Y = fitted

    with pytest.raises(NotFittedError):
        display.from_estimator(MultiTaskClassifier(), X, Y)


@pytest.mark.parametrize("display", DISPLAYS)
def test_display_is_drawn_again_on_a_new_figure(display, predicted):
    drawn = draw(display, predicted)
    first = drawn.figure_

    assert drawn.plot() is drawn
    assert drawn.figure_ is not first


@pytest.mark.slow_except("TaskRocCurveDisplay-12-default")
@pytest.mark.parametrize(
    ("n_tasks", "style"),
    [(1, "default"), (2, "dark_background"), (12, "default"), (20, "dark_background")],
)
@pytest.mark.parametrize("display", DISPLAYS)
def test_few_tasks_and_many_are_drawn(display, n_tasks, style):
    rng = np.random.default_rng(0)
    names = [f"a task with a rather long name, {i}" for i in range(n_tasks)]
    Y = pd.DataFrame(rng.integers(0, 2, (20, n_tasks)), columns=names)
    proba = {name: rng.dirichlet([1, 1], 20) for name in names}

    with plt.style.context(style):
        drawn = display.from_predictions(Y, proba)
        drawn.figure_.draw_without_rendering()  # a warning of the layout is an error

    assert len(drawn.axes_) == n_tasks


@pytest.mark.parametrize("display", DISPLAYS)
def test_too_many_tasks_are_cut_off_and_said(display, monkeypatch):
    monkeypatch.setattr("sk_mtl.plotting._panels._MAX_PANELS", 3)
    Y = np.random.default_rng(0).integers(0, 2, (20, 5))

    drawn = display.from_predictions(Y, np.full((20, 5), 0.5))

    assert list(drawn.lines_) == ["y0", "y1", "y2"]
    assert "the first 3 of 5 tasks" in drawn.figure_.get_supxlabel()


@pytest.mark.parametrize("display", DISPLAYS)
def test_reference_line_takes_the_colour_of_text(display, predicted):
    with plt.style.context("dark_background"):
        drawn = draw(display, predicted)
        dashed = [line for line in drawn.axes_[0].lines if line.get_linestyle() == "--"]

        assert [line.get_color() for line in dashed] == [plt.rcParams["text.color"]]


@pytest.mark.parametrize(("height", "place"), [(0.9, "lower left"), (0.1, "upper right")])
def test_legend_of_precision_recall_stands_where_no_curve_is(height, place):
    recall = {"t": {label: np.linspace(1, 0, 9) for label in "abc"}}
    precision = {"t": {label: np.full(9, height) for label in "abc"}}

    display = TaskPrecisionRecallDisplay(precision, recall, {"t": height})

    assert display._legend_place("t") == place
