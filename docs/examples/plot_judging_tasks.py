"""
Which tasks go together
=======================

Tasks share the first layers of the network. Whether that helps depends on the tasks: on whether
they are labelled in the same rows, whether their labels go together, and whether what suits one of
them suits the others. Here are pictures of all three, for the twelve assays of Tox21.
"""

# %%
# Who has labels where
# --------------------
# Left, the share of the molecules that each assay has labels for. Middle, the molecules themselves,
# sorted so that those with labels of the same assays stand together: 3,040 of the 7,823 have all
# twelve, and the assays that lack most labels lack them for different molecules. Right, of the
# molecules with a label of one assay, the share that has that of another: 74 % at least, so no two
# assays are learned from different molecules.
import matplotlib.pyplot as plt

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import load_tox21
from sk_mtl.model_selection import train_test_split
from sk_mtl.plotting import LabelCoverageDisplay, TaskSimilarityDisplay, TaskWeightsDisplay

X, Y = load_tox21(return_X_y=True)
coverage = LabelCoverageDisplay.from_labels(Y)
print(f"{Y.notna().all(axis=1).sum():,} molecules have all labels")
print(f"{coverage.co_coverage.min():.0%} is the least share that two assays have in common")
plt.show()

# %%
# Labels
# ------
# The correlation of the labels over the molecules that have both, and above the diagonal their
# number. The assays are ordered by a hierarchical clustering. NR-AR and NR-AR-LBD measure the same
# receptor, once whole and once its binding domain, and so do NR-ER and NR-ER-LBD; the stress
# responses (SR) go with one another, with NR-AhR, NR-Aromatase and NR-PPAR-gamma.
TaskSimilarityDisplay.from_labels(Y, order="clustered")
plt.show()

# %%
# Gradients
# ---------
# Whether tasks help one another in a fitted network is another question. Each head reads the output
# of the last shared layer, and the gradient of its loss by that output says how the molecule would
# better have been represented for its task. The cosine of the gradients of two tasks, over all
# molecules that have both labels, is above 0 where the tasks want the same. It is computed on
# molecules that were not trained on.
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.3, random_state=0)
clf = MultiTaskClassifier(
    hidden_layer_sizes=(64,), dropout=0.3, epochs=20, task_weighting="uncertainty", random_state=0
)
clf.fit(X_train, Y_train)
gradients = TaskSimilarityDisplay.from_estimator(clf, X_test, Y_test, order="clustered")
plt.show()

# %%
# The two pairs stand out again. Nothing is far below 0: these tasks hardly hinder one another. The
# values are small, as the errors on one molecule are mostly its own in each assay; the colours end
# where the values do.
#
# Predictions
# -----------
# What the heads make of the molecules, compared by linear CKA, needs no labels. For binary tasks it
# is the squared correlation of the log-odds. Predictions are more alike than labels are: they have
# nothing of what is each assay's own and cannot be learned.
TaskSimilarityDisplay.from_estimator(clf, X_test, measure="logits", order="clustered")
plt.show()

# %%
# Weights
# -------
# The weights of the tasks, learned along with the network. All rise while the training loss
# falls; at the epoch that was kept they hardly differ.
TaskWeightsDisplay.from_estimator(clf)
plt.show()
