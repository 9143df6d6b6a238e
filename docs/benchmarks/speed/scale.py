"""What do a row and a task cost? 10, 100 and 1,000 binary tasks on the same rows.

10,240 rows of 200 normal features, float32, 90 % of the cells of Y missing, at least one label in
each row. Trunk 256-128, a logit per task, batches of 1,024, Adam and averaged weights, nothing held
out. Each size in a fresh process. A line through the smallest and the largest size is compared with
the one between them, and drawn out to 10,000 tasks. Seconds are those of all cores together, which
other work on the machine disturbs less than the time that passes.

Usage: python docs/benchmarks/speed/scale.py [--repeats 3] [--planned]
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from _networks import Work, import_sk_mtl, make_classifier
from _timing import in_fresh_process, parse_options, peak_memory, report

SIZES = (10, 100, 1_000)
PLANNED = 10_000
LABELLED = 0.1
EPOCHS = 6


@dataclass(frozen=True)
class Cost:
    """What one size costs: medians of the repeats."""

    train: float  # CPU seconds a row of a steady epoch
    train_elapsed: float  # seconds that pass
    predict: float  # CPU seconds a row
    n_weights: int
    peak: int  # bytes by which the first fit raises resident memory beyond X and Y
    predicted: int  # bytes a row of the result


def make_work(n_tasks: int) -> Work:
    """Return the network for a number of tasks."""
    return Work(
        10_240, 200, (256, 128), 1_024, n_classes=(2,) * n_tasks, labelled=(LABELLED,) * n_tasks
    )


def make_labels(work: Work) -> pd.DataFrame:
    """Return labels, float32: a row without any would be left out, so each has one for certain."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, (work.n_rows, len(work.n_classes))).astype(np.float32)
    missing = rng.random(y.shape, dtype=np.float32) >= LABELLED
    missing[np.arange(work.n_rows), rng.integers(0, y.shape[1], work.n_rows)] = False
    missing[:2] = False
    y[:2] = [[0.0], [1.0]]
    y[missing] = np.nan
    return pd.DataFrame(y, columns=[f"task{t}" for t in range(y.shape[1])])


def measure(work: Work, epochs: int, repeats: int) -> Cost:
    """Return the cost of a size; to be called in a process of its own."""
    import_sk_mtl()
    X, Y = work.make_features(), make_labels(work)

    def fit(n_epochs: int) -> Any:
        settings = {"jit_compile": True, "ema_momentum": 0.999}
        return make_classifier(work, n_epochs, **settings).fit(X, Y)

    peak, fitted = peak_memory(lambda: fit(1))
    size = sum(int(np.prod(v.shape)) for v in fitted.model_.trainable_variables)
    result = fitted.predict_proba(X[:1_024])  # the first call builds
    seconds = [
        (
            *(_seconds(fit, 1 + epochs) - _seconds(fit, 1)) / epochs,
            *_seconds(fitted.predict_proba, X),
        )
        for _ in range(repeats)
    ]
    elapsed, train, _, predict = np.median(seconds, axis=0) / work.n_rows
    predicted = sum(p.nbytes for p in result) // len(X[:1_024])
    return Cost(train, elapsed, predict, size, peak, predicted)


def _seconds(call: Callable[..., object], *arguments: Any) -> np.ndarray:
    """Seconds that pass, and those that all cores spend, in a call."""
    before = np.array([time.perf_counter(), time.process_time()])
    call(*arguments)
    return np.array([time.perf_counter(), time.process_time()]) - before


def draw_line(sizes: Sequence[int], values: Sequence[float]) -> tuple[float, float]:
    """Return what no task and what each task costs, by the smallest and the largest size."""
    slope = (values[-1] - values[0]) / (sizes[-1] - sizes[0])
    return values[0] - slope * sizes[0], slope


def tabulate_costs(costs: dict[int, Cost]) -> tuple[Sequence[str], list]:
    """Return the table of what was measured."""
    rows = [
        (
            "sk_mtl" if n == min(costs) else "",
            f"{n:,}",
            f"{1e6 * cost.train:.1f}",
            f"{1e6 * cost.train_elapsed:.1f}",
            f"{1e6 * cost.predict:.1f}",
            f"{cost.n_weights:,}",
            f"{cost.peak / 1e6:,.0f}",
            f"{cost.predicted:,}",
        )
        for n, cost in costs.items()
    ]
    header = (
        "",
        "tasks",
        "CPU µs a row, epoch",
        "elapsed µs a row, epoch",
        "CPU µs a row, `predict_proba`",
        "weights",
        "peak MB beyond X and Y, first fit",
        "bytes a row, `predict_proba`",
    )
    return header, rows


def tabulate_lines(costs: dict[int, Cost]) -> tuple[Sequence[str], list]:
    """Return the table of the lines through what was measured."""
    lines = []
    quantities = {
        "CPU µs a row, epoch": [1e6 * cost.train for cost in costs.values()],
        "CPU µs a row, `predict_proba`": [1e6 * cost.predict for cost in costs.values()],
        "MB, first fit": [cost.peak / 1e6 for cost in costs.values()],
    }
    sizes = list(costs)
    for name, values in quantities.items():
        start, slope = draw_line(sizes, values)
        between = values[1] / (start + slope * sizes[1])
        planned = start + slope * PLANNED
        lines.append(
            (f"sk_mtl, {name}", f"{start:.3g}", f"{slope:.3g}", f"{between:.2f}", f"{planned:,.0f}")
        )
    header = (
        "line",
        "without tasks",
        "for each task",
        f"{sizes[1]:,} tasks ÷ the line",
        f"{PLANNED:,} tasks, drawn out",
    )
    return header, lines


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    flag = f"measure {PLANNED:,} tasks, too: more than four minutes, and some GB"
    options: Any = parse_options(__doc__, argv, repeats=3, planned=flag)
    works, epochs = {n: make_work(n) for n in SIZES}, EPOCHS
    if options.quick:
        small = {"n_rows": 200, "n_features": 10, "hidden": (8,), "batch_size": 100}
        works, epochs = {n: replace(make_work(n), **small) for n in (2, 4, 8)}, 1
    costs = {
        n: in_fresh_process(measure, work, epochs, options.repeats, quick=options.quick)
        for n, work in works.items()
    }
    lines = tabulate_lines(costs)
    if options.planned:
        costs[PLANNED] = in_fresh_process(measure, make_work(PLANNED), 2, 1)
    report(__file__, options, [tabulate_costs(costs), lines])


if __name__ == "__main__":
    main()
