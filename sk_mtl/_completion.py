"""The methods of the estimator that complete a table of labels."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._compat.arguments import as_random_state, check_flags, check_integer
from sk_mtl._data.classes import index_labels
from sk_mtl._data.known_labels import HIDDEN, MISSING
from sk_mtl._data.label_values import object_array
from sk_mtl._data.labels import LabelTable
from sk_mtl._data.row_order import row_labels, warn_of_other_order
from sk_mtl._fit.completion import (
    complete_codes,
    complete_probabilities,
    draw_completed,
    leave_labels_out,
)
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.shown import by_task
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some, resolve_task

__all__ = ["CompletionMixin"]


class CompletionMixin:
    """Methods that take X and a table of labels, and fill the holes of that table."""

    def _checked(self, X: Any) -> tuple[FittedModel, Any]:
        """Return the fitted model, and X as numbers for it to predict."""
        raise NotImplementedError

    def _read_labels(self, y: Any, fitted: FittedModel | None) -> LabelTable:
        """Return y as read, its tasks known by the names seen before."""
        raise NotImplementedError

    def complete(self, X: Any, Y: Any) -> Any:
        """Fill the missing labels of a table.

        Each missing label becomes the most probable one given X and, if the estimator was fitted
        with ``known_labels=True``, given the labels of its row that are known. Predicted labels are
        not used for one another; `complete_samples` does so.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        Y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Labels, as in `fit`; NaN, None, NaT or NA where missing. A DataFrame may lack tasks.

        Returns
        -------
        labels : DataFrame, or ndarray of shape (n_samples,) or (n_samples, n_tasks)
            Y without holes, in the form that `predict` returns. Known labels are those of Y. Labels
            of a task that had none in training stay missing.

        Raises
        ------
        ValueError
            If Y holds a label that is not among the classes of its task.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mtl import MultiTaskClassifier
        >>> rng = np.random.default_rng(0)
        >>> X, left = rng.normal(size=(100, 2)), rng.integers(2, size=100)
        >>> Y = np.column_stack([left, 1 - left]).astype(float)  # X tells neither
        >>> clf = MultiTaskClassifier(known_labels=True, epochs=30, random_state=0).fit(X, Y)
        >>> clf.complete(X[:2], [[0, np.nan], [np.nan, 0]])
        array([[0., 1.],
               [1., 0.]])
        """
        fitted, numbers, known = self._checked_labels(X, Y)
        codes = complete_codes(fitted, numbers, known)
        return fitted.schema.decode(codes, fitted.has_labels, like=_indexed(Y, X))

    def complete_proba(
        self, X: Any, Y: Any, *, leave_one_out: bool = False, hidden: Any = None
    ) -> Any:
        """Predict class probabilities given X and the known labels of each row.

        Without ``known_labels=True``, they are given X alone.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        Y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Labels, as in `fit`; NaN, None, NaT or NA where missing. A DataFrame may lack tasks.
        leave_one_out : bool, default=False
            What a known label has: probability 1 (False), or the probabilities given X and the
            *other* labels of its row (True), which show labels that the rest of the row speaks
            against. True takes one more prediction for each task.
        hidden : array-like of bool of shape (n_samples, n_tasks), default=None
            Labels of Y that are not used, and predicted. With ``known_labels="with_indicator"``
            they do not count as missing.

        Returns
        -------
        probabilities : PerTask of ndarray of float32, or ndarray
            By task, of shape (n_samples, n_classes_t), in the form of `predict_proba`. A row
            without known labels has the numbers that `predict_proba` gives.

        Raises
        ------
        ValueError
            If Y holds a label that is not among the classes of its task.
        """
        check_flags("complete_proba", leave_one_out=leave_one_out)
        fitted, numbers, known = self._checked_labels(X, Y, hidden)
        probabilities = complete_probabilities(fitted, numbers, known, leave_one_out)
        return by_task(probabilities, fitted.schema)

    def complete_proba_frame(
        self, X: Any, Y: Any, *, leave_one_out: bool = False, hidden: Any = None
    ) -> pd.DataFrame:
        """Predict class probabilities given X and the known labels of each row, as one frame.

        Without ``known_labels=True``, they are given X alone.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        Y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Labels, as in `fit`; NaN, None, NaT or NA where missing. A DataFrame may lack tasks.
        leave_one_out : bool, default=False
            What a known label has, as in `complete_proba`.
        hidden : array-like of bool of shape (n_samples, n_tasks), default=None
            Labels of Y that are not used, and predicted, as in `complete_proba`.

        Returns
        -------
        probabilities : pandas.DataFrame of shape (n_samples, sum of n_classes_t)
            With (task, class) columns, and the index of a pandas Y or X.
        """
        check_flags("complete_proba_frame", leave_one_out=leave_one_out)
        fitted, numbers, known = self._checked_labels(X, Y, hidden)
        probabilities = complete_probabilities(fitted, numbers, known, leave_one_out)
        index, names = row_labels(_indexed(Y, X)), fitted.schema.class_index()
        return pd.DataFrame(np.hstack(probabilities), index=index, columns=names)

    def complete_samples(
        self, X: Any, Y: Any, n: int = 10, *, random_state: Any = None
    ) -> list[Any]:
        r"""Draw completed tables at random, for statistics whose error includes the holes'.

        The holes of a row are drawn one after another, in random order, each from its probabilities
        given X, the known labels and what has been drawn before, so that the labels of a row go
        together. A statistic of each table, such as the frequency of a class, with its mean over
        the tables, the mean :math:`W` of its variances within them and the variance :math:`B`
        between them, has the variance :math:`W + (1 + 1/n) B` (Rubin's rules [1]_). The network
        itself is taken to be known, so that intervals are too narrow where many labels are missing,
        or where they are missing by a rule; the user guide shows how to draw by several networks.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        Y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Labels, as in `fit`; NaN, None, NaT or NA where missing. A DataFrame may lack tasks.
        n : int, default=10
            Number of tables.
        random_state : int, RandomState instance or None, default=None
            What the labels are drawn with.

        Returns
        -------
        tables : list of DataFrame or ndarray
            `n` tables, each in the form of `complete`.

        Raises
        ------
        ValueError
            If Y holds a label that is not among the classes of its task, or if the estimator was
            fitted with ``known_labels="with_indicator"``.

        References
        ----------
        .. [1] D. B. Rubin. "Multiple Imputation for Nonresponse in Surveys" (chapter 3). Wiley
           1987.
        """
        check_integer("complete_samples", "n", n, 1)
        fitted, numbers, known = self._checked_labels(X, Y)
        if fitted.knows_labels == "with_indicator":
            raise ValueError(
                "complete_samples needs a network with known_labels=True. With 'with_indicator', a "
                "label that has been drawn would count as measured."
            )
        rng = as_random_state(random_state)
        return [
            fitted.schema.decode(codes, fitted.has_labels, like=_indexed(Y, X))
            for codes in draw_completed(fitted, numbers, known, n, rng)
        ]

    def label_effects(self, X: Any, Y: Any, task: Hashable, label: Any = None) -> pd.DataFrame:
        """Compute how much each known label of a row changes the probability of a label.

        It is the probability given all known labels of the row, less that without one of them. The
        row's own label of `task` is never used. If only one other label of the row is known, the
        effect is exactly what it adds to X alone; labels that say the same may each have no effect
        beside the other.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        Y : DataFrame or array-like of shape (n_samples, n_tasks)
            Labels, as in `fit`; NaN, None, NaT or NA where missing.
        task : hashable
            The name of the task, or its position.
        label : object, default=None
            The class of the task; None for the second of two classes.

        Returns
        -------
        effects : pandas.DataFrame of shape (n_samples, n_tasks - 1)
            A column for each other task; NaN where its label is missing.

        Raises
        ------
        ValueError
            If the estimator was fitted without ``known_labels=True``, if Y holds a label that is
            not among the classes of its task, if `task` has fewer than two classes, or if it has
            three or more and `label` is None.
        """
        fitted, numbers, known = self._checked_labels(X, Y)
        names = fitted.schema.task_names
        position = resolve_task(task, names)
        if not fitted.is_learnable[position]:
            raise ValueError(
                f"Task {quote(names[position])} has {len(fitted.schema.classes[position])} "
                "class(es): there is no probability that a label could change."
            )
        code = _class_position(fitted, position, label)
        if not fitted.knows_labels:
            raise ValueError(
                "label_effects needs a network that reads known labels. Fit the estimator with "
                "known_labels=True."
            )
        _, effects = leave_labels_out(fitted, numbers, known, position)
        others = [t for t in range(len(names)) if t != position]
        columns = pd.Index(object_array([names[t] for t in others]), tupleize_cols=False)
        frame = pd.DataFrame(effects[:, others, code], index=row_labels(_indexed(Y, X)))
        return frame.set_axis(columns.infer_objects(), axis=1)

    def _checked_labels(
        self, X: Any, Y: Any, hidden: Any = None
    ) -> tuple[FittedModel, Any, np.ndarray]:
        """Return the fitted model, X as numbers, and class indices of Y or what stands for them."""
        warn_of_other_order({"X": X, "Y": Y})
        fitted, numbers = self._checked(X)
        given = self._read_labels(Y, fitted)
        table = fitted.schema.align(given, may_lack_tasks=True)
        if table.n_samples != numbers.shape[0]:
            raise ValueError(
                f"Y must have one row per row of X: {numbers.shape[0]}. Got {table.n_samples}."
            )
        targets = fitted.schema.encode(table)
        lost = targets.label_mask.any(axis=0) & ~fitted.has_labels
        if lost.any():
            tasks = [quote(fitted.schema.task_names[t]) for t in np.flatnonzero(lost)]
            raise ValueError(
                f"Task(s) {enumerate_some(tasks)} had no label in training, and Y has some: what "
                "is missing cannot be filled. Fit with these labels, or set them missing."
            )
        known = np.where(targets.label_mask, targets.codes, MISSING)
        if hidden is not None:
            known[_align_mask(hidden, given, table)] = HIDDEN
        return fitted, numbers, known


def _align_mask(hidden: Any, given: LabelTable, table: LabelTable) -> np.ndarray:
    """Return which labels of an aligned table are hidden, and there."""
    mask = np.asarray(hidden)
    if mask.dtype != bool or mask.shape != given.label_mask.shape:
        raise ValueError(
            f"hidden must be of bool and have the shape of Y, {given.label_mask.shape}. Got "
            f"{mask.dtype} of shape {mask.shape}."
        )
    by_name = dict(zip(given.task_names, mask.T, strict=True))
    nowhere = np.zeros(len(mask), dtype=bool)
    columns = [by_name.get(name, nowhere) for name in table.task_names]
    return np.column_stack(columns) & table.label_mask


def _indexed(Y: Any, X: Any) -> Any:
    """Return the table whose index completed labels have."""
    return X if row_labels(Y) is None else Y


def _class_position(fitted: FittedModel, task: int, label: Any) -> int:
    """Return the position of a class; of the second of two for None."""
    name, classes = fitted.schema.task_names[task], fitted.schema.classes[task]
    listed = enumerate_some(map(repr, classes.tolist()))
    if label is None:
        if len(classes) != 2:
            raise ValueError(
                f"label must name a class of task {quote(name)}, which has {len(classes)}: "
                f"{listed}."
            )
        return 1
    is_class = isinstance(label, Hashable)
    found = index_labels(object_array([label]), classes)[0] if is_class else -1
    if found < 0:
        raise ValueError(
            f"label must be a class of task {quote(name)}: {listed}. Got {quote(label)}."
        )
    return int(found)
