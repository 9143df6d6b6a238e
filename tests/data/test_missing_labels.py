"""Which values mean a missing label, and which labels look like one."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sk_mtl._data.labels import read_labels
from sk_mtl._data.missing_labels import looks_missing
from sk_mtl._data.schema import TargetSchema, has_missing_labels

# ------------------------------------------------------------------------------------------------
# missing_label
# ------------------------------------------------------------------------------------------------

SURVEY = pd.DataFrame({"age": [1, 8, 9, 2], "income": [9, 1, 98, 99]})
SEVERAL = {
    "list": [8, 9],
    "tuple": (8, 9),
    "set": {8, 9},
    "frozenset": frozenset({8, 9}),
    "array": np.array([8, 9]),
    "index": pd.Index([8, 9]),
    "with others": [8.0, 9, "?", None, np.nan],
}


@pytest.mark.parametrize("missing_label", SEVERAL.values(), ids=SEVERAL)
def test_several_values_are_missing_in_every_task(missing_label):
    mask = read_labels(SURVEY, missing_label=missing_label).label_mask
    np.testing.assert_array_equal(mask, ~SURVEY.isin([8, 9]))


@pytest.mark.parametrize("key", ["income", 1])
def test_values_by_task_are_missing_there_only(key):
    mask = read_labels(SURVEY, missing_label={"age": 8, key: (98, 99)}).label_mask
    assert mask.T.tolist() == [[True, False, True, True], [True, True, False, False]]


def test_a_task_that_is_not_named_has_no_value_that_is_missing():
    assert read_labels(SURVEY, missing_label={"age": [8, 9]}).label_mask[:, 1].all()


def test_names_seen_before_are_those_of_the_columns_of_an_array():
    table = read_labels(
        SURVEY.to_numpy(), missing_label={"income": 99}, task_names=("age", "income")
    )
    assert table.label_mask.tolist() == [[1, 1], [1, 1], [1, 1], [1, 0]]


def test_a_category_of_any_of_the_values_is_no_class():
    y = SURVEY.astype("category")
    schema = TargetSchema.from_table(read_labels(y, missing_label={"income": [98, 99]}))
    assert [c.tolist() for c in schema.classes] == [[1, 2, 8, 9], [1, 9]]


# ------------------------------------------------------------------------------------------------
# Text of missing labels
# ------------------------------------------------------------------------------------------------

# What the libraries themselves write.
WRITTEN = [
    str(np.nan),
    str(None),
    str(pd.NA),
    str(pd.NaT),
    *pl.Series([float("nan")]).cast(pl.String),
    "null",
    "NULL",
    "NA",
    "N/A",
    "#N/A",
    "?",
    " ?",
]
CONTAINERS = {
    "list": lambda v: v,
    "NumPy text": np.array,
    "object array": lambda v: np.array(v, dtype=object),
    "array of bytes": lambda v: np.array([w.encode() for w in v]),
    "bytes in a list": lambda v: [w.encode() for w in v],
    "2-D": lambda v: np.column_stack([v, v]),
    "Series": pd.Series,
    "string": lambda v: pd.Series(v, dtype="string"),
    "category": lambda v: pd.Series(v, dtype="category"),
    "pandas of Arrow": lambda v: pd.Series(v, dtype=pd.ArrowDtype(pa.string())),
    "frame": lambda v: pd.DataFrame({"y0": v}),
    "polars": lambda v: pl.DataFrame({"y0": v}),
    "polars Categorical": lambda v: pl.Series("y0", v, dtype=pl.Categorical),
    "Arrow": lambda v: pa.table({"y0": v}),
    "Arrow dictionary": lambda v: pa.table({"y0": pa.array(v).dictionary_encode()}),
}


def learn(y, classes=None, **kwargs):
    return TargetSchema.from_table(read_labels(y, **kwargs), classes)


@pytest.mark.parametrize("word", WRITTEN)
def test_text_of_a_missing_label_is_refused(word):
    with pytest.raises(ValueError, match=r"'y0' holds the text.* in 2 cell"):
        learn(["1", word, "0", word])


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_text_of_a_missing_label_is_refused_in_every_container(make):
    y = make(["yes", "nan", "no", "nan"])
    with pytest.raises(ValueError, match=r"'y0' holds the text.*'nan' in 2 cell"):
        learn(y)
    assert has_missing_labels(y)


DECLARED = {
    "listed": (["None", "mild", "None"], [["None", "mild"]]),
    "ordered": (pd.Categorical(["None", "mild"], ["None", "mild"], ordered=True), None),
    "Enum": (pl.Series(["None", "mild"], dtype=pl.Enum(["None", "mild"])), None),
}


@pytest.mark.parametrize(("y", "classes"), DECLARED.values(), ids=DECLARED)
def test_a_word_that_is_declared_a_class_is_one(y, classes):
    assert learn(y, classes).classes[0].tolist() == ["None", "mild"]


def test_a_word_that_is_the_missing_label_is_no_class():
    assert learn(["a", "nan", "b"], missing_label=["nan", "None"]).classes[0].tolist() == ["a", "b"]


@pytest.mark.parametrize("label", ["none", "missing", "Na", "no", "N", "-", "Nan", "x" * 10**6])
def test_other_words_are_labels(label):
    assert label in learn(["a", label]).classes[0].tolist()


def test_an_ordered_category_that_is_a_word_says_that_no_label_is_missing():
    assert not has_missing_labels(DECLARED["ordered"][0])


# ------------------------------------------------------------------------------------------------
# Labels that may mean missing
# ------------------------------------------------------------------------------------------------

TWINS = {
    "number of text": (["-1", "0", "1"], -1, "'-1'"),
    "number of float text": (["-1.0", "0.0"], -1, "'-1.0'"),
    "text of a number": ([-1, 0, 1], "-1", "-1"),
    "text of a float": ([0, 9], "9.0", "9"),
    "text of bytes": ([b"9", b"1"], "9", "b'9'"),
    "bytes of text": (["9", "1"], b"9", "'9'"),
    "with blanks": (["9 ", "1"], "9", "'9 '"),
    "text of a truth value": ([True, False], "True", "True"),
    "text of a time": (pd.to_datetime(["1900-01-01", "2020-01-01"]), "1900-01-01", "Timestamp"),
    "date of a time": (
        pd.to_datetime(["1900-01-01", "2020-01-01"]),
        dt.date(1900, 1, 1),
        "Timestamp",
    ),
    "one of several": (["-1", "0"], [-2, -1], "'-1'"),
}


@pytest.mark.parametrize(("y", "missing_label", "label"), TWINS.values(), ids=TWINS)
def test_a_label_that_prints_as_the_missing_label_warns(y, missing_label, label):
    with pytest.warns(UserWarning, match=rf"'y0' has the label {label}.*not equal"):
        learn(y, missing_label=missing_label)


def test_a_missing_label_that_prints_as_no_label_does_not_warn():
    learn(["a", "b"], missing_label=[-1, "?"])
    learn([0, 1], missing_label=["a", True])


@pytest.mark.parametrize("empty", ["", "  ", b""])
def test_empty_text_warns(empty):
    other = b"a" if isinstance(empty, bytes) else "a"
    with pytest.warns(UserWarning, match=rf"'y0' has the empty text {empty!r} as a label in 1"):
        assert empty in learn([other, empty]).classes[0].tolist()


def test_listed_classes_do_not_warn():
    learn(["", "-1"], [["", "-1"]], missing_label=-1)


@pytest.mark.parametrize(
    ("label", "labelled", "missing", "expected"),
    [
        ("nan", ["a"], (), True),
        (b"?", [b"a"], (), True),
        ("", ["a"], (), True),
        (-1, [0, 1], (), True),
        (-9, [1, 2], (), True),
        ("-1", ["0", "1"], (-1,), True),
        (-1, [-2, 1], (), False),
        (2, [0, 1], (), False),
        ("c", ["a", "b"], (), False),
    ],
)
def test_categories_that_look_missing(label, labelled, missing, expected):
    assert looks_missing(label, labelled, missing) is expected
