"""How long does a steady epoch take, once everything is built and compiled?

Three tasks of 2, 2 and 5 classes, the third labelled for 12 % of the rows; trunk and heads of 32;
Adam. A steady epoch is the difference of a fit of one epoch and a longer one, divided by the
epochs between; so for every contender, since MLPClassifier has no callbacks. Each version of sk_mtl
has a process of its own.

Usage: python docs/benchmarks/speed/epoch.py [--repeats 7] [--against FOLDER]
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from _networks import MatrixProducts, Work, keras_fit, mlp_fit, sk_mtl_epoch, torch_fit
from _timing import (
    Interpreter,
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

WORKS = {
    "10,000 × 50, trunk 128-64, batch 256": Work(10_000, 50, (128, 64), 256, head=(32,)),
    "2,000 × 50, trunk 64-32, batch 64": Work(2_000, 50, (64, 32), 64, head=(32,)),
}
# Enough that the difference is some tenths of a second, of the fastest too.
EPOCHS = {10_000: 12, 2_000: 40}
DROPOUT = 0.2
# The estimator's own defaults.
DEFAULT_DROPOUT = 0.4
AVERAGES = {"ema_momentum": "auto"}

ASKED = {
    (10_000, 0, "Keras `fit`"): "≥ 5",
    (10_000, 0, "PyTorch"): "≥ 3",
    (10_000, 0, "PyTorch, fused Adam"): "≥ 3.2",
    (10_000, 0, "MLPClassifier"): "≥ 4",
    (10_000, DROPOUT, "Keras `fit`"): "≥ 5",
    (10_000, DROPOUT, "PyTorch"): "≥ 3",
    (10_000, DROPOUT, "PyTorch, fused Adam"): "≥ 3",
    (2_000, 0, "Keras `fit`"): "≥ 10",
    (2_000, 0, "MLPClassifier"): "≥ 3",
    (2_000, DROPOUT, "Keras `fit`"): "≥ 10",
}


def contend(
    work: Work, epochs: int, threads: Sequence[int], versions: dict[str, Interpreter]
) -> dict[str, Callable[[], float]]:
    """Return the contenders for a work, each of which measures its own steady epoch."""
    ours = contend_ours(work, epochs, versions)
    X, Y = work.make_table()
    fits = {
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
    return ours | contenders | {"numpy's matrix products alone": products.seconds}


def contend_ours(
    work: Work, epochs: int, versions: dict[str, Interpreter], **settings: Any
) -> dict[str, Callable[[], float]]:
    """Return the versions of sk_mtl as contenders."""
    return {
        name: partial(interpreter.call, sk_mtl_epoch, work, epochs, settings)
        for name, interpreter in versions.items()
    }


def tabulate(
    name: str,
    work: Work,
    epochs: int,
    threads: Sequence[int],
    versions: dict[str, Interpreter],
    options: Any,
) -> list[Sequence[str]]:
    """Measure a work with and without dropout, and return the rows of the table."""
    with_dropout = f"the same with dropout {DROPOUT}"
    with_averages = f"the same with dropout {DEFAULT_DROPOUT} and averages"
    works = {name: work, with_dropout: replace(work, dropout=DROPOUT)}
    contenders: dict[tuple[str, str], Callable[[], float]] = {}
    for title, its_work in works.items():
        if its_work.dropout and options.quick:
            of_work = contend_ours(its_work, epochs, versions)
        else:
            of_work = contend(its_work, epochs, threads, versions)
        contenders |= {(title, who): call for who, call in of_work.items()}
    like_default = replace(work, dropout=DEFAULT_DROPOUT)
    of_defaults = contend_ours(like_default, epochs, versions, **AVERAGES)
    contenders |= {(with_averages, who): call for who, call in of_defaults.items()}
    seconds = measure_in_turn(contenders, options)
    rows: list[Sequence[str]] = []
    for title in (*works, with_averages):
        by_name = {who: values for (its, who), values in seconds.items() if its == title}
        for who, values in by_name.items():
            asked = ""
            if title in works and is_better(who, by_name):
                asked = ASKED.get((work.n_rows, works[title].dropout, kind_of(who)), "")
            ratio = times(values, by_name["sk_mtl"])
            rows.append((title, who, milliseconds(values), ratio, asked))
        if title != name:
            what, limit = title.removeprefix("the same with "), "≤ 2" if title in works else "≤ 1.2"
            for who in versions:
                slower = times(seconds[title, who], seconds[name, who])
                asked = limit if who == "sk_mtl" else ""
                rows.append((title, f"{who} with {what} ÷ without", "", slower, asked))
    return rows


def kind_of(who: str) -> str:
    """Return the name of a contender without what follows the last comma, such as threads."""
    return who.rpartition(", ")[0] or who


def is_better(who: str, seconds: dict[str, Any]) -> bool:
    """Return whether a contender is the fastest of its kind, such as by its number of threads."""
    rivals = [values for name, values in seconds.items() if kind_of(name) == kind_of(who)]
    return np.median(seconds[who]) == min(np.median(values) for values in rivals)


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=7, has_versions=True)
    rows: list[Sequence[str]] = []
    with ExitStack() as stack:
        versions = open_versions(options, stack)
        for name, work in list(WORKS.items())[-1 if options.quick else 0 :]:
            epochs, threads = EPOCHS[work.n_rows], sorted({1, n_cores()})
            if options.quick:
                work, epochs, threads = replace(work, n_rows=150, hidden=(8,), head=()), 1, [1]
            rows += tabulate(name, work, epochs, threads, versions, options)
    header = ("work", "contender", "ms an epoch", "time ÷ sk_mtl's", "asked")
    report(__file__, options, [(header, rows)])


if __name__ == "__main__":
    main()
