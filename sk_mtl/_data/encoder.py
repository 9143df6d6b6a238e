"""The input encoder: what is learned of X from the training rows, before the network.

Owns the categories that have codes, and the specification and values of the input layers. Does not
know y, nor Keras.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from sk_mtl._data.categories import Categories, change_codes, used_categories
from sk_mtl._data.input_encoder import InputSpec, LearnedInput, learn_input

__all__ = ["InputEncoder"]


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
        learned: LearnedInput = learn_input(
            encoder.transform(X, categories),
            rows,
            weight,
            standardize=standardize,
            n_categories=tuple(0 if c is None else len(c) for c in encoder.categories or ()),
            embedding=embedding,
            embedding_size=embedding_size,
        )
        return cls(encoder.categories, learned.spec), learned.values

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
