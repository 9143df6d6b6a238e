"""The backend of Keras."""

from __future__ import annotations

import keras

__all__ = ["check_backend"]


def check_backend() -> None:
    """Refuse any backend of Keras but TensorFlow, in which the training loop is written."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            "MultiTaskClassifier needs Keras's TensorFlow backend, but Keras runs on "
            f"{backend!r} in this process. Set KERAS_BACKEND=tensorflow in the environment, or in "
            "Keras's configuration file, before Keras is imported."
        )
