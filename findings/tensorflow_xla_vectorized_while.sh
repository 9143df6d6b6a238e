#!/usr/bin/env bash
# TensorFlow 2.21.0.
#
# One would expect XLA to compile tf.vectorized_map of a tf.while_loop if it compiles the loop alone and
# vectorized_map runs it without XLA. It does so where the condition is the same for all examples, as
# with a fixed number of rounds. Where the condition depends on the example, vectorized_map keeps the
# examples that are done in a list, with TensorListScatterIntoExistingList, for which XLA has no
# kernel: InvalidArgumentError. Concerns solvers that stop when they have converged, mapped over
# examples or over the members of an ensemble.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check tensorflow==2.21.0

cat > loops.py <<'EOF'
import tensorflow as tf


def make_halving(goes_on):
    def halve(x):
        return tf.while_loop(goes_on, lambda i, x: (i + 1, x / 2), (0, x))[1]

    return halve


values = tf.constant([8.0, 5.0])
loops = {"three rounds": lambda i, x: i < 3, "until it is small": lambda i, x: x > 1.0}
for name, goes_on in loops.items():
    halve = make_halving(goes_on)

    def halve_all(values, halve=halve):
        return tf.vectorized_map(halve, values)

    alone = tf.function(halve, jit_compile=True)(values[0])
    mapped = tf.function(halve_all)(values)
    print(f"{name}: alone by XLA {alone.numpy()}, mapped without XLA {mapped.numpy()}")
    assert alone == 1.0
    assert mapped.numpy().tolist() == [1.0, 0.625]
    try:
        found = f"mapped by XLA {tf.function(halve_all, jit_compile=True)(values).numpy()}"
    except tf.errors.InvalidArgumentError as error:
        assert "TensorListScatterIntoExistingList" in str(error)
        found = "mapped by XLA: no kernel for TensorListScatterIntoExistingList"
    print(f"{name}: {found}")
    assert ("no kernel" in found) == (name == "until it is small"), "no longer as described"
EOF
env/bin/python loops.py 2> log.txt || { tail -n 20 log.txt; exit 1; }
