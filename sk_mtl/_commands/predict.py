"""``python -m sk_mtl predict``: predict the tasks of a model for the rows of a table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sk_mtl._commands.console import run_command, tell, warn
from sk_mtl._commands.formats import check_names, check_output
from sk_mtl._commands.models import KnownModel, load
from sk_mtl._commands.options import (
    add_quiet,
    add_reading,
    add_table,
    make_parser,
    read_names,
    reading_of,
)
from sk_mtl._commands.statistical import blank_out
from sk_mtl._commands.tables import Table, refuse_unknown, write_table
from sk_mtl._parquet import check_output as check_written
from sk_mtl._parquet import iterate_batches, open_dataset, write_batches
from sk_mtl._quoting import quote

__all__ = ["main"]

_ROWS_OF_A_BATCH = 65_536


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
    if options.table.is_dir():
        _predict_folder(options, model)
        return
    table = model.read(options.table, reading_of(options))
    stored = table.as_stored(options.output)
    refuse_unknown(stored, options.keep)
    X, unknown = model.features_of(table)
    warn(unknown.values())
    if not options.quiet:
        tell(table.notes_on(model.features))
    kept = list(dict.fromkeys(options.keep))
    result = pd.concat([stored[kept].reset_index(drop=True), _predict(model, X, options)], axis=1)
    write_table(result, options.output, origin=table, kept=kept)
    if not options.quiet:
        print(f"Wrote {options.output}: {len(result):,} rows, {result.shape[1]} columns")


def _predict(model: KnownModel, X: pd.DataFrame, options: argparse.Namespace) -> pd.DataFrame:
    """Return a column for each task, and those of probabilities if they are wanted."""
    predicted = model.clf.predict(X).reset_index(drop=True)
    if not options.probabilities:
        return predicted
    frame = model.clf.predict_proba_frame(X).reset_index(drop=True)
    names = [f"{task}={label}" for task, label in frame.columns]
    return pd.concat([predicted, frame.set_axis(names, axis=1)], axis=1)


def _predict_folder(options: argparse.Namespace, model: KnownModel) -> None:
    """Predict for a folder of Parquet files, which need not fit into memory."""
    if options.output.suffix.lower() != ".parquet":
        raise ValueError(
            f"The predictions for a folder are written to a .parquet file. Got "
            f"{quote(options.output.name)}."
        )
    missing = reading_of(options).missing_values
    kept = list(dict.fromkeys(options.keep))
    dataset = open_dataset(options.table, [*model.features, *kept])
    check_written(options.table, dataset, options.output)
    none = Table(options.table, pd.DataFrame(columns=dataset.schema.names))
    refuse_unknown(none.frame, kept)
    model.features_of(none)  # refuses a table without some of them
    columns = list(dict.fromkeys([*model.features, *kept]))
    told: set[str] = set()  # of each column, its unknown categories are told once

    def compute(frame: pd.DataFrame) -> pd.DataFrame:
        features = {name: blank_out(frame[name], missing) for name in model.features}
        X, unknown = model.features_of(Table(options.table, pd.DataFrame(features)))
        warn(sentence for column, sentence in unknown.items() if column not in told)
        told.update(unknown)
        return _predict(model, X, options)

    batches = iterate_batches(dataset, columns, compute, _ROWS_OF_A_BATCH)
    n_rows = write_batches(batches, options.output, kept)
    if not options.quiet:
        print(f"Wrote {options.output}: {n_rows:,} rows")
