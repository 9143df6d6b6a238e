"""
Numbers and categories: the raw table or a ColumnTransformer
============================================================

A DataFrame with numbers, text and missing cells can go to the network as it is, if the text columns
are categorical. The usual preprocessing of scikit-learn works as well. This example does both.
"""

# %%
# The census table has 7 numbers and 31 columns of text. 5,000 rows are for training. The test rows
# have the labels of education that the dataset hides.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl.datasets import load_census
from sk_mtl.metrics import multitask_score

X, Y = load_census(return_X_y=True)
Y_complete = load_census(masked=False).target
text = X.select_dtypes(exclude="number").columns
rows = np.random.default_rng(0).permutation(len(X))
train, test = rows[:5_000], rows[5_000:15_000]
print(X.iloc[train][["age", "weeks_worked", "major_occ", "hisp_origin"]].head(3).to_string())
print(f"missing cells of hisp_origin: {X['hisp_origin'].isna().sum()}")

# %%
# Both ways
# ---------
# The first network standardises the numbers and encodes the categories itself, and learns from
# missing cells as such. In the second, each step is one of scikit-learn's.
raw = X.astype(dict.fromkeys(text, "category"))
clf = MultiTaskClassifier(hidden_layer_sizes=(64,), epochs=20, early_stopping=True, random_state=0)
columns = make_column_transformer(
    (StandardScaler(), make_column_selector(dtype_include="number")),
    (
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False),
        make_column_selector(dtype_exclude="number"),
    ),
)
pipeline = make_pipeline(columns, MultiTaskClassifier(**clf.get_params()))
clf.fit(raw.iloc[train], Y.iloc[train])
pipeline.fit(X.iloc[train], Y.iloc[train])

# %%
# Scores of the test rows
# -----------------------
proba = {
    "raw table": clf.predict_proba(raw.iloc[test]),
    "ColumnTransformer": pipeline.predict_proba(X.iloc[test]),
}
scores = pd.DataFrame(
    {
        name: multitask_score("roc_auc", Y_complete.iloc[test], values, average=None)
        for name, values in proba.items()
    },
    index=Y.columns,
)
print(scores.round(3).to_string())

# %%
# The scores hardly differ. The Pipeline is the place for steps that the network does not do itself:
# dates, free text, imputation by a model, or merging rare categories.
ax = scores[::-1].plot.barh(figsize=(5.2, 3.7), color=["C0", "C1"], width=0.75)
for bars in ax.containers:
    ax.bar_label(bars, fmt="%.3f", padding=4)
ax.set(xlabel="ROC-AUC of test rows", xlim=(0.5, 1.08), xticks=[0.5, 0.6, 0.7, 0.8, 0.9, 1])
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.12), ncols=2)
plt.tight_layout()
plt.show()
