"""Scores and scorers over the labelled cells of each task."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import sklearn.metrics as skm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LearningCurveDisplay,
    ValidationCurveDisplay,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl._tasks import PerTask
from sk_mtl.metrics import (
    calibration_error,
    get_multitask_scorer,
    get_multitask_scorer_names,
    make_multitask_scorer,
    multitask_report,
    multitask_score,
    per_task_scorers,
)

LABEL_METRICS = ["accuracy", "balanced_accuracy", "f1", "precision", "recall", "matthews_corrcoef"]
PROBABILITY_METRICS = [
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier_score",
    "calibration_error",
]
LOSSES = ["log_loss", "brier_score", "calibration_error"]
NEED_TWO_CLASSES = ["roc_auc", "average_precision", "matthews_corrcoef"]

# Labels of three tasks (two, three and two classes), the third in text, and predictions of them.
Y = pd.DataFrame(
    {
        "a": [0, 1, 1, 0, 1, 0, np.nan, 1, np.nan, 0],
        "b": [2, 5, 7, 2, np.nan, np.nan, 5, 7, 5, np.nan],
        "c": ["x", "y", None, "y", "x", None, "x", "y", None, "y"],
    }
)
CLASSES = PerTask([np.array([0, 1]), np.array([2, 5, 7]), np.array(["x", "y"])], Y.columns)


def swap(values):
    """Return an array in the byte order that the machine does not have."""
    return values.astype(values.dtype.newbyteorder("S"))


def make_predictions(seed=0):
    """Probabilities of the three tasks, and the most probable labels."""
    n_samples = len(Y)
    rng = np.random.RandomState(seed)
    proba = PerTask([rng.dirichlet(np.ones(len(c)), n_samples) for c in CLASSES], Y.columns)
    labels = pd.DataFrame(
        {t: c[p.argmax(axis=1)] for (t, c), p in zip(CLASSES.items(), proba, strict=True)}
    )
    return labels, proba


LABELS, PROBA = make_predictions()


def predictions_for(metric):
    return LABELS if metric in LABEL_METRICS else PROBA


def score(metric, y_true=Y, y_pred=None, classes=CLASSES, **params):
    y_pred = predictions_for(metric) if y_pred is None else y_pred
    return multitask_score(metric, y_true, y_pred, classes=classes, **params)


def score_by_sklearn(metric, true, predicted, weight=None):
    """What scikit-learn says of complete labels of one task, coded 0, 1, ..."""
    n_classes = 2 if metric in LABEL_METRICS else predicted.shape[1]
    if metric in ("f1", "precision", "recall"):
        n_classes = len(np.unique(true))
        average = "binary" if n_classes == 2 else "macro"
        function = getattr(skm, f"{metric}_score")
        return function(true, predicted, average=average, sample_weight=weight, zero_division=0)
    if metric in LABEL_METRICS:
        name = metric if metric == "matthews_corrcoef" else f"{metric}_score"
        return getattr(skm, name)(true, predicted, sample_weight=weight)
    if metric == "log_loss":
        return skm.log_loss(true, predicted, sample_weight=weight)
    if metric == "calibration_error":
        return calibration_error(true, predicted, sample_weight=weight)
    if metric == "brier_score" and n_classes > 2:
        onehot = np.eye(n_classes)[true]
        return np.average(((predicted - onehot) ** 2).sum(axis=1), weights=weight)
    function = {
        "brier_score": skm.brier_score_loss,
        "roc_auc": skm.roc_auc_score,
        "average_precision": skm.average_precision_score,
    }[metric]
    if n_classes == 2:
        return function(true, predicted[:, 1], sample_weight=weight)
    options = {"multi_class": "ovr"} if metric == "roc_auc" else {}
    if metric == "roc_auc" and weight is not None:
        options["average"] = "macro"
    return function(true, predicted, sample_weight=weight, **options)


# -- One task, against scikit-learn --------------------------------------------------------------


@pytest.mark.parametrize("metric", LABEL_METRICS + PROBABILITY_METRICS)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_score_of_each_task_is_scikit_learns_on_its_labelled_cells(metric, weighted):
    weight = np.random.RandomState(1).uniform(0.5, 2, len(Y)) if weighted else None
    found = score(metric, average=None, sample_weight=weight)

    for task, classes in CLASSES.items():
        rows = Y[task].notna().to_numpy()
        true = np.searchsorted(classes, Y[task][rows].to_numpy(dtype=classes.dtype))
        predicted = predictions_for(metric)[task][rows]
        if metric in LABEL_METRICS:
            predicted = np.searchsorted(classes, predicted)
        expected = score_by_sklearn(
            metric, true, predicted, None if weight is None else weight[rows]
        )
        assert_allclose(found[task], expected, rtol=1e-12, err_msg=task)


@pytest.mark.skipif(
    sklearn.__version__.startswith("1.6."),
    reason="brier_score_loss takes more than two classes since scikit-learn 1.7",
)
def test_brier_score_of_many_classes_is_scikit_learns():
    rows = Y["b"].notna().to_numpy()
    expected = skm.brier_score_loss(Y["b"][rows], PROBA["b"][rows])

    assert_allclose(score("brier_score", average=None)["b"], expected)


def test_function_is_called_with_the_users_labels_and_its_parameters():
    found = score(
        skm.fbeta_score,
        Y[["c"]],
        LABELS[["c"]],
        classes=None,
        metric_params={"beta": 2, "pos_label": "x"},
    )
    rows = Y["c"].notna()

    assert found == skm.fbeta_score(Y["c"][rows], LABELS["c"][rows], beta=2, pos_label="x")


def test_function_gets_the_probabilities_of_the_second_class_of_two():
    found = score(
        skm.brier_score_loss, Y["a"], PROBA["a"], CLASSES["a"], response_method="predict_proba"
    )

    assert_allclose(found, score("brier_score", Y["a"], PROBA["a"], CLASSES["a"]))


def test_function_that_gives_nan_leaves_the_task_out():
    def fickle(y_true, y_pred):
        return np.nan if "x" in y_true else 1.0

    with pytest.warns(UndefinedMetricWarning, match=r"fickle .* 'c' \(the metric gives NaN\)"):
        assert score(fickle, y_pred=LABELS) == 1.0


def test_parameters_reach_the_metric():
    coarse, fine = (
        score("calibration_error", metric_params={"n_bins": n_bins}) for n_bins in (1, 50)
    )

    assert coarse < fine
    assert score("f1", metric_params={"average": "weighted"}) != score("f1")


def test_f1_of_two_classes_is_that_of_the_second_in_sorted_order():
    found = score("f1", Y["c"], LABELS["c"], CLASSES["c"])
    rows = Y["c"].notna()

    assert found == skm.f1_score(Y["c"][rows], LABELS["c"][rows], pos_label="y")


# -- The mean over tasks -------------------------------------------------------------------------


def test_macro_average_is_the_mean_over_tasks():
    assert_allclose(score("accuracy"), np.mean(list(score("accuracy", average=None).values())))


def test_weighted_average_weights_tasks_by_their_labelled_cells():
    by_task = score("accuracy", average=None)

    expected = np.average(list(by_task.values()), weights=Y.notna().sum())
    assert_allclose(score("accuracy", average="weighted"), expected)


def test_weighted_average_weights_tasks_by_the_weight_of_their_cells():
    weight = np.tile([1.0, 2.0, 3.0], (len(Y), 1))
    by_task = score("accuracy", average=None, sample_weight=weight)

    expected = np.average(list(by_task.values()), weights=Y.notna().sum() * [1, 2, 3])
    assert_allclose(score("accuracy", average="weighted", sample_weight=weight), expected)


def test_cell_of_weight_zero_does_not_count():
    weight = np.ones(Y.shape)
    weight[0, 0] = 0
    with_hole = Y.copy()
    with_hole.loc[0, "a"] = np.nan

    assert score("f1", sample_weight=weight) == score("f1", with_hole)


@pytest.mark.parametrize("metric", LOSSES)
def test_neg_in_front_of_a_loss_negates_it(metric):
    assert score(f"neg_{metric}", y_pred=PROBA) == -score(metric) < 0


# -- Tasks that are left out ---------------------------------------------------------------------


@pytest.mark.parametrize("metric", LABEL_METRICS + PROBABILITY_METRICS)
def test_task_without_labelled_cells_is_left_out_with_a_warning(metric):
    empty = Y.assign(b=np.nan)
    by_task = score(metric, average=None)

    with pytest.warns(UndefinedMetricWarning, match=r"1 of 3 .*'b' \(no labelled cell\)") as caught:
        found = score(metric, empty)
    assert len(caught) == 1
    assert_allclose(found, (by_task["a"] + by_task["c"]) / 2)


@pytest.mark.parametrize("metric", NEED_TWO_CLASSES)
def test_task_with_one_class_is_left_out_where_the_metric_needs_two(metric):
    one_class = Y.assign(c=Y["c"].where(Y["c"] == "x"))
    by_task = score(metric, average=None)

    with pytest.warns(UndefinedMetricWarning, match=r"'c' \(only class 'x' in its labelled cells"):
        assert_allclose(score(metric, one_class), (by_task["a"] + by_task["b"]) / 2)


@pytest.mark.parametrize(
    "metric", [m for m in LABEL_METRICS + PROBABILITY_METRICS if m not in NEED_TWO_CLASSES]
)
def test_task_with_one_class_counts_where_the_metric_does_not_need_two(metric):
    one_class = Y.assign(c=Y["c"].where(Y["c"] == "y"))

    assert np.isfinite(score(metric, one_class, average=None)["c"])


@pytest.mark.parametrize("metric", ["f1", "precision", "recall"])
def test_binary_task_without_its_positive_class_is_left_out(metric):
    one_class = Y.assign(a=Y["a"].where(Y["a"] == 0))

    with pytest.warns(UndefinedMetricWarning, match=r"'a' \(no labelled cell of its positive cl"):
        score(metric, one_class)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_score_is_nan_when_every_task_is_left_out(average):
    with pytest.warns(UndefinedMetricWarning, match="3 of 3 .* so that the score is NaN"):
        assert np.isnan(score("accuracy", Y.mask(Y.notna()), average=average))


def test_score_per_task_is_nan_for_a_task_that_is_left_out():
    with pytest.warns(UndefinedMetricWarning, match="scored as NaN"):
        found = score("accuracy", Y.assign(b=np.nan), average=None)

    assert np.isnan(found["b"])
    assert np.isfinite([found["a"], found["c"]]).all()


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc"])
def test_task_without_predictions_is_left_out_with_a_warning(metric):
    if metric == "accuracy":
        predicted = LABELS.assign(b=np.nan)
    else:
        predicted = PerTask([PROBA[0], PROBA[1] * np.nan, PROBA[2]], Y.columns)

    with pytest.warns(UndefinedMetricWarning, match=r"'b' \(no prediction\)"):
        score(metric, y_pred=predicted)


def test_cells_without_predictions_are_left_out_with_a_warning_that_counts_them():
    predicted = LABELS.astype(object)
    predicted.loc[:1, "a"] = None

    with pytest.warns(UndefinedMetricWarning, match=r"without a prediction .* 'a' \(2\)"):
        found = score("accuracy", y_pred=predicted)
    assert found == score("accuracy", Y.assign(a=Y["a"].mask(Y.index <= 1)))


def test_multi_class_roc_auc_is_the_mean_over_the_classes_that_are_there():
    two = Y["b"].where(Y["b"] != 7)
    rows = two.notna().to_numpy()
    expected = [
        skm.roc_auc_score(two[rows] == label, PROBA["b"][rows, j]) for j, label in enumerate([2, 5])
    ]

    assert_allclose(score("roc_auc", two, PROBA["b"], CLASSES["b"]), np.mean(expected))


# -- Labels that the model does not know ---------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("accuracy", 2 / 3), ("balanced_accuracy", 2 / 3), ("f1", 2 / 3)],
)
def test_unknown_label_counts_as_an_error(metric, expected):
    found = multitask_score(metric, ["a", "b", "z"], ["a", "b", "b"], classes=np.array(["a", "b"]))

    if metric == "f1":  # classes a, b, z: 1, 2/3, 0
        expected = (1 + 2 / 3) / 3
    assert_allclose(found, expected)


@pytest.mark.parametrize("metric", PROBABILITY_METRICS)
def test_unknown_label_has_probability_zero(metric):
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    found = multitask_score(metric, ["a", "b", "z"], proba, classes=np.array(["a", "b"]))

    padded = np.column_stack([proba, np.zeros(3)])
    assert_allclose(found, multitask_score(metric, ["a", "b", "z"], padded))


def test_task_trained_on_one_class_is_scored_when_the_test_has_another():
    y, proba = ["a", "a", "b"], np.ones((3, 1))

    assert multitask_score("roc_auc", y, proba, classes=np.array(["a"])) == 0.5
    assert_allclose(multitask_score("accuracy", y, ["a"] * 3), 2 / 3)
    assert multitask_score("log_loss", ["a"] * 3, proba, classes=np.array(["a"])) < 1e-12


# -- Forms of y and of predictions ---------------------------------------------------------------


def as_lists(labels):
    return labels.astype(object).where(labels.notna(), None).to_numpy().tolist()


@pytest.mark.parametrize("metric", ["f1", "log_loss"])
@pytest.mark.parametrize(
    "convert",
    [
        lambda y: y.astype("string"),
        lambda y: y.astype("category"),
        lambda y: y.astype(object).to_numpy(),
        lambda y: y.astype(object).where(y.notna(), "none").to_numpy(),
        as_lists,
        lambda y: pl.DataFrame(y.astype("string")),
    ],
    ids=["string", "category", "array", "sentinel", "list", "polars"],
)
def test_score_does_not_depend_on_the_container_of_y(metric, convert):
    text = Y.copy()
    text["a"], text["b"] = (text[t].map({0: "0", 1: "1", 2: "2", 5: "5", 7: "7"}) for t in "ab")
    predicted = LABELS.astype(str) if metric == "f1" else PROBA

    found = score(metric, convert(text), predicted, classes=None, missing_label="none")
    assert_allclose(found, score(metric, text, predicted, classes=None))


@pytest.mark.parametrize(
    "convert",
    [
        list,
        dict,
        lambda p: dict(reversed(list(p.items()))),
        lambda p: PerTask(p[::-1], p.task_names[::-1]),
        lambda p: pd.concat({t: pd.DataFrame(v, columns=CLASSES[t]) for t, v in p.items()}, axis=1),
    ],
    ids=["list", "mapping", "mapping reversed", "reversed", "frame"],
)
def test_probabilities_may_come_in_any_form(convert):
    proba = PerTask(list(PROBA), PROBA.task_names)
    proba.items()
    converted = convert(dict(proba.items()) if convert is dict else proba)

    assert score("log_loss", y_pred=converted) == score("log_loss")


def test_probabilities_of_binary_tasks_may_be_those_of_the_second_class():
    binary, full = Y[["a", "c"]], [PROBA["a"], PROBA["c"]]
    positive = np.column_stack([p[:, 1] for p in full])
    expected = score("log_loss", binary, full, classes=None)

    assert_allclose(score("log_loss", binary, positive, classes=None), expected)
    frame = pd.DataFrame(positive, columns=["a", "c"])[["c", "a"]]
    assert_allclose(score("log_loss", binary, frame, classes=None), expected)


def test_score_of_1d_y_is_that_of_its_task():
    by_task = score("roc_auc", average=None)

    assert score("roc_auc", Y["b"], PROBA["b"], CLASSES["b"]) == by_task["b"]
    assert score("roc_auc", Y["a"], PROBA["a"][:, 1], CLASSES["a"]) == by_task["a"]


def test_frames_are_matched_by_task_name():
    assert score("accuracy", Y[["c", "a", "b"]]) == score("accuracy")
    assert score("roc_auc", Y[["c", "a", "b"]]) == score("roc_auc")


@pytest.mark.parametrize("classes", [None, {"a": [0, 1]}])
def test_one_binary_task_may_have_one_column_of_probabilities(classes):
    Y = pd.DataFrame({"a": [0, 1, np.nan, 1, 0]})
    second = np.array([[0.2], [0.4], [0.9], [0.8], [0.5]])
    expected = multitask_score("log_loss", Y, [np.hstack([1 - second, second])])
    assert multitask_score("log_loss", Y, second, classes=classes) == expected


@pytest.mark.parametrize("metric", PROBABILITY_METRICS)
@pytest.mark.parametrize("weight", [None, np.arange(1.0, 11.0)])
def test_the_same_probabilities_have_the_same_score_in_any_dtype(metric, weight):
    single = [p.astype(np.float32) for p in PROBA]
    double = [p.astype(np.float64) for p in single]

    found = score(metric, y_pred=single, sample_weight=weight)
    assert found == score(metric, y_pred=double, sample_weight=weight)
    assert found == score(metric, y_pred=[swap(p) for p in single], sample_weight=weight)
    assert_allclose(found, score(metric, sample_weight=weight), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_label_of_probability_zero_costs_the_same_in_any_dtype(dtype):
    proba = np.array([[1, 0], [1, 0], [0.5, 0.5]], dtype=dtype)
    wanted = (0 + np.log(2.0**23) + np.log(2)) / 3  # float32's epsilon is 2**-23

    assert_allclose(multitask_score("log_loss", [0, 1, 0], proba), wanted)
    # As scikit-learn has it for the dtype of a network's probabilities.
    assert_allclose(skm.log_loss([0, 1, 0], proba.astype(np.float32)), wanted, rtol=1e-6)
    boot = multitask_report([0, 1, 0], y_proba=proba, metrics=["log_loss"], n_bootstraps=1)
    assert_allclose(boot.frame["log_loss", "score"]["y0"], wanted)


def test_an_unseen_label_costs_model_and_constant_the_same():
    # Both predict "new" with probability 0, and the others with their shares.
    proba = np.tile(np.array([0.5, 0.5], dtype=np.float32), (4, 1))
    report = multitask_report(
        ["a", "b", "new", "a"],
        y_proba=proba,
        y_train=["a", "b"],
        metrics=["log_loss", "brier_score"],
        n_bootstraps=20,
        random_state=0,
    )
    for metric in ("log_loss", "brier_score"):
        assert_allclose(report.frame[metric, "score"], report.frame[metric, "constant"])
    assert_allclose(report.frame["log_loss", "score"]["y0"], (3 * np.log(2) + np.log(2**23)) / 4)
    assert report.frame["log_loss", "upper"]["y0"] < np.log(2**23)


def test_a_function_gets_the_constant_in_the_dtype_of_the_model():
    scorer = make_multitask_scorer(
        skm.log_loss,
        response_method="predict_proba",
        greater_is_better=False,
        metric_params={"labels": ["a", "b", "new"]},
    )
    proba = np.tile(np.array([0.5, 0.5], dtype=np.float32), (4, 1))
    report = multitask_report(
        ["a", "b", "new", "a"], y_proba=proba, y_train=["a", "b"], metrics={"loss": scorer}
    )
    assert_allclose(report.frame["loss", "score"], report.frame["loss", "constant"], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_that_do_not_sum_to_one_are_warned_of_by_task(dtype):
    proba = np.array([[0.5, 0.3], [0.5, 0.5], [0.4, 0.6]], dtype=dtype)
    with pytest.warns(UserWarning, match=r"task 'y0' do not sum to 1 in 1 of 3 .* sums to 0\.8\."):
        multitask_score("log_loss", [0, 1, 0], proba)


def test_classes_of_zeros_and_ones_are_known_when_one_is_absent():
    proba = np.array([[0.5, 0.5], [0.25, 0.75]])

    assert_allclose(multitask_score("brier_score", [1, 1], proba), (0.25 + 0.0625) / 2)


def test_classes_of_a_categorical_column_are_its_categories():
    y = pd.Series(pd.Categorical(["a", "c", "a"], ["a", "b", "c"]))
    proba = np.array([[0.8, 0.1, 0.1], [0.3, 0.1, 0.6], [0.5, 0.2, 0.3]])

    expected = multitask_score("log_loss", y, proba, classes=np.array(["a", "b", "c"]))
    assert multitask_score("log_loss", y, proba) == expected


def test_a_probability_that_is_missing_for_some_classes_names_the_task():
    y = Y.copy()
    proba = PerTask([p.copy() for p in PROBA], Y.columns)
    proba["b"][4] = [0.5, np.nan, 0.5]  # the row has no label of the task
    assert multitask_score("log_loss", y, proba) == score("log_loss")
    proba["b"][2] = [0.5, np.nan, 0.5]
    for metric in PROBABILITY_METRICS:
        with pytest.raises(ValueError, match=r"task 'b' must be finite.* 1 labelled row.* row 2\."):
            multitask_score(metric, y, proba)


def test_calibration_error_compares_long_integers_by_value():
    labels, y_true = np.array([2**60 + 1, 2**60 + 2]), np.array([2**60 + 1, 2**60 + 1], dtype="u8")
    proba = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert calibration_error(y_true, proba, labels=labels) == 0.5


# -- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("auroc", Y, LABELS), "There is no metric 'auroc'. The names are accuracy"),
        (("accuracy", Y, LABELS[:-1]), "same number of rows. Got 10 and 9"),
        (("roc_auc", Y, [p[:-1] for p in PROBA]), "same number of rows. Got 10 and 9"),
        (("accuracy", Y, LABELS[["a", "b"]]), "one column per task of y_true, 3. Got 2"),
        (("roc_auc", Y, PROBA[:2]), "each of the 3 task"),
        (("accuracy", Y, LABELS.rename(columns={"a": "z"})), "missing: 'a'. Got 'z', 'b', 'c'"),
        (("accuracy", Y, list(PROBA)), "computed from predicted labels"),
        (("roc_auc", Y, LABELS), "computed from probabilities"),
        (("accuracy", Y["c"], Y["a"].fillna(0)), "cannot be compared: 'x' and 0.0"),
        (("brier_score", Y["b"], PROBA["b"] * 9), "Probabilities of task 'b' must be between 0"),
        (("log_loss", Y["b"], PROBA["b"] * 9), "Probabilities of task 'b' must be between 0"),
        (("calibration_error", Y["b"], PROBA["b"] * 9), "Probabilities of task 'b' must be"),
    ],
)
def test_score_refuses_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        multitask_score(*arguments)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"average": "micro"}, "'average' .* must be one of 'macro', 'weighted', None"),
        ({"response_method": "decision_function"}, "'response_method' .* must be"),
        ({"response_method": "predict_proba"}, "'accuracy' is computed from predict,"),
        ({"classes": [["a"]]}, "classes of each of the 3 task"),
        ({"sample_weight": np.ones(3)}, "sample_weight must have the shape"),
    ],
)
def test_score_refuses_parameters_that_do_not_fit(params, message):
    with pytest.raises(ValueError, match=message):
        multitask_score("accuracy", Y, LABELS, **params)


def test_score_asks_for_classes_when_columns_and_labels_do_not_agree():
    with pytest.raises(ValueError, match=r"3 column.* hold 2 class.* Pass the classes"):
        multitask_score("log_loss", Y["b"].where(Y["b"] != 7), PROBA["b"])


def test_score_refuses_a_metric_that_is_neither_name_nor_function():
    with pytest.raises(TypeError, match="metric must be a name or a function"):
        multitask_score(3, Y, LABELS)


# -- Calibration error ---------------------------------------------------------------------------


def test_calibration_error_is_the_mean_gap_between_accuracy_and_confidence_over_bins():
    # Confidences .75 (two of three right) and .55 (wrong): |2/3 - 3/4| * 3/4 + .55 * 1/4.
    proba = np.array([[0.75, 0.25], [0.25, 0.75], [0.75, 0.25], [0.55, 0.45]])

    assert_allclose(calibration_error([0, 1, 1, 1], proba, n_bins=10), 0.0625 + 0.1375)


def test_calibration_error_puts_the_edge_of_a_bin_into_the_lower_one():
    proba = np.array([[0.6, 0.4], [0.5, 0.5]])  # (0.4, 0.6] holds both with five bins

    assert_allclose(calibration_error([0, 1], proba, n_bins=5), abs(1 - 1.1) / 2)


def test_calibration_error_is_zero_for_certain_and_right_predictions():
    assert calibration_error(["a", "b"], np.eye(2)) == 0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_bins": 0}, "'n_bins' .* must be an integer >= 1"),
        ({"labels": ["a", "b", "c"]}, r"2 column\(s\), 3 label"),
        ({"sample_weight": [1]}, "inconsistent numbers of samples"),
    ],
)
def test_calibration_error_refuses_what_does_not_fit(params, message):
    with pytest.raises(ValueError, match=message):
        calibration_error(["a", "b"], np.eye(2), **params)


# -- Scorers -------------------------------------------------------------------------------------


class Constant(BaseEstimator):
    """Predicts what it is given, whatever X; `classes_` are those of the tasks."""

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, X, y, sample_weight=None):
        self.classes_ = CLASSES
        return self

    def predict(self, X):
        return make_predictions(self.seed)[0].iloc[np.asarray(X)[:, 0].astype(int)]

    def predict_proba(self, X):
        rows = np.asarray(X)[:, 0].astype(int)
        return PerTask([p[rows] for p in make_predictions(self.seed)[1]], Y.columns)


X = np.arange(len(Y), dtype=float).reshape(-1, 1)
fold_warnings = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.UndefinedMetricWarning",
    "ignore:One or more of the test scores are non-finite:UserWarning",
)


@pytest.mark.parametrize("name", get_multitask_scorer_names())
def test_scorer_gives_the_score_of_the_predictions(name):
    y_pred = LABELS if name in LABEL_METRICS else PROBA

    assert get_multitask_scorer(name)(Constant().fit(X, Y), X, Y) == score(name, y_pred=y_pred)


@pytest.mark.parametrize("name", get_multitask_scorer_names())
def test_scorer_is_greater_for_better_predictions(name):
    class Truth(Constant):
        def predict(self, X):
            return Y.fillna({"a": 0, "b": 2, "c": "x"})

        def predict_proba(self, X):
            labels = self.predict(X)
            return [
                np.where(labels[t].to_numpy()[:, None] == c, 1.0, 0.0) for t, c in CLASSES.items()
            ]

    scorer = get_multitask_scorer(name)
    assert scorer(Truth().fit(X, Y), X, Y) > scorer(Constant().fit(X, Y), X, Y)


def test_scorer_reads_through_pipelines_and_searches():
    model = GridSearchCV(
        make_pipeline("passthrough", Constant()),
        {"constant__seed": [0]},
        cv=2,
        scoring=lambda *a: 1,
    )

    assert make_multitask_scorer("roc_auc")(model.fit(X, Y), X, Y) == score("roc_auc")


def test_scorer_scores_one_task():
    model = Constant().fit(X, Y)
    by_task = score("roc_auc", average=None)

    assert make_multitask_scorer("roc_auc", task="b")(model, X, Y) == by_task["b"]
    assert make_multitask_scorer("roc_auc", task=1)(model, X, Y) == by_task["b"]


def test_scorer_of_one_task_says_nothing_of_others():
    model = Constant().fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_multitask_scorer("roc_auc", task="b")(model, X, Y.assign(a=np.nan))


def test_scorer_without_average_gives_each_task_and_the_mean():
    found = make_multitask_scorer("roc_auc", average=None)(Constant().fit(X, Y), X, Y)

    assert found == {**score("roc_auc", average=None), "mean": score("roc_auc")}


def test_scorer_of_a_function_that_falls_is_negated():
    scorer = make_multitask_scorer(skm.hamming_loss, greater_is_better=False)

    assert_allclose(scorer(Constant().fit(X, Y), X, Y), score("accuracy") - 1)


def test_scorer_takes_weights_by_row_and_by_cell():
    model, weight = Constant().fit(X, Y), np.random.RandomState(0).rand(*Y.shape)
    scorer = make_multitask_scorer("accuracy", average="weighted")

    for w in (weight, weight[:, 0]):
        expected = score("accuracy", average="weighted", sample_weight=w)
        assert scorer(model, X, Y, sample_weight=w) == expected


@pytest.mark.parametrize("copy", [clone, lambda s: pickle.loads(pickle.dumps(s))])
def test_scorer_survives_clone_and_pickle(copy):
    scorer = make_multitask_scorer(
        "calibration_error".join(["neg_", ""]), average="weighted", metric_params={"n_bins": 3}
    )
    model = Constant().fit(X, Y)

    assert copy(scorer)(model, X, Y) == scorer(model, X, Y)
    assert copy(scorer).get_params() == scorer.get_params()


def test_scorer_has_a_short_repr():
    assert repr(make_multitask_scorer("f1", task="b")) == "MultiTaskScorer(metric='f1', task='b')"


def test_scorer_scores_ordinary_classifiers_of_1d_y():
    y = np.array(["u", "v"] * 5)
    model = GaussianNB().fit(X, y)
    scorer = make_multitask_scorer("roc_auc")

    assert scorer(model, X, y) == skm.get_scorer("roc_auc")(model, X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("metric", ["accuracy", "roc_auc"])
def test_scorer_scores_other_estimators_of_several_outputs(metric):
    complete = np.column_stack([np.arange(10) % 2, np.arange(10) // 5])
    scorer = make_multitask_scorer(metric)

    forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(X, complete)
    assert scorer(forest, X, complete) > 0.8
    network = MLPClassifier(max_iter=20, random_state=0).fit(X, complete)
    assert 0 <= scorer(network, X, complete) <= 1


@pytest.mark.parametrize("metric", LOSSES)
def test_scorer_refuses_a_loss(metric):
    with pytest.raises(ValueError, match=f"use 'neg_{metric}'"):
        make_multitask_scorer(metric)


def test_scorer_refuses_a_direction_for_a_name():
    with pytest.raises(ValueError, match="'accuracy' is a name, whose"):
        make_multitask_scorer("accuracy", greater_is_better=False)


def test_scorer_refuses_a_task_that_is_not_there():
    with pytest.raises(ValueError, match="no task 'd'"):
        make_multitask_scorer("accuracy", task="d")(Constant().fit(X, Y), X, Y)


def test_scorer_without_average_refuses_a_task_called_mean():
    y = Y.rename(columns={"a": "mean"})
    model = Constant().fit(X, Y)
    model.predict = lambda X: LABELS.rename(columns={"a": "mean"})
    model.classes_ = PerTask(CLASSES, y.columns)

    with pytest.raises(ValueError, match="name of a task"):
        make_multitask_scorer("accuracy", average=None)(model, X, y)


def test_per_task_scorers_are_those_of_each_task_and_the_mean():
    model = Constant().fit(X, Y)
    found = {t: s(model, X, Y) for t, s in per_task_scorers("roc_auc", Y.columns).items()}

    assert found == make_multitask_scorer("roc_auc", average=None)(model, X, Y)


def test_per_task_scorers_refuse_a_task_called_mean():
    with pytest.raises(ValueError, match="rename the task"):
        per_task_scorers("accuracy", ["a", "mean"])


# -- Scorers in scikit-learn ---------------------------------------------------------------------


@fold_warnings
@pytest.mark.parametrize(
    ("scoring", "refit", "key"),
    [
        (make_multitask_scorer("roc_auc"), True, "mean_test_score"),
        (make_multitask_scorer("accuracy", average=None), "mean", "mean_test_b"),
        (per_task_scorers("accuracy", Y.columns), "mean", "mean_test_b"),
        ({"auc": get_multitask_scorer("roc_auc")}, "auc", "mean_test_auc"),
    ],
    ids=["one number", "callable with tasks", "scorer per task", "dict"],
)
def test_scorer_serves_a_grid_search(scoring, refit, key):
    search = GridSearchCV(
        make_pipeline(StandardScaler(with_mean=False, with_std=False), Constant()),
        {"constant__seed": [0, 1, 2]},
        cv=KFold(2),
        scoring=scoring,
        refit=refit,
        error_score="raise",
    ).fit(X, Y)

    assert np.isfinite(search.cv_results_[key]).any()
    assert search.best_params_["constant__seed"] in (0, 1, 2)


@fold_warnings
def test_scorer_serves_cross_validate():
    scores = cross_validate(
        Constant(), X, Y, cv=2, scoring=make_multitask_scorer("accuracy", average=None)
    )

    assert [k for k in scores if k[:5] == "test_"] == ["test_a", "test_b", "test_c", "test_mean"]


@fold_warnings
def test_weights_are_routed_to_the_scorer():
    weight = np.where(np.arange(len(Y)) % 2, 5.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        found = cross_val_score(
            Constant().set_fit_request(sample_weight=False),
            X,
            Y,
            cv=KFold(2),
            scoring=make_multitask_scorer("accuracy").set_score_request(sample_weight=True),
            params={"sample_weight": weight},
        )

    expected = [
        score("accuracy", Y.iloc[rows], LABELS.iloc[rows], sample_weight=weight[rows])
        for _, rows in KFold(2).split(Y)
    ]
    assert_allclose(found, expected)


@fold_warnings
def test_scorer_is_known_to_accept_weights_by_a_search_without_routing():
    search = GridSearchCV(
        Constant(), {"seed": [0]}, cv=2, scoring=make_multitask_scorer("accuracy")
    )

    search.fit(X, Y, sample_weight=np.ones(len(Y)))  # would warn otherwise


def test_scorer_asks_for_nothing_but_weights():
    with sklearn.config_context(enable_metadata_routing=True):
        requests = make_multitask_scorer("accuracy").get_metadata_routing().score.requests

    assert requests == {"sample_weight": None}


def test_scorer_refuses_weights_that_were_not_asked_for_with_routing():
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match="sample_weight"),
    ):
        cross_val_score(
            Constant(),
            X,
            Y,
            scoring=make_multitask_scorer("accuracy"),
            params={"sample_weight": np.ones(len(Y))},
            error_score="raise",
        )


# -- Laws ----------------------------------------------------------------------------------------


@st.composite
def tables(draw):
    """Codes of one to four tasks, a mask, and probabilities; every class labelled twice."""
    n_tasks = draw(st.integers(1, 4))
    rng = np.random.RandomState(draw(st.integers(0, 10_000)))
    n_classes = rng.randint(2, 5, n_tasks)
    n_samples = draw(st.integers(10, 25))
    codes = np.column_stack([rng.permutation(np.arange(n_samples) % k) for k in n_classes])
    mask = rng.rand(n_samples, n_tasks) < draw(st.floats(0.2, 1))
    for t, k in enumerate(n_classes):
        for code in range(k):
            mask[np.flatnonzero(codes[:, t] == code)[:2], t] = True
    proba = [rng.dirichlet(np.ones(k), n_samples) for k in n_classes]
    return codes, mask, proba


def score_table(metric, codes, mask, proba, **params):
    predicted = proba
    if metric in LABEL_METRICS:
        predicted = np.column_stack([p.argmax(axis=1) for p in proba])
    elif len(proba) == 1:
        predicted = proba[0]
    classes = [np.arange(p.shape[1]) for p in proba]
    y_true = np.where(mask, codes.astype(float), np.nan)
    return multitask_score(metric, y_true, predicted, classes=classes, **params)


metrics = st.sampled_from(LABEL_METRICS + PROBABILITY_METRICS)


@pytest.mark.slow
@settings(max_examples=60)
@given(tables(), metrics, st.randoms(use_true_random=False))
def test_permuting_tasks_permutes_scores(table, metric, random):
    codes, mask, proba = table
    order = list(range(len(proba)))
    random.shuffle(order)
    before = list(score_table(metric, *table, average=None).values())
    after = score_table(
        metric, codes[:, order], mask[:, order], [proba[t] for t in order], average=None
    )

    assert list(after.values()) == [before[t] for t in order]


@pytest.mark.slow
@settings(max_examples=60)
@given(tables(), metrics, st.sampled_from(["macro", "weighted"]))
def test_masked_cells_have_no_influence(table, metric, average):
    codes, mask, proba = table
    rng = np.random.RandomState(0)
    under = np.where(mask, codes, rng.randint(0, 99, codes.shape))
    garbled = [
        np.where(mask[:, [t]], p, rng.dirichlet(np.ones(p.shape[1]), len(p)))
        for t, p in enumerate(proba)
    ]
    weight = np.where(mask, 1.5, rng.rand(*mask.shape))
    constant = np.full(mask.shape, 1.5)

    expected = score_table(metric, *table, average=average, sample_weight=constant)
    found = score_table(metric, under, mask, garbled, average=average, sample_weight=weight)
    assert found == expected


@pytest.mark.slow
@settings(max_examples=60)
@given(tables(), metrics, st.sampled_from(["macro", "weighted"]))
def test_duplicating_a_row_equals_weight_two(table, metric, average):
    codes, mask, proba = table
    weight = np.random.RandomState(0).randint(1, 3, len(codes))
    rows = np.repeat(np.arange(len(codes)), weight)

    weighted = score_table(metric, *table, average=average, sample_weight=weight)
    repeated = score_table(
        metric, codes[rows], mask[rows], [p[rows] for p in proba], average=average
    )
    assert_allclose(weighted, repeated, rtol=1e-9, atol=1e-12)


@settings(max_examples=60)
@given(tables(), metrics)
def test_score_equals_scikit_learns_when_no_label_is_missing(table, metric):
    codes, mask, proba = table
    found = score_table(metric, codes, np.ones_like(mask), proba, average=None)

    for t, value in enumerate(found.values()):
        predicted = proba[t].argmax(axis=1) if metric in LABEL_METRICS else proba[t]
        assert_allclose(value, score_by_sklearn(metric, codes[:, t], predicted), rtol=1e-12)


# ------------------------------------------------------------------------------------------------
# scikit-learn's displays of curves
# ------------------------------------------------------------------------------------------------


def my_metric(y_true, y_pred):
    return float(np.mean(y_true == y_pred))


@pytest.mark.parametrize(
    ("metric", "options", "name"),
    [
        ("roc_auc", {}, "roc_auc"),
        ("neg_log_loss", {"task": "a"}, "neg_log_loss"),
        (my_metric, {}, "my_metric"),
        (my_metric, {"greater_is_better": False}, "neg_my_metric"),
    ],
)
def test_scorer_has_the_name_of_its_metric(metric, options, name):
    assert make_multitask_scorer(metric, **options).__name__ == name


@pytest.mark.slow_except(
    "learning-neg_log_loss-Negative log loss", "validation-neg_log_loss-Negative log loss"
)
@pytest.mark.parametrize(
    ("metric", "label"), [("accuracy", "Accuracy"), ("neg_log_loss", "Negative log loss")]
)
@pytest.mark.parametrize("curve", ["learning", "validation"])
def test_curves_of_scikit_learn_are_labelled_by_the_scorer(curve, metric, label):
    plt = pytest.importorskip("matplotlib.pyplot")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = pd.DataFrame({"a": X[:, 0] > 0, "b": X[:, 1] > 0}).astype(object)
    y = y.mask(rng.random(y.shape) < 0.2)
    clf = MultiTaskClassifier(hidden_layer_sizes=(2,), epochs=1, batch_size=64, random_state=0)
    common = {"cv": 2, "scoring": make_multitask_scorer(metric)}
    if curve == "learning":
        display = LearningCurveDisplay.from_estimator(clf, X, y, train_sizes=[0.5, 1.0], **common)
    else:
        display = ValidationCurveDisplay.from_estimator(
            clf, X, y, param_name="dropout", param_range=[0.0, 0.5], **common
        )
    assert display.ax_.get_ylabel() == label
    assert np.isfinite(display.test_scores).all()
    plt.close("all")


@pytest.mark.parametrize("names", [[1, 2], ["y1", "y0"]], ids=str)
def test_labels_in_an_array_have_the_names_of_the_predictions(names):
    truth = pd.DataFrame(np.arange(80).reshape(40, 2) % 3 // 2, columns=names)
    found = truth.copy()
    found.loc[:9, names[0]] = 1 - found.loc[:9, names[0]]
    proba = PerTask([np.eye(2)[found[name]] for name in names], names)
    for y in (truth, truth.to_numpy()):
        scores = multitask_score("accuracy", y, found, average=None)
        assert scores == {names[0]: 0.75, names[1]: 1.0}
        scores = multitask_score("brier_score", y, proba, average=None)
        assert scores == {names[0]: 0.25, names[1]: 0.0}


@pytest.mark.slow_except("[[]'y1', 'y0']")
@pytest.mark.parametrize("names", [[1, 2], ["y1", "y0"]], ids=str)
def test_labels_in_an_array_have_the_names_of_the_estimators_tasks(names):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 2)), rng.integers(2, size=(60, 2))
    Y[:20, 0] = 9
    frame = pd.DataFrame(Y, columns=names)
    for y in (frame, frame[names[0]]):
        missing = {names[0]: 9}
        clf = MultiTaskClassifier((2,), epochs=1, missing_label=missing, random_state=0).fit(X, y)
        scorer = make_multitask_scorer("accuracy", task=names[0], missing_label=missing)
        predicted = np.asarray(clf.predict(X)).reshape(60, -1)[:, 0]
        expected = np.mean(predicted[20:] == Y[20:, 0])
        assert scorer(clf, X, y.to_numpy()) == scorer(clf, X, y) == pytest.approx(expected)
