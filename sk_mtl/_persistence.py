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
import tensorflow as tf

from sk_mtl._network import NetworkSpec, build_network, network_variables
from sk_mtl._prediction import compute_logits, compute_probabilities, compute_spread
from sk_mtl._processes import refuse_fork
from sk_mtl._program import TrainingState
from sk_mtl._stored_dtypes import decode_dtype, encode_dtype
from sk_mtl._targets import TargetSchema

__all__ = [
    "FORMAT_VERSION",
    "FittedNetwork",
    "check_format_version",
    "with_dtypes",
    "with_plain_dtypes",
]

# 1: release 0.1.0. 2: dtypes of y as plain values; what follows from other attributes left out.
FORMAT_VERSION = 2


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
    """

    def __init__(self, spec: NetworkSpec, state: TrainingState):
        self.spec = spec
        self.state = state
        self._tensors: list[tf.Tensor] | None = None
        self._model: keras.Model | None = None

    def logits(self, X: Any) -> np.ndarray:
        """Return the logits of rows.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            Features, of float32 or what can be cast to it.

        Returns
        -------
        logits : ndarray of float32 of shape (n_samples, sum(n_outputs))
            The tasks side by side.
        """
        return compute_logits(self.spec, self._placed_values(), X)

    def probabilities(self, X: Any) -> list[np.ndarray]:
        """Return the class probabilities of rows, task by task.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            Features, of float32 or what can be cast to it.

        Returns
        -------
        probabilities : list of ndarray of float32 of shape (n_samples, n_classes_t)
            One array per task that the network learns; two columns for a binary one.
        """
        return compute_probabilities(self.spec, self._placed_values(), X)

    def spread(self, X: Any) -> list[np.ndarray]:
        """Return the standard deviation over members of class probabilities, task by task.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            Features, of float32 or what can be cast to it.

        Returns
        -------
        spread : list of ndarray of float32 of shape (n_samples, n_classes_t)
            One array per task that the network learns.
        """
        return compute_spread(self.spec, self._placed_values(), X)

    def _placed_values(self) -> list[tf.Tensor]:
        refuse_fork()
        if self._tensors is None:
            self._tensors = [tf.constant(v) for v in self.state.network]
        return self._tensors

    @property
    def model(self) -> keras.Model:
        """The Keras model with these values, built at the first call."""
        refuse_fork()
        if self._model is None:
            model = build_network(self.spec)
            for variable, value in zip(network_variables(model), self.state.network, strict=True):
                variable.assign(value)
            self._model = model
        return self._model

    def __getstate__(self) -> dict[str, Any]:
        return {"format_version": FORMAT_VERSION, "spec": self.spec, "state": self.state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_format_version(state, "a fitted network")
        self.__init__(state["spec"], state["state"])  # type: ignore[misc]
