"""The method `explain`: forms of tables, tasks, the background, errors, and what it returns."""

import builtins
import copy
import os
import pickle
import subprocess
import sys
import warnings
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from helpers import make_tiny
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl._tasks import PerTask

RNG = np.random.default_rng(0)
N = 80
X = RNG.normal(size=(N, 4))
FRAME = pd.DataFrame(X[:, :3], columns=["age", "height", "weight"])
FRAME["weight"] = FRAME["weight"].mask(RNG.random(N) < 0.2)
FRAME["city"] = pd.Categorical(RNG.choice(["a", "b", "c"], N))
Y = pd.DataFrame(
    {
        "sold": np.where(X[:, 0] > 0, "yes", "no").astype(object),
        "grade": pd.array(RNG.integers(0, 3, N), dtype="Int64"),
    }
)
Y.loc[::3, "sold"] = None
FIXED = {"early_stopping": False, "jit_compile": False, "optimizer__learning_rate": 0.05}


@cache
def fitted():
    return make_tiny(**FIXED).fit(X, Y)


@cache
def fitted_frame():
    return make_tiny(**FIXED).fit(FRAME, Y)


@cache
def fitted_odd():
    """Return a fit to a task without labels, one with a single class, and two others."""
    odd = pd.DataFrame({"nothing": [np.nan] * N, "single": ["k"] * N}).join(Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of these tasks
        return make_tiny(**FIXED).fit(X, odd)


def assert_same_values(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.base_values, other.base_values)


# ------------------------------------------------------------------------------- what it returns


def test_all_tasks_are_explained_by_name():
    found = fitted().explain(X[:5], background=X)

    assert isinstance(found, PerTask)
    assert list(found.keys()) == ["sold", "grade"]
    assert found["sold"].values.shape == found["sold"].shape == (5, 4, 2)
    assert found["grade"].values.shape == (5, 4, 3)
    assert found["grade"].base_values.shape == (5, 3)
    assert len(found["grade"]) == 5


@pytest.mark.parametrize("task", ["grade", 1])
def test_a_task_is_asked_for_by_name_or_position(task):
    found = fitted().explain(X[:5], task, background=X)
    np.testing.assert_array_equal(found.values, fitted().explain(X[:5], background=X)[1].values)


@pytest.mark.slow
def test_a_column_of_labels_has_one_explanation():
    clf = make_tiny(**FIXED).fit(X, Y["grade"])
    found = clf.explain(X[:5], background=X)
    assert found.shape == (5, 4, 3)
    np.testing.assert_array_equal(found.values, clf.explain(X[:5], 0, background=X).values)


def test_values_are_numbers_of_double_precision():
    found = fitted().explain(X[:5], 0)
    assert found.values.dtype == found.base_values.dtype == np.float64
    assert found.data.dtype == np.float32


def test_classes_are_named_in_their_order():
    found = fitted().explain(X[:5])
    assert found["sold"].output_names == ["no", "yes"]
    assert found["grade"].output_names == ["0", "1", "2"]


def test_features_of_an_array_are_numbered():
    assert fitted().explain(X[:5], 0).feature_names == ["x0", "x1", "x2", "x3"]


@pytest.mark.slow
def test_features_of_a_frame_have_their_names():
    found = fitted_frame().explain(FRAME[:5], 0)
    assert found.feature_names == ["age", "height", "weight", "city"]


def test_data_are_the_numbers_that_the_network_reads():
    found = fitted_frame().explain(FRAME[:9], 0)
    expected = FRAME[:9].assign(city=FRAME["city"][:9].cat.codes).to_numpy(np.float32)
    np.testing.assert_array_equal(found.data, expected)


def test_shown_data_are_the_cells_as_they_were_passed():
    shown = fitted_frame().explain(FRAME[:9], 0).display_data
    assert shown.dtype == object
    assert shown[:, 3].tolist() == FRAME["city"][:9].tolist()
    np.testing.assert_array_equal(shown[:, 1].astype(float), FRAME["height"][:9])


def test_probabilities_of_two_classes_have_opposite_values():
    found = fitted().explain(X[:5], "sold", background=X)
    np.testing.assert_array_equal(found.values[..., 0], -found.values[..., 1])
    np.testing.assert_allclose(found.base_values.sum(axis=1), 1, atol=1e-12)


def test_values_of_several_classes_sum_to_nothing():
    found = fitted().explain(X[:5], "grade", background=X)
    np.testing.assert_allclose(found.values.sum(axis=2), 0, atol=1e-6)


def test_it_says_what_it_is():
    text = "<Explanation: 5 samples, 4 features, 3 classes, exact>"
    assert repr(fitted().explain(X[:5], "grade")) == text


def test_two_explanations_can_be_compared():
    first, second = fitted().explain(X[:5], 0), fitted().explain(X[:5], 0)
    assert first == first
    assert first != second  # another object, as everywhere in scikit-learn
    assert [first, second].index(second) == 1
    assert len({first, second}) == 2


def test_it_can_be_pickled_and_copied():
    found = fitted().explain(X[:5])
    for again in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert_same_values(again, found)


# ------------------------------------------------------------------------- tasks with few labels


def test_a_task_without_labels_is_not_a_number():
    found = fitted_odd().explain(X[:5])["nothing"]
    assert np.isnan(found.values).all()
    assert np.isnan(found.base_values).all()


def test_a_task_with_one_class_has_its_probability_by_no_feature():
    found = fitted_odd().explain(X[:5])["single"]
    assert found.output_names == ["k"]
    assert (found.values == 0).all()
    assert (found.base_values == 1).all()
    assert found.shape == (5, 4, 1)


def test_log_odds_of_one_class_are_nothing():
    found = fitted_odd().explain(X[:5], "single", output="log_odds")
    assert (found.values == 0).all()
    assert (found.base_values == 0).all()


@pytest.mark.parametrize("output", ["probability", "log_odds"])
def test_a_task_whose_classes_are_declared_but_have_no_labels_is_not_a_number(output):
    labels = Y.assign(nothing=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        clf = make_tiny(**FIXED, classes={"nothing": [0, 1]}).fit(X, labels)
    assert np.isnan(clf.predict_proba(X[:5])["nothing"]).all()

    found = clf.explain(X[:5], output=output)

    assert found["nothing"].shape == (5, 4, 2)
    assert np.isnan(found["nothing"].values).all()
    assert np.isnan(found["nothing"].base_values).all()
    assert np.isfinite(found["grade"].values).all()


def test_other_tasks_are_explained_beside_them():
    found = fitted_odd().explain(X[:5])
    proba = fitted_odd().predict_proba(X[:5])
    for task in Y:
        total = found[task].values.sum(axis=1) + found[task].base_values
        np.testing.assert_allclose(total, proba[task], atol=1e-6)


def test_a_fit_without_anything_to_learn_is_explained():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        clf = make_tiny(**FIXED).fit(X, pd.DataFrame({"single": ["k"] * N, "nothing": np.nan}))
    single, nothing = clf.explain(X[:5])
    assert (single.values == 0).all()
    assert np.isnan(nothing.values).all()


# ------------------------------------------------------------------------------- forms of tables

ARRAYS = {
    "float32": lambda X: X.astype(np.float32),
    "lists": lambda X: X.tolist(),
    "Fortran": np.asfortranarray,
    "CSR matrix": sp.csr_matrix,
    "CSC array": sp.csc_array,
    "triplets": sp.coo_matrix,
}


@pytest.mark.parametrize("form", ARRAYS)
def test_form_of_an_array_changes_no_value(form):
    convert = ARRAYS[form]
    found = fitted().explain(convert(X[:5]), background=convert(X[5:20]))
    assert_same_values(found, fitted().explain(X[:5], background=X[5:20]))
    shown = found[0].display_data
    np.testing.assert_allclose(shown.astype(float), X[:5], rtol=1e-6)


@pytest.mark.parametrize("form", [pl.from_pandas, pl.DataFrame.to_arrow], ids=["polars", "arrow"])
def test_form_of_a_frame_changes_no_value(form):
    def convert(frame):
        frame = pl.from_pandas(frame)
        return frame if form is pl.from_pandas else frame.to_arrow()

    clf = make_tiny(**FIXED).fit(convert(FRAME), Y)
    found = clf.explain(convert(FRAME[:5]), background=convert(FRAME[5:20]))
    pandas = make_tiny(**FIXED).fit(FRAME, Y).explain(FRAME[:5], background=FRAME[5:20])
    assert_same_values(found, pandas)
    assert found[0].display_data[:, 3].tolist() == FRAME["city"][:5].tolist()


def test_sparse_and_dense_tables_can_be_mixed():
    found = fitted().explain(sp.csr_array(X[:5]), background=X[5:20])
    assert_same_values(found, fitted().explain(X[:5], background=sp.csr_array(X[5:20])))


def test_a_category_unknown_to_the_fit_is_explained_as_it_is_predicted():
    rows = FRAME[:4].assign(city=pd.Categorical(["new", "a", "b", None]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the category
        found = fitted_frame().explain(rows, background=FRAME)
        proba = fitted_frame().predict_proba(rows)
    for task, p in proba.items():
        np.testing.assert_allclose(
            found[task].values.sum(axis=1) + found[task].base_values, p, atol=1e-6
        )
    assert found[0].display_data[:, 3].tolist()[:3] == ["new", "a", "b"]


def test_missing_cells_of_both_rows_are_no_difference():
    rows, background = FRAME[:1].assign(weight=np.nan), FRAME[5:20].assign(weight=np.nan)
    for of_task in fitted_frame().explain(rows, background=background):
        assert (of_task.values[0, 2] == 0).all()


def test_neither_the_tables_nor_the_estimator_change():
    clf = fitted_frame()
    rows, background = FRAME[:5].copy(), FRAME[5:20].copy()
    attributes, proba = set(vars(clf)), clf.predict_proba_frame(FRAME)

    clf.explain(rows, background=background, random_state=0)

    pd.testing.assert_frame_equal(rows, FRAME[:5])
    pd.testing.assert_frame_equal(background, FRAME[5:20])
    assert set(vars(clf)) == attributes
    pd.testing.assert_frame_equal(clf.predict_proba_frame(FRAME), proba)


def test_writing_to_the_explanation_changes_no_table():
    rows = X[:5].astype(np.float32)
    before = rows.copy()
    found = fitted().explain(rows, 0, background=X)
    found.values[:] = 0
    found.display_data[:] = 0
    np.testing.assert_array_equal(rows, before)


def test_last_step_of_a_pipeline_explains_what_it_reads():
    pipe = make_pipeline(StandardScaler(), make_tiny(**FIXED)).fit(X, Y)
    scaled = pipe[:-1].transform(X)
    found = pipe[-1].explain(scaled[:5], 0, background=scaled)
    total = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(total, pipe.predict_proba(X[:5])[0], atol=1e-6)


# --------------------------------------------------------------------------------- the background


def test_rows_are_compared_with_one_another_by_default():
    assert_same_values(fitted().explain(X[:9]), fitted().explain(X[:9], background=X[:9]))


def test_a_single_row_can_be_compared_with_a_single_other_one():
    found = fitted().explain(X[:1], 0, background=X[1:2])
    proba = fitted().predict_proba(X[:2])[0]
    np.testing.assert_allclose(found.values[0].sum(axis=0), proba[0] - proba[1], atol=1e-6)


def test_a_large_background_is_drawn_from():
    seen = set()
    for seed in range(5):
        found = fitted().explain(X[:2], 0, background=X, n_background=1, random_state=seed)
        proba = fitted().predict_proba(X)[0][:, 1]
        (row,) = np.flatnonzero(np.abs(proba - found.base_values[0, 1]) < 1e-7)
        seen.add(row)
    assert len(seen) > 2


def test_rows_of_the_background_are_drawn_once_each():
    few = fitted().explain(X[:2], 0, background=X, n_background=N - 1, random_state=0)
    proba = fitted().predict_proba(X)[0][:, 1].astype(float)
    left_out = proba.sum() - (N - 1) * few.base_values[0, 1]
    assert np.abs(proba - left_out).min() < 1e-4


@pytest.mark.parametrize("n_background", [N, 1000])
def test_a_background_of_few_rows_is_used_whole(n_background):
    settings = {"background": X, "n_background": n_background}
    found = fitted().explain(X[:2], 0, **settings, random_state=0)
    other = fitted().explain(X[:2], 0, **settings, random_state=1)
    np.testing.assert_array_equal(found.values, other.values)


def test_all_rows_are_explained_of_a_table_larger_than_the_background():
    assert len(fitted().explain(X, 0, n_background=3, random_state=0)) == N


# -------------------------------------------------------------------------------------- errors


def test_a_single_row_needs_a_background():
    with pytest.raises(ValueError, match=r"X is a single row. Pass training rows"):
        fitted().explain(X[:1])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"output": "logit"}, "'output' parameter of explain must be one of"),
        ({"n_background": 0}, "'n_background' parameter of explain must be an integer >= 1"),
        ({"n_permutations": 1.5}, "'n_permutations' parameter of explain must be an integer"),
        ({"task": "price"}, r"There is no task 'price'. The tasks are 'sold', 'grade'"),
        ({"random_state": "seed"}, "cannot be used to seed"),
        ({"background": X[:5, :2]}, "X has 2 features, but MultiTaskClassifier is expecting 4"),
        ({"background": X[0]}, "Expected 2D array, got 1D array"),
        ({"background": X[:0]}, r"Found array with 0 sample\(s\)"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_what_cannot_be_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        fitted().explain(X[:5], **params)


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        MultiTaskClassifier().explain(X)


@pytest.mark.parametrize("where", ["X", "background"])
def test_a_number_too_large_for_float32_is_refused_as_by_predict_proba(where):
    large = X.copy()
    large[2, 1] = 1e300
    with pytest.raises(ValueError, match=r"too large for dtype\('float32'\).* 1e\+300"):
        fitted().explain(*([large] if where == "X" else [X[:5]]), background=large)


def test_a_missing_cell_is_explained_where_training_had_none():
    holey = X[:5].copy()
    holey[0, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = fitted().explain(holey, 0, background=X)
        proba = fitted().predict_proba(holey)[0]
    total = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(total, proba, atol=1e-6)


# --------------------------------------------------------------------------- with other libraries


def test_shap_must_be_installed_for_its_object(monkeypatch):
    found, import_ = fitted().explain(X[:5], 0), builtins.__import__

    def refuse(name, *rest):
        if name.partition(".")[0] == "shap":
            raise ImportError(name)
        return import_(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"to_shap needs shap: pip install shap"):
        found.to_shap()


def test_explanations_are_those_of_shap():
    shap = pytest.importorskip("shap")
    clf, rows, background = fitted(), X[:5], X[20:35]
    explainer = shap.ExactExplainer(clf.task_view("grade").predict_proba, background)
    expected = explainer(rows)

    found = clf.explain(rows, "grade", background=background).to_shap()

    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
    np.testing.assert_allclose(found.base_values, expected.base_values, atol=1e-5)
    assert found.output_names == ["0", "1", "2"]
    assert found[..., 1].shape == (5, 4)


SCRIPT = """
import pickle, sys
sys.modules["tensorflow"] = sys.modules["keras"] = None  # importing them is an error
clf, X = pickle.load(open(sys.argv[1], "rb"))
found = clf.explain(X[:3], background=X)
proba = clf.predict_proba(X[:3])
for task, of_task in found.items():
    assert abs(of_task.values.sum(axis=1) + of_task.base_values - proba[task]).max() < 1e-6
"""


@pytest.mark.slow
def test_built_networks_are_explained_without_tensorflow(tmp_path):
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((fitted(), X)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=True, env=environment)


def test_rows_in_place_of_a_task_are_refused():
    with pytest.raises(TypeError, match="Pass the rows to compare with as background="):
        fitted().explain(X[:2], X)


def test_a_refit_meanwhile_changes_nothing(monkeypatch):
    clf = make_tiny().fit(pd.DataFrame(X, columns=list("abcd")), X[:, 0] > 0)
    other = make_tiny().fit(pd.DataFrame(X[:, :2], columns=list("ab")), X[:, 0] > 0)
    expected = clf.explain(pd.DataFrame(X[:3], columns=list("abcd")), random_state=0)
    read = MultiTaskClassifier._checked

    def read_and_refit(self, rows):
        found = read(self, rows)
        vars(clf).update(vars(other))
        return found

    monkeypatch.setattr(MultiTaskClassifier, "_checked", read_and_refit)
    rows = pd.DataFrame(X[:3], columns=list("abcd"))
    found = clf.explain(rows, background=rows, random_state=0)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.feature_names == list("abcd")
