"""Tox21: 2,048 fingerprint bits, 12 assays, 17 % of the labels missing.

Mean over tasks of the ROC-AUC and the log loss over labelled cells of the test part, on the fixed
random splits and the scaffold split, for the defaults and for settings chosen by others for such
data (one wide layer, strong dropout and weight decay, clipped gradients), with early stopping on
the validation part. The settings were not tuned here.

Usage: python docs/benchmarks/tox21.py FOLDER [--seeds 1]
"""

import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from sk_mtl import MultiTaskClassifier

SETTINGS = {
    "defaults": {},
    "wide": {
        "hidden_layer_sizes": (512,),
        "dropout": 0.6,
        "optimizer": "adamw",
        "optimizer__weight_decay": 0.5,
        "optimizer__global_clipnorm": 1.0,
        "loss_normalization": "cells",
        "batch_size": 128,
    },
}


def scale_bits(X, train):
    mean, std = X[train].mean(axis=0), X[train].std(axis=0)
    return (X - mean) / np.sqrt(np.maximum(std, 0.01))


def mean_scores(Y, probabilities):
    aucs, losses = [], []
    for t, task in enumerate(Y.columns):
        known = Y[task].notna().to_numpy()
        y, p = Y[task].to_numpy()[known], probabilities[t][known, 1]
        aucs.append(roc_auc_score(y, p))
        losses.append(log_loss(y, p, labels=[0, 1]))
    return np.mean(aucs), np.mean(losses)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    sys.path.insert(0, options.folder)
    from load import load, splits

    X, Y = load("tox21", options.folder)
    rows = []
    for split, (train, valid, test) in sorted(splits("tox21", options.folder).items()):
        for name, settings in SETTINGS.items():
            Z = scale_bits(X, train) if name == "wide" else X
            for seed in range(options.seeds):
                clf = MultiTaskClassifier(
                    **settings, standardize=False, early_stopping=True, random_state=seed
                )
                clf.fit(Z[train], Y.iloc[train], validation_data=(Z[valid], Y.iloc[valid]))
                auc, loss = mean_scores(Y.iloc[test], clf.predict_proba(Z[test]))
                rows.append((split, name, seed, auc, loss, clf.best_iter_))
                print(f"{split} {name} seed {seed}: AUC {auc:.4f} log loss {loss:.4f}", flush=True)
    table = pd.DataFrame(rows, columns=["split", "settings", "seed", "auc", "log_loss", "best"])
    print(
        "\n", table.groupby(["settings", "split"])[["auc", "log_loss"]].mean().round(4).to_string()
    )
    random = table[table.split.str.startswith("rand")]
    print("\nmean of the random splits")
    print(random.groupby("settings")[["auc", "log_loss"]].mean().round(4).to_string())


if __name__ == "__main__":
    main()
