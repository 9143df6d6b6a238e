"""The setting for quality: what `MultiTaskClassifier.best` sets, and how that gives way.

Owns the values and nothing else: docs/benchmarks/quality.md says how they were chosen. Does not
know the estimator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["choose_best"]

_TRAINING = {"refit": True, "calibrate": "auto"}
_NETWORK = {"ensemble_size": 16, "numeric_embedding": "piecewise_linear"}
_LOSS = {"label_smoothing": "auto"}
_OPTIMIZER = {"optimizer": "adam", "optimizer__learning_rate": 2e-3}


def choose_best(params: Mapping[str, Any]) -> dict[str, Any]:
    """Add the setting for quality to parameters, which win.

    Parameters
    ----------
    params : mapping of str to object
        Parameters of the estimator.

    Returns
    -------
    chosen : dict of str to object
        These, and those of the setting that are not among them: none of the optimizer's where there
        is another one, and none of the network's where there is a `model`.
    """
    chosen: dict[str, Any] = _TRAINING | _LOSS
    if params.get("model") is None:
        chosen |= _NETWORK
    if "optimizer" not in params or params["optimizer"] == _OPTIMIZER["optimizer"]:
        chosen |= _OPTIMIZER
    return chosen | dict(params)
