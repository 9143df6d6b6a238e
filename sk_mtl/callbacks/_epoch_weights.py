"""The weights of a network, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from sk_mtl._compat.arguments import check_integer
from sk_mtl._model.build import network_variables

__all__ = ["EpochWeights"]


class EpochWeights(keras.callbacks.Callback):
    """Keep the weights of the network at the end of each epoch.

    What changes during a training can then be computed afterwards, on any rows: as the cosines of
    the tasks' gradients that :class:`~sk_mtl.plotting.GradientCosinesDisplay` draws. Pass an
    instance to `callbacks`, and use another one for each estimator. A training that starts afresh
    starts the record afresh, so that of ``refit=True`` is on all rows; one that continues, as
    `partial_fit` does, continues it.

    Parameters
    ----------
    every : int, default=1
        Keep the weights of every so many epochs, from the first on. An epoch takes as much memory
        as the network: 4 bytes per weight.

    Attributes
    ----------
    epochs_ : list of int
        The epochs that were kept, counted from 1.
    weights_ : list of list of ndarray
        The variables of the network after each of them, trainable ones first. If weights are
        averaged (`ema_momentum`), these are the averages, with which the estimator predicts.

    See Also
    --------
    sk_mtl.plotting.GradientCosinesDisplay : Cosines of the tasks' gradients by epoch.

    Notes
    -----
    The record is pickled with the estimator. Without it, ``estimator.set_params(callbacks=None)``
    leaves the fitted network as it is.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.callbacks import EpochWeights
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(n_samples=80, n_tasks=2, random_state=0)
    >>> record = EpochWeights(every=2)
    >>> clf = MultiTaskClassifier(epochs=5, callbacks=record, random_state=0).fit(X, Y)
    >>> record.epochs_
    [1, 3, 5]
    """

    def __init__(self, every: int = 1):
        super().__init__()
        check_integer("EpochWeights", "every", every, 1)
        self.every = every
        self.epochs_: list[int] = []
        self.weights_: list[list[np.ndarray]] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the weights of an epoch. Called by the training.

        Parameters
        ----------
        epoch : int
            The epoch, counted from 0.
        logs : dict, default=None
            Not used.
        """
        if epoch % self.every:
            return
        if self.epochs_ and epoch < self.epochs_[-1]:  # of an earlier training
            self.epochs_, self.weights_ = [], []
        self.epochs_.append(epoch + 1)
        self.weights_.append([np.array(v) for v in network_variables(self.model)])
