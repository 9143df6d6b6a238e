"""What every forward pass gives: logits, probabilities and their spread, from members' logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict.probabilities import (
    average_members,
    probabilities_by_column,
    spread_by_column,
)

__all__ = ["Forward"]

_ByMember = np.ndarray  # (n_members, n_columns, n_rows or more)


class Forward(ABC):
    """The forward pass of one network with its values; X is dense or CSR, of any float dtype."""

    def __init__(self, spec: NetworkSpec):
        self.spec = spec

    @abstractmethod
    def _run_by_batch(
        self, X: Any, known: np.ndarray | None, keep: Callable[[slice, _ByMember], None]
    ) -> None:
        """Compute the members' logits of X, and give them to a function with their rows."""
        # Known labels are class indices, or negative where unknown: see `write_known`.

    def logits(self, X: Any, known: np.ndarray | None = None) -> np.ndarray:
        """Return the logits of rows, (n_rows, n_columns)."""
        whole = np.empty((X.shape[0], self.spec.layout.total), dtype=np.float32)

        def keep(rows: slice, by_member: _ByMember) -> None:
            whole[rows] = self._average(by_member)[:, : rows.stop - rows.start].T

        self._run_by_batch(X, known, keep)
        return whole

    def probabilities(
        self, X: Any, temperatures: np.ndarray | None = None, known: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """Return the class probabilities of rows, (n_rows, n_classes_t) by task."""
        n_outputs = self.spec.n_outputs
        divisors = None
        if temperatures is not None:
            divisors = np.repeat(temperatures, n_outputs)[:, None]

        def compute(by_member: _ByMember) -> list[np.ndarray]:
            logits = self._average(by_member)
            return probabilities_by_column(
                logits if divisors is None else logits / divisors, n_outputs
            )

        return self._by_task(X, known, compute)

    def spread(self, X: Any) -> list[np.ndarray]:
        """Return the deviation of probabilities over members, (n_rows, n_classes_t) by task."""
        return self._by_task(
            X, None, lambda by_member: spread_by_column(by_member, self.spec.n_outputs)
        )

    def _average(self, by_member: _ByMember) -> np.ndarray:
        if len(by_member) == 1:
            return by_member[0]
        return average_members(by_member, self.spec.n_outputs)

    def _by_task(
        self, X: Any, known: np.ndarray | None, compute: Callable[[_ByMember], list[np.ndarray]]
    ) -> list[np.ndarray]:
        """Return what a function computes of the members' logits, (n_rows, n_classes_t) by task."""
        widths = (max(width, 2) for width in self.spec.n_outputs)
        results = [np.empty((X.shape[0], width), dtype=np.float32) for width in widths]

        def keep(rows: slice, by_member: _ByMember) -> None:
            for whole, part in zip(results, compute(by_member), strict=True):
                whole[rows] = part[:, : rows.stop - rows.start].T

        self._run_by_batch(X, known, keep)
        return results
