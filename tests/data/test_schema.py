"""Targets: classes, codes and masks, the way back to the form y had, and weights of classes."""

import datetime as dt

import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.fixes import parse_version

from sk_mtl._data.class_weight import (
    check_weighted_classes,
    class_frequencies,
    class_weight_factors,
    weigh_classes,
)
from sk_mtl._data.labels import read_labels
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._data.schema import TargetSchema

PANDAS_HAS_STR = parse_version(pd.__version__) >= parse_version("3")


def learn(y, classes=None, missing_label=None):
    """Return the schema of y."""
    return TargetSchema.from_table(read_labels(y, missing_label=missing_label), classes)


def encode(y, sample_weight=None, **how):
    """Return the schema of y, and y encoded by it."""
    table = read_labels(y)
    schema = TargetSchema.from_table(table)
    return schema, schema.encode(table, read_cell_weight(sample_weight, table), **how)


def round_trip(y, like=None, missing_label=None):
    """Return y encoded and decoded, with some label where y has none."""
    table = read_labels(y, missing_label=missing_label)
    schema = TargetSchema.from_table(table)
    trained = table.label_mask.any(axis=0)
    return schema.decode(schema.encode(table).codes, trained, like)


# ------------------------------------------------------------------------------------------------
# Classes
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([3, 1, None, 3], [1, 3]),
        (["b", "a", None], ["a", "b"]),
        ([True, False, None], [False, True]),
        ([-1.0, 2.0, np.nan], [-1, 2]),
        (pd.Series(["b", None], dtype="string"), ["b"]),
        (pd.Series(pd.Categorical(["b", None], ["z", "b"])), ["b", "z"]),
        (pd.Series(pd.Categorical([3, None], [3, 1, 2], ordered=True)), [1, 2, 3]),
        (pl.Series(["b", None], dtype=pl.Enum(["z", "b"])), ["b", "z"]),
        (pl.Series(["b", None], dtype=pl.Categorical), ["b"]),
        (pd.Categorical(["b", None], ["z", "b"]), ["b", "z"]),
    ],
    ids=[
        "ints", "text", "bools", "floats", "string", "category", "ordered", "Enum",
        "polars Categorical", "bare Categorical",
    ],
)  # fmt: skip
def test_classes_are_the_sorted_labels_or_the_categories(y, classes):
    assert learn(y).classes[0].tolist() == classes


def test_a_task_without_labels_has_no_classes():
    assert learn([[0, None], [1, None]]).n_classes == (2, 0)


@pytest.mark.parametrize(
    ("y", "missing_label"),
    [
        (pd.DataFrame({"a": pd.Categorical([0, -1, 1])}), -1),
        (pd.DataFrame({"a": pd.Categorical(["x", "?", "y"])}), "?"),
        (pl.DataFrame({"a": pl.Series(["x", "?", "y"], dtype=pl.Enum(["x", "y", "?"]))}), "?"),
    ],
)
def test_a_category_that_means_missing_is_no_class(y, missing_label):
    assert missing_label not in learn(y, missing_label=missing_label).classes[0].tolist()


FIXED = {
    "list": [2, 0, 1],
    "tuple": (0, 1, 2),
    "set": {0, 1, 2},
    "range": range(3),
    "array": np.array([0, 1, 2]),
    "Series": pd.Series([0, 1, 2]),
    "Index": pd.Index([0, 1, 2]),
    "twice": [0, 0, 1, 2],
    "nested": [[0, 1, 2]],
    "by name": {"y0": [0, 1, 2]},
    "by position": {0: [0, 1, 2]},
    "set by name": {"y0": {0, 1, 2}},
    "Series by name": {"y0": pd.Series([0, 1, 2])},
}


@pytest.mark.parametrize("classes", FIXED.values(), ids=FIXED)
def test_classes_of_one_task_may_be_fixed_in_any_form(classes):
    assert learn([0, None, 1], classes).classes[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "classes",
    [
        {"b": ["u", "v", "w"]},
        {1: ["u", "v", "w"]},
        [[0, 1], ["u", "v", "w"]],
        (np.array([0, 1]), np.array(["u", "v", "w"])),
        [pd.Series([0, 1]), pd.Series(["u", "v", "w"])],
        [range(2), ["u", "v", "w"]],
        {"a": None, "b": ["u", "v", "w"]},
    ],
    ids=["name", "position", "lists", "arrays", "Series", "range", "None for one"],
)
def test_classes_of_several_tasks_may_be_fixed(classes):
    schema = learn(pd.DataFrame({"a": [0, 1], "b": ["u", None]}), classes)
    assert [c.tolist() for c in schema.classes] == [[0, 1], ["u", "v", "w"]]


def test_fixed_classes_go_before_categories():
    y = pd.DataFrame({"a": pd.Categorical(["u", "v"], ["u", "v", "w"])})
    assert learn(y, {"a": ["u", "v"]}).classes[0].tolist() == ["u", "v"]


def test_fixed_classes_serve_a_task_without_labels():
    assert learn([[0, None], [1, None]], {"y1": ["p", "q"]}).classes[1].tolist() == ["p", "q"]


BAD_CLASSES = {
    "unknown task": ({"c": [0]}, "There is no task 'c'"),
    "misspelt task": ({"incom": [0]}, "Did you mean 'income'"),
    "empty": ({"b": []}, "classes of task 'b'.*non-empty"),
    "missing": ({"b": [0, None]}, "classes of task 'b'.*without missing"),
    "NaN": ({"b": [0, np.nan]}, "classes of task 'b'.*without missing"),
    "2-D": ({"b": [[0, 1], [2, 3]]}, "classes of task 'b'.*1-D"),
    "scalar": ({"b": 3}, "classes of task 'b'.*sequence"),
    "text": ({"income": "yes"}, "classes of task 'income'.*sequence"),
    "mixed": ({"b": [0, "x"]}, "'b' mixes int, str"),
    "flat for two": ([0, 1], r"one sequence of labels per task, for 2 task"),
    "too many": ([[0], [1], [2]], r"one sequence of labels per task, for 2 task"),
    "texts for two": (["ab", "cd"], r"one sequence of labels per task, for 2 task"),
    "one task twice": ({"b": [0, 1], 1: [0, 1, 2]}, "'b'.*(twice|more than once)"),
}


@pytest.mark.parametrize(("classes", "words"), BAD_CLASSES.values(), ids=BAD_CLASSES)
def test_unusable_classes_are_refused(classes, words):
    with pytest.raises(ValueError, match=words):
        learn(pd.DataFrame({"income": ["yes", "no"], "b": [0, 1]}), classes)


def test_a_fixed_class_that_means_missing_is_refused():
    with pytest.raises(ValueError, match=r"classes of task 'y0'.*without missing"):
        learn([0, 1, -1], [-1, 0, 1], missing_label=-1)


@pytest.mark.parametrize("labels", [[object(), object()], [1j, 2]])
def test_labels_that_have_no_order_are_refused(labels):
    with pytest.raises(ValueError, match="'a'"):
        learn(pd.DataFrame({"a": pd.Series(labels, dtype=object)}))


# ------------------------------------------------------------------------------------------------
# Codes
# ------------------------------------------------------------------------------------------------


def test_labels_become_sorted_codes_with_mask_and_weight():
    _, targets = encode([["b", 7], [None, 5], ["a", None]])
    assert targets.codes.dtype == np.int32
    assert targets.cell_weight.dtype == np.float32
    assert targets.codes.tolist() == [[1, 1], [0, 0], [0, 0]]
    assert targets.label_mask.tolist() == [[True, True], [False, True], [True, False]]
    np.testing.assert_array_equal(targets.cell_weight, targets.label_mask)


def test_weight_zero_masks_a_cell():
    _, targets = encode([0, 1, 1], [1, 0, 2])
    assert targets.label_mask[:, 0].tolist() == [True, False, True]
    assert targets.codes[:, 0].tolist() == [0, 0, 1]
    assert targets.cell_weight[:, 0].tolist() == [1, 0, 2]


def test_a_cell_is_masked_exactly_where_the_weight_of_training_is_zero():
    # A weight that float32 cannot hold must not leave a cell labelled, but weightless.
    _, targets = encode([0, 1, 1], [1, 1e-60, 2])
    np.testing.assert_array_equal(targets.label_mask, targets.cell_weight > 0)


@pytest.mark.parametrize(
    ("fitted", "later"),
    [
        ([0, 1], [1.0, np.nan]),
        ([0, 1], np.array([1, 0], dtype=np.uint8)),
        ([0, 1], pd.Series([1, None], dtype="Int64")),
        ([0, 1], [True, None]),
        (["a", "b"], pd.Series(["b", None], dtype="category")),
        (np.array(["a", "b"]), pd.Series(["b", None], dtype="string")),
        (pd.Series(["a", "b"], dtype="string"), np.array(["b", "a"])),
        (pl.Series(["a", "b"], dtype=pl.Enum(["b", "a"])), ["b", None]),
    ],
)
def test_the_same_labels_of_another_type_get_the_same_codes(fitted, later):
    assert learn(fitted).encode(read_labels(later)).codes[0, 0] == 1


def test_labels_outside_the_classes_are_refused_with_their_count():
    schema = learn(pd.DataFrame({"a": [0, 1]}))
    words = r"Task 'a' has 2 label\(s\) outside its classes \(0, 1\): 7\. .*`classes`"
    with pytest.raises(ValueError, match=words):
        schema.encode(read_labels(pd.DataFrame({"a": [7, 1, 7]})))


def test_labels_outside_the_classes_are_kept_as_minus_one_on_request():
    schema = learn([0, 1])
    codes = schema.encode(read_labels([1, 7, None]), unknown="keep").codes
    assert codes[:, 0].tolist() == [1, -1, 0]


def test_what_lies_under_the_mask_cannot_be_seen_in_the_targets():
    a = np.ma.masked_array([[0, 5], [1, 6], [1, 5]], mask=[[0, 1], [0, 0], [1, 0]])
    b = np.ma.masked_array([[0, 99], [1, 6], [-3, 5]], mask=a.mask)
    (one, targets), (two, others) = encode(a), encode(b)
    assert [c.tolist() for c in one.classes] == [c.tolist() for c in two.classes]
    for name in ("codes", "label_mask", "cell_weight"):
        np.testing.assert_array_equal(getattr(targets, name), getattr(others, name))


@given(
    st.lists(st.lists(st.one_of(st.none(), st.integers(-2, 2)), min_size=3, max_size=3), min_size=1)
)
def test_decoding_the_codes_gives_the_labels_back(rows):
    y = pd.DataFrame(rows, columns=list("abc"), dtype="Int64")
    back = round_trip(y)
    pd.testing.assert_frame_equal(back.where(y.notna(), pd.NA), y)


# ------------------------------------------------------------------------------------------------
# Alignment
# ------------------------------------------------------------------------------------------------


def test_a_frame_is_aligned_by_name():
    schema = learn(pd.DataFrame({"a": [0, 1], "b": ["u", "v"]}))
    table = schema.align(read_labels(pd.DataFrame({"b": ["v", None], "a": [None, 1]})))
    assert table.task_names == ("a", "b")
    assert table.label_mask.tolist() == [[False, True], [True, False]]
    assert table.columns[1][0] == "v"


def test_an_array_is_aligned_by_position():
    schema = learn(pd.DataFrame({"a": [0, 1], "b": [3, 4]}))
    assert schema.encode(schema.align(read_labels([[1, 3]]))).codes.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (pd.DataFrame({"a": [0]}), r"one column per task: 2 \('a', 'b'\)\. Got 1"),
        (pd.DataFrame({"a": [0], "b": [0], "c": [0]}), r"one column per task: 2.*Got 3"),
        (pd.DataFrame({"a": [0], "c": [0]}), "missing: 'b'. Got 'a', 'c'"),
        ([0], r"one column per task: 2 \('a', 'b'\)\. Got 1"),
    ],
)
def test_a_y_of_other_tasks_is_refused(y, words):
    with pytest.raises(ValueError, match=words):
        learn(pd.DataFrame({"a": [0, 1], "b": [0, 1]})).align(read_labels(y))


# ------------------------------------------------------------------------------------------------
# The way back
# ------------------------------------------------------------------------------------------------

_dates = ["2020-01-01", "2021-01-01", "2020-01-01", "2021-01-01"]
COLUMNS = {
    "int64": np.array([0, 1, 1, 0]),
    "int8": np.array([0, 1, 1, 0], dtype="i1"),
    "uint64": np.array([2**63, 1, 1, 2**63], dtype="u8"),
    "float64": np.array([0.0, 1.0, 1.0, 0.0]),
    "float32": np.array([0, 1, 1, 0], dtype="f4"),
    "bool": np.array([True, False, True, True]),
    "object": np.array(["a", "b", "a", "b"], dtype=object),
    "object with None": np.array(["a", None, "a", "b"], dtype=object),
    "object ints": np.array([1, None, 2, 1], dtype=object),
    "object bools": np.array([True, None, False, True], dtype=object),
    "Int64": pd.array([0, None, 1, 0], "Int64"),
    "UInt8": pd.array([0, None, 1, 0], "UInt8"),
    "boolean": pd.array([True, None, False, True], "boolean"),
    # In pandas 2, it makes text of None.
    **({"str": pd.array(["a", None, "b", "a"], "str")} if PANDAS_HAS_STR else {}),
    "string": pd.array(["a", None, "b", "a"], "string"),
    "string[pyarrow]": pd.array(["a", None, "b", "a"], "string[pyarrow]"),
    "int64[pyarrow]": pd.array([0, None, 1, 0], "int64[pyarrow]"),
    "bool[pyarrow]": pd.array([True, None, False, True], "bool[pyarrow]"),
    "Arrow string": pd.array(["a", None, "b", "a"], pd.ArrowDtype(pa.string())),
    "Arrow large_string": pd.array(["a", None, "b", "a"], pd.ArrowDtype(pa.large_string())),
    "Arrow dictionary": pd.array(
        ["a", None, "b", "a"], pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    ),
    "Arrow decimal": pd.array([1, None, 2, 1], pd.ArrowDtype(pa.decimal128(5, 1))),
    "Arrow date": pd.array([dt.date(2020, 1, 1), None] * 2, pd.ArrowDtype(pa.date32())),
    "category": pd.Categorical(["a", None, "b", "a"]),
    "category with more": pd.Categorical(["a", None, "b", "a"], ["z", "b", "a"]),
    "ordered": pd.Categorical(["a", None, "b", "a"], ["z", "b", "a"], ordered=True),
    "category of ints": pd.Categorical([3, None, 1, 3], [3, 1, 2]),
    "category of bools": pd.Categorical([True, None, False, True]),
    "category of dates": pd.Categorical(pd.to_datetime(_dates)),
    "bins": pd.cut(np.array([0.1, 0.6, np.nan, 0.9]), [0, 0.5, 1]),
    "datetime": pd.to_datetime(_dates),
    "datetime with NaT": pd.to_datetime([None, *_dates[1:]]),
    "datetime with zone": pd.to_datetime(_dates).tz_localize("Europe/Zurich"),
    "timedelta": pd.to_timedelta([1, 2, 1, 2], "D"),
    "period": pd.PeriodIndex(["2020", "2021", "2020", "2021"], freq="Y"),
    "interval": pd.arrays.IntervalArray.from_tuples([(0, 1), (1, 2)] * 2),
    "sparse": pd.arrays.SparseArray([0, 1, 1, 0]),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_pandas_column_comes_back_as_it_was(column):
    y = pd.DataFrame({"a": column, "other": [0, 1, 2, 0]})
    back = round_trip(y)
    there = y["a"].notna()
    pd.testing.assert_series_equal(back["a"][there], y["a"][there])


@pytest.mark.parametrize("dtype", ["float64", "float32", "Float64"])
def test_integers_that_nan_made_floats_come_back_as_integers(dtype):
    back = round_trip(pd.DataFrame({"a": pd.Series([0, None, 1], dtype=dtype)}))
    assert back["a"].dtype in ("int64", "Int64")
    assert back["a"].tolist()[::2] == [0, 1]


NOTHING = {
    "float64": np.full(3, np.nan),
    "object": np.full(3, None, dtype=object),
    "Int64": pd.array([None] * 3, "Int64"),
    "boolean": pd.array([None] * 3, "boolean"),
    **({"str": pd.array([None] * 3, "str")} if PANDAS_HAS_STR else {}),
    "string": pd.array([None] * 3, "string"),
    "category": pd.Categorical([None] * 3, ["p", "q"]),
    "category without any": pd.Categorical([None] * 3),
    "datetime": pd.to_datetime([None] * 3),
    "Arrow null": pd.array([None] * 3, pd.ArrowDtype(pa.null())),
}


@pytest.mark.parametrize("column", NOTHING.values(), ids=NOTHING)
def test_a_task_without_labels_comes_back_missing_in_its_dtype(column):
    y = pd.DataFrame({"a": column, "other": [0, 1, 2]})
    pd.testing.assert_series_equal(round_trip(y)["a"], y["a"])


@pytest.mark.parametrize(
    "column", [np.array([0, 1]), np.array([True, False]), np.array([0, 1], "u1"), ["p", "q"]]
)
def test_a_task_that_was_not_trained_comes_back_missing_whatever_its_dtype(column):
    # All its labels may have had weight 0: the dtype itself then knows no missing value.
    schema = learn(pd.DataFrame({"a": column, "b": [0, 1]}))
    back = schema.decode(np.zeros((2, 2), int), np.array([False, True]))
    assert back["a"].isna().all()
    assert back["b"].tolist() == [0, 0]


POLARS = {
    "Int64": pl.Series([0, None, 1], dtype=pl.Int64),
    "Int8": pl.Series([0, None, 1], dtype=pl.Int8),
    "Boolean": pl.Series([True, None, False]),
    "String": pl.Series(["a", None, "b"]),
    "Enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "z", "a"])),
    "Categorical": pl.Series(["a", None, "b"], dtype=pl.Categorical),
    "Date": pl.Series([dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)]),
    "zone": pl.Series(
        [dt.datetime(2020, 7, 1), None, dt.datetime(2021, 1, 1)]
    ).dt.replace_time_zone("Europe/Zurich"),
    "zone without holes": pl.Series(
        [dt.datetime(2020, 7, 1), dt.datetime(2021, 1, 1)] * 2
    ).dt.replace_time_zone("Europe/Zurich")[:3],
    "Decimal": pl.Series([1, None, 2]).cast(pl.Decimal(5, 1)),
    "Binary": pl.Series([b"x", None, b"y"]),
    "Null": pl.Series([None, None, None]),
    "nothing in Int64": pl.Series([None, None, None], dtype=pl.Int64),
    "nothing in Enum": pl.Series([None, None, None], dtype=pl.Enum(["p", "q"])),
}


@pytest.mark.parametrize("column", POLARS.values(), ids=POLARS)
def test_a_polars_column_comes_back_as_it_was(column):
    y = pl.DataFrame({"a": column, "other": ["x", "y", "z"]})
    back = round_trip(y)
    assert isinstance(back, pl.DataFrame)
    if column.dtype.is_decimal() and parse_version(narwhals.__version__) < parse_version("2.16"):
        y = y.with_columns(pl.col("a").cast(pl.Int64))  # it could not make decimals of polars
    assert back.schema == y.schema
    there = y["a"].is_not_null()
    assert back["a"].filter(there).to_list() == y["a"].filter(there).to_list()


@pytest.mark.parametrize("missing", [None, np.nan])
def test_floats_of_polars_come_back_as_integers(missing):
    back = round_trip(pl.DataFrame({"a": pl.Series([0.0, missing, 1.0], dtype=pl.Float64)}))
    assert back.schema["a"] == pl.Int64


ARROW = {
    "int64": pa.array([0, None, 1]),
    "string": pa.array(["a", None, "b"]),
    "null": pa.nulls(3),
}


@pytest.mark.parametrize("column", ARROW.values(), ids=ARROW)
def test_an_arrow_table_comes_back_as_one(column):
    y = pa.table({"a": column, "other": [0, 1, 2]})
    back = round_trip(y)
    assert isinstance(back, pa.Table)
    assert back.schema == y.schema


def test_an_arrow_dictionary_comes_back_as_text():
    y = pa.table({"a": pa.array(["a", None, "b"]).dictionary_encode()})
    back = round_trip(y)["a"].to_pylist()
    assert (back[0], back[2]) == ("a", "b")


ARRAYS = {
    "1-D int8": np.array([0, 1, 1], dtype="i1"),
    "1-D bool": np.array([True, False, True]),
    "1-D text": np.array(["a", "bcd", "a"]),
    "1-D object": np.array(["a", "b", "a"], dtype=object),
    "1-D float": np.array([0.0, 2.0, 0.0]),
    "2-D int": np.array([[0, 1], [1, 1], [0, 0]]),
    "2-D text": np.array([["a", "b"], ["c", "b"], ["a", "e"]]),
    "2-D object": np.array([["a", 1], ["b", 2], ["a", 1]], dtype=object),
    "2-D object with bools": np.array([["a", True], ["b", False], ["a", True]], dtype=object),
}


@pytest.mark.parametrize("y", ARRAYS.values(), ids=ARRAYS)
def test_an_array_comes_back_as_it_was(y):
    back = round_trip(y)
    assert back.dtype == y.dtype
    np.testing.assert_array_equal(back, y)


@pytest.mark.parametrize(
    "y",
    [pd.Series([0, 1]), pl.Series([0, 1]), [[0], [1]], pd.array([0, 1], "Int64"), pa.array([0, 1])],
)
def test_one_task_outside_a_frame_comes_back_as_a_1d_array(y):
    back = round_trip(y)
    assert type(back) is np.ndarray
    assert back.tolist() == [0, 1]


def test_integers_in_a_float_array_come_back_as_integers():
    assert round_trip(np.array([[0.0, np.nan], [1.0, 2.0]])).dtype == np.int64


def test_an_untrained_task_of_an_array_is_nan_or_none():
    numbers = round_trip(np.array([[np.nan, 1.0], [np.nan, 2.0]]))
    assert np.isnan(numbers[:, 0]).all()
    assert numbers[:, 1].tolist() == [1, 2]
    text = round_trip(np.array([[None, "p"], [None, "q"]], dtype=object))
    assert text.tolist() == [[None, "p"], [None, "q"]]


def test_a_pandas_x_lends_its_index():
    y = pd.DataFrame({"a": [0, 1, 1]}, index=[7, 8, 9])
    X = pd.DataFrame({"x": [0.0, 1.0, 2.0]}, index=["r", "r", "s"])
    assert round_trip(y, like=X).index.tolist() == ["r", "r", "s"]
    assert round_trip(y, like=X.to_numpy()).index.tolist() == [0, 1, 2]
    assert isinstance(round_trip(pl.from_pandas(y), like=X), pl.DataFrame)


@pytest.mark.parametrize(
    "columns",
    [
        pd.Index([3, 7]),
        pd.Index(["a", 7]),
        pd.RangeIndex(2),
        pd.MultiIndex.from_tuples([("x", "a"), ("x", "b")], names=["group", "task"]),
        pd.Index(["a", "b"], name="task"),
    ],
    ids=["ints", "mixed", "range", "tuples", "named"],
)
def test_the_columns_of_a_pandas_frame_come_back_as_they_were(columns):
    y = pd.DataFrame([[0, 1], [1, 0]], columns=columns)
    pd.testing.assert_index_equal(round_trip(y).columns, columns, exact="equiv")


# ------------------------------------------------------------------------------------------------
# Frequencies and weights of classes
# ------------------------------------------------------------------------------------------------


def test_class_frequencies_count_weight_and_are_uniform_for_an_empty_task():
    codes = np.array([[0, 0], [1, 0], [1, 0]])
    weight = np.array([[2.0, 0], [1.0, 0], [1.0, 0]])
    first, second = class_frequencies(codes, weight, [3, 2])
    assert first.tolist() == [0.5, 0.5, 0]
    assert second.tolist() == [0.5, 0.5]


def factors_of(class_weight, y, sample_weight=None, rows=None):
    """Return the factors of each task's classes."""
    schema, targets = encode(y, sample_weight)
    rows = np.arange(len(targets.codes)) if rows is None else rows
    return [f.tolist() for f in class_weight_factors(class_weight, schema, targets, rows)]


def test_no_class_weight_is_one_for_every_class():
    assert factors_of(None, [[0, "a"], [1, None]]) == [[1, 1], [1]]


def test_balanced_weights_are_those_of_scikit_learn_over_the_labelled_cells():
    from sklearn.utils.class_weight import compute_class_weight

    y = pd.DataFrame({"a": [0, 0, 0, 1, None], "b": ["u", None, "v", "w", "w"]})
    for name, factors in zip(y, factors_of("balanced", y), strict=True):
        labels = y[name].dropna().to_numpy()
        wanted = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
        np.testing.assert_allclose(factors, wanted)


def test_balanced_weights_count_sample_weight_and_only_the_rows_of_training():
    assert factors_of("balanced", [0, 1], [1, 3]) == [[2, 2 / 3]]
    assert factors_of("balanced", [0, 1, 1, 1], rows=np.array([0, 1])) == [[1, 1]]


def test_balanced_leaves_a_class_without_labels_at_one():
    y = pd.DataFrame({"a": pd.Categorical([0, 1, 1, 1], [0, 1, 2])})
    assert factors_of("balanced", y) == [[2, 2 / 3, 1]]


@pytest.mark.parametrize(
    ("class_weight", "wanted"),
    [
        ({"a": {1: 5}}, [[1, 5], [1, 1]]),
        ({0: {1: 5}}, [[1, 5], [1, 1]]),
        ({"b": {"u": 0, "v": 2}, "a": None}, [[1, 1], [0, 2]]),
        ({"a": "balanced"}, [[1.5, 0.75], [1, 1]]),
        ({}, [[1, 1], [1, 1]]),
    ],
)
def test_class_weight_by_task(class_weight, wanted):
    y = pd.DataFrame({"a": [0, 1, 1], "b": ["u", "v", None]})
    assert factors_of(class_weight, y) == wanted


@pytest.mark.parametrize(
    ("class_weight", "y"),
    [
        ({1: 5}, [0, 1]),
        ({1.0: 5}, [0, 1]),
        ({"b": 5}, ["a", "b"]),
        ({True: 5}, [False, True]),
        ({"y0": {1: 5}}, [0, 1]),
        ({"q": {1: 5}}, pd.Series([0, 1], name="q")),
        ({np.int64(1): 5}, [0.0, 1.0]),
    ],
)
def test_class_weight_of_a_1d_y_may_name_labels_or_the_task(class_weight, y):
    assert factors_of(class_weight, y) == [[1, 5]]


BAD_CLASS_WEIGHTS = {
    "unknown task": ({"c": "balanced"}, "There is no task 'c'"),
    "other word": ({"a": "auto"}, "'a' must be 'balanced', None or"),
    "number for a task": ({"a": 2.0}, "'a' must be 'balanced', None or"),
    "labels for two tasks": ({"u": 2.0}, "must be given by task"),
    "unknown task and known task": ({"a": None, "u": 2.0}, "There is no task 'u'"),
    "negative": ({"a": {0: -1}}, "'a' must be finite and not negative"),
    "NaN": ({"a": {0: np.nan}}, "'a' must be finite and not negative"),
    "infinite": ({"a": {0: np.inf}}, "'a' must be finite and not negative"),
    "None": ({"a": {0: None}}, "'a' must be finite and not negative"),
    "text": ({"a": {0: "x"}}, "'a' must be"),
}


@pytest.mark.parametrize(
    ("class_weight", "words"), BAD_CLASS_WEIGHTS.values(), ids=BAD_CLASS_WEIGHTS
)
def test_unusable_class_weights_are_refused(class_weight, words):
    with pytest.raises(ValueError, match=words):
        factors_of(class_weight, pd.DataFrame({"a": [0, 1], "b": ["u", "v"]}))


def test_weights_of_labels_that_are_no_class_have_no_effect():
    y = pd.DataFrame({"a": [0, 1], "b": [None, None]})
    assert factors_of({"a": {0: 3, 5: 9}, "b": {"u": 2}}, y) == [[3, 1], []]


@pytest.mark.parametrize(
    "key", [np.uint64(2**60 + 1), np.array([2**60 + 1], ">i8")[0], float(2**60 + 256)]
)
def test_a_class_weight_finds_its_class_by_value(key):
    y = pd.Series([2**60 + 1, 2**60 + 256, 2**60 + 2], dtype="Int64")
    wanted = {int(key): 5.0}
    classes = [2**60 + 1, 2**60 + 2, 2**60 + 256]
    assert factors_of({key: 5}, y) == [[wanted.get(c, 1.0) for c in classes]]
    assert factors_of({key: 5, 2**60 + 2: 7}, y)[0][1] == 7


def test_class_weights_of_times_are_found_and_a_time_that_no_row_has_is_no_mistake():
    times = pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"]).as_unit("ns")
    schema, _ = encode(pd.DataFrame({"a": times[:2]}))
    assert factors_of({"a": {times[1]: 5}}, pd.DataFrame({"a": times[:2]})) == [[1, 5]]
    with pytest.warns(UserWarning, match="names 1 class"):
        check_weighted_classes({"a": {times[2]: 5}}, schema, set())


def test_class_weights_multiply_cell_weights_and_leave_the_targets_alone():
    _, targets = encode([[0, 0], [1, None], [1, 1]], [1, 2, 3])
    before = targets.cell_weight.copy()
    weight = weigh_classes(targets, [np.array([10.0, 1.0]), np.array([1.0, 0.0])])
    assert weight.dtype == np.float32
    assert weight.tolist() == [[10, 1], [2, 0], [3, 0]]
    np.testing.assert_array_equal(targets.cell_weight, before)
