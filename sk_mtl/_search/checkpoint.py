"""Kept results: what each candidate has reached on each fold, in files that a later search reads.

Owns what a result is recognised by, and the files. Nothing is pickled.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse as sp

from sk_mtl._codec.container import pack, read_json, unpack
from sk_mtl._codec.files import open_folder, replace_file
from sk_mtl._codec.values import decode_value, encode_value, require, what_is_held
from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._quoting import quote, shorten
from sk_mtl._search.folds import SearchData, Split
from sk_mtl._search.scoring import FoldResult, Scoring

__all__ = ["FoldStore", "describe", "open_store"]

_FORMAT_VERSION = 1
_LIBRARIES = ("keras", "numpy", "scikit-learn", "tensorflow")
# Parameters that leave the result as it is.
_WITHOUT_EFFECT = {"checkpoint", "verbose"}


class FoldStore:
    """The folder of the results.

    Parameters
    ----------
    folder : str
        An existing folder.
    common : str
        A digest of all that the results depend on besides candidate and fold.
    """

    def __init__(self, folder: str, common: str):
        self._folder = folder
        self._common = common
        self._has_warned = False

    def paths(self, estimator: Any, splits: Sequence[Split]) -> list[str]:
        """Return the files of an unfitted candidate's results, by fold."""
        described = describe(estimator, "estimator")
        marks = [_digest(self._common, described, split.train, split.test) for split in splits]
        return [os.path.join(self._folder, f"fold-{mark[:32]}.safetensors") for mark in marks]

    def load(self, path: str) -> FoldResult | None:
        """Return a result, None if there is none."""
        try:
            with open(path, "rb") as opened:
                content = opened.read()
        except FileNotFoundError:
            return None
        try:
            text, arrays = unpack(content)
            kept = decode_value(read_json(text), arrays)
            require(isinstance(kept, dict), "it is not a result of a search")
            return FoldResult(**kept)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"The checkpoint {path!r} cannot be read: {str(error)[:500].rstrip('.')}. Delete "
                "the file; that candidate is fitted again."
            ) from error

    def save(self, path: str, result: FoldResult) -> None:
        """Write a result."""
        arrays: dict[str, np.ndarray] = {}
        node = encode_value(vars(result), "result", arrays)
        try:
            replace_file(path, pack(json.dumps(node, allow_nan=False), arrays))
        except OSError as error:
            if not self._has_warned:
                warn_user(
                    f"The checkpoint {path!r} could not be written ({error}). The search goes on; "
                    "a later one fits this candidate again."
                )
            self._has_warned = True


def open_store(folder: Any, data: SearchData, scoring: Scoring) -> FoldStore:
    """Return the store of a search, in a folder that is created if necessary."""
    path = open_folder(folder)
    versions = [sys.modules["sk_mtl"].__version__, *(version(name) for name in _LIBRARIES)]
    scored = [repr(scoring.error_score), scoring.with_train_scores, scoring.with_predictions]
    # Without `scoring`, scikit-learn's scorer holds the estimator, which is described by itself.
    scorer = None if scoring.is_default else describe(scoring.scorer, "scoring")
    parts = [_FORMAT_VERSION, versions, scored, scorer]
    parts += [_describe_table(data.X), _describe_table(data.y)]
    for params in (data.fit_params, data.score_params):
        parts += [[name, _describe_param(value, name)] for name, value in sorted(params.items())]
    return FoldStore(path, _digest(*parts))


def _digest(*parts: Any) -> str:
    # Imported here, as it imports Keras.
    from sk_mtl._train.fit_identity import digest

    return digest(*_flatten(parts))


def _flatten(value: Any) -> list[Any]:
    """Return nested lists as one, in which brackets keep different ones apart."""
    if not isinstance(value, (list, tuple)):
        return [value]
    return ["[", *(part for item in value for part in _flatten(item)), "]"]


# ------------------------------------------------------------------------------------------------
# Tables
# ------------------------------------------------------------------------------------------------


def _describe_table(table: Any) -> Any:
    """Return the content of a table as arrays and plain values."""
    if sp.issparse(table):
        rows = table.tocsr()
        return ["sparse", rows.shape, rows.data, rows.indices, rows.indptr]
    if nw.dependencies.is_into_dataframe(table):
        columns = nw.from_native(table, eager_only=True).iter_columns()
        return ["frame", *(_describe_column(column) for column in columns)]
    if nw.dependencies.is_into_series(table):
        return _describe_column(nw.from_native(table, series_only=True))
    # NumPy would turn the numbers of a list with text into text.
    return _describe_array(np.asarray(table, dtype=object if isinstance(table, list) else None))


def _describe_param(value: Any, name: str) -> Any:
    """Return a fit parameter, which may be a table."""
    is_table = hasattr(value, "__array__") or hasattr(value, "columns") or sp.issparse(value)
    return _describe_table(value) if is_table else describe(value, name)


def _describe_column(column: Any) -> Any:
    dtype = [str(column.dtype), str(getattr(column.to_native(), "dtype", ""))]
    if column.dtype in (nw.Categorical, nw.Enum):  # those that do not occur count as well
        dtype.append(describe(column.cat.get_categories().to_list(), "the data"))
    return [column.name, dtype, _describe_array(column.to_numpy())]


def _describe_array(array: np.ndarray) -> Any:
    if array.dtype != object:
        return array
    return [array.shape, describe(array.ravel().tolist(), "the data")]


# ------------------------------------------------------------------------------------------------
# Parameters
# ------------------------------------------------------------------------------------------------


def describe(value: Any, name: str) -> Any:
    """Return a parameter as arrays and plain values; refuse one whose content is not known."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        params = sorted(value.get_params(deep=False).items())
        params = [(key, item) for key, item in params if key not in _WITHOUT_EFFECT]
        return [describe(type(value), name), [(k, describe(v, k)) for k, v in params]]
    if hasattr(value, "get_config") and not isinstance(value, type):  # Keras's objects
        return [describe(type(value), name), describe(value.get_config(), name)]
    if isinstance(value, dict):
        return ["dict", [(describe(k, name), describe(v, name)) for k, v in value.items()]]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [describe(item, name) for item in value]]
    if isinstance(value, (type, np.ufunc)) or inspect.isroutine(value):
        return _describe_code(value, name)
    arrays: dict[str, np.ndarray] = {}
    try:
        node = encode_value(value, name, arrays)
    except TypeError as error:
        return _describe_object(value, name, what_is_held(error))
    return [json.dumps(node), *arrays.values()]


def _describe_object(value: Any, name: str, kind: str) -> Any:
    """Return what an object would be made again from."""
    try:
        made = value.__reduce_ex__(2)
        return [describe(part if i < 3 else list(part or ()), name) for i, part in enumerate(made)]
    except (TypeError, RecursionError, AttributeError) as error:
        raise _unknown(name, kind) from error


def _describe_code(code: Any, name: str) -> Any:
    """Return the name of a class or function, and its source if it has any."""
    module, path = getattr(code, "__module__", None), getattr(code, "__qualname__", "")
    if isinstance(code, np.ufunc):  # those of some versions have only a name
        module = "numpy" if hasattr(np, code.__name__) else "scipy.special"
        path = code.__name__
    found = sys.modules.get(str(module))
    for part in path.split("."):
        found = getattr(found, part, None)
    if found is not code:
        raise _unknown(name, f"{path or quote(code)}, which cannot be found by its name")
    return [str(module), path, _source_of(code)]


@cache
def _source_of(code: Any) -> str:
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        return ""


def _unknown(name: str, kind: str) -> ValueError:
    return ValueError(
        f"checkpoint needs parameters by which a result is recognised again, but {name} holds "
        f"{shorten(kind)}. Use plain values, functions and classes of a module, or set "
        "checkpoint=None."
    )
