"""
Probabilities before and after calibration
==========================================

A network that has been trained for too long is too sure of itself: it says 95 % and is right in 80
% of the cases. Temperature scaling corrects this with one number per task.
"""

# %%
# Early stopping avoids most of the problem. Here it is switched off, so that there is something to
# see, and every fifth label is replaced by chance, so that no network can be sure. One row in three
# has a label of the second task.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.metrics import multitask_score
from sk_mtl.plotting import TaskCalibrationDisplay

X, Y = make_multitask_classification(
    8000, n_classes=(2, 2), flip_y=0.2, missing_rate=(0, 0.67), as_frame=True, random_state=0
)
Y.columns = ["all labels", "a third"]
train, valid, test = slice(0, 2000), slice(2000, 3000), slice(3000, None)

# %%
# The same network twice
# ----------------------
# With ``calibrate=True``, the logits of each task are divided by a temperature, which is fitted to
# the log loss of the validation rows. The weights of the network are the same.
settings = {"hidden_layer_sizes": (128,), "dropout": 0.0, "epochs": 30, "early_stopping": False}
fits = {
    "before": MultiTaskClassifier(**settings, random_state=0),
    "after": MultiTaskClassifier(**settings, calibrate=True, random_state=0),
}
rows = {}
for name, clf in fits.items():
    clf.fit(X[train], Y[train], validation_data=(X[valid], Y[valid]))
    proba = clf.predict_proba(X[test])
    for metric in ("log_loss", "calibration_error", "roc_auc"):
        rows[metric, name] = multitask_score(metric, Y[test], proba, average=None)
print(f"temperatures: {fits['after'].temperatures_.round(2)}")
print(pd.DataFrame(rows).T.round(3).to_string())

# %%
# The log loss and the calibration error fall. The ROC-AUC cannot change: a temperature keeps the
# order of the rows of a binary task.
#
# In one picture
# --------------
# Each point is a tenth of the test rows. On the diagonal, a probability of 80 % means 80 of 100.
figure, ax = plt.subplots(figsize=(5.2, 3.7), layout="constrained")
known = Y["a third"][test].notna().to_numpy()
labels = Y["a third"][test][known].to_numpy(float)
ax.plot([0, 1], [0, 1], color="0.6", linestyle="--")
for (name, clf), color in zip(fits.items(), ("C1", "C0"), strict=True):
    predicted = clf.predict_proba(X[test])["a third"][known, 1]
    tenths = np.array_split(np.argsort(predicted), 10)
    x = [predicted[tenth].mean() for tenth in tenths]
    y = [labels[tenth].mean() for tenth in tenths]
    ax.plot(x, y, color=color, marker="o", linewidth=3, markersize=9, label=name)
ax.set(xlabel="predicted probability", ylabel="share of positive labels", xlim=(0, 1), ylim=(0, 1))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, fontsize="x-large", loc="upper left")
plt.show()

# %%
# ``TaskCalibrationDisplay`` draws such curves for all tasks, with intervals and the distribution of
# the probabilities.
TaskCalibrationDisplay.from_estimator(fits["after"], X[test], Y[test], n_bins=10)
plt.show()
