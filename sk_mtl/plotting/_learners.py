"""What displays read from a fitted estimator: the classifier in it, and X as that is given it.

Owns the way through Pipelines and searches. Does not know what is drawn.
"""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from sk_mtl._wrappers import find_missing_label, unwrap


def find_learner(estimator: Any) -> Any:
    """Return the classifier at the end of Pipelines and searches.

    Parameters
    ----------
    estimator : estimator
        A fitted `MultiTaskClassifier`, or a Pipeline or search that ends in one.

    Returns
    -------
    learner : MultiTaskClassifier
        Fitted.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If there is no such classifier in it.
    """
    return _walk(estimator, None)[0]


def enter_learner(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the classifier at the end of Pipelines and searches, and X as it is given it.

    Parameters
    ----------
    estimator : estimator
        A fitted `MultiTaskClassifier`, or a Pipeline or search that ends in one.
    X : array-like of shape (n_samples, n_features)
        As the estimator takes it.

    Returns
    -------
    learner : MultiTaskClassifier
        Fitted.
    X : array-like of shape (n_samples, n_features_in_)
        Transformed by the steps before the last.
    """
    return _walk(estimator, X)


def read_missing_label(estimator: Any, missing_label: Any) -> Any:
    """Return the sentinel for missing labels: the given one, or else the estimator's own.

    Parameters
    ----------
    estimator : estimator
        Anything that predicts.
    missing_label : scalar or None
        As the user gave it.

    Returns
    -------
    missing_label : scalar or None
        None if neither has one.
    """
    return find_missing_label(estimator) if missing_label is None else missing_label


def _walk(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Follow an estimator to the classifier with a history; transform X on the way, if any."""
    check_is_fitted(estimator)
    learner = estimator
    while not hasattr(learner, "history_"):
        inner = unwrap(learner)
        if inner is None:
            raise ValueError(
                "estimator must be a MultiTaskClassifier, or a Pipeline or search that ends "
                f"in one, for its history_. Got {type(learner).__name__}."
            )
        if X is not None and len(getattr(learner, "steps", ())) > 1:
            X = learner[:-1].transform(X)
        learner = inner
    return learner, X
