"""How long does a grid search take? 12 candidates × 5 folds and the refit, everything counted.

2,000 rows of 50 features, three tasks of 2, 2 and 5 classes, the third labelled for 12 % of the
rows; batch 64, 20 epochs, Adam; one process. The grid is 2 trunks × 3 learning rates × 2 rates of
dropout; for MLPClassifier, which has no dropout, 2 values of alpha. scikeras searches for one task
only, the first: a model of one output is what its KerasClassifier takes as it stands. Every search
begins in a fresh process with its libraries imported, so that building and tracing count.

Usage: python docs/benchmarks/speed/grid_search.py [--repeats 3] [--all-candidates]
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from _networks import Work, labelled_parts, make_classifier, make_mlp
from _timing import clock, in_fresh_process, milliseconds, parse_options, report, times

WORK = Work(2_000, 50, (64, 32), 64)
EPOCHS = 20
FOLDS = 5
TRUNKS = [(64, 32), (128, 64)]
RATES = [3e-4, 1e-3, 3e-3]
DROPOUT = [0.0, 0.2]
N_CANDIDATES = len(TRUNKS) * len(RATES) * len(DROPOUT)


def sk_mtl_search(work: Work, epochs: int, n_candidates: int, folds: int) -> Callable[[], object]:
    """Return the search with MultiTaskClassifier, over all tasks at once."""
    from sklearn.model_selection import GridSearchCV

    X, Y = work.make_table()
    grid = {
        "hidden_layer_sizes": TRUNKS,
        "optimizer__learning_rate": RATES,
        "dropout": DROPOUT,
    }
    classifier = make_classifier(work, epochs)
    return lambda: GridSearchCV(classifier, pick(grid, n_candidates), cv=folds).fit(X, Y)


def mlp_search(work: Work, epochs: int, n_candidates: int, folds: int) -> Callable[[], object]:
    """Return the three searches with MLPClassifier, each on the labelled rows of its task."""
    from sklearn.model_selection import GridSearchCV

    parts = labelled_parts(*work.make_table())
    grid = {"hidden_layer_sizes": TRUNKS, "learning_rate_init": RATES, "alpha": [0.0, 1e-3]}

    def run() -> None:
        for x, y in parts:
            classifier = make_mlp(work, len(y) * (folds - 1) // folds, epochs)
            GridSearchCV(classifier, pick(grid, n_candidates), cv=folds).fit(x, y)

    return run


def scikeras_search(work: Work, epochs: int, n_candidates: int, folds: int) -> Callable[[], object]:
    """Return the search with scikeras, for the first task."""
    import keras
    from scikeras.wrappers import KerasClassifier
    from sklearn.model_selection import GridSearchCV

    def make_model(hidden: Sequence[int], dropout: float) -> keras.Model:
        model = keras.Sequential([keras.Input((work.n_features,))])
        for width in hidden:
            model.add(keras.layers.Dense(width, activation="relu"))
            if dropout:
                model.add(keras.layers.Dropout(dropout))
        model.add(keras.layers.Dense(1, activation="sigmoid"))
        return model

    x, y = labelled_parts(*work.make_table())[0]
    classifier = KerasClassifier(
        make_model,
        loss="binary_crossentropy",
        optimizer="adam",
        model__hidden=TRUNKS[0],
        model__dropout=0.0,
        epochs=epochs,
        batch_size=work.batch_size,
        verbose=0,
    )
    grid = {
        "model__hidden": TRUNKS,
        "optimizer__learning_rate": RATES,
        "model__dropout": DROPOUT,
    }
    return lambda: GridSearchCV(classifier, pick(grid, n_candidates), cv=folds).fit(x, y)


def pick(grid: dict[str, list[Any]], n_candidates: int) -> list[dict[str, list[Any]]]:
    """Return candidates of a grid at equal distances, from the first to the last."""
    from sklearn.model_selection import ParameterGrid

    candidates = list(ParameterGrid(grid))
    numbers = np.linspace(0, len(candidates) - 1, n_candidates).round().astype(int)
    return [{name: [value] for name, value in candidates[n].items()} for n in numbers]


SEARCHES = {
    "sk_mtl": sk_mtl_search,
    "scikeras, one task": scikeras_search,
    "MLPClassifier, a search per task": mlp_search,
}
ASKED = {"scikeras, one task": "≥ 10", "MLPClassifier, a search per task": "≥ 2"}


def time_search(who: str, work: Work, epochs: int, n_candidates: int, folds: int) -> float:
    """Seconds of a search in this process."""
    return clock(SEARCHES[who](work, epochs, n_candidates, folds))


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(
        __doc__, argv, repeats=3, all_candidates="let scikeras search all, too: some minutes more"
    )
    work, epochs, folds, n_candidates = WORK, EPOCHS, FOLDS, N_CANDIDATES
    scikeras_candidates = N_CANDIDATES if options.all_candidates else 2
    if options.quick:
        work, epochs, folds = replace(work, n_rows=600), 1, 2
        n_candidates = scikeras_candidates = 1
    n_fits = folds * N_CANDIDATES + 1
    seconds: dict[str, list[float]] = {who: [] for who in SEARCHES}
    for _ in range(options.repeats):
        for who, values in seconds.items():
            count = scikeras_candidates if who.startswith("scikeras") else n_candidates
            arguments = (who, work, epochs, count, folds)
            taken = in_fresh_process(time_search, *arguments, quick=options.quick)
            values.append(taken * n_fits / (folds * count + 1))
    measured = {who: np.array(values) for who, values in seconds.items()}
    rows = [
        (
            who,
            f"{np.median(values):.1f}",
            milliseconds(values / n_fits),
            times(values, measured["sk_mtl"]),
            ASKED.get(who, ""),
        )
        for who, values in measured.items()
    ]
    header = ("contender", "s", f"ms a fit ({n_fits} fits)", "time ÷ sk_mtl's", "asked")
    parts: list[Any] = [(header, rows)]
    if scikeras_candidates < n_candidates:
        parts.append(
            f"scikeras searched {scikeras_candidates} of the candidates, and its time was "
            f"multiplied by {n_fits}/{folds * scikeras_candidates + 1}, the fits of the whole by "
            "those made; `--all-candidates` lets it search all."
        )
    report(__file__, options, parts)


if __name__ == "__main__":
    main()
