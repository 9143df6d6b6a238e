"""Windows: the order of the rows of an epoch where these are in files.

The rows are cut into blocks, whose order is drawn; some blocks at a time are read into a window,
and its rows are shuffled. So every row comes once per epoch, and files are read in large parts. A
thread reads the next window while one trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from sk_mtl._data.stored_rows import Piece, Window
from sk_mtl._data.table_dataset import StoredRows, StoredSubset
from sk_mtl._train.batching import LabelAwareOrder, RandomOrder
from sk_mtl._train.config import RunConfig

__all__ = ["EpochRows", "WindowOrder"]

_BLOCK_BYTES = 2**22
_MIN_BLOCKS = 16  # of a window: neighbours in the table should rarely meet in a batch


class WindowOrder:
    """Shuffles rows of files, window by window.

    Parameters
    ----------
    training : StoredSubset
        The rows.
    run : RunConfig
        How the rows of a window are ordered.
    """

    def __init__(self, training: StoredSubset, run: RunConfig):
        rows: StoredRows = training.rows  # type: ignore[assignment]
        self.rows, self.run = rows, run
        self.n_rows = len(rows)
        of_a_block = _BLOCK_BYTES // training.row_format.n_bytes
        self.block_rows = max(min(of_a_block, training.window_rows // _MIN_BLOCKS), 1)
        self.n_blocks = max(training.window_rows // self.block_rows, 1)  # of a window
        self._window_shape = (training.row_format, self.n_blocks * self.block_rows)
        self.windows: list[Window] = []  # by turns
        self._thread: ThreadPoolExecutor | None = None
        self._epoch: EpochRows | None = None

    def draw(self, rng: np.random.Generator) -> EpochRows:
        """Begin an epoch, and return its rows in their order."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sk_mtl_windows")
            self.windows = [Window(*self._window_shape) for _ in range(2)]
        if self._epoch is not None:
            self._epoch.finish()  # it may be left before its end
        self._epoch = EpochRows(self, self._thread, rng)
        return self._epoch

    def read(self, blocks: np.ndarray, window: Window) -> int:
        """Read blocks into a window, and return the number of rows."""
        n_read = 0
        for start in np.sort(blocks).astype(np.int64) * self.block_rows:
            stop = min(int(start) + self.block_rows, self.n_rows)
            self.rows.read(int(start), stop, window, n_read)
            n_read += stop - int(start)
        return n_read

    def order(self, window: Window, n_rows: int) -> RandomOrder | LabelAwareOrder:
        """Return what orders the rows of a window."""
        if self.run.batching == "random":
            return RandomOrder(n_rows)
        piece = Piece([(window, slice(0, n_rows))], self.rows.factors)
        return LabelAwareOrder(piece.weight > 0, self.run.batch_size)

    def close(self) -> None:
        """End the thread, and give the memory back."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
        self._thread, self._epoch, self.windows = None, None, []


class EpochRows:
    """The rows of an epoch in their order: a slice is a piece; each follows the last one."""

    # A piece can be used until the next one is taken.

    def __init__(self, order: WindowOrder, thread: ThreadPoolExecutor, rng: np.random.Generator):
        self._order = order
        self._thread = thread
        self._rng = rng
        blocks = rng.permutation(-(-order.n_rows // order.block_rows))
        starts = range(0, len(blocks), order.n_blocks)
        self._groups: Iterator[np.ndarray] = iter(
            [blocks[start : start + order.n_blocks] for start in starts]
        )
        self._n_begun = 0
        self._window, self._rows = order.windows[1], np.zeros(0, np.int64)
        self._position = self._next_row = 0  # within the window, and within the epoch
        self._next: Future[tuple[Window, np.ndarray]] | None = None
        self._read_ahead()

    def __len__(self) -> int:
        return self._order.n_rows

    def __getitem__(self, part: slice) -> Piece:
        start, stop, _ = part.indices(len(self))
        if start != self._next_row:
            raise IndexError(f"The next row is {self._next_row}. Got {start}.")
        self._next_row = stop
        parts: list[tuple[Window, np.ndarray | slice]] = []
        n_left = stop - start
        while n_left:
            if self._position == len(self._rows):
                # What is left of a window is copied: another one is read in its place.
                parts = [(window.copy(rows), slice(None)) for window, rows in parts]
                self._take_next()
            rows = self._rows[self._position : self._position + n_left]
            parts.append((self._window, rows))
            self._position += len(rows)
            n_left -= len(rows)
        return Piece(parts, self._order.rows.factors)

    def finish(self) -> None:
        """Wait for what is being read."""
        if self._next is not None:
            self._next.exception()
            self._next = None

    def _take_next(self) -> None:
        """Go on to the next window, and let the one after it be read in place of the last one."""
        assert self._next is not None  # there are rows left
        self._window, self._rows = self._next.result()
        self._next, self._position = None, 0
        self._read_ahead()

    def _read_ahead(self) -> None:
        """Let the thread read the next window, if there is one."""
        blocks = next(self._groups, None)
        if blocks is not None:
            window = self._order.windows[self._n_begun % 2]
            self._n_begun += 1
            self._next = self._thread.submit(self._read, blocks, window)

    def _read(self, blocks: np.ndarray, window: Window) -> tuple[Window, np.ndarray]:
        n_rows = self._order.read(blocks, window)
        return window, self._order.order(window, n_rows).draw(self._rng)
