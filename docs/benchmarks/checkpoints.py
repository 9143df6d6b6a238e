"""What checkpoints cost: the time and size of one, and the share of a fit that goes into them.

``python docs/benchmarks/checkpoints.py``. The share is taken within one fit, so that a busy machine
does not change it as it changes the times.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from _harness import clock

from sk_mtl import MultiTaskClassifier
from sk_mtl._train.fit_identity import digest
from sk_mtl._train.resume import ResumePoint

NETWORKS = [((64,), 2_000, 20, 200), ((1024, 512), 5_000, 200, 12)]
N_FITS = 3


def make_table(n_samples, n_features, n_tasks=4):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_features)).astype(np.float32)
    Y = (X[:, :n_tasks] + rng.normal(size=(n_samples, n_tasks)) > 0).astype(float)
    Y[rng.random(Y.shape) < 0.5] = np.nan
    return X, Y


def main():
    seconds, sizes, save = [], [], ResumePoint.save_if_due

    def save_and_note(self, *args):
        due, begun = self._due, time.perf_counter()
        save(self, *args)
        if self._due != due:
            seconds.append(time.perf_counter() - begun)
            sizes.append(Path(self.path).stat().st_size)

    ResumePoint.save_if_due = save_and_note
    for layers, n_samples, n_features, epochs in NETWORKS:
        X, Y = make_table(n_samples, n_features)
        for number in range(1 + N_FITS):  # the first one compiles
            del seconds[:], sizes[:]
            with tempfile.TemporaryDirectory() as folder:
                clf = MultiTaskClassifier(
                    layers, epochs=epochs, early_stopping=True, n_iter_no_change=epochs,
                    checkpoint=folder, random_state=0,
                )  # fmt: skip
                whole = clock(clf.fit, X, Y)
            if number:
                print(
                    f"{layers}: fit {whole:.2f} s, {1e3 * whole / epochs:.1f} ms an epoch; "
                    f"{len(seconds)} checkpoints of {1e3 * statistics.median(seconds):.1f} ms and "
                    f"up to {max(sizes) / 1e6:.2f} MB, {sum(seconds) / whole:.1%} of the fit"
                )
    X = np.zeros((1_000_000, 100), dtype=np.float32)
    print(f"digest of 1,000,000 rows of 100 features: {clock(digest, X):.2f} s")


if __name__ == "__main__":
    main()
