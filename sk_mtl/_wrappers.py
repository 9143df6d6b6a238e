"""Pipelines and searches: the estimator inside them."""

from __future__ import annotations

from typing import Any

__all__ = ["find_missing_label", "find_multitask", "reach", "unwrap"]


def unwrap(estimator: Any) -> Any:
    """Return what a fitted search or Pipeline predicts with; None for anything else."""
    if hasattr(estimator, "best_estimator_"):
        return estimator.best_estimator_
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else None


def find_multitask(estimator: Any) -> Any:
    """Return the estimator of several tasks inside Pipelines and searches, or None."""
    while estimator is not None and not hasattr(estimator, "missing_label"):
        estimator = unwrap(estimator)
    return estimator


def find_missing_label(estimator: Any) -> Any:
    """Return the `missing_label` of the estimator inside Pipelines and searches, or None."""
    return getattr(find_multitask(estimator), "missing_label", None)


def reach(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the estimator inside fitted Pipelines and searches, and X as it gets it."""
    while (inner := unwrap(estimator)) is not None:
        if hasattr(estimator, "steps") and not hasattr(estimator, "best_estimator_"):
            X = estimator[:-1].transform(X) if len(estimator.steps) > 1 else X
        estimator = inner
    return estimator, X
