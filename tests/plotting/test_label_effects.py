"""The matrix of what known labels change: by hand, in any form, and as a picture."""

import copy
import warnings
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import make_tiny
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl.plotting import LabelEffectsDisplay

N = 80
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
GRADES = RNG.integers(0, 3, N)
Y = pd.DataFrame(
    {
        "sign": np.where(X[:, 0] > 0, "yes", "no").astype(object),
        "grade": pd.array(GRADES, dtype="Int64"),
        "copy": pd.array(GRADES > 0, dtype="boolean"),
    }
)
Y = Y.mask(RNG.random(Y.shape) < 0.25)
TASKS = list(Y.columns)
PAIRS = [(p, k) for p in TASKS for k in TASKS if p != k]
ODD = pd.DataFrame({"single": "k", "nothing": np.nan}, index=Y.index).join(Y[["sign", "grade"]])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def make(**params):
    settings = {"hidden_layer_sizes": (8,), "known_labels": True, "epochs": 5}
    settings |= {"early_stopping": False, "optimizer__learning_rate": 0.05, "jit_compile": False}
    return make_tiny(**{**settings, **params})


@cache
def fitted(known_labels=True):
    return make(known_labels=known_labels).fit(X, Y)


@cache
def fitted_odd():
    """Return a fit to a task without labels and classes, and to one with one class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of these tasks
        return make().fit(X, ODD)


def draw(clf=None, labels=Y, features=X, **params):
    clf = fitted() if clf is None else clf
    return LabelEffectsDisplay.from_estimator(clf, features, labels, **params)


@cache
def effects():
    """Return the effects as a frame, with predicted tasks as rows."""
    return pd.DataFrame(draw().effects, TASKS, TASKS)


# ------------------------------------------------------------------------------------------------
# The numbers
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "known"), PAIRS)
@pytest.mark.parametrize("reads", [True, "with_indicator"])
def test_numbers_are_means_of_label_effects(task, known, reads):
    clf = fitted(reads)
    found = draw(clf).effects[TASKS.index(task), TASKS.index(known)]
    by_class = [clf.label_effects(X, Y, task, label)[known] for label in clf.classes_[task]]
    # The mean leaves out the rows without this label.
    assert found == pytest.approx(sum(e.abs() for e in by_class).mean() / 2, abs=1e-6)


def test_of_two_classes_it_is_the_change_of_either_probability():
    change = fitted().label_effects(X, Y, "copy", True)["grade"].abs().mean()
    assert effects().loc["copy", "grade"] == pytest.approx(change, abs=1e-6)


@pytest.mark.parametrize("known", ["sign", "copy"])
def test_label_effects_are_differences_of_probabilities(known):
    clf, others = fitted(), Y.assign(grade=pd.NA)
    whole = clf.complete_proba_frame(X, others)["grade"][1]
    without = clf.complete_proba_frame(X, others.assign(**{known: None}))["grade"][1]
    found = clf.label_effects(X, Y, "grade", 1)[known]
    expected = (whole - without).where(Y[known].notna())
    pd.testing.assert_series_equal(found, expected, check_names=False)


def test_diagonal_is_empty():
    assert np.isnan(np.diag(effects())).all()


def test_numbers_lie_between_zero_and_one():
    found = effects().to_numpy()[~np.eye(3, dtype=bool)]
    assert ((found >= 0) & (found <= 1)).all()


def test_a_copy_tells_more_than_chance():
    assert effects().loc["copy", "grade"] > 2 * effects().loc["copy", "sign"]


def test_a_task_without_known_labels_has_no_effect():
    found = draw(labels=Y.assign(sign=None)).effects
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[0, 1:]).all()


def test_without_known_labels_there_is_nothing_to_see():
    assert np.isnan(draw(labels=Y.mask(np.ones(Y.shape, bool))).effects).all()


@pytest.mark.slow
def test_a_task_with_one_class_changes_nothing():
    assert (draw(fitted_odd(), ODD).effects[2:, 0] == 0).all()


def test_a_task_without_labels_in_training_is_changed_by_nothing():
    # It has no probabilities that could change.
    assert np.isnan(draw(fitted_odd(), ODD).effects[1]).all()


# ------------------------------------------------------------------------------------------------
# Forms of the labels
# ------------------------------------------------------------------------------------------------

FORMS = {
    "index": lambda y: y.set_axis([f"row {i}" for i in range(N)]),
    "array": lambda y: y.to_numpy(object),
    "lists": lambda y: y.astype(object).where(y.notna(), None).to_numpy().tolist(),
    "polars": pl.from_pandas,
}


@pytest.mark.parametrize("form", FORMS)
def test_form_of_the_labels_changes_no_number(form):
    display = draw(labels=FORMS[form](Y))
    np.testing.assert_array_equal(display.effects, effects())
    assert display.task_names == TASKS


def test_order_of_the_columns_changes_no_number():
    display = draw(labels=Y[["copy", "sign", "grade"]])
    found = pd.DataFrame(display.effects, display.task_names, display.task_names)
    pd.testing.assert_frame_equal(found.loc[TASKS, TASKS], effects())


@pytest.mark.parametrize("given", [None, -1], ids=["of the estimator", "given"])
def test_labels_that_mean_missing_are_holes(given):
    numbers = np.column_stack([X[:, 0] > 0, GRADES]).astype(float)
    numbers[Y[["sign", "grade"]].isna().to_numpy()] = np.nan
    marked = np.nan_to_num(numbers, nan=-1)
    clf = make(missing_label=-1).fit(X, marked) if given is None else make().fit(X, numbers)
    found = draw(clf, marked, missing_label=given).effects
    np.testing.assert_array_equal(found, draw(make().fit(X, numbers), numbers).effects)


def test_a_pipeline_is_looked_through():
    pipe = make_pipeline(StandardScaler(), make()).fit(X, Y)
    expected = draw(pipe[-1], features=pipe[0].transform(X)).effects
    np.testing.assert_array_equal(draw(pipe).effects, expected)


def test_setting_the_parameter_after_the_fit_changes_nothing():
    clf = copy.deepcopy(fitted()).set_params(known_labels=False)
    np.testing.assert_array_equal(draw(clf).effects, effects())


# ------------------------------------------------------------------------------------------------
# What is refused
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_network_that_reads_no_labels_is_refused():
    with pytest.raises(ValueError, match="Fit the estimator with known_labels=True"):
        draw(fitted(False))


def test_a_network_that_was_fitted_without_labels_is_refused_whatever_is_set_later():
    clf = copy.deepcopy(fitted(False)).set_params(known_labels=True)
    with pytest.raises(ValueError, match="Fit the estimator with known_labels=True"):
        draw(clf)


def test_a_single_task_is_refused():
    with pytest.raises(ValueError, match=r"^Y must have at least two tasks"):
        draw(make(epochs=1).fit(X, GRADES), GRADES)


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        draw(make())


def test_estimators_that_cannot_complete_are_refused():
    codes = np.column_stack([GRADES, GRADES])
    with pytest.raises(TypeError, match="it must have complete_proba"):
        draw(RandomForestClassifier(2, random_state=0).fit(X, codes), codes)


def test_labels_unseen_in_training_are_refused():
    with pytest.raises(ValueError, match=r"^Task 'sign' has \d+ label\(s\) outside its classes"):
        draw(labels=Y.assign(sign="maybe"))


def test_another_number_of_rows_is_refused():
    with pytest.raises(ValueError, match=r"^Y must have one row per row of X: 80\. Got 79\."):
        draw(labels=Y[:-1])


def test_rows_in_another_order_than_x_are_told():
    with pytest.warns(UserWarning, match="indexes of X and Y hold the same labels in different"):
        draw(labels=Y[::-1], features=pd.DataFrame(X))


# ------------------------------------------------------------------------------------------------
# The picture
# ------------------------------------------------------------------------------------------------

TWO = np.array([[np.nan, 0.25], [0.5, np.nan]])


def test_columns_are_known_and_rows_predicted():
    display = LabelEffectsDisplay(TWO, ["a", "b"]).plot()
    assert display.ax_.get_xlabel() == "known label"
    assert display.ax_.get_ylabel() == "predicted task"
    for labels in (display.ax_.get_xticklabels(), display.ax_.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["a", "b"]


def test_numbers_are_written_where_there_are_some():
    display = LabelEffectsDisplay(TWO, ["a", "b"]).plot()
    written = {text.get_position(): text.get_text() for text in display.ax_.texts}
    assert written == {(1, 0): "0.25", (0, 1): "0.50"}


def test_small_numbers_have_three_digits():
    display = LabelEffectsDisplay(TWO / 10, ["a", "b"]).plot()
    assert {text.get_text() for text in display.ax_.texts} == {"0.025", "0.050"}


@pytest.mark.parametrize(
    ("effects", "vmax", "expected"),
    [(TWO, None, 0.5), (TWO, 0.8, 0.8), (TWO * 0, None, 1), (TWO * np.nan, None, 1)],
    ids=["largest", "set", "zeros", "nothing"],
)
def test_colours_begin_at_zero(effects, vmax, expected):
    display = LabelEffectsDisplay(effects, ["a", "b"]).plot(vmax=vmax)
    assert display.image_.get_clim() == (0, expected)


def test_settings_of_the_image_go_to_matplotlib():
    display = LabelEffectsDisplay(TWO, ["a", "b"]).plot(cmap="Greys", im_kw={"alpha": 0.5})
    assert display.image_.get_alpha() == 0.5
    assert display.image_.get_cmap().name == "Greys"


@pytest.mark.slow
def test_it_is_drawn_where_one_wants():
    _, ax = plt.subplots()
    display = draw(ax=ax)
    assert display.ax_ is ax
    assert display.axes_.tolist() == [ax]
    assert display.figure_ is ax.figure


def test_plotting_again_makes_another_figure():
    display = LabelEffectsDisplay(TWO, ["a", "b"]).plot()
    first = display.figure_
    assert display.plot().figure_ is not first


@pytest.mark.parametrize("n_tasks", [2, 12, 13, 40])
def test_few_tasks_and_many_are_drawn(n_tasks):
    names = [f"a task with a rather long name, {i}" for i in range(n_tasks)]
    display = LabelEffectsDisplay(np.full((n_tasks, n_tasks), 0.5), names).plot()
    display.figure_.draw_without_rendering()  # a warning of the layout is an error
    assert bool(display.ax_.texts) == (n_tasks <= 12)


def test_nothing_is_written_on_the_empty_diagonal_of_a_dark_figure():
    with plt.style.context("dark_background"):
        display = LabelEffectsDisplay(TWO, ["a", "b"]).plot()
    assert not [text for text in display.ax_.texts if text.get_text() == "nan"]


def test_names_are_not_read_as_formulas():
    display = LabelEffectsDisplay(TWO, ["$x_1$", "b\nc"]).plot()
    display.figure_.draw_without_rendering()
    shown = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert shown == [label.get_text() for label in display.ax_.get_yticklabels()]
