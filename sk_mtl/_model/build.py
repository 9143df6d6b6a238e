"""From a network's specification to its Keras model, which maps X to the logits of all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from sk_mtl._compat.backend import check_backend
from sk_mtl._data.known_labels import LABEL_SCALE
from sk_mtl._model.custom_outputs import outputs_to_logits
from sk_mtl._model.custom_serialization import deserialize_model
from sk_mtl._model.ensemble import MeanOfMembers, SharedDense
from sk_mtl._model.input_layers import build_input
from sk_mtl._model.layers import MixedDense, NoiseDropout, ParallelDense, Slice, TaskOrder
from sk_mtl._model.sharing import Stitch, mixing_after
from sk_mtl._model.sharing_layers import CrossStitch, ExpertMixture, TaskBlocks
from sk_mtl._model.spec import (
    ACTIVATIONS_OF_BLOCKS,
    HeadGroup,
    NetworkSpec,
    column_blocks,
    dropout_of,
    has_shared_kernel,
    head_groups,
)

__all__ = [
    "build_fitted",
    "build_network",
    "logits_of",
    "network_variables",
]

check_backend()


def build_network(spec: NetworkSpec, product_dtype: str = "float32") -> keras.Model:
    """Build the Keras model of a specification: from X to the logits, or a whole custom network."""
    # A network whose products have another dtype has the same variables, in float32, and serves
    # training only: that dtype is not in the configuration of its layers.
    # Every layer has an explicit name: Keras's automatic names depend on what else the process has
    # built, and ``dense_10`` sorts before ``dense_9``.
    custom = None if spec.custom_model is None else deserialize_model(spec.custom_model)
    is_whole = spec.custom_outputs is not None
    if custom is not None and is_whole and spec.input is None:
        return custom
    inputs = keras.Input((spec.n_inputs,), dtype="float32", name="X")
    shared = _encode(inputs, spec)
    blocks = column_blocks(spec)
    if custom is not None:
        shared = custom(shared)
        if is_whole:
            return keras.Model(inputs, shared, name="whole_network")
    else:
        encoded = shared
        for depth, units in enumerate(spec.hidden_layer_sizes):
            name, of_level = f"trunk_{depth}", shared
            layer = _dense_layer(spec, units, name, blocks[name], product_dtype)
            shared = _finish_hidden(layer(shared), spec, name, units, blocks[name][1])
            shared = _mix(shared, spec, depth, encoded, of_level, product_dtype)
    groups = head_groups(spec)
    parts = [
        _build_heads(shared, spec, group, f"heads_{number}", blocks, product_dtype)
        for number, group in enumerate(groups)
    ]
    logits = (
        keras.layers.Concatenate(dtype="float32", name="logits")(parts)
        if len(parts) > 1
        else parts[0]
    )
    columns = np.argsort(np.concatenate([group.columns for group in groups])).tolist()
    if columns != sorted(columns):
        logits = TaskOrder(columns, dtype="float32", name="task_order")(logits)
    if spec.ensemble_size > 1:
        logits = MeanOfMembers(spec.n_outputs, dtype="float32", name="mean_of_members")(logits)
    return keras.Model(inputs, logits, name="multitask_network")


def logits_of(spec: NetworkSpec, outputs: Any) -> Any:
    """Return the logits, (n_samples, sum(n_outputs)), from what a network returned."""
    if spec.custom_outputs is None:
        return outputs
    return outputs_to_logits(keras.tree.flatten(outputs), spec.custom_outputs)


def network_variables(model: keras.Model) -> list[Any]:
    """Return all variables of a network's state, trainable ones first: weights, moments, seeds."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def build_fitted(
    spec: NetworkSpec,
    networks: Sequence[list[np.ndarray]],
    epochs: Sequence[int],
    of_task: Sequence[int],
    temperatures: np.ndarray | None,
) -> keras.Model:
    """Build the model that predicts: one network, or one per epoch that is best for some task."""
    models = [_fill(build_network(spec), values) for values in networks]
    model = models[0]
    if len(of_task):
        names = [f"epoch_{epoch}" for epoch in epochs]
        model = _join_networks(models, names, spec, of_task)
    if temperatures is not None:
        model = _divide_logits(model, spec, temperatures)
    # Keras refuses to export a model to ONNX that was never called.
    model(keras.ops.zeros((1, spec.n_inputs), dtype="float32"))
    return model


def _fill(model: keras.Model, values: list[np.ndarray]) -> keras.Model:
    """Assign values to a model's variables, and return it."""
    for variable, value in zip(network_variables(model), values, strict=True):
        variable.assign(value)
    return model


def _divide_logits(model: keras.Model, spec: NetworkSpec, temperatures: np.ndarray) -> keras.Model:
    """Return a network of the same layers that divides its logits by temperatures, (n_tasks,)."""
    factors = np.repeat(1 / temperatures, spec.n_outputs).tolist()
    layer = keras.layers.Rescaling(factors, dtype="float32", name="temperatures")
    return keras.Model(model.input, layer(model.output), name=model.name)


def _join_networks(
    models: Sequence[keras.Model], names: Sequence[str], spec: NetworkSpec, of_task: Sequence[int]
) -> keras.Model:
    """Return a network that takes the logits of each task from one of several models."""
    inputs = keras.Input((spec.n_inputs,), dtype="float32", name="X")
    parts = [
        keras.Model(model.input, model.output, name=name)(inputs)
        for model, name in zip(models, names, strict=True)
    ]
    width = spec.layout.total
    columns = np.repeat(of_task, spec.n_outputs) * width + np.arange(width)
    logits = keras.layers.Concatenate(dtype="float32", name="logits")(parts)
    logits = TaskOrder(columns.tolist(), dtype="float32", name="task_order")(logits)
    return keras.Model(inputs, logits, name="multitask_networks")


def _encode(inputs: Any, spec: NetworkSpec) -> Any:
    """Return what the trunk reads: features behind the input layers, and known labels."""
    n, settings = spec.n_features, {"dtype": "float32"}
    features = inputs
    if spec.known_labels:
        features = Slice(0, n, name="features", **settings)(inputs)
    if spec.input is not None:
        features = build_input(features, spec.input, _regularizer(spec.l2))
    if not spec.known_labels:
        return features
    labels = Slice(n, spec.n_inputs, name="known_labels", **settings)(inputs)
    labels = keras.layers.Rescaling(LABEL_SCALE, name="label_scale", **settings)(labels)
    return keras.layers.Concatenate(name="with_labels", **settings)([features, labels])


def _dense_layer(
    spec: NetworkSpec, units: int, name: str, blocks: tuple[int, int], product_dtype: str
) -> Any:
    """Return the dense layer, or the fused layers, with blocks of `units` outputs."""
    layer = _layer_of_products(spec, units, name, blocks, product_dtype)
    if product_dtype != "float32":
        layer.product_dtype = product_dtype
    return layer


def _layer_of_products(
    spec: NetworkSpec, units: int, name: str, blocks: tuple[int, int], product_dtype: str
) -> Any:
    """Return what `_dense_layer` does, before its products get their dtype."""
    n_read, n_given = blocks
    if has_shared_kernel(spec, name):
        n_heads = max(n_read // spec.ensemble_size, 1)
        return SharedDense(
            units * n_given // (spec.ensemble_size * n_heads),
            spec.ensemble_size,
            n_heads,
            reads_same=n_read == 1,
            kernel_regularizer=_regularizer(spec.l2),
            dtype="float32",
            name=name,
        )
    # The objective contains the mean over members of the penalty on their kernels.
    regularizer = _regularizer(spec.l2 / spec.ensemble_size)
    if n_read > 1:
        return ParallelDense(
            units * n_given // n_read,
            n_read,
            kernel_regularizer=regularizer,
            dtype="float32",
            name=name,
        )
    # Heads that read the same input are one wide dense layer. Kernels are drawn by
    # `draw_initial_values`; the dtype does not depend on Keras's global setting.
    dense = keras.layers.Dense if product_dtype == "float32" else MixedDense
    return dense(
        n_given * units,
        kernel_initializer="zeros",
        kernel_regularizer=regularizer,
        dtype="float32",
        name=name,
    )


def _mix(
    experts: Any, spec: NetworkSpec, depth: int, encoded: Any, of_level: Any, product_dtype: str
) -> Any:
    """Return what comes after a layer of the trunk: mixtures of experts, if it consists of such."""
    mixing = mixing_after(spec, depth)
    if mixing is None:
        return experts
    if isinstance(mixing, Stitch):
        return CrossStitch(mixing.n_tasks, dtype="float32", name=mixing.name)(experts)
    layer = ExpertMixture(
        mixing.n_tasks,
        mixing.n_shared,
        mixing.n_own,
        mixing.reads_mixtures,
        mixing.gives_level,
        kernel_regularizer=_regularizer(spec.l2),
        dtype="float32",
        name=mixing.name,
    )
    if product_dtype != "float32":
        layer.product_dtype = product_dtype
    return layer([experts, of_level if mixing.reads_mixtures else encoded])


def _build_heads(
    shared: Any,
    spec: NetworkSpec,
    group: HeadGroup,
    name: str,
    blocks: dict[str, tuple[int, int]],
    product_dtype: str,
) -> Any:
    """Return the logits of a group of heads, side by side; members are on axis 1."""
    heads, tasks = shared, list(range(len(spec.n_outputs)))
    if spec.sharing != "hard" and group.tasks != tasks:
        layer = TaskBlocks(group.tasks, len(tasks), dtype="float32", name=f"{name}_read")
        heads = layer(heads)
    for depth, units in enumerate(group.hidden):
        layer_name = f"{name}_{depth}"
        layer = _dense_layer(spec, units, layer_name, blocks[layer_name], product_dtype)
        heads = _finish_hidden(layer(heads), spec, layer_name, units, blocks[layer_name][1])
    layer_name = f"{name}_logits"
    heads = _dense_layer(spec, group.width, layer_name, blocks[layer_name], product_dtype)(heads)
    if spec.ensemble_size == 1:
        return heads
    shape = (spec.ensemble_size, heads.shape[-1] // spec.ensemble_size)
    return keras.layers.Reshape(shape, dtype="float32", name=f"{name}_members")(heads)


def _finish_hidden(x: Any, spec: NetworkSpec, name: str, units: int, n_blocks: int) -> Any:
    """Normalise, activate and drop out the product of a hidden layer of blocks of `units`."""
    if spec.normalization == "batch":
        x = keras.layers.BatchNormalization(dtype="float32", name=f"{name}_norm")(x)
    elif spec.normalization == "layer":
        # One group of channels per block: each head of each member is normalised separately.
        layer = keras.layers.GroupNormalization(
            groups=n_blocks, epsilon=1e-3, dtype="float32", name=f"{name}_norm"
        )
        x = layer(x)
    x = _activate(x, spec, name, n_blocks)
    if dropout := dropout_of(spec, units):
        # The fit sets its own seed before training.
        x = NoiseDropout(dropout, seed=0, dtype="float32", name=f"{name}_drop")(x)
    return x


def _activate(x: Any, spec: NetworkSpec, name: str, n_blocks: int) -> Any:
    """Apply the activation, to each block separately if it depends on all units."""
    layer = keras.layers.Activation(spec.activation, dtype="float32", name=f"{name}_act")
    if n_blocks == 1 or spec.activation not in ACTIVATIONS_OF_BLOCKS:
        return layer(x)
    width = x.shape[-1]
    shape = (n_blocks, width // n_blocks)
    split = keras.layers.Reshape(shape, dtype="float32", name=f"{name}_split")
    join = keras.layers.Reshape((width,), dtype="float32", name=f"{name}_join")
    return join(layer(split(x)))


def _regularizer(factor: float) -> Any:
    return keras.regularizers.L2(factor) if factor else None
