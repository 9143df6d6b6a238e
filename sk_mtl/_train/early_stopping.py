"""Early stopping: when to stop, and which epoch was best, for all tasks together and for each.

Numbers only; knows no network.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sk_mtl._codec.values import require

__all__ = [
    "BestEpochs",
    "EarlyStopping",
    "Monitor",
    "PlannedEpoch",
    "PlannedEpochs",
    "StoppingConfig",
    "StoppingResult",
    "compute_best_epochs",
    "mean_history",
]


@dataclass(frozen=True)
class StoppingConfig:
    """Settings of early stopping."""

    n_iter_no_change: int  # epochs without an improvement after which to stop
    tol: float = 0.0  # how much lower than the best a loss must be to postpone the stop
    # Whether each task keeps its own best epoch; then training stops when no task improves.
    by_task: bool = False


@dataclass(frozen=True)
class PlannedEpochs:
    """Best epochs that are known before training."""

    best_epoch: int  # the epoch to keep, counted from 1
    task_epochs: tuple[int, ...] = ()  # the epoch to keep for each task; () for the same

    @property
    def last_epoch(self) -> int:
        """The last of these epochs."""
        return max(self.best_epoch, *self.task_epochs, 0)


class StoppingResult(NamedTuple):
    """How early stopping ended."""

    task: str | None  # the monitored task; None for the mean over tasks
    n_iter_no_change: int  # epochs without an improvement after which to stop
    stopped: bool  # whether it stopped the training
    best: float  # the lowest loss


@dataclass
class EarlyStopping:
    """Follows a loss, epoch by epoch."""

    n_iter_no_change: int  # epochs without an improvement after which to stop
    # How much lower than the best a loss must be to postpone the stop. The best epoch is the one
    # with the lowest loss, by however little.
    tol: float = 0.0
    best_loss: float = math.inf
    best_epoch: int = 0  # counted from 1; 0 before the first
    _reference: float = math.inf
    _epoch: int = 0
    _reference_epoch: int = 0

    def update(self, loss: float) -> bool:
        """Take the loss of the next epoch; return whether it is the lowest (NaN never is)."""
        self._epoch += 1
        if loss < self._reference - self.tol:
            self._reference, self._reference_epoch = loss, self._epoch
        is_best = loss < self.best_loss
        if is_best:
            self.best_loss, self.best_epoch = loss, self._epoch
        return is_best

    @property
    def should_stop(self) -> bool:
        """Whether `n_iter_no_change` epochs have passed without an improvement by `tol`."""
        return self._epoch - self._reference_epoch >= self.n_iter_no_change


@dataclass
class PlannedEpoch:
    """Stands in for `EarlyStopping` where the best epoch is known."""

    best_epoch: int  # counted from 1; 0 for none
    _epoch: int = 0
    should_stop = False

    def update(self, loss: float) -> bool:
        """Take the loss of the next epoch; return whether this is the epoch and its loss finite."""
        self._epoch += 1
        return self._epoch == self.best_epoch and loss < math.inf


class Monitor:
    """Follows the losses of a training: validation losses, or training losses without them."""

    def __init__(
        self,
        task_names: Sequence[Hashable],
        stopping: StoppingConfig | PlannedEpochs | None,
        monitored_task: int | None = None,
    ):
        self._task_names = task_names
        self._monitored_task = monitored_task
        self._overall: EarlyStopping | PlannedEpoch | None = None
        self._tasks: Sequence[EarlyStopping | PlannedEpoch] = ()
        if isinstance(stopping, PlannedEpochs):
            self._overall = PlannedEpoch(stopping.best_epoch)
            self._tasks = [PlannedEpoch(epoch) for epoch in stopping.task_epochs]
        elif stopping is not None:
            settings = (stopping.n_iter_no_change, stopping.tol)
            self._overall = EarlyStopping(*settings)
            if stopping.by_task:
                self._tasks = [EarlyStopping(*settings) for _ in task_names]

    def update(self, logs: Mapping[str, float]) -> tuple[bool, list[int]]:
        """Take the logs of the next epoch; return whether it is the best, and for which tasks."""
        prefix = "val_" if "val_loss" in logs else ""
        has_diverged = not np.isfinite(logs["objective"])
        names = [f"{prefix}{name}_loss" for name in self._task_names]
        task = self._monitored_task
        monitored = f"{prefix}loss" if task is None else names[task]

        def loss_of(name: str) -> float:
            return math.inf if has_diverged else logs[name]

        is_best = self._overall is not None and self._overall.update(loss_of(monitored))
        improved = [t for t, part in enumerate(self._tasks) if part.update(loss_of(names[t]))]
        return is_best, improved

    @property
    def should_stop(self) -> bool:
        """Whether training should stop: no task improves, or the monitored loss does not."""
        if self._tasks:
            return all(part.should_stop for part in self._tasks)
        return self._overall is not None and self._overall.should_stop

    @property
    def best_epoch(self) -> int:
        """The best epoch, counted from 1; 0 for none."""
        return 0 if self._overall is None else self._overall.best_epoch

    @property
    def task_epochs(self) -> tuple[int, ...]:
        """The best epoch of each task, 0 for none; () if the tasks have none of their own."""
        return tuple(part.best_epoch for part in self._tasks)

    def result(self) -> StoppingResult | None:
        """Return how early stopping ended; None without early stopping."""
        overall, task = self._overall, self._monitored_task
        if not isinstance(overall, EarlyStopping):
            return None
        return StoppingResult(
            None if task is None else str(self._task_names[task]),
            int(overall.n_iter_no_change),
            bool(self.should_stop),
            float(overall.best_loss),
        )

    def state(self) -> list[dict[str, Any]]:
        """Return what changes from epoch to epoch, as plain values."""
        return [dict(vars(part)) for part in self._parts()]

    def restore(self, state: Any) -> None:
        """Take a state that may come from anybody; raise ValueError if it is not of this kind."""
        parts = self._parts()
        require(len(state) == len(parts), "it is of another early stopping")
        for part, found in zip(parts, state, strict=True):
            kinds = {name: type(value) for name, value in vars(part).items()}
            require(
                {name: type(value) for name, value in found.items()} == kinds,
                "its early stopping has other values",
            )
        for part, found in zip(parts, state, strict=True):
            vars(part).update(found)

    def _parts(self) -> list[EarlyStopping | PlannedEpoch]:
        return [*([] if self._overall is None else [self._overall]), *self._tasks]


class BestEpochs(NamedTuple):
    """The best epochs of a history."""

    best_epoch: int  # the best epoch, counted from 1
    task_epochs: tuple[int, ...]  # the best epoch of each task; () if all have this one
    stopping: StoppingResult | None  # how early stopping would have ended


def compute_best_epochs(monitor: Monitor, history: Mapping[str, Sequence[float]]) -> BestEpochs:
    """Return the best epochs of a history (one entry per epoch), as a new monitor finds them."""
    for values in zip(*history.values(), strict=True):
        monitor.update(dict(zip(history, values, strict=True)))
    # If no loss was ever known, training runs to the end.
    best_epoch = monitor.best_epoch or len(history["loss"])
    task_epochs = tuple(epoch or best_epoch for epoch in monitor.task_epochs)
    return BestEpochs(best_epoch, task_epochs, monitor.result())


def mean_history(histories: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Return the mean over several trainings of each series, epoch by epoch."""
    # A training that stopped before others counts with its last entries; NaN is left out.
    joined = {}
    for name in dict.fromkeys(name for history in histories for name in history):
        series = [history[name] for history in histories if name in history]
        length = max(map(len, series))
        filled = np.array([[*s, *[s[-1]] * (length - len(s))] for s in series])
        known = ~np.isnan(filled)
        counts = known.sum(axis=0)
        means = np.where(known, filled, 0).sum(axis=0) / np.maximum(counts, 1)
        joined[name] = np.where(counts > 0, means, np.nan).tolist()
    return joined
