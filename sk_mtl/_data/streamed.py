"""What a fit learns of rows that come in blocks: sums and a sample, for tables beyond memory.

Owns the sums over blocks. Does not know where the rows come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sk_mtl._data.statistics import FeatureStatistics

__all__ = ["ClassTotals", "FeatureSums", "RowSample", "mix_bits"]

_BLOCK_CELLS = 2**17  # of float64: they should stay in a cache
# Of the rows from which bins are learned: quantiles of so many are those of all to .2 %.
_SAMPLED_ROWS = 2**18
_SAMPLED_BYTES = 2**26
_SLACK = 1.25  # how many more may be kept for a moment


def mix_bits(numbers: np.ndarray) -> np.ndarray:
    """Return, for integers of 64 bits, others that look random (splitmix64)."""
    z = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class ClassTotals:
    """The weight of each class of each task."""

    def __init__(self, n_classes: Sequence[int]):
        self.of_task = [np.zeros(n) for n in n_classes]

    def add(self, codes: np.ndarray, weight: np.ndarray) -> None:
        """Add rows; missing labels have weight 0."""
        for t, totals in enumerate(self.of_task):
            np.add.at(totals, codes[:, t], weight[:, t])  # one after another, as `bincount`

    def __add__(self, other: ClassTotals) -> ClassTotals:
        both = ClassTotals([len(totals) for totals in self.of_task])
        both.of_task = [a + b for a, b in zip(self.of_task, other.of_task, strict=True)]
        return both


class FeatureSums:
    """Weighted sums over blocks of rows, from which the statistics of features follow.

    Parameters
    ----------
    n_features : int
        The number of features.
    n_categories : sequence of int
        By feature, the number of categories that it is coded by; 0 for a number.
    """

    def __init__(self, n_features: int, n_categories: Sequence[int]):
        self.total = 0.0  # weight of all rows
        self.missing, self.mean, self.spread = np.zeros((3, n_features))
        self.low, self.high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
        self.has_more = np.zeros(n_features, bool)  # than two values
        # The last is the weight of missing cells.
        self.of_codes = {j: np.zeros(n + 1) for j, n in enumerate(n_categories) if n}

    def add(self, X: np.ndarray, weight: np.ndarray) -> None:
        """Add rows, float32 of shape (n_rows, n_features), with their weights."""
        for j, totals in self.of_codes.items():
            codes = np.where(np.isnan(X[:, j]), len(totals) - 1, X[:, j]).astype(np.int64)
            totals += np.bincount(codes, weight, minlength=len(totals))
        for rows in _blocks(X):
            self._add_block(X[rows], weight[rows].astype(np.float64))

    def _add_block(self, X: np.ndarray, weight: np.ndarray) -> None:
        low, high = np.fmin.reduce(X, axis=0), np.fmax.reduce(X, axis=0)
        low, high = np.where(np.isnan(low), np.inf, low), np.where(np.isnan(high), -np.inf, high)
        self._note_values(X, low, high)
        x, times = X.astype(np.float64), weight[:, None]
        is_missing = np.isnan(x)
        total, missing = weight.sum(), np.zeros(X.shape[1])
        if is_missing.any():
            missing = (times * is_missing).sum(axis=0)
            x[is_missing] = 0
        known = total - missing
        mean = np.divide((times * x).sum(axis=0), known, out=np.zeros_like(known), where=known > 0)
        x -= mean
        x[is_missing] = 0
        x *= x
        x *= times
        self._merge(total, missing, mean, x.sum(axis=0))

    def _note_values(self, X: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Note the smallest and the largest value of a block, and whether there are others."""
        few = np.flatnonzero(~self.has_more)
        if len(few):
            x = X[:, few]
            self.has_more[few] = ((x != low[few]) & (x != high[few]) & ~np.isnan(x)).any(axis=0)
        values = np.sort([self.low, self.high, low, high], axis=0)
        is_new = np.isfinite(values)
        is_new[1:] &= values[1:] != values[:-1]
        self.has_more |= is_new.sum(axis=0) > 2
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)

    def _merge(
        self, total: float, missing: np.ndarray, mean: np.ndarray, spread: np.ndarray
    ) -> None:
        """Add the sums of other rows (Chan, Golub & LeVeque 1979)."""
        before, known = self.total - self.missing, total - missing
        both = before + known
        share = np.divide(known, both, out=np.zeros_like(both), where=both > 0)
        apart = mean - self.mean
        self.spread = self.spread + spread + apart**2 * before * share
        self.mean = self.mean + apart * share
        self.missing, self.total = self.missing + missing, self.total + total

    def __add__(self, other: FeatureSums) -> FeatureSums:
        both = FeatureSums(len(self.mean), ())
        both.of_codes = {j: totals + other.of_codes[j] for j, totals in self.of_codes.items()}
        for part in (self, other):
            both._note_values(np.empty((0, len(self.mean)), np.float32), part.low, part.high)
            both._merge(part.total, part.missing, part.mean, part.spread)
        both.has_more |= self.has_more | other.has_more
        return both

    def statistics(self) -> FeatureStatistics:
        """Return the statistics, as `learn_statistics` defines them."""
        is_binary, known = ~self.has_more, self.total - self.missing
        with np.errstate(divide="ignore", invalid="ignore"):
            width = np.where(is_binary, self.high - self.low, np.sqrt(self.spread / known))
            scale = 1 / width
        varies = self.high > self.low
        scale = np.where(varies, np.minimum(scale, np.finfo(np.float32).max), 0)
        mean = np.where(self.low == self.high, self.low, self.mean)
        share = self.missing / self.total if self.total else self.missing
        return FeatureStatistics(
            mean.astype(np.float32), scale.astype(np.float32), share, is_binary | ~varies
        )


class RowSample:
    """A uniform sample of the rows, as large as memory for it allows.

    Parameters
    ----------
    n_bytes : int
        The size of a row.
    """

    # Each row has a random number that depends on its position only; those with the smallest ones
    # are kept.

    def __init__(self, n_bytes: int):
        self._most = int(min(_SAMPLED_ROWS, max(_SAMPLED_BYTES // max(n_bytes, 1), 1)))
        self._kept: list[tuple[np.ndarray, ...]] = []
        self._n_kept = self._n_rows = 0
        self._limit = np.uint64(2**64 - 1)

    def add(self, *arrays: np.ndarray) -> None:
        """Offer rows: arrays of as many rows."""
        n_rows = len(arrays[0])
        numbers = mix_bits(np.arange(self._n_rows, self._n_rows + n_rows))
        self._n_rows += n_rows
        rows = np.flatnonzero(numbers <= self._limit)
        self._kept.append((numbers[rows], *(array[rows] for array in arrays)))
        self._n_kept += len(rows)
        if self._n_kept > _SLACK * self._most:
            self._thin_out()

    def _thin_out(self) -> None:
        kept = tuple(map(np.concatenate, zip(*self._kept, strict=True)))
        if len(kept[0]) > self._most:
            self._limit = np.partition(kept[0], self._most - 1)[self._most - 1]
            is_kept = kept[0] <= self._limit
            kept = tuple(array[is_kept] for array in kept)
        self._kept, self._n_kept = [kept], len(kept[0])

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays of the rows that were kept, in their order."""
        self._thin_out()
        return list(self._kept[0][1:])


def _blocks(X: np.ndarray) -> Iterator[slice]:
    n_rows = max(_BLOCK_CELLS // max(X.shape[1], 1), 1)
    for start in range(0, len(X), n_rows):
        yield slice(start, start + n_rows)
