"""Input layers: what stands between X and the first weights of a network.

Owns Keras layers whose values are learned from X before training. Does not know how they are
learned (`_features`), nor the network behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

__all__ = ["Standardize"]

# Farther from the mean than any cell of a million rows can be: what lies beyond tells nothing more.
_FARTHEST = 1e3


@keras.saving.register_keras_serializable("sk_mtl")
class Standardize(keras.layers.Layer):
    """Subtracts a shift from each feature and multiplies by a scale, both fixed.

    Parameters
    ----------
    **kwargs : dict
        Settings of `keras.layers.Layer`.

    Notes
    -----
    :math:`z = \\max(-1000, \\min(1000, (x - \\text{shift}) \\cdot \\text{scale}))`, so that numbers
    near the end of float32 stay finite.
    """

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
        # Not a number is what a constant feature has where the difference is infinite.
        return ops.where(ops.isnan(z), 0.0, ops.clip(z, -_FARTHEST, _FARTHEST))

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
