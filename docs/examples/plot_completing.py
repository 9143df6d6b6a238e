"""
What would the next assay say?
==============================

Most molecules of Tox21 were measured in nine to twelve assays. This page fills the holes of the
table from the fingerprint of a molecule and from its results in the other assays.
"""

# %%
# Training
# --------
# With ``known_labels=True``, a random part of the results of each molecule is shown to the network
# in every step, and it learns to predict the others.
import matplotlib.pyplot as plt
import numpy as np

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import load_tox21
from sk_mtl.metrics import completion_score
from sk_mtl.model_selection import train_test_split
from sk_mtl.plotting import LabelEffectsDisplay

X, Y = load_tox21(return_X_y=True)
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.3, random_state=0)
clf = MultiTaskClassifier(known_labels=True, random_state=0).fit(X_train, Y_train)

# %%
# Scores of hidden results
# ------------------------
# All results of one assay are hidden and predicted from the other assays, for each assay in turn.
# Beside it is the score of the same network for the same molecules without any result.
scores = completion_score(clf, X_test, Y_test, "roc_auc", pattern="tasks")
print(scores.round(3))

tasks = scores.drop("mean").sort_values("completed")
rows = np.arange(len(tasks))
figure, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
ax.hlines(rows, tasks["without_labels"], tasks["completed"], color="0.75", zorder=1)
ax.scatter(tasks["without_labels"], rows, label="fingerprint", facecolor="white", edgecolor="C0")
ax.scatter(tasks["completed"], rows, label="and the other assays", color="C0")
ax.set_yticks(rows, tasks.index)
ax.set(xlabel="ROC-AUC of test molecules")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %%
# Which assay told
# ----------------
# Each known result is left out once. The number is by how much the predicted probability of the
# assay in a row changes, as a mean over the test molecules, if the result of the assay in a column
# is not known. NR-ER and NR-ER-LBD measure the same receptor.
LabelEffectsDisplay.from_estimator(clf, X_test, Y_test)
plt.show()

# %%
# The completed table
# -------------------
# ``complete`` writes the most probable class into each hole; ``complete_proba_frame`` gives the
# probabilities.
completed = clf.complete(X_test, Y_test)
print(f"{Y_test.isna().sum().sum():,} holes before, {completed.isna().sum().sum()} after")
print(clf.complete_proba_frame(X_test[:3], Y_test[:3])["SR-MMP"].round(3))

# %%
# How many molecules are active in an assay? Results with a probability below one half are filled
# as inactive, so that counting the filled labels gives too few. Drawn labels do not have this
# fault, and the spread over several tables shows how much the holes leave open. Here the molecules
# without a result are predicted to be active more often than those with one.
tables = clf.complete_samples(X_test, Y_test, n=20, random_state=0)
share = "SR-ARE"
drawn = [table[share].mean() for table in tables]
print(f"{share}: {Y_test[share].mean():.3f} of the known results are active,")
print(f"{completed[share].mean():.3f} after filling with the most probable class,")
print(f"{np.mean(drawn):.3f} in the drawn tables (standard deviation {np.std(drawn, ddof=1):.4f})")
