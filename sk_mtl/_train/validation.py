"""Validation: the losses of trainings on their validation rows, after each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sk_mtl._data.dataset import Subset
from sk_mtl._train.feeding import Feed
from sk_mtl._train.program import TrainingProgram
from sk_mtl._train.values import Batch

__all__ = ["Validation"]

_EVALUATION_ROWS = 8192  # of a batch, over all networks
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
        n_cells = len(subsets) * self._n_rows * program.config.spec.n_features
        self._kept = list(self._batches()) if n_cells <= _KEPT_CELLS else None

    def sum_losses(self, values: Any, rates: Any) -> list[np.ndarray] | None:
        """Return the sums of losses and weights, (n_members, n_tasks) each; None without rows."""
        if not self._n_rows:
            return None
        evaluate, totals = self._program.evaluate(len(self._subsets)), None
        for batch in self._batches() if self._kept is None else self._kept:
            sums = [s.numpy() for s in evaluate(values, rates, batch)]
            totals = sums if totals is None else [t + s for t, s in zip(totals, sums, strict=True)]
        return totals

    def _batches(self) -> Iterator[Batch]:
        """Yield all rows of all trainings, cut into batches."""
        spec, n_members = self._program.config.spec, len(self._subsets)
        size = max(_EVALUATION_ROWS // (spec.ensemble_size * n_members), 1)
        for start in range(0, self._n_rows, size):
            n_rows = min(size, self._n_rows - start)
            feed = Feed(n_members, 1, n_rows, spec.n_features, len(spec.n_outputs))
            for place, subset in enumerate(self._subsets):
                if subset is not None:
                    rows = subset.rows[start : start + n_rows]
                    feed.fill(place, subset.X, subset.codes, subset.weight, rows)
            yield feed.place_rows()
