"""TEMPORARY stand-in: the variables of a network, by its specification."""

from __future__ import annotations

from typing import NamedTuple

from sk_mtl._model.spec import NetworkSpec


class Variable(NamedTuple):
    layer: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool

    @property
    def is_averaged(self) -> bool:
        return self.trainable or self.kind.startswith("moving_")


def list_variables(spec: NetworkSpec) -> list[Variable]:
    from sk_mtl._model.build import build_network, network_variables

    found = []
    for v in network_variables(build_network(spec)):
        path, _, kind = v.path.rpartition("/")
        layer = path.rpartition("/")[2] if "seed_generator" not in path else "seed"
        found.append(Variable(layer, kind, tuple(v.shape), str(v.dtype), v.trainable))
    return found
