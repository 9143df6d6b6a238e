"""Cosines of the tasks' gradients by epoch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sk_mtl._compat.arguments import check_choice
from sk_mtl._data.labels import read_labels
from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl._quoting import quote
from sk_mtl.plotting._epochs import End, explain_above, mark_epoch, name_ends
from sk_mtl.plotting._figures import (
    SingleAxes,
    hide_frame,
    import_pyplot,
    line_settings,
    shorten_name,
)
from sk_mtl.plotting._head_gradients import compare_heads_by_epoch
from sk_mtl.plotting._learners import find_learner, read_missing_label

if TYPE_CHECKING:
    from sk_mtl.callbacks import EpochWeights

# The number of colours of the default style; more lines are hard to follow.
_MAX_LINES = 10
# Of the name of a task in that of a pair.
_MAX_CHARACTERS = 14


class GradientCosinesDisplay(SingleAxes):
    """Cosine of the gradients of each two tasks by epoch.

    Made by `from_estimator` from an estimator that was trained with
    :class:`~sk_mtl.callbacks.EpochWeights`. A pair of tasks below 0 is in conflict: what changes
    the representation for one of them changes it against the other. Up to ten pairs are drawn as
    lines with their names at the ends. Of more pairs, the range, the quartiles and the median are
    drawn, and the pairs with the lowest and the highest mean over epochs as lines. Pairs with fewer
    than `min_common` common rows or without any defined cosine are left out, and the label of the
    axis says how many.

    Parameters
    ----------
    cosines : ndarray of float of shape (n_epochs, n_tasks, n_tasks)
        The cosines after each epoch; NaN where undefined.
    epochs : sequence of int
        These epochs, counted from 1.
    task_names : sequence of hashable
        The names of the tasks.
    counts : ndarray of int of shape (n_tasks, n_tasks), default=None
        The number of rows that have both labels.
    min_common : int, default=30
        Pairs with fewer common rows are left out.
    best_epoch : int, default=None
        The epoch to mark, counted from 1; None marks none.

    Attributes
    ----------
    pairs_ : list of tuple of (hashable, hashable)
        The pairs of tasks that are not left out.
    lines_ : dict of {tuple: matplotlib.lines.Line2D}
        The lines of pairs.
    median_ : matplotlib.lines.Line2D or None
        The line of the median, if quantiles are drawn.
    bands_ : list of matplotlib.collections.PolyCollection
        The range and the quartiles; empty for lines.
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (1,)
        The axes.
    ax_ : matplotlib.axes.Axes
        The same axes.

    See Also
    --------
    TaskSimilarityDisplay : The same cosines of a fitted network, as a matrix.
    TaskWeightsDisplay : Task weights by epoch.

    Notes
    -----
    The gradients are those of the two losses with respect to the output of the last shared layer,
    over all rows that have both labels, as in :class:`TaskSimilarityDisplay` with
    ``measure="gradients"``. These are what the weighting methods with gradients compare in each
    batch. On rows that were trained on, the cosines also tell what the network has memorised.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.callbacks import EpochWeights
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> from sk_mtl.plotting import GradientCosinesDisplay
    >>> X, Y = make_multitask_classification(n_samples=80, n_tasks=3, random_state=0)
    >>> clf = MultiTaskClassifier(epochs=4, callbacks=EpochWeights(), random_state=0)
    >>> display = GradientCosinesDisplay.from_estimator(clf.fit(X[:40], Y[:40]), X[40:], Y[40:])
    >>> display.epochs, display.cosines.shape
    ([1, 2, 3, 4], (4, 3, 3))
    >>> display.pairs_
    [('y0', 'y1'), ('y0', 'y2'), ('y1', 'y2')]
    """

    lines_: dict[tuple[Hashable, Hashable], Any]
    median_: Any
    bands_: list[Any]

    def __init__(
        self,
        cosines: np.ndarray,
        epochs: Sequence[int],
        task_names: Sequence[Hashable],
        counts: np.ndarray | None = None,
        min_common: int = 30,
        best_epoch: int | None = None,
    ):
        self.cosines = np.asarray(cosines, dtype=np.float64)
        self.epochs = list(epochs)
        self.task_names = list(task_names)
        self.counts = None if counts is None else np.asarray(counts)
        self.min_common = min_common
        self.best_epoch = best_epoch

    @property
    def pairs_(self) -> list[tuple[Hashable, Hashable]]:
        """The pairs of tasks that are not left out."""
        return list(self._series())

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        missing_label: Any = None,
        min_common: int = 30,
        kind: str = "auto",
        ax: Any = None,
    ) -> Any:
        """Compute the cosines with the weights of each epoch and draw them.

        Parameters
        ----------
        estimator : MultiTaskClassifier, Pipeline or search
            A fitted estimator whose `callbacks` hold an :class:`~sk_mtl.callbacks.EpochWeights`.
            The last step of a Pipeline and the `best_estimator_` of a search are used.
        X : array-like of shape (n_samples, n_features)
            Samples, preferably not those of training.
        y : DataFrame, array-like of shape (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing"; None means those of the estimator.
        min_common : int, default=30
            Pairs with fewer rows that have both labels are left out.
        kind : {"auto", "lines", "quantiles"}, default="auto"
            As in `plot`.
        ax : matplotlib.axes.Axes, default=None
            As in `plot`.

        Returns
        -------
        display : GradientCosinesDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the estimator was not trained with an `EpochWeights`; if there is only one task; if
            the tasks share no layer, or which one is unknown.
        """
        learner = find_learner(estimator)
        record = _find_record(learner)
        warn_of_other_order({"X": X, "y": y, "sample_weight": sample_weight})
        table = read_labels(y, missing_label=read_missing_label(estimator, missing_label))
        names, cosines, counts = compare_heads_by_epoch(
            estimator, X, table, sample_weight, record.weights_
        )
        display = cls(cosines, record.epochs_, names, counts, min_common, learner.best_iter_)
        return display.plot(ax, kind=kind)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "auto",
        line_kw: Mapping[str, Any] | None = None,
    ) -> GradientCosinesDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None makes a new figure.
        kind : {"auto", "lines", "quantiles"}, default="auto"
            A line per pair of tasks, or quantiles over the pairs; "auto" takes lines for up to ten.
        line_kw : dict, default=None
            For matplotlib's `plot`, for the lines of pairs.

        Returns
        -------
        display : GradientCosinesDisplay
            The display itself.
        """
        check_choice("GradientCosinesDisplay", "kind", kind, ("auto", "lines", "quantiles"))
        series = self._series()
        if not series:
            raise ValueError(
                f"There is no pair of tasks to draw: none has {self.min_common} rows with both "
                "labels and a defined cosine. Pass more labelled rows, or a lower min_common."
            )
        ax = self._use_axes(ax, (7.0, 3.8))
        self.lines_, self.median_, self.bands_ = {}, None, []
        ax.axhline(0, color=import_pyplot().rcParams["text.color"], lw=0.8, zorder=1)
        shown, n_colors = list(series), 0
        if kind == "quantiles" or (kind == "auto" and len(series) > _MAX_LINES):
            self._plot_quantiles(ax, np.stack(list(series.values())))
            shown, n_colors = _extremes(series), 1
        for i, pair in enumerate(shown, start=n_colors):
            self._plot_line(ax, pair, series[pair], f"C{i % 10}", line_kw)
        ax.set(ylabel="cosine of the gradients", xlabel=self._label_epochs(len(series)))
        ax.locator_params(axis="x", integer=True)
        hide_frame(ax)
        explain_above(ax, [*self._explained(), *mark_epoch(ax, self.best_epoch)])
        self._name_lines(ax)
        return self

    def _series(self) -> dict[tuple[Hashable, Hashable], np.ndarray]:
        """Return the cosines by epoch of the pairs that are not left out."""
        found = {}
        for a, b in zip(*np.triu_indices(len(self.task_names), 1), strict=True):
            cosines = self.cosines[:, a, b]
            has_rows = self.counts is None or self.counts[a, b] >= self.min_common
            if has_rows and np.isfinite(cosines).any():
                found[self.task_names[a], self.task_names[b]] = cosines
        return found

    def _plot_line(
        self, ax: Any, pair: Any, cosines: np.ndarray, color: str, kwargs: Mapping[str, Any] | None
    ) -> None:
        # A single value is drawn as a point.
        marker = "o" if np.isfinite(cosines).sum() == 1 else None
        settings = line_settings(kwargs, color=color, marker=marker)
        (self.lines_[pair],) = ax.plot(self.epochs, cosines, **settings)

    def _plot_quantiles(self, ax: Any, cosines: np.ndarray) -> None:
        """Draw quantiles over pairs, (n_pairs, n_epochs)."""
        defined = np.flatnonzero(np.isfinite(cosines).any(axis=0))
        shares = (0, 0.25, 0.5, 0.75, 1)
        levels = np.full((len(shares), len(self.epochs)), np.nan)
        levels[:, defined] = np.nanquantile(cosines[:, defined], shares, axis=0)
        for low, high, alpha, label in ((0, 4, 0.15, "all pairs"), (1, 3, 0.3, "half of them")):
            settings = {"color": "C0", "alpha": alpha, "lw": 0, "label": label}
            self.bands_.append(ax.fill_between(self.epochs, levels[low], levels[high], **settings))
        label = f"median of {len(cosines)} pairs"
        (self.median_,) = ax.plot(self.epochs, levels[2], color="C0", lw=2, label=label)

    def _explained(self) -> list[Any]:
        """Return what the legend explains, besides the epoch that was kept."""
        return [] if self.median_ is None else [self.median_, *reversed(self.bands_)]

    def _name_lines(self, ax: Any) -> None:
        """Write the names of the pairs at the ends of their lines."""
        ends = []
        for pair, line in self.lines_.items():
            y = np.asarray(line.get_ydata())
            last = np.flatnonzero(np.isfinite(y))[-1]
            name = " – ".join(shorten_name(task, _MAX_CHARACTERS) for task in pair)
            ends.append(End(name, self.epochs[last], y[last], line.get_color()))
        name_ends(ax, ends)

    def _label_epochs(self, n_shown: int) -> str:
        """Return the label of the axis of epochs, which says how many pairs are left out."""
        n_pairs = len(self.task_names) * (len(self.task_names) - 1) // 2
        if n_shown == n_pairs:
            return "epoch"
        return (
            f"epoch\n({n_pairs - n_shown} of {n_pairs} pairs left out: fewer than "
            f"{self.min_common} rows with both labels, or undefined)"
        )


def _extremes(series: Mapping[Any, np.ndarray]) -> list[Any]:
    """Return the pairs with the highest and with the lowest mean over epochs."""
    means = {pair: np.nanmean(cosines) for pair, cosines in series.items()}
    return list(
        dict.fromkeys([max(means, key=means.__getitem__), min(means, key=means.__getitem__)])
    )


def _find_record(learner: Any) -> EpochWeights:
    """Return what the callbacks of an estimator have kept of its weights."""
    from sk_mtl.callbacks import EpochWeights

    waiting = [learner.callbacks]
    while waiting:
        item = waiting.pop()
        if isinstance(item, EpochWeights) and item.epochs_:
            return item
        if isinstance(item, Mapping):
            waiting += item.values()
        elif isinstance(item, (list, tuple)):
            waiting += item
    raise ValueError(
        "The estimator must be fitted with an instance of sk_mtl.callbacks.EpochWeights, which "
        "keeps the weights of each epoch: callbacks=EpochWeights(). None with weights was found in "
        f"its callbacks: {quote(learner.callbacks)}."
    )
