"""K-fold splitters for y with several tasks and missing labels.

Owns the k-fold classes that scikit-learn takes as ``cv=``. `_iterative` assigns rows, `_groups`
assigns groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from sk_mtl._compat.arguments import as_random_state, check_flags, check_integer
from sk_mtl._data.groups import read_groups
from sk_mtl._quoting import quote
from sk_mtl.model_selection._groups import assign_group_folds
from sk_mtl.model_selection._iterative import assign_folds
from sk_mtl.model_selection._labels import CodedLabels
from sk_mtl.model_selection._splitter import MultiTaskSplitter, Split

_FEWER_FOLDS = "Some folds are scored or trained without them: use fewer folds, or merge classes."


class _MultiTaskKFold(MultiTaskSplitter):
    """Base of the k-fold splitters; a subclass writes `_assign_folds`."""

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
        missing_label: Any = None,
    ):
        caller = type(self).__name__
        check_integer(caller, "n_splits", n_splits, 2)
        check_flags(caller, shuffle=shuffle)
        if not shuffle and random_state is not None:
            raise ValueError(
                "random_state has no effect since shuffle is False. Leave random_state at None, "
                f"or set shuffle=True. Got {quote(random_state)}."
            )
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.missing_label = missing_label

    def _split(self, labels: CodedLabels, groups: Any) -> Iterator[Split]:
        if self.n_splits > labels.n_samples:
            raise ValueError(
                f"n_splits must not exceed the number of samples, {labels.n_samples}. "
                f"Got n_splits={self.n_splits}."
            )
        rng = as_random_state(self.random_state) if self.shuffle else None
        fold = self._assign_folds(labels, groups, rng)
        labels.warn_of_rare_classes(
            fold, int(self.n_splits), "test folds", _FEWER_FOLDS, stacklevel=3
        )
        for j in range(self.n_splits):
            yield np.flatnonzero(fold != j), np.flatnonzero(fold == j)

    def _assign_folds(
        self, labels: CodedLabels, groups: Any, rng: np.random.RandomState | None
    ) -> np.ndarray:
        """Return the fold of each row."""
        raise NotImplementedError


class MultiTaskStratifiedKFold(_MultiTaskKFold):
    """K folds, each with its share of the labelled cells of each class of each task.

    As :class:`sklearn.model_selection.StratifiedKFold`, for several tasks at once and with missing
    labels, which are spread evenly too and never taken for a class. Rows with the same labels in
    all tasks are dealt out evenly [2]_; iterative stratification [1]_ assigns the others. The folds
    have the sizes of :class:`sklearn.model_selection.KFold`. If the counts allow, each fold has
    labelled cells of each class of each task.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether to shuffle the rows first. Without, the folds depend on y alone.
    random_state : int, RandomState or None, default=None
        The seed of the shuffling; with ``shuffle=True``, an int gives the same folds each time
        ``split`` is called, which successive halving requires.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values in y that mean "missing", besides NaN, None, NaT and NA.

    See Also
    --------
    RepeatedMultiTaskStratifiedKFold : Several such partitions.
    MultiTaskStratifiedGroupKFold : Keeps groups of rows together.
    MultiTaskStratifiedShuffleSplit : Random splits of any size.

    References
    ----------
    .. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas (2011). On the Stratification of Multi-label
       Data. ECML PKDD 2011.
    .. [2] P. Szymański, T. Kajdanowicz (2017). A Network Perspective on Stratification of
       Multi-Label Data. Proceedings of Machine Learning Research 74.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_mtl.model_selection import MultiTaskStratifiedKFold
    >>> X = np.zeros((6, 1))
    >>> Y = pd.DataFrame({
    ...     "colour": ["red", "blue", "red", "blue", "red", "blue"],
    ...     "sold": [1, None, None, 1, None, None],
    ... })
    >>> for train, test in MultiTaskStratifiedKFold(n_splits=2).split(X, Y):
    ...     print(Y.iloc[test]["colour"].value_counts().to_dict(), Y.iloc[test]["sold"].sum())
    {'red': 2, 'blue': 1} 1.0
    {'blue': 2, 'red': 1} 1.0
    """

    def _assign_folds(
        self, labels: CodedLabels, groups: Any, rng: np.random.RandomState | None
    ) -> np.ndarray:
        """Return the fold of each row."""
        return assign_folds(labels.codes, labels.label_mask, int(self.n_splits), rng)


class MultiTaskStratifiedGroupKFold(_MultiTaskKFold):
    """K folds that keep groups of rows together, as alike in their labels as the groups allow.

    As :class:`sklearn.model_selection.StratifiedGroupKFold`, for several tasks at once and with
    missing labels. No group is in two folds. The groups with the most rows of rare classes are
    placed first, each in the fold that lacks its labels most, similar to [1]_.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether to shuffle the groups first. Without, the folds depend on y and the groups alone.
    random_state : int, RandomState or None, default=None
        The seed of the shuffling; with ``shuffle=True``, an int gives the same folds each time
        ``split`` is called.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values in y that mean "missing", besides NaN, None, NaT and NA.

    See Also
    --------
    MultiTaskStratifiedKFold : Without groups.

    References
    ----------
    .. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas (2011). On the Stratification of Multi-label
       Data. ECML PKDD 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.model_selection import MultiTaskStratifiedGroupKFold
    >>> X = np.zeros((8, 1))
    >>> Y = np.array([[0, 1], [0, np.nan], [1, 0], [1, 0], [0, 1], [0, np.nan], [1, 0], [1, 0]])
    >>> groups = ["a", "a", "b", "b", "c", "c", "d", "d"]
    >>> for train, test in MultiTaskStratifiedGroupKFold(n_splits=2).split(X, Y, groups):
    ...     print([groups[i] for i in test])
    ['a', 'a', 'b', 'b']
    ['c', 'c', 'd', 'd']
    """

    __metadata_request__split: ClassVar[dict[str, Any]] = {"groups": True}
    _takes_groups = True

    def _assign_folds(
        self, labels: CodedLabels, groups: Any, rng: np.random.RandomState | None
    ) -> np.ndarray:
        """Return the fold of each row."""
        if groups is None:
            raise ValueError("The 'groups' parameter should not be None.")
        group_of_row = read_groups(groups, labels.n_samples)
        n_groups = int(group_of_row.max()) + 1
        if n_groups < self.n_splits:
            raise ValueError(
                f"n_splits must not exceed the number of groups, {n_groups}. "
                f"Got n_splits={self.n_splits}."
            )
        return assign_group_folds(
            labels.codes, labels.label_mask, group_of_row, int(self.n_splits), rng
        )


class RepeatedMultiTaskStratifiedKFold(MultiTaskSplitter):
    """Repeated `MultiTaskStratifiedKFold`, with another shuffling each time.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    n_repeats : int, default=10
        Number of repetitions.
    random_state : int, RandomState or None, default=None
        The seed of the shuffling; an int gives the same folds each time ``split`` is called.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values in y that mean "missing", besides NaN, None, NaT and NA.

    See Also
    --------
    MultiTaskStratifiedKFold : One partition.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.model_selection import RepeatedMultiTaskStratifiedKFold
    >>> cv = RepeatedMultiTaskStratifiedKFold(n_splits=2, n_repeats=3, random_state=0)
    >>> cv.get_n_splits()
    6
    """

    def __init__(
        self,
        *,
        n_splits: int = 5,
        n_repeats: int = 10,
        random_state: int | np.random.RandomState | None = None,
        missing_label: Any = None,
    ):
        caller = type(self).__name__
        check_integer(caller, "n_splits", n_splits, 2)
        check_integer(caller, "n_repeats", n_repeats, 1)
        self.n_splits = n_splits
        self.n_repeats = n_repeats
        self.random_state = random_state
        self.missing_label = missing_label

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored, present for API consistency.

        Returns
        -------
        n_splits : int
            Folds times repeats.
        """
        return int(self.n_splits) * int(self.n_repeats)

    def _split(self, labels: CodedLabels, groups: Any) -> Iterator[Split]:
        rng = as_random_state(self.random_state)
        for _ in range(self.n_repeats):
            folds = MultiTaskStratifiedKFold(self.n_splits, shuffle=True, random_state=rng)
            yield from folds._split(labels, groups)
