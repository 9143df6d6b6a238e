"""The state of a training as plain arrays, and how it is written and read. No Keras.

Owns which values training changes, and their codec. Does not know files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sk_mtl._codec.values import decode_value, encode_value, require

__all__ = [
    "AveragingState",
    "TeacherState",
    "TrainingState",
    "check_state",
    "decode_arrays",
    "decode_state",
    "encode_arrays",
    "encode_state",
    "require_alike",
]

_REQUIRED = {"values", "weighting", "optimizer", "optimizer_settings"}
_OPTIONAL = {"teacher", "averaging"}


@dataclass(frozen=True)
class TeacherState:
    """A teacher of unlabelled cells."""

    network: list[np.ndarray]  # the values of its variables, in the order of `network_variables`
    n_steps: int  # training steps that it has followed


@dataclass(frozen=True)
class AveragingState:
    """What training with averaged weights continues from, besides the averages."""

    # The weights themselves, in the order of the variables that are averaged.
    weights: list[np.ndarray]
    n_steps: int  # steps in the averages


@dataclass(frozen=True)
class TrainingState:
    """What training changes."""

    # The network's variables, in the order of `network_variables`; their averages if weights are
    # averaged.
    network: list[np.ndarray]
    weighting: dict[str, np.ndarray]  # the state of the task weighting
    optimizer: list[np.ndarray] | None = None  # the optimizer's variables; None to start afresh
    # The optimizer that they belong to: its kind and configuration, and the learning rate that it
    # was given, None for a schedule.
    optimizer_settings: tuple[str, float | None] | None = None
    # The teacher of unlabelled cells; None to start one from the network.
    teacher: TeacherState | None = None
    # The weights that the network's are averages of; None to start a new average.
    averaging: AveragingState | None = None


# ------------------------------------------------------------------------------------------------
# Codec
# ------------------------------------------------------------------------------------------------


def encode_state(
    state: TrainingState,
    name: str,
    arrays: dict[str, np.ndarray],
    variable_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return a state for JSON; add its arrays to `arrays`, named `name` and by variable."""
    prefix = f"{name}/" if name else ""
    names = variable_names or [f"network/{number}" for number in range(len(state.network))]
    node: dict[str, Any] = {
        "values": encode_arrays(state.network, [prefix + n for n in names], arrays),
        "weighting": encode_value(dict(state.weighting), f"{prefix}task_weighting", arrays),
        "optimizer": encode_value(state.optimizer, f"{prefix}optimizer", arrays),
        "optimizer_settings": encode_value(state.optimizer_settings, name, arrays),
    }
    if state.teacher is not None:
        teacher_names = [f"{prefix}teacher/{n}" for n in names]
        values = encode_arrays(state.teacher.network, teacher_names, arrays)
        node["teacher"] = {"n_steps": state.teacher.n_steps, "values": values}
    if state.averaging is not None:
        weights = encode_value(list(state.averaging.weights), f"{prefix}weights", arrays)
        node["averaging"] = {"n_steps": state.averaging.n_steps, "values": weights}
    return node


def decode_state(node: Any, arrays: dict[str, np.ndarray]) -> TrainingState:
    """Return the state of a node that may come from anybody; raise ValueError if it has none."""
    require(type(node) is dict, "it describes no training state")
    require(_REQUIRED <= node.keys() <= _REQUIRED | _OPTIONAL, "its training state has other parts")
    weighting, optimizer, settings = (
        decode_value(node[part], arrays)
        for part in ("weighting", "optimizer", "optimizer_settings")
    )
    require(type(weighting) is dict, "its task weighting has no values")
    _require_arrays(list(weighting.values()), "the values of its task weighting")
    if optimizer is not None:
        _require_arrays(optimizer, "the values of its optimizer")
    if settings is not None:
        require(type(settings) is tuple and len(settings) == 2, "its optimizer has no settings")
        kind, rate = settings
        is_known = type(kind) is str and (rate is None or type(rate) is float)
        require(is_known, "its optimizer has no settings")
    teacher = averaging = None
    if "teacher" in node:
        teacher = TeacherState(*_decode_followed(node["teacher"], "its teacher", arrays))
    if "averaging" in node:
        averaging = AveragingState(*_decode_followed(node["averaging"], "its averages", arrays))
    network = decode_arrays(node["values"], "the values of its network", arrays)
    return TrainingState(network, weighting, optimizer, settings, teacher, averaging)


def _decode_followed(
    node: Any, what: str, arrays: dict[str, np.ndarray]
) -> tuple[list[np.ndarray], int]:
    """Return the arrays and the number of steps of what followed the training."""
    is_known = type(node) is dict and node.keys() == {"n_steps", "values"}
    require(is_known, f"{what} has other parts")
    n_steps = node["n_steps"]
    require(type(n_steps) is int and 0 <= n_steps < 2**31, f"{what} has no number of steps")
    return decode_arrays(node["values"], f"the values of {what}", arrays), n_steps


def encode_arrays(
    values: Sequence[Any], names: Sequence[str], arrays: dict[str, np.ndarray]
) -> list[Any]:
    """Return arrays for JSON, each added to `arrays` by its name."""
    pairs = zip(values, names, strict=True)
    return [encode_value(np.asarray(value), name, arrays) for value, name in pairs]


def decode_arrays(node: Any, what: str, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the list of arrays of a node that may come from anybody."""
    values = decode_value(node, arrays)
    _require_arrays(values, what)
    return values


def _require_arrays(values: Any, what: str) -> None:
    is_list = type(values) is list and all(isinstance(value, np.ndarray) for value in values)
    require(is_list, f"{what} are not arrays")


# ------------------------------------------------------------------------------------------------
# Checks
# ------------------------------------------------------------------------------------------------


def check_state(state: TrainingState, like: TrainingState) -> None:
    """Raise ValueError if a state could not take the place of another one of the same program."""
    require(
        (state.teacher is None) == (like.teacher is None)
        and (state.averaging is None) == (like.averaging is None),
        "its teacher or its averaged weights are missing, or not used",
    )
    require(state.optimizer_settings == like.optimizer_settings, "its optimizer is another one")
    require(state.weighting.keys() == like.weighting.keys(), "its task weighting has other values")
    require_alike(state.weighting.values(), (like.weighting[name] for name in state.weighting))
    require_alike(state.network, like.network)
    require_alike(state.optimizer or [], like.optimizer or [])
    if state.teacher is not None and like.teacher is not None:
        require_alike(state.teacher.network, like.teacher.network)
    if state.averaging is not None and like.averaging is not None:
        require_alike(state.averaging.weights, like.averaging.weights)


def require_alike(values: Iterable[np.ndarray], like: Iterable[np.ndarray]) -> None:
    """Raise ValueError unless arrays have the shapes and dtypes of others."""
    for value, other in zip(values, like, strict=True):
        fits = value.shape == other.shape and value.dtype == other.dtype
        require(fits, "its arrays have other shapes or dtypes")
