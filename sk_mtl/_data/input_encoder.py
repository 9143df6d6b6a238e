"""The input encoder: what `fit` learns of X, and the input layers that follow from it.

Owns the encoding of X and the specification of the input layers with their fixed values, from the
rows used for training. Does not know y, nor Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp

from sk_mtl._data.categories import Categories, change_codes, used_categories
from sk_mtl._data.input_spec import FARTHEST, InputSpec
from sk_mtl._data.statistics import FeatureStatistics, learn_statistics

__all__ = ["AUTO_EMBEDDING", "InputEncoder", "learn_input"]

# What "auto" embeds numbers by, and the most of them: with eight bins, these are 2,048 columns.
AUTO_EMBEDDING = "piecewise_linear"
_MOST_EMBEDDED = 256
_ROUNDING = 1e-6  # relative, of sums of weights in float32


@dataclass(frozen=True)
class InputEncoder:
    """What was learned of X: categories by feature, and the input layers of the network."""

    categories: Categories | None = None
    spec: InputSpec | None = None

    @classmethod
    def fit(
        cls,
        X: Any,
        rows: np.ndarray,
        weight: np.ndarray,
        categories: Categories | None,
        *,
        standardize: bool,
        embedding: str | None,
        embedding_size: int,
    ) -> tuple[Self, dict[str, np.ndarray]]:
        """Learn from rows of X, coded by `categories`; also return the input layers' values."""
        if not standardize and categories is None and embedding is None:
            return cls(), {}
        encoder = cls(None if categories is None else used_categories(categories, X, rows))
        spec, values = learn_input(
            encoder.transform(X, categories),
            rows,
            weight,
            standardize=standardize,
            n_categories=tuple(0 if c is None else len(c) for c in encoder.categories or ()),
            embedding=embedding,
            embedding_size=embedding_size,
        )
        return cls(encoder.categories, spec), values

    def transform(self, X: Any, categories: Categories | None) -> Any:
        """Return X, coded by `categories`, with this encoder's codes; NaN for an unknown one."""
        changes = []
        for position, (own, known) in enumerate(
            zip(self.categories or (), categories or (), strict=True)
        ):
            if own is not None and known is not None and len(own) < len(known):
                codes = pd.Index(own, dtype=object).get_indexer(pd.Index(known, dtype=object))
                new = np.append(np.where(codes < 0, np.nan, codes), np.nan).astype(np.float32)
                changes.append((position, new))
        return change_codes(X, changes) if changes else X


def learn_input(
    X: Any,
    rows: np.ndarray,
    weight: np.ndarray,
    *,
    standardize: bool = True,
    n_categories: tuple[int, ...] = (),
    embedding: str | None = None,
    embedding_size: int = 0,
    statistics: FeatureStatistics | None = None,
    category_shares: Mapping[int, np.ndarray] | None = None,
) -> tuple[InputSpec, dict[str, np.ndarray]]:
    """Specify the input layers and compute their fixed values over weighted training rows."""
    # With statistics, and the shares of the categories of each feature and of its missing cells,
    # the rows are a sample of those that these are of.
    if statistics is None:
        statistics = learn_statistics(X, rows, weight)
    missing = tuple(np.flatnonzero(statistics.missing > 0).tolist())
    spec = InputSpec(standardize, missing, n_categories)
    numeric = spec.numeric(X.shape[1])
    if embedding is not None:
        embedded = tuple(np.flatnonzero(~statistics.is_plain[numeric]).tolist())
        if embedding == "auto":
            embedding = AUTO_EMBEDDING if 0 < len(embedded) <= _MOST_EMBEDDED else None
    if embedding is not None:
        spec = replace(spec, embedding=embedding, embedding_size=embedding_size, embedded=embedded)
    shift, scale = statistics.shift[numeric], statistics.scale[numeric]
    if not standardize:
        shift, scale = np.zeros_like(shift), np.ones_like(scale)
    counts = category_shares or {
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
    return spec, values


def _learn_bins(
    X: Any,
    rows: np.ndarray,
    weight: np.ndarray,
    features: np.ndarray,
    spec: InputSpec,
    values: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return bins of the features, and the mean of their outputs."""
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
        edges = find_edges(z, w, spec.embedding_size)
        n_bins = len(edges) - 1  # fewer where there are few values; the rest output 0
        lower[k, :n_bins] = edges[:-1]
        slope[k, :n_bins] = 1 / np.maximum(np.diff(edges), np.finfo(np.float32).tiny)
        total = np.cumsum(w)[-1]  # its order does not depend on the processor
        for t in range(n_bins):
            parts = np.clip((z - lower[k, t]) * slope[k, t], 0, 1)
            center[k, t] = (parts * w).sum(dtype=np.float64) / total
    return {"lower": lower, "slope": slope, "center": center}


def find_edges(values: np.ndarray, weight: np.ndarray, n_bins: int) -> np.ndarray:
    """Return at most ``n_bins + 1`` edges, quantiles of sorted values by weight."""
    # A value that many rows share, such as 0 among counts, would take the edges of several bins. It
    # counts as much as one bin at most, so that the others divide the remaining values.
    is_first = np.append(True, values[1:] != values[:-1])
    distinct, starts = values[is_first], np.flatnonzero(is_first)
    if len(distinct) <= n_bins + 1:
        return distinct
    w = np.add.reduceat(weight, starts)
    is_heavy = np.zeros(len(w), dtype=bool)
    while True:  # each round finds other heavy values, fewer than n_bins in all, or is the last
        share = w[~is_heavy].sum() / (n_bins - is_heavy.sum())
        found = ~is_heavy & (w > share * (1 + _ROUNDING))
        if not found.any():
            break
        is_heavy |= found
    reached = np.cumsum(np.where(is_heavy, share, w))
    # A quantile may lie between two values, and it must not depend on the unit of the weights which
    # of them is taken.
    wanted = reached[-1] * np.linspace(0, 1, n_bins + 1) * (1 - _ROUNDING)
    positions = np.searchsorted(reached, wanted)
    positions[-1] = len(distinct) - 1
    return np.unique(distinct[positions])


def _codes(column: np.ndarray, n_categories: int) -> np.ndarray:
    """Return codes as integers, with the next free one for missing cells."""
    return np.where(np.isnan(column), n_categories, column).astype(np.int64)
