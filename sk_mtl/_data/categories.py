"""Categories: which features are categorical, and their values as codes.

Owns the conversion of a table with categories to numbers. Does not know how the network uses codes.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

from sk_mtl._data.columns import column_names
from sk_mtl._data.known_categories import check_known_categories, warn_of_alike_categories
from sk_mtl._data.label_values import in_native_order, in_native_order_series, object_array
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = [
    "Categories",
    "change_codes",
    "find_categorical",
    "find_named_categorical",
    "learn_categories",
    "split_columns",
    "used_categories",
]

# By feature: the values that have codes, in their order; None where the feature is a number.
Categories = tuple[np.ndarray | None, ...]


def find_categorical(X: Any, categorical_features: Any) -> np.ndarray | None:
    """Return which features are categorical, of shape (n_features,); None if none is."""
    # The names of a pandas frame may repeat, which narwhals does not take.
    is_pandas = isinstance(X, pd.DataFrame)
    is_frame = is_pandas or nw.dependencies.is_into_dataframe(X)
    if isinstance(categorical_features, str) and categorical_features == "from_dtype":
        if is_pandas:
            found = [isinstance(dtype, pd.CategoricalDtype) for dtype in X.dtypes]
        elif is_frame:
            dtypes = nw.from_native(X, eager_only=True).schema.dtypes()
            found = [dtype in (nw.Categorical, nw.Enum) for dtype in dtypes]
        else:
            return None
        is_categorical = np.array(found, dtype=bool)
    elif categorical_features is None:
        return None
    else:
        is_categorical = _read_choice(categorical_features, _shape_of(X)[1], column_names(X))
    if not is_categorical.any():
        return None
    if sp.issparse(X):
        raise ValueError(
            "categorical_features needs a dense X. Got a sparse matrix: pass a DataFrame or an "
            "array, or encode the categories as columns (OneHotEncoder)."
        )
    return is_categorical


def find_named_categorical(X: Any, categorical_features: Any) -> np.ndarray | None:
    """Return which features a parameter names as categorical; None if it leaves that to X."""
    if isinstance(categorical_features, str):
        return None
    names = column_names(X)
    n_features = _shape_of(X)[1]
    if categorical_features is None:
        return np.zeros(n_features, dtype=bool)
    has_text = any(isinstance(feature, str) for feature in categorical_features)
    if has_text and names is None:  # rows without names, after rows that had them
        return None
    return _read_choice(categorical_features, n_features, names)


def _read_choice(chosen: Any, n_features: int, names: list[Any] | None) -> np.ndarray:
    """Return the mask for a list of names, of positions, or a mask."""
    given = np.asarray(chosen)
    is_mask, is_text = given.dtype.kind == "b", {type(f) for f in given.ravel()} <= {str, np.str_}
    if given.ndim != 1 or not (is_mask or is_text or given.dtype.kind in "iu"):
        raise ValueError(
            "categorical_features must be 'from_dtype', None, or a list of names, positions or "
            f"booleans. Got {quote(chosen)}."
        )
    if is_mask:
        if len(given) != n_features:
            raise ValueError(
                f"categorical_features must have a boolean for each of the {n_features} features. "
                f"Got {len(given)}."
            )
        return given
    if is_text and len(given):
        if names is None:
            raise ValueError(
                "categorical_features has names, but X has none. Pass positions, or a DataFrame."
            )
        unknown = [repr(str(f)) for f in given if f not in names]
        if unknown:
            raise ValueError(
                f"categorical_features names {enumerate_some(unknown)}, which X does not have. Its "
                f"features are {enumerate_some([repr(n) for n in names])}."
            )
        wanted = set(given.tolist())
        return np.array([name in wanted for name in names])
    outside = [str(f) for f in given if not 0 <= f < n_features]
    if outside:
        raise ValueError(
            f"categorical_features must contain positions from 0 to {n_features - 1}. Got "
            f"{enumerate_some(outside)}."
        )
    return np.isin(np.arange(n_features), given)


def learn_categories(X: Any, is_categorical: np.ndarray) -> Categories:
    """Return the sorted categories of the categorical features of X."""
    found: list[np.ndarray | None] = []
    for position, chosen in enumerate(is_categorical):
        values = None
        if chosen:
            codes, distinct = _factorize(X, position)
            values = distinct[np.unique(codes[codes >= 0])]
            # Values of several types are sorted by type, then by value.
            values = values[
                np.array(sorted(range(len(values)), key=lambda i: _order(values[i])), int)
            ]
            warn_of_alike_categories(_name_of(X, position), values)
        found.append(values)
    return tuple(found)


def split_columns(X: Any, categories: Categories) -> tuple[Any, np.ndarray]:
    """Return the numeric columns of X, and the codes of the others, NaN if missing or unknown."""
    numeric = [j for j, of_feature in enumerate(categories) if of_feature is None]
    codes = np.full((_shape_of(X)[0], len(categories) - len(numeric)), np.nan, dtype=np.float32)
    chosen = ((j, c) for j, c in enumerate(categories) if c is not None)
    for k, (position, known) in enumerate(chosen):
        index, distinct = _factorize(X, position)
        if len(distinct):
            code = pd.Index(known, dtype=object).get_indexer(pd.Index(distinct, dtype=object))
            n_cells = int((index >= 0).sum())
            check_known_categories(_name_of(X, position), known, distinct, code >= 0, n_cells)
            code = np.append(np.where(code < 0, np.nan, code), np.nan)  # -1 is a missing one
            codes[:, k] = code[index]
    if isinstance(X, pd.DataFrame):
        if not all(d.isnative for d in X.dtypes if isinstance(d, np.dtype)):
            # pandas 2.2 cannot take such columns together.
            columns = [in_native_order_series(X.iloc[:, j]) for j in range(X.shape[1])]
            X = pd.concat(columns, axis=1)
        return X.iloc[:, numeric], codes
    if nw.dependencies.is_into_dataframe(X):
        frame = nw.from_native(X, eager_only=True)
        return frame[:, numeric].to_native() if numeric else np.empty((len(codes), 0)), codes
    # With the positions that messages name.
    return pd.DataFrame(_as_array(X)[:, numeric], columns=numeric), codes


def used_categories(categories: Categories, X: np.ndarray, rows: np.ndarray) -> Categories:
    """Return the categories that some rows of X, coded by `categories`, have."""
    used = []
    for position, known in enumerate(categories):
        if known is not None:
            column = X[rows, position]
            known = known[np.unique(column[~np.isnan(column)]).astype(np.int64)]
        used.append(known)
    return tuple(used)


def change_codes(X: np.ndarray, new_codes: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """Return a copy of X with, by feature, the new code of each old one and of a missing one."""
    X = X.copy()
    for position, codes in new_codes:
        # The last of the new codes is that of a missing one.
        column = np.nan_to_num(X[:, position], nan=len(codes) - 1)
        X[:, position] = codes[column.astype(np.int64)]
    return X


def _factorize(X: Any, position: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each value among the distinct ones, -1 if missing, and these."""
    if isinstance(X, pd.DataFrame):
        column = in_native_order_series(X.iloc[:, position])
    elif nw.dependencies.is_into_dataframe(X):
        column = object_array(nw.from_native(X, eager_only=True)[:, position].to_list())
    else:
        column = in_native_order(_as_array(X)[:, position])
    try:
        codes, distinct = pd.factorize(column)
    except TypeError as error:
        raise TypeError(
            f"The categories of feature {position} must be scalars: {error}."
        ) from error
    return np.asarray(codes), object_array(np.asarray(distinct, dtype=object))


def _name_of(X: Any, position: int) -> Any:
    """Return the name of a feature; its position if X is an array."""
    names = column_names(X)
    return position if names is None else names[position]


def _order(value: Any) -> tuple[str, Any]:
    kind = "number" if isinstance(value, (bool, int, float, np.number, np.bool_)) else None
    return kind or type(value).__name__, value


def _shape_of(X: Any) -> tuple[int, int]:
    shape = tuple(X.shape) if hasattr(X, "shape") else _as_array(X).shape
    if len(shape) != 2:
        raise ValueError(f"Expected 2D array, got {len(shape)}D array instead.")
    return shape


def _as_array(X: Any) -> np.ndarray:
    """Return an array-like as an array, in which no number has become text."""
    return X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
