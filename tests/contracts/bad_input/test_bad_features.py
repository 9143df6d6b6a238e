"""X that cannot be learned from is refused with its message."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from bad_input import BOTH, ENCODE, A, N, X, Y, assert_refused


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


IMPUTE = "Set standardize=True, which allows missing cells, or impute them."
DERIVE = (
    "Derive numbers from them: skrub's TableVectorizer does so for dates, total_seconds() for "
    "durations."
)
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
        "X must be numeric. Got times in 1 of 3 column(s): 'u'. " + DERIVE,
    ),
    "durations": (
        lambda: X.assign(u=pd.Timedelta(1)),
        TypeError,
        "X must be numeric. Got times in 1 of 3 column(s): 'u'. " + DERIVE,
    ),
    "an array of times": (
        lambda: np.full((N, 2), np.datetime64("2020")),
        TypeError,
        "X must be numeric. Got times in 2 of 2 column(s): 0, 1. " + DERIVE,
    ),
    "polars times": (
        lambda: pl.DataFrame({"u": [dt.datetime(2020, 1, 1)] * N, "v": [1.0] * N}),
        TypeError,
        "X must be numeric. Got times in 1 of 2 column(s): 'u'. " + DERIVE,
    ),
    "Arrow dates": (
        lambda: pa.table({"u": [dt.date(2020, 1, 1)] * N, "v": [1.0] * N}),
        TypeError,
        "X must be numeric. Got times in 1 of 2 column(s): 'u'. " + DERIVE,
    ),
    "times as objects": (
        lambda: X.assign(u=pd.Series([dt.time(1)] * N, dtype=object)),
        TypeError,
        "X must be numeric. Got times in 1 of 3 column(s): 'u'. " + DERIVE,
    ),
    "NA": (
        lambda: cell(pd.NA),
        ValueError,
        "Input X contains NaN: 1 cell(s) of column(s) 'u'. The network needs finite numbers. "
        + IMPUTE,
        {"standardize": False},
    ),
    "NA beside text": (
        lambda: cell(pd.NA).assign(v="a"),
        ValueError,
        "X must be numeric. Other values in 1 of 3 column(s): 'v' (could not convert string "
        "to float: 'a'). " + ENCODE,
    ),
    "decimals beside text": (
        lambda: X.assign(u=[Decimal(1)] * N, v="a"),
        ValueError,
        "X must be numeric. Other values in 1 of 3 column(s): 'v' (could not convert string "
        "to float: 'a'). " + ENCODE,
    ),
    "infinity in a DOK matrix": (
        lambda: sp.dok_array(at(np.inf)),
        ValueError,
        "Input X contains infinity: 1 cell(s) of column(s) 1. The network needs finite "
        "numbers. Replace them, or leave out their rows.",
    ),
    "infinity in an Arrow table": (
        lambda: pa.table({"u": [1.0] * N, "v": [np.inf] * N}),
        ValueError,
        "Input X contains infinity: 20 cell(s) of column(s) 'v'. The network needs finite "
        "numbers. Replace them, or leave out their rows.",
    ),
    "text behind a category": (
        lambda: np.array([["a", 1.0, "x"]] * N, dtype=object),
        ValueError,
        "X must be numeric. Other values in 1 of 2 column(s): 2 (could not convert string to "
        "float: 'x'). " + ENCODE,
        {"categorical_features": [0]},
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
        "X must be in memory. Got LazyFrame, which is lazy: call collect() on it first.",
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


@BOTH
@pytest.mark.parametrize(
    ("features", "error", "message", "params"),
    [(*row, {})[:4] for row in FEATURES.values()],
    ids=FEATURES,
)
def test_unusable_features_are_refused(features, error, message, params, state):
    assert_refused(lambda clf: clf.fit(features(), Y), error, message, state, params)
