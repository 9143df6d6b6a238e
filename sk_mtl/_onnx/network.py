"""A network in ONNX, from X to the logits of all tasks: the arithmetic of `_predict/forward.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sk_mtl._data.known_labels import LABEL_SCALE, MISSING, label_columns
from sk_mtl._fit.fitted_network import FittedNetwork
from sk_mtl._model.sharing import mixing_after
from sk_mtl._model.spec import ACTIVATIONS_OF_BLOCKS, NetworkSpec, column_blocks, head_groups
from sk_mtl._model.task_layout import TaskLayout
from sk_mtl._model.variables import values_by_layer
from sk_mtl._onnx.activations import ACTIVATIONS
from sk_mtl._onnx.graph import FLOAT, Graph
from sk_mtl._onnx.input_layers import add_input_layers
from sk_mtl._onnx.sharing import add_mixing, take_blocks
from sk_mtl._predict.layers import NORM_EPSILON, dense_values

__all__ = ["add_logits", "add_probabilities", "has_description"]

_LARGEST_LOGIT = 1e30


def has_description(spec: NetworkSpec) -> bool:
    """Return whether the network consists of layers that are known here."""
    return spec.custom_model is None and spec.activation in ACTIVATIONS


def add_logits(graph: Graph, x: str, known: str | None, network: FittedNetwork) -> str:
    """Add the networks that predict; return the logits, (n, n_columns), without temperatures."""
    best = network.best_weights
    networks = [network.state.network] if best is None else best.values
    parts = [_Network(graph, network.spec, values).add(x, known) for values in networks]
    logits = graph.concat(parts)
    if best is not None:
        width = network.spec.layout.total
        of_column = np.repeat(best.of_task, network.spec.n_outputs)
        logits = graph.take(logits, of_column * width + np.arange(width), len(parts) * width)
    return graph.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)


def add_probabilities(
    graph: Graph, logits: str, n_outputs: Sequence[int], temperatures: np.ndarray | None
) -> str:
    """Add the probabilities of all classes, side by side in the order of the tasks."""
    layout = TaskLayout(tuple(n_outputs))
    if temperatures is not None:
        divisors = np.repeat(temperatures, n_outputs)
        logits = graph.add("Div", logits, graph.constant(divisors))
    parts = []
    for width, tasks, columns in layout.groups:
        of_group = graph.take(logits, columns.ravel(), layout.total)
        of_group = graph.reshape(of_group, -1, len(tasks), width)
        if width == 1:
            # The log-odds of a binary task are its second logit, where the first is 0.
            first = graph.add("Sub", of_group, of_group)
            of_group = graph.concat([first, of_group], axis=2)
        shares = graph.add("Softmax", of_group, axis=2)
        parts.append(graph.reshape(shares, -1, len(tasks) * max(width, 2)))
    starts = label_columns(tuple(n_outputs))[0]
    widths = np.maximum(n_outputs, 2)
    tasks_in_order = np.concatenate([group.tasks for group in layout.groups])
    order = np.concatenate([np.arange(starts[t], starts[t] + widths[t]) for t in tasks_in_order])
    return graph.take(graph.concat(parts), np.argsort(order), len(order))


class _Network:
    """One network with its values, on its way into a graph."""

    def __init__(self, graph: Graph, spec: NetworkSpec, values: Sequence[np.ndarray]):
        self._graph = graph
        self._spec = spec
        self._by_layer: Any = values_by_layer(spec, values)

    def add(self, x: str, known: str | None) -> str:
        """Add all layers; return the logits in task order, of the mean of members."""
        graph, spec = self._graph, self._spec
        if spec.input is not None:
            x = add_input_layers(graph, x, spec.input, spec.n_features, self._by_layer)
        if spec.known_labels:
            x = graph.concat([x, self._add_known(x, known)])
        encoded = x
        for depth, units in enumerate(spec.hidden_layer_sizes):
            of_level, x = x, self._add_hidden(x, f"trunk_{depth}")
            mixing = mixing_after(spec, depth)
            if mixing is not None:
                values = self._by_layer[mixing.name]
                x = add_mixing(graph, mixing, values, x, encoded, of_level, units)
        n_members, parts, columns = spec.ensemble_size, [], []
        for number, group in enumerate(head_groups(spec)):
            y = x
            if spec.sharing != "hard":
                y = graph.reshape(y, -1, len(spec.n_outputs), spec.hidden_layer_sizes[-1])
                y = take_blocks(graph, y, group.tasks)
                y = graph.reshape(y, -1, len(group.tasks) * spec.hidden_layer_sizes[-1])
            for depth in range(len(group.hidden)):
                y = self._add_hidden(y, f"heads_{number}_{depth}")
            y = self._add_dense(y, f"heads_{number}_logits")
            parts.append(graph.reshape(y, -1, n_members, len(group.columns)))
            columns.append(group.columns)
        logits = graph.concat(parts, axis=2)
        order = np.argsort(np.concatenate(columns))
        if (np.diff(order) != 1).any():
            logits = graph.add("Gather", logits, graph.constant(order, np.int64), axis=2)
        if n_members > 1:
            return self._add_mean(logits)
        return graph.reshape(logits, -1, spec.layout.total)

    def _add_known(self, x: str, known: str | None) -> str:
        """Columns of known labels, from class indices, (n, n_tasks); zeros without them."""
        graph, spec = self._graph, self._spec
        if known is None:
            n_rows = graph.add("Shape", x, start=0, end=1)
            width = graph.constant([spec.n_label_columns], np.int64)
            shape = graph.add("Concat", n_rows, width, axis=0)
            return graph.add("Expand", graph.constant(0), shape)
        widths = np.maximum(spec.n_outputs, 2)
        tasks = np.repeat(np.arange(len(widths)), widths)
        classes = np.concatenate([np.arange(width) for width in widths])
        cells = graph.take(known, tasks, len(widths))
        is_one = graph.add("Equal", cells, graph.constant(classes, np.int64))
        parts = [is_one]
        if spec.known_labels == "with_indicator":
            # A row without any known label is one of X alone.
            has_any = graph.add("ReduceMax", known, axes=[1], keepdims=1)
            has_any = graph.add("GreaterOrEqual", has_any, graph.constant(0, np.int64))
            is_missing = graph.add("Equal", known, graph.constant(MISSING, np.int64))
            parts.append(graph.add("And", is_missing, has_any))
        ones = graph.add("Cast", graph.concat(parts), to=FLOAT)
        return graph.add("Mul", ones, graph.constant(LABEL_SCALE))

    def _add_dense(self, x: str, name: str, norm: Mapping[str, Any] | None = None) -> str:
        """Add a dense layer, or several side by side; return (n, width)."""
        graph = self._graph
        values = dense_values(self._spec, name, self._by_layer[name], norm)
        n_blocks, _, n_in = values.weights.shape
        width = len(values.offset)
        kernels = np.swapaxes(values.weights, 1, 2)
        if values.input_scale is not None:
            x = graph.add("Mul", x, graph.constant(values.input_scale))
        if column_blocks(self._spec)[name][0] == 1:
            x = graph.add("MatMul", x, graph.constant(kernels[0]))
        elif n_blocks == 1:  # blocks of columns with the same kernel
            x = graph.add("MatMul", graph.reshape(x, -1, n_in), graph.constant(kernels[0]))
            x = graph.reshape(x, -1, width)
        else:
            x = graph.reshape(x, -1, n_blocks, n_in)
            x = graph.reshape(graph.multiply_blocks(x, kernels), -1, width)
        if values.scale is not None:
            x = graph.add("Mul", x, graph.constant(values.scale))
        return graph.add("Add", x, graph.constant(values.offset))

    def _add_hidden(self, x: str, name: str) -> str:
        """Add a dense layer, its normalisation and its activation."""
        graph, spec = self._graph, self._spec
        norm = self._by_layer.get(f"{name}_norm")
        x = self._add_dense(x, name, norm if spec.normalization == "batch" else None)
        n_blocks = column_blocks(spec)[name][1]
        width = np.size(self._by_layer[name]["bias"])
        if norm is not None and spec.normalization == "layer":
            x = graph.reshape(x, -1, n_blocks, width // n_blocks)
            x = graph.add("Sub", x, graph.add("ReduceMean", x, axes=[2], keepdims=1))
            square = graph.add("Mul", x, x)
            variance = graph.add("ReduceMean", square, axes=[2], keepdims=1)
            deviation = graph.add("Sqrt", graph.add("Add", variance, graph.constant(NORM_EPSILON)))
            x = graph.reshape(graph.add("Div", x, deviation), -1, width)
            x = graph.add("Mul", x, graph.constant(norm["gamma"]))
            x = graph.add("Add", x, graph.constant(norm["beta"]))
        activate = ACTIVATIONS[spec.activation]
        if n_blocks == 1 or spec.activation not in ACTIVATIONS_OF_BLOCKS:
            return activate(graph, x)
        x = activate(graph, graph.reshape(x, -1, n_blocks, width // n_blocks))
        return graph.reshape(x, -1, width)

    def _add_mean(self, logits: str) -> str:
        """From the logits of members, (n, n_members, n_columns), to those of their mean."""
        graph, layout, n_members = self._graph, self._spec.layout, self._spec.ensemble_size
        logits = graph.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
        parts = []
        for width, tasks, columns in layout.groups:
            positions = graph.constant(columns.ravel(), np.int64)
            part = graph.add("Gather", logits, positions, axis=2)
            if width == 1:
                # The logarithm of the sigmoid is the negative softplus of the negative.
                no = graph.add("Neg", graph.add("Softplus", part))
                yes = graph.add("Neg", graph.add("Softplus", graph.add("Neg", part)))
                yes, no = (self._add_log_sum(shares) for shares in (yes, no))
                parts.append(graph.add("Sub", yes, no))
            else:
                part = graph.reshape(part, -1, n_members, len(tasks), width)
                part = self._add_log_sum(graph.add("LogSoftmax", part, axis=3))
                parts.append(graph.reshape(part, -1, columns.size))
        order = layout.column_order
        whole = graph.concat(parts)
        return whole if order is None else graph.take(whole, order, layout.total)

    def _add_log_sum(self, x: str) -> str:
        return self._graph.add("ReduceLogSumExp", x, axes=[1], keepdims=0)
