"""Processes: what a forked one must not do.

Owns the knowledge which process has TensorFlow at work. Its threads do not live on in a fork, which
would wait for them for ever.
"""

from __future__ import annotations

import os

__all__ = ["refuse_fork"]

_process_at_work: int | None = None


def refuse_fork() -> None:
    """Refuse to go on in a process that was forked from one in which TensorFlow was at work.

    To be called before this package lets TensorFlow compute.

    Raises
    ------
    RuntimeError
        If this package has let it compute in the parent, before the fork.
    """
    global _process_at_work  # noqa: PLW0603 - a fact about the process
    if _process_at_work is None:
        _process_at_work = os.getpid()
    elif _process_at_work != os.getpid():
        raise RuntimeError(
            "This process was forked from one in which an estimator of sk_mtl had been fitted or "
            "had predicted. TensorFlow's threads are missing here, and it would wait for them for "
            "ever. Use joblib's backend 'loky', or start processes by multiprocessing's "
            "'forkserver' or 'spawn', or fork before the first fit."
        )
