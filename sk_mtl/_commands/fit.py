"""``python -m sk_mtl fit``: fit a network to a table, and save it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sk_mtl._commands.console import run_command, warn
from sk_mtl._commands.formats import check_format, check_output
from sk_mtl._commands.learning import (
    TrainingData,
    column_of_groups,
    column_of_weights,
    fit_classifier,
    gather,
)
from sk_mtl._commands.models import KnownModel
from sk_mtl._commands.options import (
    add_fit_options,
    add_quiet,
    add_reading,
    add_table,
    make_parser,
    read_names,
    reading_of,
)
from sk_mtl._commands.tables import read_table
from sk_mtl._data.labels import read_labels
from sk_mtl._text_table import align_column, join_columns, write_share

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    return run_command(_make_parser(), _run, arguments)


def _make_parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "fit",
        "Fit one network to several columns of a table, the tasks, from its other columns, and "
        "save it. Labels may be missing.",
    )
    add_table(parser)
    parser.add_argument(
        "--tasks", type=read_names, required=True, metavar="A,B", help="the columns to learn"
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="FILE", help="where to save the model"
    )
    add_fit_options(parser)
    parser.add_argument(
        "--known-labels",
        action="store_true",
        help="let the network also read the known labels of a row, for `complete`",
    )
    parser.add_argument(
        "--test-size",
        type=_read_share,
        metavar="SHARE",
        help="set this share of the rows aside, and score the model on them",
    )
    parser.add_argument("--test-table", type=Path, metavar="TABLE", help="score it on this table")
    add_reading(parser, is_fit=True)
    add_quiet(parser)
    return parser


def _read_share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, got {text}")
    return value


def _run(options: argparse.Namespace) -> None:
    from sk_mtl._model_file import save_model

    check_output(options.model, inputs=[options.table, options.test_table], is_table=False)
    reading = reading_of(options)
    if not options.tasks:
        raise ValueError("Name the columns to learn: --tasks A,B.")
    if options.test_table is not None:
        if options.test_size is not None:
            raise ValueError("Name a table to test on or a share of this one, and not both.")
        check_format(options.test_table)
        with options.test_table.open("rb"):
            pass  # rather than after the fit
    table = read_table(options.table, reading, tasks=options.tasks, categorical=options.categorical)
    data = gather(table, options)
    train, test = data, None
    if options.test_size is not None:
        rows = _split(data, options)
        train, test = (data.take(part) for part in rows)
    known_labels = "with_indicator" if options.indicator else options.known_labels
    clf = fit_classifier(train, options, known_labels)
    model = KnownModel.of(clf)
    if options.test_table is not None:
        test = _read_test(model, options, reading)
    save_model(clf, options.model)
    if options.quiet:
        return
    print(_describe(clf, train))
    if test is not None:
        _print_scores(model, test, options)
    print(f"Wrote {options.model} ({options.model.stat().st_size / 1e6:.1f} MB)")


def _split(data: TrainingData, options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and to test on; groups stay whole."""
    from sk_mtl.model_selection import MultiTaskStratifiedGroupKFold, train_test_split

    missing, seed = options.missing or None, options.random_state
    if data.groups is None:
        parts = train_test_split(
            data.X,
            data.Y,
            np.arange(len(data.X)),
            test_size=options.test_size,
            random_state=seed,
            missing_label=missing,
        )
        return parts[4], parts[5]
    n_splits = max(2, round(1 / options.test_size))
    folds = MultiTaskStratifiedGroupKFold(
        n_splits=n_splits, shuffle=True, random_state=seed, missing_label=missing
    )
    return next(iter(folds.split(data.X, data.Y, data.groups)))


def _read_test(model: KnownModel, options: argparse.Namespace, reading: Any) -> TrainingData:
    """Return the rows of another table to test on."""
    table = model.read(options.test_table, reading)
    X, unknown = model.features_of(table)
    warn(unknown)
    groups = options.group if options.group in table.frame.columns else None
    weight = column_of_weights(table, options.weight)
    return TrainingData(X, model.labels_of(table), column_of_groups(table, groups), weight)


def _print_scores(model: KnownModel, test: TrainingData, options: argparse.Namespace) -> None:
    """Print the scores on rows that were not trained on."""
    from sk_mtl._commands.scores import score_predictions

    clf = model.clf
    report = score_predictions(
        test.Y,
        clf.predict(test.X),
        dict(clf.predict_proba(test.X).items()),
        classes=model.classes,
        missing_label=clf.missing_label,
        weights=test.weights,
        groups=test.groups,
        n_bootstraps=1000,
        random_state=options.random_state,
    )
    print(f"\nScores on {len(test.X):,} rows that were not trained on:\n\n{report}\n")


def _describe(clf: Any, data: TrainingData) -> str:
    """Return what was learned from: labels and classes by task, rows, features, and epochs."""
    mask = read_labels(data.Y, missing_label=clf.missing_label).label_mask
    tasks = list(clf.task_names_)
    columns = [
        align_column(["task", *tasks], left=True),
        align_column(["labelled", *(f"{n:,}" for n in mask.sum(axis=0))]),
        align_column(["share", *(write_share(share, " %") for share in mask.mean(axis=0))]),
        align_column(["classes", *(str(n) for n in clf.n_classes_)]),
    ]
    epochs = f"{clf.n_iter_} epoch{'s' * (clf.n_iter_ != 1)}" + (
        f", weights of epoch {clf.best_iter_} kept" if 0 < clf.best_iter_ < clf.n_iter_ else ""
    )
    head = f"{len(data.X):,} rows, {data.X.shape[1]} features; {epochs}."
    return "\n".join([head, *join_columns(columns)])
