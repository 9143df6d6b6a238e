"""``python -m sk_mtl complete``: fill the holes of the tasks of a table in a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._commands.console import run_command, tell, warn
from sk_mtl._commands.filling import fill_columns
from sk_mtl._commands.formats import check_names, check_output, family_of
from sk_mtl._commands.learning import fit_classifier, gather
from sk_mtl._commands.models import KnownModel, load
from sk_mtl._commands.options import (
    add_fit_options,
    add_quiet,
    add_reading,
    add_table,
    make_parser,
    read_names,
    reading_of,
)
from sk_mtl._commands.tables import Table, read_table, write_table
from sk_mtl._data.labels import read_labels
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some
from sk_mtl._text_table import align_column, join_columns

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status: 2 for what the user has to change."""
    return run_command(_make_parser(), _run, arguments)


def _make_parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "complete",
        "Fill the missing labels of some columns of a table, from its other columns and from the "
        "labels that a row has. The network learns from the rows of the same table, or is loaded. "
        "Other columns are written as they are.",
    )
    add_table(parser)
    parser.add_argument(
        "output", type=Path, metavar="OUTPUT", help="where to write it, its holes filled"
    )
    parser.add_argument(
        "--tasks", type=read_names, metavar="A,B", help="the columns to fill; those of --model"
    )
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a model of `fit` or `save_model`"
    )
    parser.add_argument(
        "--save-model", type=Path, metavar="FILE", help="where to save the model that was fitted"
    )
    parser.add_argument(
        "--probabilities", type=Path, metavar="FILE", help="where to write all probabilities"
    )
    add_fit_options(parser)
    add_reading(parser, is_fit=True)
    add_quiet(parser)
    return parser


def _run(options: argparse.Namespace) -> None:
    from sk_mtl._model_file import save_model

    outputs = [path for path in (options.output, options.probabilities) if path is not None]
    for path in outputs:  # before anything is computed
        check_output(path, inputs=[options.model])
    # The table itself may be replaced by the one that is filled.
    check_output(options.probabilities, inputs=[options.table, options.output])
    read_or_written = [options.table, *outputs]
    check_output(options.save_model, inputs=read_or_written, is_table=False)
    if options.probabilities is not None:
        check_names(["task=label"], options.probabilities)
    if options.model is not None:
        _refuse_fit_options(options)
        model = load(options.model)
        if len(set(options.tasks or ())) < len(options.tasks or ()):
            raise ValueError("--tasks names a column more than once. Name it once.")
        unknown = [task for task in options.tasks or () if task not in model.tasks]
        if unknown:
            raise ValueError(
                f"{options.model} has no task {quote(unknown[0])}. Its tasks are "
                f"{enumerate_some(map(repr, model.tasks))}."
            )
        table = model.read(options.table, reading_of(options))
        _check_columns(table, model.tasks, options.output)
        X, unknown_categories = model.features_of(table)
        warn(unknown_categories.values())
        if not options.quiet:
            tell(table.notes_on({*model.features, *model.tasks}))
        Y = model.labels_of(table)
    else:
        model, table, X, Y = _fit(options)
        if options.save_model is not None:
            save_model(model.clf, options.save_model)
    clf = model.clf
    completed = clf.complete(X, Y) if Y.shape[1] else clf.predict(X)
    completed = completed[options.tasks or list(completed.columns)]
    is_known = _find_known(clf, Y, len(X))
    is_known = {task: is_known[task] for task in completed.columns}
    filled, kept = fill_columns(table, completed, is_known, options.output)
    if options.probabilities is not None:
        frame = clf.complete_proba_frame(X, Y) if Y.shape[1] else clf.predict_proba_frame(X)
        frame.columns = [f"{task}={label}" for task, label in frame.columns]
        write_table(frame, options.probabilities)
    write_table(filled, options.output, origin=table, kept=kept)
    if not options.quiet:
        print(_describe(is_known))
        for path in outputs:
            print(f"Wrote {path}")


def _fit(options: argparse.Namespace) -> tuple[KnownModel, Table, pd.DataFrame, pd.DataFrame]:
    """Return a model fitted to the table, the table, its features, and its labels."""
    if not options.tasks:
        raise ValueError("Name the columns to fill, --tasks A,B, or a saved model, --model FILE.")
    table = read_table(
        options.table, reading_of(options), tasks=options.tasks, categorical=options.categorical
    )
    _check_columns(table, options.tasks, options.output)
    data = gather(table, options)
    clf = fit_classifier(data, options, "with_indicator" if options.indicator else True)
    return KnownModel.of(clf), table, data.X, data.Y


def _refuse_fit_options(options: argparse.Namespace) -> None:
    """Refuse options of a fit beside a model, which has been fitted."""
    defaults = _make_parser().parse_args(["table", "output"])
    names = ("drop", "missing", "group", "weight", "indicator", "best", "param", "save_model")
    for name in (*names, "categorical", "keep_codes"):
        if getattr(options, name) != getattr(defaults, name):
            raise ValueError(
                f"--{name.replace('_', '-')} says how a network is fitted. --model names one that "
                "has been, and is used as it is. Leave out one of them."
            )


def _check_columns(table: Table, tasks: Sequence[str], path: Path) -> None:
    """Refuse names that the output cannot hold; a file of the same kind holds those of its own."""
    if family_of(path) != family_of(table.path):
        check_names([*table.frame.columns, *tasks], path)


def _find_known(clf: Any, Y: pd.DataFrame, n_rows: int) -> dict[str, np.ndarray]:
    """Return which rows have a label, by task."""
    known = {task: np.zeros(n_rows, dtype=bool) for task in clf.task_names_}
    if Y.shape[1]:
        mask = read_labels(Y, missing_label=clf.missing_label).label_mask
        known |= dict(zip(Y.columns, mask.T, strict=True))
    return known


def _describe(is_known: dict[str, np.ndarray]) -> str:
    """Return a line for each task: labels known, and filled."""
    known = {task: int(rows.sum()) for task, rows in is_known.items()}
    filled = [len(rows) - known[task] for task, rows in is_known.items()]
    columns = [
        align_column(["task", *known], left=True),
        align_column(["known", *(f"{n:,}" for n in known.values())]),
        align_column(["filled", *(f"{n:,}" for n in filled)]),
    ]
    return "\n".join(join_columns(columns))
