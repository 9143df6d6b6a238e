"""The search: its parameters, and the course of its `fit`.

Candidates, folds, evaluation, rounds, kept results and `cv_results_` are each a module beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from sk_mtl._compat.arguments import check_choice, check_flags, check_integer, check_real
from sk_mtl._compat.sklearn_search import SearchBase, scorers_by_name
from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._quoting import quote
from sk_mtl._search.budget import Budget
from sk_mtl._search.candidates import (
    Params,
    check_candidates,
    last_step_of,
    list_candidates,
    make_estimator,
    name_in_last_step,
)
from sk_mtl._search.checkpoint import open_store
from sk_mtl._search.evaluation import Evaluation
from sk_mtl._search.folds import take_fold
from sk_mtl._search.halving import Schedule, best_rows, plan_rounds, take_share
from sk_mtl._search.results import (
    collect_results,
    collect_task_scores,
    join_predictions,
    make_leaderboard,
)
from sk_mtl._search.scoring import FoldResult, Scoring
from sk_mtl._wrappers import find_missing_label
from sk_mtl.model_selection._cross_val_predict import check_partition
from sk_mtl.model_selection._k_fold import MultiTaskStratifiedKFold
from sk_mtl.model_selection._rows import count_rows
from sk_mtl.model_selection._splitter import MultiTaskSplitter

__all__ = ["MultiTaskSearchCV"]

_CALLER = "MultiTaskSearchCV"
_Split = tuple[np.ndarray, np.ndarray]


class MultiTaskSearchCV(SearchBase):
    """Search over parameters with cross-validation, with all networks fitted together.

    As :class:`sklearn.model_selection.GridSearchCV` with `param_grid`,
    :class:`sklearn.model_selection.RandomizedSearchCV` with `param_distributions`, and the
    successive halving of :class:`sklearn.model_selection.HalvingGridSearchCV` with `factor`; on the
    same folds the scores are the same, up to rounding. All fits of a round are handed over at
    once, and a candidate is scored on a fold as soon as it is fitted to it. There is no `n_jobs`:
    the fits share all cores.

    Parameters
    ----------
    estimator : MultiTaskClassifier or Pipeline
        The estimator, or a Pipeline whose last step it is. The steps before it are fitted once per
        fold for all candidates that have the same parameters of these steps.
    param_grid : dict or list of dict, default=None
        Values to try by parameter, in all combinations; a list of such grids tries each of them.
    param_distributions : dict or list of dict, default=None
        In place of `param_grid`: lists of values, or distributions with a method ``rvs``, such as
        those of `scipy.stats`, from which `n_iter` candidates are drawn.
    n_iter : int, default=None
        Number of candidates to draw from `param_distributions`; None means 10.
    scoring : str, callable, list, tuple or dict, default=None
        One or several scores, as in scikit-learn's searches. Use the scorers of `sk_mtl.metrics`:
        those of scikit-learn refuse missing labels. None is the estimator's own `score`, the mean
        over tasks of the accuracy.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all rows. With several scores, the name of the one
        that decides, or False. A callable gets `cv_results_`, with evaluated candidates only, and
        returns the index of the best.
    cv : int, splitter or iterable of (train, test), default=5
        An int is :class:`MultiTaskStratifiedKFold` with as many folds, and None is 5 folds.
    error_score : "raise" or float, default=nan
        The score of a candidate on a fold where it cannot be fitted, with a warning; "raise" raises
        the error.
    return_train_score : bool, default=False
        Whether to score the training rows, too.
    factor : float, default=None
        With a number above 1, such as 3, the candidates are evaluated in rounds: the first with few
        resources, each further one with `factor` times as many and the best ``1 / factor`` of the
        candidates.
    resource : {"epochs", "n_samples"}, default="epochs"
        With `factor`: the resource that increases, the estimator's `epochs` or the number of rows.
    min_resources : {"exhaust", "smallest"} or int, default="exhaust"
        With `factor`: the resources of the first round. "exhaust" takes as many as let the last
        round reach `max_resources`; "smallest" is one epoch, or two rows per fold.
    max_resources : int, default=None
        With `factor`: the most resources of a round. None is the estimator's `epochs`, or all rows.
    max_time : float, default=None
        Seconds that the whole of `fit` may take. The search then ends early: it stops before a fit
        of which more than half would be late, and leaves time for the last fit, to all rows. At
        least one candidate is evaluated. Those that are not have NaN in `cv_results_`, and a
        warning says how many there are.
    checkpoint : path-like, default=None
        A folder in which the scores of each candidate on each fold are kept, to be used again by a
        later search, such as the same one after `max_time` or an interruption, or one with more
        candidates. They are recognised by the data, the rows of the fold, the scores and all
        parameters. The files are not removed.
    keep_predictions : {None, "best", "all"}, default=None
        Whose out-of-fold probabilities are kept in `cv_predictions_`. The test parts of `cv` must
        contain every row once.
    verbose : int, default=0
        1 or more shows one progress bar over all fits.
    random_state : int, RandomState instance or None, default=None
        Seed of the candidates that are drawn, and of the rows of rounds with few rows.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        With the keys of scikit-learn's searches. With `factor`, "iter" and "n_resources" as well,
        and a candidate has an entry for each round. With `max_time`, "is_evaluated" as well. The
        time of steps that candidates share counts in the "fit_time" of each.
    leaderboard_ : pandas.DataFrame
        The candidates from the best to the worst, by their number in `cv_results_`: rank,
        parameters, mean and standard deviation of each score over the folds, for scores that are
        means over tasks also by task, and times. A task counts in the folds where its score is
        defined. The columns have three levels: score, task, statistic.
    cv_predictions_ : dict of {int: PerTask of ndarray}
        With `keep_predictions`, the probabilities of all rows by the number of the candidate, as
        :func:`cross_val_predict` gives them.
    best_index_ : int
        The number of the best candidate; with `factor`, the best of the last round.
    best_params_ : dict
        Its parameters.
    best_score_ : float
        Its mean score over the folds. Not available if `refit` is a callable.
    best_estimator_ : estimator
        It, fitted to all rows. Only with `refit`, as all methods that predict.
    refit_time_ : float
        Seconds of that fit.
    scorer_ : callable or dict
        The scorer, or scorers by name.
    multimetric_ : bool
        Whether there are several scores.
    n_splits_ : int
        The number of folds.
    n_resources_, n_candidates_ : list of int
        With `factor`, resources and number of candidates of each round, besides `min_resources_`,
        `max_resources_`, `n_iterations_`, `n_required_iterations_`, `n_possible_iterations_` and
        `n_remaining_candidates_`, as in HalvingGridSearchCV.
    classes_ : PerTask of ndarray of shape (n_classes_t,), or ndarray
        The classes of `best_estimator_`.
    n_features_in_ : int
        The number of features that `best_estimator_` has seen.
    feature_names_in_ : ndarray of object of shape (n_features,)
        Their names, if X had string column names.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : For all other estimators.
    cross_val_predict : Out-of-fold predictions of one estimator.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> from sk_mtl.model_selection import MultiTaskSearchCV
    >>> X, Y = make_multitask_classification(n_samples=90, missing_rate=0.3, random_state=0)
    >>> clf = MultiTaskClassifier((8,), epochs=5, random_state=0)
    >>> search = MultiTaskSearchCV(clf, {"optimizer__learning_rate": [1e-4, 1e-2]}, cv=3)
    >>> search.fit(X, Y).best_params_
    {'optimizer__learning_rate': 0.01}
    >>> search.leaderboard_["rank"].tolist()
    [1, 2]
    """

    __module__ = "sk_mtl.model_selection"  # the public path, which pickles name

    def __init__(
        self,
        estimator: Any,
        param_grid: Any = None,
        *,
        param_distributions: Any = None,
        n_iter: int | None = None,
        scoring: Any = None,
        refit: Any = True,
        cv: Any = 5,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        factor: float | None = None,
        resource: str = "epochs",
        min_resources: Any = "exhaust",
        max_resources: int | None = None,
        max_time: float | None = None,
        checkpoint: Any = None,
        keep_predictions: str | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.param_grid = param_grid
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.scoring = scoring
        self.refit = refit
        self.cv = cv
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.factor = factor
        self.resource = resource
        self.min_resources = min_resources
        self.max_resources = max_resources
        self.max_time = max_time
        self.checkpoint = checkpoint
        self.keep_predictions = keep_predictions
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any, **params: Any) -> MultiTaskSearchCV:
        """Evaluate the candidates, and fit the best one to all rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Class labels, one column per task, NaN, None or NA where a label is missing.
        **params : dict
            Passed as by scikit-learn's searches: without metadata routing, ``groups`` to the
            splitter and all others to ``fit`` of the estimator; with it, to what requests them.
            Those with an entry per row are split as the rows are.

        Returns
        -------
        self : MultiTaskSearchCV
            The fitted search.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used, or all fits fail; the search is left as it
            was.
        TypeError
            If what is fitted is no MultiTaskClassifier.

        Warns
        -----
        FitFailedWarning
            If some fits failed.
        UserWarning
            If `max_time` left candidates out, or scores are not finite.
        """
        self._check_parameters()
        budget = Budget(self.max_time, self.refit is not False)
        candidates = self._list_candidates()
        scorer, metric = self._find_scorer()
        check_consistent_length(X, y)
        cv = self._make_cv(y)
        by_split = {} if isinstance(cv, MultiTaskSplitter) else {"y": y}
        warn_of_other_order({"X": X, **by_split, **params})
        fit_params, split_params, score_params = self._route(params)
        splits = [(np.asarray(a), np.asarray(b)) for a, b in cv.split(X, y, **split_params)]
        if self.keep_predictions is not None:
            check_partition(_CALLER, [test for _, test in splits], count_rows(X))
        schedule = self._plan(len(candidates), count_rows(X), len(splits))
        scoring = Scoring(
            scorer,
            self.scoring is None,
            self.error_score,
            self.return_train_score,
            self.keep_predictions is not None,
        )
        store = None
        if self.checkpoint is not None:
            store = open_store(
                self.checkpoint, X, y, {"fit": fit_params, "score": score_params}, scoring
            )
        n_fits = len(splits) * sum(schedule.n_candidates)
        with tqdm(total=n_fits, desc="search", unit="fit", disable=not self.verbose) as bar:
            evaluation = Evaluation(self.estimator, scoring, budget, store, bar)

            def evaluate(some: Sequence[Params], share: float) -> list[list[FoldResult | None]]:
                parts = splits if share == 1 else take_share(splits, share, self.random_state)
                folds = [
                    take_fold(i, part, X, y, fit_params, score_params)
                    for i, part in enumerate(parts)
                ]
                return evaluation.run(some, folds)

            tried, rows, more = self._run_rounds(
                candidates, schedule, count_rows(X), evaluation, evaluate
            )
        fitted = self._summarize(tried, rows, more, scorer, metric)
        if self.factor is not None:
            n_left = len(best_rows(np.zeros(schedule.n_candidates[-1]), self.factor))
            fitted |= schedule.attributes(n_left)
        fitted["n_splits_"] = len(splits)
        if self.keep_predictions is not None:
            only = fitted["best_index_"] if self.keep_predictions == "best" else None
            tests = [test for _, test in splits]
            fitted["cv_predictions_"] = join_predictions(rows, tests, only)
        if self.refit:
            fitted |= self._refit(fitted["best_params_"], X, y, fit_params)
        kept = {name: value for name, value in vars(self).items() if not name.endswith("_")}
        self.__dict__ = {**kept, **fitted}
        return self

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """The candidates as a frame, from the best to the worst."""
        check_is_fitted(self)
        return make_leaderboard(self.cv_results_, self._task_scores_, self._ranked_by_)

    # --------------------------------------------------------------------------------------------
    # Before the fits
    # --------------------------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        check_flags(_CALLER, return_train_score=self.return_train_score)
        check_integer(_CALLER, "verbose", self.verbose, 0) if self.verbose is not True else None
        if self.max_time is not None:
            check_real(_CALLER, "max_time", self.max_time, 0)
        check_choice(_CALLER, "keep_predictions", self.keep_predictions, (None, "best", "all"))
        check_choice(_CALLER, "resource", self.resource, ("epochs", "n_samples"))
        if isinstance(self.min_resources, str):
            check_choice(_CALLER, "min_resources", self.min_resources, ("exhaust", "smallest"))
        is_score = isinstance(self.error_score, Real) and not isinstance(self.error_score, bool)
        if not is_score and self.error_score != "raise":
            raise ValueError(
                f"error_score must be 'raise' or a number. Got {quote(self.error_score)}."
            )
        if not isinstance(self.refit, (bool, str)) and not callable(self.refit):
            raise ValueError(
                "refit must be True or False, the name of a score, or a callable. Got "
                f"{quote(self.refit)}."
            )
        if self.factor is not None:
            is_factor = isinstance(self.factor, Real) and self.factor > 1
            if not is_factor:
                raise ValueError(f"factor must be a number above 1. Got {quote(self.factor)}.")
            if self.keep_predictions is not None and self.resource == "n_samples":
                raise ValueError(
                    "keep_predictions needs a prediction for every row, and rounds of "
                    "resource='n_samples' leave rows out. Set resource='epochs'."
                )
        self._refuse_callbacks()

    def _list_candidates(self) -> list[Params]:
        candidates = list_candidates(
            self.param_grid, self.param_distributions, self.n_iter, self.random_state
        )
        check_candidates(self.estimator, candidates)
        name = name_in_last_step(self.estimator, "epochs")
        is_resource = self.factor is not None and self.resource == "epochs"
        if is_resource and any(name in params for params in candidates):
            raise ValueError(
                f"{name} is the resource of successive halving, and cannot be searched over at "
                "the same time. Leave it out of the candidates, or set resource='n_samples'."
            )
        return candidates

    def _make_cv(self, y: Any) -> Any:
        cv = 5 if self.cv is None else self.cv
        if isinstance(cv, Integral):
            missing_label = find_missing_label(self.estimator)
            return MultiTaskStratifiedKFold(int(cv), missing_label=missing_label)
        # That question lets the estimator refuse splitters that fail on missing labels.
        return check_cv(cv, y, classifier=is_classifier(self.estimator))

    def _plan(self, n_candidates: int, n_samples: int, n_splits: int) -> Schedule:
        """Return the rounds; one, of all candidates, without `factor`."""
        if self.factor is None:
            return Schedule([n_candidates], [n_samples], n_samples, n_samples, 1, 1)
        by_epochs = self.resource == "epochs"
        largest = last_step_of(self.estimator).epochs if by_epochs else n_samples
        if self.max_resources is not None:
            high = None if by_epochs else n_samples
            largest = check_integer(_CALLER, "max_resources", self.max_resources, 1, high)
        smallest = 1 if by_epochs else 2 * n_splits
        return plan_rounds(n_candidates, self.factor, self.min_resources, largest, smallest)

    # --------------------------------------------------------------------------------------------
    # The rounds
    # --------------------------------------------------------------------------------------------

    def _run_rounds(
        self,
        candidates: list[Params],
        schedule: Schedule,
        n_samples: int,
        evaluation: Evaluation,
        evaluate: Callable[[Sequence[Params], float], list[list[FoldResult | None]]],
    ) -> tuple[list[Params], list[list[FoldResult | None]], dict[str, list[int]]]:
        """Return the candidates of all rounds, their results, and further columns of these."""
        if self.factor is None:
            return candidates, evaluate(candidates, 1.0), {}
        tried: list[Params] = []
        rows: list[list[FoldResult | None]] = []
        more: dict[str, list[int]] = {"iter": [], "n_resources": []}
        for number, resources in enumerate(schedule.n_resources):
            share = 1.0
            if self.resource == "epochs":
                name = name_in_last_step(self.estimator, "epochs")
                candidates = [{**params, name: resources} for params in candidates]
            else:
                share = resources / n_samples
            results = evaluate(candidates, share)
            tried += candidates
            rows += results
            more["iter"] += [number] * len(candidates)
            more["n_resources"] += [resources] * len(candidates)
            if evaluation.is_out_of_time:
                break
            means = self._means_of(results)
            candidates = [candidates[i] for i in best_rows(means, self.factor)]
        return tried, rows, more

    def _means_of(self, results: list[list[FoldResult | None]]) -> np.ndarray:
        """Return the mean of the score that decides, by candidate."""
        scores = collect_results([{}] * len(results), results, False, {})
        metric = self.refit if isinstance(self.refit, str) else "score"
        if f"mean_test_{metric}" not in scores:
            raise ValueError(
                "With several scores, successive halving needs the name of the one that decides, "
                f"as refit. Got refit={quote(self.refit)}."
            )
        return scores[f"mean_test_{metric}"]

    # --------------------------------------------------------------------------------------------
    # After the fits
    # --------------------------------------------------------------------------------------------

    def _summarize(
        self,
        candidates: list[Params],
        rows: list[list[FoldResult | None]],
        more: dict[str, Any],
        scorer: Any,
        metric: Any,
    ) -> dict[str, Any]:
        """Return the attributes that show the results, and the best candidate."""
        is_evaluated = np.array([None not in row for row in rows])
        if self.max_time is not None:
            more = {**more, "is_evaluated": is_evaluated}
        results = collect_results(candidates, rows, self.return_train_score, more)
        names = [key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_")]
        _warn_of_results(results, names, is_evaluated, self.checkpoint is not None)
        fitted = {
            "cv_results_": results,
            "scorer_": scorers_by_name(scorer) or scorer,
            "multimetric_": names != ["score"],
            "_task_scores_": collect_task_scores(rows),
            "_ranked_by_": metric if metric in names else names[0],
        }
        if fitted["multimetric_"] and callable(self.scoring):
            self._check_refit(names)
            fitted["_ranked_by_"] = metric = self.refit if self.refit in names else names[0]
        if self.refit or not fitted["multimetric_"]:
            best = self._choose_best(results, metric, is_evaluated)
            fitted |= {"best_index_": best, "best_params_": results["params"][best]}
            if not callable(self.refit):
                fitted["best_score_"] = results[f"mean_test_{metric}"][best]
        elif self.keep_predictions == "best":
            raise ValueError("keep_predictions='best' needs refit: the name of the best score.")
        return fitted

    def _choose_best(self, results: dict[str, Any], metric: Any, is_evaluated: np.ndarray) -> int:
        """Return the best evaluated candidate, of the last round that has any."""
        choice = np.flatnonzero(is_evaluated)
        if callable(self.refit):
            given = {
                key: [values[i] for i in choice] if key == "params" else values[choice]
                for key, values in results.items()
            }
            return int(choice[self._ask_refit(given)])
        if "iter" in results:
            choice = choice[results["iter"][choice] == results["iter"][choice].max()]
        return int(choice[results[f"rank_test_{metric}"][choice].argmin()])

    def _refit(self, params: Params, X: Any, y: Any, fit_params: dict[str, Any]) -> dict[str, Any]:
        """Fit the best candidate to all rows; return the attributes that show it."""
        best = make_estimator(self.estimator, params)
        start = time.perf_counter()
        best.fit(X, y, **fit_params)
        fitted = {"best_estimator_": best, "refit_time_": time.perf_counter() - start}
        if hasattr(best, "feature_names_in_"):
            fitted["feature_names_in_"] = best.feature_names_in_
        return fitted


def _warn_of_results(
    results: dict[str, Any], names: list[str], is_evaluated: np.ndarray, is_kept: bool
) -> None:
    """Warn of candidates that are not evaluated, and of scores that are not finite."""
    if not is_evaluated.all():
        advice = "the same search continues" if is_kept else "with a checkpoint, a search continues"
        warn_user(
            f"max_time ended the search: {int((~is_evaluated).sum())} of {len(is_evaluated)} "
            f"candidates were not evaluated on all folds. Set a larger max_time; {advice} where "
            "this one has stopped."
        )
    for name in names:
        n_bad = int((~np.isfinite(results[f"mean_test_{name}"][is_evaluated])).sum())
        if n_bad:
            warn_user(
                f"The mean test score {quote(name)} is not finite for {n_bad} of "
                f"{int(is_evaluated.sum())} candidates, which are ranked last."
            )


# Doctest passes over classes of another module than this.
__test__ = {"MultiTaskSearchCV": MultiTaskSearchCV}
