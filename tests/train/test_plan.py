"""Tests of sk_mtl._train.plan: when XLA compiles, and what shapes a program."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from sk_mtl import MultiTaskClassifier
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train import plan as _plan
from sk_mtl._train.plan import TrainingParts, can_share_program, make_plan, resolve_jit_compile
from sk_mtl.weighting import AlignedMTLWeighting, FixedWeighting, MGDAWeighting, TaskWeighting

# Keras hands variables to np.array, which NumPy 2 objects to.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def make_table(n_rows=45, seed=0):
    """Return X and Y; the third task is labelled in one row of nine."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5]), X[:, 2] > 0], axis=1)
    Y = Y.astype(float)
    Y[np.arange(n_rows) % 9 > 0, 2] = np.nan
    return X, Y


def make(**params):
    settings = {"hidden_layer_sizes": (6,), "epochs": 3, "batch_size": 8, "random_state": 0}
    return MultiTaskClassifier(**{**settings, "jit_compile": True, **params})


def weights_of(clf):
    return clf.model_.get_weights()


def assert_same_bits(first, second):
    for a, b in zip(weights_of(first), weights_of(second), strict=True):
        np.testing.assert_array_equal(a, b)


class UserWeighting(TaskWeighting):
    def combine(self, losses, has_labels, state):
        return tf.reduce_sum(losses), {}


class UserOptimizer(keras.optimizers.SGD):
    pass


class UserSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1

    def get_config(self):
        return {}


SPEC = NetworkSpec(4, (1,), (5,))


def resolve_auto(n_steps, spec=SPEC, optimizer=None, weighting=None):
    optimizer = keras.optimizers.Adam() if optimizer is None else optimizer
    return resolve_jit_compile("auto", spec, optimizer, weighting or FixedWeighting(), n_steps)


@pytest.mark.parametrize(
    ("changes", "n_steps", "expected"),
    [
        ({}, 400, True),
        ({}, 399, False),
        ({"optimizer": keras.optimizers.LossScaleOptimizer(UserOptimizer())}, 400, False),
        ({"optimizer": UserOptimizer()}, 400, False),
        ({"optimizer": keras.optimizers.SGD(UserSchedule())}, 400, False),
        (
            {"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1, 9))},
            400,
            True,
        ),
        ({"weighting": UserWeighting()}, 400, False),
        ({"weighting": AlignedMTLWeighting(), "spec": NetworkSpec(4, (1,) * 32, (5,))}, 400, True),
        ({"weighting": AlignedMTLWeighting(), "spec": NetworkSpec(4, (1,) * 33, (5,))}, 400, False),
        ({"weighting": MGDAWeighting(), "spec": NetworkSpec(4, (1,) * 33, (5,))}, 400, True),
        ({"spec": NetworkSpec(4, (1,), (5,), normalization="batch")}, 400, False),
        ({"spec": NetworkSpec(4, (1,), (5,), custom_model="{}")}, 400, False),
    ],
)
def test_auto_takes_xla_for_many_steps_of_what_is_known(changes, n_steps, expected, monkeypatch):
    monkeypatch.setattr(_plan, "computes_on_cpu", lambda: True)
    assert resolve_auto(n_steps, **changes) is expected


def test_auto_leaves_xla_alone_on_a_gpu(monkeypatch):
    monkeypatch.setattr(_plan, "computes_on_cpu", lambda: False)
    assert resolve_auto(400) is False


@pytest.mark.slow
def test_auto_decides_by_all_epochs_in_partial_fit_too(monkeypatch):
    monkeypatch.setattr(_plan, "_MIN_XLA_STEPS", 18)
    X, Y = make_table()
    step = make(jit_compile="auto", classes=[[0, 1], [0, 1, 2], [0, 1]])
    for _ in range(3):
        step.partial_fit(X, Y)
    assert_same_bits(step, make(jit_compile=True).fit(X, Y))


def test_true_is_refused_with_batch_normalization():
    X, Y = make_table()
    with pytest.raises(ValueError, match="jit_compile=True needs a network in which a row"):
        make(normalization="batch").fit(X, Y)


def test_plan_without_xla_has_another_program():
    parts = TrainingParts(keras.optimizers.Adam(), FixedWeighting())
    settings = {"task_names": ("a",), "epochs": 2, "seed": 3, "loss_normalization": "tasks"}
    configs = {
        make_plan(SPEC, parts, **settings, batch_size=size, jit_compile=jit).program
        for jit in (True, False)
        for size in (8, 16)
    }
    assert len(configs) == 3  # the batch size shapes a program only under XLA


def test_rates_do_not_shape_a_program():
    def config_of(decay, dropout, l2, momentum, **spec):
        parts = TrainingParts(keras.optimizers.AdamW(weight_decay=decay), FixedWeighting())
        spec = replace(SPEC, dropout=dropout, l2=l2, **spec)
        settings = {"task_names": ("a",), "epochs": 2, "seed": 3, "loss_normalization": "tasks"}
        return make_plan(spec, parts, batch_size=8, ema_momentum=momentum, **settings)

    one, other = config_of(0.1, 0.2, 0.3, 0.4), config_of(0.2, 0.3, 0.4, 0.5)
    assert one.program == other.program
    assert (other.run.rates.weight_decay, other.run.rates.dropout) == (0.2, 0.3)
    assert (other.run.rates.l2, other.run.rates.ema_momentum, other.spec.l2) == (0.4, 0.5, 0.4)
    # Without any of them a program is spared the work.
    for rates in ((0.0, 0.2, 0.3, 0.4), (0.1, 0, 0.3, 0.4), (0.1, 0.2, 0, 0.4), (0.1, 0.2, 0.3, 0)):
        assert config_of(*rates).program != one.program


def test_only_what_is_known_and_compiled_by_xla_shares_a_program():
    def shares(optimizer=None, weighting=None, callbacks=(), jit_compile=True, spec=SPEC):
        parts = TrainingParts(
            optimizer or keras.optimizers.Adam(), weighting or FixedWeighting(), list(callbacks)
        )
        settings = {"epochs": 2, "seed": 3, "loss_normalization": "tasks"}
        settings["task_names"] = tuple(f"y{t}" for t in range(len(spec.n_outputs)))
        plan = make_plan(spec, parts, batch_size=8, jit_compile=jit_compile, **settings)
        return can_share_program(plan)

    assert shares()
    assert not shares(jit_compile=False)
    assert not shares(keras.optimizers.SGD())
    assert not shares(keras.optimizers.Adam(UserSchedule()))
    assert not shares(weighting=UserWeighting())
    assert not shares(callbacks=[keras.callbacks.Callback()])
    # One ends its loops early, one solves for many tasks.
    assert not shares(weighting=MGDAWeighting())
    assert shares(weighting=AlignedMTLWeighting())
    assert not shares(weighting=AlignedMTLWeighting(), spec=NetworkSpec(4, (1,) * 33, (5,)))
