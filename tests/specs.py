"""Specifications of networks in which every pair of settings meets."""

import itertools
from dataclasses import fields
from functools import cache

import numpy as np

from sk_mtl._data.input_spec import InputSpec
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._model.variables import list_variables

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
# Numbers of experts that all tasks share, and of those of each task.
SHARING = {"mmoe": (3, 0), "cgc": (2, 1), "ple": (2, 2), "cross_stitch": (0, 0)}
HEADS = {
    "none": (),
    "one shape": ((3,),) * 4,
    "mixed": ((), (3,), (4, 3), ()),
    "deep first": ((4, 3), (3,), (), (3,)),
}


@cache
def make_specs():
    """Return few specifications in which each pair of settings meets."""
    return tuple(
        spec
        for specs in (_draw_specs(), _draw_specs_with_experts())
        for spec in _keep_all_pairs(list(specs))
    )


def _keep_all_pairs(specs):
    """Yield, one after the other, the one in which most pairs meet for the first time."""
    names = [field.name for field in fields(NetworkSpec)]
    pairs = {
        spec: set(itertools.combinations([(name, getattr(spec, name)) for name in names], 2))
        for spec in specs
    }
    missing = set().union(*pairs.values())
    while missing:
        best = max(pairs, key=lambda spec: len(pairs[spec] & missing))
        missing -= pairs.pop(best)
        yield best


def _draw_specs():
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


def _draw_specs_with_experts():
    settings = itertools.product(SHARING.items(), HEADS.values(), (None, "batch", "layer"))
    rng = np.random.default_rng(1)
    for (sharing, (n_shared, n_own)), heads, normalization in settings:
        yield NetworkSpec(
            4,
            (1, 3, 1, 3) if rng.random() < 0.5 else (1, 1, 1, 4),
            ((5,), (5, 6), (4, 5, 6))[rng.integers(3)],
            heads,
            ("relu", "softmax")[rng.integers(2)],
            0.5 * rng.integers(2),
            normalization,
            0.1 * rng.integers(2),
            input=list(INPUTS.values())[rng.integers(len(INPUTS))],
            sharing=sharing,
            n_experts=n_shared,
            n_task_experts=n_own,
        )


def make_values(spec, seed=0):
    """Return values of a network's variables."""
    rng = np.random.default_rng(seed)
    values = []
    for variable in list_variables(spec):
        if variable.dtype != "float32":
            values.append(np.zeros(variable.shape, variable.dtype))
            continue
        low = 0.3 if variable.kind in ("moving_variance", "scale", "slope") else -1
        value = rng.uniform(low, 1, variable.shape)
        if variable.kind == "kernel":
            value /= np.sqrt(variable.shape[-2])
        values.append(value.astype(np.float32))
    return values


def make_X(spec, n_rows=60, seed=1):
    """Return rows for a network: codes where it reads categories, and missing cells if it may."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, spec.n_features)).astype(np.float32)
    if spec.input is not None:
        for j, n in enumerate(spec.input.categories):
            if n:
                X[:, j] = rng.integers(n, size=n_rows)
        X[rng.random(X.shape) < 0.1] = np.nan
    return X
