"""Cosines of the tasks' gradients by epoch."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl.callbacks import EpochWeights
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.model_selection import MultiTaskSearchCV
from sk_mtl.plotting import GradientCosinesDisplay, TaskSimilarityDisplay

X, Y = make_multitask_classification(
    n_samples=120, n_tasks=3, n_classes=(2, 2, 4), missing_rate=(0, 0.3, 0.5), random_state=0
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def make(**settings):
    settings = {"epochs": 3, "callbacks": EpochWeights(), "random_state": 0} | settings
    layers = {} if "model" in settings else {"hidden_layer_sizes": (5,)}
    return MultiTaskClassifier(**{**layers, **settings})


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X, Y)


def make_display(n_tasks, n_epochs=4, **settings):
    """Return a display of cosines that differ by pair and grow by epoch."""
    cosines = np.full((n_epochs, n_tasks, n_tasks), np.nan)
    pairs = list(zip(*np.triu_indices(n_tasks, 1), strict=True))
    for (a, b), start in zip(pairs, np.linspace(-0.5, 0.4, len(pairs)), strict=True):
        cosines[:, a, b] = cosines[:, b, a] = start + 0.02 * np.arange(n_epochs)
    names = [f"task {t}" for t in range(n_tasks)]
    return GradientCosinesDisplay(cosines, range(1, n_epochs + 1), names, **settings)


# -- What is computed ----------------------------------------------------------------------------


def cosines_by_tape(clf, X, Y):
    """Return the cosines of a fitted network, by automatic differentiation for each pair."""
    heads = next(layer for layer in clf.model_.layers if layer.name.startswith("heads_"))
    trunk = keras.Model(clf.model_.input, heads.input)
    rest = keras.Model(heads.input, clf.model_.output)
    ends = np.cumsum([0, *(1 if n == 2 else n for n in clf.n_classes_)])

    def gradient(task, rows):
        shared = tf.constant(trunk(X[rows].astype(np.float32)))
        codes = Y[rows, task].astype(np.int32)
        with tf.GradientTape() as tape:
            tape.watch(shared)
            logits = rest(shared)[:, ends[task] : ends[task + 1]]
            if logits.shape[1] == 1:
                logits = tf.concat([tf.zeros_like(logits), logits], axis=1)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(codes, logits)
            loss = tf.reduce_sum(losses)
        return np.asarray(tape.gradient(loss, shared), float).ravel()

    cosines = np.empty((Y.shape[1],) * 2)
    for a, b in np.ndindex(cosines.shape):
        both = np.isfinite(Y[:, [a, b]]).all(axis=1)
        g, h = gradient(a, both), gradient(b, both)
        cosines[a, b] = g @ h / np.linalg.norm(g) / np.linalg.norm(h)
    return cosines


@pytest.mark.slow
def test_cosines_of_each_epoch_are_those_of_the_losses_gradients():
    settings = {"head_hidden_layer_sizes": {"y1": (3,)}}
    clf = make(**settings).fit(X, Y)

    display = GradientCosinesDisplay.from_estimator(clf, X, Y)

    assert display.epochs == [1, 2, 3]
    for epoch, cosines in zip(display.epochs, display.cosines, strict=True):
        shorter = make(**settings, epochs=epoch, callbacks=None).fit(X, Y)
        np.testing.assert_allclose(cosines, cosines_by_tape(shorter, X, Y), atol=1e-5)


@pytest.mark.slow
def test_cosines_of_the_last_epoch_are_the_similarity_of_the_fitted_network(fitted):
    display = GradientCosinesDisplay.from_estimator(fitted, X, Y)

    expected = TaskSimilarityDisplay.from_estimator(fitted, X, Y)
    np.testing.assert_array_equal(display.cosines[-1], expected.similarity)
    np.testing.assert_array_equal(display.counts, expected.counts)


@pytest.mark.slow
def test_temperatures_of_the_fitted_network_are_left_out():
    settings = {"early_stopping": True, "callbacks": EpochWeights(), "epochs": 1}
    plain = make(**settings).fit(X, Y)
    calibrated = make(**settings, calibrate=True).fit(X, Y)

    displays = [GradientCosinesDisplay.from_estimator(c, X, Y) for c in (plain, calibrated)]

    np.testing.assert_array_equal(displays[1].cosines, displays[0].cosines)


def test_pairs_with_few_common_rows_are_left_out_and_counted(fitted):
    y = Y.copy()
    y[:100, 2] = np.nan

    display = GradientCosinesDisplay.from_estimator(fitted, X, y, min_common=40)

    assert display.pairs_ == [("y0", "y1")]
    assert "2 of 3 pairs left out: fewer than 40 rows" in display.ax_.get_xlabel()


def test_pair_without_a_common_row_is_undefined(fitted):
    y = Y.copy()
    y[::2, 1], y[1::2, 2] = np.nan, np.nan

    display = GradientCosinesDisplay.from_estimator(fitted, X, y, min_common=0)

    assert np.isnan(display.cosines[0, 1, 2])
    assert display.pairs_ == [("y0", "y1"), ("y0", "y2")]


def test_estimator_is_found_in_a_pipeline_and_its_record_in_a_list():
    clf = make(callbacks=[keras.callbacks.TerminateOnNaN(), {"record": EpochWeights()}], epochs=2)
    model = make_pipeline(StandardScaler(), clf).fit(X, Y)

    display = GradientCosinesDisplay.from_estimator(model, X, Y)

    expected = GradientCosinesDisplay.from_estimator(clf, model[0].transform(X), Y)
    np.testing.assert_array_equal(display.cosines, expected.cosines)


@pytest.mark.slow
def test_record_of_a_search_is_that_of_its_best_estimator():
    record = EpochWeights()
    clf = make(callbacks=record, epochs=2)
    search = MultiTaskSearchCV(clf, {"epochs": [2]}, cv=2).fit(X, Y)

    display = GradientCosinesDisplay.from_estimator(search, X, Y)

    assert display.epochs == [1, 2]
    assert record.epochs_ == []


@pytest.mark.slow_except("callbacks1")
@pytest.mark.parametrize("callbacks", [None, [EpochWeights]])
def test_estimator_without_a_record_is_refused(callbacks):
    clf = make(callbacks=callbacks, epochs=1).fit(X, Y)

    with pytest.raises(ValueError, match=r"an instance of sk_mtl\.callbacks\.EpochWeights"):
        GradientCosinesDisplay.from_estimator(clf, X, Y)


@pytest.mark.slow
def test_record_of_another_estimator_is_refused():
    record = EpochWeights()
    clf = make(callbacks=record, epochs=1).fit(X, Y)
    make(callbacks=record, epochs=1, hidden_layer_sizes=(4,)).fit(X, Y)

    with pytest.raises(ValueError, match="another estimator was trained with the same"):
        GradientCosinesDisplay.from_estimator(clf, X, Y)


@pytest.mark.slow
def test_structure_without_layers_for_all_tasks_is_refused():
    clf = make(sharing="mmoe", n_experts=2, epochs=1).fit(X, Y)

    with pytest.raises(ValueError, match=r"GradientCosinesDisplay needs .*Fit with sharing="):
        GradientCosinesDisplay.from_estimator(clf, X, Y)


def test_estimator_must_be_fitted():
    with pytest.raises(NotFittedError):
        GradientCosinesDisplay.from_estimator(make(), X, Y)


# -- What is drawn -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_tasks", "as_lines"), [(5, True), (6, False), (40, False)])
def test_many_pairs_are_quantiles_with_the_extreme_pairs(n_tasks, as_lines):
    display = make_display(n_tasks, best_epoch=2).plot()

    display.figure_.draw_without_rendering()  # a warning of the layout is an error
    ends = [(f"task {n_tasks - 2}", f"task {n_tasks - 1}"), ("task 0", "task 1")]
    assert list(display.lines_) == (display.pairs_ if as_lines else ends)
    assert (display.median_ is None) == as_lines
    assert len(display.bands_) == (0 if as_lines else 2)


def test_median_is_that_of_the_pairs():
    display = make_display(4).plot(kind="quantiles")

    expected = np.median(display.cosines[:, *np.triu_indices(4, 1)], axis=1)
    np.testing.assert_allclose(display.median_.get_ydata(), expected)


def test_lines_have_the_names_of_both_tasks_at_their_ends_in_their_colours():
    display = make_display(3).plot()

    written = {text.get_text(): text.get_color() for text in display.ax_.texts}
    assert written == {" – ".join(p): line.get_color() for p, line in display.lines_.items()}


def test_best_epoch_is_marked():
    display = make_display(3, best_epoch=3).plot()

    (text,) = display.ax_.get_legend().get_texts()
    assert text.get_text() == "weights kept: epoch 3"
    assert [3, 3] in [list(line.get_xdata()) for line in display.ax_.lines]


def test_epoch_in_which_no_cosine_is_defined_is_a_gap():
    display = make_display(6)
    display.cosines[1] = np.nan

    display.plot()

    assert np.isnan(display.median_.get_ydata()).tolist() == [False, True, False, False]


def test_cosines_of_one_epoch_are_points():
    display = make_display(2, n_epochs=1).plot()

    (line,) = display.lines_.values()
    assert line.get_marker() == "o"


def test_cosines_are_drawn_on_given_axes_in_a_given_style():
    _, ax = plt.subplots()

    display = make_display(2).plot(ax, line_kw={"ls": ":"})

    assert display.ax_ is ax
    assert [line.get_linestyle() for line in display.lines_.values()] == [":"]


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ({"counts": np.zeros((3, 3))}, {}, "no pair of tasks to draw: none has 30 rows"),
        ({}, {"kind": "image"}, "'kind' .* must be one of"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, options, said):
    with pytest.raises(ValueError, match=said):
        make_display(3, **settings).plot(**options)


def test_one_task_is_refused():
    y = pd.DataFrame({"a": Y[:, 0]})
    clf = make(epochs=1).fit(X, y)

    with pytest.raises(ValueError, match="at least two tasks"):
        GradientCosinesDisplay.from_estimator(clf, X, y)
