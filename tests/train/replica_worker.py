"""A process of `test_replicas`: fits alone, on two devices, or as one of several workers."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from contextlib import nullcontext

import numpy as np

CASES = {
    "plain": {},
    "all": {
        "dropout": 0.3,
        "l2": 1e-3,
        "task_weighting": "uncertainty",
        "early_stopping": True,
        "validation_fraction": 0.2,
        "label_smoothing": 0.1,
    },
    "members": {"ensemble_size": 3, "dropout": 0.2, "normalization": "layer"},
    "known": {"known_labels": True},
    "sgd": {"optimizer": "sgd"},
    "folds": {"early_stopping": "cv"},
}

# What befalls the last worker only.
OF_THE_LAST = ("dies_before", "fails_before", "has_bad_X")


def table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X, Y with a task that most parts of a batch lack, and weights."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(103, 6)).astype(np.float32)
    scores = X @ rng.normal(size=(6, 4))
    Y = np.column_stack([*(scores[:, :3] > 0).T, np.digitize(scores[:, 3], [-1, 1])]).astype(float)
    Y[rng.random(Y.shape) < 0.5] = np.nan
    Y[:, 2] = np.nan
    Y[[0, 17, 34, 51], 2] = [0, 1, 0, 1]
    return X, Y, rng.uniform(0.2, 3, len(X))


def fit(case: str, scope, **more) -> dict[str, object]:
    """Return what a fit inside a scope gives, and how many epochs it trained."""
    from sk_mtl import MultiTaskClassifier
    from sk_mtl._train import loop, resume

    resume._PAUSE = 0  # write after each epoch
    begun, begin = [], loop.TrainingRun.begin_epoch
    dies_before, fails_before = more.pop("dies_before", None), more.pop("fails_before", None)
    has_bad_X = more.pop("has_bad_X", False)

    def begin_and_note(run):
        if run.progress.epoch + 1 == dies_before:
            os.kill(os.getpid(), signal.SIGKILL)
        if run.progress.epoch + 1 == fails_before:
            raise ValueError("The disk is full.")
        begin(run)
        begun.append(run.progress.epoch)

    loop.TrainingRun.begin_epoch = begin_and_note
    X, Y, weight = table()
    if has_bad_X:
        X[3, 1] = np.inf
    settings = {"epochs": 6, "batch_size": 10, "random_state": 0, "early_stopping": False}
    settings |= {"hidden_layer_sizes": (16, 8), "jit_compile": False} | CASES[case] | more
    try:
        with scope:
            clf = MultiTaskClassifier(**settings).fit(X, Y, sample_weight=weight)
    except (RuntimeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        loop.TrainingRun.begin_epoch = begin
    weights = [np.asarray(value) for value in clf.model_.get_weights()]
    return {"history": clf.history_, "weights": weights, "begun": begun}


def main(kind: str, n: int, number: int, ports: list[int], fits: list, path: str) -> None:
    """Fit, and write the results."""
    if kind == "workers":
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        task = {"type": "worker", "index": number}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    import tensorflow as tf

    strategy = None
    if kind == "devices":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * n
        )
        strategy = tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(n)])
    elif kind == "workers":
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    results = []
    for case, more in fits:
        scope = nullcontext() if strategy is None else strategy.scope()
        own = {k: v for k, v in more.items() if k not in OF_THE_LAST or number == n - 1}
        results.append(fit(case, scope, **own))
    with open(path, "wb") as opened:
        pickle.dump(results, opened)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
