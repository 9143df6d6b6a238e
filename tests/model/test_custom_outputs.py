"""Tests of custom models in `sk_mtl._model`: reading them, their logits, their text."""

import random
from collections import OrderedDict, defaultdict, namedtuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sk_mtl import MultiTaskClassifier
from sk_mtl._model.custom_outputs import classify_outputs, outputs_to_logits
from sk_mtl._model.custom_serialization import deserialize_model, serialize_model
from sk_mtl._model.randomness import fixed_randomness
from sk_mtl._model.scikeras import as_functional, copy_model
from sk_mtl._model.spec import CustomOutputs, TaskOutput

TASKS = ["a", "b"]


def model_of(*heads, loss=None):
    """A model with the given layers as heads on one hidden layer; a dict keeps its keys."""
    inputs = keras.Input((4,))
    hidden = layers.Dense(6, activation="relu")(inputs)
    if len(heads) == 1 and isinstance(heads[0], dict):
        outputs = {key: head(hidden) for key, head in heads[0].items()}
    else:
        outputs = [head(hidden) for head in heads]
    model = keras.Model(inputs, outputs)
    if loss is not None:
        model.compile(loss=loss)
    return model


# ------------------------------------------------------------------------- whole network or trunk


def test_outputs_are_in_task_order_when_they_have_no_task_names():
    model = model_of(layers.Dense(1, "sigmoid"), layers.Dense(3, "softmax"))
    assert classify_outputs(model, TASKS, [2, 3]) == CustomOutputs(
        (TaskOutput(0, 0, 1, "sigmoid", 1), TaskOutput(1, 0, 3, "softmax", 3))
    )


@pytest.mark.parametrize(
    "heads",
    [
        (layers.Dense(3, "softmax", name="b"), layers.Dense(1, "sigmoid", name="a")),
        ({"b": layers.Dense(3, "softmax"), "a": layers.Dense(1, "sigmoid")},),
    ],
    ids=["layer names", "dict keys"],
)
def test_outputs_are_found_by_name_when_they_have_task_names(heads):
    [a, b] = classify_outputs(model_of(*heads), TASKS, [2, 3]).tasks
    assert (a.kind, b.kind) == ("sigmoid", "softmax")


@pytest.mark.parametrize(
    ("head", "n_classes", "kind", "n_logits"),
    [
        (layers.Dense(2, "softmax"), 2, "softmax", 1),
        (layers.Dense(2), 2, "logits", 1),
        (layers.Dense(1), 2, "logits", 1),
        (layers.Dense(5), 5, "logits", 5),
        (layers.Dense(5, "log_softmax"), 5, "logits", 5),
        (layers.Activation("softmax"), 6, "softmax", 6),
        (layers.Softmax(), 6, "softmax", 6),
        (layers.Activation("linear"), 6, "logits", 6),
        (layers.Dense(3, tf.nn.softmax), 3, "softmax", 3),
        (layers.Dense(3, layers.Softmax()), 3, "softmax", 3),
        (keras.ops.softmax, 6, "softmax", 6),
        (keras.Sequential([layers.Dense(3), layers.Softmax()]), 3, "softmax", 3),
    ],
)
def test_kind_of_output_is_read_from_its_end(head, n_classes, kind, n_logits):
    model = model_of(layers.Dense(1, "sigmoid"), head)
    output = classify_outputs(model, TASKS, [2, n_classes]).tasks[1]
    assert (output.kind, output.n_logits) == (kind, n_logits)


@pytest.mark.parametrize(
    ("head", "n_classes"),
    [
        (layers.Dense(16, "relu"), [2, 3]),
        (layers.Dense(16), [2, 3]),
        (layers.Dense(2, "sigmoid"), [2, 3]),
        (layers.Dense(16, "sigmoid"), [2, 2]),
        (layers.Dropout(0.1), [2, 3]),
        (layers.Dense(16, "relu"), [3]),
        (layers.Dense(3, "tanh"), [3]),
        (layers.Dense(3), [3]),
        (layers.Dense(16, "sigmoid"), [3]),
    ],
)
def test_single_output_is_a_trunk_when_it_cannot_be_class_probabilities(head, n_classes):
    assert classify_outputs(model_of(head), TASKS[: len(n_classes)], n_classes) is None


@pytest.mark.parametrize(
    ("head", "n_classes", "kind"),
    [
        (layers.Dense(3, "softmax"), 3, "softmax"),
        (layers.Dense(1, "sigmoid"), 2, "sigmoid"),
        (layers.Dense(3, "log_softmax"), 3, "logits"),
        (layers.Dense(3, name="a"), 3, "logits"),
    ],
)
def test_single_output_is_whole_when_it_says_so(head, n_classes, kind):
    assert classify_outputs(model_of(head), ["a"], [n_classes]).tasks[0].kind == kind


def test_single_linear_output_is_whole_when_compiled_from_logits():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = model_of(layers.Dense(3), loss=loss)
    assert classify_outputs(model, ["a"], [3]).tasks[0].kind == "logits"


def test_one_sigmoid_column_per_task_is_whole_when_all_tasks_are_binary():
    outputs = classify_outputs(model_of(layers.Dense(2, "sigmoid")), TASKS, [2, 2])
    assert [(t.position, t.start, t.stop, t.kind) for t in outputs.tasks] == [
        (0, 0, 1, "sigmoid"),
        (0, 1, 2, "sigmoid"),
    ]


@pytest.mark.parametrize(
    ("heads", "n_classes", "said"),
    [
        ([layers.Dense(3, "softmax")], [4], r"3 softmax column\(s\).* 4 class"),
        ([layers.Dense(1, "sigmoid")], [3], r"1 sigmoid column\(s\).* 3 class"),
        ([layers.Dense(3, "sigmoid")], [3], "use softmax instead of sigmoid"),
        ([layers.Dense(1, "softmax")], [2], r"1 softmax column\(s\)"),
        ([layers.Dense(3, "softmax")], [2, 3], "One softmax cannot serve several tasks"),
        ([layers.Dense(1, "sigmoid")] * 3, [2, 2], "neither 1 nor the number of tasks"),
        ([layers.Reshape((2, 3))], [2, 2], "flatten or pool"),
        ([layers.Dense(1, "sigmoid"), layers.Dense(3, "relu")], [2, 3], "probabilities or logits"),
        ([layers.Dense(1, "sigmoid"), layers.Dense(3, "sigmoid")], [2, 3], "does not fit"),
        (
            [layers.Dense(1, "sigmoid", name="b"), layers.Dense(1, "sigmoid")],
            [2, 2],
            "'b' stands in the place of another task",
        ),
        ([{"a": layers.Dense(1), "c": layers.Dense(1)}], [2, 2], "keys of the outputs must be"),
    ],
)
def test_model_is_refused_when_it_is_neither_whole_nor_trunk(heads, n_classes, said):
    with pytest.raises(ValueError, match=rf"model= must give .*{said}.*Expected for"):
        classify_outputs(model_of(*heads), TASKS[: len(n_classes)], n_classes)


@pytest.mark.parametrize("head", [layers.Dense(3, "softmax"), layers.Dense(3, "relu")])
@pytest.mark.parametrize("n_classes", [0, 1])
def test_output_of_any_kind_passes_when_its_task_has_no_classes_to_tell(head, n_classes):
    model = model_of(layers.Dense(1, "sigmoid"), head)
    outputs = classify_outputs(model, TASKS, [2, n_classes])
    assert outputs.select([True, False]) == CustomOutputs((TaskOutput(0, 0, 1, "sigmoid", 1),))


def test_compiled_linear_output_is_refused_when_its_loss_takes_probabilities():
    model = model_of(layers.Dense(3), loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="add it, or from_logits=True"):
        classify_outputs(model, ["a"], [3])


def test_error_names_five_tasks_at_most():
    names = [f"task{t}" for t in range(12)]
    with pytest.raises(ValueError, match=r"'task4': [^']* and 7 more\."):
        classify_outputs(model_of(*[layers.Dense(1)] * 3), names, [2] * 12)


# ---------------------------------------------------------------------------------------- logits

OUTPUTS = CustomOutputs(
    (
        TaskOutput(1, 0, 1, "sigmoid", 1),
        TaskOutput(0, 0, 3, "softmax", 3),
        TaskOutput(2, 0, 2, "softmax", 1),
        TaskOutput(3, 0, 2, "logits", 1),
    )
)


def logits_and_outputs():
    z = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")
    outputs = [
        tf.nn.softmax(z[:, 1:4]),
        tf.nn.sigmoid(z[:, :1]),
        tf.nn.softmax(z[:, 4:6]),
        tf.constant(z[:, 6:]),
    ]
    return z, outputs


def probabilities(z, logits):
    """What both mean, task by task."""
    logits = np.asarray(logits)
    expected = [
        tf.nn.sigmoid(z[:, 0]),
        tf.nn.softmax(z[:, 1:4]),
        tf.nn.softmax(z[:, 4:6])[:, 1],
        tf.nn.softmax(z[:, 6:])[:, 1],
    ]
    found = [
        tf.nn.sigmoid(logits[:, 0]),
        tf.nn.softmax(logits[:, 1:4]),
        tf.nn.sigmoid(logits[:, 4]),
        tf.nn.sigmoid(logits[:, 5]),
    ]
    return expected, found


def test_logits_have_the_probabilities_of_the_outputs():
    z, outputs = logits_and_outputs()
    logits = outputs_to_logits(outputs, OUTPUTS)
    assert logits.shape == (5, 6)
    for expected, found in zip(*probabilities(z, logits), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_logits_are_exact_when_in_a_graph():
    @tf.function
    def both(z):
        outputs = [tf.nn.softmax(z), tf.nn.sigmoid(z[:, :1])]
        spec = CustomOutputs((TaskOutput(0, 0, 2, "softmax", 3), TaskOutput(1, 0, 1, "sigmoid", 1)))
        return outputs_to_logits(outputs, spec)

    z = tf.constant([[200.0, -200.0]])
    np.testing.assert_array_equal(both(z), [[200.0, -200.0, 200.0]])


def test_logits_and_their_gradients_are_finite_when_probabilities_are_zero_or_one():
    p = tf.Variable([[0.0, 1.0]])
    spec = CustomOutputs((TaskOutput(0, 0, 2, "softmax", 3), TaskOutput(1, 0, 1, "sigmoid", 1)))
    with tf.GradientTape() as tape:
        logits = outputs_to_logits([p, p], spec)
    assert np.isfinite(logits).all()
    assert np.isfinite(tape.gradient(logits, p)).all()


def test_logits_of_columns_are_in_task_order_when_tasks_share_an_output():
    spec = CustomOutputs((TaskOutput(0, 1, 2, "logits", 1), TaskOutput(0, 0, 1, "logits", 1)))
    np.testing.assert_array_equal(outputs_to_logits(tf.constant([[1.0, 2.0]]), spec), [[2.0, 1.0]])


# ------------------------------------------------------------------- randomness, forms, copies


def test_fixed_randomness_fixes_the_weights_and_leaves_no_trace():
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    drawn = []
    for _ in range(2):
        with fixed_randomness(3):
            drawn.append(model_of(layers.Dense(2), layers.Dropout(0.5)))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002
    for one, other in zip(drawn[0].variables, drawn[1].variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_fixed_randomness_leaves_no_trace_when_the_builder_fails():
    state = random.getstate()
    with pytest.raises(RuntimeError), fixed_randomness(3):
        raise RuntimeError
    assert random.getstate() == state


@pytest.mark.parametrize(
    "model", [keras.Sequential([layers.Dense(3)]), model_of(layers.Dense(3))], ids=["bare", "built"]
)
def test_model_has_inputs_and_outputs_when_made_functional(model):
    functional = as_functional(model, 4)
    assert functional.inputs[0].shape == (None, 4)
    assert functional.outputs[0].shape == (None, 3)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (keras.Sequential([keras.Input((7,)), layers.Dense(1)]), r"\(None, 7\)"),
        (keras.Sequential([keras.Input((4, 4)), layers.Flatten()]), r"\(None, 4, 4\)"),
    ],
)
def test_model_is_refused_when_its_input_is_not_x(model, found):
    with pytest.raises(ValueError, match=rf"one input of shape \(n_samples, 4\).*{found}"):
        as_functional(model, 4)


def test_copy_of_a_model_has_its_weights_and_its_own_variables():
    model = model_of(layers.Dense(3), loss="mse")
    copied = copy_model(model)
    assert copied.compiled
    assert copied.optimizer is not model.optimizer
    before = model.get_weights()
    for one, other in zip(copied.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    copied.set_weights([np.zeros_like(w) for w in before])
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------------------------ text


def branching_model():
    """A model of a dozen parallel layers of automatic names, nested models and operations."""
    inputs = keras.Input((4,))
    x = layers.Concatenate()([layers.Dense(3, "relu")(inputs) for _ in range(12)][::-1])
    x = layers.Dropout(0.3)(layers.BatchNormalization()(x))
    x = keras.Sequential([layers.Dense(5, "relu"), layers.Dense(4, "tanh")])(x)
    x = x * 2.0 + keras.ops.relu(layers.Add()([x, layers.Dense(4)(x)]))
    heads = {"b": layers.Dense(3, "softmax", name="b")(x), "a": layers.Dense(1, "sigmoid")(x)}
    return keras.Model(inputs, heads)


def test_model_of_a_text_computes_the_same_with_the_same_weights():
    model = branching_model()
    again = deserialize_model(serialize_model(model))
    again.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    for task, output in model(x).items():
        np.testing.assert_array_equal(again(x)[task], output)
    assert classify_outputs(again, TASKS, [2, 3]) == classify_outputs(model, TASKS, [2, 3])


Heads = namedtuple("Heads", ["age", "kind", "sold", "zip"])


@pytest.mark.parametrize("names", [["kind", "sold", "age", "zip"], [9, 10, 2, 100]])
@pytest.mark.parametrize(
    "hold",
    [
        OrderedDict,
        lambda heads: {"heads": OrderedDict(heads)},
        lambda heads: OrderedDict((name, [head]) for name, head in heads.items()),
        lambda heads: [OrderedDict([item]) for item in heads.items()],
        lambda heads: defaultdict(list, heads),
        lambda heads: Heads(**heads) if "age" in heads else list(heads.values()),
        lambda heads: {"heads": list(heads.values())},
    ],
    ids=["ordered", "in a dict", "of lists", "in a list", "default", "named tuple", "list"],
)
def test_outputs_keep_their_tasks_as_text_whatever_holds_them(names, hold):
    inputs = keras.Input((4,))
    heads = {name: layers.Dense(1, "sigmoid")(layers.Dense(2)(inputs)) for name in names}
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    expected = keras.Model(inputs, [heads[name] for name in names])(x)

    model = as_functional(keras.Model(inputs, hold(heads)), 4)
    found = classify_outputs(model, names, [2] * 4)
    again = deserialize_model(serialize_model(model))
    again.set_weights(model.get_weights())
    outputs = keras.tree.flatten(again(x))
    for task, output in zip(found.tasks, expected, strict=True):
        np.testing.assert_array_equal(outputs[task.position], output)


def test_losses_in_a_list_keep_their_outputs_when_these_are_sorted():
    inputs = keras.Input((4,))
    heads = OrderedDict((name, layers.Dense(3)(inputs)) for name in "ba")
    model = keras.Model(inputs, heads)
    loss = keras.losses.SparseCategoricalCrossentropy
    model.compile(loss=[loss(from_logits=True), loss()])
    assert [part.from_logits for part in as_functional(model, 4).loss] == [False, True]


def test_keys_that_are_one_text_are_refused():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, OrderedDict((k, layers.Dense(1)(inputs)) for k in (1, "1")))
    with pytest.raises(ValueError, match="must differ as text"):
        as_functional(model, 4)


def test_lists_below_several_keys_are_refused_when_they_name_no_task():
    x, *heads = keras.Input((4,)), *(layers.Dense(1, "sigmoid") for _ in range(3))
    model = keras.Model(x, {"x": [heads[0](x), heads[1](x)], "a": heads[2](x)})
    with pytest.raises(ValueError, match="keys of the outputs must be the task names"):
        classify_outputs(model, ["p", "q", "r"], [2, 2, 2])


def test_text_is_the_same_when_the_model_is_built_again():
    text = serialize_model(branching_model())
    layers.Dense(1)
    assert serialize_model(branching_model()) == text
    assert serialize_model(deserialize_model(text)) == text
    assert serialize_model(copy_model(branching_model())) == text


def test_text_keeps_the_names_that_the_user_gave():
    inputs = keras.Input((4,), name="features")
    model = keras.Model(inputs, layers.Dense(3, name="dense_of_mine")(layers.Dense(2)(inputs)))
    names = [layer.name for layer in deserialize_model(serialize_model(model)).layers]
    assert names == ["features", "dense", "dense_of_mine"]


def test_text_holds_no_optimizer():
    model = model_of(layers.Dense(1), loss="mse")
    text = serialize_model(model)
    assert "compile_config" not in text
    assert not deserialize_model(text).compiled


def test_building_from_text_leaves_the_random_state():
    text = serialize_model(branching_model())
    state = random.getstate()
    deserialize_model(text)
    assert random.getstate() == state


@keras.saving.register_keras_serializable("tests")
class WithoutConfig(keras.Model):
    """Keras makes up a config from the defaults of its constructor."""

    def __init__(self, width=3, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(width)

    def call(self, inputs):
        return self.dense(inputs)


def test_text_is_refused_when_a_layer_is_not_registered():
    class Unregistered(layers.Layer):
        def call(self, inputs):
            return inputs

    text = serialize_model(model_of(Unregistered()))
    with pytest.raises(ValueError, match=r"'Unregistered'.*@keras.saving.register_keras_serial"):
        deserialize_model(text)


def test_text_is_refused_when_a_config_gives_other_weights():
    text = serialize_model(as_functional(WithoutConfig(width=7), 4))
    with pytest.raises(ValueError, match=r"\[4, 3\].*it had \[4, 7\].*get_config"):
        deserialize_model(text)


def test_lambda_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"lambda. Decorate .*register_keras_serializable"):
        serialize_model(model_of(layers.Lambda(lambda x: x * 2)))


@pytest.mark.slow_except("head_hidden_layer_sizes")
@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.1},
        {"activation": "tanh"},
        {"normalization": "layer"},
        {"l2": 0.1},
        {"head_hidden_layer_sizes": {"y0": (3,)}, "dropout": 0.0},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_of_layers_beside_a_whole_network_are_refused(params):
    X = np.random.default_rng(0).normal(size=(20, 4))
    y = (X[:, :1] > 0).astype(int)
    message = (
        f"^{', '.join(params)} of the estimator would have no effect: `model` is the whole network"
    )
    with pytest.raises(ValueError, match=message):
        MultiTaskClassifier(model=model_of(layers.Dense(1, "sigmoid")), **params).fit(X, y)
    trunk = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    MultiTaskClassifier(model=trunk, epochs=1, **params).fit(X, y)
