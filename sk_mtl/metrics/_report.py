"""Reports: every task's labels and scores, beside those of the constant predictor.

Owns `multitask_report` and `MultiTaskReport`. The numbers are of `_report_scores`, the looks of
`_report_text`.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import check_is_fitted

from sk_mtl.metrics._report_cells import describe_labels, gather_predictions, read_true_labels
from sk_mtl.metrics._report_request import (
    LABELS,
    ReportedMetric,
    ReportOptions,
    find_reported_metrics,
)
from sk_mtl.metrics._report_scores import (
    explain_left_out,
    explain_numbers,
    find_intervals,
    score_reported,
)
from sk_mtl.metrics._report_text import split_class_counts, write_html, write_text
from sk_mtl.metrics._scorers import MEAN, classes_of


@dataclass(frozen=True, repr=False, eq=False)
class MultiTaskReport:
    """Labels and scores of each task, beside the scores of the constant predictor.

    `multitask_report` and `from_estimator` make one. Printed, it is a table of text; in a notebook
    it is a table of HTML; `frame` has the numbers.

    Parameters
    ----------
    frame : DataFrame
        A row per task, and the mean over tasks as "mean". The columns have two levels. Under
        "labels" are ``n_labelled``, the number of labelled cells, ``coverage``, their share of the
        rows, and ``n_classes``, the number of classes (NA in the row "mean", but for the
        coverage). Under the name of each metric are ``score``; ``constant``, the score of the
        constant predictor on the same cells; and with intervals ``lower`` and ``upper``.
        Undefined scores are NaN.
    class_counts : DataFrame
        A row for each (task, class): ``count``, the number of labelled cells, and ``share``, their
        share of the labelled cells of the task, by weight if there are weights. Classes that the
        model knows and that have no labelled cell have 0.
    notes : tuple of str
        Sentences that say what the numbers are, and what they do not cover.

    See Also
    --------
    sk_mtl.plotting.TaskScoresDisplay : One metric of all tasks as a picture.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_mtl.metrics import multitask_report
    >>> Y = pd.DataFrame({"colour": ["red", "blue", "red", None], "sold": [None, 1, 0, 1]})
    >>> Y_pred = pd.DataFrame({"colour": ["red", "red", "red", "red"], "sold": [1, 1, 0, 1]})
    >>> report = multitask_report(Y, Y_pred, metrics=["accuracy"])
    >>> report.frame["accuracy"].round(2)
            score  constant
    task
    colour   0.67      0.67
    sold     1.00      0.67
    mean     0.83      0.67
    >>> report.class_counts.loc["colour", "count"].to_dict()
    {'blue': 1, 'red': 2}
    """

    frame: pd.DataFrame
    class_counts: pd.DataFrame
    notes: tuple[str, ...]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        metrics: Any = None,
        sample_weight: Any = None,
        missing_label: Any = None,
        y_train: Any = None,
        n_bootstraps: int | None = None,
        confidence_level: float = 0.95,
        random_state: Any = None,
    ) -> MultiTaskReport:
        """Report on a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted `MultiTaskClassifier`, a fitted Pipeline or search that ends in one, or any
            other estimator that predicts labels, and maybe probabilities, of several tasks.
        X : array-like of shape (n_samples, n_features)
            Samples to report on.
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.
        metrics : str, callable, MultiTaskScorer, iterable or mapping of these, default=None
            As in `multitask_report`. The estimator predicts only what they are computed from.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, default=None
            One more value that means "missing".
        y_train : DataFrame, Series, array-like, default=None
            Labels that the constant predictor learns from; None is `y` itself.
        n_bootstraps : int, default=None
            Number of resamples for intervals; None gives none.
        confidence_level : float, default=0.95
            Of the intervals.
        random_state : int, RandomState or None, default=None
            Of the resamples.

        Returns
        -------
        report : MultiTaskReport
            The report.

        Warns
        -----
        UndefinedMetricWarning
            As `multitask_report`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> from sk_mtl.metrics import MultiTaskReport
        >>> X = np.arange(12.0).reshape(-1, 1)
        >>> Y = np.column_stack([np.arange(12) % 2, np.arange(12) // 6])
        >>> tree = DecisionTreeClassifier(max_depth=1).fit(X, Y)
        >>> report = MultiTaskReport.from_estimator(tree, X, Y)
        >>> report.frame.loc["mean", "accuracy"].to_dict()
        {'score': 0.75, 'constant': 0.5}
        """
        check_is_fitted(estimator)
        options = ReportOptions(
            sample_weight=sample_weight,
            missing_label=missing_label,
            classes=classes_of(estimator, y),
            y_train=y_train,
            n_bootstraps=n_bootstraps,
            confidence_level=confidence_level,
            random_state=random_state,
        )
        offered = [m for m in ("predict", "predict_proba") if hasattr(estimator, m)]
        reported = find_reported_metrics(metrics, offered)
        used = {r.metric.response_method for r in reported}
        predictions = {m: getattr(estimator, m)(X) for m in offered if m in used}
        return _make_report(y, predictions, reported, options)

    def to_text(self, *, digits: int = 3, line_width: int = 100) -> str:
        """Return the report as aligned text.

        Parameters
        ----------
        digits : int, default=3
            Digits after the point.
        line_width : int, default=100
            Columns of the terminal; metrics that do not fit go into further tables below.

        Returns
        -------
        text : str
            A table of the labels, tables of the metrics, and the notes.
        """
        _check_size("digits", digits, 0)
        _check_size("line_width", line_width, 1)
        return write_text(
            self.frame, self.class_counts, self.notes, digits=digits, line_width=line_width
        )

    def to_html(self, *, digits: int = 3) -> str:
        """Return the report as HTML, as notebooks show it.

        Parameters
        ----------
        digits : int, default=3
            Digits after the point.

        Returns
        -------
        html : str
            One element, for a page of any colours.
        """
        _check_size("digits", digits, 0)
        return write_html(self.frame, self.class_counts, self.notes, digits=digits)

    def to_dict(self) -> dict[Hashable, dict[str, Any]]:
        """Return the numbers as nested dicts, for logs and files.

        Returns
        -------
        numbers : dict of {task: dict}
            For each task ``n_labelled``, ``coverage``, ``n_classes``, ``class_counts``, and for
            each metric a dict of its numbers; for "mean" the coverage and the metrics.
        """
        numbers: dict[Hashable, dict[str, Any]] = {}
        rows = zip(self.frame.index, self.frame.to_dict("records"), strict=True)
        counts = split_class_counts(self.frame, self.class_counts)
        for (name, row), counts_of_task in zip(rows, counts, strict=True):
            of_task: dict[str, Any] = {}
            for (group, what), value in row.items():
                if group != LABELS:
                    of_task.setdefault(group, {})[what] = value
                elif not pd.isna(value):
                    of_task[what] = value
            if name != MEAN:
                of_task["class_counts"] = dict(counts_of_task)
            numbers[name] = of_task
        return numbers

    def __str__(self) -> str:
        """Return the report as text."""
        return self.to_text()

    def __repr__(self) -> str:
        """Return the report as text, as a frame does."""
        return self.to_text()

    def _repr_html_(self) -> str:
        """Return the report as HTML, for notebooks."""
        return self.to_html()


def multitask_report(
    y_true: Any,
    y_pred: Any = None,
    y_proba: Any = None,
    *,
    metrics: Any = None,
    sample_weight: Any = None,
    missing_label: Any = None,
    classes: Any = None,
    y_train: Any = None,
    n_bootstraps: int | None = None,
    confidence_level: float = 0.95,
    random_state: Any = None,
) -> MultiTaskReport:
    r"""Report what is labelled and what was predicted, task by task.

    For each task: the labelled cells, the classes, and each metric, as `multitask_score` computes
    it over the labelled cells; and beside it what the constant predictor gets in the same metric
    on the same cells. The constant predictor knows nothing of X: it predicts the most frequent
    class (the first of several), and the share of each class as its probability, as scikit-learn's
    ``DummyClassifier`` does. The last row is the mean over the tasks that have a score. Nothing
    under the mask has any influence.

    Parameters
    ----------
    y_true : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
        True labels; NaN, None, NaT or NA where missing.
    y_pred : DataFrame, Series, array-like, default=None
        What ``predict`` returned, in any form that `multitask_score` takes.
    y_proba : PerTask, sequence of arrays, mapping, DataFrame or array, default=None
        What ``predict_proba`` returned, in any form that `multitask_score` takes. At least one of
        `y_pred` and `y_proba` must be given.
    metrics : str, callable, MultiTaskScorer, iterable or mapping of these, default=None
        What to report. A name or a function of labels, as in `multitask_score`; a scorer from
        `make_multitask_scorer`, of which the metric with its parameters is taken, for metrics with
        parameters and functions of probabilities; several of them; or ``{name: metric}``, which
        names the columns. None means, if there are labels, "accuracy", "balanced_accuracy", "f1"
        and "matthews_corrcoef", and if there are probabilities, "roc_auc", "average_precision",
        "log_loss", "brier_score" and "calibration_error".
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        Weight per row or per cell. Scores and the constant predictor are weighted; labelled cells
        are counted, but not those of weight 0.
    missing_label : scalar, default=None
        One more value that means "missing", beside NaN, None, NaT and NA.
    classes : PerTask, sequence of arrays, mapping of {task: labels} or array, default=None
        The classes of each task in the order of the columns of its probabilities, such as
        ``model.classes_``. None means those of `y_train`, if given, or those found in `y_true`.
    y_train : DataFrame, Series, array-like, default=None
        Labels of the rows that the model was trained on, from which the constant predictor learns,
        too. None means that it learns from the labelled cells of `y_true`, which no real predictor
        has seen: no other constant has a smaller log loss or Brier score on them.
    n_bootstraps : int, default=None
        Number of resamples for percentile intervals [1]_; None gives none. See Notes.
    confidence_level : float, default=0.95
        The share of the resamples that is within an interval.
    random_state : int, RandomState or None, default=None
        Of the resamples. An int gives the same intervals in each call.

    Returns
    -------
    report : MultiTaskReport
        Prints as text, shows as HTML in notebooks, and has the numbers in ``report.frame``.

    Raises
    ------
    ValueError
        If predictions, tasks or metrics do not fit, or a task is named "mean".

    Warns
    -----
    UndefinedMetricWarning
        If scores are undefined or cells have no prediction; once, with the names of the tasks.

    See Also
    --------
    multitask_score : One metric, as a number or a dict.
    MultiTaskReport.from_estimator : Predicts, and reports.

    Notes
    -----
    *Intervals.* Rows are drawn with replacement, as many as have labels, so that in each resample
    all tasks see the same rows and the interval of the mean covers their dependence. The interval
    is from the :math:`\alpha/2` to the :math:`1-\alpha/2` quantile of the score over the
    resamples, with the confidence level :math:`1-\alpha`. Each resample is treated as a table of
    its own: the score of a task that lacks a class it needs is undefined there, does not enter the
    task's interval, and is left out of the mean of that resample. The notes of the report say in
    how many resamples. Where they are many, the interval is too narrow, as percentile intervals
    from a handful of cells are in general. Intervals speak of the choice of the rows in `y_true`,
    not of other training rows or other seeds.

    Metrics with names are computed for many resamples at once: on two cores, 1000 resamples of
    8,000 rows and 12 binary tasks took 2 s for "roc_auc" and 5 s for all nine metrics. Time grows
    with the classes of a task for "roc_auc" and "average_precision". Functions, and metrics with
    parameters, are called for each task and resample.

    References
    ----------
    .. [1] B. Efron, R. J. Tibshirani (1993). An Introduction to the Bootstrap. Chapman & Hall,
       chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.metrics import multitask_report
    >>> rng = np.random.default_rng(0)
    >>> Y = np.column_stack([np.arange(60) % 2, np.arange(60) % 3]).astype(float)
    >>> Y[20:, 1] = np.nan
    >>> Y_pred = np.where(rng.random(Y.shape) < 0.2, 0, np.nan_to_num(Y))
    >>> print(multitask_report(Y, Y_pred, metrics=["accuracy", "f1"]).to_text(line_width=80))
    task  labelled  coverage  classes
    y0          60     100 %  0: 30, 1: 30
    y1          20      33 %  0: 7, 1: 7, 2: 6
    mean                67 %
    <BLANKLINE>
               accuracy                f1
    task   score  constant   score  constant
    y0     0.950     0.500   0.947     0.000
    y1     0.800     0.350   0.805     0.173
    mean   0.875     0.425   0.876     0.086
    <BLANKLINE>
    constant: a predictor that knows the class shares of the same cells, and nothing
    of X.
    """
    options = ReportOptions(
        sample_weight=sample_weight,
        missing_label=missing_label,
        classes=classes,
        y_train=y_train,
        n_bootstraps=n_bootstraps,
        confidence_level=confidence_level,
        random_state=random_state,
    )
    given = {"predict": y_pred, "predict_proba": y_proba}
    predictions = {method: p for method, p in given.items() if p is not None}
    reported = find_reported_metrics(metrics, predictions)
    return _make_report(y_true, predictions, reported, options)


def _make_report(
    y_true: Any,
    predictions: Mapping[str, Any],
    reported: Sequence[ReportedMetric],
    options: ReportOptions,
) -> MultiTaskReport:
    """Make a report from the predictions of each method."""
    true = read_true_labels(y_true, options)
    used = {r.metric.response_method for r in reported}
    gathered = {
        method: gather_predictions(y_true, predicted, method, true, options.classes)
        for method, predicted in predictions.items()
        if method in used
    }
    columns, class_counts = describe_labels(true, list(gathered.values()))
    scores, problems = score_reported(reported, gathered)
    intervals = find_intervals(reported, gathered, true.counts, problems, options)
    left_out = explain_left_out(reported, gathered, problems)
    if left_out:
        warnings.warn(" ".join(left_out), UndefinedMetricWarning, stacklevel=3)
    ends = {} if intervals is None else intervals.columns
    for r in reported:
        columns |= {key: numbers for key, numbers in scores.items() if key[0] == r.name}
        columns |= {key: numbers for key, numbers in ends.items() if key[0] == r.name}
    index = pd.Index([*true.table.task_names, MEAN], dtype=object, tupleize_cols=False, name="task")
    frame = pd.DataFrame(columns).set_axis(index, axis=0)
    notes = explain_numbers(reported, options, intervals)
    return MultiTaskReport(frame, class_counts, (*notes, *left_out))


def _check_size(name: str, value: Any, least: int) -> None:
    """Refuse what is not an int of at least some size."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"{name} must be an int of at least {least}. Got {value!r}.")
