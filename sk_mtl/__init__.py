"""Multi-task classification with missing labels, as a scikit-learn estimator."""

from sk_mtl._classifier import MultiTaskClassifier as MultiTaskClassifier
from sk_mtl._labels import PerTask as PerTask
from sk_mtl._task_view import TaskView as TaskView
from sk_mtl._training import clear_program_cache as clear_program_cache
from sk_mtl._validation import MissingLabelsError as MissingLabelsError

__all__ = [
    "MissingLabelsError",
    "MultiTaskClassifier",
    "PerTask",
    "TaskView",
    "clear_program_cache",
]

__version__ = "0.1.0"
