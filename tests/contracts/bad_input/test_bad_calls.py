"""Calls that cannot be answered are refused with their message."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from bad_input import ENCODE, A, N, W, X, Y, assert_refused
from sklearn.exceptions import NotFittedError

CLASSES = {"flag": [0, 1], "colour": ["blue", "green", "red"]}

# name: the call, the error and its message, on which estimators, parameters
CALLS = {
    "fit, no weight of a missing cell that is learned from": (
        lambda clf: clf.fit(X, Y, Y.notna().where(Y.notna(), np.nan).astype(float)),
        ValueError,
        "If unlabelled is set, sample_weight must be finite and not negative on unlabelled cells, "
        "too. Got invalid weights in 5 of 5 unlabelled cells, the first in row 1, task 'colour'. "
        "A weight of 0 leaves a cell out.",
        "both",
        {"unlabelled": "pseudo_labels"},
    ),
    "partial_fit, a negative weight of a missing cell that is learned from": (
        lambda clf: clf.partial_fit(X, Y, CLASSES, np.where(Y.isna(), -1, 1)),
        ValueError,
        "If unlabelled is set, sample_weight must be finite and not negative on unlabelled cells, "
        "too. Got invalid weights in 5 of 5 unlabelled cells, the first in row 1, task 'colour'. "
        "A weight of 0 leaves a cell out.",
        "both",
        {"unlabelled": "consistency"},
    ),
    "predict, a column too few": (
        lambda clf: clf.predict(X[["u", "v"]]),
        ValueError,
        "The feature names should match those that were passed during fit.\nFeature names "
        "seen at fit time, yet now missing:\n- w\n",
        "fitted",
    ),
    "predict, a column too many": (
        lambda clf: clf.predict(X.assign(z=1)),
        ValueError,
        "The feature names should match those that were passed during fit.\nFeature names "
        "unseen at fit time:\n- z\n",
        "fitted",
    ),
    "predict, columns in another order": (
        lambda clf: clf.predict(X[["v", "u", "w"]]),
        ValueError,
        "The feature names should match those that were passed during fit.\nFeature names "
        "must be in the same order as they were in fit.\n",
        "fitted",
    ),
    "predict, another column": (
        lambda clf: clf.predict(X.set_axis(["u", "v", "q"], axis=1)),
        ValueError,
        "The feature names should match those that were passed during fit.\nFeature names "
        "unseen at fit time:\n- q\nFeature names seen at fit time, yet now missing:\n- w\n",
        "fitted",
    ),
    "predict, polars columns in another order": (
        lambda clf: clf.predict(pl.DataFrame(A, schema=["v", "u", "w"])),
        ValueError,
        "The feature names should match those that were passed during fit.\nFeature names "
        "must be in the same order as they were in fit.\n",
        "fitted",
    ),
    "predict, infinity": (
        lambda clf: clf.predict(X.assign(v=np.inf)),
        ValueError,
        "Input X contains infinity: 20 cell(s) of column(s) 'v'. The network needs finite "
        "numbers. Replace them, or leave out their rows.",
        "fitted",
    ),
    "predict, too large for float32": (
        lambda clf: clf.predict(X.astype(float).assign(u=1e300)),
        ValueError,
        "Input X contains a value too large for dtype('float32'), in which the network "
        "computes: 1e+300. Scale X, for instance with StandardScaler.",
        "fitted",
    ),
    "predict, text": (
        lambda clf: clf.predict(X.assign(u="a")),
        ValueError,
        "X must be numeric. Other values in 1 of 3 column(s): 'u' (could not convert string "
        "to float: 'a'). " + ENCODE,
        "fitted",
    ),
    "predict, no rows": (
        lambda clf: clf.predict(X[:0]),
        ValueError,
        "Found array with 0 sample(s) (shape=(0, 3)) while a minimum of 1 is required by "
        "MultiTaskClassifier.",
        "fitted",
    ),
    "predict, None": (
        lambda clf: clf.predict(None),
        TypeError,
        "X must be a table of numbers, of shape (n_samples, n_features): an array, a "
        "DataFrame or a sparse matrix. Got NoneType.",
        "fitted",
    ),
    "predict_proba, a row as a Series": (
        lambda clf: clf.predict_proba(X.iloc[0]),
        ValueError,
        "X must be 2-D. Got a Series; use X.to_frame() for a single feature.",
        "fitted",
    ),
    "predict before fit": (
        lambda clf: clf.predict(X),
        NotFittedError,
        "This MultiTaskClassifier instance is not fitted yet. Call 'fit' with appropriate "
        "arguments before using this estimator.",
        "new",
    ),
    "predict_proba before fit": (
        lambda clf: clf.predict_proba(X),
        NotFittedError,
        "This MultiTaskClassifier instance is not fitted yet. Call 'fit' with appropriate "
        "arguments before using this estimator.",
        "new",
    ),
    "score before fit": (
        lambda clf: clf.score(X, Y),
        NotFittedError,
        "This MultiTaskClassifier instance is not fitted yet. Call 'fit' with appropriate "
        "arguments before using this estimator.",
        "new",
    ),
    "task_view before fit": (
        lambda clf: clf.task_view("flag"),
        NotFittedError,
        "This MultiTaskClassifier instance is not fitted yet. Call 'fit' with appropriate "
        "arguments before using this estimator.",
        "new",
    ),
    "summary before fit": (
        lambda clf: clf.summary(),
        NotFittedError,
        "This MultiTaskClassifier instance is not fitted yet. Call 'fit' with appropriate "
        "arguments before using this estimator.",
        "new",
    ),
    "model_ before fit": (
        lambda clf: clf.model_,
        AttributeError,
        "MultiTaskClassifier has no model_: it is not fitted, or no task has two classes.",
        "new",
    ),
    "probabilities of a mistyped task": (
        lambda clf: clf.predict_proba(X)["color"],
        KeyError,
        "\"There is no task 'color'. Did you mean 'colour'? The tasks are 'flag', 'colour'.\"",
        "fitted",
    ),
    "probabilities of the third of two tasks": (
        lambda clf: clf.predict_proba(X)[2],
        IndexError,
        "There are 2 tasks, and none is named 2.",
        "fitted",
    ),
    "view of a mistyped task": (
        lambda clf: clf.task_view("color"),
        ValueError,
        "There is no task 'color'. Did you mean 'colour'? The tasks are 'flag', 'colour'.",
        "fitted",
    ),
    "view of the sixth of two tasks": (
        lambda clf: clf.task_view(5),
        ValueError,
        "There is no task 5. The tasks are 'flag', 'colour'.",
        "fitted",
    ),
    "view of a list": (
        lambda clf: clf.task_view(["flag"]),
        ValueError,
        "There is no task ['flag']. The tasks are 'flag', 'colour'.",
        "fitted",
    ),
    "score, another task": (
        lambda clf: clf.score(X, Y.rename(columns={"flag": "flg"})),
        ValueError,
        "y must have the columns seen in fit; missing: 'flag'. Got 'flg', 'colour'.",
        "fitted",
    ),
    "score, a task too many": (
        lambda clf: clf.score(X, Y.assign(more=1)),
        ValueError,
        "y must have one column per task: 2 ('flag', 'colour'). Got 3.",
        "fitted",
    ),
    "score, one task of two": (
        lambda clf: clf.score(X, Y["flag"]),
        ValueError,
        "y must have one column per task: 2 ('flag', 'colour'). Got 1.",
        "fitted",
    ),
    "score, too few rows": (
        lambda clf: clf.score(X, Y[:5]),
        ValueError,
        "Found input variables with inconsistent numbers of samples: [20, 5]",
        "fitted",
    ),
    "score, text in place of numbers": (
        lambda clf: clf.score(X, Y.assign(flag="1")),
        ValueError,
        "The labels of task 'flag' must be of the type seen in fit, such as 0. Got '1'. "
        "Convert them.",
        "fitted",
    ),
    "score, numbers in place of text": (
        lambda clf: clf.score(X, Y.assign(colour=1)),
        ValueError,
        "The labels of task 'colour' must be of the type seen in fit, such as 'blue'. Got 1. "
        "Convert them.",
        "fitted",
    ),
    "score, fractions": (
        lambda clf: clf.score(X, Y.assign(flag=0.5)),
        ValueError,
        "Unknown label type: continuous. Task 'flag' holds 20 non-integral number(s), such as "
        "0.5; class labels must be discrete. Bin them, or convert them to text if each "
        "number is a class.",
        "fitted",
    ),
    "score, None": (
        lambda clf: clf.score(X, None),
        ValueError,
        "This estimator requires y to be passed, but the target y is None. Pass one column "
        "of class labels per task, NaN where a label is missing.",
        "fitted",
    ),
    "score, negative weights": (
        lambda clf: clf.score(X, Y, -W),
        ValueError,
        "sample_weight must not be negative. Got negative weights in 35 of 35 labelled "
        "cells, the first in row 0, task 'flag'.",
        "fitted",
    ),
    "score, weights too short": (
        lambda clf: clf.score(X, Y, W[:3]),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (3,).",
        "fitted",
    ),
    "stream, no classes": (
        lambda clf: clf.partial_fit(X, Y),
        ValueError,
        "classes must be passed on the first call to partial_fit: the classes of 'flag', "
        "'colour' are not known. Pass {task: labels}, or make the columns categorical.",
        "new",
    ),
    "stream, classes of one task": (
        lambda clf: clf.partial_fit(X, Y, classes={"flag": [0, 1]}),
        ValueError,
        "classes must be passed on the first call to partial_fit: the classes of 'colour' "
        "are not known. Pass {task: labels}, or make the columns categorical.",
        "new",
    ),
    "stream, classes of a mistyped task": (
        lambda clf: clf.partial_fit(X, Y, classes={**CLASSES, "color": ["red"]}),
        ValueError,
        "There is no task 'color', named in classes. Did you mean 'colour'? The tasks are "
        "'flag', 'colour'.",
        "new",
    ),
    "stream, a label outside the classes": (
        lambda clf: clf.partial_fit(X, Y, classes={**CLASSES, "flag": [0]}),
        ValueError,
        "Task 'flag' has 10 label(s) outside its classes (0): 1. Correct them, or list every "
        "class in `classes`.",
        "new",
    ),
    "stream, weights in place of classes": (
        lambda clf: clf.partial_fit(X, Y, W[:3]),
        ValueError,
        "classes must be {task: labels} or one sequence of labels per task, for 2 task(s). "
        "Got array([1., 1., 1.]).",
        "new",
    ),
    "stream, an unknown label": (
        lambda clf: clf.partial_fit(X, Y.assign(flag=9)),
        ValueError,
        "Task 'flag' has 20 label(s) outside its classes (0, 1): 9. Correct them, or list "
        "every class in `classes`.",
        "fitted",
    ),
    "stream, text in place of numbers": (
        lambda clf: clf.partial_fit(X, Y.assign(flag="1")),
        ValueError,
        "Task 'flag' has 20 label(s) outside its classes (0, 1): '1'. Correct them, or list "
        "every class in `classes`.",
        "fitted",
    ),
    "stream, other classes": (
        lambda clf: clf.partial_fit(X, Y, classes={"flag": [0, 1, 2]}),
        ValueError,
        "classes of task 'flag' must be those of the first fit, 0, 1. Got 0, 1, 2.",
        "fitted",
    ),
    "stream, a task too few": (
        lambda clf: clf.partial_fit(X, Y[["flag"]]),
        ValueError,
        "y must have one column per task: 2 ('flag', 'colour'). Got 1.",
        "fitted",
    ),
    "stream, other tasks": (
        lambda clf: clf.partial_fit(X, Y.set_axis(["a", "b"], axis=1)),
        ValueError,
        "y must have the columns seen in fit; missing: 'flag', 'colour'. Got 'a', 'b'.",
        "fitted",
    ),
    "stream, columns in another order": (
        lambda clf: clf.partial_fit(X[["v", "u", "w"]], Y),
        ValueError,
        "The feature names should match those that were passed during fit.\nFeature names "
        "must be in the same order as they were in fit.\n",
        "fitted",
    ),
    "stream, too few rows": (
        lambda clf: clf.partial_fit(X, Y[:3]),
        ValueError,
        "Found input variables with inconsistent numbers of samples: [20, 3]",
        "fitted",
    ),
    "stream, negative weights": (
        lambda clf: clf.partial_fit(X, Y, sample_weight=-W),
        ValueError,
        "sample_weight must not be negative. Got negative weights in 35 of 35 labelled "
        "cells, the first in row 0, task 'flag'.",
        "fitted",
    ),
    "stream, another network": (
        lambda clf: clf.partial_fit(X, Y),
        ValueError,
        "warm_start and partial_fit continue with the fitted network, but its "
        "parameters have changed since: hidden_layer_sizes (was (2,), is (3,)). Clone the "
        "estimator to start afresh.",
        "fitted",
        {"hidden_layer_sizes": (3,)},
    ),
    "warm start, an unknown label": (
        lambda clf: clf.fit(X, Y.assign(flag=7)),
        ValueError,
        "Task 'flag' has 20 label(s) outside its classes (0, 1): 7. Correct them, or list "
        "every class in `classes`.",
        "fitted",
        {"warm_start": True},
    ),
    "warm start, a task too many": (
        lambda clf: clf.fit(X, Y.assign(more=1)),
        ValueError,
        "y must have one column per task: 2 ('flag', 'colour'). Got 3.",
        "fitted",
        {"warm_start": True},
    ),
    "warm start, another column": (
        lambda clf: clf.fit(X[["u"]], Y),
        ValueError,
        "The feature names should match those that were passed during fit.\nFeature names "
        "seen at fit time, yet now missing:\n- v\n- w\n",
        "fitted",
        {"warm_start": True},
    ),
    "warm start, no label": (
        lambda clf: clf.fit(X, Y.assign(flag=np.nan, colour=None)),
        ValueError,
        "y has no label at all: every cell of 2 task(s) and 20 row(s) is missing. Supply "
        "labels for at least one task.",
        "fitted",
        {"warm_start": True},
    ),
    "warm start, another network": (
        lambda clf: clf.fit(X, Y),
        ValueError,
        "warm_start and partial_fit continue with the fitted network, but its "
        "parameters have changed since: l2 (was 0.0, is 0.1). Clone the estimator to start "
        "afresh.",
        "fitted",
        {"warm_start": True, "l2": 0.1},
    ),
    "validation data, a frame": (
        lambda clf: clf.fit(X, Y, validation_data=Y),
        ValueError,
        "validation_data must be a tuple (X, y) or (X, y, sample_weight). Got DataFrame.",
        "both",
    ),
    "validation data, X alone": (
        lambda clf: clf.fit(X, Y, validation_data=(X,)),
        ValueError,
        "validation_data must be a tuple (X, y) or (X, y, sample_weight). Got tuple of 1.",
        "both",
    ),
    "validation data, four of them": (
        lambda clf: clf.fit(X, Y, validation_data=(X, Y, None, None)),
        ValueError,
        "validation_data must be a tuple (X, y) or (X, y, sample_weight). Got tuple of 4.",
        "both",
    ),
    "validation data, a share": (
        lambda clf: clf.fit(X, Y, validation_data=0.2),
        ValueError,
        "validation_data must be a tuple (X, y) or (X, y, sample_weight). Got float.",
        "both",
    ),
    "validation data, no label": (
        lambda clf: clf.fit(X, Y, validation_data=(X, Y.assign(flag=np.nan, colour=None))),
        ValueError,
        "In validation_data: y has no label of a task that the network learns.",
        "both",
    ),
    "validation data, an unknown label": (
        lambda clf: clf.fit(X, Y, validation_data=(X, Y.assign(flag=9))),
        ValueError,
        "In validation_data: Task 'flag' has 20 label(s) outside its classes (0, 1): 9. "
        "Correct them, or list every class in `classes`.",
        "both",
    ),
    "validation data, a task too many": (
        lambda clf: clf.fit(X, Y, validation_data=(X, Y.assign(more=1))),
        ValueError,
        "In validation_data: y must have one column per task: 2 ('flag', 'colour'). Got 3.",
        "both",
    ),
    "validation data, another column": (
        lambda clf: clf.fit(X, Y, validation_data=(X[["u"]], Y)),
        ValueError,
        "In validation_data: The feature names should match those that were passed during "
        "fit.\nFeature names seen at fit time, yet now missing:\n- v\n- w\n",
        "both",
    ),
    "validation data, too few rows": (
        lambda clf: clf.fit(X, Y, validation_data=(X[:5], Y)),
        ValueError,
        "In validation_data: Found input variables with inconsistent numbers of samples: [5, 20]",
        "both",
    ),
    "validation data, infinity": (
        lambda clf: clf.fit(X, Y, validation_data=(X.assign(v=np.inf), Y)),
        ValueError,
        "In validation_data: Input X contains infinity: 20 cell(s) of column(s) 'v'. The network "
        "needs finite numbers. Replace them, or leave out their rows.",
        "both",
    ),
    "validation data, negative weights": (
        lambda clf: clf.fit(X, Y, validation_data=(X, Y, -W)),
        ValueError,
        "In validation_data: sample_weight must not be negative. Got negative weights in 35 "
        "of 35 labelled cells, the first in row 0, task 'flag'.",
        "both",
    ),
    "validation data, weights of zero": (
        lambda clf: clf.fit(X, Y, validation_data=(X, Y, 0 * W)),
        ValueError,
        "In validation_data: sample_weight is zero on every labelled cell: at least one "
        "weight must be positive.",
        "both",
    ),
    "validation rows in both forms": (
        lambda clf: clf.fit(X, Y, validation_data=(X, Y), X_val=X, y_val=Y),
        ValueError,
        "Pass validation rows as validation_data=(X, y), or as X_val and y_val. Got "
        "validation_data and X_val, y_val.",
        "both",
    ),
    "X_val alone": (
        lambda clf: clf.fit(X, Y, X_val=X),
        ValueError,
        "Validation rows need both X_val and y_val. Got X_val alone.",
        "both",
    ),
    "labels and weights without X_val": (
        lambda clf: clf.fit(X, Y, y_val=Y, sample_weight_val=W),
        ValueError,
        "Validation rows need both X_val and y_val. Got y_val, sample_weight_val alone.",
        "both",
    ),
    "X_val, another column": (
        lambda clf: clf.fit(X, Y, X_val=X[["u"]], y_val=Y),
        ValueError,
        "In X_val and y_val: The feature names should match those that were passed during "
        "fit.\nFeature names seen at fit time, yet now missing:\n- v\n- w\n",
        "both",
    ),
    "X_val, negative weights": (
        lambda clf: clf.fit(X, Y, X_val=X, y_val=Y, sample_weight_val=-W),
        ValueError,
        "In X_val and y_val: sample_weight must not be negative. Got negative weights in 35 "
        "of 35 labelled cells, the first in row 0, task 'flag'.",
        "both",
    ),
    "X_val, no label": (
        lambda clf: clf.fit(X, Y, X_val=X, y_val=Y.assign(flag=np.nan, colour=None)),
        ValueError,
        "In X_val and y_val: y has no label of a task that the network learns.",
        "both",
    ),
    "X_val and folds": (
        lambda clf: clf.fit(X, Y, X_val=X, y_val=Y),
        ValueError,
        "early_stopping='cv' validates on folds of X and y, and validation data was given. "
        "Put these rows into X and y, or set early_stopping=True to validate on them.",
        "both",
        {"early_stopping": "cv"},
    ),
    "groups beside validation data": (
        lambda clf: clf.fit(X, Y, X_val=X, y_val=Y, groups=X["u"]),
        ValueError,
        "groups keeps rows together when fit sets some aside for early stopping, and with "
        "validation data it sets none aside. Pass one of the two.",
        "both",
    ),
    "groups, too few": (
        lambda clf: clf.fit(X, Y, groups=[1, 2, 3]),
        ValueError,
        "groups must have a group for each of the 20 rows. Got 3.",
        "both",
    ),
    "groups, a frame": (
        lambda clf: clf.fit(X, Y, groups=X[["u"]]),
        ValueError,
        "groups must be 1-D: the group of each row. Got DataFrame of 2 dimensions.",
        "both",
    ),
    "groups, one name": (
        lambda clf: clf.fit(X, Y, groups="person"),
        ValueError,
        "groups must be 1-D: the group of each row. Got str of 0 dimensions.",
        "both",
    ),
    "groups, some missing": (
        lambda clf: clf.fit(X, Y, groups=["a", None, np.nan, pd.NA] * 5),
        ValueError,
        "groups must have a group for every row. 15 of 20 are missing.",
        "both",
    ),
    "groups, some masked": (
        lambda clf: clf.fit(X, Y, groups=np.ma.masked_equal(np.arange(20) // 2, 3)),
        ValueError,
        "groups must have a group for every row. 2 of 20 are missing.",
        "both",
    ),
    "groups of lists": (
        lambda clf: clf.fit(X, Y, groups=[["a"], ["b"]] * 10),
        TypeError,
        "groups must hold scalars, such as numbers or text: unhashable type: 'list'.",
        "both",
    ),
    "one group for folds": (
        lambda clf: clf.fit(X, Y, groups=np.zeros(N)),
        ValueError,
        "early_stopping='cv' needs at least 5 groups of rows with labels. Found 1. Set "
        "early_stopping=False.",
        "both",
        {"early_stopping": "cv"},
    ),
    "one group to train on and to watch": (
        lambda clf: clf.fit(X, Y, groups=["a"] * N),
        ValueError,
        "At least two groups are needed to hold some of them out. groups is the same for all 20 "
        "rows.",
        "both",
        {"early_stopping": True},
    ),
    "warm start, other classes": (
        lambda clf: clf.fit(X, Y),
        ValueError,
        "classes of task 'flag' must be those of the first fit, 0, 1. Got 0, 1, 2.",
        "fitted",
        {"warm_start": True, "classes": {"flag": [0, 1, 2]}},
    ),
    "stream, other classes as a parameter": (
        lambda clf: clf.partial_fit(X, Y),
        ValueError,
        "classes of task 'flag' must be those of the first fit, 0, 1. Got 0, 1, 2.",
        "fitted",
        {"classes": {"flag": [0, 1, 2]}},
    ),
    "warm start, other categorical features": (
        lambda clf: clf.fit(X, Y),
        ValueError,
        "warm_start and partial_fit continue with the categorical features of the first fit, but "
        "categorical_features=['u'] names others. Clone the estimator to start afresh.",
        "fitted",
        {"warm_start": True, "categorical_features": ["u"]},
    ),
    "stream, other categorical features": (
        lambda clf: clf.partial_fit(X, Y),
        ValueError,
        "warm_start and partial_fit continue with the categorical features of the first fit, but "
        "categorical_features=[0] names others. Clone the estimator to start afresh.",
        "fitted",
        {"categorical_features": [0]},
    ),
    "stream, temperatures at a later call": (
        lambda clf: clf.partial_fit(X, Y),
        ValueError,
        "calibrate=True needs validation rows, which are not trained on. Set "
        "early_stopping=True, which sets aside validation_fraction of the rows, or pass "
        "validation_data to fit; partial_fit has neither. calibrate='auto' does without if "
        "there are none.",
        "fitted",
        {"calibrate": True},
    ),
    "fit without y": (
        lambda clf: clf.fit(X),
        TypeError,
        "MultiTaskClassifier.fit() missing 1 required positional argument: 'y'",
        "both",
    ),
    "Keras's argument of fit": (
        lambda clf: clf.fit(X, Y, epochs=3),
        TypeError,
        "MultiTaskClassifier.fit() got an unexpected keyword argument 'epochs'",
        "both",
    ),
    "Keras's argument of predict": (
        lambda clf: clf.predict(X, batch_size=3),
        TypeError,
        "MultiTaskClassifier.predict() got an unexpected keyword argument 'batch_size'",
        "fitted",
    ),
    "one row to train on and to watch": (
        lambda clf: clf.fit(X[2:3], Y[2:3]),
        ValueError,
        "At least two rows are needed to hold some of them out. Got 1.",
        "both",
        {"early_stopping": True, "classes": CLASSES},
    ),
    "a million classes": (
        lambda clf: clf.fit(np.zeros((10**6, 1), np.float32), np.arange(10**6)),
        ValueError,
        "Task 'y0' has 1,000,000 classes among 1,000,000 labels: it looks like a row "
        "identifier or a continuous target. Leave it out or bin it; if these are classes, "
        "list them in `classes`.",
        "both",
    ),
    "a name for each row": (
        lambda clf: clf.fit(
            np.zeros((2000, 1)), pd.DataFrame({"id": [f"id{i}" for i in range(2000)]})
        ),
        ValueError,
        "Task 'id' has 2,000 classes among 2,000 labels: it looks like a row "
        "identifier or a continuous target. Leave it out or bin it; if these are classes, "
        "list them in `classes`.",
        "both",
    ),
}


@pytest.mark.parametrize(
    ("act", "error", "message", "on", "params"),
    [(*row, {})[:5] for row in CALLS.values()],
    ids=CALLS,
)
def test_unusable_calls_are_refused(act, error, message, on, params):
    for state in ("new", "fitted") if on == "both" else (on,):
        assert_refused(act, error, message, state, params)
