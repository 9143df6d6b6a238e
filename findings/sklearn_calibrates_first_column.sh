#!/usr/bin/env bash
# scikit-learn 1.9.1, compared with 1.8.0.
#
# CalibratedClassifierCV reads the probabilities of the second class, and refuses what is not a
# classifier, up to 1.8: "should either be a classifier to be used with response_method=...".
# Since 1.9 utils/_response.py hands on whatever such an estimator predicts, and the calibrator
# of two classes takes the first column of predict_proba for the second class. An estimator
# whose estimator-type tag is None (as one for several outputs may have) thus gets inverted
# labels, without an error or a warning, from predict_proba methods that are right.
# Seen here, for a GaussianNB behind such a tag: accuracy .855 alone, and .150 calibrated, frozen
# or with ensemble=False; 1.8.0 raises ValueError for both.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
install() { env/bin/pip install --quiet --disable-pip-version-check "$@"; }

cat > calibrate.py <<'EOF'
import sys

import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB


class Untyped(GaussianNB):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = None
        return tags


X, y = make_classification(n_samples=200, flip_y=0.2, random_state=0)
fitted = Untyped().fit(X, y)
alone = fitted.score(X, y)
print("scikit-learn", sklearn.__version__, "alone", round(alone, 3))
for name, calibrator in {
    "frozen": CalibratedClassifierCV(FrozenEstimator(fitted), cv=2),
    "ensemble=False": CalibratedClassifierCV(Untyped(), cv=2, ensemble=False),
}.items():
    try:
        found = round(calibrator.fit(X, y).score(X, y), 3)
    except ValueError as error:
        found = str(error)
    print(name, "->", found)
    if sys.argv[1] == "inverts":
        assert found < 0.5 < alone
    else:
        assert "should either be a classifier" in found
EOF

install scikit-learn==1.8.0 scipy==1.17.1 numpy==2.4.6
env/bin/python calibrate.py refuses
install scikit-learn==1.9.1
env/bin/python calibrate.py inverts
echo "as described"
