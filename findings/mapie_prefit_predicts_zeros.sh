#!/usr/bin/env bash
# MAPIE 1.6.0 (with scikit-learn 1.9.1, pandas 3.0.0 and NumPy 2.4.6).
#
# With prefit=True, one would expect MAPIE to ask scikit-learn's check_is_fitted. It calls predict
# on an array of zeros, with the last step if the model is a Pipeline, and any error means "does
# not appear fitted" (raised as a UserWarning). A model that was fitted on a DataFrame with text
# categories cannot predict zeros: a fitted HistGradientBoostingClassifier is refused.
# Way out: turn categories into numbers in earlier steps of a Pipeline.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    mapie==1.6.0 scikit-learn==1.9.1 pandas==3.0.0 scipy==1.17.1 numpy==2.4.6

env/bin/python -W ignore - <<'PY'
import importlib.metadata

import numpy as np
import pandas as pd
from mapie.classification import SplitConformalClassifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils.validation import check_is_fitted

print("MAPIE", importlib.metadata.version("mapie"))
shop = pd.Categorical(["east", "west"] * 50)
X = pd.DataFrame({"shop": shop, "price": np.arange(100.0)})
y = np.arange(100) % 3 % 2
clf = HistGradientBoostingClassifier(categorical_features="from_dtype").fit(X, y)
check_is_fitted(clf)
clf.predict(X)
try:
    SplitConformalClassifier(clf, prefit=True).conformalize(X, y)
except UserWarning as error:
    print(error.args[0])
    assert "does not appear fitted" in error.args[0]
else:
    raise AssertionError("a fitted classifier is taken")

columns = make_column_transformer((OrdinalEncoder(), ["shop"]), remainder="passthrough")
pipeline = make_pipeline(columns, HistGradientBoostingClassifier(categorical_features=[0])).fit(X, y)
SplitConformalClassifier(pipeline, prefit=True).conformalize(X, y)
PY
echo "as described"
