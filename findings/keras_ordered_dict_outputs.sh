#!/usr/bin/env bash
# Keras 3.15.1 (here with JAX 0.10.2 on the CPU; the same with TensorFlow 2.21.0).
#
# A functional model may hold its outputs in an OrderedDict, or in a dict with integers as keys;
# it then predicts a mapping with these keys. One would expect a copy of the model to give the
# same arrays under the same keys. After save() and load_model(), copy.deepcopy(), pickle, or
# model_from_json() with set_weights(), the heads have changed places without a word: "z" has the
# output that "a" had. The configuration keeps every mapping as a JSON object, that is, a dict
# with text as keys, whose entries are sorted when it is flattened; an OrderedDict is not, and
# 9 comes before 10 but "10" before "9". The layers are then listed in another order, and weights
# are loaded by that order. Heads of different widths raise an error about shapes instead. A plain
# dict with text as keys comes back as it was. Affects whoever names heads by an OrderedDict,
# and scikit-learn's clone() of an estimator that holds such a model.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check keras==3.15.1 jax==0.10.2 numpy==2.4.6

KERAS_HOME=$tmp KERAS_BACKEND=jax JAX_PLATFORMS=cpu env/bin/python -W ignore - <<'EOF'
import copy
import pickle
from collections import OrderedDict
import keras
import numpy as np

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")

def saved(model):
    model.save("model.keras")
    return keras.models.load_model("model.keras")

def from_json(model):
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    return again

ways = {
    "save, load_model": saved,
    "model_from_json, set_weights": from_json,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}
print("keras", keras.__version__, keras.backend.backend())
for kind, keys, swaps in ((dict, "za", False), (OrderedDict, "za", True), (dict, (9, 10), True)):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, kind((k, keras.layers.Dense(1)(inputs)) for k in keys))
    expected = {str(k): v for k, v in model.predict(X, verbose=0).items()}
    for way, copied in ways.items():
        found = {str(k): v for k, v in copied(model).predict(X, verbose=0).items()}
        came_from = {
            k: next(j for j in expected if np.allclose(expected[j], found[k])) for k in expected
        }
        print(f"{kind.__name__} {keys!r}, {way}: {came_from}")
        assert all((k != j) == swaps for k, j in came_from.items())
print("as described")
EOF
