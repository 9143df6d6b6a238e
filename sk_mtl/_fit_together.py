"""Many fits as one piece of work: the fits of a search, handed over together.

Owns the order and the way in which they are done. The caller may close the generator, which ends
the work, and may drop a fit from the sequence once it was yielded.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from sk_mtl._classifier import MultiTaskClassifier

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
    for number, fit in enumerate(fits):
        start = time.perf_counter()
        error = None
        try:
            fit.estimator.fit(fit.X, fit.y, **fit.params)
        except Exception as raised:
            error = raised
        yield number, error, time.perf_counter() - start
