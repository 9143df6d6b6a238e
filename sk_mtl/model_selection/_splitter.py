"""The base of the splitters: scikit-learn's interface, and the checks of X, y and groups.

Does not know how rows are assigned to parts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable

from sk_mtl._data.containers import open_table
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl.model_selection._labels import CodedLabels, read_codes

Split = tuple[np.ndarray, np.ndarray]


class MultiTaskSplitter(BaseCrossValidator):
    """Base of the splitters; a subclass writes `_split` over the labels as codes."""

    _takes_groups: ClassVar[bool] = False
    n_splits: int
    missing_label: Any

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored, present for API consistency.

        Returns
        -------
        n_splits : int
            The number of splits.
        """
        return int(self.n_splits)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Generate the rows of the training and the test part of each split.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Only the number of rows is used.
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Class labels, one column per task; NaN, None, NaT or NA where missing.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, for :class:`MultiTaskStratifiedGroupKFold`; the other splitters
            ignore it with a warning.

        Yields
        ------
        train, test : ndarray of int
            The rows of the two parts, sorted by k-fold splitters and in random order by
            :class:`MultiTaskStratifiedShuffleSplit`.

        Warns
        -----
        UserWarning
            If a class is not in every test part, or not in both parts of a random split; names
            task, class and count.
        """
        if groups is not None and not self._takes_groups:
            warnings.warn(
                f"The groups parameter is ignored by {type(self).__name__}. "
                "MultiTaskStratifiedGroupKFold keeps groups together.",
                UserWarning,
                stacklevel=2,
            )
        groups = open_table(groups, "groups")
        warn_of_other_order({"X": X, "y": y, "groups": groups})
        labels = read_codes(y, self.missing_label)
        if X is not None:
            indexable(X, labels.codes)
        yield from self._split(labels, groups)

    def _split(self, labels: CodedLabels, groups: Any) -> Iterator[Split]:
        raise NotImplementedError
