"""Pictures of labels, training and scores, as scikit-learn's displays are made and used.

A display holds what was computed, and draws it as often as `plot` is called: on a new figure, or
on the axes that it is given. Owns the drawing, and how alike tasks are; scores are
`sk_mtl.metrics`'s, losses the estimator's. matplotlib comes with ``pip install "sk_mtl[plot]"``
and is imported when something is drawn; colours and fonts are those of its current style.
"""

from sk_mtl.plotting._label_coverage import LabelCoverageDisplay as LabelCoverageDisplay
from sk_mtl.plotting._learning_curves import LearningCurvesDisplay as LearningCurvesDisplay
from sk_mtl.plotting._reliability import ReliabilityCurve as ReliabilityCurve
from sk_mtl.plotting._task_calibration import TaskCalibrationDisplay as TaskCalibrationDisplay
from sk_mtl.plotting._task_precision_recall import (
    TaskPrecisionRecallDisplay as TaskPrecisionRecallDisplay,
)
from sk_mtl.plotting._task_roc import TaskRocCurveDisplay as TaskRocCurveDisplay
from sk_mtl.plotting._task_scores import TaskScoresDisplay as TaskScoresDisplay
from sk_mtl.plotting._task_similarity import TaskSimilarityDisplay as TaskSimilarityDisplay
from sk_mtl.plotting._task_weights import TaskWeightsDisplay as TaskWeightsDisplay

__all__ = [
    "LabelCoverageDisplay",
    "LearningCurvesDisplay",
    "ReliabilityCurve",
    "TaskCalibrationDisplay",
    "TaskPrecisionRecallDisplay",
    "TaskRocCurveDisplay",
    "TaskScoresDisplay",
    "TaskSimilarityDisplay",
    "TaskWeightsDisplay",
]
