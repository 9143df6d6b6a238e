"""Tests of sk_mtl._save.separate_heads: networks of release 0.2.0 in the layers of today."""

import numpy as np
import pytest

from sk_mtl._model.spec import CustomOutputs, NetworkSpec
from sk_mtl._model.variables import list_variables
from sk_mtl._save.separate_heads import had_separate_heads, join_separate_heads
from sk_mtl._train.best_weights import BestWeights
from sk_mtl._train.state import AveragingState, TeacherState, TrainingState

# Tasks 0, 2 and 4 have no hidden layer.
N_OUTPUTS, HEADS = (3, 1, 1, 4, 3), ((), (2,), (), (2, 2), ())
# Columns of tasks 0 and 4, and of task 2, among those of the three.
COLUMNS = ([0, 1, 2, 4, 5, 6], [3])


def make_spec(ensemble, hidden=(4,)):
    size, method = ensemble
    return NetworkSpec(
        5,
        N_OUTPUTS,
        hidden,
        HEADS,
        dropout=0.1,
        normalization="batch",
        ensemble_size=size,
        ensemble_method=method,
    )


def draw_values(spec, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=v.shape).astype(v.dtype) for v in list_variables(spec)]


def as_before(spec, values):
    """Return values in the order of the layers of release 0.2.0."""
    # The layers were of tasks 0 and 4, of task 1, of task 2 and of task 3.
    names = [f"{v.layer}/{v.kind}" for v in list_variables(spec)]
    position = names.index("heads_0_logits/kernel")
    assert names[position : position + 6 : 2] == [f"heads_{n}_logits/kernel" for n in range(3)]
    direct, of_task_1, of_task_3 = (values[position + k : position + k + 2] for k in (0, 2, 4))
    of_tasks_0_and_4, of_task_2 = (
        [take(value, columns) for value in direct] for columns in COLUMNS
    )
    heads = [*of_tasks_0_and_4, *of_task_1, *of_task_2, *of_task_3]
    return [*values[:position], *heads, *values[position + 6 :]]


def take(value, columns):
    """Return some of the columns of each member."""
    by_member = value.reshape(*value.shape[:-1], -1, 7)[..., columns]
    return by_member.reshape(*by_member.shape[:-2], -1)


def make_slots(spec, seeds, convert, learned=()):
    """Return the variables of an optimizer: two scalars, an average, and two moments in turn."""
    n_frozen = sum(not v.trainable for v in list_variables(spec))
    average, *moments = (
        [*convert(spec, draw_values(spec, seed))[:-n_frozen], *learned] for seed in seeds
    )
    in_turn = [slot for pair in zip(*moments, strict=True) for slot in pair]
    return [np.array(7), np.array(0.1), *average, *in_turn, np.array(0.9)]


def make_state(spec, convert, learned=()):
    networks = [convert(spec, draw_values(spec, seed)) for seed in range(4)]
    state = TrainingState(
        networks[0],
        dict(zip(["log_variance"], learned, strict=False)),
        make_slots(spec, (4, 5, 6), convert, learned),
        ("adam", 0.1),
        TeacherState(networks[1], 3),
        AveragingState(networks[2], 3),
    )
    return state, BestWeights((1, 2), (networks[3], networks[0]), (0, 1, 1, 1, 1))


def keep(spec, values):
    return values


def assert_equal(found, expected):
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize("hidden", [(4,), ()])
@pytest.mark.parametrize("ensemble", [(1, "shared"), (3, "shared"), (3, "independent")])
def test_separate_layers_are_joined_in_task_order(ensemble, hidden):
    spec = make_spec(ensemble, hidden)
    (state, best), (expected, expected_best) = (
        make_state(spec, convert) for convert in (as_before, keep)
    )
    found, found_best = join_separate_heads(spec, state, best)

    assert_equal(found.network, expected.network)
    assert_equal(found.optimizer, expected.optimizer)
    assert_equal(found.teacher.network, expected.teacher.network)
    assert_equal(found.averaging.weights, expected.averaging.weights)
    assert_equal(found_best.values[0], expected_best.values[0])
    assert found_best.values[1] is found.network
    assert found.optimizer_settings == state.optimizer_settings


def test_optimizer_of_learned_task_weights_is_joined():
    spec, learned = make_spec((1, "shared")), [np.arange(5, dtype=np.float32)]
    found, _ = join_separate_heads(spec, *make_state(spec, as_before, learned))
    assert_equal(found.optimizer, make_state(spec, keep, learned)[0].optimizer)


def test_optimizer_of_unknown_variables_starts_afresh():
    spec = make_spec((1, "shared"))
    state, best = make_state(spec, as_before)
    state.optimizer.append(np.zeros(77))
    with pytest.warns(UserWarning, match="continues with a new state of the optimizer"):
        found, _ = join_separate_heads(spec, state, best)
    assert found.optimizer is found.optimizer_settings is None


def test_network_without_values_of_its_heads_is_refused():
    spec = make_spec((1, "shared"))
    with pytest.raises(ValueError, match="the heads have no weights"):
        join_separate_heads(spec, TrainingState([np.zeros((4, 7)), np.zeros(7)] * 9, {}), None)


@pytest.mark.parametrize(
    ("n_outputs", "heads", "answer"),
    [((1, 3), (), True), ((3, 3), (), False), ((1, 3), ((2,), ()), False)],
)
def test_only_heads_without_hidden_layers_were_separate_by_their_outputs(n_outputs, heads, answer):
    assert had_separate_heads(NetworkSpec(4, n_outputs, (), heads)) is answer


def test_outputs_of_a_whole_custom_network_were_never_separate():
    spec = NetworkSpec(4, (1, 3), custom_model="{}", custom_outputs=CustomOutputs(()))
    assert not had_separate_heads(spec)
