"""Settings: from the estimator's parameters, and the data, to the configuration of a training.

Owns what "auto" means, and which parameters go together. Does not train, and sees no estimator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import keras
import numpy as np

from sk_mtl._data.dataset import Dataset, Subset, UnlabelledSubset
from sk_mtl._data.input_encoder import AUTO_EMBEDDING, InputEncoder
from sk_mtl._data.input_spec import InputSpec
from sk_mtl._data.table_dataset import StoredSubset
from sk_mtl._fit.class_priors import (
    compute_adjusted_frequencies,
    compute_label_smoothing,
    compute_logit_offsets,
)
from sk_mtl._fit.splits import N_FOLDS
from sk_mtl._model.activations import canonical_activation
from sk_mtl._model.build import network_variables
from sk_mtl._model.custom_outputs import classify_outputs
from sk_mtl._model.custom_serialization import serialize_model
from sk_mtl._model.keras_objects import make_callbacks, make_optimizer
from sk_mtl._model.sharing import EXPERTS, TASK_EXPERTS
from sk_mtl._model.spec import NetworkSpec, column_blocks
from sk_mtl._model.task_layout import TaskLayout
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some, resolve_task, resolve_tasks
from sk_mtl._train.config import UnlabelledSpec
from sk_mtl._train.early_stopping import StoppingConfig
from sk_mtl._train.optimizer import inner_optimizer
from sk_mtl._train.plan import TrainingParts
from sk_mtl._train.progress import ProgressBar
from sk_mtl.weighting import make_weighting

__all__ = ["PRODUCT_DTYPES", "Settings"]

# Adam's epsilon without a `model`, chosen in docs/benchmarks/quality.md. Adam divides by the size
# of a weight's gradients; with Keras's 1e-7, weights that only rare features move take steps as
# large as any.
_ADAM_EPSILON = 1e-4
_EMA_MOMENTUM = 0.99
_DROPOUT = 0.4
# With early_stopping="auto": if a task has fewer labels, a tenth of them does not tell a good
# epoch. Folds find it then (measured in docs/benchmarks/quality.md). With fewer labelled rows
# nothing is validated; with more, folds take too long.
_MIN_LABELS_TO_VALIDATE = 2_000
_ROWS_FOR_FOLDS = (100, 20_000)
_MAX_WIDTH = 1_000_000  # of a hidden layer
# The dtype of products in training, by Keras's name of the policy.
PRODUCT_DTYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16"}


@dataclass(frozen=True)
class Settings:
    """The parameters of an estimator by name, routed ones included, and what follows from them."""

    parameters: Mapping[str, Any]
    changed_layers: list[str]  # the parameters of layers that are not at their default

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.parameters:
            raise AttributeError(name)
        return self.parameters[name]

    def routed(self, prefix: str) -> dict[str, Any]:
        """Return the settings routed to a prefix, without it."""
        start = f"{prefix}__"
        names = sorted(name for name in self.parameters if name.startswith(start))
        return {name.removeprefix(start): self.parameters[name] for name in names}

    # ---------------------------------------------------------------------------------- Stopping

    @property
    def must_calibrate(self) -> bool:
        """Whether a fit without validation rows is an error."""
        return bool(self.calibrate) and self.calibrate != "auto"

    def stops_early(self, dataset: Dataset, has_validation_data: bool) -> bool:
        """Return whether a validation loss decides when to stop."""
        if self.early_stopping == "auto":
            has_enough = len(dataset.rows) >= _MIN_LABELS_TO_VALIDATE and dataset.n_groups > 1
            return has_validation_data or has_enough
        return bool(self.early_stopping)

    def stops_by_folds(self, dataset: Dataset, has_validation_data: bool, continues: bool) -> bool:
        """Return whether folds find the number of epochs, asked for or by "auto"."""
        if not dataset.learnable_names or self.early_stopping not in ("auto", "cv"):
            return False
        if self.early_stopping == "cv":
            return True
        n_labels = dataset.targets.label_mask[dataset.rows][:, dataset.is_learnable].sum(axis=0)
        return (
            _ROWS_FOR_FOLDS[0] <= len(dataset.rows) < _ROWS_FOR_FOLDS[1]
            and bool((n_labels < _MIN_LABELS_TO_VALIDATE).any())
            and dataset.n_groups >= N_FOLDS
            and self.validation_fraction is not None
            and not has_validation_data
            # A fit that continues may have trained on any row before.
            and not continues
            # Custom models and callbacks are not trained and called six times unasked.
            and self.model is None
            and self.callbacks is None
            and self.epochs > self.n_iter_no_change
        )

    def stopping(self) -> StoppingConfig:
        """Return when early stopping stops, and whose best weights it keeps."""
        return StoppingConfig(self.n_iter_no_change, self.tol, self.restore_best == "per_task")

    def monitored_task(self, dataset: Dataset, validation: Subset) -> int | None:
        """Return the position of the monitored task among the learnable ones; None for the mean."""
        if self.monitor is None:
            return None
        task = resolve_task(self.monitor, dataset.schema.task_names, parameter="monitor")
        position = int(dataset.is_learnable[:task].sum())
        if dataset.is_learnable[task] and validation.has_labels(position):
            return position
        return None

    # ------------------------------------------------------------------------------------- Input

    @property
    def standardizes(self) -> bool:
        """Whether the network standardises X."""
        return self.model is None if self.standardize == "auto" else bool(self.standardize)

    @property
    def _embedding(self) -> str | None:
        """How numbers are embedded; "auto" if this depends on how many there are."""
        # X is taken as it is for a custom model, and where nothing is standardised.
        if self.numeric_embedding == "auto" and not (self.standardizes and self.model is None):
            return None
        return self.numeric_embedding

    def fit_encoder(
        self, dataset: Dataset, training: Subset
    ) -> tuple[InputEncoder, dict[str, np.ndarray]]:
        """Learn the input encoder, and the values of its layers, from the training rows."""
        if self.model is not None and self._embedding is not None:
            raise ValueError(
                "numeric_embedding belongs to the built-in network, and `model` is a network of "
                "your own. Embed numbers there, or set numeric_embedding=None."
            )
        if not dataset.learnable_names:
            return InputEncoder(dataset.categories), {}
        options: dict[str, Any] = {
            "standardize": self.standardizes,
            "embedding": self._embedding,
            "embedding_size": self.embedding_size,
        }
        if isinstance(training, StoredSubset):
            return training.fit_encoder(dataset.categories, **options)
        # By weight: a row of weight 2 counts as the row twice here, too.
        weight = training.weight[training.rows].max(axis=1)
        return InputEncoder.fit(training.X, training.rows, weight, dataset.categories, **options)

    def compare_input(self, spec: InputSpec | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the parameters that input layers were made with, and the same ones as they are."""
        spec = spec or InputSpec(standardize=False)
        before: dict[str, Any] = {
            "standardize": spec.standardize,
            "numeric_embedding": spec.embedding,
        }
        is_auto = self._embedding == "auto" and spec.embedding in (None, AUTO_EMBEDDING)
        embedding = spec.embedding if is_auto else self._embedding
        now = {"standardize": self.standardizes, "numeric_embedding": embedding}
        if spec.embedding is not None:
            before["embedding_size"] = spec.embedding_size
            now["embedding_size"] = self.embedding_size
        return before, now

    # ----------------------------------------------------------------------------------- Network

    def make_network(
        self, dataset: Dataset, encoder: InputEncoder, seed: int
    ) -> tuple[NetworkSpec, keras.optimizers.Optimizer, list[np.ndarray] | None]:
        """Return the network's specification, its optimizer, and the values of a custom model."""
        optimizer = self.make_optimizer()
        n_classes = [len(c) for c in dataset.learnable_classes]
        follows_width = isinstance(self.dropout, str)  # "auto"
        spec = NetworkSpec(
            n_features=dataset.shape[1],
            n_outputs=TaskLayout.of_classes(n_classes).n_outputs,
            hidden_layer_sizes=_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            head_hidden_layer_sizes=self._head_sizes(dataset),
            activation=canonical_activation(self.activation),
            dropout=_DROPOUT if follows_width else float(self.dropout),
            dropout_by_width=follows_width,
            normalization=self.normalization,
            l2=float(self.l2),
            input=encoder.spec,
            ensemble_size=int(self.ensemble_size),
            ensemble_method=self.ensemble_method,
            known_labels=self._reads_labels,
            **self._sharing(),
        )
        if self.model is None:
            if routed := self.routed("model"):
                raise ValueError(
                    f"model__{next(iter(routed))} is set, but model is None: there is no builder "
                    "to pass it to."
                )
            self._refuse_fused_kernels(spec, optimizer)
            return spec, optimizer, None
        return self._make_custom_network(spec, optimizer, dataset, seed)

    def _sharing(self) -> dict[str, Any]:
        """Return how tasks share the trunk, as in `NetworkSpec`."""
        sharing = self.sharing
        if sharing == "hard":
            return {}
        if self.model is not None:
            raise ValueError(
                f"sharing={sharing!r} needs a trunk built from hidden_layer_sizes, and `model` is "
                "a network of your own. Set sharing='hard' and build the experts in `model`, or "
                "leave model=None."
            )
        if not np.size(self.hidden_layer_sizes):
            raise ValueError(
                f"sharing={sharing!r} needs hidden layers, of which its experts consist. Got "
                f"hidden_layer_sizes={quote(self.hidden_layer_sizes)}. Give it a layer or more, "
                "or set sharing='hard'."
            )
        if self.ensemble_size > 1:
            raise ValueError(
                f"ensemble_size={self.ensemble_size} needs sharing='hard': the members of an "
                f"ensemble have one trunk each, without experts. Got sharing={sharing!r}. Set "
                "ensemble_size=1 (a MultiTaskEnsemble may have several such networks), or "
                "sharing='hard'."
            )
        return {
            "sharing": sharing,
            "n_experts": int(self.n_experts) if sharing in EXPERTS else 0,
            "n_task_experts": int(self.n_task_experts) if sharing in TASK_EXPERTS else 0,
        }

    def _refuse_fused_kernels(
        self, spec: NetworkSpec, optimizer: keras.optimizers.Optimizer
    ) -> None:
        """Refuse Muon where one array holds the kernels of several members or heads."""
        muon = getattr(keras.optimizers, "Muon", None)  # Keras 3.8 has none
        if muon is None or not isinstance(inner_optimizer(optimizer), muon):
            return
        if any(max(blocks) > 1 for blocks in column_blocks(spec).values()):
            if spec.sharing != "hard":
                raise ValueError(
                    "Keras's Muon updates kernels that are matrices, and all others as AdamW does. "
                    f"The kernels of experts are not matrices of their own. Got sharing="
                    f"{spec.sharing!r}. Set sharing='hard', or another optimizer, such as 'adamw'."
                )
            raise ValueError(
                "Keras's Muon updates kernels that are matrices, and all others as AdamW does. "
                "The kernels of an ensemble's members, or of heads with hidden layers, are not "
                f"matrices of their own. Got ensemble_size={spec.ensemble_size} and "
                f"head_hidden_layer_sizes={quote(self.head_hidden_layer_sizes)}. Set "
                "ensemble_size=1 and head_hidden_layer_sizes=(), or another optimizer, such as "
                "'adamw'."
            )

    def _make_custom_network(
        self,
        spec: NetworkSpec,
        optimizer: keras.optimizers.Optimizer,
        dataset: Dataset,
        seed: int,
    ) -> tuple[NetworkSpec, keras.optimizers.Optimizer, list[np.ndarray]]:
        """Return what `make_network` does, with the network that `model` gives."""
        if self.ensemble_size > 1:
            raise ValueError(
                f"ensemble_size={self.ensemble_size} needs a network built from "
                "hidden_layer_sizes, and `model` is a network of your own. Set ensemble_size=1 and "
                "fit the estimator with several random_states, or leave model=None."
            )
        if self.dtype is not None:
            raise ValueError(
                f"dtype={self.dtype!r} belongs to the built-in network, and `model` is a network "
                "of your own, which computes in the dtypes of its layers. Set dtype=None, and give "
                "the layers in `model` their dtype, such as dtype='mixed_bfloat16'."
            )
        if self.known_labels:
            raise ValueError(
                f"known_labels={self.known_labels!r} needs the built-in network, which takes known "
                "labels beside X, and `model` is a network of your own. Set known_labels=False, or "
                "leave model=None."
            )
        # scikeras is imported for custom models only.
        from sk_mtl._model.scikeras import build_custom_model, describe_for_builder

        schema = dataset.schema
        custom = build_custom_model(
            self.model,
            # All tasks, whether this y can teach them or not: the builder's heads are fixed.
            meta=describe_for_builder(
                dataset.shape, schema.classes, schema.task_names, is_1d=schema.is_1d
            ),
            seed=seed,
            model_params=self.routed("model"),
            optimizer=self.optimizer,
            optimizer_params=self.routed("optimizer"),
        )
        if custom.compiled and custom.optimizer is not None:
            optimizer = make_optimizer(custom.optimizer)
        outputs = classify_outputs(custom, schema.task_names, schema.n_classes)
        if outputs is not None and self.changed_layers:
            raise ValueError(
                f"{enumerate_some(self.changed_layers)} of the estimator would have no effect: "
                "`model` is the whole network, with an output per task. Leave them at their "
                "defaults, and build the layers in `model`."
            )
        is_learnable = dataset.is_learnable.tolist()
        spec = replace(
            spec,
            hidden_layer_sizes=(),
            custom_model=serialize_model(custom),
            custom_outputs=None if outputs is None else outputs.select(is_learnable),
        )
        return spec, optimizer, [np.array(v.numpy()) for v in network_variables(custom)]

    @property
    def trained_dtype(self) -> str:
        """The name of the policy of dtypes in training."""
        return "float32" if self.dtype is None else self.dtype

    @property
    def _reads_labels(self) -> bool | str:
        """Whether, and how, the network reads known labels; NumPy's booleans become Python's."""
        return self.known_labels if isinstance(self.known_labels, str) else bool(self.known_labels)

    def _head_sizes(self, dataset: Dataset) -> tuple[tuple[int, ...], ...]:
        """Return the hidden layer sizes of each head."""
        given, names = self.head_hidden_layer_sizes, dataset.schema.task_names
        parameter = "head_hidden_layer_sizes"
        if not isinstance(given, Mapping):
            return (_layer_sizes(given, parameter),) * len(dataset.learnable_names)
        by_name = {
            names[t]: _layer_sizes(sizes, parameter)
            for t, sizes in resolve_tasks(given, names, parameter=parameter).items()
        }
        return tuple(by_name.get(name, ()) for name in dataset.learnable_names)

    # -------------------------------------------------------------------------------------- Loss

    def logit_offsets(self, frequencies: list[np.ndarray]) -> np.ndarray | None:
        """Return what is added to the logits in training; None for nothing."""
        tau = float(self.logit_adjustment)
        return compute_logit_offsets(frequencies, tau) if tau else None

    def initial_frequencies(self, frequencies: list[np.ndarray]) -> list[np.ndarray]:
        """Return the class frequencies that the initial output biases stand for."""
        tau = float(self.logit_adjustment)
        return compute_adjusted_frequencies(frequencies, tau) if tau else frequencies

    def label_smoothing_shares(self, frequencies: list[np.ndarray]) -> np.ndarray | None:
        """Return the share of each task's labels to spread; None for nothing."""
        if self.loss == "cross_entropy":
            return compute_label_smoothing(self.label_smoothing, frequencies)
        if self.label_smoothing != "auto" and self.label_smoothing:
            raise ValueError(
                f"label_smoothing={self.label_smoothing!r} applies to the cross-entropy. Got "
                f"loss={self.loss!r}; set loss='cross_entropy', or label_smoothing=0."
            )
        return None

    def unlabelled_spec(self) -> UnlabelledSpec | None:
        """Return how unlabelled cells are learned from; None for not at all."""
        if self.unlabelled is None:
            return None
        momentum = float(self.teacher_momentum)
        if self.unlabelled == "consistency":
            return UnlabelledSpec(momentum, input_noise=float(self.input_noise))
        threshold = self.pseudo_label_threshold
        return UnlabelledSpec(momentum, threshold if threshold is None else float(threshold))

    # ------------------------------------------------------------------------------ Optimisation

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """Return a new optimizer with its routed settings."""
        settings = self.routed("optimizer")
        is_named = isinstance(self.optimizer, str) and self.optimizer.lower() in ("adam", "adamw")
        if is_named and self.model is None:
            settings = {"epsilon": _ADAM_EPSILON} | settings
        return make_optimizer(self.optimizer, settings)

    def resolve_batch_size(self, n_rows: int) -> int:
        """Return the rows per step."""
        if self.batch_size != "auto":
            return min(int(self.batch_size), max(n_rows, 1))
        return 32 if n_rows <= 2_000 else 128 if n_rows <= 10_000 else 256

    def unlabelled_batch_size(self, unlabelled: UnlabelledSubset | None) -> int:
        """Return the rows per step with unlabelled cells; there may be few labelled rows."""
        return 0 if unlabelled is None else self.resolve_batch_size(len(unlabelled.rows))

    def resolve_ema_momentum(self, optimizer: keras.optimizers.Optimizer) -> float:
        """Return the momentum of the averaged weights; 0 for none."""
        averages = inner_optimizer(optimizer).use_ema
        if self.ema_momentum == "auto":
            return 0.0 if averages or self.model is not None else _EMA_MOMENTUM
        if averages and self.ema_momentum:
            raise ValueError(
                f"ema_momentum={self.ema_momentum!r} averages weights, and so does the optimizer, "
                "with use_ema=True. Set one of them: optimizer__use_ema=False, or ema_momentum=0."
            )
        return float(self.ema_momentum)

    # ----------------------------------------------------------------------------------- Running

    def make_parts(
        self, dataset: Dataset, optimizer: keras.optimizers.Optimizer, title: str
    ) -> TrainingParts:
        """Return the live objects of a training, whose progress is shown under a title."""
        if self.ensemble_size > 1:
            title += f", {self.ensemble_size} members"
        return TrainingParts(
            optimizer,
            make_weighting(self.task_weighting, dataset.schema.task_names, dataset.is_learnable),
            make_callbacks(self.callbacks, self.routed("callbacks")),
            ProgressBar(dataset.series_labels, title, self.verbose > 1) if self.verbose else None,
        )

    def of_plan(
        self, optimizer: keras.optimizers.Optimizer, frequencies: list[np.ndarray]
    ) -> dict[str, Any]:
        """Return the settings of `make_plan` that follow from parameters and class frequencies."""
        return {
            "loss_normalization": self.loss_normalization,
            "focal_gamma": float(self.focal_gamma) if self.loss == "focal" else None,
            "logit_offsets": self.logit_offsets(frequencies),
            "label_smoothing": self.label_smoothing_shares(frequencies),
            "batching": self.batching,
            "unlabelled": self.unlabelled_spec(),
            "unlabelled_weight": float(self.unlabelled_weight),
            "ema_momentum": self.resolve_ema_momentum(optimizer),
            "product_dtype": PRODUCT_DTYPES[self.trained_dtype],
        }


def _layer_sizes(sizes: Any, name: str) -> tuple[int, ...]:
    """Return layer widths as a tuple of int."""
    listed = np.atleast_1d(np.asarray(sizes, dtype=object))
    are_widths = (type(n) is not bool and isinstance(n, Integral) for n in listed.ravel())
    if listed.ndim != 1 or not all(are_widths) or (listed < 1).any():
        raise ValueError(f"{name} must hold integers of at least 1. Got {quote(sizes)}.")
    if (listed > _MAX_WIDTH).any():
        raise ValueError(
            f"{name} must hold integers of at most {_MAX_WIDTH:,}: the weights of a wider layer "
            f"would not fit into memory. Got {quote(sizes)}."
        )
    return tuple(int(n) for n in listed)
