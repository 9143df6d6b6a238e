"""The page about Optuna runs, and what it promises holds."""

import numpy as np
import pytest

PAGE = "optuna"
pytestmark = pytest.mark.neighbours


def test_some_trials_are_pruned_after_fewer_folds(page):
    states = {trial.state.name: len(trial.intermediate_values) for trial in page.study.trials}

    assert states["COMPLETE"] == len(page.folds)
    assert states["PRUNED"] < len(page.folds)


def test_best_value_is_the_mean_score_of_the_folds(page):
    fits = [
        (page.suggest(page.optuna.trial.FixedTrial(page.study.best_params)), train, test)
        for train, test in page.folds
    ]
    scores = [
        page.scorer(
            clf.fit(page.X.iloc[train], page.Y.iloc[train]), page.X.iloc[test], page.Y.iloc[test]
        )
        for clf, train, test in fits
    ]

    assert np.mean(scores) == pytest.approx(page.study.best_value, abs=1e-6)


def test_keras_callback_reports_a_loss_for_each_epoch(page):
    complete = [t for t in page.epochs_study.trials if t.state.name == "COMPLETE"]

    assert complete
    for trial in complete:
        assert min(trial.intermediate_values.values()) == pytest.approx(trial.value, abs=1e-6)


def test_keras_callback_prunes_through_fit(page):
    pruned = [t for t in page.epochs_study.trials if t.state.name == "PRUNED"]

    assert pruned
    assert all(len(trial.intermediate_values) < 10 for trial in pruned)
