"""The search: its parameters, and the course of its `fit`.

Candidates, folds, evaluation, rounds, kept results and `cv_results_` are each a module beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length, get_tags
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
from sk_mtl._search.elsewhere import Elsewhere
from sk_mtl._search.engines import open_workers
from sk_mtl._search.evaluation import Evaluation
from sk_mtl._search.folds import SearchData, Split
from sk_mtl._search.halving import Halving, Tried, plan_rounds
from sk_mtl._search.results import (
    collect_means,
    collect_results,
    collect_task_scores,
    join_predictions,
    make_leaderboard,
)
from sk_mtl._search.scoring import Scoring
from sk_mtl._tasks import PerTask
from sk_mtl._wrappers import find_missing_label
from sk_mtl.model_selection._cross_val_predict import check_partition
from sk_mtl.model_selection._k_fold import MultiTaskStratifiedKFold
from sk_mtl.model_selection._splitter import MultiTaskSplitter

__all__ = ["MultiTaskSearchCV"]

_CALLER = "MultiTaskSearchCV"


class MultiTaskSearchCV(SearchBase):
    """Search over parameters with cross-validation, with all networks fitted together.

    As :class:`sklearn.model_selection.GridSearchCV` with `param_grid`,
    :class:`sklearn.model_selection.RandomizedSearchCV` with `param_distributions`, and the
    successive halving of :class:`sklearn.model_selection.HalvingGridSearchCV` with `factor`; on the
    same folds the scores are the same, up to rounding. All fits of a round are handed over at
    once, and a candidate is scored on a fold as soon as it is fitted to it. There is no `n_jobs`:
    the fits share all cores, or the workers of a cluster if joblib's active backend is "dask" or
    "ray" with several jobs. Results are then equal to those without a cluster; the last fit, to
    all rows, stays in the calling process.

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
        The candidates from the best to the worst, by their number in `cv_results_`, with the rank,
        the parameters, means and standard deviations of the test scores, and mean times, under the
        keys of `cv_results_`. For scores that are means over tasks there are those of each task as
        well, such as "mean_test_score_size", over the folds where they are defined.
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
    feature_names_in_ : ndarray of object of shape (n_features,)
        The names of the `n_features_in_` features, if X had string column names.

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
    >>> search.leaderboard_["rank_test_score"].tolist()
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
        self._refuse_callbacks()
        budget = Budget(self.max_time, self.refit is not False)
        candidates = self._list_candidates()
        scorer, metric = self._find_scorer()
        data, splits = self._read(X, y, params)
        halving = self._plan_halving(len(candidates), data.n_samples, len(splits))
        scoring = Scoring(
            scorer,
            self.scoring is None,
            self.error_score,
            self.return_train_score,
            self.keep_predictions is not None,
            self._check_names,
        )
        store = None if self.checkpoint is None else open_store(self.checkpoint, data, scoring)
        n_fits = len(splits) * sum(halving.schedule.n_candidates if halving else [len(candidates)])
        with (
            open_workers() as workers,
            tqdm(total=n_fits, desc="search", unit="fit", disable=not self.verbose) as bar,
        ):
            elsewhere = None
            if workers is not None:
                has_deadline = self.max_time is not None
                elsewhere = Elsewhere(workers, self.estimator, data, scoring, has_deadline)
            evaluation = Evaluation(self.estimator, data, scoring, budget, store, bar, elsewhere)
            if halving is None:
                tried = Tried(candidates, evaluation.run(candidates, splits), {})
            else:
                name = self.refit if isinstance(self.refit, str) else metric
                tried = halving.run(evaluation, candidates, splits, name)
        fitted = {"n_splits_": len(splits), **self._summarize(tried, scorer, metric)}
        if halving is not None:
            fitted |= halving.schedule.attributes(n_rounds=tried.columns["iter"][-1] + 1)
        if self.keep_predictions is not None:
            only = fitted["best_index_"] if self.keep_predictions == "best" else None
            tests = [split.test for split in splits]
            fitted["_predictions_"] = join_predictions(tried.rows, tests, only)
        if self.refit:
            fitted |= self._refit(fitted["best_params_"], data)
        kept = {name: value for name, value in vars(self).items() if not name.endswith("_")}
        self.__dict__ = {**kept, **fitted}  # in one step: an error or Ctrl-C leaves all as it was
        return self

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """The candidates as a frame, from the best to the worst."""
        check_is_fitted(self)
        return make_leaderboard(self.cv_results_, self._task_scores_, self._ranked_by_)

    @property
    def cv_predictions_(self) -> dict[int, Any]:
        """The out-of-fold probabilities, by the number of the candidate."""
        if "_predictions_" not in vars(self):
            raise AttributeError(
                "cv_predictions_ needs keep_predictions='best' or 'all', and a fit with it."
            )
        return {
            number: arrays if task_names is None else PerTask(arrays, task_names)
            for number, (arrays, task_names) in self._predictions_.items()
        }

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        return tags

    # --------------------------------------------------------------------------------------------
    # Before the fits
    # --------------------------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        check_flags(_CALLER, return_train_score=self.return_train_score)
        if not isinstance(self.verbose, bool):
            check_integer(_CALLER, "verbose", self.verbose, 0)
        if self.max_time is not None:
            check_real(_CALLER, "max_time", self.max_time, 0)
        check_choice(_CALLER, "keep_predictions", self.keep_predictions, (None, "best", "all"))
        check_choice(_CALLER, "resource", self.resource, ("epochs", "n_samples"))
        if isinstance(self.min_resources, str):
            check_choice(_CALLER, "min_resources", self.min_resources, ("exhaust", "smallest"))
        if isinstance(self.error_score, bool) or (
            not isinstance(self.error_score, Real) and self.error_score != "raise"
        ):
            raise ValueError(
                f"error_score must be 'raise' or a number. Got {quote(self.error_score)}."
            )
        if not isinstance(self.refit, (bool, str)) and not callable(self.refit):
            raise ValueError(
                "refit must be True or False, the name of a score, or a callable. Got "
                f"{quote(self.refit)}."
            )
        if self.factor is None:
            return
        if not isinstance(self.factor, Real) or self.factor <= 1:
            raise ValueError(f"factor must be a number above 1. Got {quote(self.factor)}.")
        if self.keep_predictions is not None and self.resource == "n_samples":
            raise ValueError(
                "keep_predictions needs a prediction of every row, and rounds with "
                "resource='n_samples' leave rows out. Set resource='epochs'."
            )

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

    def _read(self, X: Any, y: Any, params: dict[str, Any]) -> tuple[SearchData, list[Split]]:
        """Return what is passed to ``fit``, and the rows of the folds."""
        if y is None:
            raise ValueError(f"{_CALLER} requires y to be passed, but the target y is None.")
        check_consistent_length(X, y)
        cv = self._make_cv(y)
        # The splitters of this package compare y and groups with X themselves.
        by_split = {"y", "groups"} if isinstance(cv, MultiTaskSplitter) else set()
        tables = {"X": X, "y": y, **params}
        warn_of_other_order({k: table for k, table in tables.items() if k not in by_split})
        fit_params, split_params, score_params = self._route(params)
        splits = [
            Split(number, np.asarray(train), np.asarray(test))
            for number, (train, test) in enumerate(cv.split(X, y, **split_params))
        ]
        data = SearchData(X, y, fit_params, score_params)
        if self.keep_predictions is not None:
            check_partition("keep_predictions", [s.test for s in splits], data.n_samples)
        return data, splits

    def _make_cv(self, y: Any) -> Any:
        cv = 5 if self.cv is None else self.cv
        if isinstance(cv, Integral):
            missing_label = find_missing_label(self.estimator)
            return MultiTaskStratifiedKFold(int(cv), missing_label=missing_label)
        # That question lets the estimator refuse splitters that fail on missing labels.
        return check_cv(cv, y, classifier=is_classifier(self.estimator))

    def _plan_halving(self, n_candidates: int, n_samples: int, n_splits: int) -> Halving | None:
        if self.factor is None:
            return None
        if self.resource == "epochs":
            parameter = name_in_last_step(self.estimator, "epochs")
            largest, highest, smallest = last_step_of(self.estimator).epochs, None, 1
        else:
            parameter, largest, highest, smallest = None, n_samples, n_samples, 2 * n_splits
        if self.max_resources is not None:
            largest = check_integer(_CALLER, "max_resources", self.max_resources, 1, highest)
        schedule = plan_rounds(n_candidates, self.factor, self.min_resources, largest, smallest)
        return Halving(schedule, parameter, n_samples, self.random_state)

    # --------------------------------------------------------------------------------------------
    # After the fits
    # --------------------------------------------------------------------------------------------

    def _summarize(self, tried: Tried, scorer: Any, metric: Any) -> dict[str, Any]:
        """Return the attributes that show the results, and the best candidate."""
        is_evaluated = np.array([None not in row for row in tried.rows])
        columns: dict[str, Any] = dict(tried.columns)
        if self.max_time is not None:
            columns["is_evaluated"] = is_evaluated
        results = collect_results(tried.candidates, tried.rows, self.return_train_score, columns)
        names = list(collect_means(tried.rows))
        _warn_of_results(results, names, is_evaluated, self.checkpoint is not None)
        is_multimetric = names != ["score"]
        if is_multimetric:
            self._check_names(names)
            metric = self.refit
        fitted = {
            "cv_results_": results,
            "scorer_": scorers_by_name(scorer) or scorer,
            "multimetric_": is_multimetric,
            "_task_scores_": collect_task_scores(tried.rows),
            "_ranked_by_": metric if metric in names else names[0],
        }
        if self.refit or not is_multimetric:
            best = self._choose_best(results, metric, is_evaluated)
            fitted |= {"best_index_": best, "best_params_": results["params"][best]}
            if not callable(self.refit):
                fitted["best_score_"] = results[f"mean_test_{metric}"][best]
        return fitted

    def _check_names(self, names: Iterable[str]) -> None:
        """Refuse several scores if none of them says which candidate is the best."""
        self._check_refit(names)
        if self.keep_predictions == "best" and not self.refit:
            raise ValueError(
                "keep_predictions='best' with several scores needs the name of the one that "
                f"decides: set refit to one of {quote(list(names))}, or keep_predictions='all'."
            )

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

    def _refit(self, params: Params, data: SearchData) -> dict[str, Any]:
        """Fit the best candidate to all rows; return the attributes that show it."""
        best = make_estimator(self.estimator, params)
        start = time.perf_counter()
        best.fit(data.X, data.y, **data.fit_params)
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
