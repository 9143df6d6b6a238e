"""The cells of a report: labels, predictions, and those of the constant predictor.

Owns the constant predictor and the counts of labels. Does not know metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._data.labels import LabelTable, read_labels
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._tasks import enumerate_some
from sk_mtl.metrics._predictions import ScoredTask, gather_tasks
from sk_mtl.metrics._report_request import LABELS, ReportOptions
from sk_mtl.metrics._scorers import MEAN
from sk_mtl.metrics._task_metrics import TaskCells


@dataclass(frozen=True)
class Predictions:
    """The cells of all tasks with the predictions of one kind.

    Attributes
    ----------
    tasks : dict of {task name: ScoredTask}
        What there is to score.
    constant : dict of {task name: ScoredTask}
        The same cells, predicted by the constant predictor.
    rows : dict of {task name: ndarray of int of shape (n_cells,)}
        The rows of the cells.
    """

    tasks: dict[Any, ScoredTask]
    constant: dict[Any, ScoredTask]
    rows: dict[Any, np.ndarray]


@dataclass(frozen=True)
class TrueLabels:
    """The true labels of a report.

    Attributes
    ----------
    table : LabelTable
        y_true as read.
    weight : ndarray of float64 of shape (n_samples, n_tasks) or None
        Weight of each cell.
    counts : ndarray of bool of shape (n_samples, n_tasks)
        Whether a cell counts: has a label and a weight.
    training : LabelTable or None
        y_train as read, its tasks in the order of `table`.
    """

    table: LabelTable
    weight: np.ndarray | None
    counts: np.ndarray
    training: LabelTable | None

    def labels_of(self, t: int) -> np.ndarray:
        """Return the labels of the cells of a task that count."""
        return self.table.columns[t][self.counts[:, t]]

    def weight_of(self, t: int) -> np.ndarray | None:
        """Return their weights."""
        return None if self.weight is None else self.weight[self.counts[:, t], t]


def read_true_labels(y_true: Any, options: ReportOptions) -> TrueLabels:
    """Read the true labels, their weights, and the labels of the training rows.

    Parameters
    ----------
    y_true : array-like
        True labels.
    options : ReportOptions
        What is asked for.

    Returns
    -------
    true : TrueLabels
        What was read.
    """
    table = read_labels(y_true, missing_label=options.missing_label)
    if MEAN in table.task_names:
        raise ValueError(f"{MEAN!r} stands for the mean over tasks; rename the task of that name.")
    weight = read_cell_weight(options.sample_weight, table)
    counts = table.label_mask if weight is None else table.label_mask & (weight > 0)
    if options.y_train is None:
        return TrueLabels(table, weight, counts, None)
    training = read_labels(options.y_train, missing_label=options.missing_label)
    order = list(range(training.n_tasks))
    have_names = table.form.kind == training.form.kind == "frame"
    if have_names and set(table.task_names) <= set(training.task_names):
        order = [training.task_names.index(name) for name in table.task_names]
    elif have_names or len(order) != table.n_tasks:
        raise ValueError(
            f"y_train must have the tasks of y_true, {enumerate_some(map(repr, table.task_names))}."
            f" Got {enumerate_some(map(repr, training.task_names))}."
        )
    form = replace(training.form, categories=tuple(training.form.categories[i] for i in order))
    training = replace(
        training,
        columns=tuple(training.columns[i] for i in order),
        label_mask=training.label_mask[:, order],
        task_names=table.task_names,
        form=form,
    )
    return TrueLabels(table, weight, counts, training)


def gather_predictions(
    y_true: Any, predicted: Any, method: str, true: TrueLabels, classes: Any
) -> Predictions:
    """Bring true labels, predictions and constant predictions together.

    Parameters
    ----------
    y_true : array-like
        True labels, as in `true`.
    predicted : object
        What the method returned.
    method : {"predict", "predict_proba"}
        The method.
    true : TrueLabels
        The true labels as read.
    classes : object
        The classes that the model knows; None means those of the training labels, if there are.

    Returns
    -------
    predictions : Predictions
        By task.
    """
    if classes is None and true.training is not None:
        classes = _classes_of_table(true.training)
    # In the place of its weight, which alone is handed through, each cell has its row, from 1 on.
    places = np.where(true.counts, np.arange(1.0, len(true.counts) + 1)[:, None], 0.0)
    gathered = gather_tasks(
        y_true,
        predicted,
        response_method=method,
        sample_weight=places,
        missing_label=true.table.missing_label,
        classes=classes,
    )
    tasks, constant, rows = dict(gathered), dict(gathered), {}
    for t, (name, task) in enumerate(gathered.items()):
        if task.cells is None or task.cells.weight is None:
            continue
        rows[name] = task.cells.weight.astype(np.intp) - 1
        weight = None if true.weight is None else true.weight[rows[name], t]
        cells = replace(task.cells, weight=weight)
        tasks[name] = replace(task, cells=cells)
        constant[name] = _predict_constant(cells, true.training, t)
    return Predictions(tasks, constant, rows)


def _classes_of_table(table: LabelTable) -> dict[Any, np.ndarray]:
    """Return the classes that a model fitted to these labels knows, by task."""
    classes = {}
    for t, name in enumerate(table.task_names):
        fixed, present = table.form.categories[t], table.columns[t][table.label_mask[:, t]]
        if fixed is not None:
            classes[name] = np.sort(fixed[0])
        elif len(present):
            classes[name] = count_labels(present, present[:0])[0]
    return classes


def count_labels(
    values: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Count labels.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        What to count.
    labels : ndarray of shape (n_labels,)
        Labels that are listed even if there are none of them.
    weight : ndarray of shape (n_values,), default=None
        Weight of each value.

    Returns
    -------
    labels : ndarray of shape (n_found,)
        Those listed and those found, sorted.
    counts : ndarray of shape (n_found,)
        The number, or weight, of each.
    """
    parts = [a.astype(object) if a.dtype.kind in "USO" else a for a in (labels, values) if len(a)]
    if not parts:
        return labels, np.zeros(0, dtype=np.intp)
    codes, found = pd.factorize(np.concatenate(parts), sort=True)
    own = codes[len(labels) :]
    return np.asarray(found), np.bincount(own, weight, minlength=len(found))


# ------------------------------------------------------------------------------------------------
# The constant predictor
# ------------------------------------------------------------------------------------------------


def _predict_constant(cells: TaskCells, training: LabelTable | None, t: int) -> ScoredTask:
    """Predict each cell without looking at X: the shares of the classes, or the greatest."""
    if training is None:
        shares = np.bincount(cells.true, cells.weight, minlength=cells.n_classes)
    else:
        present = training.columns[t][training.label_mask[:, t]]
        labels, shares = count_labels(present, cells.labels)
        if len(labels) != cells.n_classes:
            strangers = sorted(set(labels.tolist()) - set(cells.labels.tolist()))
            raise ValueError(
                f"y_train holds labels of task {cells.task_name!r} that are none of its classes: "
                f"{enumerate_some(map(repr, strangers))}. Correct them, or the classes."
            )
        if not len(present):
            return ScoredTask(None, "no label in y_train")
    shares = shares / shares.sum()
    n_cells = len(cells.true)
    if cells.predicted.ndim == 2:
        return ScoredTask(replace(cells, predicted=np.tile(shares, (n_cells, 1))))
    return ScoredTask(replace(cells, predicted=np.full(n_cells, shares.argmax())))


# ------------------------------------------------------------------------------------------------
# Counts
# ------------------------------------------------------------------------------------------------


def describe_labels(
    true: TrueLabels, gathered: Sequence[Predictions]
) -> tuple[dict[tuple[str, str], Any], pd.DataFrame]:
    """Count the labelled cells of each task and of each class.

    Parameters
    ----------
    true : TrueLabels
        The true labels.
    gathered : sequence of Predictions
        The predictions, which know the classes of the models.

    Returns
    -------
    columns : dict of {(str, str): array of shape (n_tasks + 1,)}
        Columns of the report; the last entry is for the mean.
    class_counts : DataFrame
        A row for each (task, class).
    """
    counts = true.counts.sum(axis=0)
    index: list[tuple[Any, Any]] = []
    numbers: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    for t, name in enumerate(true.table.task_names):
        known = [p.tasks[name].cells for p in gathered]
        listed = [cells.labels for cells in known if cells is not None]
        values = true.labels_of(t)
        # Probabilities come last, and have the classes of the model itself.
        labels, number = count_labels(values, listed[-1] if listed else values[:0])
        if labels.dtype.kind == "f" and values.dtype.kind in "iu":
            labels = labels.astype(values.dtype)  # predictions may hold the integers as floats
        _, weight = count_labels(values, labels, true.weight_of(t))
        index += [(name, label) for label in labels.tolist()]
        numbers.append(number)
        shares.append(weight / max(weight.sum(), np.finfo(float).tiny))
    n_classes = [len(number) for number in numbers]
    columns = {
        (LABELS, "n_labelled"): pd.array([*counts.tolist(), pd.NA], dtype="Int64"),
        (LABELS, "coverage"): [*(counts / true.table.n_samples), true.counts.mean()],
        (LABELS, "n_classes"): pd.array([*n_classes, pd.NA], dtype="Int64"),
    }
    class_counts = pd.DataFrame(
        {"count": np.concatenate(numbers).astype(np.intp), "share": np.concatenate(shares)},
        index=_make_class_index(index),
    )
    return columns, class_counts


def _make_class_index(pairs: list[tuple[Any, Any]]) -> pd.MultiIndex:
    """Return an index of (task, class) pairs, whatever names and labels are."""
    levels = []
    for values in ([task for task, _ in pairs], [label for _, label in pairs]):
        as_objects = np.empty(len(values), dtype=object)
        as_objects[:] = values
        levels.append(pd.Index(as_objects, dtype=object, tupleize_cols=False))
    return pd.MultiIndex.from_arrays(levels, names=["task", "class"])
