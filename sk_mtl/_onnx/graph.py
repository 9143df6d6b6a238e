"""A graph under construction: nodes that name their outputs, and constants.

Owns the versions of the operator sets. Knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sk_mtl._quoting import quote

__all__ = ["IR_VERSION", "OPSETS", "Graph"]

# Old enough for runtimes of 2022, and new enough for every operator used here.
OPSETS = {"": 17, "ai.onnx.ml": 3}
IR_VERSION = 8


class Graph:
    """Nodes, constants, inputs and outputs."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._taken: set[str] = set()

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        return self.add_split(operator, *inputs, n_outputs=1, domain=domain, **attributes)[0]

    def add_split(
        self, operator: str, *inputs: str, n_outputs: int, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs, and return their names."""
        names = [self._name(operator) for _ in range(n_outputs)]
        node = helper.make_node(operator, inputs, names, domain=domain, **attributes)
        self._nodes.append(node)
        return names

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Add a constant, and return its name; ``dtype=object`` is for text."""
        name = self._name("constant")
        array = np.asarray(values, dtype)
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape a tensor; -1 stands for the rows."""
        return self.add("Reshape", x, self.constant(shape, np.int64))

    def concat(self, parts: Sequence[str], axis: int = 1) -> str:
        """Join tensors."""
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=axis)

    def take(self, x: str, columns: Any, n_columns: int) -> str:
        """Take some of the columns of (n, n_columns), in their order."""
        columns = np.asarray(columns)
        if np.array_equal(columns, np.arange(n_columns)):
            return x
        return self.add("Gather", x, self.constant(columns, np.int64), axis=1)

    def multiply_blocks(self, x: str, kernels: np.ndarray) -> str:
        """Multiply blocks, (n, n_blocks, n_in), each by its kernel, (n_blocks, n_in, n_out)."""
        # Not by MatMul: of several matrices without rows, ONNX Runtime up to 1.31 divides by zero.
        return self.add("Einsum", x, self.constant(kernels), equation="nbi,bio->nbo")

    def clip(self, x: str, low: float, high: float) -> str:
        """Clip numbers."""
        return self.add("Clip", x, self.constant(low), self.constant(high))

    def add_input(self, name: str, kind: int, n_columns: int) -> str:
        """Declare an input of shape (n, n_columns)."""
        self._check_name(name)
        self._inputs.append(helper.make_tensor_value_info(name, kind, ["n", n_columns]))
        self._taken.add(name)
        return name

    def add_output(self, x: str, name: str, kind: int, *shape: Any) -> None:
        """Declare a tensor as an output of that name."""
        self._check_name(name)
        self._nodes.append(helper.make_node("Identity", [x], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, kind, ["n", *shape]))
        self._taken.add(name)

    def to_model(self, description: str) -> onnx.ModelProto:
        """Return the model, checked."""
        graph = helper.make_graph(
            self._nodes, "multitask_network", self._inputs, self._outputs, self._constants
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        model.doc_string = description
        return model

    def _check_name(self, name: str) -> None:
        if not name:
            raise ValueError(
                "ONNX has no inputs without a name, and a feature is called ''. Rename it before "
                "fit."
            )
        if name in self._taken:
            raise ValueError(
                f"ONNX needs a name of its own for each input and output. Two of them would be "
                f"called {quote(name)}. Rename the feature or the task before fit."
            )

    def _name(self, stem: str) -> str:
        number = len(self._taken)
        # Other graphs, with which this one may be joined, have no such names.
        while (name := f"network/{stem.lower()}_{number}") in self._taken:
            number += 1
        self._taken.add(name)
        return name


FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64
BOOL, STRING = TensorProto.BOOL, TensorProto.STRING
