#!/usr/bin/env bash
# MAPIE 1.6.0 (with scikit-learn 1.9.1 and NumPy 2.4.6).
#
# classification_coverage_score(y_true, y_pred_set) asks for the "true labels" and the sets of
# predict_set. One would expect that it finds a label's column among the sorted classes, as
# predict_set does. It takes the label itself as the index of the column. For the labels 0, 1, 2
# that is the same. For -1 and 1, both are the last column, and the score is wrong without a word:
# seen here, .67 in place of .875. Other labels raise IndexError, or TypeError if they are text.
# Way out: np.searchsorted(classifier.classes_, y_true) as y_true.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    mapie==1.6.0 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

env/bin/python - <<'PY'
import importlib.metadata

import numpy as np
from mapie.classification import SplitConformalClassifier
from mapie.metrics.classification import classification_coverage_score
from sklearn.linear_model import LogisticRegression

print("MAPIE", importlib.metadata.version("mapie"))
rng = np.random.default_rng(0)
X = rng.normal(size=(600, 2))
positive = (X[:, 0] + rng.normal(size=600) > 0).astype(int)
scores = {}
for classes in ((0, 1), (-1, 1)):
    y = np.array(classes)[positive]
    clf = LogisticRegression().fit(X[:200], y[:200])
    conformal = SplitConformalClassifier(clf, confidence_level=0.9, prefit=True)
    _, sets = conformal.conformalize(X[200:400], y[200:400]).predict_set(X[400:])
    score = classification_coverage_score(y[400:], sets)[0]
    covered = sets[np.arange(200), np.searchsorted(clf.classes_, y[400:]), 0].mean()
    print(classes, "score:", score, "covered:", covered)
    scores[classes] = score, covered
assert scores[0, 1][0] == scores[0, 1][1] == scores[-1, 1][1]
assert abs(scores[-1, 1][0] - scores[-1, 1][1]) > 0.1
PY
echo "as described"
