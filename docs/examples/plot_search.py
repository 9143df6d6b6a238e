"""
Searching over parameters
=========================

``MultiTaskSearchCV`` is used as scikit-learn's ``GridSearchCV``. It trains the networks of its
candidates and folds side by side, and it can drop poor candidates early.
"""

# %%
# Twelve candidates, three folds, and a scorer that ignores missing labels. With ``factor=3``, the
# first round has few epochs; a third of the candidates go on to the next, with three times as many.
import matplotlib.pyplot as plt
import pandas as pd

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import make_multitask_classification
from sk_mtl.metrics import make_multitask_scorer
from sk_mtl.model_selection import MultiTaskSearchCV

X, Y = make_multitask_classification(
    1000, n_classes=(2, 3, 4), missing_rate=(0, 0.3, 0.8), as_frame=True, random_state=0
)
search = MultiTaskSearchCV(
    MultiTaskClassifier(hidden_layer_sizes=(32,), epochs=27, early_stopping=False, random_state=0),
    {
        "optimizer__learning_rate": [1e-4, 1e-3, 1e-2, 1e-1],
        "dropout": [0.0, 0.2, 0.5],
    },
    factor=3,
    cv=3,
    scoring=make_multitask_scorer("roc_auc"),
).fit(X, Y)
print(search.best_params_)
print(f"mean ROC-AUC over folds and tasks: {search.best_score_:.3f}")

# %%
# All rounds
# ----------
# ``cv_results_`` has a row for each candidate of each round.
results = pd.DataFrame(search.cv_results_)
shown = ["iter", "n_resources", "param_optimizer__learning_rate", "param_dropout"]
digits = {"mean_test_score": 3, "std_test_score": 3}
print(results[[*shown, *digits]].round(digits).to_string())

# %%
# Each line is a candidate, and its colour the learning rate. All candidates with the two small
# learning rates were dropped after three epochs. That is what halving looks at: a rate that needs
# more epochs has no chance to show it. The best candidate is chosen among those of the last round.
figure, ax = plt.subplots(figsize=(5.2, 3.7), layout="constrained")
rates = sorted(results["param_optimizer__learning_rate"].unique())
colors = dict(zip(rates, plt.get_cmap("plasma")([0, 0.25, 0.5, 0.75]), strict=True))
for _, candidate in results.groupby(["param_optimizer__learning_rate", "param_dropout"]):
    color = colors[candidate["param_optimizer__learning_rate"].iloc[0]]
    ax.plot(candidate["n_resources"], candidate["mean_test_score"], color=color, marker="o", lw=2.5)
for rate, color in colors.items():
    ax.plot([], [], color=color, lw=4, label=f"{rate:g}")
ax.set(xscale="log", xlabel="epochs", ylabel="mean ROC-AUC of the folds")
ax.set_xticks(search.n_resources_, search.n_resources_)
ax.minorticks_off()
ax.spines[["top", "right"]].set_visible(False)
ax.legend(title="learning rate", frameon=False)
plt.show()
