"""What do ensembles gain, and what do they cost? Tox21, census and NHANES, first random split.

Each ensemble is fitted on the training part, a tenth of which it holds out for early stopping, and
scored on the labelled cells of the validation part: ROC-AUC (one-vs-rest mean for several classes)
and log loss, mean over tasks. The test part is not touched. Time is the processor time of an epoch
on one thread, the first one with its compilation left out.

Usage: python docs/benchmarks/ensembles.py FOLDER [--tables nhanes census tox21]
       [--sizes 8 32] [--methods shared independent] [--seeds 0 1]
where FOLDER holds the tables and their splits.
"""

import time

import numpy as np
import pandas as pd
from _harness import import_loader, make_folder_parser, show_scores, standardise, use_one_thread
from keras.callbacks import Callback

from sk_mtl import MultiTaskClassifier
from sk_mtl.metrics import multitask_score

COMMON = {
    "optimizer": "adamw",
    "optimizer__global_clipnorm": 1.0,
    "loss_normalization": "cells",
    "early_stopping": True,
}
TABULAR = {
    "hidden_layer_sizes": (256,),
    "dropout": 0.4,
    "optimizer__weight_decay": 0.1,
    "batch_size": 256,
}
FINGERPRINTS = {
    "hidden_layer_sizes": (512,),
    "dropout": 0.6,
    "optimizer__weight_decay": 0.5,
    "batch_size": 128,
}


class EpochClock(Callback):
    """Notes the processor time of each epoch."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.process_time() - self.start)


def load_parts(name, folder):
    """Return the training and the validation part, each X and Y."""
    loader = import_loader(folder)
    X, Y = loader.load(name, folder)
    train, valid, _ = loader.splits(name, folder)["rand0"]
    X = standardise(X, train, "mean")
    return X[train], Y.iloc[train], X[valid], Y.iloc[valid]


def fit_and_score(parts, settings, size, method, seed):
    X, Y, X_valid, Y_valid = parts
    clf = MultiTaskClassifier(
        **COMMON,
        **settings,
        standardize=False,  # the columns are scaled before
        ensemble_size=size,
        ensemble_method=method,
        callbacks=EpochClock(),
        random_state=seed,
    )
    clf.fit(X, Y)
    proba = clf.predict_proba(X_valid)
    return {
        "auc": multitask_score("roc_auc", Y_valid, proba),
        "log_loss": -multitask_score("neg_log_loss", Y_valid, proba),
        "epochs": clf.best_iter_,
        "epoch_seconds": np.median(clf.callbacks.seconds[1:]),
        "parameters": clf.model_.count_params(),
    }


def main():
    parser = make_folder_parser(__doc__, ["nhanes", "census", "tox21"], [0, 1])
    parser.add_argument("--sizes", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--methods", nargs="+", default=["shared", "independent"])
    options = parser.parse_args()
    use_one_thread()
    shapes = [(1, "shared"), *((k, m) for k in options.sizes for m in options.methods)]
    rows = []
    for table in options.tables:
        parts = load_parts(table, options.folder)
        settings = FINGERPRINTS if table == "tox21" else TABULAR
        for seed in options.seeds:
            for size, method in shapes:
                found = fit_and_score(parts, settings, size, method, seed)
                rows.append({"table": table, "size": size, "method": method, **found})
                line = f"{table} seed {seed} {size:3d} {method:11s} {show_scores(found)}"
                print(line, flush=True)
    means = pd.DataFrame(rows).groupby(["table", "size", "method"]).mean()
    print("\n", means.round(4).to_string())


if __name__ == "__main__":
    main()
