"""The time of a search: when it must stop to end on time."""

from __future__ import annotations

from time import monotonic

__all__ = ["Budget"]


class Budget:
    """Seconds from its creation on, part of which is left for the last fit, to all rows.

    Parameters
    ----------
    max_time : float or None
        Seconds; None for no limit.
    refits : bool
        Whether the best candidate is fitted to all rows at the end.
    """

    def __init__(self, max_time: float | None, refits: bool):
        self._start = self._last = monotonic()
        self._max_time = max_time
        self._refits = refits
        self._longest_wait = 0.0
        self._longest_fit = 0.0

    def begin_waiting(self) -> None:
        """Take note that fits begin."""
        self._last = monotonic()

    def note_fit(self, seconds: float) -> None:
        """Take note of a fit that is done, and how long it took."""
        now = monotonic()
        # Fits may come one by one, or many at once after a long time.
        self._longest_wait = max(self._longest_wait, now - self._last)
        self._longest_fit = max(self._longest_fit, seconds)
        self._last = now

    def is_used_up(self) -> bool:
        """Return whether most of the next fit would be late."""
        if self._max_time is None:
            return False
        end = monotonic() + self._longest_wait / 2 + self._refits * self._longest_fit
        return end - self._start > self._max_time

    def seconds_left(self) -> float | None:
        """Return the seconds until the last fit should begin; None without a limit."""
        if self._max_time is None:
            return None
        end = self._start + self._max_time - self._refits * self._longest_fit
        return max(end - monotonic(), 0.0)
