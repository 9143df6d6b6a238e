"""How long does a steady epoch take, once everything is built and compiled?

Three tasks of 2, 2 and 5 classes, the third labelled for 12 % of the rows; trunk and heads of 32;
Adam. A steady epoch is the difference of a fit of one epoch and a longer one, divided by the
epochs between; so for every contender, since MLPClassifier has no callbacks.

Usage: python docs/benchmarks/speed/epoch.py [--repeats 7]
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from _networks import MatrixProducts, Work, keras_fit, mlp_fit, sk_mtl_steady_fit, torch_fit
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

WORKS = {
    "10,000 × 50, trunk 128-64, batch 256": Work(10_000, 50, (128, 64), 256, head=(32,)),
    "2,000 × 50, trunk 64-32, batch 64": Work(2_000, 50, (64, 32), 64, head=(32,)),
}
# Enough that the difference is some tenths of a second, of the fastest too.
EPOCHS = {10_000: 12, 2_000: 40}
DROPOUT = 0.2

ASKED = {
    (10_000, "Keras `fit`"): "≥ 5",
    (10_000, "PyTorch"): "≥ 3",
    (10_000, "MLPClassifier"): "≥ 4",
    (2_000, "Keras `fit`"): "≥ 10",
    (2_000, "MLPClassifier"): "≥ 3",
}


def contend(work: Work, epochs: int, threads: Sequence[int]) -> dict[str, Callable[[], float]]:
    """Return the contenders for a work, each of which measures its own steady epoch."""
    X, Y = work.make_table()
    fits = {
        "sk_mtl": sk_mtl_steady_fit(work, X, Y),
        "Keras `fit`": keras_fit(work, X, Y),
        "Keras `fit` with steps_per_execution": keras_fit(work, X, Y, work.n_steps),
    }
    if has_torch():
        for n in threads:
            fits[f"PyTorch, {n} thread(s)"] = torch_fit(work, X, Y, n)
            fits[f"PyTorch, fused Adam, {n} thread(s)"] = torch_fit(work, X, Y, n, fused=True)
    if not work.dropout:  # which MLPClassifier has not
        fits["MLPClassifier, three of them"] = mlp_fit(work, X, Y)
    contenders = {name: partial(epoch_seconds, fit, epochs) for name, fit in fits.items()}
    products = MatrixProducts(work)
    return contenders | {"numpy's matrix products alone": products.seconds}


def tabulate(
    name: str, work: Work, epochs: int, threads: Sequence[int], options: Any
) -> list[Sequence[str]]:
    """Measure a work with and without dropout, and return the rows of the table."""
    works = {name: work, f"the same with dropout {DROPOUT}": replace(work, dropout=DROPOUT)}
    contenders = {
        (title, who): call
        for title, work in works.items()
        for who, call in contend(work, epochs, threads).items()
        if who == "sk_mtl" or not (work.dropout and options.quick)
    }
    seconds = measure_in_turn(contenders, options)
    rows: list[Sequence[str]] = []
    for title in works:
        by_name = {who: values for (its, who), values in seconds.items() if its == title}
        ours = by_name["sk_mtl"]
        for who, values in by_name.items():
            asked = ASKED.get((work.n_rows, who.partition(", ")[0]), "")
            if who.startswith("PyTorch") and not is_better(who, by_name):
                asked = ""
            rows.append((title, who, milliseconds(values), times(values, ours), asked))
    with_dropout, without = (seconds[title, "sk_mtl"] for title in reversed(works))
    slower = times(with_dropout, without)
    return [*rows, (title, "sk_mtl with dropout ÷ without", "", slower, "≤ 2")]


def is_better(who: str, seconds: dict[str, Any]) -> bool:
    """Return whether this is PyTorch, with this Adam, at its better number of threads."""
    kind = who.rpartition(", ")[0]
    rivals = [values for name, values in seconds.items() if name.rpartition(", ")[0] == kind]
    return np.median(seconds[who]) == min(np.median(values) for values in rivals)


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=7)
    rows: list[Sequence[str]] = []
    for name, work in list(WORKS.items())[-1 if options.quick else 0 :]:
        epochs, threads = EPOCHS[work.n_rows], sorted({1, n_cores()})
        if options.quick:
            work, epochs, threads = replace(work, n_rows=150, hidden=(8,), head=()), 1, [1]
        rows += tabulate(name, work, epochs, threads, options)
    header = ("work", "contender", "ms an epoch", "time ÷ sk_mtl's", "asked")
    report(__file__, options, [(header, rows)])


if __name__ == "__main__":
    main()
