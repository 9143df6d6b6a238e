"""
Rows that belong together
=========================

Each person has ten rows, and the labels are those of the person. If rows of one person are on both
sides of a split, a network can recognise the person instead of learning anything that holds for
others, and cross-validation does not notice.
"""

# %%
# 90 persons with ten visits each. A visit has 30 measurements: mostly the person's own level, which
# says nothing about the labels, then noise, and in the first four measurements a little about the
# labels. Every third label is missing.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import cross_val_score

from sk_mtl import MultiTaskClassifier
from sk_mtl.metrics import make_multitask_scorer
from sk_mtl.model_selection import MultiTaskStratifiedGroupKFold, MultiTaskStratifiedKFold


def draw(n_persons, rng):
    """Return the measurements, the labels and the person of each visit."""
    persons = np.repeat(np.arange(n_persons), 10)
    labels = rng.integers(2, size=(n_persons, 2))
    level = rng.normal(size=(n_persons, 30))
    level[:, :4] += 0.8 * (np.repeat(labels, 2, axis=1) - 0.5)
    X = level[persons] + 0.5 * rng.normal(size=(len(persons), 30))
    Y = pd.DataFrame(labels[persons], columns=["smoker", "diabetes"]).astype(float)
    return X, Y, persons


rng = np.random.default_rng(0)
X, Y, persons = draw(90, rng)
X_new, Y_new, _ = draw(1000, rng)
Y_known = Y.mask(rng.random(Y.shape) < 1 / 3)

# %%
# Three scores of one network
# ---------------------------
# Five folds of rows, five folds of persons, and what counts: 1,000 persons whom nobody has seen.
clf = MultiTaskClassifier(hidden_layer_sizes=(64,), epochs=20, early_stopping=False, random_state=0)
scorer = make_multitask_scorer("roc_auc")
by_row = MultiTaskStratifiedKFold(5, shuffle=True, random_state=0)
by_person = MultiTaskStratifiedGroupKFold(5, shuffle=True, random_state=0)
scores = {
    "folds\nof rows": cross_val_score(clf, X, Y_known, cv=by_row, scoring=scorer),
    "folds\nof persons": cross_val_score(
        clf, X, Y_known, cv=by_person, groups=persons, scoring=scorer
    ),
    "new\npersons": np.array([scorer(clf.fit(X, Y_known), X_new, Y_new)]),
}
for name, values in scores.items():
    print(f"{' '.join(name.split())}: {values.mean():.3f}")

# %%
# Folds of rows promise a network that does not exist. Folds of persons say what new persons will
# see. The points are the five folds.
figure, ax = plt.subplots(figsize=(5.2, 3.7), layout="constrained")
for place, values in enumerate(scores.values()):
    mean = values.mean()
    ax.bar(place, mean - 0.5, bottom=0.5, color=("C1", "C0", "0.45")[place], width=0.65)
    ax.text(place, 0.515, f"{mean:.2f}", ha="center", va="bottom", color="white", fontsize=22)
    if len(values) > 1:
        ax.scatter(np.full(len(values), place), values, color="black", s=16, zorder=3)
ax.set_xticks(range(3), scores, fontsize="x-large")
ax.set(ylabel="ROC-AUC (0.5: guessing)", ylim=(0.5, 1))
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Early stopping divides rows as well. With ``fit(X, Y, groups=persons)``, its validation rows are
# those of other persons. Here this hardly changes the score of new persons, but a validation loss
# that fell for 35 epochs only measured how well the network had learned its persons by heart.
stopped = MultiTaskClassifier(early_stopping=True, hidden_layer_sizes=(64,), random_state=0)
for name, groups in (("rows", None), ("persons", persons)):
    stopped.fit(X, Y_known, groups=groups)
    print(
        f"validation {name}: best epoch {stopped.best_iter_}, "
        f"validation loss {min(stopped.history_['val_loss']):.3f}, "
        f"ROC-AUC of new persons {scorer(stopped, X_new, Y_new):.3f}"
    )
