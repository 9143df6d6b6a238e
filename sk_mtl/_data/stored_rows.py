"""Rows in files: what training reads of a table that is larger than memory.

Owns the files of encoded rows, and the parts of them that are in memory. Does not know where the
rows come from, nor in which order they are read.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Piece", "RowFile", "RowFormat", "Window", "apply_factors"]


class RowFormat(NamedTuple):
    """What a row of a file holds."""

    n_features: int
    n_tasks: int  # the learnable ones
    code_dtype: Any  # of class indices, a signed integer: -1 for a missing label
    has_weight: bool  # whether cells have weights other than 1

    @classmethod
    def of(cls, n_features: int, n_classes: Sequence[int], has_weight: bool) -> RowFormat:
        """Return the format for tasks of so many classes."""
        largest = max(n_classes, default=0)
        code_dtype = next(d for d in (np.int8, np.int16, np.int32) if largest <= np.iinfo(d).max)
        return cls(n_features, len(n_classes), np.dtype(code_dtype), has_weight)

    @property
    def n_bytes(self) -> int:
        """The size of a row."""
        of_cell = self.code_dtype.itemsize + 4 * self.has_weight
        return 4 * self.n_features + of_cell * self.n_tasks


class Window:
    """Rows in memory, as they are stored."""

    def __init__(self, row_format: RowFormat, n_rows: int):
        self.X = np.empty((n_rows, row_format.n_features), np.float32)
        self.codes = np.empty((n_rows, row_format.n_tasks), row_format.code_dtype)
        self.weight: np.ndarray | None = None
        if row_format.has_weight:
            self.weight = np.empty((n_rows, row_format.n_tasks), np.float32)

    def copy(self, rows: Any) -> Window:
        """Return some of the rows as another window."""
        copied = object.__new__(Window)
        copied.X, copied.codes = self.X[rows].copy(), self.codes[rows].copy()
        copied.weight = None if self.weight is None else self.weight[rows].copy()
        return copied

    def parts(self) -> list[np.ndarray]:
        """Return the arrays, in the order of the files."""
        return [self.X, self.codes, *(() if self.weight is None else (self.weight,))]


class Piece:
    """Some rows of windows, one after another, for the next steps.

    Parameters
    ----------
    parts : list of (Window, ndarray or slice)
        The rows of each window; they must stay as they are until the piece has been used.
    factors : list of ndarray or None
        The weights of the classes of each task; None if all are 1.
    """

    def __init__(self, parts: list[tuple[Window, Any]], factors: Sequence[np.ndarray] | None):
        self._parts = parts
        self._factors = factors
        self.shape = (len(self.codes), parts[0][0].X.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Piece:
        """Return some of the rows, by their positions or a slice, as a copy."""
        whole = object.__new__(Window)
        copies = [window.copy(chosen) for window, chosen in self._parts]
        whole.X = np.concatenate([window.X for window in copies])[rows]
        whole.codes = self._stored_codes[rows]
        whole.weight = None
        if copies[0].weight is not None:
            of_windows: list[Any] = [window.weight for window in copies]
            whole.weight = np.concatenate(of_windows)[rows]
        return Piece([(whole, slice(None))], self._factors)

    @cached_property
    def _stored_codes(self) -> np.ndarray:
        return np.concatenate([window.codes[rows] for window, rows in self._parts])

    @cached_property
    def codes(self) -> np.ndarray:
        """Class indices, int32 of shape (n_rows, n_tasks); 0 where missing."""
        return np.maximum(self._stored_codes, 0, dtype=np.int32)

    @cached_property
    def weight(self) -> np.ndarray:
        """Cell weights, float32 of shape (n_rows, n_tasks); 0 where missing."""
        weight = (self._stored_codes >= 0).astype(np.float32)
        if self._parts[0][0].weight is not None:
            of_windows: list[Any] = [(window.weight, rows) for window, rows in self._parts]
            weight *= np.concatenate([cells[rows] for cells, rows in of_windows])
        return weight if self._factors is None else apply_factors(weight, self.codes, self._factors)

    def write_X(self, out: np.ndarray) -> None:
        """Write the features of the rows into an array of their shape."""
        start = 0
        for window, rows in self._parts:
            n_rows = len(window.X[rows]) if isinstance(rows, slice) else len(rows)
            target = out[start : start + n_rows]
            if isinstance(rows, slice) or not target.flags.c_contiguous:
                target[...] = window.X[rows]
            else:
                np.take(window.X, rows, axis=0, out=target, mode="clip")
            start += n_rows


def apply_factors(
    weight: np.ndarray, codes: np.ndarray, factors: Sequence[np.ndarray]
) -> np.ndarray:
    """Return cell weights times class weights, as `weigh_classes` multiplies them."""
    weight = weight.copy()
    for t, factor in enumerate(factors):
        if (factor != 1).any():
            weight[:, t] = weight[:, t] * factor[codes[:, t]]
    return weight


class RowFile:
    """Rows in files of a folder, one each for features, class indices and weights.

    Parameters
    ----------
    folder : str
        Where the files are.
    name : str
        The beginning of their names.
    row_format : RowFormat
        What a row holds.
    hashes : bool, default=False
        Whether a digest of the content is computed.
    """

    def __init__(self, folder: str, name: str, row_format: RowFormat, *, hashes: bool = False):
        self.row_format = row_format
        self.n_rows = 0
        kinds = ("X", "codes", "weight")[: 3 if row_format.has_weight else 2]
        self._paths = [os.path.join(folder, f"{name}-{kind}.bin") for kind in kinds]
        self._files: list[Any] = [open(path, "w+b", buffering=0) for path in self._paths]  # noqa: SIM115
        if os.name == "posix":
            # Without names, nothing of them is left when the process is killed.
            for path in self._paths:
                os.remove(path)
        self._hashed = [hashlib.blake2b(digest_size=16) for _ in kinds] if hashes else []
        self._lock = threading.Lock()  # a file has one position

    def append(self, X: np.ndarray, codes: np.ndarray, weight: np.ndarray | None) -> None:
        """Write further rows; missing labels have the code -1."""
        codes = codes.astype(self.row_format.code_dtype)
        arrays = [X, codes, weight][: len(self._files)]
        for number, array in enumerate(arrays):
            content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            self._write(number, content)
            if self._hashed:
                self._hashed[number].update(content)
        self.n_rows += len(X)

    def _write(self, number: int, content: memoryview) -> None:
        try:
            written = 0
            while written < len(content):
                written += self._files[number].write(content[written:]) or 0
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}. The table is stored as float32 while it is fitted; name a "
                "folder with enough room by folder=",
                self._paths[number],
            ) from error

    def read(self, start: int, stop: int, window: Window, at: int = 0) -> None:
        """Read rows from `start` on into a window, from its row `at` on."""
        for number, array in enumerate(window.parts()):
            target = array[at : at + stop - start]
            content = target.reshape(-1).view(np.uint8).data
            offset = start * target.itemsize * target.shape[1]
            with self._lock:
                self._files[number].seek(offset)
                n_read = 0
                while n_read < len(content):
                    n = self._files[number].readinto(content[n_read:])
                    if not n:
                        raise OSError(f"{self._paths[number]} ends too early: was it changed?")
                    n_read += n

    def windows(self, n_rows: int) -> Iterator[Window]:
        """Yield all rows in their order, so many at a time; each window is made anew."""
        for start in range(0, self.n_rows, n_rows):
            stop = min(start + n_rows, self.n_rows)
            window = Window(self.row_format, stop - start)
            self.read(start, stop, window)
            yield window

    def content(self) -> list[str]:
        """Return the digests of the files, if they are computed."""
        return [hashed.hexdigest() for hashed in self._hashed]

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()
