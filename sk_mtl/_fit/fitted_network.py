"""A trained network: its specification and values, from which it predicts.

What is alive (a Keras model, prepared arrays) is built on demand and never saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sk_mtl._compat.processes import refuse_fork
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict.base import Forward
from sk_mtl._predict.forward import make_forward
from sk_mtl._train.best_weights import BestWeights
from sk_mtl._train.state import TrainingState

if TYPE_CHECKING:
    import keras

__all__ = ["FittedNetwork"]


class FittedNetwork:
    """A network's specification and values.

    Parameters
    ----------
    spec : NetworkSpec
        What the network is.
    state : TrainingState
        Its values, and what training needs to go on.
    temperatures : ndarray of float32 of shape (n_tasks,) or None, default=None
        What the logits of each task are divided by for its probabilities.
    best_weights : BestWeights or None, default=None
        The values that each task is predicted with; None for those of the state.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        state: TrainingState,
        temperatures: np.ndarray | None = None,
        best_weights: BestWeights | None = None,
    ):
        self.spec = spec
        self.state = state
        self.temperatures = temperatures
        self.best_weights = best_weights
        self._forwards: list[Forward] | None = None
        self._model: keras.Model | None = None

    def logits(self, X: Any) -> np.ndarray:
        """Return the logits of rows, not divided by the temperatures.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            Features, of float32 or what can be cast to it.

        Returns
        -------
        logits : ndarray of float32 of shape (n_samples, sum(n_outputs))
            The tasks side by side.
        """
        first, *others = self._prepared()
        logits = first.logits(X)
        of_column = np.repeat(self._of_task(), self.spec.n_outputs)
        for number, forward in enumerate(others, start=1):
            columns = of_column == number
            logits[:, columns] = forward.logits(X)[:, columns]
        return logits

    def probabilities(self, X: Any, calibrated: bool = True) -> list[np.ndarray]:
        """Return the class probabilities of rows, task by task.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            Features, of float32 or what can be cast to it.
        calibrated : bool, default=True
            Whether to divide the logits by the temperatures.

        Returns
        -------
        probabilities : list of ndarray of float32 of shape (n_samples, n_classes_t)
            One array per task that the network learns; two columns for a binary one.
        """
        temperatures = self.temperatures if calibrated else None
        first, *others = self._prepared()
        probabilities = first.probabilities(X, temperatures)
        of_task = self._of_task()
        for number, forward in enumerate(others, start=1):
            found = forward.probabilities(X, temperatures)
            for task in np.flatnonzero(of_task == number):
                probabilities[task] = found[task]
        return probabilities

    def spread(self, X: Any) -> list[np.ndarray]:
        """Return the standard deviation over members of class probabilities, task by task.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            Features, of float32 or what can be cast to it.

        Returns
        -------
        spread : list of ndarray of float32 of shape (n_samples, n_classes_t)
            One array per task that the network learns, from logits as they are.
        """
        by_values = [forward.spread(X) for forward in self._prepared()]
        return [by_values[number][task] for task, number in enumerate(self._of_task())]

    def _values(self) -> tuple[list[np.ndarray], ...]:
        """Return the values of each of the networks that tasks are predicted with."""
        return (self.state.network,) if self.best_weights is None else self.best_weights.values

    def _of_task(self) -> np.ndarray:
        """Return, by task, which of them."""
        if self.best_weights is None:
            return np.zeros(len(self.spec.n_outputs), dtype=np.intp)
        return np.array(self.best_weights.of_task)

    def _prepared(self) -> list[Forward]:
        """Return the forward pass of each of them, prepared at the first call."""
        if self._forwards is None:
            self._forwards = [make_forward(self.spec, values) for values in self._values()]
        return self._forwards

    @property
    def model(self) -> keras.Model:
        """The Keras model with these values, built at the first call."""
        refuse_fork()
        if self._model is None:
            self._model = self._build_model()
        return self._model

    def _build_model(self) -> keras.Model:
        # Predicting needs no Keras, whose import takes seconds.
        from sk_mtl._model.build import build_network, divide_logits, join_networks

        is_whole = self.spec.custom_outputs is not None
        if self.best_weights is None or is_whole:
            model = _fill(build_network(self.spec), self.state.network)
        else:
            models = [_fill(build_network(self.spec), v) for v in self.best_weights.values]
            names = [f"epoch_{epoch}" for epoch in self.best_weights.epochs]
            model = join_networks(models, names, self.spec, self.best_weights.of_task)
        if self.temperatures is not None and not is_whole:
            model = divide_logits(model, self.spec, self.temperatures)
        return model


def _fill(model: keras.Model, values: list[np.ndarray]) -> keras.Model:
    """Assign values to a model's variables, and return it."""
    from sk_mtl._model.build import network_variables

    for variable, value in zip(network_variables(model), values, strict=True):
        variable.assign(value)
    return model
