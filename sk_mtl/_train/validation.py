"""Validation: the losses of trainings on their validation rows, after each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sk_mtl._data.dataset import Subset
from sk_mtl._train.feeding import Feed, count, plan_calls
from sk_mtl._train.program import TrainingProgram, evaluation_shape
from sk_mtl._train.values import Batch

__all__ = ["Validation"]

_EVALUATION_ROWS = 8192  # of a call that XLA does not compile
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
        self._kept = list(self._calls()) if n_cells <= _KEPT_CELLS else None

    def sum_losses(self, network: list[Any], offsets: Any) -> list[np.ndarray] | None:
        """Return the sums of losses and of weights, (n_members, n_tasks) each; None without rows."""
        if not self._n_rows:
            return None
        evaluate, totals = self._program.evaluate(len(self._subsets)), None
        for batch, n_steps in self._calls() if self._kept is None else self._kept:
            sums = [s.numpy() for s in evaluate(network, offsets, batch, n_steps)]
            totals = sums if totals is None else [t + s for t, s in zip(totals, sums, strict=True)]
        return totals

    def _calls(self) -> Iterator[tuple[Batch, Any]]:
        """Yield the rows of each call, and its number of batches."""
        config, n_members = self._program.config, len(self._subsets)
        n_features, n_tasks = config.spec.n_features, len(config.spec.n_outputs)
        n_at_once, size = evaluation_shape(config, n_members)
        is_filled = bool(config.xla_batch_size)
        if not is_filled:
            n_at_once, size = 1, max(_EVALUATION_ROWS // config.spec.ensemble_size, 1)
        for call in plan_calls(self._n_rows, size, n_at_once, fills_up=is_filled):
            n_steps = n_at_once if is_filled else call.n_steps
            feed = Feed(n_members, n_steps, call.n_rows, n_features, n_tasks)
            for place, subset in enumerate(self._subsets):
                if subset is not None:
                    rows = subset.rows[call.start : call.start + call.n_steps * call.n_rows]
                    feed.fill(place, subset.X, subset.codes, subset.weight, rows)
            yield feed.place(is_evaluation=True), count(call.n_steps)
