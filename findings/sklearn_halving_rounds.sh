#!/usr/bin/env bash
# scikit-learn 1.9.1.
#
# HalvingGridSearchCV promises rounds until the last one has fewer than `factor` candidates. It
# counts them as 1 + floor(log(n_candidates, factor)), and math.log(243, 3) is 4.999999999999999,
# as math.log(1000, 10) is 2.9999999999999996. With 243 candidates and the default factor of 3 the
# last of six rounds is missing: the first one starts with three times the resources, for all 243
# candidates, and the last one still compares three. Seen here: 3645 resources are spent in place
# of 1458. 81, 244 and 729 candidates have the right number of rounds.
# Way out: one candidate more, or min_resources as a number.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

env/bin/python - <<'PY'
import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV


class Constant(BaseEstimator):
    def __init__(self, number=0, rounds=1):
        self.number = number
        self.rounds = rounds

    def fit(self, X, y):
        return self

    def score(self, X, y):
        return self.number


print("scikit-learn", sklearn.__version__)
X, y = np.zeros((4, 1)), np.zeros(4)
for n_candidates in (81, 243, 244, 729):
    search = HalvingGridSearchCV(
        Constant(), {"number": list(range(n_candidates))}, cv=2, resource="rounds",
        max_resources=n_candidates, factor=3,
    ).fit(X, y)
    work = sum(n * r for n, r in zip(search.n_candidates_, search.n_resources_))
    print(n_candidates, search.n_candidates_, search.n_resources_, work)
    assert (search.n_candidates_[-1] < 3) == (n_candidates != 243)
    assert n_candidates != 243 or work == 3645
PY
echo "as described"
