"""
Single-task tools of scikit-learn
=================================

scikit-learn's displays, calibration and threshold tuning support a single task without missing
labels. A ``TaskView`` presents one task of a fitted estimator or pipeline as an ordinary
classifier. Nothing is trained again: a view's ``fit`` does not change the network.
"""

# %%
# The census dataset has three tasks; education is labelled for one row in eight. Some rows are used
# for training, some for calibration and tuning, and some for testing, with the labels that the
# dataset hides.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    permutation_importance,
)
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    balanced_accuracy_score,
    brier_score_loss,
)
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_mtl import MultiTaskClassifier, TaskView
from sk_mtl.datasets import load_census

X, Y = load_census(return_X_y=True)
Y_complete = load_census(masked=False).target
X = X.astype(dict.fromkeys(X.select_dtypes("number"), float))
rows = np.random.default_rng(0).permutation(len(X))[:12_000]
train, tune, test = np.split(rows, [4_000, 8_000])

columns = make_column_transformer(
    (StandardScaler(), make_column_selector(dtype_include="number")),
    (
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False),
        make_column_selector(dtype_exclude="number"),
    ),
)
clf = MultiTaskClassifier(hidden_layer_sizes=(64,), epochs=15, random_state=0)
model = make_pipeline(columns, clf).fit(X.iloc[train], Y.iloc[train])
print(Y.iloc[train].notna().mean().to_string())

# %%
# Displays
# --------
# A view accepts the same X as the pipeline. If the task has missing labels, select its labelled
# rows first; here we use the complete labels. The calibrator is fitted to the view's
# probabilities on the tuning rows, while the frozen network does not change. The network was
# already well calibrated, so calibration gains nothing.
income = TaskView(model, "income_50k")
education = TaskView(model, "education")
calibrated = CalibratedClassifierCV(FrozenEstimator(income), method="isotonic")
calibrated.fit(X.iloc[tune], Y["income_50k"].iloc[tune])

X_test, y_test = X.iloc[test], Y["income_50k"].iloc[test]
figure, axes = plt.subplots(2, 2, figsize=(10, 9), layout="constrained")
RocCurveDisplay.from_estimator(income, X_test, y_test, ax=axes[0, 0], plot_chance_level=True)
PrecisionRecallDisplay.from_estimator(income, X_test, y_test, ax=axes[0, 1], plot_chance_level=True)
for name, shown in [("the network", income), ("calibrated", calibrated)]:
    display = CalibrationDisplay.from_estimator(
        shown, X_test, y_test, n_bins=8, strategy="quantile", name=name, ax=axes[1, 0]
    )
    probability = shown.predict_proba(X_test)[:, 1]
    loss = brier_score_loss(y_test, probability, pos_label=">50K")
    print(f"Brier score, {name}: {loss:.4f}")
ConfusionMatrixDisplay.from_estimator(
    education,
    X_test,
    Y_complete["education"].iloc[test],
    labels=["below_hs", "high_school", "some_college", "bachelor", "advanced"],
    normalize="true",
    values_format=".2f",
    xticks_rotation=30,
    colorbar=False,
    ax=axes[1, 1],
)
axes[0, 0].set_title("income_50k")
axes[0, 1].set_title("income_50k")
axes[1, 0].set(title="income_50k, by eighths of the rows", xlim=(-0.02, 0.6), ylim=(-0.02, 0.6))
axes[1, 1].set_title("education, share of each true class")
plt.show()

# %%
# A threshold
# -----------
# Few adults earn more than 50,000, so the most probable class is nearly always the other one. If
# both classes matter equally, a threshold other than one half is better. It is tuned on rows that
# the network has not seen.
tuned = TunedThresholdClassifierCV(
    income, scoring="balanced_accuracy", cv="prefit", refit=False, store_cv_results=True
)
tuned.fit(X.iloc[tune], Y["income_50k"].iloc[tune])

figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
axes[0].plot(tuned.cv_results_["thresholds"], tuned.cv_results_["scores"])
axes[0].axvline(tuned.best_threshold_, color="0.5", linestyle="--")
axes[0].set(title="tuning rows", xlabel="threshold", ylabel="balanced accuracy")
for ax, title, shown in [
    (axes[1], "threshold 0.5", income),
    (axes[2], f"threshold {tuned.best_threshold_:.3f}", tuned),
]:
    predicted = shown.predict(X_test)
    score = balanced_accuracy_score(y_test, predicted)
    ConfusionMatrixDisplay.from_predictions(y_test, predicted, colorbar=False, ax=ax)
    ax.set_title(f"{title}:\nbalanced accuracy {score:.2f}")
plt.show()

# %%
# Partial dependence
# ------------------
# The effect of a feature on the probability of one class of one task: each curve is the mean
# predicted probability if all rows had that value of the feature.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
some = X.iloc[test[:200]]
for label, color in zip(education.classes_, ["C0", "C1", "C2", "C3", "C4"], strict=True):
    PartialDependenceDisplay.from_estimator(
        education,
        some,
        ["age", "weeks_worked"],
        target=label,
        grid_resolution=15,
        line_kw={"label": label, "color": color},
        ax=axes,
    )
for ax in axes:
    ax.set(ylabel="", ylim=(0, 0.4))
    ax.get_legend().remove()
axes[0].set_ylabel("mean probability of each education")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
plt.show()

# %%
# Importance
# ----------
# The decrease of a task's ROC-AUC when a column is shuffled. The tasks share one network, but
# depend on different columns.
married = TaskView(model, "never_married")
some = test[:1_000]
falls = {}
for view in [married, education]:
    importance = permutation_importance(
        view,
        X.iloc[some],
        Y_complete[view.task].iloc[some],
        scoring="roc_auc_ovr",
        n_repeats=1,
        random_state=0,
    )
    falls[view.task] = importance.importances_mean
falls = pd.DataFrame(falls, index=X.columns)
largest = falls.loc[falls.max(axis=1).nlargest(8).index[::-1]]

# sphinx_gallery_thumbnail_number = 4
ax = largest.plot.barh(figsize=(5.8, 4))
ax.set(xlabel="decrease of ROC-AUC when the column is shuffled", ylabel="")
ax.legend(loc="lower right")
plt.tight_layout()
plt.show()

# %%
# Decision boundaries
# -------------------
# With two features, the predicted probabilities can be plotted as regions: here for a network that
# uses only age and weeks worked, for two of its tasks.
pair = ["age", "weeks_worked"]
two_columns = make_pipeline(StandardScaler(), clf).fit(X[pair].iloc[train], Y.iloc[train])

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", sharey=True)
for ax, task in zip(axes, ["income_50k", "never_married"], strict=True):
    view = TaskView(two_columns, task)
    DecisionBoundaryDisplay.from_estimator(
        view,
        X[pair].iloc[test],
        response_method="predict_proba",
        class_of_interest=view.classes_[1],
        grid_resolution=60,
        eps=0,
        levels=np.linspace(0, 1, 11),
        cmap="viridis",
        vmin=0,
        vmax=1,
        ax=ax,
    )
    ax.set_title(f"{task}: probability of {view.classes_[1]}")
    ax.label_outer()
figure.colorbar(axes[1].collections[0], ax=axes)
plt.show()
