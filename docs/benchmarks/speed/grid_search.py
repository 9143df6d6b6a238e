"""How long does a grid search take? 12 candidates × 5 folds and the refit, everything counted.

2,000 rows of 50 features, three tasks of 2, 2 and 5 classes, the third labelled for 12 % of the
rows; batch 64, 20 epochs, Adam; one process. The grid is 2 trunks × 3 learning rates × 2 rates of
dropout; for MLPClassifier, which has no dropout, 2 values of alpha. scikeras searches for one task
only, the first: a model of one output is what its KerasClassifier takes as it stands. Every search
begins in a fresh process with its libraries imported, so that building and tracing count; a second
one in the same process shows what is left without them.

Usage: python docs/benchmarks/speed/grid_search.py [--repeats 3] [--against FOLDER]
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from _networks import Work, import_sk_mtl, labelled_parts, make_classifier, make_mlp
from _timing import clock, in_fresh_process, milliseconds, parse_options, report, times

WORK = Work(2_000, 50, (64, 32), 64)
EPOCHS = 20
FOLDS = 5
TRUNKS = [(64, 32), (128, 64)]
RATES = [3e-4, 1e-3, 3e-3]
DROPOUT = [0.0, 0.2]
N_CANDIDATES = len(TRUNKS) * len(RATES) * len(DROPOUT)

GRID = {
    "hidden_layer_sizes": TRUNKS,
    "optimizer__learning_rate": RATES,
    "dropout": DROPOUT,
}


def packed_search(work: Work, epochs: int, n_candidates: int, folds: int) -> Callable[[], object]:
    """Return the search that trains the networks of all candidates and folds together."""
    from sk_mtl.model_selection import MultiTaskSearchCV

    return sk_mtl_search(MultiTaskSearchCV, work, epochs, n_candidates, folds)


def plain_search(work: Work, epochs: int, n_candidates: int, folds: int) -> Callable[[], object]:
    """Return scikit-learn's search over the same estimator, which fits one after another."""
    from sklearn.model_selection import GridSearchCV

    return sk_mtl_search(GridSearchCV, work, epochs, n_candidates, folds)


def sk_mtl_search(
    search: Any, work: Work, epochs: int, n_candidates: int, folds: int
) -> Callable[[], object]:
    """Return a search with MultiTaskClassifier, over all tasks at once."""
    from sklearn.model_selection import KFold

    import_sk_mtl()
    X, Y = work.make_table()
    classifier, candidates = make_classifier(work, epochs), pick(GRID, n_candidates)
    return lambda: search(classifier, candidates, cv=KFold(folds)).fit(X, Y)


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


PACKED = "sk_mtl, MultiTaskSearchCV"
PLAIN = "sk_mtl, GridSearchCV"
SCIKERAS = "scikeras, one task"
MLP = "MLPClassifier, a search per task"
SEARCHES = {PACKED: packed_search, SCIKERAS: scikeras_search, MLP: mlp_search}
# Of the times of the first search: divided by MultiTaskSearchCV's, and by GridSearchCV's.
ASKED = {PLAIN: ("≥ 3", ""), SCIKERAS: ("≥ 25", "≥ 12"), MLP: ("≥ 6", "")}


def time_searches(
    who: str, work: Work, epochs: int, n_candidates: int, folds: int
) -> tuple[float, float]:
    """Seconds of the first search in this process, and of a second one."""
    search = SEARCHES.get(who, plain_search)(work, epochs, n_candidates, folds)
    return clock(search), clock(search)


def tabulate(title: str, seconds: dict[str, np.ndarray], n_fits: int, asked: Any) -> Any:
    """Return the table of the first searches, or of the second ones."""
    rows = []
    for who, values in seconds.items():
        per_fit = milliseconds(values / n_fits)
        ratios = [times(values, seconds[base]) for base in (PACKED, PLAIN)]
        limits = asked.get(who, ("", ""))
        row = (who, f"{np.median(values):.1f}", per_fit, ratios[0], limits[0], ratios[1], limits[1])
        rows.append(row)
    per_fit = f"ms a fit ({n_fits} fits)"
    ratio = "time ÷ {}'s".format
    columns = (ratio("MultiTaskSearchCV"), "asked", ratio("GridSearchCV"), "asked")
    return (title, "s", per_fit, *columns), rows


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(
        __doc__,
        argv,
        repeats=3,
        has_versions=True,
        all_candidates="let scikeras search all, too: some minutes more",
    )
    work, epochs, folds, n_candidates = WORK, EPOCHS, FOLDS, N_CANDIDATES
    scikeras_candidates = N_CANDIDATES if options.all_candidates else 2
    if options.quick:
        work, epochs, folds = replace(work, n_rows=600), 1, 2
        n_candidates = scikeras_candidates = 1
    n_fits = folds * N_CANDIDATES + 1
    folders = {f"{name}, GridSearchCV": folder for name, folder in options.versions.items()}
    measured: dict[str, list[Any]] = {who: [] for who in (PACKED, *folders, SCIKERAS, MLP)}
    for _ in range(options.repeats):
        for who, values in measured.items():
            count = scikeras_candidates if who == SCIKERAS else n_candidates
            arguments = (who, work, epochs, count, folds)
            where = {"folder": folders.get(who), "quick": options.quick}
            taken = in_fresh_process(time_searches, *arguments, **where)
            values.append(np.array(taken) * n_fits / (folds * count + 1))
    first, second = (
        {who: np.array(values)[:, k] for who, values in measured.items()} for k in (0, 1)
    )
    parts: list[Any] = [
        tabulate("the first search of a process", first, n_fits, ASKED),
        tabulate("the second search of a process", second, n_fits, {}),
    ]
    if scikeras_candidates < n_candidates:
        parts.append(
            f"scikeras searched {scikeras_candidates} of the candidates, and its time was "
            f"multiplied by {n_fits}/{folds * scikeras_candidates + 1}, the fits of the whole by "
            "those made; `--all-candidates` lets it search all."
        )
    report(__file__, options, parts)


if __name__ == "__main__":
    main()
