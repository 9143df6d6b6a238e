"""Do unlabelled cells help? Pseudo-labels and consistency where few of the labels are known.

Of the labels of the training part a share is kept, cell by cell at random; rows that lose all of
theirs stay in X. Each way to use the other cells is fitted with the package's defaults, on the
training part alone, and scored on the labelled cells of the validation part, or, with `--test`, of
the test part: ROC-AUC (one-vs-rest mean for several classes) and log loss, means over tasks.

Usage: python docs/benchmarks/unlabelled.py FOLDER [--tables nhanes census tox21 "waves 5000x20"]
       [--shares 0.01 0.03 0.1 0.3] [--ways none soft ...] [--seeds 0 1 2] [--test]
where FOLDER holds the tables and their splits. A seed draws which labels are kept, and the weights;
the split is the first random one.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parent / "quality"))
from _tables import load_table, prepare

from sk_mtl import MultiTaskClassifier
from sk_mtl.metrics import multitask_score

AVERAGED = {"optimizer__use_ema": True, "optimizer__ema_momentum": 0.99}
WAYS = {
    "none": {},
    "averaged": AVERAGED,
    "soft": {"unlabelled": "pseudo_labels"},
    "threshold": {"unlabelled": "pseudo_labels", "pseudo_label_threshold": 0.9},
    "consistency": {"unlabelled": "consistency"},
}


def keep_labels(Y, share, seed):
    """Return labels of which a share is left, with at least one of each class of each task."""
    rng = np.random.default_rng([seed, 23])
    kept = rng.random(Y.shape) < share
    for t, task in enumerate(Y):
        for rows in Y.groupby(task).indices.values():
            kept[rng.choice(rows), t] = True
    return Y.where(kept)


def fit_and_score(table, split, share, way, seed, part):
    train, *others = table.splits[split]
    scored = others[part]
    X = prepare(table.X, train)
    Y = keep_labels(table.truth.iloc[train], share, seed)
    clf = MultiTaskClassifier(**WAYS[way], random_state=seed)
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X[train], Y)
    seconds = time.process_time() - begun
    proba, truth = clf.predict_proba(X[scored]), table.truth.iloc[scored]
    return {
        "auc": multitask_score("roc_auc", truth, proba),
        "log_loss": -multitask_score("neg_log_loss", truth, proba),
        "epochs": clf.best_iter_,
        "seconds": seconds,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument(
        "--tables", nargs="+", default=["nhanes", "census", "tox21", "waves 5000x20"]
    )
    parser.add_argument("--shares", nargs="+", type=float, default=[0.01, 0.03, 0.1, 0.3])
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--test", action="store_true")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = []
    for name in options.tables:
        table = load_table(name, options.folder)
        for share in options.shares:
            for seed in options.seeds:
                for way in options.ways:
                    found = fit_and_score(table, "rand0", share, way, seed, int(options.test))
                    rows.append({"table": name, "share": share, "way": way, "seed": seed, **found})
                    shown = " ".join(f"{k} {v:.4f}" for k, v in found.items())
                    print(f"{name} {share:.2f} seed {seed} {way:11s} {shown}", flush=True)
    means = pd.DataFrame(rows).groupby(["table", "share", "way"], sort=False).mean()
    print("\n", means.drop(columns="seed").round(4).to_string())


if __name__ == "__main__":
    main()
