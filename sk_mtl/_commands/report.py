"""``python -m sk_mtl report``: a page about a model and a table with labels."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sk_mtl._codec.files import replace_file
from sk_mtl._commands.console import run_command, tell
from sk_mtl._commands.evaluate import Evaluation, evaluate
from sk_mtl._commands.figures import Figures, require_matplotlib
from sk_mtl._commands.formats import check_output
from sk_mtl._commands.options import (
    add_bootstraps,
    add_quiet,
    add_reading,
    add_table,
    make_parser,
    reading_of,
)
from sk_mtl._commands.page import (
    figure_grid,
    list_facts,
    paragraphs,
    table,
    wide_figure,
    write_page,
)
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some
from sk_mtl._text_table import write_share

__all__ = ["main"]

_ENDINGS = (".html", ".htm")
_MAX_DRAWN_TASKS = 12  # that have figures of their own
# The importance of features takes a prediction for each feature and repeat: so many rows and
# repeats for up to so many features, fewer beyond, and none beyond the last number.
_EFFORTS = {200: (2_000, 5), 2_000: (500, 1)}
_MAX_RESAMPLES = 200  # for the intervals of an importance
_MAX_SHOWN = 10


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    return run_command(_make_parser(), _run, arguments)


def _make_parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "report",
        "Write a page about a saved model and a table with labels: what they are, label coverage, "
        "scores with 95 % intervals beside a constant predictor, curves, calibration, learning "
        "curves, and importance of the features. It is one HTML file without scripts.",
    )
    add_table(parser)
    parser.add_argument("output", type=Path, metavar="PAGE", help="where to write it, a .html file")
    parser.add_argument(
        "--model", type=Path, required=True, metavar="FILE", help="a model that `fit` has saved"
    )
    parser.add_argument("--title", metavar="TEXT", help="the title of the page")
    add_bootstraps(parser)
    add_reading(parser, is_fit=False)
    add_quiet(parser)
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.output.suffix.lower() not in _ENDINGS:
        raise ValueError(
            f"The name of a page must end with .html. Got {quote(options.output.name)}."
        )
    check_output(options.output, inputs=[options.table, options.model], is_table=False)
    reading_of(options)  # complains before matplotlib is imported
    require_matplotlib()
    found = evaluate(options)
    if not options.quiet:
        tell(found.notes)
    page = _write(found, options)
    replace_file(str(options.output), page.encode())
    if not options.quiet:
        print(f"Wrote {options.output} ({options.output.stat().st_size / 1e6:.1f} MB)")


def _write(found: Evaluation, options: argparse.Namespace) -> str:
    """Return the page."""
    figures = Figures()
    tasks = list(found.Y.columns)
    title = options.title or f"{options.model.name} on {options.table.name}"
    sections = [
        ("model", "Model", list_facts(_describe_model(found, options))),
        ("table", "Table", _describe_table(found, options)),
        ("coverage", "Label coverage", _show_coverage(found, figures)),
        ("scores", "Scores", _show_scores(found)),
        ("roc", "ROC curves", _show_curves(found, figures, "TaskRocCurveDisplay", "ROC curve")),
        (
            "precision-recall",
            "Precision and recall",
            _show_curves(found, figures, "TaskPrecisionRecallDisplay", "precision-recall curve"),
        ),
        (
            "calibration",
            "Calibration",
            paragraphs(["Predicted probabilities, and how often the class was found at them."])
            + _show_curves(found, figures, "TaskCalibrationDisplay", "calibration curve"),
        ),
        ("learning", "Learning curves", _show_learning(found, figures)),
        ("importance", "Importance of features", _show_importance(found, options, figures)),
    ]
    n_tasks = f"{len(tasks)} task{'s' * (len(tasks) != 1)}"
    subtitle = f"{len(found.X):,} rows, {n_tasks}; made by sk_mtl {version('sk_mtl')}."
    return write_page(title, subtitle, sections)


# ------------------------------------------------------------------------------------------------
# What the model and the table are
# ------------------------------------------------------------------------------------------------


def _describe_model(found: Evaluation, options: argparse.Namespace) -> Iterable[tuple[str, str]]:
    """Yield what there is to say of the model."""
    clf, model = found.model.clf, found.model
    n_categorical = sum(model.kinds[name] != "number" for name in model.features)
    n_numbers = len(model.features) - n_categorical
    fitted = clf._fitted
    yield "File", options.model.name
    yield "Tasks", enumerate_some(model.tasks, 20)
    yield "Features", f"{n_numbers} numbers, {n_categorical} categories"
    yield "Fitted to", f"{fitted.n_rows:,} rows"
    labelled = [
        f"{task}: {int(n):,} ({write_share(n / fitted.n_rows, ' %')})"
        for task, n in zip(model.tasks, fitted.labelled_cells, strict=True)
    ]
    yield "Labels in training", enumerate_some(labelled, 20)
    yield "Epochs", f"{clf.n_iter_}{model.kept_weights}"
    defaults = type(clf)().get_params(deep=False)
    changed = [
        f"{name}={value!r}"
        for name, value in clf.get_params(deep=False).items()
        if name != "verbose" and (name not in defaults or repr(defaults[name]) != repr(value))
    ]
    yield "Parameters", ", ".join(changed) or "defaults"


def _describe_table(found: Evaluation, options: argparse.Namespace) -> str:
    """Return what there is to say of the table."""
    facts = [("File", options.table.name), ("Rows", f"{len(found.X):,}")]
    if options.group is not None:
        n_groups = found.table.frame[options.group].nunique()
        facts.append(("Groups", f"{n_groups:,} of {options.group}"))
    if options.weight is not None:
        facts.append(("Weights", options.weight))
    n_missing = int(found.X.isna().to_numpy().sum())
    share = write_share(n_missing / max(found.X.size, 1), " %")
    facts.append(("Missing cells of features", f"{n_missing:,} ({share})"))
    return list_facts(facts) + paragraphs(found.notes)


# ------------------------------------------------------------------------------------------------
# Labels and scores
# ------------------------------------------------------------------------------------------------


def _show_coverage(found: Evaluation, figures: Figures) -> str:
    """Return the number of labels of each task, and which are known together."""
    from sk_mtl.metrics._report.text import split_class_counts
    from sk_mtl.plotting import LabelCoverageDisplay

    frame = found.report.frame
    counts = split_class_counts(frame, found.report.class_counts)
    rows = []
    for task, of_class in zip(found.Y.columns, counts, strict=False):
        row = frame.iloc[list(frame.index).index(task)]
        classes = enumerate_some((f"{label}: {n:,}" for label, n in of_class), 12)
        coverage = write_share(row["labels", "coverage"], " %")
        rows.append([str(task), f"{int(row['labels', 'n_labelled']):,}", coverage, classes])
    numbers = table(["task", "labelled", "share", "classes"], rows, words=[3])
    missing = found.model.clf.missing_label
    figure = figures.draw(
        lambda: LabelCoverageDisplay.from_labels(found.Y, missing_label=missing),
        "Label coverage: the share of labelled rows by task, and which are labelled together",
    )
    return numbers + "<p></p>" + wide_figure(figure)


def _show_scores(found: Evaluation) -> str:
    """Return a table for each metric."""
    frame = found.report.frame
    if len(frame) == 2:  # the mean of one task says nothing
        frame = frame.iloc[:1]
    metrics = [m for m in frame.columns.get_level_values(0).unique() if m != "labels"]
    cards = []
    for metric in metrics:
        part = frame[metric]
        has_interval = "lower" in part
        rows = []
        for task, row in zip(frame.index, part.to_dict("records"), strict=True):
            score = _write_score(row["score"])
            if has_interval and not np.isnan(row["lower"]):
                score += f"\n[{row['lower']:.3f}, {row['upper']:.3f}]"
            rows.append([str(task), score, _write_score(row["constant"])])
        content = table(["task", "score", "constant"], rows, last_is_mean=len(rows) > 1)
        cards.append(f'<div class="card"><h3>{metric.replace("_", " ")}</h3>{content}</div>')
    return f'<div class="grid">{"".join(cards)}</div>' + paragraphs(found.report.notes)


def _write_score(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


# ------------------------------------------------------------------------------------------------
# Figures
# ------------------------------------------------------------------------------------------------


def _show_curves(found: Evaluation, figures: Figures, display: str, what: str) -> str:
    """Return a figure for each task, at most the first few."""
    from sk_mtl import plotting

    def draw(task: str) -> Callable[[], Any]:
        return lambda: getattr(plotting, display).from_predictions(
            found.Y[[task]],
            {task: found.probabilities[task]},
            sample_weight=found.weights,
            missing_label=found.model.clf.missing_label,
            classes={task: found.model.classes[task]},
        )

    tasks = list(found.Y.columns)
    drawn = [figures.draw(draw(task), f"{what} of {task}") for task in tasks[:_MAX_DRAWN_TASKS]]
    return figure_grid(drawn) + _note_left_out(len(tasks))


def _note_left_out(n_tasks: int) -> str:
    if n_tasks <= _MAX_DRAWN_TASKS:
        return ""
    return paragraphs([f"The first {_MAX_DRAWN_TASKS} of {n_tasks} tasks are drawn."])


def _show_learning(found: Evaluation, figures: Figures) -> str:
    """Return the losses by epoch."""
    from sk_mtl.plotting import LearningCurvesDisplay

    clf = found.model.clf
    if clf._fitted.network is None or not clf.history_.get("loss"):
        return paragraphs(["The model has no network: no task has two classes."])
    tasks = [
        task
        for task, is_learned in zip(found.model.tasks, clf._fitted.is_learnable, strict=True)
        if is_learned
    ]
    figure = figures.draw(
        lambda: LearningCurvesDisplay.from_estimator(clf, tasks=tasks[:_MAX_DRAWN_TASKS]),
        "Losses in training and validation by epoch",
    )
    return wide_figure(figure) + _note_left_out(len(tasks))


def _show_importance(found: Evaluation, options: argparse.Namespace, figures: Figures) -> str:
    """Return how much the log loss grows without each feature."""
    from sk_mtl.metrics import task_importances
    from sk_mtl.plotting import TaskImportancesDisplay

    X, Y, weights, groups = found.X, found.Y, found.weights, found.groups
    n_features = X.shape[1]
    efforts = [effort for most, effort in _EFFORTS.items() if n_features <= most]
    if not efforts:
        return paragraphs(
            [f"Not computed: it would take a prediction for each of {n_features:,} features."]
        )
    max_rows, n_repeats = efforts[0]
    n_bootstraps = min(options.bootstraps, _MAX_RESAMPLES) or None
    intervals = "" if n_bootstraps is None else ", with 95 % intervals"
    sentences = [
        "How much the log loss of a task grows when the values of a feature are shuffled among the "
        f"rows{intervals}. Features that say the same may each seem unimportant."
    ]
    if len(X) > max_rows:
        chosen = np.random.default_rng(options.random_state).permutation(len(X))[:max_rows]
        chosen.sort()
        X, Y = X.iloc[chosen], Y.iloc[chosen]
        weights, groups = (
            None if part is None else part.iloc[chosen] for part in (weights, groups)
        )
        sentences.append(f"Computed on {max_rows:,} of {len(found.X):,} rows, drawn at random.")
    frame = task_importances(
        found.model.clf,
        X,
        Y,
        n_repeats=n_repeats,
        n_bootstraps=n_bootstraps,
        sample_weight=weights,
        groups=groups,
        random_state=options.random_state,
    )
    if n_features > _MAX_SHOWN:
        sentences.append(
            f"The {_MAX_SHOWN} most important of {n_features:,} features are shown by task."
        )
    tasks = [task for task in Y.columns if (frame["task"] == task).any()]

    def draw(task: str) -> Callable[[], Any]:
        return lambda: TaskImportancesDisplay.from_importances(
            frame, tasks=[task], max_features=_MAX_SHOWN
        )

    drawn = [
        figures.draw(draw(task), f"Importance of features for {task}")
        for task in tasks[:_MAX_DRAWN_TASKS]
    ]
    return paragraphs(sentences) + figure_grid(drawn) + _note_left_out(len(tasks))
