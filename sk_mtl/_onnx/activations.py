"""Keras's named activations as ONNX operators: the formulas of `_predict/activations.py`.

Those that need all units of a block find them on the last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sk_mtl._onnx.graph import BOOL, FLOAT, Graph

__all__ = ["ACTIVATIONS"]


def _operator(name: str, graph: Graph, x: str, **attributes: Any) -> str:
    return graph.add(name, x, **attributes)


def _linear(graph: Graph, x: str) -> str:
    return x


def _clip(low: float, high: float, graph: Graph, x: str) -> str:
    return graph.clip(x, low, high)


def _times(name: str, graph: Graph, x: str) -> str:
    return graph.add("Mul", x, ACTIVATIONS[name](graph, x))


def _gelu(graph: Graph, x: str) -> str:
    part = graph.add("Erf", graph.add("Div", x, graph.constant(np.sqrt(2))))
    half = graph.add("Mul", x, graph.constant(0.5))
    return graph.add("Mul", half, graph.add("Add", part, graph.constant(1)))


def _hard_sigmoid(graph: Graph, x: str) -> str:
    clipped = graph.clip(graph.add("Add", x, graph.constant(3)), 0, 6)
    return graph.add("Div", clipped, graph.constant(6))


def _log_sigmoid(graph: Graph, x: str) -> str:
    return graph.add("Neg", graph.add("Softplus", graph.add("Neg", x)))


def _squareplus(graph: Graph, x: str) -> str:
    inside = graph.add("Add", graph.add("Mul", x, x), graph.constant(4))
    total = graph.add("Add", x, graph.add("Sqrt", inside))
    return graph.add("Mul", total, graph.constant(0.5))


def _sparse_plus(graph: Graph, x: str) -> str:
    one = graph.constant(1)
    shifted = graph.add("Add", graph.clip(x, -1, 1), one)
    square = graph.add("Mul", graph.add("Mul", shifted, shifted), graph.constant(0.25))
    return graph.add("Where", graph.add("Less", x, one), square, x)


def _sparse_sigmoid(graph: Graph, x: str) -> str:
    half = graph.constant(0.5)
    return graph.clip(graph.add("Mul", graph.add("Add", x, graph.constant(1)), half), 0, 1)


def _tanh_shrink(graph: Graph, x: str) -> str:
    return graph.add("Sub", x, graph.add("Tanh", x))


def _mish(graph: Graph, x: str) -> str:
    return graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x)))


def _sparsemax(graph: Graph, x: str) -> str:
    shape = graph.add("Shape", x)
    n_units = graph.add("Gather", shape, graph.constant([-1], np.int64), axis=0)
    ordered, _ = graph.add_split("TopK", x, n_units, n_outputs=2)
    total = graph.add("CumSum", ordered, graph.constant(-1, np.int64))
    one = graph.constant(1)
    ones = graph.add("Expand", one, shape)
    rank = graph.add("CumSum", ones, graph.constant(-1, np.int64))
    mean = graph.add("Div", graph.add("Sub", total, one), rank)
    is_in = graph.add("Cast", graph.add("Greater", ordered, mean), to=FLOAT)
    axis = graph.constant([-1], np.int64)
    n_in = graph.add("ReduceSum", is_in, axis)
    is_kept = graph.add("Cast", is_in, to=BOOL)
    kept = graph.add("Where", is_kept, total, graph.constant(0))
    excess = graph.add("Sub", graph.add("ReduceSum", kept, axis), one)
    return graph.add("Relu", graph.add("Sub", x, graph.add("Div", excess, n_in)))


ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "celu": partial(_operator, "Elu"),
    "elu": partial(_operator, "Elu"),
    "exponential": partial(_operator, "Exp"),
    "gelu": _gelu,
    "hard_shrink": partial(_operator, "Shrink", lambd=0.5),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": partial(_times, "hard_sigmoid"),
    "hard_tanh": partial(_clip, -1, 1),
    "leaky_relu": partial(_operator, "LeakyRelu", alpha=0.2),
    "linear": _linear,
    "log_sigmoid": _log_sigmoid,
    "log_softmax": partial(_operator, "LogSoftmax", axis=-1),
    "mish": _mish,
    "relu": partial(_operator, "Relu"),
    "relu6": partial(_clip, 0, 6),
    "selu": partial(_operator, "Selu"),
    "sigmoid": partial(_operator, "Sigmoid"),
    "silu": partial(_times, "sigmoid"),
    "soft_shrink": partial(_operator, "Shrink", lambd=0.5, bias=0.5),
    "softmax": partial(_operator, "Softmax", axis=-1),
    "softplus": partial(_operator, "Softplus"),
    "softsign": partial(_operator, "Softsign"),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _sparse_sigmoid,
    "sparsemax": _sparsemax,
    "squareplus": _squareplus,
    "tanh": partial(_operator, "Tanh"),
    "tanh_shrink": _tanh_shrink,
}
