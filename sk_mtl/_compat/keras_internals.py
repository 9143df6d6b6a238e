"""Private names of Keras and TensorFlow."""

from __future__ import annotations

from typing import Any

__all__ = ["get_mask"]


def get_mask(tensor: Any) -> Any:
    """Return the mask that a Masking or an Embedding layer put on a tensor, or None."""
    return getattr(tensor, "_keras_mask", None)
