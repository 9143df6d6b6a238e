"""Many fits as one piece of work: the fits of a search, handed over together."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._fit.waves import run_together

__all__ = ["Fit", "fit_together"]


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
    # What two of them take side by side counts for the one that is done first.
    steps = [fit.estimator._fit_steps(fit.X, fit.y, **fit.params) for fit in fits]
    before = time.perf_counter()
    for number, result in run_together(steps):
        now = time.perf_counter()
        yield number, result if isinstance(result, Exception) else None, now - before
        before = now
