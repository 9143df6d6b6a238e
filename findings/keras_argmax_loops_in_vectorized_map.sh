#!/usr/bin/env bash
# Keras 3.15.1 with TensorFlow 2.21.0.
#
# One would expect keras.ops.argmax to be vectorised by tf.vectorized_map as tf.argmax is. It
# bitcasts its input first, and vectorized_map has no rule for Bitcast: the map becomes a
# tf.while_loop over the examples. Results are right; the only sign is a line in TensorFlow's
# log. Affects per-example gradients and ensembles written with keras.ops. tf.argmax is
# vectorised.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check tensorflow==2.21.0 keras==3.15.1

cat > argmax.py <<'EOF'
import logging

import keras
import tensorflow as tf

told = []


class Listener(logging.Handler):
    def emit(self, record):
        told.append(record.getMessage())


tf.get_logger().addHandler(Listener())
rows = tf.random.stateless_normal((4, 5), (0, 0))
for name, argmax in (("keras.ops.argmax", keras.ops.argmax), ("tf.argmax", tf.argmax)):
    told.clear()
    found = tf.vectorized_map(lambda row: argmax(row, axis=-1), rows)
    loops = [message for message in told if "while_loop" in message]
    right = bool(tf.reduce_all(tf.cast(found, tf.int64) == tf.argmax(rows, axis=1)))
    print(f"{name}: right: {right}, loops: {loops}")
    assert right
    assert bool(loops) == name.startswith("keras"), "no longer as described"
EOF
env/bin/python argmax.py 2> log.txt || { tail -n 20 log.txt; exit 1; }
