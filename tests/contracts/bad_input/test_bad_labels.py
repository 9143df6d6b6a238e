"""y that cannot be learned from is refused with its message."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from bad_input import BOTH, A, N, X, Y, assert_refused


def label(value):
    """Return Y with a value in row 3 of task flag."""
    labels = Y.astype(object)
    labels.loc[3, "flag"] = value
    return labels


# The end of the message about the text of a missing label.
WORD = (
    "Other tools write it where a label is missing, for instance astype(str) and map(str). Pass "
    "None or NaN there, or set missing_label={}. If it is a class, list all classes of the task in "
    "`classes`, or make the column an ordered categorical."
).format
NAN = f"Task 'flag' holds the text of a missing label: 'nan' in 10 cell(s). {WORD(repr('nan'))}"

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
        "y must be in memory. Got LazyFrame, which is lazy: call collect() on it first.",
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
        "Unknown label type: continuous. Task 'y0' holds 20 non-integral number(s), such as "
        "0.1257302165031433; class labels must be discrete. Bin them, or convert them to "
        "text if each number is a class.",
    ),
    "a column of fractions": (
        lambda: Y.assign(flag=0.5),
        ValueError,
        "Unknown label type: continuous. Task 'flag' holds 20 non-integral number(s), such as "
        "0.5; class labels must be discrete. Bin them, or convert them to text if each "
        "number is a class.",
    ),
    "X in place of y": (
        lambda: X,
        ValueError,
        "Unknown label type: continuous. Task 'u' holds 20 non-integral number(s), such as "
        "0.1257302165031433; class labels must be discrete. Bin them, or convert them to "
        "text if each number is a class.",
    ),
    "decimal fractions": (
        lambda: Y.assign(flag=[decimal.Decimal("1.5")] * N),
        ValueError,
        "Unknown label type: continuous. Task 'flag' holds 20 non-integral number(s), such as "
        "1.5; class labels must be discrete. Bin them, or convert them to text if each "
        "number is a class.",
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
        "Task 'y0' holds the text of a missing label: 'nan' in 10 cell(s). " + WORD("'nan'"),
    ),
    "NaN that became text in a frame": (
        lambda: Y.assign(flag=["a", "nan"] * 10),
        ValueError,
        NAN,
    ),
    "NaN that became a category": (
        lambda: Y.assign(flag=pd.Categorical(["a", "nan"] * 10)),
        ValueError,
        NAN,
    ),
    "NaN that became text among numbers": (
        lambda: Y.assign(flag=[0, "nan"] * 10),
        ValueError,
        NAN,
    ),
    "several words": (
        lambda: Y.assign(flag=[b"1", b"0", b"?", b"nan"] * 5),
        ValueError,
        "Task 'flag' holds the text of a missing label: b'?' in 5 cell(s), b'nan' in 5 cell(s). "
        + WORD("[b'?', b'nan']"),
    ),
    "a word in another task than the listed one": (
        lambda: Y.assign(flag=["a", "nan"] * 10),
        ValueError,
        NAN,
        {"classes": {"colour": ["blue", "green", "red", "nan"]}},
    ),
    "a word among listed classes": (
        lambda: Y.assign(flag=["a", "nan"] * 10),
        ValueError,
        NAN,
        {"classes": {"flag": ["a", "b"]}},
    ),
    "nearly whole numbers": (
        lambda: Y.assign(flag=[5.397605346934028e-79, 1.0] * 10),
        ValueError,
        "Unknown label type: continuous. Task 'flag' holds 10 non-integral number(s), such as "
        "5.397605346934028e-79; class labels must be discrete. All lie within 1e-06 of whole "
        "numbers: round them, as y.round() does.",
    ),
    "tuples in an array": (
        lambda: pd.Series([(0, 1)] * N).to_numpy(),
        ValueError,
        "The labels of a 1-D y must be scalars. Got tuple. For several tasks, pass a DataFrame "
        "or y.tolist().",
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


@BOTH
@pytest.mark.parametrize(
    ("labels", "error", "message", "params"),
    [(*row, {})[:4] for row in LABELS.values()],
    ids=LABELS,
)
def test_unusable_labels_are_refused(labels, error, message, params, state):
    assert_refused(lambda clf: clf.fit(X, labels()), error, message, state, params)
