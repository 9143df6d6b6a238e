"""Out-of-fold predictions: every row predicted by a model that has not seen it.

Owns fitting over the folds and joining the predictions in the form that the estimator returns.
Reads only ``classes_`` of a fitted estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed

from sk_mtl._data.classes import index_labels
from sk_mtl._data.label_values import concatenate_labels, factorize_labels
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._quoting import quote
from sk_mtl._tasks import PerTask
from sk_mtl.model_selection._k_fold import MultiTaskStratifiedKFold
from sk_mtl.model_selection._rows import count_rows, take_rows, take_rows_of_params
from sk_mtl.model_selection._splitter import MultiTaskSplitter

# The prediction of a fold for a class that is not in its training rows.
_OF_UNKNOWN_CLASS = {"predict_proba": 0.0, "predict_log_proba": -np.inf}

FoldPrediction = tuple[Any, Any]


def cross_val_predict(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: int | str = "2*n_jobs",
    method: str = "predict",
    missing_label: Any = None,
) -> Any:
    """Predict each row by an estimator trained on the other folds.

    As :func:`sklearn.model_selection.cross_val_predict`, which must not be used for probabilities
    if labels are missing: it encodes y first and makes a class of the missing label. Here y reaches
    the estimator unchanged. Probabilities have a column for each class in any fold, in sorted
    order. A class that a fold's training rows lack has probability 0 for the rows of that fold. A
    task without labels in a fold's training rows is predicted as missing there (NaN for
    probabilities).

    Parameters
    ----------
    estimator : estimator
        The estimator to clone and fit for each fold.
    X : array-like of shape (n_samples, n_features)
        The samples.
    y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
        Class labels, one column per task; NaN, None, NaT or NA where missing.
    groups : array-like of shape (n_samples,), default=None
        Passed to the splitter. With metadata routing enabled, pass them in `params` instead.
    cv : int, splitter or iterable of (train, test), default=None
        None is :class:`MultiTaskStratifiedKFold` with five folds, an int with as many. Every row
        must be in exactly one test part.
    n_jobs : int, default=None
        Number of folds to fit at the same time, as in joblib.
    verbose : int, default=0
        Verbosity of joblib.
    params : dict, default=None
        Parameters for ``fit`` such as ``sample_weight``, split by row if they have as many rows as
        X; with metadata routing enabled, also for the splitter.
    pre_dispatch : int or str, default="2*n_jobs"
        As in joblib.
    method : {"predict", "predict_proba", "predict_log_proba"}, default="predict"
        The method of the fitted estimators to call.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values in y that mean "missing"; used to stratify if `cv` is None or an int.

    Returns
    -------
    predictions : DataFrame, ndarray, or PerTask
        What the estimator's method returns, for all rows in the order of X.

    Raises
    ------
    ValueError
        If the test parts of `cv` are not a partition of the rows, or `method` is not one of these
        three.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sk_mtl.model_selection import cross_val_predict
    >>> X = np.array([[0.0], [1.0], [0.1], [1.1]])
    >>> Y = np.array([["a", "x"], ["b", "y"], ["a", "x"], ["b", "y"]])
    >>> probabilities = cross_val_predict(
    ...     DecisionTreeClassifier(), X, Y, cv=2, method="predict_proba"
    ... )
    >>> probabilities[0]
    array([[1., 0.],
           [0., 1.],
           [1., 0.],
           [0., 1.]])
    """
    if method not in ("predict", *_OF_UNKNOWN_CLASS):
        raise ValueError(
            f"method must be 'predict', 'predict_proba' or 'predict_log_proba'. Got "
            f"{quote(method)}."
        )
    check_consistent_length(X, y)
    if cv is None or isinstance(cv, (int, np.integer)):
        cv = MultiTaskStratifiedKFold(5 if cv is None else int(cv), missing_label=missing_label)
    cv = check_cv(cv)
    # The splitters of this package compare y and groups with X themselves.
    by_split = {} if isinstance(cv, MultiTaskSplitter) else {"y": y, "groups": groups}
    warn_of_other_order({"X": X, **by_split, **(params or {})})
    fit_params, split_params = _route(estimator, cv, groups, params or {})
    splits = [(np.asarray(a), np.asarray(b)) for a, b in cv.split(X, y, **split_params)]
    check_partition("cross_val_predict", [test for _, test in splits], count_rows(X))
    predictions = Parallel(n_jobs=n_jobs, verbose=verbose, pre_dispatch=pre_dispatch)(
        delayed(_fit_and_predict)(clone(estimator), X, y, train, test, fit_params, method)
        for train, test in splits
    )
    tests = [test for _, test in splits]
    if method == "predict":
        return _join_labels([p for p, _ in predictions], tests, X)
    return join_probabilities(predictions, tests, _OF_UNKNOWN_CLASS[method])


def _route(
    estimator: BaseEstimator, cv: Any, groups: Any, params: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters for ``fit`` and for ``split``."""
    if not get_config()["enable_metadata_routing"]:
        return params, {"groups": groups}
    if groups is not None:
        raise ValueError(
            "groups must be passed in params when metadata routing is enabled: "
            "params={'groups': groups}."
        )
    router = MetadataRouter(owner="cross_val_predict")
    router.add(splitter=cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
    router.add(estimator=estimator, method_mapping=MethodMapping().add(caller="fit", callee="fit"))
    routed = process_routing(router, "fit", **params)
    return routed.estimator.fit, routed.splitter.split


def check_partition(caller: str, tests: Sequence[np.ndarray], n_samples: int) -> None:
    """Refuse test parts that are not a partition of the rows."""
    rows = np.concatenate(tests)
    counts = np.bincount(rows, minlength=n_samples)
    if len(counts) != n_samples or (counts != 1).any():
        raise ValueError(
            f"{caller} needs a cv whose test parts hold every row once. "
            f"{int((counts == 0).sum())} of {n_samples} rows are in none and "
            f"{int((counts > 1).sum())} in several; use a k-fold splitter."
        )


def _fit_and_predict(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    train: np.ndarray,
    test: np.ndarray,
    fit_params: dict[str, Any],
    method: str,
) -> FoldPrediction:
    """Fit on one part, predict the other; return the predictions and the classes."""
    fold_params = take_rows_of_params(fit_params, train, count_rows(X))
    estimator.fit(take_rows(X, train), take_rows(y, train), **fold_params)
    prediction = getattr(estimator, method)(take_rows(X, test))
    return prediction, (None if method == "predict" else estimator.classes_)


def _join_labels(predictions: Sequence[Any], tests: Sequence[np.ndarray], X: Any) -> Any:
    """Join predicted labels in the order of the rows."""
    order = np.argsort(np.concatenate(tests))
    if isinstance(predictions[0], (pd.DataFrame, pd.Series)):
        return _join_pandas(predictions, tests, X)
    if nw.dependencies.is_into_dataframe(predictions[0]):
        return take_rows(_join_frames(predictions), order)
    return concatenate_labels([np.asarray(p) for p in predictions])[order]


def _join_frames(predictions: Sequence[Any]) -> Any:
    """Concatenate DataFrames of other libraries than pandas."""
    frames = [nw.from_native(p, eager_only=True) for p in predictions]
    for name in frames[0].columns:
        dtypes = {frame[name].dtype for frame in frames}
        # A column is of floats in the folds with missing labels, and of integers in the others.
        if len(dtypes) > 1 and all(dtype.is_numeric() for dtype in dtypes):
            frames = [frame.with_columns(nw.col(name).cast(nw.Float64())) for frame in frames]
    return nw.to_native(nw.concat(frames, how="vertical"))


def _join_pandas(predictions: Sequence[Any], tests: Sequence[np.ndarray], X: Any) -> Any:
    """Join pandas DataFrames or Series, with the index of X if it has one."""
    index = X.index if isinstance(X, (pd.DataFrame, pd.Series)) else pd.RangeIndex(count_rows(X))
    if isinstance(predictions[0], pd.Series):
        name = predictions[0].name
        return _join_series(predictions, tests, len(index)).set_axis(index).rename(name)
    joined = [
        _join_series([p.iloc[:, t] for p in predictions], tests, len(index))
        for t in range(predictions[0].shape[1])
    ]
    frame = pd.concat(joined, axis=1)
    frame.columns = predictions[0].columns
    return frame.set_axis(index)


def _join_series(parts: Sequence[pd.Series], tests: Sequence[np.ndarray], n: int) -> pd.Series:
    """Join the parts of one column; parts without labels do not affect its dtype."""
    placed = [p.set_axis(test) for p, test in zip(parts, tests, strict=True)]
    joined = pd.concat([p for p in placed if p.notna().any()] or placed)
    is_integer = isinstance(joined.dtype, np.dtype) and joined.dtype.kind in "iu"
    if len(joined) < n and is_integer and joined.abs().max() > 2**53:
        joined = joined.astype(object)  # NaN beside them would turn them into floats
    return joined.reindex(np.arange(n))


def join_probabilities(
    predictions: Sequence[FoldPrediction], tests: Sequence[np.ndarray], of_unknown: float
) -> Any:
    """Join probabilities, with a column for each class in any fold."""
    first = predictions[0][0]
    if not isinstance(first, list):
        return _join_columns(predictions, tests, of_unknown)
    # By position: a list by task takes integers for names where there are such names.
    by_fold = [list(zip(p, c, strict=True)) for p, c in predictions]
    joined = [
        _join_columns(list(of_task), tests, of_unknown) for of_task in zip(*by_fold, strict=True)
    ]
    return PerTask(joined, first.task_names) if isinstance(first, PerTask) else joined


def _join_columns(
    predictions: Sequence[FoldPrediction], tests: Sequence[np.ndarray], of_unknown: float
) -> np.ndarray:
    """Join the probabilities of one task."""
    parts = [np.asarray(p) for p, _ in predictions]
    known = [c for _, c in predictions if len(c)]
    classes = factorize_labels(known)[1] if known else np.empty(0)
    n_samples = sum(len(test) for test in tests)
    dtype = np.result_type(*parts)
    joined = np.full((n_samples, len(classes)), of_unknown, dtype=dtype)
    for part, (_, own), test in zip(parts, predictions, tests, strict=True):
        if len(own):
            joined[test[:, None], index_labels(own, classes)] = part
        is_untrained = np.isnan(part).all(axis=1)
        joined[test[is_untrained]] = np.nan
    return joined
