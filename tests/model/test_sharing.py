"""Tests of the sharing structures: by plain networks with a layer for each task and expert."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from specs import SHARING, make_values, make_X

from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.initial_values import draw_initial_values
from sk_mtl._model.sharing import Mixing, Stitch, mixing_after, n_trunk_blocks, widest_level
from sk_mtl._model.sharing_layers import CrossStitch, ExpertMixture, TaskBlocks
from sk_mtl._model.spec import NetworkSpec, head_groups
from sk_mtl._model.variables import values_by_layer

N_FEATURES = 4
N_OUTPUTS = (1, 3, 1)
DEPTHS = {"one layer": (5,), "two layers": (5, 4), "three layers": (3, 5, 4)}
HEADS = {"logits": ((),) * 3, "hidden": ((3,),) * 3, "mixed": ((), (3, 2), (3,))}


def make_spec(sharing, hidden=(5, 4), heads=((),) * 3, n_own=None, **settings):
    n_shared, n_task = SHARING[sharing]
    n_own = n_task if n_own is None or not n_task else n_own
    return NetworkSpec(
        N_FEATURES,
        settings.pop("n_outputs", N_OUTPUTS),
        hidden,
        heads,
        settings.pop("activation", "tanh"),
        sharing=sharing,
        n_experts=n_shared,
        n_task_experts=n_own,
        **settings,
    )


def make_network(spec, seed=0):
    """Return a network with random values."""
    model = build_network(spec)
    for variable, value in zip(network_variables(model), make_values(spec, seed), strict=True):
        variable.assign(value)
    return model


# ------------------------------------------------------------- a plain network of the same graph


def compute_separately(spec, v, X):
    """Return the logits by one small product after the other, from values by layer and kind."""
    n_tasks, n_shared, n_own = len(spec.n_outputs), spec.n_experts, spec.n_task_experts
    if spec.sharing == "cross_stitch":
        n_shared, n_own = 0, 1
    # Experts as pairs: of all tasks (None), or of one.
    experts = [(None, k) for k in range(n_shared)]
    experts += [(task, k) for task in range(n_tasks) for k in range(n_own)]
    # What the shared experts read (None), and those of each task.
    reads, outputs = dict.fromkeys([None, *range(n_tasks)], X), {}
    for depth, units in enumerate(spec.hidden_layer_sizes):
        kernel, bias = v[f"trunk_{depth}"]["kernel"], v[f"trunk_{depth}"]["bias"]
        before = {} if depth == 0 or depth_mixes(spec, depth - 1) else outputs
        outputs = {}
        for number, expert in enumerate(experts):
            if len(kernel.shape) == 3:
                W, b = kernel[number], bias[number]
            else:
                part = slice(number * units, (number + 1) * units)
                W, b = kernel[:, part], bias[part]
            x = before.get(expert, reads[expert[0]])
            outputs[expert] = keras.activations.get(spec.activation)(x @ W + b)
        if not depth_mixes(spec, depth):
            continue
        if spec.sharing == "cross_stitch":
            a = v[f"stitch_{depth}"]["stitch"]
            reads = {
                t: sum(a[t, u] * outputs[u, 0] for u in range(n_tasks)) for t in range(n_tasks)
            }
        else:
            reads = mix(spec, v[f"mix_{depth}"], experts, outputs, reads, X, depth)
    return compute_heads(spec, v, reads)


def depth_mixes(spec, depth):
    """Return whether something is mixed behind a layer."""
    return spec.sharing in ("ple", "cross_stitch") or depth == len(spec.hidden_layer_sizes) - 1


def mix(spec, v, experts, outputs, reads, X, depth):
    """Return the mixture of each task and, between two levels, that of the shared experts."""
    n_tasks = len(spec.n_outputs)
    is_inner = spec.sharing == "ple" and depth > 0
    mixtures = {}
    for task in range(n_tasks):
        own = [e for e in experts if e[0] in (None, task)]
        n = len(own)
        x = reads[task] if is_inner else X
        if is_inner:
            logits = x @ v["gate_kernel"][task] + v["gate_bias"][task]
        else:
            part = slice(task * n, (task + 1) * n)
            logits = x @ v["gate_kernel"][:, part] + v["gate_bias"][part]
        shares = tf.nn.softmax(logits)
        mixtures[task] = sum(shares[:, k : k + 1] * outputs[e] for k, e in enumerate(own))
    if "shared_gate_kernel" in v:
        x = reads[None] if is_inner else X
        shares = tf.nn.softmax(x @ v["shared_gate_kernel"] + v["shared_gate_bias"])
        mixtures[None] = sum(shares[:, k : k + 1] * outputs[e] for k, e in enumerate(experts))
    return mixtures


def compute_heads(spec, v, reads):
    """Return the logits of all tasks, from what each head reads."""
    logits = [None] * len(spec.n_outputs)
    for number, group in enumerate(head_groups(spec)):
        for position, task in enumerate(group.tasks):
            x = reads[task]
            for depth in range(len(group.hidden) + 1):
                is_last = depth == len(group.hidden)
                values = v[f"heads_{number}_{'logits' if is_last else depth}"]
                kernel, bias = values["kernel"], values["bias"]
                if len(kernel.shape) == 3:
                    kernel, bias = kernel[position], bias[position]
                x = x @ kernel + bias
                if not is_last:
                    x = keras.activations.get(spec.activation)(x)
            logits[task] = x
    return tf.concat(logits, axis=1)


@pytest.mark.slow_except("*-one layer-*", "*-three layers-mixed")
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("hidden", DEPTHS)
@pytest.mark.parametrize("sharing", SHARING)
def test_logits_and_gradients_are_those_of_one_layer_per_task_and_expert(sharing, hidden, heads):
    spec = make_spec(sharing, DEPTHS[hidden], HEADS[heads])
    model, X = make_network(spec), tf.constant(make_X(spec, 11))
    variables = model.trainable_variables
    weight = tf.constant(np.random.default_rng(2).normal(size=(11, 5)), tf.float32)
    with tf.GradientTape() as tape:
        logits = model(X, training=True)
        loss = tf.reduce_sum(weight * logits)
    found = tape.gradient(loss, [v.value for v in variables])
    values = [tf.constant(v.numpy()) for v in variables]
    with tf.GradientTape() as tape:
        tape.watch(values)
        expected_logits = compute_separately(spec, values_by_layer(spec, values), X)
        loss = tf.reduce_sum(weight * expected_logits)
    expected = tape.gradient(loss, values)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-5, atol=1e-6)
    for variable, a, b in zip(variables, found, expected, strict=True):
        scale = max(np.abs(b).max(), 1)
        np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=1e-6, err_msg=variable.path)


@pytest.mark.parametrize("n_own", [1, 3])
@pytest.mark.parametrize("sharing", ["cgc", "ple"])
def test_tasks_have_as_many_experts_as_wanted(sharing, n_own):
    spec = make_spec(sharing, (5, 4, 3), n_own=n_own)
    model, X = make_network(spec), make_X(spec, 11)
    values = [tf.constant(v.numpy()) for v in model.trainable_variables]
    expected = compute_separately(spec, values_by_layer(spec, values), tf.constant(X))
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)
    assert n_trunk_blocks(spec) == spec.n_experts + 3 * n_own


@pytest.mark.slow_except("mmoe")
@pytest.mark.parametrize("sharing", SHARING)
def test_number_of_layers_grows_neither_with_tasks_nor_with_experts(sharing):
    few = make_spec(sharing, n_outputs=(1, 3) * 2, heads=((2,),) * 4)
    many = make_spec(sharing, n_outputs=(1, 3) * 20, heads=((2,),) * 40)
    names = [[layer.name for layer in build_network(spec).layers] for spec in (few, many)]
    assert names[0] == names[1]
    n_nodes = []
    for spec in (few, many):
        model = build_network(spec)
        signature = [tf.TensorSpec((None, N_FEATURES), tf.float32)]
        graph = tf.function(model, input_signature=signature).get_concrete_function().graph
        n_nodes.append(len(graph.get_operations()))
    assert n_nodes[0] == n_nodes[1]


@pytest.mark.parametrize("sharing", SHARING)
def test_one_task_shares_with_nobody(sharing):
    spec = make_spec(sharing, n_outputs=(3,), heads=((2,),))
    model, X = make_network(spec), make_X(spec, 7)
    values = [tf.constant(v.numpy()) for v in model.trainable_variables]
    expected = compute_separately(spec, values_by_layer(spec, values), tf.constant(X))
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------ initial values


def draw(spec, seed=0):
    frequencies = [np.full(max(n, 2), 1 / max(n, 2)) for n in spec.n_outputs]
    values = draw_initial_values(spec, frequencies, np.random.default_rng(seed))
    return values_by_layer(spec, values)


@pytest.mark.parametrize("sharing", ["mmoe", "cgc", "ple"])
def test_gates_start_with_equal_shares(sharing):
    by_layer = draw(make_spec(sharing))
    gates = {
        k: v for name in by_layer if name.startswith("mix_") for k, v in by_layer[name].items()
    }
    assert {"gate_kernel", "gate_bias"} <= gates.keys()
    assert not any(v.any() for v in gates.values())


def test_cross_stitch_units_start_near_the_identity():
    stitch = draw(make_spec("cross_stitch"))["stitch_0"]["stitch"]
    np.testing.assert_allclose(np.diag(stitch), 0.9)
    np.testing.assert_allclose(stitch.sum(axis=1), 1, rtol=1e-6)
    assert np.unique(stitch).size == 2
    assert draw(make_spec("cross_stitch", n_outputs=(2,), heads=()))["stitch_0"]["stitch"] == 1


@pytest.mark.parametrize("sharing", SHARING)
def test_experts_start_from_different_kernels_within_the_limits_of_their_own(sharing):
    kernel = draw(make_spec(sharing, (30, 20)))["trunk_1"]["kernel"]
    limit = 1 / np.sqrt(30)
    assert 0.95 * limit < np.abs(kernel).max() <= limit
    assert np.unique(kernel).size > 0.99 * kernel.size


@pytest.mark.parametrize("sharing", SHARING)
def test_untrained_network_predicts_the_class_frequencies_where_the_features_are_zero(sharing):
    spec = make_spec(sharing, activation="relu", heads=((), (3,), (3,)))
    frequencies = [np.array(f) for f in ([0.9, 0.1], [0.2, 0.3, 0.5], [0.4, 0.6])]
    model = build_network(spec)
    values = draw_initial_values(spec, frequencies, np.random.default_rng(0))
    for variable, value in zip(network_variables(model), values, strict=True):
        variable.assign(value)
    logits = np.asarray(model(np.zeros((1, N_FEATURES))))[0].astype(np.float64)
    shares = np.exp(logits[1:4]) / np.exp(logits[1:4]).sum()
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[[0, 4]])), [0.1, 0.6], rtol=1e-6)
    np.testing.assert_allclose(shares, frequencies[1], rtol=1e-6)


# ----------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize("sharing", SHARING)
def test_l2_adds_the_squares_of_every_kernel(sharing):
    model = make_network(make_spec(sharing, l2=0.01))
    kernels = [v.numpy() for v in model.trainable_variables if v.name.endswith("kernel")]
    expected = 0.01 * sum((k.astype(np.float64) ** 2).sum() for k in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("sharing", SHARING)
def test_network_is_built_again_from_its_json(sharing):
    model = make_network(make_spec(sharing, heads=((), (3,), ()), l2=0.01))
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    X = np.random.default_rng(0).normal(size=(5, N_FEATURES))
    np.testing.assert_array_equal(again(X), model(X))
    assert float(sum(again.losses)) == float(sum(model.losses))


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (ExpertMixture(2, 3, name="a"), [(None, 15), (None, 4)]),
        (
            ExpertMixture(2, 3, 2, gives_level=True, kernel_regularizer="l2"),
            [(None, 35), (None, 4)],
        ),
        (ExpertMixture(2, 3, 2, reads_mixtures=True), [(None, 35), (None, 28)]),
        (CrossStitch(3), (None, 6)),
        (TaskBlocks([2, 0], 3), (None, 6)),
    ],
    ids=["shared experts", "a level", "behind a level", "cross-stitch", "blocks"],
)
def test_layer_states_its_shape_and_round_trips_through_its_config(layer, shapes):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    several = isinstance(shapes, list)
    x = [np.ones((2, s[1]), "f4") for s in shapes] if several else np.ones((2, shapes[1]), "f4")
    assert layer.compute_output_shape(shapes) == (None, layer(x).shape[1])


def test_what_follows_a_layer_of_the_trunk():
    ple = make_spec("ple", (5, 4, 3))
    assert [mixing_after(ple, depth) for depth in range(3)] == [
        Mixing("mix_0", 3, 2, 2, reads_mixtures=False, gives_level=True),
        Mixing("mix_1", 3, 2, 2, reads_mixtures=True, gives_level=True),
        Mixing("mix_2", 3, 2, 2, reads_mixtures=True, gives_level=False),
    ]
    assert mixing_after(make_spec("mmoe"), 0) is None
    assert mixing_after(make_spec("cross_stitch"), 0) == Stitch("stitch_0", 3)
    assert mixing_after(NetworkSpec(4, (1, 1), (5,)), 0) is None


def test_widest_level_counts_all_experts_or_all_mixtures():
    assert widest_level(make_spec("mmoe", (7, 2))) == 3 * 7
    assert widest_level(make_spec("mmoe", (2,), n_outputs=(1,) * 9, heads=())) == 9 * 2
    assert widest_level(make_spec("ple", (5, 4))) == (2 + 3 * 2) * 5
