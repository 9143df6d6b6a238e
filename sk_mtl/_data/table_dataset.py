"""The dataset of a table that was read by batch: rows in memory if they fit, else in files.

Owns what a fit needs to know of rows that are in files. Does not read tables, nor train.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from sk_mtl._data.categories import Categories
from sk_mtl._data.class_weight import fit_class_factors, weigh_classes
from sk_mtl._data.dataset import Dataset, Subset, UnlabelledSubset
from sk_mtl._data.input_encoder import InputEncoder, learn_input
from sk_mtl._data.schema import EncodedTargets
from sk_mtl._data.stored_rows import Piece, RowFile, RowFormat, Window, apply_factors
from sk_mtl._data.streamed import ClassTotals, FeatureSums, RowSample

__all__ = ["RowStore", "StoredSubset", "TableDataset", "load_rows"]

_BLOCK_BYTES = 2**22  # read at once where all rows are read in their order


class RowStore:
    """Rows in files, with what is learned of them while they are written.

    Parameters
    ----------
    file : RowFile
        The files.
    n_classes : sequence of int
        The number of classes of each learnable task.
    n_categories : sequence of int
        By feature, the number of categories that it is coded by; 0 for a number.
    sums_features : bool
        Whether features are summed up by the weights that are stored.
    """

    def __init__(
        self,
        file: RowFile,
        n_classes: Sequence[int],
        n_categories: Sequence[int],
        *,
        sums_features: bool,
    ):
        self.file = file
        self.n_categories = n_categories
        self.totals = ClassTotals(n_classes)
        self.sums = FeatureSums(file.row_format.n_features, n_categories) if sums_features else None
        self.sample = RowSample(file.row_format.n_bytes)

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return self.file.n_rows

    def append(self, X: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> None:
        """Write further rows; missing labels have weight 0."""
        if not len(X):
            return
        stored = np.where(weight > 0, codes, -1)
        self.file.append(X, stored, weight)
        self.totals.add(codes, weight)
        self.sample.add(X, codes, weight)
        if self.sums is not None:
            self.sums.add(X, weight.max(axis=1))


@dataclass(frozen=True, eq=False)
class StoredSubset(Subset):
    """Rows in files: `rows` is their number, and what is taken of it, a piece."""

    stores: tuple[RowStore, ...] = ()
    factors: tuple[np.ndarray, ...] | None = None  # of the classes of each task; None if all are 1
    window_rows: int = 1  # that are shuffled together
    encoder: InputEncoder | None = None
    categories: Categories | None = None  # that the files are coded by

    @classmethod
    def of(
        cls, stores: Sequence[RowStore], factors: Sequence[np.ndarray], window_rows: int
    ) -> StoredSubset:
        """Return all rows of some files."""
        counts = any((factor != 1).any() for factor in factors)
        nothing: Any = None  # no array is as long as the table
        return cls(
            nothing,
            nothing,
            nothing,
            StoredRows(tuple(stores), tuple(factors) if counts else None),  # type: ignore[arg-type]
            tuple(stores),
            tuple(factors) if counts else None,
            window_rows,
        )

    @property
    def row_format(self) -> RowFormat:
        """What a row holds."""
        return self.stores[0].file.row_format

    def take(self, rows: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
        return rows, rows.codes, rows.weight, np.arange(len(rows.codes))

    def is_labelled(self, rows: Any) -> np.ndarray:
        return rows.weight > 0

    def has_labels(self, task: int) -> bool:
        return bool(self._totals[task].any())

    def shares_X(self, other: Subset) -> bool:
        return False

    def encoded(self, encoder: InputEncoder, categories: Categories | None) -> Subset:
        rows: Any = replace(self.rows, encoder=encoder, categories=categories)  # type: ignore[type-var]
        return replace(self, rows=rows, encoder=encoder, categories=categories)

    def content(self, *, with_X: bool = True) -> dict[str, list[Any]]:
        files = [part for store in self.stores for part in store.file.content()]
        kinds = 2 + self.row_format.has_weight
        known = None if self.encoder is None else self.encoder.categories
        return {
            "X": [*files[::kinds], repr(known)],
            "y": files[1::kinds],
            "weights": [*files[2::kinds], *(self.factors or ())],
            "rows": [len(self.rows), self.window_rows],
        }

    def class_frequencies(self, n_classes: tuple[int, ...]) -> list[np.ndarray]:
        return [
            totals / totals.sum() if totals.sum() > 0 else np.full(n, 1.0 / n)
            for totals, n in zip(self._totals, n_classes, strict=True)
        ]

    def some(self, n_rows: int) -> Subset:
        """Return rows at equal distances, in memory."""
        step = -(-len(self.rows) // n_rows)
        size = self._rows_of_a_block // step * step or step
        kept = []
        for start in range(0, len(self.rows), size):
            piece: Any = self.rows[start : start + size]
            X = np.empty(piece.shape, np.float32)
            piece.write_X(X)
            kept.append((X[::step], piece.codes[::step], piece.weight[::step]))
        X, codes, weight = map(np.concatenate, zip(*kept, strict=True))
        return Subset(X, codes, weight, np.arange(len(X), dtype=np.int32))

    def fit_encoder(
        self,
        categories: Categories | None,
        *,
        standardize: bool,
        embedding: str | None,
        embedding_size: int,
    ) -> tuple[InputEncoder, dict[str, np.ndarray]]:
        """Learn the input encoder, as `InputEncoder.fit` does; bins are learned from a sample."""
        if not standardize and categories is None and embedding is None:
            return InputEncoder(), {}
        sums = self._sums
        used, shares = _use_categories(categories, sums)
        encoder = InputEncoder(used)
        X, codes, weight = (
            np.concatenate(parts)
            for parts in zip(*(store.sample.arrays() for store in self.stores), strict=True)
        )
        if self.factors is not None:
            weight = apply_factors(weight, codes, self.factors)
        spec, values = learn_input(
            encoder.transform(X, categories),
            np.arange(len(X)),
            weight.max(axis=1),
            standardize=standardize,
            n_categories=tuple(0 if c is None else len(c) for c in used or ()),
            embedding=embedding,
            embedding_size=embedding_size,
            statistics=sums.statistics(),
            category_shares=shares,
        )
        return InputEncoder(used, spec), values

    @property
    def _rows_of_a_block(self) -> int:
        return max(_BLOCK_BYTES // self.row_format.n_bytes, 1)

    @cached_property
    def _totals(self) -> list[np.ndarray]:
        """The weight of each class of each task."""
        first, *others = (store.totals for store in self.stores)
        totals = sum(others, first).of_task
        if self.factors is None:
            return totals
        return [total * factor for total, factor in zip(totals, self.factors, strict=True)]

    @cached_property
    def _sums(self) -> FeatureSums:
        """The sums of the features, by cell weights times class weights."""
        if self.factors is None:
            first, *others = (store.sums for store in self.stores)
            assert first is not None
            return sum(filter(None, others), first)
        sums = FeatureSums(self.row_format.n_features, self.stores[0].n_categories)
        for store in self.stores:
            for window in store.file.windows(self._rows_of_a_block):
                piece = Piece([(window, slice(None))], self.factors)
                sums.add(window.X, piece.weight.max(axis=1))
        return sums


def _use_categories(
    categories: Categories | None, sums: FeatureSums
) -> tuple[Categories | None, dict[int, np.ndarray]]:
    """Return the categories that rows have, and the share of each and of missing cells."""
    if categories is None:
        return None, {}
    used, shares = list(categories), {}
    for j, totals in sums.of_codes.items():
        known = categories[j]
        is_used = totals[:-1] > 0
        assert known is not None
        used[j] = known[is_used]
        if is_used.any():
            shares[j] = np.append(totals[:-1][is_used], totals[-1]) / (totals.sum() or 1)
    return tuple(used), shares


@dataclass(frozen=True, eq=False)
class StoredRows:
    """The rows of files by their position: a slice is a piece, which is read now."""

    stores: tuple[RowStore, ...]
    factors: tuple[np.ndarray, ...] | None
    encoder: InputEncoder | None = None
    categories: Categories | None = None

    def __len__(self) -> int:
        return sum(store.n_rows for store in self.stores)

    def __getitem__(self, part: slice) -> Piece:
        start, stop, _ = part.indices(len(self))
        window = Window(self.stores[0].file.row_format, stop - start)
        self.read(start, stop, window)
        return Piece([(window, slice(None))], self.factors)

    def read(self, start: int, stop: int, window: Window, at: int = 0) -> None:
        """Read rows into a window, from its row `at` on, with the codes of the encoder."""
        first = 0
        for store in self.stores:
            low, high = max(start - first, 0), min(stop - first, store.n_rows)
            if low < high:
                store.file.read(low, high, window, at)
                at += high - low
            first += store.n_rows
        if self.encoder is not None:
            X = window.X[at - (stop - start) : at]
            coded = self.encoder.transform(X, self.categories)
            if coded is not X:
                X[...] = coded


@dataclass(frozen=True)
class TableDataset(Dataset):
    """The rows of a table, which were read and encoded batch by batch."""

    n_features: int = 0
    n_read: int = 0  # rows of the table, with and without labels
    n_labelled: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # cells of each task
    training: RowStore | None = None
    held_out: RowStore | None = None
    window_rows: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_read, self.n_features

    @property
    def n_samples(self) -> int:
        return self.n_read

    @property
    def labelled_cells(self) -> np.ndarray:
        return self.n_labelled

    @property
    def _stores(self) -> list[RowStore]:
        return [store for store in (self.training, self.held_out) if store is not None]

    @cached_property
    def rows(self) -> Any:
        """The rows with a label; their number is all that is asked for."""
        return range(sum(store.n_rows for store in self._stores))

    @property
    def n_groups(self) -> int:
        return len(self.rows)

    def class_factors(self, rows: Any) -> list[np.ndarray]:
        return self._factors(self._stores)

    def subset(self, rows: Any, factors: list[np.ndarray]) -> Subset:
        return self._all_rows

    @cached_property
    def _all_rows(self) -> Subset:
        return load_rows(self._stores, self._factors(self._stores), self.window_rows)

    def unlabelled_subset(
        self, training: Subset, validation: Subset | None
    ) -> UnlabelledSubset | None:
        return None

    def split(self) -> tuple[Subset, Subset]:
        """Return the training rows, and the rows that were held out while the table was read."""
        return self._split

    @cached_property
    def _split(self) -> tuple[Subset, Subset]:
        training, held_out = self._stores
        # Weighed as the training rows, so that the validation loss is the loss that is minimised.
        factors = self._factors([training])
        return tuple(load_rows([s], factors, self.window_rows) for s in (training, held_out))  # type: ignore[return-value]

    def _factors(self, stores: list[RowStore]) -> list[np.ndarray]:
        """Return the weights of the classes of the learnable tasks, counted over some rows."""
        tasks = np.flatnonzero(self.is_learnable).tolist()
        first, *others = (store.totals for store in stores)
        totals = sum(others, first).of_task

        def sum_classes(t: int) -> np.ndarray:
            if t in tasks:
                return totals[tasks.index(t)]
            return np.zeros(len(self.schema.classes[t]))

        factors = fit_class_factors(self.class_weight, self.schema, sum_classes)
        return list(itertools.compress(factors, self.is_learnable))


def load_rows(stores: Sequence[RowStore], factors: list[np.ndarray], window_rows: int) -> Subset:
    """Return all rows of some files, in memory if these are no more than a window."""
    subset = StoredSubset.of(stores, factors, window_rows)
    if len(subset.rows) > window_rows:
        return subset
    plain: Any = StoredRows(tuple(stores), None)
    piece = plain[:]
    X = np.empty(piece.shape, np.float32)
    piece.write_X(X)
    targets = EncodedTargets(piece.codes, piece.weight > 0, piece.weight)
    weight = weigh_classes(targets, factors)
    return Subset(X, piece.codes, weight, np.arange(len(X), dtype=np.int32)).among(
        np.arange(len(X), dtype=np.int32)
    )
