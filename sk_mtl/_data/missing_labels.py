"""Missing labels: the parameter `missing_label`, and labels that look as if they were missing.

Owns which values mean "missing" in each task, and which words and codes other tools write for a
missing label. Does not read y.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some, resolve_tasks

__all__ = [
    "find_missing_words",
    "looks_missing",
    "missing_by_task",
    "refuse_missing_words",
    "warn_of_doubtful_labels",
]

# What the text of a missing value is: in Python, NumPy and pandas; in polars and Arrow; in R; in
# SQL, JSON and spreadsheets; and in ARFF and UCI files.
_MISSING_WORDS = frozenset(
    {"nan", "NaN", "None", "NaT", "<NA>", "null", "NULL", "NA", "N/A", "n/a", "#N/A", "?"}
)
# Longer texts are none of these words, and no number that could be a sentinel.
_MAX_WORD = 40


def missing_by_task(
    missing_label: Any, task_names: Sequence[Hashable]
) -> tuple[tuple[Any, ...], ...]:
    """Return the values that mean "missing" in each task, besides NaN, None, NaT and NA."""
    if not isinstance(missing_label, Mapping):
        return (_scalars(missing_label, missing_label),) * len(task_names)
    given = resolve_tasks(missing_label, task_names, parameter="missing_label")
    return tuple(_scalars(given.get(t), missing_label) for t in range(len(task_names)))


def _scalars(values: Any, missing_label: Any) -> tuple[Any, ...]:
    """Return one value, or each of several, without those that are missing anyway."""
    is_list = pd.api.types.is_list_like(values) and not isinstance(values, Mapping)
    listed = list(values) if is_list else [values]
    if not all(pd.api.types.is_scalar(value) for value in listed):
        raise TypeError(
            "missing_label must be a scalar, a list of scalars, or {task: scalar or list}; NaN, "
            f"None, NaT and NA are always missing. Got {quote(missing_label)}."
        )
    return tuple(value for value in listed if not pd.isna(value))


def find_missing_words(labels: np.ndarray, counts: np.ndarray | None = None) -> dict[Any, int]:
    """Return the labels that are the text of a missing value, with their counts."""
    # `counts`, here and below: of how many cells each label is; None for one.
    if labels.dtype.kind not in "OUS":
        return {}
    as_objects = labels.astype(object)
    words = [v for v in pd.unique(as_objects) if _text_of(v) in _MISSING_WORDS]
    return {word: _count(as_objects == word, counts) for word in words}


def refuse_missing_words(
    labels: np.ndarray, name: Hashable, counts: np.ndarray | None = None
) -> None:
    """Refuse labels that are the text of a missing value: each would become a class."""
    found = find_missing_words(labels, counts)
    if found:
        counted = enumerate_some(f"{quote(word)} in {n} cell(s)" for word, n in found.items())
        words = list(found)
        raise ValueError(
            f"Task {quote(name)} holds the text of a missing label: {counted}. Other tools "
            "write it where a label is missing, for instance astype(str) and map(str). Pass None "
            f"or NaN there, or set missing_label={quote(words[0] if len(words) == 1 else words)}. "
            "If it is a class, list all classes of the task in `classes`, or make the column an "
            "ordered categorical."
        )


def warn_of_doubtful_labels(
    labels: np.ndarray,
    missing: Sequence[Any],
    name: Hashable,
    counts: np.ndarray | None = None,
) -> None:
    """Warn of labels that are empty text, or print as a missing label of another type."""
    is_text = labels.dtype.kind in "OUS"
    printed = {_print(value): value for value in missing}
    if not is_text and not printed:
        return
    column = pd.Series(labels.astype(object) if is_text else labels)
    for label in column.drop_duplicates().tolist():
        n_cells = _count((column == label).to_numpy(), counts)
        if printed and _print(label) in printed:
            sentinel = printed[_print(label)]
            warn_user(
                f"Task {quote(name)} has the label {quote(label)} of type {type(label).__name__} "
                f"in {n_cells} cell(s), and missing_label is {quote(sentinel)} of type "
                f"{type(sentinel).__name__}: they are not equal. If the label means missing, set "
                f"missing_label={quote(label)}. If it is a class, list all classes of the task in "
                "`classes`."
            )
        elif _text_of(label) == "":
            warn_user(
                f"Task {quote(name)} has the empty text {quote(label)} as a label in {n_cells} "
                f"cell(s). If it means missing, set missing_label={quote(label)}. If it is a "
                "class, list all classes of the task in `classes`."
            )


def looks_missing(label: Any, labelled: Sequence[Any], missing: Sequence[Any]) -> bool:
    """Return whether a category without labels looks as if it had stood for missing ones."""
    if _text_of(label) in _MISSING_WORDS | {""} or _print(label) in map(_print, missing):
        return True
    are_numbers = all(isinstance(v, (int, float)) for v in (label, *labelled))
    return are_numbers and label < 0 <= min(labelled, default=0)


def _count(is_label: np.ndarray, counts: np.ndarray | None) -> int:
    """Return of how many cells some labels are."""
    return int(is_label.sum() if counts is None else counts[is_label].sum())


def _text_of(label: Any) -> str | None:
    """Return a short text without the blanks around it, or None for anything else."""
    if not isinstance(label, (str, bytes)) or len(label) > _MAX_WORD:
        return None
    return (label.decode("latin-1") if isinstance(label, bytes) else label).strip()


def _print(label: Any) -> Any:
    """Return what text and other types that print the same have in common."""
    text = _text_of(label)
    if text is None:
        # A date prints without its hours, a moment at midnight with them.
        text = str(pd.Timestamp(label) if isinstance(label, np.datetime64) else label)
    try:
        number = float(text)
    except ValueError:
        return text.removesuffix(" 00:00:00")
    return number if math.isfinite(number) else text
