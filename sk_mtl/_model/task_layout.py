"""The layout of the logits: which columns belong to which task. No Keras.

The tasks are side by side in one matrix: one column for two classes, the log-odds of the second
class, and one column per class for more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

__all__ = ["TaskGroup", "TaskLayout"]


class TaskGroup(NamedTuple):
    """Tasks of one width, (n_tasks,), and their columns, (n_tasks, width)."""

    width: int
    tasks: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True)
class TaskLayout:
    """The columns of tasks, from how many each has.

    Examples
    --------
    >>> from sk_mtl._model.task_layout import TaskLayout
    >>> layout = TaskLayout.of_classes([3, 2, 3])
    >>> layout.n_outputs, layout.total
    ((3, 1, 3), 7)
    >>> [(group.width, group.tasks.tolist()) for group in layout.groups]
    [(1, [1]), (3, [0, 2])]
    >>> layout.groups[1].columns.tolist()
    [[0, 1, 2], [4, 5, 6]]
    """

    n_outputs: tuple[int, ...]

    @classmethod
    def of_classes(cls, n_classes: Iterable[int]) -> TaskLayout:
        """Return the layout of tasks with these numbers of classes."""
        return cls(tuple(1 if n == 2 else int(n) for n in n_classes))

    @property
    def total(self) -> int:
        """The number of columns."""
        return sum(self.n_outputs)

    @property
    def starts(self) -> np.ndarray:
        """The first column of each task, (n_tasks,)."""
        return np.cumsum([0, *self.n_outputs])[:-1]

    @property
    def groups(self) -> tuple[TaskGroup, ...]:
        """The tasks by width, narrow ones first; tasks of one width are computed together."""
        return _group_by_width(self.n_outputs)

    @property
    def task_order(self) -> np.ndarray | None:
        """The position of each task when the groups are concatenated; None if nothing moves."""
        return _order([group.tasks for group in self.groups])

    @property
    def column_order(self) -> np.ndarray | None:
        """The position of each column when the groups are concatenated; None if nothing moves."""
        return _order([group.columns.ravel() for group in self.groups])


@lru_cache(maxsize=64)
def _group_by_width(n_outputs: tuple[int, ...]) -> tuple[TaskGroup, ...]:
    starts, groups = TaskLayout(n_outputs).starts, []
    for width in sorted(set(n_outputs)):
        tasks = np.flatnonzero(np.asarray(n_outputs) == width)
        columns = starts[tasks][:, None] + np.arange(width)
        for array in (tasks, columns):
            array.flags.writeable = False  # they are shared
        groups.append(TaskGroup(width, tasks, columns))
    return tuple(groups)


def _order(parts: list[np.ndarray]) -> np.ndarray | None:
    order = np.concatenate(parts)
    return None if (np.diff(order) == 1).all() else np.argsort(order)
