"""What the tests of commands share: a small census table, and settings of a fit in no time."""

import numpy as np
import pandas as pd

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import load_census

TASKS = ["income_50k", "never_married", "education"]
PARAMS = {"hidden_layer_sizes": [4], "epochs": 2, "early_stopping": False}
TINY = [word for name, value in PARAMS.items() for word in ("--param", f"{name}={value}")]
FIT = ["--tasks", ",".join(TASKS), "--drop", "id", *TINY, "--quiet"]


def make_census(n_rows=300):
    """Return some rows and columns of the census, with ids, as a CSV would have them."""
    X, Y = load_census(return_X_y=True)
    columns = ["age", "class_worker", "sex", "wage_per_hour", "num_emp", "hisp_origin"]
    is_labelled = Y["education"].notna().to_numpy()
    n_labelled = n_rows // 2
    labelled = np.flatnonzero(is_labelled)[:n_labelled]
    rows = np.sort([*labelled, *np.flatnonzero(~is_labelled)[: n_rows - n_labelled]])
    table = X[columns].join(Y).iloc[rows].reset_index(drop=True)
    table.insert(0, "id", [f"r{i}" for i in range(n_rows)])
    return table


def features_of(table):
    """Return the features as a user would prepare them in Python."""
    X = table.drop(columns=["id", *TASKS])
    text = X.select_dtypes(exclude="number").columns
    return X.astype(dict.fromkeys(text, "category"))


def fit_in_python(path, **params):
    """Return a classifier fitted in Python to a CSV, with its features."""
    table = pd.read_csv(path)
    X = features_of(table)
    clf = MultiTaskClassifier(**{"random_state": 0, **PARAMS, **params})
    return clf.fit(X, table[TASKS]), X
