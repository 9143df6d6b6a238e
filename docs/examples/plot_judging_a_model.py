"""
Judging a model, task by task
=============================

A mean over tasks hides more than it shows. These are the pictures of a model that has been fitted:
whether it had learned enough when it stopped, what it knows that guessing does not, where its
rankings are good, and whether its probabilities can be believed. Each has a panel, or a row, per
task; labels that are missing count in none of them.
"""

# %%
# The Tox21 table: 7,823 molecules and twelve assays in which a molecule is active or not. One label
# in six is missing, and three to sixteen of a hundred molecules are active. The molecules are split
# so that each part has its share of the active ones of every assay.
import matplotlib.pyplot as plt

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import load_tox21
from sk_mtl.model_selection import train_test_split
from sk_mtl.plotting import (
    LearningCurvesDisplay,
    TaskCalibrationDisplay,
    TaskPrecisionRecallDisplay,
    TaskRocCurveDisplay,
    TaskScoresDisplay,
)

X, Y = load_tox21(return_X_y=True)
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.3, random_state=0)
clf = MultiTaskClassifier(hidden_layer_sizes=(64,), dropout=0.3, epochs=20, random_state=0)
clf.fit(X_train, Y_train)

# %%
# When to stop
# ------------
# One epoch is kept for all tasks: that with the least mean loss on the rows held out. The panels
# show for which tasks it came early and for which late.
LearningCurvesDisplay.from_estimator(clf)
plt.show()

# %%
# What was learned
# ----------------
# The score of each task, and that of a constant prediction, which knows the share of the active
# molecules and nothing of X. What lies between them is what was learned. The area under the ROC
# curve is 0.5 for anything constant; of the average precision the constant has as much as there are
# active molecules.
figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
for ax, metric in zip(axes, ["roc_auc", "average_precision"], strict=True):
    TaskScoresDisplay.from_estimator(clf, X_test, Y_test, metric=metric, name="network", ax=ax)
plt.show()

# %%
# Rankings
# --------
# The ROC curve tells how many of the active molecules are found for a given share of the inactive
# ones. Where nearly all are inactive, that share is many molecules, and a curve that looks good may
# be of little use.
TaskRocCurveDisplay.from_estimator(clf, X_test, Y_test)
plt.show()

# %%
# Precision tells how many of those found are active. The dashed line is the share of the active
# molecules, which is the precision of guessing. Compare NR-AR with SR-HSE, two tasks of the same
# area under the ROC curve: for the first, half of the active molecules are found with hardly a
# false alarm, for the second a tenth of them.
TaskPrecisionRecallDisplay.from_estimator(clf, X_test, Y_test)
plt.show()

# %%
# Probabilities
# -------------
# Each point is a bin of molecules whose predicted probability is alike; calibrated ones lie on the
# dashed line. The bars are 95 % intervals, and below hangs the histogram of the probabilities: most
# molecules are in the first bin, and there is little to say about the others. The title has the
# calibration error, which weighs the bins by their molecules, and is small for that reason.
TaskCalibrationDisplay.from_estimator(clf, X_test, Y_test, n_bins=10)
plt.show()

# %%
# Bins with equally many molecules show what happens where the molecules are.
TaskCalibrationDisplay.from_estimator(
    clf, X_test, Y_test, n_bins=10, strategy="quantile", tasks=["NR-AhR", "SR-ARE", "SR-MMP"]
)
plt.show()
