"""The task view: one task of a fitted estimator, as an ordinary scikit-learn classifier.

Owns only the adaptation; the estimator predicts.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sk_mtl._data.labels import read_labels
from sk_mtl._tasks import resolve_task
from sk_mtl._wrappers import find_missing_label

__all__ = ["TaskView"]


class TaskView(ClassifierMixin, BaseEstimator):
    """One task of a fitted estimator, for single-task tools.

    Tools such as displays, `CalibratedClassifierCV` on a `FrozenEstimator`,
    `TunedThresholdClassifierCV` and `permutation_importance` with any scorer take it as a fitted
    classifier. It holds the estimator itself: `fit` does not train, and a clone is the same view.
    In a `VotingClassifier`, use ``voting="soft"``: hard voting counts encoded labels.

    Parameters
    ----------
    estimator : estimator
        A fitted `MultiTaskClassifier`, or a fitted Pipeline or search that ends in one.
    task : hashable
        The name of the task, or its position.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The sorted classes of the task.
    n_features_in_ : int
        Number of features that the estimator was fitted on.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(n_samples=80, random_state=0)
    >>> clf = MultiTaskClassifier(epochs=2, random_state=0).fit(X, Y)
    >>> view = clf.task_view(clf.task_names_[0])
    >>> view.predict_proba(X).shape
    (80, 2)
    """

    def __init__(self, estimator: Any, task: Hashable):
        self.estimator = estimator
        self.task = task

    def __sklearn_clone__(self) -> TaskView:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        try:
            check_is_fitted(self.estimator)
        except Exception:
            return False
        return True

    @property
    def classes_(self) -> np.ndarray:
        """The sorted classes of the task."""
        classes = self.estimator.classes_
        return classes[self._position()] if isinstance(classes, list) else classes

    @property
    def n_features_in_(self) -> int:
        """Number of features that the estimator was fitted on."""
        return self.estimator.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features that the estimator was fitted on."""
        return self.estimator.feature_names_in_

    def fit(self, X: Any = None, y: Any = None, **kwargs: Any) -> TaskView:
        """Do nothing: the estimator is fitted already.

        Parameters
        ----------
        X : object, default=None
            Not used.
        y : object, default=None
            Not used.
        **kwargs : dict
            Not used.

        Returns
        -------
        self : TaskView
            The view itself.
        """
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the task's labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predicted labels.
        """
        now = self._snapshot()
        probabilities = now.predict_proba(X)
        if np.isnan(probabilities).any() or not probabilities.shape[1]:
            raise ValueError(f"Task {self.task!r} had no label in training: nothing to predict.")
        return now.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the task's class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : ndarray of float32 of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        now = self._snapshot()
        probabilities = now.estimator.predict_proba(X)
        if isinstance(probabilities, list):
            return probabilities[now._position()]
        return probabilities

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithms of the task's class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_probabilities : ndarray of float32 of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy over the labelled rows of a 1-D y.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            The task's labels; NaN or None where missing.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        accuracy : float
            Share of labelled rows that are predicted right; NaN if none is labelled.
        """
        labelled = read_labels(y, missing_label=find_missing_label(self.estimator)).label_mask[:, 0]
        if not labelled.any():
            return float("nan")
        hits = np.asarray(self.predict(X))[labelled] == np.asarray(y)[labelled]
        weight = None if sample_weight is None else np.asarray(sample_weight)[labelled]
        return float(np.average(hits, weights=weight))

    def _snapshot(self) -> TaskView:
        """Return the view of the estimator as it is now: another thread may fit it."""
        if not hasattr(self.estimator, "_snapshot"):  # a Pipeline or a search
            return self
        return TaskView(self.estimator._snapshot(), self.task)

    def _position(self) -> int:
        classes = self.estimator.classes_
        names = getattr(classes, "task_names", tuple(f"y{t}" for t in range(len(classes))))
        return resolve_task(self.task, names)
