"""``python -m sk_mtl``: an example on bundled data, from missing labels to a saved model.

Owns the example and its output, for which it uses only the public API. The commands for tables of
the user's, ``python -m sk_mtl fit`` and its siblings, are in `sk_mtl._commands`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pickle
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sk_mtl._commands import COMMANDS
from sk_mtl._commands.console import quiet_import
from sk_mtl._names import did_you_mean

# Only works before TensorFlow is imported, so everything else is imported where it is used.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_N_ROWS = 30_000
_MIN_ROWS = 300
_SHARED, _ALONE, _CONSTANT = "shared", "alone", "constant"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example with command-line arguments (default `sys.argv`); return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and not arguments[0].startswith("-"):
        return _run_command(arguments[0], arguments[1:])
    options = _make_parser().parse_args(arguments)
    try:
        return _demonstrate(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _run_command(name: str, arguments: Sequence[str]) -> int:
    """Run a command for tables; return its exit status."""
    if name not in COMMANDS:
        print(
            f"Error: There is no command {name!r}.{did_you_mean(name, COMMANDS)} The commands are "
            f"{', '.join(COMMANDS)}; see python -m sk_mtl --help.",
            file=sys.stderr,
        )
        return 2
    main_of_command = importlib.import_module(f"sk_mtl._commands.{name}").main
    status: int = main_of_command(arguments)
    return status


def _demonstrate(options: argparse.Namespace) -> int:
    """Run the example, and tell how long it took; return the exit status."""
    start = time.perf_counter()
    with quiet_import():
        import tensorflow  # noqa: F401, ICN001
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        agrees = _run(options)
    except OSError as error:
        print(f"Cannot write to {options.output}: {error}", file=sys.stderr)
        return 1
    print(f"\nDone in {time.perf_counter() - start:.0f} s.")
    return 0 if agrees else 1


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sk_mtl",
        description=(
            "A demonstration: train one network for three tasks on a bundled census table, in "
            "which the label of the third task is missing for 88 of 100 rows; score it on test "
            "rows, beside the same network trained on each task alone and a constant predictor; "
            "save the model and plots; load it again and compare its predictions."
        ),
        epilog=_list_commands(),
        formatter_class=_HelpFormatter,
    )
    parser.add_argument(
        "--rows",
        type=_read_row_count,
        default=_N_ROWS,
        metavar="N",
        help=f"rows of the table to use, {_MIN_ROWS} to {_N_ROWS}",
    )
    parser.add_argument(
        "--epochs",
        type=_read_positive,
        default=100,
        metavar="N",
        help="maximum number of passes over the training rows, with early stopping",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("sk_mtl_output"),
        metavar="FOLDER",
        help="where to save the model and the plots",
    )
    parser.add_argument(
        "--random-state",
        type=int,
        default=0,
        metavar="N",
        help="seed of the sample of rows, the split and the training",
    )
    return parser


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and keeps the lines of the commands."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrap = argparse.HelpFormatter._fill_text
        return text if "\n" in text else wrap(self, text, width, indent)


def _list_commands() -> str:
    """Return the lines of the help on the commands for tables."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "This is a demonstration. For tables of your own, there are commands:",
            *lines,
            "",
            "python -m sk_mtl COMMAND --help says more.",
        ]
    )


def _read_positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _read_row_count(text: str) -> int:
    value = int(text)
    if not _MIN_ROWS <= value <= _N_ROWS:
        raise argparse.ArgumentTypeError(f"must be from {_MIN_ROWS} to {_N_ROWS}, got {value}")
    return value


def _run(options: argparse.Namespace) -> bool:
    """Run the example; return whether the reloaded model agrees with the saved one."""
    from sklearn.base import clone

    from sk_mtl import MultiTaskClassifier

    X_train, X_test, Y_train, Y_test = _load_split(options.rows, options.random_state)
    print(
        f"Census: {len(X_train):,} rows to train on, {len(X_test):,} to test on, "
        f"{X_train.shape[1]} features, {Y_train.shape[1]} tasks."
    )
    print("\nOne network for all tasks:")
    model = MultiTaskClassifier(
        epochs=options.epochs, random_state=options.random_state, verbose=1
    ).fit(X_train, Y_train)
    twins = {}
    for name in Y_train.columns:
        print(f"\nThe same network for {name} alone:")
        twins[name] = clone(model).fit(X_train, Y_train[name])

    scores = {
        metric: _score(metric, model, twins, X_test, Y_train, Y_test)
        for metric in ("accuracy", "roc_auc")
    }
    print(
        "\nTest rows, with their hidden labels. shared: the one network; alone: the same network,"
        "\ntrained on that task only; constant: class frequencies of the training rows.\n"
    )
    print(format_table(Y_train, scores))
    print()
    path = options.output / "model.pickle"
    with path.open("wb") as file:
        pickle.dump(model, file)
    print(f"Saved {path} ({path.stat().st_size / 1e6:.1f} MB)")
    _save_plots(options.output, model, Y_train, scores["roc_auc"])
    return _check_reloaded(path, model, X_test)


def _load_split(n_rows: int, random_state: int) -> list[Any]:
    """Return X and Y to train on, and X and complete Y to test on; text becomes categorical."""
    import numpy as np

    from sk_mtl.datasets import load_census
    from sk_mtl.model_selection import train_test_split

    X, Y = load_census(return_X_y=True)
    complete = load_census(masked=False).target
    X = X.astype(dict.fromkeys(X.select_dtypes(exclude="number"), "category"))
    rows = np.random.default_rng(random_state).permutation(len(X))[:n_rows]
    parts = train_test_split(
        X.iloc[rows], Y.iloc[rows], complete.iloc[rows], test_size=0.2, random_state=random_state
    )
    X_train, X_test, Y_train, _, _, Y_test = parts
    return [X_train, X_test, Y_train, Y_test]


def _score(
    metric: str, model: Any, twins: dict[str, Any], X: Any, Y_train: Any, Y_test: Any
) -> dict[str, list[float]]:
    """Return the scores of each task: of the shared network, single-task networks, a constant."""
    from sklearn.dummy import DummyClassifier

    from sk_mtl.metrics import make_multitask_scorer

    scorer: Any = make_multitask_scorer(metric, average=None)
    shared = scorer(model, X, Y_test)
    scores: dict[str, list[float]] = {_SHARED: [], _ALONE: [], _CONSTANT: []}
    for name in Y_train.columns:
        known = Y_train[name].dropna()
        constant = DummyClassifier(strategy="prior").fit(known.to_frame(), known)
        scores[_SHARED].append(shared[name])
        scores[_ALONE].append(scorer(twins[name], X, Y_test[name])[name])
        scores[_CONSTANT].append(scorer(constant, X, Y_test[name])[name])
    return scores


def format_table(Y_train: Any, scores: dict[str, dict[str, list[float]]]) -> str:
    """Format scores by metric, model and task as aligned text, with a last row of means."""
    import numpy as np

    models = (_SHARED, _ALONE, _CONSTANT)
    titles = {"accuracy": "accuracy", "roc_auc": "ROC-AUC"}
    groups = "".join(f"  {titles[metric]:^28}" for metric in scores)
    heads = "".join(f"{model:>10}" for _ in scores for model in models)
    rows = []
    for t, (name, labels) in enumerate(Y_train.items()):
        cells = f"{labels.notna().sum():,} ({labels.notna().mean():.0%})"
        values = "".join(f"{scores[metric][m][t]:>10.4f}" for metric in scores for m in models)
        rows.append(f"{name:<14}{cells:>16}{labels.nunique():>9}{values}")
    means = "".join(f"{np.mean(scores[metric][m]):>10.4f}" for metric in scores for m in models)
    head = f"{'task':<14}{'labelled cells':>16}{'classes':>9}{heads}"
    return "\n".join([(" " * 39 + groups).rstrip(), head, *rows, f"{'mean':<39}{means}"])


def _save_plots(folder: Path, model: Any, Y_train: Any, scores: dict[str, list[float]]) -> None:
    """Save the plots, or print what they need."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print('No plots: they need matplotlib, pip install "sk_mtl[plot]".')
        return
    from sk_mtl.plotting import LabelCoverageDisplay, LearningCurvesDisplay, TaskScoresDisplay

    compared = {
        "one network for all tasks": scores[_SHARED],
        "one network per task": scores[_ALONE],
    }
    displays = {
        "label_coverage": LabelCoverageDisplay.from_labels(Y_train),
        "learning_curves": LearningCurvesDisplay.from_estimator(model),
        "scores": TaskScoresDisplay(
            compared, list(Y_train.columns), "test ROC-AUC", scores[_CONSTANT]
        ).plot(),
    }
    for name, display in displays.items():
        path = folder / f"{name}.png"
        display.figure_.savefig(path, dpi=150)
        plt.close(display.figure_)
        print(f"Saved {path}")


def _check_reloaded(path: Path, model: Any, X: Any) -> bool:
    """Load the model again, and return and print whether its predictions agree."""
    import numpy as np

    with path.open("rb") as file:
        reloaded = pickle.load(file)
    agrees = reloaded.predict(X).equals(model.predict(X)) and all(
        np.array_equal(after, before)
        for after, before in zip(reloaded.predict_proba(X), model.predict_proba(X), strict=True)
    )
    if agrees:
        print(f"Loaded {path} again: labels and probabilities of {len(X):,} rows are the same.")
    else:
        print(f"Loaded {path} again: its predictions differ.", file=sys.stderr)
    return agrees


if __name__ == "__main__":
    sys.exit(main())
