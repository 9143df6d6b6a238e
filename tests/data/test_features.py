"""Tests of sk_mtl._data.features: the forms of X. Bad ones are in contracts/bad_input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from sk_mtl._data.features import check_features


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def test_float32_features_are_not_copied(X):
    assert np.shares_memory(check_features(BaseEstimator(), X, reset=True), X)


def test_float32_csr_features_are_not_copied(X):
    csr = sp.csr_matrix(X)
    assert np.shares_memory(check_features(BaseEstimator(), csr, reset=True).data, csr.data)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.float64),
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.tolist(),
        lambda X: X.astype(object),
        lambda X: pd.DataFrame(X, columns=list("abc")),
        lambda X: pl.DataFrame(X, schema=list("abc")),
    ],
    ids=["float64", "Fortran", "strided", "list", "object", "pandas", "polars"],
)
def test_features_become_c_ordered_float32(X, convert):
    checked = check_features(BaseEstimator(), convert(X), reset=True)
    assert checked.dtype == np.float32
    assert checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, X)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, sp.coo_array, sp.csr_array])
def test_sparse_features_become_csr_float32(X, form):
    checked = check_features(BaseEstimator(), form(X.astype(float)), reset=True)
    assert checked.format == "csr"
    assert checked.dtype == np.float32
    np.testing.assert_array_equal(checked.toarray(), X)


def test_the_number_and_names_of_features_must_stay(X):
    estimator = BaseEstimator()
    check_features(estimator, pd.DataFrame(X, columns=list("abc")), reset=True)
    assert estimator.n_features_in_ == 3
    assert estimator.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"feature names should match"):
        check_features(estimator, pd.DataFrame(X, columns=list("abd")), reset=False)
    check_features(estimator, X, reset=True)
    with pytest.raises(ValueError, match=r"2 features, but .* is expecting 3"):
        check_features(estimator, X[:, :2], reset=False)
