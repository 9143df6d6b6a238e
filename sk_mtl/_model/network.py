"""The network: from a specification to Keras layers, X -> logits with the tasks side by side.

Owns the architecture, its initial weights and the fusion of heads of one shape into one batched
product. Does not know y, the loss or how training goes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from sk_mtl._model.custom_model import deserialize_model, outputs_to_logits
from sk_mtl._model.ensemble import MeanOfMembers, SharedDense
from sk_mtl._model.input_layers import build_input
from sk_mtl._model.spec import (
    NetworkSpec,
    column_blocks,
    columns_in_task_order,
    has_shared_kernel,
    head_groups,
)
from sk_mtl._names import did_you_mean

__all__ = [
    "NoiseDropout",
    "ParallelDense",
    "TaskOrder",
    "build_network",
    "canonical_activation",
    "check_backend",
    "divide_logits",
    "draw_bits",
    "draw_initial_values",
    "join_networks",
    "logits_of",
    "network_variables",
]


def check_backend() -> None:
    """Refuse another backend of Keras than TensorFlow, in which the training loop is written.

    Raises
    ------
    ImportError
        If Keras runs on another one in this process.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            "MultiTaskClassifier needs Keras's TensorFlow backend, but Keras runs on "
            f"{backend!r} in this process. Set KERAS_BACKEND=tensorflow in the environment, or in "
            "Keras's configuration file, before Keras is imported."
        )


check_backend()

_FREQUENCY_SCALE = 0.1  # of periodic embeddings at the start
_CUSTOM = "<custom>"  # the layer of all variables of a custom model
# Those in which a unit's output depends on the layer's other units.
_ACTIVATIONS_OF_BLOCKS = ("softmax", "log_softmax", "sparsemax")
_SCIKIT_LEARN_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}


@keras.saving.register_keras_serializable("sk_mtl")
class ParallelDense(keras.layers.Layer):
    """Several dense layers of one shape, each on its own slice of the input, in one product.

    Parameters
    ----------
    units : int
        Width of each layer's output.
    n_heads : int
        Number of layers.
    kernel_regularizer : keras.Regularizer, default=None
        Applied to the kernels of all heads together.
    **kwargs : dict
        Settings of `keras.layers.Layer`.

    Notes
    -----
    Input of shape ``(batch_size, n_heads * n_in)``, output ``(batch_size, n_heads * units)``;
    kernel ``(n_heads, n_in, units)`` and bias ``(n_heads, 1, units)``.
    """

    def __init__(self, units: int, n_heads: int, kernel_regularizer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.n_heads = n_heads
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create kernel and bias.

        Parameters
        ----------
        input_shape : tuple
            ``(batch_size, n_heads * n_in)``.
        """
        self.n_in = int(input_shape[-1] or 0) // self.n_heads
        self.kernel = self.add_weight(
            shape=(self.n_heads, self.n_in, self.units),
            initializer="zeros",
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.n_heads, 1, self.units), initializer="zeros", name="bias"
        )

    def call(self, inputs: Any) -> Any:
        """Apply every head to its slice.

        Parameters
        ----------
        inputs : tensor of shape (batch_size, n_heads * n_in)
            The heads' inputs side by side.

        Returns
        -------
        outputs : tensor of shape (batch_size, n_heads * units)
            The heads' outputs side by side.
        """
        by_head = ops.transpose(ops.reshape(inputs, (-1, self.n_heads, self.n_in)), (1, 0, 2))
        outputs = ops.matmul(by_head, self.kernel) + self.bias
        return ops.reshape(ops.transpose(outputs, (1, 0, 2)), (-1, self.n_heads * self.units))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int]:
        """Return the shape of the output.

        Parameters
        ----------
        input_shape : tuple
            ``(batch_size, n_heads * n_in)``.

        Returns
        -------
        output_shape : tuple
            ``(batch_size, n_heads * units)``.
        """
        return (input_shape[0], self.n_heads * self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {
            **super().get_config(),
            "units": self.units,
            "n_heads": self.n_heads,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


def canonical_activation(activation: Any) -> str:
    """Return Keras's name of an activation given by Keras's or scikit-learn's name, or a function.

    Parameters
    ----------
    activation : str or callable
        Such as "relu", "logistic", or ``keras.activations.gelu``.

    Returns
    -------
    name : str
        A name that `keras.activations.get` takes.

    Raises
    ------
    ValueError
        If Keras does not know it, or if it changes the width of what it is given ("glu").
    """
    known = _SCIKIT_LEARN_ACTIVATIONS.get(activation, activation)
    try:
        function = keras.activations.get(known)
        # Keras warns of a lambda before it can be refused.
        is_lambda = getattr(function, "__name__", None) == "<lambda>"
        name = None if is_lambda else keras.activations.serialize(function)
    except (ValueError, TypeError, AttributeError) as error:
        names = [*_SCIKIT_LEARN_ACTIVATIONS, *vars(keras.activations)]
        raise ValueError(
            f"activation must be one that Keras knows. Got {activation!r}."
            f"{did_you_mean(activation, names)}"
        ) from error
    if not isinstance(name, str):
        raise ValueError(
            "activation must be the name of a Keras activation, or one of its functions. "
            f"Got {activation!r}; give layers of your own by `model=`."
        )
    if name == "glu":
        raise ValueError(
            "activation must keep the width of a layer; 'glu' halves it. Take another, such as "
            "'silu', or give layers of your own by `model=`."
        )
    return name


def build_network(spec: NetworkSpec) -> keras.Model:
    """Build the Keras model of a specification.

    Every layer has an explicit name: Keras's automatic ones depend on what else the process has
    built, and sort differently from one count to the next.

    Parameters
    ----------
    spec : NetworkSpec
        What to build.

    Returns
    -------
    model : keras.Model
        From X to the logits in task order, or whatever a whole custom network gives.
    """
    custom = None if spec.custom_model is None else deserialize_model(spec.custom_model)
    is_whole = spec.custom_outputs is not None
    if custom is not None and is_whole and spec.input is None:
        return custom
    inputs = keras.Input((spec.n_features,), dtype="float32", name="X")
    shared = (
        inputs if spec.input is None else build_input(inputs, spec.input, _regularizer(spec.l2))
    )
    blocks = column_blocks(spec)
    if custom is not None:
        shared = custom(shared)
        if is_whole:
            return keras.Model(inputs, shared, name="whole_network")
    else:
        for depth, units in enumerate(spec.hidden_layer_sizes):
            name = f"trunk_{depth}"
            layer = _dense_layer(spec, units, name, blocks[name])
            shared = _finish_hidden(layer(shared), spec, name, blocks[name][1])
    parts, order = [], []
    for number, (hidden, width, tasks) in enumerate(head_groups(spec)):
        parts.append(_build_heads(shared, spec, hidden, width, f"heads_{number}", blocks))
        order.extend(tasks)
    logits = (
        keras.layers.Concatenate(dtype="float32", name="logits")(parts)
        if len(parts) > 1
        else parts[0]
    )
    if order != sorted(order):
        logits = TaskOrder(columns_in_task_order(spec, order), dtype="float32", name="task_order")(
            logits
        )
    if spec.ensemble_size > 1:
        logits = MeanOfMembers(spec.n_outputs, dtype="float32", name="mean_of_members")(logits)
    return keras.Model(inputs, logits, name="multitask_network")


def logits_of(spec: NetworkSpec, outputs: Any) -> Any:
    """Return the logits from what the network of a specification gives.

    Parameters
    ----------
    spec : NetworkSpec
        The specification of the network.
    outputs : tensor or structure of tensors
        What its model returned.

    Returns
    -------
    logits : tensor of shape (n_samples, sum(n_outputs))
        The tasks side by side.
    """
    if spec.custom_outputs is None:
        return outputs
    return outputs_to_logits(keras.tree.flatten(outputs), spec.custom_outputs)


def divide_logits(model: keras.Model, spec: NetworkSpec, temperatures: np.ndarray) -> keras.Model:
    """Return a network that gives its logits divided by the temperatures of the tasks.

    Parameters
    ----------
    model : keras.Model
        From X to the logits in task order.
    spec : NetworkSpec
        Its specification.
    temperatures : ndarray of float32 of shape (n_tasks,)
        Positive numbers.

    Returns
    -------
    model : keras.Model
        The same layers, and one more.
    """
    factors = np.repeat(1 / temperatures, spec.n_outputs).tolist()
    layer = keras.layers.Rescaling(factors, dtype="float32", name="temperatures")
    return keras.Model(model.input, layer(model.output), name=model.name)


def join_networks(
    models: Sequence[keras.Model], names: Sequence[str], spec: NetworkSpec, of_task: Sequence[int]
) -> keras.Model:
    """Return a network that takes the logits of each task from one of several.

    Parameters
    ----------
    models : sequence of keras.Model
        From X to the logits in task order.
    names : sequence of str
        What to call them.
    spec : NetworkSpec
        The specification of each of them.
    of_task : sequence of int
        By task, which model.

    Returns
    -------
    model : keras.Model
        From X to the logits in task order.
    """
    inputs = keras.Input((spec.n_features,), dtype="float32", name="X")
    parts = [
        keras.Model(model.input, model.output, name=name)(inputs)
        for model, name in zip(models, names, strict=True)
    ]
    width = sum(spec.n_outputs)
    columns = np.repeat(of_task, spec.n_outputs) * width + np.arange(width)
    logits = keras.layers.Concatenate(dtype="float32", name="logits")(parts)
    logits = TaskOrder(columns.tolist(), dtype="float32", name="task_order")(logits)
    return keras.Model(inputs, logits, name="multitask_networks")


@keras.saving.register_keras_serializable("sk_mtl")
class TaskOrder(keras.layers.Layer):
    """Puts the columns of heads that were fused by shape into the order of the tasks.

    Parameters
    ----------
    columns : sequence of int
        Where each column of the output stands in the input.
    **kwargs : dict
        Settings of `keras.layers.Layer`.
    """

    def __init__(self, columns: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.columns = [int(c) for c in columns]

    def call(self, inputs: Any) -> Any:
        """Take the columns in order.

        Parameters
        ----------
        inputs : tensor of shape (batch_size, n_columns) or (batch_size, n_members, n_columns)
            Columns by group of heads.

        Returns
        -------
        outputs : tensor of the same shape
            Columns by task.
        """
        return ops.take(inputs, np.asarray(self.columns), axis=-1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the output.

        Parameters
        ----------
        input_shape : tuple
            ``(batch_size, ..., n_columns)``.

        Returns
        -------
        output_shape : tuple
            The same.
        """
        return (*input_shape[:-1], len(self.columns))

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for Keras's serialisation.

        Returns
        -------
        config : dict
            Keyword arguments of the constructor.
        """
        return {**super().get_config(), "columns": self.columns}


@keras.saving.register_keras_serializable("sk_mtl")
class NoiseDropout(keras.layers.Dropout):
    """Keras's dropout, which can take its random numbers from outside.

    Notes
    -----
    Where `noise` is set while a training step is traced, 16-bit integers of the input's shape, an
    activation is dropped where its integer is below ``round(rate * 2**16)``.
    """

    noise: Any = None

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop activations while training.

        Parameters
        ----------
        inputs : tensor
            Activations.
        training : bool, default=False
            Whether to drop any.

        Returns
        -------
        outputs : tensor of the same shape
            The kept ones are scaled up, so that their expectation stays.
        """
        if self.noise is None or not training or not self.rate:
            return super().call(inputs, training=training)
        threshold = round(self.rate * 2**16)
        kept = ops.cast(ops.cast(self.noise, "int32") >= threshold, inputs.dtype)
        return inputs * kept * (2**16 / (2**16 - threshold))


def draw_bits(seed_state: Any, shape: tuple[int, int, int]) -> Any:
    """Draw 16-bit integers for steps of training.

    Parameters
    ----------
    seed_state : tensor of shape (2,)
        A seed, and the number of steps that were drawn for before.
    shape : tuple (n_steps, n_rows, n_units)
        What is wanted. A step's numbers do not depend on how many steps are drawn at once.

    Returns
    -------
    bits : tensor of uint16 of the shape
        Uniform on all values.
    """
    n_steps, n_rows, n_units = shape
    n_blocks = -(-n_rows * n_units // 8)  # Philox gives eight at a time
    counter = tf.cast(seed_state[1], tf.uint64) * tf.cast(n_blocks, tf.uint64)
    drawn = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=(n_steps, n_blocks * 4),
        key=tf.reshape(tf.cast(seed_state[0], tf.uint64), (1,)),
        counter=tf.stack([counter, tf.constant(0, tf.uint64)]),
        alg=1,
        dtype=tf.uint32,
    )
    bits = tf.reshape(tf.bitcast(drawn, tf.uint16), (n_steps, n_blocks * 8))
    return tf.reshape(bits[:, : n_rows * n_units], shape)


def _dense_layer(spec: NetworkSpec, units: int, name: str, blocks: tuple[int, int]) -> Any:
    """Return the layer, or the layers in one, that give blocks of a width."""
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
    # The objective has the mean over members of the penalty of each one's own kernels.
    regularizer = _regularizer(spec.l2 / spec.ensemble_size)
    if n_read > 1:
        return ParallelDense(
            units * n_given // n_read,
            n_read,
            kernel_regularizer=regularizer,
            dtype="float32",
            name=name,
        )
    # All that read the same input are one wide dense layer. Kernels are drawn by
    # `draw_initial_values`; dtype as text, whatever Keras's global one is.
    return keras.layers.Dense(
        n_given * units,
        kernel_initializer="zeros",
        kernel_regularizer=regularizer,
        dtype="float32",
        name=name,
    )


def _build_heads(
    shared: Any,
    spec: NetworkSpec,
    hidden: tuple[int, ...],
    width: int,
    name: str,
    blocks: dict[str, tuple[int, int]],
) -> Any:
    """Return the logits of heads of one shape, side by side; members in rows of their own."""
    heads = shared
    for depth, units in enumerate(hidden):
        layer_name = f"{name}_{depth}"
        heads = _dense_layer(spec, units, layer_name, blocks[layer_name])(heads)
        heads = _finish_hidden(heads, spec, layer_name, blocks[layer_name][1])
    layer_name = f"{name}_logits"
    heads = _dense_layer(spec, width, layer_name, blocks[layer_name])(heads)
    if spec.ensemble_size == 1:
        return heads
    shape = (spec.ensemble_size, heads.shape[-1] // spec.ensemble_size)
    return keras.layers.Reshape(shape, dtype="float32", name=f"{name}_members")(heads)


def _finish_hidden(x: Any, spec: NetworkSpec, name: str, n_blocks: int) -> Any:
    """Normalise, activate and drop out the product of a hidden layer."""
    if spec.normalization == "batch":
        x = keras.layers.BatchNormalization(dtype="float32", name=f"{name}_norm")(x)
    elif spec.normalization == "layer":
        # One group of channels per block: each head of each member is normalised by itself.
        layer = keras.layers.GroupNormalization(
            groups=n_blocks, epsilon=1e-3, dtype="float32", name=f"{name}_norm"
        )
        x = layer(x)
    x = _activate(x, spec, name, n_blocks)
    if spec.dropout:
        # The seed is replaced by the fit's own before training.
        x = NoiseDropout(spec.dropout, seed=0, dtype="float32", name=f"{name}_drop")(x)
    return x


def _activate(x: Any, spec: NetworkSpec, name: str, n_blocks: int) -> Any:
    """Apply the activation, block by block where it depends on a whole one."""
    layer = keras.layers.Activation(spec.activation, dtype="float32", name=f"{name}_act")
    if n_blocks == 1 or spec.activation not in _ACTIVATIONS_OF_BLOCKS:
        return layer(x)
    width = x.shape[-1]
    split = keras.layers.Reshape((n_blocks, width // n_blocks), name=f"{name}_split")
    join = keras.layers.Reshape((width,), dtype="float32", name=f"{name}_join")
    return join(layer(split(x)))


def _regularizer(factor: float) -> Any:
    return keras.regularizers.L2(factor) if factor else None


# ------------------------------------------------------------------------------------------------
# Initial values
# ------------------------------------------------------------------------------------------------


def draw_initial_values(
    spec: NetworkSpec,
    class_frequencies: Sequence[np.ndarray],
    rng: np.random.Generator,
    custom_values: Sequence[np.ndarray] | None = None,
    input_values: Mapping[str, np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Draw the values that a network's variables start from.

    Kernels are uniform in ±1 / sqrt(n_in) (a third of the variance of LeCun et al. 1998, section
    4.6): the function that a network starts from is noise to be unlearned, the more so the wider
    the input (docs/benchmarks/quality.md). Output biases are the log-odds of the classes, so that
    an untrained network predicts the class frequencies where its last hidden layer is 0, and around
    them elsewhere. Where members share kernels, the scalings of the features are drawn from -1 and
    1, and the others are 1 (Gorishniy et al. 2024). The rest is Keras's. A custom
    network keeps its own values, but for the heads that are put on a custom trunk.

    Parameters
    ----------
    spec : NetworkSpec
        The specification of the network.
    class_frequencies : sequence of ndarray of shape (n_classes_t,)
        Relative frequency of each class, by task.
    rng : numpy.random.Generator
        Source of the draw.
    custom_values : sequence of ndarray, default=None
        The values of the variables of a custom model.
    input_values : mapping of str to ndarray, default=None
        What was learned of X: the values of fixed variables of input layers, by their paths.

    Returns
    -------
    values : list of ndarray
        One array per variable, in the order of `network_variables`.
    """
    from_custom, from_input = iter(custom_values or ()), dict(input_values or {})
    bias = {} if spec.custom_outputs else _output_bias(spec, class_frequencies)
    blocks = column_blocks(spec)
    values = []
    for layer, kind, default in _default_values(spec):
        if f"{layer}/{kind}" in from_input:
            values.append(from_input[f"{layer}/{kind}"])
        elif layer == _CUSTOM:
            values.append(next(from_custom))
        elif kind == "seed_generator_state":
            values.append(np.array([rng.integers(2**31), 0], dtype=default.dtype))
        elif kind == "kernel":
            limit = _kernel_limit(default.shape[-2])
            values.append(rng.uniform(-limit, limit, default.shape).astype(np.float32))
        elif kind == "frequencies" and layer == "periodic":
            values.append(rng.normal(0, _FREQUENCY_SCALE, default.shape).astype(np.float32))
        elif kind == "embeddings":
            # 0 where a missing category is not learned, and of length 1 in the mean elsewhere.
            scale = 1 / math.sqrt(default.shape[-1])
            values.append((rng.normal(0, scale, default.shape) * default).astype(np.float32))
        elif kind == "input_scale" and blocks[layer][0] == 1:
            values.append(2 * rng.integers(2, size=default.shape).astype(np.float32) - 1)
        elif kind == "bias" and layer in bias:
            values.append(np.tile(bias[layer].ravel(), spec.ensemble_size).reshape(default.shape))
        else:
            values.append(default)
    return values


@lru_cache(maxsize=64)
def _default_values(spec: NetworkSpec) -> tuple[tuple[str, str, np.ndarray], ...]:
    """Return the layer, the kind and the value by Keras of each variable of a network."""
    found = []
    model = build_network(spec)
    # Layers of a custom model may have names like ours.
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


def _kernel_limit(n_in: int) -> float:
    return 1 / math.sqrt(n_in)


def network_variables(model: keras.Model) -> list[Any]:
    """Return all variables that a network's state consists of: weights, moments, seeds.

    Parameters
    ----------
    model : keras.Model
        A network.

    Returns
    -------
    variables : list of keras.Variable
        Trainable ones first.
    """
    return [*model.trainable_variables, *model.non_trainable_variables]


def _output_bias(
    spec: NetworkSpec, class_frequencies: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the biases of the output layers, by layer name."""
    biases = {}
    for number, (_, width, tasks) in enumerate(head_groups(spec)):
        rows = []
        for task in tasks:
            # A fixed class without a label keeps a finite log-odds.
            log_p = np.log(np.clip(class_frequencies[task], 1e-4, None))
            rows.append([log_p[1] - log_p[0]] if width == 1 else log_p - log_p.mean())
        biases[f"heads_{number}_logits"] = np.asarray(rows, dtype=np.float32)
    return biases
