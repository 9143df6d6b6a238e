"""Reports: labels and scores of each task, beside the constant predictor's."""

import json
import pickle
import re
import unicodedata
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.metrics as skm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.linear_model import Perceptron
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sk_mtl import MultiTaskClassifier
from sk_mtl._tasks import PerTask
from sk_mtl.metrics import (
    MultiTaskReport,
    make_multitask_scorer,
    multitask_report,
    multitask_score,
)
from sk_mtl.metrics._report.bootstrap import draw_row_counts, score_resamples
from sk_mtl.metrics._task_metrics import METRICS, TaskCells, UndefinedScore, find_metric

LABEL_METRICS = ["accuracy", "balanced_accuracy", "f1", "matthews_corrcoef"]
PROBABILITY_METRICS = [
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier_score",
    "calibration_error",
]

# Labels of three tasks (two, three and two classes), the third in text, and predictions of them.
Y = pd.DataFrame(
    {
        "a": [0, 1, 1, 0, 1, 0, np.nan, 1, np.nan, 0],
        "b": [2, 5, 7, 2, np.nan, np.nan, 5, 7, 5, np.nan],
        "c": ["x", "y", None, "y", "x", None, "x", "y", None, "y"],
    }
)
CLASSES = PerTask([np.array([0, 1]), np.array([2, 5, 7]), np.array(["x", "y"])], Y.columns)
_rng = np.random.RandomState(0)
PROBA = PerTask([_rng.dirichlet(np.ones(len(c)), len(Y)) for c in CLASSES], Y.columns)
LABELS = pd.DataFrame(
    {t: c[p.argmax(axis=1)] for (t, c), p in zip(CLASSES.items(), PROBA, strict=True)}
)


def report(y_true=Y, y_pred=LABELS, y_proba=PROBA, classes=CLASSES, **options):
    return multitask_report(y_true, y_pred, y_proba, classes=classes, **options)


def metric_names(made):
    return [name for name in made.frame.columns.get_level_values(0).unique() if name != "labels"]


# -- The numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_scores_and_their_mean_are_those_of_multitask_score(metric, weighted):
    weight = np.random.RandomState(1).uniform(0.5, 2, Y.shape) if weighted else None
    scores = report(metrics=metric, sample_weight=weight).frame[metric, "score"]

    predicted = LABELS if METRICS[metric].response_method == "predict" else PROBA
    settings = {"classes": CLASSES, "sample_weight": weight}
    expected = multitask_score(metric, Y, predicted, average=None, **settings)
    assert scores.to_dict() == {
        **expected,
        "mean": multitask_score(metric, Y, predicted, **settings),
    }


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_constant_is_the_score_of_scikit_learns_dummy_classifier(metric, weighted):
    weight = np.random.RandomState(1).uniform(0.5, 2, len(Y)) if weighted else None
    found = report(metrics=metric, sample_weight=weight).frame[metric, "constant"]

    for task in Y:
        rows = Y[task].notna().to_numpy()
        y = Y[task][rows].to_numpy(dtype=CLASSES[task].dtype)
        w = None if weight is None else weight[rows]
        dummy = DummyClassifier(strategy="prior").fit(y[:, None], y, sample_weight=w)
        predicted = getattr(dummy, METRICS[metric].response_method)(y[:, None])
        expected = multitask_score(metric, y, predicted, sample_weight=w)
        assert_allclose(found[task], expected, rtol=1e-12, err_msg=task)


def test_constant_of_log_loss_is_the_entropy_and_of_roc_auc_a_half():
    frame = report(metrics=["log_loss", "roc_auc"]).frame

    shares = Y["b"].value_counts(normalize=True)
    assert_allclose(frame.loc["b", ("log_loss", "constant")], -(shares * np.log(shares)).sum())
    assert_array_equal(frame["roc_auc", "constant"], 0.5)


def test_labels_are_counted():
    made = report()

    assert made.frame["labels", "n_labelled"].to_list() == [8, 7, 7, pd.NA]
    assert_allclose(made.frame["labels", "coverage"], [0.8, 0.7, 0.7, 2.2 / 3])
    assert made.frame["labels", "n_classes"].to_list() == [2, 3, 2, pd.NA]
    assert made.class_counts["count"].to_dict() == {
        ("a", 0): 4,
        ("a", 1): 4,
        ("b", 2): 2,
        ("b", 5): 3,
        ("b", 7): 2,
        ("c", "x"): 3,
        ("c", "y"): 4,
    }
    assert_allclose(made.class_counts["share"].groupby("task").sum(), 1)


def test_class_that_only_the_model_knows_is_counted_as_zero():
    made = report(Y.assign(b=Y["b"].where(Y["b"] != 7)), metrics="log_loss")

    assert made.class_counts.loc["b", "count"].to_dict() == {2: 2, 5: 3, 7: 0}


def test_shares_are_weighted_and_counts_are_not():
    weight = np.where(Y["a"] == 1, 3.0, 1.0)
    counts = report(sample_weight=weight).class_counts.loc["a"]

    assert counts["count"].to_list() == [4, 4]
    assert_allclose(counts["share"], [0.25, 0.75])


def test_cell_of_weight_zero_is_no_labelled_cell():
    weight = np.ones(Y.shape)
    weight[0, 0] = 0
    with_hole = Y.copy()
    with_hole.loc[0, "a"] = np.nan

    weighted, hidden = report(sample_weight=weight), report(with_hole)
    pd.testing.assert_frame_equal(weighted.frame, hidden.frame)
    pd.testing.assert_frame_equal(weighted.class_counts, hidden.class_counts)


def test_integers_stay_integers_when_they_are_predicted_as_floats():
    made = report(y_pred=LABELS.astype({"a": float}), y_proba=None)

    assert [repr(label) for label in made.class_counts.loc["a"].index] == ["0", "1"]


# -- Which metrics -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"y_proba": None}, LABEL_METRICS),
        ({"y_pred": None}, PROBABILITY_METRICS),
        ({}, LABEL_METRICS + PROBABILITY_METRICS),
    ],
    ids=["labels", "probabilities", "both"],
)
def test_usual_metrics_of_what_is_given_are_reported(given, expected):
    assert metric_names(report(**given)) == expected


def test_metrics_are_reported_in_the_order_and_by_the_names_asked_for():
    assert metric_names(report(metrics=["roc_auc", "mcc", "f1"])) == ["roc_auc", "mcc", "f1"]
    assert metric_names(report(metrics={"AUC": "roc_auc", "kappa": skm.cohen_kappa_score})) == [
        "AUC",
        "kappa",
    ]


def test_function_is_scored_as_by_multitask_score():
    scores = report(metrics=skm.cohen_kappa_score).frame["cohen_kappa_score", "score"]

    assert scores["mean"] == multitask_score(skm.cohen_kappa_score, Y, LABELS)


def test_scorer_brings_its_parameters_and_its_sign():
    scorer = make_multitask_scorer("neg_calibration_error", metric_params={"n_bins": 2})
    scores = report(metrics={"ECE": scorer}).frame["ECE", "score"]

    expected = multitask_score(
        "neg_calibration_error", Y, PROBA, classes=CLASSES, metric_params={"n_bins": 2}
    )
    assert scores["mean"] == expected


def test_scorer_of_a_function_gets_the_probabilities():
    binary = Y[["a"]].assign(c=Y["c"].map({"x": 0, "y": 1}))
    scorer = make_multitask_scorer(
        skm.brier_score_loss, response_method="predict_proba", greater_is_better=False
    )
    metrics = {"named": make_multitask_scorer("neg_brier_score"), "function": scorer}
    frame = multitask_report(
        binary, y_proba=[PROBA["a"], PROBA["c"]], metrics=metrics, n_bootstraps=5, random_state=0
    ).frame

    assert_allclose(frame["function"], frame["named"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y_pred": None, "y_proba": None}, "nothing to report on: pass y_pred, y_proba, or both"),
        ({"y_pred": None, "metrics": "f1"}, "'f1' is computed from labels: pass y_pred"),
        ({"y_proba": None, "metrics": ["roc_auc"]}, "computed from probabilities: pass y_proba"),
        ({"metrics": []}, "at least one metric"),
        ({"metrics": ["f1", "f1"]}, "different names.* 'f1', 'f1'. Pass {name: metric}"),
        ({"metrics": {"labels": "f1"}}, "different names, other than 'labels'"),
        ({"metrics": "auroc"}, "There is no metric 'auroc'"),
        ({"n_bootstraps": 0}, "'n_bootstraps' .* must be an integer >= 1. Got 0"),
        ({"n_bootstraps": True}, "'n_bootstraps' .* must be an int"),
        ({"n_bootstraps": 2, "confidence_level": 95}, "between 0 and 1. Got 95"),
        ({"y_true": Y.rename(columns={"a": "mean"})}, "'mean' stands for the mean over tasks"),
        ({"y_pred": PROBA}, "computed from predicted labels"),
        ({"y_proba": LABELS}, "computed from probabilities"),
    ],
)
def test_report_refuses_what_does_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        report(**options)


@pytest.mark.parametrize("metrics", [[3], {1: "f1"}])
def test_report_refuses_metrics_of_other_types(metrics):
    with pytest.raises(TypeError, match="must be"):
        report(metrics=metrics)


# -- Forms of y ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y_true", "y_pred", "y_proba"),
    [
        (pl.DataFrame(Y["b"].astype("Int64").to_frame()), LABELS[["b"]], PROBA["b"]),
        (Y["b"], LABELS["b"], PROBA["b"]),
        (Y["b"].to_numpy(), LABELS["b"].to_numpy(), [PROBA["b"]]),
        (Y["b"].fillna(-1).astype(int).to_list(), LABELS["b"].to_list(), {"b": PROBA["b"]}),
        (Y[["b"]].astype("category"), LABELS[["b"]], PerTask([PROBA["b"]], ["b"])),
    ],
    ids=["polars", "series", "array", "list", "category"],
)
def test_report_does_not_depend_on_the_containers(y_true, y_pred, y_proba):
    made = multitask_report(y_true, y_pred, y_proba, missing_label=-1, n_bootstraps=5)

    expected = report().frame.loc["b"]
    for what in ["score", "constant"]:
        found = made.frame.xs(what, axis=1, level=1).iloc[0]
        assert found.to_dict() == expected.xs(what, level=1).to_dict()
    assert made.frame["labels", "n_labelled"].iloc[0] == 7


@pytest.mark.parametrize("names", [[1, 2, 3], [("p", 1), ("p", 2), ("q", 1)], [None, "", " "]])
def test_task_names_may_be_anything(names):
    y_true, y_pred = Y.copy(), LABELS.copy()
    y_true.columns = y_pred.columns = pd.Index(names, dtype=object)
    made = multitask_report(y_true, y_pred, n_bootstraps=3)

    assert made.frame.index.to_list() == [*names, "mean"]
    assert "x: 3, y: 4" in str(made)
    assert [len(of.get("class_counts", ())) for of in made.to_dict().values()] == [2, 3, 2, 0]


def test_boolean_and_time_labels_are_counted():
    y = pd.DataFrame(
        {
            "flag": [True, False, None, True],
            "day": pd.to_datetime(["2024-01-01", None, "2024-01-02", "2024-01-02"]),
        }
    )
    predicted = pd.DataFrame({"flag": [True] * 4, "day": [pd.Timestamp("2024-01-02")] * 4})
    counts = multitask_report(y, predicted, metrics="accuracy").class_counts["count"]

    assert counts["flag"].to_dict() == {False: 1, True: 2}
    assert counts["day"].to_list() == [1, 2]


# -- y_train -------------------------------------------------------------------------------------


def test_constant_learns_from_the_training_labels():
    y_train = pd.DataFrame({"a": [1, 1, 1, 0], "b": [2, 2, 5, 7], "c": ["y", "x", "x", None]})
    frame = report(y_train=y_train, metrics=["accuracy", "log_loss"]).frame

    constant = {"a": 1, "b": 2, "c": "x"}
    assert_allclose(
        frame["accuracy", "constant"].iloc[:3],
        [(Y[task].dropna() == label).mean() for task, label in constant.items()],
    )
    a = Y["a"].dropna()
    assert_allclose(
        frame.loc["a", ("log_loss", "constant")], -np.log([0.25, 0.75])[a.astype(int)].mean()
    )


def test_training_labels_are_matched_by_task_name_and_may_have_more_tasks():
    y_train = Y.assign(z=1)[["c", "z", "b", "a"]]

    pd.testing.assert_frame_equal(report(y_train=y_train).frame, report().frame)


def test_classes_are_those_of_the_training_labels_if_they_are_not_given():
    y_true = Y.assign(b=Y["b"].where(Y["b"] != 7))
    found = report(y_true, classes=None, y_train=Y).frame

    pd.testing.assert_frame_equal(found, report(y_true, y_train=Y).frame)


def test_classes_are_those_of_a_categorical_column_of_training_labels():
    y_true = Y.assign(b=Y["b"].where(Y["b"] != 7))
    y_train = Y.assign(b=pd.Categorical(y_true["b"], categories=[7, 5, 2]))
    found = report(y_true, y_pred=None, classes=None, y_train=y_train).frame

    pd.testing.assert_frame_equal(found, report(y_true, y_pred=None, y_train=y_train).frame)


def test_constant_is_undefined_for_a_task_without_training_labels():
    with pytest.warns(UndefinedMetricWarning, match=r"constant .* 1 task\(s\): 'b' \(no label in"):
        frame = report(y_train=Y.assign(b=np.nan), metrics="accuracy").frame

    assert np.isnan(frame.loc["b", ("accuracy", "constant")])
    assert_allclose(
        frame.loc["mean", ("accuracy", "constant")],
        frame.loc[["a", "c"], ("accuracy", "constant")].mean(),
    )


@pytest.mark.parametrize(
    ("y_train", "message"),
    [
        (Y.assign(a=3), r"y_train has labels of task 'a' that are not among its classes: 3\."),
        (Y[["a", "b"]], r"tasks of y_true, 'a', 'b', 'c'\. Got 'a', 'b'"),
        (np.zeros((4, 2)), r"Got 'y0', 'y1'"),
    ],
)
def test_training_labels_that_do_not_fit_are_refused(y_train, message):
    with pytest.raises(ValueError, match=message):
        report(y_train=y_train)


# -- What is undefined ---------------------------------------------------------------------------


def test_undefined_scores_are_nan_with_one_warning_that_names_tasks_and_metrics():
    y_true = Y.assign(a=Y["a"].where(Y["a"] == 1), b=np.nan)
    with pytest.warns(UndefinedMetricWarning) as caught:
        made = report(y_true)

    assert len(caught) == 1
    assert caught[0].filename == __file__.removesuffix("c")
    message = str(caught[0].message)
    assert "for 2 of 3 task(s): 'a' (" in message
    assert "matthews_corrcoef, roc_auc, average_precision: only class 1 in its" in message
    assert "'b' (no labelled cell)." in message
    assert message in made.notes
    scores = made.frame.xs("score", axis=1, level=1)
    assert scores.loc["b"].isna().all()
    assert scores.columns[scores.loc["a"].isna()].to_list() == [
        "matthews_corrcoef",
        "roc_auc",
        "average_precision",
    ]
    assert_array_equal(made.frame.xs("constant", axis=1, level=1).isna(), scores.isna())


def test_means_are_over_the_tasks_that_have_a_score():
    with pytest.warns(UndefinedMetricWarning):
        frame = report(Y.assign(b=np.nan), n_bootstraps=20, random_state=0).frame

    for metric in LABEL_METRICS + PROBABILITY_METRICS:
        for what in ("score", "constant"):
            assert_allclose(
                frame.loc["mean", (metric, what)], frame.loc[["a", "c"], (metric, what)].mean()
            )


def test_report_without_any_label_is_nan():
    with pytest.warns(UndefinedMetricWarning, match=r"for 3 of 3 task\(s\)"):
        made = report(Y.mask(Y.notna()), n_bootstraps=3)

    assert made.frame.drop(columns="labels", level=0).isna().all(axis=None)
    assert made.frame["labels", "n_labelled"].iloc[:3].to_list() == [0, 0, 0]
    assert made.class_counts.empty
    assert "NaN" in str(made)


def test_cells_without_predictions_are_left_out_with_a_warning():
    predicted = LABELS.astype(object)
    predicted.loc[:1, "a"] = None
    predicted["b"] = None
    with pytest.warns(UndefinedMetricWarning) as caught:
        made = report(y_pred=predicted, y_proba=None, n_bootstraps=30, random_state=0)

    assert "'b' (no prediction)" in str(caught[0].message)
    assert "without a prediction in y_pred are left out, for 1 task(s): 'a' (2)" in str(
        caught[0].message
    )
    hidden = Y.assign(a=Y["a"].mask(Y.index <= 1), b=np.nan)
    with pytest.warns(UndefinedMetricWarning):
        expected = report(hidden, y_proba=None, n_bootstraps=30, random_state=0)
    for what in ("score", "constant"):
        pd.testing.assert_frame_equal(
            made.frame.xs(what, axis=1, level=1), expected.frame.xs(what, axis=1, level=1)
        )
    assert made.frame["labels", "n_labelled"].to_list() == [8, 7, 7, pd.NA]


# -- Intervals -----------------------------------------------------------------------------------


def test_intervals_are_percentiles_of_scores_of_drawn_rows():
    frame = report(
        n_bootstraps=25, confidence_level=0.8, random_state=3, metrics="brier_score"
    ).frame

    rng, by_hand = np.random.RandomState(3), []
    for _ in range(25):
        rows = rng.randint(0, len(Y), len(Y))
        by_hand.append(
            multitask_score(
                "brier_score", Y.iloc[rows], [p[rows] for p in PROBA], classes=CLASSES, average=None
            )
        )
    by_hand = pd.DataFrame(by_hand)
    by_hand["mean"] = by_hand.mean(axis=1)
    assert_allclose(frame["brier_score", "lower"], by_hand.quantile(0.1))
    assert_allclose(frame["brier_score", "upper"], by_hand.quantile(0.9))


def test_intervals_are_the_same_for_the_same_random_state_only():
    frames = [report(n_bootstraps=20, random_state=seed).frame for seed in (0, 0, 1)]

    pd.testing.assert_frame_equal(frames[0], frames[1])
    assert (frames[0]["brier_score"] != frames[2]["brier_score"]).any(axis=None)


def test_intervals_do_not_change_the_scores():
    with_intervals = report(n_bootstraps=2).frame.drop(columns=["lower", "upper"], level=1)

    pd.testing.assert_frame_equal(with_intervals, report().frame)


def test_interval_of_the_mean_keeps_tasks_paired():
    copies = pd.concat([Y["a"].rename(i) for i in range(4)], axis=1)
    made = multitask_report(
        copies, y_proba=[PROBA["a"]] * 4, metrics="log_loss", n_bootstraps=50, random_state=0
    )

    ends = made.frame["log_loss"][["lower", "upper"]]
    assert_allclose(ends.loc["mean"], ends.loc[0])


def test_rows_without_labels_change_no_interval():
    y_more = pd.concat([Y, Y.mask(Y.notna())], ignore_index=True)
    made = multitask_report(
        y_more,
        y_proba=[np.vstack([p, p]) for p in PROBA],
        classes=CLASSES,
        n_bootstraps=20,
        random_state=0,
    )

    expected = report(y_pred=None, n_bootstraps=20, random_state=0).frame
    pd.testing.assert_frame_equal(
        made.frame.drop(columns="labels", level=0), expected.drop(columns="labels", level=0)
    )


def test_resamples_that_lack_a_class_are_left_out_and_counted():
    y = np.array([0, 0, 0, 0, 0, 1])
    proba = np.linspace(0, 1, 6)
    made = multitask_report(y, y_proba=proba, metrics="roc_auc", n_bootstraps=200, random_state=0)

    rng = np.random.RandomState(0)
    n_lacking = sum(len(np.unique(y[rng.randint(0, 6, 6)])) == 1 for _ in range(200))
    assert 0 < n_lacking < 200
    assert f"leaves them out: 'y0' ({n_lacking})." in made.notes[-1]
    assert made.frame["roc_auc", "lower"].to_list() == [1, 1]


def test_interval_is_nan_when_every_resample_lacks_a_class():
    y = np.array([0, 1])
    made = multitask_report(
        y, y_proba=[0.2, 0.7], metrics="roc_auc", n_bootstraps=1, random_state=1
    )

    assert len(np.unique(np.random.RandomState(1).randint(0, 2, 2))) == 1
    assert made.frame["roc_auc", "score"].to_list() == [1, 1]
    assert made.frame["roc_auc", "lower"].isna().all()


def test_interval_of_a_function_is_that_of_the_metric_it_computes():
    scorer = make_multitask_scorer("f1", metric_params={"average": "macro"})

    def macro_f1(y_true, y_pred):  # takes no weights
        return skm.f1_score(y_true, y_pred, average="macro")

    metrics = {"named": scorer, "function": macro_f1}
    settings = {"n_bootstraps": 20, "random_state": 0}
    frame = multitask_report(Y[["b"]], LABELS[["b"]], metrics=metrics, **settings).frame

    assert_allclose(frame["function"], frame["named"])


def test_function_that_refuses_a_resample_is_undefined_there():
    def strict(y_true, y_pred):
        if len(np.unique(y_true)) < 2:
            raise ValueError("two classes, please")
        return skm.accuracy_score(y_true, y_pred)

    made = multitask_report(
        [0, 0, 0, 1], [0, 0, 0, 0], metrics=strict, n_bootstraps=50, random_state=0
    )

    assert "Some resamples lack a class" in made.notes[-1]
    assert np.isfinite(made.frame["strict", "upper"]).all()


def test_resamples_are_the_same_however_they_are_cut_into_batches(monkeypatch):
    expected = report(n_bootstraps=20, random_state=0).frame
    monkeypatch.setattr("sk_mtl.metrics._report.bootstrap._BATCH_SIZE", 30)

    pd.testing.assert_frame_equal(report(n_bootstraps=20, random_state=0).frame, expected)
    counts = list(draw_row_counts(10, 20, np.random.RandomState(0)))
    assert {c.shape for c in counts} == {(10, 3), (10, 2)}


@st.composite
def resampled_cells(draw):
    """Cells of a task, ties among its probabilities, weights or none, and counts of rows."""
    rng = np.random.RandomState(draw(st.integers(0, 10_000)))
    n_cells, n_classes = draw(st.integers(2, 20)), draw(st.integers(2, 4))
    true = rng.randint(0, n_classes, n_cells)
    # Multiples of a tenth have ties among them.
    proba = np.vstack([rng.multinomial(10, p) for p in rng.dirichlet(np.ones(n_classes), n_cells)])
    weight = rng.uniform(0.5, 2, n_cells) if draw(st.booleans()) else None
    counts = rng.poisson(0.8, (n_cells, 6)).astype(float)
    counts[:, 0] = 0
    cells = TaskCells("t", np.arange(n_classes), true, proba / 10, weight)
    return cells, counts


@pytest.mark.slow_except("log_loss")
@pytest.mark.parametrize("name", list(METRICS))
@settings(max_examples=60)
@given(resampled_cells())
def test_score_of_each_resample_is_that_of_the_drawn_cells(name, drawn):
    cells, counts = drawn
    metric = find_metric(name)
    if metric.response_method == "predict":
        predicted = cells.predicted.argmax(axis=1)
        cells = TaskCells("t", cells.labels, cells.true, predicted, cells.weight)
    found = score_resamples(metric, {}, cells, counts)

    for value, count in zip(found, counts.T, strict=True):
        rows = np.repeat(np.arange(len(count)), count.astype(int))
        weight = None if cells.weight is None else cells.weight[rows]
        resample = TaskCells("t", cells.labels, cells.true[rows], cells.predicted[rows], weight)
        try:
            expected = metric.sign * metric.score(resample) if len(rows) else np.nan
        except UndefinedScore:
            expected = np.nan
        assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


# -- As text -------------------------------------------------------------------------------------


def width_in_a_terminal(line):
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in line
    )


def numeric_tables(text):
    """The tables of metrics: lists of lines."""
    return [t.splitlines() for t in text.split("\n\n")[1:-1]]


def test_text_has_labels_then_metrics_then_notes():
    text = report(metrics=["accuracy", "log_loss"], n_bootstraps=5, random_state=0).to_text()
    labels, scores, notes = text.split("\n\n")

    assert labels.splitlines()[2] == "b            7      70 %  2: 2, 5: 3, 7: 2"
    assert scores.splitlines()[1].split() == ["task", *["score", "interval", "constant"] * 2]
    assert len(scores.splitlines()) == 6
    assert "Smaller is better: log_loss." in notes
    assert "95 % percentile intervals from 5 resamples" in notes


def test_str_and_repr_are_the_text():
    made = report()

    assert str(made) == repr(made) == made.to_text()


def test_columns_line_up_under_wide_combining_and_long_names():
    names = ["返品された", "cafe\u0301", "n" * 90]
    y_true, y_pred = Y.copy(), LABELS.copy()
    y_true.columns = y_pred.columns = names
    (table,) = numeric_tables(multitask_report(y_true, y_pred, metrics="f1").to_text())

    assert len({width_in_a_terminal(line) for line in table}) == 1


def test_long_names_that_differ_at_their_ends_stay_different():
    names = [f"{'a long assay name, ' * 5}{i}" for i in range(3)]
    y_true, y_pred = Y.copy(), LABELS.copy()
    y_true.columns = y_pred.columns = names
    text = multitask_report(y_true, y_pred, metrics="f1").to_text()

    assert all(f"{i} " in text and "…" in text for i in range(3))
    assert len({line[:40] for line in text.splitlines()[1:4]}) == 3


def test_names_that_cannot_be_printed_do_not_break_lines():
    y = pd.DataFrame({"a\nb\x1b[31m": ["p\tq", "r\n", "r\n"]})
    text = multitask_report(y, y, metrics="accuracy").to_text()

    assert "a\\nb\\x1b[31m" in text.splitlines()[1]
    assert "p\\tq: 1, r\\n: 2" in text.splitlines()[1]


@pytest.mark.parametrize("line_width", [60, 80, 100, 200])
def test_lines_are_no_wider_than_asked_for(line_width):
    text = report(n_bootstraps=3, random_state=0).to_text(line_width=line_width)

    assert max(map(len, text.splitlines())) <= line_width


def test_narrow_lines_still_show_a_metric_each():
    tables = numeric_tables(report().to_text(line_width=1))

    assert [table[0].strip() for table in tables] == LABEL_METRICS + PROBABILITY_METRICS


def test_text_of_many_tasks_and_classes_names_every_task():
    rng = np.random.default_rng(0)
    y = pd.DataFrame({f"assay {t}": rng.integers(0, 40, 200) for t in range(60)})
    text = multitask_report(y, y).to_text()

    assert text.count("\nassay 17 ") == 2  # among the labels, and among the metrics
    assert " more" in text.splitlines()[1]
    assert max(map(len, text.splitlines())) <= 100


def test_single_task_has_no_line_of_the_mean():
    assert "mean" not in report(Y["b"], LABELS["b"], PROBA["b"], CLASSES["b"]).to_text()


def test_coverage_tells_few_from_none_and_most_from_all():
    y = np.full((1000, 3), np.nan)
    y[:3, 0], y[3:, 1], y[:, 2] = 1, 1, 1
    text = multitask_report(y, np.ones_like(y), metrics="accuracy").to_text()

    assert re.findall(r"[<>]?\d+ %", text) == ["<1 %", ">99 %", "100 %", "67 %"]


def test_digits_are_those_asked_for():
    made = report(metrics="accuracy")
    score = made.frame.loc["b", ("accuracy", "score")]

    assert f" {score:.1f} " in made.to_text(digits=1)
    assert f" {score:.6f} " in made.to_text(digits=6)
    assert f">{score:.6f}<" in made.to_html(digits=6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda made: made.to_text(digits=-1), "'digits' .* must be an integer >= 0. Got -1"),
        (lambda made: made.to_text(line_width=0), "'line_width' .* must be an integer >= 1"),
        (lambda made: made.to_html(digits=2.5), "'digits' .* must be an integer >= 0. Got 2.5"),
    ],
)
def test_looks_that_do_not_exist_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(report())


# -- As HTML -------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Reads the cells of each row, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open_tags, self.rows, self.attributes = [], [], []
        self.feed(text)
        assert self.open_tags == []

    def handle_starttag(self, tag, attrs):
        self.open_tags.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, text):
        if self.open_tags[-1] in ("td", "th"):
            self.rows[-1][-1] += text


def test_html_has_a_cell_for_each_number():
    made = report(n_bootstraps=3, random_state=0, metrics=["accuracy", "log_loss"])
    rows = Reader(made._repr_html_()).rows

    assert rows[0] == ["", "accuracy", "log_loss"]
    assert (
        rows[1]
        == ["task", "labelled", "coverage", "classes"]
        + [
            "score",
            "interval",
            "constant",
        ]
        * 2
    )
    assert [row[0] for row in rows[2:6]] == ["a", "b", "c", "mean"]
    assert rows[3][1:5] == ["7", "70 %", "3", f"{made.frame.loc['b', ('accuracy', 'score')]:.3f}"]
    assert {len(row) for row in rows[2:6]} == {10}
    assert rows[7] == ["b", "2: 2, 5: 3, 7: 2"]


def test_html_escapes_names_labels_and_metrics():
    evil = "<script>alert('&amp;')</script>"
    y = pd.DataFrame({evil: [f"{evil}1", f"{evil}2"], "b" * 60 + '"': ["x", "y"]})
    text = multitask_report(y, y, metrics={evil: "accuracy"})._repr_html_()

    assert "<script" not in text
    rows = Reader(text).rows
    assert rows[0][1] == rows[2][0] == evil
    assert ("title", "b" * 60 + '"') in Reader(text).attributes


def test_html_sets_no_colour_of_text_or_page():
    style = report()._repr_html_().partition("</style>")[0]

    assert "rgba(128, 128, 128" in style
    assert "#" not in style
    assert "color:" not in style


@pytest.mark.parametrize(("n_tasks", "is_open"), [(12, True), (13, False)])
def test_html_folds_the_classes_of_many_tasks(n_tasks, is_open):
    y = np.tile([[0], [1]], (1, n_tasks))

    assert ("<details open>" in multitask_report(y, y).to_html()) is is_open


# -- As an object --------------------------------------------------------------------------------


def test_report_survives_pickle():
    made = report(n_bootstraps=3, random_state=0)
    copy = pickle.loads(pickle.dumps(made))

    pd.testing.assert_frame_equal(copy.frame, made.frame)
    assert copy.to_text() == made.to_text()


def test_dict_has_the_numbers_for_json():
    made = report(metrics=["accuracy"], n_bootstraps=3, random_state=0)
    numbers = made.to_dict()

    assert list(numbers) == ["a", "b", "c", "mean"]
    assert numbers["c"]["class_counts"] == {"x": 3, "y": 4}
    assert numbers["c"]["n_labelled"] == 7
    assert list(numbers["mean"]) == ["coverage", "accuracy"]
    assert list(numbers["b"]["accuracy"]) == ["score", "constant", "lower", "upper"]
    assert json.loads(json.dumps(numbers))["b"]["accuracy"] == numbers["b"]["accuracy"]


def test_report_leaves_what_it_was_given_alone():
    y_true, y_pred, weight = Y.copy(), LABELS.copy(), np.ones(Y.shape)
    proba = [p.copy() for p in PROBA]
    report(y_true, y_pred, proba, sample_weight=weight, n_bootstraps=3)

    pd.testing.assert_frame_equal(y_true, Y)
    pd.testing.assert_frame_equal(y_pred, LABELS)
    assert_array_equal(weight, 1)
    for before, after in zip(PROBA, proba, strict=True):
        assert_array_equal(before, after)


# -- From an estimator ---------------------------------------------------------------------------


@pytest.mark.slow
def test_report_from_a_pipeline_is_that_of_its_predictions():
    X = np.random.RandomState(0).normal(size=(len(Y), 2))
    clf = MultiTaskClassifier(hidden_layer_sizes=(2,), epochs=1, random_state=0)
    model = make_pipeline(StandardScaler(), clf).fit(X, Y)
    options = {"y_train": Y[::-1], "n_bootstraps": 5, "random_state": 0}
    found = MultiTaskReport.from_estimator(model, X, Y, **options)

    expected = report(Y, model.predict(X), model.predict_proba(X), **options)
    pd.testing.assert_frame_equal(found.frame, expected.frame)


def test_estimator_without_probabilities_is_reported_from_labels():
    X = np.arange(10.0)[:, None]
    y = np.arange(10) // 5

    assert (
        metric_names(MultiTaskReport.from_estimator(Perceptron().fit(X, y), X, y)) == LABEL_METRICS
    )
    with pytest.raises(ValueError, match="pass y_proba"):
        MultiTaskReport.from_estimator(Perceptron().fit(X, y), X, y, metrics="roc_auc")


def test_estimator_predicts_only_what_the_metrics_need():
    class Half(GaussianNB):
        def predict(self, X):
            raise AssertionError

    X = np.arange(10.0)[:, None]
    y = np.array(["u", "v"] * 5)
    frame = MultiTaskReport.from_estimator(Half().fit(X, y), X, y, metrics="roc_auc").frame

    assert frame["roc_auc", "score"].iloc[0] == skm.get_scorer("roc_auc")(
        GaussianNB().fit(X, y), X, y
    )


def test_metrics_may_be_an_iterator():
    X, y = np.arange(4.0)[:, None], np.array([0, 0, 1, 1])
    model = GaussianNB().fit(X, y)
    made = MultiTaskReport.from_estimator(model, X, y, metrics=iter(["f1", "roc_auc"]))

    assert metric_names(made) == ["f1", "roc_auc"]


def test_other_estimators_of_several_outputs_are_reported():
    X = np.arange(10.0)[:, None]
    y = np.column_stack([np.arange(10) % 2, np.arange(10) // 5])
    made = MultiTaskReport.from_estimator(DecisionTreeClassifier().fit(X, y), X, y)

    assert_allclose(made.frame["roc_auc", "score"], 1)


def test_estimator_must_be_fitted():
    with pytest.raises(NotFittedError):
        MultiTaskReport.from_estimator(GaussianNB(), [[0.0]], [0])


def test_warning_of_a_report_on_an_estimator_points_at_the_caller():
    X, y = np.arange(4.0)[:, None], np.array([0, 0, 1, 1])
    model = GaussianNB().fit(X, y)
    with pytest.warns(UndefinedMetricWarning, match="only class 0") as caught:
        MultiTaskReport.from_estimator(model, X[:2], y[:2], metrics="roc_auc")

    assert caught[0].filename == __file__.removesuffix("c")


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


def report_table(codes, mask, proba, **options):
    labels = np.column_stack([p.argmax(axis=1) for p in proba])
    return multitask_report(
        np.where(mask, codes, -1),
        labels,
        proba[0] if len(proba) == 1 else proba,
        classes=[np.arange(p.shape[1]) for p in proba],
        missing_label=-1,
        **options,
    )


INTERVALS = {"n_bootstraps": 5, "random_state": 0}


@pytest.mark.slow
@settings(max_examples=15)
@given(tables(), st.randoms(use_true_random=False))
def test_permuting_tasks_permutes_the_report(table, random):
    codes, mask, proba = table
    order = list(range(len(proba)))
    random.shuffle(order)
    before = report_table(*table, **INTERVALS).frame
    after = report_table(
        codes[:, order], mask[:, order], [proba[t] for t in order], **INTERVALS
    ).frame

    expected = before.iloc[[*order, len(order)]].set_axis(after.index)
    without_coverage = after.columns != ("labels", "coverage")
    pd.testing.assert_frame_equal(
        after.loc[:, without_coverage], expected.loc[:, without_coverage], check_exact=True
    )
    assert_allclose(after["labels", "coverage"], expected["labels", "coverage"])


@settings(max_examples=6)
@given(tables())
def test_masked_cells_have_no_influence_on_the_report(table):
    codes, mask, proba = table
    rng = np.random.RandomState(0)
    garbled = [
        np.where(mask[:, [t]], p, rng.dirichlet(np.ones(p.shape[1]), len(p)))
        for t, p in enumerate(proba)
    ]
    weight = np.where(mask, 1.5, 0)
    # Every cell has a label now; those that were masked have weight 0.
    under = np.where(mask, codes, [rng.randint(0, p.shape[1]) for p in proba])
    found = report_table(under, np.ones_like(mask), garbled, sample_weight=weight, **INTERVALS)

    constant = np.full(mask.shape, 1.5)
    expected = report_table(*table, sample_weight=constant, **INTERVALS)
    pd.testing.assert_frame_equal(found.frame, expected.frame, check_exact=True)
    pd.testing.assert_frame_equal(found.class_counts, expected.class_counts, check_exact=True)
    assert found.to_html() == expected.to_html()


@pytest.mark.slow
@settings(max_examples=15)
@given(tables())
def test_duplicating_a_row_equals_weight_two_in_the_report(table):
    codes, mask, proba = table
    weight = np.random.RandomState(0).randint(1, 3, len(codes))
    rows = np.repeat(np.arange(len(codes)), weight)

    weighted = report_table(*table, sample_weight=weight)
    repeated = report_table(codes[rows], mask[rows], [p[rows] for p in proba])
    assert_allclose(
        weighted.frame.drop(columns="labels", level=0),
        repeated.frame.drop(columns="labels", level=0),
        rtol=1e-9,
        atol=1e-12,
    )
    assert_allclose(weighted.class_counts["share"], repeated.class_counts["share"])


@pytest.mark.slow
@settings(max_examples=15)
@given(tables())
def test_report_of_complete_labels_is_scikit_learns(table):
    codes, mask, proba = table
    frame = report_table(codes, np.ones_like(mask), proba).frame

    for t, p in enumerate(proba):
        true, predicted, row = codes[:, t], p.argmax(axis=1), frame.iloc[t]
        is_binary = p.shape[1] == 2
        answers = p[:, 1] if is_binary else p
        expected = {
            "accuracy": skm.accuracy_score(true, predicted),
            "f1": skm.f1_score(true, predicted, average="binary" if is_binary else "macro"),
            "matthews_corrcoef": skm.matthews_corrcoef(true, predicted),
            "roc_auc": skm.roc_auc_score(true, answers, multi_class="ovr"),
            "average_precision": skm.average_precision_score(true, answers),
            "log_loss": skm.log_loss(true, p),
        }
        for metric, value in expected.items():
            assert_allclose(row[metric, "score"], value, rtol=1e-12, err_msg=metric)


def test_report_warns_of_nothing_when_all_is_defined():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = report(n_bootstraps=3, random_state=0)

    assert len(made.notes) >= 3
