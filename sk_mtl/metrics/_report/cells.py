"""The cells of a report: labels, their counts, predictions, and the constant predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._data.label_values import as_objects, factorize_labels
from sk_mtl._data.labels import LabelTable, read_labels
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._data.schema import make_class_index
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some
from sk_mtl.metrics._predictions import ScoredTask, match_predictions, names_of_predictions
from sk_mtl.metrics._report.request import LABELS
from sk_mtl.metrics._task_metrics import TaskCells


@dataclass(frozen=True)
class Predictions:
    """The cells of all tasks with the predictions of a model and of the constant predictor."""

    tasks: dict[Any, ScoredTask]
    constant: dict[Any, ScoredTask]


@dataclass(frozen=True)
class TrueLabels:
    """The true labels of a report."""

    table: LabelTable
    weight: np.ndarray | None  # (n_samples, n_tasks)
    counts: np.ndarray  # (n_samples, n_tasks), whether a cell has a label and a weight
    training: LabelTable | None  # y_train, its tasks in the order of `table`

    def labels_of(self, t: int) -> np.ndarray:
        """Return the labels of the cells of a task that count."""
        return self.table.columns[t][self.counts[:, t]]

    def weight_of(self, t: int) -> np.ndarray | None:
        """Return the weights of the cells of a task that count."""
        return None if self.weight is None else self.weight[self.counts[:, t], t]


def read_true_labels(
    y_true: Any, sample_weight: Any, missing_label: Any, y_train: Any, y_pred: Any = None
) -> TrueLabels:
    """Read the true labels, named as the predictions if not themselves, and their weights."""
    names = names_of_predictions(y_pred)
    table = read_labels(y_true, missing_label=missing_label, task_names=names)
    weight = read_cell_weight(sample_weight, table)
    counts = table.label_mask if weight is None else table.label_mask & (weight > 0)
    if y_train is None:
        return TrueLabels(table, weight, counts, None)
    training = read_labels(y_train, missing_label=missing_label, task_names=table.task_names)
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
        missing=tuple(training.missing[i] for i in order),
    )
    return TrueLabels(table, weight, counts, training)


def gather_predictions(predicted: Any, method: str, true: TrueLabels, classes: Any) -> Predictions:
    """Match labels with predictions of a method, and add those of the constant predictor."""
    if classes is None and true.training is not None:
        true.training.check_labels()
        classes = _classes_of_table(true.training)
    tasks = match_predictions(true.table, true.weight, predicted, method, classes=classes)
    constant = {
        name: task if task.cells is None else _predict_constant(task.cells, true.training, t)
        for t, (name, task) in enumerate(tasks.items())
    }
    return Predictions(tasks, constant)


def _classes_of_table(table: LabelTable) -> dict[Any, np.ndarray]:
    """Return the classes of each task of a model that is fitted to these labels."""
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
    """Return the sorted labels, those listed and those found, and the number or weight of each."""
    if not len(labels) and not len(values):
        return labels, np.zeros(0, dtype=np.intp)
    codes, found = factorize_labels([labels, values])
    return found, np.bincount(codes[len(labels) :], weight, minlength=len(found))


# ------------------------------------------------------------------------------------------------
# The constant predictor
# ------------------------------------------------------------------------------------------------


def _predict_constant(cells: TaskCells, training: LabelTable | None, t: int) -> ScoredTask:
    """Predict the class shares, or the most frequent class, for each cell."""
    if training is None:
        shares = np.bincount(cells.true, cells.weight, minlength=cells.n_classes)
    else:
        present = training.columns[t][training.label_mask[:, t]]
        labels, shares = count_labels(present, cells.labels)
        if len(labels) != cells.n_classes:
            unknown = sorted(set(labels.tolist()) - set(cells.labels.tolist()))
            raise ValueError(
                f"y_train has labels of task {quote(cells.task_name)} that are not among its "
                f"classes: {enumerate_some(map(repr, unknown))}. Correct them, or the classes."
            )
        if not len(present):
            return ScoredTask(None, "no label in y_train")
    shares = shares / shares.sum()
    n_cells = len(cells.true)
    if cells.predicted.ndim == 2:
        # In the dtype of the model's: scikit-learn's log_loss depends on it.
        shares = shares.astype(cells.predicted.dtype)
        return ScoredTask(replace(cells, predicted=np.tile(shares, (n_cells, 1))))
    return ScoredTask(replace(cells, predicted=np.full(n_cells, shares.argmax())))


# ------------------------------------------------------------------------------------------------
# Counts
# ------------------------------------------------------------------------------------------------


def describe_labels(
    true: TrueLabels, gathered: Sequence[Predictions]
) -> tuple[dict[tuple[str, str], Any], pd.DataFrame]:
    """Return the label columns (n_tasks + 1,) of a report, and the counts by (task, class)."""
    counts = true.counts.sum(axis=0)
    index: list[tuple[Any, Any]] = []
    numbers: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    for t, name in enumerate(true.table.task_names):
        known = [p.tasks[name].cells for p in gathered]
        listed = [cells.labels for cells in known if cells is not None]
        values = true.labels_of(t)
        # The last are those of the probabilities, which include all classes of the model.
        labels, number = count_labels(values, listed[-1] if listed else values[:0])
        _, weight = count_labels(values, labels, true.weight_of(t))
        index += [(name, label) for label in as_objects(labels).tolist()]
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
        index=make_class_index(index),
    )
    return columns, class_counts
