"""The numbers of a report: scores of model and constant predictor, intervals, and notes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_random_state

from sk_mtl._data.groups import read_groups
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some
from sk_mtl.metrics._report.bootstrap import draw_row_counts, score_resamples
from sk_mtl.metrics._report.cells import Predictions
from sk_mtl.metrics._report.request import ARGUMENTS, ReportedMetric, ReportOptions
from sk_mtl.metrics._score import average_scores, explain_unpredicted, score_tasks
from sk_mtl.metrics._task_metrics import Metric

# {metric: {task: why its score is undefined}}
Reasons = dict[str, dict[Any, str]]
# {(metric, "score" or the like): numbers (n_tasks + 1,)}, the last for the mean
Columns = dict[tuple[str, str], list[float]]


def score_reported(
    reported: Sequence[ReportedMetric], gathered: Mapping[str, Predictions]
) -> tuple[Columns, Reasons]:
    """Return the scores of the predictions and of the constant predictor."""
    columns: Columns = {}
    reasons: Reasons = {}
    for r in reported:
        predictions = gathered[r.metric.response_method]
        scores, reasons[r.name] = score_tasks(r.metric, predictions.tasks, r.params)
        constant = score_constant(r.metric, predictions, r.params)
        of_scored = {name: constant[name] for name, s in scores.items() if not np.isnan(s)}
        for what, values, averaged in (
            ("score", scores, scores),
            ("constant", constant, of_scored),
        ):
            mean = average_scores(averaged, predictions.tasks, "macro")
            columns[r.name, what] = [*values.values(), mean]
    return columns, reasons


def score_constant(
    metric: Metric, predictions: Predictions, params: Mapping[str, Any]
) -> dict[Any, float]:
    """Return the scores of the constant predictor, without warnings of undefined scores."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return score_tasks(metric, predictions.constant, params)[0]


# ------------------------------------------------------------------------------------------------
# Intervals
# ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Intervals:
    """Percentile intervals of all scores."""

    columns: Columns
    n_undefined: dict[Any, int]  # {task: most resamples in which a defined score is undefined}
    n_groups: int | None = None  # of those that are drawn


def compute_intervals(
    reported: Sequence[ReportedMetric],
    gathered: Mapping[str, Predictions],
    counts: np.ndarray,
    reasons: Reasons,
    options: ReportOptions,
) -> Intervals | None:
    """Return the intervals of the scores and of their means over tasks, None if not requested."""
    if options.n_bootstraps is None:
        return None
    rng = check_random_state(options.random_state)
    # Rows without any label are not drawn, so they have no influence.
    is_drawn = counts.any(axis=1)
    groups, n_groups = None, None
    if options.groups is not None:
        of_drawn = read_groups(options.groups, len(counts))[is_drawn]
        distinct, groups = np.unique(of_drawn, return_inverse=True)
        n_groups = len(distinct)
    draws: Iterator[np.ndarray] = iter(())
    if is_drawn.any():
        draws = draw_row_counts(int(is_drawn.sum()), options.n_bootstraps, rng, groups)
    drawn = _score_drawn_rows(reported, gathered, is_drawn, reasons, options.n_bootstraps, draws)
    tail = (1 - options.confidence_level) / 2
    columns: Columns = {}
    n_undefined: dict[Any, int] = {}
    for r in reported:
        scores = drawn[r.name]
        ends = [percentiles(s, tail) for s in (*scores, _mean_over_tasks(scores))]
        columns[r.name, "lower"] = [lower for lower, _ in ends]
        columns[r.name, "upper"] = [upper for _, upper in ends]
        for t, name in enumerate(gathered[r.metric.response_method].tasks):
            n = int(np.isnan(scores[t]).sum())
            if n and name not in reasons[r.name]:
                n_undefined[name] = max(n, n_undefined.get(name, 0))
    return Intervals(columns, n_undefined, n_groups)


def _score_drawn_rows(
    reported: Sequence[ReportedMetric],
    gathered: Mapping[str, Predictions],
    is_drawn: np.ndarray,
    reasons: Reasons,
    n_bootstraps: int,
    draws: Iterator[np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the scores (n_tasks, n_bootstraps) of each metric on the same resampled rows."""
    n_tasks = {r.name: len(gathered[r.metric.response_method].tasks) for r in reported}
    scores = {name: np.full((n, n_bootstraps), np.nan) for name, n in n_tasks.items()}
    place = np.cumsum(is_drawn) - 1
    start = 0
    for row_counts in draws:
        stop = start + row_counts.shape[1]
        for method, predictions in gathered.items():
            for t, (name, task) in enumerate(predictions.tasks.items()):
                if task.cells is None:
                    continue
                cell_counts = row_counts[place[task.rows]]
                for r in reported:
                    if r.metric.response_method == method and name not in reasons[r.name]:
                        scores[r.name][t, start:stop] = score_resamples(
                            r.metric, r.params, task.cells, cell_counts
                        )
        start = stop
    return scores


def _mean_over_tasks(scores: np.ndarray) -> np.ndarray:
    """Return the mean of each resample over the tasks that have a score in it."""
    # Sorted, so that the order of the tasks does not matter in the last digit.
    ordered = np.sort(scores, axis=0)
    n_scores = np.isfinite(ordered).sum(axis=0)
    total = np.where(np.isfinite(ordered), ordered, 0.0).sum(axis=0)
    return np.where(n_scores > 0, total / np.maximum(n_scores, 1), np.nan)


def percentiles(scores: np.ndarray, tail: float) -> tuple[float, float]:
    """Return the ends of the interval between the tails, over the scores that are defined."""
    known = scores[np.isfinite(scores)]
    if not len(known):
        return float("nan"), float("nan")
    lower, upper = np.quantile(known, [tail, 1 - tail])
    return float(lower), float(upper)


# ------------------------------------------------------------------------------------------------
# Notes
# ------------------------------------------------------------------------------------------------


def explain_left_out(
    reported: Sequence[ReportedMetric], gathered: Mapping[str, Predictions], reasons: Reasons
) -> list[str]:
    """Return sentences on what the numbers do not cover."""
    sentences = []
    tasks = {name: task for p in gathered.values() for name, task in p.tasks.items()}
    phrases = []
    for name in tasks:
        metrics_by_reason: dict[str, list[str]] = {}
        for r in reported:
            if name in reasons[r.name]:
                metrics_by_reason.setdefault(reasons[r.name][name], []).append(r.name)
        parts = [
            reason if len(metrics) == len(reported) else f"{enumerate_some(metrics)}: {reason}"
            for reason, metrics in metrics_by_reason.items()
        ]
        if parts:
            phrases.append(f"{quote(name)} ({'; '.join(parts)})")
    if phrases:
        sentences.append(
            f"Scores are undefined, NaN and left out of the mean, for {len(phrases)} of "
            f"{len(tasks)} task(s): {enumerate_some(phrases)}."
        )
    for method, p in gathered.items():
        sentences += explain_unpredicted(p.tasks, f" in {ARGUMENTS[method][0]}")
    unknown = {
        name: task.reason
        for p in gathered.values()
        for name, task in p.constant.items()
        if task.cells is None and p.tasks[name].cells is not None
    }
    if unknown:
        sentences.append(
            f"The constant predictor is undefined for {len(unknown)} task(s): "
            f"{enumerate_some(f'{quote(name)} ({reason})' for name, reason in unknown.items())}."
        )
    return sentences


def explain_numbers(
    reported: Sequence[ReportedMetric], options: ReportOptions, intervals: Intervals | None
) -> list[str]:
    """Return sentences on what the numbers are."""
    source = "the same cells" if options.y_train is None else "y_train"
    sentences = [
        f"constant: a predictor that knows the class shares of {source}, and nothing of X."
    ]
    losses = [r.name for r in reported if not r.metric.greater_is_better]
    if losses:
        sentences.append(f"Smaller is better: {', '.join(losses)}.")
    if intervals is None:
        return sentences
    what = "rows"
    if intervals.n_groups is not None:
        what = f"{intervals.n_groups:,} groups with labels"
    sentences.append(
        f"[lower, upper]: {100 * options.confidence_level:g} % percentile intervals from "
        f"{options.n_bootstraps:,} resamples of the {what}."
    )
    if intervals.n_undefined:
        phrases = [f"{quote(name)} ({n:,})" for name, n in intervals.n_undefined.items()]
        sentences.append(
            "Some resamples lack a class that a score needs, and its interval leaves them out: "
            f"{enumerate_some(phrases)}."
        )
    return sentences
