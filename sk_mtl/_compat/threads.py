"""Threads: how many this process may compute with."""

from __future__ import annotations

from functools import lru_cache

from threadpoolctl import ThreadpoolController

__all__ = ["compute_thread_limit"]


def compute_thread_limit() -> int:
    """Return the number of threads that BLAS may use now, as set by OMP_NUM_THREADS or joblib."""
    limits = [library["num_threads"] for library in _controller().info() if _is_blas(library)]
    return max(limits, default=1)


def _is_blas(library: dict[str, object]) -> bool:
    return library["user_api"] == "blas"


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    # Looking for the libraries takes longer than asking them.
    return ThreadpoolController()
