"""Parcels: how the fits of a search are divided among the workers of a cluster.

Owns which fits are sent together, and to which worker. A worker keeps its compiled programs, so it
goes on with fits that share the last one. Does not send.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

from sk_mtl._search.evaluation import Todo

__all__ = ["Parcels", "cut_evenly", "cut_groups"]

# Trainings that one call makes side by side at most, and how many there must be of a program.
_AT_ONCE = 8
_MIN_FITS = 16
# Parcels by worker, where there are fits enough: later ones even out what takes longer.
_PER_WORKER = 4


class Parcels:
    """Fits that wait for a worker.

    Parameters
    ----------
    groups : sequence of (sequence of sequence of Todo)
        The parcels of each group. Those of a group share compiled programs.
    """

    def __init__(self, groups: Sequence[Sequence[Sequence[Todo]]]):
        self._waiting = [deque(parcels) for parcels in groups]
        self._group_of: dict[Hashable, int] = {}  # the last one of each worker

    def __len__(self) -> int:
        return sum(map(len, self._waiting))

    def next_for(self, worker: Hashable) -> Sequence[Todo] | None:
        """Take a parcel for a worker; None if nothing waits."""
        last = self._group_of.get(worker)
        if last is None or not self._waiting[last]:
            last = self._choose_group()
        if last is None:
            return None
        self._group_of[worker] = last
        return self._waiting[last].popleft()

    def _choose_group(self) -> int | None:
        """Return the group that has the most parcels for each of its workers."""
        n_workers = [1] * len(self._waiting)
        for group in self._group_of.values():
            n_workers[group] += 1
        left = [len(parcels) / n for parcels, n in zip(self._waiting, n_workers, strict=True)]
        return left.index(max(left)) if any(left) else None


def cut_evenly(todo: Sequence[Todo], n_workers: int) -> list[Sequence[Todo]]:
    """Cut fits into as many parcels as there are workers, a fold's fits side by side."""
    # The steps before the last one are fitted once for all fits of a parcel that share a fold.
    in_order = sorted(todo, key=lambda fit: (fit.split, fit.candidate))
    size = max(-(-len(todo) // max(n_workers, 1)), 1)
    return _cut(in_order, size)


def cut_groups(
    todo: Sequence[Todo], groups: Sequence[Hashable], n_workers: int, n_threads: int, by_fold: bool
) -> list[list[Sequence[Todo]]]:
    """Cut the fits of each group into parcels.

    Parameters
    ----------
    todo : sequence of Todo
        The fits.
    groups : sequence of Hashable
        The group of each.
    n_workers, n_threads : int
        The number of workers, and that of the threads with which each of them trains.
    by_fold : bool
        Whether the fits to a fold go together, which share its rows; otherwise those of a
        candidate, so that the first ones are evaluated before the last ones begin.

    Returns
    -------
    parcels : list of list of (sequence of Todo)
        The parcels of each group.
    """
    found: dict[Hashable, list[Todo]] = {}
    for fit, group in zip(todo, groups, strict=True):
        found.setdefault(group, []).append(fit)
    cut = []
    for fits in found.values():
        if by_fold:
            fits.sort(key=lambda fit: (fit.split, fit.candidate))
        cut.append(_cut(fits, _find_size(len(fits), n_workers, n_threads)))
    return cut


def _find_size(n_fits: int, n_workers: int, n_threads: int) -> int:
    """Return how many fits of a group a worker is sent at a time."""
    share = -(-n_fits // max(n_workers, 1))
    least = n_threads * (_AT_ONCE if n_fits >= _MIN_FITS else 1)
    wanted = max(share // _PER_WORKER, least)
    return min(wanted - wanted % least, share)


def _cut(fits: Sequence[Todo], size: int) -> list[Sequence[Todo]]:
    return [fits[start : start + size] for start in range(0, len(fits), size)]
