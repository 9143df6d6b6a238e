#!/usr/bin/env bash
# TensorFlow 2.21.0 on a CPU (with NumPy 2.4.6).
#
# With jit_compile=True one would expect tf.linalg.eigvalsh to take as long as without it, or less. XLA
# has an algorithm of its own for eigenvalues, which is slower by a factor that grows with the matrix:
# 6 for 64 x 64, 18 for 128 x 128 and over 100 for 256 x 256 (.9 s in place of .007 s). The results agree.
# It concerns who compiles a training step with eigenvalues in it.
# Way out: leave such a function uncompiled, or solve by products of matrices.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 numpy==2.4.6

TF_CPP_MIN_LOG_LEVEL=3 env/bin/python -W ignore - <<'PY'
import time

import numpy as np
import tensorflow as tf

print("TensorFlow", tf.__version__)
rng = np.random.default_rng(0)
ratios = {}
for n in (64, 128, 256):
    rows = rng.normal(size=(n, 3 * n))
    matrix = tf.constant(rows @ rows.T)
    seconds, values = {}, {}
    for jit in (False, True):
        function = tf.function(tf.linalg.eigvalsh, jit_compile=jit)
        function(matrix)
        taken = []
        for _ in range(3):
            start = time.process_time()
            values[jit] = function(matrix).numpy()
            taken.append(time.process_time() - start)
        seconds[jit] = min(taken)
    np.testing.assert_allclose(values[True], values[False], rtol=1e-8)
    ratios[n] = seconds[True] / seconds[False]
    print(f"{n} x {n}: {seconds[False]:.4f} s, by XLA {seconds[True]:.4f} s")
assert ratios[256] > 5, ratios
PY
echo "as described"
