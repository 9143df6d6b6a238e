"""Parameters and X, and the guard on scikit-learn's `cross_val_predict`."""

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import cross_val_predict

from sk_mtl import MultiTaskClassifier
from sk_mtl._validation import (
    PARAMETER_CONSTRAINTS,
    MissingLabelsError,
    check_asker,
    check_features,
    check_parameters,
)

# ------------------------------------------------------------------------------------------------
# Parameters
# ------------------------------------------------------------------------------------------------


def test_every_parameter_has_a_constraint():
    declared = inspect.signature(MultiTaskClassifier.__init__).parameters.values()
    names = {p.name for p in declared if p.kind is not p.VAR_KEYWORD} - {"self"}
    assert set(PARAMETER_CONSTRAINTS) == names


def test_the_defaults_pass():
    check_parameters(MultiTaskClassifier())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", 4),
        ("hidden_layer_sizes", ()),
        ("hidden_layer_sizes", [4, 4]),
        ("hidden_layer_sizes", np.array([4])),
        ("hidden_layer_sizes", np.int64(4)),
        ("head_hidden_layer_sizes", {"a": (3,)}),
        ("activation", np.tanh),
        ("dropout", 0.5),
        ("normalization", "layer"),
        ("l2", 0),
        ("task_weighting", {"a": 2}),
        ("class_weight", {0: 1}),
        ("loss", "focal"),
        ("focal_gamma", 0),
        ("logit_adjustment", 1),
        ("batching", "label_aware"),
        ("calibrate", np.True_),
        ("epochs", np.int64(3)),
        ("batch_size", 8),
        ("early_stopping", np.True_),
        ("validation_fraction", None),
        ("monitor", 0),
        ("tol", 0),
        ("warm_start", True),
        ("classes", {"a": [0, 1]}),
        ("classes", [[0, 1], [0, 1, 2]]),
        ("missing_label", -1),
        ("random_state", np.random.RandomState(0)),
        ("verbose", True),
        ("verbose", 2),
    ],
)
def test_a_usable_parameter_passes(name, value):
    check_parameters(MultiTaskClassifier(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", "abc"),
        ("hidden_layer_sizes", None),
        ("hidden_layer_sizes", 0),
        ("hidden_layer_sizes", 4.5),
        ("head_hidden_layer_sizes", "abc"),
        ("head_hidden_layer_sizes", None),
        ("activation", None),
        ("activation", 3),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", None),
        ("normalization", "instance"),
        ("normalization", False),
        ("l2", -1),
        ("l2", np.nan),
        ("task_weighting", "uncertanty"),
        ("task_weighting", None),
        ("task_weighting", 5),
        ("task_weighting", [1, 2]),
        ("loss_normalization", "batch"),
        ("class_weight", "auto"),
        ("class_weight", [{0: 1}]),
        ("loss", "hinge"),
        ("loss", None),
        ("focal_gamma", -1),
        ("focal_gamma", np.inf),
        ("logit_adjustment", -0.5),
        ("logit_adjustment", np.nan),
        ("batching", "stratified"),
        ("calibrate", "yes"),
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", "10"),
        ("batch_size", 0),
        ("batch_size", "all"),
        ("batch_size", None),
        ("early_stopping", "yes"),
        ("early_stopping", None),
        ("validation_fraction", 0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("tol", -1),
        ("tol", None),
        ("warm_start", "yes"),
        ("classes", 3),
        ("classes", "abc"),
        ("random_state", "seed"),
        ("random_state", -1),
        ("random_state", np.random.default_rng(0)),
        ("verbose", -1),
        ("verbose", "yes"),
    ],
)
def test_an_unusable_parameter_is_refused_by_name_and_value(name, value):
    with pytest.raises(ValueError, match=f"(?s){name}.* must be .*Got") as caught:
        check_parameters(MultiTaskClassifier(**{name: value}))
    assert repr(value) in str(caught.value)


# ------------------------------------------------------------------------------------------------
# X
# ------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([[0.0, np.nan]], "contains NaN"),
        ([[0.0, np.inf]], "infinity"),
        ([0.0, 1.0], "Expected 2D array"),
        (np.zeros((0, 2)), r"0 sample\(s\)"),
        (np.zeros((2, 0)), r"0 feature\(s\)"),
        ([["a", "b"]], "could not convert string to float"),
        (np.array([[1j]]), "Complex"),
        (sp.csr_matrix([[0.0, np.nan]]), "contains NaN"),
    ],
)
def test_features_that_are_no_finite_table_are_refused(bad, words):
    with pytest.raises(ValueError, match=words):
        check_features(BaseEstimator(), bad, reset=True)


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


# ------------------------------------------------------------------------------------------------
# The guard
# ------------------------------------------------------------------------------------------------


class _Constant(BaseEstimator):
    """Predicts one thing, and asks the guard as the real estimator does."""

    def __sklearn_tags__(self):
        check_asker(lambda y: bool(pd.isna(np.asarray(y)).any()))
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X, y):
        self.classes_ = [np.array([0, 1])] * np.shape(y)[1]
        return self

    def predict(self, X):
        return np.zeros((len(X), len(self.classes_)))

    def predict_proba(self, X):
        return [np.full((len(X), 2), 0.5) for _ in self.classes_]

    predict_log_proba = predict_proba


Y = np.array([[0, 1], [1, 0], [0, 1], [1, 1], [0, 0], [1, 0]], dtype=float)
Y_WITH_HOLE = np.where(np.eye(6, 2, dtype=bool), np.nan, Y)


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_cross_val_predict_of_probabilities_is_refused_when_labels_are_missing(X, method):
    with pytest.raises(MissingLabelsError, match=r"sk_mtl\.model_selection\.cross_val_predict"):
        cross_val_predict(_Constant(), X, Y_WITH_HOLE, cv=2, method=method)


def test_cross_val_predict_passes_when_nothing_is_lost_by_it(X):
    assert len(cross_val_predict(_Constant(), X, Y, cv=2, method="predict_proba")) == 2
    assert cross_val_predict(_Constant(), X, Y_WITH_HOLE, cv=2).shape == (6, 2)


def test_tags_are_given_outside_of_cross_val_predict():
    assert clone(_Constant()).__sklearn_tags__().target_tags.required


def test_the_guards_error_is_none_that_a_pipeline_swallows():
    assert not issubclass(MissingLabelsError, (ValueError, TypeError, AttributeError))
