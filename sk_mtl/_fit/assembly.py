"""Assembly: from the last round of a fit to the fitted model.

Owns what a fit that continues another one takes over from it. Does not train.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sk_mtl._data.dataset import Dataset
from sk_mtl._data.input_encoder import InputEncoder
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.fitted_network import FittedNetwork
from sk_mtl._fit.settings import Settings
from sk_mtl._train.loop import TrainingResult
from sk_mtl._train.plan import TrainingPlan

__all__ = ["Round", "assemble_model"]


@dataclass(frozen=True)
class Round:
    """One training: what was trained, the encoder of its X, and the result."""

    plan: TrainingPlan
    encoder: InputEncoder
    result: TrainingResult


def assemble_model(
    settings: Settings,
    dataset: Dataset,
    last: Round | None,
    seed: int,
    previous: FittedModel | None,
    temperatures: np.ndarray | None,
    *,
    adds_labels: bool = False,
    n_folds: int = 0,
) -> FittedModel:
    """Return the fitted model of the last round, continued from a previous one if there was."""
    schema, labelled = dataset.schema, dataset.labelled_cells
    n_rows = dataset.n_samples
    has_labels = (labelled > 0) & (np.array(schema.n_classes) > 0)
    history: dict[str, list[float]] = {}
    n_iter = 0
    if previous is not None:
        has_labels |= previous.has_labels
        history, n_iter = previous.history, previous.n_iter
        if adds_labels:
            labelled, n_rows = labelled + previous.labelled_cells, n_rows + previous.n_rows
    weights = np.zeros(len(schema.task_names), dtype=np.float32)
    network, best_iter = None, 0
    stopping: dict[str, Any] | None = None
    trained_with: dict[str, Any] = {}
    encoder = InputEncoder(dataset.categories)
    if last is not None:
        plan, result, encoder = last.plan, last.result, last.encoder
        history = _continue_history(history, result.history, n_iter, result.n_epochs)
        best_weights = result.best_weights
        if best_weights is not None:
            best_weights = best_weights.shift(n_iter)
        if result.best_epoch:
            best_iter = n_iter + result.best_epoch
        elif previous is not None and not result.n_epochs:  # no labelled row came
            best_iter = previous.best_iter
        n_iter += result.n_epochs
        network = FittedNetwork(plan.spec, result.state, temperatures, best_weights)
        n_learnable = len(dataset.learnable_names)
        weights[dataset.is_learnable] = plan.parts.weighting.weights(
            result.state.weighting, n_learnable
        )
        if result.stopping is not None:
            stopping = {**result.stopping._asdict(), "n_folds": n_folds}
        trained_with["unlabelled"] = settings.unlabelled
        trained_with["dtype"] = settings.trained_dtype
        if settings.loss == "cross_entropy":
            smoothing = settings.label_smoothing
            trained_with["label_smoothing"] = smoothing if smoothing == "auto" else float(smoothing)
    return FittedModel(
        schema=schema,
        encoder=encoder,
        network=network,
        seed=seed,
        has_labels=has_labels,
        labelled_cells=labelled,
        n_rows=n_rows,
        task_weights=weights,
        history=history,
        n_iter=n_iter,
        best_iter=best_iter,
        stopping=stopping,
        **trained_with,
    )


def _continue_history(
    history: dict[str, list[float]], new: dict[str, list[float]], n_before: int, n_new: int
) -> dict[str, list[float]]:
    """Return a history with further epochs; NaN where a series was not recorded."""
    before, after = [float("nan")] * n_before, [float("nan")] * n_new
    return {name: history.get(name, before) + new.get(name, after) for name in {**history, **new}}
