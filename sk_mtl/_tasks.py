"""Tasks by name: lists with access by task name, and the look-up and naming of tasks.

Owns the names of tasks in results, in the history and in messages. Does not know labels.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote, shorten

__all__ = ["PerTask", "enumerate_some", "name_series", "resolve_task"]


class PerTask(list):
    """One item per task: a list with access by task name, too.

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
    """Return the position of a task, given its name or, if no task has that name, its position."""
    names = list(task_names)
    if key in names:
        return names.index(key)
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool) and 0 <= key < len(names):
        return int(key)
    where = "" if parameter is None else f", named in {parameter}"
    raise error(
        f"There is no task {quote(key)}{where}.{did_you_mean(key, names)} "
        f"The tasks are {enumerate_some([repr(n) for n in names])}."
    )


def enumerate_some(words: Iterable[Any], limit: int = 5) -> str:
    """Return words as a comma-separated phrase: the first few, and the number of the rest."""
    listed = [str(w) for w in words]
    first = ", ".join(shorten(word) for word in listed[:limit])
    return first if len(listed) <= limit else f"{first} and {len(listed) - limit} more"


def name_series(task_names: Sequence[Hashable]) -> tuple[str, ...]:
    """Return the task names in the history, such as "task0:val" for an ambiguous "val"."""
    labels: list[str] = []
    for position, name in enumerate(task_names):
        label = str(name)
        if label in ("", "val") or label.startswith("val_") or label in labels:
            label = f"task{position}:{label}"
        labels.append(label)
    return tuple(labels)
