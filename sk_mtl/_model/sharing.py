"""Sharing structures: experts in the layers of the trunk, and their mixtures for tasks. No Keras.

With hard sharing, all tasks read one trunk. In the other structures each layer of the trunk has
blocks of columns, one for each expert, and mixing layers behind it give each task its own block:

- "mmoe" (Ma et al. 2018, equations 4 and 6): experts that all tasks share, mixed once for each task
  by a gate, a softmax over the experts that reads what the trunk reads;
- "cgc" (Tang et al. 2020, equations 4 and 5): experts of each task beside the shared ones;
- "ple" (Tang et al. 2020, equations 6 and 7): the same after each layer of the trunk, which is a
  level: its gates and experts read the mixtures of the level before, and the shared experts read a
  mixture of all experts;
- "cross_stitch" (Misra et al. 2016, equation 1): a trunk for each task; after each layer every task
  goes on with a learned linear combination of those of all tasks, one number for a pair of tasks.

Shared experts come first, then those of each task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sk_mtl._model.spec import NetworkSpec

__all__ = [
    "EXPERTS",
    "SHARING",
    "TASK_EXPERTS",
    "Mixing",
    "Stitch",
    "mixing_after",
    "n_trunk_blocks",
    "widest_level",
]

SHARING = ("hard", "mmoe", "cgc", "ple", "cross_stitch")
EXPERTS = ("mmoe", "cgc", "ple")  # with experts that all tasks share
TASK_EXPERTS = ("cgc", "ple")  # with experts of each task


class Mixing(NamedTuple):
    """A layer that mixes experts for each task by gates."""

    name: str
    n_tasks: int
    n_shared: int  # experts that all tasks read
    n_own: int  # experts of each task
    # Whether the gate of a task reads the mixture of the level before, not what the trunk reads.
    reads_mixtures: bool
    # Whether another level follows, whose experts each get what they read.
    gives_level: bool

    @property
    def n_experts(self) -> int:
        """The number of experts, all tasks' together."""
        return self.n_shared + self.n_tasks * self.n_own

    @property
    def n_choices(self) -> int:
        """The number of experts that the gate of a task chooses from."""
        return self.n_shared + self.n_own

    @property
    def n_given(self) -> int:
        """The number of blocks that the layer gives."""
        return self.n_experts if self.gives_level else self.n_tasks


class Stitch(NamedTuple):
    """A layer that combines the trunks of all tasks for each of them."""

    name: str
    n_tasks: int

    @property
    def n_given(self) -> int:
        """The number of blocks that the layer gives."""
        return self.n_tasks


def n_trunk_blocks(spec: NetworkSpec) -> int:
    """Return how many experts each layer of the trunk consists of; 1 with hard sharing."""
    n_tasks = len(spec.n_outputs)
    if spec.sharing == "hard":
        return 1
    if spec.sharing == "cross_stitch":
        return n_tasks
    return spec.n_experts + n_tasks * spec.n_task_experts


def mixing_after(spec: NetworkSpec, depth: int) -> Mixing | Stitch | None:
    """Return the layer that follows a layer of the trunk, if one does."""
    is_last = depth == len(spec.hidden_layer_sizes) - 1
    if spec.sharing == "hard" or (spec.sharing in ("mmoe", "cgc") and not is_last):
        return None
    n_tasks = len(spec.n_outputs)
    if spec.sharing == "cross_stitch":
        return Stitch(f"stitch_{depth}", n_tasks)
    reads_mixtures = spec.sharing == "ple" and depth > 0
    n_own = spec.n_task_experts
    return Mixing(f"mix_{depth}", n_tasks, spec.n_experts, n_own, reads_mixtures, not is_last)


def widest_level(spec: NetworkSpec) -> int:
    """Return the largest number of units that experts, or mixtures of them, have at one level."""
    widest = 0
    for depth, units in enumerate(spec.hidden_layer_sizes):
        mixing = mixing_after(spec, depth)
        n_given = 0 if mixing is None else mixing.n_given
        widest = max(widest, units * max(n_trunk_blocks(spec), n_given))
    return widest
