"""``python -m sk_mtl fit``: fit a network to a table, and save it."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sk_mtl._commands.console import run_command, tell, warn
from sk_mtl._commands.formats import check_format, check_output
from sk_mtl._commands.learning import (
    TrainingData,
    column_of_groups,
    column_of_weights,
    fit_classifier,
    gather,
)
from sk_mtl._commands.models import KnownColumns, KnownModel
from sk_mtl._commands.options import (
    add_fit_options,
    add_quiet,
    add_reading,
    add_table,
    make_parser,
    read_names,
    reading_of,
)
from sk_mtl._commands.tables import Reading, read_table
from sk_mtl._data.labels import read_labels
from sk_mtl._quoting import quote
from sk_mtl._text_table import align_column, join_columns, write_share

__all__ = ["main"]

# A share of rows to test on is made of folds of groups, at most so many; the fewest that come as
# near as this to it are taken. A share that differs by more than the last number is told.
_MAX_FOLDS = 50
_MAX_ERROR = 0.005
_MAX_OTHER_SHARE = 0.02


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
        help="set this share of the rows aside, and score the model on them; it is fitted to the "
        "others only, and saved so",
    )
    parser.add_argument(
        "--test-table",
        type=Path,
        metavar="TABLE",
        help="score it on this table, which must have the columns of --group and --weight, too",
    )
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
    table = read_table(options.table, reading, tasks=options.tasks, categorical=options.categorical)
    data = gather(table, options)
    train, test = data, None
    if options.test_size is not None:
        rows = _split(data, options)
        train, test = (data.take(part) for part in rows)
    if options.test_table is not None:  # rather now than after the fit
        columns = KnownColumns.of_data(train.X, train.Y, train.missing_label)
        _read_test(columns, options, reading)
    known_labels = "with_indicator" if options.indicator else options.known_labels
    clf = fit_classifier(train, options, known_labels)
    model = KnownModel.of(clf)
    save_model(clf, options.model)
    if not options.quiet:
        print(_describe(model, train))
        print(f"Wrote {options.model} ({options.model.stat().st_size / 1e6:.1f} MB)")
    if options.test_table is not None:
        test, sentences = _read_test(model, options, reading)
        warn(sentences)
    if test is not None:
        _print_scores(model, test, options)


def _split(data: TrainingData, options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and to test on; groups stay whole."""
    from sk_mtl.model_selection import MultiTaskStratifiedGroupKFold, train_test_split

    missing, seed = data.missing_label, options.random_state
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
    n_folds = _find_n_folds(options.test_size, data.groups.nunique())
    folds = MultiTaskStratifiedGroupKFold(
        n_splits=n_folds, shuffle=True, random_state=seed, missing_label=missing
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rare classes: nothing is scored by fold
        parts = [test for _, test in folds.split(data.X, data.Y, data.groups)]
    # The folds, of which some may be larger than others, that come nearest to the share.
    shares = np.cumsum([len(part) for part in parts])[:-1] / len(data.X)
    best = int(np.abs(shares - options.test_size).argmin())
    test = np.sort(np.concatenate(parts[: best + 1]))
    if not options.quiet and abs(shares[best] - options.test_size) > _MAX_OTHER_SHARE:
        tell(
            [
                f"Groups stay whole: {write_share(shares[best], ' %')} of the rows are set aside, "
                f"and not {write_share(options.test_size, ' %')}."
            ]
        )
    return np.setdiff1d(np.arange(len(data.X)), test), test


def _find_n_folds(share: float, n_groups: int) -> int:
    """Return the smallest number of folds some of which make the share, or come nearest to it."""
    numbers = np.arange(2, max(2, min(n_groups, _MAX_FOLDS)) + 1)
    n_tested = np.clip(np.round(share * numbers), 1, numbers - 1)
    errors = np.abs(n_tested / numbers - share)
    return int(numbers[np.argmax(errors <= max(errors.min(), _MAX_ERROR))])


def _read_test(
    columns: KnownColumns, options: argparse.Namespace, reading: Reading
) -> tuple[TrainingData, list[str]]:
    """Return the rows of another table to test on, and what the model does not know of them."""
    table = columns.read(options.test_table, reading)
    for option, name in (("--group", options.group), ("--weight", options.weight)):
        if name is not None and name not in table.frame.columns:
            raise ValueError(
                f"{options.test_table} has no column {quote(name)}, which {option} names: the "
                "scores and their intervals are of weighted rows and whole groups."
            )
    Y, unknown_labels = columns.scored_labels_of(table)
    X, unknown = columns.features_of(table)
    groups = column_of_groups(table, options.group)
    data = TrainingData(X, Y, groups, column_of_weights(table, options.weight))
    return data, [*unknown.values(), *unknown_labels]


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
    print(f"\nScores on {len(test.X):,} rows that were not trained on:\n\n{report}")


def _describe(model: KnownModel, data: TrainingData) -> str:
    """Return what was learned from: labels and classes by task, rows, features, and epochs."""
    clf = model.clf
    mask = read_labels(data.Y, missing_label=clf.missing_label).label_mask
    tasks = list(clf.task_names_)
    columns = [
        align_column(["task", *tasks], left=True),
        align_column(["labelled", *(f"{n:,}" for n in mask.sum(axis=0))]),
        align_column(["share", *(write_share(share, " %") for share in mask.mean(axis=0))]),
        align_column(["classes", *(str(n) for n in clf.n_classes_)]),
    ]
    epochs = f"{clf.n_iter_} epoch{'s' * (clf.n_iter_ != 1)}{model.kept_weights}"
    head = f"{len(data.X):,} rows, {data.X.shape[1]} features; {epochs}."
    return "\n".join([head, *join_columns(columns)])
