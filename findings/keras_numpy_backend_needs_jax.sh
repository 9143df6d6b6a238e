#!/usr/bin/env bash
# Keras 3.15.1.
#
# `pip install keras` brings NumPy, and KERAS_BACKEND=numpy names a backend for inference (it
# has no fit), so one would expect the two to run a model without a deep learning library.
# `import keras` fails: first for SciPy, then for JAX (keras/src/backend/numpy/math.py takes
# its FFT from the JAX backend when it is imported); neither is among Keras's dependencies.
# With jax (which brings SciPy) it works. Affects whoever wants small containers for
# prediction. Known: keras-team/keras issue 20966; its fix of 2025 (pull request 20989) was to
# let the import work without JAX, which with 3.15.1 it does not.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
export KERAS_HOME=$tmp KERAS_BACKEND=numpy JAX_PLATFORMS=cpu
python3 -m venv env
install() { env/bin/pip install --quiet --disable-pip-version-check "$@"; }

cat > missing.py <<'EOF'
try:
    import keras
except ModuleNotFoundError as error:
    print("No module named", error.name)
else:
    import numpy as np
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    assert model.predict(np.array([[1.0, 2.0]]), verbose=0) == 3.0
    print("works:", "keras", keras.__version__, keras.backend.backend())
EOF

try() {
    found=$(env/bin/python missing.py)
    echo "with $1: $found"
    [[ $found == "$2"* ]]
}
install keras==3.15.1 numpy==2.4.6
try "keras alone" "No module named scipy"
install scipy==1.17.1
try "keras and scipy" "No module named jax"
install jax==0.10.2
try "keras, scipy and jax" "works:"
echo "as described"
