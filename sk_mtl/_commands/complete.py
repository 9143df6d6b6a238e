"""``python -m sk_mtl complete``: fill the holes of the tasks of a table in a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sk_mtl._commands.console import plain_warnings, quiet_import
from sk_mtl._commands.tables import (
    FORMATS,
    categorize,
    check_format,
    read_table,
    refuse_unknown,
    split_features,
    write_table,
)
from sk_mtl._data.labels import read_labels
from sk_mtl._text_table import align_column, join_columns

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status: 2 for what the user has to change."""
    options = _make_parser().parse_args(arguments)
    with quiet_import():
        import tensorflow  # noqa: F401, ICN001
    try:
        with plain_warnings():
            _run(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sk_mtl complete",
        description=(
            "Fill the missing labels of some columns of a table, from its other columns and from "
            "the labels that a row has. The network learns from the rows of the same table, or "
            f"is loaded. Tables end with {FORMATS}."
        ),
    )
    parser.add_argument("table", type=Path, help="the table to read")
    parser.add_argument("output", type=Path, help="where to write it, its holes filled")
    parser.add_argument(
        "--tasks", type=_read_names, metavar="A,B", help="the columns to fill; those of --model"
    )
    parser.add_argument(
        "--drop", type=_read_names, default=[], metavar="C,D", help="columns that are no features"
    )
    parser.add_argument(
        "--missing",
        type=_read_values,
        default=[],
        metavar="98,99",
        help="labels that mean missing, besides empty cells",
    )
    parser.add_argument(
        "--group", metavar="NAME", help="a column of groups, such as people, that stay together"
    )
    parser.add_argument(
        "--indicator",
        action="store_true",
        help="let the network see which labels are missing (known_labels='with_indicator')",
    )
    parser.add_argument("--best", action="store_true", help="better and slower settings")
    parser.add_argument("--model", type=Path, metavar="FILE", help="a model of `save_model`")
    parser.add_argument(
        "--save-model", type=Path, metavar="FILE", help="where to save the model that was fitted"
    )
    parser.add_argument(
        "--probabilities", type=Path, metavar="FILE", help="where to write all probabilities"
    )
    parser.add_argument("--random-state", type=int, default=0, metavar="N", help="seed of the fit")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    return parser


def _run(options: argparse.Namespace) -> None:
    from sk_mtl._model_file import load_model, save_model

    outputs = [path for path in (options.output, options.probabilities) if path is not None]
    for path in outputs:
        check_format(path)  # before anything is computed
    table = read_table(options.table)
    if options.model is None:
        clf, X, Y = _fit(table, options)
        if options.save_model is not None:
            save_model(clf, options.save_model)
    else:
        clf = load_model(options.model)
        if not hasattr(clf, "feature_names_in_"):
            raise ValueError(
                f"{options.model} was fitted to an array, whose columns have no names."
            )
        names = list(clf.feature_names_in_)
        refuse_unknown(table, names)
        X = categorize(table[names])
        Y = table[[task for task in clf.task_names_ if task in table.columns]]
    completed = clf.complete(X, Y) if Y.shape[1] else clf.predict(X)
    if options.probabilities is not None:
        frame = clf.complete_proba_frame(X, Y) if Y.shape[1] else clf.predict_proba_frame(X)
        frame.columns = [f"{task}={label}" for task, label in frame.columns]
        write_table(frame, options.probabilities)
    filled = table.assign(**dict(completed.items()))
    write_table(filled, options.output)
    if not options.quiet:
        print(_describe(clf, Y, len(table)))
        for path in outputs:
            print(f"Wrote {path}")


def _fit(table: Any, options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Return a classifier fitted to the table, its features, and its labels."""
    from sk_mtl._classifier import MultiTaskClassifier

    if not options.tasks:
        raise ValueError("Name the columns to fill, --tasks A,B, or a saved model, --model FILE.")
    refuse_unknown(table, options.tasks)
    others = [*options.tasks, *options.drop]
    groups = None
    if options.group is not None:
        refuse_unknown(table, [options.group])
        groups, others = table[options.group], [*others, options.group]
    X, Y = split_features(table, others), table[options.tasks]
    make: Any = MultiTaskClassifier.best if options.best else MultiTaskClassifier
    clf = make(
        known_labels="with_indicator" if options.indicator else True,
        missing_label=options.missing or None,
        random_state=options.random_state,
        verbose=0 if options.quiet else 1,
    )
    return clf.fit(X, Y, groups=groups), X, Y


def _describe(clf: Any, Y: Any, n_rows: int) -> str:
    """Return a line for each task: labels known, and filled."""
    known = dict.fromkeys(clf.task_names_, 0)
    if Y.shape[1]:
        mask = read_labels(Y, missing_label=clf.missing_label).label_mask
        known |= dict(zip(Y.columns, mask.sum(axis=0).tolist(), strict=True))
    columns = [
        align_column(["task", *map(str, known)], left=True),
        align_column(["known", *(f"{n:,}" for n in known.values())]),
        align_column(["filled", *(f"{n_rows - n:,}" for n in known.values())]),
    ]
    return "\n".join(join_columns(columns))


def _read_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _read_values(text: str) -> list[Any]:
    return [_read_value(value) for value in _read_names(text)]


def _read_value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
