"""
What a prediction is made of
============================

``explain`` divides a predicted probability among the features of the row, by Shapley values. All
tasks share one network, but need not use the same features.
"""

# %%
# The census table, as it is: numbers, and text columns as categories.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import load_census

X, Y = load_census(return_X_y=True)
X = X.astype(dict.fromkeys(X.select_dtypes(exclude="number"), "category"))
rows = np.random.default_rng(0).permutation(len(X))
train, test = rows[:5_000], rows[5_000:5_100]
clf = MultiTaskClassifier(hidden_layer_sizes=(64,), epochs=20, early_stopping=True, random_state=0)
clf.fit(X.iloc[train], Y.iloc[train])

# %%
# Explaining 100 adults
# ---------------------
# The rows to compare with are 50 of the training rows. For each class of each task, the values of a
# row add up to its probability, less the mean probability of these rows.
explanations = clf.explain(X.iloc[test], background=X.iloc[train], n_background=50, random_state=0)
proba = clf.predict_proba(X.iloc[test])
for task, explanation in explanations.items():
    total = explanation.values.sum(axis=1) + explanation.base_values
    print(
        f"{task}: {explanation.values.shape}, {np.abs(total - proba[task]).max():.0e} off the sum"
    )

# %%
# One adult
# ---------
# What raises and what lowers the probability of an income above 50,000, for the row with the
# highest one.
income = explanations["income_50k"]
row = proba["income_50k"][:, 1].argmax()
values = pd.Series(income.values[row, :, 1], index=income.feature_names)
shown = values[values.abs().nlargest(7).index[::-1]]
names = [f"{name} = {str(X.iloc[test[row]][name])[:20]}" for name in shown.index]
print(f"mean of the background: {income.base_values[row, 1]:.2f}")
print(f"this row: {proba['income_50k'][row, 1]:.2f}")

figure, ax = plt.subplots(figsize=(7, 3.7), layout="constrained")
ax.barh(names, shown, color=np.where(shown > 0, "C0", "C3"))
ax.axvline(0, color="black", linewidth=0.8)
ax.set(xlabel="part of the probability of an income above 50,000")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# All adults and tasks
# --------------------
# The mean size of the values, over rows and classes, says how much a task's probabilities depend on
# a feature. Shares of each task, for the features that are largest in one of them:
sizes = pd.DataFrame(
    {task: np.abs(e.values).mean(axis=(0, 2)) for task, e in explanations.items()},
    index=income.feature_names,
)
shares = sizes / sizes.sum()
largest = shares.loc[shares.max(axis=1).nlargest(7).index[::-1]]
print(largest[::-1].round(2).to_string())

# sphinx_gallery_thumbnail_number = 2
ax = largest.plot.barh(figsize=(5.2, 3.9), width=0.8)
ax.set(xlabel="share of the values of a task", ylabel="")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower right")
plt.tight_layout()
plt.show()

# %%
# The values describe the network, not the world: they say what its predictions depend on, and a
# feature that is only related to a cause gets its share as well.
