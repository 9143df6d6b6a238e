"""``python -m sk_mtl evaluate``: the scores of a model on the labelled cells of a table."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sk_mtl._commands.console import run_command, tell, warn
from sk_mtl._commands.formats import check_output
from sk_mtl._commands.learning import column_of_groups, column_of_weights, refuse_two_roles
from sk_mtl._commands.models import KnownModel, load
from sk_mtl._commands.options import (
    add_bootstraps,
    add_quiet,
    add_reading,
    add_table,
    make_parser,
    reading_of,
)
from sk_mtl._commands.tables import Table, write_table
from sk_mtl._tasks import enumerate_some

__all__ = ["Evaluation", "evaluate", "main"]

_MIN_WIDTH, _MAX_WIDTH = 60, 140


@dataclass(frozen=True)
class Evaluation:
    """A model, a table with labels, and the scores of the one on the other."""

    model: KnownModel
    table: Table
    X: pd.DataFrame
    Y: pd.DataFrame
    probabilities: dict[str, Any]
    weights: pd.Series | None
    groups: pd.Series | None
    report: Any
    notes: list[str]


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    return run_command(_make_parser(), _run, arguments)


def _make_parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "evaluate",
        "Score a saved model on the labelled cells of a table: metrics by task, with 95 % "
        "bootstrap intervals, beside those of a predictor that knows the class shares only.",
    )
    add_table(parser)
    parser.add_argument(
        "--model", type=Path, required=True, metavar="FILE", help="a model that `fit` has saved"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="a table to write all numbers to"
    )
    add_bootstraps(parser)
    add_reading(parser, is_fit=False)
    add_quiet(parser)
    return parser


def _run(options: argparse.Namespace) -> None:
    from sk_mtl._commands.scores import as_long_table

    check_output(options.output, inputs=[options.table, options.model])
    found = evaluate(options)
    if not options.quiet:
        tell(found.notes)
    if options.output is None or not options.quiet:
        width = min(max(shutil.get_terminal_size().columns, _MIN_WIDTH), _MAX_WIDTH)
        print(found.report.to_text(line_width=width))
    if options.output is not None:
        write_table(as_long_table(found.report), options.output)
        if not options.quiet:
            print(f"\nWrote {options.output}")


def evaluate(options: argparse.Namespace) -> Evaluation:
    """Score the model of a command on its table."""
    from sk_mtl._commands.scores import score_predictions

    refuse_two_roles(options)
    model = load(options.model)
    clf = model.clf
    table = model.read(options.table, reading_of(options))
    Y, unknown_labels = model.scored_labels_of(table)
    lacking = [task for task in model.tasks if task not in Y.columns]
    groups = column_of_groups(table, options.group)
    weights = column_of_weights(table, options.weight)
    X, unknown = model.features_of(table)
    warn([*unknown.values(), *unknown_labels])
    notes = table.notes_on({*model.features, *model.tasks})
    if lacking:
        notes.append(f"The table lacks the task(s) {enumerate_some(map(repr, lacking))}.")
    if clf.known_labels:
        notes.append(
            "The model can read known labels. These are its scores without them, from the "
            "features alone; sk_mtl.metrics.completion_score scores it with them."
        )
    probabilities = dict(clf.predict_proba(X).items())
    report = score_predictions(
        Y,
        clf.predict(X),
        probabilities,
        classes=model.classes,
        missing_label=clf.missing_label,
        weights=weights,
        groups=groups,
        n_bootstraps=options.bootstraps,
        random_state=options.random_state,
    )
    return Evaluation(model, table, X, Y, probabilities, weights, groups, report, notes)
