"""What commands share on a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

__all__ = ["plain_warnings", "quiet_import"]


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Suppress output of libraries on import, unless it fails.

    TensorFlow writes its first lines before it reads its log settings.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(terminal, held_back.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Print warnings as sentences within a `with` block, without the line of code."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(
            f"Warning: {message}", file=sys.stderr
        )
        yield
