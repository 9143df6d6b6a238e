"""Searches that cannot be run are refused with their message, before anything is fitted."""

import numpy as np
import pytest
from bad_input import X, Y, make
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl.metrics import make_multitask_scorer
from sk_mtl.model_selection import MultiTaskSearchCV

GRID = {"dropout": [0.0, 0.5]}
OTHERS = (
    "MultiTaskSearchCV fits a MultiTaskClassifier, or a Pipeline whose last step is one. Got {}. "
    "Use sklearn.model_selection.GridSearchCV, or RandomizedSearchCV, for other estimators."
)
EITHER = (
    "MultiTaskSearchCV needs either param_grid, to try all combinations, or param_distributions, "
    "to draw n_iter of them. Got {}."
)
PARTITION = (
    "keep_predictions needs a cv whose test parts hold every row once. 10 of 20 rows are in none "
    "and 0 in several; use a k-fold splitter."
)
PARAMETER = "The {!r} parameter of MultiTaskSearchCV must be {}. Got {} instead."
SEVERAL = make_multitask_scorer("accuracy", average=None)


class Sealed:
    """An object of which only a copy can be had."""

    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        raise TypeError("sealed")


# name: parameters of the search, the error and its message
SEARCHES = {
    "another estimator": (
        {"estimator": LogisticRegression(), "param_grid": {"C": [1.0]}},
        TypeError,
        OTHERS.format("LogisticRegression"),
    ),
    "another last step": (
        {"estimator": make_pipeline(make(), StandardScaler()), "param_grid": {}},
        TypeError,
        OTHERS.format("StandardScaler"),
    ),
    "another last step in one candidate": (
        {
            "estimator": make_pipeline(make()),
            "param_grid": {"multitaskclassifier": [make(), LogisticRegression()]},
        },
        TypeError,
        OTHERS.format("LogisticRegression"),
    ),
    "no candidates": ({"param_grid": None}, ValueError, EITHER.format("neither")),
    "candidates of two kinds": ({"param_distributions": GRID}, ValueError, EITHER.format("both")),
    "an empty list of grids": (
        {"param_grid": []},
        ValueError,
        "param_grid has no candidates. Give a list of values by parameter.",
    ),
    "n_iter with a grid": (
        {"n_iter": 3},
        ValueError,
        "n_iter=3 has no effect on a param_grid, of which every combination is tried. Pass the "
        "values as param_distributions to draw some of them.",
    ),
    "n_iter of zero": (
        {"param_grid": None, "param_distributions": GRID, "n_iter": 0},
        ValueError,
        PARAMETER.format("n_iter", "an integer >= 1", 0),
    ),
    "refit a number": (
        {"refit": 1},
        ValueError,
        "refit must be True or False, the name of a score, or a callable. Got 1.",
    ),
    "error_score a word": (
        {"error_score": "ignore"},
        ValueError,
        "error_score must be 'raise' or a number. Got 'ignore'.",
    ),
    "error_score a bool": (
        {"error_score": True},
        ValueError,
        "error_score must be 'raise' or a number. Got True.",
    ),
    "return_train_score a number": (
        {"return_train_score": 1},
        ValueError,
        PARAMETER.format("return_train_score", "True or False", 1),
    ),
    "verbose a word": (
        {"verbose": "yes"},
        ValueError,
        PARAMETER.format("verbose", "an integer >= 0", "'yes'"),
    ),
    "max_time negative": (
        {"max_time": -1.0},
        ValueError,
        PARAMETER.format("max_time", "a finite number >= 0", -1.0),
    ),
    "keep_predictions True": (
        {"keep_predictions": True},
        ValueError,
        PARAMETER.format("keep_predictions", "one of None, 'best', 'all'", True),
    ),
    "keep_predictions of a part": (
        {"keep_predictions": "best", "cv": ShuffleSplit(1, test_size=10, random_state=0)},
        ValueError,
        PARTITION,
    ),
    "keep_predictions with fewer rows": (
        {"keep_predictions": "all", "factor": 2, "resource": "n_samples"},
        ValueError,
        "keep_predictions needs a prediction of every row, and rounds with resource='n_samples' "
        "leave rows out. Set resource='epochs'.",
    ),
    "keep_predictions of the best of several scores": (
        {"keep_predictions": "best", "scoring": SEVERAL, "refit": False},
        ValueError,
        "keep_predictions='best' with several scores needs the name of the one that decides: set "
        "refit to one of ['flag', 'colour', 'mean'], or keep_predictions='all'.",
    ),
    "factor of one": (
        {"factor": 1},
        ValueError,
        "factor must be a number above 1. Got 1.",
    ),
    "resource of another name": (
        {"factor": 2, "resource": "n_estimators"},
        ValueError,
        PARAMETER.format("resource", "one of 'epochs', 'n_samples'", "'n_estimators'"),
    ),
    "min_resources a word": (
        {"factor": 2, "min_resources": "least"},
        ValueError,
        PARAMETER.format("min_resources", "one of 'exhaust', 'smallest'", "'least'"),
    ),
    "min_resources above max_resources": (
        {"factor": 2, "min_resources": 9, "max_resources": 5},
        ValueError,
        "The first round of successive halving would have 9 resources, and the last one may have "
        "5. Set a smaller min_resources, or a larger max_resources.",
    ),
    "max_resources above the rows": (
        {"factor": 2, "resource": "n_samples", "max_resources": 21},
        ValueError,
        PARAMETER.format("max_resources", "an integer in the range [1, 20]", 21),
    ),
    "a round without rows": (
        {"factor": 2, "resource": "n_samples", "min_resources": 1, "cv": KFold(5)},
        ValueError,
        "A round of successive halving takes 0.05 of the rows, which leaves none of a part of 16 "
        "rows. Set a larger min_resources, or fewer folds.",
    ),
    "the resource among the candidates": (
        {"factor": 2, "param_grid": {"epochs": [1, 2]}},
        ValueError,
        "epochs is the resource of successive halving, and cannot be searched over at the same "
        "time. Leave it out of the candidates, or set resource='n_samples'.",
    ),
    "several scores in halving": (
        {"factor": 2, "scoring": SEVERAL, "refit": np.argmax},
        ValueError,
        "With several scores, successive halving needs the name of the one that decides: set refit "
        "to one of ['flag', 'colour', 'mean'].",
    ),
    "checkpoint with a lambda": (
        {"param_grid": {"activation": [lambda x: x]}},
        ValueError,
        "checkpoint needs parameters by which a result is recognised again, but activation holds "
        "<lambda>, which cannot be found by its name. Use plain values, functions and classes of a "
        "module, or set checkpoint=None.",
    ),
    "checkpoint with an object that says nothing": (
        {"param_grid": {"callbacks": [Sealed()]}},
        ValueError,
        "checkpoint needs parameters by which a result is recognised again, but callbacks holds an "
        f"object of {__name__}.Sealed. Use plain values, functions and classes of a module, or set "
        "checkpoint=None.",
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_search_is_refused(name, tmp_path):
    params, error, message = SEARCHES[name]
    if name.startswith("checkpoint"):
        params = {**params, "checkpoint": tmp_path}
    search = MultiTaskSearchCV(**{"estimator": make(), "param_grid": GRID, "cv": 2, **params})
    before = dict(vars(search))

    with pytest.raises(error) as caught:
        search.fit(X, Y)

    assert str(caught.value) == message
    assert vars(search) == before


def test_checkpoint_that_is_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")

    with pytest.raises(ValueError, match="checkpoint must be a folder that can be written to"):
        MultiTaskSearchCV(make(), GRID, cv=2, checkpoint=path).fit(X, Y)


def test_parameter_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="MultiTaskClassifier has no parameter 'depth'"):
        MultiTaskSearchCV(make(), {"depth": [1]}, cv=2).fit(X, Y)


@pytest.mark.parametrize("y", [None, Y[:10]], ids=["none", "too short"])
def test_y_must_fit_x(y):
    with pytest.raises(ValueError, match=r"requires y to be passed|inconsistent numbers of sam"):
        MultiTaskSearchCV(make(), GRID, cv=2).fit(X, y)
