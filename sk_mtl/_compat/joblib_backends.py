"""joblib's backends: which one is active, and whether its workers may be on other machines.

Uses private modules of joblib and Ray, and imports neither Dask nor Ray.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from joblib.parallel import get_active_backend

__all__ = ["Cluster", "find_cluster"]


class Cluster(NamedTuple):
    """A cluster that joblib's active backend stands for."""

    engine: str  # {"dask", "ray"}
    backend: Any
    n_jobs: int  # that joblib would run at once, as it was asked for; -1 for all


def find_cluster() -> Cluster | None:
    """Return the cluster of joblib's active backend; None for one machine, or a single job."""
    backend, n_jobs = get_active_backend()
    n_jobs = backend.default_n_jobs if n_jobs is None else n_jobs
    if n_jobs == 1:
        return None
    if _is_of(backend, "joblib._dask", "DaskDistributedBackend"):
        return None if _is_in_dask_task() else Cluster("dask", backend, n_jobs)
    if _is_of(backend, "ray.util.joblib.ray_backend", "RayBackend"):
        return Cluster("ray", backend, n_jobs)
    return None


def _is_of(backend: Any, module: str, name: str) -> bool:
    """Return whether a backend is of a class, whose module is imported if it is."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(backend, kind)


def _is_in_dask_task() -> bool:
    """Return whether a worker of Dask runs this; it should not wait for others there."""
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True
