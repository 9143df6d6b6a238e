"""Scoring: what is kept of a candidate that is fitted to a fold."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sk_mtl._compat.sklearn_search import score_fitted, scorers_by_name
from sk_mtl._search.folds import Fold
from sk_mtl._task_scores import hearing_task_scores

__all__ = ["FoldResult", "Row", "Scoring"]


@dataclass
class FoldResult:
    """What one candidate has reached on one fold."""

    test_scores: Any  # a number, or {name: number}
    train_scores: Any = None
    fit_time: float = 0.0
    score_time: float = 0.0
    by_task: dict[str, dict[Hashable, float]] = field(default_factory=dict)  # of each score
    prediction: Any = None  # the probabilities of the test rows, and the classes
    error: str | None = None  # the traceback of a fit that failed

    @property
    def is_sound(self) -> bool:
        """Whether nothing has failed, and all scores are defined."""
        scores = self.test_scores
        scores = list(scores.values()) if isinstance(scores, dict) else scores
        return self.error is None and bool(np.isfinite(scores).all())


Row = list[FoldResult | None]  # of one candidate: its result on each fold, None for none


@dataclass(frozen=True)
class Scoring:
    """How fitted candidates are scored, and what is kept of them."""

    scorer: Any
    is_default: bool  # the estimator's own score
    error_score: Any
    with_train_scores: bool
    with_predictions: bool
    check_names: Callable[[Iterable[Any]], None]  # of several scores, as soon as they are known

    def score(self, estimator: Any, fold: Fold, seconds: float) -> FoldResult:
        """Score a fitted candidate on a fold."""
        start = time.perf_counter()
        X, y, params = fold.X_test, fold.y_test, fold.test_score_params
        with hearing_task_scores() as told:
            test_scores = score_fitted(estimator, X, y, self.scorer, params, self.error_score)
        score_time = time.perf_counter() - start
        if isinstance(test_scores, dict):
            self.check_names(test_scores)
        train_scores = None
        if self.with_train_scores:
            X, y, params = fold.X_train, fold.y_train, fold.train_score_params
            train_scores = score_fitted(estimator, X, y, self.scorer, params, self.error_score)
        prediction = _predict(estimator, fold.X_test) if self.with_predictions else None
        by_task = self._name_told(told)
        return FoldResult(test_scores, train_scores, seconds, score_time, by_task, prediction)

    def _name_told(
        self, told: Sequence[tuple[Any, Mapping[Hashable, float]]]
    ) -> dict[str, dict[Hashable, float]]:
        """Return the scores of tasks by the name of the score that is their mean."""
        scorers = scorers_by_name(self.scorer) or {"score": self.scorer}
        return {
            name: dict(scores)
            for name, scorer in scorers.items()
            for by, scores in told
            if self.is_default or by is scorer
        }


def _predict(estimator: Any, X: Any) -> tuple[Any, Any] | None:
    """Return probabilities and classes, None where the scores have failed for the same reason."""
    try:
        return estimator.predict_proba(X), estimator.classes_
    except Exception:
        return None
