"""
Rows without any label: when they help
======================================

By default, a row without a label changes nothing. ``unlabelled="pseudo_labels"`` lets the network
learn from such rows, too: it is trained on its own confident guesses. This pays if the classes are
clusters with a gap between them, and not otherwise.
"""

# %%
# Two tables with 400 rows, of which ten are labelled. In the first, each class is a cluster. In the
# second, all rows are one cloud, and a plane through its middle divides the classes.
import matplotlib.pyplot as plt
import numpy as np

from sk_mtl import MultiTaskClassifier


def draw_clusters(n, rng):
    y = rng.integers(2, size=n)
    return 0.5 * rng.normal(size=(n, 10)) + np.outer(2 * y - 1, np.repeat([0.6, 0], 5)), y


def draw_cloud(n, rng):
    X = rng.normal(size=(n, 10))
    return X, (X[:, :5].sum(axis=1) > 0).astype(int)


# %%
# Ten draws of each table
# -----------------------
# A single draw of ten labels says little, so there are ten.
settings = {"hidden_layer_sizes": (16,), "optimizer__learning_rate": 0.02}
guess = {"unlabelled": "pseudo_labels", "pseudo_label_threshold": 0.9}
scores = {}
for name, draw in (("two clusters", draw_clusters), ("one cloud", draw_cloud)):
    scores[name] = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y = draw(400, rng)
        X_test, y_test = draw(4000, rng)
        labels = np.where(np.arange(400) < 10, y, np.nan)
        alone = MultiTaskClassifier(**settings, random_state=seed).fit(X, labels)
        both = MultiTaskClassifier(**settings, **guess, random_state=seed).fit(X, labels)
        scores[name].append((alone.score(X_test, y_test), both.score(X_test, y_test)))
    means = np.mean(scores[name], axis=0)
    print(f"{name}: accuracy {means[0]:.3f} from ten labels, {means[1]:.3f} with 390 rows more")

# %%
# Each line is a draw. With two clusters, the rows without a label helped in every draw; with one
# cloud, they did harm more often than not.
figure, axes = plt.subplots(1, 2, figsize=(5.2, 3.7), layout="constrained")
for ax, (name, values) in zip(axes, scores.items(), strict=True):
    for before, after in values:
        color = "C2" if after > before else "C3"
        ax.plot([0, 1], [before, after], color=color, marker="o", linewidth=2)
    ax.set_title(name, fontsize="x-large")
    ax.set_xticks([0, 1], ["ten\nlabels", "and rows\nwithout"], fontsize="large")
    ax.set(xlim=(-0.3, 1.3))
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("accuracy", fontsize="large")
plt.show()

# %%
# Real tables lie between the two: in the :doc:`benchmark </benchmarks/unlabelled>`, the gain was
# mostly below .003 of ROC-AUC, and there were losses. Compare on validation labels before you use
# it.
