r"""Masked cross-entropies as Keras losses, and masked accuracies as Keras metrics.

A missing label contributes nothing. For a task :math:`t` with labelled cells
:math:`m_{it} \in \{0, 1\}`, weights :math:`w_{it}` and cross-entropies :math:`\ell_{it}`,

.. math:: L_t = \frac{\sum_i m_{it} w_{it} \ell_{it}}{\sum_i m_{it} w_{it}},

and :math:`L_t = 0`, with gradient 0, where the denominator is 0.

The classes work in any Keras 3 model and need nothing else from this package. They are written in
`keras.ops` and tested with the TensorFlow and the PyTorch backend.
"""

import keras

from sk_mtl.losses._keras import (
    MaskedBinaryAccuracy,
    MaskedBinaryCrossentropy,
    MaskedCategoricalAccuracy,
    MaskedCategoricalCrossentropy,
    MaskedSparseCategoricalAccuracy,
    MaskedSparseCategoricalCrossentropy,
)

if keras.backend.backend() == "tensorflow":
    # So that keras.models.load_model knows the layers of a saved `model_` or `to_keras()`.
    import sk_mtl._model.build
    import sk_mtl._model.probabilities  # noqa: F401

__all__ = [
    "MaskedBinaryAccuracy",
    "MaskedBinaryCrossentropy",
    "MaskedCategoricalAccuracy",
    "MaskedCategoricalCrossentropy",
    "MaskedSparseCategoricalAccuracy",
    "MaskedSparseCategoricalCrossentropy",
]

# Pickles and Keras's files name a class by its public path.
for _name in __all__:
    globals()[_name].__module__ = __name__
