"""Validation: the losses of trainings on their validation rows, after each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sk_mtl._data.dataset import Subset
from sk_mtl._data.known_labels import Shown, two_views
from sk_mtl._data.table_dataset import StoredSubset
from sk_mtl._model.sharing import widest_level
from sk_mtl._train.feeding import Feed
from sk_mtl._train.program import TrainingProgram
from sk_mtl._train.values import Batch

__all__ = ["Validation"]

# Of a batch, over the members of an ensemble.
_ROWS_ALONE = 8192
_ROWS = 512
_STRIDE = 16
_CELLS = 2**22  # of X of a batch of one training
_UNITS = 2**25  # of all experts, or of what all tasks read, for a batch
_KEPT_CELLS = 2**23  # of X; rows with more are gathered anew for each epoch


class Validation:
    """The validation rows of the trainings of a pack; None for one that has none.

    Parameters
    ----------
    program : TrainingProgram
        The program of the pack.
    subsets : sequence of Subset or None
        The rows by place.
    """

    def __init__(self, program: TrainingProgram, subsets: Sequence[Subset | None]):
        self._program = program
        self._subsets = subsets
        self._n_rows = max((len(s.rows) for s in subsets if s is not None), default=0)
        # Which labels are inputs, and which count: every labelled cell once, in one of two views.
        self._views = {
            place: list(two_views(np.random.default_rng(0), subset.weight[subset.rows] > 0))
            for place, subset in enumerate(subsets)
            if subset is not None
            and program.config.spec.known_labels
            and not isinstance(subset, StoredSubset)
        }
        self._replicas = program.config.replicas
        if self._replicas.n_workers > 1:
            self._take_own_part()
        n_cells = len(subsets) * self._n_rows * program.config.spec.n_inputs
        self._kept = list(self._batches()) if n_cells <= _KEPT_CELLS else None

    def sum_losses(self, values: Any, rates: Any) -> list[np.ndarray]:
        """Return the sums of losses and of weights, (n_members, n_tasks) each."""
        n_members = len(self._subsets)
        nothing = np.zeros((n_members, len(self._program.config.spec.n_outputs)), np.float32)
        evaluate, totals = self._program.evaluate(n_members), [nothing, nothing]
        for batch in self._batches() if self._kept is None else self._kept:
            sums = evaluate(values, rates, batch)
            totals = [t + s.numpy() for t, s in zip(totals, sums, strict=True)]
        return self._replicas.add_up(totals)

    def _take_own_part(self) -> None:
        """Leave to each worker its part of the rows; those of a view are drawn for all."""
        part_of = self._replicas.part_of_worker
        parts = [part_of(0 if s is None else len(s.rows)) for s in self._subsets]
        self._subsets = [
            None if subset is None else replace(subset, rows=subset.rows[part])
            for subset, part in zip(self._subsets, parts, strict=True)
        ]
        self._n_rows = max((len(s.rows) for s in self._subsets if s is not None), default=0)
        self._views = {
            place: [view.take(parts[place]) for view in views]
            for place, views in self._views.items()
        }

    def _views_of(self, place: int, subset: Subset, part: slice) -> list[Shown]:
        """Return both views of some rows; those of rows in files are drawn when they are read."""
        if place in self._views:
            return [view.take(part) for view in self._views[place]]
        rng = np.random.default_rng([0, part.start])
        return list(two_views(rng, subset.is_labelled(subset.rows[part])))

    def _batches(self) -> Iterator[Batch]:
        """Yield all rows of all trainings, cut into batches."""
        spec, n_members = self._program.config.spec, len(self._subsets)
        # With partners all batches have one size, else the order in which a sum is added up would
        # depend on their numbers of rows.
        is_alone = n_members == 1
        size = (_ROWS_ALONE if is_alone else _ROWS) // spec.ensemble_size
        size = min(size, _CELLS // spec.n_inputs)
        if spec.sharing != "hard":
            size = min(size, _UNITS // widest_level(spec))
        # A multiple of what one instruction takes: the rest of an array may have other last bits.
        size = max(size // _STRIDE, 1) * _STRIDE
        for start in range(0, self._n_rows, size):
            n_rows = min(size, self._n_rows - start) if is_alone else size
            feed = Feed(n_members, 1, n_rows, spec.n_inputs, len(spec.n_outputs))
            part = slice(start, start + n_rows)
            for view in range(2 if spec.known_labels else 1):
                for place, subset in enumerate(self._subsets):
                    if subset is not None:
                        rows = subset.rows[part]
                        feed.fill(place, *subset.take(rows))
                        if spec.known_labels:
                            feed.show(place, self._views_of(place, subset, part)[view], spec)
                yield feed.place_rows()
