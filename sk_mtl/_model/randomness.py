"""The random state of the process while Keras builds a model."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator

import numpy as np

__all__ = ["fixed_randomness"]

_RANDOMNESS_LOCK = threading.RLock()


@contextlib.contextmanager
def fixed_randomness(seed: int) -> Iterator[None]:
    """Seed the random numbers that Keras draws while building, and restore the state afterwards."""
    # Initializers and dropout without a seed draw one from Python's global `random`; user code may
    # use NumPy's. One thread at a time.
    with _RANDOMNESS_LOCK:
        python_state = random.getstate()
        numpy_state = np.random.get_state()  # noqa: NPY002 - restored below
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - for builders that use it
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
