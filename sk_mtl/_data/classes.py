"""Classes: those the user lists, those found in labels, and labels as positions among them.

Owns which classes are distinct and their order. Does not know the form of y.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._data.label_values import as_comparable, in_native_order
from sk_mtl._data.labels import array_of_sequence, equals_any, natural_dtype
from sk_mtl._quoting import quote
from sk_mtl._tasks import resolve_tasks

__all__ = [
    "index_labels",
    "read_classes",
    "refuse_identifiers",
    "refuse_other_kind",
    "sort_classes",
]

# More classes than this, with hardly two labels each, are taken for identifiers.
_MAX_CLASSES_BY_ROW = 1000


def read_classes(
    classes: Any,
    task_names: Sequence[Hashable],
    missing: Sequence[tuple[Any, ...]] | None = None,
) -> dict[int, np.ndarray | None]:
    """Read the parameter `classes`: the sorted classes of the listed tasks, by position."""
    if classes is None:
        return {}
    n_tasks = len(task_names)
    missing = missing or ((),) * n_tasks
    given: dict[int, Any] = {}
    if isinstance(classes, Mapping):
        given = resolve_tasks(classes, task_names, parameter="classes")
    else:
        items = list(classes)
        nested = bool(items) and all(pd.api.types.is_list_like(c) for c in items)
        if not nested and n_tasks == 1:
            items = [items]
        elif not nested or len(items) != n_tasks:
            raise ValueError(
                f"classes must be {{task: labels}} or one sequence of labels per task, for "
                f"{n_tasks} task(s). Got {quote(classes)}."
            )
        given = dict(enumerate(items))
    return {
        t: None if labels is None else _read_task_classes(labels, task_names[t], missing[t])
        for t, labels in given.items()
    }


def _read_task_classes(labels: Any, name: Hashable, missing: tuple[Any, ...]) -> np.ndarray:
    """Return the sorted classes listed for one task."""
    if not pd.api.types.is_list_like(labels):
        raise ValueError(
            f"classes of task {quote(name)} must be a sequence of labels. Got {quote(labels)}."
        )
    is_array = isinstance(labels, np.ndarray)
    raw = in_native_order(labels) if is_array else array_of_sequence(list(labels))
    is_usable = raw.ndim == 1 and len(raw) > 0 and not pd.isna(raw).any()
    if not is_usable or equals_any(raw, missing).any():
        raise ValueError(
            f"classes of task {quote(name)} must be a non-empty 1-D sequence of labels without "
            f"missing ones. Got {quote(labels)}."
        )
    if raw.dtype.kind == "O":
        raw = natural_dtype(raw, np.ones(len(raw), dtype=bool), name)
    return sort_classes(raw, name)


def sort_classes(values: np.ndarray, name: Hashable) -> np.ndarray:
    """Return the distinct labels of a task, sorted."""
    distinct = np.asarray(pd.unique(as_comparable([values])[0]))
    try:
        # sorted() and not np.sort for objects: its error names the types.
        ordered = (
            np.array(sorted(distinct.tolist()), dtype=values.dtype)
            if distinct.dtype.kind == "O"
            else np.sort(distinct)
        )
    except TypeError as error:
        raise ValueError(
            f"Unknown label type: unknown. The labels of task {quote(name)} cannot be ordered: "
            f"{error}."
        ) from error
    return ordered.astype(values.dtype, copy=False)


def index_labels(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the position of each label among the classes, -1 if it is not one of them."""
    if len(classes) == 0 or len(labels) == 0:
        return np.full(len(labels), -1, dtype=np.int32)
    classes, labels = as_comparable([classes, labels])
    if classes.dtype.kind in "biuf":
        positions = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
        return np.where(classes[positions] == labels, positions, -1).astype(np.int32)
    index = pd.Index(classes, dtype=object)
    return index.get_indexer(pd.Index(labels, dtype=object)).astype(np.int32)


def refuse_identifiers(classes: np.ndarray, n_labels: int, name: Hashable) -> None:
    """Refuse labels that identify their rows: a million classes would exhaust time or memory."""
    if len(classes) > _MAX_CLASSES_BY_ROW and 2 * len(classes) > n_labels:
        raise ValueError(
            f"Task {quote(name)} has {len(classes):,} classes among {n_labels:,} labels: it looks "
            "like a row identifier or a continuous target. Leave it out or bin it; if these are "
            "classes, list them in `classes`."
        )


def refuse_other_kind(labels: np.ndarray, classes: np.ndarray, name: Hashable) -> None:
    """Refuse text if the classes are numbers, and numbers if they are not."""
    are_numbers = [values.dtype.kind in "biuf" for values in (labels, classes)]
    if len(labels) and len(classes) and are_numbers[0] != are_numbers[1]:
        raise ValueError(
            f"The labels of task {quote(name)} must be of the type seen in fit, such as "
            f"{quote(classes.tolist()[0])}. Got {quote(labels.tolist()[0])}. Convert them."
        )
