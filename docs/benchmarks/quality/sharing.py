"""Compare one network for all tasks with the same network for each task, at shares of the labels.

The plain estimator is fitted to the training rows of a table of which only a share of the labelled
cells is kept, drawn at random: once on all tasks, and once on each task alone. Both are scored on
all labelled cells of the test part. Each comparison becomes one line of the results; those that are
there already are not repeated.

Usage: python docs/benchmarks/quality/sharing.py RESULTS --folder FOLDER
           --tables tox21 census nhanes --seeds 0 1 2
       python docs/benchmarks/quality/sharing.py RESULTS --show
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _records import append_record, read_records
from _scores import score_part
from _tables import as_frame, load_table, table_names, take_rows

from sk_mtl import MultiTaskClassifier

SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)


def main() -> None:
    options = _parse_options()
    if options.show:
        show(read_records(options.results))
        return
    keys = ("table", "split", "share", "seed", "early_stopping")
    done = {tuple(record[key] for key in keys) for record in read_records(options.results)}
    stopping: Any = options.always_stopped or "auto"
    for seed in options.seeds:
        for name in options.tables:
            for share in options.shares:
                record: dict[str, Any] = dict(
                    zip(keys, (name, options.split, share, seed, stopping), strict=True)
                )
                if tuple(record.values()) in done:
                    continue
                record |= compare(name, options.folder, options.split, share, seed, stopping)
                append_record(options.results, record)
                print(
                    f"{name} {share:.0%} seed {seed}: shared {record['shared']['auc']:.4f}, "
                    f"alone {record['alone']['auc']:.4f}",
                    flush=True,
                )


def compare(
    table_name: str, folder: str | None, split: str, share: float, seed: int, stopping: Any
) -> dict[str, Any]:
    """Fit one network for all tasks and one for each; return the scores of both."""
    settings = {"early_stopping": stopping, "random_state": seed}
    table = load_table(table_name, folder)
    train, _, test = table.splits[split]
    X = as_frame(table.X)
    Y = keep_share(table.Y.iloc[train].reset_index(drop=True), share, seed)
    truth, X_train, X_test = table.truth.iloc[test], take_rows(X, train), take_rows(X, test)
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
    print("| table | stopped | labels | alone | shared | gain | better | log loss alone | shared |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (table, how, share), group in rows.groupby(["table", "stopped", "share"], sort=True):
        mean = group.mean(numeric_only=True)
        print(
            f"| {table} | {how} | {share:.0%}: {mean['labels']:,.0f} | {mean['alone']:.4f} | "
            f"{mean['shared']:.4f} | {mean['gain']:+.4f} | {(group['gain'] > 0).sum()} of "
            f"{len(group)} | {mean['log_alone']:.4f} | {mean['log_shared']:.4f} |"
        )


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="file of JSON lines, appended to")
    parser.add_argument("--folder", help="the folder of the real tables")
    parser.add_argument("--tables", nargs="+", choices=table_names(), default=["census", "nhanes"])
    parser.add_argument("--split", default="rand0")
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--always-stopped",
        action="store_true",
        help='hold out a tenth of the rows in every fit, in place of what "auto" does',
    )
    parser.add_argument("--show", action="store_true", help="only show what is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
