"""Completing labels on generated tables, whose truth is known.

Six studies. "independent": labels that are independent given X, so that other labels say nothing.
"thin": labels that share what X does not tell; the last task has few labels. "pair": a label
that another one determines. "coverage": 90 % intervals of the frequency of a class, from a table
with holes; "bootstrap": the same, each drawn table by a network of its own. "time": seconds of an
epoch with and without known labels, in turn. A line of the results is one value. What is there is
not repeated.

Usage: python docs/benchmarks/quality/completing_generated.py RESULTS.csv
           [--studies independent thin pair coverage bootstrap time] [--seeds 0 1 2 3 4]
           [--tables 200]
       python docs/benchmarks/quality/completing_generated.py RESULTS.csv --show
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _per_task import PEERS, Part
from _records import as_markdown, make_parser
from _scores import score_part
from scipy import stats

KEYS = ["study", "setting", "seed"]
N_TRAIN, N_VALID, N_TEST = 3000, 1000, 5000
SHARES = (1.0, 0.3, 0.1, 0.03)

Line = dict[str, Any]


def main() -> None:
    """Run from the command line."""
    options = _parse_options()
    if options.show:
        show(pd.read_csv(options.results))
        return
    jobs: list[tuple[str, str, int]] = []
    for study in options.studies:
        of_tables = study in ("coverage", "bootstrap")
        seeds = range(options.tables) if of_tables else options.seeds
        jobs += [(study, setting, seed) for setting in SETTINGS[study] for seed in seeds]
    known = _known(options.results)
    for study, setting, seed in jobs:
        if (study, setting, seed) in known:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tasks without labels in a part
            lines = list(RUN[study](setting, seed))
        found = pd.DataFrame(lines).assign(study=study, setting=setting, seed=seed)
        found = found[[*KEYS, "method", "score", "value"]]
        found.to_csv(options.results, mode="a", index=False, header=not options.results.exists())
        print(study, setting, seed, flush=True)


# ------------------------------------------------------------------------------------------------
# Labels that are independent given X; and a task with few labels
# ------------------------------------------------------------------------------------------------


def run_independent(setting: str, seed: int) -> Iterator[Line]:
    """Compare networks where other labels say nothing beyond X.

    Each of the three tasks is a function of its own of the same ten features, with noise of its
    own.
    """
    rng = np.random.default_rng([1, seed])
    n = N_TRAIN + N_VALID + N_TEST
    X = rng.normal(size=(n, 10))
    parts = [np.tanh(X @ rng.normal(size=(10, 3))) @ rng.normal(size=3) for _ in range(3)]
    scores = np.column_stack(parts) + rng.normal(size=(n, 3))
    Y = pd.DataFrame((scores > np.median(scores, axis=0)).astype(float), columns=list("abc"))
    yield from _compare(X, Y, Y, seed, list(Y))


def run_thin(setting: str, seed: int) -> Iterator[Line]:
    """Compare methods on the last of six tasks, of which few labels are known.

    All tasks have a variable in common, of which X tells a third of the variance; each has noise
    of its own.
    """
    rng = np.random.default_rng([2, seed])
    n, share = N_TRAIN + N_VALID + N_TEST, float(setting.rstrip(" %")) / 100
    X = rng.normal(size=(n, 10))
    of_X = X @ rng.normal(size=10)
    common = np.sqrt(1 / 3) * of_X / of_X.std() + np.sqrt(2 / 3) * rng.normal(size=n)
    own = np.tanh(X @ rng.normal(size=(10, 6)) / 3)
    scores = 1.5 * common[:, None] + own + rng.normal(size=(n, 6))
    truth = pd.DataFrame(
        (scores > np.quantile(scores, 0.7, axis=0)).astype(float), columns=list("abcdef")
    )
    Y = truth.copy()
    Y.loc[rng.random(n) >= share, "f"] = np.nan
    yield from _compare(X, Y, truth, seed, ["f"], with_trees=True)


def _compare(
    X: np.ndarray,
    Y: pd.DataFrame,
    truth: pd.DataFrame,
    seed: int,
    tasks: list[str],
    *,
    with_trees: bool = False,
) -> Iterator[Line]:
    """Yield the scores of networks on the test rows, means over some tasks."""
    from sk_mtl import MultiTaskClassifier

    X = X.astype(np.float32)
    train, valid, test = np.split(np.arange(len(X)), [N_TRAIN, N_TRAIN + N_VALID])
    watched = {"validation_data": (X[valid], Y.iloc[valid])}
    plain = MultiTaskClassifier(random_state=seed).fit(X[train], Y.iloc[train], **watched)
    reading = MultiTaskClassifier(known_labels=True, random_state=seed)
    reading.fit(X[train], Y.iloc[train], **watched)
    given = truth.iloc[test]
    found = {
        "network": plain.predict_proba(X[test]),
        "known labels": reading.complete_proba(X[test], given, leave_one_out=True),
        "known labels, none given": reading.predict_proba(X[test]),
    }
    if with_trees:
        others = Y.drop(columns=tasks).to_numpy(np.float32)
        wide = np.hstack([X, others])
        for name, features in (("LightGBM", X), ("LightGBM, other labels", wide)):
            parts = []
            for rows in (train, valid):
                rows = rows[Y[tasks[0]].iloc[rows].notna()]
                parts.append(Part(features[rows], Y[tasks[0]].iloc[rows].to_numpy(int)))
            found[name] = {tasks[0]: PEERS["LightGBM"][1](*parts, 2, seed)(features[test])}
    for method, probabilities in found.items():
        columns = [np.asarray(probabilities[task]) for task in tasks]
        scores = score_part(given[tasks], columns, [np.array([0.0, 1.0])] * len(tasks))
        for score in ("auc", "log_loss"):
            yield {"method": method, "score": score, "value": round(scores[score], 6)}


def run_pair(setting: str, seed: int) -> Iterator[Line]:
    """Predict a label that is the opposite of another one, of which X tells nothing."""
    from sk_mtl import MultiTaskClassifier

    n_rows = int(setting)
    rng = np.random.default_rng([6, seed])
    X = rng.normal(size=(2 * n_rows, 50)).astype(np.float32)
    first = rng.integers(2, size=2 * n_rows)
    Y = np.column_stack([first, 1 - first, X[:, 0] > 0]).astype(float)
    model = MultiTaskClassifier(known_labels=True, random_state=seed).fit(X[:n_rows], Y[:n_rows])
    X, truth = X[n_rows:], Y[n_rows:]
    given = truth.copy()
    given[:, 1] = np.nan
    p = model.complete_proba(X, given)[1][np.arange(n_rows), truth[:, 1].astype(int)]
    (drawn,) = model.complete_samples(X, given, n=1, random_state=seed)
    found = {
        "probability of the true class": p.mean(),
        "wrong in complete": np.mean(model.complete(X, given)[:, 1] != truth[:, 1]),
        "wrong in complete_samples": np.mean(drawn[:, 1] != truth[:, 1]),
    }
    for score, value in found.items():
        yield {"method": "known labels", "score": score, "value": round(float(value), 6)}


# ------------------------------------------------------------------------------------------------
# Intervals of the frequency of a class
# ------------------------------------------------------------------------------------------------

N_ROWS, N_DRAWS, N_NETWORKS, LEVEL = 1000, 20, 10, 0.9
FREQUENCIES = np.array([0.3, 0.5, 0.4])  # of the second class, in the population
SAME_TABLES = "known labels, draws, on the tables below"
AT_RANDOM, BY_LABEL = "at random", "by another label"
NETWORK = {"hidden_layer_sizes": (32,), "epochs": 60, "early_stopping": False}


def run_coverage(setting: str, seed: int) -> Iterator[Line]:
    """Estimate the frequency of the first task's second class, with intervals, from a table."""
    from sk_mtl import MultiTaskClassifier

    X, complete = draw_population(N_ROWS, np.random.default_rng([3, seed]))
    Y = make_holes(complete, setting, np.random.default_rng([4, seed]))
    labels = Y["a"].dropna()
    yield from _interval("no holes", *_wald(complete["a"].to_numpy()))
    yield from _interval("complete cases", *_wald(labels.to_numpy()))
    for name, known_labels in (("known labels", True), ("network", False)):
        model = MultiTaskClassifier(known_labels=known_labels, random_state=seed, **NETWORK)
        model.fit(X, Y)
        filled = model.complete(X, Y)["a"].to_numpy()
        yield from _interval(f"{name}, filled once", *_wald(filled))
        tables = model.complete_samples(X, Y, n=N_DRAWS, random_state=seed)
        yield from _interval(f"{name}, draws", *pool([t["a"].to_numpy() for t in tables]))


def run_bootstrap(setting: str, seed: int) -> Iterator[Line]:
    """Draw each table by a network fitted to rows drawn with replacement, or by another seed."""
    from sk_mtl import MultiTaskClassifier

    X, complete = draw_population(N_ROWS, np.random.default_rng([3, seed]))
    Y = make_holes(complete, setting, np.random.default_rng([4, seed]))
    for name in ("each of another seed", "each of drawn rows"):
        columns = []
        for number in range(N_NETWORKS):
            rows = np.arange(N_ROWS)
            if name == "each of drawn rows":
                rows = np.random.default_rng([5, seed, number]).integers(N_ROWS, size=N_ROWS)
            fit_seed = N_NETWORKS * seed + number
            model = MultiTaskClassifier(known_labels=True, random_state=fit_seed, **NETWORK)
            model.fit(X[rows], Y.iloc[rows].reset_index(drop=True))
            (table,) = model.complete_samples(X, Y, n=1, random_state=fit_seed)
            columns.append(table["a"].to_numpy())
        yield from _interval(f"known labels, {N_NETWORKS} networks, {name}", *pool(columns))


def draw_population(n_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Draw rows: labels of three tasks that share what X does not tell."""
    X = rng.normal(size=(n_rows, 5))
    directions = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 1, 0, 1, 0]]) / np.sqrt(2)
    common = rng.normal(size=(n_rows, 1))
    # Each third of the variance: X, what the labels have in common, and noise.
    scores = (X @ directions.T + common + rng.normal(size=(n_rows, 3))) / np.sqrt(3)
    truth = (scores > stats.norm.ppf(1 - FREQUENCIES)).astype(float)
    return X.astype(np.float32), pd.DataFrame(truth, columns=list("abc"))


def make_holes(complete: pd.DataFrame, setting: str, rng: np.random.Generator) -> pd.DataFrame:
    """Return labels of which 30 % are missing: at random, or in `a` by the label of `b`."""
    rates = np.full(complete.shape, 0.3)
    if setting == BY_LABEL:
        rates[:, 0] = np.where(complete["b"] == 1, 0.5, 0.1)
        rates[:, 1] = 0  # the label that they depend on is known
    return complete.mask(rng.random(complete.shape) < rates)


def _wald(labels: np.ndarray) -> tuple[float, float]:
    """Return a frequency, and half the width of its interval."""
    p = float(labels.mean())
    return p, stats.norm.ppf((1 + LEVEL) / 2) * float(np.sqrt(p * (1 - p) / len(labels)))


def pool(tables: list[np.ndarray]) -> tuple[float, float]:
    """Return a frequency and half the width of its interval, by Rubin's rules."""
    n = len(tables)
    means = np.array([labels.mean() for labels in tables])
    within = float(np.mean(means * (1 - means) / [len(labels) for labels in tables]))
    between = (1 + 1 / n) * float(means.var(ddof=1))
    degrees = (n - 1) * (1 + within / max(between, 1e-12)) ** 2
    half = stats.t.ppf((1 + LEVEL) / 2, degrees) * np.sqrt(within + between)
    return float(means.mean()), float(half)


def _interval(method: str, estimate: float, half_width: float) -> Iterator[Line]:
    yield {"method": method, "score": "estimate", "value": round(estimate, 6)}
    yield {"method": method, "score": "half width", "value": round(half_width, 6)}


# ------------------------------------------------------------------------------------------------
# The time of an epoch
# ------------------------------------------------------------------------------------------------

SHAPES = {  # rows, features, tasks, hidden layers
    "2,000 x 50, 3 tasks, (256,)": (2_000, 50, 3, (256,)),
    "10,000 x 50, 12 tasks, (256,)": (10_000, 50, 12, (256,)),
    "6,000 x 2,048, 12 tasks, (256,)": (6_000, 2_048, 12, (256,)),
    "2,000 x 500, 617 tasks, (1024, 512)": (2_000, 500, 617, (1024, 512)),
}
N_EPOCHS = 8


def run_time(setting: str, seed: int) -> Iterator[Line]:
    """Yield the seconds of an epoch, with and without known labels: differences of fits."""
    from sk_mtl import MultiTaskClassifier

    n_rows, n_features, n_tasks, hidden = SHAPES[setting]
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    Y = rng.integers(0, 2, (n_rows, n_tasks)).astype(float)
    Y[rng.random(Y.shape) < 0.3] = np.nan
    settings = {"hidden_layer_sizes": hidden, "early_stopping": False}
    for known_labels in (False, True):
        seconds = {}
        for epochs in (1, 1, 1 + N_EPOCHS):  # the first compiles
            clf = MultiTaskClassifier(
                **settings, known_labels=known_labels, epochs=epochs, jit_compile=True
            )
            start = time.perf_counter()
            clf.set_params(random_state=seed).fit(X, Y)
            seconds[epochs] = time.perf_counter() - start
        of_epoch = (seconds[1 + N_EPOCHS] - seconds[1]) / N_EPOCHS
        yield {
            "method": "known labels" if known_labels else "network",
            "score": "seconds",
            "value": of_epoch,
        }


RUN = {
    "independent": run_independent,
    "thin": run_thin,
    "pair": run_pair,
    "coverage": run_coverage,
    "bootstrap": run_bootstrap,
    "time": run_time,
}
SETTINGS = {
    "independent": [""],
    "thin": [f"{share:.0%}".replace("%", " %") for share in SHARES],
    "pair": ["300", "1000", "3000", "10000"],
    "coverage": [AT_RANDOM, BY_LABEL],
    "bootstrap": [BY_LABEL],
    "time": list(SHAPES),
}


# ------------------------------------------------------------------------------------------------
# The tables of the page
# ------------------------------------------------------------------------------------------------


def show(results: pd.DataFrame) -> None:
    """Print the tables of the page."""
    results = results.fillna({"setting": ""})
    for study, tabulate in (
        ("independent", tabulate_independent),
        ("thin", tabulate_thin),
        ("pair", tabulate_pair),
        ("coverage", tabulate_coverage),
        ("time", tabulate_time),
    ):
        studies = [study, "bootstrap"] if study == "coverage" else [study]
        chosen = results[results.study.isin(studies)]
        if len(chosen):
            print(f"{study}\n\n{as_markdown(*tabulate(chosen))}\n")


Tabulated = tuple[list[str], list[list[str]]]


def tabulate_independent(results: pd.DataFrame) -> Tabulated:
    """Return differences from the network of X alone: the mean and the standard deviation."""
    wide = results.pivot(index="seed", columns=["score", "method"], values="value")
    rows = []
    for method in ("known labels", "known labels, none given"):
        cells = []
        for score in ("auc", "log_loss"):
            values = wide[score][method] - wide[score]["network"]
            cells.append(f"{_signed(values.mean())} ± {_number(values.std())}")
        rows.append([f"{method} − network", *cells])
    return [f"mean over {len(wide)} seeds ± deviation", "ROC-AUC", "log loss"], rows


def tabulate_thin(results: pd.DataFrame) -> Tabulated:
    """Return AUC / log loss of the last task by the share of its labels."""
    means = results.pivot_table("value", ["setting", "method"], "score", sort=False)
    methods = list(dict.fromkeys(results.method))
    rows = []
    for setting in dict.fromkeys(results.setting):
        auc, log_loss = means.loc[setting].auc, means.loc[setting].log_loss
        cells = [f"{_number(auc[m])} / {_number(log_loss[m])}" for m in methods]
        rows.append([setting, *cells, _signed(auc["known labels"] - auc["network"])])
    return ["labels of the last task", *methods, "known labels − network, AUC"], rows


def tabulate_pair(results: pd.DataFrame) -> Tabulated:
    """Return how well a label is told by one that determines it, by the number of rows."""
    means = results.assign(setting=results.setting.astype(int))
    means = means.pivot_table("value", "setting", "score", sort=False).sort_index()
    rows = [
        [f"{n_rows:,}", *(f"{v:.1%}".replace("%", " %") for v in of_rows)]
        for n_rows, of_rows in means.iterrows()
    ]
    return ["training rows", *means.columns], rows


def tabulate_time(results: pd.DataFrame) -> Tabulated:
    """Return the time of an epoch with known labels, as a multiple: the median of pairs."""
    pairs = results.pivot_table("value", ["setting", "seed"], "method", sort=False)
    ratios = (pairs["known labels"] / pairs["network"]).groupby("setting", sort=False).median()
    medians = 1000 * pairs.groupby("setting", sort=False).median()
    rows = [
        [name, *(f"{medians[method][name]:.0f} ms" for method in medians), f"{ratio:.2f}"]
        for name, ratio in ratios.items()
    ]
    return ["rows x features", *(f"an epoch, {method}" for method in medians), "ratio"], rows


def tabulate_coverage(results: pd.DataFrame) -> Tabulated:
    """Return how many intervals hold the population's frequency, their width, and the bias."""
    keys = ["setting", "method", "seed"]
    wide = results.pivot(index=keys, columns="score", values="value").reset_index()
    wide["error"] = wide.estimate - FREQUENCIES[0]
    wide["covers"] = wide.error.abs() <= wide["half width"]
    # The draws of one network on those tables that several networks drew.
    several = wide[wide.method.str.contains("networks")]
    of_one = wide[(wide.method == "known labels, draws") & (wide.setting == BY_LABEL)]
    of_one = of_one[of_one.seed.isin(several.seed)].assign(method=SAME_TABLES)
    wide = pd.concat([wide[~wide.method.isin(several.method)], of_one, several])
    methods = [m for m in dict.fromkeys(results.method) if m not in set(several.method)]
    methods += [SAME_TABLES, *several.method.unique()]
    rows = []
    for setting in dict.fromkeys(wide.setting):
        for method in methods:
            chosen = wide[(wide.setting == setting) & (wide.method == method)]
            if not len(chosen):
                continue
            rows.append(
                [
                    setting,
                    method,
                    str(len(chosen)),
                    f"{chosen.covers.mean():.1%}".replace("%", " %"),
                    _number(2 * chosen["half width"].mean()),
                    _signed(chosen.error.mean()),
                    _number(chosen.error.std()),
                    _number(2 * stats.norm.ppf((1 + LEVEL) / 2) * chosen.error.std()),
                ]
            )
    header = ["holes", "method", "tables", "coverage", "width", "bias", "deviation"]
    return [*header, "width that the deviation asks for"], rows


def _number(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("0.", ".", 1).replace("-", "−")


def _known(path: Path) -> set[tuple[str, str, int]]:
    if not path.exists():
        return set()
    found = pd.read_csv(path).fillna({"setting": ""})[KEYS].drop_duplicates()
    return set(found.itertuples(index=False, name=None))


def _parse_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("results", type=Path, help="CSV file, appended to")
    parser.add_argument("--show", action="store_true", help="only show what is there")
    parser.add_argument("--studies", nargs="+", choices=list(RUN), default=list(RUN))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--tables", type=int, default=200, help="of the study of coverage")
    return parser.parse_args()


if __name__ == "__main__":
    main()
