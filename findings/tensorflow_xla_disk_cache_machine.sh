#!/usr/bin/env bash
# TensorFlow 2.21.0, on a CPU.
#
# XLA's compilations can be kept on disk between processes (TF_XLA_FLAGS, undocumented). One would
# expect one that was loaded on the machine that made it to be taken as made for this machine.
# It is loaded and used, but logged as an error, "Target machine feature +prefer-no-scatter is
# not supported on the host machine ... could lead to execution errors": the list of features
# that is compared includes two that are preferences of the compiler, not of a machine. Affects
# who searches logs for errors, or keeps compilations for short processes.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check tensorflow==2.21.0
mkdir kept

cat > compiled.py <<'EOF'
import tensorflow as tf


@tf.function(jit_compile=True)
def call(x):
    return tf.linalg.matmul(x, x) + 1


print(float(tf.reduce_sum(call(tf.ones((4, 4))))))
EOF
export TF_XLA_FLAGS="--tf_xla_persistent_cache_directory=$tmp/kept"
export TF_XLA_FLAGS="$TF_XLA_FLAGS --tf_xla_persistent_cache_device_types=CPU"
for run in first second; do
    echo "$run process: $(env/bin/python compiled.py 2> "$run.txt")"
    echo "  files kept: $(ls kept | wc -l)"
    echo "  errors about the machine: $(grep -c 'not  *supported on the host machine' "$run.txt" || true)"
done
test "$(ls kept | wc -l)" = 1
grep -q 'prefer-no-scatter is not  *supported on the host machine' second.txt || {
    echo "no longer as described"
    exit 1
}
! grep -q 'supported on the host machine' first.txt
