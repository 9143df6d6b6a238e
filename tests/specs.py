"""Specifications of networks in which every pair of settings meets."""

import itertools

import numpy as np

from sk_mtl._data.input_spec import InputSpec
from sk_mtl._model.spec import NetworkSpec

INPUTS = {
    "none": None,
    "standardize": InputSpec(),
    "missing": InputSpec(missing=(0, 2)),
    "categories": InputSpec(missing=(1,), categories=(0, 3, 0, 70), embedding_size=0),
    "piecewise": InputSpec(
        categories=(0, 0, 65, 70),
        missing=(3,),
        embedding="piecewise_linear",
        embedding_size=3,
        embedded=(1,),
    ),
    "periodic": InputSpec(
        categories=(0, 0, 2, 70), embedding="periodic", embedding_size=3, embedded=(0, 1)
    ),
    "only looked up": InputSpec(categories=(65, 66, 67, 68)),
}
HEADS = {
    "none": (),
    "one shape": ((3,),) * 4,
    "mixed": ((), (3,), (4, 3), ()),
    "deep first": ((4, 3), (3,), (), (3,)),
}


def make_specs():
    """Return specifications in which each pair of settings meets, by a fixed draw."""
    settings = itertools.product(
        HEADS.values(),
        (None, "batch", "layer"),
        (0.0, 0.5),
        ((1, "shared"), (3, "shared"), (3, "independent")),
        ("relu", "softmax"),
    )
    rng = np.random.default_rng(0)
    for heads, normalization, dropout, (size, method), activation in settings:
        yield NetworkSpec(
            4,
            (1, 3, 1, 3) if rng.random() < 0.5 else (1, 1, 1, 4),
            ((), (5,), (5, 6))[rng.integers(3)],
            heads,
            activation,
            dropout,
            normalization,
            0.1 * rng.integers(2),
            input=list(INPUTS.values())[rng.integers(len(INPUTS))],
            ensemble_size=size,
            ensemble_method=method,
        )
