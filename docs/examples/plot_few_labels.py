"""
A task with few labels: one network, or one per task
====================================================

Three tasks describe the same rows. Two of them are labelled everywhere; of the labels of the third,
fewer and fewer are kept. One network for all three tasks is compared with a network that is trained
on the third task alone.
"""

# %%
# The generated tasks depend on the same hidden factors, which is what a shared network can use. All
# labels of the test rows are known, and 2,000 rows are for training.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.metrics import multitask_score

X, Y = make_multitask_classification(
    4000, 30, n_classes=(3, 3, 4), task_correlation=0.8, as_frame=True, random_state=0
)
train, test = slice(0, 2000), slice(2000, None)
X_train, X_test, Y_train, Y_test = X[train], X[test], Y[train], Y[test]

# %%
# Fewer and fewer labels
# ----------------------
# For each number of labels, three draws of the rows that keep theirs. Both networks have the same
# parameters and as many epochs.
settings = {"hidden_layer_sizes": (64,), "epochs": 15, "early_stopping": False}
scores = []
for n_labels in (30, 60, 125, 250, 500, 1000, 2000):
    for seed in range(3):
        kept = np.random.default_rng(seed).permutation(len(Y_train))[:n_labels]
        few = Y_train.copy()
        few["y2"] = few["y2"].where(np.isin(np.arange(len(few)), kept))
        shared = MultiTaskClassifier(**settings, random_state=seed).fit(X_train, few)
        alone = MultiTaskClassifier(**settings, random_state=seed).fit(
            X_train.iloc[kept], few[["y2"]].iloc[kept]
        )
        for name, clf in (("shared with two tasks", shared), ("alone", alone)):
            proba = clf.predict_proba(X_test)["y2"]
            score = multitask_score("roc_auc", Y_test[["y2"]], {"y2": proba})
            scores.append((n_labels, name, score))
scores = pd.DataFrame(scores, columns=["labels", "network", "roc_auc"])
table = scores.groupby(["labels", "network"])["roc_auc"].mean().unstack()
print(table.round(3).to_string())

# %%
# The fewer labels the third task has, the more the other two help it: 30 labels in the shared
# network are worth about 500 for the network alone. With all 2,000 labels, little of the difference
# is left. These generated tasks are strongly related. Tasks that have nothing in common cannot help
# each other.
figure, ax = plt.subplots(figsize=(5.2, 3.7), layout="constrained")
for name, color in (("shared with two tasks", "C0"), ("alone", "C1")):
    rows = scores[scores["network"] == name]
    ax.plot(table.index, table[name], color=color, linewidth=3, label=name)
    ax.scatter(rows["labels"], rows["roc_auc"], color=color, s=18, alpha=0.6)
ax.set(xscale="log", xlabel="labels of the third task", ylabel="ROC-AUC of the third task")
ax.set_xticks(table.index, table.index)
ax.minorticks_off()
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower right", fontsize="large")
plt.show()
