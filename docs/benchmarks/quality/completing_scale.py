"""By what number should a known label enter the network? Chosen on training rows alone.

A network learns from 85 % of the training rows, stops by the validation rows, and is scored on the
other 15 % of the training rows, given no label and given the other labels of a row. The test rows
are not touched. A line of the results is the score of one fit.

Usage: python docs/benchmarks/quality/completing_scale.py RESULTS.csv --folder FOLDER
           [--tables emotions nhanes tox21 census] [--splits rand0 rand1] [--scale 10]
       python docs/benchmarks/quality/completing_scale.py RESULTS.csv --show
"""

import argparse
import importlib
import sys
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _records import as_markdown, is_in_table, make_parser
from _scores import score_part
from _tables import as_frame, load_table, take_rows
from completing import MAX_TRAINING_ROWS

KEYS = ["table", "split", "scale"]


def main() -> None:
    """Run from the command line."""
    options = _parse_options()
    if options.show:
        print(as_markdown(*tabulate(pd.read_csv(options.results))))
        return
    _set_scale(options.scale)
    for table, split in product(options.tables, options.splits):
        scale = options.scale
        if is_in_table(options.results, KEYS, (table, split, scale)):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes that a part lacks
            found = pd.DataFrame([run_scale(table, split, scale, options.folder)])
        found.to_csv(options.results, mode="a", index=False, header=not options.results.exists())
        print(found.to_string(index=False, header=False), flush=True)


def run_scale(name: str, split: str, scale: float, folder: str | None) -> dict[str, Any]:
    """Return the scores of a network into which known labels enter as a number."""
    from sk_mtl import MultiTaskClassifier

    table = load_table(name, folder)
    train, valid, _ = table.splits[split]
    train = np.random.default_rng(5).permutation(train)[:MAX_TRAINING_ROWS]
    train, held_out = np.split(train, [int(0.85 * len(train))])
    X = as_frame(table.X)
    Y = table.Y.apply(lambda y: y.where(y.isin(y.iloc[train].dropna().unique())))
    model = MultiTaskClassifier(known_labels=True, random_state=0)
    watched = (take_rows(X, valid), Y.iloc[valid])
    model.fit(take_rows(X, train), Y.iloc[train], validation_data=watched)
    X, Y, truth = take_rows(X, held_out), Y.iloc[held_out], table.truth.iloc[held_out]
    line: dict[str, Any] = {"table": name, "split": split, "scale": scale}
    for given, probabilities in (
        ("none given", model.predict_proba(X)),
        ("given", model.complete_proba(X, Y, leave_one_out=True)),
    ):
        scores = score_part(truth, list(probabilities), list(model.classes_))
        line |= {f"{score}, {given}": round(scores[score], 5) for score in ("auc", "log_loss")}
    return line | {"epochs": model.best_iter_}


def _set_scale(scale: float) -> None:
    """Replace the constant of the package wherever it is used, before any network is built."""
    import sk_mtl  # noqa: F401 - loads the modules that are changed here

    importlib.import_module("sk_mtl._model.build")
    importlib.import_module("sk_mtl._predict.forward")
    for name, module in list(sys.modules.items()):
        if name.startswith("sk_mtl.") and hasattr(module, "LABEL_SCALE"):
            module.LABEL_SCALE = scale


def tabulate(results: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return AUC / log loss by scale and table, given the other labels and given none."""
    means = results.groupby(["scale", "table"]).mean(numeric_only=True)
    tables, kinds = list(results.table.unique()), ("given", "none given")
    rows = []
    for scale in sorted(results.scale.unique()):
        cells = [
            f"{means.loc[(scale, table), f'auc, {kind}']:.4f} / "
            f"{means.loc[(scale, table), f'log_loss, {kind}']:.4f}".replace("0.", ".")
            for table in tables
            for kind in kinds
        ]
        rows.append([f"{scale:g}", *cells])
    return ["a label enters as", *(f"{t}, {kind}" for t in tables for kind in kinds)], rows


def _parse_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("results", type=Path, help="CSV file, appended to")
    parser.add_argument("--folder", help="the folder of the real tables")
    parser.add_argument("--show", action="store_true", help="only show what is there")
    parser.add_argument("--tables", nargs="+", default=["emotions", "nhanes", "tox21", "census"])
    parser.add_argument("--splits", nargs="+", default=["rand0", "rand1"])
    parser.add_argument("--scale", type=float, default=10.0, help="one for each run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
