"""Settings of a training as plain values: what shapes the compiled program, and what one run needs.

No Keras: what is alive (optimizer, task weighting, callbacks) is passed separately, see `plan`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.early_stopping import Monitor, PlannedEpochs, StoppingConfig

__all__ = ["ProgramConfig", "RunConfig", "UnlabelledSpec"]


@dataclass(frozen=True)
class UnlabelledSpec:
    """How cells without a label are learned from.

    Attributes
    ----------
    momentum : float
        Share of the teacher's weights that a step keeps.
    threshold : float or None
        How probable the teacher must find a class for it to become the label; None to learn the
        teacher's probabilities.
    input_noise : float
        Share of the features of a row that are replaced before the network sees it.
    """

    momentum: float
    threshold: float | None = None
    input_noise: float = 0.0


@dataclass(frozen=True)
class ProgramConfig:
    """All that shapes a compiled program; equal configurations may share one.

    Attributes
    ----------
    spec : NetworkSpec
        The network.
    optimizer : str
        Kind and configuration of the optimizer, without the learning rate.
    weighting : tuple (type, hashable or None)
        Class of the task weighting, and its `program_key`.
    loss_normalization : {"tasks", "cells"}
        What the sum over a task's labelled cells is divided by.
    focal_gamma : float or None
        Exponent of the focal loss; None for the cross-entropy.
    has_logit_offsets : bool
        Whether the loss adds offsets to the logits.
    smooths_labels : bool
        Whether the loss smooths the labels.
    unlabelled : UnlabelledSpec or None
        How cells without a label are learned from; None to ignore them.
    xla_batch_size : int
        Rows per step where XLA compiles the steps, else 0.
    xla_unlabelled_batch_size : int
        Rows with unlabelled cells per step where XLA compiles the steps, else 0.
    ema_momentum : float
        Share of the running average of the weights that a step keeps; 0 for no average.
    is_sparse : bool
        Whether X is a CSR matrix.
    """

    spec: NetworkSpec
    optimizer: str
    weighting: tuple[type, Hashable]
    loss_normalization: str
    focal_gamma: float | None = None
    has_logit_offsets: bool = False
    smooths_labels: bool = False
    unlabelled: UnlabelledSpec | None = None
    xla_batch_size: int = 0
    xla_unlabelled_batch_size: int = 0
    ema_momentum: float = 0.0
    is_sparse: bool = False


@dataclass(frozen=True, eq=False)
class RunConfig:
    """What one training needs besides the program.

    Attributes
    ----------
    task_names : tuple of hashable
        Names of the tasks, for logs.
    epochs : int
        Maximum number of passes over the rows.
    batch_size : int
        Rows per step.
    seed : int
        Seed of everything drawn; together with the number of an epoch it fixes the order of rows.
    learning_rate : float or None
        The optimizer's; None for a schedule, which is part of its configuration.
    first_epoch : int
        Number of epochs trained before.
    stopping : StoppingConfig, PlannedEpochs or None
        When to stop, and which epochs to keep; None for all epochs and the last.
    monitored_task : int or None
        Task whose loss is monitored; None for the mean over tasks.
    batching : {"random", "label_aware"}
        How the rows of an epoch are ordered.
    logit_offsets : ndarray of float32 of shape (sum(n_outputs),) or None
        Added to the logits in the loss.
    label_smoothing : ndarray of float32 of shape (n_tasks,) or None
        Share of each task's labels that is spread over its classes, in training only.
    unlabelled_weight : float
        Final weight of unlabelled cells relative to labelled ones.
    unlabelled_batch_size : int
        Rows with unlabelled cells per step.
    """

    task_names: tuple[Hashable, ...]
    epochs: int
    batch_size: int
    seed: int
    learning_rate: float | None = None
    first_epoch: int = 0
    stopping: StoppingConfig | PlannedEpochs | None = None
    monitored_task: int | None = None
    batching: str = "random"
    logit_offsets: np.ndarray | None = None
    label_smoothing: np.ndarray | None = None
    unlabelled_weight: float = 1.0
    unlabelled_batch_size: int = 0

    def make_monitor(self) -> Monitor:
        """Return a new monitor of the losses."""
        return Monitor(self.task_names, self.stopping, self.monitored_task)
