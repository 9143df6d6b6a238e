"""The values that `MultiTaskClassifier.best` sets; docs/benchmarks/quality.md says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sk_mtl.weighting import sees_gradients

__all__ = ["choose_best"]

_TRAINING = {"refit": True, "calibrate": "auto"}
_NETWORK = {"ensemble_size": 16}
_LOSS = {"label_smoothing": "auto"}
_OPTIMIZER = {"optimizer": "adam", "optimizer__learning_rate": 2e-3}


def choose_best(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with the values for quality added, unless they set or exclude them."""
    chosen: dict[str, Any] = _TRAINING | _LOSS
    # Members of an ensemble share their trunk in a way of their own.
    is_hard = params.get("sharing", "hard") == "hard"
    has_members = is_hard and not sees_gradients(params.get("task_weighting", "equal"))
    if params.get("model") is None and has_members:
        chosen |= _NETWORK
    if "optimizer" not in params or params["optimizer"] == _OPTIMIZER["optimizer"]:
        chosen |= _OPTIMIZER
    return chosen | dict(params)
