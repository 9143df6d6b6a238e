"""Scores and scorers over the labelled cells of each task.

The metrics are scikit-learn's own, computed for each task over its labelled cells; the scorers are
for ``scoring=``. Of an estimator only ``predict``, ``predict_proba`` and ``classes_`` are used.
"""

from sk_mtl.metrics._calibration_error import calibration_error as calibration_error
from sk_mtl.metrics._completion import CompletionScorer as CompletionScorer
from sk_mtl.metrics._completion import completion_score as completion_score
from sk_mtl.metrics._importances import task_importances as task_importances
from sk_mtl.metrics._report.report import MultiTaskReport as MultiTaskReport
from sk_mtl.metrics._report.report import multitask_report as multitask_report
from sk_mtl.metrics._score import multitask_score as multitask_score
from sk_mtl.metrics._scorers import MultiTaskScorer as MultiTaskScorer
from sk_mtl.metrics._scorers import get_multitask_scorer as get_multitask_scorer
from sk_mtl.metrics._scorers import get_multitask_scorer_names as get_multitask_scorer_names
from sk_mtl.metrics._scorers import make_multitask_scorer as make_multitask_scorer
from sk_mtl.metrics._scorers import per_task_scorers as per_task_scorers

__all__ = [
    "CompletionScorer",
    "MultiTaskReport",
    "MultiTaskScorer",
    "calibration_error",
    "completion_score",
    "get_multitask_scorer",
    "get_multitask_scorer_names",
    "make_multitask_scorer",
    "multitask_report",
    "multitask_score",
    "per_task_scorers",
    "task_importances",
]

# Pickles refer to a class or function by its public path.
for _name in __all__:
    globals()[_name].__module__ = __name__
