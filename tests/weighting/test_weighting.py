"""Tests of sk_mtl.weighting: from the losses of the tasks to one objective."""

import doctest
import importlib
import re
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import sk_mtl.weighting
from sk_mtl import MultiTaskClassifier
from sk_mtl.weighting import (
    FixedWeighting,
    TaskWeighting,
    UncertaintyWeighting,
    make_weighting,
)

LOSSES = np.array([0.5, 2.0, 0.0], dtype=np.float32)
PRESENT = np.array([True, True, False])


def combine(weighting, losses, present, state):
    """Return objective and new state, and the gradients by the losses and by the state."""
    losses = tf.constant(losses)
    state = {name: tf.constant(value) for name, value in state.items()}
    with tf.GradientTape() as tape:
        tape.watch([losses, *state.values()])
        objective, new_state = weighting.combine(losses, tf.constant(present), state)
    by_losses, by_state = tape.gradient(objective, (losses, state))
    return float(objective), new_state, by_losses.numpy(), by_state


# ----------------------------------------------------------------------------- fixed factors


def test_fixed_weighting_is_one_for_every_task_by_default():
    weighting = FixedWeighting()
    state = weighting.initial_state(3)
    objective, new_state, gradient, _ = combine(weighting, LOSSES, PRESENT, state)
    assert objective == 2.5
    assert new_state == {}
    np.testing.assert_array_equal(gradient, [1, 1, 1])
    np.testing.assert_array_equal(weighting.weights(state, 3), [1, 1, 1])


def test_fixed_weighting_multiplies_by_its_factors():
    weighting = FixedWeighting([2.0, 0.25, 3.0])
    state = weighting.initial_state(3)
    objective, _, gradient, _ = combine(weighting, LOSSES, PRESENT, state)
    assert objective == 1.5
    np.testing.assert_array_equal(gradient, [2, 0.25, 3])
    np.testing.assert_array_equal(weighting.weights(state, 3), [2, 0.25, 3])


# ------------------------------------------------------------------------------- uncertainty


def test_uncertainty_objective_of_a_hand_computed_batch():
    # Σ_t p_t (e^{-s_t} L_t + s_t / 2) with s = (0, ln 4, ln 2): 0.5 + (2 / 4 + ln 2) + nothing.
    state = {"log_variance": np.log([1, 4, 2]).astype(np.float32)}
    objective, new_state, by_losses, by_state = combine(
        UncertaintyWeighting(), LOSSES, PRESENT, state
    )
    assert objective == pytest.approx(1 + np.log(2), rel=1e-6)
    assert new_state == {}
    np.testing.assert_allclose(by_losses, [1, 0.25, 0], rtol=1e-6)
    # ∂/∂s_t = p_t (1/2 − e^{-s_t} L_t)
    np.testing.assert_allclose(by_state["log_variance"], [0, 0, 0], atol=1e-6)


def test_uncertainty_weights_are_the_inverse_variances():
    weighting = UncertaintyWeighting(initial_log_variance=np.log(4))
    state = weighting.initial_state(2)
    np.testing.assert_allclose(weighting.weights(state, 2), [0.25, 0.25], rtol=1e-6)


def test_uncertainty_leaves_the_log_variance_of_an_absent_task_exactly_alone():
    state = {"log_variance": np.array([0.3, -2.0, 5.0], np.float32)}
    _, _, _, by_state = combine(UncertaintyWeighting(), LOSSES, PRESENT, state)
    assert (by_state["log_variance"].numpy() != 0).tolist() == [True, True, False]


def test_uncertainty_of_an_absent_task_stays_finite_where_its_weight_overflows():
    # exp(1000) is infinite, and 0 · ∞ is NaN: in the gradient too.
    state = {"log_variance": np.array([0.0, 0.0, -1e3], np.float32)}
    objective, _, by_losses, by_state = combine(UncertaintyWeighting(), LOSSES, PRESENT, state)
    assert objective == 2.5
    assert np.isfinite(by_losses).all()
    assert np.isfinite(by_state["log_variance"]).all()


@pytest.mark.slow
def test_log_variance_drifts_without_the_mask_and_stays_with_it():
    absent = np.array([False])

    def descend(weighting, steps=200, learning_rate=0.1):
        state = weighting.initial_state(1)
        for _ in range(steps):
            by_state = combine(weighting, np.zeros(1, np.float32), absent, state)[3]
            gradient = by_state["log_variance"].numpy()
            state = {"log_variance": state["log_variance"] - learning_rate * gradient}
        return weighting.weights(state, 1)[0]

    class Unmasked(UncertaintyWeighting):
        def combine(self, task_losses, present, state):
            return super().combine(task_losses, tf.ones_like(present), state)

    assert descend(UncertaintyWeighting()) == 1
    assert descend(Unmasked()) > 1e4


# --------------------------------------------------------------------------- make_weighting


def test_make_weighting_equal_is_fixed_without_factors():
    weighting = make_weighting("equal", ("a", "b"), np.array([True, True]))
    assert type(weighting) is FixedWeighting
    assert weighting.factors is None


def test_make_weighting_takes_factors_by_name_and_position_of_the_active_tasks():
    weighting = make_weighting({"c": 3, 0: 0.5}, ("a", "b", "c", "d"), np.array([1, 0, 1, 1], bool))
    np.testing.assert_array_equal(weighting.factors, [0.5, 3, 1])


def test_make_weighting_returns_a_strategy_as_it_is():
    strategy = UncertaintyWeighting(1.0)
    assert make_weighting(strategy, ("a",), np.array([True])) is strategy


@pytest.mark.parametrize("factor", [-1, np.nan, np.inf])
def test_make_weighting_refuses_factors_that_are_negative_or_not_finite(factor):
    with pytest.raises(ValueError, match=r"finite, non-negative factors.*'b'"):
        make_weighting({"b": factor}, ("a", "b"), np.array([True, True]))


def test_make_weighting_refuses_an_unknown_task():
    with pytest.raises(ValueError, match="'z'"):
        make_weighting({"z": 1}, ("a", "b"), np.array([True, True]))


# ------------------------------------------------------------------------------ in an estimator


@pytest.fixture(scope="module")
def table():
    """Return 60 rows of two tasks, the second without any label."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)).astype(np.float32)
    Y = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(float)
    Y[:, 1] = np.nan
    return X, Y


def fit(table, **params):
    X, Y = table
    settings = {"hidden_layer_sizes": (4,), "epochs": 3, "random_state": 0, "batch_size": 16}
    # The second task is learned, being declared, though no row is labelled for it.
    clf = MultiTaskClassifier(**settings, classes={1: [0, 1]}, **params)
    with pytest.warns(UserWarning, match="no label"):
        return clf.fit(X, Y)


@pytest.mark.slow_except("adam")
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_task_without_labels_keeps_its_weight_through_training(table, optimizer):
    clf = fit(table, task_weighting="uncertainty", optimizer=optimizer)
    assert clf.task_weights_[1] == 1
    assert clf.task_weights_[0] != 1


def test_weight_decay_never_touches_the_log_variances(table):
    # The optimizer's own decay would draw a log-variance of 2 towards 0, and the weight to 1.
    clf = fit(
        table,
        task_weighting=UncertaintyWeighting(initial_log_variance=2.0),
        optimizer="sgd",
        optimizer__learning_rate=0.1,
        optimizer__weight_decay=0.5,
    )
    assert clf.task_weights_[1] == np.exp(np.float32(-2))


@pytest.mark.slow
def test_weight_decay_never_touches_the_log_variances_under_loss_scaling(table):
    inner = keras.optimizers.SGD(0.1, weight_decay=0.5)
    clf = fit(
        table,
        task_weighting=UncertaintyWeighting(initial_log_variance=2.0),
        optimizer=keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0),
    )
    assert clf.task_weights_[1] == np.exp(np.float32(-2))


def test_learned_weights_are_in_the_history_of_every_epoch(table):
    clf = fit(table, task_weighting="uncertainty")
    assert len(clf.history_["y0_weight"]) == clf.n_iter_
    assert clf.history_["y0_weight"][-1] == clf.task_weights_[0]


def test_factor_of_zero_leaves_a_task_untrained(table):
    X, _ = table
    Y = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(int)
    settings = {"hidden_layer_sizes": (), "batch_size": 60, "random_state": 0}
    one = MultiTaskClassifier(epochs=1, task_weighting={1: 0.0}, **settings).fit(X, Y)
    more = MultiTaskClassifier(epochs=4, task_weighting={1: 0.0}, **settings).fit(X, Y)
    first, second = (clf.model_.get_layer("heads_0_logits").get_weights()[0] for clf in (one, more))
    np.testing.assert_array_equal(first[:, 1], second[:, 1])
    assert (first[:, 0] != second[:, 0]).all()
    np.testing.assert_array_equal(more.task_weights_, [1, 0])


@pytest.mark.slow
def test_random_weighting_of_the_docstring_trains(table):
    globs = dict(vars(sk_mtl.weighting))
    [example] = [
        t
        for t in doctest.DocTestFinder().find(TaskWeighting, "TaskWeighting", globs=globs)
        if t.examples and t.name == "TaskWeighting"
    ]
    for step in example.examples:
        exec(compile(step.source, "docstring", "single"), globs)
    clf = fit(table, task_weighting=globs["RandomWeighting"]())
    assert np.isfinite(clf.history_["objective"]).all()
    assert clf.history_["loss"][-1] != clf.history_["loss"][0]


@pytest.mark.slow
def test_state_of_a_strategy_of_ones_own_advances_once_a_step(table):
    class Counting(TaskWeighting):
        def initial_state(self, n_tasks):
            return {"steps": np.zeros((), np.float32)}

        def combine(self, task_losses, present, state):
            return keras.ops.sum(task_losses), {"steps": state["steps"] + 1}

        def weights(self, state, n_tasks):
            return np.full(n_tasks, state["steps"], np.float32)

    clf = fit(table, task_weighting=Counting())
    assert clf.task_weights_.tolist() == [12, 12]  # 3 epochs of 4 batches
    assert clf.history_["y0_weight"] == [4, 8, 12]


def fit_with(task_weighting):
    X = np.linspace(-1, 1, 24).reshape(12, 2).astype(np.float32)
    y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0.2, np.ones(12)]).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the third task has one class
        return MultiTaskClassifier((3,), epochs=1, task_weighting=task_weighting).fit(X, y)


def test_fixed_factors_are_one_per_task_whichever_tasks_can_be_learned():
    assert fit_with(FixedWeighting([1.0, 0.5, 2.0])).task_weights_.tolist() == [1, 0.5, 0]


@pytest.mark.parametrize(
    ("task_weighting", "words"),
    [
        (FixedWeighting([1.0]), "a factor per task: 3. Got 1"),
        (FixedWeighting([1.0, -1.0, 1.0]), "non-negative factors. Got -1.0 for 'y1'"),
    ],
)
def test_unusable_fixed_factors_are_refused(task_weighting, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        fit_with(task_weighting)


def test_a_class_of_strategies_is_not_taken_for_equal_weights():
    with pytest.raises(TypeError, match="an instance of a subclass"):
        fit_with(UncertaintyWeighting)


@pytest.mark.slow
def test_import_of_strategies_loads_no_keras():
    code = "import sys, sk_mtl.weighting; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("module", ["sk_mtl.losses", "sk_mtl.weighting"])
def test_classes_are_pickled_by_their_public_path(module):
    public = importlib.import_module(module)
    assert {getattr(public, name).__module__ for name in public.__all__} == {module}
