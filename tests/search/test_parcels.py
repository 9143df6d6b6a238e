"""How fits are divided among workers."""

import pytest

from sk_mtl._search.evaluation import Todo
from sk_mtl._search.parcels import Parcels, cut_evenly, cut_groups


def make_todo(n_candidates, n_splits=3):
    return [Todo(c, {}, s) for c in range(n_candidates) for s in range(n_splits)]


def sizes_of(cut):
    return [[len(parcel) for parcel in group] for group in cut]


def test_every_worker_has_a_part_of_equal_size():
    todo = make_todo(5)
    parcels = cut_evenly(todo, 2)
    assert [len(parcel) for parcel in parcels] == [8, 7]
    assert sorted(fit for parcel in parcels for fit in parcel) == todo
    assert cut_evenly([], 2) == []


@pytest.mark.parametrize(
    ("n_candidates", "n_workers", "n_threads", "sizes"),
    [
        (24, 2, 1, [8] * 9),  # full calls
        (24, 1, 1, [16] * 4 + [8]),
        (24, 2, 4, [32, 32, 8]),  # each thread has a call
        (24, 40, 1, [2] * 36),  # a part for as many workers as possible
        (400, 10, 1, [24] * 50),  # later parcels even out
        (5, 2, 1, [2] * 7 + [1]),  # too few for calls of several
        (1, 8, 1, [1] * 3),
    ],
)
def test_size_of_parcels(n_candidates, n_workers, n_threads, sizes):
    todo = make_todo(n_candidates)
    cut = cut_groups(todo, ["a"] * len(todo), n_workers, n_threads, True)
    assert sizes_of(cut) == [sizes]


def test_fits_of_a_group_and_a_fold_are_together():
    todo = make_todo(32)
    groups = ["a" if fit.candidate % 2 else "b" for fit in todo]
    cut = cut_groups(todo, groups, 2, 1, by_fold=True)
    assert sizes_of(cut) == [[8] * 6, [8] * 6]
    for group, odd in zip(cut, (0, 1), strict=True):
        fits = [fit for parcel in group for fit in parcel]
        assert {fit.candidate % 2 for fit in fits} == {odd}
        assert [fit.split for fit in fits] == [0] * 16 + [1] * 16 + [2] * 16


def test_first_candidates_come_first_if_time_may_end():
    todo = make_todo(4)
    cut = cut_groups(todo, ["a"] * 12, 2, 1, by_fold=False)
    assert [fit for parcel in cut[0] for fit in parcel] == todo


def test_worker_goes_on_with_its_programs():
    parcels = Parcels([["a1", "a2", "a3"], ["b1", "b2"], ["c1"]])
    assert len(parcels) == 6
    taken = [parcels.next_for(worker) for worker in (1, 2, 1, 2, 1, 2, 1)]
    assert taken == ["a1", "b1", "a2", "b2", "a3", "c1", None]
    assert len(parcels) == 0


def test_worker_helps_where_most_is_left():
    parcels = Parcels([["a1", "a2", "a3", "a4"], ["b1"]])
    assert [parcels.next_for(1), parcels.next_for(2), parcels.next_for(2)] == ["a1", "a2", "a3"]
    assert parcels.next_for(3) == "b1"
