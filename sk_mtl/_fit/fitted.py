"""The fitted model: all that a fit leaves behind, in one frozen value that predicts.

Owns the way from checked features to class probabilities and class indices of all tasks: those
that the network learns, those with one class, and those without a label.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from sk_mtl._data.input_encoder import InputEncoder
from sk_mtl._data.labels import LabelTable
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._data.schema import TargetSchema
from sk_mtl._fit.fitted_network import FittedNetwork

__all__ = ["FittedModel"]


@dataclass(frozen=True)
class FittedModel:
    """What a fit has learned.

    Attributes
    ----------
    schema : TargetSchema
        Tasks and classes.
    encoder : InputEncoder
        What was learned of X.
    network : FittedNetwork or None
        None if no task has two classes.
    seed : int
        Seed of everything drawn, for fits that continue this one.
    has_labels : ndarray of bool of shape (n_tasks,)
        Whether a task had a label in training; others are predicted as missing.
    labelled_cells : ndarray of int of shape (n_tasks,)
        Labelled cells of all rows that were passed.
    n_rows : int
        Rows that were passed.
    task_weights : ndarray of float32 of shape (n_tasks,)
        Weights of the task losses; 0 for a task that the network does not learn.
    history : dict of list of float
        One entry per epoch.
    n_iter : int
        Epochs trained.
    best_iter : int
        The epoch whose weights were kept, counted from 1; 0 if callbacks set others.
    stopping : dict or None
        How early stopping ended: the series of the monitored task, the patience, whether training
        stopped, the best loss, and the number of folds.
    label_smoothing : "auto" or float, default=0.0
        The parameter, as the network was trained with it.
    unlabelled : str or None, default=None
        The parameter, as the network was trained with it.
    dtype : str, default="float32"
        The parameter, as the network was trained with it last.
    """

    schema: TargetSchema
    encoder: InputEncoder
    network: FittedNetwork | None
    seed: int
    has_labels: np.ndarray
    labelled_cells: np.ndarray
    n_rows: int
    task_weights: np.ndarray
    history: dict[str, list[float]]
    n_iter: int
    best_iter: int
    stopping: dict[str, Any] | None
    label_smoothing: str | float = 0.0
    unlabelled: str | None = None
    dtype: str = "float32"

    @property
    def is_learnable(self) -> np.ndarray:
        """Whether a task has two classes or more, so that the network learns it."""
        return np.array([n >= 2 for n in self.schema.n_classes])

    @property
    def allows_nan(self) -> bool:
        """Whether cells of X may be missing."""
        return self.encoder.spec is not None and self.encoder.spec.standardize

    @property
    def knows_labels(self) -> bool | str:
        """Whether, and how, the network takes a row's known labels as inputs."""
        return self.network is not None and self.network.spec.known_labels

    @property
    def n_members(self) -> int:
        """The number of members of the ensemble; 1 without a network."""
        return 1 if self.network is None else self.network.spec.ensemble_size

    @property
    def temperatures(self) -> np.ndarray:
        """The temperature of each task; 1 where none was fitted."""
        temperatures = np.ones(len(self.has_labels), dtype=np.float32)
        if self.network is not None and self.network.temperatures is not None:
            temperatures[self.is_learnable] = self.network.temperatures
        return temperatures

    @property
    def best_iters(self) -> np.ndarray:
        """By task, the epoch whose weights predict it; 0 if it is not learned, or not known."""
        epochs = np.where(self.is_learnable, self.best_iter, 0)
        if self.network is not None and self.network.best_weights is not None:
            epochs[self.is_learnable] = self.network.best_weights.task_epochs
        return epochs

    def probabilities(
        self, X: Any, *, calibrated: bool = True, known: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """Return class probabilities by task, (n_samples, n_classes_t); NaN without labels."""
        # Known labels are class indices, or negative where unknown: see `write_known`.
        if known is not None:
            known = known[:, self.is_learnable] if self.knows_labels else None
        learned = [] if self.network is None else self.network.probabilities(X, calibrated, known)
        return self._with_others(learned, X.shape[0], 1.0)

    def spread(self, X: Any) -> list[np.ndarray]:
        """Return the standard deviations of probabilities over members, as `probabilities`."""
        learned = [] if self.network is None else self.network.spread(X)
        return self._with_others(learned, X.shape[0], 0.0)

    def codes(self, X: Any) -> np.ndarray:
        """Return the most probable class index of each cell; 0 for tasks without labels."""
        # A temperature changes no order, but could round two probabilities to the same number.
        probabilities = self.probabilities(X, calibrated=False)
        codes = np.zeros((X.shape[0], len(probabilities)), dtype=np.int64)
        for t in np.flatnonzero(self.has_labels):
            codes[:, t] = probabilities[t].argmax(axis=1)
        return codes

    def accuracies(self, X: Any, table: LabelTable, sample_weight: Any) -> dict[Hashable, float]:
        """Return the accuracy of each task that has labelled cells, here and in training."""
        codes = self.codes(X)
        table = self.schema.align(table)
        check_consistent_length(codes, np.empty(table.n_samples))
        weight = read_cell_weight(sample_weight, table)
        truth = self.schema.encode(table, weight, unknown="keep")
        hits = (codes == truth.codes) * truth.cell_weight.astype(np.float64)
        totals = truth.cell_weight.sum(axis=0, dtype=np.float64)
        counted = (totals > 0) & self.has_labels
        accuracies = hits.sum(axis=0)[counted] / totals[counted]
        names = itertools.compress(self.schema.task_names, counted)
        return dict(zip(names, accuracies.tolist(), strict=True))

    def _with_others(
        self, learned: Iterable[np.ndarray], n_rows: int, single_class: float
    ) -> list[np.ndarray]:
        """Add the tasks that the network does not learn; NaN for those without labels."""
        remaining, by_task = iter(learned), []
        for t, n_classes in enumerate(self.schema.n_classes):
            if self.is_learnable[t]:
                values = next(remaining)
            else:
                values = np.full((n_rows, n_classes), single_class, np.float32)
            by_task.append(values if self.has_labels[t] else np.full_like(values, np.nan))
        return by_task
