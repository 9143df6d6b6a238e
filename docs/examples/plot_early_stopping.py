"""
When to stop: one epoch for all tasks, or one for each
======================================================

A task with few labels is learned by heart long before a task with many labels is learned at all.
Early stopping has to choose one epoch for the whole network, unless each task may keep its own.
"""

# %%
# The first task has labels in all rows, the second in every second row and the third in 100 of
# 3,000.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.metrics import multitask_score
from sk_mtl.plotting import LearningCurvesDisplay

X, Y = make_multitask_classification(
    6000, 40, n_classes=(2, 3, 4), task_correlation=0.2, as_frame=True, random_state=1
)
Y.columns = ["many", "half", "few"]
train, valid, test = slice(0, 3000), slice(3000, 4000), slice(4000, None)
Y_train = Y[train].copy()
rng = np.random.default_rng(0)
Y_train.loc[rng.permutation(3000)[1000:], "half"] = np.nan
Y_train.loc[rng.permutation(3000)[100:], "few"] = np.nan

# %%
# Learning curves by task
# -----------------------
# The validation rows have all labels, so that the curves are smooth. The dashed line is the epoch
# with the lowest mean over the tasks, whose weights are kept.
settings = {
    "hidden_layer_sizes": (128,),
    "dropout": 0.0,
    "loss_normalization": "tasks",
    "epochs": 30,
    "n_iter_no_change": 30,
}
common = MultiTaskClassifier(**settings, random_state=0)
common.fit(X[train], Y_train, validation_data=(X[valid], Y[valid]))
LearningCurvesDisplay.from_estimator(common)
plt.show()

# %%
# An epoch for each task
# ----------------------
# With ``restore_best="per_task"``, each task is predicted with the weights of its own best epoch.
# The price is a network for each of these epochs when the model predicts.
own = MultiTaskClassifier(**settings, restore_best="per_task", random_state=0)
own.fit(X[train], Y_train, validation_data=(X[valid], Y[valid]))
table = pd.DataFrame(
    {
        "best epoch": own.best_iters_,
        "log loss, common epoch": multitask_score(
            "log_loss", Y[test], common.predict_proba(X[test]), average=None
        ),
        "log loss, own epoch": multitask_score(
            "log_loss", Y[test], own.predict_proba(X[test]), average=None
        ),
    },
    index=Y.columns,
)
print(f"common epoch: {common.best_iter_}")
print(table.round(3).to_string())

# %%
# The curves of the validation rows in one picture, each relative to its lowest value, show how far
# the common epoch is from the best epoch of each task.
# sphinx_gallery_thumbnail_number = 2
figure, ax = plt.subplots(figsize=(5.2, 3.7), layout="constrained")
epochs = np.arange(1, common.n_iter_ + 1)
for task, (name, best) in enumerate(zip(Y.columns, own.best_iters_, strict=True)):
    losses = np.array(common.history_[f"val_{name}_loss"])
    ax.plot(epochs, losses / losses.min(), color=f"C{task}", linewidth=3, label=f"{name} labels")
    ax.scatter(best, 1, color=f"C{task}", s=90, zorder=3)
ax.axvline(common.best_iter_, color="0.4", linestyle="--", label="common epoch")
ax.set(xlabel="epoch", ylabel="validation loss / its lowest value", ylim=(0.97, 1.6))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, fontsize="large")
plt.show()
