"""
A masked loss in a plain Keras model
====================================

With your own Keras model and labels of -1 where they are unknown, all you need is a masked loss. It
is divided by the weight of the labelled rows of the batch, so unlabelled rows contribute nothing.
"""

# %%
# Four classes, labelled for one row in five and -1 elsewhere, and a weight for every row.
import keras
import matplotlib.pyplot as plt
import numpy as np

from sk_mtl import MultiTaskClassifier
from sk_mtl.losses import MaskedSparseCategoricalAccuracy, MaskedSparseCategoricalCrossentropy

rng = np.random.default_rng(0)
X = rng.normal(size=(1000, 5)).astype(np.float32)
y = 2 * (X[:, 0] > 0) + (X[:, 1] > 0)
y[rng.random(1000) < 0.8] = -1
weight = rng.uniform(0.5, 2, size=1000).astype(np.float32)
print({int(label): int(n) for label, n in zip(*np.unique(y, return_counts=True), strict=True)})


def make_model(loss, metric, **settings):
    inputs = keras.Input((5,))
    init = keras.initializers.GlorotUniform(seed=0)
    hidden = keras.layers.Dense(16, activation="tanh", kernel_initializer=init)(inputs)
    init = keras.initializers.GlorotUniform(seed=1)
    outputs = keras.layers.Dense(4, activation="softmax", kernel_initializer=init)(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.5), loss=loss, weighted_metrics=[metric], **settings)
    return model


# %%
# The masked loss and accuracy are used like Keras's own, and ``sample_weight`` and
# ``validation_split`` work as usual. One batch holds the whole dataset, so that the models below
# can be compared.
settings = {"epochs": 40, "batch_size": 800, "verbose": 0}
masked = make_model(MaskedSparseCategoricalCrossentropy(), MaskedSparseCategoricalAccuracy())
history = masked.fit(X, y, sample_weight=weight, validation_split=0.2, **settings).history
print({name: round(values[-1], 4) for name, values in history.items()})

# %%
# The same as without unlabelled rows
# -----------------------------------
# Training on the labelled rows alone, with Keras's own loss, gives the same model, up to float32
# rounding of the weights.
known = np.flatnonzero(y >= 0)
first, last = known[known < 800], known[known >= 800]
removed = make_model(
    keras.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"),
    keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
)
expected = removed.fit(
    X[first],
    y[first],
    sample_weight=weight[first],
    validation_data=(X[last], y[last], weight[last]),
    **settings,
).history
pairs = zip(masked.get_weights(), removed.get_weights(), strict=True)
print(f"largest difference of a weight: {max(np.abs(a - b).max() for a, b in pairs):.0e}")

# %%
# A mask is not a sample weight
# -----------------------------
# A common approach gives unlabelled rows an arbitrary class and a ``sample_weight`` of 0. Keras
# then divides by all rows of the batch, including the masked ones. With labels for a fifth of the
# rows, each step is a fifth as long, and the reported loss a fifth as high.
usual = make_model(
    keras.losses.SparseCategoricalCrossentropy(),
    keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
)
shown = usual.fit(
    X,
    np.where(y < 0, 0, y),
    sample_weight=np.where(y < 0, 0, weight),
    validation_split=0.2,
    **settings,
).history

figure, axes = plt.subplots(1, 2, figsize=(7, 4.2), layout="constrained")
for ax, name, label in zip(
    axes, ("val_loss", "val_accuracy"), ("validation loss", "validation accuracy"), strict=True
):
    ax.plot(expected[name], color="C0", linewidth=6, alpha=0.35, label="labelled rows alone")
    ax.plot(history[name], color="C0", label="masked loss, all rows")
    ax.plot(shown[name], color="C1", linestyle="--", label="mask as sample_weight")
    ax.set(xlabel="epoch", ylabel=label)
axes[0].set_ylim(0, None)
axes[1].set_ylim(0, 1.05)
axes[1].legend(loc="lower right")
plt.show()

# %%
# The estimator
# -------------
# `MultiTaskClassifier` accepts the same labels: a 1-D y is one task, and ``missing_label=-1``
# marks missing labels. Rows without any label never enter a batch, so fits with and without them
# are equal bit for bit.
fits = [
    MultiTaskClassifier((16,), activation="tanh", missing_label=-1, epochs=20, random_state=0).fit(
        X[rows], y[rows], weight[rows]
    )
    for rows in (slice(None), known)
]
pairs = zip(*(clf.model_.get_weights() for clf in fits), strict=True)
print("equal, bit for bit:", all(np.array_equal(a, b) for a, b in pairs))
print("predictions:", fits[0].predict(X[:6]), "labels:", y[:6])
