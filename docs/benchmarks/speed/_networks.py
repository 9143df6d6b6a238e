"""One network for made-up tables, as sk_mtl, Keras, PyTorch and scikit-learn each write it.

Each library is imported by the function that needs it: a fresh process loads only what it measures.
"""

import gc
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import _timing  # before TensorFlow, which it quiets
import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Work:
    """A table and the network for it."""

    n_rows: int
    n_features: int
    hidden: tuple[int, ...]
    batch_size: int
    head: tuple[int, ...] = ()
    dropout: float = 0.0
    n_classes: tuple[int, ...] = (2, 2, 5)
    labelled: tuple[float, ...] = (1.0, 1.0, 0.12)  # share of rows, by task

    @property
    def n_steps(self) -> int:
        """Batches of an epoch."""
        return -(-self.n_rows // self.batch_size)

    @property
    def outputs(self) -> list[int]:
        """Width of the output of each task: one logit for two classes."""
        return [1 if n == 2 else n for n in self.n_classes]

    @property
    def kernels(self) -> list[tuple[int, int]]:
        """Shapes of the weight matrices; those of equal heads, which have one input, side by side.

        Behind hidden layers of their own, the outputs of the heads have an input each.
        """
        n_tasks = len(self.n_classes)
        widths = [self.n_features, *self.hidden]
        kernels = list(pairwise(widths))
        if not self.head:
            return [*kernels, (widths[-1], sum(self.outputs))]
        kernels.append((widths[-1], n_tasks * self.head[0]))
        for n_in, n_out in pairwise(self.head):
            kernels += [(n_in, n_out)] * n_tasks
        return [*kernels, *((self.head[-1], n) for n in self.outputs)]

    def make_features(self) -> np.ndarray:
        """Return normal features, float32."""
        rng = np.random.default_rng(0)
        return rng.standard_normal((self.n_rows, self.n_features), dtype=np.float32)

    def make_labels(self, X: np.ndarray) -> pd.DataFrame:
        """Return labels that can be learned in part, NaN where missing."""
        rng = np.random.default_rng(1)
        columns = {}
        for t, (n, share) in enumerate(zip(self.n_classes, self.labelled, strict=True)):
            scores = X[:, :10] @ rng.normal(size=(10, n)).astype(np.float32)
            y = (scores + rng.normal(size=scores.shape)).argmax(axis=1).astype(float)
            y[rng.random(len(y)) >= share] = np.nan
            columns[f"task{t}"] = y
        return pd.DataFrame(columns)

    def make_table(self) -> tuple[np.ndarray, pd.DataFrame]:
        """Return X and Y."""
        X = self.make_features()
        return X, self.make_labels(X)


# ------------------------------------------------------------------------------------------------
# sk_mtl
# ------------------------------------------------------------------------------------------------


def import_sk_mtl() -> None:
    """Import all modules of sk_mtl, and TensorFlow, so that no fit does it while it is measured."""
    import keras  # noqa: F401 - with TensorFlow

    import sk_mtl

    for module in pkgutil.walk_packages(sk_mtl.__path__, "sk_mtl."):
        # The modules that write ONNX need onnx, and no fit needs them.
        if module.name != "sk_mtl.__main__" and not module.name.startswith("sk_mtl._onnx."):
            import_module(module.name)
    # Nor does a fit wait for the collection that so many new objects set off.
    gc.collect()


def make_classifier(work: Work, epochs: int, **settings: Any) -> Any:
    """The estimator, with the work of the others: nothing is held out, and no weights averaged.

    `settings` may say otherwise.
    """
    from sk_mtl import MultiTaskClassifier

    return MultiTaskClassifier(
        hidden_layer_sizes=work.hidden,
        head_hidden_layer_sizes=work.head,
        standardize=False,
        dropout=work.dropout,
        loss_normalization="tasks",
        batch_size=work.batch_size,
        epochs=epochs,
        random_state=0,
        **{"ema_momentum": 0, "early_stopping": False} | settings,
    )


def sk_mtl_fit(
    work: Work, X: np.ndarray, Y: pd.DataFrame, **settings: Any
) -> Callable[[int], object]:
    """Return a function that fits for a number of epochs."""
    import_sk_mtl()
    return lambda epochs: make_classifier(work, epochs, **settings).fit(X, Y)


def sk_mtl_steady_fit(
    work: Work, X: np.ndarray, Y: pd.DataFrame, **settings: Any
) -> Callable[[int], object]:
    """As `sk_mtl_fit`, by XLA however few the epochs, as in a fit long enough to measure."""
    return sk_mtl_fit(work, X, Y, jit_compile=True, **settings)


def sk_mtl_epoch(work: Work, epochs: int, settings: dict[str, Any]) -> float:
    """Return the seconds of a steady epoch; to be called in a process of one version."""
    fit = sk_mtl_steady_fit(work, *work.make_table(), **settings)
    return _timing.epoch_seconds(fit, epochs)


# ------------------------------------------------------------------------------------------------
# Keras
# ------------------------------------------------------------------------------------------------


def make_keras_model(work: Work, steps_per_execution: int = 1) -> Any:
    """The functional model with an output per task, compiled."""
    import keras

    def stack(x: Any, widths: Iterable[int]) -> Any:
        for width in widths:
            x = keras.layers.Dense(width, activation="relu")(x)
            if work.dropout:
                x = keras.layers.Dropout(work.dropout)(x)
        return x

    inputs = keras.Input((work.n_features,))
    trunk = stack(inputs, work.hidden)
    outputs, losses = {}, {}
    for t, width in enumerate(work.outputs):
        name = f"task{t}"
        outputs[name] = keras.layers.Dense(width, name=name)(stack(trunk, work.head))
        losses[name] = (
            keras.losses.BinaryCrossentropy(from_logits=True)
            if width == 1
            else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss=losses, steps_per_execution=steps_per_execution)
    return model


def keras_targets(Y: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return targets, 0 where missing, and sample weights, 0 there too."""
    targets = {name: y.fillna(0).to_numpy(np.float32) for name, y in Y.items()}
    weights = {name: y.notna().to_numpy(np.float32) for name, y in Y.items()}
    return targets, weights


def keras_fit(
    work: Work, X: np.ndarray, Y: pd.DataFrame, steps_per_execution: int = 1
) -> Callable[[int], object]:
    """Return a function that goes on fitting one model: it builds and traces at its first call."""
    import keras  # noqa: F401 - not in the measured call

    targets, weights = keras_targets(Y)
    model: Any = None

    def fit(epochs: int) -> None:
        nonlocal model
        model = model or make_keras_model(work, steps_per_execution)
        model.fit(
            X,
            targets,
            sample_weight=weights,
            batch_size=work.batch_size,
            epochs=epochs,
            verbose=0,
        )

    return fit


def keras_wide_fit(work: Work, X: np.ndarray, Y: pd.DataFrame) -> Callable[[int], object]:
    """As `keras_fit`, for binary tasks side by side in one output; missing labels are -1."""
    import keras
    from keras import ops

    def masked_loss(y_true: Any, logits: Any) -> Any:
        labelled = ops.cast(y_true >= 0, "float32")
        cells = ops.relu(logits) - logits * y_true + ops.softplus(-ops.abs(logits))
        return ops.sum(labelled * cells) / ops.maximum(ops.sum(labelled), 1)

    y = Y.fillna(-1).to_numpy(np.float32)
    layers = [keras.layers.Dense(width, activation="relu") for width in work.hidden]
    model = keras.Sequential(
        [keras.Input((work.n_features,)), *layers, keras.layers.Dense(y.shape[1])]
    )
    model.compile(optimizer="adam", loss=masked_loss)
    return lambda epochs: model.fit(X, y, batch_size=work.batch_size, epochs=epochs, verbose=0)


# ------------------------------------------------------------------------------------------------
# PyTorch
# ------------------------------------------------------------------------------------------------


def make_torch_network(work: Work) -> Any:
    """The module: a trunk, and a head per task."""
    from torch import nn

    def stack(n_in: int, widths: Iterable[int]) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(n_in, width), nn.ReLU()]
            if work.dropout:
                layers.append(nn.Dropout(work.dropout))
            n_in = width
        return layers

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            n_trunk = work.hidden[-1]
            n_head = work.head[-1] if work.head else n_trunk
            self.trunk = nn.Sequential(*stack(work.n_features, work.hidden))
            self.heads = nn.ModuleList(
                nn.Sequential(*stack(n_trunk, work.head), nn.Linear(n_head, width))
                for width in work.outputs
            )

        def forward(self, x: Any) -> list[Any]:
            x = self.trunk(x)
            return [head(x) for head in self.heads]

    return Network()


def torch_fit(
    work: Work, X: np.ndarray, Y: pd.DataFrame, n_threads: int, fused: bool = False
) -> Callable[[int], object]:
    """Return a function that trains a network by a loop over batches of shuffled rows.

    Batches are taken from the tensors by index, which is faster than a DataLoader.
    """
    import torch
    from torch.nn import functional

    inputs = torch.from_numpy(X)
    labels = torch.from_numpy(Y.fillna(-1).to_numpy(np.int64, copy=True))
    # Tasks known throughout need no mask.
    complete = Y.notna().all().to_list()

    def task_loss(logits: Any, y: Any, t: int) -> Any:
        if work.outputs[t] > 1:
            total = functional.cross_entropy(logits, y, ignore_index=-1, reduction="sum")
            return total / (y >= 0).sum().clamp(min=1)
        z, target = logits[:, 0], y.float()
        if complete[t]:
            return functional.binary_cross_entropy_with_logits(z, target)
        mask = (y >= 0).float()
        total = functional.binary_cross_entropy_with_logits(z, target, mask, reduction="sum")
        return total / mask.sum().clamp(min=1)

    def fit(epochs: int) -> None:
        torch.set_num_threads(n_threads)
        network = make_torch_network(work)
        optimizer = torch.optim.Adam(network.parameters(), fused=fused or None)
        for _ in range(epochs):
            order = torch.randperm(len(inputs))
            for rows in order.split(work.batch_size):
                y = labels[rows]
                logits = network(inputs[rows])
                loss = sum(task_loss(z, y[:, t], t) for t, z in enumerate(logits))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    return fit


def torch_wide_fit(
    work: Work, X: np.ndarray, Y: pd.DataFrame, n_threads: int
) -> Callable[[int], object]:
    """As `torch_fit`, for binary tasks side by side in one output."""
    import torch
    from torch import nn

    inputs = torch.from_numpy(X)
    labels = torch.from_numpy(Y.fillna(0).to_numpy(np.float32, copy=True))
    mask = torch.from_numpy(Y.notna().to_numpy(np.float32, copy=True))

    def fit(epochs: int) -> None:
        torch.set_num_threads(n_threads)
        layers: list[nn.Module] = []
        for n_in, n_out in work.kernels:
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        network = nn.Sequential(*layers[:-1])
        optimizer = torch.optim.Adam(network.parameters())
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs)).split(work.batch_size):
                weight = mask[rows]
                total = nn.functional.binary_cross_entropy_with_logits(
                    network(inputs[rows]), labels[rows], weight, reduction="sum"
                )
                loss = total / weight.sum().clamp(min=1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    return fit


# ------------------------------------------------------------------------------------------------
# scikit-learn
# ------------------------------------------------------------------------------------------------


def make_mlp(work: Work, n_rows: int, epochs: int, **settings: Any) -> Any:
    """MLPClassifier of the same widths, for a fixed number of epochs."""
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        **{
            "hidden_layer_sizes": work.hidden + work.head,
            "alpha": 0.0,
            "batch_size": min(work.batch_size, n_rows),
            "max_iter": epochs,
            "n_iter_no_change": epochs + 1,  # never stops early
            "random_state": 0,
        }
        | settings
    )


def labelled_parts(X: np.ndarray, Y: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """The labelled rows of each task and their labels."""
    return [(X[known], Y[name][known].to_numpy(int)) for name, known in Y.notna().items()]


def mlp_fit(work: Work, X: np.ndarray, Y: pd.DataFrame) -> Callable[[int], object]:
    """Return a function that fits one MLPClassifier per task, on the rows with its label."""
    import sklearn.neural_network  # noqa: F401 - not in the measured call

    parts = labelled_parts(X, Y)
    return lambda epochs: [make_mlp(work, len(y), epochs).fit(x, y) for x, y in parts]


# ------------------------------------------------------------------------------------------------
# The arithmetic alone
# ------------------------------------------------------------------------------------------------


class MatrixProducts:
    """The matrix products of an epoch, or of a prediction, by numpy in float32 and nothing else.

    A layer has three products in training: forward, for its weights' gradient and for its input's
    gradient, of ``2 * rows * n_in * n_out`` operations each. The first layer has no use for the
    third. So an epoch takes ``rows * (6 * sum of kernel sizes - 2 * size of the first)``, and a
    prediction ``rows * 2 * sum of kernel sizes``. Biases, activations, losses and the optimizer
    are not counted. The better of one thread and of all counts: in small products, and wherever
    something else has one of the cores, threads that wait for each other lose.
    """

    def __init__(self, work: Work, batch_size: int | None = None, *, training: bool = True):
        batch_size = batch_size or work.batch_size
        full, rest = divmod(work.n_rows, batch_size)
        sizes = sum(n_in * n_out for n_in, n_out in work.kernels)
        n_first = work.kernels[0][0] * work.kernels[0][1]
        per_row = 6 * sizes - 2 * n_first if training else 2 * sizes
        self.operations = work.n_rows * per_row
        self._runs = [
            (count, [self._operands(rows, *kernel) for kernel in work.kernels])
            for count, rows in ((full, batch_size), (1, rest))
            if count and rows
        ]
        self._training = training

    @staticmethod
    def _operands(rows: int, n_in: int, n_out: int) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(0)
        shapes = [(rows, n_in), (n_in, n_out), (rows, n_out)]
        operands = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
        return (*operands, *(np.empty_like(operand) for operand in operands))

    def seconds(self) -> float:
        """Return the seconds that the products take, by the better number of threads."""
        from threadpoolctl import threadpool_limits

        best = float("inf")
        for limit in (1, None):
            with threadpool_limits(limit):
                best = min(best, self._median_of_runs())
        return best

    def _median_of_runs(self) -> float:
        """Return the median over as many runs as take some tenths of a second."""
        taken = [_timing.clock(self._run)]
        while sum(taken) < 0.2:
            taken.append(_timing.clock(self._run))
        return float(np.median(taken))

    def _run(self) -> None:
        for count, layers in self._runs:
            for _ in range(count):
                for number, (x, w, dz, dx, dw, z) in enumerate(layers):
                    np.matmul(x, w, out=z)
                    if self._training:
                        np.matmul(x.T, dz, out=dw)
                        if number:
                            np.matmul(dz, w.T, out=dx)

    def rate(self, seconds: Any) -> Any:
        """GFLOP/s of whoever does these products in so many seconds."""
        return self.operations / seconds / 1e9
