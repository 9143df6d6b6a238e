"""The task view: one task of a fitted estimator, as an ordinary scikit-learn classifier.

Owns only the adaptation; the estimator predicts.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sk_mtl._compat.sklearn_guard import check_asker_of_view
from sk_mtl._compat.sklearn_html import DocLinkMixin
from sk_mtl._data.classes import index_labels, refuse_other_kind
from sk_mtl._data.labels import LabelTable, read_labels
from sk_mtl._data.missing_labels import missing_by_task, refuse_missing_words
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._quoting import quote
from sk_mtl._tasks import resolve_task
from sk_mtl._wrappers import find_missing_label

__all__ = ["TaskView"]


class TaskView(DocLinkMixin, ClassifierMixin, BaseEstimator):
    """One task of a fitted estimator, for single-task tools.

    Tools such as displays, `CalibratedClassifierCV` on a `FrozenEstimator`,
    `TunedThresholdClassifierCV` and `permutation_importance` with any scorer take it as a fitted
    classifier. It holds the estimator itself: `fit` does not train, and a clone is the same view.
    In a `VotingClassifier`, use ``voting="soft"``: hard voting counts encoded labels, and is
    refused unless the classes are 0, 1 and so on.

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
        return list(classes)[self._position()] if isinstance(classes, list) else classes

    @property
    def n_features_in_(self) -> int:
        """Number of features that the estimator was fitted on."""
        return self.estimator.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray | None:
        """Names of the features that the estimator was fitted on; None if that was set."""
        if "_feature_names_in" in vars(self):
            return self._feature_names_in
        return self.estimator.feature_names_in_

    @feature_names_in_.setter
    def feature_names_in_(self, names: np.ndarray | None) -> None:
        # Of the view only. shap sets None, as it passes arrays without names.
        self._feature_names_in = names

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
            raise ValueError(
                f"Task {quote(self.task)} had no label in training: nothing to predict."
            )
        return now.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the task's class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : ndarray of float64 of shape (n_samples, n_classes)
            In the order of `classes_`. The probabilities of the estimator are divided by their
            sum in float64, so that they sum to 1 as exactly as metrics expect.
        """
        now = self._snapshot()
        probabilities = now.estimator.predict_proba(now._with_names(X))
        if isinstance(probabilities, list):
            probabilities = list(probabilities)[now._position()]
        probabilities = np.asarray(probabilities, dtype=np.float64)
        # scikit-learn's log loss warns of sums that are 1 to the precision of float32 only.
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithms of the task's class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_probabilities : ndarray of float64 of shape (n_samples, n_classes)
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
        warn_of_other_order({"X": X, "y": y, "sample_weight": sample_weight})
        table = self._read_labels(y)
        labelled = table.label_mask[:, 0]
        if not labelled.any():
            return float("nan")
        truth, classes = table.columns[0][labelled], self.classes_
        codes = index_labels(truth, classes)
        if (codes < 0).all():
            refuse_other_kind(truth, classes, self.task)
        hits = codes == index_labels(self.predict(X)[labelled], classes)
        weight = None if sample_weight is None else np.asarray(sample_weight)[labelled]
        return float(np.average(hits, weights=weight))

    def __sklearn_tags__(self) -> Any:
        check_asker_of_view(self)
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator).input_tags
        tags.input_tags.allow_nan, tags.input_tags.sparse = inner.allow_nan, inner.sparse
        return tags

    def _with_names(self, X: Any) -> Any:
        """Return an array with the names that the estimator expects, where none were set."""
        if vars(self).get("_feature_names_in", X) is not None or not isinstance(X, np.ndarray):
            return X
        return pd.DataFrame(X, columns=getattr(self.estimator, "feature_names_in_", None))

    def _read_labels(self, y: Any) -> LabelTable:
        """Return the task's labels as read; its missing labels may be given by task."""
        missing_label = find_missing_label(self.estimator)
        if isinstance(missing_label, Mapping):
            is_one = not isinstance(self.estimator.classes_, list)
            names = tuple(missing_label) if is_one else self._task_names()
            t = 0 if is_one else self._position()
            missing_label = (*missing_by_task(missing_label, names), ())[t]
        table = read_labels(y, missing_label=missing_label)
        labels = table.columns[0][table.label_mask[:, 0]]
        refuse_missing_words(labels[index_labels(labels, self.classes_) < 0], self.task)
        return table

    def _snapshot(self) -> TaskView:
        """Return the view of the estimator as it is now: another thread may fit it."""
        if not hasattr(self.estimator, "_snapshot"):  # a Pipeline or a search
            return self
        now = object.__new__(type(self))
        now.__dict__.update(vars(self), estimator=self.estimator._snapshot())
        return now

    def _position(self) -> int:
        return resolve_task(self.task, self._task_names())

    def _task_names(self) -> tuple[Hashable, ...]:
        classes = self.estimator.classes_
        return getattr(classes, "task_names", tuple(f"y{t}" for t in range(len(classes))))
