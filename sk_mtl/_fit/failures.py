"""Failures: of one of several workers, for which the others would wait.

Imports TensorFlow only if it is loaded, without which there are no workers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["telling_workers"]


@contextmanager
def telling_workers() -> Iterator[None]:
    """Tell the other workers of an error in a `with` block around a fit."""
    try:
        yield
    except Exception as error:
        if "tensorflow" in sys.modules:
            from sk_mtl._train.replicas import tell_failure

            tell_failure(error)
        raise
