"""Tests of ensembles: members in one network are what members by themselves would be."""

import io
import pickle
import warnings
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from jobs import train
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier, load_model, save_model
from sk_mtl._data.dataset import Subset
from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.ensemble import MeanOfMembers, SharedDense, average_logits, member_model
from sk_mtl._model.initial_values import draw_initial_values
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict import forward
from sk_mtl._predict.forward import make_forward
from sk_mtl._train.loop import Job, draw_start
from sk_mtl._train.plan import TrainingParts, make_plan
from sk_mtl.weighting import FixedWeighting

# Keras hands variables to np.array, which NumPy 2 objects to.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

METHODS = ("shared", "independent")
N_MEMBERS = 3
N_OUTPUTS = (1, 3, 1)
FREQUENCIES = [np.array([0.7, 0.3]), np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.6])]


def make_table(n_rows=24, seed=0):
    """Return X and Y; the third task is labelled in one row of three."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5]), X[:, 2] > 0], axis=1)
    Y = Y.astype(float)
    Y[np.arange(n_rows) % 3 > 0, 2] = np.nan
    return X, Y


def make(method="shared", **params):
    settings = {"hidden_layer_sizes": (6,), "epochs": 2, "batch_size": 8, "random_state": 0}
    settings |= {"ensemble_size": N_MEMBERS, "ensemble_method": method}
    settings |= {"standardize": False, "dropout": 0.0}  # so that little stands beside the members
    return MultiTaskClassifier(**{**settings, **params})


def make_spec(method="shared", n_members=N_MEMBERS, **changes):
    settings = {
        "hidden_layer_sizes": (6, 5),
        "head_hidden_layer_sizes": ((4,), (), (4,)),
        "activation": "tanh",
        "ensemble_size": n_members,
        "ensemble_method": method if n_members > 1 else "shared",
    }
    return NetworkSpec(4, N_OUTPUTS, **{**settings, **changes})


def draw_values(spec, seed=0):
    """Return random values for everything, so that no scaling is 1."""
    rng = np.random.default_rng(seed)
    variables = network_variables(build_network(spec))
    return [
        np.asarray(v) if "seed" in v.path else rng.normal(size=v.shape).astype(np.float32)
        for v in variables
    ]


def values_by_name(spec, values):
    paths = ("/".join(v.path.split("/")[-2:]) for v in network_variables(build_network(spec)))
    return dict(zip(paths, values, strict=True))


def fill(model, values):
    for variable, value in zip(network_variables(model), values, strict=True):
        variable.assign(value)
    return model


def split_members(spec, values):
    """Return the values of each member of independent ones, as those of a network of its own."""
    alone = make_spec(n_members=1)
    shapes = [tuple(v.shape) for v in network_variables(build_network(alone))]
    members = [[] for _ in range(spec.ensemble_size)]
    for value, shape in zip(values, shapes, strict=True):
        # Members come first in columns, in kernels of several and in their biases.
        parts = (
            np.split(value, spec.ensemble_size, axis=-1)
            if value.ndim < 3 and value.shape[:-1] == shape[:-1]
            else np.split(value, spec.ensemble_size, axis=0)
        )
        for member, part in zip(members, parts, strict=True):
            member.append(part.reshape(shape))
    return alone, members


def task_probabilities(logits):
    p = expit(logits[:, [0, 4]].astype(np.float64))
    three = softmax(logits[:, 1:4].astype(np.float64), axis=1)
    return [np.stack([1 - p[:, 0], p[:, 0]], axis=1), three, np.stack([1 - p[:, 1], p[:, 1]], 1)]


def compute_shared(named, x, name, member):
    """Return what a layer with a common kernel gives for a member, by the equation."""
    r, s, b = (named[f"{name}/{kind}"][member] for kind in ("input_scale", "output_scale", "bias"))
    (kernel,) = named[f"{name}/kernel"]
    return (x * r) @ kernel * s + b


# ------------------------------------------------------------------------------------ the law


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "jit"), [("sgd", False), ("adam", True)])
def test_independent_members_train_as_networks_alone(optimizer, jit):
    spec = make_spec("independent", l2=0.01)
    values = draw_values(spec)
    alone, members = split_members(spec, values)
    X, Y = make_table()
    known = ~np.isnan(Y)
    codes = np.where(known, Y, 0).astype(np.int32)
    rows = Subset(X, codes, known.astype(np.float32), np.arange(len(X)))

    def train_from(spec, values, jit):
        built = keras.optimizers.get({"class_name": optimizer, "config": {}})
        plan = make_plan(
            spec,
            TrainingParts(built, FixedWeighting()),
            task_names=("a", "b", "c"),
            loss_normalization="tasks",
            epochs=4,
            batch_size=10,
            seed=3,
            jit_compile=jit,
        )
        start = draw_start(spec, plan.parts.weighting, FREQUENCIES, 0)
        start.network[:] = values
        return train(Job(plan, start, rows))

    together = train_from(spec, values, jit)
    each = [train_from(replace(alone, l2=0.01), member, jit=False) for member in members]

    _, trained = split_members(spec, together.state.network)
    for member, outcome in zip(trained, each, strict=True):
        for value, expected in zip(member, outcome.state.network, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=2e-5)
    for name, series in together.history.items():
        mean = np.mean([outcome.history[name] for outcome in each], axis=0)
        np.testing.assert_allclose(series, mean, rtol=1e-5, err_msg=name)


def test_independent_members_predict_the_mean_of_networks_alone():
    spec = make_spec("independent")
    values = draw_values(spec)
    alone, members = split_members(spec, values)
    X, _ = make_table()
    found = make_forward(spec, values).probabilities(X)
    each = [make_forward(alone, member).probabilities(X) for member in members]
    for task, p in enumerate(found):
        expected = np.mean([one[task] for one in each], axis=0)
        np.testing.assert_allclose(p, expected, rtol=1e-5, atol=1e-6)


def test_members_with_shared_kernels_follow_the_equation():
    spec = make_spec("shared")
    values = draw_values(spec)
    named = values_by_name(spec, values)
    X, _ = make_table()
    by_member = []
    for k in range(N_MEMBERS):
        trunk = np.tanh(compute_shared(named, X, "trunk_0", k))
        trunk = np.tanh(compute_shared(named, trunk, "trunk_1", k))
        heads = np.tanh(compute_shared(named, trunk, "heads_0_0", k))  # of tasks 0 and 2
        kernel, bias = (named[f"heads_0_logits/{kind}"] for kind in ("kernel", "bias"))
        first, last = (
            heads[:, 4 * h : 4 * h + 4] @ kernel[2 * k + h] + bias[2 * k + h] for h in range(2)
        )
        kernel, bias = (named[f"heads_1_logits/{kind}"][k] for kind in ("kernel", "bias"))
        by_member.append(task_probabilities(np.hstack([first, trunk @ kernel + bias, last])))

    found = make_forward(spec, values).probabilities(X)
    spread = make_forward(spec, values).spread(X)

    for task in range(3):
        each = [p[task] for p in by_member]
        np.testing.assert_allclose(found[task], np.mean(each, axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(spread[task], np.std(each, axis=0), rtol=1e-3, atol=1e-5)


def test_shared_heads_of_two_layers_are_those_of_separate_heads():
    n_heads, n_in, units = 2, 3, 2
    layer = SharedDense(units, N_MEMBERS, n_heads)
    x = np.random.default_rng(0).normal(size=(5, N_MEMBERS * n_heads * n_in)).astype(np.float32)
    layer.build(x.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=v.shape) for v in layer.weights])
    kernel, r, s, b = (np.asarray(v) for v in layer.weights)
    found = np.asarray(layer(x)).reshape(5, N_MEMBERS, n_heads, units)
    blocks = x.reshape(5, N_MEMBERS, n_heads, n_in)
    r, s, b = (a.reshape(N_MEMBERS, n_heads, -1) for a in (r, s, b))
    for k in range(N_MEMBERS):
        for h in range(n_heads):
            expected = (blocks[:, k, h] * r[k, h]) @ kernel[h] * s[k, h] + b[k, h]
            np.testing.assert_allclose(found[:, k, h], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_order_of_members_changes_nothing(method):
    spec = make_spec(method, hidden_layer_sizes=(6,), head_hidden_layer_sizes=((),) * 3)
    values = draw_values(spec)
    order = [2, 0, 1]

    def reorder(name, value):
        if name.endswith("kernel") and "trunk" in name:
            if method == "shared":
                return value
            return np.hstack([np.split(value, N_MEMBERS, axis=1)[k] for k in order])
        if value.ndim == 1:
            return np.hstack([np.split(value, N_MEMBERS)[k] for k in order])
        return value[order]

    other = [reorder(name, value) for name, value in values_by_name(spec, values).items()]
    X, _ = make_table()
    for a, b in zip(
        make_forward(spec, values).probabilities(X),
        make_forward(spec, other).probabilities(X),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "jit"), [("shared", True), ("independent", False)])
def test_what_lies_under_the_mask_changes_no_bit(method, jit):
    X, Y = make_table()
    other = np.where(np.isnan(Y), -1, Y)
    settings = {"jit_compile": jit, "dropout": 0.3, "head_hidden_layer_sizes": (3,)}
    first = make(method, **settings).fit(X, Y)
    second = make(method, missing_label=-1, **settings).fit(X, other)
    for a, b in zip(
        first._fitted.network.state.network, second._fitted.network.state.network, strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_weights_are_those_without_xla_but_for_rounding():
    X, Y = make_table()
    settings = {"l2": 0.01, "task_weighting": "uncertainty", "head_hidden_layer_sizes": (3,)}
    compiled, plain = (make(jit_compile=j, **settings).fit(X, Y) for j in (True, False))
    for a, b in zip(
        compiled._fitted.network.state.network, plain._fitted.network.state.network, strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_one_member_is_the_network_without_an_ensemble_bit_for_bit():
    X, Y = make_table()
    settings = {"epochs": 2, "batch_size": 8, "standardize": False, "random_state": 0}
    plain = MultiTaskClassifier((6,), dropout=0.2, **settings).fit(X, Y)
    one = make("shared", ensemble_size=1, dropout=0.2).fit(X, Y)
    assert one._fitted.network.spec == plain._fitted.network.spec
    for a, b in zip(one.model_.get_weights(), plain.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------------------------ training


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jit", "dropout"), [(False, 0.0), (False, 0.5), (True, 0.5)], ids=["none", "plain", "xla"]
)
def test_members_that_start_equal_part_by_dropout_alone(jit, dropout):
    X, Y = make_table()
    settings = {"jit_compile": jit, "warm_start": True, "optimizer": "sgd", "epochs": 1}
    clf = make("independent", dropout=dropout, **settings).fit(X, Y)
    for value in clf._fitted.network.state.network:
        if value.dtype == np.float32:
            axis = 0 if value.ndim == 3 else -1
            first = np.split(value, N_MEMBERS, axis=axis)[0]
            value[...] = np.concatenate([first] * N_MEMBERS, axis=axis)
    spread = clf.fit(X, Y).predict_std(X)[0].max()
    assert (spread > 1e-4) == (dropout > 0)


@pytest.mark.slow
def test_watched_loss_is_that_of_the_mean_probabilities():
    X, Y = make_table(60)
    clf = make(early_stopping=True).fit(X[:40], Y[:40], validation_data=(X[40:], Y[40:]))
    p = clf.predict_proba(X[40:])
    for task, name in enumerate(clf.task_names_):
        known = ~np.isnan(Y[40:, task])
        truth = Y[40:, task][known].astype(int)
        expected = -np.log(p[task][known, truth]).mean()
        series = clf.history_[f"val_{name}_loss"]
        assert series[clf.best_iter_ - 1] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_training_loss_is_the_mean_of_the_losses_of_members():
    X, Y = make_table()
    frozen = {"optimizer": "sgd", "optimizer__learning_rate": 0.0, "epochs": 1}
    clf = make("independent", batch_size=24, **frozen).fit(X, Y)
    each = []
    for k in range(N_MEMBERS):
        trunk, head = clf.model_.get_layer("trunk_0"), clf.model_.get_layer("heads_0_logits")
        columns = slice(6 * k, 6 * k + 6)
        hidden = np.maximum(X @ trunk.kernel.numpy()[:, columns] + trunk.bias.numpy()[columns], 0)
        two = hidden @ head.kernel.numpy()[k] + head.bias.numpy()[k]
        p = expit(two[:, 0])
        each.append(-np.log(np.where(Y[:, 0] > 0, p, 1 - p)).mean())
    assert clf.history_["y0_loss"][0] == pytest.approx(np.mean(each), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_untrained_members_predict_the_class_frequencies_where_the_features_are_zero(method):
    spec = make_spec(method)
    values = draw_initial_values(spec, FREQUENCIES, np.random.default_rng(0))
    X = np.zeros((1, 4), np.float32)
    for p, expected in zip(make_forward(spec, values).probabilities(X), FREQUENCIES, strict=True):
        np.testing.assert_allclose(p[0], expected, rtol=1e-5)
    for spread in make_forward(spec, values).spread(X):
        np.testing.assert_allclose(spread, 0, atol=1e-6)


def test_scalings_start_from_signs_at_the_features_and_from_one_elsewhere():
    spec = make_spec("shared", hidden_layer_sizes=(6, 5))
    values = draw_initial_values(spec, FREQUENCIES, np.random.default_rng(0))
    for name, value in values_by_name(spec, values).items():
        if name == "trunk_0/input_scale":
            np.testing.assert_array_equal(np.unique(value), [-1, 1])
        elif name.endswith("scale"):
            np.testing.assert_array_equal(value, 1)


@pytest.mark.parametrize("method", METHODS)
def test_kernels_are_drawn_within_the_limits_of_one_member_and_head(method):
    spec = NetworkSpec(4, (1,) * 20, (6,), ((5, 3),) * 20, ensemble_size=4, ensemble_method=method)
    values = draw_initial_values(spec, [np.full(2, 0.5)] * 20, np.random.default_rng(0))
    n_in = {"trunk_0": 4, "heads_0_0": 6, "heads_0_1": 5, "heads_0_logits": 3}
    named = values_by_name(spec, values)
    for name, n in n_in.items():
        limit, largest = 1 / np.sqrt(n), np.abs(named[f"{name}/kernel"]).max()
        assert 0.7 * limit < largest <= limit


@pytest.mark.slow
def test_weight_decay_acts_on_kernels_alone():
    X, Y = make_table()
    settings = {"optimizer": "adamw", "optimizer__learning_rate": 1e-12, "epochs": 1}
    settings["ema_momentum"] = 0
    clf = make(optimizer__weight_decay=1e11, batch_size=24, **settings).fit(X, Y)
    named = values_by_name(clf._fitted.network.spec, clf._fitted.network.state.network)
    start = make(optimizer__weight_decay=0.0, batch_size=24, **settings).fit(X, Y)
    for name, before in values_by_name(
        start._fitted.network.spec, start._fitted.network.state.network
    ).items():
        if name.endswith("kernel"):
            np.testing.assert_allclose(named[name], 0.9 * before, rtol=1e-3, atol=1e-6)
        else:
            np.testing.assert_allclose(named[name], before, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("shared", {"normalization": "batch", "head_hidden_layer_sizes": (3, 2)}),
        ("shared", {"hidden_layer_sizes": (), "head_hidden_layer_sizes": (3,)}),
        ("independent", {"normalization": "layer", "head_hidden_layer_sizes": {"y1": (3,)}}),
        ("independent", {"hidden_layer_sizes": (), "loss_normalization": "cells"}),
    ],
    ids=["batch_norm", "no_trunk", "layer_norm", "linear"],
)
def test_every_kind_of_network_is_learned_by_members(method, params):
    X, Y = make_table()
    clf = make(method, optimizer__learning_rate=0.01, **{"epochs": 6, **params}).fit(X, Y)
    assert clf.history_["loss"][-1] < clf.history_["loss"][0]
    assert clf.model_.output_shape == (None, 5)
    for p, spread in zip(clf.predict_proba(X), clf.predict_std(X), strict=True):
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        assert (spread > 0).all()


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_members_do_not_see_each_other(normalization):
    spec = make_spec("independent", normalization=normalization, activation="softmax")
    model = fill(build_network(spec), [np.abs(v) for v in draw_values(spec)])
    members = member_model(model)
    X, _ = make_table()
    before = np.asarray(members(X))
    layer = model.get_layer("trunk_0")
    kernel = layer.kernel.numpy()
    kernel[:, 6:12] += 1  # of the second
    layer.kernel.assign(kernel)
    after = np.asarray(members(X))
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]], rtol=1e-6)
    assert (after[:, 1] != before[:, 1]).any()


@pytest.mark.slow
def test_training_goes_on():
    X, Y = make_table()
    classes = [[0, 1], [0, 1, 2], [0, 1]]
    whole = make(dropout=0.3, jit_compile=False).fit(X, Y)
    step = make(dropout=0.3, jit_compile=False, classes=classes)
    for _ in range(2):
        step.partial_fit(X, Y)
    for a, b in zip(
        whole._fitted.network.state.network, step._fitted.network.state.network, strict=True
    ):
        np.testing.assert_array_equal(a, b)
    again = make(warm_start=True).fit(X, Y).fit(X, Y)
    assert again.n_iter_ == 4
    with pytest.raises(ValueError, match="parameters have changed"):
        again.set_params(ensemble_size=2).fit(X, Y)


# ---------------------------------------------------------------------------------- predicting


@pytest.fixture(scope="module")
def fitted():
    X, Y = make_table()
    return make(hidden_layer_sizes=(8,)).fit(X, pd.DataFrame(Y, columns=["a", "b", "c"]))


@pytest.mark.slow
def test_logits_of_the_model_are_those_of_the_mean_probabilities(fitted):
    X, _ = make_table()
    found = task_probabilities(np.asarray(fitted.model_(X)))
    for a, b in zip(found, fitted.predict_proba(X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1e-3, 1, 40, np.inf])
def test_mean_is_right_however_large_the_logits(size):
    logits = np.random.default_rng(0).normal(size=(50, N_MEMBERS, 5)) * min(size, 1e30)
    logits = np.where(np.abs(logits) > 1e28, np.sign(logits) * size, logits).astype(np.float32)
    found = task_probabilities(np.clip(np.asarray(average_logits(logits, N_OUTPUTS)), -1e30, 1e30))
    finite = np.clip(logits, -1e30, 1e30)
    each = [task_probabilities(finite[:, k]) for k in range(N_MEMBERS)]
    for task, p in enumerate(found):
        expected = np.mean([one[task] for one in each], axis=0)
        np.testing.assert_allclose(p, expected, rtol=1e-4, atol=1e-6)


def test_spread_has_the_form_of_the_probabilities(fitted):
    X, Y = make_table()
    spread = fitted.predict_std(X)
    assert spread["b"].shape == (24, 3)
    assert spread["b"].dtype == np.float32
    np.testing.assert_allclose(spread["a"][:, 0], spread["a"][:, 1], rtol=1e-4)
    assert make(epochs=1).fit(X, Y[:, 1]).predict_std(X).shape == (24, 3)


def test_spread_of_a_task_that_is_not_learned():
    X, Y = make_table()
    Y[:, 0], Y[:, 2] = 1, np.nan
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of both tasks
        clf = make().fit(X, Y)
    spread = clf.predict_std(X)
    np.testing.assert_array_equal(spread[0], np.zeros((24, 1)))
    assert spread[1].min() > 0
    assert np.isnan(spread[2]).all()


def test_spread_needs_members():
    X, Y = make_table()
    with pytest.raises(ValueError, match=r"ensemble_size=1\. Fit it with ensemble_size=8"):
        make(ensemble_size=1).fit(X, Y).predict_std(X)


def test_rows_of_a_batch_are_fewer_the_more_members(fitted, monkeypatch):
    X, _ = make_table()
    expected, spread = fitted.predict_proba(X), fitted.predict_std(X)
    seen = []
    original = forward.fill_tiles

    def noting(*args):
        seen.append(args[0].shape[0])
        original(*args)

    monkeypatch.setattr(forward, "_BATCH_CELLS", 24 * 16)
    monkeypatch.setattr(forward, "fill_tiles", noting)
    for a, b in zip(fitted.predict_proba(X), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert sorted(seen) == [8, 16]
    for a, b in zip(fitted.predict_std(sp.csr_matrix(X)), spread, strict=True):
        np.testing.assert_array_equal(a, b)


def test_view_of_a_task_has_the_mean_probabilities(fitted):
    X, _ = make_table()
    view = fitted.task_view("b")
    np.testing.assert_allclose(view.predict_proba(X), fitted.predict_proba(X)["b"], rtol=2e-7)


# --------------------------------------------------------------------------- keeping, and errors


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_ensemble_is_pickled_and_saved(method):
    X, Y = make_table()
    clf = make(method, head_hidden_layer_sizes=(3,), dropout=0.1, normalization="layer").fit(X, Y)
    file = io.BytesIO()
    save_model(clf, file)
    file.seek(0)
    for again in (pickle.loads(pickle.dumps(clf)), load_model(file)):
        for name in ("predict_proba", "predict_std"):
            for a, b in zip(getattr(again, name)(X), getattr(clf, name)(X), strict=True):
                np.testing.assert_array_equal(a, b)
    assert again.partial_fit(X, Y).n_iter_ == 3


@pytest.mark.parametrize("method", METHODS)
def test_network_is_saved_and_loaded_as_a_keras_file(method, tmp_path):
    spec = make_spec(method, head_hidden_layer_sizes=((3, 2), (), (3, 2)), l2=0.01)
    X, _ = make_table()
    model = fill(build_network(spec), draw_values(spec))
    model.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(np.asarray(again(X)), np.asarray(model(X)))


@pytest.mark.parametrize(
    "layer",
    [
        SharedDense(3, 2, 4, kernel_regularizer="l2", name="a"),
        SharedDense(3, 2, reads_same=True, name="b"),
        MeanOfMembers([1, 3], name="c"),
    ],
    ids=["SharedDense", "SharedDense_first", "MeanOfMembers"],
)
def test_layer_round_trips_through_its_config(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


@pytest.mark.slow_except("shared")
@pytest.mark.parametrize("method", METHODS)
def test_summary_tells_of_members(method):
    X, Y = make_table()
    summary = make(method, epochs=1).fit(X, Y).summary()
    assert summary.ensemble == (N_MEMBERS, method)
    assert "3 members with " in str(summary)
    hidden = 4 * 6 + N_MEMBERS * (4 + 6 + 6) if method == "shared" else N_MEMBERS * (4 * 6 + 6)
    assert summary.n_parameters == hidden + N_MEMBERS * (6 * 5 + 5)


def test_ensemble_goes_through_a_pipeline_and_a_clone():
    X, Y = make_table()
    model = clone(make_pipeline(StandardScaler(), make())).fit(X, Y)
    spread = model[-1].predict_std(model[:-1].transform(X))
    assert spread[0].shape == (24, 2)


def test_model_of_ones_own_is_refused():
    X, Y = make_table()
    trunk = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"ensemble_size=3 needs .* Set ensemble_size=1"):
        make(hidden_layer_sizes=(256,), model=trunk).fit(X, Y)


@pytest.mark.parametrize("params", [{"ensemble_size": 0}, {"ensemble_method": "bagging"}])
def test_parameter_that_means_nothing_is_refused(params):
    X, Y = make_table()
    with pytest.raises(ValueError, match=next(iter(params))):
        make(**params).fit(X, Y)


# -- With the rest -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_ensemble_goes_with_calibration_epochs_of_tasks_and_losses_for_rare_classes(method):
    X, Y = make_table(240)
    clf = make(
        method,
        loss="focal",
        logit_adjustment=0.5,
        batching="label_aware",
        early_stopping=True,
        validation_fraction=0.3,
        restore_best="per_task",
        calibrate=True,
        optimizer__learning_rate=0.1,
        optimizer__epsilon=1e-7,
        batch_size=32,
        epochs=30,
    ).fit(X, Y)
    assert len(set(clf.best_iters_)) > 1
    assert (clf.temperatures_ != 1).all()
    expected = task_probabilities(np.asarray(clf.model_(X)))
    for found, by_model, spread in zip(
        clf.predict_proba(X), expected, clf.predict_std(X), strict=True
    ):
        np.testing.assert_allclose(found, by_model, atol=1e-6)
        assert (spread > 0).any()
