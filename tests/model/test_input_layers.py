"""Tests of sk_mtl._model.input_layers: what the layers give, from values set by hand."""

import keras
import numpy as np
import pytest

from sk_mtl._model.input_layers import (
    CategoryEmbedding,
    Columns,
    Periodic,
    PiecewiseLinear,
    Standardize,
)


def make_standardize(shift, scale):
    layer = Standardize(limit=1000.0, dtype="float32")
    layer.build((None, len(shift)))
    layer.shift.assign(shift)
    layer.scale.assign(scale)
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


def test_missing_cell_becomes_the_mean():
    X = [[np.nan, 3], [2, np.nan]]
    np.testing.assert_array_equal(apply(make_standardize([1, 2], [2, 1]), X), [[0, 1], [2, 0]])


def restored(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again.set_weights(layer.get_weights())
    return again


def test_standardising_is_fixed_and_restored_from_its_config():
    layer = make_standardize([1], [2])
    assert layer.trainable_variables == []
    np.testing.assert_array_equal(apply(restored(layer), [[2], [1e9]]), [[2], [1000]])
    assert layer.compute_output_shape((None, 1)) == (None, 1)


def test_limit_is_kept_by_whoever_asks_for_none():
    layer = Standardize(dtype="float32")
    np.testing.assert_array_equal(apply(layer, [[1e9]]), [[1e9]])


# ------------------------------------------------------------------------------------- columns


def test_codes_and_missing_cells_become_columns():
    layer = Columns([1], [(0, 0), (0, 1), (2, 0), (2, 1), (1, None), (2, None)])
    X = [[1, 0.5, 0], [np.nan, np.nan, np.nan]]
    nan = np.nan
    expected = [[0.5, 0, 1, 1, 0, 0, 0], [nan, nan, nan, 0, 0, 1, 1]]
    np.testing.assert_array_equal(apply(layer, X), expected)
    np.testing.assert_array_equal(apply(restored(layer), X), expected)
    assert layer.compute_output_shape((None, 3)) == (None, 7)


def test_features_that_are_all_categories_leave_no_number():
    np.testing.assert_array_equal(
        apply(Columns([], [(0, 0), (0, 1)]), [[1], [0]]), [[0, 1], [1, 0]]
    )


# ------------------------------------------------------------------------------------ embedding


def make_embedding():
    layer = CategoryEmbedding([0, 2], [2, 3], [False, True], size=2, dtype="float32")
    layer.build((None, 3))
    return layer


def test_vector_of_an_unknown_category_starts_at_zero():
    assert make_embedding().embeddings.numpy()[:, 0].tolist() == [1, 1, 0, 1, 1, 1, 1]


def test_vectors_are_looked_up_by_feature():
    layer = make_embedding()
    layer.embeddings.assign(np.arange(14).reshape(7, 2))
    X = [[1, 9, 0], [np.nan, 9, 2], [0, 9, np.nan]]
    expected = [[2, 3, 6, 7], [4, 5, 10, 11], [0, 1, 12, 13]]
    np.testing.assert_array_equal(apply(layer, X), expected)
    np.testing.assert_array_equal(apply(restored(layer), X), expected)
    assert layer.compute_output_shape((None, 3)) == (None, 4)


# ---------------------------------------------------------------------------- embedded numbers


def test_bins_are_filled_one_after_the_other():
    layer = PiecewiseLinear([1], 3, dtype="float32")
    layer.build((None, 2))
    layer.set_weights([np.float32([v]) for v in ([0, 1, 3], [1, 0.5, 0], [0, 0, 0.25])])
    X = [[9, -1], [9, 0.5], [9, 2], [9, 7]]
    expected = [[0, 0, -0.25], [0.5, 0, -0.25], [1, 0.5, -0.25], [1, 1, -0.25]]
    np.testing.assert_array_equal(apply(layer, X), expected)
    np.testing.assert_array_equal(apply(restored(layer), X), expected)
    assert layer.trainable_variables == []
    assert layer.compute_output_shape((None, 2)) == (None, 3)


def test_waves_are_those_of_the_paper():
    layer = Periodic([2, 0], 3, keras.regularizers.L2(0.1), dtype="float32")
    layer.build((None, 3))
    rng = np.random.default_rng(0)
    c, kernel, bias = (rng.normal(size=w.shape).astype(np.float32) for w in layer.get_weights())
    layer.set_weights([c, kernel, bias])
    X = rng.normal(size=(5, 3)).astype(np.float32)
    expected = []
    for k, j in enumerate([2, 0]):
        angle = 2 * np.pi * X[:, [j]] * c[k]
        waves = np.hstack([np.sin(angle), np.cos(angle)])
        expected.append(np.maximum(waves @ kernel[k] + bias[k], 0))
    np.testing.assert_allclose(apply(layer, X), np.hstack(expected), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(apply(restored(layer), X), apply(layer, X))
    assert float(layer.losses[0]) == pytest.approx(0.1 * (kernel**2).sum(), rel=1e-5)
    assert layer.compute_output_shape((None, 3)) == (None, 6)
