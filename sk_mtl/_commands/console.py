"""What commands share on a terminal: quiet imports, plain messages, and the exit status."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["plain_warnings", "quiet_import", "run_command", "tell", "warn"]


def run_command(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    arguments: Sequence[str],
) -> int:
    """Run a command; return its exit status: 2 for what the user has to change, 130 for Ctrl-C."""
    options = parser.parse_args(_join_negative(arguments))
    try:
        with plain_warnings():
            run(options)
    except KeyboardInterrupt:
        print("Interrupted. Outputs that are not written yet are as they were.", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"Error: {_describe_os_error(error)}", file=sys.stderr)
        return 2
    except (ValueError, TypeError, ImportError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


def _join_negative(arguments: Sequence[str]) -> list[str]:
    """Return arguments in which a list that begins with a negative number is no option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1].startswith("--") and re.match(r"-\.?\d", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _describe_os_error(error: OSError) -> str:
    """Return the sentence of an error of the operating system, without its number."""
    if error.filename is None or not error.strerror:
        return str(error)
    return f"{os.fsdecode(error.filename)}: {error.strerror}."


def tell(sentences: Iterable[str]) -> None:
    """Print notes for the user, apart from the results."""
    for sentence in sentences:
        print(f"Note: {sentence}", file=sys.stderr)


def warn(sentences: Iterable[str]) -> None:
    """Print what the user has to know in any case, as warnings of the estimator are printed."""
    for sentence in sentences:
        print(f"Warning: {sentence}", file=sys.stderr)


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
