"""Evaluation: candidates fitted to folds and scored, as the fits are done.

Owns what is fitted together, and what a failed fit leads to. Does not choose candidates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from contextlib import closing
from traceback import format_exception
from typing import Any, NamedTuple

from sklearn.exceptions import FitFailedWarning

from sk_mtl._compat.sklearn_search import scorers_by_name
from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._fit_together import Fit, fit_together
from sk_mtl._search.budget import Budget
from sk_mtl._search.candidates import Params, last_step_of, make_estimator, steps_key
from sk_mtl._search.folds import Fold, FoldInput, prepare_input
from sk_mtl._search.scoring import FoldResult, Scoring

__all__ = ["Evaluation"]

_FORGOTTEN: Any = None


class _Job(NamedTuple):
    """A fit to do: of a candidate, to a fold."""

    candidate: int
    fold: Fold
    given: FoldInput


class Evaluation:
    """Fits candidates to folds and scores them, as long as there is time.

    Parameters
    ----------
    estimator : object
        What the parameters of candidates are set on.
    scoring : Scoring
        How they are scored.
    budget : Budget
        When to stop.
    store : FoldStore or None
        Where results are kept, and looked for before a fit.
    bar : tqdm
        Moves on with every result.
    """

    def __init__(self, estimator: Any, scoring: Scoring, budget: Budget, store: Any, bar: Any):
        self._estimator = estimator
        self._scoring = scoring
        self._budget = budget
        self._store = store
        self._bar = bar
        self.is_out_of_time = False
        self._has_candidate = False  # one that is evaluated on all folds

    def run(
        self, candidates: Sequence[Params], folds: Sequence[Fold]
    ) -> list[list[FoldResult | None]]:
        """Return the result of each candidate on each fold, None where the time was over."""
        results: list[list[FoldResult | None]] = [[None] * len(folds) for _ in candidates]
        names = self._find_kept(candidates, folds, results)
        fits, jobs = self._prepare(candidates, folds, results)
        self._note_evaluated(results)
        self._budget.begin_waiting()
        if fits and not self._is_over():
            with closing(fit_together(fits)) as done:
                for number, error, seconds in done:
                    job = jobs[number]
                    result = self._finish(fits[number].estimator, job, error, seconds)
                    fits[number] = fits[number]._replace(estimator=_FORGOTTEN)
                    results[job.candidate][job.fold.number] = result
                    if self._store is not None and result.error is None:
                        self._store.save(names[job.candidate][job.fold.number], result)
                    self._bar.update()
                    self._budget.note_fit(seconds)
                    self._note_evaluated(results)
                    if self._is_over():
                        break
        _check_failures(results, self._scoring.error_score)
        return results

    def _find_kept(
        self,
        candidates: Sequence[Params],
        folds: Sequence[Fold],
        results: list[list[FoldResult | None]],
    ) -> list[list[str]]:
        """Fill in the results of an earlier run, and return the names by which they are kept."""
        if self._store is None:
            return []
        names = []
        for params, row in zip(candidates, results, strict=True):
            estimator = make_estimator(self._estimator, params)
            names.append([self._store.name(estimator, fold) for fold in folds])
            row[:] = [self._store.load(name) for name in names[-1]]
            self._bar.update(sum(result is not None for result in row))
        return names

    def _prepare(
        self,
        candidates: Sequence[Params],
        folds: Sequence[Fold],
        results: list[list[FoldResult | None]],
    ) -> tuple[list[Fit], list[_Job]]:
        """Return the fits that are left to do; those that share rows share the very tables."""
        inputs: dict[Hashable, FoldInput | Exception] = {}
        fits, jobs = [], []
        for number, params in enumerate(candidates):
            steps = steps_key(self._estimator, params)
            for fold in folds:
                if results[number][fold.number] is not None:
                    continue
                key = (steps, fold.number)
                if key not in inputs:
                    inputs[key] = self._prepare_input(params, fold)
                given = inputs[key]
                if isinstance(given, Exception):
                    results[number][fold.number] = self._fail(given, 0.0)
                    self._bar.update()
                    continue
                last = last_step_of(make_estimator(self._estimator, params))
                fits.append(Fit(last, given.X, given.y, given.params))
                jobs.append(_Job(number, fold, given))
        return fits, jobs

    def _prepare_input(self, params: Params, fold: Fold) -> FoldInput | Exception:
        try:
            return prepare_input(make_estimator(self._estimator, params), fold)
        except Exception as error:
            return error

    def _finish(
        self, last_step: Any, job: _Job, error: Exception | None, seconds: float
    ) -> FoldResult:
        """Return the result of a fit that is done."""
        seconds += job.given.seconds
        if error is not None:
            return self._fail(error, seconds)
        return self._scoring.score(job.given.complete(last_step), job.fold, seconds)

    def _fail(self, error: Exception, seconds: float) -> FoldResult:
        """Return the result of a fit that failed, or raise the error."""
        score = self._scoring.error_score
        if isinstance(score, str):
            raise error
        scores = scorers_by_name(self._scoring.scorer)
        failed = score if scores is None else dict.fromkeys(scores, score)
        return FoldResult(failed, failed, seconds, error="".join(format_exception(error)))

    def _note_evaluated(self, results: list[list[FoldResult | None]]) -> None:
        self._has_candidate |= any(None not in row for row in results)

    def _is_over(self) -> bool:
        """Return whether to stop here; a first candidate is evaluated in any case."""
        self.is_out_of_time = self._has_candidate and self._budget.is_used_up()
        return self.is_out_of_time


def _check_failures(results: Sequence[Sequence[FoldResult | None]], error_score: Any) -> None:
    """Warn of fits that failed, refuse it if all did, and give them the scores of the others."""
    done = [result for row in results for result in row if result is not None]
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
