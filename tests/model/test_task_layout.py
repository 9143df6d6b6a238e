"""Tests of sk_mtl._model.task_layout: which columns belong to which task."""

import numpy as np
import pytest

from sk_mtl._model.spec import NetworkSpec
from sk_mtl._model.task_layout import TaskLayout


@pytest.mark.parametrize("n_outputs", [(1, 1, 1), (1, 3, 5), (3, 1, 4, 1, 3), (7, 2, 1), (4,)])
def test_groups_hold_each_task_and_column_once(n_outputs):
    layout = TaskLayout(n_outputs)
    columns = np.split(np.arange(layout.total), layout.starts[1:])
    for width, tasks, of_tasks in layout.groups:
        for task, found in zip(tasks, of_tasks, strict=True):
            assert n_outputs[task] == width
            np.testing.assert_array_equal(found, columns[task])
    tasks = np.concatenate([group.tasks for group in layout.groups])
    flat = np.concatenate([group.columns.ravel() for group in layout.groups])
    for found, order in ((tasks, layout.task_order), (flat, layout.column_order)):
        in_order = found if order is None else found[order]
        np.testing.assert_array_equal(in_order, np.arange(len(found)))


def test_two_classes_have_one_column_and_others_one_per_class():
    assert TaskLayout.of_classes(np.array([2, 3, 5])).n_outputs == (1, 3, 5)


def test_layouts_of_equal_specs_are_equal_and_hashable():
    first, second = NetworkSpec(3, (1, 4)).layout, NetworkSpec(9, (1, 4)).layout
    assert first == second
    assert hash(first) == hash(second)
