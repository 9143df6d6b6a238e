"""
Where the members of an ensemble disagree
=========================================

``predict_proba`` says how likely a class is; ``predict_std`` of an ensemble says how far its
members agree about that. The two are not the same: between two classes all members may agree on one
half, and away from the training rows they may disagree although each is certain.
"""

# %%
# Two features, so that everything can be drawn. Both tasks are binary, and the second is labelled
# in the left half only.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import make_moons

from sk_mtl import MultiTaskClassifier

X, moon = make_moons(300, noise=0.25, random_state=0)
upper = X[:, 1] > 0.25
Y = pd.DataFrame({"moon": moon, "upper": np.where(X[:, 0] < 0.5, upper, np.nan)})

clf = MultiTaskClassifier(
    hidden_layer_sizes=(64, 64),
    ensemble_size=8,
    ensemble_method="independent",
    numeric_embedding=None,
    epochs=100,
    early_stopping=False,
    random_state=0,
).fit(X, Y)

# %%
# Disagreement on a map
# ---------------------
# Filled: the standard deviation over the members. Black line: probability one half. Points: the
# rows with a label of the task.
x, y = np.meshgrid(np.linspace(-2, 3, 80), np.linspace(-2.6, 3.1, 90))
grid = np.column_stack([x.ravel(), y.ravel()])
proba, spread = clf.predict_proba(grid), clf.predict_std(grid)

figure, axes = plt.subplots(1, 2, figsize=(5.6, 3.9), layout="constrained", sharey=True)
for ax, task in zip(axes, clf.task_names_, strict=True):
    std = spread[task][:, 1].reshape(x.shape)
    image = ax.pcolormesh(x, y, std, cmap="Oranges", vmin=0, vmax=0.3, shading="gouraud")
    ax.contour(x, y, proba[task][:, 1].reshape(x.shape), levels=[0.5], colors="black")
    known = Y[task].notna()
    colors = np.where(Y[task][known].astype(bool), "C0", "C2")
    ax.scatter(*X[known].T, c=colors, s=16, edgecolor="none")
    ax.set_title(f"task {task!r}", fontsize="x-large")
    ax.set(xticks=[], yticks=[])
figure.colorbar(image, ax=axes, label="standard deviation over members")
plt.show()

# %%
# The members agree where the training rows determine the boundary, and also on probabilities of
# about one half between the moons. They disagree where the boundary has to be continued without
# rows: beyond the moons, and for the second task in the right half. Far from every boundary they
# agree and are certain, without any row to support it: a small standard deviation is no proof that
# a row is like the training rows.
#
# In numbers
# ----------
new, _ = make_moons(2000, noise=0.25, random_state=1)
left = new[:, 0] < 0.5
for task in clf.task_names_:
    std = clf.predict_std(new)[task][:, 1]
    print(f"{task}: {std[left].mean():.3f} in the left half, {std[~left].mean():.3f} in the right")
