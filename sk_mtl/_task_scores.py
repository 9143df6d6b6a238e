"""The score of each task, heard by whoever has asked for a mean over tasks."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["hearing_task_scores", "tell_task_scores"]

_Told = list[tuple[Any, Mapping[Hashable, float]]]
_told: ContextVar[_Told | None] = ContextVar("told", default=None)


@contextmanager
def hearing_task_scores() -> Iterator[_Told]:
    """Collect the scores told in a `with` block, as (who scored, {task: score})."""
    told: _Told = []
    token = _told.set(told)
    try:
        yield told
    finally:
        _told.reset(token)


def tell_task_scores(scorer: Any, scores: Mapping[Hashable, float]) -> None:
    """Tell the scores of the tasks whose mean is about to be returned, if anyone listens."""
    told = _told.get()
    if told is not None:
        told.append((scorer, scores))
