"""Pictures of labels, training and scores, as scikit-learn's displays are made and used.

A display holds what was computed, and draws it as often as `plot` is called: on a new figure, or
on the axes that it is given. Owns the drawing; scores are `sk_mtl.metrics`'s, losses the
estimator's. matplotlib comes with ``pip install "sk_mtl[plot]"`` and is imported when something
is drawn; colours and fonts are those of its current style.
"""

from sk_mtl.plotting._label_coverage import LabelCoverageDisplay as LabelCoverageDisplay
from sk_mtl.plotting._learning_curves import LearningCurvesDisplay as LearningCurvesDisplay
from sk_mtl.plotting._task_scores import TaskScoresDisplay as TaskScoresDisplay

__all__ = ["LabelCoverageDisplay", "LearningCurvesDisplay", "TaskScoresDisplay"]
