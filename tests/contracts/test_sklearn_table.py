"""What scikit-learn's tools do with missing labels: what cannot work, and who says so.

What works is shown in test_sklearn_api, one task in test_task_view. Here are the calls that cannot
work, by who refuses them: the estimator itself, naming what to use, or scikit-learn, whose words
the guide lists. The guard must let everything pass that works.
"""

import importlib
import re
import timeit
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn import ensemble, model_selection, multiclass, multioutput
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.compose import TransformedTargetRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, RFECV, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    partial_dependence,
    permutation_importance,
)
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    DetCurveDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    accuracy_score,
    make_scorer,
    recall_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.fixes import parse_version

from sk_mtl import MissingLabelsError, MultiTaskClassifier, TaskView
from sk_mtl._compat.sklearn_guard import check_asker
from sk_mtl.metrics import get_multitask_scorer
from sk_mtl.model_selection import MultiTaskStratifiedKFold

N_ROWS = 40
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "scikit_learn.md"


def make_tiny(**params):
    """Return an estimator that is fitted in no time; all of them share one compiled program."""
    settings = {"hidden_layer_sizes": (4,), "epochs": 2, "batch_size": 64, "random_state": 0}
    return MultiTaskClassifier(**{**settings, **params})


def make_labels():
    """Return tables of labels by kind, with holes unless the name says that they are complete."""
    rng = np.random.default_rng(1)
    grade = np.digitize(X["width"], [-0.5, 0.5]).astype(float)
    fits = (X["height"] > 0).astype(float)
    colour = np.where(fits > 0, "red", "blue").astype(object)
    complete = pd.DataFrame({"grade": grade, "fits": fits})
    holes = rng.random(N_ROWS) < 0.3
    numbers = complete.mask(rng.random((N_ROWS, 2)) < 0.3)
    colour[holes] = None
    return {
        "numbers": numbers,
        "mixed": numbers.assign(colour=colour),
        "array": numbers.to_numpy(),
        "nullable": numbers.astype("Int64"),
        "one task": numbers["fits"],
        "one text task": colour,
        "sentinel": np.where(holes, -1, fits).astype(int),
        "complete": complete,
        "complete task": fits.astype(int).to_numpy(),
    }


X = pd.DataFrame(np.random.default_rng(0).normal(size=(N_ROWS, 2)), columns=["width", "height"])
LABELS = make_labels()
Y = LABELS["numbers"]
WITH_HOLES = ["numbers", "mixed", "array", "nullable", "one task"]
WRAPPED = {
    "alone": lambda clf: clf,
    "pipeline": lambda clf: make_pipeline(StandardScaler(), clf),
    "search": lambda clf: model_selection.GridSearchCV(clf, {"epochs": [2]}, cv=2),
    "search of a pipeline": lambda clf: model_selection.RandomizedSearchCV(
        make_pipeline(clf), {"multitaskclassifier__epochs": [2]}, n_iter=1, cv=2
    ),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.close("all")


# ------------------------------------------------------------------------------------------------
# StratifiedKFold and its like
# ------------------------------------------------------------------------------------------------

SPLITTERS = {
    "MultiTaskStratifiedKFold": model_selection.StratifiedKFold(2),
    "MultiTaskStratifiedShuffleSplit": model_selection.StratifiedShuffleSplit(2),
    "MultiTaskStratifiedGroupKFold": model_selection.StratifiedGroupKFold(2),
    "RepeatedMultiTaskStratifiedKFold": model_selection.RepeatedStratifiedKFold(n_splits=2),
}
GRID = {"epochs": [1, 2]}
SPLITTING = {
    "cross_val_score": lambda clf, y, cv: model_selection.cross_val_score(clf, X, y, cv=cv),
    "cross_validate": lambda clf, y, cv: model_selection.cross_validate(clf, X, y, cv=cv),
    "cross_val_predict": lambda clf, y, cv: model_selection.cross_val_predict(clf, X, y, cv=cv),
    "learning_curve": lambda clf, y, cv: model_selection.learning_curve(clf, X, y, cv=cv),
    "validation_curve": lambda clf, y, cv: model_selection.validation_curve(
        clf, X, y, param_name="epochs", param_range=[1, 2], cv=cv
    ),
    "permutation_test_score": lambda clf, y, cv: model_selection.permutation_test_score(
        clf, X, y, cv=cv, n_permutations=1
    ),
    "grid search": lambda clf, y, cv: model_selection.GridSearchCV(clf, GRID, cv=cv).fit(X, y),
    "halving search": lambda clf, y, cv: model_selection.HalvingGridSearchCV(
        clf, GRID, cv=cv, min_resources=20
    ).fit(X, y),
    "selector": lambda clf, y, cv: SequentialFeatureSelector(
        clf, n_features_to_select=1, cv=cv
    ).fit(X, y),
}


@pytest.mark.parametrize("call", SPLITTING)
@pytest.mark.parametrize("ours", SPLITTERS)
def test_stratified_splitter_is_refused_in_favour_of_ours(ours, call):
    with pytest.raises(MissingLabelsError, match=rf"sk_mtl\.model_selection\.{ours}, which"):
        SPLITTING[call](make_tiny(), Y, SPLITTERS[ours])


@pytest.mark.parametrize("kind", [*WITH_HOLES, "one text task"])
def test_stratified_splitter_is_refused_with_y_of_every_kind(kind):
    with pytest.raises(MissingLabelsError, match="StratifiedKFold takes no missing labels"):
        SPLITTING["grid search"](make_tiny(), LABELS[kind], model_selection.StratifiedKFold(2))


@pytest.mark.parametrize("call", SPLITTING)
@pytest.mark.parametrize("kind", ["sentinel", "complete task"])
def test_stratified_splitter_passes_where_it_works(kind, call):
    y, theirs = LABELS[kind], model_selection.StratifiedKFold(2)
    clf = make_tiny(missing_label=-1)
    sizes = {"train_sizes": [1.0]} if call == "learning_curve" else {}
    if sizes:
        _, _, scores = model_selection.learning_curve(clf, X, y, cv=theirs, **sizes)
        assert np.isfinite(scores).all()
    else:
        assert SPLITTING[call](clf, y, theirs) is not None


@pytest.mark.slow
def test_stratified_splitter_of_the_users_own_passes():
    class Masked(model_selection.StratifiedKFold):
        def split(self, X, y, groups=None):
            return super().split(X, np.asarray(y)[:, 1] == 1)

    scores = model_selection.cross_val_score(make_tiny(), X, Y, cv=Masked(2))
    assert np.isfinite(scores).all()


# ------------------------------------------------------------------------------------------------
# Scorers by name
# ------------------------------------------------------------------------------------------------

NAMES = ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "roc_auc_ovr", "neg_log_loss"]
SCORING = {
    "cross_val_score": lambda clf, y, scoring: model_selection.cross_val_score(
        clf, X, y, cv=2, scoring=scoring, error_score="raise"
    ),
    "grid search": lambda clf, y, scoring: model_selection.GridSearchCV(
        clf, {}, cv=2, scoring=scoring, error_score="raise"
    ).fit(X, y),
    "several metrics": lambda clf, y, scoring: model_selection.cross_validate(
        clf, X, y, cv=2, scoring=[scoring], error_score="raise"
    ),
    "importance": lambda clf, y, scoring: permutation_importance(
        clf.fit(X, y), X, y, scoring=scoring, n_repeats=1
    ),
}


@pytest.mark.parametrize("call", SCORING)
@pytest.mark.parametrize("scoring", NAMES)
def test_scorer_by_name_is_refused_in_favour_of_ours(scoring, call):
    with pytest.raises(MissingLabelsError, match=r"sk_mtl\.metrics, such as scoring=make_multi"):
        SCORING[call](make_tiny(), Y, scoring)


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("kind", [*WITH_HOLES, "one text task"])
def test_scorer_by_name_is_refused_with_y_of_every_kind(kind, wrap):
    fitted = WRAPPED[wrap](make_tiny()).fit(X, LABELS[kind])
    with pytest.raises(MissingLabelsError, match="accuracy_score takes no missing labels"):
        model_selection.cross_val_score(
            fitted, X, LABELS[kind], cv=2, scoring="accuracy", error_score="raise"
        )


def test_scorer_by_name_is_refused_where_it_would_count_the_label_that_means_missing():
    with pytest.raises(MissingLabelsError, match="recall_score"):
        SCORING["importance"](make_tiny(missing_label=-1), LABELS["sentinel"], "recall_macro")


def test_scorer_by_name_gives_nan_and_a_warning_that_names_ours_by_default():
    with pytest.warns(UserWarning, match=r"(?s)Scoring failed.*sk_mtl\.metrics"):
        scores = model_selection.cross_val_score(make_tiny(), X, Y, cv=2, scoring="accuracy")
    assert np.isnan(scores).all()


def test_scorer_by_name_leaves_ours_beside_it_alone():
    scoring = {"theirs": "accuracy", "ours": get_multitask_scorer("accuracy")}
    with pytest.warns(UserWarning, match=r"(?s)Scoring failed.*sk_mtl\.metrics"):
        scores = model_selection.cross_validate(make_tiny(), X, Y, cv=2, scoring=scoring)
    assert np.isnan(scores["test_theirs"]).all()
    assert np.isfinite(scores["test_ours"]).all()


def accuracy_over_labels(y, predicted):
    y, predicted = np.asarray(y, dtype=float), np.asarray(predicted, dtype=float)
    return float(np.mean((y == predicted)[~np.isnan(y)]))


@pytest.mark.parametrize(
    ("kind", "scorer"),
    [
        ("numbers", make_scorer(accuracy_over_labels)),
        ("sentinel", make_scorer(recall_score, labels=[0, 1], average="macro")),
        ("complete task", "accuracy"),
        ("complete task", make_scorer(accuracy_score)),
    ],
    ids=["own function", "own labels", "complete", "complete, made"],
)
def test_scorer_passes_where_it_works(kind, scorer):
    scores = SCORING["cross_val_score"](make_tiny(missing_label=-1), LABELS[kind], scorer)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_scorer_of_one_complete_task_is_ours_where_theirs_wants_a_classifier(name):
    y = LABELS["complete task"]
    with pytest.raises(RuntimeError, match=r"make_multitask_scorer.*\.task_view\(task\)"):
        SCORING["cross_val_score"](make_tiny(), y, name)
    scores = SCORING["cross_val_score"](make_tiny(), y, get_multitask_scorer(name))
    assert np.isfinite(scores).all()


# ------------------------------------------------------------------------------------------------
# Meta-estimators that fit
# ------------------------------------------------------------------------------------------------

ALONE = "fit it alone"
VIEW = r"sk_mtl\.TaskView\(estimator, task\)"
SELECTORS = "SequentialFeatureSelector and SelectFromModel take them"
REFUSED = {
    "bagging": (lambda clf: ensemble.BaggingClassifier(clf, n_estimators=2), VIEW),
    "self-training": (SelfTrainingClassifier, VIEW),
    "elimination": (RFE, SELECTORS),
    "elimination with cv": (lambda clf: RFECV(clf, cv=2), SELECTORS),
    "multi-output": (multioutput.MultiOutputClassifier, ALONE),
    "chain": (multioutput.ClassifierChain, ALONE),
    "one against one": (multiclass.OneVsOneClassifier, ALONE),
}
REFUSED_BY_SCIKIT_LEARN = {
    "stacking": lambda clf: ensemble.StackingClassifier([("mtl", clf)]),
    "voting": lambda clf: ensemble.VotingClassifier([("mtl", clf)]),
    "boosting": lambda clf: ensemble.AdaBoostClassifier(clf, n_estimators=2),
    "calibration": lambda clf: CalibratedClassifierCV(clf, cv=2),
    "tuned threshold": lambda clf: model_selection.TunedThresholdClassifierCV(clf, cv=2),
    "fixed threshold": model_selection.FixedThresholdClassifier,
    "one against rest": multiclass.OneVsRestClassifier,
    "transformed target": TransformedTargetRegressor,
}
if parse_version(sklearn.__version__) < parse_version("1.6.1"):
    # These did not yet ask for the tags of what they hold, so their own errors come first.
    for name in ("self-training", "multi-output", "chain"):
        REFUSED_BY_SCIKIT_LEARN[name], _ = REFUSED.pop(name)
HOLES = (
    r"Input (y )?contains NaN|y should be a 1d array|could not convert string to float"
    r"|'<' not supported between instances of"
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name in REFUSED
        for kind in WITH_HOLES
        if kind != "one task" or name not in ("multi-output", "chain")  # for several tasks only
    ],
)
def test_meta_estimator_is_refused_with_what_to_use(name, kind):
    build, instead = REFUSED[name]
    with pytest.raises(MissingLabelsError, match=instead):
        build(make_tiny()).fit(X, LABELS[kind])


@pytest.mark.parametrize("name", REFUSED)
def test_meta_estimator_is_refused_with_a_pipeline_in_it(name):
    build, instead = REFUSED[name]
    with pytest.raises(MissingLabelsError, match=instead):
        build(WRAPPED["pipeline"](make_tiny())).fit(X, Y)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("kind", WITH_HOLES)
@pytest.mark.parametrize("name", REFUSED_BY_SCIKIT_LEARN)
def test_meta_estimator_refuses_before_the_estimator_is_asked(name, kind):
    with pytest.raises((ValueError, TypeError), match=HOLES):
        REFUSED_BY_SCIKIT_LEARN[name](make_tiny()).fit(X, LABELS[kind])


ENCODERS = {
    "bagging": (lambda clf: ensemble.BaggingClassifier(clf, n_estimators=2), VIEW),
    "stacking": (lambda clf: ensemble.StackingClassifier([("mtl", clf)], cv=2), VIEW),
    "boosting": (lambda clf: ensemble.AdaBoostClassifier(clf, n_estimators=2), VIEW),
    "one against rest": (multiclass.OneVsRestClassifier, ALONE),
    "one against one": (multiclass.OneVsOneClassifier, ALONE),
    "output code": (multiclass.OutputCodeClassifier, ALONE),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_meta_estimator_is_refused_where_it_would_make_a_class_of_a_missing_label(name):
    build, instead = ENCODERS[name]
    with pytest.raises(MissingLabelsError, match=f"take the missing labels of y for a.*{instead}"):
        build(make_tiny(missing_label=-1)).fit(X, LABELS["sentinel"])


@pytest.mark.parametrize("name", [n for n in ENCODERS if n != "boosting"])
def test_meta_estimator_passes_with_one_complete_task(name):
    fitted = ENCODERS[name][0](make_tiny(missing_label=-1)).fit(X, LABELS["complete task"])
    assert set(fitted.predict(X)) <= {0, 1}


def test_boosting_of_text_with_missing_labels_is_refused():
    # They would count as errors in each round: object arrays with None pass scikit-learn's checks.
    with pytest.raises(MissingLabelsError, match="AdaBoostClassifier"):
        ENCODERS["boosting"][0](make_tiny()).fit(X, LABELS["one text task"])


def widths_of_columns(clf):
    return np.abs(np.asarray(clf.model_.get_layer("trunk_0").kernel)).sum(axis=1)


def test_elimination_passes_where_it_works():
    # Missing labels of text pass scikit-learn's checks, and reach the estimator as they are.
    linear = make_tiny(numeric_embedding=None)  # a row of the first kernel is a feature
    selector = RFE(linear, n_features_to_select=1, importance_getter=widths_of_columns)
    assert selector.fit(X, LABELS["one text task"]).support_.sum() == 1


@pytest.mark.slow
def test_elimination_with_cv_scores_by_r2_when_no_scoring_is_given():
    # The price of the tag None, which the guide names.
    given = {"importance_getter": widths_of_columns, "cv": 2}
    clf = make_tiny(numeric_embedding=None)
    default = RFECV(clf, **given).fit(X, LABELS["complete"])
    r2 = RFECV(clf, scoring="r2", **given).fit(X, LABELS["complete"])
    ours = RFECV(clf, scoring=get_multitask_scorer("accuracy"), **given)
    ours.fit(X, LABELS["complete"])
    scores = [found.cv_results_["mean_test_score"].tolist() for found in (default, r2, ours)]
    assert scores[0] == scores[1] != scores[2]


def test_self_training_takes_a_sentinel_for_what_it_is():
    fitted = SelfTrainingClassifier(make_tiny(missing_label=-1)).fit(X, LABELS["sentinel"])
    assert set(fitted.predict(X)) <= {0, 1}


# ------------------------------------------------------------------------------------------------
# What asks for a classifier
# ------------------------------------------------------------------------------------------------

CLASSIFIER_TOOLS = {
    "confusion matrix": lambda clf, y: ConfusionMatrixDisplay.from_estimator(clf, X, y),
    "ROC": lambda clf, y: RocCurveDisplay.from_estimator(clf, X, y),
    "precision and recall": lambda clf, y: PrecisionRecallDisplay.from_estimator(clf, X, y),
    "DET": lambda clf, y: DetCurveDisplay.from_estimator(clf, X, y),
    "calibration": lambda clf, y: CalibrationDisplay.from_estimator(clf, X, y),
    "partial dependence": lambda clf, y: partial_dependence(clf, X, [0]),
    "voting": lambda clf, y: ensemble.VotingClassifier([("mtl", clf)]).fit(X, y),
}


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("name", CLASSIFIER_TOOLS)
def test_tool_of_one_task_is_refused_in_favour_of_the_view(name, wrap):
    y = LABELS["complete task"]
    clf = WRAPPED[wrap](make_tiny()).fit(X, y)
    with pytest.raises(RuntimeError, match=f"{type(clf).__name__} is refused here.*{VIEW}"):
        CLASSIFIER_TOOLS[name](clf, y)


@pytest.mark.parametrize("name", [n for n in CLASSIFIER_TOOLS if n != "voting"])
@pytest.mark.parametrize("kind", WITH_HOLES)
def test_tool_of_one_task_is_refused_with_y_of_every_kind(kind, name):
    clf = make_tiny().fit(X, LABELS[kind])
    with pytest.raises(RuntimeError, match=VIEW):
        CLASSIFIER_TOOLS[name](clf, LABELS[kind])


@pytest.mark.parametrize("name", CLASSIFIER_TOOLS)
def test_tool_of_one_task_takes_the_view(name):
    view = TaskView(make_tiny().fit(X, Y), "fits")
    drawn = (
        ensemble.VotingClassifier([("mtl", view)], voting="soft").fit(X, LABELS["complete task"])
        if name == "voting"
        else CLASSIFIER_TOOLS[name](view, LABELS["complete task"])
    )
    assert drawn is not None


@pytest.mark.parametrize("name", [n for n in CLASSIFIER_TOOLS if n != "voting"])
def test_tool_of_one_task_takes_a_classifier_around_the_estimator(name):
    y = LABELS["complete task"]
    bag = ensemble.BaggingClassifier(make_tiny(), n_estimators=2, random_state=0)
    bag.fit(X.to_numpy(), y)
    frame = X.to_numpy()
    tools = {
        "confusion matrix": lambda: ConfusionMatrixDisplay.from_estimator(bag, frame, y),
        "ROC": lambda: RocCurveDisplay.from_estimator(bag, frame, y),
        "precision and recall": lambda: PrecisionRecallDisplay.from_estimator(bag, frame, y),
        "DET": lambda: DetCurveDisplay.from_estimator(bag, frame, y),
        "calibration": lambda: CalibrationDisplay.from_estimator(bag, frame, y),
        "partial dependence": lambda: partial_dependence(bag, frame, [0]),
    }
    assert tools[name]() is not None


# ------------------------------------------------------------------------------------------------
# What asks for probabilities: those of a classifier with two classes are its second column
# ------------------------------------------------------------------------------------------------

# Since 1.9, scikit-learn hands on whatever an estimator predicts that is not a classifier.
HANDS_ON = parse_version(sklearn.__version__) >= parse_version("1.9")
METHODS = ["sigmoid", "isotonic", *(["temperature"] if HANDS_ON else [])]
CALIBRATORS = {
    "frozen": lambda clf, y, method: CalibratedClassifierCV(
        FrozenEstimator(clf.fit(X, y)), method=method
    ),
    "folds": lambda clf, y, method: CalibratedClassifierCV(clf, method=method, cv=2),
    "one network": lambda clf, y, method: CalibratedClassifierCV(
        clf, method=method, cv=2, ensemble=False
    ),
}
LEARNS = {"epochs": 40, "optimizer__learning_rate": 0.05}


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", CALIBRATORS)
def test_calibrator_of_one_binary_task_is_refused_in_favour_of_the_view(how, method, wrap):
    y = LABELS["complete task"]
    calibrator = CALIBRATORS[how](WRAPPED[wrap](make_tiny()), y, method)
    with pytest.raises(RuntimeError, match=r"is refused here.*estimator\.task_view\(task\)"):
        calibrator.fit(X, y)


def test_calibrator_of_one_binary_task_is_refused_within_a_search():
    search = model_selection.GridSearchCV(
        CalibratedClassifierCV(make_tiny(), ensemble=False, cv=2),
        {"method": ["sigmoid"]},
        cv=2,
        error_score="raise",
    )
    with pytest.raises(RuntimeError, match="task_view"):
        search.fit(X, LABELS["complete task"])


@pytest.mark.parametrize("how", ["frozen", "one network"])
@pytest.mark.parametrize("kind", ["numbers", "text"])
def test_calibrator_of_the_view_keeps_the_classes_apart(kind, how):
    y = np.where(X["width"] > 0, "above", "below") if kind == "text" else (X["width"] > 0) * 1
    view = make_tiny(**LEARNS).fit(X, y).task_view(0)
    calibrator = CalibratedClassifierCV(FrozenEstimator(view), ensemble=how == "frozen", cv=2)
    assert np.mean(calibrator.fit(X, y).predict(X) == np.asarray(y)) > 0.8


@pytest.mark.slow_except("folds", "one network")
@pytest.mark.parametrize("how", CALIBRATORS)
def test_calibrator_of_three_classes_passes_where_it_works(how):
    y = np.digitize(X["width"], [-0.5, 0.5])
    calibrator = CALIBRATORS[how](make_tiny(**LEARNS), y, "sigmoid")
    if HANDS_ON:
        assert np.mean(calibrator.fit(X, y).predict(X) == y) > 0.6
    else:
        with pytest.raises(RuntimeError, match="task_view"):
            calibrator.fit(X, y)


@pytest.mark.slow
def test_calibrator_of_a_classifier_around_the_estimator_passes():
    y = (X["width"] > 0).to_numpy() * 1
    bag = ensemble.BaggingClassifier(make_tiny(**LEARNS), n_estimators=2, random_state=0)
    for ensemble_of_calibrators in (True, False):
        calibrator = CalibratedClassifierCV(bag, cv=2, ensemble=ensemble_of_calibrators)
        assert np.mean(calibrator.fit(X.to_numpy(), y).predict(X.to_numpy()) == y) > 0.8


@pytest.mark.parametrize("threshold", ["fixed", "tuned"])
def test_threshold_of_one_binary_task_is_refused_in_favour_of_the_view(threshold):
    y, clf = LABELS["complete task"], make_tiny()
    tools = {
        "fixed": model_selection.FixedThresholdClassifier(clf, threshold=0.3),
        "tuned": model_selection.TunedThresholdClassifierCV(clf, cv=2),
    }
    with pytest.raises(RuntimeError, match="task_view"):
        tools[threshold].fit(X, y).predict(X)


def test_chain_of_probabilities_is_refused_in_favour_of_the_view():
    y = LABELS["complete"].assign(grade=LABELS["complete"]["grade"] > 0).astype(int)
    chain = multioutput.ClassifierChain(make_tiny()).fit(X.to_numpy(), y.to_numpy())
    with pytest.raises(RuntimeError, match="task_view"):
        chain.predict_proba(X.to_numpy())


SECOND_COLUMN = ["average_precision", "roc_auc", "roc_auc_ovr", "top_k_accuracy"]
BOTH_COLUMNS = ["neg_log_loss", "neg_brier_score", *(["d2_log_loss_score"] if HANDS_ON else [])]


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("name", SECOND_COLUMN)
def test_scorer_of_one_column_is_refused_in_favour_of_ours_or_the_view(name, wrap):
    y = LABELS["complete task"]
    with pytest.raises(RuntimeError, match=r"make_multitask_scorer.*task_view"):
        SCORING["cross_val_score"](WRAPPED[wrap](make_tiny()), y, name)


@pytest.mark.skipif(not HANDS_ON, reason="older versions refuse what is not a classifier")
@pytest.mark.parametrize("name", BOTH_COLUMNS)
def test_scorer_of_both_columns_scores_one_task_as_its_view(name):
    y = LABELS["complete task"]
    clf = make_tiny().fit(X, y)
    score = sklearn.metrics.get_scorer(name)
    assert score(clf, X, y) == pytest.approx(score(clf.task_view(0), X, y), abs=1e-6)


def test_own_metric_of_probabilities_is_refused_where_it_would_get_both_columns():
    y = LABELS["complete task"]
    confidence = make_scorer(lambda y, p: np.mean(p[y == 1]), response_method="predict_proba")
    with pytest.raises(RuntimeError, match="task_view"):
        confidence(make_tiny().fit(X, y), X, y)
    view = make_tiny().fit(X, y).task_view(0)
    assert confidence(view, X, y) == pytest.approx(view.predict_proba(X)[y == 1, 1].mean())


@pytest.mark.skipif(not HANDS_ON, reason="older versions refuse what is not a classifier")
def test_own_metric_gets_the_list_of_all_tasks():
    names = make_scorer(
        lambda y, p: float(p.keys() == ("grade", "fits")), response_method="predict_proba"
    )
    assert names(make_tiny().fit(X, Y), X, Y) == 1


@pytest.mark.parametrize("name", BOTH_COLUMNS)
def test_scorer_of_probabilities_is_refused_with_several_complete_tasks(name):
    with pytest.raises(RuntimeError, match=r"make_multitask_scorer.*task_view"):
        SCORING["cross_val_score"](make_tiny(), LABELS["complete"], name)


# ------------------------------------------------------------------------------------------------
# The guide's table
# ------------------------------------------------------------------------------------------------


def read_rows_of_the_guide():
    """Return (call, errors, names of what to use) of each row of the guide's table."""
    rows = re.findall(r"^\| (`.*`) \| (`.*`) \| (`.*) \|$", GUIDE.read_text(encoding="utf-8"), re.M)
    cells = [[re.findall(r"`([^`]+)`", cell) for cell in row] for row in rows]
    return [(call, errors, instead) for [call], errors, instead in cells]


GUIDED = {
    **vars(model_selection),
    **vars(ensemble),
    **vars(multiclass),
    "accuracy_score": accuracy_score,
    "CalibratedClassifierCV": CalibratedClassifierCV,
    "DecisionBoundaryDisplay": DecisionBoundaryDisplay,
    "PartialDependenceDisplay": PartialDependenceDisplay,
    "TransformedTargetRegressor": TransformedTargetRegressor,
    "X": X,
    "Y": Y,
}


def test_guide_has_rows():
    assert len(read_rows_of_the_guide()) >= 13


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(
    ("call", "errors", "instead"), read_rows_of_the_guide(), ids=lambda cell: str(cell)[:40]
)
def test_error_is_the_one_that_the_guide_names(call, errors, instead):
    model = make_tiny().fit(X, Y)
    with pytest.raises((ValueError, TypeError)) as caught:
        list(eval(call, {**GUIDED, "model": model}))
    assert any(error in str(caught.value) for error in errors), str(caught.value)


@pytest.mark.parametrize("instead", [row[2] for row in read_rows_of_the_guide()], ids=str)
def test_what_the_guide_names_instead_exists(instead):
    names = [name for name in instead if name.startswith("sk_mtl.")]
    assert names
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


# ------------------------------------------------------------------------------------------------
# Rows of the table that work, and are not in test_sklearn_api
# ------------------------------------------------------------------------------------------------


EMPTY_PARTS = {
    "halving search": lambda y: (
        model_selection.HalvingGridSearchCV(
            make_tiny(),
            GRID,
            cv=model_selection.KFold(2),
            min_resources=8,
            random_state=0,
            error_score="raise",
        )
        .fit(X, y)
        .cv_results_["mean_test_score"]
    ),
    "learning curve": lambda y: model_selection.learning_curve(
        make_tiny(),
        X,
        y,
        cv=model_selection.KFold(2),
        train_sizes=[0.3, 1.0],
        error_score="raise",
    )[2],
}


@pytest.mark.filterwarnings("ignore:.*have one class:UserWarning")
@pytest.mark.parametrize("call", EMPTY_PARTS)
def test_small_parts_without_a_label_of_a_task_are_survived(call):
    y = Y.copy()
    y.iloc[:30, 0] = np.nan
    with pytest.warns(UserWarning, match=r"no label.*'grade'"):
        scores = EMPTY_PARTS[call](y)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", ["accuracy", "neg_log_loss", "roc_auc"])
def test_class_that_a_fold_did_not_know_is_an_error_and_no_exception(name):
    y = LABELS["complete"].assign(rare=["a", "b"] * 10 + ["a", "c"] * 10)
    scores = SCORING["cross_val_score"](make_tiny(), y, get_multitask_scorer(name))
    assert np.isfinite(scores).all()


def test_frozen_estimator_takes_missing_labels_in_cross_validation():
    frozen = FrozenEstimator(make_tiny().fit(X, Y))
    scores = model_selection.cross_val_score(frozen, X, Y, cv=MultiTaskStratifiedKFold(2))
    assert np.isfinite(scores).all()


# ------------------------------------------------------------------------------------------------
# The guard itself
# ------------------------------------------------------------------------------------------------


def test_guard_looks_at_nothing_when_nobody_asks():
    def refuse(y):
        raise AssertionError("y was looked at")

    check_asker(refuse)


@pytest.mark.parametrize(
    ("module", "function", "arguments"),
    [
        ("sklearn.utils.validation", "validate_data", {}),
        ("sklearn.utils.validation", "validate_data", {"_estimator": 1, "y": object()}),
        ("sklearn.metrics._scorer", "_score", {"self": 1, "y_true": [1]}),
        ("sklearn.model_selection._validation", "cross_validate", {"y": [1]}),
        ("sklearn.model_selection._validation", "cross_val_predict", {}),
        ("sklearn.ensemble._stacking", "fit", {"y": [1]}),
    ],
)
def test_guard_lets_pass_what_it_does_not_understand(module, function, arguments):
    def has_missing(y):
        raise KeyError("an error of the guard's own")

    # A function of that name in that module, with locals that the guard does not expect.
    assigned = "; ".join([f"{name} = given[{name!r}]" for name in arguments] or ["pass"])
    space = {"__name__": module, "given": arguments, "ask": lambda: check_asker(has_missing)}
    exec(f"def {function}():\n    {assigned}\n    return ask()", space)
    assert space[function]() is None


def test_guard_is_cheap():
    # Measured: 5 to 20 microseconds; a fit of the smallest network takes a thousand times as long.
    clf = make_tiny()
    seconds = min(timeit.repeat(clf.__sklearn_tags__, number=200, repeat=5)) / 200
    assert seconds < 1e-3
