"""A generator of related classification tasks with missing labels.

Owns the distribution of synthetic features, labels and missing labels. Uses NumPy only, and no
global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._compat.arguments import (
    check_choice,
    check_flags,
    check_integer,
    check_real,
    spread_over_tasks,
)
from sk_mtl._quoting import quote

_CALLER = "make_multitask_classification"
# Log-odds of a missing label per standard deviation (mar), or between the end classes (mnar).
_STRENGTH = 2.0


def make_multitask_classification(
    n_samples: int = 1000,
    n_features: int = 20,
    *,
    n_tasks: int | None = None,
    n_classes: int | Sequence[int] = 2,
    n_informative: int | None = None,
    n_latent: int = 8,
    task_correlation: float = 0.5,
    weights: Sequence[Sequence[float] | None] | None = None,
    class_sep: float = 3.0,
    flip_y: float = 0.01,
    missing_rate: float | Sequence[float] = 0.0,
    missing: str = "mcar",
    return_complete: bool = False,
    as_frame: bool = False,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> tuple[Any, ...]:
    r"""Generate related classification tasks with missing labels.

    All tasks are functions of one nonlinear representation of X. A network that shares its first
    layers can learn this representation from tasks with many labels, and use it for tasks with few.

    Parameters
    ----------
    n_samples : int, default=1000
        The number of rows.
    n_features : int, default=20
        The number of features, independent and standard normal.
    n_tasks : int or None, default=None
        The number of tasks. None means one for each entry of ``n_classes``, or 3 if ``n_classes``
        is a single number.
    n_classes : int or sequence of int of length n_tasks, default=2
        The number of classes, common or per task; each at least 2.
    n_informative : int or None, default=None
        The number of features on which the labels depend: the first columns of X. None means 10,
        or all features if there are fewer.
    n_latent : int, default=8
        The number of units of the shared representation.
    task_correlation : float, default=0.5
        The expected correlation between the noise-free scores of any two tasks, from 0 to 1. At 0
        the tasks share only the representation; at 1 they are the same function of X, cut into
        classes.
    weights : sequence of length n_tasks or None, default=None
        For each task None, or the proportions of its classes, which sum to 1. None means classes
        of equal size.
    class_sep : float, default=3.0
        The standard deviation of the scores over that of the noise added to them. At 0 the labels
        are independent of X.
    flip_y : float, default=0.01
        The share of the rows whose labels are shuffled among themselves, per task.
    missing_rate : float or sequence of float of length n_tasks, default=0.0
        The share of the labels that is missing, common or per task, from 0 to 1.
    missing : {'mcar', 'mar', 'mnar'}, default='mcar'
        Which labels are missing. 'mcar': completely at random. 'mar': more likely for a larger
        random projection of the informative features, with another projection for each task.
        'mnar': more likely for a higher class.
    return_complete : bool, default=False
        Whether to return the complete labels as well.
    as_frame : bool, default=False
        Whether to return DataFrames, with columns ``x0``, ``x1``, ... and ``y0``, ``y1``, ...,
        rather than arrays.
    random_state : int, RandomState, Generator or None, default=None
        The seed, or a generator to draw it from; None seeds from the operating system. NumPy's
        global generator is never used.

    Returns
    -------
    X : ndarray or DataFrame of shape (n_samples, n_features)
        The features, float64.
    Y : ndarray or DataFrame of shape (n_samples, n_tasks)
        The labels, from 0 to the task's number of classes minus 1; NaN where missing. Integers if
        no label of the array, or of the DataFrame's column, is missing.
    Y_complete : ndarray or DataFrame of shape (n_samples, n_tasks)
        The complete labels, integers. Only if ``return_complete`` is True.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If an argument is out of its range, or does not have one entry per task.

    Notes
    -----
    With :math:`z_k = \cos(a_k^\top x + b_k)` as units of the representation, :math:`|a_k| = 1`
    over the informative features, the scores of task :math:`t` are

    .. math:: s_{tj} = (\sqrt{\rho}\, u_j + \sqrt{1 - \rho}\, v_{tj})^\top z,

    standardised, with :math:`\rho` the ``task_correlation``, unit vectors :math:`u_j` common to all
    tasks, and :math:`v_{tj}` specific to a task. Noise is added, and the rows with the highest
    first scores become the last class; the second scores choose the last class but one from the
    remaining rows, and so on. The rows left over are class 0.

    The counts are exact: each class has its share of the rows, and at least one row, rounded; each
    task misses ``round(missing_rate * n_samples)`` labels. Where a task has as many labelled rows
    as classes, each class keeps a labelled row.

    The same seed gives the same X and complete labels whatever the missing labels, and the same
    first tasks however many follow.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(
    ...     n_samples=200, n_classes=(2, 2, 5), missing_rate=(0, 0, 0.88), random_state=0
    ... )
    >>> X.shape, Y.shape
    ((200, 20), (200, 3))
    >>> (~np.isnan(Y)).sum(axis=0).tolist()
    [200, 200, 24]
    >>> np.unique(Y[~np.isnan(Y[:, 2]), 2]).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    check_flags(_CALLER, return_complete=return_complete, as_frame=as_frame)
    check_choice(_CALLER, "missing", missing, ("mcar", "mar", "mnar"))
    n = check_integer(_CALLER, "n_samples", n_samples, 1)
    d = check_integer(_CALLER, "n_features", n_features, 1)
    if n_informative is None:
        n_informative = min(10, d)
    n_informative = check_integer(_CALLER, "n_informative", n_informative, 1, d)
    n_latent = check_integer(_CALLER, "n_latent", n_latent, 1)
    correlation = check_real(_CALLER, "task_correlation", task_correlation, 0, 1)
    class_sep = check_real(_CALLER, "class_sep", class_sep, 0)
    flip_y = check_real(_CALLER, "flip_y", flip_y, 0, 1)
    class_counts = _read_class_counts(n_classes, n_tasks)
    class_shares = _read_class_shares(weights, class_counts)
    missing_rates = [
        check_real(_CALLER, "missing_rate", rate, 0, 1)
        for rate in spread_over_tasks(_CALLER, "missing_rate", missing_rate, len(class_counts))
    ]

    # A random stream for each purpose and each task, so that they do not affect each other.
    seeds = _read_generator(random_state).integers(0, 2**63, size=5)
    X = np.random.default_rng(seeds[0]).standard_normal((n, d))
    informative = X[:, :n_informative]
    Z = _draw_representation(informative, n_latent, np.random.default_rng(seeds[1]))
    common = _draw_directions(max(class_counts) - 1, n_latent, np.random.default_rng(seeds[2]))
    labels = np.empty((n, len(class_counts)), dtype=np.int64, order="F")
    hidden = np.empty((n, len(class_counts)), dtype=bool, order="F")
    for t, shares in enumerate(class_shares):
        rng = np.random.default_rng([seeds[3], t])
        own = _draw_directions(len(shares) - 1, n_latent, rng)
        mixed = np.sqrt(correlation) * common[: len(own)] + np.sqrt(1 - correlation) * own
        scores = class_sep * _standardise(Z @ mixed.T)
        labels[:, t] = _cut_into_classes(scores, _count_per_class(n, shares), rng)
        _shuffle_some(labels[:, t], flip_y, rng)

        rng = np.random.default_rng([seeds[4], t])
        inclination = _draw_inclination(missing, informative, labels[:, t], rng)
        hidden[:, t] = _choose_hidden(labels[:, t], inclination, round(missing_rates[t] * n), rng)

    Y = _with_holes(labels, hidden, as_frame=as_frame)
    drawn = (_name_columns(X, "x") if as_frame else X, Y)
    if return_complete:
        return (*drawn, _with_holes(labels, np.zeros_like(hidden), as_frame=as_frame))
    return drawn


def _read_class_counts(n_classes: Any, n_tasks: int | None) -> list[int]:
    """Return the number of classes of each task."""
    if n_tasks is None:
        n_tasks = len(n_classes) if isinstance(n_classes, (Sequence, np.ndarray)) else 3
    n_tasks = check_integer(_CALLER, "n_tasks", n_tasks, 1)
    spread = spread_over_tasks(_CALLER, "n_classes", n_classes, n_tasks)
    return [check_integer(_CALLER, "n_classes", count, 2) for count in spread]


def _read_class_shares(weights: Any, class_counts: list[int]) -> list[np.ndarray]:
    """Return the proportions of the classes of each task."""
    if weights is not None and not isinstance(weights, (Sequence, np.ndarray)):
        raise TypeError(
            f"The 'weights' parameter of {_CALLER} must be a sequence with, for each task, None or "
            f"the proportions of its classes. Got {quote(weights)} instead."
        )
    given = spread_over_tasks(_CALLER, "weights", weights, len(class_counts))
    shares = []
    for t, (count, proportions) in enumerate(zip(class_counts, given, strict=True)):
        if proportions is None:
            shares.append(np.full(count, 1 / count))
            continue
        share = np.asarray(proportions, dtype=np.float64)
        if share.shape != (count,) or not (share > 0).all() or not np.isclose(share.sum(), 1):
            raise ValueError(
                f"The 'weights' parameter of {_CALLER} must hold, for task {t}, None or {count} "
                f"positive proportions that sum to 1. Got {quote(proportions)} instead."
            )
        shares.append(share)
    return shares


def _read_generator(random_state: Any) -> np.random.Generator:
    """Return a generator seeded by random_state, never NumPy's global one."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**32, size=4, dtype=np.uint32))
    if isinstance(random_state, np.random.Generator) or random_state is None:
        return np.random.default_rng(random_state)
    return np.random.default_rng(check_integer(_CALLER, "random_state", random_state, 0))


def _draw_representation(
    informative: np.ndarray, n_latent: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the units of the representation, of shape (n_samples, n_latent), standardised."""
    directions = _draw_directions(n_latent, informative.shape[1], rng)
    # Phases spread evenly: at 0 a unit is even in x, which no linear model can use; at pi/2 odd.
    phases = rng.uniform(0, np.pi) + np.pi * np.arange(n_latent) / n_latent
    return _standardise(np.cos(informative @ directions.T + phases))


def _draw_directions(n_directions: int, n_axes: int, rng: np.random.Generator) -> np.ndarray:
    """Return random unit vectors, of shape (n_directions, n_axes)."""
    drawn = rng.standard_normal((n_directions, n_axes))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _standardise(columns: np.ndarray) -> np.ndarray:
    """Return columns of mean 0 and standard deviation 1 (0 where a column is constant)."""
    centred = columns - columns.mean(axis=0)
    spread = centred.std(axis=0)
    return centred / np.where(spread > 0, spread, 1)


def _count_per_class(n: int, shares: np.ndarray) -> np.ndarray:
    """Return how many of n rows each class has: its share rounded, and at least one row."""
    exact = n * shares
    counts = np.floor(exact).astype(np.int64)
    left = n - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
    while n >= len(counts) and counts.min() == 0:
        counts[counts.argmax()] -= 1
        counts[counts.argmin()] += 1
    return counts


def _cut_into_classes(
    scores: np.ndarray, counts: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return labels: each score in turn takes its highest rows, from the last class to the first.

    ``scores`` is of shape (n_samples, n_classes - 1), without noise; ``counts`` of (n_classes,).
    """
    labels = np.zeros(len(scores), dtype=np.int64)
    rows = np.arange(len(scores))
    for j, label in enumerate(range(len(counts) - 1, 0, -1)):
        noisy = scores[rows, j] + rng.standard_normal(len(rows))
        order = np.argsort(noisy)
        kept = len(rows) - int(counts[label])
        labels[rows[order[kept:]]] = label
        rows = np.sort(rows[order[:kept]])
    return labels


def _shuffle_some(labels: np.ndarray, share: float, rng: np.random.Generator) -> None:
    """Shuffle the labels of a share of the rows among themselves, in place: no count changes."""
    rows = rng.choice(len(labels), size=round(share * len(labels)), replace=False)
    labels[rows] = labels[rng.permutation(rows)]


def _draw_inclination(
    missing: str, informative: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the log-odds, up to a constant, that each row loses its label."""
    if missing == "mar":
        return _STRENGTH * informative @ _draw_directions(1, informative.shape[1], rng)[0]
    if missing == "mnar":
        return _STRENGTH * labels / max(labels.max(), 1)
    return np.zeros(len(labels))


def _choose_hidden(
    labels: np.ndarray, inclination: np.ndarray, n_hidden: int, rng: np.random.Generator
) -> np.ndarray:
    """Return which n_hidden labels are missing; each class keeps one if possible."""
    # The largest of log-odds plus Gumbel noise: a weighted draw without replacement.
    keys = inclination + rng.gumbel(size=len(labels))
    hidden = np.zeros(len(labels), dtype=bool)
    hidden[np.argsort(keys)[len(labels) - n_hidden :]] = True
    counts = np.bincount(labels)
    n_labelled = np.bincount(labels[~hidden], minlength=len(counts))
    if len(labels) - n_hidden < np.count_nonzero(counts):
        return hidden
    for label in np.flatnonzero((counts > 0) & (n_labelled == 0)):
        plenty = n_labelled.argmax()
        shown = np.flatnonzero((labels == plenty) & ~hidden)
        lost = np.flatnonzero(labels == label)
        hidden[shown[keys[shown].argmax()]] = True
        hidden[lost[keys[lost].argmin()]] = False
        n_labelled[plenty] -= 1
        n_labelled[label] += 1
    return hidden


def _with_holes(labels: np.ndarray, hidden: np.ndarray, *, as_frame: bool) -> Any:
    """Return labels with NaN where hidden; integers if nothing is hidden."""
    holed = np.where(hidden, np.nan, labels) if hidden.any() else labels.copy(order="C")
    if not as_frame:
        return np.ascontiguousarray(holed)
    frame = _name_columns(holed, "y")
    complete = [f"y{t}" for t in np.flatnonzero(~hidden.any(axis=0))]
    return frame.astype(dict.fromkeys(complete, np.int64))


def _name_columns(values: np.ndarray, letter: str) -> pd.DataFrame:
    """Return a frame with columns named by a letter and their position."""
    return pd.DataFrame(values, columns=[f"{letter}{j}" for j in range(values.shape[1])])
