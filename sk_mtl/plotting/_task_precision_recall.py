"""Precision-recall curves, a panel per task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve

from sk_mtl.plotting._task_curves import ByClass, TaskCurves, pick


class TaskPrecisionRecallDisplay(TaskCurves):
    """Precision-recall curves of each task, in a panel each.

    Made by `from_estimator` and `from_predictions`. The curves are computed by scikit-learn from
    the labelled cells of each task, for the second of two classes, or one-vs-rest for each of more
    classes. The title of a panel has the average precision, averaged over more than two classes.
    The dashed lines are the chance levels, the shares of the classes. The panel of a task without
    a curve, such as one with a single class, has the reason.

    Parameters
    ----------
    precision : dict of {task: {class: ndarray of shape (n_points,)}}
        Precisions of the classes that have a curve.
    recall : dict of {task: {class: ndarray of shape (n_points,)}}
        Recalls.
    average_precision : dict of {task: float}
        The average precision of each task; NaN where undefined.
    prevalence : dict of {task: {class: float}}, default=None
        The shares of the classes; None draws no chance level.
    problems : dict of {task: str}, default=None
        The reasons why tasks have no curve.

    Attributes
    ----------
    task_names : list of hashable
        The names of the tasks.
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_panels,)
        The panels.
    lines_ : dict of {task: {class: matplotlib.lines.Line2D}}
        The curves drawn.
    chance_levels_ : dict of {task: list of matplotlib.lines.Line2D}
        The chance levels drawn in each panel, in the order of the classes.

    See Also
    --------
    TaskRocCurveDisplay : The same for the receiver operating characteristic.
    sklearn.metrics.PrecisionRecallDisplay : For one task; see `MultiTaskClassifier.task_view`.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_mtl.plotting import TaskPrecisionRecallDisplay
    >>> Y = pd.DataFrame({"a": [0, 1, 0, 1], "b": [0, np.nan, 1, 1]})
    >>> p = np.array([[0.1, 0.2], [0.8, 0.6], [0.3, 0.7], [0.4, 0.9]])
    >>> display = TaskPrecisionRecallDisplay.from_predictions(Y, p)
    >>> display.average_precision
    {'a': 1.0, 'b': 1.0}
    >>> display.prevalence
    {'a': {1: 0.5}, 'b': {1: 0.6666666666666666}}
    """

    _metric, _score_name, _drawstyle = "average_precision", "AP", "steps-post"
    _axis_names = ("recall", "precision")

    def __init__(
        self,
        precision: ByClass,
        recall: ByClass,
        average_precision: Mapping[Hashable, float],
        prevalence: Mapping[Hashable, Mapping[Any, float]] | None = None,
        problems: Mapping[Hashable, str] | None = None,
    ):
        self.precision, self.recall = precision, recall
        self.average_precision = dict(average_precision)
        self.prevalence = dict(prevalence or {})
        self.problems = dict(problems or {})
        self._curves, self._scores = (recall, precision), self.average_precision

    @classmethod
    def _compute_curve(
        cls, is_class: np.ndarray, proba: np.ndarray, weight: np.ndarray | None, **options: Any
    ) -> tuple[Any, ...]:
        curve = precision_recall_curve(is_class, proba, sample_weight=weight, **options)
        return *curve[:2], float(np.average(is_class, weights=weight))

    @classmethod
    def _from_curves(
        cls, curves: Mapping[Any, Mapping[Any, Any]], scores: Any, reasons: Any
    ) -> TaskPrecisionRecallDisplay:
        return cls(pick(curves, 0), pick(curves, 1), scores, pick(curves, 2), reasons)

    def _chance_levels(
        self, name: Hashable, lines: Mapping[Any, Any]
    ) -> list[tuple[tuple[float, float], Any]]:
        shares = self.prevalence.get(name, {})
        of_one = len(lines) == 1
        return [
            ((shares[label],) * 2, None if of_one else line)
            for label, line in lines.items()
            if label in shares
        ]

    def _legend_place(self, name: Hashable) -> str:
        # The location "best" of matplotlib is slow for curves of many points.
        at = np.linspace(0.02, 0.98, 25)
        curves = [
            np.interp(at, self.recall[name][label][::-1], self.precision[name][label][::-1])
            for label in self.recall[name]
        ]
        left, right = at < 0.3, at > 0.65
        low, high = np.array(curves) < 0.25, np.array(curves) > 0.75
        crossings = {
            "lower left": (low & left).sum(),
            "upper right": (high & right).sum(),
            "upper left": (high & left).sum(),
            "lower right": (low & right).sum(),
        }
        return min(crossings, key=lambda place: crossings[place])
