#!/usr/bin/env bash
# MLflow 3.17.2 (with pandas 3.0.0 and NumPy 2.4.6).
#
# infer_signature reads a schema from a DataFrame, and one would expect that a model with this
# schema takes the same DataFrame. A column of text categories is described as "string", and then
# refused: "Can not safely convert category to <U0". The column as text is taken.
# Way out: fit on text, or log a model that converts text to categories itself.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    mlflow==3.17.2 pandas==3.0.0 numpy==2.4.6

env/bin/python -W ignore - 2> errors.txt <<'PY' || { cat errors.txt; exit 1; }
import mlflow
import pandas as pd
from mlflow.models import infer_signature

print("MLflow", mlflow.__version__)


class Count(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return len(model_input)


X = pd.DataFrame({"shop": pd.Categorical(["east", "west", "east"])})
signature = infer_signature(X)
print(signature.inputs)
mlflow.set_tracking_uri("sqlite:///mlflow.db")
with mlflow.start_run():
    logged = mlflow.pyfunc.log_model(
        name="model", python_model=Count(), signature=signature, pip_requirements=["pandas"]
    )
model = mlflow.pyfunc.load_model(logged.model_uri)
assert model.predict(X.astype(str)) == 3
try:
    model.predict(X)
except mlflow.MlflowException as error:
    print(error)
    assert "shop" in str(error)
else:
    raise AssertionError("the DataFrame is taken")
PY
echo "as described"
