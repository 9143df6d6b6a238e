"""The values that a network's variables start from.

Kernels are uniform in ±1 / sqrt(n_in), a third of the variance of LeCun et al. (1998, section 4.6):
the initial function is noise that training has to remove, the more so the wider the input
(docs/benchmarks/quality.md). Output biases are the log-odds of the classes, so that an untrained
network predicts roughly the class frequencies. Where members share kernels, the scalings of the
features are drawn from -1 and 1, and the others are 1 (Gorishniy et al. 2024). Everything else is
initialised by Keras. A custom network keeps its own values, except for heads on a custom trunk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import keras
import numpy as np

from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.spec import NetworkSpec, column_blocks, head_groups

__all__ = ["draw_initial_values"]

_FREQUENCY_SCALE = 0.1  # of periodic embeddings at the start
_LABEL_BIAS = 0.01  # of units that read known labels
_CUSTOM = "<custom>"  # the layer of all variables of a custom model


def draw_initial_values(
    spec: NetworkSpec,
    class_frequencies: Sequence[np.ndarray],
    rng: np.random.Generator,
    custom_values: Sequence[np.ndarray] | None = None,
    input_values: Mapping[str, np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Return the initial values of `network_variables`, in their order."""
    # `input_values` are values learned from X, by the path of their variable in an input layer.
    from_custom, from_input = iter(custom_values or ()), dict(input_values or {})
    bias = {} if spec.custom_outputs else _output_bias(spec, class_frequencies)
    blocks, first = column_blocks(spec), _first_layers(spec)
    values = []
    for layer, kind, default in _default_values(spec):
        n_labels = spec.n_label_columns if layer in first else 0
        if f"{layer}/{kind}" in from_input:
            values.append(from_input[f"{layer}/{kind}"])
        elif layer == _CUSTOM:
            values.append(next(from_custom))
        elif kind == "seed_generator_state":
            values.append(np.array([rng.integers(2**31), 0], dtype=default.dtype))
        elif kind == "kernel":
            values.append(_draw_kernel(rng, default.shape, n_labels))
        elif kind == "frequencies" and layer == "periodic":
            values.append(rng.normal(0, _FREQUENCY_SCALE, default.shape).astype(np.float32))
        elif kind == "embeddings":
            # Vectors have mean length 1, or are 0 where that of a missing value is not learned.
            scale = 1 / math.sqrt(default.shape[-1])
            values.append((rng.normal(0, scale, default.shape) * default).astype(np.float32))
        elif kind == "input_scale" and blocks[layer][0] == 1:
            signs = 2 * rng.integers(2, size=default.shape).astype(np.float32) - 1
            # A known label means the same to all members.
            signs[:, signs.shape[1] - n_labels :] = 1
            values.append(signs)
        elif kind == "bias" and layer in bias:
            values.append(np.tile(bias[layer], spec.ensemble_size).reshape(default.shape))
        elif kind == "bias" and n_labels:
            # Where X tells nothing, a unit that starts at 0 would never learn of labels.
            values.append(rng.uniform(-_LABEL_BIAS, _LABEL_BIAS, default.shape).astype(np.float32))
        else:
            values.append(default)
    return values


def _first_layers(spec: NetworkSpec) -> list[str]:
    """Return the names of the layers that read the inputs."""
    if spec.hidden_layer_sizes:
        return ["trunk_0"]
    return [
        f"heads_{number}_{0 if group.hidden else 'logits'}"
        for number, group in enumerate(head_groups(spec))
    ]


def _draw_kernel(
    rng: np.random.Generator, shape: tuple[int, ...], n_label_columns: int
) -> np.ndarray:
    """Draw a kernel; a known label tells nothing at the start."""
    # Nor does it later on, if no row in training had it beside another.
    kernel = np.zeros(shape, np.float32)
    n_in = shape[-2] - n_label_columns
    limit = 1 / math.sqrt(n_in)
    kernel[..., :n_in, :] = rng.uniform(-limit, limit, (*shape[:-2], n_in, shape[-1]))
    return kernel


@lru_cache(maxsize=64)
def _default_values(spec: NetworkSpec) -> tuple[tuple[str, str, np.ndarray], ...]:
    """Return layer, kind and Keras's initial value of each variable of a network."""
    found = []
    model = build_network(spec)
    # Layers of a custom model may have the same names as ours.
    custom: list[int] = []
    if spec.custom_model is not None:
        is_whole = spec.custom_outputs is not None and spec.input is None
        own = model if is_whole else next(x for x in model.layers if isinstance(x, keras.Model))
        custom = [id(v) for v in own.variables]
    for variable in network_variables(model):
        path, _, kind = variable.path.rpartition("/")
        value = np.array(variable.numpy())
        value.flags.writeable = False
        layer = _CUSTOM if id(variable) in custom else path.rpartition("/")[2]
        found.append((layer, kind, value))
    return tuple(found)


def _output_bias(
    spec: NetworkSpec, class_frequencies: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the biases of the output layers, by layer name."""
    biases = {}
    for number, group in enumerate(head_groups(spec)):
        parts = []
        for task in group.tasks:
            # A fixed class without a label keeps a finite log-odds.
            log_p = np.log(np.clip(class_frequencies[task], 1e-4, None))
            is_binary = spec.n_outputs[task] == 1
            parts.append(np.diff(log_p) if is_binary else log_p - log_p.mean())
        biases[f"heads_{number}_logits"] = np.concatenate(parts).astype(np.float32)
    return biases
