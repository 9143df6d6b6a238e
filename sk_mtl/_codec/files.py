"""Files: written completely or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil

__all__ = ["remove_file", "replace_file"]


def replace_file(path: str, content: bytes) -> None:
    """Write a file under a temporary name, and rename it to `path` in one step."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path!r} is a folder or a device, not a file.")
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise


def remove_file(path: str) -> None:
    """Remove a file, and the temporary ones of a killed process, if possible."""
    folder, name = os.path.split(path)
    leftovers = glob.glob(os.path.join(glob.escape(folder), f".{glob.escape(name)}.*.tmp"))
    for each in (path, *leftovers):
        with contextlib.suppress(OSError):
            os.remove(each)
