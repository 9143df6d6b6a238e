"""The page about imbalanced-learn runs, and what it promises holds."""

import numpy as np
import pandas as pd
import pytest

PAGE = "imbalanced_learn"
pytestmark = [
    pytest.mark.neighbours,
    # scikit-learn (1.9.1) casts labels with NaN to integers before it refuses them.
    pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning"),
]


@pytest.fixture
def oversampler(page):
    from imblearn.over_sampling import RandomOverSampler

    return RandomOverSampler(random_state=0)


def test_sampler_and_logit_adjustment_find_more_of_the_rare_class(page):
    plain = page.MultiTaskClassifier(**page.settings).fit(page.X_train, page.Y_train)
    truth = page.Y_test["y0"][page.test]

    def score(labels):
        return page.multitask_score("balanced_accuracy", truth, labels)

    usual = score(plain.predict(page.X_test)["y0"][page.test])
    assert score(page.alone.predict(page.X_test[page.test])) > usual + 0.1
    assert score(page.adjusted.predict(page.X_test)["y0"][page.test]) > usual + 0.1


def test_sampler_balances_the_filler_of_holes(page):
    _, y = page.SMOTE(random_state=0).fit_resample(page.X, page.Y["y0"].fillna(-1))

    assert y.value_counts().nunique() == 1
    assert set(y) == {-1, 0, 1}


def test_random_oversampler_keeps_missing_cells_and_categories(oversampler):
    X = pd.DataFrame({"a": [np.nan, 1.0, 2.0], "b": pd.Categorical(["u", None, "v"])})

    drawn, _ = oversampler.fit_resample(X, [0, 0, 1])

    assert drawn["a"].isna().any()
    assert drawn["b"].isna().any()
    assert drawn.dtypes["b"] == "category"


def test_smote_refuses_missing_cells(page):
    X = page.X.copy()
    X.iloc[0, 0] = np.nan
    known = page.Y["y0"].notna()

    with pytest.raises(ValueError, match="NaN"):
        page.SMOTE().fit_resample(X[known], page.Y["y0"][known])


def test_rows_of_zeros_get_a_one_in_the_first_column(oversampler):
    X = np.arange(20.0).reshape(-1, 1)
    Y = np.zeros((20, 3), dtype=int)
    Y[:2, 0] = Y[2:5, 1] = Y[5:9, 2] = 1

    drawn, labels = oversampler.fit_resample(X, Y)

    zeros = np.isin(drawn[:, 0], X[9:, 0])
    assert (labels[zeros] == [1, 0, 0]).all()
