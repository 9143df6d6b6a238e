"""Messages stay short where a value of a megabyte is wrong."""

import warnings

import numpy as np
import pandas as pd
import pytest
from bad_input import X, Y, fitted, make

from sk_mtl.metrics import make_multitask_scorer, multitask_score
from sk_mtl.model_selection import MultiTaskStratifiedKFold, cross_val_predict

LONG = "x" * 10**6
NAMED = Y.rename(columns={"flag": LONG})


def label(value):
    """Return Y with one other label of colour."""
    return Y.assign(colour=Y["colour"].where(Y.index != 0, value))


def predicted():
    return fitted()[0].predict(X)


def fit(y=Y, features=X, **params):
    return make(**params).fit(features, y)


MISTAKES = {
    "label": lambda: fit(label(LONG), classes={"colour": ["blue", "red", "green"]}),
    "classes": lambda: fit(classes={"colour": ["blue", LONG]}),
    "label of a later call": lambda: fitted()[0].set_params(warm_start=True).fit(X, label(LONG)),
    "label of another type": lambda: fitted()[0].score(X, Y.assign(flag=LONG)),
    "task of classes": lambda: fit(classes={LONG: [0, 1]}),
    "task of missing_label": lambda: fit(missing_label={LONG: 0}),
    "missing_label": lambda: fit(missing_label=[[LONG]]),
    "class_weight": lambda: fit(class_weight={"flag": {LONG: 1}}),
    "weight of a class": lambda: fit(class_weight={"flag": {0: LONG}}),
    "task_weighting": lambda: fit(task_weighting={LONG: 1}),
    "optimizer": lambda: fit(optimizer=LONG),
    "setting": lambda: fit(**{f"optimizer__{LONG}": 1}),
    "set_params": lambda: make().set_params(**{LONG: 1}),
    "category of X": lambda: fit(categorical_features=[LONG]),
    "column of X": lambda: fit(features=X.rename(columns={"u": LONG}) * np.inf),
    "text in X": lambda: fit(features=X.assign(u=LONG)),
    "columns of y": lambda: fitted()[0].score(X, NAMED),
    "two columns of y": lambda: fit(pd.concat([NAMED, NAMED], axis=1)),
    "fractions": lambda: fit(NAMED + {LONG: 0.5, "colour": ""}),
    "word": lambda: fit(NAMED.assign(**{LONG: "nan"})),
    "task": lambda: fitted()[0].task_view(LONG),
    "weights": lambda: make().fit(X, Y, sample_weight=pd.DataFrame({LONG: [1.0] * len(X)})),
    "name of a metric": lambda: multitask_score(LONG, Y, predicted()),
    "tasks of predictions": lambda: multitask_score("accuracy", NAMED, predicted()),
    "scorer": lambda: make_multitask_scorer(LONG),
    "splitter": lambda: MultiTaskStratifiedKFold(3, random_state=LONG),
    "method": lambda: cross_val_predict(make(), X, Y, method=LONG),
    **{
        name: lambda name=name: fit(**{name: LONG})
        for name in (
            "activation",
            "batch_size",
            "class_weight",
            "epochs",
            "hidden_layer_sizes",
            "loss",
            "model",
            "monitor",
            "unlabelled",
        )
    },
}


@pytest.mark.parametrize("act", MISTAKES.values(), ids=MISTAKES)
def test_a_long_value_is_shortened_in_errors(act):
    with pytest.raises((KeyError, TypeError, ValueError)) as caught:
        act()
    assert len(str(caught.value)) < 1500


WARNED = {
    "no label": NAMED.assign(**{LONG: np.nan}),
    "one class": NAMED.assign(**{LONG: LONG}),
    "empty text": NAMED.assign(**{LONG: ["", "a"] * 10}),
    "category": Y.assign(colour=Y["colour"].astype("category").cat.add_categories([LONG])),
    "codes": NAMED.assign(**{LONG: [-1, 0, 1, 1] * 5}),
}


@pytest.mark.parametrize("y", WARNED.values(), ids=WARNED)
def test_a_long_value_is_shortened_in_warnings(y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make().fit(X, y)
    assert 0 < max(len(str(w.message)) for w in caught) < 1500
