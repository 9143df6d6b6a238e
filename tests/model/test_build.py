"""Tests of sk_mtl._model.build: the layers of a specification, and fused heads."""

import keras
import numpy as np
import pytest

from sk_mtl._compat.backend import check_backend
from sk_mtl._model.activations import canonical_activation
from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.initial_values import draw_initial_values
from sk_mtl._model.layers import NoiseDropout, ParallelDense, TaskOrder
from sk_mtl._model.spec import NetworkSpec

N_FEATURES = 5


def make_network(spec, seed=0):
    """Return a network with random values for everything, normalisation's moments too."""
    model = build_network(spec)
    rng = np.random.default_rng(seed)
    for variable in network_variables(model):
        if "seed_generator" in variable.path:
            continue
        positive = variable.name in ("gamma", "moving_variance")
        value = rng.uniform(0.5, 2, variable.shape) if positive else rng.normal(size=variable.shape)
        variable.assign(value)
    return model


def make_X(n_rows=7):
    return np.random.default_rng(1).normal(size=(n_rows, N_FEATURES)).astype(np.float32)


def head_groups(spec):
    """Return the tasks of each group of heads, in the order of their first task."""
    shapes = [
        (sizes, width if sizes else None)
        for sizes, width in zip(spec.head_hidden_layer_sizes, spec.n_outputs, strict=True)
    ]
    return [(s[0], [t for t, o in enumerate(shapes) if o == s]) for s in dict.fromkeys(shapes)]


def compute_separately(spec, model, X, training=False):
    """Return the logits by Keras's own layers, one head after the other, from the same weights."""

    def hidden(x, name, part=slice(None)):
        if spec.normalization == "batch":
            fused = model.get_layer(f"{name}_norm")
            layer = keras.layers.BatchNormalization()
            layer.build(x.shape)
            layer.set_weights([w[part] for w in fused.get_weights()])
            x = layer(x, training=training)
        elif spec.normalization == "layer":
            layer = keras.layers.LayerNormalization(epsilon=1e-3)
            layer.build(x.shape)
            layer.set_weights([w[part] for w in model.get_layer(f"{name}_norm").get_weights()])
            x = layer(x)
        return keras.activations.get(spec.activation)(x)

    def dense(x, kernel, bias):
        layer = keras.layers.Dense(kernel.shape[1])
        layer.build(x.shape)
        layer.set_weights([kernel, bias.ravel()])
        return layer(x)

    trunk = keras.ops.convert_to_tensor(X)
    for depth in range(len(spec.hidden_layer_sizes)):
        trunk = hidden(
            dense(trunk, *model.get_layer(f"trunk_{depth}").get_weights()), f"trunk_{depth}"
        )
    logits = [None] * len(spec.n_outputs)
    for number, (sizes, tasks) in enumerate(head_groups(spec)):
        stop = 0
        for head, task in enumerate(tasks):
            x = trunk
            stop += spec.n_outputs[task]
            for depth, units in enumerate((*sizes, spec.n_outputs[task])):
                is_output = depth == len(sizes)
                name = f"heads_{number}_" + ("logits" if is_output else str(depth))
                kernel, bias = model.get_layer(name).get_weights()
                part = slice(head * units, (head + 1) * units)
                if is_output and not sizes:
                    part = slice(stop - units, stop)
                if kernel.ndim == 3:
                    x = dense(x, kernel[head], bias[head])
                else:
                    x = dense(x, kernel[:, part], bias[part])
                if not is_output:
                    x = hidden(x, name, part)
            logits[task] = x
    return np.concatenate([np.asarray(part) for part in logits], axis=1)


# Task order and class counts mixed; heads of none, one and two hidden layers mixed.
TASKS = {
    "one_shape": ((3, 3, 3), ((4,),) * 3),
    "no_head_layers": ((1, 3, 1, 4), ((),) * 4),
    "mixed_counts": ((3, 1, 3, 1, 5), ((4,),) * 5),
    "mixed_heads": ((1, 3, 1, 3, 1), ((4, 3), (), (4, 3), (2,), ())),
    "one_task": ((4,), ((3, 2),)),
}


# ------------------------------------------------------------------------------ fused heads


@pytest.mark.slow_except("mixed_heads-*", "one_task-*", "no_head_layers-None")
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("tasks", TASKS)
def test_fused_heads_equal_separate_ones(tasks, normalization):
    n_outputs, heads = TASKS[tasks]
    spec = NetworkSpec(
        N_FEATURES, n_outputs, (6, 4), heads, activation="tanh", normalization=normalization
    )
    model, X = make_network(spec), make_X()
    expected = compute_separately(spec, model, X)
    np.testing.assert_allclose(np.asarray(model(X)), expected, rtol=1e-6, atol=1e-6)


def test_fused_heads_equal_separate_ones_with_the_moments_of_a_batch():
    n_outputs, heads = TASKS["mixed_counts"]
    spec = NetworkSpec(N_FEATURES, n_outputs, (6,), heads, "tanh", normalization="batch")
    model, X = make_network(spec), make_X()
    expected = compute_separately(spec, model, X, training=True)
    np.testing.assert_allclose(np.asarray(model(X, training=True)), expected, rtol=1e-6, atol=2e-6)


def test_network_without_a_trunk_puts_the_heads_on_the_features():
    spec = NetworkSpec(N_FEATURES, (1, 3), (), ((2,), ()))
    model, X = make_network(spec), make_X()
    np.testing.assert_allclose(
        np.asarray(model(X)), compute_separately(spec, model, X), rtol=1e-6, atol=1e-6
    )


def test_number_of_layers_does_not_grow_with_the_tasks():
    few, many = (
        build_network(NetworkSpec(N_FEATURES, (1, 3) * n, (4,), ((2,),) * (2 * n))) for n in (2, 40)
    )
    assert [layer.name for layer in few.layers] == [layer.name for layer in many.layers]


def test_heads_without_hidden_layers_are_one_layer_in_task_order():
    spec = NetworkSpec(N_FEATURES, (3, 1, 5, 1), (4,))
    model = build_network(spec)
    assert [layer.name for layer in model.layers] == [
        "X",
        "trunk_0",
        "trunk_0_act",
        "heads_0_logits",
    ]
    assert model.get_layer("heads_0_logits").kernel.shape == (4, 10)


@pytest.mark.parametrize("method", ["shared", "independent"])
def test_heads_without_hidden_layers_are_one_layer_of_all_members(method):
    spec = NetworkSpec(
        N_FEATURES, (3, 1, 5), (4,), ((), (2,), ()), ensemble_size=2, ensemble_method=method
    )
    layer = build_network(spec).get_layer("heads_0_logits")
    assert isinstance(layer, ParallelDense)
    assert layer.kernel.shape == (2, 4, 8)


def test_heads_do_not_see_each_other():
    spec = NetworkSpec(N_FEATURES, (3, 1, 3), (), ((4, 5),) * 3, "tanh", normalization="layer")
    model, X = make_network(spec), make_X()
    before = np.asarray(model(X))
    kernel = model.get_layer("heads_0_1").kernel  # of tasks 0 and 2
    changed = kernel.numpy()
    changed[1, 0, 0] += 1
    kernel.assign(changed)
    after = np.asarray(model(X))
    np.testing.assert_array_equal(after[:, :4], before[:, :4])
    assert (after[:, 4:] != before[:, 4:]).any()


# ----------------------------------------------------------------------------- initial values


def draw(spec, frequencies, seed=0):
    model = build_network(spec)
    values = draw_initial_values(spec, frequencies, np.random.default_rng(seed))
    for variable, value in zip(network_variables(model), values, strict=True):
        variable.assign(value)
    return model


def test_untrained_network_predicts_the_class_frequencies_where_the_features_are_zero():
    frequencies = [np.array(f) for f in ([0.9, 0.1], [0.2, 0.3, 0.5], [0.4, 0.6], [0.7, 0.2, 0.1])]
    spec = NetworkSpec(N_FEATURES, (1, 3, 1, 3), (6,), ((4,), (), (), (4,)))
    logits = np.asarray(draw(spec, frequencies)(np.zeros((1, N_FEATURES))))[0].astype(np.float64)
    for task, columns in {0: [0], 1: [1, 2, 3], 2: [4], 3: [5, 6, 7]}.items():
        z = np.array([0, *logits[columns]]) if len(columns) == 1 else logits[columns]
        np.testing.assert_allclose(np.exp(z) / np.exp(z).sum(), frequencies[task], rtol=1e-6)


def test_class_without_a_label_starts_with_a_finite_log_odds():
    spec = NetworkSpec(N_FEATURES, (1, 3))
    model = draw(spec, [np.array([1.0, 0.0]), np.array([0.5, 0.5, 0.0])])
    assert np.isfinite(np.asarray(model(np.zeros((1, N_FEATURES))))).all()


def test_kernels_are_drawn_within_the_limits_of_their_own_head():
    spec = NetworkSpec(N_FEATURES, (1,) * 50, (6,), ((4, 3),) * 50)
    model = draw(spec, [np.array([0.5, 0.5])] * 50)
    inputs = {"trunk_0": 5, "heads_0_0": 6, "heads_0_1": 4, "heads_0_logits": 3}
    for name, n_in in inputs.items():
        limit = 1 / np.sqrt(n_in)
        largest = np.abs(model.get_layer(name).kernel.numpy()).max()
        assert 0.8 * limit < largest <= limit


def test_initial_values_repeat_by_seed():
    spec = NetworkSpec(N_FEATURES, (1, 3), (4,), ((2,), (2,)), dropout=0.5)
    frequencies = [np.array([0.5, 0.5]), np.ones(3) / 3]
    first, again, other = (
        draw_initial_values(spec, frequencies, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_initial_values_have_the_shapes_and_dtypes_of_the_variables():
    spec = NetworkSpec(N_FEATURES, (1, 3, 1), (4,), ((2, 2), (), (2, 2)), "relu", 0.5, "batch")
    frequencies = [np.array([0.5, 0.5]), np.ones(3) / 3, np.array([0.5, 0.5])]
    values = draw_initial_values(spec, frequencies, np.random.default_rng(0))
    for variable, value in zip(network_variables(build_network(spec)), values, strict=True):
        assert (value.shape, value.dtype.name) == (variable.shape, variable.dtype), variable.path


def test_every_dropout_layer_has_a_seed_of_its_own():
    spec = NetworkSpec(N_FEATURES, (1, 3), (4, 4), ((2,), (2,)), dropout=0.5)
    frequencies = [np.array([0.5, 0.5]), np.ones(3) / 3]
    model = draw(spec, frequencies)
    seeds = [v.numpy()[0] for v in model.non_trainable_variables if "seed" in v.path]
    assert len(seeds) == 4
    assert len(set(seeds)) == 4


@pytest.mark.parametrize("members", [1, 3])
def test_dropout_by_width_spares_narrow_layers(members):
    hidden, heads = (512, 64, 8), ((32,), (32,))
    settings = {"dropout": 0.4, "dropout_by_width": True, "ensemble_size": members}
    model = build_network(NetworkSpec(N_FEATURES, (1, 3), hidden, heads, **settings))
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, NoiseDropout)}
    expected = {
        "trunk_0_drop": 0.4,
        "trunk_1_drop": 0.24,
        "heads_0_0_drop": 0.16,
        "heads_1_0_drop": 0.16,
    }
    assert rates == pytest.approx(expected)


def test_dropout_repeats_from_its_seed_and_is_off_in_inference():
    spec = NetworkSpec(N_FEATURES, (1, 3), (16,), dropout=0.5)
    frequencies = [np.array([0.5, 0.5]), np.ones(3) / 3]
    X = make_X()
    first, again = draw(spec, frequencies), draw(spec, frequencies)
    dropped = np.asarray(first(X, training=True))
    np.testing.assert_array_equal(dropped, np.asarray(again(X, training=True)))
    assert (dropped != np.asarray(first(X, training=True))).any()
    np.testing.assert_array_equal(np.asarray(first(X)), np.asarray(again(X)))


# -------------------------------------------------------------------------------- the network


def test_l2_adds_the_squares_of_every_kernel():
    spec = NetworkSpec(N_FEATURES, (1, 3, 1), (4,), ((3, 2),) * 3, normalization="batch", l2=0.01)
    model = make_network(spec)
    kernels = [v.numpy() for v in model.trainable_variables if v.name == "kernel"]
    assert len(kernels) == 1 + 2 * 3
    expected = 0.01 * sum((k.astype(np.float64) ** 2).sum() for k in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


def test_network_without_l2_has_no_losses():
    assert build_network(NetworkSpec(N_FEATURES, (1, 3), (4,))).losses == []


def test_names_of_layers_and_variables_do_not_depend_on_what_was_built_before():
    spec = NetworkSpec(
        N_FEATURES, (1, 3, 1), (4,), ((2,), (), (2,)), dropout=0.1, normalization="layer"
    )

    def names():
        model = build_network(spec)
        # A seed's own name counts on; its place does not.
        paths = ["seed" if "seed" in v.path else v.path for v in network_variables(model)]
        return [[layer.name for layer in model.layers], paths]

    first = names()
    keras.layers.Dense(2)(keras.Input((2,)))
    assert names() == first


def test_network_is_float32_whatever_the_global_policy():
    spec = NetworkSpec(
        N_FEATURES, (1, 3, 1), (4,), ((2, 2), (), (2, 2)), dropout=0.1, normalization="batch"
    )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        model = build_network(spec)
        output = model(make_X())
    finally:
        keras.config.set_dtype_policy(before)
    kinds = {v.dtype for v in network_variables(model) if "seed" not in v.path}
    assert kinds == {"float32"}
    assert keras.backend.standardize_dtype(output.dtype) == "float32"


def test_spec_is_hashable_and_fills_in_heads_without_layers():
    first, second = NetworkSpec(3, (1, 4)), NetworkSpec(3, (1, 4), (), ((), ()))
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("given", "name"),
    [("identity", "linear"), ("logistic", "sigmoid"), ("relu", "relu"), ("Tanh", "tanh")],
)
def test_activation_goes_by_the_names_of_keras_and_scikit_learn(given, name):
    if given == "Tanh":
        given = keras.activations.tanh
    assert canonical_activation(given) == name


def test_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"one that Keras knows\. Got 'rellu'"):
        canonical_activation("rellu")


def double(x):
    return 2 * x


def relu(x):
    return -x


@pytest.mark.parametrize(
    "activation",
    [double, lambda x: x, relu, np.tanh],
    ids=["function", "lambda", "function with a name of Keras's", "NumPy's"],
)
def test_activation_of_ones_own_is_refused(activation):
    with pytest.raises(ValueError, match="model="):
        canonical_activation(activation)


# ----------------------------------------------------------------------------- serialisation

FULL_SPEC = NetworkSpec(
    N_FEATURES,
    (3, 1, 3),
    (4,),
    ((3, 2), (), (3, 2)),
    dropout=0.1,
    normalization="layer",
    l2=0.01,
)


def test_network_is_built_again_from_its_json():
    model = make_network(FULL_SPEC)
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(np.asarray(again(make_X())), np.asarray(model(make_X())))
    assert float(sum(again.losses)) == float(sum(model.losses))


# Keras hands its variables to np.array, which NumPy 2 finds wanting.
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_network_is_saved_and_loaded_as_a_keras_file(tmp_path):
    model = make_network(FULL_SPEC)
    model.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(np.asarray(again(make_X())), np.asarray(model(make_X())))


@pytest.mark.parametrize(
    "layer",
    [
        ParallelDense(3, 2, kernel_regularizer="l2", name="a"),
        TaskOrder([2, 0, 1], name="b"),
    ],
    ids=["ParallelDense", "TaskOrder"],
)
def test_layer_round_trips_through_its_config(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


def test_layers_state_the_shapes_that_they_give():
    x = keras.ops.ones((2, 6))
    for layer in (ParallelDense(4, 3), TaskOrder([5, 0, 3, 2, 1, 4])):
        assert layer.compute_output_shape((None, 6)) == (None, layer(x).shape[1])


def test_other_backends_of_keras_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ImportError, match=r"'torch' in this process\. Set KERAS_BACKEND"):
        check_backend()
