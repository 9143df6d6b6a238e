"""Successive halving: the rounds, and the results beside those of HalvingGridSearchCV."""

import numpy as np
import pytest
from helpers import make_tiny
from searches import FOLDS, X, Y
from sklearn.base import BaseEstimator
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl._search.halving import plan_rounds
from sk_mtl.metrics import make_multitask_scorer
from sk_mtl.model_selection import MultiTaskSearchCV


class Constant(BaseEstimator):
    """An estimator that costs nothing."""

    def __init__(self, alpha=0):
        self.alpha = alpha

    def fit(self, X, y):
        return self

    def score(self, X, y):
        return self.alpha


RATES = {"optimizer__learning_rate": [1e-5, 1e-3, 1e-2, 1e-1]}
SHOWN = [
    "n_resources_",
    "n_candidates_",
    "n_remaining_candidates_",
    "min_resources_",
    "max_resources_",
    "n_iterations_",
    "n_required_iterations_",
    "n_possible_iterations_",
]


def describe(search):
    """Return {(round, parameters): what `cv_results_` says of it}, without the times."""
    results = search.cv_results_
    keys = [key for key in results if "_time" not in key and not key.startswith("param")]
    return {
        (results["iter"][i], str(sorted(params.items()))): [results[key][i] for key in keys]
        for i, params in enumerate(results["params"])
    }


@pytest.mark.slow_except("epochs-theirs3-ours3")
@pytest.mark.parametrize(
    ("resource", "theirs", "ours"),
    [
        ("n_samples", {"min_resources": 15}, {"min_resources": 15}),
        ("n_samples", {"min_resources": "smallest"}, {"min_resources": "smallest"}),
        ("epochs", {"max_resources": 5}, {}),
        ("epochs", {"max_resources": 3}, {"max_resources": 3}),
    ],
)
def test_results_are_those_of_halving_grid_search(resource, theirs, ours):
    clf = make_tiny(epochs=5)
    common = {"cv": FOLDS, "factor": 2, "resource": resource, "random_state": 0}
    common["scoring"] = make_multitask_scorer("neg_log_loss")
    theirs = HalvingGridSearchCV(clf, RATES, **common, **theirs, return_train_score=False)
    theirs.fit(X, Y)

    ours = MultiTaskSearchCV(clf, RATES, **common, **ours).fit(X, Y)

    for name in SHOWN:
        assert getattr(ours, name) == getattr(theirs, name), name
    found, expected = describe(ours), describe(theirs)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, atol=1e-6)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == pytest.approx(theirs.best_score_, abs=1e-6)


def test_epochs_of_the_last_step_are_the_resource_in_a_pipeline():
    pipe = make_pipeline(StandardScaler(), make_tiny(epochs=4))
    grid = {"standardscaler__with_mean": [True, False]}

    search = MultiTaskSearchCV(pipe, grid, cv=FOLDS, factor=2).fit(X, Y)

    assert search.n_resources_ == [2, 4]
    epochs = search.cv_results_["param_multitaskclassifier__epochs"]
    assert epochs.tolist() == [2, 2, 4]
    assert search.best_params_["multitaskclassifier__epochs"] == 4
    assert search.best_index_ == 2
    assert search.leaderboard_.index[0] == 2
    assert search.leaderboard_["iter"].tolist() == [1, 0, 0]


def test_score_named_by_refit_decides_which_candidates_go_on():
    scorer = make_multitask_scorer("neg_log_loss", average=None)
    options = {"cv": FOLDS, "factor": 2, "scoring": scorer}

    search = MultiTaskSearchCV(make_tiny(), RATES, **options, refit="sign").fit(X, Y)

    first = search.cv_results_["iter"] == 0
    scores = search.cv_results_["mean_test_sign"][first]
    best = [RATES["optimizer__learning_rate"][i] for i in np.sort(np.argsort(-scores)[:2])]
    second = search.cv_results_["param_optimizer__learning_rate"][search.cv_results_["iter"] == 1]
    assert second.tolist() == best


def test_candidates_without_a_score_do_not_go_on():
    grid = {"dropout": [2.0, 3.0, 0.1]}

    with pytest.warns(match="fits of the search failed|is not finite"):
        search = MultiTaskSearchCV(make_tiny(epochs=3), grid, cv=FOLDS, factor=3).fit(X, Y)

    assert search.best_params_ == {"dropout": 0.1, "epochs": 3}


def test_powers_of_the_factor_are_counted_exactly():
    # The logarithm of 243 to the base 3 is 5, but 4.999... as a float.
    schedule = plan_rounds(243, 3, "exhaust", 243, 1)

    assert schedule.n_candidates == [243, 81, 27, 9, 3, 1]
    assert schedule.n_resources == [1, 3, 9, 27, 81, 243]


def test_last_round_reaches_the_resources_with_more_candidates_than_rounds_can_halve():
    # scikit-learn 1.9 starts with 20, and ends with 640.
    assert plan_rounds(160, 2, "exhaust", 1050, 20).n_resources == [32, 64, 128, 256, 512, 1024]


@pytest.mark.parametrize("factor", [1.5, 2, 3, 10])
@pytest.mark.parametrize("n_candidates", [1, 2, 7, 40, 100])
def test_rounds_are_those_of_scikit_learn(factor, n_candidates):
    params = {"alpha": list(range(n_candidates))}
    theirs = HalvingGridSearchCV(Constant(), params, factor=factor, cv=2, min_resources=4)
    theirs.fit(np.zeros((300, 1)), np.arange(300) % 2)

    ours = plan_rounds(n_candidates, factor, 4, 300, 4)

    assert ours.attributes(len(ours.n_resources)) == {name: getattr(theirs, name) for name in SHOWN}
