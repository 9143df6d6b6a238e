"""
Which tasks go together
=======================

Tasks share the first layers of the network. Whether this helps depends on the tasks: whether they
are labelled in the same rows, whether their labels are correlated, and whether what improves one
task improves the others. This page plots all three for the twelve assays of Tox21.
"""

# %%
# Label coverage
# --------------
# Left: the share of the molecules that each assay has labels for. Middle: the molecules, sorted so
# that those with labels for the same assays are next to each other. 3,040 of the 7,823 have all
# twelve labels, and the assays with the most missing labels lack them for different molecules.
# Right: among the molecules labelled for one assay, the share that is also labelled for another. It
# is at least 74 %, so any two assays have most of their molecules in common.
import matplotlib.pyplot as plt

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import load_tox21
from sk_mtl.model_selection import train_test_split
from sk_mtl.plotting import LabelCoverageDisplay, TaskSimilarityDisplay, TaskWeightsDisplay

X, Y = load_tox21(return_X_y=True)
coverage = LabelCoverageDisplay.from_labels(Y)
print(f"{Y.notna().all(axis=1).sum():,} molecules have all labels")
print(f"{coverage.co_coverage.min():.0%} is the smallest share that two assays have in common")
plt.show()

# %%
# Labels
# ------
# The correlation of the labels over the molecules that have both, with their number above the
# diagonal. The assays are ordered by hierarchical clustering. NR-AR and NR-AR-LBD measure the
# same receptor, as a whole and by its binding domain, and so do NR-ER and NR-ER-LBD. The stress
# responses (SR) form a group together with NR-AhR, NR-Aromatase and NR-PPAR-gamma.
# sphinx_gallery_thumbnail_number = 2
TaskSimilarityDisplay.from_labels(Y, order="clustered")
plt.show()

# %%
# Gradients
# ---------
# Whether tasks help each other in a fitted network is another question. The input of each head is
# the output of the last shared layer. The gradient of the head's loss with respect to it shows
# which change of a molecule's representation would help its task. The cosine between the
# gradients of two tasks, over all molecules that have both labels, is positive if the tasks want
# the same change. It is computed on molecules that were not used for training.
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.3, random_state=0)
clf = MultiTaskClassifier(
    hidden_layer_sizes=(64,), dropout=0.3, epochs=20, task_weighting="uncertainty", random_state=0
)
clf.fit(X_train, Y_train)
gradients = TaskSimilarityDisplay.from_estimator(clf, X_test, Y_test, order="clustered")
plt.show()

# %%
# The same two pairs stand out. No value is far below 0, so these tasks hardly interfere with each
# other. The values are small because a molecule's errors in different assays are mostly unrelated.
# The colour scale is limited to the range of the values.
#
# Predictions
# -----------
# Comparing the outputs of the heads by linear CKA needs no labels. For binary tasks, it is the
# squared correlation of the log-odds. Predictions are more similar than labels, because they do not
# contain the noise of each assay, which cannot be learned.
TaskSimilarityDisplay.from_estimator(clf, X_test, measure="logits", order="clustered")
plt.show()

# %%
# Weights
# -------
# The task weights are learned together with the network. All of them rise as the training loss
# falls. At the epoch that was kept, they hardly differ.
TaskWeightsDisplay.from_estimator(clf)
plt.show()
