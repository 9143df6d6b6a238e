"""Tests of categorical features in ONNX: as text, integers, booleans and numbers, and missing."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny
from onnx_runs import assert_same_as, open_session, run

from sk_mtl import to_onnx

N_ROWS = 140
RNG = np.random.default_rng(0)
NUMBER = RNG.normal(size=N_ROWS).astype(np.float32)
Y = pd.DataFrame({"a": RNG.integers(0, 2, N_ROWS), "b": RNG.integers(0, 3, N_ROWS)})
fit = partial(make_tiny, early_stopping=False)


def fit_kind(values, **params):
    """Return a classifier with the values as a categorical feature, and its X."""
    kind = pd.Series(values, dtype=object).astype("category")
    X = pd.DataFrame({"number": NUMBER, "kind": kind})
    return fit(**params).fit(X, Y), X


def some(*values):
    """Return values at random, as objects."""
    drawn = np.empty(N_ROWS, object)
    drawn[:] = [values[i] for i in RNG.integers(0, len(values), N_ROWS)]
    return drawn.tolist()


CATEGORIES = {
    "text": (some("a", "b", "c"), "string"),
    "text with holes": (some("a", "b", None), "string"),
    "any text": (some("é", "e\u0301", " ", "日本", "A", "a\nb"), "string"),
    "text of numbers": (some("1", "1.0", "nan", "NaN"), "string"),
    "100 texts": ([f"v{i % 100}" for i in range(N_ROWS)], "string"),
    "100 texts with holes": ([f"v{i % 100}" if i % 7 else None for i in range(N_ROWS)], "string"),
    "integers": (some(3, 5, 9), "int64"),
    "integers with holes": (some(3, 5, None), "int64"),
    "large integers": (some(2**62, 2**62 + 1, -(2**63)), "int64"),
    "100 integers": ((np.arange(N_ROWS) % 100).tolist(), "int64"),
    "booleans": (some(True, False), "int64"),
    "booleans with holes": (some(True, False, None), "int64"),
    "numbers": (some(0.1, 0.2, 1e300), "double"),
    "numbers with holes": (some(0.1, 0.2, np.nan), "double"),
    "infinite numbers": (some(0.5, np.inf, -np.inf), "double"),
    "integers and numbers": (some(1, 0.5, 7), "double"),
    "one": (some("a"), "string"),
}


@pytest.mark.slow_except(
    "text",
    "booleans",
    "text with holes",
    "integers*",
    "100 integers",
    "infinite numbers",
    "numbers*",
    "large integers",
    "booleans with holes",
)
@pytest.mark.filterwarnings("ignore:.*alike")
@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_give_the_probabilities_of_the_classifier(name):
    values, kind = CATEGORIES[name]
    clf, X = fit_kind(values)
    found = open_session(to_onnx(clf))
    assert found.get_inputs()[1].type == f"tensor({kind})"
    assert_same_as(clf, X)


UNKNOWN = {
    "text": (some("a", "b", "c"), ["d", "", "A", "a "]),
    "text with holes": (some("a", "b", None), ["d", ""]),
    "100 texts": ([f"v{i % 100}" for i in range(N_ROWS)], ["v100", ""]),
    "integers": (some(3, 5, 9), [4, -1, 2**62]),
    "numbers": (some(0.1, 0.2, 1e300), [0.3, np.inf, float(np.float32(0.1))]),
}


@pytest.mark.filterwarnings("ignore:No category of feature 'kind' is known")
@pytest.mark.parametrize("name", UNKNOWN)
def test_values_that_training_did_not_see_are_missing(name):
    values, unknown = UNKNOWN[name]
    clf, X = fit_kind(values)
    rows = X[: len(unknown)].astype({"kind": object})
    rows["kind"] = unknown
    outputs = assert_same_as(clf, rows)
    missing = run(open_session(to_onnx(clf)), rows.assign(kind=None))
    np.testing.assert_array_equal(outputs["probabilities_a"], missing["probabilities_a"])


def test_the_empty_text_may_be_a_category():
    clf, X = fit_kind(some("", "a", "b"))
    assert_same_as(clf, X)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*alike")
def test_a_feature_that_was_missing_in_all_rows():
    clf, X = fit_kind([None] * N_ROWS)
    assert_same_as(clf, X)


@pytest.mark.slow
def test_only_categories():
    X = pd.DataFrame({"kind": some("a", "b"), "place": np.arange(N_ROWS) % 90}, dtype="category")
    clf = fit().fit(X, Y)
    assert_same_as(clf, X)
    assert_same_as(clf, X.astype(object).assign(kind=None, place=None))


@pytest.mark.slow_except("matrix")
@pytest.mark.parametrize("inputs", ["auto", "matrix"])
def test_categories_that_are_numbers_in_an_array(inputs):
    X = np.column_stack([RNG.integers(0, 5, N_ROWS), NUMBER, RNG.choice([0.1, 0.7], N_ROWS)])
    clf = fit(categorical_features=[0, 2]).fit(X, Y)
    names = [given.name for given in to_onnx(clf, inputs=inputs).graph.input]
    assert names == (["X"] if inputs == "matrix" else ["x0", "x1", "x2"])
    assert_same_as(clf, X, inputs=inputs)


@pytest.mark.slow
def test_text_in_an_array():
    X = np.column_stack([np.array(some("a", "b"), object), NUMBER.astype(object)])
    assert_same_as(fit(categorical_features=[0]).fit(X, Y), X)


def test_text_in_a_matrix_is_refused():
    clf, _ = fit_kind(some("a", "b"))
    with pytest.raises(ValueError, match=r"text of categorical features: 'kind'.*columns"):
        to_onnx(clf, inputs="matrix")


@pytest.mark.slow
def test_integers_that_are_the_same_float32_are_refused_as_a_matrix():
    X = np.column_stack([RNG.integers(0, 4, N_ROWS) + 2**24, NUMBER])
    clf = fit(categorical_features=[0]).fit(X, Y)
    assert_same_as(clf, X)
    with pytest.raises(ValueError, match=r"'x0'.*same number in float32.*columns"):
        to_onnx(clf, inputs="matrix")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (some("a", 1), "1"),
        (some(b"a", b"b"), "b'a'"),
        (list(pd.to_datetime(some("2020-01-01", "2021-01-01"))), "2020-01-01"),
        (some(2**63, 2**63 + 1), "9223372036854775808"),
        (some(2**70, 1), "1180591620717411303424"),
    ],
    ids=["text and numbers", "bytes", "dates", "beyond int64", "beyond 64 bits"],
)
def test_categories_without_a_type_in_onnx_are_refused_by_name(values, shown):
    X = pd.DataFrame({"number": NUMBER, "kind": pd.Series(values, dtype=object)})
    clf = fit(categorical_features=["kind"]).fit(X, Y)
    with pytest.raises(ValueError, match=rf"'kind' holds .*{shown}.*make text of its values"):
        to_onnx(clf)


@pytest.mark.slow
def test_twenty_thousand_categories():
    values = [f"v{i}" for i in range(20_000)]
    X = pd.DataFrame({"kind": pd.Categorical(values)})
    y = np.arange(20_000) % 2
    clf = fit(epochs=1, batch_size=4096).fit(X, y)
    found = run(open_session(to_onnx(clf)), X[::500])["probabilities"]
    np.testing.assert_allclose(found, clf.predict_proba(X[::500]), rtol=0, atol=1e-6)


def test_categories_by_feature():
    clf, X = fit_kind(some("b", "a", None))
    assert list(clf.categories_) == ["kind"]
    assert clf.categories_["kind"].tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="read-only"):
        clf.categories_["kind"][:] = "z"
    assert fit().fit(X[["number"]], Y).categories_ == {}
    array = np.column_stack([NUMBER, RNG.integers(4, 6, N_ROWS)])
    by_position = fit(categorical_features=[1]).fit(array, Y).categories_
    assert {j: c.tolist() for j, c in by_position.items()} == {1: [4, 5]}
