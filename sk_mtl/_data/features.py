"""Features: X as a table of finite or missing numbers, or an error that names the bad columns.

Owns which X are accepted. Does not look at y.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from sk_mtl._data.categories import Categories, split_columns
from sk_mtl._data.columns import column_names, columns_of, find_times
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["check_features", "describe_too_large"]


def check_features(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    allow_nan: bool = False,
    keep_float64: bool = False,
    categories: Categories | None = None,
) -> Any:
    """Check X and return it as float32, without a copy if it is that already."""
    # Categories by feature, None for a number, are replaced by their codes. `keep_float64` leaves
    # floats as they are, for a caller that converts them by batch.
    _refuse_other_than_tables(X)
    if categories is not None:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        is_categorical = np.array([known is not None for known in categories])
        numbers, codes = split_columns(X, categories)
        if not len(codes):
            raise ValueError(
                f"Found array with 0 sample(s) (shape={(0, len(is_categorical))}) while a minimum "
                f"of 1 is required by {type(estimator).__name__}."
            )
        table = np.empty((len(codes), len(is_categorical)), dtype=np.float32)
        table[:, is_categorical] = codes
        if not is_categorical.all():
            # The estimator must not learn the number and names of these features.
            table[:, ~is_categorical] = check_features(
                _Throwaway(), numbers, reset=True, allow_nan=allow_nan
            )
        return check_array(table, ensure_all_finite=False)
    _refuse_times(X)
    X = _without_sparse_columns(X)
    wanted: Any = [np.float32, np.float64] if keep_float64 else np.float32
    order = None if keep_float64 else "C"
    checks = {"accept_sparse": "csr", "ensure_all_finite": False}
    try:
        # Numbers too large for float32 are found below.
        with np.errstate(over="ignore"):
            checked = validate_data(estimator, X, reset=reset, dtype=wanted, order=order, **checks)
            if checked.dtype not in (np.float32, np.float64):
                # A DataFrame of numbers and booleans becomes objects.
                checked = check_array(checked, dtype=np.float32, **checks)
    except (TypeError, ValueError, OverflowError) as error:
        refusal = _refuse_columns(X)
        if refusal is not None:
            raise refusal from error
        without_na = _without_na(X)
        if without_na is None:
            raise
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        X = without_na
        with np.errstate(over="ignore"):
            checked = check_array(X, dtype=np.float32, ensure_all_finite=False)
    if not _is_finite(checked, allow_nan):
        raise _refuse_cells(X, checked, allow_nan)
    return checked


class _Throwaway(BaseEstimator):
    """Holds the number and names of features that nobody reads."""


def describe_too_large(number: float) -> str:
    """Return the sentence for a number that does not fit into float32."""
    return (
        "Input X contains a value too large for dtype('float32'), in which the network computes: "
        f"{number}. Scale X, for instance with StandardScaler."
    )


def _refuse_other_than_tables(X: Any) -> None:
    """Refuse what scikit-learn would misread, or describe in part."""
    is_mapping = isinstance(X, dict) and not sp.issparse(X)  # a DOK matrix is a dict
    if X is None or is_mapping or isinstance(X, (str, bytes, set, frozenset, Iterator)):
        raise TypeError(
            "X must be a table of numbers, of shape (n_samples, n_features): an array, a "
            f"DataFrame or a sparse matrix. Got {type(X).__name__}."
        )
    if isinstance(X, (pd.Series, pd.Index)):
        raise ValueError("X must be 2-D. Got a Series; use X.to_frame() for a single feature.")
    if np.ma.is_masked(X):
        raise ValueError(
            f"X has {int(np.ma.getmaskarray(X).sum())} masked cell(s), which hold no "
            "features. Use X.filled(np.nan) to make them missing cells."
        )
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind == "c":
        raise ValueError(
            "Complex data not supported: X holds complex numbers. Pass their parts as columns."
        )
    if kind == "V":
        raise TypeError("X must be numeric. Got structured records; pass a DataFrame of them.")
    if getattr(X, "ndim", 2) > 2:
        raise ValueError(f"X must be 2-D. Got {X.ndim} dimensions.")
    if isinstance(X, pd.DataFrame) and not X.shape[1]:
        raise ValueError(f"X must have at least one feature. Got a frame of shape {X.shape}.")
    if isinstance(X, pd.DataFrame):
        twice = X.columns[X.columns.duplicated()].unique().tolist()
        if twice:
            raise ValueError(
                "The column names of X must be unique: there are several columns named "
                f"{enumerate_some([repr(name) for name in twice])}. Rename them."
            )


def _refuse_times(X: Any) -> None:
    """Refuse columns of times, which would become numbers of some unit since some origin."""
    times, n_columns = find_times(X)
    if times:
        raise TypeError(
            f"X must be numeric. Got times in {len(times)} of {n_columns} column(s): "
            f"{enumerate_some(map(repr, times))}. Derive numbers from them: skrub's "
            "TableVectorizer does so for dates, total_seconds() for durations."
        )


def _without_sparse_columns(X: Any) -> Any:
    """Return a DataFrame with dense columns in place of sparse ones that are no sparse matrix."""
    if not isinstance(X, pd.DataFrame) or not any(
        isinstance(dtype, pd.SparseDtype) for dtype in set(X.dtypes)
    ):
        return X
    sparse = {name: dtype for name, dtype in X.dtypes.items() if isinstance(dtype, pd.SparseDtype)}
    is_matrix = len(sparse) == X.shape[1] and not any(dtype.fill_value for dtype in sparse.values())
    return X if is_matrix else X.astype({name: d.subtype for name, d in sparse.items()})


def _without_na(X: Any) -> pd.DataFrame | None:
    """Return a table of objects with None, which NumPy converts, for NA and NaT; None without."""
    names, columns = columns_of(X) or ([], [])
    if not any(v is pd.NA or v is pd.NaT for cells in columns for v in cells):
        return None
    table = pd.DataFrame(np.column_stack(columns), columns=names)
    return table.where(table.notna(), None)


def _why_no_number(value: Any) -> Exception | None:
    """Return the error of converting a value to a number; None, NA and NaT are missing ones."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, (str, bytes, Real, Decimal)):
        name = type(value).__name__
        return TypeError(f"float() argument must be a string or a real number, not {quote(name)}")
    try:
        float(value)
    except (ValueError, OverflowError) as error:
        return error
    return None


def _refuse_columns(X: Any) -> Exception | None:
    """Return the error for columns with cells that are not numbers; None without such."""
    if isinstance(X, (list, tuple)) and len({np.size(row) for row in X}) > 1:
        return ValueError("X must be 2-D with rows of equal length. Got a ragged sequence.")
    table = columns_of(X)
    if table is None:
        return None
    found = {}
    for name, column in zip(*table, strict=True):
        error = next(filter(None, map(_why_no_number, column)), None)
        if error is not None:
            found[name] = error
    if not found:
        return None
    kind = TypeError if any(isinstance(e, TypeError) for e in found.values()) else ValueError
    named = enumerate_some([f"{quote(name)} ({error})" for name, error in found.items()])
    return kind(
        f"X must be numeric. Other values in {len(found)} of {len(table[0])} column(s): {named}. "
        "Encode them, for instance with OneHotEncoder in a ColumnTransformer, or mark them as "
        "categorical, by a categorical dtype or categorical_features."
    )


def _is_finite(X: Any, allow_nan: bool) -> bool:
    """Return whether all numbers are finite, without a boolean array as large as X."""
    values = X.data if sp.issparse(X) else X
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return True
    return not np.isinf(values).any() if allow_nan else bool(np.isfinite(values).all())


def _refuse_cells(X: Any, checked: Any, allow_nan: bool) -> ValueError:
    """Return the error for numbers that are not finite: how many, in which columns."""
    before = check_array(
        X, accept_sparse="csr", dtype=np.float64, ensure_all_finite=False, input_name="X"
    )
    values, original = (a.data if sp.issparse(a) else a for a in (checked, before))
    too_large = original[np.isinf(values) & np.isfinite(original)]
    is_otherwise_right = not np.isinf(original).any() if allow_nan else np.isfinite(original).all()
    if too_large.size and is_otherwise_right:
        return ValueError(describe_too_large(too_large[0]))
    found = [np.isnan(values), np.isinf(values)]
    what, is_bad = ("NaN", found[0]) if found[0].any() and not allow_nan else ("infinity", found[1])
    columns = checked.indices[is_bad] if sp.issparse(checked) else np.nonzero(is_bad)[1]
    names = column_names(X) or range(checked.shape[1])
    named = enumerate_some([repr(names[i]) for i in np.unique(columns)])
    advice = "Replace them, or leave out their rows"
    if what == "NaN":
        advice = "Set standardize=True, which allows missing cells, or impute them"
    return ValueError(
        f"Input X contains {what}: {int(is_bad.sum())} cell(s) of column(s) {named}. The network "
        f"needs finite numbers. {advice}."
    )
