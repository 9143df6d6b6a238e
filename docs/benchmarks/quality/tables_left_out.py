"""Every model on every table: ours as it comes, and what others would use, per task.

All learn from the training rows, stop by the validation rows, and are scored on the test rows. A
line of the results is the score of one model for one task. A fit that is there is not repeated.

Usage: python docs/benchmarks/quality/tables_left_out.py RESULTS.csv --folder FOLDER
           --tables diamonds --models CatBoost [--splits rand0 rand1 rand2] [--seeds 0]
       python docs/benchmarks/quality/tables_left_out.py RESULTS.csv --show [--tables ...] ...
"""

import argparse
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _per_task import PEERS, fit_peer
from _records import as_markdown, is_in_table, make_parser
from _scores import score_part
from _tables import as_frame, load_table, table_names, take_rows

OURS = ("defaults", "defaults, no bins", "defaults, periodic", "best", "ensemble")
MODELS = (*OURS, *PEERS, "XGBoost, one model")
SPLITS = ("rand0", "rand1", "rand2")
KEYS = ["table", "split", "model", "seed"]


def main() -> None:
    """Run from the command line."""
    options = _parse_options()
    if options.show:
        results = pd.read_csv(options.results)
        chosen = results.model.isin(options.models) & results.split.isin(options.splits)
        if options.tables:
            chosen &= results.table.isin(options.tables)
        print(as_markdown(*tabulate(results[chosen])))
        return
    for fit in product(options.tables, options.splits, options.models, options.seeds):
        if fit[1] not in load_table(fit[0], options.folder).splits or is_in_table(
            options.results, KEYS, fit
        ):
            continue
        found = pd.DataFrame(run_model(*fit, options.folder))
        found.to_csv(options.results, mode="a", index=False, header=not options.results.exists())
        print(*fit, f"{found.auc.mean():.4f} / {found.log_loss.mean():.4f}", flush=True)


def run_model(
    name: str, split: str, model: str, seed: int, folder: str | None
) -> list[dict[str, Any]]:
    """Fit a model on a split; return its scores on the test rows, one record for each task."""
    table = load_table(name, folder)
    train, valid, test = table.splits[split]
    classes = [np.sort(y.iloc[train].dropna().unique()) for _, y in table.Y.items()]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that a part lacks
        fit = fit_ours if model in OURS else fit_peer
        predict = fit(model, table, train, valid, classes, seed)
        seconds = time.perf_counter() - start
        probabilities = predict(test)
    truth = table.truth.iloc[test]
    scores = score_part(truth, probabilities, classes)
    lines = []
    for number, task in enumerate(truth):
        known = truth[task].isin(classes[number]).to_numpy()
        predicted = classes[number][probabilities[number][known].argmax(axis=1)]
        lines.append(
            {
                "table": name,
                "split": split,
                "model": model,
                "seed": seed,
                "task": task,
                "n_labels": int(table.Y[task].iloc[train].notna().sum()),
                "n_classes": len(classes[number]),
                "auc": scores["aucs"][number],
                "log_loss": scores["log_losses"][number],
                "accuracy": round(float(np.mean(predicted == truth[task][known])), 5),
                "seconds": round(seconds, 1),
            }
        )
    return lines


def fit_ours(
    name: str, table: Any, train: np.ndarray, valid: np.ndarray, classes: Any, seed: int
) -> Any:
    """Fit one of our estimators; return the function that predicts rows of the table."""
    from sk_mtl import MultiTaskClassifier, MultiTaskEnsemble

    model: Any = {
        "defaults": MultiTaskClassifier(random_state=seed),
        "defaults, no bins": MultiTaskClassifier(numeric_embedding=None, random_state=seed),
        "defaults, periodic": MultiTaskClassifier(numeric_embedding="periodic", random_state=seed),
        "best": MultiTaskClassifier.best(refit=False, random_state=seed),
        "ensemble": MultiTaskEnsemble(random_state=seed),
    }[name]
    X = as_frame(table.X)
    Y = table.Y.apply(lambda y: y.where(y.isin(y.iloc[train].dropna().unique())))
    watched = (take_rows(X, valid), Y.iloc[valid])  # of classes that training knows
    model.fit(take_rows(X, train), Y.iloc[train], validation_data=watched)
    return lambda rows: list(model.predict_proba(take_rows(X, rows)))


def tabulate(results: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return ROC-AUC / log loss by table and model: means over tasks, then over fits.

    The best of a table is bold, with what is within .003 of it.
    """
    of_fits = results.groupby(KEYS, sort=False)[["auc", "log_loss"]].mean()
    means = of_fits.groupby(["table", "model"], sort=False).mean()
    models = [model for model in MODELS if model in set(results.model)]
    rows = []
    for table in results.table.unique():
        of_table = means.loc[table]
        cells = []
        for model in models:
            if model not in of_table.index:
                cells.append("not run")
                continue
            auc, log_loss = of_table.loc[model]
            is_best = auc >= of_table.auc.max() - 0.003, log_loss <= of_table.log_loss.min() + 0.003
            pair = zip((auc, log_loss), is_best, strict=True)
            cells.append(" / ".join(f"**{v:.4f}**" if best else f"{v:.4f}" for v, best in pair))
        rows.append([table, *cells])
    return ["table", *models], rows


def _parse_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("results", type=Path, help="CSV file, appended to")
    parser.add_argument("--folder", help="the folder of the real tables")
    parser.add_argument("--show", action="store_true", help="only show what is there")
    parser.add_argument("--tables", nargs="+", choices=table_names(), default=[])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--splits", nargs="+", default=list(SPLITS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    return parser.parse_args()


if __name__ == "__main__":
    main()
