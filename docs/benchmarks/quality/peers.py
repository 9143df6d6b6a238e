"""Fit what others would use on the tables, and record their scores as `fit.py` does.

One model per task on its labelled rows: logistic regression, random forest, histogram gradient
boosting and MLPClassifier of scikit-learn, and LightGBM. And the network that an expert writes in
PyTorch: masked, one head per task, tuned by hand on these very tables by others, alone and as the
mean of five. And, for binary tasks and arrays alone, DeepChem's MultitaskClassifier as it comes.
Peers that are not installed are left out. chemprop is none of them: it takes molecules, and the
table has fingerprints.

Usage: python docs/benchmarks/quality/peers.py RESULTS --folder FOLDER --tables tox21 census
           --peers "random forest" LightGBM --seeds 0
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _expert import fit_expert
from _records import Record, add_missing, iterate_fits, make_results_parser
from _scores import score_part
from _tables import as_frame, load_table, prepare, scale, table_names, take_rows
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier


def _make_lightgbm(seed: int) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        n_estimators=300,
        learning_rate=0.03,
        num_leaves=31,
        min_child_samples=20,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.3,
        random_state=seed,
        n_jobs=1,
        verbose=-1,
    )


# Features that a peer takes: "none" and "numbers" as by `_tables.scale`, "frame" as they are.
PER_TASK: dict[str, tuple[str, Callable[[int], Any]]] = {
    "logistic regression": ("numbers", lambda seed: LogisticRegression(C=0.1, max_iter=1000)),
    "random forest": (
        "none",
        lambda seed: RandomForestClassifier(500, min_samples_leaf=2, random_state=seed, n_jobs=1),
    ),
    "HistGradientBoosting": (
        "frame",
        lambda seed: HistGradientBoostingClassifier(
            categorical_features="from_dtype", random_state=seed
        ),
    ),
    "LightGBM": ("frame", _make_lightgbm),
    "MLPClassifier": ("numbers", lambda seed: MLPClassifier(random_state=seed)),
}
DEEPCHEM = "DeepChem MultitaskClassifier"
EXPERTS = {"PyTorch by an expert": 1, "PyTorch by an expert, mean of five": 5}

ALL_ROWS = ", all rows"


def main() -> None:
    options = _parse_options()
    fits = iterate_fits(
        options,
        {name: {} for name in options.peers},
        lambda name: load_table(name, options.folder).splits,
    )

    def run(job: Record) -> Record:
        return fit_and_score(job["name"], job["table"], options.folder, job["split"], job["seed"])

    jobs = (job for job in fits if _can_run(job["name"], job["table"]))
    add_missing(options.results, jobs, run, _describe)


def fit_and_score(
    name: str, table_name: str, folder: str | None, split: str, seed: int
) -> dict[str, Any]:
    """Fit one peer on one split; return the scores of both parts.

    With ", all rows" behind its name it is trained on the rows for validation, too.
    """
    table = load_table(table_name, folder)
    train, valid, test = table.splits[split]
    if name.endswith(ALL_ROWS):
        name, train = name.removesuffix(ALL_ROWS), np.concatenate([train, valid])
    classes = [np.sort(y.iloc[train].dropna().unique()) for _, y in table.Y.items()]
    start = time.perf_counter()
    if name in EXPERTS:
        X = scale(prepare(table.X, train), train, "bits")
        members = [
            fit_expert(
                X, table.Y, train, valid, classes, is_fingerprint=table_name == "tox21", seed=s
            )
            for s in range(seed * EXPERTS[name], (seed + 1) * EXPERTS[name])
        ]

        def predict(rows: np.ndarray) -> list[np.ndarray]:
            return [np.mean(p, axis=0) for p in zip(*(m(X[rows]) for m in members), strict=True)]
    elif name == DEEPCHEM:
        predict = _fit_deepchem(table, train, seed)
    else:
        predict = _fit_per_task(name, table, train, classes, seed)
    seconds = time.perf_counter() - start
    chosen_by = (table.Y if table.watched else table.truth).iloc[valid]
    return {
        "valid": score_part(chosen_by, predict(valid), classes),
        "test": score_part(table.truth.iloc[test], predict(test), classes),
        "seconds": round(seconds, 2),
    }


def _fit_per_task(
    name: str, table: Any, train: np.ndarray, classes: list[np.ndarray], seed: int
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Fit a model per task on its labelled rows; return the function that predicts rows."""
    features, make = PER_TASK[name]
    X = (
        as_frame(table.X)
        if features == "frame"
        else scale(prepare(table.X, train), train, features)
    )
    models = []
    for (_, y), known in zip(table.Y.items(), classes, strict=True):
        rows = train[y.iloc[train].notna().to_numpy()]
        codes = np.searchsorted(known, y.iloc[rows].to_numpy(dtype=known.dtype))
        models.append(make(seed).fit(take_rows(X, rows), codes))

    def predict(rows: np.ndarray) -> list[np.ndarray]:
        return [model.predict_proba(take_rows(X, rows)) for model in models]

    return predict


def _fit_deepchem(
    table: Any, train: np.ndarray, seed: int
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Fit the network with DeepChem's own defaults; a missing label has the weight 0."""
    import deepchem
    import torch

    torch.manual_seed(seed)
    y, X = table.Y.iloc[train].to_numpy(dtype=float), np.asarray(table.X, dtype=np.float32)
    data = deepchem.data.NumpyDataset(X[train], np.nan_to_num(y), (~np.isnan(y)).astype(float))
    model = deepchem.models.MultitaskClassifier(y.shape[1], X.shape[1])
    model.fit(data)

    def predict(rows: np.ndarray) -> list[np.ndarray]:
        # It wants labels to predict, too.
        found = model.predict(
            deepchem.data.NumpyDataset(X[rows], np.zeros((len(rows), y.shape[1])))
        )
        return list(np.moveaxis(found, 1, 0))

    return predict


def _can_run(name: str, table_name: str) -> bool:
    needs = {"LightGBM": "lightgbm", DEEPCHEM: "deepchem"} | dict.fromkeys(EXPERTS, "torch")
    needed = needs.get(name.removesuffix(ALL_ROWS))
    if name == DEEPCHEM and table_name != "tox21":
        return False
    return needed is None or importlib.util.find_spec(needed) is not None


def _describe(record: Record) -> str:
    valid = record["valid"]
    return (
        f"{record['table']} {record['split']} seed {record['seed']} {record['name']}: "
        f"validation AUC {valid['auc']:.4f} log loss {valid['log_loss']:.4f} "
        f"({record['seconds']:.0f} s)"
    )


def _parse_options() -> argparse.Namespace:
    parser = make_results_parser(__doc__, [0])
    parser.add_argument("--tables", nargs="+", choices=table_names(), required=True)
    parser.add_argument("--splits", nargs="+", help="default: all of a table")
    names = [*PER_TASK, *EXPERTS, DEEPCHEM, *(name + ALL_ROWS for name in PER_TASK)]
    parser.add_argument("--peers", nargs="+", choices=names, default=names[: -len(PER_TASK)])
    return parser.parse_args()


if __name__ == "__main__":
    main()
