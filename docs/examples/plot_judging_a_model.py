"""
Judging a model, task by task
=============================

A mean over tasks hides more than it shows. The plots on this page examine a fitted model task by
task: whether training stopped at the right time, how much better the model is than guessing, how
well it ranks, and whether its probabilities are calibrated. Each plot has a panel, or a row, per
task. Missing labels are ignored.
"""

# %%
# The Tox21 dataset has 7,823 molecules and twelve assays, in each of which a molecule is active or
# inactive. One label in six is missing, and 3 to 16 % of the molecules are active. The split is
# stratified: each part has its share of the active molecules of every assay.
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
# Early stopping keeps one epoch for all tasks: the one with the lowest mean validation loss. The
# panels show for which tasks this is early and for which it is late.
LearningCurvesDisplay.from_estimator(clf)
plt.show()

# %%
# What was learned
# ----------------
# The score of each task, next to that of a constant prediction, which knows the share of active
# molecules but does not use X. The difference between the two is what the model has learned. The
# area under the ROC curve is 0.5 for any constant prediction.
# sphinx_gallery_thumbnail_number = 2
display = TaskScoresDisplay.from_estimator(clf, X_test, Y_test, name="network")
display.figure_.set_size_inches(5.6, 4)
plt.show()

# %%
# The average precision of a constant prediction is the share of active molecules.
display = TaskScoresDisplay.from_estimator(
    clf, X_test, Y_test, metric="average_precision", name="network"
)
display.figure_.set_size_inches(5.6, 4)
plt.show()

# %%
# Rankings
# --------
# The ROC curve shows how many of the active molecules are found for a given share of false alarms
# among the inactive ones. If nearly all molecules are inactive, even a small share is many
# molecules, and a curve that looks good may be of little use.
TaskRocCurveDisplay.from_estimator(clf, X_test, Y_test)
plt.show()

# %%
# Precision is the share of active molecules among those found. The dashed line is the share of
# active molecules in the data, which is the precision of guessing. Compare NR-AR with SR-HSE, two
# tasks with the same area under the ROC curve: in the first, half of the active molecules are found
# with hardly a false alarm; in the second, a tenth of them.
TaskPrecisionRecallDisplay.from_estimator(clf, X_test, Y_test)
plt.show()

# %%
# Probabilities
# -------------
# Each point is a bin of molecules with similar predicted probabilities. Calibrated probabilities
# lie on the dashed line. The bars are 95 % intervals, and the histogram below shows the
# distribution of the probabilities: most molecules are in the first bin, so little is known about
# the others. The title shows the calibration error. It is small because it weights the bins by
# their number of molecules.
TaskCalibrationDisplay.from_estimator(clf, X_test, Y_test, n_bins=10)
plt.show()

# %%
# Bins with equal numbers of molecules show more detail where most molecules are.
TaskCalibrationDisplay.from_estimator(
    clf, X_test, Y_test, n_bins=10, strategy="quantile", tasks=["NR-AhR", "SR-ARE", "SR-MMP"]
)
plt.show()
