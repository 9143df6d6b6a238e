#!/usr/bin/env bash
# shap 0.54.1, which needs Python 3.12 (with TensorFlow 2.21.0, Keras 3.15.1 and NumPy 2.4.6).
#
# shap.DeepExplainer has no rule for some operations, such as a choice between two tensors, and
# says so by a LookupError. One would expect to go on without it. But it replaces TensorFlow's table
# of gradients while it computes, and puts it back only if nothing was raised. After the error, no
# Keras model can be fitted in the process: "gradient registry has no entry for: shap_...".
# Seen here with a layer of keras.ops.where; a model of dense layers explains and fits well.
# Way out: a process of its own for DeepExplainer, or GradientExplainer.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    shap==0.54.1 tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6

TF_CPP_MIN_LOG_LEVEL=3 env/bin/python -W ignore - 2> errors.txt <<'PY' || { cat errors.txt; exit 1; }
import keras
import numpy as np
import shap

print("shap", shap.__version__)
x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")


class FillMissing(keras.layers.Layer):
    def call(self, cells):
        return keras.ops.where(keras.ops.isnan(cells), 0.0, cells)


def make(*layers):
    inputs = outputs = keras.Input((4,))
    for layer in (*layers, keras.layers.Dense(3, activation="relu"), keras.layers.Dense(2)):
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def fit():
    model = make()
    model.compile("sgd", loss="mse")
    model.fit(x, x[:, :2], verbose=0)


shap.DeepExplainer(make(), x[:20]).shap_values(x[:3])
fit()
for explain in (lambda: shap.DeepExplainer(make(FillMissing()), x[:20]).shap_values(x[:3]), fit):
    try:
        explain()
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[-1].strip())
        assert "gradient registry has no entry for: shap_" in str(error)
    else:
        raise AssertionError("nothing was raised")
PY
echo "as described"
