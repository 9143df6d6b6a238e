"""`multitask_score`: scores over labelled cells, per task or averaged over tasks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from sk_mtl._compat.arguments import check_choice
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._quoting import quote
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
    Predictions for missing labels have no influence. The metric is undefined for a task without
    labelled cells or without predictions, and for a task with one class if the metric needs two.
    Such tasks are left out of the mean, and one warning names them. If all tasks are left out, the
    score is NaN.

    A true label that the model has not seen in training counts as an error: it becomes an
    additional class with probability 0.

    Labels are compared by value: 1, 1.0 and True are the same label, in whatever dtypes, and
    integers above 2**53 are not rounded. The log loss counts probabilities below 1.2e-7, the
    resolution of float32, as 1.2e-7, whatever the dtype; scikit-learn's `log_loss` uses the
    resolution of the dtype.

    Parameters
    ----------
    metric : str or callable
        From labels: "accuracy", "balanced_accuracy", "matthews_corrcoef", "f1", "precision",
        "recall" (the last three for the second of two sorted classes, or the unweighted mean over
        more classes). From probabilities: "roc_auc", "average_precision" (of the second of two
        classes, or the unweighted one-vs-rest mean over the classes in `y_true`), and the losses
        "log_loss", "brier_score", "calibration_error". The prefix ``neg_`` negates a loss. Or a
        function ``metric(y_true, y_pred, sample_weight=...)`` as in scikit-learn, which gets the
        labels of one task and the predicted labels or, with ``response_method="predict_proba"``,
        the probabilities (for two classes, those of the second); weights are passed only if given.
    y_true : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
        True labels; NaN, None, NaT or NA where missing.
    y_pred : DataFrame, Series, array-like, or PerTask
        For a metric of labels: what ``predict`` returns, in any form that `y_true` may have. For a
        metric of probabilities: what ``predict_proba`` returns, that is an array of shape
        (n_samples, n_classes) for one task in 1-D form; a list or mapping with one such array per
        task; a DataFrame with (task, class) columns; or, if all tasks are binary, the
        probabilities of their second classes, of shape (n_samples, n_tasks). DataFrames are
        matched by task name. Cells without a prediction (missing labels, NaN) are left out, with a
        warning.
    average : {"macro", "weighted"} or None, default="macro"
        The mean over tasks: unweighted, or weighted by the number (or weight) of the labelled
        cells. None gives the score of each task.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        Weight per row or per cell. Weight 2 is the same as repeating the row or cell.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values that mean "missing", besides NaN, None, NaT and NA.
    classes : PerTask, sequence of arrays, mapping of {task: labels} or array, default=None
        The classes of each task in the order of the columns of its probabilities, such as
        ``model.classes_``. None means those found in `y_true`; their number must fit.
    response_method : {"predict", "predict_proba"}, default=None
        The predictions that a function given as `metric` takes; None means "predict".
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
        If a task is left out, or if some of its cells have no prediction.

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
    check_choice("multitask_score", "average", average, AVERAGES)
    found = find_metric(metric, response_method)
    warn_of_other_order({"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight})
    tasks = gather_tasks(
        y_true,
        y_pred,
        response_method=found.response_method,
        sample_weight=sample_weight,
        missing_label=missing_label,
        classes=classes,
    )
    scores, reasons = score_tasks(found, tasks, metric_params or {})
    warn_of_left_out(found, tasks, reasons, average)
    if average is None:
        return scores
    return average_scores(scores, tasks, average)


def score_tasks(
    metric: Metric, tasks: Mapping[Any, ScoredTask], params: Mapping[str, Any]
) -> tuple[dict[Any, float], dict[Any, str]]:
    """Return the score of each task, NaN if undefined, and the reasons by name of the task."""
    scores, reasons = {}, {}
    for name, task in tasks.items():
        scores[name] = np.nan
        if task.cells is None:
            reasons[name] = task.reason
            continue
        try:
            scores[name] = metric.sign * metric.score(task.cells, **params)
        except UndefinedScore as error:
            reasons[name] = str(error)
    return scores, reasons


def average_scores(
    scores: Mapping[Any, float], tasks: Mapping[Any, ScoredTask], average: str
) -> float:
    """Return the mean over the tasks that have a score, NaN if there are none."""
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
    reasons: Mapping[Any, str],
    average: str | None,
    stacklevel: int = 3,
) -> None:
    """Warn once of the tasks and cells that the score does not cover."""
    sentences = []
    if reasons:
        effect = "left out of the mean"
        if average is None:
            effect = "scored as NaN"
        elif len(reasons) == len(tasks):
            effect = "left out, so that the score is NaN"
        phrases = [f"{quote(name)} ({reason})" for name, reason in reasons.items()]
        sentences.append(
            f"{metric.name} is undefined for {len(reasons)} of {len(tasks)} task(s), {effect}: "
            f"{enumerate_some(phrases)}."
        )
    sentences += explain_unpredicted(tasks)
    if sentences:
        warnings.warn(" ".join(sentences), UndefinedMetricWarning, stacklevel=stacklevel)


def explain_unpredicted(tasks: Mapping[Any, ScoredTask], where: str = "") -> list[str]:
    """Return a sentence on the labelled cells without a prediction, if there are any."""
    partial = [f"{quote(name)} ({t.n_unpredicted})" for name, t in tasks.items() if t.n_unpredicted]
    if not partial:
        return []
    return [
        f"Labelled cells without a prediction{where} are left out, for {len(partial)} task(s): "
        f"{enumerate_some(partial)}."
    ]
