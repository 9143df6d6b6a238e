"""Tests of `sk_mtl._model.scikeras`: builders written for scikeras, alone and in the estimator."""

import functools
import json
import pickle
import subprocess
import sys
import textwrap
from collections import OrderedDict
from contextlib import nullcontext

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sk_mtl import MultiTaskClassifier
from sk_mtl._model.custom_outputs import classify_outputs
from sk_mtl._model.scikeras import build_custom_model, describe_for_builder

ONE_TASK = describe_for_builder((20, 4), [["x", "y", "z"]], ["y0"], is_1d=True)
TWO_TASKS = describe_for_builder((20, 4), [[0, 1], [0, 1, 2]], ["a", "b"])


def build_classifier(meta, compile_kwargs, width=8, seed=0):
    """A builder as scikeras's guide has it: one task, compiled by the builder."""
    glorot = functools.partial(keras.initializers.GlorotUniform, seed=seed)
    inputs = keras.Input((meta["n_features_in_"],))
    hidden = layers.Dense(width, "tanh", kernel_initializer=glorot())(inputs)
    if meta["target_type_"] == "binary":
        output = layers.Dense(1, "sigmoid", kernel_initializer=glorot())(hidden)
        loss = "binary_crossentropy"
    else:
        units = meta["n_classes_"]
        output = layers.Dense(units, "softmax", kernel_initializer=glorot())(hidden)
        loss = "sparse_categorical_crossentropy"
    model = keras.Model(inputs, output)
    model.compile(optimizer=compile_kwargs["optimizer"], loss=loss)
    return model


def build_heads(meta, width=8):
    """A whole network for several tasks, left uncompiled."""
    inputs = keras.Input((meta["n_features_in_"],))
    hidden = layers.Dense(width, "relu")(inputs)
    heads = [
        layers.Dense(1, "sigmoid")(hidden) if n == 2 else layers.Dense(n, "softmax")(hidden)
        for n in meta["n_classes_"]
    ]
    return keras.Model(inputs, heads)


def build_trunk(width=8):
    """A trunk: it asks for nothing, and does not know its input."""
    return keras.Sequential([layers.Dense(width, "relu"), layers.Dropout(0.1)])


class Builder:
    """Something that can be called."""

    def __call__(self, width=8):
        return build_trunk(width)

    def build(self, width=8):
        return build_trunk(width)


@pytest.fixture
def scikeras_wrappers():
    """Import scikeras as a user would; afterwards Keras and the loaded modules are as before."""
    owners = [keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer]
    before = [dict(vars(owner)) for owner in owners]
    import scikeras.wrappers

    yield scikeras.wrappers
    for owner, attributes in zip(owners, before, strict=True):
        for name in ("__reduce__", "__deepcopy__"):
            if name in vars(owner) and name not in attributes:
                delattr(owner, name)
    for module in [m for m in sys.modules if m.partition(".")[0] == "scikeras"]:
        del sys.modules[module]


# -------------------------------------------------------------------------------- the builder


def test_builder_gets_its_own_settings():
    model = build_custom_model(build_trunk, meta=TWO_TASKS, seed=0, model_params={"width": 5})
    assert model.output_shape == (None, 5)
    assert model.input_shape == (None, 4)


@pytest.mark.parametrize("builder", [Builder(), Builder().build, functools.partial(build_trunk)])
def test_builder_is_anything_that_can_be_called(builder):
    model = build_custom_model(builder, meta=TWO_TASKS, seed=0, model_params={"width": 5})
    assert model.output_shape == (None, 5)


def test_builder_is_a_subclass_of_model():
    class Trunk(keras.Model):
        def __init__(self, width=8, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(width)

        def call(self, inputs):
            return self.dense(inputs)

    model = build_custom_model(Trunk, meta=TWO_TASKS, seed=0, model_params={"width": 5})
    assert model.output_shape == (None, 5)
    assert len(model.weights) == 2


def test_builder_gets_meta_and_compile_kwargs_when_it_asks():
    seen = {}

    def build(meta, compile_kwargs):
        seen.update(meta=meta, compile_kwargs=compile_kwargs)
        return build_trunk()

    build_custom_model(
        build,
        meta=TWO_TASKS,
        seed=0,
        optimizer="sgd",
        optimizer_params={"learning_rate": 0.25},
    )
    assert TWO_TASKS.items() <= seen["meta"].items()
    assert float(seen["compile_kwargs"]["optimizer"].learning_rate) == 0.25
    assert [loss.__name__ for loss in seen["compile_kwargs"]["loss"]] == [
        "binary_crossentropy",
        "sparse_categorical_crossentropy",
    ]


@pytest.mark.parametrize("labels", [["x", "y", "z"], ["x", "y"], [0, 1, 2], [False, True]])
def test_meta_of_one_task_is_that_of_keras_classifier(scikeras_wrappers, labels):
    seen = {}

    def build(meta):
        seen.update(meta)
        return build_trunk()

    X = np.zeros((len(labels), 4), dtype=np.float32)
    scikeras_wrappers.KerasClassifier(build).initialize(X, np.array(labels))
    meta = describe_for_builder(X.shape, [labels], ["y0"], is_1d=True)
    for key in set(seen) - {"target_encoder_", "feature_encoder_"}:
        np.testing.assert_array_equal(meta[key], seen[key], err_msg=key)


def test_meta_of_several_binary_tasks_is_multilabel():
    meta = describe_for_builder((9, 4), [[0, 1], [0, 1]], ["a", "b"])
    assert meta["target_type_"] == "multilabel-indicator"
    assert meta["n_classes_"] == [2, 2]
    assert meta["task_names_"] == ["a", "b"]


def test_meta_keeps_its_form_when_a_task_has_no_classes_to_tell():
    meta = describe_for_builder((9, 4), [[], [7], [0, 1, 2]], ["a", "b", "c"])
    assert meta["n_classes_"] == [2, 2, 3]
    assert [len(classes) for classes in meta["classes_"]] == [0, 1, 3]


def test_weights_are_fixed_by_the_seed():
    one, same, other = (
        build_custom_model(build_heads, meta=TWO_TASKS, seed=seed).get_weights()
        for seed in (3, 3, 4)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_ready_model_is_copied_with_its_weights():
    given = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model = build_custom_model(given, meta=TWO_TASKS, seed=0)
    assert model is not given
    np.testing.assert_array_equal(model.get_weights()[0], given.get_weights()[0])


def test_compiled_model_has_the_builders_optimizer():
    model = build_custom_model(
        build_classifier, meta=ONE_TASK, seed=0, optimizer_params={"learning_rate": 0.25}
    )
    assert float(model.optimizer.learning_rate) == 0.25
    assert classify_outputs(model, ["y0"], [3]).tasks[0].kind == "softmax"


def test_routed_optimizer_settings_warn_when_the_builder_ignores_them():
    def build():
        model = build_trunk()
        model.compile("sgd", "mse")
        return model

    with pytest.warns(UserWarning, match="optimizer__learning_rate has no effect.*own SGD"):
        build_custom_model(build, meta=ONE_TASK, seed=0, optimizer_params={"learning_rate": 0.25})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"widht": 3}, "takes no 'widht' .*Did you mean 'model__width'.*It takes: width"),
        ({"meta": 3}, "takes no 'meta'"),
        ({"width__x": 3}, "holds no double underscore"),
        ({}, "needs width: set model__width="),
    ],
)
def test_builder_setting_is_refused_when_it_does_not_fit(settings, said):
    def build(width, meta):
        return build_trunk(width)

    with pytest.raises(TypeError, match=said):
        build_custom_model(build, meta=ONE_TASK, seed=0, model_params=settings)


@pytest.mark.parametrize(
    ("builder", "settings", "said"),
    [
        (3, {}, "model must be a function"),
        (lambda: 3, {}, "must return a keras.Model. Got an instance of int"),
        (keras.Sequential([keras.Input((4,)), layers.Dense(3)]), {"width": 3}, "ready Keras model"),
    ],
)
def test_model_is_refused_when_it_is_no_builder_and_no_model(builder, settings, said):
    with pytest.raises(TypeError, match=said):
        build_custom_model(builder, meta=ONE_TASK, seed=0, model_params=settings)


def test_error_of_the_builder_is_passed_on():
    def build():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        build_custom_model(build, meta=ONE_TASK, seed=0)


# ------------------------------------------------------------------------- the process, as found

_PROCESS = """
import json, os, pickle, random, sys, threading, warnings
import keras, numpy as np, tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.framework.config import is_op_determinism_enabled

OWNERS = [keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer]

def state():
    return {
        "replaced": [n for o in OWNERS for n in ("__reduce__", "__deepcopy__") if n in vars(o)],
        "scikeras": [m for m in sys.modules if m.startswith("scikeras")],
        "random": repr(random.getstate()),
        "numpy": repr(np.random.get_state()),
        "determinism": is_op_determinism_enabled(),
        "environment": dict(os.environ),
        "keras_seed": repr(global_state.get_global_attribute("global_seed_generator")),
        "keras_config": [keras.config.floatx(), keras.config.epsilon(), keras.config.backend()],
        "threads": [
            tf.config.threading.get_inter_op_parallelism_threads(),
            tf.config.threading.get_intra_op_parallelism_threads(),
        ],
        "filters": repr(warnings.filters),
    }

def build(meta, compile_kwargs, width=4):
    inputs = keras.Input((meta["n_features_in_"],))
    hidden = keras.layers.Dropout(0.1)(keras.layers.Dense(width, "relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(meta["n_classes_"], "softmax")(hidden))
    model.compile(**compile_kwargs)
    return model
"""


def run_in_process(code):
    """Run code after `_PROCESS` in a fresh process and return what it prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def process():
    """The state of a process along the way: a default fit, a custom one, the user's import."""
    return run_in_process(
        """
        from sk_mtl import MultiTaskClassifier
        X, y = np.eye(6, 3, dtype=np.float32), np.array([0, 1, 2] * 2)
        custom = MultiTaskClassifier(model=build, model__width=3, epochs=1, random_state=0)
        warnings.simplefilter("error")
        sys.modules["scikeras"] = None  # an import of it raises
        MultiTaskClassifier(hidden_layer_sizes=(4,), epochs=1).fit(X, y).predict(X)
        del sys.modules["scikeras"]
        before = state()
        custom.fit(X, y).predict(X)
        after = state()
        import scikeras
        print(json.dumps({"before": before, "after": after, "later": state()["replaced"]}))
        """
    )


@pytest.mark.slow
def test_default_path_never_imports_scikeras(process):
    assert process["before"]["scikeras"] == []


@pytest.mark.slow
def test_process_is_left_as_it_was_found(process):
    assert process["before"]["replaced"] == []
    assert process["after"] == process["before"]


@pytest.mark.slow
def test_later_import_of_scikeras_works_as_it_always_does(process):
    assert process["later"] == ["__reduce__", "__deepcopy__"] + ["__reduce__"] * 3


@pytest.mark.slow
def test_users_own_scikeras_is_left_as_it_was_found():
    found = run_in_process(
        """
        from scikeras.wrappers import KerasClassifier
        from sk_mtl._model.scikeras import build_custom_model, describe_for_builder
        before = state()
        meta = describe_for_builder((6, 3), [[0, 1, 2]], ["y0"], is_1d=True)
        build_custom_model(build, meta=meta, seed=0)
        after = state()
        X, y = np.eye(6, 3, dtype=np.float32), np.array([0, 1, 2] * 2)
        theirs = KerasClassifier(build, loss="sparse_categorical_crossentropy", verbose=0)
        again = pickle.loads(pickle.dumps(theirs.fit(X, y)))
        same = bool((again.predict(X, verbose=0) == theirs.predict(X, verbose=0)).all())
        print(json.dumps({"before": before, "after": after, "same": same}))
        """
    )
    assert found["after"] == found["before"]
    assert len(found["before"]["replaced"]) == 5
    assert found["same"]


# --------------------------------------------------------------------------------- the estimator


def one_task(n_samples=48, n_classes=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 4)).astype(np.float32)
    return X, np.digitize(X[:, 0] + 0.3 * X[:, 1], [-0.5, 0.5][: n_classes - 1])


def two_tasks(n_samples=60):
    X, y = one_task(n_samples)
    Y = np.column_stack([(X[:, 1] > 0).astype(float), y])
    Y[::3, 1] = np.nan
    return X, Y


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
def test_builder_for_scikeras_gives_the_same_predictions_in_both(scikeras_wrappers, n_classes):
    X, y = one_task(n_classes=n_classes)
    settings = {"model": build_classifier, "model__width": 6, "optimizer": "adam"}
    settings |= {"optimizer__learning_rate": 0.05, "batch_size": len(X), "epochs": 25}
    # In one batch the order of the rows does not count; the builder seeds its initial weights.
    ours = MultiTaskClassifier(**settings, early_stopping=False).fit(X, y)
    theirs = scikeras_wrappers.KerasClassifier(**settings, shuffle=False, verbose=0).fit(X, y)
    expected = theirs.predict_proba(X, verbose=0)
    np.testing.assert_allclose(ours.predict_proba(X), expected, atol=1e-5)
    np.testing.assert_allclose(ours.history_["loss"], theirs.history_["loss"], rtol=1e-4)


@pytest.mark.slow
def test_builder_for_scikeras_gives_the_same_predictions_over_a_stream(scikeras_wrappers):
    X, y = one_task()
    settings = {"model": build_classifier, "optimizer": "adam", "batch_size": 8}
    settings |= {"optimizer__learning_rate": 0.05}
    ours = MultiTaskClassifier(**settings)
    theirs = scikeras_wrappers.KerasClassifier(**settings, verbose=0)
    for start in range(0, len(X), 8):
        batch = slice(start, start + 8)
        ours.partial_fit(X[batch], y[batch], classes=[0, 1, 2])
        theirs.partial_fit(X[batch], y[batch], classes=np.array([0, 1, 2]))
    expected = theirs.predict_proba(X, verbose=0)
    np.testing.assert_allclose(ours.predict_proba(X), expected, atol=1e-5)


@pytest.mark.slow
def test_grid_search_over_settings_of_builder_and_optimizer():
    X, y = one_task()
    grid = {"model__width": [1, 6], "optimizer__learning_rate": [1e-6, 0.1]}
    search = GridSearchCV(
        MultiTaskClassifier(model=build_classifier, epochs=20, random_state=0), grid, cv=2
    ).fit(X, y)
    assert search.best_params_["optimizer__learning_rate"] == 0.1
    width = search.best_params_["model__width"]
    assert search.best_estimator_.model_.layers[1].units == width
    assert float(np.ptp(search.cv_results_["mean_test_score"])) > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("builder", [build_heads, build_trunk])
def test_custom_network_learns_several_tasks_with_missing_labels(builder):
    X, Y = two_tasks()
    settings = {"model": builder, "model__width": 12, "epochs": 60, "random_state": 0}
    classifier = MultiTaskClassifier(**settings, optimizer__learning_rate=0.03).fit(X, Y)
    assert classifier.score(X, Y) > 0.85
    proba = classifier.predict_proba(X)
    assert [p.shape[1] for p in proba] == [2, 3]
    for one, other in zip(proba, clone(classifier).fit(X, Y).predict_proba(X), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        proba, pickle.loads(pickle.dumps(classifier)).predict_proba(X), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_whole_network_ignores_what_lies_under_the_mask():
    X, Y = two_tasks()
    settings = {"model": build_heads, "epochs": 3, "random_state": 0, "missing_label": -1}
    hidden = np.where(np.isnan(Y), -1, Y).astype(int)
    one = MultiTaskClassifier(**settings).fit(X, Y).predict_proba(X)
    other = MultiTaskClassifier(**settings).fit(X, hidden).predict_proba(X)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_ready_model_is_not_changed_by_a_fit():
    X, Y = two_tasks()
    given = build_heads({"n_features_in_": 4, "n_classes_": [2, 3]})
    before = given.get_weights()
    MultiTaskClassifier(model=given, epochs=2, random_state=0).fit(X, Y)
    for weight, other in zip(given.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, other)
    assert not given.compiled


@pytest.mark.slow
def test_fit_starts_from_the_weights_of_a_ready_model():
    X, Y = two_tasks()
    given = build_heads({"n_features_in_": 4, "n_classes_": [2, 3]})
    classifier = MultiTaskClassifier(
        model=given, epochs=1, optimizer="sgd", optimizer__learning_rate=0.0, random_state=0
    ).fit(X, Y)
    expected = np.asarray(given(X)[1])
    np.testing.assert_allclose(classifier.predict_proba(X)[1], expected, atol=1e-6)


@pytest.mark.slow_except("True")
@pytest.mark.parametrize("as_builder", [False, True])
def test_heads_of_an_ordered_dict_stay_with_their_tasks(as_builder):
    X, Y = two_tasks()
    inputs = keras.Input((4,))
    heads = [("y1", layers.Dense(3, "softmax")(inputs)), ("y0", layers.Dense(1, "sigmoid")(inputs))]
    given = keras.Model(inputs, OrderedDict(heads))
    expected = given.predict(X, verbose=0)
    classifier = MultiTaskClassifier(
        model=(lambda: given) if as_builder else given,
        epochs=1,
        optimizer="sgd",
        optimizer__learning_rate=0.0,
        random_state=0,
    )
    # Keras's own copies of such a model lose the order.
    message = "give the head of one key to another"
    with nullcontext() if as_builder else pytest.warns(UserWarning, match=message):
        classifier.fit(X, Y)
    first, second = classifier.predict_proba(X)
    np.testing.assert_allclose(first[:, 1:], expected["y0"], atol=1e-6)
    np.testing.assert_allclose(second, expected["y1"], atol=1e-6)
    for name, output in classifier.model_.predict(X, verbose=0).items():
        np.testing.assert_array_equal(output, expected[name])


def test_training_uses_the_optimizer_that_the_builder_compiled():
    X, y = one_task()

    def build(meta):
        return build_classifier(meta, {"optimizer": keras.optimizers.SGD(0.0)})

    history = MultiTaskClassifier(model=build, epochs=3, random_state=0).fit(X, y).history_["loss"]
    np.testing.assert_allclose(history, history[0], rtol=1e-5)


def build_fixed_heads():
    """A whole network that knows its tasks and asks for nothing."""
    inputs = keras.Input((4,))
    hidden = layers.Dense(4, "relu")(inputs)
    heads = {"y0": layers.Dense(1, "sigmoid")(hidden), "y1": layers.Dense(3, "softmax")(hidden)}
    return keras.Model(inputs, heads)


@pytest.mark.slow_except("nan-no label-build_heads", "nan-no label-build_fixed_heads")
@pytest.mark.parametrize("builder", [build_heads, build_fixed_heads])
@pytest.mark.parametrize(("label", "said"), [(1.0, "one class"), (np.nan, "no label")])
def test_builder_keeps_its_heads_when_a_task_cannot_be_learned(builder, label, said):
    X, Y = two_tasks()
    Y[:, 0] = label
    classifier = MultiTaskClassifier(model=builder, epochs=2, random_state=0)
    with pytest.warns(UserWarning, match=said):
        classifier.fit(X, Y)
    assert classifier.predict_proba(X)[1].shape == (60, 3)


@pytest.mark.slow
def test_layers_of_a_trunk_may_have_any_names():
    def build():
        names = ["heads_0_logits", "trunk_0"]
        return keras.Sequential([layers.Dense(4, "relu", name=name) for name in names])

    X, Y = two_tasks()
    classifier = MultiTaskClassifier(model=build, epochs=2, random_state=0).fit(X, Y)
    assert classifier.model_.count_params() == 2 * 20 + 5 + 15
