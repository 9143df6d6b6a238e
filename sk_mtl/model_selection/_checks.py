"""What the splitters check of their parameters and arguments.

Owns messages only; nothing is assigned here.
"""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

from sklearn.utils import indexable

from sk_mtl.model_selection._rows import CodedLabels, read_codes


def read_split(X: Any, y: Any, missing_label: Any) -> CodedLabels:
    """Read the labels to stratify by, and check that X has as many rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or None
        Only its number of rows is looked at.
    y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
        Class labels.
    missing_label : scalar or None
        One more value that means "missing".

    Returns
    -------
    labels : CodedLabels
        Codes, mask and classes.
    """
    labels = read_codes(y, missing_label)
    if X is not None:
        X, _ = indexable(X, labels.codes)
    return labels


def check_count(name: str, value: object, at_least: int) -> None:
    """Refuse what is not a whole number of at least so much.

    Parameters
    ----------
    name : str
        The parameter, for the message.
    value : object
        What was given for it.
    at_least : int
        The smallest number allowed.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < at_least:
        raise ValueError(f"{name} must be an int of at least {at_least}. Got {value!r}.")


def warn_of_ignored_groups(splitter: object, groups: Any) -> None:
    """Warn that groups have no effect.

    Parameters
    ----------
    splitter : object
        The splitter, for the message.
    groups : object
        Nothing is said of None.
    """
    if groups is not None:
        warnings.warn(
            f"The groups parameter is ignored by {type(splitter).__name__}. "
            "MultiTaskStratifiedGroupKFold keeps groups together.",
            UserWarning,
            stacklevel=3,
        )
