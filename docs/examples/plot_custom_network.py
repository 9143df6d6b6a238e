"""
A network of your own: images
=============================

``model=`` takes a function that builds a Keras model. Its output may be a trunk, on which the
estimator puts a head for each task. Here the rows are images, and the trunk has convolutional
layers.
"""

# %%
# scikit-learn's digits, each moved to a random place on a canvas of 12 by 12 pixels: a row has 144
# numbers. The first task is whether the digit is even, labelled for all 1,200 training rows; the
# second is the digit itself, labelled for 100.
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from sk_mtl import MultiTaskClassifier

images, digit = load_digits().images / 16, load_digits().target
rng = np.random.default_rng(0)
canvas = np.zeros((len(images), 12, 12), np.float32)
for place, (image, (top, left)) in enumerate(
    zip(images, rng.integers(5, size=(len(images), 2)), strict=True)
):
    canvas[place, top : top + 8, left : left + 8] = image
X = canvas.reshape(len(canvas), -1)
Y = pd.DataFrame({"even": digit % 2 == 0, "digit": digit}).astype(float)
rows = rng.permutation(len(X))
train, test = rows[:1200], rows[1200:]
Y_train = Y.iloc[train].copy()
Y_train.iloc[100:, 1] = np.nan
print(Y_train.notna().sum().to_string())

# %%
# The builder
# -----------
# ``meta`` holds what the estimator knows about the data, as in scikeras. Other arguments are
# parameters, which a search can vary: ``model__filters=16``.


def convolutions(meta, filters=32):
    inputs = keras.Input((meta["n_features_in_"],))
    hidden = keras.layers.Reshape((12, 12, 1))(inputs)
    hidden = keras.layers.Conv2D(filters, 3, activation="relu")(hidden)
    hidden = keras.layers.MaxPooling2D(2)(hidden)
    hidden = keras.layers.Conv2D(2 * filters, 3, activation="relu")(hidden)
    hidden = keras.layers.GlobalMaxPooling2D()(hidden)
    return keras.Model(inputs, keras.layers.Dense(64, activation="relu")(hidden))


settings = {"epochs": 40, "early_stopping": False, "random_state": 0}
settings["optimizer__learning_rate"] = 3e-3
fits = {
    "dense layer, both tasks": MultiTaskClassifier(**settings),
    "convolutions, digit alone": MultiTaskClassifier(model=convolutions, **settings),
    "convolutions, both tasks": MultiTaskClassifier(model=convolutions, **settings),
}
scores = {}
for name, clf in fits.items():
    clf.fit(X[train], Y_train[["digit"]] if name.endswith("alone") else Y_train)
    predicted = clf.predict(X[test])
    scores[name] = (predicted == Y[predicted.columns].iloc[test].to_numpy()).mean()
print(pd.DataFrame(scores).T.round(3).to_string())

# %%
# Accuracies of test images. A dense layer has to learn every place anew; convolutions do not. The
# many labels of the easy task help the digit, with its ten labels per class.
#
# Six test images with the predicted digit, three of them wrong:
predicted = clf.predict(X[test])["digit"].to_numpy()
order = np.argsort(predicted == digit[test], kind="stable")[[0, -1, -2, -3, 1, 2]]
figure, axes = plt.subplots(2, 3, figsize=(5.2, 3.7), layout="constrained")
for ax, place in zip(axes.flat, order, strict=True):
    right = predicted[place] == digit[test[place]]
    ax.imshow(canvas[test[place]], cmap="gray_r")
    ax.set_title(f"{predicted[place]:.0f}", color="C2" if right else "C3", fontsize=22)
    ax.set(xticks=[], yticks=[])
plt.show()
