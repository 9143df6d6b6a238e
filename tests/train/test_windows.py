"""Rows of files in the order of an epoch: each once, shuffled by blocks and within windows."""

from types import SimpleNamespace

import numpy as np
import pytest

from sk_mtl._data.stored_rows import Piece, RowFile, RowFormat
from sk_mtl._data.table_dataset import RowStore, StoredSubset
from sk_mtl._train.windows import WindowOrder

N, N_FEATURES = 103, 3
RNG = np.random.default_rng(0)
X = np.arange(N * N_FEATURES, dtype=np.float32).reshape(N, N_FEATURES)
CODES = RNG.integers(3, size=(N, 2)).astype(np.int32)
WEIGHT = (RNG.random((N, 2)) * (RNG.random((N, 2)) < 0.7)).astype(np.float32)
ONES = (np.ones(3), np.ones(3))
WEIGHT[:, 0] = np.maximum(WEIGHT[:, 0], 0.1)


@pytest.fixture
def make_subset(tmp_path):
    """Return a function that stores the rows in so many files."""
    files = []

    def make(n_files=1, window_rows=32, factors=ONES):
        stores = []
        for number, rows in enumerate(np.array_split(np.arange(N), n_files)):
            file = RowFile(str(tmp_path), f"rows{number}", RowFormat.of(N_FEATURES, [3, 3], True))
            files.append(file)
            stores.append(RowStore(file, [3, 3], (), sums_features=True))
            stores[-1].append(X[rows], CODES[rows], WEIGHT[rows])
        return StoredSubset.of(stores, factors, window_rows)

    yield make
    for file in files:
        file.close()


def open_order(subset, batching="random", batch_size=8):
    return WindowOrder(subset, SimpleNamespace(batching=batching, batch_size=batch_size))


def take_all(order, n_rows, seed=0):
    """Return the rows of an epoch, and their codes and weights, in pieces of so many rows."""
    epoch = order.draw(np.random.default_rng(seed))
    taken = []
    for start in range(0, len(epoch), n_rows):
        piece = epoch[start : start + n_rows]
        found = np.empty(piece.shape, np.float32)
        piece.write_X(found)
        taken.append((found, piece.codes.copy(), piece.weight.copy()))
    order.close()
    return [np.concatenate(parts) for parts in zip(*taken, strict=True)]


@pytest.mark.parametrize("batching", ["random", "label_aware"])
@pytest.mark.parametrize("n_files", [1, 2])
@pytest.mark.parametrize("n_rows", [1, 8, 50, 103])
def test_every_row_comes_once_with_its_own_labels(make_subset, n_files, n_rows, batching):
    found, codes, weight = take_all(open_order(make_subset(n_files), batching), n_rows)

    rows = (found[:, 0] / N_FEATURES).astype(int)
    assert sorted(rows) == list(range(N))
    np.testing.assert_array_equal(found, X[rows])
    np.testing.assert_array_equal(codes, np.where(WEIGHT > 0, CODES, 0)[rows])
    np.testing.assert_array_equal(weight, WEIGHT[rows])


def test_order_depends_on_the_seed_and_not_on_the_size_of_pieces(make_subset):
    subset = make_subset()
    first, second, other = (
        take_all(open_order(subset), n_rows, seed)[0][:, 0]
        for n_rows, seed in ((8, 0), (30, 0), (8, 1))
    )

    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_rows_of_a_window_are_of_blocks_from_the_whole_table(make_subset):
    found = take_all(open_order(make_subset(window_rows=32)), 103)[0][:, 0] / N_FEATURES

    assert np.ptp(found[:32]) > N / 2
    assert np.abs(np.diff(found[:32])).min() >= 1
    assert (np.diff(found) == 1).mean() < 0.2


def test_epoch_that_is_left_before_its_end_is_followed_by_a_whole_one(make_subset):
    order = open_order(make_subset())
    order.draw(np.random.default_rng(0))[:5]

    np.testing.assert_array_equal(
        take_all(order, 8, seed=1)[0], take_all(open_order(make_subset()), 8, seed=1)[0]
    )


def test_class_weights_multiply_the_stored_weights(make_subset):
    factors = (np.array([1.0, 2, 3]), ONES[1])
    found, codes, weight = take_all(open_order(make_subset(factors=factors)), 50)

    rows = (found[:, 0] / N_FEATURES).astype(int)
    np.testing.assert_array_equal(weight[:, 1], WEIGHT[rows, 1])
    np.testing.assert_allclose(weight[:, 0], WEIGHT[rows, 0] * factors[0][codes[:, 0]], rtol=1e-6)


def test_slice_of_stored_rows_is_read_in_their_order(make_subset):
    piece = make_subset(2).rows[40:60]  # from both files
    found = np.empty(piece.shape, np.float32)
    piece.write_X(found)

    np.testing.assert_array_equal(found, X[40:60])


def test_part_of_a_piece_has_its_rows(make_subset):
    piece = make_subset().rows[10:30][np.array([3, 1])]
    found = np.empty(piece.shape, np.float32)
    piece.write_X(found)

    assert isinstance(piece, Piece)
    np.testing.assert_array_equal(found, X[[13, 11]])
    np.testing.assert_array_equal(piece.weight, WEIGHT[[13, 11]])


def test_error_of_the_thread_that_reads_comes_to_the_one_that_trains(make_subset):
    subset = make_subset()
    subset.stores[0].file.close()

    with pytest.raises(ValueError, match="closed file"):
        open_order(subset).draw(np.random.default_rng(0))[:5]


def test_rows_of_another_position_than_the_next_are_refused(make_subset):
    order = open_order(make_subset())
    epoch = order.draw(np.random.default_rng(0))
    with pytest.raises(IndexError, match="The next row is 0"):
        epoch[5:8]
    order.close()
