"""Multi-task classification with missing labels, as a scikit-learn estimator."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import sk_mtl._compat.processes  # noqa: F401 - takes note of forks from now on
from sk_mtl._compat.sklearn_guard import MissingLabelsError as MissingLabelsError
from sk_mtl._explain.explanation import Explanation as Explanation
from sk_mtl._task_view import TaskView as TaskView
from sk_mtl._tasks import PerTask as PerTask

if TYPE_CHECKING:
    from sk_mtl._classifier import MultiTaskClassifier as MultiTaskClassifier
    from sk_mtl._ensemble.estimator import MultiTaskEnsemble as MultiTaskEnsemble
    from sk_mtl._model_file import load_model as load_model
    from sk_mtl._model_file import save_model as save_model
    from sk_mtl._onnx.export import to_onnx as to_onnx
    from sk_mtl._predict_table import predict_table as predict_table
    from sk_mtl._summary import FitSummary as FitSummary
    from sk_mtl._table.fit_table import fit_table as fit_table
    from sk_mtl._train.program_cache import clear_program_cache as clear_program_cache

__all__ = [
    "SKOPS_TYPES",
    "Explanation",
    "FitSummary",
    "MissingLabelsError",
    "MultiTaskClassifier",
    "MultiTaskEnsemble",
    "PerTask",
    "TaskView",
    "clear_program_cache",
    "fit_table",
    "load_model",
    "predict_table",
    "save_model",
    "to_onnx",
]

__version__ = "0.2.0"

#: Names of the types of this package that skops finds in saved estimators, searches and task views,
#: for ``trusted=`` of `skops.io.load` and ``skops_trusted_types=`` of MLflow.
SKOPS_TYPES = (
    "sk_mtl.MultiTaskClassifier",
    "sk_mtl.MultiTaskEnsemble",
    "sk_mtl.TaskView",
    "sk_mtl.metrics.MultiTaskScorer",
    "sk_mtl.metrics.calibration_error",
    "sk_mtl.metrics.multitask_score",
    "sk_mtl.model_selection.MultiTaskSearchCV",
    "sk_mtl.model_selection.MultiTaskStratifiedGroupKFold",
    "sk_mtl.model_selection.MultiTaskStratifiedKFold",
    "sk_mtl.model_selection.MultiTaskStratifiedShuffleSplit",
    "sk_mtl.model_selection.RepeatedMultiTaskStratifiedKFold",
    "sk_mtl.weighting.FixedWeighting",
    "sk_mtl.weighting.UncertaintyWeighting",
)

# Pickles refer to a class by its public path; the others set it where they are defined.
for _class in (Explanation, MissingLabelsError, PerTask, TaskView):
    _class.__module__ = __name__

# TensorFlow takes seconds to import, and whoever wants a splitter or a scorer does not need it.
_LAZY = {
    "FitSummary": "_summary",
    "MultiTaskClassifier": "_classifier",
    "MultiTaskEnsemble": "_ensemble.estimator",
    "clear_program_cache": "_train.program_cache",
    "fit_table": "_table.fit_table",
    "load_model": "_model_file",
    "predict_table": "_predict_table",
    "save_model": "_model_file",
    "to_onnx": "_onnx.export",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = globals()[name] = getattr(import_module(f"sk_mtl.{_LAZY[name]}"), name)
        return value
    raise AttributeError(f"module 'sk_mtl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
