"""True labels and predictions of all tasks, matched cell by cell.

Cells without a label, a weight or a prediction are dropped here and never reach a metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from sk_mtl._data.columns import column_names
from sk_mtl._data.containers import open_table
from sk_mtl._data.label_values import factorize_labels, in_native_order
from sk_mtl._data.labels import LabelTable, array_of_sequence, natural_dtype, read_labels
from sk_mtl._data.missing_labels import refuse_missing_words, warn_of_doubtful_labels
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._quoting import quote
from sk_mtl._tasks import PerTask, enumerate_some, resolve_task, resolve_tasks
from sk_mtl.metrics._calibration_error import as_class_probabilities
from sk_mtl.metrics._task_metrics import TaskCells


@dataclass(frozen=True)
class ScoredTask:
    """The cells of one task to score, or the reason why there are none."""

    cells: TaskCells | None
    reason: str = ""
    n_unpredicted: int = 0  # labelled cells left out because they have no prediction
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.intp))  # (n_cells,), in y


def gather_tasks(
    y_true: Any,
    y_pred: Any,
    *,
    response_method: str,
    sample_weight: Any = None,
    missing_label: Any = None,
    classes: Any = None,
    task: Any = None,
    task_names: Sequence[Any] | None = None,
) -> dict[Any, ScoredTask]:
    """Return the cells to score of each task, or of the task given by name or position."""
    # A y_true without names has those of the predictions.
    names = names_of_predictions(y_pred) if task_names is None else task_names
    table = read_labels(y_true, missing_label=missing_label, task_names=names)
    weight = read_cell_weight(sample_weight, table)
    return match_predictions(table, weight, y_pred, response_method, classes=classes, task=task)


def match_predictions(
    table: LabelTable,
    weight: np.ndarray | None,
    y_pred: Any,
    response_method: str,
    *,
    classes: Any = None,
    task: Any = None,
) -> dict[Any, ScoredTask]:
    """Do the same from labels and cell weights (n_samples, n_tasks) that are already read."""
    y_pred = open_table(y_pred, "y_pred")
    known = _classes_of_tasks(classes, table)
    if response_method == "predict":
        predicted = _read_predicted_labels(y_pred, table)
    else:
        predicted, known = _read_probabilities(y_pred, table, known)
    wanted = range(table.n_tasks) if task is None else [resolve_task(task, table.task_names)]
    tasks = {}
    for t in wanted:
        name = table.task_names[t]
        counts = table.label_mask[:, t]
        weight_of_task = None if weight is None else weight[:, t]
        if weight_of_task is not None:
            counts = counts & (weight_of_task > 0)
        values, is_predicted = predicted[t]
        _check_words(table, t, table.columns[t][table.label_mask[:, t]], known[t])
        if response_method == "predict":
            _check_words(table, t, values[is_predicted], known[t])
        rows = np.flatnonzero(counts & is_predicted)
        n_unpredicted = int(counts.sum()) - len(rows)
        if not len(rows):
            tasks[name] = ScoredTask(None, "no prediction" if n_unpredicted else "no labelled cell")
            continue
        true = table.columns[t][rows]
        if response_method == "predict":
            labels, codes, coded = _code_labels(name, true, values[rows], known[t])
        else:
            listed = known[t]
            if listed is None:
                listed = _guess_classes(name, true, values.shape[1], table.form.categories[t])
            _refuse_incomplete(name, values, rows)
            labels, codes, coded = _code_probabilities(name, true, values[rows], listed)
        cell_weight = None if weight_of_task is None else weight_of_task[rows]
        cells = TaskCells(name, labels, codes, coded, cell_weight)
        tasks[name] = ScoredTask(cells, n_unpredicted=n_unpredicted, rows=rows)
    return tasks


# ------------------------------------------------------------------------------------------------
# Reading
# ------------------------------------------------------------------------------------------------

# The predictions of one task by row, and whether each row has one.
TaskPrediction = tuple[np.ndarray, np.ndarray]


def _read_predicted_labels(y_pred: Any, table: LabelTable) -> list[TaskPrediction]:
    """Return the predicted labels of each task of y_true."""
    if isinstance(y_pred, Mapping) or (
        isinstance(y_pred, list) and len(y_pred) and np.ndim(next(iter(y_pred))) == 2
    ):
        raise ValueError(
            "This metric is computed from predicted labels, as `predict` returns them. Got "
            f"{type(y_pred).__name__}, as `predict_proba` returns for several tasks."
        )
    missing = dict(zip(table.task_names, table.missing, strict=True))
    predicted = read_labels(y_pred, missing_label=missing, task_names=table.task_names)
    _check_same_rows(predicted.n_samples, table)
    if predicted.n_tasks != table.n_tasks:
        raise ValueError(
            f"y_pred must have one column per task of y_true, {table.n_tasks}. "
            f"Got {predicted.n_tasks}."
        )
    named = predicted.form.kind == "frame"
    order = _order_of_names(predicted.task_names if named else None, table)
    return [(predicted.columns[i], predicted.label_mask[:, i]) for i in order]


def _read_probabilities(
    y_pred: Any, table: LabelTable, known: list[np.ndarray | None]
) -> tuple[list[TaskPrediction], list[np.ndarray | None]]:
    """Return the probabilities of each task of y_true, and the classes if y_pred names them."""
    if isinstance(y_pred, pd.DataFrame) and y_pred.columns.nlevels == 2:
        frames = {name: y_pred[name] for name in y_pred.columns.get_level_values(0).unique()}
        known_by_name = {name: frame.columns.to_numpy() for name, frame in frames.items()}
        y_pred = {name: frame.to_numpy() for name, frame in frames.items()}
        known = _classes_of_tasks(known_by_name, table)
    names, arrays = _split_by_task(y_pred, table.n_tasks)
    if len(arrays) != table.n_tasks:
        raise ValueError(
            f"y_pred must have probabilities for each of the {table.n_tasks} task(s) of y_true: "
            "one array of shape (n_samples, n_classes) per task. "
            f"Got {len(arrays)}."
        )
    if table.n_tasks == 1 and np.shape(arrays[0])[1:] == (1,) and _is_binary(table, known[0]):
        arrays = [np.ravel(arrays[0])]  # (n_samples, n_tasks), of the second class
    order = _order_of_names(names, table)
    read = [_read_task_probabilities(arrays[i], t, table) for t, i in enumerate(order)]
    return read, known


def _is_binary(table: LabelTable, known: np.ndarray | None) -> bool:
    """Return whether the only task has two classes, so that one column stands for the second."""
    labels = table.columns[0][table.label_mask[:, 0]] if known is None else known
    return len(labels) > 0 and len(factorize_labels([labels])[1]) == 2


def names_of_predictions(y_pred: Any) -> list[Any] | None:
    """Return the names of the tasks that predictions are of; None if they have no names."""
    if isinstance(y_pred, Mapping):
        return list(y_pred)
    if isinstance(y_pred, pd.DataFrame) and y_pred.columns.nlevels == 2:
        return list(y_pred.columns.get_level_values(0).unique())
    names = getattr(y_pred, "task_names", None)
    return column_names(y_pred) if names is None else list(names)


def _split_by_task(y_pred: Any, n_tasks: int) -> tuple[Sequence[Any] | None, list[Any]]:
    """Return the names of the tasks, if y_pred has them, and an array of probabilities per task."""
    if isinstance(y_pred, Mapping):
        return list(y_pred), list(y_pred.values())
    names = column_names(y_pred)
    if names is not None and n_tasks > 1:
        return names, list(nw.from_native(y_pred, eager_only=True).to_numpy().T)
    if isinstance(y_pred, (list, tuple)) and y_pred and np.ndim(next(iter(y_pred))) > 0:
        is_one_array = len(y_pred) == 1 and np.ndim(next(iter(y_pred))) == 2
        if n_tasks == 1 and not is_one_array:  # rows of one task
            return None, [np.asarray(y_pred)]
        return getattr(y_pred, "task_names", None), list(y_pred)
    values = np.asarray(y_pred)
    if n_tasks == 1:
        return None, [values[0] if values.ndim == 3 else values]
    # (n_tasks, n_samples, n_classes), or the positive class of binary tasks
    return None, list(values if values.ndim == 3 else values.T)


def _read_task_probabilities(values: Any, t: int, table: LabelTable) -> TaskPrediction:
    """Return the probabilities of one task and which rows have them."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
        raise ValueError(
            "This metric is computed from probabilities, as `predict_proba` returns them: of shape "
            f"(n_samples, n_classes). Got {values.dtype} of shape {values.shape} for task "
            f"{quote(table.task_names[t])}."
        )
    proba = as_class_probabilities(values)
    _check_same_rows(len(proba), table)
    return proba, ~np.isnan(proba).all(axis=1)


def _check_same_rows(n_rows: int, table: LabelTable) -> None:
    """Raise ValueError if predictions and labels differ in their number of rows."""
    if n_rows != table.n_samples:
        raise ValueError(
            f"y_true and y_pred must have the same number of rows. Got {table.n_samples} and "
            f"{n_rows}."
        )


def _order_of_names(names: Sequence[Any] | None, table: LabelTable) -> list[int]:
    """Return the position of each task of y_true in y_pred, matched by name if both have names."""
    positions = list(range(table.n_tasks))
    if names is None or list(names) == list(table.task_names):
        return positions
    if set(names) == set(table.task_names):
        return [list(names).index(name) for name in table.task_names]
    if table.form.kind != "frame" or list(names) == [f"y{t}" for t in positions]:
        return positions
    absent = [repr(name) for name in table.task_names if name not in names]
    raise ValueError(
        f"The predictions must be of the tasks of y_true; missing: {enumerate_some(absent)}. "
        f"Got {enumerate_some([repr(n) for n in names])}."
    )


def _classes_of_tasks(classes: Any, table: LabelTable) -> list[np.ndarray | None]:
    """Return the given classes of each task, None where not given."""
    known: list[np.ndarray | None] = [None] * table.n_tasks
    if classes is None:
        return known
    if isinstance(classes, Mapping):
        for t, labels in resolve_tasks(classes, table.task_names, parameter="classes").items():
            known[t] = _as_labels(labels, table.task_names[t])
        return known
    items = list(classes)
    if isinstance(classes, PerTask) and len(items) == table.n_tasks:
        items = [items[i] for i in _order_of_names(classes.task_names, table)]
    is_nested = bool(items) and np.ndim(items[0]) == 1
    if not is_nested and table.n_tasks == 1:
        items = [classes]
    elif not is_nested or len(items) != table.n_tasks:
        raise ValueError(
            f"classes must hold the classes of each of the {table.n_tasks} task(s): a sequence "
            f"with an array per task, or {{task: labels}}. Got {quote(classes)}."
        )
    return [_as_labels(labels, name) for labels, name in zip(items, table.task_names, strict=True)]


def _as_labels(labels: Any, name: Any) -> np.ndarray:
    """Return the class labels of a task as an array of their natural dtype."""
    is_array = isinstance(labels, np.ndarray)
    raw = in_native_order(labels) if is_array else array_of_sequence(list(labels))
    if raw.dtype.kind != "O":
        return raw
    return natural_dtype(raw, np.ones(len(raw), dtype=bool), name)


# ------------------------------------------------------------------------------------------------
# Coding
# ------------------------------------------------------------------------------------------------


def _check_words(table: LabelTable, t: int, labels: np.ndarray, known: np.ndarray | None) -> None:
    """Refuse the text of missing labels that is none of the given or declared classes."""
    if known is not None:
        refuse_missing_words(labels[~pd.Series(labels).isin(known.tolist())], table.task_names[t])
    elif not table.declares(t):
        refuse_missing_words(labels, table.task_names[t])
        warn_of_doubtful_labels(labels, table.missing[t], table.task_names[t])


def _code_labels(
    name: Any, true: np.ndarray, predicted: np.ndarray, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all labels, and the codes of the true and of the predicted labels."""
    listed = true[:0] if known is None else known
    _check_same_kind(name, true, predicted)
    codes, labels = factorize_labels([listed, true, predicted])
    ends = np.cumsum([len(listed), len(true)])
    _, true_codes, predicted_codes = np.split(codes, ends)
    return labels, true_codes, predicted_codes


def _code_probabilities(
    name: Any, true: np.ndarray, proba: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes, the codes of the true labels, and the probabilities by class."""
    # A true label that the model does not know is an additional class with probability 0.
    if len(known) != proba.shape[1]:
        raise ValueError(
            f"The probabilities of task {quote(name)} must have one column per class, "
            f"{len(known)}: {enumerate_some([repr(c) for c in known.tolist()])}. Got "
            f"{proba.shape[1]} column(s)."
        )
    if len(known):
        _check_same_kind(name, true, known)
    codes, labels = factorize_labels([known, true])
    padded = np.zeros((len(proba), len(labels)), dtype=proba.dtype)
    padded[:, codes[: len(known)]] = proba
    return labels, codes[len(known) :], padded


def _refuse_incomplete(name: Any, proba: np.ndarray, rows: np.ndarray) -> None:
    """Raise ValueError if rows to score have a probability of some classes only."""
    bad = rows[~np.isfinite(proba[rows]).all(axis=1)]
    if len(bad):
        raise ValueError(
            f"The probabilities of task {quote(name)} must be finite, or NaN for all classes of "
            f"a row that has no prediction. Got NaN or infinity for some classes in {len(bad)} "
            f"labelled row(s), the first in row {bad[0]}."
        )


def _guess_classes(
    name: Any, true: np.ndarray, n_columns: int, categories: tuple[np.ndarray, bool] | None
) -> np.ndarray:
    """Infer the classes of a task if they were not given."""
    found = factorize_labels([true])[1]
    if len(found) == n_columns:
        return found
    if categories is not None and len(categories[0]) == n_columns:
        return np.sort(categories[0])
    if n_columns == 2 and found.dtype.kind in "biu" and np.isin(found, [0, 1]).all():
        return np.array([0, 1]).astype(found.dtype)
    raise ValueError(
        f"The probabilities of task {quote(name)} have {n_columns} column(s), but its labelled "
        f"cells hold {len(found)} class(es): {enumerate_some([repr(c) for c in found.tolist()])}. "
        "Pass the classes of each task as classes=, such as classes=model.classes_."
    )


def _check_same_kind(name: Any, true: np.ndarray, other: np.ndarray) -> None:
    """Raise ValueError if text is compared with numbers, which would never be equal."""
    kinds = [a.dtype.kind if a.dtype.kind != "O" else _kind_of_object(a) for a in (true, other)]
    if ("U" in kinds) and any(kind in "biuf" for kind in kinds):
        raise ValueError(
            f"The true labels of task {quote(name)} and those predicted cannot be compared: "
            f"{quote(true.tolist()[0])} and {quote(other.tolist()[0])}. Give both as text or both "
            "as numbers."
        )


def _kind_of_object(labels: np.ndarray) -> str:
    """Return the dtype kind that the first label of an object array has."""
    return np.asarray(labels[0]).dtype.kind if len(labels) else "O"
