"""Compare one network for all tasks with the same network for each task, at shares of the labels.

The plain estimator is fitted to the training rows of a table of which only a share of the labelled
cells is kept, drawn at random: once on all tasks, and once on each task alone. Both are scored on
all labelled cells of the test part. Each comparison becomes one line of the results; those that are
there already are not repeated.

Usage: python docs/benchmarks/quality/sharing.py RESULTS --folder FOLDER
           --tables tox21 census nhanes --seeds 0 1 2
       python docs/benchmarks/quality/sharing.py RESULTS --show
"""

import argparse
from typing import Any

import numpy as np
import pandas as pd
from _records import Record, add_missing, as_markdown, make_results_parser, read_records
from _scores import score_part
from _tables import as_frame, load_table, table_names, take_rows

from sk_mtl import MultiTaskClassifier

SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)


def main() -> None:
    options = _parse_options()
    if options.show:
        show(read_records(options.results))
        return
    stopping: Any = options.always_stopped or "auto"
    jobs = (
        {
            "table": name,
            "split": options.split,
            "share": share,
            "seed": seed,
            "early_stopping": stopping,
        }
        for seed in options.seeds
        for name in options.tables
        for share in options.shares
    )
    add_missing(options.results, jobs, lambda job: compare(options.folder, **job), _describe)


def compare(
    folder: str | None, table: str, split: str, share: float, seed: int, early_stopping: Any
) -> Record:
    """Fit one network for all tasks and one for each; return the scores of both."""
    settings = {"early_stopping": early_stopping, "random_state": seed}
    data = load_table(table, folder)
    train, _, test = data.splits[split]
    X = as_frame(data.X)
    Y = keep_share(data.Y.iloc[train].reset_index(drop=True), share, seed)
    truth, X_train, X_test = data.truth.iloc[test], take_rows(X, train), take_rows(X, test)
    shared = MultiTaskClassifier(**settings).fit(X_train, Y)
    scores = {
        "labels": int(Y.notna().sum().sum()),
        "shared": score_part(truth, shared.predict_proba(X_test), list(shared.classes_)),
    }
    probabilities, classes = [], []
    for task in Y.columns:
        known = np.flatnonzero(Y[task].notna())
        alone = MultiTaskClassifier(**settings)
        alone.fit(take_rows(X_train, known), Y[[task]].iloc[known])
        probabilities += list(alone.predict_proba(X_test))
        classes += list(alone.classes_)
    return scores | {"alone": score_part(truth, probabilities, classes)}


def keep_share(Y: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Hide labels, but for a share of each task's; two of each class stay, if there are two."""
    rng = np.random.default_rng([seed, round(1000 * share)])
    kept = pd.DataFrame(False, index=Y.index, columns=Y.columns)
    for task in Y.columns:
        order = rng.permutation(np.flatnonzero(Y[task].notna()))
        rows = set(order[: round(share * len(order))])
        for label in Y[task].dropna().unique():
            rows |= set(order[(Y[task].iloc[order] == label).to_numpy()][:2])
        kept.loc[sorted(rows), task] = True
    return Y.where(kept)


def show(records: list[dict[str, Any]]) -> None:
    """Print the means over seeds as a table in Markdown."""
    rows = pd.DataFrame(
        [
            {
                "table": r["table"],
                "share": r["share"],
                "stopped": "default" if r["early_stopping"] == "auto" else "always",
                "labels": r["labels"],
                "alone": r["alone"]["auc"],
                "shared": r["shared"]["auc"],
                "log_alone": r["alone"]["log_loss"],
                "log_shared": r["shared"]["log_loss"],
            }
            for r in records
        ]
    )
    rows["gain"] = rows["shared"] - rows["alone"]
    header = ("table", "stopped", "labels", "alone", "shared", "gain", "better")
    cells = []
    for (table, how, share), group in rows.groupby(["table", "stopped", "share"], sort=True):
        mean = group.mean(numeric_only=True)
        scores = (f"{mean['alone']:.4f}", f"{mean['shared']:.4f}", f"{mean['gain']:+.4f}")
        better = f"{(group['gain'] > 0).sum()} of {len(group)}"
        losses = (f"{mean['log_alone']:.4f}", f"{mean['log_shared']:.4f}")
        cells.append((table, how, f"{share:.0%}: {mean['labels']:,.0f}", *scores, better, *losses))
    print(as_markdown((*header, "log loss alone", "shared"), cells))


def _describe(record: Record) -> str:
    return (
        f"{record['table']} {record['share']:.0%} seed {record['seed']}: shared "
        f"{record['shared']['auc']:.4f}, alone {record['alone']['auc']:.4f}"
    )


def _parse_options() -> argparse.Namespace:
    parser = make_results_parser(__doc__, [0, 1, 2], can_show=True)
    parser.add_argument("--tables", nargs="+", choices=table_names(), default=["census", "nhanes"])
    parser.add_argument("--split", default="rand0")
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    parser.add_argument(
        "--always-stopped",
        action="store_true",
        help='hold out a tenth of the rows in every fit, in place of what "auto" does',
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
