#!/usr/bin/env bash
# Keras 3.15.1 with TensorFlow 2.21.0.
#
# One would expect keras.optimizers.Muon to orthogonalise the updates of all hidden kernels, as its
# Newton-Schulz iteration takes stacks of matrices. It takes kernels of exactly two axes, and updates
# all others by AdamW without a word: among them the query, key and value kernels of
# MultiHeadAttention, which have three axes and for which Muon is mostly used. Affects whoever
# compares optimizers on networks with attention, EinsumDense or kernels of several members.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check tensorflow==2.21.0 keras==3.15.1

cat > muon.py <<'EOF'
import warnings

import keras

warnings.simplefilter("error", UserWarning)
inputs = keras.Input((4, 8))
attended = keras.layers.MultiHeadAttention(2, 4, name="attention")(inputs, inputs)
model = keras.Model(inputs, keras.layers.Dense(8, name="dense")(attended))
muon = keras.optimizers.Muon()
muon.build(model.trainable_variables)
by_adamw = {}
for variable, velocity in zip(model.trainable_variables, muon.adam_velocities, strict=True):
    if variable.name == "kernel":
        by_adamw[variable.path] = velocity is not None
        print(f"{variable.path} {tuple(variable.shape)}: {'AdamW' if velocity is not None else 'Muon'}")
attention = [by for path, by in by_adamw.items() if "attention" in path]
assert len(attention) == 4 and all(attention), "no longer as described"
assert by_adamw["dense/kernel"] is False
stack = keras.random.normal((3, 4, 5), seed=0)
whole = muon.zeropower_via_newtonschulz5(stack, 5)
each = keras.ops.stack([muon.zeropower_via_newtonschulz5(part, 5) for part in stack])
print("the iteration takes stacks:", bool(keras.ops.all(abs(whole - each) < 1e-5)))
EOF
env/bin/python muon.py 2> log.txt || { tail -n 20 log.txt; exit 1; }
