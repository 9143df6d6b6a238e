"""Tests of sk_mtl._train.devices: fits on the device that the user chose."""

import subprocess
import sys
import threading

import pytest
import tensorflow as tf

from sk_mtl._train import devices
from sk_mtl._train.devices import computes_on_cpu, computing_on, current_device

FITS = """
import sys
from contextlib import nullcontext

import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)

from sk_mtl import MultiTaskClassifier, save_model
from sk_mtl._train.pack import Pack

places, call = set(), Pack._call


def note(self, *args, **kwargs):
    call(self, *args, **kwargs)
    places.update(value.device[-5:] for value in self._values)


Pack._call = note
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3)).astype(np.float32)
Y = (X[:, :2] + rng.normal(size=(200, 2)) > 0).astype(float)
Y[::3, 1] = np.nan
settings = [
    {"optimizer": "sgd", "jit_compile": False},
    {"jit_compile": True, "early_stopping": "cv", "epochs": 12},  # in several threads
    {"jit_compile": False, "dtype": "mixed_bfloat16"},
]
contents = []
# The second fit outside finds the program that was traced inside.
for device in ("/CPU:1", None):
    files = []
    for number, params in enumerate(settings):
        clf = MultiTaskClassifier((4,), **{"epochs": 2, "random_state": 0, **params})
        with tf.device(device) if device else nullcontext():
            clf.fit(X, Y)
            shown = np.hstack(clf.predict_proba(X))
        assert (shown == np.hstack(clf.predict_proba(X))).all(), number
        path = f"{sys.argv[1]}/{number}.safetensors"
        save_model(clf, path)
        files.append(open(path, "rb").read())
    contents.append(files)
    assert places == {device[1:] if device else "CPU:0"}, places
    places.clear()
assert contents[0] == contents[1], [a == b for a, b in zip(*contents)]
"""


@pytest.mark.slow
def test_a_fit_on_another_cpu_is_the_same_fit(tmp_path):
    command = [sys.executable, "-c", FITS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_scope_says_where_to_compute():
    with tf.device("/CPU:0"):
        assert current_device().endswith("CPU:0")
        assert computes_on_cpu()


def test_a_gpu_is_told_by_where_numbers_are(monkeypatch):
    there = "/job:localhost/replica:0/task:0/device:GPU:1"
    monkeypatch.setattr(devices, "current_device", lambda: there)
    assert not computes_on_cpu()


def test_threads_that_compute_there_anyway_are_left_alone():
    found = []
    here = current_device()

    def compute():
        with computing_on(here) as scope:
            found.append(scope)

    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    assert found == [None]
