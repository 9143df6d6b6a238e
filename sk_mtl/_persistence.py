"""Persistence: a trained network as plain settings and arrays, which is how it is pickled.

Owns the format of the state and its version. What is alive (Keras model, tensors, compiled
programs) is rebuilt on demand and never pickled.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sk_mtl._network import NetworkSpec, build_network, network_variables
from sk_mtl._prediction import compute_logits
from sk_mtl._program import TrainingState

__all__ = ["FORMAT_VERSION", "FittedNetwork", "check_format_version"]

FORMAT_VERSION = 1


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
        X : ndarray of float32 or CSR matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        logits : ndarray of float32 of shape (n_samples, sum(n_outputs))
            The tasks side by side.
        """
        if self._tensors is None:
            self._tensors = [tf.constant(v) for v in self.state.network]
        return compute_logits(self.spec, self._tensors, X)

    @property
    def model(self) -> keras.Model:
        """The Keras model with these values, built at the first call."""
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
