"""Label coverage: the labelled rows of each task, and which tasks are labelled together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from sk_mtl._compat.arguments import check_choice
from sk_mtl._data.labels import read_labels
from sk_mtl.plotting._colors import text_color_on
from sk_mtl.plotting._figures import (
    hide_frame,
    import_pyplot,
    name_rows,
    name_size,
    new_axes,
    row_height,
    shorten_name,
)
from sk_mtl.plotting._panels import divide
from sk_mtl.plotting._similarity import count_pairs

# Numbers in the matrix of more tasks are illegible.
_MAX_TASKS_WITH_NUMBERS = 12
# Longer names do not fit below the matrix unless they are turned.
_MAX_CHARACTERS_IN_A_ROW = 26
# The image of the rows has at most so many columns, about as many as pixels.
_MAX_STRIPES = 600


class LabelCoverageDisplay:
    """Label coverage of each task, its labelled rows, and its overlap with other tasks.

    Made by `from_labels`. All parts have a row per task. The bars on the left are the share of
    labelled rows. The image in the middle has the rows of y from left to right, dark where the
    label is missing, either sorted by the labelled tasks or in the order of y. If there are more
    than 600 rows, several are combined in a stripe, which shows the share of labelled rows. The
    matrix on the right has, of the rows labelled for the task in its row, the share also labelled
    for the task in its column.

    Parameters
    ----------
    pair_counts : ndarray of int of shape (n_tasks, n_tasks)
        Number of rows labelled for both tasks; on the diagonal, for the task.
    n_samples : int
        The number of rows.
    task_names : sequence of hashable
        The names of the tasks.
    label_mask : ndarray of bool of shape (n_samples, n_tasks), default=None
        True where a label is present; None draws no rows.

    Attributes
    ----------
    coverage : ndarray of float of shape (n_tasks,)
        Share of labelled rows.
    co_coverage : ndarray of float of shape (n_tasks, n_tasks)
        Share of the rows labelled for the first task that are labelled for the second; NaN if the
        first has no label.
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_axes,)
        The bars, the rows if they are drawn and, for at least two tasks, the matrix.

    See Also
    --------
    TaskScoresDisplay : Scores, task by task.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.plotting import LabelCoverageDisplay
    >>> y = np.array([[0, 1], [1, np.nan], [0, np.nan], [1, 0]])
    >>> display = LabelCoverageDisplay.from_labels(y)
    >>> display.coverage
    array([1. , 0.5])
    >>> display.co_coverage
    array([[1. , 0.5],
           [1. , 1. ]])
    """

    figure_: Any
    axes_: np.ndarray

    def __init__(
        self,
        pair_counts: np.ndarray,
        n_samples: int,
        task_names: Sequence[Hashable],
        label_mask: np.ndarray | None = None,
    ):
        self.pair_counts = np.asarray(pair_counts)
        self.n_samples = n_samples
        self.task_names = list(task_names)
        self.label_mask = label_mask

    @property
    def coverage(self) -> np.ndarray:
        """Share of labelled rows by task."""
        return np.diag(self.pair_counts) / self.n_samples

    @property
    def co_coverage(self) -> np.ndarray:
        """Share of the rows labelled for one task that are labelled for another."""
        labelled = np.diag(self.pair_counts)[:, np.newaxis]
        return np.where(labelled > 0, self.pair_counts / np.maximum(labelled, 1), np.nan)

    @classmethod
    def from_labels(
        cls, y: Any, *, missing_label: Any = None, rows: str | None = "pattern", ax: Any = None
    ) -> Any:
        """Draw the label coverage of y.

        Parameters
        ----------
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Class labels; NaN, None, NaT or NA where missing.
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing".
        rows : {"pattern", "given"} or None, default="pattern"
            As in `plot`.
        ax : matplotlib.axes.Axes, default=None
            As in `plot`.

        Returns
        -------
        display : LabelCoverageDisplay
            The display, drawn.
        """
        table = read_labels(y, missing_label=missing_label)
        table.check_labels()
        pair_counts = count_pairs(table.label_mask)
        display = cls(pair_counts, table.n_samples, table.task_names, table.label_mask)
        return display.plot(ax, rows=rows)

    def plot(
        self, ax: Any = None, *, rows: str | None = "pattern", cmap: Any = "viridis"
    ) -> LabelCoverageDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes whose place is divided into the parts. None makes a new figure.
        rows : {"pattern", "given"} or None, default="pattern"
            The order of the rows: sorted by the labelled tasks, beginning with the task with the
            most labels; or as in y. None draws no rows.
        cmap : str or Colormap, default="viridis"
            Colour map of the rows and of the matrix.

        Returns
        -------
        display : LabelCoverageDisplay
            The display itself.
        """
        check_choice("LabelCoverageDisplay", "rows", rows, ("pattern", "given", None))
        cmap, n_tasks = import_pyplot().get_cmap(cmap), len(self.task_names)
        has_rows = rows is not None and self.label_mask is not None
        n_parts = 1 + has_rows + (n_tasks > 1)
        side = max(1.5, 0.2 + n_tasks * row_height(n_tasks))
        ratios = [3.0] + [4.0] * has_rows + [max(side, 3.0)] * (n_tasks > 1)
        if ax is None:
            height = side + 1.0 + (0 if self._fits_in_a_row() or n_tasks == 1 else 1.0)
            ax = new_axes((1.5 + sum(ratios), height))
        self.figure_ = ax.figure
        if n_parts == 1:
            self.axes_ = np.array([ax], dtype=object)
        else:
            self.axes_ = divide(ax, 1, n_parts, width_ratios=ratios)[0]
        self._plot_bars(self.axes_[0])
        if has_rows:
            self._plot_rows(self.axes_[1], cmap, is_sorted=rows == "pattern")
        if n_tasks > 1:
            self._plot_matrix(self.axes_[-1], cmap)
        return self

    def _plot_bars(self, ax: Any) -> None:
        """Draw the share of labelled rows of each task."""
        n_tasks = len(self.task_names)
        bars = ax.barh(np.arange(n_tasks), self.coverage, height=0.7)
        texts = [_as_percentage(share) for share in self.coverage]
        ax.bar_label(bars, texts, padding=3, fontsize=name_size(n_tasks))
        name_rows(ax, self.task_names)
        ax.set_ylim(n_tasks - 0.5, -0.5)
        # Room for the numbers at the ends of the bars.
        ax.set_xlim(0, 1.22)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "50 %", "", "100 %"])
        hide_frame(ax)
        ax.set_xlabel("labelled")
        ax.set_title(f"Label coverage of {self.n_samples:,} rows", fontsize="medium", loc="left")

    def _plot_rows(self, ax: Any, cmap: Any, *, is_sorted: bool) -> None:
        """Draw which rows are labelled."""
        mask = np.asarray(self.label_mask, dtype=bool)
        title = "Rows as in y"
        if is_sorted:
            # The last key of np.lexsort is the primary one: the task with the most labels.
            mask = mask[np.lexsort(~mask[:, np.argsort(self.coverage, kind="stable")].T)]
            n_patterns = 1 + int((mask[1:] != mask[:-1]).any(axis=1).sum())
            title = f"Rows by what is labelled, {n_patterns:,} pattern" + "s" * (n_patterns > 1)
        n_tasks = len(self.task_names)
        ax.imshow(
            _shares_of_stripes(mask),
            vmin=0,
            vmax=1,
            cmap=cmap,
            aspect="auto",
            interpolation="nearest",
            extent=(0, self.n_samples, n_tasks - 0.5, -0.5),
        )
        # The names of the rows are beside the bars.
        ax.set_yticks(np.arange(n_tasks), [])
        ax.locator_params(axis="x", nbins=4, integer=True)
        ax.xaxis.set_major_formatter("{x:,.0f}")
        n_stripes = min(self.n_samples, _MAX_STRIPES)
        per_stripe = self.n_samples / n_stripes
        ax.set_xlabel("rows" if per_stripe == 1 else f"rows, {per_stripe:,.3g} to a stripe")
        ax.set_title(title, fontsize="medium", loc="left")

    def _plot_matrix(self, ax: Any, cmap: Any) -> None:
        """Draw the share of each task's labelled rows that have the labels of other tasks."""
        n_tasks, size = len(self.task_names), name_size(len(self.task_names))
        shares = self.co_coverage
        image = ax.imshow(shares, vmin=0, vmax=1, cmap=cmap, aspect="auto")
        places, names = np.arange(n_tasks), [shorten_name(n) for n in self.task_names]
        # The names of the rows are beside the bars.
        ax.set_yticks(places, [])
        ax.set_xticks(places, names, fontsize=size, rotation=0 if self._fits_in_a_row() else 90)
        if n_tasks <= _MAX_TASKS_WITH_NUMBERS:
            self._write_numbers(ax, shares, cmap)
        ax.set_xlabel("… also labelled for")
        ax.set_title("Of the rows labelled for …", fontsize="medium", loc="left")
        bar = ax.figure.colorbar(image, ax=ax, ticks=[0, 0.5, 1])
        bar.ax.set_yticklabels(["0", "50 %", "100 %"])
        bar.outline.set_visible(False)

    def _fits_in_a_row(self) -> bool:
        """Return whether the names fit below the matrix side by side."""
        longest = max(len(shorten_name(name)) for name in self.task_names)
        return len(self.task_names) * longest <= _MAX_CHARACTERS_IN_A_ROW

    def _write_numbers(self, ax: Any, shares: np.ndarray, cmap: Any) -> None:
        """Write the shares into the matrix, as percentages."""
        size = "medium" if len(shares) <= 6 else "x-small"
        for i, j in np.argwhere(np.isfinite(shares)):
            color = text_color_on(cmap(shares[i, j]))
            text = f"{100 * shares[i, j]:.0f}"
            ax.text(j, i, text, color=color, fontsize=size, ha="center", va="center")


def _as_percentage(share: float) -> str:
    """Return a share in percent that is not 0 if there are labels."""
    if 0 < share < 0.01:
        return f"{100 * share:.1g} %"
    return f"{100 * share:.0f} %"


def _shares_of_stripes(mask: np.ndarray) -> np.ndarray:
    """Return by task the share of labelled rows in each of at most 600 stripes of equal width."""
    n_samples = len(mask)
    n_stripes = min(n_samples, _MAX_STRIPES)
    # Labelled rows up to any point, also within a row, where they grow evenly.
    total = np.vstack([np.zeros(mask.shape[1]), np.cumsum(mask, axis=0)])
    borders = np.linspace(0, n_samples, n_stripes + 1)
    at_borders = np.stack([np.interp(borders, np.arange(n_samples + 1), t) for t in total.T])
    return np.clip(np.diff(at_borders, axis=1) * n_stripes / n_samples, 0, 1)
