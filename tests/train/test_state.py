"""Tests of sk_mtl._train.state and of best weights: plain values out, the same state in."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from sk_mtl._train.best_weights import (
    BestWeights,
    BestWeightsKeeper,
    decode_best_weights,
    decode_keeper,
    encode_best_weights,
    encode_keeper,
)
from sk_mtl._train.state import (
    AveragingState,
    TeacherState,
    TrainingState,
    check_state,
    decode_state,
    encode_state,
)

NETWORK = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)]
PLAIN = TrainingState(NETWORK, {})
WHOLE = TrainingState(
    NETWORK,
    {"log_variance": np.zeros(2, np.float32)},
    [np.array(7, np.int64), np.array(1e-3, np.float32)],
    ("keras.Adam {}", 1e-3),
    TeacherState([value + 1 for value in NETWORK], 5),
    AveragingState([value + 2 for value in NETWORK], 6),
)


def assert_same_arrays(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("state", [PLAIN, WHOLE, replace(WHOLE, teacher=None)])
@pytest.mark.parametrize("names", [None, ["kernel", "bias"]])
def test_state_comes_back(state, names):
    arrays = {}
    node = json.loads(json.dumps(encode_state(state, "last", arrays, names)))
    found = decode_state(node, arrays)
    assert not arrays
    check_state(found, state)
    assert_same_arrays(found.network, state.network)
    assert_same_arrays(found.optimizer or [], state.optimizer or [])
    assert (found.optimizer is None) == (state.optimizer is None)
    assert found.optimizer_settings == state.optimizer_settings
    for part, values in (("teacher", "network"), ("averaging", "weights")):
        one, other = getattr(found, part), getattr(state, part)
        assert (one is None) == (other is None)
        if one is not None:
            assert_same_arrays(getattr(one, values), getattr(other, values))
            assert one.n_steps == other.n_steps


@pytest.mark.parametrize(
    "changes",
    [
        {"network": NETWORK[:1]},
        {"network": [value.astype(np.float64) for value in NETWORK]},
        {"weighting": {}},
        {"optimizer": None},
        {"optimizer_settings": ("keras.SGD {}", 1e-3)},
        {"teacher": None},
        {"averaging": None},
        {"averaging": AveragingState(NETWORK[:1], 6)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_state_of_another_program_is_refused(changes):
    with pytest.raises(ValueError, match=r"(it|arrays|missing|zip|argument)"):
        check_state(replace(WHOLE, **changes), WHOLE)


def test_best_weights_come_back_without_those_of_the_state():
    best = BestWeights((2, 5), (NETWORK, [value + 1 for value in NETWORK]), (1, 0, 1))
    arrays = {}
    node = json.loads(json.dumps(encode_best_weights(best, NETWORK, ["kernel", "bias"], arrays)))
    assert sorted(arrays) == ["epoch_5/bias", "epoch_5/kernel"]
    found = decode_best_weights(node, NETWORK, 3, arrays)
    assert (found.epochs, found.of_task) == (best.epochs, best.of_task)
    assert found.values[0] is NETWORK
    assert_same_arrays(found.values[1], best.values[1])


def test_kept_weights_come_back_and_are_written_once():
    keeper, arrays = BestWeightsKeeper(), {}
    keeper.keep([0, 2], 3, NETWORK)
    keeper.keep([1], 4, [value + 1 for value in NETWORK])
    node = json.loads(json.dumps(encode_keeper(keeper, arrays)))
    assert len(arrays) == 4
    found = decode_keeper(node, 3, arrays)
    assert {task: epoch for task, (epoch, _) in found.kept.items()} == {0: 3, 1: 4, 2: 3}
    assert found.kept[0][1] is found.kept[2][1]
    for task, (_, values) in keeper.kept.items():
        assert_same_arrays(found.kept[task][1], values)


@pytest.mark.slow
def test_states_and_settings_load_no_tensorflow():
    modules = ["state", "best_weights", "config", "early_stopping", "batching"]
    code = "; ".join(
        [
            "import sys",
            *(f"import sk_mtl._train.{module}" for module in modules),
            "assert not {'tensorflow', 'keras'} & sys.modules.keys()",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True)
