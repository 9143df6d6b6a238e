"""Calibration, best epochs by task, and what is done for rare classes and tasks, on real tables.

Each setting differs from the plain one in one thing; none was chosen on these tables. Scores are of
the validation part, which early stopping and the temperatures have seen, and of the test part,
which nothing has. Beside the temperatures of `calibrate=True` stand those with the lowest log loss
of each task alone, and "scale and biases": one temperature and one number per class.

Usage: python docs/benchmarks/rare_and_calibrated.py FOLDER [--seeds 3] [--tables tox21 made ...]
where FOLDER holds the tables and their splits. Prints a line per fit, then tables.
"""

import time

import numpy as np
import pandas as pd
from _harness import import_loader, make_parser, standardise, use_one_thread
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.metrics import calibration_error

# What were defaults when this was measured, and what the tables make needless.
AS_MEASURED = {"loss_normalization": "tasks", "standardize": False, "early_stopping": True}
TABULAR = {
    "hidden_layer_sizes": (256,),
    "dropout": 0.4,
    "optimizer": "adamw",
    "optimizer__weight_decay": 0.1,
    "batch_size": 256,
}
NETWORKS = {
    "tox21": {
        "hidden_layer_sizes": (512,),
        "dropout": 0.6,
        "optimizer": "adamw",
        "optimizer__weight_decay": 0.5,
        "optimizer__global_clipnorm": 1.0,
        "loss_normalization": "cells",
        "batch_size": 128,
    },
    "census": TABULAR,
    "nhanes": TABULAR,
    "made": {"hidden_layer_sizes": (128,), "dropout": 0.2, "batch_size": 128},
}
SETTINGS = {
    "plain": {},
    "per_task": {"restore_best": "per_task"},
    "40 epochs": {"early_stopping": False, "epochs": 40},
    "focal": {"loss": "focal"},
    "adjusted": {"logit_adjustment": 1.0},
    "balanced": {"class_weight": "balanced"},
    "label_aware": {"batching": "label_aware"},
}
# In these, training and validation rows are given together, and a ninth is held out of them.
TOGETHER = {"held out": {}, "refit": {"refit": True}}


def load_table(name, folder):
    """Return X, labels to train on, labels to score by, and the parts."""
    if name == "made":
        X, Y, complete = make_multitask_classification(
            24_000,
            n_classes=(2, 2, 4, 2, 3),
            weights=(None, [0.9, 0.1], [0.6, 0.25, 0.1, 0.05], [0.97, 0.03], None),
            missing_rate=(0, 0.2, 0.5, 0.5, 0.98),
            return_complete=True,
            as_frame=True,
            random_state=0,
        )
        rows = np.random.default_rng(0).permutation(24_000)
        return X.to_numpy(np.float32), Y, complete, np.split(rows, [4_000, 5_000])
    loader = import_loader(folder)
    X, Y = loader.load(name, folder)
    complete = loader.load(name, folder, masked=False)[1] if name == "census" else Y
    parts = loader.splits(name, folder)["rand0"]
    return standardise(X, parts[0], "median").astype(np.float32), Y, complete, parts


def fit_biases(logits, codes):
    """Fit a scale and a bias per class (vector scaling with one scale) by the log loss."""

    def loss(parameters):
        z = np.exp(parameters[0]) * logits + parameters[1:]
        return -log_softmax(z, axis=1)[np.arange(len(codes)), codes].mean()

    return minimize(loss, np.zeros(logits.shape[1] + 1), method="BFGS").x


def fit_scale(logits, codes):
    """Fit the inverse of a temperature by the log loss of one task alone."""

    def loss(log_scale):
        z = np.exp(log_scale) * logits
        return -log_softmax(z, axis=1)[np.arange(len(codes)), codes].mean()

    return np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x)


def score_task(codes, log_p):
    """Return the scores of one task, from codes and logarithms of probabilities."""
    p = np.exp(log_p)
    p /= p.sum(axis=1, keepdims=True)
    K = p.shape[1]
    present = [k for k in range(K) if 0 < (codes == k).sum() < len(codes)]
    one_vs_rest = range(1, 2) if K == 2 else present
    rarest = min(present, key=lambda k: (codes == k).sum())
    return {
        "auc": np.mean([roc_auc_score(codes == k, p[:, k]) for k in one_vs_rest]),
        "ap_rarest": average_precision_score(codes == rarest, p[:, rarest]),
        "log_loss": -log_p[np.arange(len(codes)), codes].mean(),
        "ece": calibration_error(codes, p, labels=np.arange(K)),
        "balanced_accuracy": balanced_accuracy_score(codes, p.argmax(axis=1)),
    }


def score_fit(clf, X, Y, complete, parts, is_valid_trained):
    """Yield scores of each task, on validation and test part, in several ways of calibration."""
    _, valid, test = parts
    log_p = {
        part: clf.predict_log_proba(X[rows]) for part, rows in zip("vt", (valid, test), strict=True)
    }
    for t, task in enumerate(Y.columns):
        classes = clf.classes_[t]
        known = valid[Y[task].notna().to_numpy()[valid]]
        known_codes = np.searchsorted(classes, Y[task].to_numpy()[known])
        z_known = clf.temperatures_[t] * clf.predict_log_proba(X[known])[t].astype(float)
        biases, scale = fit_biases(z_known, known_codes), fit_scale(z_known, known_codes)
        for part, rows, labels in (("v", valid, Y), ("t", test, complete)):
            column = labels[task]
            is_known = column.notna().to_numpy()[rows]
            codes = np.searchsorted(classes, column.to_numpy()[rows][is_known])
            calibrated = log_p[part][t][is_known].astype(float)
            logits = clf.temperatures_[t] * calibrated
            ways = {"no": logits, "temperature": calibrated}
            if is_valid_trained and part == "v":
                continue
            if not is_valid_trained:
                ways["temperature, alone"] = scale * logits
                ways["scale and biases"] = np.exp(biases[0]) * logits + biases[1:]
            for way, z in ways.items():
                scores = score_task(codes, log_softmax(z, axis=1))
                yield {"task": task, "part": part, "calibration": way, **scores}


def run(name, settings_of_table, folder, seeds):
    """Fit every setting, and return scores by task."""
    X, Y, complete, parts = load_table(name, folder)
    train, valid, _ = parts
    both = np.concatenate([train, valid])
    results = []
    for seed in range(seeds):
        for setting in settings_of_table:
            start = time.perf_counter()
            common = {**AS_MEASURED, **NETWORKS[name], "random_state": seed}
            if setting in TOGETHER:
                clf = MultiTaskClassifier(
                    **{**common, "calibrate": True, "validation_fraction": 1 / 9},
                    **TOGETHER[setting],
                ).fit(X[both], Y.iloc[both])
            else:
                clf = MultiTaskClassifier(**{**common, "calibrate": True, **SETTINGS[setting]})
                clf.fit(X[train], Y.iloc[train], validation_data=(X[valid], Y.iloc[valid]))
            rows = list(score_fit(clf, X, Y, complete, parts, setting in TOGETHER))
            fit = {"table": name, "setting": setting, "seed": seed}
            for t, row in enumerate(rows):
                at = t // (len(rows) // len(Y.columns))
                row |= {**fit, "T": clf.temperatures_[at], "epoch": clf.best_iters_[at]}
            results += rows
            test = pd.DataFrame(rows).query("part == 't' and calibration == 'no'")
            print(
                f"{name} seed {seed} {setting:12s} AUC {test['auc'].mean():.4f} "
                f"log loss {test['log_loss'].mean():.4f} T {clf.temperatures_.round(2)} "
                f"epochs {clf.best_iters_} of {clf.n_iter_} {time.perf_counter() - start:.0f} s",
                flush=True,
            )
    return pd.DataFrame(results)


def print_tables(results):
    """Print means over tasks and seeds."""
    metrics = ["auc", "ap_rarest", "balanced_accuracy", "log_loss", "ece"]
    keys = ["table", "setting", "calibration", "part"]
    print(results.groupby(keys, sort=False)[metrics].mean().round(4).to_string())
    plain = results.query("calibration == 'no' and part == 't'")
    by_task = plain.groupby(["table", "task", "setting"], sort=False)[metrics].mean()
    print(by_task.round(4).to_string())


def main():
    parser = make_parser(__doc__)
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", nargs="+", default=list(NETWORKS))
    parser.add_argument("--settings", nargs="+", default=[*SETTINGS, *TOGETHER])
    parser.add_argument("--csv")
    options = parser.parse_args()
    use_one_thread()
    results = []
    for name in options.tables:
        results.append(run(name, options.settings, options.folder, options.seeds))
        if options.csv:
            pd.concat(results).to_csv(options.csv, index=False)
    print_tables(pd.concat(results))


if __name__ == "__main__":
    main()
