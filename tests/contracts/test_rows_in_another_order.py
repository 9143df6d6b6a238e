"""Whatever takes several tables says so when their pandas indexes are in different orders."""

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny

from sk_mtl.metrics import (
    MultiTaskReport,
    make_multitask_scorer,
    multitask_report,
    multitask_score,
)
from sk_mtl.model_selection import (
    MultiTaskStratifiedGroupKFold,
    MultiTaskStratifiedKFold,
    cross_val_predict,
    train_test_split,
)
from sk_mtl.plotting import TaskRocCurveDisplay, TaskScoresDisplay, TaskSimilarityDisplay

N = 24
INDEX = [f"row {i}" for i in range(N)]
X = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 2)), INDEX, ["u", "v"])
Y = pd.DataFrame({"a": np.arange(N) % 2, "b": np.arange(N) // 2 % 2}, INDEX)
W = pd.Series(1.0, INDEX)
GROUPS = pd.Series(np.arange(N) // 4, INDEX)
CLF = make_tiny().fit(X, Y)
P, PROBA = CLF.predict(X), CLF.predict_proba_frame(X)


def back(table):
    """Return a table with its rows in the reverse order."""
    return table.iloc[::-1]


# name: what is called, and the two names in the warning
CALLS = {
    "fit": (lambda: make_tiny().fit(X, back(Y)), "X and y"),
    "fit, one task": (lambda: make_tiny().fit(X, back(Y)["a"]), "X and y"),
    "fit, weights": (lambda: make_tiny().fit(X, Y, back(W)), "X and sample_weight"),
    "fit, weights of an array": (lambda: make_tiny().fit(X, Y.to_numpy(), back(W)), "X and sample"),
    "fit, weights beside an array": (lambda: make_tiny().fit(X.to_numpy(), Y, back(W)), "y and sa"),
    "fit, weights of cells": (lambda: make_tiny().fit(X, Y, back(Y * 0 + 1.0)), "X and sample"),
    "validation_data": (
        lambda: make_tiny().fit(X, Y, validation_data=(X, back(Y))),
        "X of validation_data and y of validation_data",
    ),
    "weights of validation_data": (
        lambda: make_tiny().fit(X, Y, validation_data=(X, Y, back(W))),
        "X of validation_data and sample_weight of validation_data",
    ),
    "partial_fit": (
        lambda: make_tiny(classes=[[0, 1], [0, 1]]).partial_fit(X, back(Y)),
        "X and y",
    ),
    "score": (lambda: CLF.score(X, back(Y)), "X and y"),
    "score, weights": (lambda: CLF.score(X, Y, back(W)), "X and sample_weight"),
    "score of a task view": (lambda: CLF.task_view("a").score(X, back(Y)["a"]), "X and y"),
    "multitask_score": (lambda: multitask_score("accuracy", Y, back(P)), "y_true and y_pred"),
    "multitask_score, proba": (
        lambda: multitask_score("roc_auc", Y, back(PROBA)),
        "y_true and y_pred",
    ),
    "a scorer": (lambda: make_multitask_scorer("roc_auc")(CLF, X, back(Y)), "X and y"),
    "a report": (lambda: multitask_report(Y, back(P)), "y_true and y_pred"),
    "a report, proba": (lambda: multitask_report(Y, None, back(PROBA)), "y_true and y_proba"),
    "a report on an estimator": (
        lambda: MultiTaskReport.from_estimator(CLF, X, back(Y)),
        "X and y",
    ),
    "curves": (lambda: TaskRocCurveDisplay.from_estimator(CLF, X, back(Y)), "X and y"),
    "curves of predictions": (
        lambda: TaskRocCurveDisplay.from_predictions(Y, back(PROBA)),
        "y_true and y_proba",
    ),
    "curves, weights": (
        lambda: TaskRocCurveDisplay.from_predictions(Y, PROBA, sample_weight=back(W)),
        "y_true and sample_weight",
    ),
    "bars": (lambda: TaskScoresDisplay.from_estimator(CLF, X, back(Y)), "X and y"),
    "gradients": (lambda: TaskSimilarityDisplay.from_estimator(CLF, X, back(Y)), "X and y"),
    "folds": (lambda: list(MultiTaskStratifiedKFold(2).split(X, back(Y))), "X and y"),
    "folds of groups": (
        lambda: list(MultiTaskStratifiedGroupKFold(2).split(X, Y, back(GROUPS))),
        "X and groups",
    ),
    "train_test_split": (lambda: train_test_split(X, back(Y)), r"arrays\[0\] and arrays\[1\]"),
    "cross_val_predict": (lambda: cross_val_predict(make_tiny(), X, back(Y), cv=2), "X and y"),
}


@pytest.mark.filterwarnings("ignore:.*class.*are not in each")
@pytest.mark.parametrize(("call", "names"), CALLS.values(), ids=CALLS)
def test_another_order_of_rows_is_told(call, names):
    with pytest.warns(UserWarning, match=f"indexes of {names}.* hold the same labels in different"):
        call()


def test_rows_are_matched_by_position():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = make_tiny().fit(X, back(Y))
    by_position = make_tiny().fit(X, back(Y).set_axis(INDEX))
    np.testing.assert_array_equal(fitted.predict_proba(X)[0], by_position.predict_proba(X)[0])
