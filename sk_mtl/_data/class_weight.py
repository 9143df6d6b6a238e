"""Weights and frequencies of classes.

Owns the meaning of the parameter `class_weight`. Does not know how sample weights are read.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from sk_mtl._data.classes import index_labels
from sk_mtl._data.labels import array_of_sequence
from sk_mtl._data.schema import EncodedTargets, TargetSchema
from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some, resolve_task

__all__ = ["class_frequencies", "class_weight_factors", "weigh_classes"]

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
    # "balanced" is W / (K * W_k): the weight of the task's labelled cells, over its number of
    # classes present times the weight of the class (King & Zeng 2001).
    factors = [np.ones(len(classes)) for classes in schema.classes]
    if class_weight is None:
        return factors
    for t, wanted in _class_weight_by_task(class_weight, schema).items():
        if isinstance(wanted, Mapping):
            factors[t] = _listed_class_weight(wanted, schema.classes[t], schema.task_names[t])
        elif len(factors[t]):
            counts = _class_totals(targets, rows, t, len(factors[t]))
            present = counts > 0
            factors[t][present] = counts.sum() / (present.sum() * counts[present])
        counts = _class_totals(targets, rows, t, len(factors[t]))
        if counts.any() and not (counts * factors[t]).any():
            raise ValueError(
                f"class_weight makes the weight of every labelled cell of task "
                f"{quote(schema.task_names[t])} zero: a class that has labels must keep a positive "
                "weight."
            )
    return factors


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
    by_task = {
        resolve_task(task, schema.task_names, parameter="class_weight"): wanted
        for task, wanted in class_weight.items()
    }
    for t, wanted in by_task.items():
        if wanted is not None and wanted != "balanced" and not isinstance(wanted, Mapping):
            raise ValueError(
                f"class_weight of task {quote(schema.task_names[t])} must be 'balanced', None or "
                f"{{label: weight}}. Got {quote(wanted)}.{did_you_mean(wanted, ['balanced'])}"
            )
    return {t: wanted for t, wanted in by_task.items() if wanted is not None}


def _listed_class_weight(wanted: Mapping[Any, Any], classes: np.ndarray, name: Hashable) -> Any:
    """Return a factor per class from {label: weight}."""
    labels = array_of_sequence(list(wanted))
    found = index_labels(labels, classes)
    if (found < 0).any():
        strangers = [repr(label) for label, i in zip(wanted, found, strict=True) if i < 0]
        raise ValueError(
            f"class_weight of task {quote(name)} names {enumerate_some(strangers)}, not among its "
            f"classes ({enumerate_some([repr(c) for c in classes.tolist()]) or 'none'})."
            f"{did_you_mean(labels[np.argmax(found < 0)], classes.tolist())}"
        )
    factors = np.ones(len(classes))
    try:
        factors[found] = [np.nan if w is None else w for w in wanted.values()]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"class_weight of task {quote(name)} must be numbers. Got {quote(wanted)}."
        ) from error
    in_range = (factors == 0) | (
        (factors >= 1 / _MAX_CLASS_WEIGHT) & (factors <= _MAX_CLASS_WEIGHT)
    )
    if not in_range.all():
        raise ValueError(
            f"class_weight of task {quote(name)} must be finite and not negative, and 0 or "
            f"between 1e-9 and 1e9. Got {quote(wanted)}."
        )
    return factors
