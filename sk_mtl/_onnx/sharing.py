"""The mixing layers of a sharing structure in ONNX: the arithmetic of `_predict/sharing.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl._model.sharing import Mixing, Stitch
from sk_mtl._onnx.graph import Graph

__all__ = ["add_mixing", "take_blocks"]


def add_mixing(
    graph: Graph,
    mixing: Mixing | Stitch,
    values: Mapping[str, Any],
    experts: str,
    encoded: str,
    of_level: str,
    n_units: int,
) -> str:
    """Add a mixing layer; return the blocks that it gives, (n, n_blocks * n_units)."""
    if isinstance(mixing, Stitch):
        blocks = graph.reshape(experts, -1, mixing.n_tasks, n_units)
        stitch = graph.constant(values["stitch"])
        combined = graph.add("Einsum", stitch, blocks, equation="tu,nuw->ntw")
        return graph.reshape(combined, -1, mixing.n_tasks * n_units)
    n_tasks, n_shared, n_own = mixing.n_tasks, mixing.n_shared, mixing.n_own
    blocks = graph.reshape(experts, -1, mixing.n_experts, n_units)
    shared_read = encoded
    if mixing.reads_mixtures:
        n_in = values["gate_kernel"].shape[1]
        read = graph.reshape(of_level, -1, mixing.n_experts, n_in)
        of_tasks = take_blocks(graph, read, n_shared + n_own * np.arange(n_tasks))
        logits = graph.multiply_blocks(of_tasks, values["gate_kernel"])
        bias = np.reshape(values["gate_bias"], (n_tasks, -1))
        logits = graph.add("Add", logits, graph.constant(bias))
        shared_read = graph.reshape(take_blocks(graph, read, [0]), -1, n_in)
    else:
        logits = _add_dense(graph, encoded, values["gate_kernel"], values["gate_bias"])
        logits = graph.reshape(logits, -1, n_tasks, mixing.n_choices)
    gates = graph.add("Softmax", logits, axis=2)
    shared = take_blocks(graph, blocks, np.arange(n_shared))
    of_shared = graph.add("Gather", gates, graph.constant(range(n_shared), np.int64), axis=2)
    mixtures = graph.add("Einsum", of_shared, shared, equation="nte,new->ntw")
    if n_own:
        own = take_blocks(graph, blocks, np.arange(n_shared, mixing.n_experts))
        own = graph.reshape(own, -1, n_tasks, n_own, n_units)
        positions = graph.constant(range(n_shared, mixing.n_choices), np.int64)
        of_own = graph.add("Gather", gates, positions, axis=2)
        of_own = graph.reshape(of_own, -1, n_tasks, n_own, 1)
        sums = graph.add("Mul", of_own, own)
        axis = graph.constant([2], np.int64)
        mixtures = graph.add("Add", mixtures, graph.add("ReduceSum", sums, axis, keepdims=0))
    if mixing.gives_level:
        kernel, bias = values["shared_gate_kernel"], values["shared_gate_bias"]
        shares = graph.add("Softmax", _add_dense(graph, shared_read, kernel, bias), axis=1)
        of_all = graph.add("Einsum", shares, blocks, equation="ne,new->nw")
        parts = [graph.reshape(of_all, -1, 1, n_units), mixtures]
        order = np.repeat(np.arange(1 + n_tasks), [n_shared, *[n_own] * n_tasks])
        mixtures = take_blocks(graph, graph.concat(parts), order)
    return graph.reshape(mixtures, -1, mixing.n_given * n_units)


def take_blocks(graph: Graph, x: str, blocks: Any) -> str:
    """Take some of the blocks of (n, n_blocks, n_units)."""
    return graph.add("Gather", x, graph.constant(blocks, np.int64), axis=1)


def _add_dense(graph: Graph, x: str, kernel: Any, bias: Any) -> str:
    return graph.add("Add", graph.add("MatMul", x, graph.constant(kernel)), graph.constant(bias))
