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
from sk_mtl._search.checkpoint import FoldStore
from sk_mtl._search.folds import FoldInput, SearchData, Split, prepare_input
from sk_mtl._search.scoring import FoldResult, Row, Scoring

__all__ = ["Evaluation"]

_FORGOTTEN: Any = None


class _Job(NamedTuple):
    """A fit to do: of a candidate, to a fold."""

    candidate: int
    split: int
    given: FoldInput


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
    """

    def __init__(
        self,
        estimator: Any,
        data: SearchData,
        scoring: Scoring,
        budget: Budget,
        store: FoldStore | None,
        bar: Any,
    ):
        self._estimator = estimator
        self._data = data
        self._scoring = scoring
        self._budget = budget
        self._store = store
        self._bar = bar
        self.is_out_of_time = False
        self._has_candidate = False  # one that is evaluated on all folds

    def run(self, candidates: Sequence[Params], splits: Sequence[Split]) -> list[Row]:
        """Return the result of each candidate on each fold, None where the time was over."""
        rows: list[Row] = [[None] * len(splits) for _ in candidates]
        paths = self._find_kept(candidates, splits, rows)
        fits, jobs = self._prepare(candidates, splits, rows)
        self._budget.begin_waiting()
        if fits and not self._is_over(rows):
            with closing(fit_together(fits)) as done:
                for number, error, seconds in done:
                    candidate, split, given = jobs[number]
                    result = self._finish(fits[number].estimator, given, error, seconds)
                    fits[number] = jobs[number] = _FORGOTTEN  # networks and rows take memory
                    rows[candidate][split] = result
                    if self._store is not None and result.is_sound:
                        self._store.save(paths[candidate][split], result)
                    self._bar.update()
                    self._budget.note_fit(seconds)
                    if self._is_over(rows):
                        break
        _check_failures(rows, self._scoring.error_score)
        return rows

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

    def _prepare(
        self, candidates: Sequence[Params], splits: Sequence[Split], rows: list[Row]
    ) -> tuple[list[Fit], list[_Job]]:
        """Return the fits that are left to do; those that share rows share the very tables."""
        inputs: dict[Hashable, FoldInput | Exception] = {}
        fits, jobs = [], []
        for number, params in enumerate(candidates):
            steps = steps_key(self._estimator, params)
            for split in splits:
                if rows[number][split.number] is not None:
                    continue
                key = (steps, split.number)
                if key not in inputs:
                    inputs[key] = self._prepare_input(params, split)
                given = inputs[key]
                if isinstance(given, Exception):
                    rows[number][split.number] = self._fail(given, 0.0)
                    self._bar.update()
                    continue
                last_step = last_step_of(make_estimator(self._estimator, params))
                fits.append(Fit(last_step, given.X, given.y, given.params))
                jobs.append(_Job(number, split.number, given))
        return fits, jobs

    def _prepare_input(self, params: Params, split: Split) -> FoldInput | Exception:
        # Each with copies of its own: steps may change the rows in place.
        fold = self._data.take(split)
        try:
            return prepare_input(make_estimator(self._estimator, params), fold)
        except Exception as error:
            return error

    def _finish(
        self, last_step: Any, given: FoldInput, error: Exception | None, seconds: float
    ) -> FoldResult:
        """Return the result of a fit that is done."""
        seconds += given.seconds
        if error is not None:
            return self._fail(error, seconds)
        return self._scoring.score(given.complete(last_step), given.fold, seconds)

    def _fail(self, error: Exception, seconds: float) -> FoldResult:
        """Return the result of a fit that failed, or raise the error."""
        score = self._scoring.error_score
        if isinstance(score, str):
            raise error
        scores = scorers_by_name(self._scoring.scorer)
        failed = score if scores is None else dict.fromkeys(scores, score)
        return FoldResult(failed, failed, seconds, error="".join(format_exception(error)))

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
