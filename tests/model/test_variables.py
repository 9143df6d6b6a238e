"""Tests of sk_mtl._model.variables: the variables of a network, known without Keras."""

import numpy as np
import pytest
from specs import INPUTS, make_specs

from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._model.variables import list_variables, values_by_layer


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


@pytest.mark.slow_except("0")
@pytest.mark.parametrize("number", range(6))
def test_variables_are_those_of_the_built_network(number):
    for spec in make_specs()[number::6]:
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
