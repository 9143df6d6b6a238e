"""
Tasks that are noisy: learned task weights
==========================================

Of three tasks with the same inputs, one has clean labels, one has every tenth label replaced by
chance, and one every third. ``task_weighting="uncertainty"`` learns a weight for each task.
"""

# %%
# All tasks are binary and labelled everywhere, so that they differ in their noise only.
import matplotlib.pyplot as plt
import pandas as pd

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.metrics import multitask_score
from sk_mtl.plotting import TaskWeightsDisplay

X, Y = make_multitask_classification(
    4000, n_classes=(2, 2, 2), flip_y=(0.0), as_frame=True, random_state=0
)
Y.columns = ["clean", "some noise", "much noise"]
for name, rate, seed in (("some noise", 0.1, 1), ("much noise", 0.33, 2)):
    replaced = Y.sample(frac=rate, random_state=seed).index
    Y.loc[replaced, name] = Y[name].sample(len(replaced), random_state=seed + 10).to_numpy()
train, test = slice(0, 2000), slice(2000, None)

# %%
# Three ways to add up losses
# ---------------------------
settings = {"hidden_layer_sizes": (64,), "epochs": 40, "random_state": 0}
fits = {
    "equal": MultiTaskClassifier(**settings),
    "uncertainty": MultiTaskClassifier(**settings, task_weighting="uncertainty"),
    "noisy task times 0.2": MultiTaskClassifier(**settings, task_weighting={"much noise": 0.2}),
}
scores = {}
for name, clf in fits.items():
    clf.fit(X[train], Y[train])
    proba = clf.predict_proba(X[test])
    scores[name] = multitask_score("roc_auc", Y[test], proba, average=None)
    print(f"{name}: task weights {clf.task_weights_.round(2)}, best epoch {clf.best_iter_}")
print(pd.DataFrame(scores).round(3).to_string())

# %%
# The weights follow the noise: the lower the loss that a task can reach, the larger its weight. The
# scores hardly change. The layers are wide enough for all three tasks, and then the weights decide
# little, as they did in most published comparisons.
display = TaskWeightsDisplay.from_estimator(fits["uncertainty"])
display.figure_.set_size_inches(5.2, 3.7)
plt.show()
