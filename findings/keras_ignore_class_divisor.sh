#!/usr/bin/env bash
# Keras 3.15.1 (here with JAX 0.10.2 on the CPU; the same with TensorFlow 2.21.0).
#
# losses.SparseCategoricalCrossentropy and metrics.SparseCategoricalCrossentropy take the same
# ignore_class=-1, described in the same words, so one would expect one value. The loss
# divides by the labelled rows of each batch; the metric, like a loss with sample_weight=0 for
# the ignored rows, divides by all rows. Keras then weighs the batches' losses by all their rows.
# Seen here, for 8 rows in batches of 4, 3 rows of the first unlabelled: loss 0.8133, metric
# and sample_weight 0.3208; the mean over the 5 labelled rows, 0.5133, is none of them.
# A batch without labels has loss 0, not NaN, and counts as 4 rows: the same rows in another
# order have another loss. Affects outputs with missing labels and early stopping on them.
# The loss uses the mask (losses/loss.py), the metric does not (metrics/reduction_metrics.py).
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check keras==3.15.1 jax==0.10.2 numpy==2.4.6

KERAS_HOME=$tmp KERAS_BACKEND=jax JAX_PLATFORMS=cpu env/bin/python - <<'EOF'
import keras
import numpy as np

Loss = keras.losses.SparseCategoricalCrossentropy
Metric = keras.metrics.SparseCategoricalCrossentropy
ignoring = {"from_logits": True, "ignore_class": -1}

def evaluate(y, loss, metrics=None, **options):
    """Loss (and metrics) of a model whose logits are always (0, 1), in batches of 4."""
    x = keras.Input((1,))
    bias = keras.initializers.Constant([0.0, 1.0])
    out = keras.layers.Dense(2, kernel_initializer="zeros", bias_initializer=bias)(x)
    model = keras.Model(x, out)
    model.compile(loss=loss, metrics=metrics)
    zeros = np.zeros((len(y), 1), np.float32)
    return model.evaluate(zeros, y, batch_size=4, verbose=0, **options)

print("keras", keras.__version__, keras.backend.backend())
y = np.array([0, -1, -1, -1, 1, 1, 1, 1])
row = np.log(1 + np.e) - np.array([0.0, 1.0])       # the loss of a row of class 0, 1
labelled = (row[0] + 4 * row[1]) / 5
loss, metric = evaluate(y, Loss(**ignoring), [Metric(**ignoring)])
weighted = evaluate(np.maximum(y, 0), Loss(from_logits=True), sample_weight=1.0 * (y >= 0))
print(f"loss {loss:.4f} metric {metric:.4f} sample_weight {weighted:.4f} "
      f"mean over the labelled rows {labelled:.4f}")
np.testing.assert_allclose(loss, (4 * row[0] + 4 * row[1]) / 8, rtol=1e-5)
np.testing.assert_allclose([metric, weighted], (row[0] + 4 * row[1]) / 8, rtol=1e-5)

none = float(Loss(**ignoring)(np.full(4, -1), np.zeros((4, 2), np.float32)))
first = evaluate(np.array([1, 1, 1, 1, -1, -1, -1, -1]), Loss(**ignoring))
spread = evaluate(np.array([1, 1, -1, -1, 1, 1, -1, -1]), Loss(**ignoring))
print(f"no label in the batch {none}; labels in one batch {first:.4f}, in both {spread:.4f}")
assert none == 0.0
np.testing.assert_allclose([first, spread], [row[1] / 2, row[1]], rtol=1e-5)
print("as described")
EOF
