"""The state of a training: what goes on from one epoch, or one fit, to the next.

Plain arrays, with one codec for pickles, safe files and resume points. Imports no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sk_mtl._codec.values import decode_value, encode_value, require

__all__ = ["AveragingState", "TeacherState", "TrainingState", "decode_state", "encode_state"]


@dataclass(frozen=True)
class AveragingState:
    """The weights that the network's are running averages of, and the steps averaged so far."""

    weights: list[np.ndarray]
    n_steps: int


@dataclass(frozen=True)
class TeacherState:
    """The values of the teacher's network, and the steps it has followed so far."""

    network: list[np.ndarray]
    n_steps: int


@dataclass(frozen=True)
class TrainingState:
    """What training changes, as plain arrays, so that it can continue from there.

    Attributes
    ----------
    network : list of ndarray
        The network's variables, in the order of `network_variables`; running averages, if weights
        are averaged.
    weighting : dict of ndarray
        The state of the task weighting.
    optimizer : list of ndarray or None
        The optimizer's variables; None starts it afresh.
    optimizer_settings : tuple (str, float or None) or None
        The optimizer that they belong to: its kind and configuration, and the learning rate it was
        given, None for a schedule.
    teacher : TeacherState or None
        The teacher of unlabelled cells; None starts one from the network.
    averaging : AveragingState or None
        None starts a new average.
    """

    network: list[np.ndarray]
    weighting: dict[str, np.ndarray]
    optimizer: list[np.ndarray] | None = None
    optimizer_settings: tuple[str, float | None] | None = None
    teacher: TeacherState | None = None
    averaging: AveragingState | None = None


def encode_state(
    state: TrainingState, name: str, arrays: dict[str, Any], paths: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return a state for JSON; put its arrays aside, those of networks under these paths."""
    paths = [str(i) for i in range(len(state.network))] if paths is None else paths

    def encode(values: list[np.ndarray], part: str) -> list[Any]:
        pairs = zip(paths, values, strict=True)
        return [encode_value(value, f"{name}{part}/{path}", arrays) for path, value in pairs]

    teacher, averaging = state.teacher, state.averaging
    return {
        "network": encode(state.network, "network"),
        "weighting": encode_value(state.weighting, f"{name}task_weighting", arrays),
        "optimizer": encode_value(state.optimizer, f"{name}optimizer", arrays),
        "optimizer_settings": encode_value(state.optimizer_settings, f"{name}optimizer", arrays),
        "teacher": None
        if teacher is None
        else {"network": encode(teacher.network, "teacher"), "n_steps": teacher.n_steps},
        "averaging": None
        if averaging is None
        else {
            "weights": encode_value(averaging.weights, f"{name}weights", arrays),
            "n_steps": averaging.n_steps,
        },
    }


def decode_state(node: dict[str, Any], arrays: dict[str, Any]) -> TrainingState:
    """Return the state that `encode_state` was given; ValueError if the node is not one."""
    parts = ("network", "weighting", "optimizer", "optimizer_settings", "teacher", "averaging")
    require(type(node) is dict and node.keys() == set(parts), "unexpected keys in the state")
    network = _decode_arrays(node["network"], arrays)
    weighting, optimizer, settings = (decode_value(node[part], arrays) for part in parts[1:4])
    require(type(weighting) is dict, "the state of the task weighting is invalid")
    require(_are_arrays(list(weighting.values())), "the state of the task weighting is invalid")
    require(optimizer is None or _are_arrays(optimizer), "the optimizer's values are not arrays")
    is_pair = type(settings) is tuple and len(settings) == 2 and type(settings[0]) is str
    is_pair = is_pair and (settings[1] is None or type(settings[1]) is float)
    require(is_pair or settings is None, "the optimizer's settings are invalid")
    require((optimizer is None) == (settings is None), "the optimizer lacks values or settings")
    teacher, averaging = node["teacher"], node["averaging"]
    if teacher is not None:
        require(teacher.keys() == {"network", "n_steps"}, "unexpected keys in the teacher")
        values = _decode_arrays(teacher["network"], arrays)
        teacher = TeacherState(values, _read_steps(teacher["n_steps"]))
    if averaging is not None:
        require(averaging.keys() == {"weights", "n_steps"}, "unexpected keys in the averages")
        values = decode_value(averaging["weights"], arrays)
        require(_are_arrays(values), "the averaged weights are not arrays")
        averaging = AveragingState(values, _read_steps(averaging["n_steps"]))
    return TrainingState(network, weighting, optimizer, settings, teacher, averaging)


def _decode_arrays(nodes: Any, arrays: dict[str, Any]) -> list[np.ndarray]:
    require(type(nodes) is list, "a network's values are not a list")
    values = [decode_value(node, arrays) for node in nodes]
    require(_are_arrays(values), "a network's values are not arrays")
    return values


def _are_arrays(values: Any) -> bool:
    return type(values) is list and all(isinstance(value, np.ndarray) for value in values)


def _read_steps(n_steps: Any) -> int:
    require(type(n_steps) is int and 0 <= n_steps < 2**31, "a number of steps is out of range")
    return n_steps
