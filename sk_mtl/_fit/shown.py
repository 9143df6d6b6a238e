"""The public attributes that a fit sets on the estimator."""

from __future__ import annotations

from typing import Any

import numpy as np

from sk_mtl._data.label_values import object_array
from sk_mtl._data.schema import TargetSchema
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._tasks import PerTask

__all__ = ["FEATURE_ATTRIBUTES", "SHOWN_ATTRIBUTES", "by_task", "read_only", "show_fitted"]

# What scikit-learn's validation of X sets.
FEATURE_ATTRIBUTES = ("n_features_in_", "feature_names_in_")

SHOWN_ATTRIBUTES = (
    "best_iter_",
    "classes_",
    "history_",
    "label_coverage_",
    "n_classes_",
    "n_iter_",
    "n_tasks_",
    "task_names_",
    "task_weights_",
)


def show_fitted(fitted: FittedModel) -> dict[str, Any]:
    """Return the public attributes by name."""
    schema = fitted.schema
    return {
        "task_names_": object_array(schema.task_names),
        "n_tasks_": len(schema.task_names),
        "classes_": by_task([read_only(c) for c in schema.classes], schema),
        "n_classes_": by_task(list(schema.n_classes), schema),
        "label_coverage_": fitted.labelled_cells / fitted.n_rows,
        "task_weights_": read_only(fitted.task_weights),
        "history_": fitted.history,
        "n_iter_": fitted.n_iter,
        "best_iter_": fitted.best_iter,
    }


def by_task(items: list[Any], schema: TargetSchema) -> Any:
    """Return values by task; the one of a 1-D y."""
    return items[0] if schema.is_1d else PerTask(items, schema.task_names)


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written to: the fitted model predicts by the array."""
    view = array.view()
    view.flags.writeable = False
    return view
