"""A guard on scikit-learn's tools that would fail on the estimator, or use it wrongly.

Some tools take a missing label for a class, or the first column of probabilities for that of the
positive class. Knows their private names. A callable tells whether y has missing labels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from numbers import Number
from types import FrameType
from typing import Any

import numpy as np
import sklearn
from sklearn.utils import check_array
from sklearn.utils.fixes import parse_version

from sk_mtl._quoting import quote

__all__ = [
    "MissingLabelsError",
    "check_asker",
    "check_asker_of_view",
    "is_fitting_fold",
]


class MissingLabelsError(RuntimeError):
    """Raised before a tool is used that refuses missing labels, or takes them for a class.

    Not a ValueError, TypeError or AttributeError: scikit-learn's `Pipeline` swallows those while
    it collects the tags of its steps.
    """


_Asked = Mapping[str, Any]  # the local variables of the function that asks
_Test = Callable[[Any], bool]
_Refusal = Exception | None
_Refuse = Callable[[_Asked, _Test, list[Any]], _Refusal]


def check_asker(has_missing: _Test) -> None:
    """Refuse tools of scikit-learn that would fail on the estimator, or use it wrongly."""
    # scikit-learn's cross_val_predict of probabilities encodes y before any estimator sees it, so a
    # missing label becomes a class without a warning. Other tools fail with unhelpful messages.
    # Most ask for the estimator's tags first; this is called there and inspects the caller. If
    # scikit-learn's names have changed, everything passes.
    frame: FrameType | None = sys._getframe(1)
    owners: list[Any] = []
    found_asker = False
    while frame is not None:
        name = frame.f_code.co_name
        if not found_asker and (name in _PASSING_ON or _is_second_question(frame)):
            if name == "__sklearn_tags__":
                owners.append(frame.f_locals.get("self"))
                if type(owners[-1]).__name__ == "TaskView":
                    return  # an ordinary classifier, which asks for its own tags
        else:
            place = (frame.f_globals.get("__name__"), name)
            refusals = [_ENCODERS.get(place), None if found_asker else _ASKERS.get(place)]
            for refuse in filter(None, refusals):
                error = None
                with suppress(Exception):  # an error of the guard must not stop the tool
                    error = refuse(frame.f_locals, has_missing, owners)
                if error is not None:
                    raise error
            found_asker = True
        frame = frame.f_back


def check_asker_of_view(view: Any) -> None:
    """Refuse hard voting on a view that predicts other labels than encoded ones."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name in _PASSING_ON:
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "_validate_estimators":
        return
    tool = frame.f_locals.get("self")
    if getattr(tool, "voting", None) != "hard":
        return
    classes = np.asarray(view.classes_)
    if classes.tolist() != list(range(len(classes))):
        raise RuntimeError(
            f"{type(tool).__name__}(voting='hard') counts encoded labels (0, 1 and so on), but the "
            f"view of task {quote(view.task)} predicts the labels themselves, such as "
            f"{quote(classes.tolist()[0])}. Set voting='soft', which averages probabilities."
        )


def is_fitting_fold() -> bool:
    """Return whether a cross-validation fits the estimator, to a part of the rows."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in _FOLD_FITTERS:
            return True
        frame = frame.f_back
    return False


def _refuse_out_of_fold(asked: _Asked, has_missing: _Test, owners: list[Any]) -> _Refusal:
    wants_columns = asked["method"] in ("predict_proba", "predict_log_proba")
    if not wants_columns or asked["y"] is None:
        return None
    names = list(getattr(asked["y"], "columns", ()))
    numbers = [name for name in names if isinstance(name, Number)]
    if numbers and names != list(range(len(names))):
        return RuntimeError(
            f"scikit-learn's cross_val_predict(method={asked['method']!r}) takes the items of the "
            f"tasks by position, and here {quote(numbers[0])} is the name of a task. Use "
            "sk_mtl.model_selection.cross_val_predict."
        )
    if not has_missing(asked["y"]):
        return None
    return MissingLabelsError(
        f"scikit-learn's cross_val_predict(method={asked['method']!r}) would take the missing "
        "labels of y for one more class. Use sk_mtl.model_selection.cross_val_predict, which "
        "leaves them out."
    )


def _refuse_encoding(asked: _Asked, has_missing: _Test, owners: list[Any]) -> _Refusal:
    if asked["y"] is None or not has_missing(asked["y"]):
        return None
    tool = type(asked["self"]).__name__
    return MissingLabelsError(
        f"scikit-learn's {tool} would take the missing labels of y for a class. "
        f"{_INSTEAD.get(tool, _TASK_VIEW)}"
    )


def _refuse_fitting(asked: _Asked, has_missing: _Test, owners: list[Any]) -> _Refusal:
    y, tool = asked["y"], type(asked["_estimator"]).__name__
    is_read = y is not None and not isinstance(y, str) and not asked["skip_check_array"]
    if not is_read or asked["validate_separately"] or not _will_fail(y, has_missing):
        return None
    return MissingLabelsError(
        f"scikit-learn's {tool} takes no missing labels. {_INSTEAD.get(tool, _TASK_VIEW)}"
    )


def _refuse_scoring(asked: _Asked, has_missing: _Test, owners: list[Any]) -> _Refusal:
    scorer, y, estimator = asked["self"], asked["y_true"], asked["estimator"]
    metric = scorer._score_func
    # The user's own metric, or one given the labels, may handle missing labels.
    is_theirs = metric.__module__.startswith("sklearn.metrics.")
    if is_theirs and "labels" not in scorer._kwargs and y is not None and has_missing(y):
        return MissingLabelsError(
            f"scikit-learn's {metric.__name__} takes no missing labels, or takes them for a class. "
            f"{_SCORERS}, which scores labelled cells."
        )
    kind = _kind_of_response(estimator, scorer._response_method, owners)
    # The user's own metric may read the list of all tasks.
    is_readable = metric.__name__ in _TAKING_BOTH_COLUMNS if kind == "binary" else not is_theirs
    if kind is None or is_readable:
        return None
    return RuntimeError(
        f"scikit-learn would pass the columns of all classes to {metric.__name__}, as "
        f"{type(owners[-1]).__name__} is not a single-task classifier. {_SCORERS}. {_TASK_VIEW}"
    )


def _refuse_splitting(asked: _Asked, has_missing: _Test, owners: list[Any]) -> _Refusal:
    cv, y = asked["cv"] if "cv" in asked else asked["self"].cv, asked["y"]
    # Subclasses may handle missing labels.
    ours = _SPLITTERS.get((type(cv).__module__, type(cv).__name__))
    if ours is None or y is None or not _will_fail(y, has_missing, is_sorted=True):
        return None
    return MissingLabelsError(
        f"scikit-learn's {type(cv).__name__} takes no missing labels. Use "
        f"sk_mtl.model_selection.{ours}, which stratifies by all tasks and leaves them out."
    )


def _refuse_response(asked: _Asked, has_missing: _Test, owners: list[Any]) -> _Refusal:
    if _kind_of_response(asked["estimator"], asked["response_method"], owners) is None:
        return None
    return _refuse_as_classifier(asked, has_missing, owners)


def _refuse_calibration(asked: _Asked, has_missing: _Test, owners: list[Any]) -> _Refusal:
    # Otherwise the question is that of an estimator within the one that is calibrated.
    is_calibrated = type(owners[-1]) is type(asked["estimator"])
    if not is_calibrated or (_TAKES_SEVERAL_CLASSES and len(asked["self"].classes_) != 2):
        return None
    return _refuse_as_classifier(asked, has_missing, owners)


def _refuse_as_classifier(asked: _Asked, has_missing: _Test, owners: list[Any]) -> _Refusal:
    if not _is_transparent(owners):
        return None
    return RuntimeError(
        f"{type(owners[-1]).__name__} is refused here: it is not a single-task classifier. "
        f"{_TASK_VIEW}"
    )


def _is_second_question(frame: FrameType) -> bool:
    """Return whether a scorer asks that has asked before; the one of thresholds has not."""
    call = frame.f_back
    if frame.f_code.co_name != "_get_response_values" or call is None or call.f_back is None:
        return False
    scorer = call.f_back.f_locals.get("self")
    return call.f_code.co_name == "_cached_call" and type(scorer).__name__ != "_CurveScorer"


def _is_transparent(owners: list[Any]) -> bool:
    """Return whether the tags are those of our estimator; others may be classifiers themselves."""
    return all(type(owner).__name__ in _TRANSPARENT for owner in owners[1:])


def _kind_of_response(estimator: Any, response_method: Any, owners: list[Any]) -> str | None:
    """Return the kind of probabilities that scikit-learn would misread; None if it would not."""
    # scikit-learn 1.9 hands on whatever an estimator predicts that is not a classifier; older
    # versions refuse all but labels.
    methods = [response_method] if isinstance(response_method, str) else response_method
    used = next((method for method in methods if hasattr(estimator, method)), "predict")
    if used == "predict" or not _is_transparent(owners):
        return None
    classes = estimator.classes_
    if isinstance(classes, list):
        return "several tasks"
    if len(classes) == 2:
        return "binary"
    return None if _TAKES_SEVERAL_CLASSES else "several classes"


def _will_fail(y: Any, has_missing: _Test, is_sorted: bool = False) -> bool:
    """Return whether scikit-learn is about to refuse a y that has missing labels."""
    try:
        checked = check_array(y, accept_sparse=True, ensure_2d=False, dtype=None)
        if is_sorted:
            np.unique(checked)
    except (ValueError, TypeError):
        return has_missing(y)
    return False


_TASK_VIEW = (
    "Pass one task of a fitted estimator, estimator.task_view(task) or, around a Pipeline or a "
    "search, sk_mtl.TaskView(estimator, task), and the rows with a label of that task."
)
_SCORERS = 'Use a scorer of sk_mtl.metrics, such as scoring=make_multitask_scorer("roc_auc")'
# scikit-learn's metrics of the probabilities of two classes that need not be the second column.
_TAKING_BOTH_COLUMNS = {"brier_score_loss", "d2_brier_score", "d2_log_loss_score", "log_loss"}
_TAKES_SEVERAL_CLASSES = parse_version(sklearn.__version__) >= parse_version("1.9")
_ALONE = "MultiTaskClassifier takes several tasks and classes itself: fit it alone."
_SELECTORS = "SequentialFeatureSelector and SelectFromModel take them."
_INSTEAD = {
    "ClassifierChain": _ALONE,
    "MultiOutputClassifier": _ALONE,
    "OneVsOneClassifier": _ALONE,
    "OneVsRestClassifier": _ALONE,
    "OutputCodeClassifier": _ALONE,
    "RFE": _SELECTORS,
    "RFECV": _SELECTORS,
}
_SPLITTERS = {
    ("sklearn.model_selection._split", theirs): ours
    for theirs, ours in {
        "StratifiedKFold": "MultiTaskStratifiedKFold",
        "StratifiedShuffleSplit": "MultiTaskStratifiedShuffleSplit",
        "StratifiedGroupKFold": "MultiTaskStratifiedGroupKFold",
        "RepeatedStratifiedKFold": "RepeatedMultiTaskStratifiedKFold",
    }.items()
}
# Functions that ask for tags on behalf of their caller; estimators with the tags of an inner one.
_PASSING_ON = {"__sklearn_tags__", "get_tags", "is_classifier", "is_regressor"}
_TRANSPARENT = {
    "FrozenEstimator",
    "GridSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "MultiTaskSearchCV",
    "Pipeline",
    "RandomizedSearchCV",
}
# Functions that ask for tags, by module: the tool is about to fail.
_ASKERS: dict[tuple[Any, str], _Refuse] = {
    ("sklearn.utils.validation", "validate_data"): _refuse_fitting,
    ("sklearn.metrics._scorer", "_score"): _refuse_scoring,
    ("sklearn.model_selection._validation", "cross_validate"): _refuse_splitting,
    ("sklearn.model_selection._validation", "cross_val_predict"): _refuse_splitting,
    ("sklearn.model_selection._validation", "learning_curve"): _refuse_splitting,
    ("sklearn.model_selection._validation", "permutation_test_score"): _refuse_splitting,
    ("sklearn.model_selection._validation", "validation_curve"): _refuse_splitting,
    ("sklearn.model_selection._search", "fit"): _refuse_splitting,
    ("sklearn.model_selection._search_successive_halving", "fit"): _refuse_splitting,
    ("sklearn.feature_selection._sequential", "fit"): _refuse_splitting,
    ("sk_mtl._search.search", "_make_cv"): _refuse_splitting,
    ("sklearn.ensemble._base", "_validate_estimators"): _refuse_as_classifier,
    ("sklearn.inspection._partial_dependence", "partial_dependence"): _refuse_as_classifier,
    ("sklearn.metrics._plot.confusion_matrix", "from_estimator"): _refuse_as_classifier,
    ("sklearn.utils._response", "_get_response_values"): _refuse_response,
    ("sklearn.utils._response", "_get_response_values_binary"): _refuse_as_classifier,
}
# Functions anywhere above those.
_ENCODERS: dict[tuple[Any, str], _Refuse] = {
    ("sklearn.model_selection._validation", "cross_val_predict"): _refuse_out_of_fold,
    ("sklearn.calibration", "fit"): _refuse_calibration,
    ("sklearn.ensemble._bagging", "fit"): _refuse_encoding,
    ("sklearn.ensemble._stacking", "fit"): _refuse_encoding,
    ("sklearn.ensemble._weight_boosting", "fit"): _refuse_encoding,
    ("sklearn.multiclass", "fit"): _refuse_encoding,
}
# Functions that fit an estimator to the training rows of a fold.
_FOLD_FITTERS = {
    ("sklearn.model_selection._validation", "_fit_and_predict"),
    ("sklearn.model_selection._validation", "_fit_and_score"),
    ("sk_mtl.model_selection._cross_val_predict", "_fit_and_predict"),
    ("sk_mtl._search.evaluation", "run"),
}
