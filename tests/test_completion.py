"""Tests of sk_mtl._completion: tables of labels that are filled, in any form."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import assert_same_arrays, make_tiny
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
INDEX = pd.Index([f"row {i}" for i in range(N)], name="id")
GRADES = RNG.integers(0, 3, N)
WHOLE = pd.DataFrame(
    {
        "text": pd.Series(np.where(X[:, 0] > 0, "yes", "no"), dtype="string"),
        "object": np.where(GRADES > 0, "p", "q").astype(object),
        "grade": pd.array(GRADES, dtype="Int64"),
        "kind": pd.Categorical(np.array(["w", "u", "v"])[GRADES], ["w", "v", "u"], ordered=True),
        "flag": pd.array(X[:, 1] > 0, dtype="boolean"),
        "number": X[:, 2] > 0,
    }
).astype({"number": float})
HOLES = RNG.random(WHOLE.shape) < 0.3
Y = WHOLE.mask(HOLES).set_axis(INDEX)


def make(**params):
    settings = {"hidden_layer_sizes": (8,), "known_labels": True, "epochs": 3}
    settings |= {"early_stopping": False, "optimizer__learning_rate": 0.05, "jit_compile": False}
    return make_tiny(**{**settings, **params})


@pytest.fixture(scope="module")
def clf():
    return make().fit(X, Y)


@pytest.fixture(scope="module")
def without():
    """An estimator that has not learned to read labels."""
    return make(known_labels=False).fit(X, Y)


def fill(clf, labels=Y):
    """Return labels as `complete` should fill them, by probabilities given the row's others."""
    filled = labels.copy()
    for name, p in clf.complete_proba(X, labels).items():
        holes = labels[name].isna().to_numpy()
        filled.loc[holes, name] = clf.classes_[name][p[holes].argmax(axis=1)]
    return filled


# ------------------------------------------------------------------------------------------------
# complete
# ------------------------------------------------------------------------------------------------


def test_holes_are_filled_by_the_most_probable_label(clf):
    pd.testing.assert_frame_equal(clf.complete(X, Y), fill(clf).astype({"number": int}))


def test_known_labels_are_kept(clf):
    completed = clf.complete(X, Y)
    for name, holes in zip(Y, HOLES.T, strict=True):
        assert completed[name][~holes].tolist() == Y[name][~holes].tolist()


def test_known_labels_are_kept_where_the_network_would_predict_others(clf):
    other = Y.copy()
    other["object"] = np.where(clf.predict(X)["object"] == "p", "q", "p")
    assert clf.complete(X, other)["object"].tolist() == other["object"].tolist()


def test_columns_keep_their_dtypes(clf):
    dtypes = clf.complete(X, Y).dtypes
    for name in ("text", "object", "grade", "kind", "flag"):
        assert dtypes[name] == Y[name].dtype
    assert dtypes["number"] == clf.predict(X)["number"].dtype


def test_nothing_stays_missing(clf):
    assert not clf.complete(X, Y).isna().any(axis=None)


def test_index_is_that_of_the_labels(clf):
    named = pd.DataFrame(X, index=[f"x {i}" for i in range(N)])
    assert clf.complete(named, Y).index.equals(INDEX)


def test_index_is_that_of_x_where_labels_have_none(clf):
    completed = clf.complete(pd.DataFrame(X, index=INDEX), Y.to_numpy())
    pd.testing.assert_frame_equal(completed, clf.complete(X, Y))


@pytest.mark.slow
def test_labels_in_another_order_of_rows_than_x_are_told(clf):
    with pytest.warns(UserWarning, match="indexes of X and Y hold the same labels in different"):
        clf.complete(pd.DataFrame(X, index=INDEX), Y[::-1])


def test_columns_may_come_in_another_order(clf):
    pd.testing.assert_frame_equal(clf.complete(X, Y[Y.columns[::-1]]), clf.complete(X, Y))


FORMS = {
    "objects": lambda y: y.astype(object),
    "array": lambda y: y.to_numpy(object),
    "None": lambda y: y.astype(object).where(y.notna(), None).to_numpy(),
    "lists": lambda y: y.astype(object).where(y.notna(), None).to_numpy().tolist(),
    "masked": lambda y: np.ma.array(y.to_numpy(object), mask=y.isna().to_numpy()),
    "polars": lambda y: pl.from_pandas(y.astype({"kind": str}).mask(y.isna(), None)),
}


@pytest.mark.parametrize("form", FORMS)
def test_form_of_the_labels_changes_none(clf, form):
    expected = clf.complete(X, Y)
    found = clf.complete(X, FORMS[form](Y))
    pd.testing.assert_frame_equal(found.set_axis(INDEX), expected)


@pytest.mark.parametrize("form", FORMS)
def test_form_of_the_labels_changes_no_probability(clf, form):
    assert_same_arrays(clf.complete_proba(X, FORMS[form](Y)), clf.complete_proba(X, Y))


@pytest.mark.slow
def test_polars_comes_back_as_polars():
    frame = pl.DataFrame(
        {
            "text": pl.Series(np.where(X[:, 0] > 0, "yes", "no")),
            "grade": pl.Series(GRADES, dtype=pl.Int16),
            "kind": pl.Series(np.array(["w", "u", "v"])[GRADES], dtype=pl.Enum(["w", "v", "u"])),
            "flag": pl.Series(X[:, 1] > 0),
        }
    )
    holes = frame.select(
        pl.when(pl.Series(hidden)).then(None).otherwise(pl.col(name)).alias(name)
        for name, hidden in zip(frame.columns, HOLES.T, strict=False)
    )
    completed = make().fit(X, holes).complete(X, holes)
    assert completed.schema == frame.schema
    for name, hidden in zip(frame.columns, HOLES.T, strict=False):
        assert completed[name].is_null().sum() == 0
        expected = frame[name].filter(pl.Series(~hidden))
        assert completed[name].filter(pl.Series(~hidden)).equals(expected)


@pytest.mark.slow_except("lists")
@pytest.mark.parametrize("as_list", [False, True], ids=["array", "lists"])
def test_arrays_come_back_as_arrays(as_list):
    labels = np.where(HOLES[:, :2], np.nan, np.column_stack([X[:, 0] > 0, GRADES]))
    labels = labels.tolist() if as_list else labels
    completed = make().fit(X, labels).complete(X, labels)
    assert completed.shape == (N, 2)
    assert completed.dtype.kind == "i"
    known = ~HOLES[:, :2]
    np.testing.assert_array_equal(completed[known], np.asarray(labels)[known])


ONE_TASK = {
    "array": lambda y: y,
    "column": lambda y: y[:, None],
    "Series": lambda y: pd.Series(y, index=INDEX),
    "list": lambda y: y.tolist(),
}


@pytest.mark.parametrize("form", ONE_TASK)
def test_a_single_task_is_completed(form):
    labels = np.where(HOLES[:, 0], np.nan, X[:, 0] > 0)
    clf = make().fit(X, labels)
    completed = clf.complete(X, ONE_TASK[form](labels))
    assert completed.shape == (N,)
    np.testing.assert_array_equal(completed[~HOLES[:, 0]], labels[~HOLES[:, 0]])
    np.testing.assert_array_equal(completed[HOLES[:, 0]], clf.predict(X)[HOLES[:, 0]])


def test_probabilities_of_a_single_task_are_one_array():
    labels = np.where(HOLES[:, 0], np.nan, X[:, 0] > 0)
    clf = make().fit(X, labels)
    one_out = clf.complete_proba(X, labels, leave_one_out=True)
    np.testing.assert_array_equal(one_out, clf.predict_proba(X))


@pytest.mark.slow
def test_labels_that_mean_missing_are_holes():
    marks = {"text": "?", "grade": [-1, 9], "object": "-"}
    marked = Y[["grade", "object", "text"]].astype(object)
    for name, mark in marks.items():
        holes = marked[name].isna().to_numpy()
        mark = mark if isinstance(mark, list) else [mark]
        marked.loc[holes, name] = (mark * N)[: holes.sum()]
    plain = Y[["grade", "object", "text"]]
    clf = make().fit(X, plain)
    of_marks = make(missing_label=marks).fit(X, marked)
    columns = ["text", "grade", "object"]  # marks go by the names
    found = of_marks.complete(X, marked[columns])
    assert found.to_numpy().tolist() == clf.complete(X, plain).to_numpy().tolist()


def test_labels_without_any_known_one_are_predicted(clf):
    nothing = Y.mask(np.ones(Y.shape, bool))
    expected = clf.predict(X).set_axis(INDEX)
    pd.testing.assert_frame_equal(clf.complete(X, nothing), expected)


def test_labels_without_holes_come_back_as_they_are(clf):
    whole = WHOLE.set_axis(INDEX).astype({"number": int})
    pd.testing.assert_frame_equal(clf.complete(X, whole), whole)


def test_labels_are_not_written_to(clf):
    before = Y.copy(deep=True)
    clf.complete(X, Y)
    clf.complete_samples(X, Y, 2)
    pd.testing.assert_frame_equal(Y, before)


@pytest.mark.slow
def test_an_estimator_that_reads_no_labels_predicts_the_holes(without):
    completed, predicted = without.complete(X, Y), without.predict(X).set_axis(INDEX)
    for name, holes in zip(Y, HOLES.T, strict=True):
        assert completed[name][holes].tolist() == predicted[name][holes].tolist()
        assert completed[name][~holes].tolist() == Y[name][~holes].tolist()


def test_an_estimator_that_reads_no_labels_leaves_out_nothing(without):
    found = without.complete_proba(X, Y, leave_one_out=True)
    assert_same_arrays(found, without.predict_proba(X))


def test_last_step_of_a_pipeline_completes():
    pipe = make_pipeline(StandardScaler(), make()).fit(X, Y)
    completed = pipe[-1].complete(pipe[:-1].transform(X), Y)
    alone = make().fit(StandardScaler().fit_transform(X), Y)
    expected = alone.complete(StandardScaler().fit_transform(X), Y)
    pd.testing.assert_frame_equal(completed, expected)


def test_frame_of_probabilities_has_tasks_and_classes(clf):
    frame, by_task = clf.complete_proba_frame(X, Y), clf.complete_proba(X, Y)
    assert frame.columns.equals(clf.predict_proba_frame(X).columns)
    assert frame.index.equals(INDEX)
    for name, p in by_task.items():
        np.testing.assert_array_equal(frame[name], p)


def test_frame_of_probabilities_leaves_one_out(clf):
    frame = clf.complete_proba_frame(X, Y, leave_one_out=True)
    expected = np.hstack(clf.complete_proba(X, Y, leave_one_out=True))
    np.testing.assert_array_equal(frame, expected)


# ------------------------------------------------------------------------------------------------
# Tasks that cannot be learned
# ------------------------------------------------------------------------------------------------

ODD = Y[["text", "grade"]].assign(
    nothing=np.nan, listed=pd.Series(None, index=INDEX, dtype=object), single="k"
)[["single", "nothing", "text", "listed", "grade"]]
ODD.loc[INDEX[::2], "single"] = None


@cache
def fit_odd():
    """Return a fit to tasks without labels, one of them with classes, and with one class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of these tasks
        return make(classes={"listed": ["a", "b"]}).fit(X, ODD)


@pytest.mark.slow_except("listed")
@pytest.mark.parametrize("task", ["nothing", "listed"])
def test_tasks_without_labels_stay_missing(task):
    assert fit_odd().complete(X, ODD)[task].isna().all()
    for table in fit_odd().complete_samples(X, ODD, 2, random_state=0):
        assert table[task].isna().all()


def test_probabilities_of_tasks_without_labels_are_missing():
    for leave_one_out in (False, True):
        p = fit_odd().complete_proba(X, ODD, leave_one_out=leave_one_out)
        assert p["nothing"].shape == (N, 0)
        assert np.isnan(p["listed"]).all()


def test_a_task_with_one_class_has_it_everywhere():
    assert (fit_odd().complete(X, ODD)["single"] == "k").all()
    for table in fit_odd().complete_samples(X, ODD, 2, random_state=0):
        assert (table["single"] == "k").all()
    assert (fit_odd().complete_proba(X, ODD)["single"] == 1).all()


def test_labels_are_those_of_their_task_beside_tasks_that_are_not_learned():
    found, hidden = (fit_odd().complete_proba(X, y) for y in (ODD, ODD.assign(text=pd.NA)))
    known = ODD["text"].notna().to_numpy() & ODD["grade"].isna().to_numpy()
    assert (found["grade"][known] != hidden["grade"][known]).any(axis=1).mean() > 0.5


def test_labels_of_a_task_with_one_class_tell_nothing():
    found, hidden = (fit_odd().complete_proba(X, y) for y in (ODD, ODD.assign(single=None)))
    for name in ("text", "grade"):
        np.testing.assert_array_equal(found[name], hidden[name])


def test_a_fit_without_anything_to_learn_completes():
    table = pd.DataFrame({"a": ["k"] * N, "b": [np.nan] * N})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of these tasks
        clf = make().fit(X, table)
    holes = table.assign(a=[None, "k"] * (N // 2))
    assert clf.complete(X, holes)["a"].tolist() == ["k"] * N
    assert clf.complete_samples(X, holes, 1)[0]["a"].tolist() == ["k"] * N


# ------------------------------------------------------------------------------------------------
# What is refused
# ------------------------------------------------------------------------------------------------

CALLS = {
    "complete": lambda clf, *data: clf.complete(*data),
    "complete_proba": lambda clf, *data: clf.complete_proba(*data),
    "leave_one_out": lambda clf, *data: clf.complete_proba(*data, leave_one_out=True),
    "complete_proba_frame": lambda clf, *data: clf.complete_proba_frame(*data),
    "complete_samples": lambda clf, *data: clf.complete_samples(*data),
    "label_effects": lambda clf, *data: clf.label_effects(*data, 0),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@calls
def test_unknown_labels_are_refused(clf, call):
    strange = Y.copy()
    strange.loc[INDEX[:2], "object"] = ["r", "s"]
    message = r"^Task 'object' has 2 label\(s\) outside its classes \('p', 'q'\): 'r', 's'\."
    with pytest.raises(ValueError, match=message):
        call(clf, X, strange)


@calls
def test_another_number_of_rows_is_refused(clf, call):
    with pytest.raises(ValueError, match=r"^Y must have one row per row of X: 60\. Got 59\."):
        call(clf, X, Y[:-1])


@calls
def test_another_number_of_tasks_is_refused(clf, call):
    with pytest.raises(ValueError, match=r"^y must have one column per task: 6 .* Got 5\."):
        call(clf, X, Y.drop(columns="grade").to_numpy(dtype=object))


@calls
def test_other_tasks_are_refused(clf, call):
    with pytest.raises(ValueError, match=r"^Y must have columns seen in fit, .* unknown: 'degree'"):
        call(clf, X, Y.rename(columns={"grade": "degree"}))


def test_a_table_may_lack_tasks(clf):
    found = clf.complete(X, Y.drop(columns="text"))
    pd.testing.assert_frame_equal(found, clf.complete(X, Y.assign(text=None)))


@calls
def test_an_estimator_that_is_not_fitted_is_refused(call):
    with pytest.raises(NotFittedError):
        call(make(), X, Y)


@calls
def test_other_features_are_refused(clf, call):
    with pytest.raises(ValueError, match="features"):
        call(clf, X[:, :2], Y)


@calls
def test_labels_of_a_task_that_had_none_are_refused(call):
    known = ODD.assign(listed="a")
    with pytest.raises(ValueError, match=r"^Task\(s\) 'listed' had no label in training"):
        call(fit_odd(), X, known)


@calls
def test_missing_labels_as_text_are_refused(clf, call):
    with pytest.raises(ValueError, match="object"):
        call(clf, X, Y.assign(object="nan"))


@pytest.mark.parametrize("value", ["no", None, 1])
def test_leave_one_out_is_true_or_false(clf, value):
    for method in (clf.complete_proba, clf.complete_proba_frame):
        with pytest.raises(ValueError, match="'leave_one_out' parameter"):
            method(X, Y, leave_one_out=value)


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3", None])
def test_number_of_tables_is_at_least_one(clf, n):
    with pytest.raises(ValueError, match="'n' parameter of complete_samples"):
        clf.complete_samples(X, Y, n)


# ------------------------------------------------------------------------------------------------
# complete_samples
# ------------------------------------------------------------------------------------------------


def test_tables_have_the_form_of_complete(clf):
    expected = clf.complete(X, Y)
    tables = clf.complete_samples(X, Y, 3, random_state=0)
    assert len(tables) == 3
    for table in tables:
        pd.testing.assert_series_equal(table.dtypes, expected.dtypes)
        assert table.index.equals(INDEX)
        assert not table.isna().any(axis=None)


def test_ten_tables_are_drawn_by_default(clf):
    assert len(clf.complete_samples(X, Y)) == 10


def test_known_labels_are_kept_in_every_table(clf):
    for table in clf.complete_samples(X, Y, 3, random_state=0):
        for name, holes in zip(Y, HOLES.T, strict=True):
            assert table[name][~holes].tolist() == Y[name][~holes].tolist()


def test_tables_follow_from_the_seed(clf):
    first, again, other = (clf.complete_samples(X, Y, 2, random_state=s) for s in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, two)
    assert not first[0].equals(other[0])


def test_tables_differ_from_one_another(clf):
    first, second = clf.complete_samples(X, Y, 2, random_state=0)
    assert not first.equals(second)


def test_more_tables_begin_with_the_same_ones(clf):
    few, many = (clf.complete_samples(X, Y, n, random_state=0) for n in (2, 3))
    for one, two in zip(few, many[:2], strict=True):
        pd.testing.assert_frame_equal(one, two)


def test_a_random_state_is_drawn_from(clf):
    rng = np.random.RandomState(0)
    first, second = (clf.complete_samples(X, Y, 1, random_state=rng)[0] for _ in range(2))
    assert not first.equals(second)


def test_global_random_numbers_are_left_alone(clf):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    clf.complete_samples(X, Y, 1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_labels_without_holes_are_drawn_as_they_are(clf):
    whole = WHOLE.set_axis(INDEX).astype({"number": int})
    for table in clf.complete_samples(X, whole, 2, random_state=0):
        pd.testing.assert_frame_equal(table, whole)


@pytest.mark.slow_except("flag")
@pytest.mark.parametrize("task", ["grade", "flag"])
def test_the_only_hole_of_a_row_is_drawn_by_its_probabilities(clf, task):
    n_draws = 150
    alone = WHOLE.assign(**{task: pd.array([None] * N, dtype=WHOLE[task].dtype)})
    probabilities = clf.complete_proba(X, alone)[task]
    tables = clf.complete_samples(X, alone, n_draws, random_state=0)
    for k, label in enumerate(clf.classes_[task]):
        found = np.mean([(table[task] == label).to_numpy(bool) for table in tables], axis=0)
        p = probabilities[:, k]
        errors = (found - p) / np.sqrt(np.maximum(p * (1 - p), 1e-3) / n_draws)
        assert np.abs(errors).max() < 4.5
        assert np.abs(errors.mean() * np.sqrt(N)) < 4


def test_draws_of_different_rows_are_independent(clf):
    alone = WHOLE.assign(flag=pd.array([None] * N, dtype="boolean"))
    tables = clf.complete_samples(X, alone, 100, random_state=0)
    drawn = np.array([table["flag"].to_numpy(float) for table in tables])
    drawn = drawn[:, (drawn.mean(axis=0) > 0.1) & (drawn.mean(axis=0) < 0.9)]
    assert drawn.shape[1] > 10
    correlations = np.corrcoef(drawn.T)[np.triu_indices(drawn.shape[1], 1)]
    assert np.abs(correlations).max() < 0.5


# X that tells nothing of the labels, and parameters.
TELL_NOTHING = {
    "noise": (np.random.default_rng(5).normal(size=(200, 1)), {}),
    "constant": (np.ones((200, 1)), {}),
    "zeros as they are": (np.zeros((200, 1)), {"standardize": False}),
}


@cache
def fit_twins(kind):
    """Return a fit to two tasks that are copies and a third one, and its data."""
    features, params = TELL_NOTHING[kind]
    a, b = np.random.default_rng(6).integers(0, 2, size=(2, 200))
    labels = np.column_stack([a, b, a]).astype(float)
    return make(epochs=40, batch_size=32, **params).fit(features, labels), features, labels


@pytest.mark.slow
@pytest.mark.parametrize("kind", TELL_NOTHING)
def test_holes_of_a_row_are_drawn_together(kind):
    clf, features, whole = fit_twins(kind)
    labels = whole.copy()
    labels[:, [0, 2]] = np.nan
    drawn = np.concatenate(clf.complete_samples(features, labels, 5, random_state=0))
    assert (drawn[:, 0] == drawn[:, 2]).mean() > 0.95
    assert 0.3 < drawn[:, 0].mean() < 0.7


@pytest.mark.parametrize("kind", TELL_NOTHING)
def test_a_copy_of_a_known_label_is_found(kind):
    clf, features, labels = fit_twins(kind)
    holes = labels.copy()
    holes[:, 2] = np.nan
    assert (clf.complete(features, holes) == labels).mean() > 0.95


# ------------------------------------------------------------------------------------------------
# label_effects
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "label", "seen_as"),
    [
        ("grade", 2, 2),
        ("grade", 2.0, 2),
        ("kind", "v", "v"),
        ("text", None, "yes"),
        ("flag", None, True),
        ("flag", False, False),
        ("number", 1, 1),
    ],
)
def test_effects_are_differences_of_probabilities(clf, task, label, seen_as):
    effects = clf.label_effects(X, Y, task, label)
    hidden = Y.copy()
    hidden[task] = hidden[task].where(np.zeros(N, bool))
    whole = clf.complete_proba_frame(X, hidden)[task, seen_as]
    for other in effects:
        less = hidden.copy()
        less[other] = less[other].where(np.zeros(N, bool))
        change = whole - clf.complete_proba_frame(X, less)[task, seen_as]
        expected = change.where(Y[other].notna())
        np.testing.assert_array_equal(effects[other], expected)


def test_effects_are_missing_where_a_label_is(clf):
    effects = clf.label_effects(X, Y, "text")
    pd.testing.assert_frame_equal(effects.isna(), Y.isna().drop(columns="text"))


def test_effects_do_not_depend_on_the_label_of_the_task_itself(clf):
    effects = clf.label_effects(X, Y, "flag")
    for other in (Y.assign(flag=pd.NA), Y.assign(flag=~Y["flag"])):
        pd.testing.assert_frame_equal(clf.label_effects(X, other, "flag"), effects)


def test_effect_of_the_only_known_label_is_what_it_adds(clf):
    only = Y.mask(np.ones(Y.shape, bool)).assign(grade=Y["grade"])
    effects = clf.label_effects(X, only, "kind", "u")["grade"]
    known, k = Y["grade"].notna().to_numpy(), clf.classes_["kind"].tolist().index("u")
    added = clf.complete_proba(X, only)["kind"][:, k] - clf.predict_proba(X)["kind"][:, k]
    np.testing.assert_array_equal(effects[known], added[known])


def test_effects_have_a_column_for_each_other_task(clf):
    effects = clf.label_effects(X, Y, "grade", 0)
    assert effects.columns.tolist() == ["text", "object", "kind", "flag", "number"]
    assert effects.index.equals(INDEX)
    assert (effects.dtypes == np.float32).all()


def test_a_task_may_be_given_by_its_position(clf):
    expected = clf.label_effects(X, Y, "grade", 1)
    pd.testing.assert_frame_equal(clf.label_effects(X, Y, 2, 1), expected)


@pytest.mark.slow
def test_effects_of_arrays_have_generated_names():
    labels = np.where(HOLES[:, :3], np.nan, np.column_stack([X[:, 0] > 0, GRADES, X[:, 1] > 0]))
    effects = make().fit(X, labels).label_effects(X, labels, "y2")
    assert effects.columns.tolist() == ["y0", "y1"]
    assert effects.index.equals(pd.RangeIndex(N))


def test_effects_of_a_single_task_have_no_column():
    labels = X[:, 0] > 0
    assert make().fit(X, labels).label_effects(X, labels, 0).shape == (N, 0)


def test_names_of_tasks_that_are_tuples_stay_whole():
    columns = [("a", 1), ("a", 2), ("b", 1)]
    labels = pd.DataFrame(RNG.integers(0, 2, size=(N, 3)))
    labels.columns = pd.Index(columns, tupleize_cols=False)
    effects = make().fit(X, labels).label_effects(X, labels, ("a", 2))
    assert effects.columns.tolist() == [("a", 1), ("b", 1)]


def test_label_of_three_classes_must_be_named(clf):
    message = r"^label must name a class of task 'grade', which has 3: 0, 1, 2\."
    with pytest.raises(ValueError, match=message):
        clf.label_effects(X, Y, "grade")


@pytest.mark.parametrize("label", [3, "1", np.nan, [1], {"a": 1}], ids=str)
def test_a_label_that_is_no_class_is_refused(clf, label):
    with pytest.raises(ValueError, match=r"^label must be a class of task 'grade': 0, 1, 2\. Got"):
        clf.label_effects(X, Y, "grade", label)


def test_a_task_that_does_not_exist_is_refused(clf):
    with pytest.raises(ValueError, match=r"^There is no task 'degree'"):
        clf.label_effects(X, Y, "degree")


def test_effects_need_a_network_that_reads_labels(without):
    with pytest.raises(ValueError, match=r"Fit the estimator with known_labels=True"):
        without.label_effects(X, Y, "text")


def test_error_about_a_task_without_labels_lists_no_classes():
    with pytest.raises(ValueError, match="'nothing'") as caught:
        fit_odd().label_effects(X, ODD, "nothing")
    assert "0: ." not in str(caught.value)


def test_a_task_with_one_class_has_no_effects():
    with pytest.raises(ValueError, match=r"Task 'single' has 1 class\(es\)"):
        fit_odd().label_effects(X, ODD, "single", "k")
