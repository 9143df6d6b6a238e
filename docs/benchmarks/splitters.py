"""How alike are the folds? MultiTaskStratifiedKFold beside KFold, on tables with missing labels.

    python docs/benchmarks/splitters.py FOLDER [--page docs/benchmarks/splitters.md]

FOLDER holds the tables and `load.py`, which has ``load(name, folder) -> (X, y)``. Only y is used.
"""

import os
import platform
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from _harness import as_markdown, clock, import_loader, make_parser
from sklearn.model_selection import KFold, ShuffleSplit

import sk_mtl
from sk_mtl.model_selection import (
    MultiTaskStratifiedGroupKFold,
    MultiTaskStratifiedKFold,
    MultiTaskStratifiedShuffleSplit,
    stratified_holdout,
    train_test_split,
)

TABLES = ("tox21", "nhanes", "bridges")
N_SPLITS = 5
SEEDS = range(10)

Folds = list[np.ndarray]


def split(cv, Y: pd.DataFrame) -> Folds:
    """Return the test rows of each fold."""
    with warnings.catch_warnings():
        # Classes with fewer rows than folds are reported in the tables.
        warnings.filterwarnings("ignore", ".*are not in each", UserWarning)
        return [test for _, test in cv.split(Y, Y)]


def count_classes(Y: pd.DataFrame, folds: Folds) -> pd.DataFrame:
    """Count the labelled cells of each (task, class), in the whole and in each fold."""
    whole = {(t, c): n for t in Y for c, n in Y[t].value_counts(sort=False).sort_index().items()}
    counts = pd.DataFrame({"whole": whole})
    for j, rows in enumerate(folds, start=1):
        part = Y.iloc[rows]
        counts[f"fold {j}"] = [int((part[t] == c).sum()) for t, c in counts.index]
    return counts


def measure(counts: pd.DataFrame, share: float) -> dict[str, float]:
    """Measure how far parts of a share of the rows are from the whole."""
    folds, whole = counts.drop(columns="whole"), counts["whole"]
    deviation = folds.div(whole * share, axis=0).sub(1).abs()
    enough = whole * share >= 1
    return {
        "mean": deviation.to_numpy().mean(),
        "largest": deviation[enough].to_numpy().max(),
        "without": int((folds[enough] == 0).to_numpy().sum()),
    }


def summarise(Y: pd.DataFrame, splitters: Iterable, share: float) -> dict[str, float]:
    """Measure one splitter, the mean over its seeds."""
    found = pd.DataFrame([measure(count_classes(Y, split(cv, Y)), share) for cv in splitters])
    return found.mean().to_dict()


def tabulate(frame: pd.DataFrame) -> str:
    """Format a frame as a Markdown table, its index as the first column."""
    header = [str(frame.index.name or ""), *map(str, frame.columns)]
    rows = [[str(label), *map(str, row)] for label, *row in frame.itertuples(name=None)]
    return as_markdown(header, rows, ["---", *["---:"] * frame.shape[1]])


# -- Sections ------------------------------------------------------------------------------------


def compare_folds(tables: dict[str, pd.DataFrame]) -> str:
    """The summary: three measures of each splitter on each table."""
    kinds = {
        "`KFold`": [KFold(N_SPLITS)],
        "`KFold`, shuffled": [KFold(N_SPLITS, shuffle=True, random_state=s) for s in SEEDS],
        "`MultiTaskStratifiedKFold`": [MultiTaskStratifiedKFold(N_SPLITS)],
        "`MultiTaskStratifiedKFold`, shuffled": [
            MultiTaskStratifiedKFold(N_SPLITS, shuffle=True, random_state=s) for s in SEEDS
        ],
    }
    return compare(tables, kinds, 1 / N_SPLITS, "fold")


def compare_tenths(tables: dict[str, pd.DataFrame]) -> str:
    """The same of one part that is a tenth of the rows."""
    one = {"n_splits": 1, "test_size": 0.1}
    kinds = {
        "`ShuffleSplit`": [ShuffleSplit(**one, random_state=s) for s in SEEDS],
        "`MultiTaskStratifiedShuffleSplit`": [
            MultiTaskStratifiedShuffleSplit(**one, random_state=s) for s in SEEDS
        ],
    }
    return compare(tables, kinds, 0.1, "part")


def compare(tables: dict[str, pd.DataFrame], kinds: dict, share: float, part: str) -> str:
    """Three measures of each splitter on each table."""
    rows = {}
    for name, Y in tables.items():
        for kind, splitters in kinds.items():
            found = summarise(Y, splitters, share)
            rows[f"{name}, {kind}"] = {
                "mean deviation": f"{found['mean']:.1%}",
                "largest deviation": f"{found['largest']:.1%}",
                f"({part}, class) pairs without a row": f"{found['without']:g}",
            }
    return tabulate(pd.DataFrame(rows).T.rename_axis("table, splitter"))


def describe(name: str, Y: pd.DataFrame) -> str:
    """One sentence about a table."""
    counts = count_classes(Y, [])["whole"]
    missing = Y.isna().mean()
    n_classes = " to ".join(map(str, sorted({Y.nunique().min(), Y.nunique().max()})))
    return (
        f"{len(Y):,} rows, {Y.shape[1]} tasks of {n_classes} classes, {missing.mean():.0%} of the "
        f"labels missing (most: {missing.idxmax()}, {missing.max():.0%}); the rarest class has "
        f"{counts.min()} row(s)."
    )


def show_distributions(Y: pd.DataFrame, *, max_classes: int) -> str:
    """Labelled cells of the rarest classes in each fold, both splitters side by side."""
    plain = count_classes(Y, split(KFold(N_SPLITS), Y))
    shuffled = count_classes(Y, split(KFold(N_SPLITS, shuffle=True, random_state=0), Y))
    ours = count_classes(Y, split(MultiTaskStratifiedKFold(N_SPLITS), Y))
    rarest = ours["whole"].sort_values(kind="stable").index[:max_classes]

    def in_folds(counts: pd.DataFrame) -> list[str]:
        return [" ".join(map(str, row)) for row in counts.loc[rarest].to_numpy()[:, 1:]]

    frame = pd.DataFrame(
        {
            "rows": ours.loc[rarest, "whole"].to_numpy(),
            "`KFold`": in_folds(plain),
            "`KFold`, shuffled": in_folds(shuffled),
            "`MultiTaskStratifiedKFold`": in_folds(ours),
        },
        index=pd.Index([f"{t} = {c}" for t, c in rarest], name="task = class"),
    )
    return tabulate(frame)


def show_missing(Y: pd.DataFrame) -> str:
    """Missing labels of each task in each fold."""
    plain, ours = (
        [Y.iloc[rows].isna().sum() for rows in split(cv, Y)]
        for cv in (KFold(N_SPLITS), MultiTaskStratifiedKFold(N_SPLITS))
    )
    frame = pd.DataFrame(
        {
            "missing": Y.isna().sum(),
            "`KFold`": [" ".join(str(fold[t]) for fold in plain) for t in Y],
            "`MultiTaskStratifiedKFold`": [" ".join(str(fold[t]) for fold in ours) for t in Y],
        }
    )
    return tabulate(frame.rename_axis("task"))


def time_splits() -> str:
    """Seconds for large tables: the fastest of five runs, since the machine may be busy."""
    rng = np.random.RandomState(0)
    n_samples, n_tasks = 100_000, 50
    labels = rng.choice(3, (n_samples, n_tasks), p=[0.6, 0.35, 0.05]).astype(float)
    Y = pd.DataFrame(np.where(rng.rand(n_samples, n_tasks) < 0.5, np.nan, labels))
    groups = rng.randint(0, 20_000, n_samples)
    codes = rng.randint(0, 5, (1_000_000, 3))
    mask = rng.rand(1_000_000, 3) < [1.0, 0.5, 0.12]
    calls = {
        "`MultiTaskStratifiedKFold(5)`, 100,000 × 50": lambda: split(
            MultiTaskStratifiedKFold(5), Y
        ),
        "`train_test_split`, 100,000 × 50": lambda: train_test_split(Y, Y, random_state=0),
        "`MultiTaskStratifiedGroupKFold(5)`, 100,000 × 50, 20,000 groups": lambda: list(
            MultiTaskStratifiedGroupKFold(5).split(Y, Y, groups)
        ),
        "`stratified_holdout`, 1,000,000 × 3": lambda: stratified_holdout(
            codes, mask, holdout_fraction=0.1, random_state=0
        ),
    }
    rows = {name: f"{min(clock(call) for _ in range(5)):.1f}" for name, call in calls.items()}
    return tabulate(pd.DataFrame({"seconds": rows}).rename_axis("call"))


def write_page(folder: Path) -> str:
    """Run everything and return the page."""
    tables = {name: import_loader(folder).load(name, str(folder))[1] for name in TABLES}
    sections = [
        "# Folds with missing labels",
        "How similar are the folds of a table with several tasks and missing labels? The benchmark "
        "compares plain `KFold`, which is what `cv=5` means for an estimator with several tasks, "
        "with `MultiTaskStratifiedKFold`, on three real tables.",
        "```console\npython docs/benchmarks/splitters.py FOLDER --page docs/benchmarks/splitters.md"
        "\n```",
        "FOLDER contains the tables: the labels of Tox21 (toxicity assays), of NHANES (adults of a "
        "health survey) and of Pittsburgh bridges.",
        f"Run on a shared machine with {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}, "
        f"sk_mtl {sk_mtl.__version__}.",
        "## Summary",
        f"For each (task, class) pair and each of {N_SPLITS} folds, the deviation is the "
        "difference between the number of rows of the class in the fold and a "
        f"{N_SPLITS}th of its rows, as a share of the latter. The largest deviation and the number "
        f"of (fold, class) pairs without a row are over classes with at least {N_SPLITS} rows. "
        f"Shuffled: mean over {len(SEEDS)} seeds.",
        compare_folds(tables),
        "The deviation of a class whose number of rows is not a multiple of the number of folds "
        "cannot be 0: six rows give folds of 1, 1, 1, 1 and 2.",
        "## A tenth of the rows",
        "The same for one part with a tenth of the rows, as used by early stopping and by "
        "`train_test_split(test_size=0.1)`. The last two columns are over classes with at least "
        f"10 rows. Mean over {len(SEEDS)} seeds.",
        compare_tenths(tables),
    ]
    for name, Y in tables.items():
        sections += [
            f"## {name}",
            describe(name, Y),
            "Rows of its rarest classes in the five folds:",
            show_distributions(Y, max_classes=12),
            "Missing labels in the five folds:",
            show_missing(Y),
        ]
    sections += [
        "## Time",
        "Generated tables. That of 100,000 rows has three classes of 60, 35 and 5 %, and half of "
        "its labels are missing. Fastest of five runs.",
        time_splits(),
    ]
    return "\n\n".join(sections) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("folder", type=Path, help="the folder with the tables and load.py")
    parser.add_argument("--page", type=Path, help="where to write the page; default: print it")
    arguments = parser.parse_args()
    page = write_page(arguments.folder)
    if arguments.page is None:
        print(page)
    else:
        arguments.page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
