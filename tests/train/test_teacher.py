"""Tests of learning from cells without a label: sk_mtl._train.teacher."""

import copy
import io
import itertools
import json
import pickle
from collections import OrderedDict

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from sk_mtl import (
    MultiTaskClassifier,
    load_model,
    save_model,
)
from sk_mtl._codec.container import pack, unpack
from sk_mtl._data.dataset import encode_dataset
from sk_mtl._data.labels import read_labels
from sk_mtl._fit.splits import split_validation
from sk_mtl._train import program_cache as _program_cache
from sk_mtl._train.program import TrainingProgram
from sk_mtl._train.teacher import ramp_up, replace_features
from sk_mtl.losses._tasks import task_disagreement

SLOW = pytest.mark.slow
COMPILE = TrainingProgram._compile
RAMP = np.exp(-5 * 0.9**2)  # of the first epoch


def make_table(n_rows=60, seed=0, coverage=0.3):
    """Return X, and labels of a binary task and one of three classes; half of the rows have any."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])], axis=1).astype(float)
    Y[rng.random(Y.shape) > coverage] = np.nan
    return X, Y


X, Y = make_table()
HAS_LABEL = ~np.isnan(Y).all(axis=1)
X_NEW = make_table(50, seed=1)[0]
WAYS = {
    "soft": {"unlabelled": "pseudo_labels"},
    "threshold": {"unlabelled": "pseudo_labels", "pseudo_label_threshold": 0.5},
    "consistency": {"unlabelled": "consistency"},
}


def make(**params):
    settings = {"hidden_layer_sizes": (6,), "epochs": 2, "batch_size": 20, "random_state": 0}
    return MultiTaskClassifier(**{**settings, "optimizer__learning_rate": 0.02, **params})


def bits_of(clf):
    state = clf._fitted.network.state
    return [a.tobytes() for a in (*state.network, *state.weighting.values(), *state.optimizer)]


def bits_with_teacher(clf):
    teacher = clf._fitted.network.state.teacher
    return [*bits_of(clf), *(a.tobytes() for a in teacher.network), teacher.n_steps]


@pytest.fixture(autouse=True, scope="module")
def uncompiled():
    """Run programs step by step: to trace each one takes most of a tiny fit's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingProgram, "_compile", lambda program, function, *others: function)
        patch.setattr(_program_cache, "_idle_programs", OrderedDict())
        yield


@pytest.fixture
def compiled():
    """Compile programs, as users have them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingProgram, "_compile", COMPILE)
        patch.setattr(_program_cache, "_idle_programs", OrderedDict())
        yield


@pytest.fixture(scope="module")
def masked():
    return make().fit(X, Y)


# ---------------------------------------------------------------------------------- the loss


def reference_disagreement(logits, teacher_logits, weight, n_outputs, threshold):
    """Return the sums by task, cell by cell, in float64."""
    sums, start = np.zeros(len(n_outputs)), 0
    for t, width in enumerate(n_outputs):
        columns = slice(start, start + width)
        start += width
        for own, other, w in zip(logits[:, columns], teacher_logits, weight[:, t], strict=True):
            if w == 0:
                continue
            z, other = own.astype(float), other[columns].astype(float)
            if width == 1:
                z, other = np.r_[0, z], np.r_[0, other]
            q = np.exp(other) / np.exp(other).sum()
            if threshold is not None:
                q = (np.arange(len(q)) == q.argmax()) * (q.max() >= threshold)
            sums[t] -= w * (q * (z - np.log(np.exp(z).sum()))).sum()
    return sums


@pytest.mark.parametrize("threshold", [None, 0.7], ids=["soft", "threshold"])
@pytest.mark.parametrize("n_outputs", [(1, 3, 1, 2), (1, 1), (4,)])
def test_disagreement_is_the_cross_entropy_of_the_teacher(n_outputs, threshold):
    rng = np.random.default_rng(0)
    shape = (20, sum(n_outputs))
    logits, teacher_logits = (rng.normal(0, 2, shape).astype(np.float32) for _ in range(2))
    weight = rng.uniform(0, 2, (20, len(n_outputs))).astype(np.float32)
    weight[rng.random(weight.shape) < 0.4] = 0
    sums, weights = task_disagreement(logits, teacher_logits, weight, n_outputs, threshold)
    expected = reference_disagreement(logits, teacher_logits, weight, n_outputs, threshold)
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    np.testing.assert_allclose(weights, weight.sum(axis=0), rtol=1e-6)


def test_disagreement_of_members_is_the_mean_of_theirs():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(10, 3, 4)).astype(np.float32)
    teacher_logits, weight = rng.normal(size=(10, 4)), rng.random((10, 2))
    teacher_logits, weight = (a.astype(np.float32) for a in (teacher_logits, weight))
    sums, weights = task_disagreement(logits, teacher_logits, weight, (1, 3))
    of_members = [
        task_disagreement(logits[:, k], teacher_logits, weight, (1, 3))[0] for k in range(3)
    ]
    np.testing.assert_allclose(sums, np.mean(of_members, axis=0), rtol=1e-5)
    np.testing.assert_allclose(weights, weight.sum(axis=0), rtol=1e-6)


def test_disagreement_does_not_read_what_has_no_weight():
    logits = np.array([[np.nan, np.inf, 0, 0], [1, 0, 0, 0]], np.float32)
    weight = np.array([[0, 0], [1, 0]], np.float32)
    sums, _ = task_disagreement(logits, logits[::-1], weight, (1, 3), 0.5)
    assert np.isfinite(sums.numpy()[1])
    assert sums.numpy()[1] == 0


def test_replaced_features_are_those_of_the_next_row():
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    numbers = np.zeros((4, 3), np.float32)
    numbers[:, 1] = 0.5  # not below one half
    replaced = replace_features(rows, numbers, 0.5).numpy()
    np.testing.assert_array_equal(replaced[:, 1], rows[:, 1])
    np.testing.assert_array_equal(replaced[:, [0, 2]], np.roll(rows, -1, axis=0)[:, [0, 2]])


# ------------------------------------------------------------------- beside the labelled cells


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_unlabelled_cells_change_the_network_in_the_same_way_every_time(masked, way):
    clf = make(**way).fit(X, Y)
    assert bits_of(clf) != bits_of(masked)
    make(**way, random_state=1).fit(X, Y)  # by the same program
    assert bits_with_teacher(make(**way).fit(X, Y)) == bits_with_teacher(clf)


@pytest.mark.parametrize(
    ("jit_compile", "weighting"),
    [(False, "uncertainty"), (False, "equal"), pytest.param(True, "equal", marks=SLOW)],
)
def test_labelled_cells_have_exactly_the_loss_that_they_have_without(jit_compile, weighting):
    settings = {"epochs": 1, "batch_size": 60, "jit_compile": jit_compile, "dropout": 0.4}
    settings |= {"task_weighting": weighting, "normalization": "layer"}
    plain = make(**settings).fit(X, Y).history_
    more = make(**settings, unlabelled="consistency", unlabelled_weight=2.0).fit(X, Y).history_
    for name in ("loss", "y0_loss", "y1_loss"):
        assert more[name] == plain[name]
    added = 2 * RAMP * more["unlabelled_objective"][0]
    assert more["objective"][0] == pytest.approx(plain["objective"][0] + added, rel=1e-6)


def test_weight_rises_over_the_first_epochs():
    settings = {"unlabelled": "pseudo_labels", "unlabelled_weight": 3.0, "epochs": 4}
    settings |= {"batch_size": 60, "task_weighting": {0: 2.0}, "loss_normalization": "tasks"}
    history = make(**settings).fit(X, Y).history_
    labelled = 2 * np.array(history["y0_loss"]) + history["y1_loss"]
    added = np.array(history["objective"]) - labelled
    expected = [3 * ramp_up(n) * u for n, u in enumerate(history["unlabelled_objective"], start=1)]
    np.testing.assert_allclose(added, expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_complete_labels_give_what_they_give_without(way):
    complete = np.nan_to_num(Y)
    clf = make(**way).fit(X, complete)
    assert bits_of(clf) == bits_of(make().fit(X, complete))
    assert clf.history_["unlabelled_objective"] == [0.0] * 2


def test_cells_of_which_the_teacher_is_not_sure_change_nothing(masked):
    clf = make(unlabelled="pseudo_labels", pseudo_label_threshold=0.999).fit(X, Y)
    assert bits_of(clf) == bits_of(masked)


def test_weights_of_tasks_are_learned_from_labels_alone():
    settings = {"task_weighting": "uncertainty", "epochs": 1, "batch_size": 60}
    settings |= {"optimizer": "sgd"}
    plain = make(**settings).fit(X, Y)
    more = make(**settings, unlabelled="pseudo_labels", unlabelled_weight=50.0).fit(X, Y)
    np.testing.assert_array_equal(more.task_weights_, plain.task_weights_)
    assert bits_of(more) != bits_of(plain)


@pytest.mark.slow
def test_task_of_weight_0_is_not_taught():
    settings = {"task_weighting": {"y1": 0.0}, "unlabelled": "pseudo_labels", "optimizer": "sgd"}
    clf = make(**settings, hidden_layer_sizes=()).fit(X, Y)
    start = make(**settings, hidden_layer_sizes=(), optimizer__learning_rate=1e-30).fit(X, Y)
    np.testing.assert_array_equal(*(c.predict_proba(X_NEW)["y1"] for c in (clf, start)))


@pytest.mark.slow
def test_consistency_without_noise_is_pseudo_labels():
    clf = make(unlabelled="consistency", input_noise=0.0).fit(X, Y)
    assert bits_with_teacher(clf) == bits_with_teacher(make(unlabelled="pseudo_labels").fit(X, Y))


# ----------------------------------------------------------------------------- the teacher


def test_teacher_is_the_mean_of_the_weights_after_the_first_steps():
    clf, seen = (
        make(
            unlabelled="pseudo_labels",
            normalization="batch",
            batch_size=60,
            ema_momentum=0,
            numeric_embedding=None,
        ),
        [],
    )
    for _ in range(3):
        clf.partial_fit(X, Y, classes=[[0, 1], [0, 1, 2]])
        seen.append(clf._fitted.network.state.network)
    teacher = clf._fitted.network.state.teacher
    assert teacher.n_steps == 3
    n_trainable = len(clf.model_.trainable_variables)
    pairs = zip(teacher.network, *seen, strict=True)
    for of_teacher, *values in itertools.islice(pairs, n_trainable):
        np.testing.assert_allclose(of_teacher, np.mean(values, axis=0), rtol=1e-4, atol=1e-6)
    moments = [
        pair
        for pair in zip(teacher.network[n_trainable:], seen[-1][n_trainable:], strict=True)
        if pair[0].dtype == np.float32
    ]
    assert len(moments) == 4  # two of the standardised input, two of the hidden layer
    for of_teacher, last in moments:
        np.testing.assert_array_equal(of_teacher, last)


@pytest.mark.slow
def test_teacher_without_momentum_is_the_network():
    state = (
        make(unlabelled="consistency", teacher_momentum=0.0, ema_momentum=0)
        .fit(X, Y)
        ._fitted.network.state
    )
    for own, other in zip(state.teacher.network, state.network, strict=True):
        if own.dtype == np.float32:
            np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_warm_start_starts_a_teacher_afresh_and_partial_fit_goes_on_with_it():
    clf = make(unlabelled="pseudo_labels", warm_start=True).fit(X, Y)
    steps = clf._fitted.network.state.teacher.n_steps
    assert steps == 2 * -(-HAS_LABEL.sum() // 20)
    assert clf.fit(X, Y)._fitted.network.state.teacher.n_steps == steps
    assert clf.partial_fit(X, Y)._fitted.network.state.teacher.n_steps == steps + steps // 2


@pytest.mark.slow
def test_stream_may_begin_and_end_to_learn_from_unlabelled_cells():
    clf = make().partial_fit(X, Y, classes=[[0, 1], [0, 1, 2]])
    clf.set_params(unlabelled="pseudo_labels").partial_fit(X, Y)
    assert np.isnan(clf.history_["unlabelled_objective"][0])
    assert clf.history_["unlabelled_objective"][1] > 0
    clf.set_params(unlabelled=None).partial_fit(X, Y)
    assert clf._fitted.network.state.teacher is None
    assert np.isnan(clf.history_["unlabelled_objective"][2])


def test_piece_of_a_stream_without_labels_trains_nothing():
    clf = make(unlabelled="pseudo_labels").partial_fit(X, Y, classes=[[0, 1], [0, 1, 2]])
    before = bits_with_teacher(clf)
    assert bits_with_teacher(clf.partial_fit(X, np.full(Y.shape, np.nan))) == before


# --------------------------------------------------------------------------- which cells count


@pytest.mark.slow
def test_rows_held_out_are_not_learned_from():
    settings = {"early_stopping": True, "validation_fraction": 0.3, "unlabelled": "consistency"}
    clf = make(**settings).fit(X, Y)
    problem = encode_dataset(X, read_labels(Y), None, None, learns_unlabelled=True)
    training, watched = split_validation(problem, 0.3, clf._fitted.seed)
    rows = problem.unlabelled_subset(training, watched).rows
    has_hole = np.isnan(Y).any(axis=1)
    assert np.isnan(Y[watched.rows]).any()
    assert set(rows) == set(np.flatnonzero(has_hole)) - set(watched.rows)
    # By the whole way, too: their features do not matter to what is trained, those of others do.
    others = X.copy()
    others[watched.rows] += 1
    assert bits_of_training(make(**settings).fit(others, Y)) == bits_of_training(clf)
    others = X.copy()
    others[~HAS_LABEL] += 1
    assert bits_of_training(make(**settings).fit(others, Y)) != bits_of_training(clf)


def bits_of_training(clf):
    return clf.history_["loss"], clf.history_["unlabelled_objective"]


@pytest.mark.slow
def test_validation_data_are_not_learned_from():
    held = make_table(seed=3)
    settings = {"unlabelled": "pseudo_labels", "early_stopping": True}
    first, second = (
        make(**settings).fit(X, Y, validation_data=(held[0] + shift, held[1])) for shift in (0, 1)
    )
    assert bits_of_training(first) == bits_of_training(second)


@pytest.mark.slow
def test_refit_learns_from_the_rows_that_were_held_out():
    settings = {"unlabelled": "pseudo_labels", "batch_size": 10}
    clf = make(**settings, early_stopping=True, refit=True).fit(X, Y)
    again = make(**settings, epochs=clf.best_iter_).fit(X, Y)
    for own, other in zip(
        clf._fitted.network.state.network, again._fitted.network.state.network, strict=True
    ):
        np.testing.assert_array_equal(own, other)


@pytest.mark.slow
def test_weight_of_0_leaves_cells_out(masked):
    nowhere = (~np.isnan(Y)).astype(float)
    clf = make(unlabelled="pseudo_labels").fit(X, Y, sample_weight=nowhere)
    assert bits_of(clf) == bits_of(masked)
    weight = np.ones(len(X))
    weight[~HAS_LABEL] = np.arange((~HAS_LABEL).sum()) % 2
    kept = weight > 0
    clf = make(unlabelled="consistency").fit(X, Y, sample_weight=weight)
    assert bits_of(clf) == bits_of(make(unlabelled="consistency").fit(X[kept], Y[kept]))


@pytest.mark.slow
def test_weights_of_missing_cells_count_in_proportion():
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 2, size=Y.shape)
    clf = make(unlabelled="pseudo_labels").fit(X, Y, sample_weight=weight)
    scaled = make(unlabelled="pseudo_labels").fit(X, Y, sample_weight=weight * 2.0**80)
    other = np.where(np.isnan(Y), 1, weight)
    assert bits_of(scaled) == bits_of(clf)
    assert bits_of(make(unlabelled="pseudo_labels").fit(X, Y, sample_weight=other)) != bits_of(clf)


def test_class_weights_are_of_labelled_cells():
    problem = encode_dataset(X, read_labels(Y), None, {"y1": {0: 7.0}}, learns_unlabelled=True)
    training = problem.subset(problem.rows, problem.class_factors(problem.rows))
    assert training.weight.max() == 7
    np.testing.assert_array_equal(problem.unlabelled_subset(training, None).weight, np.isnan(Y))


def test_task_without_labels_and_task_of_one_class_are_left_out():
    labels = pd.DataFrame({"known": Y[:, 0], "none": np.nan, "one": np.where(Y[:, 1] > 0, 1, None)})
    classes = {"none": [0, 1, 2], "one": [1]}
    problem = encode_dataset(X, read_labels(labels), None, None, None, classes, True)
    training = problem.subset(problem.rows, problem.class_factors(problem.rows))
    weight = problem.unlabelled_subset(training, None).weight
    np.testing.assert_array_equal(weight, np.isnan(Y[:, [0, 0]]) * [1, 0])
    with pytest.warns(UserWarning, match=r"no label|one class"):
        clf = make(unlabelled="consistency", classes=classes).fit(X, labels)
    assert np.isnan(clf.predict_proba(X_NEW)["none"]).all()


def test_no_task_to_learn_is_no_error():
    with pytest.warns(UserWarning, match="one class"):
        clf = make(unlabelled="pseudo_labels").fit(X, np.where(np.isnan(Y), np.nan, 1.0))
    assert clf.score(X, np.ones(Y.shape)) == 1.0


def test_1d_y_of_which_few_labels_are_known():
    y = np.where(np.arange(60) < 6, np.nan_to_num(Y[:, 0]), np.nan)
    y[:2] = [0, 1]
    assert make(unlabelled="consistency").fit(X, y).predict_proba(X_NEW).shape == (50, 2)


# -------------------------------------------------------------------------- ways to compute


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_xla_and_sparse_X_give_the_same_up_to_rounding():
    settings = {"unlabelled": "consistency", "ensemble_size": 2, "dropout": 0.0}
    clf = make(**settings, jit_compile=False).fit(X, Y)
    sparse = make(**settings, jit_compile=False).fit(sp.csr_matrix(X), Y)
    xla = make(**settings, jit_compile=True).fit(X, Y)
    for other in (sparse, xla):
        for name in ("objective", "unlabelled_objective"):
            np.testing.assert_allclose(other.history_[name], clf.history_[name], rtol=1e-4)
        for p, q in zip(clf.predict_proba(X_NEW), other.predict_proba(X_NEW), strict=True):
            np.testing.assert_allclose(p, q, atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=SLOW)])
def test_compiled_program_gives_the_same_bits_again(jit_compile):
    settings = {**WAYS["consistency"], "jit_compile": jit_compile}
    clf = make(**settings).fit(X, Y)
    make(**settings, random_state=1).fit(X, Y)  # by the same program
    assert bits_with_teacher(make(**settings).fit(X, Y)) == bits_with_teacher(clf)


class Counter(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        assert logs["unlabelled_objective"] > 0


@pytest.mark.slow
def test_callback_at_batches_changes_no_bit():
    clf = make(unlabelled="consistency").fit(X, Y)
    assert bits_with_teacher(make(unlabelled="consistency", callbacks=Counter()).fit(X, Y)) == (
        bits_with_teacher(clf)
    )


def build_trunk(meta):
    inputs = keras.Input((meta["n_features_in_"],))
    return keras.Model(inputs, keras.layers.Dropout(0.3)(keras.layers.Dense(5, "relu")(inputs)))


def build_whole(meta):
    inputs = keras.Input((meta["n_features_in_"],))
    hidden = keras.layers.Dense(5, "relu", activity_regularizer="l2")(inputs)
    heads = [
        keras.layers.Dense(1, "sigmoid", name="y0")(hidden),
        keras.layers.Dense(3, "softmax", name="y1")(hidden),
    ]
    return keras.Model(inputs, heads)


@pytest.mark.slow
@pytest.mark.parametrize("model", [build_trunk, build_whole])
def test_network_of_ones_own_learns_from_unlabelled_cells(model):
    settings = {"model": model, "hidden_layer_sizes": (256,), "epochs": 1, "batch_size": 60}
    plain, more, again = (
        make(**settings, unlabelled=u).fit(X, Y) for u in (None, "consistency", "consistency")
    )
    assert more.history_["loss"] == plain.history_["loss"]
    added = RAMP * more.history_["unlabelled_objective"][0]
    expected = plain.history_["objective"][0] + added
    assert more.history_["objective"][0] == pytest.approx(expected, rel=1e-6)
    assert bits_with_teacher(more) == bits_with_teacher(again)


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {"class_weight": "balanced", "loss": "focal", "batching": "label_aware"},
        {"early_stopping": True, "calibrate": True, "restore_best": "per_task", "refit": True},
        {"ensemble_size": 2, "ensemble_method": "independent", "optimizer__use_ema": True},
        {"numeric_embedding": "periodic", "logit_adjustment": 1.0},
    ],
    ids=["rare", "stopping", "ensemble", "input"],
)
def test_other_settings_go_with_it(params):
    clf = make(**params, unlabelled="consistency").fit(X, Y)
    assert all(np.isfinite(p).all() for p in clf.predict_proba(X_NEW))
    assert all(u > 0 for u in clf.history_["unlabelled_objective"])


@pytest.mark.slow
def test_categories_and_missing_features_are_replaced_as_others():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(c=pd.Categorical(np.arange(60) % 3))
    frame.loc[::7, "a"] = np.nan
    clf = make(unlabelled="consistency", input_noise=0.5).fit(frame, Y)
    assert np.isfinite(clf.history_["objective"]).all()


# ---------------------------------------------------------------------------------- storing


@pytest.fixture(scope="module")
def taught():
    return make(unlabelled="consistency").fit(X, Y)


def save(clf):
    file = io.BytesIO()
    save_model(clf, file)
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["pickle", "file"])
def test_stored_estimator_goes_on_with_its_teacher(taught, way):
    if way == "pickle":
        loaded = pickle.loads(pickle.dumps(taught))
    else:
        loaded = load_model(io.BytesIO(save(taught)))
    expected = copy.deepcopy(taught).partial_fit(X, Y)
    assert bits_with_teacher(loaded) == bits_with_teacher(taught)
    assert bits_with_teacher(loaded.partial_fit(X, Y)) == bits_with_teacher(expected)


@pytest.mark.parametrize(
    "forge",
    [
        lambda teacher: teacher.update(n_steps=-1),
        lambda teacher: teacher.update(n_steps=1.5),
        lambda teacher: teacher.update(more=1),
        lambda teacher: teacher["values"].pop(),
        lambda teacher: teacher["values"].reverse(),
    ],
)
def test_forged_teacher_is_refused(taught, forge):
    text, arrays = unpack(save(taught))
    nodes = json.loads(text)
    forge(nodes["model"]["network"]["state"]["teacher"])
    with pytest.raises(ValueError, match="This file does not describe a model"):
        load_model(io.BytesIO(pack(json.dumps(nodes), arrays)))


# ----------------------------------------------------------------------------------- the use


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_labels_spread_through_clusters():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=300)
    # Five features tell a little each, five others nothing.
    features = 0.5 * rng.normal(size=(300, 10)) + np.outer(2 * y - 1, np.repeat([0.6, 0], 5))
    few = np.where(np.arange(300) < 6, y, np.nan)
    settings = {"hidden_layer_sizes": (16,), "epochs": 100, "batch_size": "auto"}
    settings["numeric_embedding"] = None
    guess = {"unlabelled": "pseudo_labels", "pseudo_label_threshold": 0.9}
    alone, more = (
        make(**settings, **way).fit(features, few).score(features, y) for way in ({}, guess)
    )
    assert more > alone + 0.02


def test_many_unlabelled_rows_come_beside_a_handful_of_labels():
    few = np.full(60, np.nan)
    few[:2] = [0, 1]
    problem = encode_dataset(X, read_labels(few), None, None, learns_unlabelled=True)
    training = problem.subset(problem.rows, problem.class_factors(problem.rows))
    unlabelled = problem.unlabelled_subset(training, None)
    clf = make(batch_size=40)
    assert clf._settings().resolve_batch_size(len(training.rows)) == 2
    assert clf._settings().unlabelled_batch_size(unlabelled) == 40
    assert clf.set_params(batch_size=99)._settings().unlabelled_batch_size(unlabelled) == 58
