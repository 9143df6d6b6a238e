"""The census table: adults of the US, three tasks, one of them labelled for 12 % of the rows.

Owns the reading of ``data/census.npz``; ``data/README.md`` says how the file is laid out.
"""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sk_mtl._compat.arguments import check_flags
from sk_mtl.datasets._bundled import open_bundled, read_description


@overload
def load_census(
    *, masked: bool = ..., return_X_y: Literal[False] = ..., as_frame: bool = ...
) -> Bunch: ...


@overload
def load_census(
    *, masked: bool = ..., return_X_y: Literal[True], as_frame: bool = ...
) -> tuple[Any, Any]: ...


def load_census(
    *, masked: bool = True, return_X_y: bool = False, as_frame: bool = True
) -> Bunch | tuple[Any, Any]:
    """Load the census table: 30,000 adults and three tasks, one of them rarely labelled.

    The label of the third task is kept for 12 % of the rows, drawn completely at random. The hidden
    labels are available, so that a model trained on the masked table can be evaluated on all rows.
    The table is bundled: nothing is downloaded.

    ==================  =====================================================
    Samples             30,000
    Features            38 (7 counts and amounts, 31 categories as strings)
    Task income_50k     '<=50K' (91 %), '>50K' (9 %)
    Task never_married  0 (78 %), 1 (22 %)
    Task education      5 classes, labelled for 3,631 rows when masked
    ==================  =====================================================

    Parameters
    ----------
    masked : bool, default=True
        Whether to keep the label of ``education`` for 12 % of the rows only. False gives the
        complete labels, for evaluation. Both give the same rows in the same order.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=True
        Whether ``data`` and ``target`` are DataFrames. False gives object arrays, because the
        columns have mixed types; this is why the default differs from scikit-learn's.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : DataFrame of shape (30000, 38)
            Integers and strings. A category that the source calls ``'?'`` stays a category;
            ``hisp_origin`` has 134 missing values. An object array if ``as_frame=False``.
        target : DataFrame of shape (30000, 3)
            A column per task, NaN where the label is missing. An object array if
            ``as_frame=False``.
        frame : DataFrame of shape (30000, 41) or None
            ``data`` and ``target`` side by side; None if ``as_frame=False``.
        feature_names : list of str
            The names of the columns of ``data``.
        task_names : list of str
            The names of the columns of ``target``.
        DESCR : str
            What the table is, where it comes from, and its terms (CC BY 4.0).

    (data, target) : tuple if ``return_X_y`` is True
        The data and the target, as described above.

    Raises
    ------
    TypeError
        If an argument is not True or False.

    References
    ----------
    Census-Income (KDD) (2000). UCI Machine Learning Repository.
    https://doi.org/10.24432/C5N30T

    Examples
    --------
    >>> from sk_mtl.datasets import load_census
    >>> X, Y = load_census(return_X_y=True)
    >>> X.shape, list(Y.columns)
    ((30000, 38), ['income_50k', 'never_married', 'education'])
    >>> int(Y["education"].notna().sum())
    3631
    >>> Y_complete = load_census(masked=False).target
    >>> bool(Y_complete.notna().all(axis=None))
    True
    """
    check_flags("load_census", masked=masked, return_X_y=return_X_y, as_frame=as_frame)
    with open_bundled("census.npz") as file, np.load(file) as stored:
        feature_names = stored["feature_names"].tolist()
        task_names = stored["task_names"].tolist()
        data = pd.DataFrame({name: _read_column(stored, name) for name in feature_names})
        target = pd.DataFrame({name: _read_column(stored, name) for name in task_names})
        if masked:
            target["education"] = target["education"].where(stored["education.kept"])
    frame = pd.concat([data, target], axis=1) if as_frame else None
    X, Y = (data, target) if as_frame else (data.to_numpy(object), target.to_numpy(object))
    if return_X_y:
        return X, Y
    return Bunch(
        data=X,
        target=Y,
        frame=frame,
        feature_names=feature_names,
        task_names=task_names,
        DESCR=read_description("census"),
    )


def _read_column(stored: Any, name: str) -> pd.Series:
    """Return a column as int64 or as strings, with an empty category read as missing."""
    values = stored[name]
    if f"{name}.categories" not in stored:
        return pd.Series(values.astype(np.int64))
    categories = stored[f"{name}.categories"].astype(object)
    # np.nan and not None, so that every supported pandas infers the same column as read_csv does
    categories[categories == ""] = np.nan
    return pd.Series(categories[values])
