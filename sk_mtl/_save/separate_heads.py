"""Networks of release 0.2.0: there, heads without hidden layers had a layer per number of outputs.

Joins these layers, and all that training continues from, into the one layer of today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._model.spec import NetworkSpec, head_groups
from sk_mtl._train.best_weights import BestWeights
from sk_mtl._train.state import TrainingState

__all__ = ["had_separate_heads", "join_separate_heads"]

_Values = Sequence[np.ndarray]


def had_separate_heads(spec: NetworkSpec) -> bool:
    """Return whether heads without hidden layers differ in their numbers of outputs."""
    return spec.custom_outputs is None and len(_SeparateHeads(spec).direct) > 1


def join_separate_heads(
    spec: NetworkSpec, state: TrainingState, best: BestWeights | None
) -> tuple[TrainingState, BestWeights | None]:
    """Return the values of a network with separate heads as those of the same network today."""
    heads = _SeparateHeads(spec)
    stop = heads.find(state.network)
    network = heads.join(state.network, stop)
    optimizer, teacher, averaging = state.optimizer, state.teacher, state.averaging
    if optimizer is not None:
        shapes = [value.shape for value in state.network[:stop]]
        learned = [value.shape for value in state.weighting.values()]
        optimizer = heads.join_slots(optimizer, shapes, stop) or heads.join_slots(
            optimizer, shapes + learned, stop
        )
        if optimizer is None:
            warn_user(
                "This model was saved by release 0.2.0, whose layers were others, and the state of "
                "its optimizer does not fit those of today. It predicts as before; training "
                "continues with a new state of the optimizer."
            )
    if teacher is not None:
        teacher = replace(teacher, network=heads.join(teacher.network, stop))
    if averaging is not None:
        averaging = replace(averaging, weights=heads.join(averaging.weights, stop))
    if best is not None:
        by_epoch = (network if v is state.network else heads.join(v, stop) for v in best.values)
        best = replace(best, values=tuple(by_epoch))
    settings = None if optimizer is None else state.optimizer_settings
    return TrainingState(network, state.weighting, optimizer, settings, teacher, averaging), best


class _SeparateHeads:
    """The output layers as they were: one for each combination of hidden sizes and outputs."""

    def __init__(self, spec: NetworkSpec):
        self.spec = spec
        self.tasks: dict[tuple[tuple[int, ...], int], list[int]] = {}
        for task, shape in enumerate(
            zip(spec.head_hidden_layer_sizes, spec.n_outputs, strict=True)
        ):
            self.tasks.setdefault(shape, []).append(task)
        self.direct = [shape for shape in self.tasks if not shape[0]]

    def find(self, values: _Values) -> int:
        """Return where the kernels and biases of the layers end, the last trainable values."""
        sizes = [self.spec.ensemble_size * s[1] * len(tasks) for s, tasks in self.tasks.items()]
        length = 2 * len(sizes)
        for stop in range(len(values), length - 1, -1):
            layers = values[stop - length : stop]
            if all(
                kernel.ndim > 1 and kernel.shape[-1:] == bias.shape[-1:] and bias.size == size
                for kernel, bias, size in zip(layers[::2], layers[1::2], sizes, strict=True)
            ):
                return stop
        raise ValueError("the heads have no weights")

    def join(self, values: _Values, stop: int) -> list[np.ndarray]:
        """Return values of which those before `stop` are of the layers, with these joined."""
        start = stop - 2 * len(self.tasks)
        pairs = zip(values[start:stop:2], values[start + 1 : stop : 2], strict=True)
        layers = dict(zip(self.tasks, pairs, strict=True))
        joined: list[np.ndarray] = []
        for group in head_groups(self.spec):
            if group.hidden:
                joined += layers[group.hidden, group.width]
            else:
                parts = zip(*(layers[shape] for shape in self.direct), strict=True)
                joined += [self._side_by_side(part) for part in parts]
        return [*values[:start], *joined, *values[stop:]]

    def _side_by_side(self, values: _Values) -> np.ndarray:
        """Return values of all direct heads, of one member after the other, in task order."""
        columns = np.split(np.arange(self.spec.layout.total), self.spec.layout.starts[1:])
        of_shapes = [
            np.concatenate([columns[task] for task in self.tasks[shape]]) for shape in self.direct
        ]
        by_member = [
            value.reshape(*value.shape[:-1], -1, len(of_shape))
            for value, of_shape in zip(values, of_shapes, strict=True)
        ]
        whole = np.concatenate(by_member, axis=-1)[..., np.argsort(np.concatenate(of_shapes))]
        return whole.reshape(*whole.shape[:-2], -1)

    def join_slots(
        self, slots: _Values, shapes: list[tuple[int, ...]], stop: int
    ) -> list[np.ndarray] | None:
        """Return an optimizer's variables with those of the layers joined; None if not known."""
        # Keras lists scalars, and for all trainable variables one after the other, one or several
        # of the same shape.
        joined, rest = list[np.ndarray](), list(slots)
        while rest:
            for n_slots in (1, 2, 3):
                part = rest[: n_slots * len(shapes)]
                if [slot.shape for slot in part] == [s for s in shapes for _ in range(n_slots)]:
                    by_slot = [self.join(part[k::n_slots], stop) for k in range(n_slots)]
                    joined += [slot for of_one in zip(*by_slot, strict=True) for slot in of_one]
                    del rest[: len(part)]
                    break
            else:
                if rest[0].ndim:
                    return None
                joined.append(rest.pop(0))
        return joined
