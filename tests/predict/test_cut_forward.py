"""The forward pass that is cut in two: both halves give the logits, and each column has a feature.

The whole forward pass is tested by Keras's results in test_forward.py.
"""

from dataclasses import replace

import numpy as np
import pytest
from specs import INPUTS, make_specs, make_values, make_X

from sk_mtl._data.input_spec import InputSpec
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._predict.cut_forward import CutForward
from sk_mtl._predict.forward import NetworkForward, make_forward
from sk_mtl._predict.keras_forward import KerasForward
from sk_mtl._predict.tiles import TILE_ROWS, Workspace

N_FEATURES = 4


def as_tiles(rows):
    n_tiles = -(-len(rows) // TILE_ROWS)
    padded = np.zeros((n_tiles * TILE_ROWS, rows.shape[1]), np.float32)
    padded[: len(rows)] = rows
    return np.ascontiguousarray(padded.reshape(n_tiles, TILE_ROWS, -1).transpose(0, 2, 1))


def logits_by_halves(cut, X):
    """Return the logits of rows by way of the units, (n_rows, n_columns)."""
    units = cut.encode(X) @ cut.kernel + cut.offset
    return cut.logits_of_units(as_tiles(units), Workspace())[:, : len(X)].T


def assert_halves_give_the_whole(spec, seed=0):
    values, X = make_values(spec, seed), make_X(spec)
    expected = NetworkForward(spec, values).logits(X)
    np.testing.assert_allclose(logits_by_halves(CutForward(spec, values), X), expected, atol=2e-6)


# The small specifications have logits of a few units: 2e-6 is their rounding in float32.
@pytest.mark.parametrize("number", range(8))
def test_both_halves_give_the_logits_of_the_whole(number):
    for spec in make_specs()[number::8]:
        assert_halves_give_the_whole(spec, seed=number)


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("known_labels", [True, "with_indicator"])
def test_known_labels_are_unknown(inputs, known_labels):
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS[inputs], known_labels=known_labels)
    assert_halves_give_the_whole(spec)


@pytest.mark.parametrize("heads", [(), ((3,), (3,), (), (4, 3))], ids=["logits", "mixed"])
@pytest.mark.parametrize("method", ["shared", "independent"])
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_heads_without_a_trunk_read_the_features(heads, method, normalization):
    spec = NetworkSpec(
        N_FEATURES,
        (1, 3, 1, 2),
        (),
        heads,
        normalization=normalization,
        ensemble_size=3,
        ensemble_method=method,
        known_labels=True,
    )
    assert_halves_give_the_whole(spec)


def test_a_wide_network_with_long_sums():
    assert_halves_give_the_whole(
        NetworkSpec(300, (1, 3), (300, 40), normalization="layer", input=InputSpec())
    )


# ----------------------------------------------------------------------------------- the features


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("feature", range(N_FEATURES))
def test_only_the_columns_of_a_feature_change_with_it(inputs, feature):
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS[inputs])
    cut = CutForward(spec, make_values(spec))
    X = make_X(spec, 200)
    other = X.copy()
    other[:, feature] = X[::-1, feature]  # codes stay codes

    is_changed = (cut.encode(other) != cut.encode(X)).any(axis=0)

    assert is_changed.any()
    assert set(cut.features[is_changed]) == {feature}


# A unit of a periodic embedding may be 0 for all rows.
@pytest.mark.parametrize("inputs", [name for name in INPUTS if name != "periodic"])
def test_each_column_changes_with_some_row(inputs):
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS[inputs])
    cut = CutForward(spec, make_values(spec))
    encoded = cut.encode(make_X(spec, 600))

    assert encoded.shape[1] == len(cut.features) == len(cut.kernel)
    assert (encoded.max(axis=0) > encoded.min(axis=0)).all()


# ------------------------------------------------------------------------------------- the halves


@pytest.mark.parametrize("n_rows", [1, 16, 17])
def test_any_number_of_rows_is_encoded(n_rows):
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS["piecewise"])
    cut = CutForward(spec, make_values(spec))

    assert cut.encode(make_X(spec, n_rows)).shape == (n_rows, len(cut.features))
    assert logits_by_halves(cut, make_X(spec, n_rows)).shape == (n_rows, 4)


def test_encoded_rows_are_no_view_of_what_is_used_again():
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), input=InputSpec())
    cut = CutForward(spec, make_values(spec))
    first = cut.encode(make_X(spec))
    before = first.copy()
    cut.encode(make_X(spec, seed=2))
    np.testing.assert_array_equal(first, before)


def test_neither_values_nor_rows_are_changed():
    spec = NetworkSpec(N_FEATURES, (1, 3), (5, 6), ((3,), ()), input=INPUTS["periodic"])
    values, X = make_values(spec), make_X(spec)
    for array in (*values, X):
        array.flags.writeable = False
    cut = CutForward(spec, values)
    np.testing.assert_array_equal(logits_by_halves(cut, X), logits_by_halves(cut, X))


def test_the_whole_is_that_of_any_forward_pass():
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,), input=INPUTS["piecewise"])
    values, X = make_values(spec), make_X(spec)
    expected = NetworkForward(spec, values).logits(X)
    np.testing.assert_array_equal(CutForward(spec, values).logits(X), expected)


def test_the_same_tiles_have_the_same_bits_in_any_company():
    spec = NetworkSpec(N_FEATURES, (1, 3), (40, 6), ((3,), ()), normalization="layer")
    cut = CutForward(spec, make_values(spec))
    units = np.random.default_rng(0).normal(size=(5, 40, TILE_ROWS)).astype(np.float32)
    whole = cut.logits_of_units(units.copy(), Workspace())
    alone = [cut.logits_of_units(tile[None].copy(), Workspace()) for tile in units]
    np.testing.assert_array_equal(whole, np.hstack(alone))


def test_it_is_what_is_made_for_networks_without_layers_of_the_user():
    spec = NetworkSpec(N_FEATURES, (1, 3), (5,))
    values = make_values(spec)
    assert type(make_forward(spec, values)) is NetworkForward
    assert type(make_forward(spec, values, CutForward)) is CutForward


def test_a_network_with_an_activation_of_the_user_is_not_cut():
    spec = replace(NetworkSpec(N_FEATURES, (1, 3), (5,)), activation="sk_mtl_tests>twice")
    assert type(make_forward(spec, [], CutForward)) is KerasForward
