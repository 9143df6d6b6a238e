"""Locks of objects that are copied and pickled: kept apart, so that neither takes a lock along."""

from __future__ import annotations

import os
import threading
from weakref import WeakKeyDictionary

__all__ = ["lock_of"]

_locks: WeakKeyDictionary[object, threading.RLock] = WeakKeyDictionary()
_lock_of_locks = threading.Lock()


def lock_of(owner: object) -> threading.RLock:
    """Return the lock of an object in this process, always the same one."""
    with _lock_of_locks:
        return _locks.setdefault(owner, threading.RLock())


def _forget_locks() -> None:
    """Start without locks in a forked process, where their holders do not run."""
    global _locks, _lock_of_locks
    _locks, _lock_of_locks = WeakKeyDictionary(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
