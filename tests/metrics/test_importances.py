"""Importances of features for the scores of tasks: by hand, beside scikit-learn, in any form."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn.metrics as skm
from helpers import make_tiny
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sk_mtl import MultiTaskClassifier
from sk_mtl.metrics import _importances, make_multitask_scorer, multitask_score, task_importances
from sk_mtl.metrics._importances import COLUMNS, _shuffle

N = 120
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
GRADES = np.digitize(X[:, 1], [-0.5, 0.5])
Y = pd.DataFrame(
    {"sold": np.where(X[:, 0] > 0, "yes", "no").astype(object), "grade": GRADES.astype(float)}
)
Y.loc[::3, "sold"] = None
Y.loc[1::2, "grade"] = np.nan
FRAME = pd.DataFrame(X, columns=["age", "height", "noise"])
FIXED = {"early_stopping": False, "jit_compile": False, "optimizer__learning_rate": 0.05}
QUICK = {"n_repeats": 2, "n_bootstraps": None, "random_state": 0}


def make(**params):
    return make_tiny(**FIXED | {"hidden_layer_sizes": (8,), "epochs": 20} | params)


@cache
def fitted():
    return make().fit(X, Y)


@cache
def fitted_frame():
    return make().fit(FRAME, Y)


def of(importances, task, feature, column="importance"):
    """Return a cell of the importances."""
    is_row = (importances["task"] == task) & (importances["feature"] == feature)
    (value,) = importances.loc[is_row, column]
    return value


# -------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "accuracy", "brier_score", "f1"])
def test_importances_are_the_losses_of_score_by_shuffling(metric, monkeypatch):
    clf, orders = fitted(), {0: [], 1: [], 2: []}

    def shuffle(rows, position, order):
        orders[position].append(order)
        return _shuffle(rows, position, order)

    def score(rows):
        proba = clf.predict(rows) if metric in ("accuracy", "f1") else clf.predict_proba(rows)
        return multitask_score(metric, Y, proba, average=None, classes=clf.classes_)

    monkeypatch.setattr("sk_mtl.metrics._importances._shuffle", shuffle)
    found = task_importances(clf, X, Y, metric=metric, **QUICK)

    whole, sign = score(X), -1 if metric in ("log_loss", "brier_score") else 1
    for feature, of_feature in orders.items():
        shuffled = []
        for order in of_feature:
            assert sorted(order) == list(range(N))
            rows = X.copy()
            rows[:, feature] = X[order, feature]
            shuffled.append(score(rows))
        assert len(shuffled) == 2
        for task in Y:
            expected = np.mean([sign * (whole[task] - s[task]) for s in shuffled])
            assert of(found, task, feature) == pytest.approx(expected, abs=1e-12)
            assert of(found, task, feature, "score") == pytest.approx(whole[task], abs=1e-12)


@pytest.mark.slow_except("accuracy")
@pytest.mark.parametrize("name", ["neg_log_loss", "roc_auc", "accuracy"])
def test_importances_are_near_those_of_scikit_learn(name):
    scorer = make_multitask_scorer(name)
    expected = permutation_importance(fitted(), X, Y, scoring=scorer, n_repeats=30, random_state=1)

    found = task_importances(fitted(), X, Y, metric=name, n_repeats=30, n_bootstraps=None)

    means = found.groupby("feature")["importance"].mean()  # over tasks, as the scorer's
    error = expected.importances_std / np.sqrt(30)
    assert (np.abs(means - expected.importances_mean) < 5 * error + 1e-9).all()


def test_a_used_feature_matters_for_its_task_only():
    found = task_importances(fitted(), X, Y, **QUICK)
    assert of(found, "sold", 0) > 5 * abs(of(found, "sold", 1))
    assert of(found, "grade", 1) > 5 * abs(of(found, "grade", 0))


def test_rows_are_by_task_then_by_feature():
    found = task_importances(fitted_frame(), FRAME, Y, **QUICK)
    assert list(found.columns) == list(COLUMNS)
    assert found["task"].tolist() == ["sold"] * 3 + ["grade"] * 3
    assert found["feature"].tolist() == ["age", "height", "noise"] * 2
    assert found.index.tolist() == list(range(6))


def test_labelled_cells_are_counted():
    found = task_importances(fitted(), X, Y, **QUICK)
    assert found["n_cells"].tolist() == [80] * 3 + [60] * 3


def test_losses_and_negated_losses_have_the_same_importances():
    loss = task_importances(fitted(), X, Y, metric="log_loss", **QUICK)
    negated = task_importances(fitted(), X, Y, metric="neg_log_loss", **QUICK)
    np.testing.assert_array_equal(loss["importance"], negated["importance"])
    np.testing.assert_array_equal(loss["score"], -negated["score"])


def test_a_function_is_a_metric_of_labels():
    found = task_importances(fitted(), X, Y, metric=skm.accuracy_score, n_bootstraps=20)
    named = task_importances(fitted(), X, Y, metric="accuracy", n_bootstraps=20)
    assert (found["lower"] <= found["upper"]).all()
    np.testing.assert_allclose(found["score"], named["score"])


def test_the_same_random_state_gives_the_same_numbers():
    first, second = (
        task_importances(fitted(), X, Y, n_repeats=2, n_bootstraps=5, random_state=3)
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second)


def test_another_random_state_shuffles_otherwise():
    first, second = (
        task_importances(fitted(), X, Y, **QUICK | {"random_state": seed}) for seed in (0, 1)
    )
    assert (first["importance"] != second["importance"]).all()


# ------------------------------------------------------------------------------------- intervals


def test_intervals_are_left_out_on_request():
    found = task_importances(fitted(), X, Y, **QUICK)
    assert found[["lower", "upper"]].isna().all(axis=None)
    assert found["importance"].notna().all()


def test_intervals_are_around_the_importances():
    found = task_importances(fitted(), X, Y, n_repeats=2, n_bootstraps=100, random_state=0)
    assert (found["lower"] <= found["importance"]).all()
    assert (found["importance"] <= found["upper"]).all()


def test_intervals_are_wider_for_a_higher_level():
    def width(level):
        found = task_importances(
            fitted(), X, Y, n_repeats=1, n_bootstraps=100, confidence_level=level, random_state=0
        )
        return found["upper"] - found["lower"]

    assert (width(0.99) > width(0.5)).all()


def test_intervals_change_no_importance():
    without = task_importances(fitted(), X, Y, **QUICK)
    with_intervals = task_importances(fitted(), X, Y, **QUICK | {"n_bootstraps": 5})
    np.testing.assert_array_equal(with_intervals["importance"], without["importance"])


def test_groups_of_one_row_are_rows():
    settings = {"n_repeats": 1, "n_bootstraps": 20, "random_state": 0}
    found = task_importances(fitted(), X, Y, groups=np.arange(N), **settings)
    pd.testing.assert_frame_equal(found, task_importances(fitted(), X, Y, **settings))


@pytest.mark.slow
def test_groups_are_resampled_whole():
    # Each row four times, as if they were of one person, has the intervals of each row once.
    def width(rows, labels, n_repeats, **params):
        found = task_importances(
            fitted(),
            rows,
            labels,
            features=[0],
            n_repeats=n_repeats,
            n_bootstraps=300,
            random_state=0,
            **params,
        )
        return found["upper"][0] - found["lower"][0]

    rows, labels = np.tile(X, (4, 1)), pd.concat([Y] * 4, ignore_index=True)
    # Of so many repeats, so that the chance of the shuffles is small beside that of the rows.
    grouped = width(rows, labels, 120, groups=np.tile([f"person {i}" for i in range(N)], 4))
    assert grouped / width(X, Y, 120) == pytest.approx(1, abs=0.25)
    assert width(rows, labels, 120) / grouped == pytest.approx(0.5, abs=0.15)


def test_intervals_cover_the_importance_on_all_rows_about_as_often_as_they_say():
    # The predictor is fixed; it is scored on many tables of the same kind.
    rng = np.random.default_rng(0)

    def draw(n):
        rows = rng.normal(size=(n, 2))
        labels = (rows[:, 0] + rng.normal(size=n) > 0).astype(int)
        return rows, labels

    model = LogisticRegression().fit(*draw(500))
    settings = {"features": [0], "metric": "log_loss"}
    large = task_importances(model, *draw(200_000), n_bootstraps=None, n_repeats=1, **settings)
    truth = large["importance"].item()
    covered = 0
    for seed in range(40):
        found = task_importances(
            model,
            *draw(150),
            n_repeats=5,
            n_bootstraps=100,
            confidence_level=0.9,
            random_state=seed,
            **settings,
        )
        covered += found["lower"].item() <= truth <= found["upper"].item()
    assert 30 <= covered <= 40


# ----------------------------------------------------------------------------- weights, missing


def test_weights_by_row_and_by_cell_weigh_the_scores():
    weight = RNG.integers(0, 3, N).astype(float)
    by_row = task_importances(fitted(), X, Y, sample_weight=weight, **QUICK)
    by_cell = task_importances(
        fitted(), X, Y, sample_weight=np.column_stack([weight, weight]), **QUICK
    )
    pd.testing.assert_frame_equal(by_row, by_cell)
    expected = multitask_score(
        "log_loss", Y, fitted().predict_proba(X), sample_weight=weight, average=None
    )
    assert of(by_row, "sold", 0, "score") == pytest.approx(expected["sold"])


def test_rows_of_weight_zero_do_not_count():
    # What is shuffled among all rows is the same in both.
    weight = (np.arange(N) < 60).astype(float)
    found = task_importances(fitted(), X, Y, sample_weight=weight, **QUICK)
    hidden = task_importances(fitted(), X, Y.mask(np.column_stack([weight, weight]) == 0), **QUICK)
    np.testing.assert_allclose(found["importance"], hidden["importance"], atol=1e-12)


@pytest.mark.parametrize("given", [None, -1], ids=["of the estimator", "given"])
def test_labels_that_mean_missing_are_not_scored(given):
    numbers = np.column_stack([X[:, 0] > 0, GRADES]).astype(float)
    numbers[Y.isna().to_numpy()] = -1
    holes = np.where(numbers == -1, np.nan, numbers)
    clf = make(missing_label=-1).fit(X, numbers)
    other = make().fit(X, holes)

    found = task_importances(
        clf if given is None else other, X, numbers, missing_label=given, **QUICK
    )

    pd.testing.assert_frame_equal(found, task_importances(other, X, holes, **QUICK))


def test_a_task_without_labelled_cells_is_undefined():
    with pytest.warns(UndefinedMetricWarning, match="'grade' \\(no labelled cell\\)") as record:
        found = task_importances(fitted(), X, Y.assign(grade=np.nan), n_repeats=2, n_bootstraps=5)
    assert len(record) == 1
    undefined = found[found["task"] == "grade"]
    assert undefined[["importance", "lower", "upper", "score"]].isna().all(axis=None)
    assert (undefined["n_cells"] == 0).all()
    assert found[found["task"] == "sold"].notna().all(axis=None)


def test_a_metric_that_needs_two_classes_is_undefined_for_one():
    with pytest.warns(UndefinedMetricWarning, match="only class 'yes'"):
        found = task_importances(
            fitted(), X, Y.assign(sold=Y["sold"].where(X[:, 0] > 0)), metric="roc_auc", **QUICK
        )
    assert np.isnan(of(found, "sold", 0))
    assert (found.loc[found["task"] == "sold", "n_cells"] > 0).all()


def test_a_label_that_training_did_not_see_counts_as_an_error():
    labels = Y.assign(sold=Y["sold"].mask(np.arange(N) < 9, "maybe"))
    found = task_importances(fitted(), X, labels, metric="accuracy", **QUICK)
    assert of(found, "sold", 0, "score") < 1 - 5 / 83


# ------------------------------------------------------------------------------- forms of tables

ARRAYS = {
    "lists": lambda X: X.tolist(),
    "Fortran": np.asfortranarray,
    "CSR matrix": sp.csr_matrix,
    "CSC array": sp.csc_array,
    "triplets": sp.coo_matrix,
    "triplets, array": sp.coo_array,
}


@pytest.mark.parametrize("form", ARRAYS)
def test_form_of_an_array_changes_no_number(form):
    found = task_importances(fitted(), ARRAYS[form](X), Y, **QUICK)
    pd.testing.assert_frame_equal(found, task_importances(fitted(), X, Y, **QUICK))


@pytest.mark.parametrize("form", ["pandas", "polars", "arrow"])
def test_form_of_a_frame_changes_no_number(form):
    frame = FRAME if form == "pandas" else pl.from_pandas(FRAME)
    frame = frame.to_arrow() if form == "arrow" else frame
    found = task_importances(make().fit(frame, Y), frame, Y, **QUICK)
    expected = task_importances(fitted_frame(), FRAME, Y, **QUICK)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("form", ["frame", "array", "polars", "lists"])
def test_form_of_the_labels_changes_no_number(form):
    labels = {
        "frame": Y,
        "array": Y.to_numpy(object),
        "polars": pl.from_pandas(Y),
        "lists": Y.astype(object).where(Y.notna(), None).to_numpy().tolist(),
    }[form]
    found = task_importances(fitted(), X, labels, **QUICK)
    pd.testing.assert_frame_equal(found, task_importances(fitted(), X, Y, **QUICK))


@pytest.mark.slow
def test_a_column_of_labels_is_one_task():
    clf = make().fit(X, GRADES)
    found = task_importances(clf, X, GRADES, **QUICK)
    assert len(found) == 3
    assert found.loc[found["importance"].idxmax(), "feature"] == 1


DTYPES = {
    "categories": pd.Categorical(RNG.choice(["a", "b", None], N), categories=["b", "a", "c"]),
    "ordered": pd.Categorical(RNG.choice(["a", "b"], N), ordered=True),
    "integers": RNG.integers(0, 9, N).astype(np.int8),
    "nullable integers": pd.array(RNG.choice([1, 2, None], N), dtype="Int64"),
    "nullable booleans": pd.array(RNG.choice([True, False, None], N), dtype="boolean"),
    "booleans": RNG.random(N) < 0.5,
    "arrow": pd.array(RNG.choice([1.5, 2.5, None], N), dtype="double[pyarrow]"),
    "float32": RNG.normal(size=N).astype(np.float32),
    "objects": np.array(RNG.choice(["a", 1, None], N), dtype=object),
    "sparse": pd.arrays.SparseArray(RNG.choice([0.0, 1.0], N)),
}


@pytest.mark.parametrize("kind", DTYPES)
def test_a_shuffled_column_keeps_its_dtype(kind):
    index = np.arange(N) // 2  # each label twice
    frame = pd.DataFrame({"first": X[:, 0], "column": DTYPES[kind]}, index=index)
    before, order = frame.copy(), np.random.default_rng(1).permutation(N)

    shuffled = _shuffle(frame, 1, order)

    pd.testing.assert_frame_equal(frame, before)
    assert shuffled["column"].dtype == frame["column"].dtype
    assert shuffled.index.equals(frame.index)
    pd.testing.assert_series_equal(
        shuffled["column"].reset_index(drop=True),
        frame["column"].iloc[order].reset_index(drop=True),
    )
    pd.testing.assert_series_equal(shuffled["first"], frame["first"])


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("c", ["a", "b", None] * 3, dtype=pl.Categorical),
        pl.Series("c", ["a", "b", None] * 3, dtype=pl.Enum(["b", "a"])),
        pl.Series("c", [1, 2, None] * 3, dtype=pl.UInt8),
    ],
    ids=["categorical", "enum", "integers"],
)
def test_a_shuffled_column_of_polars_keeps_its_dtype(column):
    frame, order = pl.DataFrame({"first": range(9), "c": column}), np.arange(9)[::-1]
    shuffled = _shuffle(frame, 1, order)
    assert shuffled.schema == frame.schema
    assert shuffled["c"].to_list() == column.to_list()[::-1]
    assert frame["c"].to_list() == column.to_list()


def test_columns_of_one_name_are_shuffled_one_at_a_time():
    frame = FRAME.set_axis(["same", "same", "other"], axis=1)
    shuffled = _shuffle(frame, 1, np.arange(N)[::-1])
    np.testing.assert_array_equal(shuffled.iloc[:, 0], X[:, 0])
    np.testing.assert_array_equal(shuffled.iloc[:, 1], X[::-1, 1])


def test_rows_with_labels_of_their_own_are_shuffled_by_position():
    index = pd.Index(np.arange(N) // 2)
    found = task_importances(fitted_frame(), FRAME.set_axis(index), Y.set_axis(index), **QUICK)
    pd.testing.assert_frame_equal(found, task_importances(fitted_frame(), FRAME, Y, **QUICK))


def test_neither_rows_nor_labels_change():
    frame, labels, array, sparse = FRAME.copy(), Y.copy(), X.copy(), sp.csr_array(X)
    task_importances(fitted_frame(), frame, labels, **QUICK)
    for table in (array, sparse):
        task_importances(fitted(), table, labels, **QUICK)
    pd.testing.assert_frame_equal(frame, FRAME)
    pd.testing.assert_frame_equal(labels, Y)
    np.testing.assert_array_equal(array, X)
    np.testing.assert_array_equal(sparse.toarray(), X)


def test_read_only_rows_can_be_shuffled():
    rows = X.copy()
    rows.flags.writeable = False
    assert len(task_importances(fitted(), rows, Y, **QUICK)) == 6


@pytest.mark.slow
def test_categories_with_missing_cells_are_shuffled_and_predicted():
    frame = FRAME.assign(
        city=pd.Categorical(np.where(X[:, 2] > 0, "up", "down")),
        visits=pd.array(RNG.choice([1, 2, None], N), dtype="Int64"),
    )
    labels = pd.DataFrame({"up": X[:, 2] > 0, "grade": Y["grade"]})
    clf = make().fit(frame.drop(columns="noise"), labels)
    found = task_importances(clf, frame.drop(columns="noise"), labels, **QUICK)
    of_task = found[found["task"] == "up"].set_index("feature")["importance"]
    assert of_task.idxmax() == "city"


# --------------------------------------------------------------------------------- the features


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (["height"], ["height"]),
        ([2, "age"], ["noise", "age"]),
        ([np.int64(1)], ["height"]),
        (("age",), ["age"]),
        (FRAME.columns[1:], ["height", "noise"]),
        (np.array(["noise"]), ["noise"]),
    ],
    ids=["name", "both", "NumPy's integer", "tuple", "index", "array"],
)
def test_features_are_chosen_by_name_or_position(features, expected):
    found = task_importances(fitted_frame(), FRAME, Y, features=features, **QUICK)
    assert found["feature"].tolist() == expected * 2


def test_integers_are_names_where_columns_are_named_by_integers():
    frame = FRAME.set_axis([2, 0, 1], axis=1)
    clf = make().fit(frame, Y)
    found = task_importances(clf, frame, Y, features=[0], **QUICK)
    assert found["feature"].tolist() == [0, 0]
    assert of(found, "grade", 0) > of(found, "sold", 0)  # the second column, height


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (["noises"], r"Got 'noises'. Did you mean 'noise'\?"),
        ([3], "Got 3."),
        ([-1], "Got -1."),
        ([None], "Got None."),
        ([["age"]], r"Got \['age'\]"),
    ],
    ids=["misspelt", "too large", "negative", "None", "list"],
)
def test_features_that_are_not_there_are_refused(features, message):
    with pytest.raises(ValueError, match=f"names or positions of features of X. {message}"):
        task_importances(fitted_frame(), FRAME, Y, features=features, **QUICK)


@pytest.mark.parametrize("features", ["age", 1], ids=["name", "position"])
def test_a_single_feature_must_be_in_a_list(features):
    with pytest.raises((ValueError, TypeError), match="features must be a list"):
        task_importances(fitted_frame(), FRAME, Y, features=features, **QUICK)


@pytest.mark.parametrize("make_mask", [list, np.array])
def test_a_mask_is_no_list_of_positions(make_mask):
    with pytest.raises(ValueError, match="features must be"):
        task_importances(
            fitted_frame(), FRAME, Y, features=make_mask([True, False, False]), **QUICK
        )


# --------------------------------------------------------------------------- other estimators


@pytest.mark.slow
def test_raw_columns_of_a_pipeline_are_shuffled():
    frame = FRAME.assign(city=np.where(X[:, 2] > 0, "up", "down"))
    columns = make_column_transformer(
        (StandardScaler(), ["age", "height"]), (OneHotEncoder(sparse_output=False), ["city"])
    )
    labels = Y.assign(up=X[:, 2] > 0)
    model = make_pipeline(columns, make()).fit(frame, labels)

    found = task_importances(model, frame, labels, **QUICK)

    assert found["feature"].unique().tolist() == ["age", "height", "noise", "city"]
    assert of(found, "up", "city") > 0.1
    assert (found.loc[found["feature"] == "noise", "importance"] == 0).all()


def test_a_search_is_looked_through():
    search = GridSearchCV(make(missing_label=-1), {"epochs": [2]}, cv=2)
    numbers = np.column_stack([X[:, 0] > 0, GRADES]).astype(float)
    numbers[::5] = -1
    search.fit(X, numbers)
    found = task_importances(search, X, numbers, **QUICK)
    expected = task_importances(search.best_estimator_, X, numbers, **QUICK)
    pd.testing.assert_frame_equal(found, expected)
    assert (found["n_cells"] == 96).all()


@pytest.mark.parametrize(
    "model", [RandomForestClassifier(5, random_state=0), DecisionTreeClassifier()]
)
def test_other_estimators_of_several_tasks_are_scored(model):
    labels = np.column_stack([X[:, 0] > 0, GRADES]).astype(int)
    found = task_importances(model.fit(X, labels), X, labels, metric="accuracy", **QUICK)
    assert found["task"].unique().tolist() == ["y0", "y1"]
    assert of(found, "y0", 0) > of(found, "y0", 2)


def test_a_predictor_that_uses_nothing_has_importances_of_zero():
    labels = np.column_stack([X[:, 0] > 0, GRADES]).astype(int)
    model = DummyClassifier().fit(X, labels)
    found = task_importances(model, X, labels, n_repeats=1, n_bootstraps=10)
    assert (found[["importance", "lower", "upper"]] == 0).all(axis=None)


# --------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"metric": "auc"}, "There is no metric 'auc'"),
        ({"n_repeats": 0}, "'n_repeats' parameter of task_importances must be an integer >= 1"),
        ({"n_bootstraps": 0}, "'n_bootstraps' parameter of task_importances must be an integer"),
        ({"confidence_level": 95}, "confidence_level must be a float between 0 and 1"),
        ({"sample_weight": np.ones(5)}, "sample_weight"),
        ({"X": X[:5]}, "inconsistent numbers of samples"),
        ({"X": X[:, :2]}, "X has 2 features, but MultiTaskClassifier is expecting 3"),
        ({"X": X[:, 0]}, "2D array|must be 2-D"),
        ({"X": FRAME["age"]}, "2D array|must be 2-D"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_what_cannot_be_is_refused(params, message):
    table = {"X": X} | params
    with pytest.raises(ValueError, match=message):
        task_importances(fitted(), table.pop("X"), Y, **QUICK | table)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.ones(5), "groups must have a group for each of the 120 rows. Got 5."),
        ([None] * N, "groups must have a group for every row. 120 of 120 are missing"),
    ],
    ids=["too few", "missing"],
)
@pytest.mark.parametrize("n_bootstraps", [5, None])
def test_groups_must_fit_the_rows(groups, message, n_bootstraps):
    with pytest.raises(ValueError, match=message):
        task_importances(
            fitted(), X, Y, groups=groups, n_repeats=1, n_bootstraps=n_bootstraps, random_state=0
        )


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        task_importances(MultiTaskClassifier(), X, Y)


def test_a_lazy_frame_is_refused():
    with pytest.raises(TypeError, match=r"X must be in memory.*collect\(\)"):
        task_importances(fitted_frame(), pl.from_pandas(FRAME).lazy(), Y)


def test_rows_in_another_order_than_x_are_told():
    with pytest.warns(UserWarning, match="indexes of X and y hold the same labels in different"):
        task_importances(fitted_frame(), FRAME, Y[::-1], **QUICK)


def test_shuffling_warns_no_more_than_predicting_does():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task_importances(fitted_frame(), FRAME, Y, n_repeats=1, n_bootstraps=2)


def rng_of(seed):
    return np.random.RandomState(seed)


# -- y that lacks tasks; names of features -------------------------------------------------------


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_y_may_lack_tasks(metric):
    whole = task_importances(fitted_frame(), FRAME, Y, metric=metric, **QUICK)
    task = Y.columns[1]
    found = task_importances(fitted_frame(), FRAME, Y[[task]], metric=metric, **QUICK)
    expected = whole[whole["task"] == task].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected)


def test_integers_are_names_where_names_are_integers():
    frame = pd.DataFrame(X, columns=[10 * (j + 1) for j in range(X.shape[1])])
    clf = fitted()
    assert set(task_importances(clf, frame, Y, features=[10], **QUICK)["feature"]) == {10}
    with pytest.raises(ValueError, match="Got 0"):
        task_importances(clf, frame, Y, features=[0], **QUICK)


def test_each_feature_is_named_once():
    with pytest.raises(ValueError, match="each feature once"):
        task_importances(fitted(), X, Y, features=[1, 1], **QUICK)


def test_rows_without_labels_change_no_interval():
    more = Y.reindex(range(2 * len(Y)))
    settings = {"features": [0], "n_repeats": 1, "n_bootstraps": 20}
    of_labelled = _importances._draw_counts(Y.notna().to_numpy(), 20, None, rng_of(0))
    of_all = _importances._draw_counts(more.notna().to_numpy(), 20, None, rng_of(0))
    np.testing.assert_array_equal(of_all[0][: len(Y)], of_labelled[0])
    assert not of_all[0][len(Y) :].any()
    assert task_importances(fitted(), np.vstack([X, X]), more, **settings)["lower"].notna().all()
