"""The estimator: what it learns from, gives back and refuses, and what never counts."""

import copy
import pickle
import warnings
from functools import partial

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from helpers import assert_same_arrays, make_tiny
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from sk_mtl import PerTask
from sk_mtl.model_selection import MultiTaskStratifiedKFold

N = 40


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def Y(X):
    """A binary task, and one of three classes that every third row lacks."""
    colour = np.array(["blue", "green", "red"])[np.digitize(X[:, 1], [-0.5, 0.5])].astype(object)
    colour[::3] = None
    return pd.DataFrame({"flag": (X[:, 0] > 0).astype(int), "colour": colour})


make = partial(make_tiny, dropout=0.0, batch_size=64, early_stopping=False)  # one batch an epoch


def fit(X, Y, sample_weight=None, validation_data=None, **params):
    return make(**params).fit(X, Y, sample_weight, validation_data=validation_data)


def values(clf):
    """Return the values of the network."""
    return clf._fitted.network.state.network


def assert_same_model(one, two):
    """Assert that two estimators hold the same network, bit for bit, and the same history."""
    assert_same_arrays(values(one), values(two))
    assert_same_arrays(one.history_.values(), two.history_.values())


def assert_close_model(one, two, atol=1e-5):
    assert_same_arrays(values(one), values(two), atol)


@pytest.fixture(scope="module")
def fitted(X, Y):
    index = [f"row{i}" for i in range(N)]
    return fit(pd.DataFrame(X, columns=["u", "v", "w"], index=index), Y)


# ------------------------------------------------------------------------------------------------
# What fit leaves behind
# ------------------------------------------------------------------------------------------------


def test_fitted_attributes_describe_the_tasks(fitted):
    assert fitted.task_names_.tolist() == ["flag", "colour"]
    assert fitted.n_tasks_ == 2
    assert type(fitted.classes_) is type(fitted.n_classes_) is PerTask
    assert fitted.classes_["flag"].tolist() == [0, 1]
    assert fitted.classes_["colour"].tolist() == ["blue", "green", "red"]
    assert dict(fitted.n_classes_.items()) == {"flag": 2, "colour": 3}
    np.testing.assert_allclose(fitted.label_coverage_, [1, 26 / N])
    assert fitted.task_weights_.tolist() == [1, 1]
    assert fitted.n_features_in_ == 3
    assert fitted.feature_names_in_.tolist() == ["u", "v", "w"]


def test_history_has_a_value_per_epoch_and_task(fitted, Y):
    assert set(fitted.history_) == {"loss", "objective", "flag_loss", "colour_loss"}
    assert {len(v) for v in fitted.history_.values()} == {fitted.n_iter_} == {2}
    assert fitted.best_iter_ == 2
    tasks = np.array([fitted.history_["flag_loss"], fitted.history_["colour_loss"]])
    np.testing.assert_allclose(fitted.history_["loss"], tasks.mean(axis=0), rtol=1e-6)
    mean = np.average(tasks, axis=0, weights=Y.notna().sum())
    np.testing.assert_allclose(fitted.history_["objective"], mean, rtol=1e-6)


@pytest.mark.slow
def test_history_of_a_held_out_part_and_of_learned_weights(X, Y):
    clf = fit(X, Y, early_stopping=True, validation_fraction=0.3, task_weighting="uncertainty")
    names = {"loss", "objective", "flag_loss", "colour_loss", "flag_weight", "colour_weight"}
    assert set(clf.history_) == names | {"val_loss", "val_flag_loss", "val_colour_loss"}
    assert (clf.task_weights_ != 1).all()


@pytest.mark.parametrize(
    "names",
    [
        ["val", "b"],
        ["a", "val_a"],
        [0, "0"],
        ["val_", ""],
        ["loss", "objective"],
        ["a", "a_weight"],
    ],
    ids=str,
)
@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
def test_series_of_the_history_are_apart_whatever_the_names_of_tasks(X, Y, names, watched, capsys):
    clf = fit(
        X, Y.set_axis(names, axis=1), early_stopping=watched, validation_fraction=0.3, verbose=2
    )
    capsys.readouterr()
    assert len(clf.history_) == (7 if watched else 4)
    assert ("val_loss" in clf.history_) == watched
    prefix = "val_" if watched else ""
    tasks = [k for k in clf.history_ if k.endswith("_loss") and k.startswith("val_") == watched]
    mean = np.mean([clf.history_[k] for k in tasks if k != "val_loss"], axis=0)
    np.testing.assert_allclose(clf.history_[f"{prefix}loss"], mean, rtol=1e-6)


def test_a_task_named_val_can_be_watched_without_held_out_rows(X, Y):
    clf = fit(
        X,
        Y.set_axis(["val", "b"], axis=1),
        early_stopping=True,
        validation_fraction=None,
        monitor="b",
    )
    assert clf.best_iter_ in (1, 2)


def test_float32_features_and_y_are_left_as_they_were(X, Y):
    before, labels = X.copy(), Y.copy()
    fit(X, Y)
    np.testing.assert_array_equal(X, before)
    pd.testing.assert_frame_equal(Y, labels)


# ------------------------------------------------------------------------------------------------
# What comes back
# ------------------------------------------------------------------------------------------------


def test_predict_gives_what_y_was(fitted, X, Y):
    frame = pd.DataFrame(X, columns=["u", "v", "w"], index=[f"row{i}" for i in range(N)])
    predicted = fitted.predict(frame)
    assert predicted.columns.tolist() == ["flag", "colour"]
    assert predicted.dtypes.tolist() == Y.dtypes.tolist()
    assert predicted.index.equals(frame.index)
    assert predicted.notna().all(axis=None)


def test_probabilities_are_float32_and_sum_to_one(fitted, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no feature names here
        proba, logs = fitted.predict_proba(X), fitted.predict_log_proba(X)
    assert type(proba) is type(logs) is PerTask
    assert [p.shape for p in proba] == [(N, 2), (N, 3)]
    for p, log in zip(proba, logs, strict=True):
        assert p.dtype == log.dtype == np.float32
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(log, np.log(p))


def test_the_most_probable_class_is_predicted(fitted, X):
    frame = pd.DataFrame(X, columns=["u", "v", "w"])
    predicted, proba = fitted.predict(frame), fitted.predict_proba(frame)
    for name in fitted.task_names_:
        best = fitted.classes_[name][proba[name].argmax(axis=1)]
        np.testing.assert_array_equal(predicted[name], best)


def test_probabilities_as_one_frame(fitted, X):
    frame = pd.DataFrame(X, columns=["u", "v", "w"], index=np.arange(N)[::-1])
    table = fitted.predict_proba_frame(frame)
    assert table.columns.tolist() == [
        ("flag", 0), ("flag", 1), ("colour", "blue"), ("colour", "green"), ("colour", "red"),
    ]  # fmt: skip
    assert table.index.equals(frame.index)
    np.testing.assert_array_equal(table["colour"], fitted.predict_proba(frame)["colour"])


def test_score_is_the_mean_over_tasks_of_the_accuracy_over_labelled_cells(fitted, X, Y):
    frame = pd.DataFrame(X, columns=["u", "v", "w"])
    hits = (fitted.predict(frame) == Y).astype(float).where(Y.notna())
    assert fitted.score(frame, Y) == pytest.approx(hits.mean().mean())
    assert fitted.score(frame, Y[["colour", "flag"]]) == fitted.score(frame, Y)
    assert fitted.score(frame, Y.to_numpy()) == fitted.score(frame, Y)
    weight = np.linspace(0, 1, N)
    weighed = [np.average(hits[c].dropna(), weights=weight[hits[c].notna()]) for c in hits]
    assert fitted.score(frame, Y, weight) == pytest.approx(np.mean(weighed))


def test_score_counts_a_label_that_training_did_not_see_as_an_error(fitted, X, Y):
    frame = pd.DataFrame(X, columns=["u", "v", "w"])
    assert fitted.score(frame, Y.assign(flag=7, colour="violet")) == 0


def test_score_without_a_labelled_cell_is_nan(fitted, X, Y):
    frame = pd.DataFrame(X, columns=["u", "v", "w"])
    assert np.isnan(fitted.score(frame, Y.assign(flag=np.nan, colour=None)))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "task_view"])
def test_methods_that_need_a_fit_say_so(X, Y, method):
    arguments = {"score": (X, Y), "task_view": ("flag",)}.get(method, (X,))
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(make(), method)(*arguments)


@pytest.mark.slow
def test_a_1d_y_gives_plain_arrays(X):
    y = np.where(X[:, 0] > 0, "yes", "no")
    clf = fit(X, y)
    assert clf.classes_.tolist() == ["no", "yes"]
    assert clf.n_classes_ == 2
    assert clf.predict(X).dtype == y.dtype
    assert clf.predict_proba(X).shape == (N, 2)
    assert type(clf.predict_log_proba(X)) is np.ndarray
    assert clf.predict_proba_frame(X).columns.tolist() == [("y0", "no"), ("y0", "yes")]
    column = fit(X, y[:, None])
    assert column.predict(X).shape == (N,)
    assert_same_model(clf, column)


def test_the_form_of_y_does_not_change_the_model(X, Y):
    reference = fit(X, Y)
    forms = {
        "polars": pl.from_pandas(Y),
        "categories": Y.astype({"flag": "Int8", "colour": "category"}),
        "objects": Y.to_numpy(dtype=object),
        "lists": Y.astype(object).where(Y.notna(), None).to_numpy().tolist(),
        "reversed names": Y.set_axis([1, 0], axis=1),
    }
    for form in forms.values():
        assert_same_model(reference, fit(X, form))


def test_polars_in_polars_out(X, Y):
    frame = pl.from_pandas(Y).with_columns(pl.col("colour").cast(pl.Enum(["red", "green", "blue"])))
    clf = fit(pl.DataFrame(X, schema=["u", "v", "w"]), frame)
    predicted = clf.predict(pl.DataFrame(X, schema=["u", "v", "w"]))
    assert predicted.schema == frame.schema
    assert clf.feature_names_in_.tolist() == ["u", "v", "w"]


@pytest.mark.slow_except("tuples")
@pytest.mark.parametrize(
    "names", [[10, 20], pd.MultiIndex.from_tuples([("x", "a"), ("x", "b")])], ids=["ints", "tuples"]
)
def test_tasks_of_any_name_can_be_asked_for(X, Y, names):
    clf = fit(X, Y.set_axis(names, axis=1), head_hidden_layer_sizes={names[1]: 3})
    proba = clf.predict_proba(X)
    np.testing.assert_array_equal(proba[names[1]], list(proba)[1])
    assert clf.predict(X).columns.equals(pd.Index(names))
    assert clf.task_view(names[1]).predict_proba(X).shape == (N, 3)
    assert clf.predict_proba_frame(X).shape == (N, 5)


def test_sparse_features_give_the_model_of_dense_ones(X, Y):
    X = np.where(np.abs(X) < 0.7, 0, X)
    dense = fit(X, Y)
    for form in (sp.csr_matrix, sp.csc_array):
        sparse = fit(form(X), Y)
        assert_close_model(dense, sparse)
        for one, two in zip(dense.predict_proba(X), sparse.predict_proba(form(X)), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-6)


def test_a_fitted_estimator_pickles_and_copies(fitted, X):
    frame = pd.DataFrame(X, columns=["u", "v", "w"])
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        pd.testing.assert_frame_equal(again.predict(frame), fitted.predict(frame))
        np.testing.assert_array_equal(
            again.predict_proba(frame)["colour"], fitted.predict_proba(frame)["colour"]
        )


# ------------------------------------------------------------------------------------------------
# What never counts
# ------------------------------------------------------------------------------------------------


def test_a_second_fit_gives_the_same_model(X, Y):
    clf = fit(X, Y)
    first = copy.deepcopy(clf)
    assert_same_model(first, clf.fit(X, Y))


def test_what_lies_under_a_mask_changes_no_bit(X, Y):
    labels = np.column_stack([Y["flag"], Y["colour"].map({"red": 0, "green": 1, "blue": 2})])
    hidden = np.isnan(labels)
    reference = fit(X, labels, batch_size=16)
    filled = np.where(hidden, np.arange(2 * N).reshape(N, 2) % 3, labels).astype(int)
    assert_same_model(reference, fit(X, np.ma.masked_array(filled, hidden), batch_size=16))
    sentinel = np.where(hidden, -1, labels).astype(int)
    assert_same_model(reference, fit(X, sentinel, batch_size=16, missing_label=-1))


def test_weights_under_a_mask_change_no_bit(X, Y):
    weight = np.ones((N, 2))
    reference = fit(X, Y, weight)
    for nothing in (np.nan, np.inf, -3.0, 1e300):
        assert_same_model(reference, fit(X, Y, np.where(Y.isna(), nothing, weight)))


def test_weight_zero_is_a_missing_label(X, Y):
    off = np.arange(N) % 4 == 1
    missing = fit(X, Y.assign(colour=Y["colour"].mask(off)), batch_size=16)
    weightless = fit(X, Y, np.column_stack([np.ones(N), ~off]), batch_size=16)
    assert_same_model(missing, weightless)
    np.testing.assert_array_equal(missing.label_coverage_, weightless.label_coverage_)
    # Nor does it matter which label that is.
    other = Y.assign(colour=Y["colour"].mask(off & Y["colour"].notna(), "red"))
    assert_same_model(missing, fit(X, other, np.column_stack([np.ones(N), ~off]), batch_size=16))


@pytest.mark.parametrize("batch_size", [64, 16])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_without_labels_change_no_bit(X, Y, batch_size, early_stopping):
    params = {
        "batch_size": batch_size,
        "early_stopping": early_stopping,
        "validation_fraction": 0.3,
    }
    reference = fit(X, Y, **params)
    order = np.random.default_rng(1).permutation(2 * N)
    # The labelled rows keep their order among themselves.
    place = np.sort(order[:N])
    more_X = np.random.default_rng(2).normal(size=(2 * N, 3)).astype(np.float32)
    more_Y = pd.DataFrame({"flag": [None] * 2 * N, "colour": [None] * 2 * N}, dtype=object)
    more_X[place] = X
    more_Y.iloc[place] = Y.astype(object)
    assert_same_model(reference, fit(more_X, more_Y, **params))


def test_rows_with_labels_of_one_class_tasks_only_change_no_bit(X, Y):
    Y = Y.assign(constant="same")
    with pytest.warns(UserWarning, match="one class"):
        reference = fit(X, Y.assign(constant=Y["constant"].where(np.arange(N) < 5)))
    with pytest.warns(UserWarning, match="one class"):
        assert_same_model(reference, fit(X, Y))


# ------------------------------------------------------------------------------------------------
# Weights
# ------------------------------------------------------------------------------------------------


def test_a_row_of_weight_two_is_the_row_twice(X, Y):
    twice = np.arange(N) % 3 == 0
    weight = np.where(twice, 2.0, 1.0)
    weighed = fit(X, Y, weight)
    repeated = fit(np.vstack([X, X[twice]]), pd.concat([Y, Y[twice]]))
    assert_close_model(weighed, repeated)
    np.testing.assert_allclose(weighed.history_["loss"], repeated.history_["loss"], rtol=1e-5)


def test_weights_matter_only_in_proportion(X, Y):
    weight = np.linspace(1, 2, N)
    reference = fit(X, Y, weight)
    for factor in (1e-20, 1e20):
        assert_close_model(reference, fit(X, Y, factor * weight))


def test_row_weights_are_cell_weights_repeated(X, Y):
    weight = np.linspace(1, 2, N)
    reference = fit(X, Y, weight)
    assert_same_model(reference, fit(X, Y, np.column_stack([weight, weight])))
    frame = pd.DataFrame({"colour": weight, "flag": weight})
    assert_same_model(reference, fit(X, Y, frame))


def test_balanced_class_weights_are_the_explicit_ones(X, Y):
    explicit = {}
    for name in Y:
        counts = Y[name].value_counts()
        explicit[name] = {label: counts.sum() / len(counts) / n for label, n in counts.items()}
    reference = fit(X, Y, class_weight="balanced")
    assert_close_model(reference, fit(X, Y, class_weight=explicit))
    assert_same_model(reference, fit(X, Y, class_weight=dict.fromkeys(Y, "balanced")))


def test_a_class_weight_is_a_weight_of_its_cells(X, Y):
    weight = np.column_stack([np.ones(N), np.where(Y["colour"] == "red", 3.0, 1.0)])
    assert_same_model(fit(X, Y, weight), fit(X, Y, class_weight={"colour": {"red": 3}}))


def test_a_class_of_weight_zero_is_a_missing_label(X, Y):
    listed = pd.CategoricalDtype(sorted(Y["colour"].dropna().unique()), ordered=True)
    Y = Y.assign(colour=Y["colour"].astype(listed))
    without = fit(X, Y.assign(colour=Y["colour"].where(Y["colour"] != "red")))
    assert_same_model(without, fit(X, Y, class_weight={"colour": {"red": 0}}))


def test_balanced_weights_of_validation_data_are_those_of_training(X, Y):
    part = slice(0, 10)
    explicit = {}
    for name in Y:
        counts = Y[name].value_counts()
        explicit[name] = {label: counts.sum() / len(counts) / n for label, n in counts.items()}
    watched = (X[part], Y[part])
    balanced = fit(X, Y, validation_data=watched, class_weight="balanced")
    listed = fit(X, Y, validation_data=watched, class_weight=explicit)
    np.testing.assert_allclose(
        balanced.history_["val_loss"], listed.history_["val_loss"], rtol=1e-5
    )


@pytest.mark.parametrize(
    "class_weight",
    [
        {"flag": {0: 0, 1: 0}, "colour": dict.fromkeys(["red", "green", "blue"], 0)},
        {"flag": {0: 0, 1: 0}},
    ],
    ids=["all tasks", "one task"],
)
def test_class_weights_that_leave_a_task_nothing_are_refused(X, Y, class_weight):
    with pytest.raises(ValueError, match=r"class_weight.*zero"):
        fit(X, Y, class_weight=class_weight)


def test_a_weighted_class_that_the_rows_lack_changes_nothing_but_warns(X, Y):
    Y = Y.assign(rare=0, empty=np.nan)
    weights = {"flag": {0: 2, 7: 3}, "rare": {0: 1, 1: 20}, "empty": {0: 1, 1: 20}}
    with pytest.warns(UserWarning, match="no label|one class"):
        plain = fit(X, Y, class_weight={"flag": {0: 2}})
    with pytest.warns(UserWarning, match="class_weight|no label|one class") as caught:
        weighted = fit(X, Y, class_weight=weights)
    assert [w for w in caught if ": 7 of task 'flag'." in str(w.message)]
    assert len([w for w in caught if "'rare'" in str(w.message)]) == 1
    np.testing.assert_array_equal(weighted.predict_proba(X)["flag"], plain.predict_proba(X)["flag"])


@pytest.mark.slow
def test_a_weighted_class_that_the_rows_lack_is_no_news_if_it_is_declared(X, Y):
    Y = Y.assign(rare=pd.Categorical([0] * N, [0, 1], ordered=True))
    fit(X, Y, class_weight={"rare": {0: 1, 1: 20}})
    fit(X, Y.astype({"rare": int}), class_weight={"rare": {1: 20}}, classes={"rare": [0, 1]})


def test_a_class_weight_of_zero_is_accepted_where_nothing_is_learned(X, Y):
    with pytest.warns(UserWarning, match="one class|no label of y has"):
        fit(X, Y.assign(rare=0), class_weight={"rare": {0: 0, 1: 1}})


@pytest.mark.filterwarnings("ignore:.*class.*:UserWarning")
def test_a_search_scores_folds_that_lack_a_weighted_class(X, Y):
    Y = Y.assign(rare=(np.arange(N) == 3).astype(int))
    folds = MultiTaskStratifiedKFold(3)
    searches = [
        GridSearchCV(make(epochs=1), {"class_weight": [weight]}, cv=folds).fit(X, Y)
        for weight in (None, {"rare": {0: 1, 1: 1}})
    ]
    scores = [search.cv_results_["mean_test_score"].item() for search in searches]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("labels", [0, np.nan], ids=["one class", "no label"])
def test_validation_labels_of_a_task_that_is_not_learned_do_not_stop_a_fit(X, Y, labels):
    with pytest.warns(UserWarning, match="one class|no label"):
        fit(X, Y.assign(rare=labels), validation_data=(X, Y.assign(rare=np.arange(N) % 2)))


@pytest.mark.slow
def test_the_step_of_a_rare_task_does_not_depend_on_its_coverage_when_divided_by_task(X, Y):
    # Per task the mean over labelled cells, so labels twice as sparse are not learned half as fast.
    doubled = np.vstack([X, X])
    sparse = pd.concat([Y, Y.assign(colour=None)])
    by_task = {"loss_normalization": "tasks"}
    assert_close_model(fit(X, Y, **by_task), fit(doubled, sparse, batch_size=2 * N, **by_task))


def test_every_cell_counts_the_same_by_default(X, Y):
    # Labels twice as sparse have half the share of the objective.
    doubled = np.vstack([X, X])
    sparse = pd.concat([Y, Y.assign(colour=None)])
    clf = fit(doubled, sparse, batch_size=2 * N, epochs=1)
    losses = [clf.history_["flag_loss"][0], clf.history_["colour_loss"][0]]
    by_cells = np.average(losses, weights=sparse.notna().sum())
    assert clf.history_["objective"][0] == pytest.approx(by_cells)


# ------------------------------------------------------------------------------------------------
# Tasks with one class, and with none
# ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def degenerate(X, Y):
    """Fitted on four tasks: two ordinary ones, one of one class, one without labels."""
    Y = Y.assign(constant=pd.Series([True] * N).where(np.arange(N) < 9), empty=np.nan)
    with pytest.warns(UserWarning, match=r"no label|one class") as caught:
        clf = fit(X, Y)
    return clf, Y, [str(w.message) for w in caught]


def test_degenerate_tasks_are_named_in_warnings_with_their_counts(degenerate):
    empty, single = degenerate[2]
    assert f"1 task(s) have no label among {N} rows: 'empty'" in empty
    assert "'constant' (only True, 9 label(s))" in single


@pytest.mark.slow
def test_the_warnings_point_at_the_line_that_calls_fit(X, Y):
    with pytest.warns(UserWarning, match="no label") as caught:
        make(epochs=1).fit(X, Y.assign(flag=np.nan))
    assert caught[0].filename == __file__


def test_degenerate_tasks_do_not_change_the_others(degenerate, X, Y):
    assert_same_model(degenerate[0], fit(X, Y))


def test_a_task_of_one_class_is_predicted_as_it(degenerate, X):
    clf = degenerate[0]
    assert clf.classes_["constant"].tolist() == [True]
    assert (clf.predict(X)["constant"] == True).all()  # noqa: E712
    np.testing.assert_array_equal(clf.predict_proba(X)["constant"], np.ones((N, 1)))
    assert clf.task_view("constant").predict(X).tolist() == [True] * N


def test_a_task_without_labels_is_predicted_as_missing(degenerate, X):
    clf = degenerate[0]
    assert clf.predict(X)["empty"].isna().all()
    assert clf.predict_proba(X)["empty"].shape == (N, 0)
    assert clf.label_coverage_.tolist()[3] == 0
    assert clf.task_weights_.tolist() == [1, 1, 0, 0]


def test_the_view_of_a_task_without_labels_says_so(degenerate, X):
    with pytest.raises(ValueError, match=r"'empty' had no label"):
        degenerate[0].task_view("empty").predict(X)


def test_score_leaves_out_a_task_that_was_not_trained(degenerate, X):
    clf, Y, _ = degenerate
    hits = (clf.predict(X)[["flag", "colour"]] == Y[["flag", "colour"]]).where(Y.notna())
    accuracies = [hits["flag"].dropna().mean(), hits["colour"].dropna().mean(), 1.0]
    assert clf.score(X, Y.assign(empty=1)) == pytest.approx(np.mean(accuracies))


def test_a_task_without_labels_whose_classes_are_known(X, Y):
    y = Y.assign(colour=pd.Categorical([None] * N, ["blue", "green", "red"]))
    with pytest.warns(UserWarning, match="no label.*'colour'"):
        clf = fit(X, y)
    assert clf.classes_["colour"].tolist() == ["blue", "green", "red"]
    proba = clf.predict_proba(X)["colour"]
    assert proba.shape == (N, 3)
    assert np.isnan(proba).all()
    predicted = clf.predict(X)["colour"]
    assert predicted.isna().all()
    assert predicted.dtype == y["colour"].dtype
    assert np.isfinite(clf.history_["loss"]).all()
    assert clf.score(X, Y) == clf.score(X, Y.assign(colour=None))


@pytest.mark.parametrize("dtype", [int, bool, str])
def test_a_task_whose_labels_all_have_weight_zero_is_predicted_as_missing(X, Y, dtype):
    weight = np.column_stack([np.zeros(N), np.ones(N)])
    with pytest.warns(UserWarning, match="no label.*'flag'"):
        clf = fit(X, Y.astype({"flag": dtype}), weight)
    assert clf.predict(X)["flag"].isna().all()


def test_tasks_of_one_class_alone_need_no_network(X):
    with pytest.warns(UserWarning, match="one class"):
        clf = fit(X, np.zeros(N, dtype=int), validation_data=(X, np.zeros(N, dtype=int)))
    assert clf.predict(X).tolist() == [0] * N
    assert clf.history_ == {}
    assert clf.n_iter_ == clf.best_iter_ == 0
    assert not hasattr(clf, "model_")


def test_fixed_classes_keep_a_task_of_one_label_ordinary(X, Y):
    clf = fit(X, Y.assign(flag=0), classes={"flag": [0, 1]})
    assert clf.classes_["flag"].tolist() == [0, 1]
    assert clf.predict_proba(X)["flag"].shape == (N, 2)


def test_classes_that_no_label_has_get_a_finite_small_probability(X, Y):
    clf = fit(X, Y, classes={"flag": [0, 1, 2]})
    proba = clf.predict_proba(X)["flag"]
    assert np.isfinite(proba).all()
    assert (proba[:, 2] < 0.2).all()


# ------------------------------------------------------------------------------------------------
# Going on: warm_start and partial_fit
# ------------------------------------------------------------------------------------------------


def test_warm_start_goes_on_from_the_weights(X, Y):
    clf = fit(X, Y, warm_start=True)
    first = copy.deepcopy(clf)
    clf.set_params(optimizer__learning_rate=0.0, epochs=1).fit(X, Y)
    for a, b in zip(values(first), values(clf), strict=True):
        np.testing.assert_array_equal(a, b)
    assert clf.n_iter_ == 3
    assert clf.history_["loss"][:2] == first.history_["loss"]
    assert len(clf.history_["loss"]) == 3


def test_warm_start_keeps_a_task_that_the_new_labels_lack(X, Y):
    clf = fit(X, Y, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whether it warns is not the matter
        clf.fit(X, Y.assign(colour=None))
    assert clf.predict(X)["colour"].notna().all()


def test_warm_start_refuses_a_y_without_any_label(X, Y):
    clf = fit(X, Y, warm_start=True)
    with pytest.raises(ValueError, match="no label at all"):
        clf.fit(X, Y.assign(colour=None, flag=np.nan))


def test_history_stays_aligned_when_only_a_later_fit_watches(X, Y):
    clf = fit(X, Y, warm_start=True)
    clf.set_params(early_stopping=True, validation_fraction=0.3).fit(X, Y)
    assert {len(v) for v in clf.history_.values()} == {clf.n_iter_}
    assert np.isnan(clf.history_["val_loss"][:2]).all()


def test_warm_start_goes_on_with_another_task_weighting(X, Y):
    clf = fit(X, Y, warm_start=True)
    clf.set_params(task_weighting="uncertainty").fit(X, Y)
    assert clf.n_iter_ == 4
    assert (clf.task_weights_ != 1).all()


@pytest.mark.parametrize(
    "change", [{"hidden_layer_sizes": (5,)}, {"l2": 0.1}], ids=["layers", "l2"]
)
def test_warm_start_with_another_network_is_refused(X, Y, change):
    clf = fit(X, Y, warm_start=True)
    with pytest.raises(ValueError, match="parameters have changed"):
        clf.set_params(**change).fit(X, Y)


CLASSES = {"flag": [0, 1], "colour": ["blue", "green", "red"]}


def test_partial_fit_twice_is_a_fit_of_two_epochs(X, Y):
    stream = make(epochs=7).partial_fit(X, Y, classes=CLASSES).partial_fit(X, Y)
    assert_same_model(fit(X, Y), stream)
    assert stream.n_iter_ == 2


def test_partial_fit_counts_coverage_over_the_stream(X, Y):
    stream = make().partial_fit(X[:10], Y[:10], classes=CLASSES)
    stream.partial_fit(X[10:], Y[10:].assign(flag=np.nan))
    np.testing.assert_allclose(stream.label_coverage_, [10 / N, 26 / N])


def test_partial_fit_passes_over_a_batch_without_labels(X, Y):
    nothing = Y.assign(flag=np.nan, colour=None)
    stream = make().partial_fit(X, Y, classes=CLASSES)
    before = copy.deepcopy(stream)
    assert_same_model(before, stream.partial_fit(X, nothing))
    assert stream.predict(X).notna().all(axis=None)


def test_partial_fit_may_begin_with_a_batch_without_labels(X, Y):
    stream = make().partial_fit(X, Y.assign(flag=np.nan, colour=None), classes=CLASSES)
    assert stream.predict(X).isna().all(axis=None)
    assert np.isnan(stream.predict_proba(X)["flag"]).all()
    assert stream.partial_fit(X, Y).predict(X).notna().all(axis=None)


def test_partial_fit_takes_classes_from_the_parameter_or_from_categories(X, Y):
    by_parameter = make(classes=CLASSES).partial_fit(X, Y)
    categorical = Y.assign(**{k: pd.Categorical(Y[k], v) for k, v in CLASSES.items()})
    assert_same_model(by_parameter, make().partial_fit(X, categorical))


@pytest.mark.slow
def test_partial_fit_goes_on_with_another_optimizer(X, Y):
    stream = make().partial_fit(X, Y, classes=CLASSES)
    assert stream.set_params(optimizer="sgd").partial_fit(X, Y).n_iter_ == 2


def test_partial_fit_goes_on_from_a_fit(X, Y):
    assert_same_model(fit(X, Y, epochs=2), fit(X, Y, epochs=1).partial_fit(X, Y))


# ------------------------------------------------------------------------------------------------
# Watching rows
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("monitor", [None, "colour", 1])
def test_the_epoch_of_the_lowest_watched_loss_is_kept(X, Y, monitor):
    watched = {"validation_data": (X[:9], Y[:9].iloc[:, ::-1]), "monitor": monitor}
    fast = {"optimizer__learning_rate": 0.3, "epochs": 6}
    clf = fit(X[9:], Y[9:], early_stopping=True, **watched, **fast)
    series = clf.history_["val_loss" if monitor is None else "val_colour_loss"]
    assert clf.best_iter_ == np.argmin(series) + 1
    fast["epochs"] = clf.best_iter_
    again = fit(X[9:], Y[9:], early_stopping=False, **watched, **fast)
    for a, b in zip(values(clf), values(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_validation_data_are_read_as_training_data_were(X, Y):
    reference = fit(X, Y, validation_data=(X, Y))
    for watched in (
        (X, Y[["colour", "flag"]]),
        [X.tolist(), Y],
        (X, Y.to_numpy()),
        (X, pl.from_pandas(Y)),
        (X.astype(np.float64), Y, np.full(N, 3.0)),
        (X, Y.assign(colour=Y["colour"].astype("category"))),
    ):
        clf = fit(X, Y, validation_data=watched)
        np.testing.assert_allclose(
            clf.history_["val_loss"], reference.history_["val_loss"], rtol=1e-6
        )
        np.testing.assert_array_equal(clf.predict(X), reference.predict(X))


def test_validation_features_may_be_sparse_where_the_others_are_dense(X, Y):
    reference = fit(X, Y, validation_data=(X, Y)).history_["val_loss"]
    for one, two in ((X, sp.csr_matrix(X)), (sp.csr_matrix(X), X)):
        mixed = fit(one, Y, validation_data=(two, Y)).history_["val_loss"]
        np.testing.assert_allclose(mixed, reference, rtol=1e-5)


def test_without_a_validation_fraction_the_training_loss_is_watched(X, Y):
    clf = fit(X, Y, early_stopping=True, validation_fraction=None)
    assert not any(name.startswith("val_") for name in clf.history_)
    assert clf.best_iter_ == np.argmin(clf.history_["loss"]) + 1


def test_auto_watches_only_given_or_plentiful_rows(X, Y):
    assert "val_loss" not in fit(X, Y, early_stopping="auto").history_
    clf = fit(
        X, Y, early_stopping="auto", validation_data=(X, Y), epochs=20, n_iter_no_change=1, tol=1e3
    )
    assert clf.n_iter_ < 20


def test_a_watched_task_without_labels_to_watch_gives_way_to_the_mean(X, Y):
    with pytest.warns(UserWarning, match="mean over tasks is monitored instead"):
        clf = fit(X, Y, validation_data=(X, Y.assign(flag=None)), monitor="flag")
    assert np.isfinite(clf.history_["val_loss"]).all()


def test_a_watched_task_of_one_class_gives_way_to_the_mean(X, Y):
    with pytest.warns(UserWarning, match=r"one class|monitor") as caught:
        fit(X, Y.assign(constant=1), early_stopping=True, monitor="constant")
    assert "monitor names task 'constant'" in str(caught[-1].message)


# ------------------------------------------------------------------------------------------------
# What is refused
# ------------------------------------------------------------------------------------------------

# What a user can get wrong stands in contracts/bad_input.


def test_divergence_is_refused_and_leaves_nothing(X, Y):
    clf = make(optimizer__learning_rate=1e30, epochs=3)
    with pytest.raises(ValueError, match=r"diverged.*Scale X"):
        clf.fit(X * 1e30, Y)
    assert not [name for name in vars(clf) if name.endswith("_")]


class Interrupt(keras.callbacks.Callback):
    """Raises in the middle of training."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_epoch_end(self, epoch, logs=None):
        raise self.error


@pytest.mark.slow_except(
    "callback-afresh", "watched-*", "stream-*", "monitor-*", "lengths-*", "weights-*", "X-*", "y-*"
)
@pytest.mark.parametrize("going_on", [False, True], ids=["afresh", "warm"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda clf, X, Y: clf.fit(X[["u"]].abs() + np.inf, Y),
        lambda clf, X, Y: clf.fit(X[["u"]], Y[:3]),
        lambda clf, X, Y: clf.fit(X, Y.assign(flag=0.5)),
        lambda clf, X, Y: clf.fit(X, Y, -np.ones(N)),
        lambda clf, X, Y: clf.fit(X, Y, validation_data=(X, Y.assign(flag=9))),
        lambda clf, X, Y: clf.partial_fit(X, Y.assign(flag=9)),
        lambda clf, X, Y: clf.set_params(monitor="nobody").fit(X, Y),
        lambda clf, X, Y: clf.set_params(callbacks=Interrupt(ValueError("stop"))).fit(X, Y),
        lambda clf, X, Y: clf.set_params(callbacks=Interrupt(KeyboardInterrupt())).fit(X, Y),
    ],
    ids=["X", "lengths", "y", "weights", "watched", "stream", "monitor", "callback", "interrupt"],
)
def test_a_failed_fit_leaves_a_fitted_estimator_as_it_was(fitted, X, Y, spoil, going_on):
    clf = copy.deepcopy(fitted).set_params(warm_start=going_on)
    before = {k: v for k, v in vars(clf).items() if k not in clf.get_params()}
    named = pd.DataFrame(X, columns=["u", "v", "w"])
    with pytest.raises((ValueError, KeyboardInterrupt)):
        spoil(clf, named, Y)
    after = {k: v for k, v in vars(clf).items() if k not in clf.get_params()}
    assert {k: id(v) for k, v in after.items()} == {k: id(v) for k, v in before.items()}
    assert_same_model(fitted, clf)
    pd.testing.assert_frame_equal(clf.predict(named), fitted.predict(named))


# ------------------------------------------------------------------------------------------------
# Parameters
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [N, N + 1, 10**6, 2**31, 10**12])
def test_a_batch_size_beyond_the_rows_is_one_full_batch(X, Y, batch_size):
    assert_same_model(fit(X, Y), fit(X, Y, batch_size=batch_size))


def test_auto_batch_size_counts_labelled_rows(X, Y):
    assert_same_model(fit(X, Y, batch_size=32), fit(X, Y, batch_size="auto"))


@pytest.mark.slow
def test_heads_by_name_and_position(X, Y):
    def fit_plain(**params):
        return fit(X, Y, numeric_embedding=None, **params)

    by_name = fit_plain(head_hidden_layer_sizes={"colour": (3,)})
    assert_same_model(by_name, fit_plain(head_hidden_layer_sizes={1: 3}))
    assert_same_model(by_name, fit_plain(head_hidden_layer_sizes={"flag": (), "colour": [3]}))
    fixed = 2 * 3  # shift and scale of the features
    assert sum(v.size for v in values(by_name)) - fixed == (3 * 4 + 4) + (4 + 1) + (4 * 3 + 3) + (
        3 * 3 + 3
    )


def test_sizes_in_every_form(X, Y):
    for sizes in (4, [4], np.array([4]), np.int64(4)):
        assert_same_model(fit(X, Y), fit(X, Y, hidden_layer_sizes=sizes))


def test_fixed_factors_weigh_the_objective_alone(X, Y):
    clf = fit(X, Y, task_weighting={"flag": 3.0}, epochs=1)
    assert clf.task_weights_.tolist() == [3, 1]
    history = {name: series[0] for name, series in clf.history_.items()}
    flag, colour = Y.notna().mean() / Y.notna().mean().sum()
    weighted = 3 * flag * history["flag_loss"] + colour * history["colour_loss"]
    assert history["objective"] == pytest.approx(weighted)
    assert history["loss"] == pytest.approx((history["flag_loss"] + history["colour_loss"]) / 2)


def test_the_seed_decides(X, Y):
    one, two = fit(X, Y, random_state=1), fit(X, Y, random_state=2)
    assert any((a != b).any() for a, b in zip(values(one), values(two), strict=True))
    drawn = np.random.RandomState(3)
    first, second = fit(X, Y, random_state=drawn), fit(X, Y, random_state=drawn)
    assert any((a != b).any() for a, b in zip(values(first), values(second), strict=True))
    assert_same_model(first, fit(X, Y, random_state=np.random.RandomState(3)))


def test_missing_label_holds_in_score_and_in_the_view(X, Y):
    labels = Y.assign(colour=Y["colour"].fillna("?"))
    clf = fit(X, labels, missing_label="?")
    assert clf.classes_["colour"].tolist() == ["blue", "green", "red"]
    assert clf.score(X, labels) == pytest.approx(clf.score(X, Y))
    view = clf.task_view("colour")
    assert view.score(X, labels["colour"]) == pytest.approx(view.score(X, Y["colour"]))


def test_a_categorical_sentinel_is_no_class(X, Y):
    labels = Y.assign(colour=Y["colour"].fillna("?").astype("category"))
    clf = fit(X, labels, missing_label="?")
    assert_same_model(fit(X, Y), clf)
    assert clf.predict(X)["colour"].dtype == labels["colour"].dtype


# ------------------------------------------------------------------------------------------------
# Progress
# ------------------------------------------------------------------------------------------------


def test_silent_by_default(X, Y, capsys):
    fit(X, Y)
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_epochs_and_losses(X, Y, capsys):
    fit(X, Y, verbose=1)
    shown = capsys.readouterr()
    assert shown.out == ""
    for words in ("all rows: 100%", "2/2", "loss=", "flag_loss=", "colour_loss="):
        assert words in shown.err


def test_a_line_per_epoch(X, Y, capsys):
    fit(X, Y, verbose=2, validation_data=(X, Y))
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("all rows: epoch 1/2  loss=")
    assert "val_colour_loss=" in lines[1]


def test_progress_goes_on_counting_with_warm_start(X, Y, capsys):
    clf = fit(X, Y, warm_start=True)
    clf.set_params(verbose=2).fit(X, Y)
    lines = [line.partition("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["all rows: epoch 3/4", "all rows: epoch 4/4"]


@pytest.mark.slow
def test_arrays_that_predictions_depend_on_cannot_be_written_to(X, Y):
    clf = make_tiny().fit(X, Y)
    one_task = make_tiny().fit(X, Y["flag"])
    copies = [clf, pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)]
    arrays = [a for c in copies for a in (*c.classes_, c.task_weights_)]
    for array in [*arrays, one_task.classes_, clf.task_view("flag").classes_]:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
