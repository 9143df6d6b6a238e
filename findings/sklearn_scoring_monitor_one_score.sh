#!/usr/bin/env bash
# scikit-learn 1.9.1.
#
# callback.ScoringMonitor documents scoring=None (the score of the estimator) and a callable that
# returns one value. With either, the fit stops at the first step: "'float' object is not
# iterable", since only names and scikit-learn's own scorers are turned into a dict of scores
# (callback/_scoring_monitor.py). Scorers of other packages are such callables.
# Way out: a dict with a name, scoring={"score": scorer}.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

env/bin/python - <<'EOF'
import warnings

import sklearn
from sklearn.callback import ScoringMonitor
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("ignore", ConvergenceWarning)
X, y = make_classification(random_state=0)


def score(estimator, X, y):
    return estimator.score(X, y)


print("scikit-learn", sklearn.__version__)
for scoring in (None, score, {"score": score}, "accuracy"):
    monitor = ScoringMonitor(scoring=scoring)
    try:
        LogisticRegression(max_iter=3).set_callbacks(monitor).fit(X, y)
        found = f"{len(monitor.get_logs().data)} scores"
    except TypeError as error:
        found = str(error)
    print(scoring, "->", found)
    works = isinstance(scoring, (dict, str))
    assert found.endswith("scores") if works else "not iterable" in found
EOF
echo "as described"
