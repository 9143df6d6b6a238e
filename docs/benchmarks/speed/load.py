"""What does it bear? Many fits in one process, many tasks, rows, features, and few labels.

500 fits of 300 × 10 with three tasks, all of one shape, and of 40 shapes in turn, which is more
than the cache of programs holds; the resident memory after every hundred. Then one fit of two
epochs and one prediction of large tables, each in a fresh process with its libraries imported and
the table made; the peak of resident memory from there on.

Usage: python docs/benchmarks/speed/load.py [--repeats 1]
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from _timing import clock, in_fresh_process, parse_options, peak_memory, report, resident_memory

N_FITS = 500
SHAPES = {"one shape": 1, "40 shapes in turn": 40}


@dataclass(frozen=True)
class Load:
    """A table: binary tasks, labels missing at random."""

    n_rows: int
    n_features: int
    n_tasks: int
    missing: float
    cells_a_row: int = 0  # of a sparse X; 0: dense

    def make_table(self) -> tuple[Any, np.ndarray]:
        """Return X of float32, dense or CSR, and Y."""
        import scipy.sparse as sp

        rng = np.random.default_rng(0)
        if self.cells_a_row:
            n_cells = self.n_rows * self.cells_a_row
            columns = rng.integers(0, self.n_features, n_cells, dtype=np.int32)
            starts = np.arange(0, n_cells + 1, self.cells_a_row, dtype=np.int32)
            cells = np.ones(n_cells, np.float32)
            X = sp.csr_matrix((cells, columns, starts), (self.n_rows, self.n_features))
            X.sum_duplicates()
        else:
            X = rng.standard_normal((self.n_rows, self.n_features), dtype=np.float32)
        weights = rng.standard_normal((self.n_features, self.n_tasks), dtype=np.float32)
        Y = (X @ weights > 0).astype(np.float32)
        Y[rng.random(Y.shape, dtype=np.float32) < self.missing] = np.nan
        return X, Y


LOADS = {
    "1,000 tasks": Load(5_000, 50, 1_000, 0.5),
    "1,000,000 rows": Load(1_000_000, 20, 3, 0.5),
    "100,000 sparse features": Load(20_000, 100_000, 3, 0.5, cells_a_row=50),
    "95 % missing": Load(100_000, 30, 20, 0.95),
    "99.9 % missing": Load(100_000, 30, 20, 0.999),
}


def fit_many(n_fits: int, n_shapes: int, every: int) -> tuple[list[float], float]:
    """Return resident megabytes after the tenth and every so many fits, and the seconds of all."""
    from sk_mtl import MultiTaskClassifier

    X, Y = Load(300, 10, 3, 0.4).make_table()
    megabytes = []

    def fit(number: int) -> None:
        width = 8 + number % n_shapes
        clf = MultiTaskClassifier(hidden_layer_sizes=(width,), epochs=2, random_state=number)
        clf.fit(X, Y).predict_proba(X)

    def fit_all() -> None:
        for number in range(1, n_fits + 1):
            fit(number)
            if number == 10 or number % every == 0:
                megabytes.append(resident_memory() / 1e6)

    seconds = clock(fit_all)
    return megabytes, seconds


def bear(load: Load) -> tuple[float, float, float]:
    """Return the seconds of a fit and of a prediction, and the peak in megabytes beyond X and Y."""
    from sk_mtl import MultiTaskClassifier

    X, Y = load.make_table()
    clf = MultiTaskClassifier(hidden_layer_sizes=(64,), epochs=2, random_state=0)
    seconds: list[float] = []

    def run() -> None:
        seconds.append(clock(clf.fit, X, Y))
        seconds.append(clock(check_probabilities, clf, X))

    peak, _ = peak_memory(run)
    return seconds[0], seconds[1], peak / 1e6


def check_probabilities(clf: Any, X: Any) -> None:
    """Predict, and refuse what is not finite."""
    assert all(np.isfinite(p).all() for p in clf.predict_proba(X))


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=1)
    n_fits, every, loads = N_FITS, 100, LOADS
    if options.quick:
        n_fits, every = 12, 6
        loads = {"99.9 % missing": replace(LOADS["99.9 % missing"], n_rows=4_000, n_tasks=2)}
    rows: list[Sequence[str]] = []
    for name, n_shapes in SHAPES.items():
        n_shapes = min(n_shapes, 2) if options.quick else n_shapes
        found = [
            in_fresh_process(fit_many, n_fits, n_shapes, every, quick=options.quick)
            for _ in range(options.repeats)
        ]
        megabytes = np.median([m for m, _ in found], axis=0)
        seconds = np.median([s for _, s in found])
        rows.append(
            (f"sk_mtl, {name}", *(f"{m:,.0f}" for m in megabytes), f"{1000 * seconds / n_fits:.0f}")
        )
    marks = [10, *range(every, n_fits + 1, every)]
    fits_header = (f"{n_fits} fits", *(f"MB after {n}" for n in sorted(marks)), "ms a fit")
    table: list[Sequence[str]] = []
    for name, load in loads.items():
        measured = [
            in_fresh_process(bear, load, quick=options.quick) for _ in range(options.repeats)
        ]
        fit, predict, peak = np.median(measured, axis=0)
        size = f"{load.n_rows:,} × {load.n_features:,}, {load.n_tasks:,} tasks"
        missing = f"{100 * load.missing:g} %"
        table.append(
            (f"sk_mtl, {name}", size, missing, f"{fit:.1f}", f"{predict:.1f}", f"{peak:,.0f}")
        )
    header = ("load", "table", "missing", "s, fit", "s, predict_proba", "peak MB beyond X and Y")
    report(__file__, options, [(fits_header, rows), (header, table)])


if __name__ == "__main__":
    main()
