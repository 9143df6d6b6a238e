"""Does it help to know a row's other labels? Each test cell from X and the other labels of its row.

All learn from the training rows; networks and trees stop by the validation rows. Each labelled cell
of the test rows is then predicted from X and the known labels of its row, never from its own. A
line of the results is the score of one method for one task. What is there is not repeated.

Usage: python docs/benchmarks/quality/completing.py RESULTS.csv --folder FOLDER
           --tables tox21 --splits rand0 rand1 rand2 --methods network "known labels" [--seeds 0]
       python docs/benchmarks/quality/completing.py RESULTS.csv --show
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _per_task import PEERS, Part
from _records import as_markdown, is_in_table, make_parser
from _scores import score_part
from _tables import Table, as_frame, load_table, prepare, scale, table_names, take_rows

MAX_TRAINING_ROWS = 12_000  # of census
SPLITS = ("rand0", "rand1", "rand2")
KEYS = ["table", "split", "method", "seed"]
NONE_GIVEN = ", none given"

Probabilities = list[np.ndarray]  # by task, (n_rows, n_classes)


class Job(NamedTuple):
    """What a method learns from, and the rows to predict.

    Attributes
    ----------
    X : ndarray or DataFrame
        Features of all rows.
    Y : DataFrame
        Labels known of all rows, NaN where missing; of classes that training has.
    classes : list of ndarray
        By task.
    train, valid, test : ndarray
        Rows.
    seed : int
        What networks and trees are drawn with.
    """

    X: Any
    Y: pd.DataFrame
    classes: list[np.ndarray]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    seed: int


def main() -> None:
    """Run from the command line."""
    options = _parse_options()
    if options.show:
        show(pd.read_csv(options.results))
        return
    for name, split, method, seed in product(
        options.tables, options.splits, options.methods, options.seeds
    ):
        table = load_table(name, options.folder)
        if split not in table.splits or is_in_table(
            options.results, KEYS, (name, split, method, seed)
        ):
            continue
        found = pd.DataFrame(run_method(table, (name, split, method, seed)))
        found.to_csv(options.results, mode="a", index=False, header=not options.results.exists())
        means = found.groupby("method", sort=False)[["auc", "log_loss", "seconds"]].mean()
        print(name, split, seed, means.round(4).to_dict("index"), flush=True)


def run_method(table: Table, keys: tuple[str, str, str, int]) -> Iterator[dict[str, Any]]:
    """Fit a method; yield its scores on the test rows, one record for each task."""
    name, split, method, seed = keys
    train, valid, test = table.splits[split]
    if name == "census":
        train = train[:MAX_TRAINING_ROWS]
    classes = [np.sort(y.iloc[train].dropna().unique()) for _, y in table.Y.items()]
    Y = table.Y.apply(lambda y: y.where(y.isin(y.iloc[train].dropna().unique())))
    job = Job(as_frame(table.X), Y, classes, train, valid, test, seed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that a part lacks
        found = METHODS[method](job)
    seconds = time.perf_counter() - start
    truth = table.truth.iloc[test]
    for suffix, probabilities in found.items():
        scores = score_part(truth, probabilities, classes)
        for number, task in enumerate(truth):
            yield {
                "table": name,
                "split": split,
                "method": method + suffix,
                "seed": seed,
                "task": task,
                "n_labels": int(Y[task].iloc[train].notna().sum()),
                "n_cells": int(truth[task].isin(classes[number]).sum()),
                "auc": scores["aucs"][number],
                "log_loss": scores["log_losses"][number],
                "seconds": round(seconds, 1),
            }


# ------------------------------------------------------------------------------------------------
# Networks
# ------------------------------------------------------------------------------------------------


def _from_features(make: Callable[..., Any]) -> Callable[[Job], dict[str, Probabilities]]:
    """Return a method that predicts from X alone."""

    def run(job: Job) -> dict[str, Probabilities]:
        model = _fit(make(random_state=job.seed), job, job.Y)
        return {"": list(model.predict_proba(take_rows(job.X, job.test)))}

    return run


def _from_labels(
    make: Callable[..., Any], known_labels: bool | str = True
) -> Callable[[Job], dict[str, Probabilities]]:
    """Return a method that predicts from X and the other labels of a row, and from X alone."""

    def run(job: Job) -> dict[str, Probabilities]:
        model = _fit(make(known_labels=known_labels, random_state=job.seed), job, job.Y)
        X, Y = take_rows(job.X, job.test), job.Y.iloc[job.test]
        return {
            "": list(model.complete_proba(X, Y, leave_one_out=True)),
            NONE_GIVEN: list(model.predict_proba(X)),
        }

    return run


def _train_on_others(job: Job) -> dict[str, Probabilities]:
    """Train, for each task, on the other labels of the test rows as well; predict from X alone."""
    from sk_mtl import MultiTaskClassifier

    found, rows = [], np.concatenate([job.train, job.test])
    for number, task in enumerate(job.Y):
        Y = job.Y.copy()
        Y.iloc[job.test, number] = np.nan
        model = _fit(MultiTaskClassifier(random_state=job.seed), job._replace(train=rows), Y)
        found.append(model.predict_proba(take_rows(job.X, job.test))[task])
    return {"": found}


def _fit(model: Any, job: Job, Y: pd.DataFrame) -> Any:
    watched = (take_rows(job.X, job.valid), Y.iloc[job.valid])
    return model.fit(take_rows(job.X, job.train), Y.iloc[job.train], validation_data=watched)


def _plain(**settings: Any) -> Any:
    from sk_mtl import MultiTaskClassifier

    return MultiTaskClassifier(**settings)


def _best(**settings: Any) -> Any:
    from sk_mtl import MultiTaskClassifier

    return MultiTaskClassifier.best(refit=False, **settings)


# ------------------------------------------------------------------------------------------------
# Trees: a model per task
# ------------------------------------------------------------------------------------------------


def _trees(job: Job) -> dict[str, Probabilities]:
    """Fit LightGBM to X alone."""
    return {"": [_fit_trees(job, t, job.X)(job.X, job.test) for t in range(len(job.classes))]}


def _trees_on_labels(job: Job) -> dict[str, Probabilities]:
    """Fit LightGBM to X and the labels of the other tasks, NaN where missing."""
    columns, found = _label_columns(job), []
    for t in range(len(job.classes)):
        X = _join(job.X, [c for u, c in enumerate(columns) if u != t])
        found.append(_fit_trees(job, t, X)(X, job.test))
    return {"": found}


def _chain_trees(job: Job) -> dict[str, Probabilities]:
    """Fit a chain of LightGBM, from the task with most labels to that with fewest.

    Each task has the labels of the tasks before it as features. Where one is missing, it has the
    probabilities that the chain gives, of a model that was not trained on that row's label.
    """
    found: Probabilities = [np.empty(0)] * len(job.classes)
    n_labels = job.Y.iloc[job.train].notna().sum().to_numpy()
    columns, before = _label_columns(job), []
    everywhere = np.arange(len(job.Y))
    for t in np.argsort(-n_labels, kind="stable"):
        X = _join(job.X, before)
        p = _fit_trees(job, t, X)(X, everywhere)
        found[t] = p[job.test]
        filler = p[:, 1:] if len(job.classes[t]) == 2 else p
        before.append(np.where(np.isnan(columns[t]), filler, columns[t]))
    return {"": found}


def _fit_trees(job: Job, task: int, X: Any) -> Callable[[Any, np.ndarray], np.ndarray]:
    """Fit LightGBM to a task; return the function that predicts rows."""
    y, classes = job.Y.iloc[:, task], job.classes[task]
    parts = []
    for rows in (job.train, job.valid):
        known = rows[y.iloc[rows].notna().to_numpy()]
        codes = np.searchsorted(classes, y.iloc[known].to_numpy(dtype=classes.dtype))
        parts.append(Part(take_rows(X, known), codes))
    predict = PEERS["LightGBM"][1](parts[0], parts[1], len(classes), job.seed)
    return lambda X, rows: predict(take_rows(X, rows))


def _label_columns(job: Job) -> list[np.ndarray]:
    """Return the labels of all rows as numbers, by task: NaN where missing.

    Of two classes, a column says whether it is the second; of more, there is a column for each.
    """
    columns = []
    for (_, y), classes in zip(job.Y.items(), job.classes, strict=True):
        shown = classes[1:] if len(classes) == 2 else classes
        of_task = (y.to_numpy()[:, None] == shown).astype(float)
        of_task[y.isna().to_numpy()] = np.nan
        columns.append(of_task)
    return columns


def _join(X: Any, columns: Sequence[np.ndarray]) -> Any:
    if not columns:
        return X
    labels = np.hstack(columns)
    if isinstance(X, pd.DataFrame):
        return X.assign(**{f"label_{j}": values for j, values in enumerate(labels.T)})
    return np.hstack([X, labels.astype(np.float32)])


# ------------------------------------------------------------------------------------------------
# Imputers of numbers
# ------------------------------------------------------------------------------------------------

MAX_COLUMNS, N_COMPONENTS = 200, 50


def _impute(make: Callable[[int], Any]) -> Callable[[Job], dict[str, Probabilities]]:
    """Return a method that fits an imputer to X and labels, and hides one task at a time.

    What it fills in counts as a probability: clipped to [0, 1], and of more than two classes
    divided by the sum.
    """

    def run(job: Job) -> dict[str, Probabilities]:
        columns = _label_columns(job)
        X = _numbers(job)
        labels = np.hstack(columns)
        mean, std = np.nanmean(labels[job.train], axis=0), np.nanstd(labels[job.train], axis=0)
        std = np.where(std > 0, std, 1)
        table = np.hstack([X, (labels - mean) / std])
        imputer = make(job.seed).fit(table[job.train])
        stops = X.shape[1] + np.cumsum([0, *(c.shape[1] for c in columns)])
        found = []
        for start, stop in pairwise(stops):
            hidden, scaled = table[job.test], slice(start - X.shape[1], stop - X.shape[1])
            hidden[:, start:stop] = np.nan
            filled = imputer.transform(hidden)[:, start:stop] * std[scaled] + mean[scaled]
            found.append(_as_probabilities(filled))
        return {"": found}

    return run


def _numbers(job: Job) -> np.ndarray:
    """Return X as z-scores; if it is wide, the first components of their decomposition."""
    from sklearn.decomposition import TruncatedSVD

    X = scale(prepare(job.X, job.train), job.train, "numbers").astype(np.float64)
    if X.shape[1] > MAX_COLUMNS:
        svd = TruncatedSVD(N_COMPONENTS, random_state=job.seed).fit(X[job.train])
        X = svd.transform(X)
        X /= X[job.train].std(axis=0).mean()
    return X


def _as_probabilities(filled: np.ndarray) -> np.ndarray:
    filled = np.clip(filled, 1e-3, 1 - 1e-3)
    if filled.shape[1] == 1:
        return np.hstack([1 - filled, filled])
    return filled / filled.sum(axis=1, keepdims=True)


def _iterative(seed: int) -> Any:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    return IterativeImputer(random_state=seed)


def _nearest(seed: int) -> Any:
    from sklearn.impute import KNNImputer

    return KNNImputer(n_neighbors=20)


def _constant(job: Job) -> dict[str, Probabilities]:
    """Give every cell the frequencies of the classes in training."""
    found = []
    for (_, y), classes in zip(job.Y.items(), job.classes, strict=True):
        of_task = y.iloc[job.train].dropna().to_numpy()
        shares = (of_task[:, None] == classes).mean(axis=0)
        found.append(np.tile(shares, (len(job.test), 1)))
    return {"": found}


METHODS: dict[str, Callable[[Job], dict[str, Probabilities]]] = {
    "network": _from_features(_plain),
    "known labels": _from_labels(_plain),
    "known labels and holes": _from_labels(_plain, "with_indicator"),
    "best": _from_features(_best),
    "best, known labels": _from_labels(_best),
    "best, known labels and holes": _from_labels(_best, "with_indicator"),
    "LightGBM": _trees,
    "LightGBM, other labels": _trees_on_labels,
    "LightGBM, chain": _chain_trees,
    "iterative imputer": _impute(_iterative),
    "kNN imputer": _impute(_nearest),
    "constant": _constant,
    "training on the other labels": _train_on_others,
}
COMMON = [name for name in METHODS if name != "training on the other labels"]


# ------------------------------------------------------------------------------------------------
# The tables of the page
# ------------------------------------------------------------------------------------------------

ORDER = (
    "best, known labels and holes",
    "best, known labels",
    "known labels and holes",
    "known labels",
    "LightGBM, other labels",
    "LightGBM, chain",
    "iterative imputer",
    "kNN imputer",
    "best",
    "best, known labels, none given",
    "network",
    "known labels, none given",
    "LightGBM",
    "constant",
)
PAIRS = (
    ("known labels", "network"),
    ("best, known labels", "best"),
    ("LightGBM, other labels", "LightGBM"),
    ("known labels and holes", "LightGBM, other labels"),
    ("known labels", "LightGBM, other labels"),
    ("best, known labels and holes", "LightGBM, other labels"),
    ("best, known labels", "LightGBM, other labels"),
    ("known labels, none given", "network"),
    ("best, known labels, none given", "best"),
)


def show(results: pd.DataFrame) -> None:
    """Print the tables of the page."""
    kinds = results.split.str.rstrip("0123456789").replace({"rand": "random"})
    results = results.assign(part=results.table + ", " + kinds)
    several = results.groupby("table").part.transform("nunique") > 1
    results["part"] = results.part.where(several, results.table)
    for title, table in (
        ("AUC / log loss", tabulate(results)),
        ("differences", tabulate_differences(results)),
        ("tasks", tabulate_tasks(results)),
        ("training on the other labels", tabulate_training(results)),
        ("seconds", tabulate_seconds(results)),
    ):
        print(f"{title}\n\n{as_markdown(*table)}\n")


Tabulated = tuple[list[str], list[list[str]]]


def tabulate(results: pd.DataFrame) -> Tabulated:
    """Return ROC-AUC / log loss by method and table: means over tasks, then over fits.

    The best of a table is bold, with what is within .003 of it; methods that lack splits say how
    many they have.
    """
    fits = _fits(results).groupby(["part", "method"])
    means, n_splits = fits[["auc", "log_loss"]].mean(), fits.split.nunique()
    parts = list(results.part.unique())
    n_all = n_splits.groupby("part").max()
    whole = means[n_splits == n_all.reindex(n_splits.index, level="part")]
    best = whole.groupby("part").agg({"auc": "max", "log_loss": "min"})
    rows = []
    for method in ORDER:
        cells = []
        for part in parts:
            if (part, method) not in means.index:
                cells.append("not run")
                continue
            auc, log_loss = means.loc[(part, method)]
            is_whole = n_splits[part, method] == n_all[part]
            bold = auc >= best.auc[part] - 0.003, log_loss <= best.log_loss[part] + 0.003
            pair = zip((_number(auc), _number(log_loss)), bold, strict=True)
            text = " / ".join(f"**{v}**" if is_best and is_whole else v for v, is_best in pair)
            n = n_splits[part, method]
            cells.append(text if is_whole else f"{text} ({n} of {n_all[part]})")
        rows.append([method, *cells])
    return ["", *(_with_splits(p, n_all[p]) for p in parts)], rows


def tabulate_differences(results: pd.DataFrame) -> Tabulated:
    """Return the differences in ROC-AUC of pairs of methods: the mean, and the splits in order."""
    fits = _fits(results).groupby(["part", "split", "method"]).auc.mean()
    parts = list(results.part.unique())
    rows = []
    for method, other in PAIRS:
        cells = []
        for part in parts:
            of_part = fits[part].unstack("method")
            if method not in of_part or other not in of_part:
                cells.append("not run")
                continue
            by_split = (of_part[method] - of_part[other]).dropna()
            text = _signed(by_split.mean())
            if len(by_split) > 1:
                text += f" ({', '.join(map(_signed, by_split))})"
            cells.append(text)
        rows.append([f"{method} − {other}", *cells])
    return ["ROC-AUC", *parts], rows


def tabulate_tasks(results: pd.DataFrame) -> Tabulated:
    """Return the ROC-AUC of each task, mean over the random splits."""
    methods = ["network", "known labels", "LightGBM, other labels"]
    random = results[results.split.isin(SPLITS) & results.method.isin(methods)]
    means = random.pivot_table("auc", ["table", "task"], "method", sort=False)
    n_labels = random.groupby(["table", "task"]).n_labels.mean()
    rows = []
    for key, of_task in means.iterrows():
        gain = _signed(of_task["known labels"] - of_task["network"])
        rows.append(
            [*key, f"{n_labels[key]:,.0f}", *(_number(of_task.get(m)) for m in methods), gain]
        )
    return ["table", "task", "labels", *methods, "gain of known labels"], rows


def tabulate_training(results: pd.DataFrame) -> Tabulated:
    """Return scores of training on the other labels, beside those on the same splits."""
    name = "training on the other labels"
    splits = results[results.method == name][["table", "split"]].drop_duplicates()
    same = _fits(results).merge(splits)
    means = same.groupby(["table", "method"])[["auc", "log_loss"]].mean()
    methods = ["network", name, "known labels"]
    tables = list(splits.table.unique())
    rows = [
        [m, *(f"{_number(means.auc[t, m])} / {_number(means.log_loss[t, m])}" for t in tables)]
        for m in methods
    ]
    n_splits = splits.groupby("table").size()
    return ["AUC / log loss", *(_with_splits(t, n_splits[t]) for t in tables)], rows


def tabulate_seconds(results: pd.DataFrame) -> Tabulated:
    """Return the seconds of a fit and of its predictions, by method and table."""
    means = _fits(results).groupby(["table", "method"]).seconds.mean()
    tables = list(results.table.unique())
    rows = [
        [m, *(f"{means[t, m]:.0f}" if (t, m) in means.index else "not run" for t in tables)]
        for m in ORDER
        if not m.endswith(NONE_GIVEN) and m != "constant"
    ]
    return ["seconds", *tables], rows


def _fits(results: pd.DataFrame) -> pd.DataFrame:
    """Return means over tasks, a line for each fit."""
    keys = ["part", *KEYS]
    return results.groupby(keys, sort=False)[["auc", "log_loss", "seconds"]].mean().reset_index()


def _with_splits(name: str, n_splits: int) -> str:
    return f"{name}, {n_splits} split{'s' if n_splits > 1 else ''}"


def _number(value: float | None) -> str:
    return "not run" if value is None else f"{value:.4f}".removeprefix("0")


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("0.", ".", 1).replace("-", "−")


def _parse_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("results", type=Path, help="CSV file, appended to")
    parser.add_argument("--folder", help="the folder of the real tables")
    parser.add_argument("--show", action="store_true", help="only show what is there")
    parser.add_argument("--tables", nargs="+", choices=table_names(), default=[])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=COMMON)
    parser.add_argument("--splits", nargs="+", default=list(SPLITS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    return parser.parse_args()


if __name__ == "__main__":
    main()
