"""`train_test_split`: one stratified split of the user's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from sk_mtl._compat.arguments import as_random_state
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl.model_selection._labels import read_codes
from sk_mtl.model_selection._rows import count_rows, take_rows
from sk_mtl.model_selection._shuffle_split import draw_split, size_of_parts

_DEFAULT_TEST_SIZE = 0.25


def train_test_split(
    *arrays: Any,
    test_size: float | int | None = None,
    train_size: float | int | None = None,
    random_state: int | np.random.RandomState | None = None,
    shuffle: bool = True,
    stratify: Any = True,
    missing_label: Any = None,
) -> list[Any]:
    """Split arrays into a training and a test part that both have the classes of every task.

    As :func:`sklearn.model_selection.train_test_split`, but stratified by default: by all tasks of
    y, with missing labels. If the counts and sizes allow, both parts have labelled cells of each
    class of each task.

    Parameters
    ----------
    *arrays : sequence of arrays, sparse matrices, DataFrames, Series or lists
        All with the same number of rows: X, y, and others such as weights.
    test_size : float or int, default=None
        Share or number of rows of the test part; None is the complement of `train_size`, or 0.25
        if that is None too.
    train_size : float or int, default=None
        Share or number of rows of the training part; None is the complement of `test_size`.
    random_state : int, RandomState or None, default=None
        The seed of the shuffling; an int gives the same split each time.
    shuffle : bool, default=True
        Whether to shuffle the rows first. If not, the split depends on y alone and both parts keep
        the order of the rows.
    stratify : bool or array-like of shape (n_samples,) or (n_samples, n_tasks), default=True
        What to stratify by. True: the second array, which is y in ``train_test_split(X, y)``.
        None or False: nothing.
    missing_label : scalar, list-like of scalars or dict, default=None
        Further values in y that mean "missing", besides NaN, None, NaT and NA.

    Returns
    -------
    splitting : list, length=2 * len(arrays)
        The training and the test part of each array, in the type it had.

    Raises
    ------
    ValueError
        If the arrays differ in their number of rows, or the sizes do not fit.

    Warns
    -----
    UserWarning
        If a class is not in both parts; names task, class and count.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.model_selection import train_test_split
    >>> X = np.arange(8).reshape(-1, 1)
    >>> Y = np.array([[0, 1], [0, np.nan], [1, 0], [1, 0], [0, 1], [0, np.nan], [1, 0], [1, 0]])
    >>> X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.5, random_state=0)
    >>> np.nansum(Y_train, axis=0), np.nansum(Y_test, axis=0)
    (array([2., 1.]), array([2., 1.]))
    """
    if not arrays:
        raise ValueError("At least one array is required as input.")
    warn_of_other_order({f"arrays[{i}]": array for i, array in enumerate(arrays)})
    check_consistent_length(*arrays)
    n_samples = count_rows(arrays[0])
    if test_size is None and train_size is None:
        test_size = _DEFAULT_TEST_SIZE
    sizes = size_of_parts(n_samples, test_size, train_size)
    rng = as_random_state(random_state) if shuffle else None
    if stratify is None or stratify is False:
        order = np.arange(n_samples) if rng is None else rng.permutation(n_samples)
        train, test = order[: sizes[0]], order[sizes[0] : sum(sizes)]
    else:
        if stratify is True and len(arrays) < 2:
            raise ValueError(
                "stratify=True stratifies by the second array, and only one was passed. Pass X "
                "and y, or pass labels as stratify, or set stratify=None."
            )
        labels = read_codes(arrays[1] if stratify is True else stratify, missing_label)
        check_consistent_length(arrays[0], labels.codes)
        train, test = draw_split(labels, sizes, rng)
    return [take_rows(array, rows) for array in arrays for rows in (train, test)]
