"""Checkpoints: the values of a network in the epochs that were best for its tasks.

Owns which values belong to which task. Does not know how they came about, nor what a network is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

__all__ = ["BestWeights", "BestWeightsKeeper"]


@dataclass(frozen=True)
class BestWeights:
    """The values of a network in the epochs that were best for its tasks.

    Attributes
    ----------
    epochs : tuple of int
        These epochs, ascending, without repetition.
    values : tuple of list of ndarray
        By epoch, the network's variables in the order of `network_variables`.
    of_task : tuple of int
        By task, the position of its epoch among these.
    """

    epochs: tuple[int, ...]
    values: tuple[list[np.ndarray], ...]
    of_task: tuple[int, ...]

    @property
    def task_epochs(self) -> tuple[int, ...]:
        """The epoch of each task."""
        return tuple(self.epochs[position] for position in self.of_task)

    def shift(self, n_epochs: int) -> BestWeights:
        """Return the same with epochs counted from an earlier one.

        Parameters
        ----------
        n_epochs : int
            By how many to raise the number of each.

        Returns
        -------
        checkpoints : BestWeights
            With the same values.
        """
        return replace(self, epochs=tuple(epoch + n_epochs for epoch in self.epochs))


@dataclass
class BestWeightsKeeper:
    """Keeps the latest best values of each task, epoch by epoch.

    Attributes
    ----------
    kept : dict of {int: tuple (int, list of ndarray)}
        By task, the epoch, counted from 1, and the network's variables.
    """

    kept: dict[int, tuple[int, list[np.ndarray]]] = field(default_factory=dict)

    def keep(self, tasks: Iterable[int], epoch: int, values: list[np.ndarray]) -> None:
        """Note values as the best so far of some tasks.

        Parameters
        ----------
        tasks : iterable of int
            The tasks.
        epoch : int
            The epoch of the values, counted from 1.
        values : list of ndarray
            The network's variables; not copied.
        """
        self.kept |= dict.fromkeys(tasks, (epoch, values))

    def checkpoints(self, n_tasks: int, epoch: int, values: list[np.ndarray]) -> BestWeights | None:
        """Return what was kept.

        Parameters
        ----------
        n_tasks : int
            Number of tasks.
        epoch : int
            The epoch for tasks of which nothing was.
        values : list of ndarray
            Its values.

        Returns
        -------
        checkpoints : BestWeights or None
            None where all tasks have this one epoch.
        """
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
