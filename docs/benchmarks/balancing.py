"""Compare weighting methods and sharing structures with equal weights, and with a network per task.

A seed draws the rows of a table to train on and to score, and the initial weights. On these,
`MultiTaskSearchCV` tries every method and structure at its defaults, methods by logarithms of the
losses also by moving averages of these, and a network for each task alone. Nothing is chosen by
these scores. For the time, each method then trains for a fixed number of epochs, in turn with equal
weights. Each result becomes one line of the file of results; those that are there already are not
repeated.

Usage: python docs/benchmarks/balancing.py FOLDER RESULTS.jsonl [--show] [--page PAGE]
where FOLDER holds the tables and load.py. Prints a line per result, then a table for each of the
tables.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from _harness import as_markdown, make_folder_parser, use_one_thread

for _folder in ("quality", "speed"):
    sys.path.insert(0, str(Path(__file__).parent / _folder))

import numpy as np
import pandas as pd
from _records import Record, append_record, read_records
from _tables import as_frame, load_table, take_rows
from _timing import section_marks
from scipy import stats
from sklearn.exceptions import UndefinedMetricWarning
from threadpoolctl import threadpool_limits

from sk_mtl import MultiTaskClassifier
from sk_mtl.metrics import multitask_score
from sk_mtl.model_selection import MultiTaskSearchCV
from sk_mtl.weighting import (
    FAMOWeighting,
    GeometricMeanWeighting,
    LogWeighting,
    SmoothTchebycheffWeighting,
)
from sk_mtl.weighting._make import WEIGHTING_NAMES

TABLES = ["nhanes", "emotions", "tox21"]
EQUAL_NAME = "equal"
EQUAL = {"task_weighting": EQUAL_NAME}
ALONE = "a network per task"
METHODS: list[dict[str, Any]] = [{"task_weighting": name} for name in WEIGHTING_NAMES]
AVERAGING: list[dict[str, Any]] = [
    {"task_weighting": kind(momentum=0.99)}
    for kind in (GeometricMeanWeighting, SmoothTchebycheffWeighting, FAMOWeighting, LogWeighting)
]
STRUCTURES: list[dict[str, Any]] = [
    {"sharing": name} for name in ("mmoe", "cgc", "ple", "cross_stitch")
]
# The compiled programs of a group of candidates, for training and with equal weights, are all kept
# from one seed to the next: a process keeps 16.
GROUP_SIZE = 12
N_TIMED = 3


def name_of(params: dict[str, Any]) -> str:
    """Return how a candidate is called in the results."""
    value = params.get("task_weighting") or params["sharing"]
    return value if isinstance(value, str) else f"{value._name}, momentum {value.momentum}"


def score(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    """Return the scores of a candidate on test rows, and its number of epochs."""
    predicted = estimator.predict_proba(X)
    scores = {
        metric: multitask_score(metric, y, predicted, classes=estimator.classes_)
        for metric in ("roc_auc", "log_loss")
    }
    return {**scores, "epochs": estimator.n_iter_}


class Comparison:
    """The searches on a table, with what the options say of its size."""

    def __init__(self, options: argparse.Namespace, table: str):
        self.options, self.table = options, table
        data = load_table(table, options.folder)
        self.X, self.Y, self.truth = as_frame(data.X), data.Y, data.truth

    def make(self, seed: int, **settings: Any) -> MultiTaskClassifier:
        """Return the network, at its defaults but for its size and early stopping."""
        return MultiTaskClassifier(
            tuple(self.options.hidden),
            epochs=self.options.epochs,
            early_stopping=True,
            random_state=seed,
        ).set_params(**settings)

    def draw(self, seed: int) -> tuple[Any, pd.DataFrame, np.ndarray]:
        """Return features and labels of the rows of a seed, and which of these are trained on."""
        rows = np.random.default_rng(seed).permutation(len(self.Y))
        n_train = min(self.options.rows, 2 * len(rows) // 3)
        rows = rows[: n_train + self.options.test_rows]
        is_train = np.arange(len(rows)) < n_train
        Y = self.truth.iloc[rows].copy()
        Y[is_train] = self.Y.iloc[rows[is_train]]
        return take_rows(self.X, rows), Y, is_train

    def search(
        self,
        seed: int,
        candidates: Sequence[dict[str, Any]],
        task: str | None = None,
        scoring: Callable[..., Any] = score,
        **settings: Any,
    ) -> dict[str, Any]:
        """Return the results of a search over the rows of a seed, for all tasks or for one."""
        X, Y, is_train = self.draw(seed)
        if task is not None:
            known = Y[task].notna().to_numpy()
            X, Y, is_train = take_rows(X, known), Y.loc[known, [task]], is_train[known]
        search = MultiTaskSearchCV(
            self.make(seed, **settings),
            [{key: [value] for key, value in params.items()} for params in candidates],
            scoring=scoring,
            cv=[(np.flatnonzero(is_train), np.flatnonzero(~is_train))],
            refit=False,
            error_score="raise",
        )
        return search.fit(X, Y).cv_results_

    def compare(self, group: Sequence[dict[str, Any]]) -> Iterator[Record]:
        """Yield the scores of some candidates, by seed."""
        for seed in self.options.seeds:
            todo = [
                params for params in group if not self.is_known(name=name_of(params), seed=seed)
            ]
            if not todo:
                continue
            found = self.search(seed, todo)
            for i, params in enumerate(found["params"]):
                yield {
                    "table": self.table,
                    "name": name_of(params),
                    "seed": seed,
                    "auc": found["split0_test_roc_auc"][i],
                    "log_loss": found["split0_test_log_loss"][i],
                    "epochs": int(found["split0_test_epochs"][i]),
                }

    def compare_alone(self) -> Iterator[Record]:
        """Yield the mean scores of a network per task, by seed."""
        for seed in self.options.seeds:
            if self.is_known(name=ALONE, seed=seed):
                continue
            found = [self.search(seed, [EQUAL], task) for task in self.Y.columns]
            scores = {
                short: float(np.nanmean([f[f"split0_test_{name}"][0] for f in found]))
                for short, name in {"auc": "roc_auc", "log_loss": "log_loss"}.items()
            }
            epochs = float(np.mean([f["split0_test_epochs"][0] for f in found]))
            yield {"table": self.table, "name": ALONE, "seed": seed, **scores, "epochs": epochs}

    def time(self, group: Sequence[dict[str, Any]]) -> Iterator[Record]:
        """Yield the seconds of fits of some candidates, each in turn with equal weights."""
        for params in group:
            if params != EQUAL and not self.is_known(name=name_of(params), seed=None):
                yield self._time(name_of(params), lambda params=params: self._clock(params))

    def time_alone(self) -> Iterator[Record]:
        """Yield the seconds of the fits of a network per task, in turn with equal weights."""
        if not self.is_known(name=ALONE, seed=None):
            tasks = list(self.Y.columns)
            yield self._time(ALONE, lambda: sum(self._clock(EQUAL, task) for task in tasks))

    def _time(self, name: str, clock: Callable[[], float]) -> Record:
        clock(), self._clock(EQUAL)  # compile where the scores were there already
        pairs = [(clock(), self._clock(EQUAL)) for _ in range(N_TIMED)]
        seconds, beside = zip(*pairs, strict=True)
        times = {"seconds": list(seconds), "equal_seconds": list(beside)}
        return {"table": self.table, "name": name, "seed": None, **times}

    def _clock(self, params: dict[str, Any], task: str | None = None) -> float:
        """Return the processor time of a search of one candidate, for some epochs, unscored."""
        # Compiled programs are those of the scored fits, but nothing ends these early.
        n_epochs = self.options.timed_epochs
        settings = {"epochs": n_epochs, "n_iter_no_change": n_epochs}
        start = time.process_time()
        self.search(self.options.seeds[0], [params], task, lambda *_: 0.0, **settings)
        return time.process_time() - start

    def is_known(self, **keys: Any) -> bool:
        """Return whether there is a record of this table with these keys."""
        wanted = {"table": self.table, **keys}
        records = read_records(self.options.results)
        return any(all(r[key] == value for key, value in wanted.items()) for r in records)

    def run(self) -> Iterator[Record]:
        """Yield all records that are missing."""
        candidates = [*METHODS, *STRUCTURES, *AVERAGING]
        for start in range(0, len(candidates), GROUP_SIZE):
            group = candidates[start : start + GROUP_SIZE]
            yield from self.compare(group)
            yield from self.time(group)
        yield from self.compare_alone()
        yield from self.time_alone()


def tabulate(records: Sequence[Record]) -> str:
    """Return the means over seeds of a table's records, and their differences to equal weights."""
    times = {r["name"]: r for r in records if r["seed"] is None}
    rows = []
    for name, found in by_name(records).items():
        cells = [name]
        for key in ("auc", "log_loss"):
            cells += [f"{found[key].mean():.4f}", *show_differences(found, key)]
        ratio = "1" if name == EQUAL_NAME else ""
        if name in times:
            seconds, beside = (np.array(times[name][key]) for key in ("seconds", "equal_seconds"))
            ratio = f"{np.median(seconds / beside):.2f}"
        rows.append([*cells, f"{found['epochs'].mean():.0f}", ratio])
    header = ["", "AUC", "difference", "ahead", "log loss", "difference", "ahead", "epochs", "time"]
    return as_markdown(header, rows, ["---", *["---:"] * 8])


def by_name(records: Sequence[Record]) -> dict[str, pd.DataFrame]:
    """Return the scores of each candidate by seed, with the differences to equal weights."""
    scores = pd.DataFrame([r for r in records if r["seed"] is not None])
    groups = {name: group.set_index("seed") for name, group in scores.groupby("name")}
    equal = groups[EQUAL_NAME]
    for group in groups.values():
        group["auc_gain"] = group["auc"] - equal["auc"]
        group["log_loss_gain"] = equal["log_loss"] - group["log_loss"]
    names = [*map(name_of, [*METHODS, *AVERAGING, *STRUCTURES]), ALONE]
    return {name: groups[name] for name in names if name in groups}


def show_differences(found: pd.DataFrame, key: str) -> list[str]:
    """Return the mean difference with its standard error, and on how many seeds it is better."""
    gains = found[f"{key}_gain"]
    if not gains.any():
        return ["", ""]
    mean = gains.mean() if key == "auc" else -gains.mean()
    return [f"{mean:+.4f} ± {gains.sem():.4f}", f"{(gains > 0).sum()} of {len(gains)}"]


def summarise(records: Sequence[Record]) -> str:
    """Return what the seeds of a table can tell, as a paragraph."""
    found = {n: f for n, f in by_name(records).items() if n not in (EQUAL_NAME, ALONE)}
    lines = []
    for key, word in (("auc", "AUC"), ("log_loss", "log loss")):
        gains = pd.DataFrame({name: group[f"{key}_gain"] for name, group in found.items()})
        least = stats.t.ppf(0.975, gains.count() - 1) * gains.sem()
        better, worse = gains.mean() > least, gains.mean() < -least
        lines.append(
            f"{word}: to be told from none, a difference must be at least {least.median():.4f} for "
            f"half of the candidates. Better than equal weights: {_list(gains, better)}. Worse: "
            f"{_list(gains, worse)}."
        )
    return "\n\n".join(lines)


def _list(gains: pd.DataFrame, is_meant: pd.Series) -> str:
    return ", ".join(f"`{name}`" for name in gains.columns[is_meant]) or "none"


def parse_arguments() -> argparse.Namespace:
    parser = make_folder_parser(__doc__, TABLES, [0, 1, 2, 3, 4])
    parser.add_argument("results", type=Path, help="file of JSON lines, appended to")
    parser.add_argument("--show", action="store_true", help="only show what is there")
    parser.add_argument("--page", type=Path, help="put the tables on this page")
    parser.add_argument("--rows", type=int, default=2_000, help="to train on")
    parser.add_argument("--test-rows", type=int, default=4_000)
    parser.add_argument("--hidden", nargs="+", type=int, default=[64, 64], help="widths of layers")
    parser.add_argument("--epochs", type=int, default=50, help="at most")
    parser.add_argument("--timed-epochs", type=int, default=30)
    return parser.parse_args()


def main() -> None:
    """Run what is missing, and print a table for each table."""
    options = parse_arguments()
    use_one_thread()
    # Classes that a draw of rows lacks are left out of the means.
    warnings.filterwarnings("ignore", category=UndefinedMetricWarning)
    for table in [] if options.show else options.tables:
        # On one thread, a search trains one candidate after another.
        with threadpool_limits(1):
            for record in Comparison(options, table).run():
                append_record(options.results, record)
                print(*record.values(), sep="  ", file=sys.stderr, flush=True)
    records = read_records(options.results)
    for table in options.tables:
        found = [record for record in records if record["table"] == table]
        if found:
            section = f"{tabulate(found)}\n\n{summarise(found)}"
            print(f"\n{table}\n\n{section}")
            if options.page is not None:
                put_on_page(options.page, table, section)


def put_on_page(page: Path, table: str, section: str) -> None:
    """Replace what stands between the marks of a table on the page."""
    begin, end = section_marks(f"balancing.py {table}")
    before, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(f"{before}{begin}\n{section}\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
