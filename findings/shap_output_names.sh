#!/usr/bin/env bash
# shap 0.54.1, which needs Python 3.12 (with scikit-learn 1.9.1 and NumPy 2.4.6).
#
# shap.Explainer takes output_names, "the names of the model outputs", and one would expect them in
# the explanation and in the legends of plots. The exact and the permutation explainer, which it
# chooses for a function, drop them without a word: the outputs are called "Output 0", "Output 1".
# Only the partition explainer keeps them. Setting explainer.output_names afterwards makes the call
# fail with "the model seems to not have multiple outputs".
# Way out: an attribute output_names of the function, with shap.PermutationExplainer; the exact
# explainer does not read it either.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    shap==0.54.1 scikit-learn==1.9.1 pandas==3.0.0 scipy==1.17.1 numpy==2.4.6

env/bin/python - <<'PY'
import shap
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

print("shap", shap.__version__)
X, y = load_iris(return_X_y=True)
names = ["setosa", "versicolor", "virginica"]
clf = LogisticRegression(max_iter=500).fit(X, y)
found = {}
for algorithm in ("auto", "exact", "permutation", "partition"):
    explainer = shap.Explainer(clf.predict_proba, X[:20], output_names=names, algorithm=algorithm)
    found[algorithm] = [str(name) for name in explainer(X[:3]).output_names]
    print(algorithm, type(explainer).__name__, found[algorithm])
assert found["partition"] == names
for algorithm in ("auto", "exact", "permutation"):
    assert found[algorithm] == ["Output 0", "Output 1", "Output 2"]


def predict(rows):
    return clf.predict_proba(rows)


predict.output_names = names
assert list(shap.PermutationExplainer(predict, X[:20])(X[:3]).output_names) == names
assert list(shap.ExactExplainer(predict, X[:20])(X[:3]).output_names) == found["auto"]
PY
echo "as described"
