"""The input encoder: what `fit` learns of X, and the input layers that follow from it.

Owns the encoding of X and the specification of the input layers with their fixed values, from the
rows used for training. Does not know y, nor Keras.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from sk_mtl._data.categories import Categories
from sk_mtl._data.input_spec import FARTHEST, InputSpec
from sk_mtl._data.statistics import learn_statistics

__all__ = ["InputEncoder", "LearnedInput", "learn_input"]


@dataclass(frozen=True)
class InputEncoder:
    """What is learned of X: its categories, and the input layers with their fixed values."""

    n_features: int
    # By feature the values that have codes, None for a number; None if all are numbers.
    categories: Categories | None = None
    spec: InputSpec | None = None  # the input layers; None for none
    # Fixed values of the input layers, by "layer/name"; may be empty once the network has them.
    values: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def allow_nan(self) -> bool:
        """Whether X may have missing cells."""
        return self.spec is not None and self.spec.standardize


@dataclass(frozen=True)
class LearnedInput:
    """The input layers and their fixed values, as in `InputEncoder`."""

    spec: InputSpec | None = None
    values: dict[str, np.ndarray] = field(default_factory=dict)


def learn_input(
    X: Any,
    rows: np.ndarray,
    weight: np.ndarray,
    *,
    standardize: bool = True,
    n_categories: tuple[int, ...] = (),
    embedding: str | None = None,
    embedding_size: int = 0,
) -> LearnedInput:
    """Specify the input layers and compute their fixed values over weighted training rows."""
    statistics = learn_statistics(X, rows, weight)
    missing = tuple(np.flatnonzero(statistics.missing > 0).tolist())
    spec = InputSpec(standardize, missing, n_categories)
    numeric = spec.numeric(X.shape[1])
    if embedding is not None:
        embedded = tuple(np.flatnonzero(~statistics.is_plain[numeric]).tolist())
        spec = replace(spec, embedding=embedding, embedding_size=embedding_size, embedded=embedded)
    shift, scale = statistics.shift[numeric], statistics.scale[numeric]
    if not standardize:
        shift, scale = np.zeros_like(shift), np.ones_like(scale)
    counts = {
        j: np.bincount(_codes(X[rows, j], n), weight, minlength=n + 1) / (weight.sum() or 1)
        for j, n in enumerate(n_categories)
        if n > 0
    }
    shares = np.array(
        [statistics.missing[j] if k is None else counts[j][k] for j, k in spec.indicators]
    )
    varies = (shares > 0) & (shares < 1)
    shift, scale = np.append(shift, shares), np.append(scale, varies)
    values = {
        "standardize/shift": shift.astype(np.float32),
        "standardize/scale": scale.astype(np.float32),
    }
    if spec.embedded and spec.embedding == "piecewise_linear":
        features = np.array(numeric)[list(spec.embedded)]
        bins = _learn_bins(X, rows, weight, features, spec, values)
        values |= {f"piecewise_linear/{name}": array for name, array in bins.items()}
    return LearnedInput(spec, values)


def _learn_bins(
    X: Any,
    rows: np.ndarray,
    weight: np.ndarray,
    features: np.ndarray,
    spec: InputSpec,
    values: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return bins between quantiles of the features, and the mean of their outputs."""
    shape = (len(features), spec.embedding_size)
    lower, slope, center = (np.zeros(shape, np.float32) for _ in range(3))
    by_column = X[rows].tocsc() if sp.issparse(X) else None
    for k, (j, position) in enumerate(zip(features, spec.embedded, strict=True)):
        x = X[rows, j] if by_column is None else by_column[:, [j]].toarray()[:, 0]
        known = ~np.isnan(x)
        z = x[known] - values["standardize/shift"][position]
        z *= values["standardize/scale"][position]
        if spec.standardize:
            z = np.clip(z, -FARTHEST, FARTHEST)
        order = np.argsort(z, kind="stable")
        z, w = z[order], np.asarray(weight, dtype=np.float64)[known][order]
        reached = np.cumsum(w)
        wanted = reached[-1] * np.linspace(0, 1, spec.embedding_size + 1)
        edges = np.unique(z[np.searchsorted(reached, wanted).clip(max=len(z) - 1)])
        n_bins = len(edges) - 1  # fewer where many rows share a value; the rest output 0
        lower[k, :n_bins] = edges[:-1]
        slope[k, :n_bins] = 1 / np.maximum(np.diff(edges), np.finfo(np.float32).tiny)
        for t in range(n_bins):
            parts = np.clip((z - lower[k, t]) * slope[k, t], 0, 1)
            center[k, t] = (parts * w).sum(dtype=np.float64) / reached[-1]
    return {"lower": lower, "slope": slope, "center": center}


def _codes(column: np.ndarray, n_categories: int) -> np.ndarray:
    """Return codes as integers, with the next free one for missing cells."""
    return np.where(np.isnan(column), n_categories, column).astype(np.int64)
