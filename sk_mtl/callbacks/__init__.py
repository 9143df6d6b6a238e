"""Keras callbacks for `MultiTaskClassifier(callbacks=...)`, besides those of Keras."""

from sk_mtl.callbacks._epoch_weights import EpochWeights

__all__ = ["EpochWeights"]

# Pickles refer to a class by its public path.
for _name in __all__:
    globals()[_name].__module__ = __name__
