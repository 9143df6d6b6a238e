"""Devices: where TensorFlow computes, and that threads compute there too."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import tensorflow as tf

__all__ = ["computes_on_cpu", "computing_on", "current_device"]


def current_device() -> str:
    """Return the name of the device of what is computed now, in or out of a `tf.device`."""
    # Asking for the machine's devices would not tell which are visible, nor which one is chosen.
    return str(tf.constant(0.0).device)


def computes_on_cpu() -> bool:
    """Return whether what is computed now is computed on a CPU."""
    return str(tf.DeviceSpec.from_string(current_device()).device_type) == "CPU"


def computing_on(device: str) -> AbstractContextManager[object]:
    """Return a context that computes on a device: what a new thread needs to follow its maker."""
    # Where it computes there anyway, none: it would also take what TensorFlow keeps off a GPU.
    return nullcontext() if current_device() == device else tf.device(device)
