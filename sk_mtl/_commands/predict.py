"""``python -m sk_mtl predict``: predict the tasks of a model for the rows of a table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sk_mtl._commands.console import run_command, tell, warn
from sk_mtl._commands.formats import check_names, check_output
from sk_mtl._commands.models import load
from sk_mtl._commands.options import (
    add_quiet,
    add_reading,
    add_table,
    make_parser,
    read_names,
    reading_of,
)
from sk_mtl._commands.tables import refuse_unknown, write_table
from sk_mtl._quoting import quote

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    return run_command(_make_parser(), _run, arguments)


def _make_parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "predict",
        "Predict the tasks of a saved model for the rows of a table. The result has a row for each "
        "row of the table, in its order.",
    )
    add_table(parser)
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="where to write predictions")
    parser.add_argument(
        "--model", type=Path, required=True, metavar="FILE", help="a model that `fit` has saved"
    )
    parser.add_argument(
        "--keep", type=read_names, default=[], metavar="A,B", help="columns to copy, such as an id"
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="add a column `task=label` for the probability of each class",
    )
    add_reading(parser, is_fit=False)
    add_quiet(parser)
    return parser


def _run(options: argparse.Namespace) -> None:
    check_output(options.output, inputs=[options.table, options.model])
    model = load(options.model)
    if options.probabilities:
        names = [f"{task}={label}" for task, labels in model.classes.items() for label in labels]
        check_names(names, options.output)
    taken = [name for name in options.keep if name in model.tasks]
    if taken:
        raise ValueError(
            f"{quote(taken[0])} is a task of the model: its column holds the predictions. Keep "
            "other columns, or fill the holes of the tasks: python -m sk_mtl complete."
        )
    table = model.read(options.table, reading_of(options))
    stored = table.as_stored(options.output)
    refuse_unknown(stored, options.keep)
    X, unknown = model.features_of(table)
    warn(unknown)
    if not options.quiet:
        tell(table.notes_on(model.features))
    kept = list(dict.fromkeys(options.keep))
    parts = [stored[kept].reset_index(drop=True), model.clf.predict(X).reset_index(drop=True)]
    if options.probabilities:
        frame = model.clf.predict_proba_frame(X).reset_index(drop=True)
        parts.append(frame.set_axis([f"{task}={label}" for task, label in frame.columns], axis=1))
    result = pd.concat(parts, axis=1)
    write_table(result, options.output, origin=table, kept=kept)
    if not options.quiet:
        print(f"Wrote {options.output}: {len(result):,} rows, {result.shape[1]} columns")
