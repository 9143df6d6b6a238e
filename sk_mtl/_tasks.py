"""Tasks by name: lists that answer to task names, and how tasks are found and named.

Owns what a task is called, in results, in the history and in messages. Does not know labels.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from sk_mtl._names import did_you_mean

__all__ = ["PerTask", "enumerate_some", "name_series", "resolve_task"]


class PerTask(list):
    """One item per task: a list that also answers to task names.

    Parameters
    ----------
    items : iterable
        One item per task, in task order.
    task_names : sequence of hashable
        The names of the tasks, in the same order.

    Examples
    --------
    >>> from sk_mtl import PerTask
    >>> n_classes = PerTask([2, 5], ["income", "education"])
    >>> n_classes["education"], n_classes[0]
    (5, 2)
    >>> dict(n_classes.items())
    {'income': 2, 'education': 5}
    """

    def __init__(self, items: Iterable[Any], task_names: Sequence[Hashable]):
        super().__init__(items)
        self.task_names = tuple(task_names)
        if len(self) != len(self.task_names):
            raise ValueError(
                f"PerTask needs one item per task: got {len(self)} items for "
                f"{len(self.task_names)} task names."
            )

    def __getitem__(self, key: Any) -> Any:
        """Return the item at a position (int, slice) or of a task (any other key)."""
        is_position = isinstance(key, (int, np.integer)) and -len(self) <= key < len(self)
        if is_position or isinstance(key, slice):
            return super().__getitem__(key)
        if isinstance(key, (int, np.integer)) and key not in self.task_names:
            raise IndexError(f"There are {len(self)} tasks, and none is named {key}.")
        return super().__getitem__(resolve_task(key, self.task_names, KeyError))

    def keys(self) -> tuple[Hashable, ...]:
        """Return the task names.

        Returns
        -------
        task_names : tuple
            One name per task, in task order.
        """
        return self.task_names

    def items(self) -> Iterator[tuple[Hashable, Any]]:
        """Return (task name, item) pairs.

        Returns
        -------
        pairs : iterator of tuple
            In task order.
        """
        return zip(self.task_names, self, strict=True)


def resolve_task(
    key: Hashable,
    task_names: Sequence[Hashable],
    error: type[Exception] = ValueError,
    *,
    parameter: str | None = None,
) -> int:
    """Return the position of a task, given its name or, failing that, its position.

    Parameters
    ----------
    key : hashable
        A task's name, or an int that is no task's name and is taken as a position.
    task_names : sequence of hashable
        The names of the tasks.
    error : type of exception, default=ValueError
        What to raise if there is no such task.
    parameter : str or None, default=None
        The parameter that names the task, for the error.

    Returns
    -------
    position : int
        From 0 to n_tasks - 1.
    """
    names = list(task_names)
    if key in names:
        return names.index(key)
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool) and 0 <= key < len(names):
        return int(key)
    where = "" if parameter is None else f", which {parameter} names"
    raise error(
        f"There is no task {key!r}{where}.{did_you_mean(key, names)} "
        f"The tasks are {enumerate_some([repr(n) for n in names])}."
    )


def enumerate_some(words: Iterable[Any], limit: int = 5) -> str:
    """Return words as a comma-separated phrase, the first few and the count of the rest.

    Parameters
    ----------
    words : iterable
        What to name.
    limit : int, default=5
        How many to name at most.

    Returns
    -------
    phrase : str
        Such as ``"a, b, c, d, e and 7 more"``.
    """
    listed = [str(w) for w in words]
    if len(listed) <= limit:
        return ", ".join(listed)
    return f"{', '.join(listed[:limit])} and {len(listed) - limit} more"


def name_series(task_names: Sequence[Hashable]) -> tuple[str, ...]:
    """Return what tasks are called in the names of the history's series.

    Parameters
    ----------
    task_names : sequence of hashable
        The names of the tasks.

    Returns
    -------
    labels : tuple of str
        The names themselves, but where two series could come to have one name: "task0:val" for a
        task named "val" in the first place.
    """
    labels: list[str] = []
    for position, name in enumerate(task_names):
        label = str(name)
        if label in ("", "val") or label.startswith("val_") or label in labels:
            label = f"task{position}:{label}"
        labels.append(label)
    return tuple(labels)
