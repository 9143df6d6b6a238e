"""Tests of sk_mtl._input_layers: what the layers give, from values set by hand."""

import keras
import numpy as np
import pytest

from sk_mtl._input_layers import Standardize


def make_standardize(shift, scale, missing=None):
    layer = Standardize(missing is not None, dtype="float32")
    layer.build((None, len(shift)))
    layer.shift.assign(shift)
    layer.scale.assign(scale)
    if missing is not None:
        layer.missing.assign(missing)
    return layer


def apply(layer, X):
    return np.asarray(layer(np.asarray(X, dtype=np.float32)))


def test_features_are_shifted_and_scaled():
    layer = make_standardize([1, 10], [2, 0.5])
    np.testing.assert_array_equal(apply(layer, [[1, 10], [3, 4]]), [[0, 0], [4, -3]])


def test_feature_of_scale_zero_becomes_zero():
    layer = make_standardize([3e38], [0])
    np.testing.assert_array_equal(apply(layer, [[3e38], [-3e38], [0]]), np.zeros((3, 1)))


@pytest.mark.parametrize("scale", [1, 1e-3, 3e38])
def test_numbers_near_the_end_of_float32_stay_finite(scale):
    layer = make_standardize([-3e38], [scale])
    np.testing.assert_array_equal(apply(layer, [[3e38], [-3e38]]), [[1000], [0]])


def test_small_differences_beside_a_large_offset_are_kept():
    layer = make_standardize([2**29], [1 / 64])
    X = np.float32(2**29) + np.float32([[0], [64], [-128]])
    np.testing.assert_array_equal(apply(layer, X), [[0], [1], [-2]])


def test_missing_cell_becomes_what_stands_for_it():
    X = [[np.nan, 3], [2, np.nan]]
    np.testing.assert_array_equal(apply(make_standardize([1, 2], [2, 1]), X), [[0, 1], [2, 0]])
    learned = make_standardize([1, 2], [2, 1], missing=[-4, 5])
    np.testing.assert_array_equal(apply(learned, X), [[-4, 1], [2, 5]])
    assert [v.name for v in learned.trainable_variables] == ["missing"]


def test_values_are_fixed_and_layer_is_restored_from_its_config():
    layer = make_standardize([1], [2], missing=[3])
    assert [v.name for v in layer.non_trainable_variables] == ["shift", "scale"]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(apply(again, [[2], [np.nan]]), [[2], [3]])
    assert again.compute_output_shape((None, 1)) == (None, 1)
