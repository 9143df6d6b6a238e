"""Sums over blocks: those of `learn_statistics`, whichever blocks there are."""

import numpy as np
import pytest

from sk_mtl._data import streamed
from sk_mtl._data.statistics import learn_statistics
from sk_mtl._data.streamed import ClassTotals, FeatureSums, RowSample

RNG = np.random.default_rng(0)
N = 300


def make_features():
    """Return features of many values, of two, of one and of none, with missing cells."""
    X = RNG.normal(5, 3, (N, 6)).astype(np.float32)
    X[:, 1] = RNG.integers(0, 2, N)
    X[:, 2] = 7
    X[:, 3] = np.nan
    X[RNG.random(N) < 0.3, 4] = np.nan
    X[:, 5] = np.where(np.arange(N) < 290, 1, 3)
    return X


X = make_features()
WEIGHT = RNG.random(N)


def sum_blocks(cuts):
    sums = FeatureSums(X.shape[1], ())
    for rows in np.split(np.arange(N), cuts):
        sums.add(X[rows], WEIGHT[rows])
    return sums


def assert_same_statistics(found, expected):
    np.testing.assert_allclose(found.shift, expected.shift, rtol=1e-6)
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-6)
    np.testing.assert_allclose(found.missing, expected.missing, rtol=1e-12)
    np.testing.assert_array_equal(found.is_plain, expected.is_plain)


@pytest.mark.parametrize("cuts", [[], [1], [100, 150, 299]], ids=str)
def test_sums_over_blocks_give_the_statistics_of_all_rows(cuts, monkeypatch):
    monkeypatch.setattr(streamed, "_BLOCK_CELLS", 200)

    found = sum_blocks(cuts).statistics()

    assert_same_statistics(found, learn_statistics(X, np.arange(N), WEIGHT))


def test_sums_of_two_files_are_those_of_all_their_rows():
    first, second = (FeatureSums(X.shape[1], ()) for _ in range(2))
    first.add(X[:290], WEIGHT[:290])
    second.add(X[290:], WEIGHT[290:])

    assert_same_statistics((first + second).statistics(), sum_blocks([]).statistics())


def test_feature_without_a_missing_cell_has_a_share_of_exactly_zero():
    assert sum_blocks([100, 101]).statistics().missing[:3].tolist() == [0, 0, 0]


def test_categories_are_counted_by_weight_with_missing_cells_last():
    codes = np.array([[0], [2], [np.nan], [2]], np.float32)
    sums = FeatureSums(1, [3])

    sums.add(codes, np.array([1.0, 2, 4, 8]))

    assert sums.of_codes[0].tolist() == [1, 0, 10, 4]


def test_class_totals_have_the_bits_of_one_sum():
    codes = RNG.integers(3, size=(N, 2)).astype(np.int32)
    weight = RNG.random((N, 2)).astype(np.float32)
    totals = ClassTotals([3, 3])

    for rows in np.split(np.arange(N), [50, 200]):
        totals.add(codes[rows], weight[rows])

    for t in range(2):
        np.testing.assert_array_equal(totals.of_task[t], np.bincount(codes[:, t], weight[:, t]))


def test_sample_is_all_rows_while_they_fit():
    sample = RowSample(4)
    for rows in np.split(np.arange(N), [7]):
        sample.add(rows, X[rows])

    np.testing.assert_array_equal(sample.arrays()[0], np.arange(N))


def test_sample_does_not_depend_on_the_blocks(monkeypatch):
    monkeypatch.setattr(streamed, "_SAMPLED_ROWS", 40)
    samples = []
    for cuts in ([], [10, 11, 200]):
        sample = RowSample(4)
        for rows in np.split(np.arange(N), cuts):
            sample.add(rows)
        samples.append(sample.arrays()[0].tolist())

    assert samples[0] == samples[1] == sorted(samples[0])
    assert len(samples[0]) == 40
    assert 100 < np.mean(samples[0]) < 200
