"""Files: written completely or not at all."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import secrets
import shutil
import tempfile
from typing import Any

__all__ = ["open_folder", "remove_file", "replace_file"]


def replace_file(path: str, content: bytes) -> None:
    """Write a file under a temporary name, and rename it to `path` in one step."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path!r} is a folder or a device, not a file.")
    temporary = f"{_temporary_stem(path)}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as opened:
            opened.write(content)
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
