"""Persistence: a trained network as plain settings and arrays, which is how it is pickled.

Owns the format of the state and its version. What is alive (Keras model, tensors, compiled
programs) is rebuilt on demand and never pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from sk_mtl._codec.dtypes import decode_dtype, encode_dtype
from sk_mtl._compat.processes import refuse_fork
from sk_mtl._data.schema import TargetSchema
from sk_mtl._model.network import (
    build_network,
    divide_logits,
    join_networks,
    network_variables,
)
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict.forward import Forward, make_forward
from sk_mtl._train.best_weights import BestWeights
from sk_mtl._train.program import TrainingState

__all__ = [
    "ADDED_PARAMETERS",
    "FORMAT_VERSION",
    "FittedNetwork",
    "check_format_version",
    "with_dtypes",
    "with_plain_dtypes",
]

# 1: release 0.1.0. 2: dtypes of y as plain values; what follows from other attributes left out.
FORMAT_VERSION = 2
# Parameters that came later, and what they are in the files and pickles that lack them.
ADDED_PARAMETERS: dict[str, Any] = {
    "categorical_features": None,
    "ema_momentum": 0.0,
    "embedding_size": 16,
    "numeric_embedding": None,
    "standardize": False,
}


def check_format_version(state: dict[str, Any], name: str) -> None:
    """Refuse a pickled state that a newer version has written.

    Parameters
    ----------
    state : dict
        With the key ``"format_version"``.
    name : str
        What is being loaded, for the message.

    Raises
    ------
    ValueError
        If the version is not one that this release can read.
    """
    version = state.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ValueError(
            f"This pickle of {name} has format version {version}; this release of sk_mtl reads "
            f"versions up to {FORMAT_VERSION}. Load it with the release that wrote it, or a "
            "newer one."
        )


def with_plain_dtypes(schema: TargetSchema) -> TargetSchema:
    """Return a schema to be pickled: pandas and narwhals change their dtypes' own pickles.

    Parameters
    ----------
    schema : TargetSchema
        What `fit` learned of y.

    Returns
    -------
    schema : TargetSchema
        With plain values in place of the dtypes that can be written as such.
    """
    return _map_dtypes(schema, lambda dtype, categories: _plain_or_itself(dtype))


def with_dtypes(schema: TargetSchema) -> TargetSchema:
    """Return a schema as it was before `with_plain_dtypes`.

    Parameters
    ----------
    schema : TargetSchema
        Of any format version.

    Returns
    -------
    schema : TargetSchema
        With dtypes.
    """
    return _map_dtypes(
        schema,
        lambda dtype, categories: (
            decode_dtype(dtype, categories) if isinstance(dtype, dict) else dtype
        ),
    )


def _map_dtypes(schema: TargetSchema, function: Callable[[Any, Any], Any]) -> TargetSchema:
    form = schema.form
    pairs = zip(form.dtypes, form.categories, strict=True)
    return replace(schema, form=replace(form, dtypes=tuple(function(*pair) for pair in pairs)))


def _plain_or_itself(dtype: Any) -> Any:
    try:
        return encode_dtype(dtype, "y")
    except TypeError:
        return dtype


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
    checkpoints : BestWeights or None, default=None
        The values that each task is predicted with; None for those of the state.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        state: TrainingState,
        temperatures: np.ndarray | None = None,
        checkpoints: BestWeights | None = None,
    ):
        self.spec = spec
        self.state = state
        self.temperatures = temperatures
        self.checkpoints = checkpoints
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
        return (self.state.network,) if self.checkpoints is None else self.checkpoints.values

    def _of_task(self) -> np.ndarray:
        """Return, by task, which of them."""
        if self.checkpoints is None:
            return np.zeros(len(self.spec.n_outputs), dtype=np.intp)
        return np.array(self.checkpoints.of_task)

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
        is_whole = self.spec.custom_outputs is not None
        if self.checkpoints is None or is_whole:
            model = _fill(build_network(self.spec), self.state.network)
        else:
            models = [_fill(build_network(self.spec), v) for v in self.checkpoints.values]
            names = [f"epoch_{epoch}" for epoch in self.checkpoints.epochs]
            model = join_networks(models, names, self.spec, self.checkpoints.of_task)
        if self.temperatures is not None and not is_whole:
            model = divide_logits(model, self.spec, self.temperatures)
        return model

    def __getstate__(self) -> dict[str, Any]:
        state = {"format_version": FORMAT_VERSION, "spec": self.spec, "state": self.state}
        if self.temperatures is not None:
            state["temperatures"] = self.temperatures
        if self.checkpoints is not None:
            state["checkpoints"] = self.checkpoints
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_format_version(state, "a fitted network")
        parts = {name: value for name, value in state.items() if name != "format_version"}
        self.__init__(**parts)  # type: ignore[misc]


def _fill(model: keras.Model, values: list[np.ndarray]) -> keras.Model:
    """Assign values to a model's variables, and return it."""
    for variable, value in zip(network_variables(model), values, strict=True):
        variable.assign(value)
    return model
