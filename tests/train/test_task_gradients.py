"""The gradients of the tasks where their heads read the shared layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from sk_mtl import MultiTaskClassifier
from sk_mtl._model.build import build_network
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.task_gradients import SplitNetwork
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.losses._tasks import task_cross_entropy, task_means
from sk_mtl.weighting import FixedWeighting, GradientWeighting, SignWeighting

SPECS = {
    "no hidden heads": NetworkSpec(5, (1, 3, 1), (8, 4)),
    "binary tasks": NetworkSpec(5, (1, 1, 1), (8, 4)),
    "hidden heads": NetworkSpec(5, (1, 3, 1), (8, 4), ((6, 3), (6, 3), (6, 3))),
    "heads of several shapes": NetworkSpec(5, (1, 3, 1, 4), (8,), ((), (6,), (5, 2), (6,))),
    "normalized": NetworkSpec(5, (1, 3), (8, 4), ((6,), (6,)), normalization="layer"),
    "no shared layers": NetworkSpec(5, (1, 3, 1)),
}


@pytest.fixture(params=SPECS.values(), ids=SPECS)
def spec(request):
    return request.param


@pytest.fixture
def batch(spec):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, spec.n_features)).astype(np.float32)
    codes = np.stack([rng.integers(max(n, 2), size=20) for n in spec.n_outputs], axis=1)
    weight = rng.uniform(0.5, 2, codes.shape) * (rng.uniform(size=codes.shape) < 0.6)
    weight[:, 1] = 0  # an absent task
    return X, codes.astype(np.int32), weight.astype(np.float32)


def make_model(spec):
    model, rng = build_network(spec), np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) / 2)
    return model


def task_losses(spec, logits, codes, weight):
    return task_means(*task_cross_entropy(logits, codes, weight, spec.n_outputs))


def gradients_one_by_one(spec, split, X, codes, weight):
    """Return what the heads read, and the gradients of the tasks there, a pass for each task."""
    shared = split.shared(X)
    gradients = []
    for task in range(len(spec.n_outputs)):
        with tf.GradientTape() as tape:
            tape.watch(shared)
            logits = split.rest(keras.tree.flatten(split.first(shared)), training=False)
            loss = task_losses(spec, logits, codes, weight)[task]
        gradients.append(tape.gradient(loss, shared).numpy())
    return np.stack(gradients)


def gradients_of_columns(spec, split, X, codes, weight):
    """Return the gradients of what the first layers of the heads give, in one pass."""
    given = keras.tree.flatten(split.first(split.shared(X)))
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = tf.reduce_sum(task_losses(spec, split.rest(given, training=False), codes, weight))
    return tf.concat(tape.gradient(loss, given), axis=1)


def test_the_parts_are_the_network(spec, batch):
    model = make_model(spec)
    split = SplitNetwork(spec, model)
    given = keras.tree.flatten(split.first(split.shared(batch[0])))
    np.testing.assert_array_equal(split.rest(given, training=False), model(batch[0]))


def test_gram_matrix_is_that_of_separate_gradients(spec, batch):
    split = SplitNetwork(spec, make_model(spec))
    expected = gradients_one_by_one(spec, split, *batch).reshape(len(spec.n_outputs), -1)
    gram = split.gram(gradients_of_columns(spec, split, *batch), split.kernel()).numpy()
    np.testing.assert_allclose(gram, expected @ expected.T, rtol=1e-4, atol=1e-7)
    assert not gram[1].any()
    assert not gram[:, 1].any()


def test_norms_are_the_diagonal_of_the_gram_matrix(spec, batch):
    split = SplitNetwork(spec, make_model(spec))
    parts = gradients_of_columns(spec, split, *batch), split.kernel()
    diagonal = np.diag(np.diag(split.gram(*parts)))
    np.testing.assert_allclose(split.squares(*parts), diagonal, rtol=1e-5, atol=1e-8)


def test_gradients_by_unit_are_those_of_separate_gradients(spec, batch):
    split = SplitNetwork(spec, make_model(spec))
    expected = gradients_one_by_one(spec, split, *batch)
    by_column, shared = gradients_of_columns(spec, split, *batch), split.shared(batch[0])
    sums = split.sum_by_unit(by_column, split.kernel(), shared)
    of_rows = (expected * np.sign(shared)).sum(axis=1)
    np.testing.assert_allclose(sums, of_rows, rtol=1e-4, atol=1e-6)
    weights = np.random.default_rng(2).uniform(size=sums.shape).astype(np.float32)
    mixed = split.mix_by_unit(by_column, split.kernel(), weights)
    of_tasks = (expected * weights[:, None]).sum(axis=0)
    np.testing.assert_allclose(mixed, of_tasks, rtol=1e-4, atol=1e-6)


class ConstantGradientWeighting(GradientWeighting):
    """Weighs the gradients of the tasks by constants."""

    def __init__(self, factors):
        self.factors = factors

    def weigh(self, batch, state):
        return tf.constant(self.factors, tf.float32), {}

    def weights(self, state, n_tasks):
        return np.asarray(self.factors, np.float32)


class PlainSignWeighting(SignWeighting):
    """Adds up the gradients of the tasks."""

    def weigh_units(self, sums, batch, state):
        return tf.ones_like(sums), {}

    def weights(self, state, n_tasks):
        return np.ones(n_tasks, np.float32)


def trained_weights(clf):
    return [np.array(weights) for weights in clf.model_.trainable_variables]


def fit(weighting, **params):
    X, Y = make_multitask_classification(
        120, 5, n_classes=(2, 3, 2), missing_rate=0.4, random_state=0
    )
    settings = {"early_stopping": False, "epochs": 3, "random_state": 0, "dropout": 0.2}
    clf = MultiTaskClassifier((12, 6), task_weighting=weighting, **(settings | params))
    return clf.fit(X, Y)


VARIANTS = {
    "plain": {},
    "hidden heads": {"head_hidden_layer_sizes": (5,)},
    "l2": {"l2": 1e-3, "normalization": "batch"},
    "XLA": {"jit_compile": True},
    "SGD": {"optimizer": "sgd", "optimizer__learning_rate": 0.1},
    "known labels": {"known_labels": True},
    "unlabelled": {"unlabelled": "consistency"},
}


@pytest.mark.slow_except("signs-hidden heads")
@pytest.mark.release_except("gram-*", "signs-hidden heads", "signs-XLA")
@pytest.mark.parametrize("params", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize(
    "weighting", [ConstantGradientWeighting([1, 1, 1]), PlainSignWeighting()], ids=["gram", "signs"]
)
def test_weights_of_one_train_as_equal_weights(weighting, params):
    equal, weighed = fit("equal", **params), fit(weighting, **params)
    np.testing.assert_allclose(weighed.history_["loss"], equal.history_["loss"], rtol=1e-5)


@pytest.mark.slow
def test_weights_reach_the_shared_layers_only():
    # One step of plain gradient descent with weights of zero leaves the shared layers as they were.
    params = {"optimizer": "sgd", "optimizer__momentum": 0.0, "batch_size": 200, "ema_momentum": 0}
    start, nothing, equal = (
        trained_weights(fit(ConstantGradientWeighting(factors), **params, **more))
        for factors, more in [
            ([0, 0, 0], {"epochs": 1, "optimizer__learning_rate": 0.0}),
            ([0, 0, 0], {"epochs": 1, "optimizer__learning_rate": 0.1}),
            ([1, 1, 1], {"epochs": 1, "optimizer__learning_rate": 0.1}),
        ]
    )
    is_same = [np.array_equal(a, b) for a, b in zip(start, nothing, strict=True)]
    is_as_equal = [np.array_equal(a, b) for a, b in zip(nothing, equal, strict=True)]
    assert is_same == [not same for same in is_as_equal]
    assert sum(is_as_equal) == 2  # kernel and bias of the heads


@pytest.mark.slow
def test_fixed_weights_in_the_objective_weigh_the_heads_too():
    params = {"optimizer": "sgd", "batch_size": 200, "epochs": 1, "ema_momentum": 0}
    fixed = trained_weights(fit(FixedWeighting([2, 2, 2]), **params))
    weighed = trained_weights(fit(ConstantGradientWeighting([2, 2, 2]), **params))
    differs = [not np.allclose(a, b, atol=1e-7) for a, b in zip(fixed, weighed, strict=True)]
    assert sum(differs) == 2


class TestRefusals:
    def test_ensembles_of_one_network(self):
        with pytest.raises(ValueError, match=r"of one network\. Got ensemble_size=2"):
            fit(ConstantGradientWeighting([1, 1, 1]), ensemble_size=2)

    def test_whole_custom_networks(self):
        def build(meta):
            inputs = keras.Input((meta["n_features_in_"],))
            outputs = [keras.layers.Dense(n, "softmax")(inputs) for n in (2, 3, 2)]
            return keras.Model(inputs, outputs)

        X, Y = make_multitask_classification(60, 5, n_classes=(2, 3, 2), random_state=0)
        weighting = ConstantGradientWeighting([1, 1, 1])
        with pytest.raises(ValueError, match="`model` that is the whole network"):
            MultiTaskClassifier(model=build, task_weighting=weighting).fit(X, Y)

    def test_heads_that_read_different_mixtures(self):
        with pytest.raises(ValueError, match="sharing='mmoe', in which each head reads a mixture"):
            fit(ConstantGradientWeighting([1, 1, 1]), sharing="mmoe")
