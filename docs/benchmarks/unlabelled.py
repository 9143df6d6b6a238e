"""Do unlabelled cells help? Pseudo-labels and consistency where few of the labels are known.

Of the labels of the training part a share is kept, cell by cell at random; rows that lose all of
theirs stay in X. Each way to use the other cells is fitted with the package's defaults on the
training part alone, and scored on the labelled cells of the validation part and of the test part:
ROC-AUC (one-vs-rest mean for several classes) and log loss, means over tasks. By default early
stopping begins at 1,000 labelled rows; where there are fewer, two more fits have it, too.

Usage: python docs/benchmarks/unlabelled.py FOLDER [--tables nhanes census tox21 "waves 5000x20"]
       [--shares 0.01 0.03 0.1 0.3] [--ways none soft ...] [--seeds 0 1 2]
where FOLDER holds the tables and their splits. A seed draws which labels are kept, and the weights;
the split is the first random one.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _harness import make_folder_parser, show_scores, use_one_thread

sys.path.insert(0, str(Path(__file__).parent / "quality"))
from _tables import load_table, prepare

from sk_mtl import MultiTaskClassifier
from sk_mtl.metrics import multitask_score

TABLES = ["nhanes", "census", "waves 5000x20", "tox21"]
STOPPED = {"early_stopping": True}
WAYS = {
    "none": {},
    "soft": {"unlabelled": "pseudo_labels"},
    "threshold": {"unlabelled": "pseudo_labels", "pseudo_label_threshold": 0.9},
    "consistency": {"unlabelled": "consistency"},
    "none, stopped": STOPPED,
    "consistency, stopped": {"unlabelled": "consistency", **STOPPED},
}
N_STOPPED = 1000  # labelled rows from which on fits are stopped early by default


def keep_labels(Y, share, seed):
    """Return labels of which a share is left, with at least one of each class of each task."""
    rng = np.random.default_rng([seed, 23])
    kept = rng.random(Y.shape) < share
    for t, task in enumerate(Y):
        for rows in Y.groupby(task).indices.values():
            kept[rng.choice(rows), t] = True
    return Y.where(kept)


def fit_and_score(X, Y, way, seed, parts):
    """Return scores on the parts, each X and Y."""
    clf = MultiTaskClassifier(**WAYS[way], random_state=seed)
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X, Y)
    scores = {"seconds": time.process_time() - begun, "epochs": clf.best_iter_}
    for part, (X_part, Y_part) in parts.items():
        proba = clf.predict_proba(X_part)
        scores[f"{part} auc"] = multitask_score("roc_auc", Y_part, proba)
        scores[f"{part} log loss"] = -multitask_score("neg_log_loss", Y_part, proba)
    return scores


def main():
    parser = make_folder_parser(__doc__, TABLES, [0, 1, 2])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.01, 0.03, 0.1, 0.3])
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    options = parser.parse_args()
    use_one_thread()
    rows = []
    for name in options.tables:
        table = load_table(name, options.folder)
        train, valid, test = table.splits["rand0"]
        X, truth = prepare(table.X, train), table.truth
        parts = {"valid": (X[valid], truth.iloc[valid]), "test": (X[test], truth.iloc[test])}
        for share in options.shares:
            for seed in options.seeds:
                Y = keep_labels(truth.iloc[train], share, seed)
                for way in options.ways:
                    if "stopped" in way and Y.notna().any(axis=1).sum() >= N_STOPPED:
                        continue
                    found = fit_and_score(X[train], Y, way, seed, parts)
                    rows.append({"table": name, "share": share, "way": way, **found})
                    line = f"{name} {share:.2f} seed {seed} {way:20s} {show_scores(found)}"
                    print(line, flush=True)
    means = pd.DataFrame(rows).groupby(["table", "share", "way"], sort=False).mean()
    print("\n", means.round(4).to_string())


if __name__ == "__main__":
    main()
