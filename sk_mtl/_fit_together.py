"""Many fits as one piece of work: the fits of a search, whose networks are trained side by side.

The caller may close the generator, which ends the work, and may drop a fit from the sequence once
it was yielded.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Hashable, Iterable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._fit.waves import Counts, Steps, run_together

__all__ = ["Asked", "Counts", "Fit", "ask_for_programs", "count_trainings", "fit_together"]

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


class Asked(NamedTuple):
    """What a fit asks for."""

    group: str = ""  # fits that have it in common use the same compiled program
    first: Sequence[Hashable] = ()  # the programs of the first trainings, if they are shared
    later: Hashable | None = None  # that of a training that follows, None for none


def fit_together(
    fits: Sequence[Fit], counts: Counts | None = None
) -> Generator[tuple[int, Exception | None, float], None, None]:
    """Fit estimators in place; as each is done, yield its number, error if any, and seconds."""
    # With `counts`, other processes do further fits: see `count_trainings`.
    # What is done side by side counts for the one that is done first.
    steps, before = [_steps_of(fit) for fit in fits], time.perf_counter()
    with closing(run_together(steps, counts)) as results:
        for number, result in results:
            now = time.perf_counter()
            yield number, result if isinstance(result, Exception) else None, now - before
            before = now


def ask_for_programs(fit: Fit) -> Asked:
    """Return what a fit would ask for, without any training."""
    # Callbacks of scikit-learn would be called; with them, trainings are done one by one.
    if not _is_in_steps(fit) or vars(fit.estimator).get("_skl_callbacks"):
        return Asked()
    steps = _steps_of(fit)
    try:
        wave = next(steps)
    except Exception:  # it fails again, or needs no training, where it is done
        return Asked()
    finally:
        steps.close()
    # Imported here, as they import TensorFlow.
    from sk_mtl._train.fit_identity import digest
    from sk_mtl._train.plan import can_share_program

    group = digest(wave.jobs[0].plan.program)
    first = [job.plan.program for job in wave.jobs if can_share_program(job.plan)]
    # A training on all rows that does not run beside the search for epochs follows it.
    is_followed = wave.note is not None and all(job.is_enough is None for job in wave.jobs)
    return Asked(group, first, first[-1] if is_followed and first else None)


def count_trainings(asked: Iterable[Asked]) -> Counts:
    """Return how many trainings of some fits share a program."""
    first: Counter[Any] = Counter()
    later: Counter[Any] = Counter()
    for of_fit in asked:
        first.update(of_fit.first)
        later.update([] if of_fit.later is None else [of_fit.later])
    return Counts(first, later)


def _is_in_steps(fit: Fit) -> bool:
    """Return whether a fit asks for its trainings."""
    is_ours = type(fit.estimator).fit is MultiTaskClassifier.fit
    return is_ours and not fit.params.keys() - set(_ARGUMENTS)


def _steps_of(fit: Fit) -> Steps[Any]:
    """Do a fit as a generator, which asks for trainings."""
    estimator, X, y, params = fit
    if not _is_in_steps(fit):
        return estimator.fit(X, y, **params)  # of a subclass, or an error
    return (yield from estimator._fit_steps(X, y, *map(params.get, _ARGUMENTS)))
