"""Best weights: the values of a network in the epochs that were best for its tasks. No Keras.

Owns which values belong to which task, and their codec. Does not know where the values come from.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sk_mtl._codec.values import require
from sk_mtl._train.state import decode_arrays, encode_arrays

__all__ = [
    "BestWeights",
    "BestWeightsKeeper",
    "decode_best_weights",
    "decode_keeper",
    "encode_best_weights",
    "encode_keeper",
]


@dataclass(frozen=True)
class BestWeights:
    """The values of a network in the epochs that were best for its tasks."""

    epochs: tuple[int, ...]  # these epochs, ascending, without repetition
    # By epoch, the network's variables in the order of `network_variables`.
    values: tuple[list[np.ndarray], ...]
    of_task: tuple[int, ...]  # by task, the position of its epoch among these

    @property
    def task_epochs(self) -> tuple[int, ...]:
        """The epoch of each task."""
        return tuple(self.epochs[position] for position in self.of_task)

    def shift(self, n_epochs: int) -> BestWeights:
        """Return the same with epochs counted from `n_epochs` earlier."""
        return replace(self, epochs=tuple(epoch + n_epochs for epoch in self.epochs))


@dataclass
class BestWeightsKeeper:
    """Keeps the latest best values of each task, epoch by epoch."""

    # By task, the epoch, counted from 1, and the network's variables.
    kept: dict[int, tuple[int, list[np.ndarray]]] = field(default_factory=dict)

    def keep(self, tasks: Iterable[int], epoch: int, values: list[np.ndarray]) -> None:
        """Note the values of an epoch, which are not copied, as the best so far of some tasks."""
        self.kept |= dict.fromkeys(tasks, (epoch, values))

    def best_weights(
        self, n_tasks: int, epoch: int, values: list[np.ndarray]
    ) -> BestWeights | None:
        """Return what was kept, with one epoch for all other tasks; None if all tasks have it."""
        by_task = [self.kept.get(task, (epoch, values)) for task in range(n_tasks)]
        by_epoch = {**dict(by_task), epoch: values}
        epochs = sorted({number for number, _ in by_task})
        if epochs == [epoch]:
            return None
        return BestWeights(
            tuple(epochs),
            tuple(by_epoch[number] for number in epochs),
            tuple(epochs.index(number) for number, _ in by_task),
        )


# ------------------------------------------------------------------------------------------------
# Codec
# ------------------------------------------------------------------------------------------------


def encode_best_weights(
    best: BestWeights,
    of_state: list[np.ndarray],
    variable_names: Sequence[str],
    arrays: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Return best weights for JSON; the values of the state, being stored already, become None."""
    values = [
        None if of_epoch is of_state else _encode_epoch(epoch, of_epoch, variable_names, arrays)
        for epoch, of_epoch in zip(best.epochs, best.values, strict=True)
    ]
    return {"epochs": list(best.epochs), "of_task": list(best.of_task), "values": values}


def decode_best_weights(
    node: Any, of_state: list[np.ndarray], n_tasks: int, arrays: dict[str, np.ndarray]
) -> BestWeights:
    """Return the best weights of a node that may come from anybody; ValueError if it has none."""
    is_known = type(node) is dict and node.keys() == {"epochs", "of_task", "values"}
    require(is_known, "its best epochs have other parts")
    epochs, of_task = node["epochs"], node["of_task"]
    require(all(type(n) is int for n in (*epochs, *of_task)), "an epoch is not a number")
    require(
        all(a < b for a, b in itertools.pairwise([0, *epochs])), "its best epochs do not ascend"
    )
    is_each = len(of_task) == n_tasks and set(of_task) == set(range(len(epochs)))
    require(is_each and len(node["values"]) == len(epochs), "its best epochs are of other tasks")
    values = [
        of_state if part is None else decode_arrays(part, "the values of an epoch", arrays)
        for part in node["values"]
    ]
    return BestWeights(tuple(epochs), tuple(values), tuple(of_task))


def encode_keeper(keeper: BestWeightsKeeper, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return what a keeper holds, for JSON; the values of an epoch are stored once."""
    networks = dict(keeper.kept.values())
    return {
        "epochs_of_tasks": [[task, epoch] for task, (epoch, _) in keeper.kept.items()],
        "networks": [
            [epoch, _encode_epoch(epoch, values, range(len(values)), arrays)]
            for epoch, values in networks.items()
        ],
    }


def decode_keeper(node: Any, n_tasks: int, arrays: dict[str, np.ndarray]) -> BestWeightsKeeper:
    """Return the keeper of a node that may come from anybody; ValueError if it has none."""
    is_known = type(node) is dict and node.keys() == {"epochs_of_tasks", "networks"}
    require(is_known, "its best epochs have other parts")
    networks = {
        epoch: decode_arrays(part, "the values of an epoch", arrays)
        for epoch, part in node["networks"]
    }
    epochs = dict(node["epochs_of_tasks"])
    require(epochs.keys() <= set(range(n_tasks)), "it is of other tasks")
    require(networks.keys() == set(epochs.values()), "it lacks the best epoch of a task")
    return BestWeightsKeeper({task: (epoch, networks[epoch]) for task, epoch in epochs.items()})


def _encode_epoch(
    epoch: int, values: list[np.ndarray], names: Iterable[Any], arrays: dict[str, np.ndarray]
) -> list[Any]:
    return encode_arrays(values, [f"epoch_{epoch}/{name}" for name in names], arrays)
