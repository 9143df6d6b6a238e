"""Input layers: what stands between X and the first weights of a network.

Owns Keras layers of which some values are learned from X before training. Does not know how they
are learned (`_features`), nor the network behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

__all__ = ["InputSpec", "Standardize", "build_input"]

# Farther from the mean than any cell of a million rows can be: what lies beyond tells nothing more.
_FARTHEST = 1e3


@dataclass(frozen=True)
class InputSpec:
    """What stands between X and the first weights: hashable, as the network's specification.

    Attributes
    ----------
    learns_missing : bool
        Whether features had missing cells in training, so that what stands for one is learned.
    """

    learns_missing: bool = False


def build_input(X: Any, spec: InputSpec) -> Any:
    """Put the input layers on X.

    Parameters
    ----------
    X : keras.KerasTensor of shape (batch_size, n_features)
        The input of the network.
    spec : InputSpec
        What to put there.

    Returns
    -------
    outputs : keras.KerasTensor of shape (batch_size, n_outputs)
        What the trunk reads.
    """
    return Standardize(spec.learns_missing, dtype="float32", name="standardize")(X)


@keras.saving.register_keras_serializable("sk_mtl")
class Standardize(keras.layers.Layer):
    """Subtracts a shift from each feature and multiplies by a scale, both fixed.

    Parameters
    ----------
    learns_missing : bool, default=False
        Whether what stands for a missing cell is learned, by feature.
    **kwargs : dict
        Settings of `keras.layers.Layer`.

    Notes
    -----
    :math:`z = \\max(-1000, \\min(1000, (x - \\text{shift}) \\cdot \\text{scale}))`, so that numbers
    near the end of float32 stay finite. NaN becomes a weight that starts at 0, which is the mean,
    and stays there unless it is learned.
    """

    def __init__(self, learns_missing: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.learns_missing = learns_missing

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create shift and scale.

        Parameters
        ----------
        input_shape : tuple
            ``(batch_size, n_features)``.
        """
        shape, fixed = (input_shape[-1],), {"trainable": False, "dtype": "float32"}
        self.shift = self.add_weight(shape=shape, initializer="zeros", name="shift", **fixed)
        self.scale = self.add_weight(shape=shape, initializer="ones", name="scale", **fixed)
        self.missing: Any = 0.0
        if self.learns_missing:
            self.missing = self.add_weight(shape=shape, initializer="zeros", name="missing")

    def call(self, inputs: Any) -> Any:
        """Standardise a batch.

        Parameters
        ----------
        inputs : tensor of shape (batch_size, n_features)
            Features.

        Returns
        -------
        outputs : tensor of the same shape
            Standardised ones.
        """
        z = (inputs - self.shift) * self.scale
        # A feature with one value has no number either where the difference is infinite.
        return ops.where(ops.isnan(z), self.missing, ops.clip(z, -_FARTHEST, _FARTHEST))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the output.

        Parameters
        ----------
        input_shape : tuple
            ``(batch_size, n_features)``.

        Returns
        -------
        output_shape : tuple
            The same.
        """
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {**super().get_config(), "learns_missing": self.learns_missing}
