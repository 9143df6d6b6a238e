"""The specification of a network: hashable values, from which its layers follow. No Keras.

Owns which columns belong to which task and head. Does not know y, the loss or how training goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sk_mtl._data.input_encoder import InputSpec

__all__ = [
    "ACTIVATIONS_OF_BLOCKS",
    "CustomOutputs",
    "NetworkSpec",
    "TaskOutput",
    "column_blocks",
    "columns_in_task_order",
    "has_shared_kernel",
    "head_groups",
]

# Those in which a unit's output depends on the layer's other units.
ACTIVATIONS_OF_BLOCKS = ("softmax", "log_softmax", "sparsemax")


@dataclass(frozen=True)
class TaskOutput:
    """Where the output of one task stands in what a custom network returns, and what it is.

    Attributes
    ----------
    position : int
        Which of the model's outputs, in the order of ``keras.tree.flatten``.
    start, stop : int
        Its columns in that output.
    kind : {"softmax", "sigmoid", "logits"}
        What the columns hold.
    n_logits : int
        The width it has among the logits: 1 for at most two classes, else the number of classes.
    """

    position: int
    start: int
    stop: int
    kind: Literal["softmax", "sigmoid", "logits"]
    n_logits: int


@dataclass(frozen=True)
class CustomOutputs:
    """The outputs of a whole custom network, in task order.

    Attributes
    ----------
    tasks : tuple of TaskOutput
        One per task.
    """

    tasks: tuple[TaskOutput, ...]

    def select(self, is_kept: Sequence[bool]) -> CustomOutputs:
        """Return the outputs of some of the tasks.

        Parameters
        ----------
        is_kept : sequence of bool
            Which tasks to keep, one per task; the outputs of the others are not read.

        Returns
        -------
        outputs : CustomOutputs
            Those kept, in the same order.
        """
        kept = zip(self.tasks, is_kept, strict=True)
        return CustomOutputs(tuple(task for task, is_task_kept in kept if is_task_kept))


@dataclass(frozen=True)
class NetworkSpec:
    """All that shapes a network: hashable, so that it can be the key of a compiled program.

    Attributes
    ----------
    n_features : int
        Width of X.
    n_outputs : tuple of int
        Logits per task: 1 for a binary task, the number of classes for others.
    hidden_layer_sizes : tuple of int
        Widths of the shared layers.
    head_hidden_layer_sizes : tuple of tuple of int
        Widths of each task's own hidden layers.
    activation : str
        Keras's name of the hidden layers' activation.
    dropout : float
        Share of hidden activations dropped while training.
    normalization : {None, "batch", "layer"}
        Normalisation between a hidden layer's product and its activation.
    l2 : float
        Factor of the sum of squared kernel weights in the objective.
    custom_model : str or None
        Configuration of the user's own model: the trunk, or, with `custom_outputs`, all of it.
    custom_outputs : CustomOutputs or None
        What the outputs of a whole custom network are.
    input : InputSpec or None
        What is done with X before anything else; None for nothing.
    ensemble_size : int
        Members of the network; 1 for none but itself.
    ensemble_method : {"shared", "independent"}
        Whether the members' hidden layers have common kernels; "shared" where there is one member.
    """

    n_features: int
    n_outputs: tuple[int, ...]
    hidden_layer_sizes: tuple[int, ...] = ()
    head_hidden_layer_sizes: tuple[tuple[int, ...], ...] = ()
    activation: str = "relu"
    dropout: float = 0.0
    normalization: str | None = None
    l2: float = 0.0
    custom_model: str | None = None
    custom_outputs: CustomOutputs | None = None
    input: InputSpec | None = None
    ensemble_size: int = 1
    ensemble_method: str = "shared"

    def __post_init__(self) -> None:
        if not self.head_hidden_layer_sizes:
            object.__setattr__(self, "head_hidden_layer_sizes", ((),) * len(self.n_outputs))


def head_groups(spec: NetworkSpec) -> list[tuple[tuple[int, ...], int, list[int]]]:
    """Return (hidden sizes, width, tasks) of each group of heads of one shape."""
    groups: dict[tuple[tuple[int, ...], int], list[int]] = defaultdict(list)
    for task, shape in enumerate(zip(spec.head_hidden_layer_sizes, spec.n_outputs, strict=True)):
        groups[shape].append(task)
    return [(hidden, width, tasks) for (hidden, width), tasks in groups.items()]


def column_blocks(spec: NetworkSpec) -> dict[str, tuple[int, int]]:
    """Return how many blocks of columns each dense layer reads and gives, by its name.

    A block is what one member's head reads or gives, or one member's trunk; members come first.
    """
    blocks, n_members, n_given = {}, spec.ensemble_size, 1
    for depth in range(len(spec.hidden_layer_sizes)):
        blocks[f"trunk_{depth}"] = (n_given, n_members)
        n_given = n_members
    for number, (hidden, _, tasks) in enumerate(head_groups(spec)):
        n_read = n_given
        for depth in range(len(hidden) + 1):
            name = f"heads_{number}_{'logits' if depth == len(hidden) else depth}"
            blocks[name] = (n_read, n_members * len(tasks))
            n_read = n_members * len(tasks)
    return blocks


def has_shared_kernel(spec: NetworkSpec, name: str) -> bool:
    """Return whether the members have one kernel in a layer: the outputs always have their own."""
    is_ensemble = spec.ensemble_size > 1 and spec.ensemble_method == "shared"
    return is_ensemble and not name.endswith("_logits")


def columns_in_task_order(spec: NetworkSpec, order: list[int]) -> list[int]:
    """Return where each logit, in task order, stands among the heads' outputs."""
    starts = np.concatenate([[0], np.cumsum([spec.n_outputs[t] for t in order])])
    start_of = dict(zip(order, starts[:-1].tolist(), strict=True))
    return [start_of[task] + k for task in range(len(order)) for k in range(spec.n_outputs[task])]
