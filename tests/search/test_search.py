"""MultiTaskSearchCV beside scikit-learn's searches: the same results, parameters and methods."""

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl.metrics import make_multitask_scorer, per_task_scorers
from sk_mtl.model_selection import MultiTaskSearchCV, MultiTaskStratifiedKFold

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = pd.DataFrame(
    {
        "sign": np.where(X[:, 0] > 0, "plus", "minus"),
        "grade": np.where(RNG.random(60) < 0.4, np.nan, np.digitize(X[:, 1], [-0.5, 0.5])),
    }
)
FOLDS = KFold(3)
GRID = [{"optimizer__learning_rate": [1e-4, 1e-1]}, {"hidden_layer_sizes": [(4,), (4, 2)]}]
PIPELINE_GRID = {
    "standardscaler__with_mean": [True, False],
    "multitaskclassifier__optimizer__learning_rate": [1e-4, 1e-1],
}


def make_pipe():
    return make_pipeline(StandardScaler(), make_tiny())


def assert_same_results(ours, theirs):
    """Assert that `cv_results_` agrees in everything but the times."""
    assert list(ours) == list(theirs)
    for key, values in theirs.items():
        if key == "params":
            assert ours[key] == values
        elif key.startswith("param_"):
            assert isinstance(ours[key], np.ma.MaskedArray)
            assert ours[key].dtype == values.dtype
            assert ours[key].tolist() == values.tolist()
        elif "_time" in key:
            assert ours[key].shape == values.shape
        else:
            assert ours[key].dtype == values.dtype
            np.testing.assert_allclose(ours[key], values, atol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "grid", "options"),
    [
        (make_tiny(), GRID, {}),
        (make_pipe(), PIPELINE_GRID, {"return_train_score": True}),
        (make_tiny(), GRID, {"scoring": make_multitask_scorer("roc_auc", average="weighted")}),
        (
            make_tiny(),
            GRID,
            {"scoring": make_multitask_scorer("neg_log_loss", average=None), "refit": "mean"},
        ),
        (
            make_tiny(),
            GRID,
            {
                "scoring": {
                    **per_task_scorers("accuracy", Y.columns),
                    "auc": make_multitask_scorer("roc_auc"),
                },
                "refit": "auc",
                "return_train_score": True,
            },
        ),
    ],
    ids=["grids", "pipeline", "weighted", "scores of one scorer", "scores of several"],
)
def test_results_are_those_of_grid_search(estimator, grid, options):
    theirs = GridSearchCV(estimator, grid, cv=FOLDS, **options).fit(X, Y)
    ours = MultiTaskSearchCV(estimator, grid, cv=FOLDS, **options).fit(X, Y)

    assert_same_results(ours.cv_results_, theirs.cv_results_)
    for name in ("best_params_", "best_index_", "n_splits_", "multimetric_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.best_score_ == pytest.approx(theirs.best_score_, abs=1e-6)
    assert type(ours.scorer_) is type(theirs.scorer_)
    assert ours.score(X, Y) == pytest.approx(theirs.score(X, Y), abs=1e-6)
    pd.testing.assert_frame_equal(ours.predict(X), theirs.predict(X))
    assert ours.classes_.task_names == ("sign", "grade")
    assert ours.refit_time_ > 0
