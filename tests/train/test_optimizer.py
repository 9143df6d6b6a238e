"""Tests of sk_mtl._train.optimizer: the update of a step as a function of values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sk_mtl._train.optimizer import AdamUpdate, VariableUpdate, is_plain_adam, make_update

# Keras hands variables to np.array, which NumPy 2 objects to.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

Adam, AdamW = keras.optimizers.Adam, keras.optimizers.AdamW
DECAY = keras.optimizers.schedules.ExponentialDecay


def make_variables():
    """Return two variables that are joined, one with a constraint, and one of no network."""
    variables = [
        keras.Variable(np.linspace(-1, 1, 7, dtype="f4")),
        keras.Variable([[0.2]]),
        keras.Variable(np.linspace(-2, 2, 6, dtype="f4").reshape(2, 3)),
        keras.Variable([0.3, 0.4]),
    ]
    variables[1].constraint = keras.constraints.NonNeg()
    return variables


def gradients_of(step, values):
    return [tf.sin(step * tf.convert_to_tensor(value)) for value in values]


def arrays_of(variables):
    return [np.array(v.numpy()) for v in variables]


def update_by_keras(optimizer, n_steps):
    """Return variables and the optimizer's after steps of Keras; the last two do not decay."""
    variables = make_variables()
    if optimizer.weight_decay:
        optimizer.exclude_from_weight_decay(var_list=variables[2:])
    optimizer.build(variables)
    for step in range(1, n_steps + 1):
        optimizer.apply(gradients_of(step, [v.value for v in variables]), variables)
    return arrays_of(variables), arrays_of(optimizer.variables)


def update_by_function(optimizer, n_steps, decay):
    variables = make_variables()
    update = make_update(optimizer, variables, variables[2:], 3)
    assert isinstance(update, AdamUpdate)
    trained = update.groups.join(arrays_of(variables))
    slots, others = update.split_values(arrays_of(optimizer.variables))
    assert len(trained) == 3
    for step in range(1, n_steps + 1):
        gradients = gradients_of(step, update.groups.split(trained))
        trained, slots, others = update.update(
            gradients, trained, slots, others, tf.constant(decay, tf.float32)
        )
    found = update.groups.split(trained), update.join_values(slots, others)
    return [[np.array(value) for value in values] for values in found]


@pytest.mark.slow_except("Adam-*", "AdamW-weight_decay")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.1},
        {"clipnorm": 0.1},
        {"clipvalue": 0.1},
        {"global_clipnorm": 0.1},
        {"learning_rate": DECAY(0.1, decay_steps=2, decay_rate=0.5)},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    ],
    ids=lambda settings: ",".join(settings) or "default",
)
@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_adam_as_a_function_gives_the_bits_of_keras(kind, settings):
    settings = {"learning_rate": 0.1, **settings}
    values, slots = update_by_keras(kind(**settings), 4)
    optimizer = kind(**settings)
    found, found_slots = update_by_function(optimizer, 4, optimizer.weight_decay or 0)
    for a, b in zip((*found, *found_slots), (*values, *slots), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weight_decay_is_the_fed_one():
    values, _ = update_by_keras(AdamW(0.1, weight_decay=0.3), 2)
    found, _ = update_by_function(AdamW(0.1, weight_decay=0.01), 2, decay=0.3)
    for a, b in zip(found, values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


class OwnAdam(Adam):
    """May do what its class does not."""


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: Adam(amsgrad=True),
        lambda: AdamW(use_ema=True),
        lambda: Adam(gradient_accumulation_steps=2),
        OwnAdam,
        keras.optimizers.Nadam,
        lambda: keras.optimizers.LossScaleOptimizer(Adam()),
    ],
)
def test_other_optimizers_update_variables_of_their_own(optimizer):
    made = optimizer()
    assert not is_plain_adam(made)
    assert isinstance(make_update(made, make_variables(), [], 4), VariableUpdate)
