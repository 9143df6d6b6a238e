"""Compare ways to choose the number of epochs on tables of few labels.

Real tables of which only a share of the labelled cells is kept, small ones and generated ones, each
fitted with all epochs, with a tenth of the rows held out, the same with `refit`, and with folds.
The fits have the training part alone and are scored on the validation part. Each comparison is one
line of the results; those that are there already are not repeated.

Usage: python docs/benchmarks/quality/stopping.py RESULTS --folder FOLDER --seeds 0 1 2
       python docs/benchmarks/quality/stopping.py RESULTS --show
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from _records import Record, add_missing, as_markdown, make_results_parser, read_records
from _scores import score_part
from _tables import as_frame, load_table, take_rows
from sharing import keep_share

from sk_mtl import MultiTaskClassifier

WAYS: dict[str, dict[str, Any]] = {
    "all epochs": {"early_stopping": False},
    "a tenth held out": {"early_stopping": True},
    "the same, refit": {"early_stopping": True, "refit": True},
    "folds": {"early_stopping": "cv"},
}
# Splits, and the share of the labels that is kept.
TABLES = [
    ("bridges", ("rand0", "rand1", "rand2", "rand3", "rand4"), 1.0),
    ("waves 300x5", ("rand0",), 1.0),
    ("emotions", ("rand0", "rand1", "rand2"), 1.0),
    ("boxes 500x10", ("rand0",), 1.0),
    ("bits 500x200", ("rand0",), 1.0),
    ("waves 1000x20", ("rand0",), 1.0),
    ("census", ("rand0",), 0.01),
    ("census", ("rand0",), 0.03),
    ("nhanes", ("rand0",), 0.01),
    ("nhanes", ("rand0",), 0.03),
    ("tox21", ("rand0",), 0.01),
    ("tox21", ("rand0",), 0.03),
    ("waves 5000x20", ("rand0",), 1.0),
]


def main() -> None:
    options = make_results_parser(__doc__, [0, 1, 2], can_show=True).parse_args()
    if options.show:
        show(read_records(options.results))
        return
    jobs = (
        {"table": table, "split": split, "share": share, "seed": seed}
        for seed in options.seeds
        for table, splits, share in TABLES
        for split in splits
    )
    add_missing(options.results, jobs, lambda job: compare(options.folder, **job))


def compare(folder: str | None, table: str, split: str, share: float, seed: int) -> Record:
    """Fit in each way; return the scores on the validation part, and the epochs."""
    data = load_table(table, folder)
    train, valid, _ = data.splits[split]
    X = as_frame(data.X)
    Y = data.Y.iloc[train].reset_index(drop=True)
    if share < 1:
        Y = keep_share(Y, share, seed)
    found: dict[str, Any] = {"rows": int(Y.notna().any(axis=1).sum())}
    for name, settings in WAYS.items():
        clf = MultiTaskClassifier(**settings, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clf.fit(take_rows(X, train), Y)
        # Classes that only other rows have are never predicted, and are not scored.
        truth = data.truth.iloc[valid].copy()
        for task, classes in zip(Y.columns, clf.classes_, strict=True):
            truth[task] = truth[task].where(truth[task].isin(classes))
        scores = score_part(truth, clf.predict_proba(take_rows(X, valid)), list(clf.classes_))
        found[name] = {
            "auc": scores["auc"],
            "log_loss": scores["log_loss"],
            "epochs": clf.best_iter_,
        }
    return found


def show(records: list[dict[str, Any]]) -> None:
    """Print means over splits and seeds as a table in Markdown."""
    lines = []
    names = pd.Series([(r["table"], r["share"]) for r in records])
    for table, share in names.drop_duplicates():
        group = [r for r in records if (r["table"], r["share"]) == (table, share)]
        cells = [
            "{:.4f} / {:.4f}".format(
                *(np.mean([r[way][score] for r in group]) for score in ("auc", "log_loss"))
            ).replace("0.", ".")
            for way in WAYS
        ]
        rows = np.mean([r["rows"] for r in group])
        lines.append((f"{table}, {share:.0%}", f"{rows:,.0f}", str(len(group)), *cells))
    print(as_markdown(("table, share of labels", "rows", "fits", *WAYS), lines))


if __name__ == "__main__":
    main()
