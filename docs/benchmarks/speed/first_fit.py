"""How long does the first fit in a fresh process take? Build, trace, 20 epochs; imports apart.

The tables and the networks of epoch.py. Each contender in a process of its own per repeat.

Usage: python docs/benchmarks/speed/first_fit.py [--repeats 5] [--against FOLDER]
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from _networks import Work, keras_fit, mlp_fit, sk_mtl_fit, torch_fit
from _timing import (
    clock,
    has_torch,
    in_fresh_process,
    milliseconds,
    parse_options,
    report,
    times,
)
from epoch import WORKS

EPOCHS = 20


def time_first_fit(who: str, work: Work, epochs: int) -> float:
    """Seconds of the first fit in this process."""
    X, Y = work.make_table()
    match who:
        case _ if who.startswith("sk_mtl"):
            fit = sk_mtl_fit(work, X, Y)
        case "Keras `fit`":
            fit = keras_fit(work, X, Y)
        case "Keras `fit` with steps_per_execution":
            fit = keras_fit(work, X, Y, work.n_steps)
        case "PyTorch, 1 thread(s)":
            fit = torch_fit(work, X, Y, 1)
        case _:
            fit = mlp_fit(work, X, Y)
    return clock(fit, epochs)


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=5, has_versions=True)
    works, epochs, ours = WORKS, EPOCHS, options.versions
    contenders = [*ours, "Keras `fit`", "Keras `fit` with steps_per_execution"]
    contenders += ["PyTorch, 1 thread(s)"] * has_torch() + ["MLPClassifier, three of them"]
    if options.quick:
        title, work = list(works.items())[-1]
        small = replace(work, n_rows=150, hidden=(8,), head=())
        works, epochs, contenders = {title: small}, 1, list(ours)
    seconds: dict[tuple[str, str], list[float]] = {
        (title, who): [] for title in works for who in contenders
    }
    for _ in range(options.repeats):
        for (title, who), values in seconds.items():
            where = {"folder": ours.get(who), "quick": options.quick}
            values.append(in_fresh_process(time_first_fit, who, works[title], epochs, **where))
    asked = {"Keras `fit`": "≥ 1"} | dict.fromkeys([*ours][1:], "≥ 2")
    rows = []
    for (title, who), values in seconds.items():
        ratio = times(np.array(values), np.array(seconds[title, "sk_mtl"]))
        rows.append((title, who, milliseconds(np.array(values)), ratio, asked.get(who, "")))
    header = ("work", "contender", "ms", "time ÷ sk_mtl's", "asked")
    report(__file__, options, [(header, rows)])


if __name__ == "__main__":
    main()
