#!/usr/bin/env bash
# scikit-learn 1.9.1 with NumPy 2.4.6.
#
# HistGradientBoostingClassifier.fit takes validation rows as X_val and y_val. In
# cross_validate and in the searches one would expect every fold to validate on all of
# them: they are no rows of X. But whatever has as many rows as X counts as one value per
# row of X, and is cut by each fold's training rows, with metadata routing as without.
# Seen here: 40 validation rows beside 40 rows of X become 20 in each of two folds, and
# 41 stay 41; nothing is said.
# Pass such rows with one more, or one less, than X has; or fit in a loop of one's own.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6

cat > check.py <<'EOF'
import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import KFold, cross_validate

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 2))
y = (X[:, 0] > 0).astype(int)


class Noting(HistGradientBoostingClassifier):
    seen = []

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        self.seen.append((len(X_val), len(y_val)))
        return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val)


for routing in (False, True):
    for n_val, expected in ((40, 20), (41, 41)):
        X_val = rng.normal(size=(n_val, 2))
        Noting.seen.clear()
        with sklearn.config_context(enable_metadata_routing=routing):
            clf = Noting(max_iter=2, early_stopping=True)
            if routing:
                clf.set_fit_request(X_val=True, y_val=True)
            rows = {"X_val": X_val, "y_val": (X_val[:, 0] > 0).astype(int)}
            cross_validate(clf, X, y, cv=KFold(2), params=rows, error_score="raise")
        print("scikit-learn", sklearn.__version__, "routing", routing, "| passed", n_val,
              "| each fold got", Noting.seen)
        assert Noting.seen == [(expected, expected)] * 2
EOF

env/bin/python check.py
echo "as described"
