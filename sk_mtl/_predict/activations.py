"""Keras's named activations in NumPy, in place, on tiles of shape (n_tiles, n_blocks, n_units, 16).

Each takes the tiles and an array of the same shape to write intermediate numbers to. Those that
need all units of a block find them on the last axis but one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import erf

from sk_mtl._predict.products import sum_of_units
from sk_mtl._predict.tiles import Workspace

__all__ = ["ACTIVATIONS", "log_one_plus_exp"]

_SELU_ALPHA = np.float32(1.6732632423543772)
_SELU_SCALE = np.float32(1.0507009873554805)
_SQRT_2 = np.float32(np.sqrt(2))


def _linear(x: np.ndarray, scratch: np.ndarray) -> None:
    pass


def _relu(x: np.ndarray, scratch: np.ndarray) -> None:
    np.clip(x, 0, np.inf, out=x)  # faster than maximum with a number


def _relu6(x: np.ndarray, scratch: np.ndarray) -> None:
    np.clip(x, 0, 6, out=x)


def _leaky_relu(x: np.ndarray, scratch: np.ndarray) -> None:
    np.multiply(x, np.float32(0.2), out=scratch)
    np.maximum(x, scratch, out=x)


def _elu(x: np.ndarray, scratch: np.ndarray) -> None:
    np.clip(x, -np.inf, 0, out=scratch)
    np.expm1(scratch, out=scratch)
    np.clip(x, 0, np.inf, out=x)
    x += scratch


def _selu(x: np.ndarray, scratch: np.ndarray) -> None:
    np.clip(x, -np.inf, 0, out=scratch)
    np.expm1(scratch, out=scratch)
    scratch *= _SELU_SCALE * _SELU_ALPHA
    np.clip(x, 0, np.inf, out=x)
    x *= _SELU_SCALE
    x += scratch


def _sigmoid(x: np.ndarray, scratch: np.ndarray) -> None:
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    np.reciprocal(x, out=x)


def _silu(x: np.ndarray, scratch: np.ndarray) -> None:
    np.copyto(scratch, x)
    _sigmoid(scratch, scratch)
    x *= scratch


def _gelu(x: np.ndarray, scratch: np.ndarray) -> None:
    np.divide(x, _SQRT_2, out=scratch)
    erf(scratch, out=scratch)
    scratch += 1
    x *= np.float32(0.5)
    x *= scratch


def _hard_sigmoid(x: np.ndarray, scratch: np.ndarray) -> None:
    x += 3
    np.clip(x, 0, 6, out=x)
    x /= 6


def _hard_silu(x: np.ndarray, scratch: np.ndarray) -> None:
    np.copyto(scratch, x)
    _hard_sigmoid(scratch, scratch)
    x *= scratch


def _hard_tanh(x: np.ndarray, scratch: np.ndarray) -> None:
    np.clip(x, -1, 1, out=x)


def _hard_shrink(x: np.ndarray, scratch: np.ndarray) -> None:
    np.copyto(x, 0, where=np.abs(x, out=scratch) <= np.float32(0.5))


def _soft_shrink(x: np.ndarray, scratch: np.ndarray) -> None:
    np.clip(x, -0.5, 0.5, out=scratch)
    x -= scratch


def log_one_plus_exp(x: np.ndarray, out: np.ndarray) -> None:
    """Write log(1 + exp(-abs(x))), from which softplus and the log of the sigmoid follow."""
    np.abs(x, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)


def _softplus(x: np.ndarray, scratch: np.ndarray) -> None:
    log_one_plus_exp(x, scratch)
    np.clip(x, 0, np.inf, out=x)
    x += scratch


def _log_sigmoid(x: np.ndarray, scratch: np.ndarray) -> None:
    log_one_plus_exp(x, scratch)
    np.clip(x, -np.inf, 0, out=x)
    x -= scratch


def _softsign(x: np.ndarray, scratch: np.ndarray) -> None:
    np.abs(x, out=scratch)
    scratch += 1
    x /= scratch


def _squareplus(x: np.ndarray, scratch: np.ndarray) -> None:
    np.multiply(x, x, out=scratch)
    scratch += 4
    np.sqrt(scratch, out=scratch)
    x += scratch
    x *= np.float32(0.5)


def _sparse_plus(x: np.ndarray, scratch: np.ndarray) -> None:
    np.clip(x, -1, 1, out=scratch)
    scratch += 1
    np.multiply(scratch, scratch, out=scratch)
    scratch *= np.float32(0.25)
    np.copyto(x, scratch, where=x < 1)


def _sparse_sigmoid(x: np.ndarray, scratch: np.ndarray) -> None:
    x += 1
    x *= np.float32(0.5)
    np.clip(x, 0, 1, out=x)


def _tanh(x: np.ndarray, scratch: np.ndarray) -> None:
    np.tanh(x, out=x)


def _tanh_shrink(x: np.ndarray, scratch: np.ndarray) -> None:
    np.tanh(x, out=scratch)
    x -= scratch


def _exponential(x: np.ndarray, scratch: np.ndarray) -> None:
    np.exp(x, out=x)


def _mish(x: np.ndarray, scratch: np.ndarray) -> None:
    np.copyto(scratch, x)
    _softplus(scratch, np.empty_like(x))
    np.tanh(scratch, out=scratch)
    x *= scratch


def _softmax(x: np.ndarray, scratch: np.ndarray) -> None:
    x -= x.max(axis=-2, keepdims=True)
    np.exp(x, out=x)
    x /= sum_of_units(x, Workspace())


def _log_softmax(x: np.ndarray, scratch: np.ndarray) -> None:
    x -= x.max(axis=-2, keepdims=True)
    np.exp(x, out=scratch)
    x -= np.log(sum_of_units(scratch, Workspace()))


def _sparsemax(x: np.ndarray, scratch: np.ndarray) -> None:
    ordered = -np.sort(-x, axis=-2)
    total = np.cumsum(ordered, axis=-2)
    rank = np.arange(1, x.shape[-2] + 1, dtype=np.float32)[:, None]
    is_in = ordered - (total - 1) / rank > 0
    n_in = is_in.sum(axis=-2, keepdims=True, dtype=np.float32)
    # As Keras does: the sum of the running sums, which is not that of [Martins & Astudillo 2016].
    threshold = (sum_of_units(np.where(is_in, total, 0), Workspace()) - 1) / n_in
    x -= threshold
    np.clip(x, 0, np.inf, out=x)


ACTIVATIONS: dict[str, Callable[[np.ndarray, np.ndarray], None]] = {
    "celu": _elu,  # with alpha = 1, as Keras has it by default
    "elu": _elu,
    "exponential": _exponential,
    "gelu": _gelu,
    "hard_shrink": _hard_shrink,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "hard_tanh": _hard_tanh,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "log_sigmoid": _log_sigmoid,
    "log_softmax": _log_softmax,
    "mish": _mish,
    "relu": _relu,
    "relu6": _relu6,
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "soft_shrink": _soft_shrink,
    "softmax": _softmax,
    "softplus": _softplus,
    "softsign": _softsign,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _sparse_sigmoid,
    "sparsemax": _sparsemax,
    "squareplus": _squareplus,
    "tanh": _tanh,
    "tanh_shrink": _tanh_shrink,
}
