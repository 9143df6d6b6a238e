"""Labels of 60 bits, in one dtype here and in another there: nothing rounds them on the way.

A float64 has one value for all of these labels, so that a rounded label is another class.
"""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import make_tiny
from sklearn.model_selection import KFold

from sk_mtl.metrics import multitask_report, multitask_score
from sk_mtl.model_selection import (
    MultiTaskStratifiedGroupKFold,
    MultiTaskStratifiedKFold,
    cross_val_predict,
)
from sk_mtl.plotting import TaskScoresDisplay

make = partial(make_tiny, epochs=1, early_stopping=False)

N = 48
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
CODES = np.arange(N) * 7 % 3
LABELS = [2**60 + 1 + int(c) for c in CODES]
CLASSES = [2**60 + 1, 2**60 + 2, 2**60 + 3]
HOLES = np.arange(N) % 5 == 0
WITH_HOLES = [None if hole else label for label, hole in zip(LABELS, HOLES, strict=True)]

FORMS = {
    "int64": lambda: pd.DataFrame({"q": np.array(LABELS, dtype="i8")}),
    "uint64": lambda: pd.DataFrame({"q": np.array(LABELS, dtype="u8")}),
    "big-endian": lambda: pd.DataFrame({"q": np.array(LABELS, dtype=">u8")}),
    "objects": lambda: pd.DataFrame({"q": pd.Series(LABELS, dtype=object)}),
    "Int64": lambda: pd.DataFrame({"q": pd.array(WITH_HOLES, dtype="Int64")}),
    "UInt64": lambda: pd.DataFrame({"q": pd.array(WITH_HOLES, dtype="UInt64")}),
    "polars": lambda: pl.DataFrame({"q": pl.Series(WITH_HOLES, dtype=pl.UInt64)}),
    "Arrow": lambda: pa.table({"q": pa.array(WITH_HOLES, pa.uint64())}),
}
form = pytest.mark.parametrize("name", FORMS)
HAS_LABEL = {
    name: ~HOLES if name in ("Int64", "UInt64", "polars", "Arrow") else np.full(N, True)
    for name in FORMS
}


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X, FORMS["int64"]())


@pytest.fixture(scope="module")
def predicted(fitted):
    """Predicted labels, as Python's integers."""
    return fitted.predict(X)["q"].tolist()


def accuracy(predicted, name):
    """Return the share of labelled rows that are predicted right."""
    hits = [p == x for p, x in zip(predicted, LABELS, strict=True)]
    return np.mean(hits, where=HAS_LABEL[name])


@pytest.mark.slow
def test_the_model_is_right_in_some_rows_only(predicted):
    assert 0 < accuracy(predicted, "int64") < 1


@form
def test_scores_are_those_of_python(fitted, predicted, name):
    y, wanted = FORMS[name](), pytest.approx(accuracy(predicted, name))
    assert fitted.score(X, y) == wanted
    assert fitted.task_view("q").score(X, y) == wanted
    assert multitask_score("accuracy", y, fitted.predict(X)) == wanted
    if HAS_LABEL[name].all():
        assert multitask_score("accuracy", fitted.predict(X), y) == wanted
    assert multitask_report(y, fitted.predict(X)).frame["accuracy", "score"]["q"] == wanted


@form
def test_probabilities_are_matched_with_their_classes(fitted, name):
    y, proba = FORMS[name](), fitted.predict_proba(X)
    of_true = proba["q"][np.arange(N), CODES].astype(np.float64)
    wanted = -np.log(of_true)[HAS_LABEL[name]].mean()
    for classes in (fitted.classes_, {"q": np.array(CLASSES, dtype="u8")}, {"q": CLASSES}):
        found = multitask_score("log_loss", y, proba, classes=classes)
        assert found == pytest.approx(wanted)
    frame = fitted.predict_proba_frame(X)
    assert multitask_score("log_loss", y, frame) == pytest.approx(wanted)
    train = FORMS["UInt64"]()
    report = multitask_report(y, y_proba=proba, y_train=train, metrics=["log_loss"])
    assert report.frame["log_loss", "score"]["q"] == pytest.approx(wanted)
    assert report.class_counts.loc["q"].index.tolist() == CLASSES


@form
def test_a_fit_knows_its_classes_in_any_form(name):
    y = FORMS[name]()
    clf = make(class_weight={"q": {np.uint64(CLASSES[0]): 2.0, CLASSES[1]: 3.0}})
    clf.fit(X, y, validation_data=(X, FORMS["uint64"]()))
    assert clf.classes_["q"].tolist() == CLASSES
    listed = make(classes={"q": np.array(CLASSES, dtype=">u8")}).fit(X, y)
    assert listed.classes_["q"].tolist() == CLASSES


def test_a_stream_may_change_the_form_of_its_labels():
    clf = make().partial_fit(X, FORMS["int64"](), classes={"q": CLASSES})
    clf.partial_fit(X, FORMS["UInt64"](), classes={"q": np.array(CLASSES, dtype="u8")})
    with pytest.raises(ValueError, match="must be those of the first fit"):
        clf.partial_fit(X, FORMS["int64"](), classes={"q": [CLASSES[0], CLASSES[1], 2**60 + 4]})


@pytest.mark.parametrize("name", ["uint64", "UInt64"])
def test_folds_are_joined_without_rounding(name):
    # A column with missing labels is int64 in the folds that have some, and uint64 in the others.
    y = FORMS[name]()["q"]
    y = y.where(np.arange(N) < 40, other=y.iloc[1])
    predicted = cross_val_predict(make(), X, y, cv=KFold(3))
    assert set(predicted.tolist()) <= set(CLASSES)
    proba = cross_val_predict(make(), X, y, cv=KFold(3), method="predict_proba")
    assert proba.shape == (N, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.slow
def test_a_fold_without_labels_does_not_round_the_others():
    y = FORMS["int64"]().assign(w=CODES % 2)
    y.loc[:35, "q"] = -1
    test = np.arange(N) >= 36
    folds = [(np.flatnonzero(~test), np.flatnonzero(test)), (np.flatnonzero(test), np.arange(36))]
    with pytest.warns(UserWarning, match="no label"):
        predicted = cross_val_predict(make(missing_label=-1), X, y, cv=folds)
    assert predicted["q"][36:].isna().all()
    assert set(predicted["q"][:36]) <= set(CLASSES)


@pytest.mark.slow
def test_a_frame_of_probabilities_names_60_bits_beside_floats_and_booleans():
    y = FORMS["int64"]().assign(float=CODES.astype(float), flag=CODES > 0, bit=CODES % 2)
    clf = make().fit(X, y)
    frame = clf.predict_proba_frame(X)
    for task in y:
        assert frame[task].columns.tolist() == clf.classes_[task].tolist()
        for k, label in enumerate(clf.classes_[task].tolist()):
            np.testing.assert_array_equal(frame[task, label], clf.predict_proba(X)[task][:, k])


@form
def test_folds_do_not_depend_on_the_form_of_the_labels(name):
    y = FORMS[name]()
    as_codes = pd.Series(CODES, dtype="Int64")
    as_codes[~HAS_LABEL[name]] = pd.NA
    split = MultiTaskStratifiedKFold(3).split
    for (_, found), (_, wanted) in zip(split(X, y), split(X, as_codes), strict=True):
        assert found.tolist() == wanted.tolist()


def test_displays_compare_labels_by_value(fitted, predicted):
    pytest.importorskip("matplotlib")
    display = TaskScoresDisplay.from_estimator(fitted, X, FORMS["uint64"](), metric="accuracy")
    assert display.scores["MultiTaskClassifier"] == pytest.approx(accuracy(predicted, "uint64"))


def test_a_view_refuses_text_in_place_of_numbers(fitted):
    with pytest.raises(ValueError, match="must be of the type seen in fit"):
        fitted.task_view("q").score(X, [str(label) for label in LABELS])


# -- The other byte order ------------------------------------------------------------------------


def swap(values):
    """Return an array in the byte order that the machine does not have."""
    values = np.asarray(values)
    return values.astype(values.dtype.newbyteorder("S"))


def test_big_endian_features_categories_weights_and_groups_change_no_bit():
    features = pd.DataFrame({"x": X[:, 0], "kind": CODES.astype("i4")})
    swapped = pd.DataFrame({name: swap(column) for name, column in features.items()})
    weight = np.linspace(1, 2, N)
    clf = make(categorical_features=["kind"])
    one = clf.fit(features, LABELS, sample_weight=weight).predict_proba(features)
    other = clf.fit(swapped, LABELS, sample_weight=swap(weight)).predict_proba(swapped)
    np.testing.assert_array_equal(one, other)
    table = make(categorical_features=[1]).fit(swap(np.stack([CODES, CODES], axis=1)), LABELS)
    assert table.n_features_in_ == 2
    split = MultiTaskStratifiedGroupKFold(3).split
    groups = np.arange(N) // 2
    for (_, found), (_, wanted) in zip(
        split(X, LABELS, swap(groups)), split(X, LABELS, groups), strict=True
    ):
        assert found.tolist() == wanted.tolist()
