"""The page about MAPIE runs, and what it promises holds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

PAGE = "mapie"
pytestmark = pytest.mark.neighbours


@pytest.mark.parametrize("task", ["y0", "y1"])
def test_coverage_is_about_the_confidence_level(page, task):
    n_calib, n_test = (Y[task].notna().sum() for Y in (page.Y_calib, page.Y_test))
    # The coverage over test rows has this variance about .9 (beta-binomial).
    deviation = np.sqrt(0.9 * 0.1 * (1 / n_calib + 1 / n_test))

    assert abs(page.coverages[task] - 0.9) < 3 * deviation


def test_sets_are_smaller_than_all_classes(page):
    assert 1 <= page.sets[..., 0].sum(axis=1).mean() < 3


def test_coverage_score_of_mapie_takes_labels_as_columns(page):
    from mapie.metrics.classification import classification_coverage_score

    sets = np.array([[True, False]] * 4)[..., np.newaxis]  # the first class only
    assert classification_coverage_score(np.array([0, 0, 0, 1]), sets) == 0.75
    # The same rows; -1 is the last column, and so is 1.
    assert classification_coverage_score(np.array([-1, -1, -1, 1]), sets) == 0


def test_categories_of_text_are_called_not_fitted_for_others_too(page):
    X = pd.DataFrame({"shop": pd.Categorical(["east", "west"] * 20)})
    y = np.arange(40) % 2
    other = HistGradientBoostingClassifier(categorical_features="from_dtype").fit(X, y)

    with pytest.raises(UserWarning, match="does not appear fitted"):
        page.SplitConformalClassifier(other, prefit=True).conformalize(X, y)


def test_two_classes_know_one_score_only(page):
    conformal = page.SplitConformalClassifier(
        page.make_pipeline(page.columns, page.clf.task_view("y0")), conformity_score="aps"
    )
    known = page.Y_calib["y0"].notna()

    with pytest.raises(ValueError, match="binary target"):
        conformal.conformalize(page.X_calib[known], page.Y_calib["y0"][known])
