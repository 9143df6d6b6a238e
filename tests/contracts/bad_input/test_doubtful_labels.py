"""Labels that may mean missing: refused where nothing declares them, or with a warning."""

import warnings

import numpy as np
import pandas as pd
import pytest
from bad_input import N, X, Y, make
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from sk_mtl import MissingLabelsError
from sk_mtl.metrics import multitask_report, multitask_score
from sk_mtl.model_selection import (
    MultiTaskSearchCV,
    MultiTaskStratifiedKFold,
    cross_val_predict,
)

COLOURS = {"colour": ["blue", "green", "red"]}
CLASSES = "list all classes of the task in `classes`."
# The labels of a column in which every third is missing, and what other tools make of it.
HIDDEN = np.arange(N) % 3 == 0
LABELS = pd.Series(np.where(HIDDEN, None, np.where(np.arange(N) % 2, "yes", "no")))
CODES = LABELS.astype("category").cat.codes


def fit(column, **params):
    """Return the estimator fitted to a column in the place of flag, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf = make(**params).fit(X, Y.assign(flag=column))
    return clf, [str(w.message) for w in caught]


def unlabelled(category):
    return (
        f"Task 'flag' has no label of 1 of its 3 categories: {category!r}. Each is a class, with "
        "probabilities of its own. Call cat.remove_unused_categories() on the column to drop them, "
        "or list all classes of the task in `classes` to keep them."
    )


# name: the column, the warning, what is done about it, the classes then
DOUBTFUL = {
    "a number for text": (
        LABELS.fillna("-1"),
        "Task 'flag' has the label '-1' of type str in 7 cell(s), and missing_label is -1 of type "
        "int: they are not equal. If the label means missing, set missing_label='-1'. If it is a "
        f"class, {CLASSES}",
        {"missing_label": -1},
        {"missing_label": "-1"},
    ),
    "text for a number": (
        CODES,
        "Task 'flag' has the label -1 of type int in 7 cell(s), and missing_label is '-1' of type "
        "str: they are not equal. If the label means missing, set missing_label=-1. If it is a "
        f"class, {CLASSES}",
        {"missing_label": "-1"},
        {"missing_label": -1},
    ),
    "empty text": (
        LABELS.fillna(""),
        "Task 'flag' has the empty text '' as a label in 7 cell(s). If it means missing, set "
        f"missing_label=''. If it is a class, {CLASSES}",
        {},
        {"missing_label": ""},
    ),
    "codes": (
        CODES,
        "Task 'flag' has the labels -1 (in 7 cell(s)) and 0 to 1. Other tools write -1 where a "
        "label is missing, for instance pandas.factorize and cat.codes. If so, set "
        f"missing_label=-1. If it is a class, {CLASSES}",
        {},
        {"missing_label": -1},
    ),
}


@pytest.mark.parametrize(("column", "message", "params", "remedy"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_label_that_may_mean_missing_warns(column, message, params, remedy):
    clf, messages = fit(column, **params)
    assert messages == [message]
    assert clf.n_classes_[0] == 3
    declared = {"classes": {"flag": sorted(column.unique())}}
    clf, messages = fit(column, **{**params, **declared})
    assert (messages, clf.n_classes_[0]) == ([], 3)
    clf, messages = fit(column, **remedy)
    assert (messages, clf.n_classes_[0]) == ([], 2)
    assert clf.label_coverage_[0] == np.mean(~HIDDEN)


@pytest.mark.parametrize(
    "column",
    [
        np.where(np.arange(N) % 2, -1, 1),
        np.arange(N) % 5 - 2,
        np.arange(N) % 3 - 3,
        [-1, 0] * 10,
        [-1, 1, 2, 3] * 5,
        pd.Categorical(CODES, [-1, 0, 1], ordered=True),
    ],
    ids=["signs", "centred", "negative", "two", "with a gap", "ordered"],
)
def test_other_labels_below_zero_do_not_warn(column):
    assert fit(column)[1] == []


# ------------------------------------------------------------------------------------------------
# Categories without any label
# ------------------------------------------------------------------------------------------------


def categories(values, known, ordered=False):
    return pd.Categorical(values, known, ordered=ordered)


ANSWERS = np.arange(N) % 2
# As pandas 3 leaves it after replace(-1, nan).
REPLACED = categories(np.where(HIDDEN, np.nan, ANSWERS), [-1, 0, 1])


@pytest.mark.parametrize(
    ("column", "category"),
    [
        (REPLACED, -1),
        (categories(ANSWERS, [0, 1, 2]), 2),
        (categories(ANSWERS, [0, 1, 9]), 9),
        (categories(ANSWERS, [-1, 0, 1], ordered=True), -1),
        (categories(ANSWERS.astype(str), ["0", "1", "nan"], ordered=True), "nan"),
    ],
)
def test_category_without_any_label_is_a_class_and_warns(column, category):
    clf, messages = fit(column)
    assert messages == [unlabelled(category)]
    assert clf.n_classes_[0] == 3
    clf, messages = fit(column.remove_unused_categories())
    assert (messages, clf.n_classes_[0]) == ([], 2)


def test_categories_that_are_listed_or_in_an_order_do_not_warn():
    assert fit(REPLACED, classes={"flag": [-1, 0, 1]})[1] == []
    assert fit(categories(ANSWERS, [0, 1, 2], ordered=True))[1] == []


def test_a_fold_may_lack_a_category():
    rare = categories([2, *ANSWERS[1:]], [0, 1, 2])
    y = Y.assign(flag=rare)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(cross_val_score(make(), X, y, cv=4, error_score="raise")).all()
        cross_val_predict(
            make(), X, y, cv=[(np.arange(9, N), np.arange(9)), (np.arange(9), np.arange(9, N))]
        )
        for search in (GridSearchCV, MultiTaskSearchCV):
            search(make(), {"epochs": [1]}, cv=KFold(4), error_score="raise").fit(X, y)


def test_a_block_of_a_stream_may_lack_a_category():
    clf = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.partial_fit(
            X, Y.assign(flag=categories(ANSWERS, [0, 1, 2])), {"colour": ["blue", "green", "red"]}
        )
    with pytest.warns(UserWarning, match="'flag' has no label of 1 .*: -1"):
        make().partial_fit(X, Y.assign(flag=REPLACED), {"colour": ["blue", "green", "red"]})


# ------------------------------------------------------------------------------------------------
# Text of missing labels, wherever labels are read
# ------------------------------------------------------------------------------------------------

WORDS = Y.assign(flag=LABELS.fillna("None"))
CLEAN = Y.assign(flag=LABELS)


def clean():
    return make().fit(X, CLEAN)


READERS = {
    "fit": lambda: make().fit(X, WORDS),
    "fit of one task": lambda: make().fit(X, WORDS["flag"]),
    "partial_fit": lambda: make().partial_fit(X, WORDS, {"flag": ["no", "yes"], **COLOURS}),
    "a later partial_fit": lambda: clean().partial_fit(X, WORDS),
    "validation data": lambda: make().fit(X, CLEAN, validation_data=(X, WORDS)),
    "score": lambda: clean().score(X, WORDS),
    "view": lambda: clean().task_view("flag").score(X, WORDS["flag"]),
    "score of labels": lambda: multitask_score("accuracy", WORDS, clean().predict(X)),
    "score of predictions": lambda: multitask_score("accuracy", CLEAN, WORDS),
    "score of probabilities": lambda: multitask_score(
        "log_loss", WORDS, clean().predict_proba(X), classes=clean().classes_
    ),
    "report": lambda: multitask_report(WORDS, clean().predict(X)),
    "report of training labels": lambda: multitask_report(CLEAN, clean().predict(X), y_train=WORDS),
    "splitter": lambda: list(MultiTaskStratifiedKFold(2).split(X, WORDS)),
    "cross_val_predict": lambda: cross_val_predict(make(), X, WORDS),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_text_of_missing_labels_is_refused_wherever_labels_are_read(read):
    message = r"[Tt]ask 'flag' holds the text of a missing label: 'None' in 7 cell\(s\)"
    with pytest.raises(ValueError, match=message):
        read()


def test_displays_refuse_text_of_missing_labels():
    pytest.importorskip("matplotlib")
    from sk_mtl.plotting import LabelCoverageDisplay, TaskSimilarityDisplay

    for display in (LabelCoverageDisplay, TaskSimilarityDisplay):
        with pytest.raises(ValueError, match="'flag' holds the text of a missing label"):
            display.from_labels(WORDS)


def test_declared_words_are_classes_wherever_labels_are_read():
    listed = pd.CategoricalDtype(["None", "no", "yes"], ordered=True)
    y = Y.assign(flag=WORDS["flag"].astype(listed))
    clf = make().fit(X, y)
    with_classes = make(classes={"flag": ["None", "no", "yes"]}).fit(X, WORDS)
    for fitted, labels in ((clf, y), (with_classes, WORDS)):
        assert fitted.score(X, labels) == multitask_score(
            "accuracy", labels, fitted.predict(X), classes=fitted.classes_
        )
        fitted.task_view("flag").score(X, labels["flag"])
        fitted.partial_fit(X, labels)
    assert multitask_score("accuracy", y, y) == 1
    assert len(list(MultiTaskStratifiedKFold(2).split(X, y))) == 2


def test_scikit_learn_is_kept_from_encoding_text_of_missing_labels():
    with pytest.raises(MissingLabelsError, match="would take the missing labels"):
        BaggingClassifier(make(), n_estimators=1).fit(X, WORDS["flag"])


def test_scikit_learn_encodes_declared_words():
    clf = make(classes=["None", "no", "yes"])
    assert np.isfinite(cross_val_score(clf, X, WORDS["flag"], cv=2, scoring="accuracy")).all()
