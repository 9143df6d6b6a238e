"""Known labels in both forward passes: in NumPy, and in Keras, for activations it alone has."""

import numpy as np
import pytest
import scipy.sparse as sp

from sk_mtl._data.input_spec import InputSpec
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._model.variables import list_variables
from sk_mtl._predict import forward, keras_forward
from sk_mtl._predict.forward import NetworkForward
from sk_mtl._predict.keras_forward import KerasForward

N_ROWS = 40
# No unit is dead.
COMMON = {"activation": "gelu", "known_labels": True}
SPECS = {
    "plain": NetworkSpec(4, (1, 3, 1), (5,), **COMMON),
    "input layers": NetworkSpec(4, (1, 3, 1), (5,), **COMMON, input=InputSpec()),
    "heads": NetworkSpec(4, (1, 3, 1), (), ((3,), (), (3,)), **COMMON),
    "ensemble": NetworkSpec(4, (1, 3, 1), (5,), **COMMON, ensemble_size=2),
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_ROWS, 4)).astype(np.float32)
KNOWN = np.column_stack([RNG.integers(-1, n, N_ROWS) for n in (2, 3, 2)])
NOTHING = np.full_like(KNOWN, -1)
ROADS = {"NumPy": NetworkForward, "Keras": KerasForward}
roads = pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
specs = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def make_values(spec):
    """Return values of a network's variables."""
    rng = np.random.default_rng(1)
    return [rng.uniform(0.3, 1, v.shape).astype(np.float32) for v in list_variables(spec)]


@specs
def test_both_roads_read_labels_alike(spec):
    values = make_values(spec)
    found, expected = (
        road(spec, values).logits(X, KNOWN) for road in (NetworkForward, KerasForward)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


@roads
@specs
def test_labels_change_logits(road, spec):
    network = road(spec, make_values(spec))
    has_labels = (KNOWN >= 0).any(axis=1)
    changes = (network.logits(X, KNOWN) != network.logits(X, NOTHING)).any(axis=1)
    np.testing.assert_array_equal(changes, has_labels)


@roads
@specs
def test_no_labels_and_none_known_are_the_same(road, spec):
    network = road(spec, make_values(spec))
    np.testing.assert_array_equal(network.logits(X, NOTHING), network.logits(X))


@roads
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_labels_stay_beside_their_rows_over_batches(road, form, monkeypatch):
    spec = SPECS["plain"]
    expected = road(spec, make_values(spec)).logits(X, KNOWN)
    monkeypatch.setattr(forward, "_BATCH_CELLS", 1)  # 16 rows
    monkeypatch.setattr(keras_forward, "_BATCH_CELLS", 16 * spec.n_inputs)
    np.testing.assert_allclose(
        road(spec, make_values(spec)).logits(form(X), KNOWN), expected, atol=1e-6
    )


@roads
def test_labels_of_a_row_change_no_bit_of_others(road):
    network = road(SPECS["plain"], make_values(SPECS["plain"]))
    other = KNOWN.copy()
    other[::2] = -1
    found = network.logits(X, other)[1::2]
    np.testing.assert_array_equal(found, network.logits(X, KNOWN)[1::2])
