"""scikit-learn's `BaseSearchCV`: what a search of this package takes over from it.

Uses its private methods, and the private function by which it scores. Does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _score

from sk_mtl._compat.sklearn_html import DocLinkMixin

__all__ = ["SearchBase", "score_fitted", "scorers_by_name"]


class SearchBase(DocLinkMixin, BaseSearchCV):
    """The methods of a fitted search, its metadata routing and HTML; a subclass writes `fit`."""

    def _find_scorer(self) -> tuple[Any, Any]:
        """Return the scorer of `scoring`, and the name of the score that chooses the best."""
        return self._get_scorers()

    def _route(self, params: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """Return the parameters for ``fit``, for ``split``, and for the scorer."""
        routed = self._get_routed_params_for_fit(params)
        return routed.estimator.fit, routed.splitter.split, routed.scorer.score

    def _check_refit(self, names: Iterable[str]) -> None:
        """Refuse a `refit` that does not say which of several scores decides."""
        self._check_refit_for_multimetric(list(names))

    def _ask_refit(self, results: dict[str, Any]) -> int:
        """Return the index that a callable `refit` chooses; refuse anything else."""
        return int(self._select_best_index(self.refit, None, results))

    def _refuse_callbacks(self) -> None:
        """Refuse callbacks of scikit-learn (1.9 and newer) that were set on the search."""
        if vars(self).get("_skl_callbacks"):
            raise ValueError(
                f"{type(self).__name__} calls no callbacks of scikit-learn. Remove them with "
                "set_callbacks(), and set verbose=1 for a progress bar, or set the callbacks on "
                "the estimator."
            )


def scorers_by_name(scorer: Any) -> dict[str, Any] | None:
    """Return the scorers that several scores are computed with; None for one scorer."""
    return getattr(scorer, "_scorers", None)


def score_fitted(
    estimator: Any, X: Any, y: Any, scorer: Any, params: dict[str, Any], error_score: Any
) -> Any:
    """Return the score of an estimator, or {name: score}; `error_score`, warning, if it fails."""
    return _score(estimator, X, y, scorer, params, error_score)
