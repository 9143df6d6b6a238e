"""The variables of a built-in network: their layers, kinds and shapes, in Keras's order. No Keras.

Owns the order in which Keras lists layers, by their distance from the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sk_mtl._data.input_spec import CATEGORY_VECTOR_SIZE
from sk_mtl._model.sharing import Mixing, Stitch, mixing_after
from sk_mtl._model.spec import (
    ACTIVATIONS_OF_BLOCKS,
    NetworkSpec,
    column_blocks,
    dropout_of,
    has_shared_kernel,
    head_groups,
)

__all__ = ["Variable", "list_variables", "values_by_layer"]


class Variable(NamedTuple):
    """A variable of a network."""

    layer: str
    kind: str
    shape: tuple[int, ...]
    trainable: bool = True
    dtype: str = "float32"

    @property
    def is_averaged(self) -> bool:
        """Whether weight averaging averages it: weights, and the moments of batches."""
        return self.trainable or self.kind.startswith("moving_")


def values_by_layer(spec: NetworkSpec, values: Sequence[object]) -> dict[str, dict[str, object]]:
    """Return a network's values by layer and kind, from those in the order of its variables."""
    by_layer: dict[str, dict[str, object]] = {}
    for variable, value in zip(list_variables(spec), values, strict=True):
        by_layer.setdefault(variable.layer, {})[variable.kind] = value
    return by_layer


def list_variables(spec: NetworkSpec) -> list[Variable]:
    """Return the variables of a network without `custom_model`, as `network_variables` does."""
    variables, n_columns = _input_variables(spec)
    blocks, n_encoded = column_blocks(spec), n_columns
    for depth, units in enumerate(spec.hidden_layer_sizes):
        name = f"trunk_{depth}"
        for layer in _hidden_layers(spec, name, n_columns, units, blocks[name]):
            variables += layer
        of_level, n_columns = n_columns, units * blocks[name][1]
        mixing = mixing_after(spec, depth)
        if mixing is not None:
            variables += _mixing_variables(mixing, n_encoded, of_level)
            n_columns = units * mixing.n_given
    groups, n_tasks = [], len(spec.n_outputs)
    for number, group in enumerate(head_groups(spec)):
        # A head reads all columns, or a block of its own.
        n_read = n_columns
        if spec.sharing != "hard":
            n_read = n_columns // n_tasks * len(group.tasks)
        widths = (*group.hidden, group.width)
        groups.append(_head_layers(spec, f"heads_{number}", n_read, widths, blocks))
    # Keras lists the layers farthest from the output first, those of one distance group by group.
    for distance in range(max(len(layers) for layers in groups), 0, -1):
        for layers in groups:
            if distance <= len(layers):
                variables += layers[-distance]
    return sorted(variables, key=lambda variable: not variable.trainable)


def _input_variables(spec: NetworkSpec) -> tuple[list[Variable], int]:
    """Return the variables of the input layers, and the number of columns that they give."""
    if spec.input is None:
        return [], spec.n_inputs
    read, looked_up = spec.input, spec.input.looked_up
    n_columns = len(read.numeric(spec.n_features)) + len(read.indicators)
    n_embedded, size = len(read.embedded), read.embedding_size
    variables = [
        Variable("standardize", "shift", (n_columns,), False),
        Variable("standardize", "scale", (n_columns,), False),
    ]
    if n_embedded and read.embedding == "piecewise_linear":
        kinds = ("lower", "slope", "center")
        variables += [Variable(read.embedding, kind, (n_embedded, size), False) for kind in kinds]
        n_columns += n_embedded * size
    elif n_embedded and read.embedding == "periodic":
        variables += [
            Variable(read.embedding, "frequencies", (n_embedded, size)),
            Variable(read.embedding, "kernel", (n_embedded, 2 * size, size)),
            Variable(read.embedding, "bias", (n_embedded, 1, size)),
        ]
        n_columns += n_embedded * size
    if looked_up:
        n_vectors = sum(read.categories[j] + 1 for j in looked_up)
        variables.append(Variable("categories", "embeddings", (n_vectors, CATEGORY_VECTOR_SIZE)))
        n_columns += len(looked_up) * CATEGORY_VECTOR_SIZE
    return variables, n_columns + spec.n_label_columns


def _mixing_variables(mixing: Mixing | Stitch, n_encoded: int, of_level: int) -> list[Variable]:
    """Return the variables of a mixing layer, from how many columns its gates may read."""
    name, n_tasks = mixing.name, mixing.n_tasks
    if isinstance(mixing, Stitch):
        return [Variable(name, "stitch", (n_tasks, n_tasks))]
    n_in, n_choices = n_encoded, mixing.n_choices
    kernel: tuple[int, ...] = (n_in, n_tasks * n_choices)
    bias: tuple[int, ...] = (n_tasks * n_choices,)
    if mixing.reads_mixtures:
        n_in = of_level // mixing.n_experts
        kernel, bias = (n_tasks, n_in, n_choices), (n_tasks, 1, n_choices)
    variables = [Variable(name, "gate_kernel", kernel), Variable(name, "gate_bias", bias)]
    if mixing.gives_level:
        variables += [
            Variable(name, "shared_gate_kernel", (n_in, mixing.n_experts)),
            Variable(name, "shared_gate_bias", (mixing.n_experts,)),
        ]
    return variables


def _head_layers(
    spec: NetworkSpec,
    name: str,
    n_columns: int,
    widths: tuple[int, ...],
    blocks: dict[str, tuple[int, int]],
) -> list[list[Variable]]:
    """Return the variables of each Keras layer of a group of heads."""
    layers: list[list[Variable]] = []
    for depth, units in enumerate(widths[:-1]):
        layer = f"{name}_{depth}"
        layers += _hidden_layers(spec, layer, n_columns, units, blocks[layer])
        n_columns = units * blocks[layer][1]
    layer = f"{name}_logits"
    layers.append(_dense_variables(spec, layer, n_columns, widths[-1], blocks[layer]))
    return layers


def _hidden_layers(
    spec: NetworkSpec, name: str, n_columns: int, units: int, blocks: tuple[int, int]
) -> list[list[Variable]]:
    """Return the variables of each Keras layer that makes up a hidden layer."""
    n_blocks = blocks[1]
    width = (units * n_blocks,)
    layers = [_dense_variables(spec, name, n_columns, units, blocks)]
    if spec.normalization is not None:
        norm = [Variable(f"{name}_norm", kind, width) for kind in ("gamma", "beta")]
        if spec.normalization == "batch":
            kinds = ("moving_mean", "moving_variance")
            norm += [Variable(f"{name}_norm", kind, width, False) for kind in kinds]
        layers.append(norm)
    is_split = n_blocks > 1 and spec.activation in ACTIVATIONS_OF_BLOCKS
    layers += [[]] * (3 if is_split else 1)
    if dropout_of(spec, units):
        layers.append([Variable(f"{name}_drop", "seed_generator_state", (2,), False, "int64")])
    return layers


def _dense_variables(
    spec: NetworkSpec, name: str, n_columns: int, units: int, blocks: tuple[int, int]
) -> list[Variable]:
    """Return the variables of a dense layer, or of the layers in one."""
    n_read, n_given = blocks
    if has_shared_kernel(spec, name):
        n_members = spec.ensemble_size
        n_heads = max(n_read // n_members, 1)
        n_in = n_columns // n_read
        n_out = units * n_given // n_members
        return [
            Variable(name, "kernel", (n_heads, n_in, n_out // n_heads)),
            Variable(name, "input_scale", (n_members, n_heads * n_in)),
            Variable(name, "output_scale", (n_members, n_out)),
            Variable(name, "bias", (n_members, n_out)),
        ]
    if n_read > 1:
        n_out = units * n_given // n_read
        return [
            Variable(name, "kernel", (n_read, n_columns // n_read, n_out)),
            Variable(name, "bias", (n_read, 1, n_out)),
        ]
    n_out = units * n_given
    return [Variable(name, "kernel", (n_columns, n_out)), Variable(name, "bias", (n_out,))]
