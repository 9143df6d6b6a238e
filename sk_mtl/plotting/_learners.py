"""The `MultiTaskClassifier` inside Pipelines and searches, and X as it is passed to it."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from sk_mtl._wrappers import find_missing_label, unwrap


def find_learner(estimator: Any) -> Any:
    """Return the classifier at the end of Pipelines and searches."""
    return _walk(estimator, None)[0]


def enter_learner(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the classifier at the end of Pipelines and searches, and the transformed X."""
    return _walk(estimator, X)


def read_missing_label(estimator: Any, missing_label: Any) -> Any:
    """Return the given `missing_label`, or else that of the estimator."""
    return find_missing_label(estimator) if missing_label is None else missing_label


def _walk(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the classifier with a history inside an estimator, and X transformed if given."""
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
