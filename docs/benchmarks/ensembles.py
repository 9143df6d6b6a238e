"""What do ensembles gain, and what do they cost? Tox21, census and NHANES, first random split.

Each ensemble is fitted on the training part, a tenth of which it holds out for early stopping, and
scored on the labelled cells of the validation part: ROC-AUC (one-vs-rest mean for several classes)
and log loss, mean over tasks. The test part is not touched. Time is the processor time of an epoch
on one thread, the first one with its compilation left out.

Usage: python docs/benchmarks/ensembles.py FOLDER [--tables nhanes census tox21]
       [--sizes 8 32] [--methods shared independent] [--seeds 0 1]
where FOLDER holds the tables and their splits.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

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


class EpochClock(keras.callbacks.Callback):
    """Notes the processor time of each epoch."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.process_time() - self.start)


def load_parts(name, folder):
    """Return the training and the validation part, each X and Y."""
    sys.path.insert(0, folder)
    from load import load, splits

    X, Y = load(name, folder)
    train, valid, _ = splits(name, folder)["rand0"]
    if isinstance(X, np.ndarray):
        mean, std = X[train].mean(axis=0), X[train].std(axis=0)
        X = (X - mean) / np.sqrt(np.maximum(std, 0.01))
    else:
        X = encode_columns(X, train)
    return X[train], Y.iloc[train], X[valid], Y.iloc[valid]


def encode_columns(X, train):
    """Return standardised numbers, and one column per category."""
    texts = [c for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])]
    X = X.fillna(dict.fromkeys(texts, "missing"))
    columns = make_column_transformer(
        (
            make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (
            OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10),
            make_column_selector(dtype_exclude="number"),
        ),
        sparse_threshold=0,
    )
    return columns.fit(X.iloc[train]).transform(X).astype(np.float32)


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
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--tables", nargs="+", default=["nhanes", "census", "tox21"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--methods", nargs="+", default=["shared", "independent"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    shapes = [(1, "shared"), *((k, m) for k in options.sizes for m in options.methods)]
    rows = []
    for table in options.tables:
        parts = load_parts(table, options.folder)
        settings = FINGERPRINTS if table == "tox21" else TABULAR
        for seed in options.seeds:
            for size, method in shapes:
                found = fit_and_score(parts, settings, size, method, seed)
                rows.append({"table": table, "size": size, "method": method, **found})
                shown = " ".join(f"{k} {v:.4f}" for k, v in found.items())
                print(f"{table} seed {seed} {size:3d} {method:11s} {shown}", flush=True)
    means = pd.DataFrame(rows).groupby(["table", "size", "method"]).mean()
    print("\n", means.round(4).to_string())


if __name__ == "__main__":
    main()
