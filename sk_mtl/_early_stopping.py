"""Early stopping: when to stop, and which epoch was best. Numbers only; knows no network."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["EarlyStopping"]


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
    >>> from sk_mtl._early_stopping import EarlyStopping
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
