"""Task weights by epoch."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.plotting import TaskWeightsDisplay
from sk_mtl.plotting._epochs import move_apart

X, Y = make_multitask_classification(n_samples=60, n_tasks=3, random_state=0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fit(task_weighting, y=Y, epochs=3):
    return MultiTaskClassifier(
        (4,), epochs=epochs, task_weighting=task_weighting, random_state=0
    ).fit(X, y)


def make_weights(n_tasks, base=1.01):
    return {f"task {i}": base**i * np.linspace(1, 1.5, 4) for i in range(n_tasks)}


def test_weights_are_those_of_the_history():
    model = make_pipeline("passthrough", fit("uncertainty"))

    display = TaskWeightsDisplay.from_estimator(model)

    history = model[-1].history_
    assert display.task_names == ["y0", "y1", "y2"]
    np.testing.assert_array_equal(display.lines_["y1"].get_ydata(), history["y1_weight"])
    np.testing.assert_array_equal(display.lines_["y1"].get_xdata(), [1, 2, 3])


@pytest.mark.slow
def test_tasks_that_were_not_learned_are_left_out():
    y = Y.astype(float)
    y[:, 1] = np.nan
    with pytest.warns(UserWarning, match="y1"):
        clf = fit("uncertainty", y)

    assert TaskWeightsDisplay.from_estimator(clf).task_names == ["y0", "y2"]


@pytest.mark.slow_except("weighting1-'y0': 3, 'y1': 1")
@pytest.mark.parametrize(
    ("weighting", "found"), [("equal", "'y0': 1, 'y1': 1"), ({"y0": 3.0}, "'y0': 3, 'y1': 1")]
)
def test_fixed_weights_are_refused_with_what_they_are(weighting, found):
    clf = fit(weighting, epochs=1)

    with pytest.raises(
        ValueError, match="must change from epoch to epoch.*'uncertainty'.*" + found
    ):
        TaskWeightsDisplay.from_estimator(clf)


def test_estimator_must_be_fitted():
    with pytest.raises(NotFittedError):
        TaskWeightsDisplay.from_estimator(MultiTaskClassifier())


def test_best_epoch_is_marked():
    display = TaskWeightsDisplay(make_weights(2), best_epoch=3).plot()

    (text,) = display.ax_.get_legend().get_texts()
    assert text.get_text() == "weights kept: epoch 3"
    assert [3, 3] in [list(line.get_xdata()) for line in display.ax_.lines]


def test_lines_have_their_names_at_their_ends_in_their_colours():
    display = TaskWeightsDisplay(make_weights(3)).plot()

    written = {text.get_text(): text.get_color() for text in display.ax_.texts}
    assert written == {name: line.get_color() for name, line in display.lines_.items()}


@pytest.mark.parametrize(("n_tasks", "as_image"), [(10, False), (11, True), (60, True)])
def test_many_tasks_are_an_image(n_tasks, as_image):
    display = TaskWeightsDisplay(make_weights(n_tasks), best_epoch=2).plot()

    display.figure_.draw_without_rendering()  # a warning of the layout is an error
    assert (display.image_ is not None) == as_image
    assert len(display.lines_) == (0 if as_image else n_tasks)


def test_image_has_a_row_per_task():
    weights = {"a": [1.0, 2.0, 3.0], "b": [np.nan, 1.0]}

    display = TaskWeightsDisplay(weights).plot(kind="image")

    shown = np.ma.filled(display.image_.get_array(), np.nan)
    np.testing.assert_array_equal(shown, [[1, 2, 3], [np.nan, 1, np.nan]])


@pytest.mark.parametrize(("base", "scale"), [(2.0, "linear"), (20.0, "log")])
def test_scale_is_logarithmic_where_weights_differ_tenfold(base, scale):
    display = TaskWeightsDisplay(make_weights(2, base)).plot()

    assert display.ax_.get_yscale() == scale


def test_weights_of_one_epoch_are_points():
    display = TaskWeightsDisplay({"a": [1.0]}).plot()

    assert display.lines_["a"].get_marker() == "o"


def test_style_of_lines_can_be_set():
    display = TaskWeightsDisplay(make_weights(2)).plot(line_kw={"ls": ":"})

    assert display.lines_["task 0"].get_linestyle() == ":"


def test_weights_are_drawn_on_given_axes():
    _, ax = plt.subplots()

    assert TaskWeightsDisplay(make_weights(2)).plot(ax).ax_ is ax


@pytest.mark.parametrize(
    ("weights", "settings", "said"),
    [({}, {}, "no task weight"), (make_weights(1), {"kind": "bars"}, "'kind' .* must be one of")],
)
def test_what_cannot_be_drawn_is_refused(weights, settings, said):
    with pytest.raises(ValueError, match=said):
        TaskWeightsDisplay(weights).plot(**settings)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([0.1, 0.5], [0.1, 0.5]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.4, 0.5, 0.5, 0.9], [0.3666667, 0.4666667, 0.5666667, 0.9]),
    ],
)
def test_names_are_moved_apart_as_little_as_needed(places, expected):
    np.testing.assert_allclose(move_apart(places, 0.1), expected, atol=1e-6)
