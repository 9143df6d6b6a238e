#!/usr/bin/env bash
# XGBoost 3.2.0.
#
# Trees with vector leaves (multi_strategy="multi_output_tree") are the way to train one model for
# several tasks. One would expect them to take what all other trees of XGBoost take: categorical
# columns, with enable_categorical=True. Training ends with an error that this is not implemented,
# while the same table trains with one tree per output. Numbers alone work, and so does a custom
# objective whose gradients and hessians are 0 for missing labels, which the labels themselves must
# not be: NaN among them is refused. Concerns whoever compares models of several tasks on tables with
# categories: they must be one-hot encoded for this model only.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check --no-deps \
    xgboost==3.2.0 numpy==2.3.5 scipy==1.16.3 pandas==2.3.3 python-dateutil==2.9.0 pytz==2025.2 \
    six==1.17.0 tzdata==2025.2

cat > leaves.py <<'EOF'
import numpy as np
import pandas as pd
import xgboost

rng = np.random.default_rng(0)
frame = pd.DataFrame({"x": rng.normal(size=200), "kind": pd.Categorical(rng.choice(["a", "b"], 200))})
codes = frame.assign(kind=frame["kind"].cat.codes)
labels = np.column_stack([frame["x"] > 0, frame["kind"] == "a"]).astype(float)


def said(error, word):
    return next(line for line in str(error).splitlines() if word in line).split(": ")[-1]


def train(X, y, strategy, objective=None):
    data = xgboost.DMatrix(X, label=y, enable_categorical=True)
    params = {"multi_strategy": strategy, "tree_method": "hist", "objective": "binary:logistic"}
    if objective is not None:
        params |= {"objective": "reg:squarederror", "num_target": 2}
    xgboost.train(params, data, num_boost_round=2, obj=objective)


train(frame, labels, "one_output_per_tree")
print("categories, a tree per output: trained")
train(codes, labels, "multi_output_tree")
print("numbers, vector leaves: trained")
try:
    train(frame, labels, "multi_output_tree")
except xgboost.core.XGBoostError as error:
    print("categories, vector leaves:", said(error, "Categorical"))
else:
    raise SystemExit("no longer as described")

missing = rng.random(labels.shape) < 0.3
try:
    xgboost.DMatrix(codes, label=np.where(missing, np.nan, labels))
except (ValueError, xgboost.core.XGBoostError) as error:
    print("NaN among the labels:", said(error, "abel"))
else:
    raise SystemExit("no longer as described")


def masked(logits, data):
    p = 1 / (1 + np.exp(-logits.reshape(labels.shape)))
    return np.where(missing, 0.0, p - labels), np.where(missing, 0.0, p * (1 - p))


train(codes, labels, "multi_output_tree", masked)
print("masked objective, vector leaves: trained")
EOF
env/bin/python leaves.py 2> log.txt || { tail -n 20 log.txt; exit 1; }
