"""Folds: the rows of a split, and what the steps of a Pipeline before the last one make of them.

Owns that these steps are fitted once for all candidates that share them. Does not score.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sk_mtl.model_selection._rows import count_rows, take_rows, take_rows_of_params

__all__ = ["Fold", "FoldInput", "SearchData", "Split", "prepare_input"]


class Split(NamedTuple):
    """The rows of a fold."""

    number: int
    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Fold:
    """The training and test rows of a split, with the parameters of ``fit`` and of scorers."""

    X_train: Any
    y_train: Any
    X_test: Any
    y_test: Any
    fit_params: dict[str, Any]
    train_score_params: dict[str, Any]
    test_score_params: dict[str, Any]


@dataclass(frozen=True)
class SearchData:
    """All rows, with the parameters of ``fit`` and of scorers."""

    X: Any
    y: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]

    @property
    def n_samples(self) -> int:
        """The number of rows."""
        return count_rows(self.X)

    def take(self, split: Split) -> Fold:
        """Return copies of the rows of a split."""
        n = self.n_samples
        return Fold(
            take_rows(self.X, split.train),
            take_rows(self.y, split.train),
            take_rows(self.X, split.test),
            take_rows(self.y, split.test),
            take_rows_of_params(self.fit_params, split.train, n),
            take_rows_of_params(self.score_params, split.train, n),
            take_rows_of_params(self.score_params, split.test, n),
        )


@dataclass(frozen=True)
class FoldInput:
    """A fold, and what the last step is fitted to on it."""

    fold: Fold
    X: Any
    y: Any
    params: dict[str, Any]
    seconds: float = 0.0  # that the steps before it took
    steps: Any = None  # these steps, fitted; None without a Pipeline
    name: str = ""  # of the last step

    def complete(self, last_step: Any) -> Any:
        """Return the fitted estimator of a candidate, from its fitted last step."""
        if self.steps is None:
            return last_step
        return Pipeline([(f"before_{self.name}", self.steps), (self.name, last_step)])


def prepare_input(estimator: Any, fold: Fold) -> FoldInput:
    """Fit the steps before the last one, if any, and return what the last one is fitted to."""
    if not isinstance(estimator, Pipeline):
        return FoldInput(fold, fold.X_train, fold.y_train, fold.fit_params)
    start = time.perf_counter()
    name, last_step = estimator.steps[-1]
    # The Pipeline itself routes metadata and transforms validation rows.
    received = _Receiver(last_step)
    estimator.set_params(**{name: received})
    estimator.fit(fold.X_train, fold.y_train, **fold.fit_params)
    steps = _FittedSteps(estimator, (fold.X_test, fold.X_train))
    X, y, params = received.received_
    return FoldInput(fold, X, y, params, time.perf_counter() - start, steps, name)


class _Receiver(BaseEstimator):
    """Stands for the last step of a Pipeline, and keeps what that would be fitted to."""

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def fit(self, X: Any, y: Any = None, **params: Any) -> _Receiver:
        self.received_ = (X, y, params)
        return self

    def transform(self, X: Any) -> Any:
        return X

    def get_metadata_routing(self) -> Any:
        return self.estimator.get_metadata_routing()

    def __sklearn_is_fitted__(self) -> bool:
        return True


class _FittedSteps(BaseEstimator):
    """A fitted Pipeline as a transformer, which transforms the tables of a fold once."""

    def __init__(self, steps: Any, tables: tuple[Any, ...]):
        self.steps = steps
        self.tables = tables
        self._transformed: dict[int, Any] = {}

    def fit(self, X: Any, y: Any = None) -> _FittedSteps:
        return self

    def transform(self, X: Any) -> Any:
        number = next((i for i, table in enumerate(self.tables) if table is X), None)
        if number in self._transformed:
            return self._transformed[number]
        transformed = self.steps.transform(X)
        if number is not None:
            self._transformed[number] = transformed
        return transformed

    def __sklearn_is_fitted__(self) -> bool:
        return True
