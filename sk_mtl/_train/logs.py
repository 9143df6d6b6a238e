"""Logs: the losses of an epoch by name, from the sums that a program returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from sk_mtl._train.config import RunConfig
from sk_mtl._train.plan import TrainingPlan

__all__ = ["record_logs", "training_logs", "validation_logs"]


def training_logs(
    plan: TrainingPlan, state: Mapping[str, np.ndarray], sums: Sequence[np.ndarray], n_steps: int
) -> dict[str, float]:
    """Return the training losses: their mean, the objective, one per task, and task weights."""
    names = plan.run.task_names
    losses = _divide(sums[0], sums[1])
    logs = {"loss": _mean_over_tasks(losses, sums[1]), "objective": float(sums[2] / n_steps)}
    if len(sums) > 3:
        logs["unlabelled_objective"] = float(sums[3] / n_steps)
    logs |= {f"{name}_loss": float(v) for name, v in zip(names, losses, strict=True)}
    weighting = plan.parts.weighting
    if weighting.program_key() != "fixed":
        weights = weighting.weights(state, len(names))
        logs |= {f"{name}_weight": float(w) for name, w in zip(names, weights, strict=True)}
    return logs


def validation_logs(run: RunConfig, sums: Sequence[np.ndarray]) -> dict[str, float]:
    """Return the validation losses: their mean, and one per task."""
    losses = _divide(sums[0], sums[1])
    logs = {"val_loss": _mean_over_tasks(losses, sums[1])}
    names = (f"val_{name}_loss" for name in run.task_names)
    return logs | {name: float(v) for name, v in zip(names, losses, strict=True)}


def record_logs(
    history: dict[str, list[float]], logs: Mapping[str, float], told: Mapping[str, Any]
) -> None:
    """Add an epoch to a history: its losses, and the numbers that callbacks have added to them."""
    n_before = len(history.get("loss", []))
    known = dict(logs)
    for name, value in told.items():
        # What is no number is left out: a history can be drawn, averaged over folds and saved.
        with suppress(TypeError, ValueError):
            known.setdefault(str(name), float(value))
    for name in {**history, **known}:
        series = history.setdefault(name, [float("nan")] * n_before)
        series.append(known.get(name, float("nan")))


def _divide(loss_sum: np.ndarray, weight_sum: np.ndarray) -> np.ndarray:
    """Return means over labelled cells, NaN for a task without any."""
    safe = np.where(weight_sum > 0, weight_sum, 1)
    return np.where(weight_sum > 0, np.asarray(loss_sum) / safe, np.nan)


def _mean_over_tasks(losses: np.ndarray, weight_sum: np.ndarray) -> float:
    """Return the mean over the tasks that have labelled cells; NaN if one of those diverged."""
    known = losses[np.asarray(weight_sum) > 0]
    return float(known.mean()) if len(known) else float("nan")
