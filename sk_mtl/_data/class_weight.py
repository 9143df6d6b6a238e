"""Weights and frequencies of classes.

Owns the meaning of the parameter `class_weight`. Does not know how sample weights are read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Number, Real
from typing import Any

import numpy as np

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.classes import index_labels
from sk_mtl._data.label_values import as_objects
from sk_mtl._data.labels import array_of_sequence
from sk_mtl._data.schema import EncodedTargets, TargetSchema
from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some, resolve_tasks

__all__ = [
    "check_weighted_classes",
    "class_frequencies",
    "class_weight_factors",
    "fit_class_factors",
    "weigh_classes",
]

_MAX_CLASS_WEIGHT = 1e9  # so that float32 holds the sums of weights


def class_frequencies(
    codes: np.ndarray, weight: np.ndarray, n_classes: Sequence[int]
) -> list[np.ndarray]:
    """Return the relative weight of each class of each task; uniform without labelled cells."""
    frequencies = []
    for t, n in enumerate(n_classes):
        counts = np.bincount(codes[:, t], weights=weight[:, t], minlength=n)
        total = counts.sum()
        frequencies.append(counts / total if total > 0 else np.full(n, 1.0 / n))
    return frequencies


def class_weight_factors(
    class_weight: Any, schema: TargetSchema, targets: EncodedTargets, rows: np.ndarray
) -> list[np.ndarray]:
    """Return the factor on the weight of each class, by task; "balanced" is counted over `rows`."""

    def sum_classes(t: int) -> np.ndarray:
        return _class_totals(targets, rows, t, len(schema.classes[t]))

    return fit_class_factors(class_weight, schema, sum_classes)


def fit_class_factors(
    class_weight: Any, schema: TargetSchema, sum_classes: Callable[[int], np.ndarray]
) -> list[np.ndarray]:
    """Return the factors, given what sums the weight of the labels of each class of a task."""
    # "balanced" is W / (K * W_k): the weight of the task's labelled cells, over its number of
    # classes present times the weight of the class (King & Zeng 2001).
    factors = [np.ones(len(classes)) for classes in schema.classes]
    if class_weight is None:
        return factors
    for t, wanted in _class_weight_by_task(class_weight, schema).items():
        if isinstance(wanted, Mapping):
            factors[t] = _listed_class_weight(wanted, schema.classes[t], schema.task_names[t])
        elif len(factors[t]):
            counts = sum_classes(t)
            present = counts > 0
            factors[t][present] = counts.sum() / (present.sum() * counts[present])
        counts = sum_classes(t)
        is_learned = len(factors[t]) > 1  # of a single class, nothing is
        if is_learned and counts.any() and not (counts * factors[t]).any():
            raise ValueError(
                f"class_weight makes the weight of every labelled cell of task "
                f"{quote(schema.task_names[t])} zero: a class that has labels must keep a positive "
                "weight."
            )
    return factors


def check_weighted_classes(class_weight: Any, schema: TargetSchema, declared: set[int]) -> None:
    """Refuse weights of labels outside the declared classes; warn of labels that y lacks."""
    if not isinstance(class_weight, Mapping):
        return
    absent, hint = [], ""
    for t, wanted in _class_weight_by_task(class_weight, schema).items():
        name, classes = schema.task_names[t], schema.classes[t]
        if not isinstance(wanted, Mapping) or not len(classes):
            continue
        found = index_labels(array_of_sequence(list(wanted)), classes)
        strangers = [label for label, i in zip(wanted, found, strict=True) if i < 0]
        # Text never equals a number, whichever rows there are.
        are_numbers = _is_number(as_objects(classes[:1])[0])
        others = [x for x in strangers if _is_number(x) != are_numbers]
        if others or (strangers and t in declared):
            raise ValueError(
                f"class_weight of task {quote(name)} names "
                f"{enumerate_some([repr(x) for x in others or strangers])}, not among its classes "
                f"({enumerate_some([repr(c) for c in classes.tolist()])})."
                f"{did_you_mean((others or strangers)[0], classes.tolist())}"
            )
        if len(classes) == 1:  # which another warning tells
            continue
        absent += [f"{quote(label)} of task {quote(name)}" for label in strangers]
        hint = hint or "".join(did_you_mean(label, classes.tolist()) for label in strangers[:1])
    if absent:
        # No error: the training rows of a fold may lack a rare class.
        warn_user(
            f"class_weight names {len(absent)} class(es) that no label of y has, so that their "
            f"weights have no effect: {enumerate_some(absent)}.{hint} Correct them if they are "
            "misspelt. If only these rows lack them, list all classes in `classes`."
        )


def _class_totals(targets: EncodedTargets, rows: np.ndarray, t: int, n: int) -> np.ndarray:
    """Return the total weight of each class of a task over some rows."""
    return np.bincount(targets.codes[rows, t], targets.cell_weight[rows, t], minlength=n)


def weigh_classes(targets: EncodedTargets, factors: Sequence[np.ndarray]) -> np.ndarray:
    """Return cell weights times class weights; the same array if those are all 1."""
    if all((factor == 1).all() for factor in factors):
        return targets.cell_weight
    weight = targets.cell_weight.copy()
    for t, factor in enumerate(factors):
        if (factor != 1).any():
            # In float64: the factor of a rare class may be large where its weights are small.
            weight[:, t] = weight[:, t] * factor[targets.codes[:, t]]
    return weight


def _class_weight_by_task(class_weight: Any, schema: TargetSchema) -> dict[int, Any]:
    """Return what is requested for each task, by position."""
    if isinstance(class_weight, str):
        return dict.fromkeys(range(len(schema.classes)), class_weight)
    if schema.is_1d and not any(isinstance(v, (Mapping, str)) for v in class_weight.values()):
        return {0: class_weight}
    names = schema.task_names
    are_numbers = all(isinstance(v, Real) for v in class_weight.values())
    if class_weight and are_numbers and not all(key in names for key in class_weight):
        raise ValueError(
            "class_weight must be given by task, since each task of a table has classes of its "
            f"own: write {{{quote(names[0])}: {quote(class_weight)}}} for task {quote(names[0])}. "
            f"Got {quote(class_weight)}."
        )
    by_task = resolve_tasks(class_weight, schema.task_names, parameter="class_weight")
    for t, wanted in by_task.items():
        if wanted is not None and wanted != "balanced" and not isinstance(wanted, Mapping):
            raise ValueError(
                f"class_weight of task {quote(schema.task_names[t])} must be 'balanced', None or "
                f"{{label: weight}}. Got {quote(wanted)}.{did_you_mean(wanted, ['balanced'])}"
            )
    return {t: wanted for t, wanted in by_task.items() if wanted is not None}


def _listed_class_weight(wanted: Mapping[Any, Any], classes: np.ndarray, name: Hashable) -> Any:
    """Return a factor per class from {label: weight}; labels that are no class have no effect."""
    try:
        given = np.array([np.nan if w is None else w for w in wanted.values()], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"class_weight of task {quote(name)} must be numbers. Got {quote(wanted)}."
        ) from error
    in_range = (given == 0) | ((given >= 1 / _MAX_CLASS_WEIGHT) & (given <= _MAX_CLASS_WEIGHT))
    if not in_range.all():
        raise ValueError(
            f"class_weight of task {quote(name)} must be finite and not negative, and 0 or "
            f"between 1e-9 and 1e9. Got {quote(wanted)}."
        )
    found = index_labels(array_of_sequence(list(wanted)), classes)
    factors = np.ones(len(classes))
    factors[found[found >= 0]] = given[found >= 0]
    return factors


def _is_number(label: Any) -> bool:
    """Return whether a label is a number or a boolean, and so never equals text."""
    return isinstance(label, (Number, np.bool_))
