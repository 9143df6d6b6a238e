"""Scores over labelled cells, per task or averaged over tasks.

Owns `multitask_score`: the mean over tasks, what is left out of it, and the warning that says so.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from sk_mtl._tasks import enumerate_some
from sk_mtl.metrics._predictions import ScoredTask, gather_tasks
from sk_mtl.metrics._task_metrics import Metric, UndefinedScore, find_metric

AVERAGES = ("macro", "weighted", None)


def multitask_score(
    metric: str | Callable[..., float],
    y_true: Any,
    y_pred: Any,
    *,
    average: str | None = "macro",
    sample_weight: Any = None,
    missing_label: Any = None,
    classes: Any = None,
    response_method: str | None = None,
    metric_params: Mapping[str, Any] | None = None,
) -> float | dict[Any, float]:
    """Score predictions over the labelled cells of each task.

    The metrics are scikit-learn's, computed for each task over the cells that have a label.
    Nothing under the mask has any influence. A task for which the metric is undefined is left out
    of the mean, with one warning that names it: one without labelled cells or without
    predictions; one with labels of a single class, where the metric needs two. If all are left
    out, the score is NaN.

    A true label that the model does not know (because no training row had it) counts as an error:
    it is a class of its own with probability 0.

    Parameters
    ----------
    metric : str or callable
        From labels: "accuracy", "balanced_accuracy", "matthews_corrcoef", "f1", "precision",
        "recall" (the last three for the second of two classes, in sorted order, or the unweighted
        mean over more classes). From probabilities: "roc_auc", "average_precision" (of the second
        of two classes, or the unweighted mean over the classes in `y_true`, each against the
        rest), and the losses "log_loss", "brier_score", "calibration_error". A loss with ``neg_``
        in front is negated. Or a function ``metric(y_true, y_pred, sample_weight=...)`` in
        scikit-learn's manner, which gets the labels of one task, as the user has them, and the
        predicted labels or, with ``response_method="predict_proba"``, the probabilities (of the
        second class where there are two); the weights only if there are any.
    y_true : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
        True labels; NaN, None, NaT or NA where missing.
    y_pred : DataFrame, Series, array-like, or PerTask
        For a metric of labels: what ``predict`` returns, in any form that `y_true` may have. For a
        metric of probabilities: what ``predict_proba`` returns, that is an array of shape
        (n_samples, n_classes) for one task in 1-D form, or one such array per task, in a list or
        by task name; a frame with (task, class) columns; or, where all tasks are binary,
        probabilities of their second classes of shape (n_samples, n_tasks). Frames are matched by
        task name. Where a task has no prediction (missing labels, NaN), its cells are left out,
        with a warning.
    average : {"macro", "weighted"} or None, default="macro"
        The mean over tasks: unweighted, or weighted by the number (or weight) of the labelled
        cells. None gives the score of each task.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        Weight per row or per cell. Weight 2 is the same as a row, or cell, that is there twice.
    missing_label : scalar, default=None
        One more value that means "missing", beside NaN, None, NaT and NA.
    classes : PerTask, sequence of arrays, mapping of {task: labels} or array, default=None
        The classes of each task in the order of the columns of its probabilities, such as
        ``model.classes_``. None means those found in `y_true`, which must be as many.
    response_method : {"predict", "predict_proba"}, default=None
        What a function as `metric` is computed from; None means "predict".
    metric_params : mapping, default=None
        Parameters of the metric, such as ``{"n_bins": 10}`` for "calibration_error",
        ``{"average": "weighted"}`` (over the classes of a task) for "f1", "precision" and
        "recall", or those of the function.

    Returns
    -------
    score : float or dict of {task: float}
        The mean over tasks, or with ``average=None`` the score of each task, NaN where undefined.

    Raises
    ------
    ValueError
        If the metric, the number of rows or the tasks do not fit.

    Warns
    -----
    UndefinedMetricWarning
        If a task is left out, or some of its cells for want of a prediction.

    See Also
    --------
    make_multitask_scorer : The same for ``scoring=`` in searches and cross-validation.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_mtl.metrics import multitask_score
    >>> Y = pd.DataFrame({"colour": ["red", "blue", "red", None], "sold": [None, 1, 0, 1]})
    >>> Y_pred = pd.DataFrame({"colour": ["red", "red", "red", "red"], "sold": [1, 1, 0, 1]})
    >>> multitask_score("accuracy", Y, Y_pred, average=None)
    {'colour': 0.6666666666666666, 'sold': 1.0}
    >>> multitask_score("accuracy", Y, Y_pred, sample_weight=[1, 2, 1, 1])
    0.75
    """
    if average not in AVERAGES:
        raise ValueError(f"average must be 'macro', 'weighted' or None. Got {average!r}.")
    found = find_metric(metric, response_method)
    tasks = gather_tasks(
        y_true,
        y_pred,
        response_method=found.response_method,
        sample_weight=sample_weight,
        missing_label=missing_label,
        classes=classes,
    )
    scores, problems = score_tasks(found, tasks, metric_params or {})
    warn_of_left_out(found, tasks, problems, average)
    if average is None:
        return scores
    return average_scores(scores, tasks, average)


def score_tasks(
    metric: Metric, tasks: Mapping[Any, ScoredTask], params: Mapping[str, Any]
) -> tuple[dict[Any, float], dict[Any, str]]:
    """Score each task.

    Parameters
    ----------
    metric : Metric
        The metric.
    tasks : mapping of {task name: ScoredTask}
        The cells of each task.
    params : mapping
        Parameters of the metric.

    Returns
    -------
    scores : dict of {task name: float}
        NaN where undefined.
    problems : dict of {task name: str}
        Why, for those.
    """
    scores, problems = {}, {}
    for name, task in tasks.items():
        scores[name] = np.nan
        if task.cells is None:
            problems[name] = task.problem
            continue
        try:
            scores[name] = metric.sign * metric.score(task.cells, **params)
        except UndefinedScore as reason:
            problems[name] = str(reason)
    return scores, problems


def average_scores(
    scores: Mapping[Any, float], tasks: Mapping[Any, ScoredTask], average: str
) -> float:
    """Return the mean over the tasks that have a score.

    Parameters
    ----------
    scores : mapping of {task name: float}
        NaN where undefined.
    tasks : mapping of {task name: ScoredTask}
        The cells of each task.
    average : {"macro", "weighted"}
        Whether to weight the tasks by their cells.

    Returns
    -------
    mean : float
        NaN if no task has a score.
    """
    kept = [name for name, score in scores.items() if not np.isnan(score)]
    if not kept:
        return float("nan")
    weights = [1.0] * len(kept)
    if average == "weighted":
        weights = [cells.total_weight for name in kept if (cells := tasks[name].cells) is not None]
    # Exact sums, so that the order of the tasks does not matter.
    total = math.fsum(w * scores[name] for w, name in zip(weights, kept, strict=True))
    return total / math.fsum(weights)


def warn_of_left_out(
    metric: Metric,
    tasks: Mapping[Any, ScoredTask],
    problems: Mapping[Any, str],
    average: str | None,
) -> None:
    """Warn, once, of what the score does not cover.

    Parameters
    ----------
    metric : Metric
        The metric.
    tasks : mapping of {task name: ScoredTask}
        The cells of each task.
    problems : mapping of {task name: str}
        The tasks without a score, and why.
    average : {"macro", "weighted"} or None
        What was to be made of the scores.
    """
    sentences = []
    if problems:
        effect = "left out of the mean"
        if average is None:
            effect = "scored as NaN"
        elif len(problems) == len(tasks):
            effect = "left out, so that the score is NaN"
        phrases = [f"{name!r} ({reason})" for name, reason in problems.items()]
        sentences.append(
            f"{metric.name} is undefined for {len(problems)} of {len(tasks)} task(s), {effect}: "
            f"{enumerate_some(phrases)}."
        )
    partial = [
        f"{name!r} ({task.n_unpredicted})" for name, task in tasks.items() if task.n_unpredicted
    ]
    if partial:
        sentences.append(
            "Labelled cells without a prediction are left out, for "
            f"{len(partial)} task(s): {enumerate_some(partial)}."
        )
    if sentences:
        warnings.warn(" ".join(sentences), UndefinedMetricWarning, stacklevel=3)
