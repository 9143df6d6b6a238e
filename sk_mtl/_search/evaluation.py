"""Evaluation: candidates fitted to folds and scored, as the fits are done.

Owns what is kept of them, and when to stop. Does not choose candidates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Hashable, Iterator, Sequence
from contextlib import closing
from traceback import format_exception
from typing import TYPE_CHECKING, Any, NamedTuple

from sklearn.exceptions import FitFailedWarning

from sk_mtl._compat.sklearn_search import scorers_by_name
from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._fit_together import Asked, Counts, Fit, ask_for_programs, fit_together
from sk_mtl._search.budget import Budget
from sk_mtl._search.candidates import Params, last_step_of, make_estimator, steps_key
from sk_mtl._search.checkpoint import FoldStore
from sk_mtl._search.folds import FoldInput, SearchData, Split, prepare_input
from sk_mtl._search.scoring import FoldResult, Row, Scoring

if TYPE_CHECKING:
    from sk_mtl._search.elsewhere import Elsewhere

__all__ = ["Done", "Evaluation", "Fits", "Todo"]

_FORGOTTEN: Any = None


class Todo(NamedTuple):
    """A fit to do: of a candidate, to the rows of a split."""

    candidate: int
    params: Params
    split: int


class Done(NamedTuple):
    """A fit that is done."""

    candidate: int
    split: int
    result: FoldResult
    seconds: float  # of the fit alone


class Fits:
    """Fits of candidates to folds, prepared; those that share rows share the very tables.

    Parameters
    ----------
    estimator : object
        What the parameters of candidates are set on.
    data : SearchData
        All rows.
    scoring : Scoring
        How candidates are scored.
    splits : sequence of Split
        The folds.
    todo : sequence of Todo
        What to fit.
    """

    def __init__(
        self,
        estimator: Any,
        data: SearchData,
        scoring: Scoring,
        splits: Sequence[Split],
        todo: Sequence[Todo],
    ):
        self._estimator = estimator
        self._data = data
        self._scoring = scoring
        self.fits: list[Fit] = []
        self.failed: list[Done] = []  # those whose steps before the last one have failed
        self._given: list[FoldInput] = []
        self._todo: list[Todo] = []
        inputs: dict[Hashable, FoldInput | Exception] = {}
        for fit in todo:
            key = (steps_key(estimator, fit.params), fit.split)
            if key not in inputs:
                inputs[key] = self._prepare_input(fit.params, splits[fit.split])
            given = inputs[key]
            if isinstance(given, Exception):
                self.failed.append(self._fail(fit, given, 0.0))
                continue
            last_step = last_step_of(make_estimator(estimator, fit.params))
            self.fits.append(Fit(last_step, given.X, given.y, given.params))
            self._given.append(given)
            self._todo.append(fit)

    def run(self, counts: Counts | None = None) -> Generator[Done, None, None]:
        """Fit and score; yield as each is done."""
        of_all = () if counts is None else (counts,)
        with closing(fit_together(self.fits, *of_all)) as done:
            for number, error, seconds in done:
                fit, given = self._todo[number], self._given[number]
                result = self._finish(self.fits[number].estimator, fit, given, error, seconds)
                # Networks and rows take memory.
                self.fits[number] = self._given[number] = _FORGOTTEN
                yield result

    def ask(self) -> Iterator[tuple[Todo, Asked]]:
        """Return what each fit would ask for, without any training."""
        return zip(self._todo, map(ask_for_programs, self.fits), strict=True)

    def _prepare_input(self, params: Params, split: Split) -> FoldInput | Exception:
        # Each with copies of its own: steps may change the rows in place.
        fold = self._data.take(split)
        try:
            return prepare_input(make_estimator(self._estimator, params), fold)
        except Exception as error:
            return error

    def _finish(
        self,
        last_step: Any,
        fit: Todo,
        given: FoldInput,
        error: Exception | None,
        seconds: float,
    ) -> Done:
        """Return the result of a fit that is done."""
        if error is not None:
            return self._fail(fit, error, seconds, given.seconds)
        in_all = seconds + given.seconds
        result = self._scoring.score(given.complete(last_step), given.fold, in_all)
        return Done(fit.candidate, fit.split, result, seconds)

    def _fail(self, fit: Todo, error: Exception, seconds: float, before: float = 0.0) -> Done:
        """Return the result of a fit that failed, or raise the error."""
        score = self._scoring.error_score
        if isinstance(score, str):
            raise error
        scores = scorers_by_name(self._scoring.scorer)
        failed = score if scores is None else dict.fromkeys(scores, score)
        text = "".join(format_exception(error))
        result = FoldResult(failed, failed, seconds + before, error=text)
        return Done(fit.candidate, fit.split, result, seconds)


class Evaluation:
    """Fits candidates to folds and scores them, as long as there is time.

    Parameters
    ----------
    estimator : object
        What the parameters of candidates are set on.
    data : SearchData
        All rows.
    scoring : Scoring
        How candidates are scored.
    budget : Budget
        When to stop.
    store : FoldStore or None
        Where results are kept, and looked for before a fit.
    bar : tqdm
        Moves on with every result.
    elsewhere : Elsewhere or None
        The workers of a cluster, if they fit; None to fit in this process.
    """

    def __init__(
        self,
        estimator: Any,
        data: SearchData,
        scoring: Scoring,
        budget: Budget,
        store: FoldStore | None,
        bar: Any,
        elsewhere: Elsewhere | None = None,
    ):
        self._estimator = estimator
        self._data = data
        self._scoring = scoring
        self._budget = budget
        self._store = store
        self._bar = bar
        self._elsewhere = elsewhere
        self.is_out_of_time = False
        self._has_candidate = False  # one that is evaluated on all folds

    def run(self, candidates: Sequence[Params], splits: Sequence[Split]) -> list[Row]:
        """Return the result of each candidate on each fold, None where the time was over."""
        rows: list[Row] = [[None] * len(splits) for _ in candidates]
        paths = self._find_kept(candidates, splits, rows)
        todo = [
            Todo(number, params, split.number)
            for number, params in enumerate(candidates)
            for split in splits
            if rows[number][split.number] is None
        ]
        if self._elsewhere is None:
            self._run_here(splits, todo, rows, paths)
        else:
            results = self._elsewhere.run(splits, todo, self._seconds_left)
            self._take(results, rows, paths)
        _check_failures(rows, self._scoring.error_score)
        return rows

    def _run_here(
        self,
        splits: Sequence[Split],
        todo: Sequence[Todo],
        rows: list[Row],
        paths: list[list[str]],
    ) -> None:
        """Fit and score in this process."""
        fits = Fits(self._estimator, self._data, self._scoring, splits, todo)
        for failed in fits.failed:
            rows[failed.candidate][failed.split] = failed.result
            self._bar.update()
        self._budget.begin_waiting()
        if fits.fits and not self._is_over(rows):
            self._take(fits.run(), rows, paths)

    def _take(
        self, results: Generator[Done, None, None], rows: list[Row], paths: list[list[str]]
    ) -> None:
        """Take results as they come, until the time is over."""
        with closing(results):
            for candidate, split, result, seconds in results:
                rows[candidate][split] = result
                if self._store is not None and result.is_sound:
                    self._store.save(paths[candidate][split], result)
                self._bar.update()
                self._budget.note_fit(seconds)
                if self._is_over(rows):
                    break

    def _seconds_left(self) -> float | None:
        """Return how long fits may go on; None for as long as they take."""
        return self._budget.seconds_left() if self._has_candidate else None

    def _find_kept(
        self, candidates: Sequence[Params], splits: Sequence[Split], rows: list[Row]
    ) -> list[list[str]]:
        """Fill in the results of an earlier search, and return the files where they are kept."""
        if self._store is None:
            return []
        paths = []
        for params, row in zip(candidates, rows, strict=True):
            paths.append(self._store.paths(make_estimator(self._estimator, params), splits))
            row[:] = [self._store.load(path) for path in paths[-1]]
            self._bar.update(sum(result is not None for result in row))
        return paths

    def _is_over(self, rows: list[Row]) -> bool:
        """Return whether to stop here; a first candidate is evaluated in any case."""
        self._has_candidate = self._has_candidate or any(None not in row for row in rows)
        self.is_out_of_time = self._has_candidate and self._budget.is_used_up()
        return self.is_out_of_time


def _check_failures(rows: Sequence[Row], error_score: Any) -> None:
    """Warn of fits that failed, refuse it if all did, and give them the scores of the others."""
    done = [result for row in rows for result in row if result is not None]
    failed = [result for result in done if result.error is not None]
    if not failed:
        return
    causes = "\n".join(
        f"{count} with this error:\n{error}"
        for error, count in Counter(str(result.error) for result in failed).most_common()
    )
    if len(failed) == len(done):
        raise ValueError(
            f"All {len(done)} fits of the search failed. error_score='raise' raises the first "
            f"error where it occurs.\n{causes}"
        )
    warn_user(
        f"{len(failed)} of {len(done)} fits of the search failed; their scores are set to "
        f"error_score, {error_score}.\n{causes}",
        FitFailedWarning,
    )
    # The names that a scorer of several scores returns are known by now.
    names = next(result.test_scores for result in done if result.error is None)
    for result in failed:
        if isinstance(names, dict):
            result.test_scores = result.train_scores = dict.fromkeys(names, error_score)
