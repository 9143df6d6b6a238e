"""Rows of whatever users hold their tables in, and the labels of y as codes.

Owns taking rows out of arrays, sparse matrices, frames and lists, and reading y for the splitters,
with the warning about classes that are not everywhere. Does not know how rows are assigned.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse as sp

from sk_mtl._data.labels import read_labels
from sk_mtl._data.schema import TargetSchema
from sk_mtl._tasks import enumerate_some


def take_rows(table: Any, rows: np.ndarray) -> Any:
    """Take rows out of a table, keeping its type.

    Parameters
    ----------
    table : array, sparse matrix, DataFrame, Series, list or None
        Anything with rows.
    rows : ndarray of int
        The rows to take, in this order.

    Returns
    -------
    taken : object of the same type
        The rows; None for None.
    """
    if table is None:
        return None
    if hasattr(table, "iloc"):
        return table.iloc[rows]
    if nw.dependencies.is_into_dataframe(table):
        return nw.to_native(nw.from_native(table, eager_only=True)[rows.tolist()])
    if nw.dependencies.is_into_series(table):
        return nw.to_native(nw.from_native(table, series_only=True)[rows.tolist()])
    if sp.issparse(table):
        return table.tocsr()[rows]
    if hasattr(table, "shape"):
        return table[rows]
    if isinstance(table, tuple):
        return tuple(table[i] for i in rows)
    return [table[i] for i in rows]


def count_rows(table: Any) -> int:
    """Count the rows of a table.

    Parameters
    ----------
    table : array, sparse matrix, DataFrame, Series or list
        Anything with rows.

    Returns
    -------
    n_samples : int
        Number of rows.
    """
    if hasattr(table, "shape") and len(table.shape):
        return int(table.shape[0])
    return len(table)


@dataclass(frozen=True)
class CodedLabels:
    """The labels of y as splitters read them.

    Attributes
    ----------
    schema : TargetSchema
        The tasks and their classes.
    codes : ndarray of int32 of shape (n_samples, n_tasks)
        Class index per cell.
    label_mask : ndarray of bool of shape (n_samples, n_tasks)
        True where a label is present.
    """

    schema: TargetSchema
    codes: np.ndarray
    label_mask: np.ndarray

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.label_mask.shape[0]

    def warn_of_rare_classes(self, part: np.ndarray, n_parts: int, parts: str, remedy: str) -> None:
        """Warn of the classes that are not in every part.

        Parameters
        ----------
        part : ndarray of int of shape (n_samples,)
            The part of each row; those outside 0 to n_parts - 1 do not count.
        n_parts : int
            Number of parts that should have each class.
        parts : str
            What the parts are called in the message.
        remedy : str
            What the user can do.
        """
        rare: list[tuple[int, int, int, int]] = []
        in_a_part = (part >= 0) & (part < n_parts)
        for t, classes in enumerate(self.schema.classes):
            counts = np.bincount(self.codes[self.label_mask[:, t], t], minlength=len(classes))
            rows = np.flatnonzero(self.label_mask[:, t] & in_a_part)
            cells = self.codes[rows, t].astype(np.intp) * n_parts + part[rows]
            by_part = np.bincount(cells, minlength=len(classes) * n_parts)
            n_found = (by_part.reshape(len(classes), n_parts) > 0).sum(axis=1)
            codes = np.flatnonzero((counts > 0) & (n_found < n_parts))
            rare.extend((int(counts[c]), t, int(c), int(n_found[c])) for c in codes)
        if rare:
            rare.sort()
            names = self.schema.task_names
            phrases = [
                f"task {names[t]!r} class {self.schema.classes[t].tolist()[code]!r} "
                f"({count} labelled cell(s), in {n_found} of {n_parts} {parts})"
                for count, t, code, n_found in rare
            ]
            warnings.warn(
                f"{len(rare)} class(es) are not in each of the {n_parts} {parts}: "
                f"{enumerate_some(phrases)}. {remedy}",
                UserWarning,
                stacklevel=4,
            )


def read_codes(y: Any, missing_label: Any) -> CodedLabels:
    """Read the labels that a split is to be stratified by.

    Parameters
    ----------
    y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
        Class labels, NaN, None, NaT or NA where missing.
    missing_label : scalar or None
        One more value that means "missing".

    Returns
    -------
    labels : CodedLabels
        Codes, mask and classes.
    """
    if y is None:
        raise ValueError(
            "The 'y' parameter should not be None: the rows are stratified by its labels."
        )
    table = read_labels(y, missing_label=missing_label)
    schema = TargetSchema.from_table(table)
    targets = schema.encode(table)
    return CodedLabels(schema, targets.codes, targets.label_mask)
