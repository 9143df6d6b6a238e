"""Candidates of an ensemble: the parameters of each, drawn or given.

Owns the values that are drawn from by default. Does not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.stats import loguniform
from sklearn.model_selection import ParameterGrid, ParameterSampler

from sk_mtl.weighting import sees_gradients

__all__ = ["draw_candidates"]

# Spread around the defaults; docs/benchmarks/quality.md says what was tried.
_NETWORK: dict[str, Any] = {
    "hidden_layer_sizes": [(128,), (256,), (512,), (256, 128), (512, 256)],
    "dropout": [0.1, 0.2, 0.3, 0.4, 0.5],
    "numeric_embedding": ["auto", "periodic"],
    "embedding_size": [4, 8, 16],
}
_OPTIMIZER: dict[str, Any] = {
    "optimizer": ["adamw"],
    "optimizer__learning_rate": loguniform(4e-4, 4e-3),
    "optimizer__weight_decay": [0.0, 0.03, 0.1, 0.3],
}
_LOSS: dict[str, Any] = {"label_smoothing": [0.0, "auto"]}
# Members of a network, where each candidate has one network, and where it has one for each fold.
_N_MEMBERS = 4
_N_MEMBERS_OF_FOLDS = 2
# Learned waves of more features than these would be a wider input than the network is made for.
_MOST_PERIODIC = 256


def draw_candidates(
    estimator: Any,
    param_distributions: Any,
    n_candidates: int,
    n_features: int,
    n_folds: int,
    rng: np.random.RandomState,
) -> list[dict[str, Any]]:
    """Return the parameters of each candidate: none for the first, drawn ones for the others."""
    if param_distributions is None:
        param_distributions = _default_space(estimator.get_params(deep=False), n_features, n_folds)
    if n_candidates == 1:
        return [{}]
    drawn = ParameterSampler(param_distributions, n_candidates - 1, random_state=rng)
    with suppress(TypeError):  # of distributions there are as many as are wanted
        drawn.n_iter = min(drawn.n_iter, len(ParameterGrid(param_distributions)))
    return [{}, *drawn]


def _default_space(params: Mapping[str, Any], n_features: int, n_folds: int) -> dict[str, Any]:
    """Return what is drawn from, without the parameters that cannot act."""
    space = dict(_LOSS) if params["loss"] != "focal" else {}
    if params["optimizer"] in ("adam", "adamw"):
        space |= _OPTIMIZER
    if params["model"] is None:
        space |= _NETWORK
        if params["sharing"] == "hard" and not sees_gradients(params["task_weighting"]):
            space["ensemble_size"] = [_N_MEMBERS if n_folds == 1 else _N_MEMBERS_OF_FOLDS]
        if n_features > _MOST_PERIODIC:
            space["numeric_embedding"] = ["auto"]
    return space
