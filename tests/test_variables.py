"""Tests of sk_mtl._model.variables: the variables of a network, known without Keras."""

import itertools

import numpy as np
import pytest

from sk_mtl._data.input_spec import InputSpec
from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._model.variables import list_variables, values_by_layer

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


def variables_by_keras(spec):
    """Return layer, kind, shape and whether it is trained, of the built network's variables."""
    model = build_network(spec)
    # The path of a seed does not name its layer.
    layer_of = {id(v): layer.name for layer in model.layers for v in layer.variables}
    return [
        (
            layer_of[id(v)],
            v.path.rpartition("/")[2],
            tuple(v.shape),
            v.trainable,
            str(v.dtype),
        )
        for v in network_variables(model)
    ]


@pytest.mark.parametrize("number", range(6))
def test_variables_are_those_of_the_built_network(number):
    for spec in list(make_specs())[number::6]:
        assert list_variables(spec) == variables_by_keras(spec)


@pytest.mark.parametrize("name", INPUTS)
def test_variables_of_input_layers_are_those_of_the_built_network(name):
    spec = NetworkSpec(4, (1, 3), (5,), input=INPUTS[name])
    assert list_variables(spec) == variables_by_keras(spec)


def test_values_are_given_by_layer_and_kind():
    spec = NetworkSpec(4, (1,), (5,))
    values = [np.zeros(variable.shape) for variable in list_variables(spec)]
    by_layer = values_by_layer(spec, values)
    assert list(by_layer) == ["trunk_0", "heads_0_logits"]
    assert by_layer["trunk_0"]["bias"] is values[1]
    with pytest.raises(ValueError, match="zip"):
        values_by_layer(spec, values[:-1])
