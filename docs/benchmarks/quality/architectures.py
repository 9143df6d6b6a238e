"""Do the defaults suit every architecture? Dropout, weights of tasks and learning rate, by width.

The networks of a table, of all architectures, settings and seeds, are one MultiTaskSearchCV: they
learn from the training rows, stop by the validation rows, and are scored on the test rows. A line
of the results is the score of one network for one task.

Usage: python docs/benchmarks/quality/architectures.py RESULTS.csv --folder FOLDER
           --tables census diamonds [--dropout 0 .2 .4 auto] [--normalization cells tasks]
           [--embedding none auto] [--weighting equal root inverse] [--rates 5e-4 1e-3]
       python docs/benchmarks/quality/architectures.py RESULTS.csv --show
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _records import as_markdown, make_parser
from _scores import score_part
from _tables import as_frame, load_table, table_names, take_rows

from sk_mtl import MultiTaskClassifier
from sk_mtl.model_selection import MultiTaskSearchCV

# Widths of the shared layers and of the hidden layers of each head.
ARCHITECTURES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "16": ((16,), ()),
    "32": ((32,), ()),
    "64": ((64,), ()),
    "128": ((128,), ()),
    "256": ((256,), ()),
    "512": ((512,), ()),
    "32-16": ((32, 16), ()),
    "64-32": ((64, 32), ()),
    "128-64": ((128, 64), ()),
    "256-128": ((256, 128), ()),
    "512-256-128": ((512, 256, 128), ()),
    "32, heads 8": ((32,), (8,)),
    "64-32, heads 16": ((64, 32), (16,)),
    "128-64, heads 32": ((128, 64), (32,)),
    "256, heads 32": ((256,), (32,)),
}
MAX_TRAINING_ROWS = 12_000
NO_BINS = "none"
DEFAULT_RATE = 1e-3
N_SEEDS = 2  # of the study of learning rates


def main() -> None:
    """Run from the command line."""
    options = _parse_options()
    if options.show:
        results = pd.read_csv(options.results, dtype={"dropout": str})
        print(as_markdown(*tabulate_dropout(results)), "\n")
        print(as_markdown(*tabulate_weights(results)), "\n")
        print(as_markdown(*tabulate_rates(results)))
        return
    for table, split in product(options.tables, options.splits):
        start = time.perf_counter()
        found = run_table(table, split, options)
        found.to_csv(options.results, mode="a", index=False, header=not options.results.exists())
        print(f"{table} {split}: {time.perf_counter() - start:.0f} s", flush=True)


def run_table(name: str, split: str, options: argparse.Namespace) -> pd.DataFrame:
    """Return the scores of all networks on a table, a line for each task."""
    table = load_table(name, options.folder)
    train, valid, test = table.splits[split]
    train = train[:MAX_TRAINING_ROWS]
    X = as_frame(table.X)
    # Labels to learn from in training, the true ones in the test rows.
    rows = np.concatenate([train, test])
    labels = pd.concat([table.Y.iloc[train], table.truth.iloc[test]])
    weights = {how: _weigh(table.Y.iloc[train], how) for how in options.weighting}
    grid = [
        {
            "hidden_layer_sizes": [ARCHITECTURES[architecture][0]],
            "head_hidden_layer_sizes": [ARCHITECTURES[architecture][1]],
            "dropout": options.dropout,
            "loss_normalization": options.normalization,
            "numeric_embedding": [None if e == NO_BINS else e for e in options.embedding],
            "task_weighting": list(weights.values()),
            "optimizer__learning_rate": options.rates,
            "random_state": options.seeds,
        }
        for architecture in options.architectures
    ]
    search = MultiTaskSearchCV(
        MultiTaskClassifier(),
        grid,
        cv=[(np.arange(len(train)), np.arange(len(train), len(rows)))],
        scoring=_score,
        refit=False,
    )
    known = table.Y.apply(lambda y: y.where(y.isin(y.iloc[train].dropna().unique())))
    watched = {"X_val": take_rows(X, valid), "y_val": known.iloc[valid]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that a part lacks
        search.fit(take_rows(X, rows), labels, **watched)
    lines = _lines(search, name, split, table.Y.iloc[train], options.architectures, weights)
    return pd.DataFrame(lines)


def _weigh(Y: pd.DataFrame, how: str) -> Any:
    """Return weights of tasks: by the number of their labels, or its root, or all equal."""
    if how == "equal":
        return how
    counts = Y.notna().sum()
    weights = (counts.max() / counts) ** {"root": 0.5, "inverse": 1.0}[how]
    # So that a labelled cell has the weight 1 in the mean.
    weights /= (weights * counts).sum() / counts.sum()
    return {task: float(weight) for task, weight in weights.items()}


def _score(classifier: Any, X: Any, Y: pd.DataFrame) -> dict[str, float]:
    """Return the ROC-AUC and the log loss of each task."""
    scores = score_part(Y, classifier.predict_proba(X), list(classifier.classes_))
    named = {}
    for number, task in enumerate(Y.columns):
        named[f"auc {task}"] = scores["aucs"][number]
        named[f"log_loss {task}"] = scores["log_losses"][number]
    return named | {"epochs": classifier.best_iter_}


def _lines(
    search: Any,
    table: str,
    split: str,
    Y: pd.DataFrame,
    architectures: list[str],
    weights: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    names = {ARCHITECTURES[name]: name for name in architectures}
    results = search.cv_results_
    for number, params in enumerate(results["params"]):
        layers = params["hidden_layer_sizes"], params["head_hidden_layer_sizes"]
        for task in Y.columns:
            yield {
                "table": table,
                "split": split,
                "architecture": names[layers],
                "dropout": params["dropout"],
                "loss_normalization": params["loss_normalization"],
                "numeric_embedding": params["numeric_embedding"] or NO_BINS,
                "task_weighting": next(
                    how for how, given in weights.items() if given == params["task_weighting"]
                ),
                "learning_rate": params["optimizer__learning_rate"],
                "seed": params["random_state"],
                "task": task,
                "n_labels": int(Y[task].notna().sum()),
                "n_classes": Y[task].nunique(),
                "auc": results[f"mean_test_auc {task}"][number],
                "log_loss": results[f"mean_test_log_loss {task}"][number],
                "epochs": int(results["mean_test_epochs"][number]),
            }


def tabulate_dropout(results: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return how far each kind of dropout is behind the best of the fixed values, in thousandths.

    Means over tables, of scores that are means over tasks and seeds, of networks without bins;
    census, which has few architectures only, is left out.
    """
    results = _with_defaults(results, "loss_normalization", "task_weighting", "learning_rate")
    results = results[(results.numeric_embedding == NO_BINS) & (results.table != "census")]
    keys = ["table", "architecture", "dropout"]
    scores = ["auc", "log_loss"]
    means = results.groupby([*keys, "task"], sort=False)[scores].mean()
    means = means.groupby(keys, sort=False).mean().reset_index()
    kinds = list(means.dropout.unique())
    fixed = means[[_is_number(kind) for kind in means.dropout]]
    best = fixed.groupby(keys[:2]).agg(auc_best=("auc", "max"), log_loss_best=("log_loss", "min"))
    means = means.merge(best.reset_index())
    behind = means.assign(
        auc=1000 * (means.auc_best - means.auc),
        log_loss=1000 * (means.log_loss - means.log_loss_best),
    )
    by_width = behind.pivot_table("auc", "architecture", "dropout", sort=False)
    rows = [[name, *(f"{row[kind]:.1f}" for kind in kinds)] for name, row in by_width.iterrows()]
    for score, title in zip(scores, ("ROC-AUC", "log loss"), strict=True):
        of_kind = behind.groupby("dropout")[score].agg(["mean", "max"])
        cells = [f"{of_kind['mean'][kind]:.1f} ({of_kind['max'][kind]:.0f})" for kind in kinds]
        rows.append([f"**{title}: mean (largest)**", *cells])
    return ["ROC-AUC", *kinds], rows


def tabulate_weights(results: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return by table what weights of tasks by their labels gain, in thousandths of ROC-AUC."""
    results = _with_defaults(results, "dropout", "learning_rate")
    results = results[results.numeric_embedding == "auto"]
    how = results.task_weighting.where(results.loss_normalization == "cells", "tasks")
    results = results.assign(how=how)
    rows, counts = [], results.groupby(["table", "task"]).n_labels.first()
    for table, of_table in results.groupby("table", sort=False):
        if not {"equal", "root", "tasks"} <= set(of_table.how):
            continue
        fewest = counts[table].min()
        is_thin = of_table.n_labels <= fewest * 1.05
        # Architectures of which all kinds were run.
        complete = of_table.groupby("architecture").how.nunique()
        kept = of_table.architecture.isin(complete.index[complete == complete.max()])
        for part, thin in (("fewest labels", True), ("the others", False)):
            chosen = of_table[kept & (is_thin == thin)]
            means = 1000 * chosen.groupby("how").auc.mean()
            gains = [
                f"{means[kind] - means['equal']:+.1f}" if kind in means else "not run"
                for kind in ("root", "inverse", "tasks")
            ]
            labels = f"{fewest:,}" if thin else f"up to {counts[table].max():,}"
            rows.append([f"{table}, {part}", labels, *gains])
    return ["ROC-AUC", "labels", "root", "inverse", "tasks"], rows


def tabulate_rates(results: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return by architecture what other learning rates gain over 1e-3, in thousandths."""
    results = _with_defaults(results, "dropout", "loss_normalization", "task_weighting")
    results = results[results.numeric_embedding == "auto"]
    n_rates = results.groupby("table").learning_rate.nunique()
    results = results[results.table.isin(n_rates.index[n_rates > 1]) & (results.seed < N_SEEDS)]
    rows = []
    rates = sorted(results.learning_rate.unique())
    for name, of_name in results.groupby("architecture", sort=False):
        cells = []
        for score, sign in (("auc", 1000), ("log_loss", -1000)):
            means = of_name.groupby(["table", "learning_rate"])[score].mean().unstack()
            gains = sign * means.sub(means[DEFAULT_RATE], axis=0).mean()
            cells.append([f"{gains[rate]:+.1f}" for rate in rates])
        rows.append([name, *(" / ".join(pair) for pair in zip(*cells, strict=True))])
    return ["ROC-AUC / log loss", *(f"{rate:g}" for rate in rates)], rows


def _with_defaults(results: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the results in which some settings have their defaults."""
    defaults = {
        "dropout": "auto",
        "loss_normalization": "cells",
        "task_weighting": "equal",
        "learning_rate": DEFAULT_RATE,
    }
    for column in columns:
        results = results[results[column] == defaults[column]]
    return results


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _number_or_auto(text: str) -> float | str:
    return text if text == "auto" else float(text)


def _parse_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("results", type=Path, help="CSV file, appended to")
    parser.add_argument("--folder", help="the folder of the real tables")
    parser.add_argument("--show", action="store_true", help="only show what is there")
    parser.add_argument("--tables", nargs="+", choices=table_names(), default=[])
    parser.add_argument("--splits", nargs="+", default=["rand0"])
    parser.add_argument(
        "--architectures", nargs="+", choices=list(ARCHITECTURES), default=list(ARCHITECTURES)
    )
    parser.add_argument("--dropout", nargs="+", type=_number_or_auto, default=[0.0, 0.1, 0.2, 0.4])
    parser.add_argument("--normalization", nargs="+", default=["cells", "tasks"])
    parser.add_argument("--embedding", nargs="+", default=["auto"], help="of numbers")
    parser.add_argument(
        "--weighting", nargs="+", choices=["equal", "root", "inverse"], default=["equal"]
    )
    parser.add_argument("--rates", nargs="+", type=float, default=[DEFAULT_RATE])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    return parser.parse_args()


if __name__ == "__main__":
    main()
