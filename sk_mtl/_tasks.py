"""Tasks by name: lists with access by task name, and the look-up and naming of tasks.

Owns the names of tasks in results, in the history and in messages. Does not know labels.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Number
from typing import Any

import numpy as np

from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote, shorten

__all__ = [
    "PerTask",
    "enumerate_some",
    "name_series",
    "resolve_task",
    "resolve_tasks",
]

_MAX_LINES = 20  # of a PerTask's repr
_MAX_WIDTH = 60  # of an item's own repr in it


class PerTask(list):
    """One item per task: a list with access by task name, too.

    Names take precedence over positions. Where names of tasks are numbers, an integer is always a
    name, as with the columns of a pandas DataFrame. For a position, convert to a list first:
    ``list(items)[0]``.

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
    >>> n_classes
    PerTask of 2 tasks:
      'income': 2
      'education': 5
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
        """Return the item of a task, by name or by position, or a list of those of a slice."""
        if isinstance(key, slice):
            return super().__getitem__(key)
        if isinstance(key, tuple) and any(isinstance(k, slice) or k is Ellipsis for k in key):
            raise KeyError(self._describe_no_array("PerTask has one axis"))
        if _is_integer(key) and not _have_numbers(self.task_names):
            try:
                return super().__getitem__(key)
            except IndexError:
                raise IndexError(f"There are {len(self)} tasks, and none is named {key}.") from None
        return super().__getitem__(resolve_task(key, self.task_names, KeyError))

    def __getattr__(self, name: str) -> Any:
        """Say what to use in place of an attribute that arrays have."""
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if hasattr(np.ndarray, name) and not name.startswith("__"):
            message = self._describe_no_array(message)
        raise AttributeError(message)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """Return the items as one array, as that of a list; refuse items of different shapes."""
        options = {} if copy is None else {"copy": copy}
        try:
            return np.array(list(self), dtype=dtype, **options)
        except ValueError as error:
            if len({np.shape(item) for item in self}) == 1:
                raise
            what = "The items of the tasks have different shapes, and make no array"
            raise ValueError(self._describe_no_array(what)) from error

    def __repr__(self) -> str:
        lines = [f"  {quote(name)}: {_describe(item)}" for name, item in self.items()]
        if len(lines) > _MAX_LINES:
            n_shown = _MAX_LINES - 1
            lines[n_shown:] = [f"  and {len(lines) - n_shown} more"]
        return "\n".join([f"PerTask of {len(self)} task{'s' * (len(self) != 1)}:", *lines])

    def _describe_no_array(self, what: str) -> str:
        """Return the sentences for a use as an array."""
        name = quote(self.task_names[0]) if self.task_names else "task"
        return (
            f"{what}: it is a list with one item per task. Take one task by its name, as in "
            f"[{name}][:, 1], or use the estimator's task_view({name}), which predicts that task "
            "alone, as an ordinary classifier."
        )

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
    key: Any,
    task_names: Sequence[Hashable],
    error: type[Exception] = ValueError,
    *,
    parameter: str | None = None,
) -> int:
    """Return the position of a task, given its name or, unless names are numbers, its position."""
    names = list(task_names)
    if isinstance(key, Hashable) and key in names:
        position = names.index(key)
        if _is_bool(key) == _is_bool(names[position]):  # True is not 1 here
            return position
    have_numbers = _have_numbers(names)
    if _is_integer(key) and not have_numbers and 0 <= key < len(names):
        return int(key)
    where = "" if parameter is None else f", named in {parameter}"
    hint = did_you_mean(key, names)
    if _is_integer(key) and have_numbers:
        hint = (
            " Since names of tasks are numbers, an integer is a name and not a position: name the "
            f"task, or go by position in a list, list(...)[{key}]."
        )
    raise error(
        f"There is no task {quote(key)}{where}.{hint} "
        f"The tasks are {enumerate_some([repr(n) for n in names])}."
    )


def resolve_tasks(
    by_task: Mapping[Hashable, Any],
    task_names: Sequence[Hashable],
    error: type[Exception] = ValueError,
    *,
    parameter: str,
) -> dict[int, Any]:
    """Return what a parameter gives by task as {position: value}; refuse two for one task."""
    found: dict[int, Any] = {}
    for task, value in by_task.items():
        t = resolve_task(task, task_names, error, parameter=parameter)
        if t in found:
            raise error(f"{parameter} names task {quote(task_names[t])} twice.")
        found[t] = value
    return found


def _have_numbers(names: Iterable[Any]) -> bool:
    return any(isinstance(name, Number) or _is_bool(name) for name in names)


def _is_integer(key: Any) -> bool:
    return isinstance(key, Integral) and not isinstance(key, bool)


def _is_bool(key: Any) -> bool:
    return isinstance(key, (bool, np.bool_))


def _describe(item: Any) -> str:
    """Return an item as a line of text: its value if that is short, or its shape."""
    text = repr(item)
    if np.ndim(item) < 2 and len(text) <= _MAX_WIDTH and "\n" not in text:
        return text
    if isinstance(item, np.ndarray):
        return f"array of shape {item.shape}, {item.dtype}"
    return f"{type(item).__name__}{f' of {len(item)} items' if hasattr(item, '__len__') else ''}"


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
        if label in ("", "val") or label.startswith("val_"):
            label = f"task{position}:{label}"
        while label in labels:
            label = f"task{position}:{label}"
        labels.append(label)
    return tuple(labels)
