"""Tests of sk_mtl._train.pack: what a vectorised step computes for each member."""

import logging
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from jobs import FREQUENCIES, assert_same_results, make_job, make_rows, train, train_in_packs
from specs import HEADS, INPUTS, SHARING

from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.config import UnlabelledSpec
from sk_mtl._train.loop import Job, draw_start
from sk_mtl._train.plan import TrainingParts, make_plan
from sk_mtl._train.program import TrainingProgram
from sk_mtl.weighting import FixedWeighting, UncertaintyWeighting

# Keras hands variables to np.array, which NumPy 2 objects to.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

Adam, AdamW = keras.optimizers.Adam, keras.optimizers.AdamW


# ------------------------------------------------------------------------------------------------
# The mask
# ------------------------------------------------------------------------------------------------


def make_members(rows, spec=None):
    """Return a training on these rows, between two others."""
    settings = {"epochs": 3, "weighting": UncertaintyWeighting(), "label_smoothing": SMOOTHING}
    settings["spec"] = {"dropout": 0.2, **(spec or {})}
    members = (make_rows(25, seed=7), rows, make_rows(17, seed=8))
    return [
        make_job(part, optimizer=Adam(0.02 * k + 0.01), seed=k, **settings)
        for k, part in enumerate(members)
    ]


SMOOTHING = np.full(3, 0.1, np.float32)


def make_rows_with_empty_ones():
    """Return rows of which every fourth has no label of any weight."""
    rows = make_rows(30)
    rows.weight[::4] = 0
    return rows


SPECS = {
    "plain": {},
    "heads": {"head_hidden_layer_sizes": ((), (3,), ()), "normalization": "layer"},
}


@pytest.fixture(scope="module", params=["plain", pytest.param("heads", marks=pytest.mark.slow)])
def spec(request):
    return SPECS[request.param]


@pytest.fixture(scope="module")
def masked(spec):
    return train_in_packs(make_members(make_rows_with_empty_ones(), spec), 3)


def test_codes_under_the_mask_change_no_bit_of_any_member(spec, masked):
    rows = make_rows_with_empty_ones()
    others = (rows.codes + 1) % np.array([2, 3, 2], np.int32)
    rows = replace(rows, codes=np.where(rows.weight == 0, others, rows.codes))
    assert_same_results(train_in_packs(make_members(rows, spec), 3), masked)


def test_features_of_rows_without_labels_change_no_bit_of_any_member(spec, masked):
    rows = make_rows_with_empty_ones()
    X = rows.X.copy()
    X[::4] = -3 * X[::4] + 7
    assert_same_results(train_in_packs(make_members(replace(rows, X=X), spec), 3), masked)
    X[1] += 1  # of a row with labels
    found = train_in_packs(make_members(replace(rows, X=X), spec), 3)
    assert_same_results([found[0], found[2]], [masked[0], masked[2]])
    assert found[1].history["loss"] != masked[1].history["loss"]


@pytest.mark.slow
def test_member_without_a_label_of_a_task_trains_as_alone():
    rows = make_rows(30)
    rows.weight[:, 1] = 0
    rows.weight[:8] = 0
    rows.weight[20:] = 0
    rows.weight[10, 0] = 1
    rows.weight[12, 2] = 1
    jobs = make_members(rows)
    found = train_in_packs(jobs, 3)
    assert np.isnan(found[1].history["b_loss"]).all()
    assert np.isfinite(found[1].history["objective"]).all()
    for result, job in zip(found, jobs, strict=True):
        alone = train(job)
        for a, b in zip(result.state.network, alone.state.network, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        # The task that nobody has told of stays where it was.
        for name in job.plan.run.task_names:
            np.testing.assert_allclose(
                result.history[f"{name}_loss"], alone.history[f"{name}_loss"], rtol=1e-5
            )
    assert found[1].state.weighting["log_variance"][1] == 0
    assert (found[0].state.weighting["log_variance"] != 0).all()


@pytest.mark.slow
def test_what_is_not_a_number_stays_with_its_member():
    rows = make_rows(25)
    rows.X[3] = np.nan
    rows.weight[3] = 1
    spec = {"activation": "tanh"}
    jobs = [make_job(part, spec=spec, seed=1) for part in (make_rows(25, 5), rows, make_rows(9, 6))]
    found = train_in_packs(jobs, 3)
    assert isinstance(found[1], ValueError)
    expected = train_in_packs([jobs[0], jobs[2]], 3)
    assert_same_results([found[0], found[2]], expected)


# ------------------------------------------------------------------------------------------------
# A reference in NumPy
# ------------------------------------------------------------------------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def train_in_numpy(values, training, rate, seed, n_epochs, batch_size):
    """Train one hidden layer of ReLU by Adam, in float64; return weights and losses.

    The tasks are a binary one and one of three classes; the objective is the sum over tasks of the
    mean cross-entropy over labelled cells of a batch.
    """
    values = [np.asarray(v, float) for v in values]
    moments = [[np.zeros_like(v) for v in values] for _ in range(2)]
    losses, n = [], 0
    for epoch in range(1, n_epochs + 1):
        order = np.random.default_rng([seed, 1, epoch]).permutation(len(training.rows))
        sums, weights = np.zeros(2), np.zeros(2)
        for first in range(0, len(order), batch_size):
            rows, n = order[first : first + batch_size], n + 1
            X, codes, w = training.X[rows], training.codes[rows], training.weight[rows]
            W, b, V, c = values
            H = np.maximum(X @ W + b, 0)
            Z = H @ V + c
            total = np.where(w.sum(axis=0) > 0, w.sum(axis=0), 1)
            p = sigmoid(Z[:, 0])
            q = np.exp(Z[:, 1:]) / np.exp(Z[:, 1:]).sum(axis=1, keepdims=True)
            cells = np.stack(
                [
                    -np.log(np.where(codes[:, 0] == 1, p, 1 - p)),
                    -np.log(q[np.arange(len(rows)), codes[:, 1]]),
                ],
                axis=1,
            )
            sums += (w * cells).sum(axis=0)
            weights += w.sum(axis=0)
            G = np.empty_like(Z)
            G[:, 0] = w[:, 0] / total[0] * (p - codes[:, 0])
            G[:, 1:] = (w[:, 1] / total[1])[:, None] * (q - np.eye(3)[codes[:, 1]])
            D = (G @ V.T) * (H > 0)
            gradients = [X.T @ D, D.sum(axis=0), H.T @ G, G.sum(axis=0)]
            for k, g in enumerate(gradients):
                moments[0][k] = 0.9 * moments[0][k] + 0.1 * g
                moments[1][k] = 0.999 * moments[1][k] + 0.001 * g**2
                step = rate * np.sqrt(1 - 0.999**n) / (1 - 0.9**n)
                values[k] = values[k] - step * moments[0][k] / (np.sqrt(moments[1][k]) + 1e-4)
        losses.append((sums / weights).mean())
    return values, losses


def test_members_train_as_a_reference_in_numpy():
    spec = NetworkSpec(4, (1, 3), (6,))
    members = [(0.01, 3, make_rows(25)), (0.1, 4, make_rows(30, seed=1))]
    jobs = []
    for rate, seed, rows in members:
        rows = replace(rows, codes=rows.codes[:, :2].copy(), weight=rows.weight[:, :2].copy())
        optimizer = Adam(rate, epsilon=1e-4)
        parts = TrainingParts(optimizer, FixedWeighting())
        settings = {"loss_normalization": "tasks", "task_names": ("a", "b"), "jit_compile": True}
        plan = make_plan(spec, parts, **settings, epochs=4, batch_size=8, seed=seed)
        jobs.append(Job(plan, make_start(plan), rows))
    results = train_in_packs(jobs, 2)
    for (rate, seed, _), job, result in zip(members, jobs, results, strict=True):
        start = [value for value in job.start.network if value.dtype == np.float32]
        assert [value.shape for value in start] == [(4, 6), (6,), (6, 4), (4,)]
        values, losses = train_in_numpy(start, job.training, rate, seed, 4, 8)
        for found, expected in zip(result.state.network, values, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(result.history["loss"], losses, rtol=1e-5)
    assert results[0].history["loss"] != results[1].history["loss"]


def make_start(plan):
    return draw_start(plan.spec, plan.parts.weighting, FREQUENCIES[:2], plan.run.seed)


# ------------------------------------------------------------------------------------------------
# Rates of its own
# ------------------------------------------------------------------------------------------------


def with_own_program(job):
    """Return a training by a program that is built for exactly its settings, without XLA."""
    plan, optimizer = job.plan, job.plan.parts.optimizer
    program = replace(plan.program, spec=plan.spec, xla_batch_size=0, xla_unlabelled_batch_size=0)
    parts = replace(plan.parts, optimizer=AdamW.from_config(optimizer.get_config()))
    return replace(job, plan=replace(plan, program=program, parts=parts))


OWN = [
    {"optimizer": AdamW(0.02, weight_decay=0.5)},
    {"optimizer": AdamW(0.02, weight_decay=0.01), "spec": {"dropout": 0.1}},
    {"spec": {"dropout": 0.6}, "ema_momentum": 0.9},
    {"spec": {"l2": 0.2}, "label_smoothing": SMOOTHING, "logit_offsets": np.arange(5.0)},
]


@pytest.fixture(scope="module")
def own():
    """Trainings that differ in one rate each, and what they give in one pack."""
    jobs = []
    for changes in OWN:
        spec = {"dropout": 0.3, "l2": 0.01, **changes.get("spec", {})}
        plain = {
            "optimizer": AdamW(0.02, weight_decay=0.1),
            "label_smoothing": np.full(3, 0.02, np.float32),
            "logit_offsets": np.zeros(5, np.float32),
            "ema_momentum": 0.5,
        }
        jobs.append(make_job(epochs=3, **{**plain, **changes, "spec": spec}))
    assert len({job.plan.program for job in jobs}) == 1
    return jobs, train_in_packs(jobs, 4)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(OWN)))
def test_member_trains_as_by_a_program_of_its_own(own, number):
    jobs, results = own
    expected = train(with_own_program(jobs[number]))
    result = results[number]
    for a, b in zip(result.state.network, expected.state.network, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for name, series in expected.history.items():
        np.testing.assert_allclose(result.history[name], series, rtol=1e-5, err_msg=name)
    for other in range(len(OWN)):
        if other != number:
            assert results[other].history["objective"] != result.history["objective"]


# ------------------------------------------------------------------------------------------------
# Vectorised
# ------------------------------------------------------------------------------------------------

SPEC = NetworkSpec(
    4, (1, 3, 1, 3), (5, 6), HEADS["mixed"], "relu", dropout=0.5, normalization="layer", l2=1.0
)
UNLABELLED = {"unlabelled_batch_size": 6}
SCHEDULE = keras.optimizers.schedules.CosineDecay(0.1, 9, warmup_target=0.2, warmup_steps=3)
# What each architecture changes in the specification, and in the plan.
ARCHITECTURES = {
    **{f"input, {name}": ({"input": value}, {}) for name, value in INPUTS.items()},
    **{f"heads, {name}": ({"head_hidden_layer_sizes": value}, {}) for name, value in HEADS.items()},
    "no hidden layer": ({"hidden_layer_sizes": ()}, {}),
    "shared members": ({"ensemble_size": 3}, {}),
    **{
        f"sharing, {name}": ({"sharing": name, "n_experts": n, "n_task_experts": n_own}, {})
        for name, (n, n_own) in SHARING.items()
    },
    "independent members": ({"ensemble_size": 3, "ensemble_method": "independent"}, {}),
    "pseudo-labels": ({}, {"unlabelled": UnlabelledSpec(0.9, 0.5), **UNLABELLED}),
    "soft pseudo-labels": ({}, {"unlabelled": UnlabelledSpec(0.9), **UNLABELLED}),
    "consistency": ({}, {"unlabelled": UnlabelledSpec(0.9, None, 0.3), **UNLABELLED}),
    "members, unlabelled": (
        {"ensemble_size": 3},
        {"unlabelled": UnlabelledSpec(0.9, 0.5, 0.3), **UNLABELLED},
    ),
    "losses": (
        {"activation": "gelu"},
        {
            "focal_gamma": 2.0,
            "label_smoothing": np.zeros(4, np.float32),
            "logit_offsets": np.zeros(8, np.float32),
            "ema_momentum": 0.5,
            "loss_normalization": "cells",
            "weighting": UncertaintyWeighting(),
        },
    ),
    "optimizer": ({"activation": "silu"}, {"optimizer": AdamW(SCHEDULE, global_clipnorm=1.0)}),
    "clipping": ({"activation": "elu"}, {"optimizer": Adam(clipnorm=1.0)}),
}


@pytest.fixture
def told():
    """What TensorFlow logs."""
    messages = []

    class Listener(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    listener, logger = Listener(), tf.get_logger()
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.WARNING)
    yield messages
    logger.setLevel(level)
    logger.removeHandler(listener)


@pytest.mark.slow
@pytest.mark.release_except(
    "no hidden layer", "input, periodic", "heads, mixed", "pseudo-labels", "sharing, ple"
)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_part_of_a_step_falls_back_to_a_loop(told, name):
    # TensorFlow loops over members where it cannot vectorise, and says so: that is slow.
    of_spec, settings = ARCHITECTURES[name]
    settings = dict(settings)
    parts = TrainingParts(
        settings.pop("optimizer", None) or AdamW(weight_decay=0.1),
        settings.pop("weighting", None) or FixedWeighting(),
    )
    plain = {"loss_normalization": "tasks", "task_names": tuple("abcd"), "jit_compile": True}
    plain |= {"epochs": 2, "batch_size": 8, "seed": 0}
    plan = make_plan(replace(SPEC, **of_spec), parts, **plain | settings)
    program = TrainingProgram(plan.program, plan.parts.optimizer, plan.parts.weighting)
    program.run(2)
    program.evaluate(2)
    # On Python 3.13 AutoGraph says that it meets a deprecation, which is an error in these tests.
    assert [message for message in told if "while_loop" in message] == []
