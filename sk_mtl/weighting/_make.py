"""From the parameter `task_weighting=` to a strategy."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._tasks import resolve_tasks
from sk_mtl.weighting._aligned_mtl import AlignedMTLWeighting
from sk_mtl.weighting._base import GradientWeighting, SignWeighting, TaskWeighting
from sk_mtl.weighting._cagrad import CAGradWeighting
from sk_mtl.weighting._dwa import DWAWeighting
from sk_mtl.weighting._fairgrad import FairGradWeighting
from sk_mtl.weighting._famo import FAMOWeighting
from sk_mtl.weighting._fixed import FixedWeighting
from sk_mtl.weighting._geometric import GeometricMeanWeighting
from sk_mtl.weighting._graddrop import GradDropWeighting
from sk_mtl.weighting._gradnorm import GradNormWeighting
from sk_mtl.weighting._gradvac import GradVacWeighting
from sk_mtl.weighting._imtl_g import IMTLGWeighting
from sk_mtl.weighting._log import LogWeighting
from sk_mtl.weighting._mgda import MGDAWeighting
from sk_mtl.weighting._nash_mtl import NashMTLWeighting
from sk_mtl.weighting._pcgrad import PCGradWeighting
from sk_mtl.weighting._random import RandomWeighting
from sk_mtl.weighting._settings import Named
from sk_mtl.weighting._stch import SmoothTchebycheffWeighting
from sk_mtl.weighting._uncertainty import UncertaintyWeighting
from sk_mtl.weighting._upgrad import UPGradWeighting

__all__ = ["WEIGHTING_NAMES", "make_weighting", "sees_gradients"]

# The strategies by their names in `task_weighting=`.
_BY_NAME: dict[str, type[TaskWeighting]] = {
    "equal": FixedWeighting,
    "uncertainty": UncertaintyWeighting,
    "dwa": DWAWeighting,
    "rlw": RandomWeighting,
    "gls": GeometricMeanWeighting,
    "stch": SmoothTchebycheffWeighting,
    "famo": FAMOWeighting,
    "log": LogWeighting,
    "gradnorm": GradNormWeighting,
    "pcgrad": PCGradWeighting,
    "gradvac": GradVacWeighting,
    "graddrop": GradDropWeighting,
    "mgda": MGDAWeighting,
    "cagrad": CAGradWeighting,
    "imtl_g": IMTLGWeighting,
    "nash_mtl": NashMTLWeighting,
    "aligned_mtl": AlignedMTLWeighting,
    "fairgrad": FairGradWeighting,
    "upgrad": UPGradWeighting,
}

WEIGHTING_NAMES = tuple(_BY_NAME)


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
        if isinstance(task_weighting, Named):
            task_weighting.check_settings()
        return task_weighting
    if isinstance(task_weighting, str):
        if task_weighting in _BY_NAME:
            return _BY_NAME[task_weighting]()
        names = ", ".join(map(repr, WEIGHTING_NAMES))
        raise ValueError(
            f"task_weighting must be one of {names}, factors by task, or an instance of a subclass "
            f"of sk_mtl.weighting.TaskWeighting. Got {quote(task_weighting)}."
            f"{did_you_mean(task_weighting, WEIGHTING_NAMES)}"
        )
    raise TypeError(
        "task_weighting must be a name such as 'equal' or 'uncertainty', factors by task, or an "
        f"instance of a subclass of sk_mtl.weighting.TaskWeighting. Got {quote(task_weighting)}."
    )


def sees_gradients(task_weighting: Any) -> bool:
    """Return whether `task_weighting=` names or is a strategy that sees the tasks' gradients."""
    # Such a strategy trains a single network, with the tasks' heads on one trunk.
    is_name = isinstance(task_weighting, str)
    kind = _BY_NAME.get(task_weighting) if is_name else type(task_weighting)
    return kind is not None and issubclass(kind, (GradientWeighting, SignWeighting))


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
