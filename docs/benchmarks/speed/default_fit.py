"""How long does a fit take as it comes? The estimator and MLPClassifier, with their defaults.

Tables of epoch.py's kind: 50 features, three tasks of 2, 2 and 5 classes, the third labelled for
12 % of the rows. A default fit trains six networks, five folds and the last; beside it one training
that holds out a tenth of the rows, as MLPClassifier does, and the fit without bins, whose network
is that of 0.1.0. The first fit of a process, with its libraries imported, and further ones. Each
contender, and each version, has a process of its own.

Usage: python docs/benchmarks/speed/default_fit.py [--repeats 3] [--against FOLDER]
"""

from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _networks import Work, import_sk_mtl, labelled_parts
from _timing import (
    Interpreter,
    clock,
    measure_in_turn,
    milliseconds,
    parse_options,
    report,
    times,
)

HIDDEN = (256,)
# The estimators choose the size of a batch themselves.
WORKS = {f"{n:,} × 50": Work(n, 50, HIDDEN, batch_size=0) for n in (2_000, 10_000)}
WARM_FITS = 2
ONE_TRAINING = "one training"
NO_BINS = "numeric_embedding=None"
MLP = "MLPClassifier, three of them"

# Of the time divided by the default fit's.
ASKED = {2_000: {MLP: "≥ 0.67"}, 10_000: {MLP: "≥ 0.33"}}
ASKED_OF_OTHER_VERSIONS = "≥ 4"


class Fit(NamedTuple):
    """What a fit took."""

    seconds: float
    epochs: tuple[int, ...]  # by kind of network
    n_networks: tuple[int, ...]  # of each kind


def fit_sk_mtl(work: Work, seed: int, settings: dict[str, Any]) -> Fit:
    """Fit MultiTaskClassifier in this process."""
    import_sk_mtl()
    from sk_mtl import MultiTaskClassifier

    X, Y = work.make_table()
    classifier = MultiTaskClassifier(random_state=seed, **settings)
    seconds = clock(classifier.fit, X, Y)
    if "early_stopping" in settings:
        return Fit(seconds, (classifier.n_iter_,), (1,))
    return Fit(seconds, (classifier.n_iter_, classifier.best_iter_), (5, 1))


def fit_mlps(work: Work, seed: int, settings: dict[str, Any]) -> Fit:
    """Fit an MLPClassifier per task in this process, on the rows with its label."""
    from sklearn.neural_network import MLPClassifier

    parts = labelled_parts(*work.make_table())
    mlps = [MLPClassifier(HIDDEN, early_stopping=True, random_state=seed) for _ in parts]
    seconds = clock(lambda: [mlp.fit(x, y) for mlp, (x, y) in zip(mlps, parts, strict=True)])
    return Fit(seconds, tuple(mlp.n_iter_ for mlp in mlps), (1,) * len(mlps))


class Contender:
    """A way to fit, in a process of its own."""

    def __init__(self, fit: Callable[..., Fit], work: Work, settings: dict[str, Any], seed: int):
        self.fit = fit
        self.work = work
        self.settings = settings
        self.seed = seed
        self.fits: list[Fit] = []

    def seconds(self, interpreter: Interpreter) -> float:
        """Fit once more with another seed, note the fit, and return the seconds that it took."""
        seed = self.seed + len(self.fits)
        self.fits.append(interpreter.call(self.fit, self.work, seed, self.settings))
        return self.fits[-1].seconds


def measure(work: Work, settings: dict[str, Any], options: Any) -> dict[str, list[list[Fit]]]:
    """Return the fits of each contender, by process."""
    one = settings | {"early_stopping": True}
    kinds: dict[str, tuple[Path | None, Callable[..., Fit], dict[str, Any]]] = {}
    for name, folder in options.versions.items():
        kinds[name] = folder, fit_sk_mtl, settings
        kinds[f"{name}, {ONE_TRAINING}"] = folder, fit_sk_mtl, one
        if folder is None:  # earlier versions have no bins as they come
            kinds[f"{name}, {NO_BINS}"] = folder, fit_sk_mtl, settings | {"numeric_embedding": None}
    kinds[MLP] = None, fit_mlps, {}
    fits: dict[str, list[list[Fit]]] = {who: [] for who in kinds}
    # The warm-up is the first fit of each process; a quick run has none.
    turns = Namespace(quick=options.quick, repeats=WARM_FITS)
    for repeat in range(options.repeats):
        with ExitStack() as stack:
            contenders = {}
            for who, (folder, fit, its_settings) in kinds.items():
                interpreter = stack.enter_context(Interpreter(folder, quick=options.quick))
                contender = Contender(fit, work, its_settings, seed=10 * repeat)
                contenders[who] = partial(contender.seconds, interpreter)
                fits[who].append(contender.fits)
            measure_in_turn(contenders, turns)
    return fits


def tabulate_warm(works: dict[str, Work], fits: dict[str, Any], options: Any) -> Any:
    """Return the table of all fits but the first of each process."""
    of_versions = dict.fromkeys([*options.versions][1:], ASKED_OF_OTHER_VERSIONS)
    rows = []
    for title, work in works.items():
        asked = ASKED.get(work.n_rows, {}) | of_versions
        warm = {who: [made for one in its for made in one[1:]] for who, its in fits[title].items()}
        seconds = {who: np.array([made.seconds for made in its]) for who, its in warm.items()}
        for who, its in warm.items():
            steps = np.array([np.dot(made.epochs, made.n_networks) for made in its])
            per_epoch = milliseconds(seconds[who] / steps)
            ratio = times(seconds[who], seconds["sk_mtl"])
            taken = f"{np.median(seconds[who]):.2f}"
            limit = asked.get(who, "")
            rows.append((title, who, taken, show_epochs(its), per_epoch, ratio, limit))
    per_epoch = "ms ÷ epochs of all networks"
    columns = ("s", "networks × epochs", per_epoch, "time ÷ sk_mtl's", "asked")
    return ("further fits of a process", "contender", *columns), rows


def show_epochs(fits: list[Fit]) -> str:
    """Return the medians of epochs, such as "5 × 21 + 12"."""
    epochs = np.median([made.epochs for made in fits], axis=0)
    pairs = zip(fits[0].n_networks, epochs, strict=True)
    return " + ".join(f"{n} × {epoch:.0f}" if n > 1 else f"{epoch:.0f}" for n, epoch in pairs)


def tabulate_first(works: dict[str, Work], fits: dict[str, Any]) -> Any:
    """Return the table of the first fit of each process."""
    rows = []
    for title in works:
        first = {who: np.array([one[0].seconds for one in its]) for who, its in fits[title].items()}
        rows += [
            (title, who, f"{np.median(values):.2f}", times(values, first["sk_mtl"]))
            for who, values in first.items()
        ]
    return ("first fit of a process", "contender", "s", "time ÷ sk_mtl's"), rows


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=3, has_versions=True)
    works, settings = WORKS, {}
    if options.quick:
        title, work = next(iter(WORKS.items()))
        works = {title: replace(work, n_rows=150)}
        settings = {"epochs": 11, "hidden_layer_sizes": (8,)}  # the fewest that folds need
    fits = {title: measure(work, settings, options) for title, work in works.items()}
    tables = [tabulate_warm(works, fits, options), tabulate_first(works, fits)]
    report(__file__, options, tables)


if __name__ == "__main__":
    main()
