"""How much faster do two workers fit than one, each on one core of the same machine?

617 tasks, of whose labels nine in ten are missing, a trunk of 1024 and 512 units, 2048 features:
2.9 million weights, whose gradients the workers add up in each step, over loopback. Each
worker is pinned to a core of its own and computes with one thread. A first fit compiles; seconds
are those of a second one of the same shape. CPU seconds are those of the slowest worker: what the
time would be on cores that nothing else uses. One worker and two take turns.

Usage: python docs/benchmarks/speed/several_workers.py [--repeats 3] [--quick] [--page speed.md]
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np

N_FEATURES, N_TASKS, TRUNK = 2048, 617, (1024, 512)
BATCH_SIZES, N_STEPS = (256, 1024, 4096), 12


def work(number: int, ports: list[int], batch_size: int, n_steps: int) -> None:
    """Be one of the workers; print seconds and CPU seconds of a fit."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[number]})
    if len(ports) > 1:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        task = {"type": "worker", "index": number}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    import tensorflow as tf

    from sk_mtl import MultiTaskClassifier

    tf.config.threading.set_intra_op_parallelism_threads(1)
    is_alone = len(ports) == 1
    strategy = tf.distribute.get_strategy() if is_alone else _strategy(tf)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(batch_size * n_steps, N_FEATURES)).astype(np.float32)
    Y = (rng.random((len(X), N_TASKS)) < 0.5).astype(np.float32)
    Y[rng.random(Y.shape) < 0.9] = np.nan
    seconds = []
    for _ in range(2):
        clf = MultiTaskClassifier(
            TRUNK, epochs=2, batch_size=batch_size, random_state=0, early_stopping=False,
            jit_compile=False,
        )  # fmt: skip
        with strategy.scope():
            start, cpu = _epoch_clock(clf)
            clf.fit(X, Y)
            seconds = [time.perf_counter() - start[0], time.process_time() - cpu[0]]
    print(json.dumps([*seconds, float(clf.history_["loss"][-1])]))


def _strategy(tf):
    return tf.distribute.MultiWorkerMirroredStrategy()


def _epoch_clock(clf):
    """Return lists of when the steps of a fit began, on the clock and of the CPU."""
    from sk_mtl._train import loop

    start, cpu, begin = [], [], loop.TrainingRun.begin_epoch

    def begin_and_note(run):
        start.append(time.perf_counter())
        cpu.append(time.process_time())
        loop.TrainingRun.begin_epoch = begin
        begin(run)

    loop.TrainingRun.begin_epoch = begin_and_note
    return start, cpu


def measure(n_workers: int, batch_size: int, n_steps: int) -> list[float]:
    """Return seconds and CPU seconds of the slowest of some workers, and the last loss."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n_workers)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    processes = []
    for number in range(n_workers):
        settings = json.dumps([number, ports, batch_size, n_steps])
        command = [sys.executable, __file__, "--work", settings]  # see `main`
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        )
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    return [max(row[k] for row in found) for k in range(3)]


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == ["--work"]:  # in a process of one worker
        work(*json.loads(arguments[1]))
        return
    from _timing import parse_options, report

    options = parse_options(__doc__, arguments, 3)
    rows = []
    for batch_size in (32,) if options.quick else BATCH_SIZES:
        found = [
            [measure(n, batch_size, 2 if options.quick else N_STEPS) for n in (1, 2)]
            for _ in range(options.repeats)
        ]
        one, two = np.moveaxis(np.array(found), 1, 0)
        ratios = one / two
        rows.append(
            [
                f"sk_mtl, batches of {batch_size:,}",
                *(f"{np.median(part[:, 0]):.2f}" for part in (one, two)),
                *(
                    f"{np.median(ratio):.2f} ({ratio.min():.2f}-{ratio.max():.2f})"
                    for ratio in ratios.T[:2]
                ),
            ]
        )
    header = ["", "one, s", "two, s", "times as fast", "by processor seconds"]
    report(__file__, options, [(header, rows)])


if __name__ == "__main__":
    main()
