"""Early stopping: when to stop, and which epoch was best, for all tasks or for each.

Numbers only; knows no network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["EarlyStopping", "PlannedEpoch", "TaskStopping", "mean_history"]


@dataclass
class EarlyStopping:
    """Watches a loss, epoch by epoch.

    Parameters
    ----------
    n_iter_no_change : int
        Epochs without an improvement after which to stop.
    tol : float, default=0.0
        How much lower than the best a loss must be to count as an improvement that postpones the
        stop. The best epoch is the one with the lowest loss, by however little.

    Attributes
    ----------
    best_loss : float
        Lowest loss so far.
    best_epoch : int
        Its epoch, counted from 1; 0 before the first.

    Examples
    --------
    >>> from sk_mtl._train.early_stopping import EarlyStopping
    >>> stopping = EarlyStopping(n_iter_no_change=2)
    >>> [stopping.update(loss) for loss in (0.9, 0.5, 0.6, 0.7)]
    [True, True, False, False]
    >>> stopping.best_epoch, stopping.should_stop
    (2, True)
    """

    n_iter_no_change: int
    tol: float = 0.0
    best_loss: float = math.inf
    best_epoch: int = 0
    _reference: float = math.inf
    _epoch: int = 0
    _reference_epoch: int = 0

    def update(self, loss: float) -> bool:
        """Take the loss of the next epoch.

        Parameters
        ----------
        loss : float
            The watched loss; NaN is never an improvement.

        Returns
        -------
        is_best : bool
            Whether it is the lowest so far.
        """
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
    """Takes an epoch for the best that is known beforehand, in the place of `EarlyStopping`.

    Parameters
    ----------
    best_epoch : int
        The epoch, counted from 1; 0 for none.

    Examples
    --------
    >>> from sk_mtl._train.early_stopping import PlannedEpoch
    >>> planned = PlannedEpoch(2)
    >>> [planned.update(loss) for loss in (0.9, 0.5, 0.4)]
    [False, True, False]
    """

    best_epoch: int
    best_loss: float = math.nan
    should_stop: bool = False
    _epoch: int = 0

    def update(self, loss: float) -> bool:
        """Take the loss of the next epoch.

        Parameters
        ----------
        loss : float
            Some loss; the planned epoch is not taken where it is infinite or NaN.

        Returns
        -------
        is_best : bool
            Whether this is the epoch.
        """
        self._epoch += 1
        return self._epoch == self.best_epoch and loss < math.inf


@dataclass
class TaskStopping:
    """Watches the loss of each task.

    Parameters
    ----------
    tasks : sequence of EarlyStopping or PlannedEpoch
        One for each task.

    Examples
    --------
    >>> from sk_mtl._train.early_stopping import EarlyStopping, TaskStopping
    >>> stopping = TaskStopping([EarlyStopping(2), EarlyStopping(2)])
    >>> stopping.update([0.9, 0.9]), stopping.update([1.0, 0.8]), stopping.update([1.0, 0.9])
    ([0, 1], [1], [])
    >>> stopping.best_epochs, stopping.should_stop
    ((1, 2), False)
    """

    tasks: Sequence[EarlyStopping | PlannedEpoch]

    def update(self, losses: Sequence[float]) -> list[int]:
        """Take the losses of the next epoch.

        Parameters
        ----------
        losses : sequence of float
            One per task; NaN where a task has no label to be watched.

        Returns
        -------
        improved : list of int
            The tasks whose loss is the lowest so far.
        """
        pairs = zip(self.tasks, losses, strict=True)
        return [t for t, (task, loss) in enumerate(pairs) if task.update(loss)]

    @property
    def best_epochs(self) -> tuple[int, ...]:
        """The best epoch of each task, 0 where there is none."""
        return tuple(task.best_epoch for task in self.tasks)

    @property
    def should_stop(self) -> bool:
        """Whether no task has improved for as long as each of them waits."""
        return all(task.should_stop for task in self.tasks)


def mean_history(histories: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Return the mean over several trainings of each series, epoch by epoch.

    Parameters
    ----------
    histories : sequence of mapping of str to sequence of float
        By training, series of one entry per epoch. A training that stopped before others goes on
        with its last entries; NaN is left out.

    Returns
    -------
    history : dict of list of float
        As long as the longest; NaN where all are.

    Examples
    --------
    >>> from sk_mtl._train.early_stopping import mean_history
    >>> mean_history([{"loss": [4.0, 2.0, 1.0]}, {"loss": [2.0]}])
    {'loss': [3.0, 2.0, 1.5]}
    """
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
