"""Tests of sk_mtl._data.statistics and input_encoder: what is learned of X."""

import numpy as np
import pytest
import scipy.sparse as sp

from sk_mtl._data import statistics as _statistics
from sk_mtl._data.input_encoder import find_edges, learn_input
from sk_mtl._data.statistics import learn_statistics


def make_X(n_rows=60):
    """Return X of float32: normal, bits, one value, half zeros, two values, an offset."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 6))
    X[:, 1] = X[:, 1] > 1
    X[:, 2] = 7
    X[:, 3] = np.where(X[:, 3] > 0, X[:, 3], 0)
    X[:, 4] = np.where(X[:, 4] > 0, -3, 5)
    X[:, 5] += 1000
    return X.astype(np.float32)


def learn(X, rows=None, weight=None):
    rows = np.arange(X.shape[0]) if rows is None else np.asarray(rows)
    return learn_statistics(X, rows, np.ones(len(rows)) if weight is None else np.asarray(weight))


def assert_same(first, second):
    np.testing.assert_array_equal(first.shift, second.shift)
    np.testing.assert_array_equal(first.scale, second.scale)


def test_features_get_mean_and_deviation():
    X = make_X()
    found, exact = learn(X), X.astype(np.float64)
    np.testing.assert_allclose(found.shift, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.scale[[0, 3, 5]], 1 / exact.std(axis=0)[[0, 3, 5]], rtol=1e-6)
    assert found.scale[[1, 2]].tolist() == [1, 0]
    assert found.scale[4] == 1 / 8
    assert found.missing.tolist() == [0] * 6
    assert found.scale.dtype == found.shift.dtype == np.float32


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 0), (3, 4), (-2, 6), (0, 1e-30)])
def test_values_of_two_do_not_matter_but_for_their_distance(low, high):
    bits = make_X()[:, [1]]
    found = learn(np.where(bits > 0, high, low).astype(np.float32))
    assert found.scale[0] * (high - low) == pytest.approx(1)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("n_cells", [2**18, 60])
def test_sparse_matrix_has_the_same_bits_as_a_dense_one(form, n_cells, monkeypatch):
    monkeypatch.setattr(_statistics, "_BLOCK_CELLS", n_cells)
    X = make_X()
    X[::7, 4] = np.nan
    X[::2, 0] = 0
    weight = np.arange(1, 61) / 7
    assert_same(learn(form(X), weight=weight), learn(X, weight=weight))


def test_written_zeros_and_repeated_cells_of_a_sparse_matrix_count_as_what_they_stand_for():
    values, columns, starts = [1, 1, 0, 2, 5, 0], [0, 0, 1, 0, 1, 0], [0, 3, 5, 6]
    X = sp.csr_matrix((np.float32(values), columns, starts), shape=(3, 2))
    assert_same(learn(X), learn(X.toarray()))


def test_number_of_rows_at_a_time_changes_rounding_alone(monkeypatch):
    X = make_X()
    whole = learn(X)
    monkeypatch.setattr(_statistics, "_BLOCK_CELLS", 1)
    found = learn(X)
    np.testing.assert_allclose(found.shift, whole.shift, rtol=1e-6)
    np.testing.assert_allclose(found.scale, whole.scale, rtol=1e-6)


def test_other_rows_do_not_count():
    X, rows = make_X(), np.arange(0, 60, 2)
    changed = X.copy()
    changed[1::2] = np.nan
    assert_same(learn(changed, rows), learn(X, rows))
    assert_same(learn(X[rows]), learn(X, rows))


def test_row_of_weight_two_is_the_row_twice():
    X = make_X()
    weight = np.arange(60) % 3 + 1
    found, repeated = learn(X, weight=weight), learn(X.repeat(weight, axis=0))
    np.testing.assert_allclose(found.shift, repeated.shift, rtol=1e-6)
    np.testing.assert_allclose(found.scale, repeated.scale, rtol=1e-6)


def test_missing_cells_are_left_out():
    X = make_X()
    X[::3, :5] = np.nan
    found, known = learn(X), learn(X[np.isfinite(X[:, 0])])
    np.testing.assert_allclose(found.shift[:5], known.shift[:5], rtol=1e-6)
    np.testing.assert_allclose(found.scale[:5], known.scale[:5], rtol=1e-6)
    np.testing.assert_allclose(found.missing, [1 / 3] * 5 + [0])


@pytest.mark.parametrize("n_rows", [0, 4])
def test_feature_without_a_value_has_scale_zero(n_rows):
    found = learn(np.full((n_rows, 2), np.nan, dtype=np.float32))
    assert found.shift.tolist() == found.scale.tolist() == [0, 0]


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e30, 3e38])
def test_numbers_of_any_size_give_finite_statistics(size):
    X = (make_X()[:, [0, 4]] / 5 * size).astype(np.float32)
    found = learn(X)
    assert np.isfinite(found.shift).all()
    assert np.isfinite(found.scale).all()
    assert (found.scale > 0).all()


def test_deviation_beside_a_large_offset_is_exact():
    X = np.float32(2**30) + np.float32([[0], [128], [256], [1024]])
    assert learn(X).scale[0] == pytest.approx(1 / np.std([0, 128, 256, 1024]))


# ------------------------------------------------------------------------------------ the input


def learn_bins(x, n_bins, weight=None):
    """Return lower edges, slopes and means of the bins of one feature that is left as it is."""
    X = np.float32(x)[:, None]
    weight = np.ones(len(X)) if weight is None else weight
    settings = {"embedding": "piecewise_linear", "embedding_size": n_bins, "standardize": False}
    spec, values = learn_input(X, np.arange(len(X)), weight, **settings)
    assert spec.embedded == (0,)
    return [values[f"piecewise_linear/{name}"][0] for name in ("lower", "slope", "center")]


def test_bins_lie_between_quantiles():
    lower, slope, center = learn_bins(np.arange(101), 4)
    np.testing.assert_allclose(lower, [0, 25, 50, 75], atol=1)
    np.testing.assert_allclose(1 / slope, 25, atol=1)
    np.testing.assert_allclose(center, [7 / 8, 5 / 8, 3 / 8, 1 / 8], atol=0.02)


def test_bins_are_fewer_where_there_are_few_values():
    lower, slope, center = learn_bins([0] * 50 + [1, 3], 4)
    assert lower[:2].tolist() == [0, 1]
    assert slope.tolist() == [1, 0.5, 0, 0]
    np.testing.assert_allclose(center, [2 / 52, 1 / 52, 0, 0], rtol=1e-6)


def test_edges_are_quantiles():
    values = np.arange(80.0)
    np.testing.assert_array_equal(find_edges(values, np.ones(80), 4), [0, 19, 39, 59, 79])
    # A row of weight 2 counts as the row twice.
    weight = np.where(values < 40, 2.0, 1.0)
    twice = np.sort(np.append(values, values[:40]))
    np.testing.assert_array_equal(find_edges(values, weight, 4), find_edges(twice, np.ones(120), 4))


def test_every_one_of_few_values_is_an_edge():
    values = np.repeat([0.0, 1.0, 5.0], [90, 9, 1])
    np.testing.assert_array_equal(find_edges(values, np.ones(100), 2), [0, 1, 5])


def test_value_that_most_rows_share_takes_no_more_than_a_bin():
    values = np.append(np.zeros(900), np.arange(1.0, 101))
    edges = find_edges(values, np.ones(1000), 8)
    assert edges[0] == 0
    assert edges[-1] == 100
    assert len(edges) >= 8
    assert np.diff(edges[1:]).max() < 20
    spike = np.sort(np.append(np.full(500, 50.5), np.arange(1.0, 101)))
    edges = find_edges(spike, np.ones(600), 8)
    assert len(edges) >= 8
    assert np.diff(edges).max() < 25


@pytest.mark.parametrize("factor", [0.1, 0.3, 7.0])
def test_unit_of_the_weights_changes_no_edge(factor):
    # With few rows, a heavy value ends exactly where a bin does, but for rounding.
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values, weight = np.sort(rng.normal(size=11)), rng.uniform(0.1, 3, size=11)
        scaled = (factor * weight).astype(np.float32).astype(np.float64)
        expected = find_edges(values, weight.astype(np.float32).astype(np.float64), 8)
        np.testing.assert_array_equal(find_edges(values, scaled, 8), expected)


def test_bins_of_weighted_rows_are_those_of_repeated_ones():
    x, weight = np.random.default_rng(0).normal(size=40), np.arange(40) % 3 + 1
    for found, repeated in zip(
        learn_bins(x, 5, weight), learn_bins(x.repeat(weight), 5), strict=True
    ):
        np.testing.assert_allclose(found, repeated, rtol=1e-5)


def test_missing_cells_have_no_part_in_bins():
    x = np.random.default_rng(0).normal(size=40)
    for found, known in zip(
        learn_bins(np.append(x, [np.nan] * 9), 5), learn_bins(x, 5), strict=True
    ):
        np.testing.assert_allclose(found, known, rtol=1e-6)


def test_category_without_any_value_is_a_number_that_tells_nothing():
    X = np.full((4, 1), np.nan, dtype=np.float32)
    spec, values = learn_input(X, np.arange(4), np.ones(4), n_categories=(0,))
    assert spec.indicators == [(0, None)]
    assert values["standardize/scale"].tolist() == [0, 0]


def test_order_of_features_is_that_of_their_statistics():
    X, order = make_X(), [3, 1, 5, 0, 2, 4]
    found, expected = learn(X[:, order]), learn(X)
    np.testing.assert_array_equal(found.shift, expected.shift[order])
    np.testing.assert_array_equal(found.scale, expected.scale[order])
    np.testing.assert_array_equal(found.is_plain, expected.is_plain[order])


def test_bins_of_raw_numbers_of_any_size_are_finite():
    for size in (1e-44, 1e4, 1e30):
        assert all(np.isfinite(a).all() for a in learn_bins(np.arange(9) * size, 4))
    assert learn_bins(np.arange(9) * 1e4, 4)[0].max() > 1000
