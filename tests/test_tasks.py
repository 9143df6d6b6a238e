"""Task names: how tasks are found, what lists by task answer to, names of the history's series."""

import copy
import pickle

import numpy as np
import pytest

from sk_mtl._tasks import PerTask, enumerate_some, name_series, resolve_task, resolve_tasks

# ------------------------------------------------------------------------------------------------
# Names of tasks
# ------------------------------------------------------------------------------------------------


def test_a_task_is_found_by_name_before_position():
    assert resolve_task("b", ["a", "b"]) == 1
    assert resolve_task(1, ["a", "b"]) == 1
    assert resolve_task(np.int64(1), ["a", "b"]) == 1
    assert resolve_task(0, [1, 0]) == 1


@pytest.mark.parametrize(
    ("key", "names", "position"),
    [
        (1, [1, 2, 3], 0),
        (np.int64(3), [1, 2, 3], 2),
        (3, np.array([1, 2, 3]), 2),
        (1, ["1", 1], 1),
        ("1", [1, "1"], 1),
        (2.0, [1, 2], 1),
        (2, [0.5, 2.0], 1),
        (True, [True, "a"], 0),
        (False, [True, False], 1),
    ],
)
def test_a_name_that_is_a_number_is_found_by_its_value(key, names, position):
    assert resolve_task(key, names) == position
    assert PerTask(range(len(names)), names)[key] == position


@pytest.mark.parametrize(
    ("key", "names"),
    [
        (0, [1, 2, 3]),
        (-1, [1, 2, 3]),
        (np.int64(0), [10, "b"]),
        (1, ["a", 0.5]),
        (1, [True, False]),
    ],
)
def test_an_integer_is_no_position_where_names_are_numbers(key, names):
    how = rf"an integer is a name and not a position.*list\(\.\.\.\)\[{key}\]"
    with pytest.raises(ValueError, match=how):
        resolve_task(key, names)
    with pytest.raises(KeyError, match=how):
        PerTask(names, names)[key]


def test_true_is_no_position_and_not_the_name_one():
    for names in (["a", "b"], [1, 2]):
        with pytest.raises(KeyError, match="no task True"):
            PerTask(["x", "y"], names)[True]


def test_a_task_given_by_name_and_by_position_is_refused():
    assert resolve_tasks({"b": 1, 0: 2}, ["a", "b"], parameter="here") == {1: 1, 0: 2}
    with pytest.raises(ValueError, match="here names task 'a' twice"):
        resolve_tasks({"a": 1, 0: 2}, ["a", "b"], parameter="here")


@pytest.mark.parametrize("key", ["c", 2, -1, None, 0.5, True, ("a",), ["a"]])
def test_a_task_that_does_not_exist_is_refused(key):
    with pytest.raises(ValueError, match=r"There is no task .*The tasks are 'a', 'b'"):
        resolve_task(key, ["a", "b"])


def test_a_misspelt_task_gets_a_hint():
    with pytest.raises(ValueError, match="Did you mean 'education'"):
        resolve_task("educatoin", ["income", "education"])


def test_only_five_tasks_are_named():
    with pytest.raises(ValueError, match="'t4' and 7 more"):
        resolve_task("?", [f"t{i}" for i in range(12)])


def test_enumerate_some_names_at_most_the_limit():
    assert enumerate_some([]) == ""
    assert enumerate_some("abcde") == "a, b, c, d, e"
    assert enumerate_some("abcdefg") == "a, b, c, d, e and 2 more"
    assert enumerate_some("abc", limit=1) == "a and 2 more"


# ------------------------------------------------------------------------------------------------
# PerTask
# ------------------------------------------------------------------------------------------------


@pytest.fixture
def arrays():
    return PerTask([np.zeros((2, 2)), np.ones((2, 3))], ["income", "education"])


def test_per_task_is_a_list_that_answers_to_names(arrays):
    assert isinstance(arrays, list)
    assert [a.shape for a in arrays] == [(2, 2), (2, 3)]
    assert arrays["education"] is arrays[1] is arrays[-1] is arrays[np.int64(1)]
    assert arrays.keys() == ("income", "education")
    assert [name for name, _ in arrays.items()] == ["income", "education"]
    assert set(dict(arrays)) == {"income", "education"}


def test_per_task_slices_to_a_plain_list(arrays):
    assert type(arrays[:1]) is list
    assert len(arrays[:1]) == 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_per_task_pickles(arrays, protocol):
    again = pickle.loads(pickle.dumps(arrays, protocol))
    assert type(again) is PerTask
    assert again.task_names == arrays.task_names
    np.testing.assert_array_equal(again["education"], arrays["education"])


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_per_task_copies(arrays, how):
    again = how(arrays)
    assert type(again) is PerTask
    np.testing.assert_array_equal(again["education"], arrays["education"])


def test_per_task_says_which_tasks_there_are(arrays):
    with pytest.raises(KeyError, match=r"There is no task 'educaton'.*Did you mean 'education'"):
        arrays["educaton"]


def test_per_task_position_out_of_range_is_an_index_error(arrays):
    with pytest.raises(IndexError):
        arrays[2]


def test_per_task_answers_to_tuples():
    assert PerTask([1, 2], [("x", "a"), ("x", "b")])["x", "b"] == 2


def test_per_task_answers_to_integer_names_that_are_no_positions():
    assert PerTask([1, 2], [10, 20])[20] == 2


def test_per_task_as_a_dict_agrees_with_its_items_when_names_look_like_positions():
    assert dict(PerTask(["x", "y"], [1, 0]).items()) == {1: "x", 0: "y"}


def test_per_task_of_integer_names_keeps_slices_iteration_and_the_list():
    by_number = PerTask(["x", "y", "z"], [2, 1, 0])
    assert list(by_number) == ["x", "y", "z"]
    assert by_number[1:] == ["y", "z"]
    assert list(by_number)[-1] == "z"
    assert dict(by_number) == {2: "x", 1: "y", 0: "z"}


def test_per_task_shows_a_line_per_task(arrays):
    assert repr(arrays).splitlines() == [
        "PerTask of 2 tasks:",
        "  'income': array of shape (2, 2), float64",
        "  'education': array of shape (2, 3), float64",
    ]
    assert repr(PerTask([np.array(["S", "M"])], [("a", 1)])).splitlines() == [
        "PerTask of 1 task:",
        "  ('a', 1): array(['S', 'M'], dtype='<U1')",
    ]
    assert repr(PerTask([], [])) == "PerTask of 0 tasks:"


def test_per_task_shows_the_first_tasks_of_many():
    lines = repr(PerTask(range(617), range(617))).splitlines()
    assert len(lines) == 21
    assert lines[-2:] == ["  18: 18", "  and 598 more"]


AS_ARRAY = {
    "column": lambda items: items[:, 1],
    "ellipsis": lambda items: items[..., 1],
    "shape": lambda items: items.shape,
    "argmax": lambda items: items.argmax(axis=1),
    "astype": lambda items: items.astype(float),
    "asarray": np.asarray,
    "array of a type": lambda items: np.array(items, dtype=np.float32),
}


@pytest.mark.parametrize("use", AS_ARRAY)
def test_per_task_used_as_an_array_names_the_task_and_the_view(arrays, use):
    with pytest.raises((KeyError, AttributeError, ValueError)) as caught:
        AS_ARRAY[use](arrays)
    assert "['income'][:, 1]" in str(caught.value)
    assert "task_view('income')" in str(caught.value)


def test_per_task_has_the_attributes_of_a_list_only(arrays):
    assert not hasattr(arrays, "shape")
    with pytest.raises(AttributeError, match=r"no attribute 'shapes'$"):
        _ = arrays.shapes


def test_per_task_of_equal_shapes_is_the_array_of_its_list():
    items = [np.zeros((2, 2)), np.ones((2, 2))]
    np.testing.assert_array_equal(np.asarray(PerTask(items, "ab")), np.array(items))
    assert np.asarray(PerTask([2, 5], "ab")).tolist() == [2, 5]


def test_per_task_needs_an_item_per_name():
    with pytest.raises(ValueError, match="2 items for 1 task names"):
        PerTask([1, 2], ["a"])


# ------------------------------------------------------------------------------------------------
# Series of the history
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a", 3], ("a", "3")),
        (["val", "b"], ("task0:val", "b")),
        (["a", "val_a"], ("a", "task1:val_a")),
        ([0, "0"], ("0", "task1:0")),
        ([""], ("task0:",)),
        (["task2:0", "0", 0], ("task2:0", "0", "task2:task2:0")),
    ],
)
def test_series_are_named_after_tasks_but_where_names_would_meet(names, labels):
    assert name_series(names) == labels
