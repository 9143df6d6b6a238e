"""Fits elsewhere: a search whose fits are done by the workers of a cluster.

Owns what travels: the data once, parcels of fits, and what has come of them. The engines, which
carry it, are in `engines`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from traceback import format_exc
from typing import Any, NamedTuple

import sklearn

from sk_mtl._compat.threads import compute_thread_limit
from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._fit_together import Asked, Counts, count_trainings
from sk_mtl._search.budget import Budget
from sk_mtl._search.engines import Workers
from sk_mtl._search.evaluation import Done, Fits, Todo
from sk_mtl._search.folds import SearchData, Split
from sk_mtl._search.parcels import Parcels, cut_evenly, cut_groups
from sk_mtl._search.scoring import Scoring

__all__ = ["Elsewhere"]


@dataclass(frozen=True)
class Search:
    """What all fits of a search have in common; sent to each worker once."""

    estimator: Any
    data: SearchData
    scoring: Scoring
    config: dict[str, Any] = field(default_factory=sklearn.get_config)
    filters: Sequence[Any] = field(default_factory=lambda: list(warnings.filters))


class Survey(NamedTuple):
    """What some fits ask for, and with how many threads their worker trains."""

    todo: Sequence[Todo]
    asked: list[Asked]
    n_threads: int


class Report(NamedTuple):
    """What a worker has done."""

    done: list[Done]
    heard: list[tuple[str, type[Warning]]]
    error: Exception | None  # that ends the search


class Elsewhere:
    """Fits on workers.

    Parameters
    ----------
    workers : Workers
        They.
    estimator : object
        What the parameters of candidates are set on.
    data : SearchData
        All rows.
    scoring : Scoring
        How candidates are scored.
    has_deadline : bool
        Whether the search may have to stop before its end.
    """

    def __init__(
        self,
        workers: Workers,
        estimator: Any,
        data: SearchData,
        scoring: Scoring,
        has_deadline: bool,
    ):
        self._workers = workers
        self._scoring = scoring
        self._has_deadline = has_deadline
        # That a check of names holds the search itself, perhaps fitted, is of no use there.
        there = replace(scoring, check_names=_take_any_names)
        self._search = workers.place(Search(estimator, data, there))
        self._splits: tuple[Sequence[Split], Any] | None = None

    def run(
        self,
        splits: Sequence[Split],
        todo: Sequence[Todo],
        seconds_left: Callable[[], float | None],
    ) -> Generator[Done, None, None]:
        """Fit and score; yield what is done as it comes."""
        placed = self._place(splits)
        asked: dict[tuple[int, int], Asked] = {}
        n_threads = 1
        first = Parcels([cut_evenly(todo, self._workers.count())])
        for survey in self._send(first, lambda fits: (_survey, self._search, placed, fits)):
            names = [(fit.candidate, fit.split) for fit in survey.todo]
            asked |= dict(zip(names, survey.asked, strict=True))
            n_threads = max(n_threads, survey.n_threads)
        counts = count_trainings(asked.values())
        in_order = [asked[fit.candidate, fit.split] for fit in todo]
        groups = [of_fit.group for of_fit in in_order]
        n_workers = self._workers.count()
        by_fold = not self._has_deadline
        parcels = Parcels(cut_groups(todo, groups, n_workers, n_threads, by_fold))

        def fit_arguments(fits: Sequence[Todo]) -> tuple[Any, ...]:
            of_fits = [asked[fit.candidate, fit.split] for fit in fits]
            own = _select_counts(counts, of_fits)
            return (_do_fits, self._search, placed, fits, own, seconds_left())

        with closing(self._send(parcels, fit_arguments)) as reports:
            for report in reports:
                yield from self._open_report(report)

    def _place(self, splits: Sequence[Split]) -> Any:
        """Send the rows of folds, unless they were sent last."""
        if self._splits is None or self._splits[0] is not splits:
            self._splits = (splits, self._workers.place(list(splits)))
        return self._splits[1]

    def _send(
        self, parcels: Parcels, arguments: Callable[[Sequence[Todo]], tuple[Any, ...]]
    ) -> Generator[Any, None, None]:
        """Keep all workers busy; yield their results as they come."""
        workers = self._workers
        try:
            while parcels or workers.is_busy():
                for worker in workers.find_idle():
                    parcel = parcels.next_for(worker)
                    if parcel is None:
                        break
                    workers.send(worker, *arguments(parcel))
                yield from workers.receive()
        finally:
            workers.cancel()

    def _open_report(self, report: Report) -> Iterator[Done]:
        """Warn as the worker would have done here, and yield the results, or raise its error."""
        for message, category in report.heard:
            warn_user(message, category)
        for done in report.done:
            if isinstance(done.result.test_scores, dict) and done.result.error is None:
                self._scoring.check_names(done.result.test_scores)
            yield done
        if report.error is not None:
            raise report.error


def _take_any_names(names: Any) -> None:
    """Leave the check to the process that has the search."""


def _select_counts(counts: Counts, asked: Sequence[Asked]) -> Counts:
    """Return the counts of those programs that some fits ask for."""
    programs: set[Any] = {p for of_fit in asked for p in (*of_fit.first, of_fit.later)}
    first, later = ({p: part[p] for p in programs if p in part} for part in counts)
    return Counts(first, later)


# ------------------------------------------------------------------------------------------------
# On a worker
# ------------------------------------------------------------------------------------------------

# Fits share all threads of a process; and what Python warns of, it shows to all of them.
_one_at_a_time = threading.Lock()


def _survey(search: Search, splits: Sequence[Split], todo: Sequence[Todo]) -> Survey:
    """Return what fits ask for."""
    with _as_where_the_search_is(search):
        # What fails here fails again where it is done, and is told there.
        scoring = replace(search.scoring, error_score=0.0)
        fits = Fits(search.estimator, search.data, scoring, splits, todo)
        asked = {(fit.candidate, fit.split): ask for fit, ask in fits.ask()}
    in_order = [asked.get((fit.candidate, fit.split), Asked()) for fit in todo]
    return Survey(todo, in_order, compute_thread_limit())


def _do_fits(
    search: Search,
    splits: Sequence[Split],
    todo: Sequence[Todo],
    counts: Counts,
    seconds_left: float | None,
) -> Report:
    """Fit and score, for as long as there is time."""
    done: list[Done] = []
    failure: Exception | None = None
    budget = Budget(seconds_left, refits=False)
    with _as_where_the_search_is(search) as heard:
        try:
            fits = Fits(search.estimator, search.data, search.scoring, splits, todo)
            done += fits.failed
            budget.begin_waiting()
            with closing(fits.run(counts)) as results:
                for one in results:
                    done.append(one)
                    budget.note_fit(one.seconds)
                    if budget.is_used_up():
                        break
        except Exception as error:
            error.add_note(f"On a worker of the cluster:\n{format_exc()}")
            failure = error
    told = dict.fromkeys((str(one.message), one.category) for one in heard)
    return Report(done, list(told), failure)


@contextmanager
def _as_where_the_search_is(search: Search) -> Iterator[list[warnings.WarningMessage]]:
    """Apply the settings of scikit-learn and the filters of warnings; collect what is warned of."""
    with (
        _one_at_a_time,
        sklearn.config_context(**search.config),
        warnings.catch_warnings(record=True) as heard,
    ):
        warnings.resetwarnings()
        warnings.filters[:] = search.filters  # type: ignore[index]
        yield heard
