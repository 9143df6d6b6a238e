"""Does sharing help the rare task? Census, education known for 12 % of the rows.

Three ways to the same head, five seeds on each of three splits, ROC-AUC on the test rows, whose
education labels are all known:

- shared: one network for income, marital status and education;
- alone: the same network, trained on the education-labelled rows for education only;
- constant: the class frequencies.

Usage: python docs/benchmarks/sharing.py FOLDER [--seeds 5] [--splits 3]
where FOLDER holds the census table, its mask and its splits.
"""

import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_mtl import MultiTaskClassifier

SETTINGS = {
    "hidden_layer_sizes": (256,),
    "dropout": 0.4,
    "optimizer": "adamw",
    "optimizer__weight_decay": 0.1,
    "batch_size": 256,
    "loss_normalization": "tasks",
    "early_stopping": True,
    "standardize": False,  # the columns are scaled below
}


def load_census(folder):
    sys.path.insert(0, folder)
    from load import load, splits

    X, complete = load("census", folder, masked=False)
    _, masked = load("census", folder)
    return X, masked, complete, splits("census", folder)


def preprocess(X, train):
    columns = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10, dtype="float32"),
            make_column_selector(dtype_exclude="number"),
        ),
        sparse_threshold=0,
    )
    X = X.fillna({c: "missing" for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])})
    columns.fit(X.iloc[train])
    return columns.transform(X).astype(np.float32)


def score(y_true, proba, classes):
    auc = roc_auc_score(y_true, proba, multi_class="ovr", labels=classes)
    return auc, log_loss(y_true, proba, labels=classes)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--splits", type=int, default=3)
    options = parser.parse_args()
    X_raw, masked, complete, splits = load_census(options.folder)
    rows = []
    for split in sorted(splits)[: options.splits]:
        train, valid, test = splits[split]
        X = preprocess(X_raw, train)
        known = train[masked["education"].notna().to_numpy()[train]]
        known_valid = valid[masked["education"].notna().to_numpy()[valid]]
        truth = complete["education"].to_numpy()[test]
        for seed in range(options.seeds):
            shared = MultiTaskClassifier(**SETTINGS, monitor="education", random_state=seed)
            shared.fit(X[train], masked.iloc[train], validation_data=(X[valid], masked.iloc[valid]))
            alone = MultiTaskClassifier(**SETTINGS, random_state=seed)
            alone.fit(
                X[known],
                masked[["education"]].iloc[known],
                validation_data=(X[known_valid], masked[["education"]].iloc[known_valid]),
            )
            for name, clf in (("shared", shared), ("alone", alone)):
                proba = clf.predict_proba(X[test])["education"]
                auc, loss = score(truth, proba, clf.classes_["education"])
                rows.append((split, seed, name, auc, loss, len(known)))
                print(
                    f"{split} seed {seed} {name:7s} AUC {auc:.4f} log loss {loss:.4f}", flush=True
                )
    table = pd.DataFrame(rows, columns=["split", "seed", "network", "auc", "log_loss", "labels"])
    means = table.groupby(["split", "network"])[["auc", "log_loss"]].agg(["mean", "std"])
    print("\n", means.round(4).to_string())
    wide = table.pivot(index=["split", "seed"], columns="network", values="auc")
    gain = wide["shared"] - wide["alone"]
    print(f"\ngain in AUC, shared minus alone: mean {gain.mean():.4f}, ", end="")
    print(f"sd over runs {gain.std():.4f}, better in {int((gain > 0).sum())} of {len(gain)} runs")


if __name__ == "__main__":
    main()
