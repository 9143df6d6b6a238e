"""What a user can get wrong, each with its message; after it the estimator is as it was.

Every row is tried on an estimator that is not fitted and on a fitted one, where both make sense. A
message is the whole text, or a pattern of the whole text where Keras or NumPy has a part in it, or
an address. Odd input that is right stands at the end.
"""

import copy
import datetime as dt
import decimal
import pickle
import re
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from sk_mtl import MultiTaskClassifier

N = 20
A = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
X = pd.DataFrame(A, columns=["u", "v", "w"])
Y = pd.DataFrame({"flag": np.arange(N) % 2, "colour": ["blue", None, "red", "green"] * 5})
W = np.ones(N)
CLASSES = {"flag": [0, 1], "colour": ["blue", "green", "red"]}


def make(**params):
    tiny = {"hidden_layer_sizes": (2,), "epochs": 1, "random_state": 0}
    return MultiTaskClassifier(**{**tiny, **params})


@cache
def fitted():
    """Return the one fitted estimator, and its probabilities."""
    clf = make().fit(X, Y)
    return clf, np.hstack(clf.predict_proba(X))


def at(value, dtype=np.float32):
    """Return X with a value in row 3, column 1."""
    features = A.astype(dtype)
    features[3, 1] = value
    return features


def cell(value):
    """Return X with a value in row 3 of column u."""
    features = X.astype(object)
    features.loc[3, "u"] = value
    return features


def label(value):
    """Return Y with a value in row 3 of task flag."""
    labels = Y.astype(object)
    labels.loc[3, "flag"] = value
    return labels


def weight(value):
    """Return weights of the rows with a value in row 4."""
    weights = W.copy()
    weights[4] = value
    return weights


ENCODE = (
    "Encode them, for instance with OneHotEncoder in a ColumnTransformer, or mark them as "
    "categorical, by a categorical dtype or categorical_features."
)
IMPUTE = "Set standardize=True, which allows missing cells, or impute them."
# name: X, the error and its message, parameters
FEATURES = {
    "NaN": (
        lambda: at(np.nan),
        ValueError,
        "Input X contains NaN: 1 cell(s) of column(s) 1. The network needs finite numbers. "
        + IMPUTE,
        {"standardize": False},
    ),
    "infinity": (
        lambda: at(np.inf),
        ValueError,
        "Input X contains infinity: 1 cell(s) of column(s) 1. The network needs finite "
        "numbers. Replace them, or leave out their rows.",
    ),
    "minus infinity": (
        lambda: at(-np.inf),
        ValueError,
        "Input X contains infinity: 1 cell(s) of column(s) 1. The network needs finite "
        "numbers. Replace them, or leave out their rows.",
    ),
    "None in a frame": (
        lambda: cell(None),
        ValueError,
        "Input X contains NaN: 1 cell(s) of column(s) 'u'. The network needs finite numbers. "
        + IMPUTE,
        {"standardize": False},
    ),
    "NA in a nullable column": (
        lambda: X.assign(u=pd.array([None] + [1] * (N - 1), dtype="Int64")),
        ValueError,
        "Input X contains NaN: 1 cell(s) of column(s) 'u'. The network needs finite numbers. "
        + IMPUTE,
        {"standardize": False},
    ),
    "NaN in a sparse matrix": (
        lambda: sp.csr_matrix(at(np.nan)),
        ValueError,
        "Input X contains NaN: 1 cell(s) of column(s) 1. The network needs finite numbers. "
        + IMPUTE,
        {"standardize": False},
    ),
    "NaN and infinity in many columns": (
        lambda: np.full((N, 9), np.nan),
        ValueError,
        "Input X contains NaN: 180 cell(s) of column(s) 0, 1, 2, 3, 4 and 4 more. The "
        "network needs finite numbers. " + IMPUTE,
        {"standardize": False},
    ),
    "too large for float32": (
        lambda: at(1e300, np.float64),
        ValueError,
        "Input X contains a value too large for dtype('float32'), in which the network "
        "computes: 1e+300. Scale X, for instance with StandardScaler.",
    ),
    "too large, sparse": (
        lambda: sp.csr_matrix(at(1e300, np.float64)),
        ValueError,
        "Input X contains a value too large for dtype('float32'), in which the network "
        "computes: 1e+300. Scale X, for instance with StandardScaler.",
    ),
    "an integer too large for floats": (
        lambda: np.full((N, 2), 10**400, dtype=object),
        ValueError,
        "X must be numeric. Other values in 2 of 2 column(s): 0 (int too large to convert to "
        "float), 1 (int too large to convert to float). " + ENCODE,
    ),
    "text": (
        lambda: np.full((N, 2), "a"),
        ValueError,
        "X must be numeric. Other values in 2 of 2 column(s): 0 (could not convert string to "
        "float: 'a'), 1 (could not convert string to float: 'a'). " + ENCODE,
    ),
    "a column of text": (
        lambda: X.assign(u="a"),
        ValueError,
        "X must be numeric. Other values in 1 of 3 column(s): 'u' (could not convert string "
        "to float: 'a'). " + ENCODE,
    ),
    "a cell of text": (
        lambda: cell("a"),
        ValueError,
        "X must be numeric. Other values in 1 of 3 column(s): 'u' (could not convert string "
        "to float: 'a'). " + ENCODE,
    ),
    "bytes": (
        lambda: np.full((N, 2), b"a"),
        ValueError,
        "X must be numeric. Other values in 2 of 2 column(s): 0 (could not convert string to "
        "float: b'a'), 1 (could not convert string to float: b'a'). " + ENCODE,
    ),
    "polars text": (
        lambda: pl.DataFrame({"u": ["a"] * N, "v": [1.0] * N}),
        ValueError,
        "X must be numeric. Other values in 1 of 2 column(s): 'u' (could not convert string "
        "to float: 'a'). " + ENCODE,
    ),
    "times": (
        lambda: X.assign(u=pd.Timestamp("2020")),
        TypeError,
        "X must be numeric. Got times in 1 of 3 column(s): 'u'. Derive features from them.",
    ),
    "durations": (
        lambda: X.assign(u=pd.Timedelta(1)),
        TypeError,
        "X must be numeric. Got times in 1 of 3 column(s): 'u'. Derive features from them.",
    ),
    "an array of times": (
        lambda: np.full((N, 2), np.datetime64("2020")),
        TypeError,
        "X must be numeric. Got datetime64[Y]; derive features from the times.",
    ),
    "a list in a cell": (
        lambda: X.assign(u=[[1]] * N),
        TypeError,
        "X must be numeric. Other values in 1 of 3 column(s): 'u' (float() argument must be "
        "a string or a real number, not 'ndarray'). " + ENCODE,
    ),
    "a dict in a cell": (
        lambda: X.assign(u=[{}] * N),
        TypeError,
        "X must be numeric. Other values in 1 of 3 column(s): 'u' (float() argument must be "
        "a string or a real number, not 'dict'). " + ENCODE,
    ),
    "complex numbers": (
        lambda: A.astype(complex),
        ValueError,
        "Complex data not supported: X holds complex numbers. Pass their parts as columns.",
    ),
    "sparse complex numbers": (
        lambda: sp.csr_matrix(A.astype(complex)),
        ValueError,
        "Complex data not supported: X holds complex numbers. Pass their parts as columns.",
    ),
    "records": (
        lambda: np.zeros(N, dtype=[("a", float)]),
        TypeError,
        "X must be numeric. Got structured records; pass a DataFrame of them.",
    ),
    "masked cells": (
        lambda: np.ma.array(A, mask=A > 1),
        ValueError,
        "X has 10 masked cell(s), which hold no features. Use X.filled(np.nan) to make them "
        "missing cells.",
    ),
    "None": (
        lambda: None,
        TypeError,
        "X must be a table of numbers, of shape (n_samples, n_features): an array, a "
        "DataFrame or a sparse matrix. Got NoneType.",
    ),
    "a word": (
        lambda: "abc",
        TypeError,
        "X must be a table of numbers, of shape (n_samples, n_features): an array, a "
        "DataFrame or a sparse matrix. Got str.",
    ),
    "a dict of columns": (
        lambda: {"u": [1.0] * N},
        TypeError,
        "X must be a table of numbers, of shape (n_samples, n_features): an array, a "
        "DataFrame or a sparse matrix. Got dict.",
    ),
    "a set": (
        lambda: {1.0, 2.0},
        TypeError,
        "X must be a table of numbers, of shape (n_samples, n_features): an array, a "
        "DataFrame or a sparse matrix. Got set.",
    ),
    "a generator": (
        lambda: (row for row in A),
        TypeError,
        "X must be a table of numbers, of shape (n_samples, n_features): an array, a "
        "DataFrame or a sparse matrix. Got generator.",
    ),
    "a lazy frame": (
        lambda: pl.DataFrame(A).lazy(),
        TypeError,
        "X must be in memory. Got a lazy frame; call collect() on it.",
    ),
    "one feature, 1-D": (
        lambda: [1.0, 2.0],
        ValueError,
        "Expected 2D array, got 1D array instead:\narray=[1. 2.].\nReshape your data either "
        "using array.reshape(-1, 1) if your data has a single feature or array.reshape(1, "
        "-1) if it contains a single sample.",
    ),
    "a Series": (
        lambda: X["u"],
        ValueError,
        "X must be 2-D. Got a Series; use X.to_frame() for a single feature.",
    ),
    "a number": (
        lambda: 3,
        ValueError,
        "Expected 2D array, got scalar array instead:\narray=3.0.\nReshape your data either "
        "using array.reshape(-1, 1) if your data has a single feature or array.reshape(1, "
        "-1) if it contains a single sample.",
    ),
    "three dimensions": (
        lambda: A[None],
        ValueError,
        "X must be 2-D. Got 3 dimensions.",
    ),
    "ragged rows": (
        lambda: [[1, 2], [3]],
        ValueError,
        "X must be 2-D with rows of equal length. Got a ragged sequence.",
    ),
    "no rows": (
        lambda: A[:0],
        ValueError,
        "Found array with 0 sample(s) (shape=(0, 3)) while a minimum of 1 is required by "
        "MultiTaskClassifier.",
    ),
    "no columns": (
        lambda: A[:, :0],
        ValueError,
        "Found array with 0 feature(s) (shape=(20, 0)) while a minimum of 1 is required by "
        "MultiTaskClassifier.",
    ),
    "an empty frame": (
        pd.DataFrame,
        ValueError,
        "X must have at least one feature. Got a frame of shape (0, 0).",
    ),
    "fewer rows than y": (
        lambda: A[:5],
        ValueError,
        "Found input variables with inconsistent numbers of samples: [5, 20]",
    ),
    "a column name twice": (
        lambda: X.set_axis(["u", "u", "w"], axis=1),
        ValueError,
        "The column names of X must be unique: there are several columns named 'u'. Rename them.",
    ),
    "column names of two types": (
        lambda: X.rename(columns={"u": 1}),
        TypeError,
        "Feature names are only supported if all input features have string names, but your "
        "input has ['int', 'str'] as feature name / column name types. If you want feature "
        "names to be stored and validated, you must convert them all to strings, by using "
        "X.columns = X.columns.astype(str) for example. Otherwise you can remove feature / "
        "column names from your input data, or convert them all to a non-string data type.",
    ),
}

# name: y, the error and its message, parameters
LABELS = {
    "None": (
        lambda: None,
        ValueError,
        "This estimator requires y to be passed, but the target y is None. Pass one column "
        "of class labels per task, NaN where a label is missing.",
    ),
    "a word": (
        lambda: "abc",
        TypeError,
        "y must be a table of class labels: a DataFrame, a Series, an array or a list. Got str.",
    ),
    "a number": (
        lambda: 1,
        ValueError,
        "y must be 1-D (one task) or 2-D (one column per task). Got 0 dimensions.",
    ),
    "a dict of columns": (
        lambda: {"flag": [1] * N},
        TypeError,
        "y must be a table of class labels: a DataFrame, a Series, an array or a list. Got "
        "dict. Pass pd.DataFrame(y).",
    ),
    "a set": (
        lambda: {0, 1},
        TypeError,
        "y must be a table of class labels: a DataFrame, a Series, an array or a list. Got set.",
    ),
    "a generator": (
        lambda: (i for i in range(N)),
        TypeError,
        "y must be a table of class labels: a DataFrame, a Series, an array or a list. Got "
        "generator.",
    ),
    "a lazy frame": (
        lambda: pl.DataFrame({"a": [0, 1]}).lazy(),
        TypeError,
        "y must be in memory. Got a lazy frame; call collect() on it.",
    ),
    "sparse": (
        lambda: sp.csr_matrix(np.eye(N, 2)),
        TypeError,
        "Sparse data was passed for y, but dense labels are required: the zeros of a sparse "
        "y could be labels or missing ones. Use y.toarray() and NaN for missing labels.",
    ),
    "too few rows": (
        lambda: Y[:5],
        ValueError,
        "Found input variables with inconsistent numbers of samples: [20, 5]",
    ),
    "an empty list": (
        list,
        ValueError,
        "y must have at least one row and one task. Got 0 row(s) and 1 task(s).",
    ),
    "a frame without columns": (
        lambda: pd.DataFrame(index=range(N)),
        ValueError,
        "y must have at least one row and one task. Got 0 row(s) and 0 task(s).",
    ),
    "a frame without rows": (
        lambda: Y[:0],
        ValueError,
        "y must have at least one row and one task. Got 0 row(s) and 2 task(s).",
    ),
    "three dimensions": (
        lambda: np.zeros((N, 2, 2)),
        ValueError,
        "y must be 1-D (one task) or 2-D (one column per task). Got 3 dimensions.",
    ),
    "ragged rows": (
        lambda: [[0, 1], [1]] * 10,
        ValueError,
        "y must be 1-D or 2-D with rows of equal length. Got a ragged sequence.",
    ),
    "fractions": (
        lambda: A[:, 0],
        ValueError,
        "Unknown label type: continuous. Task 'y0' holds 20 non-integral float(s), such as "
        "0.1257302165031433; class labels must be discrete. Bin them, or convert them to "
        "strings or categories.",
    ),
    "a column of fractions": (
        lambda: Y.assign(flag=0.5),
        ValueError,
        "Unknown label type: continuous. Task 'flag' holds 20 non-integral float(s), such as "
        "0.5; class labels must be discrete. Bin them, or convert them to strings or "
        "categories.",
    ),
    "X in place of y": (
        lambda: X,
        ValueError,
        "Unknown label type: continuous. Task 'u' holds 20 non-integral float(s), such as "
        "0.1257302165031433; class labels must be discrete. Bin them, or convert them to "
        "strings or categories.",
    ),
    "decimal fractions": (
        lambda: Y.assign(flag=[decimal.Decimal("1.5")] * N),
        ValueError,
        "Unknown label type: continuous. Task 'flag' holds 20 non-integral float(s), such as "
        "1.5; class labels must be discrete. Bin them, or convert them to strings or "
        "categories.",
    ),
    "infinity": (
        lambda: Y.assign(flag=np.inf),
        ValueError,
        "Input y contains infinity: task 'flag' has 20 infinite value(s). Labels must be "
        "finite; NaN marks a missing one.",
    ),
    "floats beyond 2**53": (
        lambda: pd.DataFrame({"id": [2.0**60] * 19 + [None]}),
        ValueError,
        "Task 'id' holds floats above 2**53, where not every integer has its own float. "
        "Use an integer column that can hold missing values, such as Int64, or text.",
    ),
    "numbers and text": (
        lambda: label("one"),
        ValueError,
        "Unknown label type: unknown. The labels of a task must be of one type; task 'flag' "
        "mixes int, str. Convert the column to one type.",
    ),
    "truth values and text": (
        lambda: Y.assign(colour=[True, "a"] * 10),
        ValueError,
        "Unknown label type: unknown. The labels of a task must be of one type; task "
        "'colour' mixes bool, str. Convert the column to one type.",
    ),
    "numbers and dates": (
        lambda: label(dt.date(2020, 1, 1)),
        ValueError,
        "Unknown label type: unknown. The labels of a task must be of one type; task 'flag' "
        "mixes date, int. Convert the column to one type.",
    ),
    "objects without an order": (
        lambda: Y.assign(flag=[object() for _ in range(N)]),
        ValueError,
        "Unknown label type: unknown. The labels of task 'flag' cannot be ordered: '<' not "
        "supported between instances of 'object' and 'object'.",
    ),
    "lists": (
        lambda: Y.assign(flag=[[1]] * N),
        ValueError,
        "The labels of task 'flag' must be scalars. Got list.",
    ),
    "tuples": (
        lambda: Y.assign(flag=[(1, 2)] * N),
        ValueError,
        "The labels of task 'flag' must be scalars. Got tuple.",
    ),
    "sets": (
        lambda: Y.assign(flag=[{1}] * N),
        ValueError,
        "The labels of task 'flag' must be scalars. Got set.",
    ),
    "complex numbers": (
        lambda: np.full((N, 2), 1j),
        ValueError,
        "Complex data not supported: task 'y0' of y holds complex numbers.",
    ),
    "records": (
        lambda: np.zeros(N, dtype=[("a", int)]),
        ValueError,
        "y holds structured records; labels must be scalars.",
    ),
    "NaN that became text": (
        lambda: np.array(["a", "nan"] * 10),
        ValueError,
        "y is a NumPy array of text that holds 'nan' or 'None' in 10 cell(s): NumPy turned "
        "missing labels into text. Build it with dtype=object, pass a DataFrame or a list, "
        "or set missing_label='nan'.",
    ),
    "a task name twice": (
        lambda: Y.set_axis(["flag", "flag"], axis=1),
        ValueError,
        "Task names must be unique: y has several columns named 'flag'. Rename them.",
    ),
    "no label": (
        lambda: Y.assign(flag=np.nan, colour=None),
        ValueError,
        "y has no label at all: every cell of 2 task(s) and 20 row(s) is missing. Supply "
        "labels for at least one task.",
    ),
    "only the sentinel": (
        lambda: np.full(N, -1),
        ValueError,
        "y has no label at all: every cell of 1 task(s) and 20 row(s) is missing. Supply "
        "labels for at least one task.",
        {"missing_label": -1},
    ),
}

# name: sample_weight, the error and its message
WEIGHTS = {
    "negative": (
        lambda: weight(-1.0),
        ValueError,
        "sample_weight must not be negative. Got negative weights in 2 of 35 labelled cells, "
        "the first in row 4, task 'flag'.",
    ),
    "NaN": (
        lambda: weight(np.nan),
        ValueError,
        "sample_weight must be finite on labelled cells. Got NaN or infinity in 2 of 35 "
        "labelled cells, the first in row 4, task 'flag'.",
    ),
    "infinite": (
        lambda: weight(np.inf),
        ValueError,
        "sample_weight must be finite on labelled cells. Got NaN or infinity in 2 of 35 "
        "labelled cells, the first in row 4, task 'flag'.",
    ),
    "a negative cell": (
        lambda: pd.DataFrame({"flag": weight(-1.0), "colour": W}),
        ValueError,
        "sample_weight must not be negative. Got negative weights in 1 of 35 labelled cells, "
        "the first in row 4, task 'flag'.",
    ),
    "a scalar below zero": (
        lambda: -1.0,
        ValueError,
        "sample_weight must not be negative. Got negative weights in 35 of 35 labelled "
        "cells, the first in row 0, task 'flag'.",
    ),
    "too short": (
        lambda: W[:5],
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (5,).",
    ),
    "too many tasks": (
        lambda: np.ones((N, 3)),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (20, 3).",
    ),
    "transposed": (
        lambda: np.ones((2, N)),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (2, 20).",
    ),
    "three dimensions": (
        lambda: np.ones((N, 2, 1)),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (20, 2, 1).",
    ),
    "one row of cells": (
        lambda: np.ones((1, 2)),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (1, 2).",
    ),
    "a frame too short": (
        lambda: pd.DataFrame({"flag": W[:5], "colour": W[:5]}),
        ValueError,
        "sample_weight must have the shape (20,) (one weight per row) or (20, 2) (one per "
        "cell). Got (5, 2).",
    ),
    "a frame of other tasks": (
        lambda: pd.DataFrame({"flag": W, "color": W}),
        ValueError,
        "The columns of sample_weight must be the tasks of y ('flag', 'colour'). Got 'flag', "
        "'color'.",
    ),
    "all zero": (
        lambda: 0 * W,
        ValueError,
        "sample_weight is zero on every labelled cell: at least one weight must be positive.",
    ),
    "too large": (
        lambda: weight(1e300),
        ValueError,
        "sample_weight is out of the range of float32, in which training computes: the "
        "largest weight is 1e+300. Rescale the weights, for instance to mean 1.",
    ),
    "too small": (
        lambda: 1e-300 * W,
        ValueError,
        "sample_weight is out of the range of float32, in which training computes: the "
        "largest weight is 1e-300. Rescale the weights, for instance to mean 1.",
    ),
    "text": (lambda: ["a"] * N, ValueError, "sample_weight must hold numbers: got text."),
    "numbers as text": (
        lambda: ["1"] * N,
        ValueError,
        "sample_weight must hold numbers: got text.",
    ),
    "None": (
        lambda: [None] * N,
        ValueError,
        "sample_weight must be finite on labelled cells. Got NaN or infinity in 35 of 35 "
        "labelled cells, the first in row 0, task 'flag'.",
    ),
    "dates": (
        lambda: np.full(N, np.datetime64("2020")),
        ValueError,
        "sample_weight must hold numbers: got datetime64[Y].",
    ),
    "complex numbers": (
        lambda: 1j * W,
        ValueError,
        "sample_weight must hold numbers: got complex128.",
    ),
    "balanced": (
        lambda: "balanced",
        TypeError,
        "sample_weight must be an array with one weight per row or per cell. Got 'balanced'; "
        "pass class weights as class_weight.",
    ),
    "weights of classes": (
        lambda: {0: 1.0},
        TypeError,
        "sample_weight must be an array with one weight per row or per cell. Got {0: 1.0}; "
        "pass class weights as class_weight.",
    ),
    "ragged": (
        lambda: [[1], [1, 2]],
        ValueError,
        "sample_weight must hold numbers: setting an array element with a sequence. The "
        "requested array has an inhomogeneous shape after 1 dimensions. The detected shape "
        "was (2,) + inhomogeneous part.",
    ),
    "sparse": (
        lambda: sp.csr_matrix(np.ones((N, 2))),
        TypeError,
        "sample_weight must be dense. Got a sparse matrix; use toarray().",
    ),
}

# parameter, its value, the error and its message
PARAMETERS = [
    (
        "hidden_layer_sizes",
        "abc",
        ValueError,
        "The 'hidden_layer_sizes' parameter of MultiTaskClassifier must be an array-like or "
        "an int in the range [1, inf). Got 'abc' instead.",
    ),
    (
        "hidden_layer_sizes",
        None,
        ValueError,
        "The 'hidden_layer_sizes' parameter of MultiTaskClassifier must be an array-like or "
        "an int in the range [1, inf). Got None instead.",
    ),
    (
        "hidden_layer_sizes",
        0,
        ValueError,
        "The 'hidden_layer_sizes' parameter of MultiTaskClassifier must be an array-like or "
        "an int in the range [1, inf). Got 0 instead.",
    ),
    (
        "hidden_layer_sizes",
        4.5,
        ValueError,
        "The 'hidden_layer_sizes' parameter of MultiTaskClassifier must be an array-like or "
        "an int in the range [1, inf). Got 4.5 instead.",
    ),
    (
        "hidden_layer_sizes",
        (4, 0),
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got (4, 0).",
    ),
    (
        "hidden_layer_sizes",
        (4.0,),
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got (4.0,).",
    ),
    (
        "hidden_layer_sizes",
        [[1, 2]],
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got [[1, 2]].",
    ),
    (
        "hidden_layer_sizes",
        (True,),
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got (True,).",
    ),
    (
        "hidden_layer_sizes",
        {"a": 3},
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got {'a': 3}.",
    ),
    (
        "hidden_layer_sizes",
        10**12,
        ValueError,
        "hidden_layer_sizes must hold integers of at most 1,000,000: the weights of a wider "
        "layer would not fit into memory. Got 1000000000000.",
    ),
    (
        "head_hidden_layer_sizes",
        "abc",
        ValueError,
        "The 'head_hidden_layer_sizes' parameter of MultiTaskClassifier must be an "
        "array-like, an int in the range [1, inf) or an instance of 'dict'. Got 'abc' "
        "instead.",
    ),
    (
        "head_hidden_layer_sizes",
        None,
        ValueError,
        "The 'head_hidden_layer_sizes' parameter of MultiTaskClassifier must be an "
        "array-like, an int in the range [1, inf) or an instance of 'dict'. Got None instead.",
    ),
    (
        "head_hidden_layer_sizes",
        (0,),
        ValueError,
        "head_hidden_layer_sizes must hold integers of at least 1. Got (0,).",
    ),
    (
        "head_hidden_layer_sizes",
        {"flagg": 3},
        ValueError,
        "There is no task 'flagg', named in head_hidden_layer_sizes. Did you mean 'flag'? "
        "The tasks are 'flag', 'colour'.",
    ),
    (
        "head_hidden_layer_sizes",
        {9: 3},
        ValueError,
        "There is no task 9, named in head_hidden_layer_sizes. The tasks are 'flag', 'colour'.",
    ),
    (
        "head_hidden_layer_sizes",
        {"flag": 0},
        ValueError,
        "head_hidden_layer_sizes must hold integers of at least 1. Got 0.",
    ),
    (
        "head_hidden_layer_sizes",
        {"flag": "a"},
        ValueError,
        "head_hidden_layer_sizes must hold integers of at least 1. Got 'a'.",
    ),
    (
        "activation",
        None,
        ValueError,
        "The 'activation' parameter of MultiTaskClassifier must be an instance of 'str' or a "
        "callable. Got None instead.",
    ),
    (
        "activation",
        3,
        ValueError,
        "The 'activation' parameter of MultiTaskClassifier must be an instance of 'str' or a "
        "callable. Got 3 instead.",
    ),
    (
        "activation",
        "rely",
        ValueError,
        "activation must be one that Keras knows. Got 'rely'. Did you mean 'relu'?",
    ),
    (
        "activation",
        "RELU",
        ValueError,
        "activation must be one that Keras knows. Got 'RELU'. Did you mean 'relu'?",
    ),
    (
        "activation",
        np.tanh,
        ValueError,
        "activation must be one that Keras knows. Got <ufunc 'tanh'>.",
    ),
    (
        "activation",
        "glu",
        ValueError,
        "activation must keep the width of a layer; 'glu' halves it. Take another, such as "
        "'silu', or give layers of your own by `model=`.",
    ),
    (
        "dropout",
        1.0,
        ValueError,
        "The 'dropout' parameter of MultiTaskClassifier must be a float in the range [0.0, "
        "1.0). Got 1.0 instead.",
    ),
    (
        "dropout",
        -0.1,
        ValueError,
        "The 'dropout' parameter of MultiTaskClassifier must be a float in the range [0.0, "
        "1.0). Got -0.1 instead.",
    ),
    (
        "dropout",
        None,
        ValueError,
        "The 'dropout' parameter of MultiTaskClassifier must be a float in the range [0.0, "
        "1.0). Got None instead.",
    ),
    (
        "normalization",
        "instance",
        ValueError,
        "The 'normalization' parameter of MultiTaskClassifier must be a str among {'batch', "
        "'layer'} or None. Got 'instance' instead.",
    ),
    (
        "normalization",
        "Batch",
        ValueError,
        "The 'normalization' parameter of MultiTaskClassifier must be a str among {'batch', "
        "'layer'} or None. Got 'Batch' instead. Did you mean 'batch'?",
    ),
    (
        "normalization",
        False,
        ValueError,
        "The 'normalization' parameter of MultiTaskClassifier must be a str among {'batch', "
        "'layer'} or None. Got False instead.",
    ),
    (
        "l2",
        -1,
        ValueError,
        "The 'l2' parameter of MultiTaskClassifier must be a float in the range [0.0, inf). "
        "Got -1 instead.",
    ),
    (
        "l2",
        np.nan,
        ValueError,
        "The 'l2' parameter of MultiTaskClassifier must be a float in the range [0.0, inf). "
        "Got nan instead.",
    ),
    (
        "task_weighting",
        "uncertanty",
        ValueError,
        "The 'task_weighting' parameter of MultiTaskClassifier must be a str among {'equal', "
        "'uncertainty'}, an instance of 'dict' or an object implementing 'initial_state', "
        "'combine' and 'weights'. Got 'uncertanty' instead. Did you mean 'uncertainty'?",
    ),
    (
        "task_weighting",
        None,
        ValueError,
        "The 'task_weighting' parameter of MultiTaskClassifier must be a str among {'equal', "
        "'uncertainty'}, an instance of 'dict' or an object implementing 'initial_state', "
        "'combine' and 'weights'. Got None instead.",
    ),
    (
        "task_weighting",
        5,
        ValueError,
        "The 'task_weighting' parameter of MultiTaskClassifier must be a str among {'equal', "
        "'uncertainty'}, an instance of 'dict' or an object implementing 'initial_state', "
        "'combine' and 'weights'. Got 5 instead.",
    ),
    (
        "task_weighting",
        [1, 2],
        ValueError,
        "The 'task_weighting' parameter of MultiTaskClassifier must be a str among {'equal', "
        "'uncertainty'}, an instance of 'dict' or an object implementing 'initial_state', "
        "'combine' and 'weights'. Got [1, 2] instead.",
    ),
    (
        "task_weighting",
        {"flg": 1},
        ValueError,
        "There is no task 'flg', named in task_weighting. Did you mean 'flag'? The tasks "
        "are 'flag', 'colour'.",
    ),
    (
        "task_weighting",
        {"flag": -1},
        ValueError,
        "task_weighting must give finite, non-negative factors. Got -1 for 'flag'.",
    ),
    (
        "task_weighting",
        {"flag": np.nan},
        ValueError,
        "task_weighting must give finite, non-negative factors. Got nan for 'flag'.",
    ),
    (
        "task_weighting",
        {"flag": "x"},
        ValueError,
        "task_weighting must give finite, non-negative factors. Got 'x' for 'flag'.",
    ),
    (
        "task_weighting",
        {"flag": 0, "colour": 0},
        ValueError,
        "task_weighting gives every task the factor zero: one must be positive.",
    ),
    (
        "loss_normalization",
        "task",
        ValueError,
        "The 'loss_normalization' parameter of MultiTaskClassifier must be a str among "
        "{'cells', 'tasks'}. Got 'task' instead. Did you mean 'tasks'?",
    ),
    (
        "loss_normalization",
        None,
        ValueError,
        "The 'loss_normalization' parameter of MultiTaskClassifier must be a str among "
        "{'cells', 'tasks'}. Got None instead.",
    ),
    (
        "class_weight",
        "balance",
        ValueError,
        "The 'class_weight' parameter of MultiTaskClassifier must be a str among "
        "{'balanced'}, an instance of 'dict' or None. Got 'balance' instead. Did you mean "
        "'balanced'?",
    ),
    (
        "class_weight",
        "auto",
        ValueError,
        "The 'class_weight' parameter of MultiTaskClassifier must be a str among "
        "{'balanced'}, an instance of 'dict' or None. Got 'auto' instead.",
    ),
    (
        "class_weight",
        [{0: 1}],
        ValueError,
        "The 'class_weight' parameter of MultiTaskClassifier must be a str among "
        "{'balanced'}, an instance of 'dict' or None. Got [{0: 1}] instead.",
    ),
    (
        "class_weight",
        {"fla": "balanced"},
        ValueError,
        "There is no task 'fla', named in class_weight. Did you mean 'flag'? The tasks "
        "are 'flag', 'colour'.",
    ),
    (
        "class_weight",
        {"flag": "balance"},
        ValueError,
        "class_weight of task 'flag' must be 'balanced', None or {label: weight}. Got "
        "'balance'. Did you mean 'balanced'?",
    ),
    (
        "class_weight",
        {"flag": 3},
        ValueError,
        "class_weight of task 'flag' must be 'balanced', None or {label: weight}. Got 3.",
    ),
    (
        "class_weight",
        {0: 1, 1: 2},
        ValueError,
        "class_weight of task 'flag' must be 'balanced', None or {label: weight}. Got 1.",
    ),
    (
        "class_weight",
        {"flag": {7: 1}},
        ValueError,
        "class_weight of task 'flag' names 7, not among its classes 0, 1.",
    ),
    (
        "class_weight",
        {"colour": {"rde": 2}},
        ValueError,
        "class_weight of task 'colour' names 'rde', not among its classes 'blue', 'green', "
        "'red'. Did you mean 'red'?",
    ),
    (
        "class_weight",
        {"flag": {0: -1}},
        ValueError,
        "class_weight of task 'flag' must be finite and not negative, and 0 or between 1e-9 "
        "and 1e9. Got {0: -1}.",
    ),
    (
        "class_weight",
        {"flag": {0: np.nan}},
        ValueError,
        "class_weight of task 'flag' must be finite and not negative, and 0 or between 1e-9 "
        "and 1e9. Got {0: nan}.",
    ),
    (
        "class_weight",
        {"flag": {0: 1e38}},
        ValueError,
        "class_weight of task 'flag' must be finite and not negative, and 0 or between 1e-9 "
        "and 1e9. Got {0: 1e+38}.",
    ),
    (
        "class_weight",
        {"flag": {0: "a"}},
        ValueError,
        "class_weight of task 'flag' must be numbers. Got {0: 'a'}.",
    ),
    (
        "class_weight",
        {"flag": {0: 0, 1: 0}},
        ValueError,
        "class_weight makes the weight of every labelled cell of task 'flag' zero: a class "
        "that has labels must keep a positive weight.",
    ),
    (
        "optimizer",
        "adamm",
        ValueError,
        re.compile(
            r"Keras has no optimizer named 'adamm'\. Did you mean 'Adam'\? It has: [\w, ]+\."
        ),
    ),
    (
        "optimizer",
        3,
        TypeError,
        "optimizer must be the name of a Keras optimizer, a subclass of "
        "keras.optimizers.Optimizer or an instance of one. Got 3.",
    ),
    (
        "optimizer",
        None,
        TypeError,
        "optimizer must be the name of a Keras optimizer, a subclass of "
        "keras.optimizers.Optimizer or an instance of one. Got None.",
    ),
    (
        "optimizer",
        [0.1],
        TypeError,
        "optimizer must be the name of a Keras optimizer, a subclass of "
        "keras.optimizers.Optimizer or an instance of one. Got [0.1].",
    ),
    (
        "optimizer__learning_rate",
        -1,
        ValueError,
        "A learning_rate must be finite and not negative. Got -1.",
    ),
    (
        "optimizer__learning_rate",
        np.nan,
        ValueError,
        "A learning_rate must be finite and not negative. Got nan.",
    ),
    (
        "optimizer__learning_rate",
        np.inf,
        ValueError,
        "A learning_rate must be finite and not negative. Got inf.",
    ),
    (
        "optimizer__learning_rate",
        "fast",
        ValueError,
        re.compile(r"Argument `learning_rate` should be float, .* learning_rate=fast"),
    ),
    (
        "optimizer__learing_rate",
        0.1,
        ValueError,
        re.compile(
            r"Adam takes no setting 'learing_rate' \(from optimizer__learing_rate\)\. Did you "
            r"mean 'learning_rate'\? It takes: [\w, ]+\."
        ),
    ),
    (
        "epochs",
        0,
        ValueError,
        "The 'epochs' parameter of MultiTaskClassifier must be an int in the range [1, inf). "
        "Got 0 instead.",
    ),
    (
        "epochs",
        1.5,
        ValueError,
        "The 'epochs' parameter of MultiTaskClassifier must be an int in the range [1, inf). "
        "Got 1.5 instead.",
    ),
    (
        "epochs",
        "10",
        ValueError,
        "The 'epochs' parameter of MultiTaskClassifier must be an int in the range [1, inf). "
        "Got '10' instead.",
    ),
    (
        "epochs",
        None,
        ValueError,
        "The 'epochs' parameter of MultiTaskClassifier must be an int in the range [1, inf). "
        "Got None instead.",
    ),
    (
        "batch_size",
        0,
        ValueError,
        "The 'batch_size' parameter of MultiTaskClassifier must be a str among {'auto'} or "
        "an int in the range [1, inf). Got 0 instead.",
    ),
    (
        "batch_size",
        "all",
        ValueError,
        "The 'batch_size' parameter of MultiTaskClassifier must be a str among {'auto'} or "
        "an int in the range [1, inf). Got 'all' instead.",
    ),
    (
        "batch_size",
        None,
        ValueError,
        "The 'batch_size' parameter of MultiTaskClassifier must be a str among {'auto'} or "
        "an int in the range [1, inf). Got None instead.",
    ),
    (
        "jit_compile",
        "yes",
        ValueError,
        re.compile(
            r"The 'jit_compile' parameter of MultiTaskClassifier must be a str among \{'auto'\} "
            r"or an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got 'yes' instead\."
        ),
    ),
    (
        "jit_compile",
        None,
        ValueError,
        re.compile(
            r"The 'jit_compile' parameter of MultiTaskClassifier must be a str among \{'auto'\} "
            r"or an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got None instead\."
        ),
    ),
    (
        "early_stopping",
        "yes",
        ValueError,
        re.compile(
            r"The 'early_stopping' parameter of MultiTaskClassifier must be a str among "
            r"\{'auto', 'cv'\} or an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got "
            r"'yes' instead\."
        ),
    ),
    (
        "early_stopping",
        None,
        ValueError,
        re.compile(
            r"The 'early_stopping' parameter of MultiTaskClassifier must be a str among "
            r"\{'auto', 'cv'\} or an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got "
            r"None instead\."
        ),
    ),
    (
        "validation_fraction",
        0,
        ValueError,
        "The 'validation_fraction' parameter of MultiTaskClassifier must be a float in the "
        "range (0.0, 1.0) or None. Got 0 instead.",
    ),
    (
        "validation_fraction",
        1.0,
        ValueError,
        "The 'validation_fraction' parameter of MultiTaskClassifier must be a float in the "
        "range (0.0, 1.0) or None. Got 1.0 instead.",
    ),
    (
        "validation_fraction",
        "a",
        ValueError,
        "The 'validation_fraction' parameter of MultiTaskClassifier must be a float in the "
        "range (0.0, 1.0) or None. Got 'a' instead.",
    ),
    (
        "monitor",
        "color",
        ValueError,
        "There is no task 'color', named in monitor. Did you mean 'colour'? The tasks are "
        "'flag', 'colour'.",
    ),
    (
        "monitor",
        7,
        ValueError,
        "There is no task 7, named in monitor. The tasks are 'flag', 'colour'.",
    ),
    (
        "monitor",
        ["flag"],
        ValueError,
        "There is no task ['flag'], named in monitor. The tasks are 'flag', 'colour'.",
    ),
    (
        "n_iter_no_change",
        0,
        ValueError,
        "The 'n_iter_no_change' parameter of MultiTaskClassifier must be an int in the range "
        "[1, inf). Got 0 instead.",
    ),
    (
        "tol",
        -1,
        ValueError,
        "The 'tol' parameter of MultiTaskClassifier must be a float in the range [0.0, inf). "
        "Got -1 instead.",
    ),
    (
        "tol",
        None,
        ValueError,
        "The 'tol' parameter of MultiTaskClassifier must be a float in the range [0.0, inf). "
        "Got None instead.",
    ),
    (
        "warm_start",
        "yes",
        ValueError,
        re.compile(
            r"The 'warm_start' parameter of MultiTaskClassifier must be an instance of 'bool' or "
            r"an instance of 'numpy\.bool_?'\. Got 'yes' instead\."
        ),
    ),
    (
        "warm_start",
        None,
        ValueError,
        re.compile(
            r"The 'warm_start' parameter of MultiTaskClassifier must be an instance of 'bool' or "
            r"an instance of 'numpy\.bool_?'\. Got None instead\."
        ),
    ),
    (
        "callbacks",
        "EarlyStopping",
        TypeError,
        "callbacks must be a keras.callbacks.Callback, a subclass of it, or a list, tuple or "
        "dict of these. Got 'EarlyStopping'. Keras has no names for callbacks. Pass the "
        "class: keras.callbacks.EarlyStopping.",
    ),
    (
        "callbacks",
        3,
        TypeError,
        "callbacks must be a keras.callbacks.Callback, a subclass of it, or a list, tuple or "
        "dict of these. Got 3.",
    ),
    (
        "callbacks",
        [3],
        TypeError,
        "callbacks__0 must be a keras.callbacks.Callback, a subclass of it, or a list, tuple "
        "or dict of these. Got 3.",
    ),
    (
        "callbacks",
        {"stop": 3},
        TypeError,
        "callbacks__stop must be a keras.callbacks.Callback, a subclass of it, or a list, "
        "tuple or dict of these. Got 3.",
    ),
    (
        "callbacks__patience",
        3,
        ValueError,
        "callbacks__patience is set, but callbacks is None. Pass the class it belongs to as "
        "callbacks.",
    ),
    (
        "model",
        "mlp",
        TypeError,
        "model must be a function that returns a keras.Model, or a keras.Model. Got 'mlp'.",
    ),
    (
        "model__width",
        3,
        ValueError,
        "model__width is set, but model is None: there is no builder to pass it to.",
    ),
    (
        "classes",
        3,
        ValueError,
        "The 'classes' parameter of MultiTaskClassifier must be an array-like, an instance "
        "of 'dict' or None. Got 3 instead.",
    ),
    (
        "classes",
        "abc",
        ValueError,
        "The 'classes' parameter of MultiTaskClassifier must be an array-like, an instance "
        "of 'dict' or None. Got 'abc' instead.",
    ),
    (
        "classes",
        [0, 1],
        ValueError,
        "classes must be {task: labels} or one sequence of labels per task, for 2 task(s). "
        "Got [0, 1].",
    ),
    (
        "classes",
        [[0, 1]],
        ValueError,
        "classes must be {task: labels} or one sequence of labels per task, for 2 task(s). "
        "Got [[0, 1]].",
    ),
    (
        "classes",
        {"flg": [0, 1]},
        ValueError,
        "There is no task 'flg', named in classes. Did you mean 'flag'? The tasks are "
        "'flag', 'colour'.",
    ),
    (
        "classes",
        {"flag": [0]},
        ValueError,
        "Task 'flag' has 10 label(s) outside its classes 0: 1. Correct them, or list every "
        "class in `classes`.",
    ),
    (
        "classes",
        {"flag": []},
        ValueError,
        "classes of task 'flag' must be a non-empty 1-D sequence of labels without missing "
        "ones. Got [].",
    ),
    (
        "classes",
        {"flag": [0, None]},
        ValueError,
        "classes of task 'flag' must be a non-empty 1-D sequence of labels without missing "
        "ones. Got [0, None].",
    ),
    (
        "classes",
        {"flag": [0, "a"]},
        ValueError,
        "Unknown label type: unknown. The labels of a task must be of one type; task 'flag' "
        "mixes int, str. Convert the column to one type.",
    ),
    (
        "classes",
        {"flag": 3},
        ValueError,
        "classes of task 'flag' must be a sequence of labels. Got 3.",
    ),
    (
        "classes",
        {"flag": [[0, 1]]},
        ValueError,
        "classes of task 'flag' must be a non-empty 1-D sequence of labels without missing "
        "ones. Got [[0, 1]].",
    ),
    ("classes", {"flag": [0, 1], 0: [0, 1]}, ValueError, "classes names task 'flag' twice."),
    (
        "missing_label",
        [0],
        TypeError,
        "missing_label must be a scalar or None (NaN, None, NaT and NA are always missing). "
        "Got [0].",
    ),
    (
        "missing_label",
        {},
        TypeError,
        "missing_label must be a scalar or None (NaN, None, NaT and NA are always missing). "
        "Got {}.",
    ),
    (
        "random_state",
        "seed",
        ValueError,
        "The 'random_state' parameter of MultiTaskClassifier must be an int in the range [0, "
        "4294967295], an instance of 'numpy.random.mtrand.RandomState' or None. Got 'seed' "
        "instead.",
    ),
    (
        "random_state",
        -1,
        ValueError,
        "The 'random_state' parameter of MultiTaskClassifier must be an int in the range [0, "
        "4294967295], an instance of 'numpy.random.mtrand.RandomState' or None. Got -1 "
        "instead.",
    ),
    (
        "random_state",
        np.random.default_rng(0),
        ValueError,
        re.compile(
            r"The 'random_state' parameter of MultiTaskClassifier must be an int in the range "
            r"\[0, 4294967295\], an instance of 'numpy\.random\.mtrand\.RandomState' or None\. "
            r"Got Generator\(PCG64\) at 0x[0-9A-F]+ instead\."
        ),
    ),
    (
        "verbose",
        -1,
        ValueError,
        re.compile(
            r"The 'verbose' parameter of MultiTaskClassifier must be an int in the range \[0, "
            r"inf\), an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got \-1 instead\."
        ),
    ),
    (
        "verbose",
        "yes",
        ValueError,
        re.compile(
            r"The 'verbose' parameter of MultiTaskClassifier must be an int in the range \[0, "
            r"inf\), an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got 'yes' instead\."
        ),
    ),
    (
        "loss",
        "focl",
        ValueError,
        "The 'loss' parameter of MultiTaskClassifier must be a str among {'cross_entropy', "
        "'focal'}. Got 'focl' instead. Did you mean 'focal'?",
    ),
    (
        "batching",
        "label_awre",
        ValueError,
        "The 'batching' parameter of MultiTaskClassifier must be a str among {'label_aware', "
        "'random'}. Got 'label_awre' instead. Did you mean 'label_aware'?",
    ),
    (
        "unlabelled",
        "pseudo_label",
        ValueError,
        "The 'unlabelled' parameter of MultiTaskClassifier must be a str among {'consistency', "
        "'pseudo_labels'} or None. Got 'pseudo_label' instead. Did you mean 'pseudo_labels'?",
    ),
    (
        "unlabelled",
        True,
        ValueError,
        "The 'unlabelled' parameter of MultiTaskClassifier must be a str among {'consistency', "
        "'pseudo_labels'} or None. Got True instead.",
    ),
    (
        "unlabelled_weight",
        0.0,
        ValueError,
        "The 'unlabelled_weight' parameter of MultiTaskClassifier must be a float in the range "
        "(0.0, inf). Got 0.0 instead.",
    ),
    (
        "pseudo_label_threshold",
        0.4,
        ValueError,
        "The 'pseudo_label_threshold' parameter of MultiTaskClassifier must be a float in the "
        "range [0.5, 1.0) or None. Got 0.4 instead.",
    ),
    (
        "teacher_momentum",
        1.0,
        ValueError,
        "The 'teacher_momentum' parameter of MultiTaskClassifier must be a float in the range "
        "[0.0, 1.0). Got 1.0 instead.",
    ),
    (
        "input_noise",
        -0.1,
        ValueError,
        "The 'input_noise' parameter of MultiTaskClassifier must be a float in the range [0.0, "
        "1.0). Got -0.1 instead.",
    ),
    (
        "restore_best",
        "task",
        ValueError,
        "The 'restore_best' parameter of MultiTaskClassifier must be a str among {'common', "
        "'per_task'}. Got 'task' instead. Did you mean 'per_task'?",
    ),
    (
        "ensemble_method",
        "share",
        ValueError,
        "The 'ensemble_method' parameter of MultiTaskClassifier must be a str among "
        "{'independent', 'shared'}. Got 'share' instead. Did you mean 'shared'?",
    ),
    (
        "ensemble_size",
        0,
        ValueError,
        "The 'ensemble_size' parameter of MultiTaskClassifier must be an int in the range "
        "[1, inf). Got 0 instead.",
    ),
    (
        "focal_gamma",
        -1,
        ValueError,
        "The 'focal_gamma' parameter of MultiTaskClassifier must be a float in the range "
        "[0.0, inf). Got -1 instead.",
    ),
    (
        "logit_adjustment",
        "x",
        ValueError,
        "The 'logit_adjustment' parameter of MultiTaskClassifier must be a float in the range "
        "[0.0, inf). Got 'x' instead.",
    ),
    (
        "checkpoint",
        3,
        ValueError,
        "The 'checkpoint' parameter of MultiTaskClassifier must be an instance of 'str', an "
        "instance of 'os.PathLike' or None. Got 3 instead.",
    ),
]

# parameter: the message
NAMES = {
    "hidden_layer_size": (
        "MultiTaskClassifier has no parameter 'hidden_layer_size'. Did you mean "
        "'hidden_layer_sizes'? Settings of the optimizer, the callbacks and a custom model "
        "are routed: optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "randomstate": (
        "MultiTaskClassifier has no parameter 'randomstate'. Did you mean 'random_state'? "
        "Settings of the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "learning_rate": (
        "MultiTaskClassifier has no parameter 'learning_rate'. Did you mean "
        "'optimizer__learning_rate'? Settings of the optimizer, the callbacks and a custom "
        "model are routed: optimizer__learning_rate=0.01, callbacks__patience=3, "
        "model__width=64."
    ),
    "lr": (
        "MultiTaskClassifier has no parameter 'lr'. Did you mean 'optimizer__learning_rate'? "
        "Settings of the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "max_iter": (
        "MultiTaskClassifier has no parameter 'max_iter'. Did you mean 'epochs'? Settings of "
        "the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "solver": (
        "MultiTaskClassifier has no parameter 'solver'. Did you mean 'optimizer'? Settings "
        "of the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "patience": (
        "MultiTaskClassifier has no parameter 'patience'. Did you mean 'n_iter_no_change'? "
        "Settings of the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "metrics": (
        "MultiTaskClassifier has no parameter 'metrics'. Settings of the optimizer, the "
        "callbacks and a custom model are routed: optimizer__learning_rate=0.01, "
        "callbacks__patience=3, model__width=64."
    ),
    "metrics__f1": (
        "MultiTaskClassifier has no parameter 'metrics__f1'. Score with the scorers of "
        "sk_mtl.metrics; history_ holds the losses per task."
    ),
    "compile__optimizer": (
        "MultiTaskClassifier has no parameter 'compile__optimizer'. Use 'optimizer'."
    ),
    "fit__epochs": ("MultiTaskClassifier has no parameter 'fit__epochs'. Use 'epochs'."),
    "optimiser__learning_rate": (
        "MultiTaskClassifier has no parameter 'optimiser__learning_rate'. Did you mean "
        "'optimizer__learning_rate'? Settings of the optimizer, the callbacks and a custom "
        "model are routed: optimizer__learning_rate=0.01, callbacks__patience=3, "
        "model__width=64."
    ),
    "optimizer__": (
        "MultiTaskClassifier has no parameter 'optimizer__'. Name the setting behind the "
        "underscores: optimizer__<setting>."
    ),
    "foo": (
        "MultiTaskClassifier has no parameter 'foo'. Settings of the optimizer, the "
        "callbacks and a custom model are routed: optimizer__learning_rate=0.01, "
        "callbacks__patience=3, model__width=64."
    ),
}

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
        "Unknown label type: continuous. Task 'flag' holds 20 non-integral float(s), such as "
        "0.5; class labels must be discrete. Bin them, or convert them to strings or "
        "categories.",
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
        "Task 'flag' has 10 label(s) outside its classes 0: 1. Correct them, or list every "
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
        "Task 'flag' has 20 label(s) outside its classes 0, 1: 9. Correct them, or list "
        "every class in `classes`.",
        "fitted",
    ),
    "stream, text in place of numbers": (
        lambda clf: clf.partial_fit(X, Y.assign(flag="1")),
        ValueError,
        "Task 'flag' has 20 label(s) outside its classes 0, 1: '1'. Correct them, or list "
        "every class in `classes`.",
        "fitted",
    ),
    "stream, other classes": (
        lambda clf: clf.partial_fit(X, Y, classes={"flag": [0, 1, 2]}),
        ValueError,
        "classes of task 'flag' must be those of the first call to partial_fit, 0, 1. Got 0, 1, 2.",
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
        "parameters have changed since. Clone the estimator to start afresh.",
        "fitted",
        {"hidden_layer_sizes": (3,)},
    ),
    "warm start, an unknown label": (
        lambda clf: clf.fit(X, Y.assign(flag=7)),
        ValueError,
        "Task 'flag' has 20 label(s) outside its classes 0, 1: 7. Correct them, or list "
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
        "parameters have changed since. Clone the estimator to start afresh.",
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
        "validation_data has no label of a task that the network learns.",
        "both",
    ),
    "validation data, an unknown label": (
        lambda clf: clf.fit(X, Y, validation_data=(X, Y.assign(flag=9))),
        ValueError,
        "In validation_data: Task 'flag' has 20 label(s) outside its classes 0, 1: 9. "
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


# ------------------------------------------------------------------------------------------------
# Each of them is refused, and changes nothing
# ------------------------------------------------------------------------------------------------


def assert_refused(act, error, message, state, params=None):
    """Assert that an act fails with a message, on a new estimator or a fitted one, unchanged."""
    clf = copy.copy(fitted()[0]) if state == "fitted" else make()
    clf.set_params(**(params or {}))
    before = dict(vars(clf))
    with pytest.raises(error) as caught:
        act(clf)
    found = str(caught.value)
    if isinstance(message, re.Pattern):
        assert message.fullmatch(found), found
    else:
        assert found == message
    assert vars(clf).keys() == before.keys()
    assert [name for name in before if vars(clf)[name] is not before[name]] == []
    if state == "fitted":
        np.testing.assert_array_equal(np.hstack(clf.predict_proba(X)), fitted()[1])


BOTH = pytest.mark.parametrize("state", ["new", "fitted"])


@BOTH
@pytest.mark.parametrize(
    ("features", "error", "message", "params"),
    [(*row, {})[:4] for row in FEATURES.values()],
    ids=FEATURES,
)
def test_unusable_features_are_refused(features, error, message, params, state):
    assert_refused(lambda clf: clf.fit(features(), Y), error, message, state, params)


@BOTH
@pytest.mark.parametrize(
    ("labels", "error", "message", "params"),
    [(*row, {})[:4] for row in LABELS.values()],
    ids=LABELS,
)
def test_unusable_labels_are_refused(labels, error, message, params, state):
    assert_refused(lambda clf: clf.fit(X, labels()), error, message, state, params)


@BOTH
@pytest.mark.parametrize(("weights", "error", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_unusable_weights_are_refused(weights, error, message, state):
    assert_refused(lambda clf: clf.fit(X, Y, weights()), error, message, state)


@BOTH
@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    PARAMETERS,
    ids=[f"{name}-{number}" for number, (name, *_) in enumerate(PARAMETERS)],
)
def test_unusable_parameters_are_refused(name, value, error, message, state):
    assert_refused(lambda clf: clf.fit(X, Y), error, message, state, {name: value})


@pytest.mark.parametrize(("name", "message"), NAMES.items(), ids=NAMES)
def test_unknown_parameters_are_refused_with_what_was_meant(name, message):
    for state in ("new", "fitted"):
        assert_refused(lambda clf: clf.set_params(**{name: 1}), ValueError, message, state)
    assert_refused(lambda clf: make(**{name: 1}), TypeError, message, "new")


@pytest.mark.parametrize(
    ("act", "error", "message", "on", "params"),
    [(*row, {})[:5] for row in CALLS.values()],
    ids=CALLS,
)
def test_unusable_calls_are_refused(act, error, message, on, params):
    for state in ("new", "fitted") if on == "both" else (on,):
        assert_refused(act, error, message, state, params)


def test_mistakes_are_a_hundred_at_least():
    tables = (FEATURES, LABELS, WEIGHTS, PARAMETERS, NAMES, CALLS)
    assert sum(map(len, tables)) >= 250


# ------------------------------------------------------------------------------------------------
# Odd, but right
# ------------------------------------------------------------------------------------------------


def read_only(values):
    values = np.array(values)
    values.flags.writeable = False
    return values


CODES = np.column_stack([np.arange(N) % 2, np.arange(N) % 3]).astype(float)
KNOWN = {"classes": [[0, 1], [0, 1, 2]]}
# name: X, y, sample_weight, parameters
ODD = {
    "read-only arrays": (read_only(A), read_only(CODES), read_only(W), {}),
    "arrays in Fortran's order": (np.asfortranarray(A), np.asfortranarray(CODES), None, {}),
    "every other column of an array": (np.repeat(A, 2, axis=1)[:, ::2], CODES[::-1], None, {}),
    "integers": (np.arange(3 * N).reshape(N, 3) % 7, CODES.astype(np.int8), None, {}),
    "truth values": (A > 0, CODES > 0, W > 0, {}),
    "numbers in objects": (A.astype(object), CODES.astype(object), W.astype(object), {}),
    "lists": (A.tolist(), CODES.tolist(), W.tolist(), {}),
    "masked arrays with nothing masked": (np.ma.array(A), np.ma.array(CODES), np.ma.array(W), {}),
    "columns of numbers for names": (pd.DataFrame(A), pd.DataFrame(CODES), None, {}),
    "indices that differ": (X.set_axis(range(5, 5 + N)), Y, None, {}),
    "a weight for all rows": (A, CODES, 2.0, {}),
    "integers beyond 64 bits": (A, [10**30 + i % 2 for i in range(N)], None, {}),
    "one row": (A[:1], CODES[:1], None, KNOWN),
    "one feature": (A[:, :1], CODES, None, {}),
    "one row, one feature, one task": (A[:1, :1], [1], None, {"classes": [0, 1]}),
    "a thousand classes of one row each": (A, np.arange(N), None, {"classes": range(1000)}),
}


@pytest.mark.parametrize(("features", "labels", "weights", "params"), ODD.values(), ids=ODD)
def test_odd_input_is_taken_and_left_as_it_was(features, labels, weights, params):
    before = pickle.dumps((features, labels, weights))
    clf = make(**params).fit(features, labels, weights)
    assert np.isfinite(clf.predict_proba_frame(features)).all(axis=None)
    assert len(clf.predict(features)) == len(features)
    assert 0 <= clf.score(features, labels, weights) <= 1
    assert pickle.dumps((features, labels, weights)) == before
