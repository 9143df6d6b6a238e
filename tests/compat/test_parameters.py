"""Parameters, and the guard on scikit-learn's `cross_val_predict`."""

import inspect

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import cross_val_predict

from sk_mtl import MultiTaskClassifier
from sk_mtl._compat.parameters import PARAMETER_CONSTRAINTS, check_parameters
from sk_mtl._compat.sklearn_guard import MissingLabelsError, check_asker

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
        ("label_smoothing", "auto"),
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
    ("settings", "condition"),
    [
        ({"hidden_layer_sizes": 4, "model": np.tanh}, "model is None"),
        ({"focal_gamma": 1.0}, "loss='focal'"),
        (
            {"embedding_size": 4, "numeric_embedding": None},
            "numeric_embedding is set, and model is None",
        ),
        ({"ensemble_method": "independent"}, "ensemble_size is above 1"),
        ({"input_noise": 0.5, "unlabelled": "pseudo_labels"}, "unlabelled='consistency'"),
        (
            {"pseudo_label_threshold": 0.9, "unlabelled": "consistency"},
            "unlabelled='pseudo_labels'",
        ),
        ({"teacher_momentum": 0.5}, "unlabelled is set"),
        ({"unlabelled_weight": 0.5}, "unlabelled is set"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_parameter_that_cannot_act_is_refused(settings, condition):
    name, value = next(iter(settings.items()))
    message = rf"^{name}={value!r} has no effect: it acts only if {condition}\. Leave it at"
    with pytest.raises(ValueError, match=message):
        check_parameters(MultiTaskClassifier(**settings))


def test_a_parameter_that_cannot_act_may_be_set_to_its_default():
    check_parameters(MultiTaskClassifier(embedding_size=8, focal_gamma=2.0))
    check_parameters(MultiTaskClassifier(np.array([256]), model=np.tanh))


def test_a_search_may_switch_early_stopping_off():
    check_parameters(MultiTaskClassifier(early_stopping=False, tol=0.1, n_iter_no_change=3))


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


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
