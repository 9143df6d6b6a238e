"""From the parameter `task_weighting=` to a strategy."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from sk_mtl._quoting import quote
from sk_mtl._tasks import resolve_tasks
from sk_mtl.weighting._base import TaskWeighting
from sk_mtl.weighting._fixed import FixedWeighting
from sk_mtl.weighting._uncertainty import UncertaintyWeighting

__all__ = ["make_weighting"]


def make_weighting(
    task_weighting: Any, task_names: Sequence[Hashable], is_learnable: np.ndarray
) -> TaskWeighting:
    """Return the strategy over the learnable tasks that `task_weighting=` names or is."""
    if isinstance(task_weighting, Mapping):
        positions = resolve_tasks(task_weighting, task_names, parameter="task_weighting")
        return _check_factors(
            [positions.get(t, 1) for t in range(len(task_names))], task_names, is_learnable
        )
    if type(task_weighting) is FixedWeighting and task_weighting.factors is not None:
        return _check_factors(list(task_weighting.factors), task_names, is_learnable)
    if isinstance(task_weighting, TaskWeighting):
        return task_weighting
    if task_weighting == "uncertainty":
        return UncertaintyWeighting()
    if task_weighting == "equal":
        return FixedWeighting()
    raise TypeError(
        "task_weighting must be 'equal', 'uncertainty', factors by task, or an instance of a "
        f"subclass of sk_mtl.weighting.TaskWeighting. Got {quote(task_weighting)}."
    )


def _check_factors(
    factors: Sequence[Any], task_names: Sequence[Hashable], is_learnable: np.ndarray
) -> FixedWeighting:
    """Return fixed weights of the learnable tasks from a factor per task."""
    if len(factors) != len(task_names):
        raise ValueError(
            f"task_weighting must give a factor per task: {len(task_names)}. Got {len(factors)}."
        )
    for name, factor in zip(task_names, factors, strict=True):
        if not isinstance(factor, Real) or not 0 <= float(factor) < np.inf:
            raise ValueError(
                "task_weighting must give finite, non-negative factors. "
                f"Got {quote(factor)} for {quote(name)}."
            )
    learned = np.asarray(factors, dtype=np.float64)[is_learnable]
    if not learned.any():
        raise ValueError("task_weighting gives every task the factor zero: one must be positive.")
    return FixedWeighting(learned)
