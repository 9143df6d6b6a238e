"""What every test shares: a quiet TensorFlow, figures without a window, repeatable properties."""

import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

from fnmatch import fnmatchcase
from itertools import product

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("bad_input", "searches")

# Compiling a network takes longer than Hypothesis expects of one example.
_patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, database=None, **_patient)
settings.register_profile("long", max_examples=2000, print_blob=True, **_patient)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser):
    parser.addoption(
        "--one-variant", action="store_true", help="run one variant of each parametrized test"
    )


@pytest.hookimpl(tryfirst=True)  # before "-m 'not slow'" chooses
def pytest_collection_modifyitems(config, items):
    """Mark the variants that ``slow_except`` or ``release_except`` does not name."""
    _leave_out_second_copies(items)
    named, found = set(), set()
    for item, kind in product(items, ("slow", "release")):
        for mark in item.iter_markers(f"{kind}_except"):
            fitting = {name for name in mark.args if fnmatchcase(item.callspec.id, name)}
            if not fitting:
                item.add_marker(kind)
            named |= {(item.originalname, kind, name) for name in mark.args}
            found |= {(item.originalname, kind, name) for name in fitting}
    for item in items:
        if item.get_closest_marker("release"):
            item.own_markers = [mark for mark in item.own_markers if mark.name != "slow"]
    # A misspelt name would mark all variants. Of one variant asked for by its id, or of those
    # that failed last, the others are not here to be compared with.
    is_partial = any("::" in name for name in config.args) or config.getoption("lf", False)
    if named != found and not is_partial:
        raise pytest.UsageError(f"no variant is called so: {sorted(named - found)}")
    if config.getoption("one_variant"):
        _keep_one_variant(config, items)


def _leave_out_second_copies(items):
    """Leave out examples of a private module that the public one has as well."""
    examples = [item for item in items if isinstance(item, pytest.DoctestItem)]
    public = {item.dtest.docstring for item in examples if ".__test__." not in item.name}
    copies = {
        item for item in examples if ".__test__." in item.name and item.dtest.docstring in public
    }
    items[:] = [item for item in items if item not in copies]


def _keep_one_variant(config, items):
    """Deselect all variants of a test but the first that runs by default."""
    kept, left_out, seen = [], [], set()
    for item in items:
        name = item.nodeid.partition("[")[0]
        is_other = hasattr(item, "callspec") and name in seen
        (left_out if is_other else kept).append(item)
        if not any(item.get_closest_marker(kind) for kind in ("slow", "release")):
            seen.add(name)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.fixture
def heeds_ctrl_c():
    """Interruptions raise, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
