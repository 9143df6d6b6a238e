"""Plots of labels, training and scores, with an interface like scikit-learn's displays.

A display stores the computed values, and `plot` draws them on a new figure or on given axes.
matplotlib is installed by ``pip install "sk_mtl[plot]"`` and imported when a plot is drawn; colours
and fonts are those of its current style.
"""

from sk_mtl.plotting._gradient_cosines import GradientCosinesDisplay as GradientCosinesDisplay
from sk_mtl.plotting._label_coverage import LabelCoverageDisplay as LabelCoverageDisplay
from sk_mtl.plotting._label_effects import LabelEffectsDisplay as LabelEffectsDisplay
from sk_mtl.plotting._learning_curves import LearningCurvesDisplay as LearningCurvesDisplay
from sk_mtl.plotting._reliability import ReliabilityCurve as ReliabilityCurve
from sk_mtl.plotting._task_calibration import TaskCalibrationDisplay as TaskCalibrationDisplay
from sk_mtl.plotting._task_importances import TaskImportancesDisplay as TaskImportancesDisplay
from sk_mtl.plotting._task_precision_recall import (
    TaskPrecisionRecallDisplay as TaskPrecisionRecallDisplay,
)
from sk_mtl.plotting._task_roc import TaskRocCurveDisplay as TaskRocCurveDisplay
from sk_mtl.plotting._task_scores import TaskScoresDisplay as TaskScoresDisplay
from sk_mtl.plotting._task_similarity import TaskSimilarityDisplay as TaskSimilarityDisplay
from sk_mtl.plotting._task_weights import TaskWeightsDisplay as TaskWeightsDisplay

__all__ = [
    "GradientCosinesDisplay",
    "LabelCoverageDisplay",
    "LabelEffectsDisplay",
    "LearningCurvesDisplay",
    "ReliabilityCurve",
    "TaskCalibrationDisplay",
    "TaskImportancesDisplay",
    "TaskPrecisionRecallDisplay",
    "TaskRocCurveDisplay",
    "TaskScoresDisplay",
    "TaskSimilarityDisplay",
    "TaskWeightsDisplay",
]

# Pickles refer to a class or function by its public path.
for _name in __all__:
    globals()[_name].__module__ = __name__
