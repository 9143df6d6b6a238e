"""
Tasks in conflict: gradients by epoch
=====================================

Four tasks read the same features, in two groups that want opposite ones: where a context is on, one
group follows the first family of features and the other the second, and where it is off, it is the
other way round. A small network with shared layers has to serve both.
"""

# %%
# The labels of a task depend on the distances from three random planes, which a network has to find
# first. The tasks of a group weight them differently.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sk_mtl import MultiTaskClassifier
from sk_mtl.callbacks import EpochWeights
from sk_mtl.plotting import GradientCosinesDisplay

rng = np.random.default_rng(0)
features = rng.normal(size=(4000, 12)).astype("float32")
context = rng.random(4000) < 0.5
families = [np.abs(features @ rng.normal(size=(12, 3))) for _ in range(2)]
Y = {}
for name in ("first a", "first b", "second a", "second b"):
    wants_first = context if name.startswith("first") else ~context
    shares = rng.uniform(0.5, 1.5, size=3)
    score = np.where(wants_first, families[0] @ shares, families[1] @ shares)
    Y[name] = (score > np.median(score)).astype(float)
Y = pd.DataFrame(Y)
Y = Y.mask(rng.random(Y.shape) < 0.3)  # 30 % of the labels are missing
X = np.column_stack([features, np.where(context, 1, -1)]).astype("float32")
train, test = slice(0, 2000), slice(2000, None)

# %%
# The cosine of the gradients
# ---------------------------
# ``EpochWeights`` keeps the weights of every second epoch, with which the display computes the
# gradients of the losses with respect to the output of the shared layers, on rows that were not
# trained on.
clf = MultiTaskClassifier((16,), epochs=40, callbacks=EpochWeights(every=2), random_state=0)
clf.fit(X[train], Y[train])
display = GradientCosinesDisplay.from_estimator(clf, X[test], Y[test])
for pair, line in display.lines_.items():
    print(" and ".join(pair), line.get_ydata()[[0, -1]].round(2))
plt.show()

# %%
# The tasks of a group soon want the same of the shared layers. Those of different groups are in
# conflict, if only a little: most of what one of them wants is orthogonal to what the other wants.
