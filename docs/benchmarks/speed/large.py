"""How near to the machine's matrix-product rate does a large network train?

20,000 rows of 1,024 features, trunk 1024-512, 12 binary tasks with 17 % of the cells missing, batch
512, Adam. Steady epochs, measured as in epoch.py; beside them numpy's float32 products of exactly
the shapes that occur, all of an epoch's and nothing else.

Usage: python docs/benchmarks/speed/large.py [--repeats 5] [--against FOLDER]
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from _networks import (
    MatrixProducts,
    Work,
    keras_fit,
    keras_wide_fit,
    sk_mtl_epoch,
    torch_wide_fit,
)
from _timing import (
    epoch_seconds,
    has_torch,
    measure_in_turn,
    milliseconds,
    n_cores,
    open_versions,
    parse_options,
    report,
    times,
)

WORK = Work(20_000, 1_024, (1024, 512), 512, n_classes=(2,) * 12, labelled=(0.83,) * 12)
EPOCHS = 4
NUMPY = "numpy's matrix products alone"


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=5, has_versions=True)
    work, epochs = WORK, EPOCHS
    if options.quick:
        tasks = {"n_classes": (2,) * 2, "labelled": (0.83,) * 2}
        work, epochs = replace(WORK, n_rows=300, n_features=32, hidden=(8,), **tasks), 1
    X, Y = work.make_table()
    fits = {
        "Keras `fit`, an output per task": keras_fit(work, X, Y),
        "Keras `fit`, one wide output, a masked loss of one's own": keras_wide_fit(work, X, Y),
    }
    if has_torch():
        fits["PyTorch, one wide output"] = torch_wide_fit(work, X, Y, n_cores())
    products = MatrixProducts(work)
    with ExitStack() as stack:
        contenders = {
            name: partial(interpreter.call, sk_mtl_epoch, work, epochs, {})
            for name, interpreter in open_versions(options, stack).items()
        }
        contenders |= {name: partial(epoch_seconds, fit, epochs) for name, fit in fits.items()}
        contenders[NUMPY] = products.seconds
        seconds = measure_in_turn(contenders, options)
    rows = []
    for who, values in seconds.items():
        rate = f"{products.rate(np.median(values)):.0f}"
        against_us = times(values, seconds["sk_mtl"])
        of_numpy = "" if who == NUMPY else times(seconds[NUMPY], values)
        asked = "≥ 0.9" if who == "sk_mtl" else ""
        rows.append((who, milliseconds(values), rate, of_numpy, asked, against_us))
    header = ("contender", "ms an epoch", "GFLOP/s", "rate ÷ numpy's", "asked", "time ÷ sk_mtl's")
    count = f"The matrix products of an epoch are {products.operations / 1e9:.4g} GFLOP."
    report(__file__, options, [(header, rows), count])


if __name__ == "__main__":
    main()
