"""Forked processes, in which TensorFlow would wait forever for threads that the fork lacks.

Owns which process has used TensorFlow.
"""

from __future__ import annotations

import os
import sys

__all__ = ["refuse_fork"]

_process_at_work: int | None = None


def refuse_fork() -> None:
    """Refuse a process forked after TensorFlow was used; call this before any computation."""
    global _process_at_work  # noqa: PLW0603 - a fact about the process
    if _process_at_work is None:
        _process_at_work = os.getpid()
    elif _process_at_work != os.getpid():
        raise RuntimeError(
            "This process was forked from one that had used TensorFlow: an estimator was fitted "
            "there, its model_ or summary() was asked for, a network of your own was loaded, or "
            "other code computed with TensorFlow or Keras. TensorFlow's threads are missing "
            "here, and it would wait for them forever. Built-in networks predict without "
            "TensorFlow, here too. For everything else use joblib's backend 'loky', or start "
            "processes by multiprocessing's 'forkserver' or 'spawn', or fork before TensorFlow is "
            "used."
        )


def _note_use_before_fork() -> None:
    """Remember, in a forked process, that its parent had used TensorFlow."""
    global _process_at_work  # noqa: PLW0603 - a fact about the process
    if _process_at_work is None and _has_tensorflow_started():
        _process_at_work = os.getppid()


def _has_tensorflow_started() -> bool:
    """Return whether TensorFlow has made its threads, which it does at the first tensor."""
    if "tensorflow" not in sys.modules:
        return False
    try:
        context = sys.modules["tensorflow.python.eager.context"]._context
        return context is not None and context._context_handle is not None
    except (KeyError, AttributeError):  # other names in another version: rather refuse than hang
        return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_use_before_fork)
