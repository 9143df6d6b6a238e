"""What do many tasks cost? 617 binary tasks beside 12, on the same trunk.

8,579 rows of 2,048 fingerprint bits (2 % set), 71 % of the cells of Y missing, trunk 1024-512, a
logit per task, Adam. Steady epochs, measured as in epoch.py.

Usage: python docs/benchmarks/speed/many_tasks.py [--repeats 5]
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from _networks import (
    MatrixProducts,
    Work,
    keras_fit,
    keras_wide_fit,
    sk_mtl_steady_fit,
    torch_wide_fit,
)
from _timing import (
    epoch_seconds,
    has_torch,
    measure_in_turn,
    milliseconds,
    n_cores,
    parse_options,
    report,
    times,
)

MANY, FEW = 617, 12
EPOCHS = 3
LABELLED = 0.29


def make_work(n_tasks: int) -> Work:
    """Return the network for a number of tasks."""
    return Work(
        8_579, 2_048, (1024, 512), 256, n_classes=(2,) * n_tasks, labelled=(LABELLED,) * n_tasks
    )


def make_bits(work: Work) -> np.ndarray:
    """Return fingerprints: float32, 2 % of the cells 1."""
    rng = np.random.default_rng(0)
    return (rng.random((work.n_rows, work.n_features)) < 0.02).astype(np.float32)


def make_holed_labels(work: Work) -> pd.DataFrame:
    """Return labels, most of them missing, at least one of each class per task."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, (work.n_rows, len(work.n_classes))).astype(float)
    y[rng.random(y.shape) >= LABELLED] = np.nan
    y[:2] = [[0.0], [1.0]]
    return pd.DataFrame(y, columns=[f"task{t}" for t in range(y.shape[1])])


def contend(works: dict[int, Work], epochs: int) -> dict[Any, Callable[[], float]]:
    """Return the contenders by name and number of tasks."""
    contenders: dict[Any, Callable[[], float]] = {}
    for n_tasks, work in works.items():
        X, Y = make_bits(work), make_holed_labels(work)
        fits = {
            "sk_mtl": sk_mtl_steady_fit(work, X, Y),
            "Keras `fit`, one wide output, a masked loss of one's own": keras_wide_fit(work, X, Y),
        }
        if has_torch():
            fits["PyTorch, one wide output"] = torch_wide_fit(work, X, Y, n_cores())
        if n_tasks < max(works):  # 617 outputs take Keras minutes to build
            fits["Keras `fit`, an output per task"] = keras_fit(work, X, Y)
        for name, fit in fits.items():
            contenders[name, n_tasks] = partial(epoch_seconds, fit, epochs)
        products = MatrixProducts(work)
        contenders["numpy's matrix products alone", n_tasks] = products.seconds
    return contenders


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=5)
    few, many, epochs = FEW, MANY, EPOCHS
    works = {n: make_work(n) for n in (few, many)}
    if options.quick:
        few, many, epochs = 2, 20, 1
        small = {"n_rows": 300, "n_features": 64, "hidden": (8,)}
        works = {n: replace(make_work(n), **small) for n in (few, many)}
    seconds = measure_in_turn(contend(works, epochs), options)
    ours = {n: seconds["sk_mtl", n] for n in works}
    rows: list[Sequence[str]] = []
    for who in dict.fromkeys(name for name, _ in seconds):
        row: list[str] = [who]
        for n in works:
            values = seconds.get((who, n))
            row += ["–", "–"] if values is None else [milliseconds(values), times(values, ours[n])]
        both = (who, many) in seconds
        row.append(times(seconds[who, many], seconds[who, few]) if both else "–")
        rows.append((*row, "≤ 1.3" if who == "sk_mtl" else ""))
    columns = [column for n in works for column in (f"{n} tasks, ms an epoch", "÷ sk_mtl's")]
    header = ("contender", *columns, f"{many} ÷ {few} tasks", "asked")
    operations = [MatrixProducts(works[n]).operations / 1e9 for n in (few, many)]
    share = (
        f"The matrix products of an epoch are {operations[0]:.3g} GFLOP for {few} tasks and "
        f"{operations[1]:.3g} for {many}, {operations[1] / operations[0]:.2f} times as many."
    )
    report(__file__, options, [(header, rows), share])


if __name__ == "__main__":
    main()
