"""
Three heads, one of them rarely labelled
========================================

A network has two binary heads and one with seven classes. The third task is labelled for 12 % of
the rows, and the batches are small. This example shows the question that led to this package:
*how do I mask the loss of a head whose labels are missing?*

With eight rows per batch, 0.88\\ :sup:`8` = 36 % of the batches have no label for the third task at
all. A mean over the labelled rows of such a batch is 0/0.
"""

# %%
# The dataset: two tasks are labelled for all of 400 training rows, the task with seven classes for
# 48. The remaining rows are for testing, with all labels known.
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf

from sk_mtl import MultiTaskClassifier

rng = np.random.default_rng(0)
X = rng.normal(size=(1400, 8)).astype(np.float32)
score = X[:, 0] + X[:, 1] + rng.normal(scale=0.2, size=1400)
Y = pd.DataFrame({"first": score > 0, "second": X[:, 0] > X[:, 1]}).astype(float)
Y["seven"] = pd.qcut(score, 7, labels=False).astype(float)
train, test = slice(0, 400), slice(400, None)
Y_train, Y_test = Y[train].copy(), Y[test]
Y_train.loc[rng.permutation(400)[48:], "seven"] = np.nan
print(Y_train.notna().sum().to_string())

# %%
# The original network
# --------------------
# A plain Keras network with three outputs. ``boolean_mask`` removes the rows without a label, and
# the tasks are weighted by learned uncertainties.


def dense(units, seed, activation=None):
    init = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(units, activation=activation, kernel_initializer=init)


inputs = keras.Input((8,))
trunk = dense(32, 0, "tanh")(inputs)
model = keras.Model(inputs, [dense(1, 1)(trunk), dense(1, 2)(trunk), dense(7, 3)(trunk)])
log_variance = keras.Variable(np.zeros(3, np.float32))
variables = [*model.trainable_variables, log_variance]
optimizer = keras.optimizers.Adam(3e-3)
optimizer.build(variables)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        first, second, seven = model(x, training=True)
        labelled = ~tf.math.is_nan(y[:, 2])
        codes = tf.cast(tf.boolean_mask(y[:, 2], labelled), tf.int32)
        logits = tf.boolean_mask(seven, labelled)
        losses = tf.stack(
            [
                tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y[:, 0], first[:, 0])),
                tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y[:, 1], second[:, 0])),
                tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(codes, logits)),
            ]
        )
        s = log_variance.value
        objective = tf.reduce_sum(tf.exp(-s) * losses + 0.5 * s)
    optimizer.apply(tape.gradient(objective, [v.value for v in variables]), variables)
    return losses


order = np.random.default_rng(0).permutation(400).reshape(-1, 8)
features, labels = X[train], Y_train.to_numpy(np.float32)
losses = np.array([train_step(features[rows], labels[rows]) for rows in order])
without = np.isnan(labels[order, 2]).all(axis=1)
print(f"{without.mean():.0%} of the batches have no label for 'seven'")
print(f"first of them: step {without.argmax()}")
print(f"log-variances after the epoch: {log_variance.numpy()}")
print(f"weights that are finite: {[bool(np.isfinite(w).all()) for w in model.get_weights()]}")

# %%
# If a batch has no label for the task, its loss is NaN. The mean over nothing passes no gradient to
# the logits, so the network survives this step. But the gradient of the task's log-variance is NaN.
# From then on the weight of the task is NaN, and the next batch with a label for the task spreads
# the NaN to every weight of the network.
#
# The estimator
# -------------
# The same dataset, batch size and learning rate. A task without a label in the batch has a loss and
# a gradient of zero, and its log-variance does not change.
histories = {}
for weighting in ("equal", "uncertainty"):
    clf = MultiTaskClassifier(
        hidden_layer_sizes=(32,),
        activation="tanh",
        batch_size=8,
        epochs=20,
        optimizer__learning_rate=3e-3,
        task_weighting=weighting,
        random_state=0,
    )
    clf.fit(X[train], Y_train, validation_data=(X[test], Y_test))
    histories[weighting] = clf.history_
    accuracy = (clf.predict(X[test]) == Y_test.to_numpy()).mean()
    print(f"{weighting}: task weights {clf.task_weights_.round(2)}")
    print(accuracy.round(3).to_string())

# %%
# Left: one epoch of the original network, up to the point where everything is NaN. Right: the
# epochs of the estimator, with losses on rows whose labels are all known.
figure, axes = plt.subplots(1, 2, figsize=(8, 4.6), layout="constrained")
names, colors = list(Y.columns), ["C0", "C1", "C2"]
for task, color in enumerate(colors):
    axes[0].plot(losses[:, task], color=color, marker=".", label=names[task])
dead = np.isnan(losses).any(axis=1).argmax()
axes[0].axvline(dead, color="0.5", linestyle="--")
axes[0].text(dead + 0.6, 0.03, "first batch without\na label for 'seven'", va="bottom",
             transform=axes[0].get_xaxis_transform())  # fmt: skip
axes[0].set(title="boolean_mask and reduce_mean", xlabel="step of the first epoch",
            ylabel="loss of the batch", xlim=(-0.5, 24.5), ylim=(0, None))  # fmt: skip
for (weighting, history), style in zip(histories.items(), ["-", "--"], strict=True):
    for name, color in zip(names, colors, strict=True):
        epochs = np.arange(1, len(history["val_loss"]) + 1)
        axes[1].plot(epochs, history[f"val_{name}_loss"], color=color, linestyle=style,
                     label=name if weighting == "equal" else None)  # fmt: skip
axes[1].set(title="MultiTaskClassifier", xlabel="epoch", ylabel="validation loss", ylim=(0, 2.8))
axes[0].legend(loc="upper right")
axes[1].legend(loc="upper right", ncols=3, title="solid: equal weights, dashed: uncertainty")
plt.show()
