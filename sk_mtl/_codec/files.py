"""Files: written completely or not at all."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

__all__ = ["check_writable", "open_folder", "remove_file", "replace_file", "replaced_file"]


def check_writable(path: str) -> None:
    """Refuse a path at which no file could be written, before anything is computed for it."""
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder. Name a file.")
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise ValueError(f"{path} cannot be written: there is no folder {folder}.")


def replace_file(path: str, content: bytes) -> None:
    """Write a file under a temporary name, and rename it to `path` in one step."""
    with replaced_file(path) as opened:
        opened.write(content)


@contextlib.contextmanager
def replaced_file(path: str) -> Iterator[BinaryIO]:
    """Yield a file under a temporary name, which is renamed to `path` at the end of the block."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path!r} is a folder or a device, not a file.")
    temporary = f"{_temporary_stem(path)}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        if isinstance(error, OSError) and error.filename == temporary:
            raise OSError(error.errno, error.strerror, path) from error
        raise


def remove_file(path: str) -> None:
    """Remove a file, and the temporary ones of a killed process, if possible."""
    leftovers = glob.glob(f"{glob.escape(_temporary_stem(path))}.*.tmp")
    for each in (path, *leftovers):
        with contextlib.suppress(OSError):
            os.remove(each)


def _temporary_stem(path: str) -> str:
    """Return the beginning of a file's temporary names: short, whatever the length of its own."""
    folder, name = os.path.split(path)
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return os.path.join(folder, f".{name[:20]}.{digest}")


def open_folder(folder: Any) -> str:
    """Return the path of a folder for checkpoints, which is created if necessary."""
    path = os.path.abspath(os.fsdecode(folder))
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(
            f"checkpoint must be a folder that can be written to. {path!r} is not: {error}."
        ) from error
    return path
