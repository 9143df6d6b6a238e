"""Fit settings of MultiTaskClassifier on tables, and record their scores.

Each fit becomes one line of the results: scores on the validation and the test part, seconds,
epochs. Fits that are there already are not repeated, so that a run can be stopped and gone on with.
`compare.py` shows the scores.

Usage: python docs/benchmarks/quality/fit.py RESULTS --folder FOLDER --tables tox21 census
           --splits rand0 --settings defaults --seeds 0 1 2
"""

import argparse
import math
import time
from functools import lru_cache
from typing import Any

import numpy as np
from _records import Record, add_missing, iterate_fits, make_results_parser
from _scores import score_part
from _settings import SETTINGS, STUDIES, make_schedule, start_kernels_by
from _tables import as_frame, load_table, prepare, scale, table_names, take_rows

from sk_mtl import MultiTaskClassifier


def main() -> None:
    options = _parse_options()
    settings = {name: SETTINGS[name] for name in options.settings or ()}
    for study in options.study or ():
        settings |= STUDIES[study]
    jobs = iterate_fits(options, settings, lambda name: load_table(name, options.folder).splits)

    def run(job: Record) -> Record:
        return fit_and_score(
            job["table"], options.folder, job["split"], job["settings"], job["seed"]
        )

    add_missing(options.results, jobs, run, _describe)


def fit_and_score(
    table_name: str, folder: str | None, split: str, setting: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Fit one setting on one split; return the scores of both parts.

    A setting without `scaling` gets the features as they are. The fit has the training rows, and
    those for validation to watch. With `watched` "held out" it has the training rows only, with
    "all rows" both to train on, and holds out itself.
    """
    setting = dict(setting)
    scaling, watching = setting.pop("scaling", None), setting.pop("watched", "validation")
    if scaling is not None:
        setting["standardize"] = False
    start_kernels_by(setting.pop("initialization", "default"))
    table = load_table(table_name, folder)
    train, valid, test = table.splits[split]
    X = _features(table_name, folder, split, scaling)
    watched = {}
    if table.watched and watching == "validation":
        watched["validation_data"] = take_rows(X, valid), table.Y.iloc[valid]
    fitted = train
    if table.watched and watching == "all rows":
        fitted = np.concatenate([train, valid])
    schedule = setting.pop("schedule", None)
    clf = MultiTaskClassifier(**setting, random_state=seed)
    if schedule is not None:
        n_rows = int(table.Y.iloc[fitted].notna().any(axis=1).sum())
        steps_per_epoch = math.ceil(n_rows / clf._settings().resolve_batch_size(n_rows))
        clf.set_params(optimizer__learning_rate=make_schedule(*schedule, steps_per_epoch))
    start = time.perf_counter()
    clf.fit(take_rows(X, fitted), table.Y.iloc[fitted], **watched)
    seconds = time.perf_counter() - start
    classes = list(clf.classes_)
    scores = {
        part: score_part(truth.iloc[rows], clf.predict_proba(take_rows(X, rows)), classes)
        for part, truth, rows in (
            ("valid", table.Y if table.watched else table.truth, valid),
            ("test", table.truth, test),
        )
    }
    return scores | {
        "seconds": round(seconds, 2),
        "epochs": clf.n_iter_,
        "best_epoch": clf.best_iter_,
    }


@lru_cache(maxsize=3)
def _features(table_name: str, folder: str | None, split: str, scaling: str | None) -> Any:
    table = load_table(table_name, folder)
    if scaling is None:
        return as_frame(table.X)
    train = table.splits[split][0]
    return scale(prepare(table.X, train), train, scaling)


def _describe(record: Record) -> str:
    valid = record["valid"]
    return (
        f"{record['table']} {record['split']} seed {record['seed']} {record['name']}: "
        f"validation AUC {valid['auc']:.4f} log loss {valid['log_loss']:.4f} "
        f"({record['best_epoch']} of {record['epochs']} epochs, {record['seconds']:.0f} s)"
    )


def _parse_options() -> argparse.Namespace:
    parser = make_results_parser(__doc__, [0])
    parser.add_argument("--tables", nargs="+", choices=table_names(), required=True)
    parser.add_argument("--splits", nargs="+", help="default: all of a table")
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS))
    parser.add_argument("--study", nargs="+", choices=list(STUDIES), help="groups of settings")
    return parser.parse_args()


if __name__ == "__main__":
    main()
