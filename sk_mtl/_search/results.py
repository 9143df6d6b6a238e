"""Results: `cv_results_`, the leaderboard and the out-of-fold predictions, from results by fold.

Owns their keys, which are those of scikit-learn's searches. Does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from sk_mtl._search.candidates import Params
from sk_mtl._search.scoring import FoldResult, Row
from sk_mtl.model_selection._cross_val_predict import join_probabilities

__all__ = [
    "collect_means",
    "collect_results",
    "collect_task_scores",
    "join_predictions",
    "make_leaderboard",
]

_TaskScores = list[tuple[str, Hashable, np.ndarray]]


def collect_results(
    candidates: Sequence[Params],
    rows: Sequence[Row],
    with_train_scores: bool,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """Return `cv_results_`; NaN where a candidate was not evaluated."""
    results: dict[str, Any] = {key: np.asarray(values) for key, values in more.items()}
    for key in ("fit_time", "score_time"):
        _add_summary(results, key, _gather(rows, attrgetter(key)))
    names = dict.fromkeys(name for params in candidates for name in params)
    for name in names:
        results[f"param_{name}"] = _mask_param([params.get(name, _ABSENT) for params in candidates])
    results["params"] = list(candidates)
    for name in _score_names(rows):
        parts = ("test", "train") if with_train_scores else ("test",)
        for part in parts:
            scores = _gather_scores(rows, part, name)
            for number in range(scores.shape[1]):
                results[f"split{number}_{part}_{name}"] = scores[:, number]
            _add_summary(results, f"{part}_{name}", scores)
            if part == "test":
                results[f"rank_test_{name}"] = _rank(results[f"mean_test_{name}"])
    return results


def collect_means(rows: Sequence[Row]) -> dict[Any, np.ndarray]:
    """Return the mean over folds of each test score, by candidate."""
    return {name: _gather_scores(rows, "test", name).mean(axis=1) for name in _score_names(rows)}


def collect_task_scores(rows: Sequence[Row]) -> _TaskScores:
    """Return (score, task, array of shape (n_candidates, n_splits)), NaN where undefined."""
    pairs = dict.fromkeys(
        (name, task)
        for row in rows
        for result in row
        if result is not None
        for name, scores in result.by_task.items()
        for task in scores
    )
    return [
        (name, task, _gather(rows, partial(_find_task_score, name=name, task=task)))
        for name, task in pairs
    ]


def make_leaderboard(
    results: Mapping[str, Any], task_scores: _TaskScores, metric: str
) -> pd.DataFrame:
    """Return the candidates as a frame, the best of the last round first."""
    rank = f"rank_test_{metric}"
    columns = {key: results[key] for key in (rank, "iter", "n_resources") if key in results}
    for key in [key for key in results if key.startswith("param_")]:
        values = results[key].astype(object)
        columns[key] = np.where(np.ma.getmaskarray(values), None, values.data)
    for key in [key for key in results if key.startswith("mean_test_")]:
        name = key.removeprefix("mean_test_")
        columns |= {key: results[key], f"std_test_{name}": results[f"std_test_{name}"]}
        for task, by_fold in [(task, by_fold) for of, task, by_fold in task_scores if of == name]:
            known = np.ma.masked_invalid(by_fold)
            columns[f"{key}_{task}"] = known.mean(axis=1).filled(np.nan)
            columns[f"std_test_{name}_{task}"] = known.std(axis=1).filled(np.nan)
    columns |= {key: results[key] for key in ("mean_fit_time", "mean_score_time")}
    board = pd.DataFrame(columns).rename_axis(index="candidate")
    is_missing = np.isnan(results[f"mean_test_{metric}"])
    last_first = -results["iter"] if "iter" in results else np.zeros(len(board))
    return board.iloc[np.lexsort((results[rank], last_first, is_missing))]


def join_predictions(
    rows: Sequence[Row], tests: Sequence[np.ndarray], only: int | None
) -> dict[int, tuple[Any, Any]]:
    """Return the probabilities of all rows and the task names, None for a 1-D y, by candidate."""
    kept = {}
    for number, row in enumerate(rows):
        predictions = [result.prediction for result in row if result is not None]
        if only in (None, number) and len(predictions) == len(tests) and None not in predictions:
            joined = join_probabilities(predictions, tests, 0.0)
            # As plain lists, which more formats than pickle can store.
            names = getattr(joined, "task_names", None)
            kept[number] = (joined if names is None else list(joined), names)
    return kept


class _Absent:
    """Stands for a parameter that a candidate does not have."""


_ABSENT = _Absent()


def _gather(rows: Sequence[Row], read: Callable[[FoldResult], float]) -> np.ndarray:
    """Return a number of each result as an array of shape (n_candidates, n_splits)."""
    return np.array(
        [[np.nan if result is None else read(result) for result in row] for row in rows],
        dtype=np.float64,
    )


def _find_task_score(result: FoldResult, name: str, task: Hashable) -> float:
    return result.by_task.get(name, {}).get(task, np.nan)


def _gather_scores(rows: Sequence[Row], part: str, name: Any) -> np.ndarray:
    """Return the scores of training or test rows as an array of shape (n_candidates, n_splits)."""

    def read(result: FoldResult) -> float:
        scores = result.test_scores if part == "test" else result.train_scores
        return scores[name] if isinstance(scores, dict) else scores

    return _gather(rows, read)


def _score_names(rows: Sequence[Row]) -> list[Any]:
    """Return the names of the scores; "score" for a single one."""
    scores = next(r.test_scores for row in rows for r in row if r is not None)
    return list(scores) if isinstance(scores, dict) else ["score"]


def _add_summary(results: dict[str, Any], key: str, by_fold: np.ndarray) -> None:
    results[f"mean_{key}"] = by_fold.mean(axis=1)
    results[f"std_{key}"] = by_fold.std(axis=1)


def _rank(means: np.ndarray) -> np.ndarray:
    """Return ranks from 1 for the greatest mean; means that are NaN share the last rank."""
    worst = -np.inf if np.isnan(means).all() else np.nanmin(means) - 1
    return rankdata(-np.where(np.isnan(means), worst, means), method="min").astype(np.int32)


def _mask_param(values: Sequence[Any]) -> np.ma.MaskedArray:
    """Return a parameter of the candidates, masked where they do not have it."""
    present = [i for i, value in enumerate(values) if value is not _ABSENT]
    try:
        found = np.array([values[i] for i in present])
        is_plain = found.ndim == 1 and found.dtype.kind != "U"
    except ValueError:  # sequences of several lengths
        is_plain = False
    dtype = found.dtype if is_plain else object
    masked = np.ma.MaskedArray(np.empty(len(values), dtype=dtype), mask=True)
    for i in present:
        masked[i] = values[i]
    return masked
