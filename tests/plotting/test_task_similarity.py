"""Similarity of tasks: of labels, of gradients, of logits."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.special import expit, softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import matthews_corrcoef
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.plotting import TaskSimilarityDisplay
from sk_mtl.plotting._similarity import order_by_likeness

X, Y = make_multitask_classification(
    n_samples=120, n_tasks=3, n_classes=(2, 2, 4), missing_rate=(0, 0.3, 0.5), random_state=0
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fit(y=Y, **settings):
    layers = {} if "model" in settings else {"hidden_layer_sizes": (5,)}
    settings = {**layers, "epochs": 2, "random_state": 0} | settings
    return MultiTaskClassifier(**settings).fit(X, y)


# -- Labels --------------------------------------------------------------------------------------


def test_phi_is_the_correlation_over_rows_with_both_labels():
    y = Y[:, :2]

    display = TaskSimilarityDisplay.from_labels(y)

    known = np.isfinite(y).all(axis=1)
    expected = matthews_corrcoef(y[known, 0], y[known, 1])
    np.testing.assert_allclose(display.similarity, [[1, expected], [expected, 1]])
    np.testing.assert_array_equal(display.counts, [[120, known.sum()], [known.sum()] * 2])
    assert display.signed


def test_phi_takes_the_second_class_in_sorted_order():
    y = pd.DataFrame({"a": ["no", "no", "yes", "yes"], "b": [1, 1, 0, 0]})

    assert TaskSimilarityDisplay.from_labels(y).similarity[0, 1] == -1


def test_cramers_v_is_taken_where_a_task_has_more_classes():
    display = TaskSimilarityDisplay.from_labels(Y)

    assert not display.signed
    assert display.name.startswith("Cramér")


def test_cramers_v_has_bergsmas_correction():
    y = pd.DataFrame({"a": list("xxxxyyyyzzzz"), "b": list("ppqqpqqqqrrr")})

    display = TaskSimilarityDisplay.from_labels(y, measure="cramers_v")

    # Of 12 rows and three classes each: phi squared less 4 / 11, over 3 - 4 / 11 - 1.
    table = pd.crosstab(y["a"], y["b"]).to_numpy()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / 12
    phi2 = ((table - expected) ** 2 / expected).sum() / 12 - 4 / 11
    assert display.similarity[0, 1] == pytest.approx(np.sqrt(phi2 / (2 - 4 / 11)))


@pytest.mark.slow
def test_cramers_v_of_independent_labels_is_near_zero_in_small_tables():
    rng = np.random.default_rng(0)
    values = [
        TaskSimilarityDisplay.from_labels(rng.integers(0, 5, (40, 2))).similarity[0, 1]
        for _ in range(20)
    ]

    assert np.mean(values) < 0.12  # without the correction 0.32


@pytest.mark.slow
def test_labels_of_one_class_in_common_have_no_association():
    y = np.array([[0, 0], [1, 0], [0, np.nan], [1, np.nan], [np.nan, 1]])

    display = TaskSimilarityDisplay.from_labels(y, min_common=1)

    assert np.isnan(display.similarity[0, 1])
    assert display.image_.get_array().mask[0, 1]


def test_pairs_with_few_common_rows_are_hatched_and_said():
    y = np.array([[0, 0], [1, 1], [0, np.nan], [1, 1]])

    display = TaskSimilarityDisplay.from_labels(y, min_common=4)

    np.testing.assert_array_equal(display.image_.get_array().mask, [[False, True], [True, True]])
    assert display.similarity[0, 1] == 1
    assert "fewer than 4 rows" in display.ax_.get_title(loc="left")
    assert display.ax_.patch.get_hatch()


def test_matrix_without_holes_has_no_hatching():
    display = TaskSimilarityDisplay.from_labels(Y)

    assert display.ax_.patch.get_hatch() is None


def test_what_lies_under_the_mask_of_labels_has_no_influence():
    hidden = np.isnan(Y)

    display = TaskSimilarityDisplay.from_labels(np.where(hidden, -1, Y), missing_label=-1)

    expected = TaskSimilarityDisplay.from_labels(Y).similarity
    np.testing.assert_array_equal(display.similarity, expected)


def test_labels_of_many_rows_are_counted_in_full():
    y = np.random.default_rng(0).integers(0, 2, (10_000, 2))

    display = TaskSimilarityDisplay.from_labels(y)

    assert display.similarity[0, 1] == pytest.approx(matthews_corrcoef(*y.T))


def test_phi_is_refused_for_more_classes():
    with pytest.raises(ValueError, match=r"two classes; more have 'y2' \(4\)"):
        TaskSimilarityDisplay.from_labels(Y, measure="phi")


@pytest.mark.parametrize("y", [Y[:, 0], Y[:, :1]])
def test_one_task_is_refused(y):
    with pytest.raises(ValueError, match=r"at least two tasks to compare\. Got 1"):
        TaskSimilarityDisplay.from_labels(y)


# -- Gradients -----------------------------------------------------------------------------------


def expected_cosines(clf, X, Y):
    """Return the cosines of a network with linear heads, from its weights and errors."""
    heads = [layer for layer in clf.model_.layers if layer.name.endswith("_logits")]
    trunk = keras.Model(clf.model_.input, heads[0].input)
    kernels = np.hstack([np.asarray(h.kernel) for h in heads]).astype(float)
    biases = np.hstack([np.asarray(h.bias) for h in heads]).astype(float)
    logits = np.asarray(trunk(X.astype(np.float32)), float) @ kernels + biases
    gradients, start = [], 0
    for t, n in enumerate(clf.n_classes_):
        width = 1 if n == 2 else n
        columns = slice(start, start + width)
        start += width
        known = np.isfinite(Y[:, t])
        codes = np.where(known, Y[:, t], 0).astype(int)
        if width == 1:
            errors = expit(logits[:, columns]) - codes[:, None]
        else:
            errors = softmax(logits[:, columns], axis=1) - np.eye(n)[codes]
        gradients.append(errors * known[:, None] @ kernels[:, columns].T)
    cosines = np.empty((len(gradients),) * 2)
    for a, b in np.ndindex(cosines.shape):
        both = np.isfinite(Y[:, [a, b]]).all(axis=1)
        g, h = gradients[a][both].ravel(), gradients[b][both].ravel()
        cosines[a, b] = g @ h / np.linalg.norm(g) / np.linalg.norm(h)
    return cosines


def test_gradients_of_linear_heads_are_errors_times_weights():
    clf = fit()

    display = TaskSimilarityDisplay.from_estimator(clf, X, Y)

    expected = expected_cosines(clf, X, Y)
    np.testing.assert_allclose(display.similarity, expected, atol=1e-5)
    np.testing.assert_array_equal(display.counts[2], np.isfinite(Y[:, [2]] + Y).sum(axis=0))


@pytest.mark.slow
def test_gradients_do_not_depend_on_how_rows_are_batched(monkeypatch):
    clf = fit(head_hidden_layer_sizes={"y1": (3,)})
    whole = TaskSimilarityDisplay.from_estimator(clf, X, Y).similarity
    monkeypatch.setattr("sk_mtl.plotting._head_gradients.BATCH_ROWS", 7)

    batched = TaskSimilarityDisplay.from_estimator(clf, X, Y).similarity

    np.testing.assert_allclose(batched, whole, atol=1e-5)


@pytest.mark.slow
def test_tasks_with_the_same_labels_agree_and_with_opposite_ones_too():
    y = np.column_stack([Y[:, 0], Y[:, 0], 1 - Y[:, 0]])
    clf = fit(y, epochs=30, optimizer__learning_rate=0.01)

    display = TaskSimilarityDisplay.from_estimator(clf, X, y)

    # What suits a task suits its opposite: the heads differ in sign, and so do the errors.
    assert display.similarity.min() > 0.5


def test_gradients_are_found_through_a_pipeline():
    model = make_pipeline(StandardScaler(), MultiTaskClassifier((5,), epochs=2, random_state=0))
    model.fit(X, Y)

    display = TaskSimilarityDisplay.from_estimator(model, X, Y)

    expected = TaskSimilarityDisplay.from_estimator(model[-1], model[0].transform(X), Y)
    np.testing.assert_array_equal(display.similarity, expected.similarity)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_layer_sizes": ()},
        {"head_hidden_layer_sizes": (3,)},
        {"normalization": "batch", "dropout": 0.5},
        {"known_labels": True},
        {"model": keras.Sequential([keras.Input((X.shape[1],)), keras.layers.Dense(4)])},
    ],
    ids=["no shared layer", "hidden heads", "batch normalisation", "known labels", "custom trunk"],
)
def test_gradients_of_any_network_with_heads_of_its_own(settings):
    display = TaskSimilarityDisplay.from_estimator(fit(**settings), X, Y)

    np.testing.assert_allclose(np.diag(display.similarity), 1)
    assert (np.abs(display.similarity) <= 1 + 1e-9).all()


def test_gradients_of_sparse_features():
    clf = fit()

    display = TaskSimilarityDisplay.from_estimator(clf, sp.csr_matrix(X), Y)

    expected = TaskSimilarityDisplay.from_estimator(clf, X, Y).similarity
    np.testing.assert_allclose(display.similarity, expected, atol=1e-6)


def test_gradients_match_labels_by_task_name():
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    clf = fit(frame)

    display = TaskSimilarityDisplay.from_estimator(clf, X, frame[["c", "a", "b"]])

    expected = TaskSimilarityDisplay.from_estimator(clf, X, frame)
    assert display.task_names == ["a", "b", "c"]
    np.testing.assert_array_equal(display.similarity, expected.similarity)


def test_task_that_was_not_learned_has_no_gradient():
    y = Y.copy()
    y[:, 1] = 0
    with pytest.warns(UserWarning, match="y1"):
        clf = fit(y)

    display = TaskSimilarityDisplay.from_estimator(clf, X, Y)

    assert np.isnan(display.similarity[1]).all()
    assert np.isfinite(display.similarity[0, 2])


def test_label_that_training_did_not_see_has_no_gradient():
    y = Y.copy()
    y[:, 2] = np.where(np.isnan(Y[:, 2]), np.nan, 9)

    display = TaskSimilarityDisplay.from_estimator(fit(), X, y)

    assert np.isnan(display.similarity[2]).all()
    assert display.counts[2, 2] == 0


def test_cell_of_weight_zero_has_no_gradient():
    clf, weight = fit(), np.isfinite(Y).astype(float)
    weight[:60] = 0

    display = TaskSimilarityDisplay.from_estimator(clf, X, Y, sample_weight=weight)

    expected = TaskSimilarityDisplay.from_estimator(clf, X[60:], Y[60:])
    np.testing.assert_allclose(display.similarity, expected.similarity, atol=1e-6)
    np.testing.assert_array_equal(display.counts, expected.counts)


@pytest.mark.slow
def test_gradients_of_a_whole_custom_network_are_refused():
    inputs = keras.Input((X.shape[1],))
    outputs = [keras.layers.Dense(n, activation="softmax")(inputs) for n in (2, 2, 4)]
    clf = fit(model=keras.Model(inputs, outputs))

    with pytest.raises(ValueError, match=r"whole network given by model=.*measure='logits'"):
        TaskSimilarityDisplay.from_estimator(clf, X, Y)


def test_gradients_need_labels():
    with pytest.raises(ValueError, match="needs the labels of X"):
        TaskSimilarityDisplay.from_estimator(fit(epochs=1), X)


def test_gradients_need_as_many_labels_as_rows():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        TaskSimilarityDisplay.from_estimator(fit(epochs=1), X, Y[:9])


# -- Logits --------------------------------------------------------------------------------------


def test_cka_of_binary_tasks_is_the_squared_correlation_of_their_log_odds():
    clf = fit()

    display = TaskSimilarityDisplay.from_estimator(clf, X, measure="logits")

    logits = np.asarray(clf.model_(X.astype(np.float32)))
    expected = np.corrcoef(logits[:, 0], logits[:, 1])[0, 1] ** 2
    assert display.similarity[0, 1] == pytest.approx(expected, abs=1e-5)


def test_cka_of_more_classes_is_kornbliths():
    clf = fit()

    display = TaskSimilarityDisplay.from_estimator(clf, X, measure="logits")

    logits = np.asarray(clf.model_(X.astype(np.float32)), float)
    a, b = logits[:, :1], logits[:, 2:] - logits[:, 2:].mean(axis=1, keepdims=True)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    expected = np.linalg.norm(a.T @ b) ** 2 / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)
    assert display.similarity[0, 2] == pytest.approx(expected, abs=1e-5)


def test_logits_of_any_classifier_of_several_tasks_are_compared():
    forest = RandomForestClassifier(5, random_state=0).fit(X, np.nan_to_num(Y))

    display = TaskSimilarityDisplay.from_estimator(forest, X, measure="logits")

    np.testing.assert_allclose(np.diag(display.similarity), 1)
    assert display.task_names == ["y0", "y1", "y2"]


def test_logits_of_a_task_without_labels_in_training_are_not_compared():
    y = Y.copy()
    y[:, 1] = np.nan
    with pytest.warns(UserWarning, match="y1"):
        clf = fit(y)

    display = TaskSimilarityDisplay.from_estimator(clf, X, measure="logits")

    assert np.isnan(display.similarity[1]).all()


# -- The picture ---------------------------------------------------------------------------------


def test_clustered_order_puts_alike_tasks_together():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 200))
    flips = rng.random((200, 4)) < 0.1
    y = np.column_stack([a, b, a, b]) ^ flips

    display = TaskSimilarityDisplay.from_labels(y, order="clustered")

    assert {frozenset(display.order_[:2]), frozenset(display.order_[2:])} == {
        frozenset({0, 2}),
        frozenset({1, 3}),
    }
    shown = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert shown == [f"y{i}" for i in display.order_]
    np.testing.assert_array_equal(
        display.image_.get_array(), display.similarity[np.ix_(display.order_, display.order_)]
    )


def test_order_knows_undefined_similarities():
    similarity = np.array([[1, np.nan, 0.9], [np.nan, np.nan, np.nan], [0.9, np.nan, 1]])

    assert order_by_likeness(similarity) in ([0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1])


def test_numbers_below_and_counts_above_the_diagonal():
    display = TaskSimilarityDisplay(
        [[1, -0.001], [-0.001, 1]], ["a", "b"], counts=[[1200, 40], [40, 50]]
    ).plot()

    written = {text.get_position(): text.get_text() for text in display.ax_.texts}
    assert written == {(0, 0): "1,200", (1, 0): "40", (0, 1): "0.00", (1, 1): "50"}


@pytest.mark.parametrize(
    ("similarity", "expected"), [(0.05, 0.1), (-0.2, 0.2), (0.3, 0.5), (0.51, 1), (np.nan, 1)]
)
def test_end_of_the_colours_is_as_low_as_all_that_differs(similarity, expected):
    display = TaskSimilarityDisplay([[1, similarity], [similarity, 1]], ["a", "b"]).plot()

    assert display.image_.get_clim() == (-expected, expected)


def test_end_of_the_colours_can_be_set():
    display = TaskSimilarityDisplay(np.eye(2), ["a", "b"], signed=False).plot(vmax=0.7)

    assert display.image_.get_clim() == (0, 0.7)


def test_zero_has_the_colour_of_the_ground():
    with plt.style.context("dark_background"):
        display = TaskSimilarityDisplay(np.eye(2), ["a", "b"]).plot(vmax=1)

        np.testing.assert_allclose(display.image_.to_rgba(0.0)[:3], 0, atol=0.02)


def test_settings_of_the_image_go_to_matplotlib():
    display = TaskSimilarityDisplay(np.eye(2), ["a", "b"]).plot(im_kw={"alpha": 0.5})

    assert display.image_.get_alpha() == 0.5


@pytest.mark.slow_except("12-default")
@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("n_tasks", [2, 12, 60])
def test_few_tasks_and_many_are_drawn(n_tasks, style):
    names = [f"a task with a rather long name, {i}" for i in range(n_tasks)]
    counts = np.full((n_tasks, n_tasks), 29)

    with plt.style.context(style):
        display = TaskSimilarityDisplay(np.eye(n_tasks), names, counts).plot(order="clustered")
        display.figure_.draw_without_rendering()  # a warning of the layout is an error

    assert bool(display.ax_.texts) == (n_tasks <= 12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: TaskSimilarityDisplay.from_labels(Y, measure="cosine"),
        lambda: TaskSimilarityDisplay.from_labels(Y, order="random"),
        lambda: TaskSimilarityDisplay.from_estimator(None, X, Y, measure="phi"),
    ],
    ids=["measure of labels", "order", "measure of heads"],
)
def test_unknown_settings_are_refused(call):
    with pytest.raises(ValueError, match="must be one of"):
        call()


def test_estimator_must_be_fitted():
    with pytest.raises(NotFittedError):
        TaskSimilarityDisplay.from_estimator(MultiTaskClassifier(), X, Y)
