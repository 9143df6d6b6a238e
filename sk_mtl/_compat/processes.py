"""Forked processes, in which TensorFlow would wait forever for threads that the fork lacks.

Owns which process has used TensorFlow.
"""

from __future__ import annotations

import os

__all__ = ["refuse_fork"]

_process_at_work: int | None = None


def refuse_fork() -> None:
    """Refuse a process forked after TensorFlow was used; call this before any computation."""
    global _process_at_work  # noqa: PLW0603 - a fact about the process
    if _process_at_work is None:
        _process_at_work = os.getpid()
    elif _process_at_work != os.getpid():
        raise RuntimeError(
            "This process was forked from one in which an estimator of sk_mtl had been fitted or "
            "had predicted. TensorFlow's threads are missing here, and it would wait for them "
            "forever. Use joblib's backend 'loky', or start processes by multiprocessing's "
            "'forkserver' or 'spawn', or fork before the first fit."
        )
