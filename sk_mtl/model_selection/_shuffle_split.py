"""Random splits into two parts, for y with several tasks and missing labels.

Owns the shuffle splitter that scikit-learn takes as ``cv=``, and the draw of one split.
`_iterative` assigns the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import ShuffleSplit

from sk_mtl._compat.arguments import as_random_state, check_integer
from sk_mtl.model_selection._iterative import assign_rows, index_columns
from sk_mtl.model_selection._labels import CodedLabels
from sk_mtl.model_selection._splitter import MultiTaskSplitter, Split

_LARGER_PARTS = (
    "Merge classes, or use a larger test_size or train_size for those with at least two cells."
)


class MultiTaskStratifiedShuffleSplit(MultiTaskSplitter):
    """Random splits with the same share of each class of each task in both parts.

    As :class:`sklearn.model_selection.StratifiedShuffleSplit`, for several tasks at once and with
    missing labels. The sizes are exact. If the counts and sizes allow, both parts have labelled
    cells of each class of each task.

    Parameters
    ----------
    n_splits : int, default=10
        Number of splits.
    test_size : float or int, default=None
        Share or number of rows of the test part; None is the complement of `train_size`, or 0.1 if
        that is None too.
    train_size : float or int, default=None
        Share or number of rows of the training part; None is the complement of `test_size`.
    random_state : int, RandomState or None, default=None
        The seed; an int gives the same splits each time ``split`` is called.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values in y that mean "missing", besides NaN, None, NaT and NA.

    See Also
    --------
    train_test_split : One split, applied to your arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.model_selection import MultiTaskStratifiedShuffleSplit
    >>> X = np.zeros((8, 1))
    >>> Y = np.array([[0, 1], [0, np.nan], [1, 0], [1, 0], [0, 1], [0, np.nan], [1, 0], [1, 0]])
    >>> cv = MultiTaskStratifiedShuffleSplit(n_splits=1, test_size=0.5, random_state=0)
    >>> for train, test in cv.split(X, Y):
    ...     print(np.nansum(Y[train], axis=0), np.nansum(Y[test], axis=0))
    [2. 1.] [2. 1.]
    """

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float | int | None = None,
        train_size: float | int | None = None,
        random_state: int | np.random.RandomState | None = None,
        missing_label: Any = None,
    ):
        check_integer(type(self).__name__, "n_splits", n_splits, 1)
        self.n_splits = n_splits
        self.test_size = test_size
        self.train_size = train_size
        self.random_state = random_state
        self.missing_label = missing_label

    def _split(self, labels: CodedLabels, groups: Any) -> Iterator[Split]:
        sizes = size_of_parts(labels.n_samples, self.test_size, self.train_size)
        rng = as_random_state(self.random_state)
        for _ in range(self.n_splits):
            yield draw_split(labels, sizes, rng, stacklevel=4)


def size_of_parts(n_samples: int, test_size: Any, train_size: Any) -> tuple[int, int]:
    """Return the number of training and test rows, by scikit-learn's rules."""
    sizes = ShuffleSplit(1, test_size=test_size, train_size=train_size, random_state=0)
    train, test = next(sizes.split(np.empty((n_samples, 0))))
    return len(train), len(test)


def draw_split(
    labels: CodedLabels,
    sizes: tuple[int, int],
    rng: np.random.RandomState | None,
    *,
    stacklevel: int = 3,
) -> Split:
    """Draw one stratified split; without `rng` both parts keep the order of the rows."""
    left_over = labels.n_samples - sum(sizes)
    part_sizes = np.array([*sizes, left_over] if left_over else sizes)
    columns = index_columns(labels.codes, labels.label_mask, n_covered=2)
    part = assign_rows(columns, part_sizes, rng, n_covered=2)
    labels.warn_of_rare_classes(
        part, 2, "parts (train and test)", _LARGER_PARTS, stacklevel=stacklevel
    )
    train, test = np.flatnonzero(part == 0), np.flatnonzero(part == 1)
    if rng is not None:
        train, test = rng.permutation(train), rng.permutation(test)
    return train, test
