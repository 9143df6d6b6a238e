"""Settings of a training as plain values: what shapes the compiled program, and what one run needs.

No Keras: what is alive (optimizer, task weighting, callbacks) is passed separately, see `plan`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.early_stopping import Monitor, PlannedEpochs, StoppingConfig

if TYPE_CHECKING:
    from sk_mtl._train.replicas import Replicas

__all__ = ["ProgramConfig", "Rates", "RunConfig", "UnlabelledSpec"]


@dataclass(frozen=True)
class UnlabelledSpec:
    """How cells without a label are learned from."""

    momentum: float  # share of the teacher's weights that a step keeps
    # How probable the teacher must find a class for it to become the label; None to learn the
    # teacher's probabilities.
    threshold: float | None = None
    # Share of the features of a row that are replaced before the network sees it.
    input_noise: float = 0.0


@dataclass(frozen=True)
class ProgramConfig:
    """All that shapes a compiled program; equal configurations may share one."""

    # The network's; the values of its `dropout` and `l2` are fed, see `Rates`.
    spec: NetworkSpec
    optimizer: str  # kind and configuration, without what is fed
    weighting: tuple[type, Hashable]  # class and `program_key` of the task weighting
    # {"tasks", "cells"}: what the sum over a task's labelled cells is divided by.
    loss_normalization: str
    replicas: Replicas  # that share the rows of a step
    focal_gamma: float | None = None  # exponent of the focal loss; None for the cross-entropy
    has_logit_offsets: bool = False
    smooths_labels: bool = False
    decays_weights: bool = False
    # How cells without a label are learned from; None to ignore them.
    unlabelled: UnlabelledSpec | None = None
    xla_batch_size: int = 0  # rows per step where XLA compiles the steps, else 0
    # Rows with unlabelled cells per step where XLA compiles the steps, else 0.
    xla_unlabelled_batch_size: int = 0
    averages_weights: bool = False
    # Of the factors of matrix products in a step; all else is float32.
    product_dtype: str = "float32"


class Rates(NamedTuple):
    """Settings that are fed into a step, so that trainings with other values share a program."""

    dropout: Any = 0.0  # share of a hidden layer's outputs that is dropped
    l2: Any = 0.0  # factor of the squared weights in the objective
    weight_decay: Any = 0.0  # the optimizer's
    # Share of the running average of the weights that a step keeps; 0 for no average.
    ema_momentum: Any = 0.0
    # Added to the logits in the loss; float32 of shape (sum(n_outputs),).
    logit_offsets: Any = None
    # Share of each task's labels that is spread over its classes; float32 of shape (n_tasks,).
    label_smoothing: Any = None
    noise_seed: Any = 0  # of the noise in unlabelled rows; follows from the seed of the run

    @property
    def averages_weights(self) -> bool:
        """Whether weights are averaged."""
        return bool(self.ema_momentum)


@dataclass(frozen=True, eq=False)
class RunConfig:
    """What one training needs besides the program."""

    task_names: tuple[Hashable, ...]
    epochs: int  # maximum number of passes over the rows
    batch_size: int
    # Seed of everything drawn; together with the number of an epoch it fixes the order of rows.
    seed: int
    # The optimizer's; None for a schedule, which is part of its configuration.
    learning_rate: float | None = None
    first_epoch: int = 0  # number of epochs trained before
    # When to stop, and which epochs to keep; None for all epochs and the last.
    stopping: StoppingConfig | PlannedEpochs | None = None
    monitored_task: int | None = None  # task whose loss is monitored; None for the mean over tasks
    batching: str = "random"  # {"random", "label_aware"}: how the rows of an epoch are ordered
    rates: Rates = field(default_factory=Rates)
    unlabelled_weight: float = 1.0  # final weight of unlabelled cells relative to labelled ones
    unlabelled_batch_size: int = 0  # rows with unlabelled cells per step

    def make_monitor(self) -> Monitor:
        """Return a new monitor of the losses."""
        return Monitor(self.task_names, self.stopping, self.monitored_task)
