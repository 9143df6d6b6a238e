"""A trained network: its specification and values, from which it predicts.

What is alive (a Keras model, prepared arrays) is built on demand and never saved. Imports Keras for
the model only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sk_mtl._compat.processes import refuse_fork
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict.base import Forward
from sk_mtl._predict.forward import make_forward
from sk_mtl._train.best_weights import BestWeights
from sk_mtl._train.state import TrainingState

__all__ = ["FittedNetwork"]


class FittedNetwork:
    """A network's specification and state; temperatures and best weights by task, if there are."""

    def __init__(
        self,
        spec: NetworkSpec,
        state: TrainingState,
        temperatures: np.ndarray | None = None,  # float32 of shape (n_tasks,)
        best_weights: BestWeights | None = None,
    ):
        self.spec = spec
        self.state = state
        self.temperatures = temperatures
        self.best_weights = best_weights
        self._forwards: list[Forward] | None = None
        self._model: Any = None

    def logits(self, X: Any) -> np.ndarray:
        """Return the logits of rows, (n_samples, sum(n_outputs)), without temperatures."""
        first, *others = self._prepared()
        logits = first.logits(X)
        of_column = np.repeat(self._of_task(), self.spec.n_outputs)
        for number, forward in enumerate(others, start=1):
            columns = of_column == number
            logits[:, columns] = forward.logits(X)[:, columns]
        return logits

    def probabilities(
        self, X: Any, calibrated: bool = True, known: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """Return the class probabilities of rows, (n_samples, n_classes_t) by learnable task."""
        # Known labels are class indices, or negative where unknown: see `write_known`.
        temperatures = self.temperatures if calibrated else None
        first, *others = self._prepared()
        probabilities = first.probabilities(X, temperatures, known)
        of_task = self._of_task()
        for number, forward in enumerate(others, start=1):
            found = forward.probabilities(X, temperatures, known)
            for task in np.flatnonzero(of_task == number):
                probabilities[task] = found[task]
        return probabilities

    def spread(self, X: Any) -> list[np.ndarray]:
        """Return the standard deviations of probabilities over members, as `probabilities`."""
        by_values = [forward.spread(X) for forward in self._prepared()]
        return [by_values[number][task] for task, number in enumerate(self._of_task())]

    def _of_task(self) -> np.ndarray:
        """Return, by task, the number of the network that predicts it."""
        if self.best_weights is None:
            return np.zeros(len(self.spec.n_outputs), dtype=np.intp)
        return np.array(self.best_weights.of_task)

    def _prepared(self) -> list[Forward]:
        """Return the forward passes, prepared at the first call."""
        if self._forwards is None:
            best = self.best_weights
            networks = [self.state.network] if best is None else best.values
            self._forwards = [make_forward(self.spec, values) for values in networks]
        return self._forwards

    def build_probabilities(self, tasks: Sequence[tuple[str, int | None]]) -> Any:
        """Return a new Keras model whose outputs are the probabilities of tasks, by name."""
        # By name and position among the tasks of the network, None for a task with a single class.
        refuse_fork()
        from sk_mtl._model.probabilities import NamedTask, build_probabilities

        best = self.best_weights
        return build_probabilities(
            self.spec,
            [self.state.network] if best is None else best.values,
            (0,) if best is None else best.epochs,
            () if best is None else best.of_task,
            self.temperatures,
            [NamedTask(*task) for task in tasks],
        )

    @property
    def model(self) -> Any:
        """The Keras model with these values, built at the first call."""
        refuse_fork()
        if self._model is None:
            from sk_mtl._model.build import build_fitted

            # A whole custom network gives what it always gives.
            is_whole = self.spec.custom_outputs is not None
            best = None if is_whole else self.best_weights
            self._model = build_fitted(
                self.spec,
                [self.state.network] if best is None else best.values,
                (0,) if best is None else best.epochs,
                () if best is None else best.of_task,
                None if is_whole else self.temperatures,
            )
        return self._model
