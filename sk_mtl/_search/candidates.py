"""Candidates: the parameters that a search tries, and the estimators with these parameters.

Owns which candidates share the steps of a Pipeline before the last one. Does not fit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from sklearn.base import clone
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.pipeline import Pipeline

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._compat.arguments import check_integer
from sk_mtl._quoting import quote

__all__ = [
    "Params",
    "check_candidates",
    "last_step_of",
    "list_candidates",
    "make_estimator",
    "name_in_last_step",
    "steps_key",
]

Params = dict[str, Any]
_DEFAULT_N_ITER = 10  # as in RandomizedSearchCV
_PLAIN = (bool, int, float, str, bytes, type(None))


def list_candidates(
    param_grid: Any, param_distributions: Any, n_iter: int | None, random_state: Any
) -> list[Params]:
    """Return the candidates of a grid, or some that are drawn from distributions."""
    if (param_grid is None) == (param_distributions is None):
        both = "neither" if param_grid is None else "both"
        raise ValueError(
            "MultiTaskSearchCV needs either param_grid, to try all combinations, or "
            f"param_distributions, to draw n_iter of them. Got {both}."
        )
    if param_distributions is not None:
        n_iter = _DEFAULT_N_ITER if n_iter is None else n_iter
        n_iter = check_integer("MultiTaskSearchCV", "n_iter", n_iter, 1)
        return list(ParameterSampler(param_distributions, n_iter, random_state=random_state))
    if n_iter is not None:
        raise ValueError(
            f"n_iter={quote(n_iter)} has no effect on a param_grid, of which every combination is "
            "tried. Pass the values as param_distributions to draw some of them."
        )
    candidates = list(ParameterGrid(param_grid))
    if not candidates:
        raise ValueError("param_grid has no candidates. Give a list of values by parameter.")
    return candidates


def make_estimator(estimator: Any, params: Params) -> Any:
    """Return an unfitted clone with the parameters of a candidate."""
    # Parameters may be estimators, which fits must not share.
    return clone(estimator).set_params(**clone(params, safe=False))


def last_step_of(estimator: Any) -> Any:
    """Return the last step of a Pipeline, or the estimator itself."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def name_in_last_step(estimator: Any, name: str) -> str:
    """Return the name of a parameter of the last step, as the whole estimator knows it."""
    return f"{estimator.steps[-1][0]}__{name}" if isinstance(estimator, Pipeline) else name


def check_candidates(estimator: Any, candidates: Iterable[Params]) -> None:
    """Refuse parameters that do not exist, and a last step that is no `MultiTaskClassifier`."""
    for params in candidates:
        last = last_step_of(make_estimator(estimator, params))
        if not isinstance(last, MultiTaskClassifier):
            raise TypeError(
                "MultiTaskSearchCV fits a MultiTaskClassifier, or a Pipeline whose last step is "
                f"one. Got {type(last).__name__}. Use sklearn.model_selection.GridSearchCV, or "
                "RandomizedSearchCV, for other estimators."
            )


def steps_key(estimator: Any, params: Params) -> Hashable:
    """Return a key that two candidates have in common if they share the steps before the last."""
    if not isinstance(estimator, Pipeline):
        return ()
    last = estimator.steps[-1][0]
    of_steps = {k: v for k, v in params.items() if k.partition("__")[0] != last}
    return frozenset((name, _value_key(value)) for name, value in of_steps.items())


def _value_key(value: Any) -> Hashable:
    """Return a key of a value: its type and content if it is plain, otherwise its identity."""
    if isinstance(value, tuple):
        return tuple(_value_key(item) for item in value)
    return (type(value), value) if isinstance(value, _PLAIN) else id(value)
