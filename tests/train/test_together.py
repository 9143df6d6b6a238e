"""Tests of sk_mtl._train.together and pack: what a training gives does not depend on others."""

import signal
import threading
import time

import keras
import numpy as np
import pytest
from jobs import assert_same_results, make_job, make_rows, train, train_in_packs
from sklearn.exceptions import ConvergenceWarning

from sk_mtl._data.dataset import UnlabelledSubset
from sk_mtl._train import program_cache, together
from sk_mtl._train.config import UnlabelledSpec
from sk_mtl._train.early_stopping import PlannedEpochs, StoppingConfig
from sk_mtl._train.loop import NonFiniteLossError, keep_planned
from sk_mtl._train.together import train_together
from sk_mtl.weighting import UncertaintyWeighting

# Keras hands variables to np.array, which NumPy 2 objects to.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

SEARCH = StoppingConfig(2)
# Of each training: rows, validation rows, epochs, early stopping, epochs before.
TRAININGS = [
    (25, 0, 3, None, 0),
    (19, 12, 9, SEARCH, 0),
    (40, 7, 2, None, 0),
    (8, 0, 4, SEARCH, 0),
    (33, 30, 3, None, 2),
    (26, 11, 8, StoppingConfig(2, by_task=True), 0),
]


def make_jobs(has_validation=True):
    """Return trainings of one program that have nothing else in common."""
    rng, jobs = np.random.default_rng(0), []
    for k, (n_rows, n_validation, epochs, stopping, before) in enumerate(TRAININGS):
        job = make_job(
            make_rows(n_rows, seed=k),
            make_rows(n_validation, seed=k + 50) if n_validation and has_validation else None,
            keras.optimizers.AdamW(0.01 * (k + 1), weight_decay=0.05 * (k + 1)),
            UncertaintyWeighting(),
            spec={"dropout": 0.1 * (k + 1), "l2": 0.01 * (k + 1)},
            epochs=epochs,
            seed=k + 1,
            stopping=stopping,
            first_epoch=before,
            label_smoothing=np.full(3, 0.05 * k, np.float32),
            logit_offsets=rng.normal(size=5).astype(np.float32),
            ema_momentum=0.3 + 0.1 * k,
        )
        jobs.append(job)
    assert len({job.plan.program for job in jobs}) == 1
    return jobs


@pytest.fixture(scope="module")
def expected():
    """The results of all trainings in packs of three."""
    return train_in_packs(make_jobs(), 3)


# ------------------------------------------------------------------------------------------------
# No training depends on others
# ------------------------------------------------------------------------------------------------


def test_trainings_take_turns_and_end_when_they_should(expected):
    lengths = [result.n_epochs for result in expected]
    assert lengths[0] == 3
    assert lengths[2] == 2
    assert len(set(lengths)) > 2
    for result in expected:
        assert {len(series) for series in result.history.values()} == {result.n_epochs}
        assert all(np.isfinite(value).all() for value in result.state.network)


@pytest.mark.parametrize(
    "order", [(5, 4, 3, 2, 1, 0), (2, 0, 5, 1, 4, 3)], ids=["backwards", "mixed"]
)
def test_order_changes_no_bit(expected, order):
    jobs = make_jobs()
    found = train_in_packs([jobs[k] for k in order], 3)
    assert_same_results(found, [expected[k] for k in order])


@pytest.mark.parametrize("chosen", [(1,), (5, 2), (0, 3, 4), (1, 1, 1), (3, 0, 3, 1)], ids=str)
def test_partners_change_no_bit(expected, chosen):
    jobs = make_jobs()
    found = train_in_packs([jobs[k] for k in chosen], 3)
    assert_same_results(found, [expected[k] for k in chosen])


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(expected, n_threads):
    for _ in range(3):
        assert_same_results(train_in_packs(make_jobs(), 3, n_threads), expected)


def test_rows_to_validate_on_change_no_bit_of_the_weights(expected):
    plain = make_jobs(has_validation=False)
    found = train_in_packs([plain[2], plain[4]], 3)
    for result, with_validation in zip(found, (expected[2], expected[4]), strict=True):
        for a, b in zip(result.state.network, with_validation.state.network, strict=True):
            np.testing.assert_array_equal(a, b)
        assert result.history["loss"] == with_validation.history["loss"]


@pytest.mark.slow
def test_validation_losses_do_not_depend_on_how_many_rows_partners_have():
    def losses_beside(n_rows):
        first = make_job(make_rows(19, seed=1), make_rows(12, seed=51), epochs=9)
        partner = make_job(make_rows(25, seed=2), make_rows(n_rows, seed=3))
        return train_in_packs([first, partner], 3)[0].history["val_loss"]

    expected = losses_beside(12)
    assert {tuple(losses_beside(n)) for n in (3, 13, 14, 15, 31, 3000)} == {tuple(expected)}


@pytest.mark.slow
@pytest.mark.parametrize("ensemble_size", [3, 5])
def test_validation_losses_do_not_depend_on_the_place_in_the_pack(ensemble_size):
    spec = {"ensemble_size": ensemble_size, "activation": "tanh"}
    jobs = [
        make_job(make_rows(20, seed=k), make_rows(900, seed=k), spec=spec, seed=k, epochs=3)
        for k in range(3)
    ]
    first, last = train_in_packs(jobs, 3), train_in_packs(jobs[::-1], 3)[::-1]
    assert_same_results(first, last)


@pytest.mark.slow
@pytest.mark.parametrize("n_members", [1, pytest.param(4, marks=pytest.mark.release)])
def test_packs_of_other_sizes_give_the_same_but_for_rounding(expected, n_members):
    found = train_in_packs(make_jobs(), n_members)
    for one, other in zip(found, expected, strict=True):
        assert (one.n_epochs, one.best_epoch) == (other.n_epochs, other.best_epoch)
        for a, b in zip(one.state.network, other.state.network, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        for name, series in one.history.items():
            np.testing.assert_allclose(series, other.history[name], rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_training_alone_gives_the_same_bits_in_any_pack_of_one():
    jobs = make_jobs()
    assert_same_results(train_in_packs(jobs, 1, 2), [train(job) for job in jobs])


@pytest.mark.slow
@pytest.mark.parametrize("way", [UnlabelledSpec(0.9, 0.5), UnlabelledSpec(0.9, None, 0.3)])
def test_partners_change_no_bit_of_what_is_learned_from_unlabelled_cells(way):
    def make(number):
        rows = make_rows(25 + number, seed=number)
        unlabelled = make_unlabelled(rows)
        settings = {"unlabelled": way, "unlabelled_batch_size": 6, "unlabelled_weight": 1 + number}
        job = {"unlabelled": unlabelled}
        return make_job(rows, spec={"dropout": 0.2}, job=job, seed=number, epochs=3, **settings)

    first = train_in_packs([make(k) for k in range(3)], 3)
    again = train_in_packs([make(k) for k in (2, 1, 1, 0)], 3, 2)
    assert_same_results(again, [first[k] for k in (2, 1, 1, 0)])
    assert all(u > 0 for result in first for u in result.history["unlabelled_objective"])


def make_unlabelled(rows):
    weight = (rows.weight == 0).astype(np.float32)
    return UnlabelledSubset(weight, np.flatnonzero(weight.any(axis=1)))


# ------------------------------------------------------------------------------------------------
# Which trainings share a call
# ------------------------------------------------------------------------------------------------


@pytest.fixture
def packs(monkeypatch):
    """The packs that are made, of which none trains."""
    seen = []

    class Untrained:
        def __init__(self, program, waiting, n_members):
            self.program = program
            self.n_members = n_members
            seen.append(self)

        def results(self, must_stop=None):
            return iter(())

    monkeypatch.setattr(together, "Pack", Untrained)
    monkeypatch.setattr(together, "_run_in_threads", lambda packs, n_threads: iter(()))
    return seen


def sizes_of(packs):
    return [pack.n_members for pack in packs]


@pytest.mark.parametrize("n_threads", [1, 2, 8])
@pytest.mark.parametrize(
    ("n_jobs", "n_members"), [(1, 1), (6, 1), (15, 1), (16, 8), (99, together._MAX_MEMBERS)]
)
def test_number_of_members_does_not_depend_on_threads(
    packs, monkeypatch, n_jobs, n_members, n_threads
):
    monkeypatch.setattr(together, "compute_thread_limit", lambda: n_threads)
    list(train_together([make_job()] * n_jobs))
    assert sizes_of(packs) == [n_members] * min(n_threads, -(-n_jobs // n_members))


def test_large_networks_are_trained_one_by_one(packs):
    list(train_together([make_job(spec={"hidden_layer_sizes": (2**16,)})] * 16))
    assert set(sizes_of(packs)) == {1}


def test_trainings_of_other_programs_are_in_other_packs(packs, monkeypatch):
    monkeypatch.setattr(together, "compute_thread_limit", lambda: 1)
    wide, plain = make_job(spec={"hidden_layer_sizes": (7,)}), make_job()
    list(train_together([wide, *[plain] * 16, wide]))
    assert sizes_of(packs) == [1, 8]
    assert packs[0].program is not packs[1].program


# ------------------------------------------------------------------------------------------------
# The end
# ------------------------------------------------------------------------------------------------


def run_until(epoch, seen=None):
    """Return what stops a training after an epoch, and notes its epochs."""

    def is_enough(number):
        if seen is not None:
            seen.append(number)
        return number >= epoch

    return {"is_enough": is_enough}


def test_training_of_which_all_epochs_are_kept_ends_when_it_is_enough():
    jobs = [make_job(epochs=6, job=run_until(4)), make_job(epochs=2)]
    result, other = train_in_packs(jobs, 3)
    assert result.n_epochs == len(result.history["loss"]) == 4
    assert sorted(result.by_epoch) == [1, 2, 3, 4]
    assert other.n_epochs == 2
    assert other.by_epoch == {}
    for n_epochs in (1, 2, 4):
        (whole,) = train_in_packs([make_job(epochs=n_epochs)], 3)
        for a, b in zip(result.by_epoch[n_epochs].network, whole.state.network, strict=True):
            np.testing.assert_array_equal(a, b)


def test_planned_epochs_are_those_that_a_training_of_this_length_keeps():
    planned = PlannedEpochs(2, (3, 2, 1))
    (result,) = train_in_packs([make_job(epochs=6, job=run_until(4))], 3)
    (expected,) = train_in_packs([make_job(epochs=3, stopping=planned)], 3)
    kept = keep_planned(result, planned)
    assert kept.best_epoch == expected.best_epoch == 2
    assert kept.best_weights.task_epochs == expected.best_weights.task_epochs == (3, 2, 1)
    assert kept.by_epoch == {}
    pairs = [(kept.state.network, expected.state.network)]
    pairs += zip(kept.best_weights.values, expected.best_weights.values, strict=True)
    for network, other in pairs:
        for a, b in zip(network, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert keep_planned(result, PlannedEpochs(2, (5, 2, 1))) is None


def make_diverging(**settings):
    rows = make_rows(25)
    rows.X[:] *= np.float32(1e30)
    return make_job(rows, spec={"activation": "linear"}, **settings)


def make_steady(**settings):
    return make_job(spec={"activation": "linear"}, **settings)


@pytest.mark.slow_except("2")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_training_that_diverges_stops_no_other(n_threads):
    steady = [make_steady(epochs=n, seed=n) for n in (4, 5, 6)]
    expected = train_in_packs(steady, 3)
    found = train_in_packs([steady[0], make_diverging(), *steady[1:]], 3, n_threads)
    error = found.pop(1)
    assert isinstance(error, NonFiniteLossError)
    assert "after epoch 1 (tasks 'a', 'b', 'c')" in str(error)
    assert_same_results(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2])
def test_training_of_which_all_epochs_are_kept_may_diverge(n_threads):
    seen = []
    jobs = [make_diverging(job=run_until(9, seen)), make_steady()]
    result, other = train_in_packs(jobs, 3, n_threads)
    assert seen == [1]
    assert result.by_epoch == {}
    assert keep_planned(result, PlannedEpochs(1)) is None
    assert_same_results([other], train_in_packs([make_steady()], 3))


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2])
def test_warning_of_a_training_names_the_line_of_the_caller(n_threads):
    # In the first epochs all is well: the best one is kept, and the user is told.
    def make_short(seed):
        steps = keras.optimizers.schedules.PiecewiseConstantDecay([8], [0.01, 1e30])
        optimizer = keras.optimizers.Adam(steps)
        return make_steady(optimizer=optimizer, epochs=9, stopping=StoppingConfig(9), seed=seed)

    with pytest.warns(ConvergenceWarning, match="Training diverged") as told:
        results = train_in_packs([make_short(1), make_short(2)], 1, n_threads)
    assert [result.best_epoch for result in results] == [2, 2]
    assert len(told) == 2
    assert {warning.filename for warning in told} == {train_in_packs.__code__.co_filename}


@pytest.mark.slow_except("2")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_error_of_a_training_comes_out_and_ends_the_others(n_threads):
    def fail(number):
        raise RuntimeError("out of ink")

    seen = []
    jobs = [make_job(epochs=10**6, job=run_until(10**6, seen)), make_job(job={"is_enough": fail})]
    program_cache.clear_program_cache()
    with pytest.raises(RuntimeError, match="out of ink"):
        train_in_packs(jobs, 1 if n_threads == 2 else 2, n_threads)
    assert_all_has_ended(seen)


def assert_all_has_ended(seen):
    """Assert that no thread goes on, and that no interrupted program is used again."""
    assert not [t for t in threading.enumerate() if t.name.startswith("sk_mtl")]
    n_seen = len(seen)
    time.sleep(0.05)
    assert len(seen) == n_seen
    assert not program_cache._idle_programs


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2])
def test_iteration_that_is_given_up_ends_the_others(monkeypatch, n_threads):
    monkeypatch.setattr(together, "_count_members", lambda *args: 2)
    monkeypatch.setattr(together, "compute_thread_limit", lambda: n_threads)
    program_cache.clear_program_cache()
    seen = []
    long = make_job(epochs=10**6, job=run_until(10**6, seen))
    results = train_together([make_job(epochs=1), long, long, long])
    number, result = next(results)
    assert (number, result.n_epochs) == (0, 1)
    results.close()
    assert_all_has_ended(seen)


@pytest.mark.slow
def test_trainings_that_wait_for_a_place_are_not_begun_when_iteration_is_given_up(monkeypatch):
    monkeypatch.setattr(together, "_count_members", lambda *args: 1)
    monkeypatch.setattr(together, "compute_thread_limit", lambda: 1)
    seen = []
    results = train_together([make_job(), make_job(job=run_until(1, seen))])
    next(results)
    results.close()
    assert seen == []


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_all(n_threads, heeds_ctrl_c):
    seen = []

    def press_ctrl_c_once(number):
        seen.append(number)
        if len(seen) == 5:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return len(seen) > 10_000

    jobs = [make_job(epochs=10**6, job={"is_enough": press_ctrl_c_once}) for _ in range(4)]
    program_cache.clear_program_cache()
    with pytest.raises(KeyboardInterrupt):
        train_in_packs(jobs, 2, n_threads)
    assert_all_has_ended(seen)
    assert len(seen) < 10_000


@pytest.mark.slow
def test_resumed_training_without_epochs_left_has_a_result():
    results = train_in_packs([make_job(epochs=0), make_job()], 3)
    assert [result.n_epochs for result in results] == [0, 2]
    assert results[0].history == {}


@pytest.mark.slow
def test_program_is_used_again(monkeypatch):
    program_cache.clear_program_cache()
    train_in_packs([make_job(), make_job()], 2)
    assert len(program_cache._idle_programs) == 1
    built = []
    monkeypatch.setattr(program_cache, "TrainingProgram", lambda *args: built.append(args))
    train_in_packs([make_job(), make_job(), make_job()], 2, 2)
    assert built == []
