"""Which backend of joblib is active."""

import sys
from types import ModuleType

import joblib
import pytest
from joblib._parallel_backends import SequentialBackend

from sk_mtl._compat.joblib_backends import find_cluster


class RayBackend(SequentialBackend):
    default_n_jobs = 1


@pytest.fixture
def ray(monkeypatch):
    module = ModuleType("ray.util.joblib.ray_backend")
    module.RayBackend = RayBackend
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize(
    "config", [{}, {"n_jobs": 2}, {"backend": "loky", "n_jobs": 2}, {"backend": "threading"}]
)
def test_one_machine_is_no_cluster(config):
    with joblib.parallel_config(**config):
        assert find_cluster() is None


@pytest.mark.parametrize(
    ("n_jobs", "is_cluster"), [(-1, True), (2, True), (1, False), (None, False)]
)
def test_cluster_is_used_for_several_jobs(ray, n_jobs, is_cluster):
    with joblib.parallel_config(RayBackend(), n_jobs=n_jobs):
        found = find_cluster()
    assert (found is not None) == is_cluster
    if found is not None:
        assert (found.engine, found.n_jobs) == ("ray", n_jobs)
