#!/usr/bin/env bash
# imbalanced-learn 0.14.2 (with scikit-learn 1.9.1 and NumPy 2.4.6).
#
# Samplers refuse a table of several labels: "Multilabel and multioutput targets are not
# supported". But a table of 0 and 1 in which no row has two 1s is taken for the one-vs-rest
# encoding of one column, even if rows have no 1 at all, and such a row is read as the first class.
# One would expect the same refusal. Instead rows without any finding come back with the first
# one. Seen here: 40 of 60 original rows have another label afterwards, and no row of zeros is
# left. One row with two 1s brings the refusal back.
# Concerns tables of rare labels, where rows with two of them may be absent by chance.
# Way out: check Y.sum(axis=1).min() == 1 first, or resample by one column.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    imbalanced-learn==0.14.2 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

env/bin/python - <<'PY'
import imblearn
import numpy as np
from imblearn.over_sampling import RandomOverSampler

print("imbalanced-learn", imblearn.__version__)
X = np.arange(60.0).reshape(-1, 1)
Y = np.zeros((60, 3), dtype=int)
Y[:6, 0] = Y[6:16, 1] = Y[16:20, 2] = 1
drawn, labels = RandomOverSampler(random_state=0).fit_resample(X, Y)
for table in (Y, labels):
    rows, counts = np.unique(table, axis=0, return_counts=True)
    print({tuple(row.tolist()): count.item() for row, count in zip(rows, counts)})

changed = (labels != Y[drawn[:, 0].astype(int)]).any(axis=1)
print(changed[:60].sum(), "of 60 original rows have another label")
assert (drawn[:60] == X).all()
assert changed[:60].sum() == 40
assert (labels.sum(axis=1) == 1).all()

Y[0, 1] = 1
try:
    RandomOverSampler(random_state=0).fit_resample(X, Y)
except ValueError as error:
    print(error)
else:
    raise AssertionError("a row with two findings is taken")
PY
echo "as described"
