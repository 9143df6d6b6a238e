"""Many fits as one piece of work: the fits of a search, whose networks are trained side by side.

The caller may close the generator, which ends the work, and may drop a fit from the sequence once
it was yielded.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._fit.waves import Steps, run_together

__all__ = ["Fit", "fit_together"]

_ARGUMENTS = (
    "sample_weight",
    "groups",
    "validation_data",
    "X_val",
    "y_val",
    "sample_weight_val",
)


class Fit(NamedTuple):
    """One fit: an estimator, with its parameters set, and what it is fitted to."""

    estimator: MultiTaskClassifier
    X: Any
    y: Any
    params: dict[str, Any]  # fit parameters, such as sample_weight


def fit_together(
    fits: Sequence[Fit],
) -> Generator[tuple[int, Exception | None, float], None, None]:
    """Fit estimators in place; as each is done, yield its number, error if any, and seconds."""
    # What is done side by side counts for the one that is done first.
    steps, before = [_steps_of(fit) for fit in fits], time.perf_counter()
    with closing(run_together(steps)) as results:
        for number, result in results:
            now = time.perf_counter()
            yield number, result if isinstance(result, Exception) else None, now - before
            before = now


def _steps_of(fit: Fit) -> Steps[Any]:
    """Do a fit as a generator, which asks for trainings."""
    estimator, X, y, params = fit
    if type(estimator).fit is not MultiTaskClassifier.fit or params.keys() - set(_ARGUMENTS):
        return estimator.fit(X, y, **params)  # of a subclass, or an error
    return (yield from estimator._fit_steps(X, y, *map(params.get, _ARGUMENTS)))
