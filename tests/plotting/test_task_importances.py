"""The importances of features as bars: what is drawn, in which order, and on which axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny
from matplotlib.colors import to_rgb
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl.metrics import task_importances
from sk_mtl.plotting import TaskImportancesDisplay
from sk_mtl.plotting._colors import is_dark


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def make_importances(n_tasks=2, n_features=4, names=None, intervals=True):
    """Return importances that rise with the position of the feature."""
    rows = []
    for t in range(n_tasks):
        for j in range(n_features):
            value = 0.1 * (j + 1) + t
            ends = (value - 0.05, value + 0.1) if intervals else (np.nan, np.nan)
            name = f"task {t}" if names is None else names[t]
            rows.append((name, f"feature {j}", value, *ends, 0.5, 100))
    columns = ["task", "feature", "importance", "lower", "upper", "score", "n_cells"]
    return pd.DataFrame(rows, columns=columns)


def draw(importances=None, **params):
    importances = make_importances() if importances is None else importances
    return TaskImportancesDisplay.from_importances(importances, **params)


def names_on(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def widths(display, task):
    return [bar.get_width() for bar in display.bars_[task]]


def intervals_on(display, task):
    """Return the ends of the error bars of a task, (n_features, 2)."""
    (lines,) = display.bars_[task].errorbar.lines[2]
    return np.array([segment[:, 0] for segment in lines.get_segments()])


# --------------------------------------------------------------------------------- what is drawn


def test_bars_are_the_importances_with_the_largest_first():
    display = draw()
    np.testing.assert_allclose(widths(display, "task 1"), [1.4, 1.3, 1.2, 1.1])
    assert names_on(display.axes_[1]) == ["feature 3", "feature 2", "feature 1", "feature 0"]


def test_largest_is_at_the_top():
    display = draw()
    low, high = display.axes_[0].get_ylim()
    assert low > high
    assert display.bars_["task 0"][0].get_y() < display.bars_["task 0"][1].get_y()


def test_equal_importances_stay_in_the_order_of_the_features():
    display = draw(make_importances().assign(importance=0.2))
    assert names_on(display.axes_[0]) == [f"feature {j}" for j in range(4)]


def test_intervals_are_error_bars():
    found = intervals_on(draw(), "task 0")
    np.testing.assert_allclose(found, [[0.1 * j - 0.05, 0.1 * j + 0.1] for j in (4, 3, 2, 1)])


def test_without_intervals_there_are_no_error_bars():
    display = draw(make_importances(intervals=False))
    assert display.bars_["task 0"].errorbar is None


def test_a_feature_without_an_interval_is_drawn_beside_others():
    importances = make_importances()
    importances.loc[0, ["lower", "upper"]] = np.nan
    display = draw(importances)
    assert len(widths(display, "task 0")) == 4
    display.figure_.draw_without_rendering()


def test_an_interval_beside_the_importance_ends_at_it():
    display = draw(make_importances().assign(lower=5.0, upper=6.0))
    np.testing.assert_allclose(intervals_on(display, "task 0")[0], [0.4, 6])


def test_negative_importances_are_drawn_to_the_left():
    display = draw(make_importances().assign(importance=-0.1, lower=-0.2, upper=0.1))
    assert widths(display, "task 0") == [-0.1] * 4
    assert display.axes_[0].get_xlim()[0] < -0.1


def test_few_features_are_drawn_on_request():
    display = draw(max_features=2)
    assert names_on(display.axes_[0]) == ["feature 3", "feature 2"]
    assert display.importances.shape == (8, 7)


def test_ten_features_are_drawn_by_default():
    assert len(names_on(draw(make_importances(n_features=30)).axes_[0])) == 10


@pytest.mark.parametrize("tasks", ["task 1", 1, ["task 1"], [1]])
def test_tasks_are_chosen_by_name_or_position(tasks):
    display = draw(tasks=tasks)
    assert list(display.bars_) == ["task 1"]
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["task 1"]


def test_tasks_are_drawn_in_the_order_that_is_asked_for():
    display = draw(tasks=["task 1", "task 0"])
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["task 1", "task 0"]


@pytest.mark.slow
def test_64_of_many_tasks_are_drawn_and_the_others_counted():
    display = draw(make_importances(n_tasks=66, n_features=1))
    assert len(display.axes_) == 64
    shown = [text.get_text() for text in display.figure_.findobj(plt.Text)]
    assert any("the first 64 of 66 tasks" in text for text in shown)


def test_the_score_is_named():
    display = draw(score_name="roc_auc")
    shown = [text.get_text() for text in display.figure_.findobj(plt.Text)]
    assert "how much worse roc_auc is when shuffled" in shown


def test_a_task_without_a_score_says_so():
    importances = make_importances()
    importances.loc[:3, ["importance", "lower", "upper"]] = np.nan
    display = draw(importances)
    assert list(display.bars_) == ["task 1"]
    assert [text.get_text() for text in display.axes_[0].texts] == ["no score"]


def test_features_without_a_score_are_left_out():
    importances = make_importances()
    importances.loc[2, "importance"] = np.nan
    assert names_on(draw(importances).axes_[0]) == ["feature 3", "feature 1", "feature 0"]


# ---------------------------------------------------------------------------------------- names


def test_features_may_be_numbers():
    importances = make_importances()
    importances["feature"] = [0, 1, 2, 3] * 2
    assert names_on(draw(importances).axes_[0]) == ["3", "2", "1", "0"]


def test_long_names_are_shortened_and_no_formulas():
    importances = make_importances(n_features=2)
    importances["feature"] = ["$x_1$", "a very long name of a feature that nobody can read"] * 2
    display = draw(importances)
    display.figure_.draw_without_rendering()
    long, formula = names_on(display.axes_[0])
    assert len(long) <= 28
    assert formula == r"\$x_1\$"


@pytest.mark.parametrize(
    "names", [[("a", 1), ("a", 2)], [0, 1], [True, False]], ids=["tuples", "numbers", "booleans"]
)
def test_tasks_may_have_any_names(names):
    display = draw(make_importances(names=names))
    assert display.task_names == names
    assert [len(widths(display, name)) for name in names] == [4, 4]


@pytest.mark.slow_except("1", "2")
@pytest.mark.parametrize("n_tasks", [1, 2, 7, 40])
def test_names_do_not_overlap_with_bars_of_another_panel(n_tasks):
    display = draw(make_importances(n_tasks=n_tasks, n_features=12))
    display.figure_.canvas.draw()
    boxes = [ax.get_tightbbox() for ax in display.axes_]
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])


# ----------------------------------------------------------------------------------------- axes


def test_panels_take_the_place_of_one_axes():
    figure, ax = plt.subplots()
    display = draw(ax=ax)
    assert display.figure_ is figure
    assert display.axes_.shape == (2,)


def test_a_panel_is_drawn_on_each_of_several_axes():
    _, axes = plt.subplots(1, 2)
    display = draw(ax=axes)
    assert display.axes_.tolist() == axes.tolist()


def test_another_number_of_axes_is_refused():
    _, axes = plt.subplots(1, 3)
    with pytest.raises(ValueError, match="2"):
        draw(ax=axes)


def test_plotting_again_makes_another_figure():
    display = draw()
    first = display.figure_
    assert display.plot(max_features=1).figure_ is not first
    assert len(display.bars_["task 0"]) == 1


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_error_bars_are_seen_on_bars_and_background(style):
    with plt.style.context(style):
        display = draw()
        background = plt.rcParams["axes.facecolor"]
        ax = display.axes_[0]
        (lines,) = display.bars_["task 0"].errorbar.lines[2]
    color, bar = to_rgb(lines.get_colors()[0]), display.bars_["task 0"][0].get_facecolor()
    # What is seen of a bar that lets the background through.
    mixed = bar[3] * np.array(bar[:3]) + (1 - bar[3]) * np.array(to_rgb(background))
    for behind in (to_rgb(background), mixed):
        assert contrast(color, behind) > 3
    assert ax.get_lines()  # the line at 0
    assert is_dark(color) != is_dark(background)


def contrast(first, second):
    """Return the contrast of two colours as WCAG defines it, 1 to 21."""
    lights = []
    for color in (first, second):
        values = np.array(color[:3])
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        lights.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
    return max(lights) / min(lights)


# ------------------------------------------------------------------------------- from an estimator


def test_an_estimator_is_scored_and_drawn():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=["age", "height", "noise"])
    Y = pd.DataFrame({"a": X["age"] > 0, "b": X["height"] > 0})
    clf = make_tiny(early_stopping=False, jit_compile=False)
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), clf).fit(X, Y)
    settings = {"metric": "roc_auc", "features": ["age", 1], "n_repeats": 2, "n_bootstraps": 5}

    display = TaskImportancesDisplay.from_estimator(
        model, X, Y, **settings, random_state=0, tasks="b", max_features=1
    )

    expected = task_importances(model, X, Y, **settings, random_state=0)
    pd.testing.assert_frame_equal(display.importances, expected)
    assert display.score_name == "roc_auc"
    assert list(display.bars_) == ["b"]
    assert len(widths(display, "b")) == 1


def test_a_function_gives_its_name_to_the_score():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    clf = make_tiny(early_stopping=False, jit_compile=False).fit(X, X[:, 0] > 0)

    def share_right(y_true, y_pred):
        return np.mean(y_true == y_pred)

    display = TaskImportancesDisplay.from_estimator(
        clf, X, X[:, 0] > 0, metric=share_right, n_repeats=1, n_bootstraps=None
    )
    assert display.score_name == "share_right"


# --------------------------------------------------------------------------------------- errors


def test_a_frame_of_something_else_is_refused():
    with pytest.raises(ValueError, match="what task_importances returns, and lacks 'importance'"):
        draw(make_importances().drop(columns="importance"))


@pytest.mark.parametrize("wrong", [np.zeros((3, 7)), {"task": ["a"]}, None])
def test_what_is_no_frame_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="what task_importances returns"):
        TaskImportancesDisplay(wrong)


def test_a_frame_without_rows_is_refused():
    with pytest.raises(ValueError, match="importances"):
        draw(make_importances()[:0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_features": 0}, "'max_features' parameter of plot must be an integer >= 1"),
        ({"tasks": "other"}, "There is no task 'other'"),
    ],
    ids=["max_features", "tasks"],
)
def test_what_cannot_be_drawn_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        draw(**params)
