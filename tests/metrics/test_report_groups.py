"""Tests of intervals from whole groups of rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from sk_mtl.metrics import MultiTaskReport, multitask_report, task_importances
from sk_mtl.metrics._report.bootstrap import draw_row_counts


def make_predictions(n=60):
    rng = np.random.default_rng(0)
    Y = pd.DataFrame({"a": rng.integers(0, 2, n), "b": rng.integers(0, 3, n)}).astype(float)
    Y.loc[::4, "b"] = np.nan
    probabilities = {"a": rng.dirichlet([1, 1], n), "b": rng.dirichlet([1, 1, 1], n)}
    return Y, probabilities


def ends_of(groups, **options):
    Y, probabilities = make_predictions()
    report = multitask_report(
        Y,
        y_proba=probabilities,
        metrics="log_loss",
        n_bootstraps=40,
        groups=groups,
        random_state=0,
        **options,
    )
    return report.frame["log_loss"][["lower", "upper"]], report.notes


def test_groups_of_one_row_are_rows():
    pd.testing.assert_frame_equal(ends_of(np.arange(60))[0], ends_of(None)[0])


def test_rows_of_a_group_are_drawn_together():
    groups = np.repeat([0, 1, 2], 4)
    for counts in draw_row_counts(12, 30, np.random.RandomState(0), groups):
        by_group = counts.reshape(3, 4, -1)
        assert (by_group == by_group[:, :1]).all()
        np.testing.assert_array_equal(by_group[:, 0].sum(axis=0), 3)


def test_names_of_groups_do_not_matter():
    numbers = np.repeat(np.arange(12), 5)
    text = np.array([f"person {k:02}" for k in numbers], dtype=object)
    pd.testing.assert_frame_equal(ends_of(numbers)[0], ends_of(text)[0])


def test_one_group_has_intervals_of_no_width():
    ends, _ = ends_of(np.zeros(60))
    np.testing.assert_allclose(ends["lower"], ends["upper"])


def test_note_counts_the_groups_with_labels():
    notes = " ".join(ends_of(np.repeat(np.arange(12), 5))[1])
    assert "40 resamples of the 12 groups with labels" in notes


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(59), "groups must have a group for each of the 60 rows. Got 59"),
        (np.full(60, np.nan), "groups must have a group for every row"),
    ],
)
def test_wrong_groups_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        ends_of(groups)


class Constant(BaseEstimator):
    """Predicts the same for all rows, whatever X is."""

    classes_ = (np.array([0.0, 1.0]), np.array([0.0, 1.0, 2.0]))

    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        return [np.full((len(X), 2), 1 / 2), np.full((len(X), 3), 1 / 3)]


def test_report_of_an_estimator_takes_groups():
    Y, _ = make_predictions()
    report = MultiTaskReport.from_estimator(
        Constant(),
        np.zeros((60, 1)),
        Y.to_numpy(),
        metrics="brier_score",
        n_bootstraps=10,
        groups=np.repeat(np.arange(12), 5),
    )
    assert "12 groups" in " ".join(report.notes)


def test_importances_take_groups():
    Y, _ = make_predictions()
    found = task_importances(
        Constant(), np.zeros((60, 1)), Y.to_numpy(), n_bootstraps=10, groups=np.arange(60) // 5
    )
    assert (found[["importance", "lower", "upper"]] == 0).all(axis=None)
