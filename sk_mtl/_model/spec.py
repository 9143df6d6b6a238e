"""The specification of a network: hashable values, from which its layers follow. No Keras."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from sk_mtl._data.input_spec import InputSpec
from sk_mtl._data.known_labels import label_columns
from sk_mtl._model.sharing import n_trunk_blocks
from sk_mtl._model.task_layout import TaskLayout

__all__ = [
    "ACTIVATIONS_OF_BLOCKS",
    "CustomOutputs",
    "HeadGroup",
    "NetworkSpec",
    "TaskOutput",
    "column_blocks",
    "dropout_of",
    "has_shared_kernel",
    "head_groups",
]

# Activations in which the output of a unit depends on the other units of the layer.
ACTIVATIONS_OF_BLOCKS = ("softmax", "log_softmax", "sparsemax")

# Widths of layers with no dropout and with all of it, where it follows the width.
_WITHOUT_DROPOUT = 8
_FULL_DROPOUT = 256


@dataclass(frozen=True)
class TaskOutput:
    """Where a custom network returns the output of one task, and what it holds."""

    position: int  # which of the model's outputs, in the order of ``keras.tree.flatten``
    start: int  # its columns in that output
    stop: int
    kind: Literal["softmax", "sigmoid", "logits"]
    n_logits: int  # as in `TaskLayout`; 1 for a task of fewer than two classes, too


@dataclass(frozen=True)
class CustomOutputs:
    """The outputs of a whole custom network, in task order."""

    tasks: tuple[TaskOutput, ...]

    def select(self, is_kept: Sequence[bool]) -> CustomOutputs:
        """Return the outputs of the tasks that are kept."""
        kept = zip(self.tasks, is_kept, strict=True)
        return CustomOutputs(tuple(task for task, is_task_kept in kept if is_task_kept))


@dataclass(frozen=True)
class NetworkSpec:
    """What determines a network: hashable, so that it can be the key of a compiled program."""

    n_features: int
    n_outputs: tuple[int, ...]  # logits per task; see `layout`
    hidden_layer_sizes: tuple[int, ...] = ()
    head_hidden_layer_sizes: tuple[tuple[int, ...], ...] = ()  # by task
    activation: str = "relu"  # Keras's name
    dropout: float = 0.0
    normalization: str | None = None  # "batch" or "layer", between a product and its activation
    l2: float = 0.0
    custom_model: str | None = None  # as text: the trunk or, with `custom_outputs`, all of it
    custom_outputs: CustomOutputs | None = None
    input: InputSpec | None = None
    ensemble_size: int = 1
    ensemble_method: str = "shared"  # or "independent"; "shared" for a single member
    dropout_by_width: bool = False  # whether narrow layers have less of it; see `dropout_of`
    # Whether a column for each class follows the features; "with_indicator" for one for each task,
    # too, for a label that is missing.
    known_labels: bool | str = False
    sharing: str = "hard"  # how tasks share the trunk; see `sharing.py`
    n_experts: int = 0  # that all tasks share, where there are such
    n_task_experts: int = 0  # of each task, where there are such

    def __post_init__(self) -> None:
        if not self.head_hidden_layer_sizes:
            object.__setattr__(self, "head_hidden_layer_sizes", ((),) * len(self.n_outputs))

    @property
    def layout(self) -> TaskLayout:
        """Which logits belong to which task."""
        return TaskLayout(self.n_outputs)

    @property
    def n_label_columns(self) -> int:
        """The number of columns of known labels among the inputs."""
        if not self.known_labels:
            return 0
        has_indicator = self.known_labels == "with_indicator"
        return label_columns(self.n_outputs)[1] + has_indicator * len(self.n_outputs)

    @property
    def n_inputs(self) -> int:
        """The number of columns that the network takes."""
        return self.n_features + self.n_label_columns


def dropout_of(spec: NetworkSpec, units: int) -> float:
    """Return the share of the outputs of a hidden layer of so many units that is dropped."""
    if not spec.dropout_by_width:
        return spec.dropout
    return spec.dropout * dropout_share(units)


def dropout_share(units: int) -> float:
    """Return the part of the dropout of a wide layer that suits a layer of so many units."""
    # Chosen in docs/benchmarks/quality.md: the whole costs narrow layers what they can express.
    doublings = math.log2(units / _WITHOUT_DROPOUT)
    return min(max(doublings / math.log2(_FULL_DROPOUT / _WITHOUT_DROPOUT), 0.0), 1.0)


class HeadGroup(NamedTuple):
    """Heads that are computed together: of one shape, or all that have no hidden layer."""

    tasks: list[int]
    hidden: tuple[int, ...]
    n_blocks: int  # 1 for heads without a hidden layer that read the same, which are one layer
    width: int  # outputs of a block
    columns: np.ndarray  # of the outputs, among the logits of all tasks


def head_groups(spec: NetworkSpec) -> list[HeadGroup]:
    """Return the groups of heads, in the order of their first tasks."""
    by_shape: dict[tuple[tuple[int, ...], int], list[int]] = defaultdict(list)
    for task, (hidden, width) in enumerate(
        zip(spec.head_hidden_layer_sizes, spec.n_outputs, strict=True)
    ):
        # Heads with inputs of their own are as many products, which must have one shape.
        by_shape[hidden, width if hidden or spec.sharing != "hard" else 0].append(task)
    columns, groups = np.split(np.arange(spec.layout.total), spec.layout.starts[1:]), []
    for (hidden, common_width), tasks in by_shape.items():
        of_group = np.concatenate([columns[task] for task in tasks])
        n_blocks = len(tasks) if common_width else 1
        groups.append(HeadGroup(tasks, hidden, n_blocks, len(of_group) // n_blocks, of_group))
    return groups


def column_blocks(spec: NetworkSpec) -> dict[str, tuple[int, int]]:
    """Return by name how many blocks of columns each dense layer reads and gives."""
    # A block belongs to the trunk of one member, to one of its heads, or to all its heads without a
    # hidden layer; members come first. Where sharing is not hard there is one member, and a block
    # belongs to an expert of the trunk, or to one of the heads.
    blocks, n_members, n_given = {}, spec.ensemble_size, 1
    of_trunk = n_members * n_trunk_blocks(spec)
    for depth in range(len(spec.hidden_layer_sizes)):
        blocks[f"trunk_{depth}"] = (n_given, of_trunk)
        n_given = of_trunk
    for number, group in enumerate(head_groups(spec)):
        n_read = n_given if spec.sharing == "hard" else len(group.tasks)
        for depth in range(len(group.hidden) + 1):
            name = f"heads_{number}_{'logits' if depth == len(group.hidden) else depth}"
            blocks[name] = (n_read, n_members * group.n_blocks)
            n_read = n_members * group.n_blocks
    return blocks


def has_shared_kernel(spec: NetworkSpec, name: str) -> bool:
    """Return whether the members share the kernel of a layer; in output layers they never do."""
    is_ensemble = spec.ensemble_size > 1 and spec.ensemble_method == "shared"
    return is_ensemble and not name.endswith("_logits")
