"""ROC curves, a panel per task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from sk_mtl.plotting._task_curves import ByClass, TaskCurves, pick


class TaskRocCurveDisplay(TaskCurves):
    """ROC (receiver operating characteristic) curves of each task, in a panel each.

    Made by `from_estimator` and `from_predictions`. The curves are computed by scikit-learn from
    the labelled cells of each task, for the second of two classes, or one-vs-rest for each of more
    classes. The title of a panel has the area under the curve, averaged over more than two
    classes. The dashed line is the chance level. The panel of a task without a curve, such as one
    with a single class, has the reason.

    Parameters
    ----------
    fpr : dict of {task: {class: ndarray of shape (n_points,)}}
        False positive rates of the classes that have a curve.
    tpr : dict of {task: {class: ndarray of shape (n_points,)}}
        True positive rates.
    roc_auc : dict of {task: float}
        The area of each task; NaN where undefined.
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
        The chance level drawn in each panel.

    See Also
    --------
    TaskPrecisionRecallDisplay : The same for precision and recall.
    sklearn.metrics.RocCurveDisplay : For one task; see `MultiTaskClassifier.task_view`.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_mtl.plotting import TaskRocCurveDisplay
    >>> Y = pd.DataFrame({"a": [0, 1, 0, 1], "b": [0, np.nan, 1, 1], "c": [np.nan, 1, 1, 1]})
    >>> p = np.array([[0.1, 0.2, 0.9], [0.8, 0.6, 0.7], [0.3, 0.7, 0.4], [0.2, 0.9, 0.6]])
    >>> display = TaskRocCurveDisplay.from_predictions(Y, p)
    >>> display.roc_auc
    {'a': 0.75, 'b': 1.0, 'c': nan}
    >>> display.problems
    {'c': 'only class 1 in its labelled cells'}
    """

    _metric, _score_name = "roc_auc", "AUC"
    _axis_names = ("false positive rate", "true positive rate")

    def __init__(
        self,
        fpr: ByClass,
        tpr: ByClass,
        roc_auc: Mapping[Hashable, float],
        problems: Mapping[Hashable, str] | None = None,
    ):
        self.fpr, self.tpr = fpr, tpr
        self.roc_auc = dict(roc_auc)
        self.problems = dict(problems or {})
        self._curves, self._scores = (fpr, tpr), self.roc_auc

    @classmethod
    def _compute_curve(
        cls, is_class: np.ndarray, proba: np.ndarray, weight: np.ndarray | None, **options: Any
    ) -> tuple[Any, ...]:
        return roc_curve(is_class, proba, sample_weight=weight, **options)[:2]

    @classmethod
    def _from_curves(
        cls, curves: Mapping[Any, Mapping[Any, Any]], scores: Any, reasons: Any
    ) -> TaskRocCurveDisplay:
        return cls(pick(curves, 0), pick(curves, 1), scores, reasons)

    def _chance_levels(
        self, name: Hashable, lines: Mapping[Any, Any]
    ) -> list[tuple[tuple[float, float], Any]]:
        return [((0, 1), None)] if lines else []
