"""One training over several devices and several workers, over loopback."""

from __future__ import annotations

import json
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from sk_mtl._train.replicas import ALONE, Replicas, current_replicas, outside_strategy

_SCRIPT = Path(__file__).with_name("replica_worker.py")


def _free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _run(folder, kind, n, fits, n_processes=1, timeout=300):
    """Return the results of each process; None for one that was killed."""
    ports, started = _free_ports(n_processes), []
    paths = [folder / f"{kind}_{n}_{number}_{time.monotonic_ns()}" for number in range(n_processes)]
    for number, path in enumerate(paths):
        settings = {"kind": kind, "n": n, "number": number, "ports": ports, "fits": fits}
        settings["path"] = str(path)
        command = [sys.executable, str(_SCRIPT), json.dumps(settings)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
    try:
        for process in started:
            process.wait(timeout)
    finally:
        for process in started:
            process.kill()
    return [pickle.loads(p.read_bytes()) if p.exists() else None for p in paths]


def _assert_equal_losses(found, expected):
    assert found["history"].keys() == expected["history"].keys()
    for name, series in expected["history"].items():
        np.testing.assert_allclose(found["history"][name], series, rtol=1e-5, err_msg=name)


def _assert_same_bits(found, expected):
    assert found["history"] == expected["history"] or all(
        np.array_equal(found["history"][k], v, equal_nan=True)
        for k, v in expected["history"].items()
    )
    for value, other in zip(found["weights"], expected["weights"], strict=True):
        np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 7, 12])
def test_parts_of_a_batch_are_all_of_its_rows_in_order(n_rows):
    parts = [Replicas(3, 2, worker).part(n_rows, k) for worker in range(3) for k in range(2)]
    assert [row for part in parts for row in range(n_rows)[part]] == list(range(n_rows))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_what_tells_configurations_apart_is_the_same_for_all_workers():
    assert repr(Replicas(2, 1, 0, ("a",))) == repr(Replicas(2, 1, 1, ("b",)))


def test_a_strategy_of_one_replica_is_as_none():
    with tf.distribute.OneDeviceStrategy("CPU:0").scope(), outside_strategy() as replicas:
        assert replicas == current_replicas() == ALONE
        assert tf.distribute.has_strategy()


def test_one_worker_shares_with_nobody():
    assert ALONE.share_bytes(b"content") == b"content"
    assert ALONE.share(3) == ALONE.agree(3) == 3
    ALONE.require_same({"y": b"anything"})


@pytest.mark.slow
def test_two_devices_give_the_losses_of_one(tmp_path):
    fits = [("all", {}), ("plain", {"optimizer": "sgd"}), ("plain", {"jit_compile": True})]
    ((found, sgd, compiled),) = _run(tmp_path, "devices", 2, fits)
    ((expected,),) = _run(tmp_path, "alone", 1, fits[:1])
    _assert_equal_losses(found, expected)
    assert "SGD, which updates variables of its own" in sgd["error"]
    assert "jit_compile=True compiles a step as one piece" in compiled["error"]


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [2, 3])
def test_workers_give_the_losses_of_one_and_the_same_bits(tmp_path, n_workers):
    cases = ("plain", "all", "members", "known", "sgd", "folds")
    fits = [(case, {}) for case in cases]
    (expected,) = _run(tmp_path, "alone", 1, fits)
    without_seed = ("plain", {"random_state": None})
    refused = ("plain", {"normalization": "batch"})
    more = [*fits, without_seed, refused]
    of_workers = _run(tmp_path, "workers", n_workers, more, n_workers)
    for found in of_workers:
        for one, other in zip(found, expected, strict=False):
            _assert_equal_losses(one, other)
        for one, first in zip(found[:-1], of_workers[0][:-1], strict=True):
            _assert_same_bits(one, first)
        assert "normalization='batch'" in found[-1]["error"]


@pytest.mark.slow
def test_an_error_of_one_worker_ends_the_fit_of_all(tmp_path):
    # After the first, the workers fit together again. After an error in training they cannot.
    fits = [("plain", {"has_bad_X": True}), ("plain", {}), ("plain", {"fails_before": 3})]
    (early, fitted, late), (of_last, fitted_by_last, late_of_last) = _run(
        tmp_path, "workers", 2, fits, 2
    )
    assert "WorkerLostError: 1 of 2 workers failed before they began" in early["error"]
    assert "Input X contains infinity" in of_last["error"]
    _assert_same_bits(fitted, fitted_by_last)
    assert "WorkerLostError" in late["error"]
    assert "Worker 1 has failed: The disk is full." in late["error"]
    assert late_of_last["error"] == "ValueError: The disk is full."


@pytest.mark.slow
def test_a_killed_worker_is_told_and_the_checkpoint_continues(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    undisturbed = _run(tmp_path, "workers", 2, [("all", {})], 2)
    started = time.monotonic()
    fit = {"checkpoint": str(folder)}
    left, killed = _run(tmp_path, "workers", 2, [("all", fit | {"dies_before": 4})], 2)
    assert killed is None
    assert "WorkerLostError: Worker 0 of 2" in left[0]["error"]
    assert "in epoch 4" in left[0]["error"]
    assert time.monotonic() - started < 150  # with the start of the processes
    again = _run(tmp_path, "workers", 2, [("all", fit)], 2)
    for (found,), (expected,) in zip(again, undisturbed, strict=True):
        # It has not begun again: only the epochs after the last one saved were trained.
        assert found["begun"] == [4, 5, 6]
        _assert_same_bits(found, expected)
    assert not list(folder.iterdir())
